"""A process of two that ends when its peer, or the launcher of both, has ended: whatever the other was waiting for."""

import os
import signal
import sys
import threading

POLL_S = 0.5
# What a process may take to end by itself: a peer's end breaks the connection, whose error says more, and a stop asked
# for leaves a checkpoint. One that waits for a GPU does neither.
GRACE_S = 8.0


class Watch:
    """While entered, looks twice a second whether the peer and the launcher live; all three are on one machine.

    When one has ended, this process is asked to stop, and ended with exit code 1 if it has not within GRACE_S.
    """

    def __init__(self, peer_pid: int) -> None:
        self.peer_pid, self.launcher_pid = peer_pid, os.getppid()
        self.over = threading.Event()

    def __enter__(self) -> "Watch":
        threading.Thread(target=self._look, name="watch", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()

    @property
    def lost(self) -> str:
        """Which of the two has ended, in words; empty while both live."""
        if os.getppid() != self.launcher_pid:
            return f"the launcher of both processes ({self.launcher_pid})"
        if not lives(self.peer_pid):
            return f"the process of the other tower ({self.peer_pid})"
        return ""

    def wait_for_loss(self) -> str:
        """The same after the moment that the launcher may take to bury a process."""
        self.over.wait(2 * POLL_S)
        return self.lost

    def _look(self) -> None:
        while not self.over.wait(POLL_S):
            if lost := self.lost:
                os.kill(os.getpid(), signal.SIGTERM)
                if self.over.wait(GRACE_S):
                    return
                print(f"error: {lost} has ended, and this one with it", file=sys.stderr, flush=True)
                os._exit(1)


def lives(pid: int) -> bool:
    """Whether there is such a process; the launcher buries those that end within a tenth of a second."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
