"""Fake results: ten or twenty images per split, wrong answers chosen by hand, and matching records."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from alexnet2012.claims.ledger import make_ledgers
from alexnet2012.reporting.format import to_markdown
from alexnet2012.reporting.in_text import describe_claims, describe_numbers
from alexnet2012.reporting.results import Results, load_results
from alexnet2012.reporting.tables import describe_table

CROPS = ("ten_crop", "centre")
COUNTS = {"train": 1120, "val": 10, "test": 20}
MEASURED = 20  # training images whose answers are kept
PROVENANCE = {
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "dirty": False,
    "date": "2026-11-24T08:14:30+00:00",
    "hardware": "Some CPU, 2 usable cores",
    "usable_cores": 2,
    "python": "3.11.7",
    "torch": "2.14.1",
    "torchvision": "0.29.1",
    "torch_threads": 1,
}


@dataclass
class FakeResults:
    """Writes results/some below `root` like the workflow, with `data` beside it.

    `counts`: images of each split. `kind`, `part`, `splits` and `departures` apply to what is added next.
    """

    root: Path
    entries: list[dict] = field(default_factory=list)
    classes: int = 10
    kind: str = "imagefolder"
    part: str = ""
    splits: tuple[str, ...] = ("val", "test")
    departures: tuple[str, ...] = ()
    in_full: list[dict] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: dict(COUNTS))

    @property
    def folder(self) -> Path:
        return self.root / "results" / "some"

    @property
    def data(self) -> Path:
        return self.root / "data"

    def load(self) -> Results:
        return load_results(self.folder, self.data)

    def add(
        self, key: str, seeds: dict[int, dict], tables: tuple[str, ...], dataset: str = "photos", training=None
    ) -> "FakeResults":
        """Add a variant; `seeds` maps each seed to its numbers of wrong answers, see `predict`."""
        entry = self.describe_entry(dataset, tables) | {"variant": key, "seeds": list(seeds)}
        entry |= {"runs": [], "predictions": []}
        for seed, wrong in seeds.items():
            run = self.folder / "runs" / dataset / f"{key}-00000000" / f"seed{seed}"
            own = {"seed": seed, "weights_sha256": f"weights of {key} {seed}"}
            record = {
                "kind": "training",
                "config": "some",
                "variant": key,
                "recipe": "paper",
                "dataset": describe(dataset, self.kind, self.part, self.counts),
                "classes": self.classes,
                "parameters": 1000,
                "epochs": 4,
                "drops_done": 1,
                "drops_planned": 1,
                "schedule": '{"kind":"fixed","epochs":[3,1]}',
                "val_steered": False,
                "wall_time_s": 60.0,
                "mlflow_run_id": f"run{seed}",
                "provenance": PROVENANCE,
            }
            save(run / "record.json", record | own | (training or {}))
            predictions = self.folder / "predictions" / dataset / f"{key}-00000000" / f"seed{seed}"
            self.predict(predictions, key, dataset, wrong, {**own, "wall_time_s": 6.0, "mlflow_run_id": f"run{seed}"})
            entry["runs"].append(str(run))
            entry["predictions"].append(str(predictions))
        return self.list(entry)

    def train(
        self, key: str, seeds: dict[int, tuple[int, int]], losses=(2.0, 1.0), dataset: str = "photos", rates=None
    ) -> None:
        """Write the training results of an added variant's nets: answers, final errors and history.

        `seeds` maps each seed to its numbers of wrong answers on MEASURED training images and on val; `losses` and
        `rates` (learning rates, by default constant) have one entry per epoch.
        """
        rates = [0.01] * len(losses) if rates is None else rates
        for seed, (train, val) in seeds.items():
            run = self.folder / "runs" / dataset / f"{key}-00000000" / f"seed{seed}"
            wrong = {"train_wrong": np.arange(MEASURED) < train, "val_wrong": np.arange(self.counts["val"]) < val}
            np.savez(run / "answers.npz", **wrong)
            final = {name.replace("wrong", "top1_error"): float(each.mean()) for name, each in wrong.items()}
            change(run / "record.json", final=final | {"train_loss": losses[-1]})
            columns = {"epoch": range(1, len(losses) + 1), "learning_rate": rates}
            columns |= {"train_loss": losses, "train_loss_evaluation_mode": losses}
            errors = {name: value for name, value in final.items() if name.endswith("error")}
            pd.DataFrame(columns | errors).to_parquet(run / "history.parquet")

    def analyse(self, key: str, seed: int, analysis: dict, dataset: str = "photos") -> None:
        own = {"weights_sha256": f"weights of {key} {seed}"}
        folder = self.folder / "analyses" / dataset / f"{key}-00000000" / f"seed{seed}"
        save(folder / "analysis.json", own | analysis)

    def average(
        self, key: str, wrong: dict, tables: tuple[str, ...], dataset: str = "photos", more: tuple[str, ...] = ()
    ) -> "FakeResults":
        """Add an ensemble of five nets and of `more`."""
        predictions = self.folder / "predictions" / dataset / f"{key}-00000000" / "average"
        members = {name: f"run of {name}" for name in (*(f"cnn-seed{seed}" for seed in range(5)), *more)}
        self.predict(predictions, key, dataset, wrong, {"members": members})
        entry = self.describe_entry(dataset, tables) | {"ensemble": key, "predictions": [str(predictions)]}
        return self.list(entry)

    def calibrate(self, dataset: str, wrong: tuple[int, int], **changes) -> "FakeResults":
        """Write the record of a calibration; `wrong`: numbers of wrong answers on val (top-1, top-5); `changes`
        override entries."""
        images = self.counts["val"]
        record = {
            "kind": "calibration",
            "net": "torchvision's AlexNet",
            "images": images,
            "dataset": describe(dataset, "ilsvrc2012"),
            "errors": {"top1": wrong[0] / images, "top5": wrong[1] / images},
            "known": {"top1": 0.43478, "top5": 0.20934},
            "weights_sha256": "7be5be791159472b1fbf8c69796b7b8f0c0a5f4f2d8c4f7b2a1d0e9c8b7a6f5e",
            "provenance": PROVENANCE,
        }
        save(self.folder / "calibration" / f"{dataset}.json", record | changes)
        return self

    def describe_entry(self, dataset: str, tables: tuple[str, ...]) -> dict:
        own = {"kind": self.kind, "splits": list(self.splits), "departures": list(self.departures)}
        return {"dataset": dataset, **own, "tables": list(tables)}

    def predict(self, folder: Path, key: str, dataset: str, wrong: dict, own: dict) -> None:
        """Write predictions. `wrong` maps (split, crops) to the (top-1, top-5) numbers of wrong answers, by default 0;
        these are for the first images."""
        for split in self.splits:
            count = self.counts[split]
            errors, ranks = {}, {}
            for crops in CROPS:
                top1, top5 = wrong.get((split, crops), (0, 0))
                folder.mkdir(parents=True, exist_ok=True)
                np.save(folder / f"{split}-{crops}.npy", np.zeros((count, self.classes), dtype=np.float32))
                ranks[crops] = np.repeat([5, 1, 0], [top5, top1 - top5, count - top1]).astype(np.uint16)
                errors[crops] = {"top1": top1 / count, "top5": top5 / count}
            np.savez_compressed(folder / f"{split}-ranks.npz", **ranks)
            record = {
                "kind": "prediction",
                "variant": key,
                "split": split,
                "images": count,
                "classes": self.classes,
                "dataset": describe(dataset, self.kind, self.part, self.counts),
                "errors": errors,
                "provenance": PROVENANCE,
            }
            save(folder / f"{split}.json", record | own)

    def list(self, entry: dict) -> "FakeResults":
        self.entries.append(entry)
        listed = {"name": "some", "experiments": self.entries, "in_full": self.in_full}
        save(self.folder / "experiments.json", listed)
        return self


def describe(dataset: str, kind: str = "imagefolder", part: str = "", counts: dict[str, int] = COUNTS) -> dict:
    digest = f"{dataset}0123456789abcdef"
    return {"name": dataset, "kind": kind, "part": part, "digest": digest, "counts": counts}


def save(path: Path, values: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values), encoding="utf-8")


def change(path: Path, **changes) -> None:
    """Change some keys of the record `path`; None removes a key."""
    record = json.loads(path.read_text(encoding="utf-8")) | changes
    save(path, {key: value for key, value in record.items() if value is not None})


def read_grid(text: str, number: int = 0) -> list[list[str]]:
    """The cells of a text's markdown table, header first, with plain spaces."""
    blocks = [block.splitlines() for block in text.replace("\xa0", " ").split("\n\n") if block.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in blocks[number]]
    return [rows[0], *rows[2:]]


def read_rows(text: str, number: int = 0, key: int = 0) -> dict[str, dict[str, str]]:
    """The rows of a text's markdown table as dictionaries by header, keyed by the cell in column `key`."""
    headers, *rows = read_grid(text, number)
    return {row[key]: dict(zip(headers, row, strict=True)) for row in rows}


def render_table1(results: Results) -> str:
    return to_markdown(describe_table(results, "table1"))


def render_table2(results: Results) -> str:
    return to_markdown(describe_table(results, "table2"))


def render_in_text(results: Results) -> str:
    return to_markdown(describe_numbers(results))


def render_ledger(results: Results) -> str:
    return to_markdown(describe_claims(results, make_ledgers(results)))
