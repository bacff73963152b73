"""Training of one net, from its config.yaml to its weights (§5), resumable at any step bit for bit."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet2012.config.schema import RunConfig
from alexnet2012.data.augment import draw_order, draw_views, torch_generator
from alexnet2012.data.packed import PackedDataset
from alexnet2012.errors import Interrupted, TrainingError
from alexnet2012.evaluation.crops import measure_centre
from alexnet2012.evaluation.metrics import rank_truth
from alexnet2012.model.layered import initialise, make_net
from alexnet2012.training.checkpoint import State, StopRequest, save
from alexnet2012.training.loader import Batch, BatchLoader, choose_rows
from alexnet2012.training.precision import make_forward
from alexnet2012.training.schedule import (
    augmentation,
    epochs_to_target,
    learning_rate,
    list_multiples,
    make_scheduler,
    save_scheduler,
    steering_error,
)
from alexnet2012.training.sgd import PaperSGD, list_rules

CUDA_LOSSES = 50  # losses looked at together on a GPU, where reading each would make it wait for the CPU


class Training:
    """A training in progress: the net, its velocity and its counters, on one device."""

    def __init__(
        self,
        run: RunConfig,
        dataset: PackedDataset,
        identity: dict[str, str],
        device: torch.device,
        state: State | None,
    ) -> None:
        self.run, self.dataset, self.device = run, dataset, device
        self.loader = BatchLoader(run, dataset, device)
        self.rows = choose_rows(run, self.loader.labels)
        net = make_net(run.architecture, len(dataset.classes))
        if state is None:
            initialise(net, torch_generator(run.seed, "init"))
            state = State(identity=identity, weights={}, velocity={}, scheduler={}, history=[])
        else:
            net.load_state_dict(state.weights)
        self.net: nn.Module = net.to(device).train()
        settings = run.training
        self.forward = make_forward(self.net, settings, device)
        self.optimiser = PaperSGD(
            self.net.parameters(), settings.learning_rate, settings.momentum, settings.weight_decay
        )
        for name, weight in self.net.named_parameters():
            if name in state.velocity:
                self.optimiser.velocities[weight] = state.velocity[name].to(device)
        self.scheduler = make_scheduler(settings.schedule, state.scheduler)
        self.state = state
        self.pending: list[tuple[int, Tensor, Tensor]] = []
        self.diverged = False

    @property
    def steps_per_epoch(self) -> int:
        """The last partial batch is dropped: 45,000 / 128 -> 351 steps."""
        return len(self.rows.train) // self.run.training.batch_size

    @property
    def images_per_epoch(self) -> int:
        return self.steps_per_epoch * self.run.training.batch_size

    def train_epoch(self, after_step: Callable[[], None]) -> None:
        """The rest of the current epoch; `after_step` is called between updates, where the state may be captured."""
        run, state = self.run, self.state
        self.optimiser.lr = learning_rate(run.training, self.scheduler)
        multiples = list_multiples(run.training, self.scheduler)
        self.optimiser.rules = list_rules(self.net, run.training, multiples)
        order = self.draw_order()
        how = augmentation(run.training, self.scheduler)
        crop_px, images = run.architecture.crop_px, len(self.loader.labels)
        views = draw_views(run.seed, state.epoch, self.dataset, images, crop_px, how, order)
        started = time.monotonic() - state.epoch_seconds
        for batch in self.loader.batches(order, views, state.batch, state.step):
            self.update(batch)
            state.batch += 1
            state.step += 1
            if len(self.pending) >= (CUDA_LOSSES if self.device.type == "cuda" else 1):
                self.collect()
            state.epoch_seconds = time.monotonic() - started
            after_step()
        self.collect()

    def draw_order(self) -> np.ndarray:
        """The training images in the order of the current epoch, int64."""
        run, rows = self.run, self.rows.train
        if run.training.order == "fixed":
            seed, epoch = run.dataset.split_seed, 0
        else:
            seed, epoch = run.seed, self.state.epoch
        return np.asarray(rows[draw_order(seed, epoch, len(rows))])

    def update(self, batch: Batch) -> None:
        """One step of the paper's rule on the mean loss of a batch."""
        logits = self.forward(batch.images, batch.masks)
        loss = functional.cross_entropy(logits, batch.labels)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.pending.append((self.state.step, loss.detach(), (logits.detach().argmax(1) != batch.labels).sum()))

    def collect(self) -> None:
        """Add recent steps to the epoch's sums; raises TrainingError at the first loss that is not finite."""
        for step, loss, wrong in self.pending:
            value = float(loss)
            if not np.isfinite(value):
                raise TrainingError(
                    f"the loss of step {step} (epoch {self.state.epoch + 1}) is {value}. "
                    "The last checkpoint before it is kept; a smaller training.learning_rate, or other data, is needed"
                )
            self.state.loss_sum += value
            self.state.wrong_sum += int(wrong)
        self.pending.clear()

    def refuse_diverged(self) -> None:
        """Raises TrainingError when an update left weights that are not finite, though the loss before it was."""
        if not all(bool(torch.isfinite(weight).all()) for weight in self.net.parameters()):
            raise TrainingError(
                f"step {self.state.step - 1} (epoch {self.state.epoch + 1}) left weights that are not finite. "
                "The last checkpoint before it is kept; a smaller training.learning_rate, or other data, is needed"
            )

    def measure_epoch(self) -> dict[str, Any]:
        """The finished epoch's row of history.parquet; changes nothing, so that it may be interrupted and repeated."""
        run, state = self.run, self.state
        started = time.monotonic()
        train = self.measure("train", self.rows.measured)
        val = self.measure("val", np.arange(self.dataset.counts["val"]))
        steering = val if run.training.schedule_split == "val" else self.measure("train", self.rows.minival)
        return {
            "epoch": state.epoch + 1,
            "learning_rate": learning_rate(run.training, self.scheduler),
            "train_loss": state.loss_sum / self.steps_per_epoch,
            "train_top1_error_as_seen": state.wrong_sum / self.images_per_epoch,
            "train_top1_error": train["top1_error"],
            "train_loss_evaluation_mode": train["loss"],
            "val_loss": val["loss"],
            "val_top1_error": val["top1_error"],
            "val_top5_error": val["top5_error"],
            "schedule_top1_error": steering["top1_error"],
            "images_per_second": self.images_per_epoch / state.epoch_seconds,
            "seconds": state.epoch_seconds + time.monotonic() - started,
        }

    def measure(self, split: str, rows: np.ndarray) -> dict[str, float]:
        """Loss and errors of the centre crop in evaluation mode, on the images `rows` of a split."""
        ranks, loss = self.rank(split, rows)
        return {"loss": loss, "top1_error": float((ranks >= 1).mean()), "top5_error": float((ranks >= 5).mean())}

    def rank(self, split: str, rows: np.ndarray) -> tuple[np.ndarray, float]:
        """How many classes stand before each true one, int64 (rows,), and the loss; centre crop, evaluation mode."""
        batch, crop_px = self.run.runtime.evaluation_batch, self.run.architecture.crop_px
        probabilities, loss = measure_centre(self.net, self.dataset, split, rows, crop_px, batch)
        return rank_truth(probabilities, self.dataset.split(split).labels[rows]), loss

    def list_wrong(self) -> dict[str, np.ndarray]:
        """Which images the net gets wrong as it stands, bool: `train_wrong` of the measured ones, `val_wrong`."""
        rows = {"train": self.rows.measured, "val": np.arange(self.dataset.counts["val"])}
        if self.diverged:
            return {f"{split}_wrong": np.ones(len(each), bool) for split, each in rows.items()}
        return {f"{split}_wrong": self.rank(split, each)[0] >= 1 for split, each in rows.items()}

    def close_epoch(self, row: dict[str, Any]) -> None:
        """Let the schedule see the epoch's error, keep its row, and stand at the beginning of the next."""
        state = self.state
        self.scheduler.observe(steering_error(self.run.training.schedule, row))
        state.history.append(row)
        state.seconds += row["seconds"]
        state.epoch += 1
        state.batch, state.loss_sum, state.wrong_sum, state.epoch_seconds = 0, 0.0, 0, 0.0

    def capture(self) -> State:
        """The state as it stands between two steps."""
        self.collect()
        self.refuse_diverged()
        self.state.weights = {name: value.cpu() for name, value in self.net.state_dict().items()}
        self.state.velocity = {
            name: self.optimiser.velocities[weight].cpu()
            for name, weight in self.net.named_parameters()
            if weight in self.optimiser.velocities
        }
        self.state.scheduler = save_scheduler(self.scheduler)
        return self.state


