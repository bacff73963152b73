"""The images of a source, listed but not read: a table for each split, with the problems that were found."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from alexnet2012.data.sources.image_names import in_one_line

if TYPE_CHECKING:
    import pyarrow as pa

Container = Literal["bytes", "zip", "parquet", "pixels"]

WITHHELD = -1  # the label of test images whose true labels are not public


@dataclass(frozen=True)
class Problem:
    """An image that cannot be used: its path (`archive!member` inside an archive), and the reason."""

    path: str
    reason: str


@dataclass(frozen=True, eq=False)
class Listing:
    """Images of a source, one per row of `table`, which has columns because a release has 15 million images.

    - `name`: the canonical name, the same for every layout of an edition; before arranging, the source's own.
    - `label`: int64, an index into the source's classes, or WITHHELD.
    - `file`: path relative to the source's folder, as bytes, dictionary-encoded.
    - `offset`, `size`: the image is the bytes [offset, offset + size) of its file. For container zip, `offset` is the
      member's index; for parquet, the row; for pixels, the index in `images`.

    `images`: for container pixels, the images uint8 (s, s, 3), possibly not all in memory at once.
    `differences`: sentences on what is missing or unexpected. `ignored`: the numbers of files that were left out, by
    kind.
    """

    table: "pa.Table"
    container: Container = "bytes"
    images: Iterable[np.ndarray] | None = None
    problems: tuple[Problem, ...] = ()
    differences: tuple[str, ...] = ()
    ignored: Counter[str] = field(default_factory=Counter)

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
        """A listing from columns: arrays, or one number for all rows. `file`: indices into `files`."""
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
        """The index in `files` of each image's file, int32."""
        numbers: np.ndarray = self._column("file").indices.to_numpy()
        return numbers

    @property
    def files(self) -> "pa.Array":
        """The paths of the files, binary."""
        return self._column("file").dictionary

    @property
    def source_order(self) -> np.ndarray:
        """Row numbers sorted by the images' positions in the source's files."""
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
        """The same images with other columns `name` or `label`; a number is used for all rows."""
        import pyarrow as pa

        table = self.table
        for name, values in columns.items():
            column = values if isinstance(values, pa.Array) else pa.array(np.full(len(self), values, np.int64))
            table = table.set_column(table.column_names.index(name), name, column)
        return replace(self, table=table)

    def note(self, *differences: str) -> "Listing":
        """The same images with additional `differences`."""
        return replace(self, differences=(*self.differences, *differences))

    def find_place(self, row: int | np.integer[Any]) -> str:
        """The place of row `row` for messages: `archive!member`, or the path of the image file."""
        file, name = in_one_line(self.files[int(self.file[row])].as_py()), in_one_line(self.names[int(row)].as_py())
        return file if file.endswith(name) else f"{file}!{name}"

    def read(self) -> Iterable[np.ndarray]:
        """The images of container pixels; the rows must be in the order of `images`."""
        assert self.images is not None and (np.diff(self.offset) > 0).all(), "ascending"
        taken = np.zeros(self.offset.max(initial=-1) + 1, bool)
        taken[self.offset] = True
        return compress(self.images, taken)


def concatenate(listings: Sequence[Listing]) -> Listing:
    """The images of all listings, one listing after another; all must have the same container."""
    import pyarrow as pa

    return replace(
        listings[0],
        table=pa.concat_tables([each.table for each in listings]).unify_dictionaries().combine_chunks(),
        problems=tuple(problem for each in listings for problem in each.problems),
        differences=tuple(sentence for each in listings for sentence in each.differences),
    )


@dataclass(frozen=True)
class Checksum:
    """The published md5 of an archive; a different one causes only a warning."""

    path: Path
    md5: str


@dataclass(frozen=True, eq=False)
class Source:
    """The images to be packed, by split. Labels are indices into `classes`, which are sorted.

    `problems`: images that cannot be used, found without decoding (for example duplicate names). `ignored`: the numbers
    of files in folders that were left out, by kind. `official_ids`: the
    edition's own ids of the classes (ILSVRC2012_ID), for its submission format, if known; `train_counts`: the published
    number of training images of each class, if known. `part`: the part of an edition in words ("subset of 20 classes,
    ..."); empty for the whole.
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
    ignored: Counter[str] = field(default_factory=Counter)

    def count_images(self, split: str) -> np.ndarray:
        """The number of images of each class in a split, without those whose labels are withheld."""
        labels = self.splits[split].labels
        return np.bincount(labels[labels >= 0], minlength=len(self.classes))
