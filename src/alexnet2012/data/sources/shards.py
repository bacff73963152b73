"""Which parquet shards of a split lie in a folder, and whether they are one whole set: by their names alone."""

import re
from dataclasses import dataclass
from pathlib import Path

NUMBERED = re.compile(r".*-(\d+)-of-(\d+)(?:-\w+)?\.parquet")  # some copies add a hash: train-00000-of-00294-a1b2
LISTED = 20


@dataclass(frozen=True)
class Shards:
    """`paths`: by name. `mixed`, `missing`: sentences, if they are of several sets, and if the set lacks some."""

    paths: tuple[Path, ...]
    mixed: str = ""
    missing: str = ""


def find_shards(folder: Path, split: str) -> Shards:
    """The split's shards, from data/ or from the folder itself."""
    within, beside = (tuple(sorted(place.glob(f"{split}-*.parquet"))) for place in (folder / "data", folder))
    if within and beside:
        return Shards(within, f"{split}-*.parquet lie in {folder} as well as in its data/; remove one of the two sets")
    paths = within or beside
    matches = [NUMBERED.fullmatch(path.name) for path in paths]
    totals = {int(match[2]) if match else None: path.name for path, match in zip(paths, matches, strict=True)}
    if len(totals) > 1:
        return Shards(paths, mixed=_describe_mixed(paths[0].parent, *list(totals.values())[:2]))
    total = next(iter(totals), None)
    if total is None:
        return Shards(paths)
    name_of: dict[int, str] = {}
    for path, match in zip(paths, matches, strict=True):
        first = name_of.setdefault(int(match[1]), path.name)
        if first != path.name:
            return Shards(paths, mixed=_describe_mixed(path.parent, first, path.name))
    missing = [number for number in range(total) if number not in name_of]
    return Shards(paths, missing=_describe_missing(paths[0].parent, split, missing, total))


def _describe_mixed(place: Path, first: str, second: str) -> str:
    return f"{place} holds shards of two sets, such as {first} and {second}; remove those of one set"


def _describe_missing(place: Path, split: str, missing: list[int], total: int) -> str:
    if not missing:
        return ""
    named = ", ".join(str(number) for number in missing[:LISTED])
    more = f" and {len(missing) - LISTED:,} more" if len(missing) > LISTED else ""
    return f"{place}/{split}-*-of-{total:05d}.parquet: {len(missing):,} of {total:,} shards are missing: {named}{more}"
