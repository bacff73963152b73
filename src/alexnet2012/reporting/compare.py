"""Comparison of two results folders: bit-identical, statistically the same, or different and where."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from alexnet2012.claims.verdicts import SIGNIFICANT, adjust
from alexnet2012.config.schema import RunConfig
from alexnet2012.config.validate import read_yaml, validate
from alexnet2012.errors import ConfigError, RecordError
from alexnet2012.evaluation import statistics
from alexnet2012.evaluation.metrics import CROPS
from alexnet2012.evaluation.statistics import MANY_SEEDS, THESE_NETS, Estimate
from alexnet2012.files import read_json
from alexnet2012.reporting.format import in_brackets, interval, list_seeds, missing_note, percent, probability_cell
from alexnet2012.reporting.nets import TrainedNet
from alexnet2012.reporting.origin import list_origin
from alexnet2012.reporting.results import ExperimentResults, Results, learned_of, load_results, members

IDENTICAL, SAME, DIFFERENT = "bit-identical", "statistically the same", "different"
OTHER_DATA = "not comparable: other data"
ORIGIN = ("commit", "source", "hardware", "software", "torch threads")
HEADERS = ["net", "split", "crops", "A", "B", "A - B, points [95 %]", "p", "Holm p", "test", "answer"]
NOTE = (
    "Top-1 errors are tested by a paired t over seeds where both folders have the same three or more, else by Welch's "
    "t where both have three or more. With fewer, a test over images speaks of these nets alone, and a difference must "
    "also exceed the largest one between two seeds of one net in these folders. The answer follows p after Holm's "
    'adjustment over all rows, against 0.05; intervals are unadjusted. "The same" excludes no difference within them.'
)

Verdicts = dict[tuple[str, str], tuple[str, str]]  # verdict and colour, by dataset and claim


@dataclass(frozen=True)
class ErrorRow:
    """Top-1 errors (fractions) of the tested nets on one split, by one kind of crops.

    `estimate`: of mean(a) - mean(b), None for bit-identical nets and other data. `spread`: what a difference over
    images must exceed; 0 for tests over seeds.
    """

    split: str
    crops: str
    a: tuple[float, ...]
    b: tuple[float, ...]
    estimate: Estimate | None = None
    spread: float = 0.0
    p_holm: float | None = None
    answer: str = ""


@dataclass(frozen=True)
class Group:
    """One variant, baseline or average that both folders have; an average's seed is None.

    `nets`: for each seed that both have, what is not the same to the last bit. `only`: seeds of A or B alone.
    `settings`: those that differ, each with its values in A and B. `learned`: how many nets learned in A and B, in
    words; empty where all did.
    """

    name: str
    digests: tuple[str, str]
    nets: dict[int | None, tuple[str, ...]]
    only: tuple[list[int], list[int]]
    settings: dict[str, tuple[Any, Any]]
    learned: tuple[str, str]
    rows: tuple[ErrorRow, ...]
    verdict: str = ""


@dataclass(frozen=True)
class FolderComparison:
    """What two folders share and where they differ, as plain data; fractions throughout.

    `missing`: what is not finished in A and B, in words. `origin`: the commits, sources, hardware and versions that
    differ. `claims`: the verdicts that differ, None for no row; None where a folder has no ledger. `opposite`: the
    claims, on the same data, that one folder supports and the other contradicts.
    """

    verdict: str
    agrees: bool
    a: str
    b: str
    groups: tuple[Group, ...]
    only: tuple[list[str], list[str]]
    missing: tuple[str, str]
    origin: dict[str, tuple[str, str]]
    claims: dict[str, tuple[str | None, str | None]] | None
    opposite: list[str]


def compare_folders(path_a: Path, path_b: Path) -> FolderComparison:
    """Compare the finished nets of two results folders by dataset, variant and seed; the folders may lie anywhere.

    The verdict is the worst of the groups'. Opposite verdicts of a claim count as different, which comes before other
    data. Raises RecordError for a folder or file that cannot be read, and when no finished net is in both.
    """
    a, b = (load_results(path, path, partial=True) for path in (path_a, path_b))
    first, second = name_experiments(a), name_experiments(b)
    shared = [name for name in first if name in second and set(first[name].splits) & set(second[name].splits)]
    if not shared:
        raise RecordError(
            f"{path_a} and {path_b} have no finished net in common: the first has {', '.join(first) or 'none'}, the "
            f"second {', '.join(second) or 'none'}; let the missing runs finish, or compare one configuration's folders"
        )
    groups = decide_groups([compare_experiments(name, (a, first[name]), (b, second[name])) for name in shared])
    origins = [list_makers([found[name] for name in shared]) for found in (first, second)]
    other_data = {first[name].dataset for name in shared if first[name].digest != second[name].digest}
    claims, opposite = compare_ledgers(load_verdicts(path_a), load_verdicts(path_b), other_data)
    verdicts = {group.verdict for group in groups} | ({DIFFERENT} if opposite else set())
    verdict = next(each for each in (DIFFERENT, OTHER_DATA, SAME, IDENTICAL) if each in verdicts)
    return FolderComparison(
        verdict=verdict,
        agrees=verdict in (IDENTICAL, SAME),
        a=str(path_a),
        b=str(path_b),
        groups=groups,
        only=([name for name in first if name not in second], [name for name in second if name not in first]),
        missing=(missing_note(a), missing_note(b)),
        origin={key: (value, origins[1][key]) for key, value in origins[0].items() if value != origins[1][key]},
        claims=claims,
        opposite=opposite,
    )


def name_experiments(results: Results) -> dict[str, ExperimentResults]:
    return {f"{each.key} on {dataset}": each for dataset in results.datasets for each in results.on(dataset)}


def compare_experiments(
    name: str, one: tuple[Results, ExperimentResults], other: tuple[Results, ExperimentResults]
) -> Group:
    """Compare a variant or an average, net by net and as a whole; `decide_groups` adds the verdict."""
    (a, first), (b, second) = one, other
    nets_a, nets_b = ({net.seed: net for net in each.nets} for each in (first, second))
    shared = [seed for seed in nets_a if seed in nets_b]
    splits = [split for split in first.splits if split in second.splits]
    other_data = first.digest != second.digest
    differences: dict[int | None, tuple[str, ...]] = {}
    for seed in shared:
        net_a, net_b = nets_a[seed], nets_b[seed]
        weights = list_weights(a, first, net_a), list_weights(b, second, net_b)
        found = [] if weights[0] and weights[0] == weights[1] else ["weights"]
        found += [f"answers on {each}" for each in splits if not other_data and differ(net_a, net_b, each)]
        differences[seed] = tuple([*found, "data"] if other_data else found)
    # Where the seeds that both have are too few, all are tested, if those are enough.
    unpaired = not shared or len(shared) < MANY_SEEDS <= min(len(nets_a), len(nets_b))
    tested_a, tested_b = ([nets[seed] for seed in (nets if unpaired else shared)] for nets in (nets_a, nets_b))
    rows = []
    for split, crops in product(splits, CROPS):
        row = ErrorRow(split, crops, errors_of(tested_a, split, crops), errors_of(tested_b, split, crops))
        if not other_data and (any(differences.values()) or not shared):
            estimate = compare_errors(tested_a, tested_b, split, crops)
            spread = measure_spread((a, b), first.dataset, split, crops) if THESE_NETS in estimate.method else 0.0
            row = replace(row, estimate=estimate, spread=spread)
        rows.append(row)
    return Group(
        name=name,
        digests=(first.digest, second.digest),
        nets=differences,
        only=(
            [seed for seed in first.seeds if seed not in nets_b],
            [seed for seed in second.seeds if seed not in nets_a],
        ),
        settings=compare_settings(first.nets[0], second.nets[0], other_data),
        learned=(learned_of(a, first), learned_of(b, second)),
        rows=tuple(rows),
    )


def list_weights(results: Results, experiment: ExperimentResults, net: TrainedNet) -> list[str]:
    """The digest of a net's weights, or those of an average's members; empty where a member is not there."""
    if net.training is not None:
        return [net.training["weights_sha256"]]
    found = [each.training["weights_sha256"] for each in members(results, experiment) if each.training is not None]
    return found if len(found) == len(experiment.members) else []


def differ(a: TrainedNet, b: TrainedNet, split: str) -> bool:
    """Whether any of the two nets' answers, top-1 or top-5, is another."""
    kinds = product(CROPS, (1, 5))
    return any(not np.array_equal(a.wrong(split, crops, k), b.wrong(split, crops, k)) for crops, k in kinds)


