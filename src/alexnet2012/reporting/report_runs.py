"""The trainings behind a report: what each was, and where its curves are in MLflow."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from alexnet2012.reporting.net import Net
from alexnet2012.reporting.results import Results
from alexnet2012.tracking.browser import page_address
from alexnet2012.tracking.store import TrackingIds

LOCAL_BROWSER = "http://127.0.0.1:5000"  # where `alexnet2012 ui` listens


@dataclass(frozen=True)
class Run:
    """A training; `learned` is None where that is not known, `run_id` and `link` where no store ever had it."""

    name: str
    dataset: str
    epochs: int
    learned: bool | None
    minutes: float
    date: str
    commit: str
    run_id: str | None
    link: str | None


@dataclass(frozen=True)
class Store:
    """An experiment in the run browser of `server`; `local`: it answers only while `alexnet2012 ui` runs."""

    server: str
    experiment_id: str
    local: bool

    @property
    def runs(self) -> str:
        """Address of the experiment's list of runs."""
        return page_address(self.server, self.experiment_id)

    def run(self, run_id: str) -> str:
        """Address of one run."""
        return page_address(self.server, self.experiment_id, run_id)


def read_store(path: Path) -> Store | None:
    """The store that tracking.json names; None where there is no such file, or the store was out of reach then."""
    if not path.is_file():
        return None
    ids = TrackingIds.load(path)
    if ids.experiment_id is None:
        return None
    local = urlsplit(ids.uri).scheme not in ("http", "https")
    return Store(LOCAL_BROWSER if local else ids.uri, ids.experiment_id, local)


def list_runs(results: Results, store: Store | None) -> list[Run]:
    """Every training of the results once, by dataset, variant and seed as the configuration lists them."""
    nets = {
        (each.dataset, each.key, net.seed): net
        for each in results.experiments
        for net in each.nets
        if net.training is not None
    }
    return [describe_run(net, store) for net in nets.values()]


def describe_run(net: Net, store: Store | None) -> Run:
    record = net.training
    run_id, made_by = record["mlflow_run_id"], record["provenance"]
    return Run(
        f"{record['variant']}-seed{record['seed']}",
        record["dataset"]["name"],
        record["epochs"],
        net.learned,
        record["wall_time_s"] / 60,
        made_by["date"][:10],
        f"{made_by['commit'][:12]}{' (dirty)' if made_by['dirty'] else ''}",
        run_id,
        store.run(run_id) if store and run_id else None,
    )
