"""What stands under every table: data, recipe, commit, machine, versions, time, seeds."""

import json
from collections.abc import Iterable
from typing import Any

from alexnet2012.config.schedules import warn_of_few_steps
from alexnet2012.reporting.format import Bullets, Details, list_ranges
from alexnet2012.reporting.results import ExperimentResults, Results, members


def describe_origin(experiments: Iterable[ExperimentResults], **more: str) -> Details:
    """What made the experiments, and `more` by the word for it; where records differ, every value is named."""
    origin = {**list_origin(experiments), **more}
    return Details("Provenance", [Bullets([f"{key}: {value}" for key, value in origin.items() if value])])


def list_origin(experiments: Iterable[ExperimentResults]) -> dict[str, str]:
    """What made the experiments, each with its word; what is empty is left out."""
    experiments = list(experiments)
    nets = [net for experiment in experiments for net in experiment.nets]
    trainings = unique_by_run([net.training for net in nets if net.training])
    predictions = [record for net in nets for record in net.predictions.values()]
    records = trainings + predictions
    provenances = [record["provenance"] for record in records]
    datasets = {
        f"{record['dataset']['name']}{name_part(record)}, digest `{record['dataset']['digest'][:16]}`, "
        + " / ".join(f"{count:,} {split}" for split, count in record["dataset"]["counts"].items())
        for record in records
    }
    dates = sorted(each["date"][:10] for each in provenances)
    lines = {
        "dataset": join_sorted(datasets),
        "recipe": join_sorted({record["recipe"] for record in trainings}),
        "schedule": join_sorted({describe_schedule(json.loads(record["schedule"])) for record in trainings}),
        "commit": join_sorted({describe_commit(each) for each in provenances}),
        # Records older than the key have none.
        "source": join_sorted(
            {f"sha256 `{each['source_sha256'][:12]}`" for each in provenances if "source_sha256" in each}
        ),
        "date": " to ".join(dict.fromkeys((dates[0], dates[-1]))),
        "hardware": join_sorted({each["hardware"] for each in provenances}),
        "software": join_sorted(
            {
                f"torch {each['torch']}, torchvision {each['torchvision']}, Python {each['python']}"
                for each in provenances
            }
        ),
        "torch threads": join_sorted({str(each["torch_threads"]) for each in provenances}),
        "wall time": f"training {minutes(trainings)}, evaluation {minutes(predictions)}, summed over jobs",
        "settings that are not the paper's": join_sorted({key for each in experiments for key in each.departures}),
        "seeds": "; ".join(f"{each.key} {list_ranges(each.seeds)}" for each in experiments if each.seeds),
    }
    return {key: value for key, value in lines.items() if value}


def describe_calibration(record: dict[str, Any]) -> str:
    """A sentence that says what the calibrating net is known to get wrong, and what made its row."""
    known = " / ".join(f"{100 * record['known'][k]:.1f} %" for k in ("top1", "top5"))
    made_by = record["provenance"]
    return (
        f"{record['net']} is known to err on {known} of these images; its row shows that the data are as they should "
        f"be (weights sha256 `{record['weights_sha256'][:16]}`, commit {describe_commit(made_by)}, "
        f"{made_by['date'][:10]}, {made_by['hardware']})."
    )


def describe_few_steps(results: Results, experiments: Iterable[ExperimentResults]) -> str:
    """The variants behind the experiments, members of averages too, of which a training was too short to learn much,
    with the steps of the shortest; variants of as many steps in one line, empty where there is none."""
    trainings = [net.training for each in experiments for net in members(results, each) if net.training]
    warnings: dict[str, str] = {}
    for record in sorted(trainings, key=lambda record: -(record.get("steps") or 0)):  # the shortest is the last word
        if sentence := warn_of_record(record):
            warnings[record["variant"]] = sentence
    alike = {sentence: [key for key in warnings if warnings[key] == sentence] for sentence in warnings.values()}
    return "\n".join(f"**{', '.join(keys)}**: {sentence}." for sentence, keys in alike.items())


def warn_of_record(record: dict[str, Any]) -> str:
    """The warning for a finished training; none for a baseline, nor where a target ended it, which it has learned."""
    if not record.get("steps") or record.get("target", {}).get("epochs"):
        return ""
    return warn_of_few_steps(record["steps"] // record["epochs"], record["epochs"])


def describe_commit(provenance: dict[str, Any]) -> str:
    return f"`{provenance['commit'][:12]}`{' (dirty: tracked files were changed)' if provenance['dirty'] else ''}"


def name_part(record: dict[str, Any]) -> str:
    part = record["dataset"].get("part")  # records older than the key are of whole datasets
    return f" ({part})" if part else ""


def describe_schedule(schedule: dict[str, Any]) -> str:
    if schedule["kind"] == "fixed":
        epochs = " + ".join(str(each) for each in schedule["epochs"])
        return f"fixed, {epochs} epochs, the learning rate divided by 10 in between"
    if schedule["kind"] == "target":
        target, most = schedule["train_error"], schedule["max_epochs"]
        return f"one learning rate until {100 * target:.0f} % training error, at most {most} epochs"
    if schedule["kind"] == "logged":  # as the source's log has it; the rates themselves stand in the run's config.yaml
        after = ", ".join(str(change["after"]) for change in schedule["changes"])
        return f"logged, {schedule['max_epochs']} epochs, rates set after {after} epochs"
    if schedule["kind"] == "passes":
        return f"{schedule['epochs']} passes"
    return ", ".join([schedule["kind"], *(f"{key} {value}" for key, value in schedule.items() if key != "kind")])


def unique_by_run(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({(record["dataset"]["name"], record["variant"], record["seed"]): record for record in records}.values())


def minutes(records: list[dict[str, Any]]) -> str:
    return f"{sum(record.get('wall_time_s', 0) for record in records) / 60:.1f} min"


def join_sorted(values: set[str]) -> str:
    return "; ".join(sorted(values))
