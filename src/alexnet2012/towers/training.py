"""Training of one tower beside its peer: the same images, masks and schedule, half of the weights each (§3.2)."""

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
REAPED_S = 1.0  # torchrun looks every tenth of a second for processes that have ended
GRACE_S = 8.0  # what a process may take to end by itself: a peer's death breaks the connection, whose error says more


class TowerTraining(Training):
    """A training of which this process holds one tower. Its states are those of the whole net, on one device or two.

    Each method is called by both processes at the same step.
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
        runtime = run.runtime.model_copy(update={"checkpoint_every_s": math.inf})  # SharedStop asks for those
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
        known = {name: each for name, each in whole.named_parameters() if each in before.velocities}
        own = split({name: before.velocities[each] for name, each in known.items()}, peers.rank)
        self.optimiser.velocities = {each: own[name] for name, each in self.net.named_parameters() if name in own}

    def unite(self, own: Weights) -> Weights:
        """Weights, or velocities, of the whole net from those of both towers."""
        return unite(own, self.sizes, self.peers)

    def refuse_diverged(self) -> None:
        """Raises TrainingError in both processes when either holds weights that are not finite."""
        found = None
        try:
            super().refuse_diverged()
        except TrainingError as error:
            found = error
        (diverged,) = self.peers.either(found is not None)
        if diverged:
            raise found or TrainingError("the weights of the other tower are not finite, see its own message")

    def capture(self) -> State:
        """The state of the whole net in process 0, which keeps it; without weights in process 1."""
        own = super().capture()
        weights, velocity = self.unite(own.weights), self.unite(own.velocity)
        if not self.peers.leads:
            weights, velocity = {}, {}
        return replace(own, weights=weights, velocity=velocity)


class SharedStop(StopRequest):
    """A request to stop that either process received and both follow at the same step.

    Each check also calls `checkpoint` in both processes when `interval_s` have passed in process 0 since the last time.
    """

    def __init__(self, peers: Peers, interval_s: float) -> None:
        super().__init__()
        self.peers, self.interval_s = peers, interval_s
        self.checkpoint: Callable[[], object] = lambda: None
        self.last = time.monotonic()

    def check(self) -> None:
        late = self.peers.leads and time.monotonic() - self.last > self.interval_s
        stopped, due = self.peers.either(self.received is not None, late)
        if due:
            self.checkpoint()
            self.last = time.monotonic()
        if stopped:  # a signal since then waits for the next check, when the peer will know of it
            self.received = self.received or signal.SIGTERM  # the peer's
            super().check()

    def immediately(self, at_once: bool) -> None:
        """A signal waits for the end of an evaluation: the peer must not be left alone in it."""
        self.check()


@dataclass(frozen=True)
class Pair:
    """This process beside its peer: process 0 leads, with the lock, the checkpoints and the results; 1 follows."""

    peers: Peers
    stop: SharedStop
    make: Callable[[State | None], TowerTraining]
    state_folder: Path
    count: int = TOWERS

    @property
    def leads(self) -> bool:
        return self.peers.leads

    def begin(self, state: State | None) -> TowerTraining:
        """The training from `state` on; process 1 begins at the same."""
        self.peers.tell(state is not None)
        return self._begin(state, self.state_folder)

    def follow(self) -> None:
        """All that process 0 does together with this one, until its results are written."""
        goes_on, _ = self.peers.tell(None)
        with self.stop, TemporaryDirectory() as nowhere:  # states without weights, which nobody reads
            training = self._begin(load_latest(self.state_folder) if goes_on else None, Path(nowhere))
            train_to_the_end(training, Path(nowhere), self.stop)
            self.weights_of(training)
            training.list_wrong()

    def weights_of(self, training: Training) -> dict[str, Tensor]:
        """Those of the whole net."""
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
    """This process's place beside its peer; both leave it together, done or stopped.

    Where the peer dies, this process ends within seconds: with a TrainingError where it can be raised.
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
            peers.tell(None)  # process 0 writes a checkpoint or the results, and must not find itself alone
            if stopped:
                raise stopped
            peers.leave()
        except RuntimeError as error:  # of which those of torch.distributed are
            time.sleep(REAPED_S)
            if not lives(peer_pid):
                raise TrainingError(f"{describe_loss(peer_pid)}: {error}") from None
            raise


@contextmanager
def ended_with(peer_pid: int) -> Iterator[None]:
    """While entered, this process exits with code 1 within GRACE_S of its peer's death, whatever it waits for.

    torchrun alone would take CHECKPOINT_S to end one that waits for the other GPU: its SIGTERM, which Python handles
    between two instructions, is never handled there.
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
    """Whether there is such a process, as there is until torchrun reaps it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def describe_loss(peer_pid: int) -> str:
    return f"the process of the other tower ({peer_pid}) has ended, and this one with it"
