"""A results folder as a comparison reads it: wherever it lies, finished or not, with or without its arrays."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alexnet2012.config.schema import RunConfig
from alexnet2012.config.validate import read_yaml, validate
from alexnet2012.errors import ConfigError, RecordError
from alexnet2012.evaluation.metrics import CROPS
from alexnet2012.files import read_json
from alexnet2012.reporting.results import Net, check_record, load_net, relocate

LEDGER = Path("tables", "claims.json")


@dataclass
class Group:
    """The finished nets of one variant on one dataset by seed, or an ensemble under None.

    `unfinished`: what the plan lists and the folder lacks, in words. `settings`: the resolved configuration by dotted
    key; empty for an ensemble, and where no config.yaml is left.
    """

    dataset: str
    key: str
    nets: dict[int | None, Net] = field(default_factory=dict)
    unfinished: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.key} on {self.dataset}"

    @property
    def records(self) -> list[dict]:
        return [record for net in self.nets.values() for record in net.records()]

    @property
    def digest(self) -> str:
        return self.records[0]["dataset"]["digest"]

    @property
    def hash8(self) -> str | None:
        return self.records[0].get("hash8")


@dataclass(frozen=True)
class Folder:
    """The groups with a finished net by (dataset, variant or ensemble); `ledger`: tables/claims.json, where it is.

    `waiting`: the groups of which nothing is finished.
    """

    path: Path
    name: str
    groups: dict[tuple[str, str], Group]
    waiting: tuple[str, ...]
    ledger: dict | None


@dataclass(frozen=True)
class Listed:
    """A net as the plan lists it; `run` and `seed` are None for an ensemble."""

    dataset: str
    key: str
    seed: int | None
    run: Path | None
    predictions: Path
    splits: tuple[str, ...]


def read_folder(path: Path) -> Folder:
    """What `path`/experiments.json lists and is there already.

    Raises RecordError for a folder that is no configuration's results, and for a record that cannot be read, lacks
    what a comparison needs, or contradicts another one.
    """
    plan_path = path / "experiments.json"
    if not plan_path.is_file():
        found = "holds no experiments.json" if path.is_dir() else "is no folder"
        raise RecordError(f"{path} {found}; name the results of a configuration, as in results/rehearsal")
    plan = read_json(plan_path)
    try:
        name, listed = plan["name"], [net for entry in plan["experiments"] for net in list_nets(path, entry)]
    except (KeyError, TypeError, AttributeError, IndexError):
        raise RecordError(f"{plan_path} is no list of experiments; run snakemake to make it anew") from None
    groups = {}
    for net in listed:
        group = groups.setdefault((net.dataset, net.key), Group(net.dataset, net.key))
        if net.seed not in group.nets:  # an earlier experiment may list it for another table
            read_net(path, net, group)
    finished = {place: group for place, group in groups.items() if group.nets}
    waiting = tuple(str(group) for group in groups.values() if not group.nets)
    return Folder(path, name, finished, waiting, read_json(path / LEDGER) if (path / LEDGER).exists() else None)


def list_nets(path: Path, entry: dict) -> Iterator[Listed]:
    key, splits = entry.get("variant") or entry["ensemble"], tuple(entry.get("splits", ("val", "test")))
    for index, predictions in enumerate(entry["predictions"]):
        seed = entry["seeds"][index] if "runs" in entry else None
        run = relocate(path, entry["runs"][index]) if "runs" in entry else None
        yield Listed(entry["dataset"], key, seed, run, relocate(path, predictions), splits)


def read_net(path: Path, net: Listed, group: Group) -> None:
    """Put the net into its group, as far as it is finished."""
    words, training = "the average" if net.run is None else f"seed {net.seed}", None
    if net.run is not None:
        group.settings = group.settings or read_settings(net.run / "config.yaml")
        if not (net.run / "record.json").exists():
            group.unfinished.append(words)
            return
        training = read_json(net.run / "record.json")
        check_record(
            net.run / "record.json",
            training,
            [
                ("variant", "its variant"),
                ("seed", "its seed"),
                ("dataset.digest", "the digest of its data"),
                ("weights_sha256", "the digest of its weights"),
            ],
        )
    present = tuple(split for split in net.splits if (net.predictions / f"{split}.json").exists())
    group.unfinished += [f"{words}'s answers on {split}" for split in net.splits if split not in present]
    needed = [(f"errors.{crops}.top1", f"its error by {crops}") for crops in CROPS]
    needed += [] if training is None else [("weights_sha256", "the digest of its weights")]
    for split in present:
        check_record(net.predictions / f"{split}.json", read_json(net.predictions / f"{split}.json"), needed)
    if present or training is not None:
        group.nets[net.seed] = load_net(training, net.predictions, path, present, net.run)


def read_settings(path: Path) -> dict[str, Any]:
    """A run's settings by dotted key: as today's code reads them, so that a key that an older version did not write
    has its default; as written where today's code refuses them; empty where the file is not there.
    """
    if not path.exists():
        return {}
    values = read_yaml(path)
    try:
        return flatten(validate(RunConfig, values, str(path)).model_dump(mode="json"))
    except ConfigError:
        if not isinstance(values, dict):
            raise
        return flatten(values)


def flatten(values: dict, prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in values.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
