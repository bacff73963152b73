"""Parts of a check that end in every way; in a module of its own, because each runs in a process of its own."""

import os
import signal
import time

from alexnet2012.gpu_check.part import CannotRunError, CheckPart


def succeed(target) -> dict:
    print("said by a part")
    return {"speed": 2.0, "error": 0.5, "toy": target.tiny}


def raise_error(target) -> dict:
    raise ValueError("no such kernel")


def hang(target) -> dict:
    time.sleep(600)
    return {}


def die(target) -> dict:
    os.kill(os.getpid(), signal.SIGSEGV)
    return {}


def refuse(target) -> dict:
    raise CannotRunError("there are no two cards")


PARTS = (
    CheckPart("raises", raise_error, 60),
    CheckPart("hangs", hang, 0.2),
    CheckPart("dies", die, 60),
    CheckPart("refuses", refuse, 60),
    CheckPart("lacks", succeed, 60, ("no_such_module_or_program", "json")),
    CheckPart("exceeds", succeed, 60, limits={"error": 0.4}),
    CheckPart("succeeds", succeed, 60, ("json", "sh"), limits={"error": 0.5}, goals={"speed": 2.0, "toy": 2}),
)
STATES = ["failed", "failed", "failed", "skipped", "skipped", "failed", "passed"]
