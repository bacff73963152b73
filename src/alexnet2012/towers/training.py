"""Training of a net by two processes, each with one tower, and with the same images, masks and schedule (§3.2)."""

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from alexnet2012.config.nets import NetConfig
from alexnet2012.config.schema import RunConfig
from alexnet2012.data.packed import PackedDataset
from alexnet2012.errors import Interrupted, TrainingError
from alexnet2012.towers.exchange import TOWERS, Peers
from alexnet2012.towers.tower import Tower, Weights, split, unite
from alexnet2012.training.checkpoint import State, StopRequest, load_latest, save
from alexnet2012.training.loop import Training, train_to_the_end
from alexnet2012.training.precision import make_forward
from alexnet2012.training.sgd import PaperSGD

POLL_S = 0.5
REAPED_S = 1.0  # by then torchrun has reaped a dead process: it polls ten times a second
# Time in which a process may end by itself after its peer's death, with the more informative error of the connection.
GRACE_S = 8.0


class TowerTraining(Training):
    """A training in which this process holds one tower.

    Its states are those of the whole net, so that a training can resume with one process or two. Both processes must
    call each method at the same step.
    """

    def __init__(
        self,
        run: RunConfig,
        dataset: PackedDataset,
        identity: dict[str, str],
        device: torch.device,
        state: State | None,
        peers: Peers,
    ) -> None:
        runtime = run.runtime.model_copy(update={"checkpoint_every_s": math.inf})  # SharedStop times the checkpoints
        super().__init__(run.model_copy(update={"runtime": runtime}), dataset, identity, device, state)
        self.peers = peers
        whole, before = self.net, self.optimiser
        self.sizes = {name: len(each) for name, each in whole.named_parameters()}
        assert isinstance(run.net, NetConfig), "see resolve.why_not_two"
        self.net = Tower(run.net, len(dataset.classes), peers)
        self.net.load_state_dict(split(whole.state_dict(), peers.rank))
        self.net.to(device).train()
        self.forward = make_forward(self.net, run.training, device)
        self.optimiser = PaperSGD(self.net.parameters(), before.lr, before.momentum, before.weight_decay)
        velocities = {
            name: before.velocities[each] for name, each in whole.named_parameters() if each in before.velocities
        }
        own = split(velocities, peers.rank)
        self.optimiser.velocities = {each: own[name] for name, each in self.net.named_parameters() if name in own}

    def unite(self, own: Weights) -> Weights:
        """Weights (or velocities) of the whole net, given this tower's; exchanges them with the other process."""
        return unite(own, self.sizes, self.peers)

    def refuse_diverged(self) -> None:
        """Raise TrainingError in both processes if either holds weights that are not finite."""
        found = None
        try:
            super().refuse_diverged()
        except TrainingError as error:
            found = error
        (diverged,) = self.peers.either(found is not None)
        if diverged:
            raise found or TrainingError("the weights of the other tower are not finite, see its own message")

    def capture(self) -> State:
        """The state: of the whole net in process 0, which saves it; without weights in process 1."""
        own = super().capture()
        weights, velocity = self.unite(own.weights), self.unite(own.velocity)
        if not self.peers.leads:
            weights, velocity = {}, {}
        return replace(own, weights=weights, velocity=velocity)


class SharedStop(StopRequest):
    """A StopRequest that stops both processes at the same step when either receives a signal.

    `check` also calls `checkpoint` in both processes whenever `interval_s` seconds have passed in process 0.
    """

    def __init__(self, peers: Peers, interval_s: float) -> None:
        super().__init__()
        self.peers, self.interval_s = peers, interval_s
        self.checkpoint: Callable[[], object] = lambda: None
        self.last = time.monotonic()

    def check(self) -> None:
        """Raise Interrupted in both processes if either has received a signal."""
        late = self.peers.leads and time.monotonic() - self.last > self.interval_s
        stopped, due = self.peers.either(self.received is not None, late)
        if due:
            self.checkpoint()
            self.last = time.monotonic()
        if stopped:  # a signal that arrives after `either` waits for the next check, which tells the peer too
            self.received = self.received or signal.SIGTERM  # the peer received one
            super().check()

    def immediately(self, at_once: bool) -> None:
        """Only `check`: signals wait for the end of an evaluation, because the peer cannot finish it alone."""
        self.check()


