"""The training loop of one net (§5), which can be resumed at any step bit for bit."""

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
from alexnet2012.training.schedule import Scheduler, augmentation, learning_rate, list_multiples, steering_error
from alexnet2012.training.sgd import PaperSGD, list_rules

CUDA_LOSSES = 50  # losses are read from a GPU this many at a time, because each reading makes it wait for the CPU

DIVERGED = "The last checkpoint before it is kept; a smaller training.learning_rate, or other data, is needed"


class Training:
    """A training in progress on one device: the net, its optimiser, its schedule and its `state`.

    Weights, velocity and schedule in `state` are those of the last `capture`; its counters and history are current.
    `pending`: (step, loss, number of wrong answers) of the steps since the last `collect`. `diverged`: the training
    ended because of a loss or weight that was not finite, with a schedule that allows this.
    """

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
        self.scheduler = Scheduler(settings.schedule, **state.scheduler)
        self.state = state
        self.pending: list[tuple[int, Tensor, Tensor]] = []
        self.diverged = False

    @property
    def steps_per_epoch(self) -> int:
        """Steps per epoch; the last partial batch is dropped: 45,000 / 128 -> 351 steps."""
        return len(self.rows.train) // self.run.training.batch_size

    @property
    def images_per_epoch(self) -> int:
        """Training images seen in an epoch, without the dropped partial batch."""
        return self.steps_per_epoch * self.run.training.batch_size

    def train_epoch(self, after_step: Callable[[], None]) -> None:
        """Train the rest of the current epoch; `after_step` is called after each update and may capture the state.

        Raises TrainingError if a loss is not finite.
        """
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
        """The row numbers of the training images in the order of the current epoch, int64 (images,)."""
        run, rows = self.run, self.rows.train
        if run.training.order == "fixed":
            seed, epoch = run.dataset.split_seed, 0
        else:
            seed, epoch = run.seed, self.state.epoch
        return np.asarray(rows[draw_order(seed, epoch, len(rows))])

    def update(self, batch: Batch) -> None:
        """Update the weights once, by the paper's rule (§5) on the mean cross-entropy of a batch."""
        logits = self.forward(batch.images, batch.masks)
        loss = functional.cross_entropy(logits, batch.labels)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.pending.append((self.state.step, loss.detach(), (logits.detach().argmax(1) != batch.labels).sum()))

    def collect(self) -> None:
        """Add the pending steps to the epoch's sums; raises TrainingError for the first loss that is not finite."""
        for step, loss, wrong in self.pending:
            value = float(loss)
            if not np.isfinite(value):
                raise TrainingError(f"the loss of step {step} (epoch {self.state.epoch + 1}) is {value}. {DIVERGED}")
            self.state.loss_sum += value
            self.state.wrong_sum += int(wrong)
        self.pending.clear()

    def refuse_diverged(self) -> None:
        """Raise TrainingError if a weight is not finite; this can happen after a finite loss."""
        if not all(bool(torch.isfinite(weight).all()) for weight in self.net.parameters()):
            step, epoch = self.state.step - 1, self.state.epoch + 1
            raise TrainingError(f"step {step} (epoch {epoch}) left weights that are not finite. {DIVERGED}")

    def measure_epoch(self) -> dict[str, Any]:
        """Evaluate the finished epoch; returns its row of history.parquet.

        Errors are fractions, losses nats. Changes no state, so that it may be interrupted and repeated.
        """
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
        """Loss (nats), top-1 and top-5 error (fractions) on the images `rows` of a split; centre crop."""
        ranks, loss = self.rank(split, rows)
        return {"loss": loss, "top1_error": float((ranks >= 1).mean()), "top5_error": float((ranks >= 5).mean())}

    def rank(self, split: str, rows: np.ndarray) -> tuple[np.ndarray, float]:
        """Ranks of the true classes (see rank_truth), int64 (rows,), and loss (nats); centre crop, evaluation mode."""
        batch, crop_px = self.run.runtime.evaluation_batch, self.run.architecture.crop_px
        probabilities, loss = measure_centre(self.net, self.dataset, split, rows, crop_px, batch)
        return rank_truth(probabilities, self.dataset.split(split).labels[rows]), loss

    def list_wrong(self) -> dict[str, np.ndarray]:
        """Whether the net errs on each image, bool: `train_wrong` (measured images,) and `val_wrong` (val images,).

        Centre crop; all are wrong if the training diverged.
        """
        rows = {"train": self.rows.measured, "val": np.arange(self.dataset.counts["val"])}
        if self.diverged:
            return {f"{split}_wrong": np.ones(len(each), bool) for split, each in rows.items()}
        return {f"{split}_wrong": self.rank(split, each)[0] >= 1 for split, each in rows.items()}

    def close_epoch(self, row: dict[str, Any]) -> None:
        """Add the epoch's row to the history, let the schedule observe its error, and start the next epoch."""
        state = self.state
        self.scheduler.observe(steering_error(self.run.training.schedule, row))
        state.history.append(row)
        state.seconds += row["seconds"]
        state.epoch += 1
        state.batch, state.loss_sum, state.wrong_sum, state.epoch_seconds = 0, 0.0, 0, 0.0

    def capture(self) -> State:
        """The complete state between two steps, to be saved; raises TrainingError if a loss or weight is not finite."""
        self.collect()
        self.refuse_diverged()
        self.state.weights = {name: value.cpu() for name, value in self.net.state_dict().items()}
        self.state.velocity = {
            name: self.optimiser.velocities[weight].cpu()
            for name, weight in self.net.named_parameters()
            if weight in self.optimiser.velocities
        }
        self.state.scheduler = self.scheduler.progress
        return self.state


def train_to_the_end(
    training: Training,
    folder: Path,
    stop: StopRequest,
    on_step: Callable[[Training], None] = lambda training: None,
    on_epoch: Callable[[Training], None] = lambda training: None,
) -> State:
    """Run `training` until its schedule ends; save checkpoints in `folder` after epochs, at intervals and on signals.

    `on_step` is called after each update, `on_epoch` after each epoch's checkpoint. Raises Interrupted after a signal
    and its checkpoint; TrainingError if a loss or weight is not finite, unless the schedule has `diverging: stop`.
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
