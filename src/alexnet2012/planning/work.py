"""What a configuration will run: its trainings, evaluations and averages, and which of them are already done."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.plan import Plan
from alexnet2012.config.schedules import warn_of_few_steps
from alexnet2012.config.schema import RunConfig
from alexnet2012.evaluation.metrics import CROPS, are_kept
from alexnet2012.model.geometry import describe
from alexnet2012.planning.baselines import BaselineWork, list_baselines
from alexnet2012.planning.counts import ImageCounts, count_images

RANK_BYTES = 2


@dataclass(frozen=True)
class DatasetWork:
    """One dataset: how many images it has, and whether it is packed already."""

    name: str
    config: DatasetConfig
    counts: ImageCounts

    @property
    def images(self) -> int:
        return sum(self.counts.images.values())


@dataclass(frozen=True)
class TrainingWork:
    """One training; a plateau schedule's numbers are those of its last possible epoch.

    `steps_kept`: the steps that its newest checkpoint holds. The steps of an epoch leave out the last partial batch.
    """

    run: RunConfig
    dataset: DatasetWork
    done: bool
    steps_kept: int

    @property
    def name(self) -> str:
        return training_name(self.run)

    @cached_property
    def minival_images(self) -> int:
        """Held out of the training images, class by class."""
        training, counts = self.run.training, self.dataset.counts
        if training.schedule_split != "minival" or not counts.classes:
            return 0
        per_class = counts.images["train"] / counts.classes
        return min(counts.images["train"], max(1, round(training.minival_fraction * per_class)) * counts.classes)

    @property
    def images(self) -> int:
        return self.dataset.counts.images["train"] - self.minival_images

    @property
    def steps_per_epoch(self) -> int:
        """1,281,167 / 128 -> 10,009 steps."""
        return self.images // self.run.training.batch_size

    @property
    def epochs(self) -> int:
        return self.run.training.schedule.max_epochs

    @property
    def at_most(self) -> bool:
        return self.run.training.schedule.kind != "fixed"

    @property
    def steps(self) -> int:
        return self.steps_per_epoch * self.epochs

    @property
    def few_steps(self) -> str:
        """A warning where they are too few to learn from; none where the images are not known."""
        if self.run.is_trial or not self.images:
            return ""
        return warn_of_few_steps(self.steps_per_epoch, self.epochs)

    @property
    def steps_left(self) -> int:
        return 0 if self.done else self.steps - min(self.steps, self.steps_kept)

    @property
    def images_per_epoch(self) -> int:
        return self.steps_per_epoch * self.run.training.batch_size

    @property
    def measured_per_epoch(self) -> int:
        """Images of which each epoch measures the centre crop: a sample of train, val, and minival."""
        sample = min(self.run.training.measured_train_images, self.images)
        return sample + self.dataset.counts.images["val"] + self.minival_images

    @cached_property
    def parameters(self) -> int:
        return describe(self.run.net, max(1, self.dataset.counts.classes))["parameters"]

    @cached_property
    def multiply_adds(self) -> int:
        """Of one image's forward pass."""
        return describe(self.run.net, max(1, self.dataset.counts.classes))["multiply_adds"]


@dataclass(frozen=True)
class PredictionWork:
    """The ten crops of one split by one net (`training`), or the average of several nets' (`members`, by name).

    `net`: the variant's or the ensemble's name.
    """

    name: str
    net: str
    split: str
    dataset: DatasetWork
    done: bool
    training: TrainingWork | None = None
    members: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        return self.dataset.counts.images[self.split]

    @property
    def bytes(self) -> int:
        """float32 probabilities of the ten crops and of the centre: 50,000 x 1,000 x 4 x 2 = 400 MB; ranks alone where
        those would be too many."""
        classes = self.dataset.counts.classes
        each = 4 * classes if are_kept(self.images, classes) else RANK_BYTES
        return self.images * each * len(CROPS)


@dataclass(frozen=True)
class Work:
    """Everything of a configuration, each once, in its order; `missing`: a sentence for each file that it lacks."""

    plan: Plan
    datasets: tuple[DatasetWork, ...]
    trainings: tuple[TrainingWork, ...]
    predictions: tuple[PredictionWork, ...]
    averages: tuple[PredictionWork, ...]
    tables_done: bool
    missing: tuple[str, ...] = ()
    baselines: tuple[BaselineWork, ...] = ()

    @property
    def pending(self) -> tuple[TrainingWork, ...]:
        return tuple(training for training in self.trainings if not training.done)


def list_work(plan: Plan, data_folder: Path) -> Work:
    """What `plan` will do in the working directory; outputs that exist there count as done."""
    datasets = {
        name: DatasetWork(name, plan.config.datasets[name], count_images(name, plan.config.datasets[name], data_folder))
        for name in plan.datasets
    }
    trainings = tuple(
        TrainingWork(run, datasets[run.dataset_name], is_trained(run.folder), count_kept_steps(run.folder))
        for run in plan.trainings
        if not run.is_baseline
    )
    predictions, evaluated = [], {run.folder for run in plan.runs}
    for each in (each for each in trainings if each.run.folder in evaluated):
        for split in each.dataset.config.evaluated_splits:
            predictions.append(
                PredictionWork(
                    prediction_name(each.run, split),
                    each.run.variant,
                    split,
                    each.dataset,
                    each.done and is_predicted(each.run.predictions, split),
                    training=each,
                )
            )
    finished = {each.name for each in predictions if each.done}
    averages = []
    for ensemble in plan.ensembles:
        dataset = datasets[ensemble.dataset_name]
        for split in dataset.config.evaluated_splits:
            members = tuple(prediction_name(run, split) for run in ensemble.members)
            done = finished.issuperset(members) and is_predicted(ensemble.predictions, split)
            name = f"average {ensemble.dataset_name} {ensemble.name} {split}"
            averages.append(PredictionWork(name, ensemble.name, split, dataset, done, members=members))
    tables = Path("results", plan.config.name, "tables", "claims.md").is_file()
    baselines = list_baselines(plan.runs, {name: dataset.counts for name, dataset in datasets.items()})
    everything = all(each.done for each in (*trainings, *predictions, *averages, *baselines))
    return Work(
        plan,
        tuple(datasets.values()),
        trainings,
        tuple(predictions),
        tuple(averages),
        tables and everything,
        baselines=baselines,
    )


def training_name(run: RunConfig) -> str:
    return f"train {run.dataset_name} {run.variant} seed{run.seed}"


def prediction_name(run: RunConfig, split: str) -> str:
    return f"predict {run.dataset_name} {run.variant} seed{run.seed} {split}"


def is_trained(folder: Path) -> bool:
    return all((folder / name).is_file() for name in ("record.json", "model.safetensors"))


def is_predicted(folder: Path, split: str) -> bool:
    return all((folder / f"{split}{end}").is_file() for end in (".json", *(f"-{each}.npy" for each in CROPS)))


def count_kept_steps(folder: Path) -> int:
    """Steps of the newest checkpoint, from its name; 0 where there is none."""
    return max((int(path.stem.rpartition("-")[2]) for path in folder.glob("state/checkpoint-*.pt")), default=0)
