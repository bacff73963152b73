"""How a training is told of and kept: lines in its log, events for the run browser, and at the end its results."""

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors.torch import save
from torch import Tensor

from alexnet2012 import provenance
from alexnet2012.config.schedules import warn_of_few_steps
from alexnet2012.config.schema import RunConfig
from alexnet2012.evaluation.learned import Chance, has_learned, is_chance_loss, measure_chance
from alexnet2012.files import SCHEMA, file_digest, replacing, write_arrays, write_json
from alexnet2012.tracking import RunLog
from alexnet2012.training.loop import Training, summarise
from alexnet2012.training.progress import EpochProgress


class Recorder:
    """Watches the training of the run in `folder` and tells `log`; writes model.safetensors, history.parquet,
    answers.npz and record.json at the end. Entered around the training, so that the terminal is left in order."""

    def __init__(self, folder: Path, log: RunLog) -> None:
        self.folder, self.log = folder, log
        self.terminal = ExitStack()

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *error: object) -> None:
        self.terminal.close()

    def begin(self, training: Training) -> None:
        """Raises RecordError where the commit that runs cannot be told."""
        run, settings = training.run, training.run.training
        self.made_by = asdict(provenance.collect(settings.torch_threads, training.device.type))
        labels = [training.dataset.split(split).labels for split in ("train", "val")]
        self.chance = measure_chance(*labels)
        few_steps = warn_of_few_steps(training.steps_per_epoch, settings.schedule.max_epochs)
        if few_steps and not run.is_trial:
            print(f"warning: {few_steps}", flush=True)
        self.log.start(flatten(run), {"variant": run.variant, "seed": str(run.seed), "dataset": run.dataset_name})
        self.log.artifact(self.folder / "config.yaml")
        title = f"{run.variant} seed {run.seed}"
        progress = EpochProgress(title, settings.schedule.max_epochs, settings.batch_size)
        self.progress = self.terminal.enter_context(progress)

    def step(self, training: Training) -> None:
        """After each update."""
        state, known = training.state, training.state.batch - len(training.pending)
        loss = state.loss_sum / known if known else None
        self.progress.step(state.epoch + 1, state.batch, training.steps_per_epoch, loss)

    def epoch(self, training: Training) -> None:
        """After each epoch, whose row is the last of the history."""
        row = training.state.history[-1]
        self.progress.report(row)
        warn_at_chance(training.run, training.state.history, self.chance)
        self.log.metrics(row["epoch"], {key: value for key, value in row.items() if key != "epoch"})

    def end(self, training: Training, weights: dict[str, Tensor], own: dict[str, Any]) -> None:
        """Write weights, history, the answers at the end, and last the record that vouches for them; `own` goes in."""
        folder, run, dataset = self.folder, training.run, training.dataset
        weights = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
        with replacing(folder / "model.safetensors") as path:
            path.write_bytes(save(weights))  # save_file would let no one else read the file
        with replacing(folder / "history.parquet") as path:
            pd.DataFrame(training.state.history).to_parquet(path, index=False)
        write_arrays(folder / "answers.npz", training.list_wrong())
        self.log.artifact(folder / "history.parquet")
        final = training.state.history[-1] if training.state.history else {}  # a rate may diverge in its first epoch
        self.log.finish({"final_val_top1_error_centre": final["val_top1_error"]} if final else {})
        record = {
            "schema": SCHEMA,
            "kind": "training",
            "config": run.name,
            "variant": run.variant,
            "seed": run.seed,
            "recipe": run.training.recipe_in_words,
            "deterministic": training.device.type == "cpu" or run.runtime.deterministic,
            "chance": asdict(self.chance),
            **own,
            "dataset": dataset.describe(),
            "classes": len(dataset.classes),
            "parameters": sum(each.numel() for each in weights.values()),
            **summarise(training),
            "weights_sha256": file_digest(folder / "model.safetensors"),
            "identity": training.state.identity,
            "provenance": self.made_by,
            "mlflow_run_id": self.log.run_id,
        }
        write_json(folder / "record.json", record | {"learned": report_learned(record)})


def warn_at_chance(run: RunConfig, history: list[dict[str, Any]], chance: Chance) -> None:
    """Say it after the first epoch whose training loss is a chance loss, once in a training; `history`: all epochs."""
    if run.is_trial:
        return
    at_chance = [row["epoch"] for row in history if is_chance_loss(row["train_loss"], chance)]
    if at_chance == [history[-1]["epoch"]]:
        print(
            f"warning: {run.variant} seed {run.seed}: the training loss of epoch {at_chance[0]} is "
            f"{history[-1]['train_loss']:.4f}, within 1 % of {chance.train_loss:.4f}, that of a net that answers every "
            "image alike; slow nets begin so, and one that ends so did not learn",
            flush=True,
        )


def report_learned(record: dict[str, Any]) -> bool | None:
    """Whether the net of a finished training learned (None for a trial of a learning rate); says so if it did not."""
    learned = has_learned(record)
    if learned is False:
        final, chance = record["final"], record["chance"]
        found = (
            "its training diverged"
            if record["diverged"]
            else f"training loss {final['train_loss']:.4f} ({chance['train_loss']:.4f} at chance), val error "
            f"{final['val_top1_error']:.2%} ({chance['val_error']:.2%} at chance)"
        )
        print(
            f"warning: {record['variant']} seed {record['seed']} did not learn: {found}; another seed or "
            "training.learning_rate may",
            flush=True,
        )
    return learned


def flatten(run: RunConfig) -> dict[str, Any]:
    """The net's and the training's settings as MLflow's params: net.conv1.kernels, training.batch_size, ..."""
    nested = {"net": run.net.model_dump(), "training": run.training.model_dump(), "hash8": run.hash8}
    return dict(pd.json_normalize(nested).iloc[0])
