"""What the first pass over a source finds: every image of a split, in canonical order, as columns.

Columns, because 15 million Python objects (the Fall 2011 release) would need many times the memory.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import compress
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

Container = Literal["bytes", "zip", "parquet"]

WITHHELD = -1  # the label of a test image whose label is not public


@dataclass(frozen=True, eq=False)
class Listing:
    """One split of a source; row k of every column is image k of the packed split.

    `names`: string (n,), canonical, the same for every source of one edition. `labels`: int64 (n,), or WITHHELD.
    Image k is the bytes [offset, offset + size) of the file `files[file[k]]`; in a zip `offset` is the member's number
    instead, and in a parquet shard the row's, where `size` is not used. `files`: binary, the paths relative to the
    source's folder as the file system spells them.
    """

    files: "pa.Array"
    file: np.ndarray
    offset: np.ndarray
    size: np.ndarray
    names: "pa.Array"
    labels: np.ndarray
    container: Container = "bytes"

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> "Listing":
        """The images `rows`, in that order."""
        return Listing(
            self.files,
            self.file[rows],
            self.offset[rows],
            self.size[rows],
            self.names.take(rows),
            self.labels[rows],
            self.container,
        )

    @property
    def source_order(self) -> np.ndarray:
        """Row numbers in the order in which the images lie in the source's files."""
        return np.lexsort((self.offset, self.file))


@dataclass(frozen=True, eq=False)
class Arrays:
    """One split that needs no decoding: n images uint8 (s, s, 3); labels int64 (n,), names as in a Listing.

    `images` yields them one after another, so that not all need be in memory; of more than n, those numbered `rows`,
    ascending, are the split's.
    """

    names: "pa.Array"
    labels: np.ndarray
    images: Iterable[np.ndarray]
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> "Arrays":
        """The images `rows`, which are ascending: `images` are read in their own order."""
        assert (np.diff(rows) > 0).all(), "ascending"
        own = rows if self.rows is None else self.rows[rows]
        return replace(self, names=self.names.take(rows), labels=self.labels[rows], rows=own)

    def read(self) -> Iterable[np.ndarray]:
        """The n images, one after another."""
        if self.rows is None:
            return self.images
        taken = np.zeros(self.rows.max(initial=-1) + 1, bool)
        taken[self.rows] = True
        return compress(self.images, taken)


@dataclass(frozen=True)
class Problem:
    """An image that cannot be taken: where it lies (`archive!member` inside an archive), and why."""

    path: str
    reason: str
