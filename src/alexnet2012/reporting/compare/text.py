"""A comparison for people, answer first, and as plain data."""

import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from tabulate import tabulate

from alexnet2012.reporting.compare.comparison import DIFFERENT, IDENTICAL, OTHER_DATA, SAME, Comparison, GroupComparison
from alexnet2012.reporting.compare.errors import Errors
from alexnet2012.reporting.compare.judgement import IMAGES, SEEDS, SPREAD, Judgement

WORDS = {"ten_crop": "ten crops", "centre": "centre crop"}
HEADERS = ["dataset", "net", "split", "crops", "A, %", "B, %", "A - B, points", "95 % interval", "p", "p, Holm"]
HEADERS += ["would be seen", "samples", "answer"]
NOTES = {
    SEEDS: "Over seeds (three or more in both folders): Welch's t test; the answer is about the method.",
    SPREAD: "Against the spread (fewer seeds): the difference over the standard deviation of seeds, pooled over all "
    "nets on these images; the test over images alone would call two seeds of one method different. An average of nets "
    "is held to the spread of single nets, which is the larger.",
    IMAGES: "Over images (fewer seeds): a test of two proportions. Both folders answer the same images, but the test "
    "takes two independent samples, which is cautious, for nets trained alike fail on many of the same images. It says "
    "nothing about other seeds: a difference is one of these nets, not of the method.",
}
ALL = (
    "Intervals are not adjusted; the answer follows p after Holm's adjustment over all rows tested, against 0.05. "
    '"Would be seen" is the true difference, in points, that a row\'s test finds four times in five at the level that '
    'Holm asks of the smallest p: "the same" does not exclude a smaller one.'
)


def describe(comparison: Comparison) -> dict[str, Any]:
    """Plain data of the whole comparison; errors, differences and intervals are fractions."""
    values = asdict(comparison) | {"a": str(comparison.a), "b": str(comparison.b)}
    for group in values["groups"]:
        group["errors"] = [errors | {"judgement": judged} for errors, judged in group["errors"]]
    return {"agrees": comparison.agrees} | values


def render(comparison: Comparison) -> str:
    """The answer in its first line; then warnings, what made the folders, where they differ, and the table."""
    parts = [
        [answer(comparison), f"A: {comparison.a}", f"B: {comparison.b}"],
        list(warn(comparison)),
        list(describe_groups(comparison)),
        list(describe_ledgers(comparison)),
        [f"{key}: {join(key, a)} in A, {join(key, b)} in B" for key, (a, b) in comparison.made_by.items()],
    ]
    rows = [make_row(each, judged, group) for group in comparison.groups for each, judged in group.errors]
    if rows:
        parts.append([tabulate(rows, headers=HEADERS, disable_numparse=True)])
        parts.append(list(explain(comparison)))
    return "\n\n".join("\n".join(part) for part in parts if part)


def answer(comparison: Comparison) -> str:
    """One line: the verdict, and what it rests on or where it comes from."""
    judged = [each for group in comparison.groups for _, each in group.errors if each]
    where = [str(group) for group in comparison.groups if group.verdict == comparison.verdict]
    if comparison.verdict == IDENTICAL:
        nets = sum(len(group.pairs) for group in comparison.groups)
        return f"{IDENTICAL}: weights and errors of all {count(nets, 'net')} that both folders have"
    if comparison.verdict == SAME:
        return f"{SAME}: {count(len(judged), 'error')} tested, no difference found"
    if comparison.verdict == DIFFERENT:
        groups = [group for group in comparison.groups if group.verdict == DIFFERENT]
        kinds = {each.kind for group in groups for _, each in group.errors if each and each.different}
        where = [f"{group} ({count_different(group)})" for group in groups]
        where += [f"{each.id} on {each.dataset}" for each in comparison.verdict_changes if each.opposite]
        return f"{DIFFERENT}: {', '.join(where)}{'; these nets, not the method' if kinds == {IMAGES} else ''}"
    return f"{comparison.verdict} ({', '.join(where)})"


def count_different(group: GroupComparison) -> str:
    different = sum(judged is not None and judged.different for _, judged in group.errors)
    return f"{different} of {count(len(group.errors), 'error')}"