@dataclass(frozen=True)
class Pair:
    """The two processes of a training (see train.Processes): 0 leads, with lock, checkpoints and results; 1 follows."""

    peers: Peers
    stop: SharedStop
    make: Callable[[State | None], TowerTraining]
    state_folder: Path
    count: int = TOWERS

    @property
    def leads(self) -> bool:
        """Whether this is process 0."""
        return self.peers.leads

    def begin(self, state: State | None) -> TowerTraining:
        """In process 0: begin the training from `state`; process 1 begins it at the same time."""
        self.peers.tell(state is not None)
        return self._begin(state, self.state_folder)

    def follow(self) -> None:
        """In process 1: take part in everything for which process 0 needs both towers, until the training ends."""
        goes_on, _ = self.peers.tell(None)
        with self.stop, TemporaryDirectory() as nowhere:  # process 1's checkpoints have no weights and are never read
            training = self._begin(load_latest(self.state_folder) if goes_on else None, Path(nowhere))
            train_to_the_end(training, Path(nowhere), self.stop)
            self.weights_of(training)
            training.list_wrong()

    def weights_of(self, training: Training) -> dict[str, Tensor]:
        """The weights of the whole net; both processes call this at the same time."""
        assert isinstance(training, TowerTraining)
        return training.unite(training.net.state_dict())

    def _begin(self, state: State | None, folder: Path) -> TowerTraining:
        training = self.make(state)
        self.stop.checkpoint = lambda: save(folder, training.capture())
        return training


@contextmanager
def join(
    run: RunConfig, dataset: PackedDataset, identity: dict[str, str], device: torch.device, state_folder: Path
) -> Iterator[Pair]:
    """Connect this process to its peer for one training; both leave together, whether finished or stopped.

    If the peer dies, this process ends within seconds: with a TrainingError, or with exit code 1 if it is blocked.
    """
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    peers = Peers(device)
    make = partial(TowerTraining, run, dataset, identity, device, peers=peers)
    peer_pid = peers.tell(os.getpid())[1 - peers.rank]
    with ended_with(peer_pid):
        try:
            stopped = None
            try:
                yield Pair(peers, SharedStop(peers, run.runtime.checkpoint_every_s), make, state_folder)
            except Interrupted as error:
                stopped = error
            peers.tell(None)  # process 1 waits here until process 0 has written the checkpoint or the results
            if stopped:
                raise stopped
            peers.leave()
        except RuntimeError as error:  # the errors of torch.distributed are RuntimeErrors
            time.sleep(REAPED_S)
            if not lives(peer_pid):
                raise TrainingError(f"{describe_loss(peer_pid)}: {error}") from None
            raise


@contextmanager
def ended_with(peer_pid: int) -> Iterator[None]:
    """A context in which this process exits (code 1) after GRACE_S if the peer dies, even if blocked in a collective.

    torchrun alone would need CHECKPOINT_S to end a process that waits for the other GPU: Python handles signals only
    between two instructions, so that torchrun's SIGTERM would have no effect.
    """
    over = threading.Event()

    def watch() -> None:
        while not over.wait(POLL_S):
            if not lives(peer_pid) and not over.wait(GRACE_S):
                print(f"error: {describe_loss(peer_pid)}", file=sys.stderr, flush=True)
                os._exit(1)

    threading.Thread(target=watch, name="peer", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def lives(pid: int) -> bool:
    """Whether the process exists; a dead process counts until torchrun reaps it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def describe_loss(peer_pid: int) -> str:
    """The error message for a peer that has died."""
    return f"the process of the other tower ({peer_pid}) has ended, and this one with it"
