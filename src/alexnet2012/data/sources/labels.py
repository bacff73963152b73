"""Whether names, places and truths tell the same class of each image: a wrong label would be trained in silence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from alexnet2012.data.listing import Listing
from alexnet2012.data.sources.names import numbers_of
from alexnet2012.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

NAMED = 5


@dataclass(frozen=True, eq=False)
class Truth:
    """The labels of a numbered split: that of number n at n - 1, a rank in `classes`. `name`: what messages call it."""

    labels: np.ndarray
    classes: tuple[str, ...]
    name: str

    def compare_length(self, expected: int) -> tuple[str, ...]:
        """A sentence when it has another number of lines than the edition has images."""
        lines = len(self.labels)
        return () if lines == expected else (f"{self.name} has {lines:,} lines; {expected:,} were expected",)


def refuse_other_classes(
    wnids: "pa.Array", classes: Sequence[str], labels: np.ndarray, where: Callable[[int], str], what: str
) -> None:
    """Raises DataError if an image's name tells another class (`wnids`, null for none) than its label does.

    A negative label is none. `where` tells the place of row k; `what` they are, as in "training images".
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    listed_under = pa.array(classes, pa.string()).take(pa.array(labels, mask=labels < 0))
    differing = pc.fill_null(pc.not_equal(wnids, listed_under), False).to_numpy(zero_copy_only=False)
    if not differing.any():
        return
    odd = np.flatnonzero(differing)
    lines = [
        f"{where(k)} is of {wnids[k].as_py()} by its name, but listed under {listed_under[k].as_py()}"
        for k in odd[:NAMED].tolist()
    ]
    raise DataError(
        f"{len(odd):,} {what} are of another class by their names than they are listed under: {'; '.join(lines)}"
        f"{_more(odd)}. One of the two is wrong, and so would be what is trained on them; fetch them again."
    )


def refuse_other_truth(listing: Listing, classes: Sequence[str], truth: Truth) -> None:
    """Raises DataError if a numbered image's label, a rank in `classes`, is of another class than `truth` gives it."""
    numbers = numbers_of(listing.names)
    rank = {wnid: label for label, wnid in enumerate(truth.classes)}
    labels = np.array([rank.get(wnid, -1) for wnid in classes], np.int64)[listing.labels]
    known = np.flatnonzero((numbers >= 1) & (numbers <= len(truth.labels)))
    odd = known[labels[known] != truth.labels[numbers[known] - 1]]
    if not len(odd):
        return
    lines = [
        f"{listing.names[k].as_py()} is labelled {classes[listing.labels[k]]}, but "
        f"{truth.classes[truth.labels[numbers[k] - 1]]} by the devkit"
        for k in odd[:NAMED].tolist()
    ]
    raise DataError(
        f"{len(odd):,} validation images have other labels than {truth.name} gives them: {'; '.join(lines)}"
        f"{_more(odd)}. One of the two is wrong; fetch them again."
    )


def _more(odd: np.ndarray) -> str:
    return f"; and {len(odd) - NAMED:,} more" if len(odd) > NAMED else ""
