"""What two folders measured of one variant: its top-1 errors, seed by seed."""

from dataclasses import dataclass

from alexnet2012.evaluation.metrics import CROPS
from alexnet2012.reporting.compare.folder import Group


@dataclass(frozen=True)
class Errors:
    """The top-1 errors (fractions) of one variant's seeds, or of an ensemble, in A and in B; `images`: of the split."""

    dataset: str
    key: str
    split: str
    crops: str
    a: tuple[float, ...]
    b: tuple[float, ...]
    images: tuple[int, int]


def collect_errors(first: Group, second: Group) -> list[Errors]:
    """What both groups measured, by split and crops.

    Where a folder lacks the answers on val, the trainings' own last error takes their place: val, centre crop.
    """
    found = []
    for split in dict.fromkeys(split for net in first.nets.values() for split in net.predictions):
        for crops in CROPS:
            a, b = (
                [net.predictions[split] for net in group.nets.values() if split in net.predictions]
                for group in (first, second)
            )
            if a and b:
                errors = (tuple(record["errors"][crops]["top1"] for record in each) for each in (a, b))
                found.append(Errors(first.dataset, first.key, split, crops, *errors, (a[0]["images"], b[0]["images"])))
    if not any(each.split == "val" for each in found):
        found += compare_last_epochs(first, second)
    return found


def compare_last_epochs(first: Group, second: Group) -> list[Errors]:
    a, b = (
        [net.training for net in group.nets.values() if net.training and "final" in net.training]
        for group in (first, second)
    )
    if not a or not b:
        return []
    errors = (tuple(record["final"]["val_top1_error"] for record in each) for each in (a, b))
    images = (a[0]["dataset"]["counts"]["val"], b[0]["dataset"]["counts"]["val"])
    return [Errors(first.dataset, first.key, "val", "centre", *errors, images)]
