"""Contenders of microseconds, in modules that import nothing heavy."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from contest import Call, Done


def make_writer(file: str, name: str) -> Call:
    """Appends its name to a file at each call, and prints, which must disturb nobody."""

    def call() -> Done:
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.write(f"{name}\n")
        print("contenders may print")
        return Done(3)

    return call


def make_teller(names: list[str]) -> Call:
    """Tells variables of its environment."""
    return lambda: Done(1, seconds=0.25, details={name: os.environ.get(name) for name in names})


def make_hoarder(size: int) -> Call:
    """Holds so many bytes for a while in each call."""

    def call() -> Done:
        held = bytearray(b"x" * size)
        time.sleep(0.1)
        return Done(len(held))

    return call


def make_failing(after: int) -> Callable[[], Done]:
    """Raises at the call after so many; the first two are the warm-up."""
    calls = iter(range(after))

    def call() -> Done:
        if next(calls, None) is None:
            raise RuntimeError("the contender's own words")
        return Done(1)

    return call


def make_dying() -> Call:
    """Ends without a word."""
    return lambda: os._exit(7)
