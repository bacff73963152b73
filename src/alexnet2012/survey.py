"""The datasets and jobs of a configuration, each once, with what is done already and what is left."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alexnet2012.config.datasets import KINDS_AS_THEY_ARE, TINY_IMAGENET, DatasetConfig
from alexnet2012.config.nets import FisherConfig, SparseConfig
from alexnet2012.config.plan import EnsembleRun, Plan, make_plan
from alexnet2012.config.schedules import warn_of_few_steps
from alexnet2012.config.schema import RunConfig
from alexnet2012.config.validate import read_yaml
from alexnet2012.data.expected import expect_images
from alexnet2012.data.packed import SPLITS, open_packed
from alexnet2012.data.sources.rotations import ORIENTATIONS
from alexnet2012.data.storage import bytes_per_image
from alexnet2012.evaluation.metrics import are_kept
from alexnet2012.model.geometry import describe
from alexnet2012.preflight import is_other, is_packed, list_missing, settings_file

Values = dict[str, Any]  # a part of what `plan --json` prints; keys carry their units

CROPS, LABEL_BYTES = 10, 8
STEP_PASSES = 3  # forward passes of an image in the time of its training step
ANALYSED, ANALYSED_IMAGES = "cnn", 150_000  # the variant whose features are analysed, and the number of images for that
# Seconds on one core of an AMD EPYC for: an image packed without decoding; decoding an image of 64 x 64, and one of
# 500 x 375; coding a patch (9 to 22 microseconds); fitting, per number of an image's code, class and epoch.
COPIED_S, DECODED_TINY_S, DECODED_S, PATCH_S, FITTED_S = 1e-4, 3e-4, 3.5e-3, 14e-6, 1e-9
LEARNING_STEPS = 15  # learning a codebook takes as long as coding its descriptors this many times


@dataclass(frozen=True)
class Job:
    """`count` equal jobs, of which `done` are finished. `entry`: their entry in the JSON of `plan`.

    The unfinished ones together need `passes` (forward passes of single images through the net of `run`), `seconds`,
    and `core_s` (seconds of one core, shared by all cores). Of each job: `output_bytes`, size of its output on disk;
    `cores`, 0 for all; `cards`, GPUs if any are used."""

    kind: str
    entry: Values
    run: RunConfig | None = None
    count: int = 1
    done: int = 0
    passes: float = 0.0
    seconds: float = 0.0
    core_s: float = 0.0
    output_bytes: int = 0
    cores: int = 0
    cards: int = 1

    @property
    def left(self) -> int:
        return self.count - self.done


@dataclass(frozen=True)
class Work:
    """The datasets and jobs of a configuration; `missing`: a sentence for each missing source file."""

    plan: Plan
    datasets: dict[str, Values]
    jobs: list[Job]
    missing: list[str]

    def of_kind(self, *kinds: str) -> list[Job]:
        return [job for job in self.jobs if job.kind in kinds]

    def nets(self, *kinds: str) -> list[tuple[Job, RunConfig]]:
        """The jobs of these kinds that have a run, each with its run."""
        return [(job, job.run) for job in self.of_kind(*kinds) if job.run is not None]

    @property
    def done(self) -> bool:
        tables = Path("results", self.plan.config.name, "tables", "claims.md")
        return tables.is_file() and not any(job.left for job in self.jobs if job.kind != "prepare")


def survey(configfile: Path, variants: Path, data_folder: Path, targets: Collection[str] = ()) -> Work:
    """The work of `snakemake` or `snakemake TARGET...` ("claims", "full") in the working directory.

    Outputs that exist there count as done. Raises ConfigError as the workflow does, and DataError for images that
    cannot be packed.
    """
    plan = make_plan(read_yaml(configfile), str(configfile), variants, targets)
    datasets = {name: describe_dataset(name, plan.config.datasets[name], data_folder) for name in plan.datasets}
    jobs = [prepare_job(each, data_folder) for each in datasets.values()]
    groups: dict[Path, list[RunConfig]] = defaultdict(list)
    for run in plan.trainings:  # a variant may be trained in two ways: for evaluation, and as a pre-training
        groups[run.folder.parent].append(run)
    for runs in groups.values():
        dataset = datasets[runs[0].dataset_name]
        if runs[0].is_baseline:
            jobs += [baseline_job(run, dataset) for run in runs]
        else:
            jobs += [train_job(runs, dataset), *evaluation_jobs([run for run in runs if run in plan.runs], dataset)]
    jobs += [average_job(each, split, datasets[each.dataset_name]) for each in plan.ensembles for split in each.splits]
    return Work(plan, datasets, jobs, list_missing(plan.config, str(configfile), data_folder, plan.datasets))


def describe_dataset(name: str, config: DatasetConfig, data_folder: Path) -> Values:
    """A dataset's entry: with counted images if it is packed, else with expected ones. `packed_otherwise`: packed with
    other settings or images. `image_bytes`: stored bytes of one image without its label (raw: 256 x 256 x 3)."""
    there, other = is_packed(name, data_folder), is_other(config, settings_file(name, data_folder))
    if there and not other:
        packed = open_packed(data_folder / name)
        counts: Values = {"images": packed.counts, "classes": len(packed.classes), "origin": "its manifest"}
        counts |= {"exact": True, "at_most": False}
    elif config.source is not None:
        counts = describe_dataset(str(config.of), config.source, data_folder)
        counts["images"] = {split: ORIENTATIONS * count for split, count in counts["images"].items()}
        counts |= {"classes": ORIENTATIONS * counts["classes"], "origin": f"{config.of} in {ORIENTATIONS} orientations"}
    else:
        counts = expect_images(config)
    counts["images"] = {split: counts["images"].get(split, 0) for split in SPLITS}
    state = {"packed": there and not other, "packed_otherwise": there and other}
    stored = {"storage": config.storage, "image_bytes": round(bytes_per_image(config)) - LABEL_BYTES}
    names = {"name": name, "kind": config.kind, "evaluated_splits": config.evaluated_splits}
    return {**counts, **names, **state, **stored}


def packed_bytes(dataset: Values) -> int:
    """Bytes of all images and labels of a packed dataset."""
    return int(sum(dataset["images"].values()) * (dataset["image_bytes"] + LABEL_BYTES))


def prepare_job(dataset: Values, data_folder: Path) -> Job:
    """The packing of a dataset. All cores decode photographs (and encode them, for JPEG storage); other images are
    copied by one core. What an interrupted packing has written is subtracted from `output_bytes`."""
    begun = (data_folder / f".{dataset['name']}.partial").rglob("*")
    missing_bytes = packed_bytes(dataset) - sum(path.stat().st_blocks * 512 for path in begun if path.is_file())
    images, size, done = sum(dataset["images"].values()), max(0, missing_bytes), int(dataset["packed"])
    if dataset["kind"] in KINDS_AS_THEY_ARE:
        return Job("prepare", dataset, done=done, seconds=images * COPIED_S, output_bytes=size)
    image_s = DECODED_TINY_S if dataset["kind"] == TINY_IMAGENET else DECODED_S
    core_s = images * image_s * (2 if dataset["storage"] == "jpeg" else 1)
    return Job("prepare", dataset, done=done, core_s=core_s, output_bytes=size)


def train_job(runs: Sequence[RunConfig], dataset: Values) -> Job:
    """The trainings of one variant, which differ in their seeds; each is counted to its schedule's last epoch."""
    first, training, epochs = runs[0], runs[0].training, runs[0].training.schedule.max_epochs
    train, classes = dataset["images"]["train"], dataset["classes"]
    if training.schedule_split == "minival":  # held out from every class
        train = max(0, train - classes * max(1, round(training.minival_fraction * train / classes)))
    per_epoch = train // training.batch_size  # without the last, partial batch: 1,281,167 / 128 -> 10,009
    steps, images = per_epoch * epochs, per_epoch * training.batch_size
    pending = [run for run in runs if not is_trained(run)]
    left = sum(max(0, steps - count_steps_done(run)) for run in pending)
    few = warn_of_few_steps(per_epoch, epochs) if train and not first.is_trial else ""
    parameters = describe(first.architecture, classes)["parameters"]
    entry: Values = {"dataset": first.dataset_name, "variant": first.variant, "parameters": parameters}
    entry |= {"seeds": [run.seed for run in runs], "seeds_done": [run.seed for run in runs if run not in pending]}
    entry |= {"epochs": epochs, "epochs_at_most": training.schedule.kind != "fixed", "few_steps": few}
    entry |= {"images_per_epoch": images, "images_in_all": images * epochs * len(runs)}
    entry |= {"steps_per_epoch": per_epoch, "steps_each": steps, "steps_left": left}
    measured = min(training.measured_train_images, train) + dataset["images"]["val"]  # after each epoch
    passes = left * (STEP_PASSES * training.batch_size + measured / max(1, per_epoch))
    return Job(
        "train",
        entry,
        first,
        count=len(runs),
        done=len(runs) - len(pending),
        passes=passes,
        output_bytes=4 * parameters,
        cores=first.training_threads,
        cards=first.runtime.gpus_per_training,
    )


