"""Recording of a training: log lines, metrics for the run browser, and finally its result files."""

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.torch import save
from torch import Tensor

from alexnet2012 import provenance
from alexnet2012.config.schedules import warn_of_few_steps
from alexnet2012.config.schema import RunConfig
from alexnet2012.costs import EnergyMeter, epochs_to_target
from alexnet2012.evaluation.metrics import Chance, has_learned, is_chance_loss, measure_chance
from alexnet2012.files import SCHEMA, file_digest, replacing, write_arrays, write_json
from alexnet2012.tracking.publish import LiveRun
from alexnet2012.training.loop import Training
from alexnet2012.training.progress import EpochProgress


class Recorder:
    """The observer (training.train.Observer) of the training in `folder`; `live` sends metrics to the run browser.

    Writes model.safetensors, history.parquet, answers.npz and record.json at the end. Use it as a context manager
    around the training, so that the terminal is restored and the energy of an interrupted training is kept.
    """

    def __init__(self, folder: Path, live: LiveRun) -> None:
        self.folder, self.live = folder, live
        self.terminal = ExitStack()

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *error: object) -> None:
        self.terminal.close()

    def begin(self, training: Training) -> None:
        """Print where the training begins, and collect its provenance; raises RecordError as provenance.collect."""
        run, settings, state = training.run, training.run.training, training.state
        self.made_by = asdict(provenance.collect(settings.torch_threads, training.device.type))
        labels = [training.dataset.split(split).labels for split in ("train", "val")]
        self.chance = measure_chance(*labels)
        if state.step:
            print(f"resuming at epoch {state.epoch + 1}, step {state.step}", flush=True)
        elif run.starts_from is not None:
            print(f"beginning with {', '.join(run.starts_from.layers)} of {run.starts_from.run.folder}", flush=True)
        few_steps = warn_of_few_steps(training.steps_per_epoch, settings.schedule.max_epochs)
        if few_steps and not run.is_trial:
            print(f"warning: {few_steps}", flush=True)
        self.live.update(state.history)
        title = f"{run.variant} seed {run.seed}"
        progress = EpochProgress(title, settings.schedule.max_epochs, settings.batch_size)
        self.progress = self.terminal.enter_context(progress)
        self.energy = EnergyMeter(self.folder / "state" / "energy.json", resumed=state.step > 0)
        self.terminal.callback(self.energy.read)

    def step(self, training: Training) -> None:
        """Show the progress after an update."""
        state, known = training.state, training.state.batch - len(training.pending)
        loss = state.loss_sum / known if known else None
        self.progress.step(state.epoch + 1, state.batch, training.steps_per_epoch, loss)
        self.energy.step()

    def epoch(self, training: Training) -> None:
        """Print and log the last row of the history."""
        self.progress.report(training.state.history[-1])
        warn_at_chance(training.run, training.state.history, self.chance)
        self.live.update(training.state.history)

    def end(self, training: Training, weights: dict[str, Tensor], own: dict[str, Any]) -> None:
        """Write weights, history and final answers, then the record, with the entries `own` added.

        The record is written last: if it exists, all files are complete."""
        folder, run, dataset = self.folder, training.run, training.dataset
        weights = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
        with replacing(folder / "model.safetensors") as path:
            path.write_bytes(save(weights))  # save_file would make the file readable only by its owner
        with replacing(folder / "history.parquet") as path:
            pd.DataFrame(training.state.history).to_parquet(path, index=False)
        write_arrays(folder / "answers.npz", training.list_wrong())
        self.energy.read()
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
            **({"energy": self.energy.kwh} if self.energy.kwh else {}),
            "weights_sha256": file_digest(folder / "model.safetensors"),
            "identity": training.state.identity,
            "provenance": self.made_by,
            "mlflow_run_id": self.live.run_id,
        }
        write_json(folder / "record.json", record | {"learned": report_learned(record)})
        self.live.finish()


def summarise(training: Training) -> dict[str, Any]:
    """The part of a record about the course of the training."""
    state, schedule = training.state, training.run.training.schedule
    return {
        "epochs": state.epoch,
        "steps": state.step,
        "drops_done": training.scheduler.drops_done,
        "drops_planned": schedule.drops,
        "schedule": schedule.model_dump_json(),
        "val_steered": schedule.kind == "plateau" and training.run.training.schedule_split == "val",
        "train_images": len(training.rows.train),
        "wall_time_s": round(state.seconds, 1),
        "learning_rate": training.run.training.learning_rate,
        "final": state.history[-1] if state.history else None,
        "diverged": training.diverged,
        **({"target": measure_target(training, schedule.train_error)} if schedule.kind == "target" else {}),
    }


def measure_target(training: Training, target: float) -> dict[str, Any]:
    """Epochs and seconds of training, without evaluation, until the training error was `target` (§3.1); None if never.

    The seconds are the epochs times the median epoch, so that epochs on a busy machine have little influence.
    """
    history = training.state.history
    epochs = epochs_to_target([row["train_top1_error"] for row in history], target)
    seconds = None
    if epochs is not None:
        seconds = epochs * float(np.median([training.images_per_epoch / row["images_per_second"] for row in history]))
    return {"train_error": target, "epochs": epochs, "seconds": seconds}


def warn_at_chance(run: RunConfig, history: list[dict[str, Any]], chance: Chance) -> None:
    """Warn if the last epoch of `history` is the first whose training loss is at chance, so once per training."""
    if run.is_trial:
        return
    at_chance = [row["epoch"] for row in history if is_chance_loss(row["train_loss"], chance)]
    if at_chance == [history[-1]["epoch"]]:
        print(
            f"warning: {run.variant} seed {run.seed}: the training loss of epoch {at_chance[0]} is "
            f"{history[-1]['train_loss']:.4f}, within 1 % of {chance.train_loss:.4f}, the loss of a constant answer; "
            "some nets begin like this, but a net that ends like this did not learn",
            flush=True,
        )


def report_learned(record: dict[str, Any]) -> bool | None:
    """Whether the net of a finished training learned; warns if not. None for a trial of a learning rate."""
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
            f"warning: {record['variant']} seed {record['seed']} did not learn: {found}; try another seed or "
            "training.learning_rate",
            flush=True,
        )
    return learned
