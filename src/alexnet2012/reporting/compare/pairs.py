"""Two nets of one name, bit by bit: their weights, errors and stored arrays."""

import filecmp
from dataclasses import dataclass
from pathlib import Path

from alexnet2012.evaluation.metrics import CROPS
from alexnet2012.reporting.compare.folder import Folder, Group
from alexnet2012.reporting.net import Net


@dataclass(frozen=True)
class Pair:
    """Two nets of one variant and seed (None for ensembles), and what of theirs is not the same to the last bit."""

    seed: int | None
    differences: tuple[str, ...]

    @property
    def identical(self) -> bool:
        return not self.differences


def compare_nets(a: Folder, b: Folder, first: Group, second: Group) -> tuple[Pair, ...]:
    """The nets that both groups have, by seed."""
    seeds = [seed for seed in first.nets if seed in second.nets]
    other_data = ("data",) if first.digest != second.digest else ()
    return tuple(
        Pair(seed, other_data + list_differences(a, b, first.dataset, first.nets[seed], second.nets[seed]))
        for seed in seeds
    )


def list_differences(a: Folder, b: Folder, dataset: str, first: Net, second: Net) -> tuple[str, ...]:
    """What the records and the arrays of two nets do not share; arrays are looked at where both folders hold them."""
    found, weights, others = [], weights_of(a, dataset, first), weights_of(b, dataset, second)
    if None in (*weights.values(), *others.values()):
        found.append("its members' weights (not all known)")
    elif weights != others:
        found.append("weights" if first.training else "its members' weights")
    splits = [split for split in first.predictions if split in second.predictions]
    for split in splits:
        if first.predictions[split]["errors"] != second.predictions[split]["errors"]:
            found.append(f"errors on {split}")
    if not found:  # arrays made by other weights are other arrays
        found = [f"bytes of {one.name}" for one, other in list_arrays(first, second, splits) if is_other(one, other)]
    return tuple(found)


def weights_of(folder: Folder, dataset: str, net: Net) -> dict[str, str | None]:
    """The digest of a net's weights, or those of an ensemble's members; None for a member that is not there."""
    if net.training is not None:
        return {"own": net.training["weights_sha256"]}
    digests = {
        f"{group.key}-seed{seed}": each.training["weights_sha256"]
        for place, group in folder.groups.items()
        for seed, each in group.nets.items()
        if place[0] == dataset and each.training is not None
    }
    record = next(iter(net.predictions.values()))
    return {member: digests.get(member) for member in record["members"]}


def list_arrays(first: Net, second: Net, splits: list[str]) -> list[tuple[Path, Path]]:
    pairs = [
        (net_folder / name, other_folder / name)
        for net_folder, other_folder, names in (
            (first.folder, second.folder, [f"{split}-{crops}.npy" for split in splits for crops in CROPS]),
            (first.folder, second.folder, [f"{split}-ranks.npz" for split in splits]),
            (first.run_folder, second.run_folder, ["model.safetensors", "answers.npz"]),
        )
        if net_folder is not None and other_folder is not None
        for name in names
    ]
    return [(one, other) for one, other in pairs if one.exists() and other.exists()]


def is_other(one: Path, other: Path) -> bool:
    return not filecmp.cmp(one, other, shallow=False)