def errors_of(nets: list[TrainedNet], split: str, crops: str) -> tuple[float, ...]:
    return tuple(net.predictions[split]["errors"][crops]["top1"] for net in nets)


def compare_errors(a: list[TrainedNet], b: list[TrainedNet], split: str, crops: str) -> Estimate:
    """The mean top-1 error of `a` minus that of `b`: over three seeds or more, if they vary, else over images."""
    errors_a, errors_b = errors_of(a, split, crops), errors_of(b, split, crops)
    if min(len(a), len(b)) >= MANY_SEEDS:
        paired = [net.seed for net in a] == [net.seed for net in b]
        differences = [x - y for x, y in zip(errors_a, errors_b, strict=True)] if paired else []
        if paired and np.ptp(differences) > statistics.ROUNDING:
            return statistics.estimate_over_seeds(differences)
        if not paired and max(np.ptp(errors_a), np.ptp(errors_b)) > statistics.ROUNDING:
            return statistics.estimate_contrast_of_values(errors_a, errors_b)
    wrong = [[net.wrong(split, crops, 1) for net in nets] for nets in (a, b)]
    one, other = (each[0] if len(each) == 1 else np.mean(each, axis=0) for each in wrong)
    return statistics.estimate_difference([one], [other])


def measure_spread(folders: tuple[Results, Results], dataset: str, split: str, crops: str) -> float:
    """The largest difference between two seeds of one net in a folder; nets that did not learn are left out."""
    spreads = [0.0]
    for experiment in (each for results in folders for each in results.on(dataset) if split in each.splits):
        errors = errors_of([net for net in experiment.nets if net.learned is not False], split, crops)
        spreads += [max(errors) - min(errors)] if errors else []
    return max(spreads)


