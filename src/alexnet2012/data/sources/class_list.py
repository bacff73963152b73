"""Files that name classes: the list of a release, and Kaggle's mapping of WordNet ids to words."""

from pathlib import Path

from alexnet2012.data.sources.names import WNID
from alexnet2012.errors import DataError


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