def evaluation_jobs(runs: Sequence[RunConfig], dataset: Values) -> Iterator[Job]:
    """The predictions of one variant's nets, and for the base variant the analysis of its features."""
    if not runs:
        return
    threads, splits = runs[0].training.torch_threads, runs[0].splits
    images, done = sum(dataset["images"][split] for split in splits), sum(map(is_evaluated, runs))
    entry: Values = {"dataset": runs[0].dataset_name, "variant": runs[0].variant, "splits": list(splits)}
    entry |= {"seeds": [run.seed for run in runs], "nets": len(runs), "nets_done": done}
    entry |= {"images": images, "crops": CROPS}
    passes = CROPS * images * (len(runs) - done)
    size = sum(prediction_bytes(dataset["images"][split], dataset) for split in splits)
    yield Job("predict", entry, runs[0], len(runs), done, passes, output_bytes=size, cores=threads)
    if runs[0].variant == ANALYSED:
        passes = min(dataset["images"]["train"], ANALYSED_IMAGES) * (len(runs) - done)
        yield Job("analyse", {}, runs[0], len(runs), done, passes, cores=threads)


def average_job(mean: EnsembleRun, split: str, dataset: Values) -> Job:
    """The averaging of an ensemble's predictions on a split."""
    done = (mean.predictions / f"{split}.json").is_file() and all(map(is_evaluated, mean.members))
    images = dataset["images"][split]
    entry: Values = {"dataset": mean.dataset_name, "name": mean.name, "split": split}
    entry |= {"images": images, "members": len(mean.members), "done": done}
    return Job("average", entry, done=int(done), output_bytes=prediction_bytes(images, dataset), cores=1)


