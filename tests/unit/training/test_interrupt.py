import os
import signal

import pytest

from alexnet2012.errors import Interrupted
from alexnet2012.training.checkpoint import StopRequest

BOTH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@BOTH
def test_a_signal_waits_until_it_is_asked_for(number):
    with StopRequest() as stop:
        stop.check()
        os.kill(os.getpid(), number)
        finished_its_step = True
        with pytest.raises(Interrupted, match=number.name):
            stop.check()
    assert finished_its_step


@BOTH
def test_within_an_evaluation_the_first_signal_raises_at_once(number):
    """A second one comes while the checkpoint of the first is written, which it must not end."""
    with StopRequest() as stop:
        stop.immediately(True)
        with pytest.raises(Interrupted, match=number.name):
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        assert stop.received == number


@pytest.mark.parametrize("at_once", [True, False])
def test_a_signal_that_waits_is_raised_where_an_evaluation_begins_or_ends(at_once):
    with StopRequest() as stop:
        stop.immediately(True)
        stop.immediately(False)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted):
            stop.immediately(at_once)


@BOTH
def test_the_handlers_before_are_put_back(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyError), StopRequest():
        assert signal.getsignal(number) != before
        raise KeyError
    assert signal.getsignal(number) == before
