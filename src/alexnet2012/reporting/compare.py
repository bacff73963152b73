"""Comparison of two results folders: bit-identical, statistically the same, or different and where."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from alexnet2012.claims.verdicts import SIGNIFICANT, adjust
from alexnet2012.config.schema import RunConfig
from alexnet2012.config.validate import read_yaml, validate
from alexnet2012.errors import ConfigError, RecordError
from alexnet2012.evaluation import statistics
from alexnet2012.evaluation.linear_model import ROUNDING
from alexnet2012.evaluation.metrics import CROPS
from alexnet2012.evaluation.statistics import MANY_SEEDS, THESE_NETS, Estimate
from alexnet2012.files import read_json
from alexnet2012.reporting.format import in_brackets, missing_note
from alexnet2012.reporting.origin import list_origin
from alexnet2012.reporting.results import ExperimentResults, Results, learned_of, load_results, members
from alexnet2012.reporting.trained_nets import TrainedNet

IDENTICAL, SAME, DIFFERENT = "bit-identical", "statistically the same", "different"
OTHER_DATA = "not comparable: other data"
ORIGIN = ("commit", "source", "hardware", "software", "torch threads")

Side = tuple[Results, ExperimentResults]


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
    first, second = (
        {f"{each.key} on {dataset}": each for dataset in found.datasets for each in found.on(dataset)}
        for found in (a, b)
    )
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


def compare_experiments(name: str, one: Side, other: Side) -> Group:
    """Compare a variant or an average, net by net and as a whole; `decide_groups` adds the verdict."""
    (a, first), (b, second) = one, other
    nets_a, nets_b = ({net.seed: net for net in each.nets} for each in (first, second))
    shared = [seed for seed in nets_a if seed in nets_b]
    splits = [split for split in first.splits if split in second.splits]
    other_data = first.digest != second.digest
    differences: dict[int | None, tuple[str, ...]] = {}
    for seed in shared:
        nets = nets_a[seed], nets_b[seed]
        weights = list_weights(a, first, nets[0]), list_weights(b, second, nets[1])
        found = [] if weights[0] and weights[0] == weights[1] else ["weights"]
        found += ["data"] if other_data else [f"answers on {each}" for each in splits if differ(*nets, each)]
        differences[seed] = tuple(found)
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
            [each for each in first.seeds if each not in nets_b],
            [each for each in second.seeds if each not in nets_a],
        ),
        settings=compare_settings(first.nets[0], second.nets[0], other_data),
        learned=(learned_of(a, first), learned_of(b, second)),
        rows=tuple(rows),
    )


def list_weights(results: Results, experiment: ExperimentResults, net: TrainedNet) -> list[str]:
    """The digest of a net's weights, or those of an average's members; empty where a member is not there."""
    nets = [net] if net.training else members(results, experiment)
    complete = net.training or len(nets) == len(experiment.members)
    return [each.training["weights_sha256"] for each in nets] if complete else []


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
        if paired and np.ptp(differences) > ROUNDING:
            return statistics.estimate_over_seeds(differences)
        if not paired and max(np.ptp(errors_a), np.ptp(errors_b)) > ROUNDING:
            return statistics.estimate_contrast_of_values(errors_a, errors_b)
    wrong = [[net.wrong(split, crops, 1) for net in nets] for nets in (a, b)]
    one, other = (each[0] if len(each) == 1 else np.mean(each, axis=0) for each in wrong)
    return statistics.estimate_difference([one], [other])


def measure_spread(folders: tuple[Results, Results], dataset: str, split: str, crops: str) -> float:
    """The largest difference between two seeds of one net in a folder; nets that did not learn are left out."""
    experiments = [each for results in folders for each in results.on(dataset) if split in each.splits]
    learned = ([net for net in each.nets if net.learned is not False] for each in experiments)
    return max((float(np.ptp(errors_of(nets, split, crops))) for nets in learned if nets), default=0.0)


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
    if a.run_folder is None or b.run_folder is None:
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
    trainings = [net.training for each in experiments for net in each.nets if net.training]
    code = sorted({record["identity"]["code"] for record in trainings if "identity" in record})
    return {key: made_by.get(key, "not said") for key in ORIGIN} | {"training code": "; ".join(code) or "not said"}


def compare_ledgers(
    a: dict[str, dict[str, Any]] | None, b: dict[str, dict[str, Any]] | None, other_data: set[str]
) -> tuple[dict[str, tuple[str | None, str | None]] | None, list[str]]:
    """The claims whose verdicts differ, and those where they are opposite though the data are the same."""
    if a is None or b is None:
        return None, []
    pairs = {name: (a.get(name, {}), b.get(name, {})) for name in a | b}
    verdicts = {name: tuple(row.get("verdict") for row in pair) for name, pair in pairs.items()}
    opposite = [
        name
        for name, pair in pairs.items()
        if {row.get("colour") for row in pair} == {"supported", "contradicted"} and pair[0]["dataset"] not in other_data
    ]
    return {name: (x, y) for name, (x, y) in verdicts.items() if x != y}, opposite


def load_verdicts(folder: Path) -> dict[str, dict[str, Any]] | None:
    """The rows of a folder's claims.json by claim (with its reading, which older ledgers have not) and dataset."""
    path = folder / "tables/claims.json"
    if not path.exists():
        return None
    try:
        return {
            f"{row['id']}{in_brackets(row.get('reading', ''))} on {ledger['dataset']}": {
                "dataset": ledger["dataset"],
                "verdict": row["verdict"],
                "colour": row["colour"],
            }
            for ledger in read_json(path)["datasets"]
            for row in ledger["claims"]
        }
    except (KeyError, TypeError):
        raise RecordError(f"{path} is no ledger of claims; run snakemake to make it anew") from None