def baseline_job(run: RunConfig, dataset: Values) -> Job:
    """A baseline: one core learns codebooks, all cores code images and fit classifiers. `codes_bytes`: the codes of all
    training images, on disk while a model is learnt. `encode_s` (per image), `descriptor_s` (per descriptor): seconds
    of one core for all models together."""
    config, images = run.net, dataset["images"]
    assert isinstance(config, FisherConfig | SparseConfig)
    codes = config.gaussians * config.dimensions if isinstance(config, FisherConfig) else config.atoms
    numbers = sum(level**2 for level in config.pyramid) * 2 * codes  # in the code of one image by one model
    grids = [(run.dataset.size_px * model.enlarged, grid) for model in config.models for grid in model.grids]
    encode_s = PATCH_S * sum(((side - grid.side_px) // grid.step_px + 1) ** 2 for side, grid in grids)
    descriptor_s, passes = PATCH_S * len(config.models), config.linear.epochs
    codes_bytes = round(numbers * images["train"] * (2 if config.stored == "float16" else 1 / 8))
    splits = list_unpredicted(run)
    entry: Values = {"dataset": run.dataset_name, "variant": run.variant, "seed": run.seed, "done": not splits}
    entry |= {"models": len(config.models), "dimensions": numbers * len(config.models), "passes": passes}
    entry |= {"codes_bytes": codes_bytes, "encode_s": encode_s, "descriptor_s": descriptor_s}
    job = Job("baselines", entry, run, done=int(not splits), core_s=encode_s * sum(images[each] for each in splits))
    if is_trained(run):
        return job
    learning_s = encode_s * min(config.sampled_images, images["train"])
    learning_s += descriptor_s * LEARNING_STEPS * config.sampled_descriptors
    fitting_s = FITTED_S * images["train"] * entry["dimensions"] * passes * dataset["classes"]
    core_s = job.core_s + encode_s * images["train"] + fitting_s
    return replace(job, seconds=learning_s, core_s=core_s, output_bytes=codes_bytes)


def prediction_bytes(images: int, dataset: Values) -> int:
    """Bytes of the predictions on a split: float32 probabilities for ten crops and for the centre (50,000 x 1,000 x 4 x
    2 = 400 MB), or only uint16 ranks if those would be too many."""
    return 2 * images * (4 * dataset["classes"] if are_kept(images, dataset["classes"]) else 2)


def is_trained(run: RunConfig) -> bool:
    return all((run.folder / name).is_file() for name in ("record.json", "model.safetensors"))


def is_evaluated(run: RunConfig) -> bool:
    return not list_unpredicted(run)


def list_unpredicted(run: RunConfig) -> list[str]:
    """The splits that a net or baseline has yet to predict; all of them while it is not trained."""
    trained = is_trained(run)
    return [split for split in run.splits if not (trained and (run.predictions / f"{split}.json").is_file())]


def count_steps_done(run: RunConfig) -> int:
    """The number of training steps done at the run's last checkpoint; 0 without one."""
    return max((int(each.stem.rpartition("-")[2]) for each in run.folder.glob("state/checkpoint-*.pt")), default=0)