def decide_groups(groups: list[Group]) -> tuple[Group, ...]:
    """The groups with their verdicts and, by Holm's adjustment over all that is tested, their rows' answers."""
    adjusted = iter(adjust([row.estimate.p if row.estimate else None for group in groups for row in group.rows]))
    decided = []
    for group in groups:
        rows = tuple(answer(row, next(adjusted)) for row in group.rows)
        verdict = DIFFERENT if any(row.answer == DIFFERENT for row in rows) else SAME
        if all(row.estimate is None for row in rows):
            verdict = IDENTICAL if group.digests[0] == group.digests[1] else OTHER_DATA
        decided.append(replace(group, rows=rows, verdict=verdict))
    return tuple(decided)


def answer(row: ErrorRow, p_holm: float | None) -> ErrorRow:
    if row.estimate is None or p_holm is None:
        return row
    beyond = abs(row.estimate.value) > row.spread
    words = "the same" if p_holm >= SIGNIFICANT else DIFFERENT if beyond else "within the spread of seeds"
    return replace(row, p_holm=p_holm, answer=words)


def compare_settings(a: TrainedNet, b: TrainedNet, other_data: bool) -> dict[str, tuple[Any, Any]]:
    """What differs in net and training and, on other data, in the dataset; nothing for averages."""
    if a.training is None or b.training is None or a.run_folder is None or b.run_folder is None:
        return {}
    paths = a.run_folder / "config.yaml", b.run_folder / "config.yaml"
    if not (paths[0].exists() and paths[1].exists()):
        hashes = a.training.get("hash8"), b.training.get("hash8")
        return {"hash8 (a config.yaml is missing)": hashes} if hashes[0] != hashes[1] else {}
    sections = ("net", "training", "dataset") if other_data else ("net", "training")
    first, second = ({key: values.get(key) for key in sections} for values in map(load_settings, paths))
    return {key: values for key, values in list_changes(first, second) if key != "dataset.folder"}


