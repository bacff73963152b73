"""A comparison of two results folders in words: the answer first, then what it rests on."""

import textwrap
from collections.abc import Iterator

import numpy as np
from tabulate import tabulate

from alexnet2012.evaluation.statistics import THESE_NETS
from alexnet2012.reporting.compare import DIFFERENT, IDENTICAL, OTHER_DATA, SAME, ErrorRow, FolderComparison, Group
from alexnet2012.reporting.format import interval, list_seeds, percent, probability_cell

HEADERS = ["net", "split", "crops", "A", "B", "A - B, points [95 %]", "p", "Holm p", "test", "answer"]
NOTE = (
    "Top-1 errors are tested by a paired t over seeds where both folders have the same three or more, else by Welch's "
    "t where both have three or more. With fewer, a test over images speaks of these nets alone, and a difference must "
    "also exceed the largest one between two seeds of one net in these folders. The answer follows p after Holm's "
    'adjustment over all rows, against 0.05; intervals are unadjusted. "The same" excludes no difference within them.'
)


def render_comparison(found: FolderComparison) -> str:
    """The answer in its first line; then warnings, every net, claims, what made the folders, and the tests."""
    rows = [list_cells(group, row) for group in found.groups for row in group.rows if group.verdict != IDENTICAL]
    parts = [
        [headline(found), f"A: {found.a}", f"B: {found.b}"],
        list(list_warnings(found)),
        [line for group in found.groups for line in describe_pairs(group)],
        list(describe_ledgers(found.claims)),
        [f"{key}: {a} in A, {b} in B" for key, (a, b) in found.origin.items()],
        [tabulate(rows, headers=HEADERS, disable_numparse=True), "", textwrap.fill(NOTE, 120)] if rows else [],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def headline(found: FolderComparison) -> str:
    """The verdict, and what it rests on or where it comes from."""
    groups = [group for group in found.groups if group.verdict == found.verdict]
    if found.verdict == IDENTICAL:
        nets = sum(len(group.nets) for group in groups)
        return f"{IDENTICAL}: weights and answers of all nets that both folders have ({nets})"
    if found.verdict == SAME:
        tests = sum(len(group.rows) for group in groups)
        return f"{SAME}: {tests} errors tested, no difference that seeds would not explain"
    where = [group.name for group in groups] + found.opposite
    rows = [row for group in groups for row in group.rows if row.answer == DIFFERENT and row.estimate]
    few = rows and all(THESE_NETS in row.estimate.method for row in rows if row.estimate)
    return f"{found.verdict}: {', '.join(where)}{f'; {THESE_NETS}' if few else ''}"


def list_warnings(found: FolderComparison) -> Iterator[str]:
    for group in found.groups:
        if group.verdict == OTHER_DATA:
            yield f"warning: {group.name}: other data, digests {' and '.join(each[:16] for each in group.digests)}"
        for side, learned in zip("AB", group.learned, strict=True):
            if learned:
                yield f"warning: {group.name}: {learned} in {side}; its errors count all the same"
        if group.settings:
            settings = "; ".join(f"{key}: {a} in A, {b} in B" for key, (a, b) in group.settings.items())
            yield f"warning: {group.name}: other settings: {settings}"
    for side, missing, only in zip("AB", found.missing, found.only, strict=True):
        if missing:
            yield f"warning: {side}: {missing}"
        if only:
            yield f"only in {side}: {', '.join(only)}"


def describe_pairs(group: Group) -> Iterator[str]:
    """A line for the nets that are bit-identical, for those of each kind of difference, and for those of one folder."""
    words = [(seed, f"other {', '.join(each)}" if each else IDENTICAL) for seed, each in group.nets.items()]
    words += [(seed, f"only in {side}") for side, seeds in zip("AB", group.only, strict=True) for seed in seeds]
    for line in dict.fromkeys(each for _, each in words):
        seeds = [seed for seed, each in words if each == line and seed is not None]
        named = f", seed{'s' * (len(seeds) > 1)} {list_seeds(seeds)}" if seeds else ""
        yield f"{group.name}{named}: {line}"


def describe_ledgers(claims: dict[str, tuple[str | None, str | None]] | None) -> Iterator[str]:
    if claims is None:
        yield "ledger: not compared, for a tables/claims.json is missing"
    elif not claims:
        yield "ledger: the same verdicts"
    for claim, (a, b) in (claims or {}).items():
        yield f"ledger: {claim}: {a or 'no row'} in A, {b or 'no row'} in B"


def list_cells(group: Group, row: ErrorRow) -> list[str]:
    cells = [group.name, row.split, row.crops, *(percent(float(np.mean(errors))) for errors in (row.a, row.b))]
    if row.estimate is None:
        return [*cells, "", "", "", "", group.verdict]
    tested = [interval(row.estimate), probability_cell(row.estimate.p), probability_cell(row.p_holm)]
    return [*cells, *tested, row.estimate.method.partition(":")[0], row.answer]
