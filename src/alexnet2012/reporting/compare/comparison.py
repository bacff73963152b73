"""The answer: what two folders share, group by group, and one word for the whole."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet2012.errors import RecordError
from alexnet2012.reporting.compare.errors import Errors, collect_errors
from alexnet2012.reporting.compare.folder import Folder, Group, read_folder
from alexnet2012.reporting.compare.judgement import Judgement, judge
from alexnet2012.reporting.compare.ledger import VerdictChange, compare_ledgers
from alexnet2012.reporting.compare.pairs import Pair, compare_nets
from alexnet2012.reporting.net import count_learned

IDENTICAL, SAME, DIFFERENT = "bit-identical", "statistically the same", "different"
OTHER_DATA, NOTHING = "not comparable: other data", "not compared: nothing in common is finished"
SETTINGS = ("net.", "training.")  # what decides the weights, beside the seed and the data
PROVENANCE = ("commit", "dirty", "source_sha256", "torch", "torchvision", "python", "hardware", "torch_threads")


@dataclass(frozen=True)
class GroupComparison:
    """One variant or ensemble that both folders have.

    `only_a`, `only_b`: seeds. `hashes`: the two hash8 of a variant, where they differ. `settings`: what differs, dotted
    key to its values in A and in B; None where a config.yaml is missing, and for ensembles. `errors`: with a judgement
    each, but for nets that are bit-identical (None: nothing to test). `learned`: how many seeds learned in A and in
    B, in words; empty where all did.
    """

    dataset: str
    key: str
    verdict: str
    pairs: tuple[Pair, ...]
    only_a: tuple[int, ...]
    only_b: tuple[int, ...]
    unfinished_a: tuple[str, ...]
    unfinished_b: tuple[str, ...]
    digests: tuple[str, str]
    hashes: tuple[str, str] | None
    settings: dict[str, tuple[Any, Any]] | None
    errors: tuple[tuple[Errors, Judgement | None], ...]
    learned: tuple[str, str]

    def __str__(self) -> str:
        return f"{self.key} on {self.dataset}"


@dataclass(frozen=True)
class Comparison:
    """`made_by`: what differs in provenance, each with all values in A and in B. `ledgers`: which folders have one."""

    a: Path
    b: Path
    verdict: str
    groups: tuple[GroupComparison, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    waiting_a: tuple[str, ...]
    waiting_b: tuple[str, ...]
    made_by: dict[str, tuple[list[str], list[str]]]
    ledgers: tuple[bool, bool]
    verdict_changes: tuple[VerdictChange, ...]

    @property
    def agrees(self) -> bool:
        return self.verdict in (IDENTICAL, SAME)


def compare_folders(path_a: Path, path_b: Path) -> Comparison:
    """Compare what is finished in two results folders, wherever they lie.

    Nets match by dataset, variant and seed, ensembles by dataset and name. Seeds that only one folder has still count
    as samples of their variant. Raises RecordError for a folder or a record that cannot be read, and when the folders
    have no finished variant or ensemble in common.
    """
    a, b = read_folder(path_a), read_folder(path_b)
    shared = [place for place in a.groups if place in b.groups]
    if not shared:
        raise RecordError(
            f"{a.path} and {b.path} have no finished net in common: the first has {list_groups(a)}, the second "
            f"{list_groups(b)}; let the missing runs finish, or compare folders of one configuration"
        )
    pairs = {place: compare_nets(a, b, a.groups[place], b.groups[place]) for place in shared}
    errors = {place: collect_errors(a.groups[place], b.groups[place]) for place in shared}
    tested = [each for place in shared if not all_identical(pairs[place]) for each in errors[place]]
    judgements = iter(judge(tested, [each for place in shared for each in errors[place]]))
    groups = []
    for place in shared:
        judged = tuple((each, None if all_identical(pairs[place]) else next(judgements)) for each in errors[place])
        groups.append(compare_group(a.groups[place], b.groups[place], pairs[place], judged))
    changes = compare_ledgers(a, b)
    return Comparison(
        a=a.path,
        b=b.path,
        verdict=decide(groups, changes),
        groups=tuple(groups),
        only_a=tuple(str(group) for place, group in a.groups.items() if place not in b.groups),
        only_b=tuple(str(group) for place, group in b.groups.items() if place not in a.groups),
        waiting_a=a.waiting,
        waiting_b=b.waiting,
        made_by=compare_provenance([a.groups[place] for place in shared], [b.groups[place] for place in shared]),
        ledgers=(a.ledger is not None, b.ledger is not None),
        verdict_changes=changes,
    )


def list_groups(folder: Folder) -> str:
    return ", ".join(str(group) for group in folder.groups.values()) or "none"


def all_identical(pairs: tuple[Pair, ...]) -> bool:
    return bool(pairs) and all(pair.identical for pair in pairs)


def compare_group(
    first: Group, second: Group, pairs: tuple[Pair, ...], judged: tuple[tuple[Errors, Judgement | None], ...]
) -> GroupComparison:
    if first.digest != second.digest:
        verdict = OTHER_DATA
    elif all_identical(pairs):
        verdict = IDENTICAL
    elif not judged:
        verdict = NOTHING
    else:
        verdict = DIFFERENT if any(judgement.different for _, judgement in judged) else SAME
    return GroupComparison(
        dataset=first.dataset,
        key=first.key,
        verdict=verdict,
        pairs=pairs,
        only_a=tuple(seed for seed in first.nets if seed not in second.nets),
        only_b=tuple(seed for seed in second.nets if seed not in first.nets),
        unfinished_a=tuple(first.unfinished),
        unfinished_b=tuple(second.unfinished),
        digests=(first.digest, second.digest),
        hashes=compare_hashes(first, second),
        settings=compare_settings(first, second),
        errors=judged,
        learned=(count_learned(first.nets.values()), count_learned(second.nets.values())),
    )


def compare_hashes(first: Group, second: Group) -> tuple[str, str] | None:
    """None for ensembles, whose hash says no more than those of their members."""
    hashes = first.hash8, second.hash8
    return hashes if hashes[0] != hashes[1] and None not in hashes and None not in first.nets else None


def compare_settings(first: Group, second: Group) -> dict[str, tuple[Any, Any]] | None:
    """The settings of net and training that are not the same; None where a folder does not hold them.

    Those of the dataset show in its digest, and are listed only where that differs; its folder never counts.
    """
    if not first.settings or not second.settings:
        return None
    counted = SETTINGS if first.digest == second.digest else (*SETTINGS, "dataset.")
    return {
        key: (first.settings.get(key), second.settings.get(key))
        for key in first.settings | second.settings
        if key.startswith(counted) and key != "dataset.folder" and first.settings.get(key) != second.settings.get(key)
    }


def decide(groups: list[GroupComparison], changes: tuple[VerdictChange, ...]) -> str:
    """The folders' verdict: the worst of their groups'.

    A difference on shared data comes before data that are not shared. Other settings change no verdict: whether they
    matter is what the errors say. A verdict of the ledger counts when the other folder's is its opposite; lesser
    changes are listed only, since the smallest difference can carry a p across its threshold.
    """
    found = {group.verdict for group in groups}
    on_other_data = {group.dataset for group in groups if group.verdict == OTHER_DATA}
    if any(change.opposite and change.dataset not in on_other_data for change in changes):
        found.add(DIFFERENT)
    return next(verdict for verdict in (DIFFERENT, OTHER_DATA, SAME, NOTHING, IDENTICAL) if verdict in found)


def compare_provenance(first: list[Group], second: list[Group]) -> dict[str, tuple[list[str], list[str]]]:
    a, b = describe_makers(first), describe_makers(second)
    return {key: (a[key], b[key]) for key in a if a[key] != b[key]}


def describe_makers(groups: list[Group]) -> dict[str, list[str]]:
    """What made the records, each value once; "training code" is the fingerprint of the code behind the weights."""
    records = [record for group in groups for record in group.records]
    found = {key: [record["provenance"].get(key) for record in records] for key in PROVENANCE}
    found["training code"] = [record["identity"].get("code") for record in records if "identity" in record]
    return {key: sorted({str(value) for value in values if value is not None}) for key, values in found.items()}
