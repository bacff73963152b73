"""A contender's process: sets itself up and warms up, then makes one call for each line on its stdin.

Its answers are lines of JSON on the stdout that it was given; whatever the contender prints goes to stderr.
"""

import importlib
import json
import os
import sys
import time


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    task = json.loads(sys.stdin.readline())
    module, _, function = task["make"].partition(":")
    make = getattr(importlib.import_module(module), function)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(task["threads"])
    call = make(**task["arguments"])
    for _ in range(2):  # the second still finds pages that no step has touched
        call()
    answer(answers, {"ready": True})
    for _ in sys.stdin:
        began = time.perf_counter()
        done = call()
        seconds = time.perf_counter() - began
        seconds = seconds if done.seconds is None else done.seconds
        answer(answers, {"seconds": seconds, "units": done.units, "details": done.details})


def answer(answers, values: dict) -> None:
    answers.write(json.dumps(values) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