def train_to_the_end(
    training: Training,
    folder: Path,
    stop: StopRequest,
    on_step: Callable[[Training], None] = lambda training: None,
    on_epoch: Callable[[Training], None] = lambda training: None,
) -> State:
    """Run `training` until its schedule ends, with checkpoints in `folder`: each epoch, each interval, and on a signal.

    Raises Interrupted after the checkpoint that a signal asked for, TrainingError on a loss that is not finite, unless
    the schedule takes that for an end.
    """
    interval, saved = training.run.runtime.checkpoint_every_s, time.monotonic()

    def after_step() -> None:
        nonlocal saved
        stop.check()
        if time.monotonic() - saved > interval:
            save(folder, training.capture())
            saved = time.monotonic()
        on_step(training)

    save(folder, training.capture())
    try:
        while not training.scheduler.finished:
            training.train_epoch(after_step)
            training.refuse_diverged()
            stop.immediately(True)
            row = training.measure_epoch()
            stop.immediately(False)
            training.close_epoch(row)
            save(folder, training.capture())
            saved = time.monotonic()
            on_epoch(training)
    except Interrupted:
        stop.at_once = False
        save(folder, training.capture())
        raise
    except TrainingError as error:
        if getattr(training.run.training.schedule, "diverging", "fail") == "fail":
            raise
        print(f"stopped: {error}", flush=True)
        training.diverged = True
    return training.state


def summarise(training: Training) -> dict[str, Any]:
    """What a record says of a finished training."""
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
    """§3.1: the epochs, and the seconds of training alone, until the training error was the schedule's; None if never.

    The seconds are so many median epochs: what else the machine did in one of them counts little.
    """
    history = training.state.history
    epochs = epochs_to_target([row["train_top1_error"] for row in history], target)
    seconds = None
    if epochs is not None:
        seconds = epochs * float(np.median([training.images_per_epoch / row["images_per_second"] for row in history]))
    return {"train_error": target, "epochs": epochs, "seconds": seconds}
