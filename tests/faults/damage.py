"""Random damage to files, and the rule that their readers keep: a sentence or a result, never a crash."""

import copy
import os
import resource
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from alexnet2012.data.decode import ImageError
from alexnet2012.errors import AlexNet2012Error

SECONDS, MEMORY_BYTES = 30, 2 * 2**30  # what reading one file may take
NUMBERS = [bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80" + bytes(3), b"\xff" * 8, b"999999999999", b"-1", b"nan"]
TEXTS = [
    b"\n",
    b"\0",
    b"\xff\xfe",
    b"../../x",
    b"/etc/passwd",
    b'"',
    b"{",
    b"]",
    b": ",
    b"\t",
    b",",
    b"\xf0\x9f\x98\x80",
]
VALUES = [None, [], {}, "", -1, 0, 1e308, 2**70, "nan", float("nan"), True, [[1]], {"a": 1}, "../../x", "x" * 200]


def share(count: int) -> int:
    """`count` faults where all are asked for by FAULTS=all, else a tenth of them."""
    return count if os.environ.get("FAULTS") == "all" else max(1, count // 10)


def damage_bytes(content: bytes, generator: np.random.Generator) -> bytes:
    """`content` with one fault: other bits, numbers or texts in it, or pieces lost, repeated, moved or zeroed."""
    at, end = sorted(generator.integers(0, len(content) + 1, 2).tolist())
    near = min(len(content), at + int(generator.integers(1, 17)))
    number = NUMBERS[int(generator.integers(len(NUMBERS)))]
    faults = [
        bytes(each ^ 1 << int(generator.integers(8)) for each in content[at : at + 1]) + content[at + 1 :],
        generator.bytes(near - at) + content[near:],
        b"",
        content[end:],
        content[at:near] * int(generator.integers(2, 50)) + content[near:],
        bytes(end - at) + content[end:],
        content[end:] + content[at:end],
        number + content[at + len(number) :],
        TEXTS[int(generator.integers(len(TEXTS)))] + content[at:],
    ]
    return content[:at] + faults[int(generator.integers(len(faults)))]


def damage_values(values: Any, generator: np.random.Generator) -> Any:
    """Nested lists and dictionaries with one value replaced or lost, or one key renamed."""
    values = copy.deepcopy(values)
    node, key = list(walk(values))[int(generator.integers(len(list(walk(values)))))]
    kind = int(generator.integers(3))
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(node, dict):
        node[f"odd_{key}"] = node.pop(key)
    else:
        node[key] = VALUES[int(generator.integers(len(VALUES)))]
    return values


def walk(values: Any) -> Iterator[tuple[Any, Any]]:
    """Every container below `values` with each of its keys or indices."""
    pairs = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in pairs:
        yield values, key
        yield from walk(value)


@contextmanager
def limited() -> Iterator[None]:
    """A context of at most SECONDS, in which MEMORY_BYTES can be taken beyond what the process has."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"still reading after {SECONDS} s")

    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    old = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGE_SIZE") + MEMORY_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


def read_damaged(read: Callable[[], object], outcomes: Counter[str]) -> None:
    """Read, and count whether that was refused; whatever is no sentence of ours is raised."""
    try:
        with limited():
            read()
    except (AlexNet2012Error, ImageError) as error:
        assert len(str(error)) > 10, repr(error)
        outcomes["refused"] += 1
    else:
        outcomes["read"] += 1


def read_each_damaged(files: list[Path], change: Callable, read: Callable, count: int) -> Counter[str]:
    """Damage one of `files` after another by `change`, `read` each time, and put the file back.

    No file may come or go meanwhile below the folder that holds them all.
    """
    generator, outcomes = np.random.default_rng(2012), Counter[str]()
    top = Path(os.path.commonpath([path.parent for path in files])).parent
    read()
    before = sorted(top.rglob("*"))
    for k in range(count):
        path = files[int(generator.integers(len(files)))]
        content = path.read_bytes()
        path.write_bytes(change(content, generator))
        try:
            read_damaged(read, outcomes)
        except Exception as error:
            error.add_note(f"fault {k}, in {path.name}")
            raise
        path.write_bytes(content)
    assert sorted(top.rglob("*")) == before
    assert sum(outcomes.values()) == count
    return outcomes
