"""What MLflow shows of a configuration and of each variant over its seeds: errors with intervals, in a sentence too."""

from collections import Counter
from functools import partial
from itertools import product
from pathlib import Path

from alexnet2012.errors import RecordError
from alexnet2012.evaluation.metrics import CROPS
from alexnet2012.files import read_json
from alexnet2012.reporting.format import count_seeds, error_cell, estimate, name_dataset
from alexnet2012.reporting.results import ExperimentResults, load_results
from alexnet2012.tracking.browser import comparison_address
from alexnet2012.tracking.contents import NOTE_TAG, Content, Summaries, describe_record, written_ms
from alexnet2012.tracking.store import TrackingIds, warn


def summarise_variants(folder: Path) -> Summaries:
    """The summaries of a results folder; empty where no run has listed its experiments yet, and, with a warning, where
    its records fit in no table.
    """
    if not (folder / "experiments.json").exists():
        return Summaries()
    try:
        results = load_results(folder, Path("data"), partial=True)  # the data themselves are not read
        claims = read_json(folder / "tables" / "claims.json")["datasets"]
        variants = [each for dataset in results.datasets for each in results.on(dataset) if each.seeds]
        sentences: list[str] = []
        metrics: dict[str, float] = {}
        for each in claims:
            experiment = results.find_base(each["dataset"])
            colours = Counter(row["colour"] for row in each["claims"] if row["colour"] != "not measured")
            found = {f"claims/{colour}": float(count) for colour, count in colours.items()}
            if experiment is not None:
                found |= measure_variant(experiment)
                sentences.append(f"{describe_errors(experiment)} {list_verdicts(colours)}".strip())
            prefix = f"{each['dataset']}/" if len(claims) > 1 else ""
            metrics |= {f"{prefix}{name}": value for name, value in found.items()}
        return Summaries(" ".join(sentences), metrics, [partial(compose_variant, each) for each in variants])
    except (RecordError, FileNotFoundError, KeyError) as error:
        warn(f"the summaries of {folder} are left out: {error}")
        return Summaries()


def compose_variant(experiment: ExperimentResults, ids: TrackingIds) -> Content:
    """The run that stands for all seeds of a variant."""
    dataset, key = experiment.dataset, experiment.key
    record = experiment.nets[0].training
    shared = {"configuration": ids.name, "dataset": dataset, "variant": key}
    tags = {"kind": "variant", **shared, "seed": "all", "recipe": record["recipe"], **describe_record(record)}
    compared = comparison_address(ids.experiment_id, kind="net", **shared)
    tags[NOTE_TAG] = f"{describe_errors(experiment)}\n\n[Learning curves and errors of its seeds]({compared})"
    when = written_ms(*(net.folder / f"{split}.json" for net in experiment.nets for split in experiment.splits))
    store_key = f"variant:{ids.name}:{dataset}:{key}"
    return Content(store_key, f"{key}, all seeds", when, when, tags, results=measure_variant(experiment))


def measure_variant(experiment: ExperimentResults) -> dict[str, float]:
    """Mean errors over seeds, by the names of a net's errors, with 95 % intervals for ten crops; seed counts."""
    found = {
        "seeds": float(len(experiment.seeds)),
        "seeds_learned": float(sum(net.learned is not False for net in experiment.nets)),
    }
    for split, crops, k in product(experiment.splits, CROPS, (1, 5)):
        each, name = estimate(experiment, split, k, crops), f"{split}/{crops}/top{k}_error"
        ends = {f"{name}_low": each.low, f"{name}_high": each.high} if crops == "ten_crop" else {}
        found |= {key: round(value, 6) for key, value in ({name: each.value} | ends).items()}
    return found


def describe_errors(experiment: ExperimentResults) -> str:
    """ "cnn on cifar10 errs on 24.1 % [23.5, 24.7] of the test images...." """
    split = experiment.splits[-1]
    error = error_cell(estimate(experiment, split, 1, "ten_crop"))
    learned = sum(net.learned is not False for net in experiment.nets)
    return (
        f"{experiment.key} on {name_dataset(experiment)} errs on {error} of the {split} images (top-1, ten crops, "
        f"{count_seeds(experiment.seeds)}, of which {learned} learned)."
    )


def list_verdicts(colours: Counter[str]) -> str:
    """ "Claims measured: 8 supported, 4 inconclusive." """
    counts = ", ".join(f"{count} {colour}" for colour, count in colours.most_common())
    return f"Claims measured: {counts}." if counts else ""