def load_settings(path: Path) -> dict[str, Any]:
    """A run's settings, with the defaults of keys that an older version did not write; as written if refused today."""
    values = read_yaml(path)
    try:
        return validate(RunConfig, values, str(path)).model_dump(mode="json")
    except ConfigError:
        if not isinstance(values, dict):
            raise
        return values


def list_changes(a: dict[str, Any], b: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    for key in a | b:
        x, y = a.get(key), b.get(key)
        if isinstance(x, dict) and isinstance(y, dict):
            yield from list_changes(x, y, f"{prefix}{key}.")
        elif x != y:
            yield f"{prefix}{key}", (x, y)


def list_makers(experiments: list[ExperimentResults]) -> dict[str, str]:
    """What made the records; "training code" is the fingerprint of the code behind the weights."""
    made_by = list_origin(experiments)
    trainings = [net.training for each in experiments for net in each.nets if net.training is not None]
    code = sorted({record["identity"]["code"] for record in trainings if "identity" in record})
    return {key: made_by.get(key, "not said") for key in ORIGIN} | {"training code": "; ".join(code) or "not said"}


def compare_ledgers(
    a: Verdicts | None, b: Verdicts | None, other_data: set[str]
) -> tuple[dict[str, tuple[str | None, str | None]] | None, list[str]]:
    """The claims whose verdicts differ, and those where they are opposite though the data are the same."""
    if a is None or b is None:
        return None, []
    changes, opposite = {}, []
    for dataset, claim in a | b:
        (x, colour_x), (y, colour_y) = (verdicts.get((dataset, claim), (None, None)) for verdicts in (a, b))
        if x != y:
            changes[f"{claim} on {dataset}"] = (x, y)
        if {colour_x, colour_y} == {"supported", "contradicted"} and dataset not in other_data:
            opposite.append(f"{claim} on {dataset}")
    return changes, opposite


def load_verdicts(folder: Path) -> Verdicts | None:
    path = folder / "tables/claims.json"
    if not path.exists():
        return None
    try:
        rows = [(ledger["dataset"], claim) for ledger in read_json(path)["datasets"] for claim in ledger["claims"]]
        return {(dataset, name_claim(claim)): (claim["verdict"], claim["colour"]) for dataset, claim in rows}
    except (KeyError, TypeError):
        raise RecordError(f"{path} is no ledger of claims; run snakemake to make it anew") from None


def name_claim(row: dict[str, Any]) -> str:
    """The claim's id, with the reading where it has several; older ledgers have no such key."""
    return row["id"] + in_brackets(row.get("reading", ""))


def render_comparison(found: FolderComparison) -> str:
    """The answer in its first line; then warnings, every net, claims, what made the folders, and the tests."""
    rows = [list_cells(group, row) for group in found.groups for row in group.rows if group.verdict != IDENTICAL]
    parts = [
        [headline(found), f"A: {found.a}", f"B: {found.b}"],
        list(list_warnings(found)),
        [line for group in found.groups for line in describe_pairs(group)],
        list(list_ledger_changes(found.claims)),
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


def list_ledger_changes(claims: dict[str, tuple[str | None, str | None]] | None) -> Iterator[str]:
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
