"""The two processes of one training: what each does, and that neither outlives the other."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from alexnet2012.config import RunConfig
from alexnet2012.data.packed import PackedDataset
from alexnet2012.errors import TrainingError
from alexnet2012.towers.exchange import Peers
from alexnet2012.towers.training import SharedStop, TowerTraining
from alexnet2012.towers.watch import Watch
from alexnet2012.training.checkpoint import State, load_latest, save
from alexnet2012.training.loop import train_to_the_end


@dataclass(frozen=True)
class Pair:
    """This process beside its peer: process 0 leads, with the lock, the checkpoints and the results; 1 follows."""

    peers: Peers
    stop: SharedStop
    make: partial
    state_folder: Path

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

    def weights_of(self, training: TowerTraining) -> dict[str, Tensor]:
        """Those of the whole net."""
        return training.unite(training.net.state_dict())

    def _begin(self, state: State | None, folder: Path) -> TowerTraining:
        training = self.make(state)
        self.stop.checkpoint = lambda: save(folder, training.capture())
        return training


@contextmanager
def join(
    run: RunConfig, dataset: PackedDataset, identity: dict, device: torch.device, state_folder: Path
) -> Iterator[Pair]:
    """This process's place beside its peer.

    Whatever either waits for, it ends when the other or the launcher has: with a TrainingError where it can be raised.
    """
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    peers = Peers(device)
    make = partial(TowerTraining, run, dataset, identity, device, peers=peers)
    pids = peers.tell(os.getpid())
    with Watch(pids[1 - peers.rank]) as watch:
        try:
            yield Pair(peers, SharedStop(peers, run.runtime.checkpoint_every_s), make, state_folder)
            peers.leave()
        except RuntimeError as error:  # of which those of torch.distributed are
            if lost := watch.wait_for_loss():
                raise TrainingError(f"{lost} has ended, and this one with it: {error}") from None
            raise
