"""What every source hands over: classes, splits in canonical order, and what was found wrong on the way."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from alexnet2012.data.listing import Arrays, Listing, Problem


@dataclass(frozen=True)
class Checksum:
    """An archive's md5 as its publisher gives it; another one is worth a warning, not a stop."""

    path: Path
    md5: str


@dataclass(frozen=True, eq=False)
class Source:
    """What is to be packed. Labels number `classes`, which are in sorted order.

    `problems`: images that cannot be taken, found without decoding (duplicate names, for one). `official_ids`: the
    edition's own numbers of the classes (ILSVRC2012_ID), which its submission format asks for, where they are known.
    `part` says in words what part of an edition this is ("subset of 20 classes, ..."); empty for the whole.
    """

    description: str
    folder: Path
    classes: tuple[str, ...]
    splits: dict[str, Listing | Arrays]
    problems: tuple[Problem, ...] = ()
    checksums: tuple[Checksum, ...] = ()
    official_ids: tuple[int, ...] | None = None
    part: str = ""


def as_list(lines: Iterable[str]) -> str:
    return "\n".join(f"  - {line}" for line in lines)
