"""Files that name classes: the list of a release, and the development kit's numbers of WordNet ids."""

import re
from pathlib import Path

from alexnet2012.data.sources.names import WNID, as_text
from alexnet2012.errors import DataError

NUMBERED = re.compile(r"(n\d{8})\s+(\d{1,6})(?:\s|$)", re.ASCII)


def read_class_list(path: Path) -> tuple[str, ...]:
    """The WordNet ids that begin the lines of a file, sorted; # begins a comment.

    Raises DataError for another word, an id that comes twice, and fewer than two ids.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; a file with a WordNet id on each line was expected.") from None
    line_of: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if not WNID.fullmatch(words[0]):
            raise DataError(f"{path}, line {number}: {words[0]!r} is no WordNet id; n and eight digits were expected.")
        if words[0] in line_of:
            raise DataError(
                f"{path} names {words[0]} twice, in lines {line_of[words[0]]} and {number}; each class was expected "
                "once. Remove one of the lines."
            )
        line_of[words[0]] = number
    if len(line_of) < 2:
        raise DataError(f"{path} names {len(line_of)} classes; two or more were expected, each on a line of its own.")
    return tuple(sorted(line_of))


def read_class_numbers(path: Path, classes: int) -> tuple[str, ...]:
    """The WordNet id of class 1, of class 2, ...: lines of an id, its number and a word, as in map_clsloc.txt.

    Raises DataError for another line, an id or a number that comes twice, and a number from 1 to `classes` without id.
    """
    wnid_of: dict[int, str] = {}
    for place, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        match = NUMBERED.match(line)
        if match and 1 <= int(match[2]) <= classes and int(match[2]) not in wnid_of:
            wnid_of[int(match[2])] = match[1]
        elif line.strip():
            raise DataError(
                f"{path}, line {place}: {as_text(line)!r} was expected to be a WordNet id and a number from 1 to "
                f"{classes:,} that no line before it has. Fetch it again, or remove it."
            )
    if len(set(wnid_of.values())) < classes:
        raise DataError(
            f"{path} has {len(set(wnid_of.values())):,} WordNet ids for {len(wnid_of):,} numbers; {classes:,} of both "
            "were expected. Fetch it again, or remove it."
        )
    return tuple(wnid_of[number] for number in range(1, classes + 1))
