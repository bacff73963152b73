"""What a configuration will run and the disk it needs, as plain data; nothing here is measured."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from alexnet2012.planning.disk import measure_disk, packed_bytes, stored_image_bytes
from alexnet2012.planning.machine import Machine
from alexnet2012.planning.work import DatasetWork, PredictionWork, TrainingWork, Work

CROPS = 10


def describe_work(work: Work, machine: Machine, data_folder: Path) -> dict[str, Any]:
    """Everything that needs no measuring; keys carry their units."""
    at_once = machine.most_at_once(work.pending)
    disk = measure_disk(work, data_folder, at_once)
    packed = sum(packed_bytes(dataset) for dataset in work.datasets)
    return {
        "name": work.plan.config.name,
        "machine": {**asdict(machine), "simultaneous_trainings": at_once},
        "datasets": [describe_dataset(each) for each in work.datasets],
        "missing": list(work.missing),
        "trainings": describe_trainings(work),
        "evaluations": describe_evaluations(work),
        "averages": [
            {
                "dataset": each.dataset.name,
                "name": each.net,
                "split": each.split,
                "images": each.images,
                "members": len(each.members),
                "done": each.done,
            }
            for each in work.averages
        ],
        "baselines": [
            {
                "dataset": each.run.dataset_name,
                "variant": each.run.variant,
                "seed": each.run.seed,
                "models": len(each.run.net.models),
                "dimensions": sum(each.dimensions),
                "passes": each.run.net.linear.epochs,
                "codes_bytes": each.codes_bytes,
                "done": each.done,
            }
            for each in work.baselines
        ],
        "totals": {
            "trainings": len(work.trainings),
            "trainings_done": len(work.trainings) - len(work.pending),
            "training_steps": sum(each.steps for each in work.trainings),
            "training_steps_left": sum(each.steps_left for each in work.trainings),
            "training_images": sum(each.steps * each.run.training.batch_size for each in work.trainings),
            "evaluations": len(work.predictions),
            "evaluations_done": sum(each.done for each in work.predictions),
            "averages": len(work.averages),
            "averages_done": sum(each.done for each in work.averages),
            "tables_done": work.tables_done,
        },
        "disk": {
            **asdict(disk),
            "file_systems": [{**asdict(each), "fits": each.fits} for each in disk.file_systems],
            "fits": disk.fits,
        },
        "memory": {
            "memory_bytes": machine.memory_bytes,
            "packed_bytes": packed,
            "packed_fits": packed <= machine.memory_bytes,
        },
    }


def describe_dataset(dataset: DatasetWork) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "kind": dataset.config.kind,
        "images": dataset.counts.images,
        "classes": dataset.counts.classes,
        "origin": dataset.counts.origin,
        "exact": dataset.counts.exact,
        "at_most": dataset.counts.at_most,
        "packed": dataset.counts.packed,
        "packed_otherwise": dataset.counts.packed_otherwise,
        "evaluated_splits": list(dataset.config.evaluated_splits),
        "storage": dataset.config.storage,
        "image_bytes": stored_image_bytes(dataset.config),
    }


def describe_trainings(work: Work) -> list[dict[str, Any]]:
    """By dataset and variant."""
    groups: dict[tuple, list[TrainingWork]] = {}
    for each in work.trainings:
        groups.setdefault((each.run.dataset_name, each.run.variant), []).append(each)
    return [
        {
            "dataset": dataset,
            "variant": variant,
            "seeds": [each.run.seed for each in group],
            "seeds_done": [each.run.seed for each in group if each.done],
            "epochs": group[0].epochs,
            "epochs_at_most": group[0].at_most,
            "images_per_epoch": group[0].images_per_epoch,
            "steps_per_epoch": group[0].steps_per_epoch,
            "steps_each": group[0].steps,
            "few_steps": group[0].few_steps,
            "steps_left": sum(each.steps_left for each in group),
            "images_in_all": group[0].images_per_epoch * group[0].epochs * len(group),
            "parameters": group[0].parameters,
        }
        for (dataset, variant), group in groups.items()
    ]


def describe_evaluations(work: Work) -> list[dict[str, Any]]:
    """By dataset, variant and split."""
    groups: dict[tuple, list[PredictionWork]] = {}
    for each in work.predictions:
        groups.setdefault((each.dataset.name, each.net, each.split), []).append(each)
    return [
        {
            "dataset": dataset,
            "variant": variant,
            "split": split,
            "nets": len(group),
            "nets_done": sum(each.done for each in group),
            "images": group[0].images,
            "crops": CROPS,
        }
        for (dataset, variant, split), group in groups.items()
    ]