def warn(comparison: Comparison) -> Iterator[str]:
    for group in comparison.groups:
        if group.verdict == OTHER_DATA:
            digests = " and ".join(digest[:16] for digest in group.digests)
            yield f"warning: {group}: other data (digests {digests}); its errors are of other images"
        for name, learned in zip("AB", group.learned, strict=True):
            if learned:
                yield f"warning: {group}: {learned} in {name}; its errors count all the same"
        if group.settings:
            settings = "; ".join(f"{key}: {a} in A, {b} in B" for key, (a, b) in group.settings.items())
            yield f"warning: {group}: other settings: {settings}"
        elif group.hashes and group.settings is None:
            yield f"warning: {group}: other settings; a config.yaml that would say which is missing"
        elif group.hashes and group.verdict != OTHER_DATA:
            yield f"{group}: no setting differs, only their hash: {' in A, '.join(group.hashes)} in B"


def describe_groups(comparison: Comparison) -> Iterator[str]:
    for group in comparison.groups:
        yield f"{group}: {group.verdict}"
        yield from (f"  {line}" for line in describe_nets(group))
    for name, other, only, waiting in (
        ("A", "B", comparison.only_a, comparison.waiting_b),
        ("B", "A", comparison.only_b, comparison.waiting_a),
    ):
        if only:
            words = (f"{each} (not finished in {other})" if each in waiting else each for each in only)
            yield f"only in {name}: {', '.join(words)}"


def describe_nets(group: GroupComparison) -> Iterator[str]:
    """Which nets are the same to the last bit, what the others do not share, and what only one folder has."""
    by_differences: dict[tuple[str, ...], list[int | None]] = {}
    for pair in group.pairs:
        by_differences.setdefault(pair.differences, []).append(pair.seed)
    for differences, seeds in by_differences.items():
        words = f"differs in {', '.join(differences)}" if differences else "bit-identical"
        yield f"{list_seeds(seeds)}: {words}"
    for name, seeds, unfinished in (
        ("A", group.only_a, group.unfinished_a),
        ("B", group.only_b, group.unfinished_b),
    ):
        if seeds:
            yield f"only in {name}: {list_seeds(list(seeds))}"
        if unfinished:
            yield f"not finished in {name}: {', '.join(unfinished)}"


def list_seeds(seeds: list[int | None]) -> str:
    if seeds == [None]:
        return "the average"
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def describe_ledgers(comparison: Comparison) -> Iterator[str]:
    missing = [name for name, present in zip("AB", comparison.ledgers, strict=True) if not present]
    if missing:
        yield f"ledger: not compared, for {' and '.join(missing)} hold{'s' * (len(missing) == 1)} no tables/claims.json"
    elif not comparison.verdict_changes:
        yield "ledger: the same verdicts"
    for each in comparison.verdict_changes:
        yield f"ledger: {each.id} on {each.dataset}: {each.a or 'no row'} in A, {each.b or 'no row'} in B"


def make_row(errors: Errors, judged: Judgement | None, group: GroupComparison) -> list[str]:
    means = [f"{100 * sum(each) / len(each):.2f}" for each in (errors.a, errors.b)]
    row = [errors.dataset, errors.key, errors.split, WORDS[errors.crops], *means]
    if judged is None:
        return [*row, "", "", "", "", "", "", IDENTICAL]
    verdict = OTHER_DATA if group.verdict == OTHER_DATA else DIFFERENT if judged.different else "the same"
    return [
        *row,
        f"{100 * judged.difference:+.2f}",
        f"{100 * judged.low:+.2f} to {100 * judged.high:+.2f}",
        probability(judged.p),
        probability(judged.p_holm),
        f"{100 * judged.visible:.2f}",
        judged.samples,
        verdict.removeprefix("not comparable: "),
    ]


def explain(comparison: Comparison) -> Iterator[str]:
    used = {judged.kind for group in comparison.groups for _, judged in group.errors if judged}
    notes = [*(note for kind, note in NOTES.items() if kind in used), *([ALL] if used else [])]
    return (textwrap.fill(note, 120) for note in notes)


def probability(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def join(key: str, values: list[str]) -> str:
    length = 12 if key in ("commit", "source_sha256", "training code") else None
    return " and ".join(value[:length] for value in values) or "not said"


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
