"""What a source hands over: a table of images for each split, and what was found wrong on the way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from alexnet2012.data.sources.image_names import in_one_line

if TYPE_CHECKING:
    import pyarrow as pa

Container = Literal["bytes", "zip", "parquet", "pixels"]

WITHHELD = -1  # the label of a test image whose label is not public


@dataclass(frozen=True)
class Problem:
    """An image that cannot be taken: where it lies (`archive!member` inside an archive), and why."""

    path: str
    reason: str


@dataclass(frozen=True, eq=False)
class Listing:
    """Images of a source, one in each row of `table`; as columns, because a release has 15 million of them.

    - `name`: canonical, the same for every source of one edition; as the source writes it until they are arranged.
    - `label`: int64, a place in the source's classes, or WITHHELD.
    - `file`: a dictionary of paths relative to the source's folder, as the file system spells them.
    - `offset`, `size`: the image is the bytes [offset, offset + size) of its file. In a zip the offset is the member's
      number; in a parquet shard, the row's; of `pixels`, the number of the image in `images`.

    `images`: uint8 (s, s, 3), one after another, where none is to be decoded; not all need be in memory.
    `differences`: sentences on what is missing or was not expected.
    """

    table: "pa.Table"
    container: Container = "bytes"
    images: Iterable[np.ndarray] | None = None
    problems: tuple[Problem, ...] = ()
    differences: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        names: "Sequence[str] | pa.Array",
        files: Sequence[bytes] = (b"",),
        *,
        file: Any = 0,
        offset: Any = 0,
        size: Any = 0,
        label: Any = 0,
        **settings: Any,
    ) -> "Listing":
        """Columns from arrays, or from one number for all rows; `file` counts in `files`."""
        import pyarrow as pa

        column = {key: np.full(len(names), value, np.int64) for key, value in (("offset", offset), ("size", size))}
        numbers = pa.array(np.full(len(names), file, np.int32))
        table = {
            "name": names if isinstance(names, pa.Array) else pa.array(names, pa.string()),
            "label": np.full(len(names), label, np.int64),
            "file": pa.DictionaryArray.from_arrays(numbers, pa.array(files, pa.binary())),
        }
        return cls(pa.table(table | column), **settings)

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def names(self) -> "pa.Array":
        return self._column("name")

    @cached_property
    def labels(self) -> np.ndarray:
        return self._numbers("label")

    @cached_property
    def offset(self) -> np.ndarray:
        return self._numbers("offset")

    @cached_property
    def size(self) -> np.ndarray:
        return self._numbers("size")

    @cached_property
    def file(self) -> np.ndarray:
        """The number in `files` of each image's file, int32."""
        numbers: np.ndarray = self._column("file").indices.to_numpy()
        return numbers

    @property
    def files(self) -> "pa.Array":
        """The paths of the files, binary."""
        return self._column("file").dictionary

    @property
    def source_order(self) -> np.ndarray:
        """Row numbers in the order in which the images lie in the source's files."""
        return np.lexsort((self.offset, self.file))

    def _column(self, name: str) -> "pa.Array":
        column = self.table[name]
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()

    def _numbers(self, name: str) -> np.ndarray:
        numbers: np.ndarray = self._column(name).to_numpy()
        return numbers

    def take(self, rows: np.ndarray) -> "Listing":
        """The images `rows`, in that order."""
        return replace(self, table=self.table.take(rows))

    def put(self, **columns: Any) -> "Listing":
        """The same images with other names or labels, or one label for all."""
        import pyarrow as pa

        table = self.table
        for name, values in columns.items():
            column = values if isinstance(values, pa.Array) else pa.array(np.full(len(self), values, np.int64))
            table = table.set_column(table.column_names.index(name), name, column)
        return replace(self, table=table)

    def note(self, *differences: str) -> "Listing":
        """The same images with more differences."""
        return replace(self, differences=(*self.differences, *differences))

    def find_place(self, row: int | np.integer[Any]) -> str:
        """Row `row` as `archive!member`, or as the path of a file of its own."""
        file, name = in_one_line(self.files[int(self.file[row])].as_py()), in_one_line(self.names[int(row)].as_py())
        return file if file.endswith(name) else f"{file}!{name}"

    def read(self) -> Iterable[np.ndarray]:
        """The images that are not to be decoded, whose rows must be in the order of `images`."""
        assert self.images is not None and (np.diff(self.offset) > 0).all(), "ascending"
        taken = np.zeros(self.offset.max(initial=-1) + 1, bool)
        taken[self.offset] = True
        return compress(self.images, taken)


def concatenate(listings: Sequence[Listing]) -> Listing:
    """The images of all, which hold them in one way, one listing after another."""
    import pyarrow as pa

    return replace(
        listings[0],
        table=pa.concat_tables([each.table for each in listings]).unify_dictionaries().combine_chunks(),
        problems=tuple(problem for each in listings for problem in each.problems),
        differences=tuple(sentence for each in listings for sentence in each.differences),
    )


@dataclass(frozen=True)
class Checksum:
    """An archive's md5 as its publisher gives it; another one is worth a warning, not a stop."""

    path: Path
    md5: str


@dataclass(frozen=True, eq=False)
class Source:
    """What is to be packed. Labels number `classes`, which are in sorted order.

    `problems`: images that cannot be taken, found without decoding (duplicate names, for one). `official_ids`: the
    edition's own numbers of the classes (ILSVRC2012_ID), which its submission format asks for, where they are known;
    `train_counts`: the published number of training images of each class, where known. `part` says in words what part
    of an edition this is ("subset of 20 classes, ..."); empty for the whole.
    """

    description: str
    folder: Path
    classes: tuple[str, ...]
    splits: dict[str, Listing]
    problems: tuple[Problem, ...] = ()
    checksums: tuple[Checksum, ...] = ()
    official_ids: tuple[int, ...] | None = None
    train_counts: np.ndarray | None = None
    part: str = ""

    def count_images(self, split: str) -> np.ndarray:
        """The number of images of each class in a split; those whose labels are withheld are not counted."""
        labels = self.splits[split].labels
        return np.bincount(labels[labels >= 0], minlength=len(self.classes))
