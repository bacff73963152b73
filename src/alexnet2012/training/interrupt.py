"""SIGTERM and SIGINT as a request to checkpoint and stop."""

import signal
from types import FrameType, TracebackType

from alexnet2012.errors import Interrupted


class StopRequest:
    """While entered, the first signal only sets a flag, which `check` turns into Interrupted between two steps.

    Within `immediately` (an evaluation, which changes nothing) the signal raises at once.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.received: int | None = None
        self.at_once = False

    def __enter__(self) -> "StopRequest":
        self.before = {number: signal.signal(number, self._receive) for number in self.SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        if self.at_once:
            self.at_once = False
            self.check()

    def check(self) -> None:
        """Raise Interrupted when a signal has come."""
        if self.received is not None:
            raise Interrupted(
                f"stopped by {signal.Signals(self.received).name}; a checkpoint was written, the same command resumes"
            )

    def immediately(self, at_once: bool) -> None:
        """From here on a signal raises at once (True), or waits for `check` (False); one that waits is raised now."""
        self.check()
        self.at_once = at_once
