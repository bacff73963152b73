import os
import signal
from contextlib import suppress

import pytest
import torch
from tiny_training import make_run

from alexnet2012.errors import Interrupted
from alexnet2012.towers import training
from alexnet2012.towers.training import SharedStop


class FakePeers:
    """Peers of which the other has the flags `other`; `meanwhile` happens while they tell each other."""

    leads = True

    def __init__(self) -> None:
        self.meanwhile = lambda: None
        self.other = [False, False]

    def either(self, *flags: bool) -> list[bool]:
        found = [own or other for own, other in zip(flags, self.other, strict=True)]
        self.meanwhile()
        return found


@pytest.fixture
def peers():
    return FakePeers()


def test_a_signal_of_the_peer_stops_this_process_too(peers):
    peers.other = [True, False]
    with pytest.raises(Interrupted):
        SharedStop(peers, 600).check()


def test_a_signal_that_the_peer_does_not_know_of_waits_for_the_next_check(peers):
    """Else one process would stop, and the other wait for it."""
    with SharedStop(peers, 600) as stop:
        peers.meanwhile = lambda: signal.raise_signal(signal.SIGINT)
        stop.check()
        peers.meanwhile = lambda: None
        with pytest.raises(Interrupted, match="SIGINT"):
            stop.check()


def test_a_signal_amid_an_evaluation_waits_for_its_end(peers):
    with SharedStop(peers, 600) as stop:
        stop.immediately(True)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted):
            stop.immediately(False)


@pytest.mark.parametrize(
    ("leads", "due_in_the_other", "saves"), [(True, False, True), (False, False, False), (False, True, True)]
)
def test_checkpoints_come_when_they_are_due_in_the_first_process(peers, leads, due_in_the_other, saves):
    saved, stop = [], SharedStop(peers, 0.0)
    stop.checkpoint = lambda: saved.append(True)
    peers.leads, peers.other = leads, [False, due_in_the_other]
    stop.check()
    assert bool(saved) == saves


@pytest.mark.parametrize("stopped", [False, True])
def test_neither_process_leaves_before_the_other_is_done(monkeypatch, tmp_path, stopped):
    """One that is gone counts as dead, and the other would end amid its checkpoint or its results."""
    done = []

    class Peers:
        rank = 0

        def __init__(self, device: torch.device) -> None:
            pass

        def tell(self, value: object) -> list[int]:
            done.append("met the peer")
            return [os.getpid()] * 2

        def leave(self) -> None:
            done.append("left")

    monkeypatch.setattr(training, "Peers", Peers)
    with suppress(Interrupted), training.join(make_run(tmp_path), None, {}, torch.device("cpu"), tmp_path):
        done.append("wrote")
        if stopped:
            raise Interrupted
    assert done == ["met the peer", "wrote", "met the peer", *([] if stopped else ["left"])]
