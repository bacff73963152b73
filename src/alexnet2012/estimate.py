"""What a configuration will run, the disk that it needs, and about how long it takes: `alexnet2012 plan`.

Each distinct net trains and evaluates for a second on random images (timing.py). What takes all cores is done by
itself; the rest takes the longer of its longest chain and of its total over the slots of the machine.
"""

import json
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from alexnet2012.config.datasets import (
    DOWNSAMPLED,
    EDITIONS,
    KINDS_AS_THEY_ARE,
    TINY_IMAGENET,
    DatasetConfig,
)
from alexnet2012.config.nets import BaselineConfig, FisherConfig
from alexnet2012.config.plan import EnsembleRun, Plan, make_plan
from alexnet2012.config.schedules import warn_of_few_steps
from alexnet2012.config.schema import RunConfig
from alexnet2012.config.validate import read_yaml
from alexnet2012.cpu import KEEP_LARGE_BUFFERS, MEMBERSHIP, MOUNT, count_usable_cores, list_control_groups
from alexnet2012.data.decode import IMAGE_FORMATS
from alexnet2012.data.packed import SPLITS
from alexnet2012.data.sources import layouts
from alexnet2012.data.sources.class_list import read_class_list
from alexnet2012.data.sources.downsampled_imagenet import EXPECTED as DOWNSAMPLED_IMAGENET
from alexnet2012.data.sources.downsampled_imagenet import count_downsampled_imagenet
from alexnet2012.data.sources.draw import share_of
from alexnet2012.data.sources.rotations import ORIENTATIONS
from alexnet2012.data.sources.tiny_imagenet import EXPECTED as TINY
from alexnet2012.data.sources.tiny_imagenet import count_tiny_imagenet
from alexnet2012.data.sources.verify import ILSVRC2010, ILSVRC2012
from alexnet2012.data.space import bytes_per_image
from alexnet2012.errors import PlanError
from alexnet2012.evaluation.metrics import CROPS, are_kept
from alexnet2012.files import in_bytes
from alexnet2012.gpus import list_cards, say
from alexnet2012.model.geometry import describe
from alexnet2012.preflight import list_missing
from alexnet2012.provenance import describe_hardware

# CIFAR-10 with 500 images a class drawn for val, downsampled ImageNet with 50; the editions as they are published.
KNOWN = {
    "cifar10": ({"train": 45_000, "val": 5_000, "test": 10_000}, 10),
    DOWNSAMPLED: (count_downsampled_imagenet(), DOWNSAMPLED_IMAGENET.classes),
    "ilsvrc2010": (ILSVRC2010.counts, ILSVRC2010.classes),
    "ilsvrc2012": (ILSVRC2012.counts, ILSVRC2012.classes),
}
# §6: Fall 2009 has 8.9 million images of 10,184 categories; the whole of Fall 2011, 15 million of 22 thousand.
RELEASES = {"fall2009": (8_900_000, 10_184), "fall2011": (15_000_000, 22_000)}
UNKNOWN_CLASSES = 1000
LABEL_BYTES, NUMBER_BYTES, RANK_BYTES = 8, 4, 2
CHECKPOINT_NUMBERS = 3 * 2  # two checkpoints are kept while a third is written; each holds weights and velocity
TEN = 10  # crops
START_FACTOR = 2.0  # a job imports torch, which is measured, opens the tracking store and writes its records
AFTERWARDS = 6  # jobs one after another: tables, figures, cards, report, publishing, showing
ANALYSED, ANALYSED_IMAGES = "cnn", 150_000  # the variant whose features are looked at, and on how many images
# One core, for an image that is packed as it is, for a photograph of 500 x 375, and for one of 64 x 64.
COPIED_S, DECODED_S, DECODED_TINY_S = 1e-4, 3.5e-3, 3e-4
# A mixture converges after about 60 steps, each of which takes a quarter of what encoding its descriptors would;
# learning atoms takes about as long.
LEARNING_STEPS = 15
FITTED_S = 1e-9  # one core, for each number of a code and each class, in one pass
MOST_PROCESSES = 8  # each takes as much memory as a training
BUDGET_S = 35.0  # nets that come later are scaled from one that was measured
SILENCE_S = 5.0
BUSY_CORES = 0.5  # the load of the last minute from which a note is due


@dataclass(frozen=True)
class PlannedDataset:
    """As the JSON has it. `origin` says in words where the numbers come from; `exact` is False for what was drawn, is
    only known roughly, or may be less (`at_most`). `packed`: counted by its manifest; `packed_otherwise`: there is a
    manifest, of other settings or images. `image_bytes`: without the label, 256 x 256 x 3 = 196,608 raw."""

    name: str
    kind: str
    images: dict[str, int]
    classes: int
    origin: str
    exact: bool
    at_most: bool
    packed: bool
    packed_otherwise: bool
    evaluated_splits: tuple[str, ...]
    storage: str
    image_bytes: int

    @property
    def bytes(self) -> int:
        return sum(self.images.values()) * (self.image_bytes + LABEL_BYTES)

    def prediction_bytes(self, split: str) -> int:
        """float32 probabilities of the ten crops and of the centre: 50,000 x 1,000 x 4 x 2 = 400 MB; ranks alone where
        those would be too many."""
        images = self.images[split]
        return images * (NUMBER_BYTES * self.classes if are_kept(images, self.classes) else RANK_BYTES) * len(CROPS)


@dataclass(frozen=True)
class PlannedNet:
    """One net to be trained; of a plateau schedule, the last possible epoch counts. `splits`: where it is evaluated, in
    `unpredicted` of them still to be. `measured_images`: of which each epoch measures the centre crop.
    `multiply_adds`: of one image's forward pass. `setting`: equal for nets that run at the same speed."""

    run: RunConfig
    dataset: PlannedDataset
    done: bool
    splits: tuple[str, ...]
    unpredicted: tuple[str, ...]
    steps_per_epoch: int
    epochs: int
    steps_left: int
    few_steps: str
    measured_images: int
    parameters: int
    multiply_adds: int
    setting: str

    @property
    def steps(self) -> int:
        return self.steps_per_epoch * self.epochs


@dataclass(frozen=True)
class Work:
    """All that a configuration runs, each once; `averages` as the JSON has them, `missing`: a sentence for each file
    that it lacks."""

    plan: Plan
    datasets: dict[str, PlannedDataset]
    trainings: tuple[PlannedNet, ...]
    averages: tuple[dict[str, Any], ...]
    baselines: tuple[RunConfig, ...]
    tables_done: bool
    missing: tuple[str, ...]

    @property
    def pending(self) -> list[PlannedNet]:
        return [each for each in self.trainings if not each.done]


def survey(configfile: Path, variants: Path, data_folder: Path, targets: Collection[str] = ()) -> Work:
    """What `snakemake`, or `snakemake TARGET...` ("claims", "full"), will run in the working directory; outputs that
    exist there count as done. Raises ConfigError as the workflow would."""
    plan = make_plan(read_yaml(configfile), str(configfile), variants, targets)
    datasets = {name: look_at_dataset(name, plan.config.datasets[name], data_folder) for name in plan.datasets}
    evaluated = {run.folder for run in plan.runs}
    trainings = [
        look_at_training(run, datasets[run.dataset_name], run.splits if run.folder in evaluated else ())
        for run in plan.trainings
        if not run.is_baseline
    ]
    averages = []
    for mean in plan.ensembles:
        for split in mean.splits:
            done = is_predicted(mean, split) and all(
                is_trained(run) and is_predicted(run, split) for run in mean.members
            )
            entry = {"dataset": mean.dataset_name, "name": mean.name, "split": split}
            images = datasets[mean.dataset_name].images[split]
            averages.append({**entry, "images": images, "members": len(mean.members), "done": done})
    baselines = tuple(run for run in plan.runs if run.is_baseline)
    everything = [each.done and not each.unpredicted for each in trainings] + [each["done"] for each in averages]
    everything += [is_trained(run) and not list_unjudged(run) for run in baselines]
    tables_done = all(everything) and Path("results", plan.config.name, "tables", "claims.md").is_file()
    missing = list_missing(plan.config, str(configfile), data_folder, plan.datasets)
    return Work(plan, datasets, tuple(trainings), tuple(averages), baselines, tables_done, tuple(missing))


def look_at_training(run: RunConfig, dataset: PlannedDataset, splits: tuple[str, ...]) -> PlannedNet:
    """What is left of a training, whose minival images are held out class by class, and of its net's evaluation."""
    training, runtime, train, held_out = run.training, run.runtime, dataset.images["train"], 0
    if training.schedule_split == "minival" and dataset.classes:
        per_class = max(1, round(training.minival_fraction * train / dataset.classes))
        held_out = min(train, per_class * dataset.classes)
    images, epochs, done = train - held_out, training.schedule.max_epochs, is_trained(run)
    per_epoch = images // training.batch_size  # the last partial batch is left out: 1,281,167 / 128 -> 10,009
    kept = max((int(each.stem.rpartition("-")[2]) for each in run.folder.glob("state/checkpoint-*.pt")), default=0)
    table = describe(run.architecture, max(1, dataset.classes))
    decisive = training.model_dump(include={"batch_size", "augmentation", "precision", "compile", "torch_threads"})
    stored = [dataset.storage, run.dataset.jpeg_quality, run.dataset.size_px, dataset.classes]
    return PlannedNet(
        run,
        dataset,
        done,
        splits,
        unpredicted=tuple(split for split in splits if not (done and is_predicted(run, split))),
        steps_per_epoch=per_epoch,
        epochs=epochs,
        steps_left=0 if done else max(0, per_epoch * epochs - kept),
        few_steps=warn_of_few_steps(per_epoch, epochs) if images and not run.is_trial else "",
        measured_images=min(training.measured_train_images, images) + dataset.images["val"] + held_out,
        parameters=table["parameters"],
        multiply_adds=table["multiply_adds"],
        setting=json.dumps([run.net.model_dump(), decisive, stored, runtime.evaluation_batch, runtime.device]),
    )


def is_trained(run: RunConfig) -> bool:
    return all((run.folder / name).is_file() for name in ("record.json", "model.safetensors"))


def is_predicted(each: RunConfig | EnsembleRun, split: str) -> bool:
    return all((each.predictions / f"{split}{end}").is_file() for end in (".json", *(f"-{kind}.npy" for kind in CROPS)))


def list_unjudged(run: RunConfig) -> list[str]:
    """The splits on which a baseline is still to be evaluated."""
    return [split for split in run.splits if not (is_trained(run) and (run.predictions / f"{split}.json").is_file())]


def look_at_dataset(name: str, config: DatasetConfig, data_folder: Path) -> PlannedDataset:
    """A dataset with its images, as well as they can be known before they are packed."""
    manifest, packed = read_manifest(data_folder / name, config)
    counts = manifest if packed else count_images(config, data_folder)
    flags = {"exact": True, "at_most": False, "packed": packed, "packed_otherwise": bool(manifest) and not packed}
    stored = {"storage": config.storage, "image_bytes": round(bytes_per_image(config)) - LABEL_BYTES}
    own = {"name": name, "kind": config.kind, "evaluated_splits": config.evaluated_splits, **stored}
    return PlannedDataset(**own | flags | counts)


def read_manifest(folder: Path, config: DatasetConfig) -> tuple[dict[str, Any], bool]:
    """What a packed dataset counts, and whether it was made as `config` says; nothing without a note of how."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        made_from = json.loads((folder / "preparation.json").read_text(encoding="utf-8"))["dataset"]
        images = {split: int(manifest["counts"].get(split, 0)) for split in SPLITS}
        same = DatasetConfig(**made_from).identity == config.identity
        return {"images": images, "classes": len(manifest["classes"]), "origin": "its manifest"}, same
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}, False


def count_images(config: DatasetConfig, data_folder: Path) -> dict[str, Any]:
    """`images`, `classes`, `origin` and, if need be, `exact` and `at_most`: the edition's own numbers, or those of the
    folder, none where it is not there. Raises DataError for a class list that cannot be read."""
    if config.source is not None:
        whole = look_at_dataset(str(config.of), config.source, data_folder)
        images = {split: ORIENTATIONS * count for split, count in whole.images.items()}
        counts = {"images": images, "classes": ORIENTATIONS * whole.classes, "exact": whole.exact}
        return counts | {"at_most": whole.at_most, "origin": f"{config.of} in {ORIENTATIONS} orientations"}
    folder = layouts.source_folder(config)
    if config.kind in KNOWN:
        images, classes = KNOWN[config.kind]
        if config.kind == "ilsvrc2012" and not holds_test(folder):
            images = {**images, "test": 0}
        counts = {"images": images, "classes": classes, "origin": "the edition's own numbers"}
        if config.kind in (*EDITIONS, DOWNSAMPLED) and not config.complete:
            counts |= {"exact": False, "at_most": True}
    elif config.kind == TINY_IMAGENET:
        counts = {"images": count_tiny_imagenet(config), "classes": TINY.classes, "origin": "its published numbers"}
        if not config.complete:
            counts |= {"exact": False, "at_most": True}
    elif config.kind in RELEASES:
        counts = estimate_release(config)
    elif folder.is_dir():
        counts = count_files(folder, config)
    else:
        counts = {"images": dict.fromkeys(SPLITS, 0), "classes": UNKNOWN_CLASSES, "exact": False}
        counts["origin"] = "the folder is not there"
    return count_subset(counts, config)


def holds_test(folder: Path) -> bool:
    """Whether the images of 2012's test set, which nothing needs, lie beside the others and will be packed."""
    trees = [f"{root}{layouts.KAGGLE_IMAGES}/test" for root in ("", "ILSVRC/")]
    return any(any(folder.glob(each)) for each in (*layouts.TESTS_2012, *trees, "data/test-*.parquet", "test"))


def estimate_release(config: DatasetConfig) -> dict[str, Any]:
    """The share of a release that the listed classes have on average; a list that is not there is of all classes."""
    published, classes = RELEASES[config.kind]
    try:
        listed = min(classes, len(read_class_list(Path(str(config.class_list)).expanduser())))
    except OSError:
        listed = classes
    total = round(published * listed / classes)
    val, test = round(total * config.val_fraction), round(total * config.test_fraction)
    origin = f"about {published / 1e6:g} million images of {classes:,} classes, as the paper says"
    images = {"train": total - val - test, "val": val, "test": test}
    return {"images": images, "classes": listed, "origin": origin, "exact": False}


def count_files(folder: Path, config: DatasetConfig) -> dict[str, Any]:
    """Files of class folders by their suffixes, without opening any; what has no split of its own is drawn."""

    def count_classes(root: Path) -> list[int]:
        folders = [each for each in root.iterdir() if each.is_dir() and not each.name.startswith(".")]
        names = [[name for name in os.listdir(each) if not name.startswith(".")] for each in folders]  # noqa: PTH208
        return [sum(os.path.splitext(name)[1].lower() in IMAGE_FORMATS for name in each) for each in names]  # noqa: PTH122

    given = {name: count_classes(folder / name) for name in SPLITS if (folder / name).is_dir()}
    train = given.get("train", []) if given else count_classes(folder)
    images = {"train": sum(train)} | {name: sum(each) for name, each in given.items()}
    for name, fraction in (("val", config.val_fraction), ("test", config.test_fraction)):
        if name not in given:
            images[name] = sum(share_of(count, fraction) for count in train)
            images["train"] -= images[name]
    images = {name: max(0, images[name]) for name in SPLITS}
    return {"images": images, "classes": len(train), "origin": f"counted in {folder}"}


def count_subset(counts: dict[str, Any], config: DatasetConfig) -> dict[str, Any]:
    """The part that `subset` leaves, for classes of equal size; a split whose labels are withheld is left out of it."""
    subset, images = config.subset, {}
    if subset is None:
        return counts
    classes = subset.count_classes(counts["classes"])
    for name, whole in counts["images"].items():
        public = name in ("train", *config.evaluated_splits)
        share = whole * classes // max(1, counts["classes"]) if public else 0
        images[name] = min(share, subset.per_class * classes) if subset.per_class else share
    return {"images": images, "classes": classes, "origin": f"{counts['origin']}, less by its subset", "exact": False}


@dataclass(frozen=True)
class Machine:
    """`cards` None: no GPU can be used, and trainings run on cores."""

    cores: int
    cards: int | None
    memory_bytes: int
    hardware: str

    def slots(self, cores: int, cards: int = 1) -> int:
        """How many jobs of so many cores and cards run side by side; one that asks for more gets what there is."""
        slots = self.cores // cores
        return max(1, slots if self.cards is None else min(slots, self.cards // cards))

    def at_once(self, trainings: Sequence[PlannedNet]) -> int:
        """How many of these run side by side at the most crowded moment."""
        slots = (self.slots(each.run.training.torch_threads) for each in trainings)
        return max((min(each, len(trainings)) for each in slots), default=0)


def look_at_machine(work: Work) -> Machine:
    """Cores as the workflow counts them, and the cards that it would lease where a run may use any."""
    cards = list_cards() if any(each.run.runtime.device != "cpu" for each in work.trainings) else []
    hardware = describe_hardware("cpu") + (f", {plural(len(cards), 'GPU')}" if cards else "")
    return Machine(count_usable_cores(), len(cards) or None, usable_memory_bytes(), hardware)


def usable_memory_bytes(membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> int:
    """The machine's memory, or the least limit of this process's control groups where that is less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for group in list_control_groups("memory", membership, mount):
        for name in ("memory.max", "memory.limit_in_bytes"):  # of version 2, of version 1
            try:
                limits.append(int((group / name).read_text(encoding="utf-8")))
            except (OSError, ValueError):  # not there, or "max"
                continue
    return min(limits)


def describe_baseline(run: RunConfig, dataset: PlannedDataset) -> dict[str, Any]:
    """A baseline as the JSON has it. `codes_bytes`: on disk while a model is learnt, of all training images."""
    config = run.net
    assert isinstance(config, BaselineConfig)
    codes = config.gaussians * config.dimensions if isinstance(config, FisherConfig) else config.atoms
    dimensions = sum(level**2 for level in config.pyramid) * 2 * codes
    return {
        "dataset": dataset.name,
        "variant": run.variant,
        "seed": run.seed,
        "models": len(config.models),
        "dimensions": dimensions * len(config.models),
        "passes": config.linear.epochs,
        "codes_bytes": round(dimensions * dataset.images["train"] * (2 if config.stored == "float16" else 1 / 8)),
        "done": is_trained(run) and not list_unjudged(run),
    }


def measure_disk(work: Work, data_folder: Path, at_once: int) -> dict[str, Any]:
    """Bytes of everything when all is done (checkpoints: of `at_once` simultaneous trainings), and on each file system
    what is still to be written against what is free."""
    sizes = sorted((each.parameters * NUMBER_BYTES for each in work.pending), reverse=True)
    predictions = [
        (each.dataset, split, split not in each.unpredicted) for each in work.trainings for split in each.splits
    ]
    predictions += [(work.datasets[each["dataset"]], each["split"], each["done"]) for each in work.averages]
    codes = [describe_baseline(run, work.datasets[run.dataset_name]) for run in work.baselines if not is_trained(run)]
    unpacked = [each for each in work.datasets.values() if not each.packed]
    data = sum(max(0, each.bytes - count_begun_bytes(data_folder / f".{each.name}.partial")) for each in unpacked)
    checkpoints = CHECKPOINT_NUMBERS * sum(sizes[:at_once])
    results = sum(sizes) + checkpoints + sum(each["codes_bytes"] for each in codes)
    results += sum(dataset.prediction_bytes(split) for dataset, split, done in predictions if not done)
    systems: dict[int, dict[str, Any]] = {}
    for name, needed in ((str(data_folder), data), (f"results/{work.plan.config.name}", results)):
        folder = Path(name).expanduser().resolve()
        folder = next(each for each in (folder, *folder.parents) if each.exists())
        own = systems.setdefault(folder.stat().st_dev, {"folders": [], "needed_bytes": 0})
        own |= {"needed_bytes": own["needed_bytes"] + needed, "free_bytes": shutil.disk_usage(folder).free}
        own |= {"folders": [*own["folders"], name], "fits": own["needed_bytes"] <= own["free_bytes"]}
    return {
        "packed_bytes": {name: each.bytes for name, each in work.datasets.items()},
        "predictions_bytes": sum(dataset.prediction_bytes(split) for dataset, split, _ in predictions),
        "weights_bytes": sum(each.parameters * NUMBER_BYTES for each in work.trainings),
        "checkpoints_bytes": checkpoints,
        "data_needed_bytes": data,
        "results_needed_bytes": results,
        "file_systems": list(systems.values()),
        "fits": all(each["fits"] for each in systems.values()),
    }


def count_begun_bytes(folder: Path) -> int:
    """What an interrupted preparation has written; its array has holes, which take no room yet."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


Rate = dict[str, Any]  # as the JSON has it: images_per_s, ten_crop_images_per_s, centre_images_per_s, ...


@dataclass(frozen=True)
class Measured:
    """`rates` by the setting of a training; `baselines` by hash8, as in timing.py; `start_s`: of a job that does
    nothing."""

    start_s: float
    rates: dict[str, Rate] = field(default_factory=dict)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)


def measure_rates(work: Work, machine: Machine, budget_s: float = BUDGET_S) -> Measured:
    """Time what is still to be done, in as many processes side by side as trainings will run; says so on stderr.

    Nets that come when `budget_s` is spent get the rates of a measured one, by multiply-adds. Raises PlanError when a
    process dies, and what a training would raise.
    """
    began = time.monotonic()
    unfinished = [each for each in work.trainings if not each.done or each.unpredicted]
    processes = 1 if machine.cards else max(1, min(MOST_PROCESSES, machine.at_once(work.pending)))
    os.environ.update(KEEP_LARGE_BUFFERS)  # glibc reads them when the processes start
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:

        def ask(function: str, *arguments: Any, times: int = 1) -> list[Any]:
            running = [pool.submit(call_timing, function, *arguments) for _ in range(times)]
            while wait(running, SILENCE_S).not_done:
                say(f"  still measuring, for {time.monotonic() - began:.0f} s now")
            return [each.result() for each in running]

        try:
            say(f"measuring: start of {plural(processes, 'process', 'processes')}")
            ask("get_ready", times=processes)
            found = Measured(START_FACTOR * (time.monotonic() - began))
            for each in unfinished:
                if each.setting in found.rates:
                    continue
                if found.rates and time.monotonic() - began > budget_s:
                    found.rates[each.setting] = scale_rate(unfinished[0], found.rates[unfinished[0].setting], each)
                    continue
                say(f"measuring: {each.run.variant} on {each.run.dataset_name}")
                answers = ask("time_net", each.run.model_dump(), max(2, each.dataset.classes), times=processes)
                speeds = {key: sum(own[key] for own in answers) / processes for key in answers[0] if key != "device"}
                more = {"processes": processes, "device": answers[0]["device"], "origin": "measured"}
                found.rates[each.setting] = (
                    speeds | {"centre_images_per_s": TEN * speeds["ten_crop_images_per_s"]} | more
                )
            for run in {run.hash8: run for run in work.baselines if list_unjudged(run)}.values():
                say(f"measuring: {run.variant}")
                found.baselines[run.hash8] = ask("time_baseline", run.model_dump())[0]
            return found
        except BrokenProcessPool as error:
            raise PlanError("a measuring process was ended, as a training may be; is there enough memory?") from error


def call_timing(function: str, *arguments: Any) -> Any:
    """In another process: this one does without torch."""
    from alexnet2012 import timing

    return getattr(timing, function)(*arguments)


def scale_rate(measured: PlannedNet, rate: Rate, other: PlannedNet) -> Rate:
    """The rate of a measured net for another one."""
    ratio = measured.multiply_adds / other.multiply_adds
    return speed_up(rate, ratio, f"from {measured.run.variant}'s by multiply-adds")


def speed_up(rate: Rate, factor: float, origin: str) -> Rate:
    faster = {key: value * factor for key, value in rate.items() if key.endswith("_per_s")}
    return rate | faster | {"origin": origin}


def add_up(work: Work, found: Measured, rates: dict[str, Rate], machine: Machine, cores: int) -> dict[str, Any]:
    """The seconds of all jobs that are left on `machine`; preparing and baselines, which nothing runs beside, are
    shared out over `cores`."""
    seconds: dict[str, float] = defaultdict(float)
    seconds["prepare"] = sum(preparation_seconds(each, found, cores) for each in work.datasets.values())
    seconds["baselines"] = sum(baseline_seconds(run, work, found, cores) for run in work.baselines)
    seconds["tables"] = AFTERWARDS * found.start_s
    alone, shared = sum(seconds.values()), 0.0
    ends: dict[Path, float] = {}
    for each in work.trainings:
        run, rate = each.run, rates.get(each.setting, {})
        first = [*work.plan.searches.get(run.folder, ()), *([] if run.starts_from is None else [run.starts_from.run])]
        before = max((ends[trial.folder] for trial in first), default=0.0)
        trained = evaluated = analysed = 0.0
        if not each.done:
            epochs = each.steps_left / max(1, each.steps_per_epoch)
            trained = found.start_s + each.steps_left * run.training.batch_size / rate["images_per_s"]
            trained += epochs * each.measured_images / rate["centre_images_per_s"]
        for split in each.unpredicted:
            evaluated += found.start_s + each.dataset.images[split] / rate["ten_crop_images_per_s"]
        if each.unpredicted and run.variant == ANALYSED:
            images = min(each.dataset.images["train"], ANALYSED_IMAGES)
            analysed = 2 * found.start_s + images / rate["centre_images_per_s"]
        shared += trained / machine.slots(run.training_threads, run.runtime.gpus_per_training)
        shared += (evaluated + analysed) / machine.slots(run.training.torch_threads)
        ends[run.folder] = before + trained
        seconds["longest"] = max(seconds["longest"], before + trained + evaluated)
        seconds["train"] += trained
        seconds["predict"] += evaluated
        seconds["analyse"] += analysed
    chain = seconds.pop("longest", 0.0)
    seconds["average"] = found.start_s * sum(not each["done"] for each in work.averages)
    chain, shared = chain + (found.start_s if seconds["average"] else 0.0), shared + seconds["average"] / machine.cores
    times = {"critical_path_s": alone + chain, "work_s": alone + shared}
    return {
        "makespan_s": max(times.values()),
        "lower_bound_s": max(times.values()),
        **times,
        "job_s_by_kind": dict(seconds),
    }


def preparation_seconds(dataset: PlannedDataset, found: Measured, cores: int) -> float:
    """Photographs are decoded, and for JPEG storage encoded again, by all cores; other images are copied by one."""
    decoded_s = DECODED_TINY_S if dataset.kind == TINY_IMAGENET else DECODED_S
    decoding = decoded_s / cores * (1 if dataset.storage == "raw" else 2)
    image_s = COPIED_S if dataset.kind in KINDS_AS_THEY_ARE else decoding
    return 0.0 if dataset.packed else found.start_s + sum(dataset.images.values()) * image_s


def baseline_seconds(run: RunConfig, work: Work, found: Measured, cores: int) -> float:
    """Codebooks on one core, codes on all, classifiers on as many as there are classes; then each split's codes."""
    config, dataset, seconds = run.net, work.datasets[run.dataset_name], 0.0
    if not (splits := list_unjudged(run)):
        return 0.0
    assert isinstance(config, BaselineConfig)
    costs, encoded = found.baselines[run.hash8], sum(dataset.images[split] for split in splits)
    if not is_trained(run):
        encoded += dataset.images["train"]
        numbers = dataset.images["train"] * describe_baseline(run, dataset)["dimensions"] * config.linear.epochs
        fitting = FITTED_S * numbers * max(1.0, dataset.classes / cores)
        seconds = min(config.sampled_images, dataset.images["train"]) * costs["encode_s"]
        seconds += LEARNING_STEPS * config.sampled_descriptors * costs["descriptor_s"] + fitting + found.start_s
    return seconds + encoded * costs["encode_s"] / cores + len(splits) * found.start_s


def estimate_time(
    work: Work, machine: Machine, gpus: Sequence[int] = (), images_per_second: float | None = None
) -> dict[str, Any]:
    """Measure this machine, and add all jobs up on it and on each number of `gpus` cards.

    `images_per_second`: training images of one such card. Raises PlanError when measuring fails.
    """
    if work.tables_done:
        return {"measured": None, "schedules": []}
    busy, began = os.getloadavg()[0], time.monotonic()
    found = measure_rates(work, machine)
    took_s, cores = round(time.monotonic() - began, 1), machine.cores
    threads = max((each.run.training.torch_threads for each in work.trainings), default=1)
    on_cuda = any(rate["device"] != "cpu" for rate in found.rates.values())
    origin = "as given" if images_per_second else "measured here" if on_cuda else "as fast as this machine's CPU"
    given = {
        key: speed_up(rate, images_per_second / rate["images_per_s"] if images_per_second else 1.0, origin)
        for key, rate in found.rates.items()
    }
    places = [("this machine", machine, found.rates, "measured here")]
    for cards in gpus:
        place = replace(machine, cores=cores + cards * threads, cards=cards)
        places.append((plural(cards, "card"), place, given, origin))
    schedules = []
    for where, place, rates, whence in places:
        speeds = [(rates[each.setting]["images_per_s"], each.dataset.image_bytes) for each in work.pending]
        read, at_once = max((speed * size for speed, size in speeds), default=0.0), place.at_once(work.pending)
        schedules.append(
            {
                "where": where,
                "cores": place.cores,
                "cards": place.cards,
                **add_up(work, found, rates, place, cores),
                "images_per_s_origin": whence,
                "simultaneous_trainings": at_once,
                "images_per_s_per_training": max((speed for speed, _ in speeds), default=0.0),
                "read_bytes_per_image": max((size for _, size in speeds), default=0),
                "read_bytes_per_s_per_training": read,
                "read_bytes_per_s": read * at_once,
            }
        )
    names = {(each.dataset.name, each.run.variant): each.setting for each in work.trainings}
    measured = {
        "took_s": took_s,
        "busy_cores_before": busy,
        "rates": [
            {"dataset": dataset, "variant": variant, **found.rates[setting]}
            for (dataset, variant), setting in names.items()
            if setting in found.rates
        ],
        "overheads": {"start_s": found.start_s},
        "preparations_s": {
            name: preparation_seconds(each, found, cores) for name, each in work.datasets.items() if not each.packed
        },
        "baselines": found.baselines,
    }
    return {"measured": measured, "schedules": schedules}


def describe_work(work: Work, machine: Machine, data_folder: Path) -> dict[str, Any]:
    """Everything that needs no measuring; keys carry their units."""
    at_once, packed = machine.at_once(work.pending), sum(each.bytes for each in work.datasets.values())
    groups: dict[Path, list[PlannedNet]] = defaultdict(list)
    for each in work.trainings:  # a variant may be trained in two ways: to be evaluated, and for another to start from
        groups[each.run.folder.parent].append(each)
    trainings, evaluations = [], []
    for group in groups.values():
        dataset, variant = group[0].run.dataset_name, group[0].run.variant
        first, batch = group[0], group[0].run.training.batch_size
        trainings.append(
            {
                "dataset": dataset,
                "variant": variant,
                "seeds": [each.run.seed for each in group],
                "seeds_done": [each.run.seed for each in group if each.done],
                "epochs": first.epochs,
                "epochs_at_most": first.run.training.schedule.kind != "fixed",
                "images_per_epoch": first.steps_per_epoch * batch,
                "steps_per_epoch": first.steps_per_epoch,
                "steps_each": first.steps,
                "few_steps": first.few_steps,
                "steps_left": sum(each.steps_left for each in group),
                "images_in_all": first.steps * batch * len(group),
                "parameters": first.parameters,
            }
        )
        for split in first.splits:
            count = {"nets": len(group), "nets_done": sum(split not in each.unpredicted for each in group)}
            images = {"images": first.dataset.images[split], "crops": TEN}
            evaluations.append({"dataset": dataset, "variant": variant, "split": split, **count, **images})
    return {
        "name": work.plan.config.name,
        "machine": {**asdict(machine), "simultaneous_trainings": at_once},
        "datasets": [asdict(each) for each in work.datasets.values()],
        "missing": list(work.missing),
        "trainings": trainings,
        "evaluations": evaluations,
        "averages": list(work.averages),
        "baselines": [describe_baseline(run, work.datasets[run.dataset_name]) for run in work.baselines],
        "totals": {
            "trainings": len(work.trainings),
            "trainings_done": len(work.trainings) - len(work.pending),
            "training_steps": sum(each.steps for each in work.trainings),
            "training_steps_left": sum(each.steps_left for each in work.trainings),
            "training_images": sum(each["images_in_all"] for each in trainings),
            "evaluations": sum(each["nets"] for each in evaluations),
            "evaluations_done": sum(each["nets_done"] for each in evaluations),
            "averages": len(work.averages),
            "averages_done": sum(each["done"] for each in work.averages),
            "tables_done": work.tables_done,
        },
        "disk": measure_disk(work, data_folder, at_once),
        "memory": {
            "memory_bytes": machine.memory_bytes,
            "packed_bytes": packed,
            "packed_fits": packed <= machine.memory_bytes,
        },
    }


def render_work(values: dict[str, Any]) -> str:
    """What will run and the disk it needs."""
    return "\n".join([*list_work_lines(values), "", *list_disk_lines(values)])


def list_work_lines(values: dict[str, Any]) -> Iterator[str]:
    yield f"{values['name']}: what will run"
    for each in values["datasets"]:
        about = "" if each["exact"] else "at most " if each["at_most"] else "about "
        otherwise = "packed from other settings, to be packed again" if each["packed_otherwise"] else "not packed yet"
        images = ", ".join(f"{count:,} {split}" for split, count in each["images"].items())
        numbers = f"{about}{images}, {each['classes']:,} classes; {each['origin']}"
        if not any(each["images"].values()):
            numbers = "how many images is not known, and nothing of its work is counted below"
        yield f"  {each['name']} ({each['kind']}, {'packed' if each['packed'] else otherwise}): {numbers}"
    for sentence in values["missing"]:
        yield f"  the workflow will ask for this: {sentence}"
    for each in values["trainings"]:
        most, seeds = "at most " if each["epochs_at_most"] else "", ", ".join(map(str, each["seeds"]))
        nets = (
            f"{plural(len(each['seeds']), 'net')}, seeds {seeds}{say_done(len(each['seeds_done']), len(each['seeds']))}"
        )
        yield f"  train {each['variant']} on {each['dataset']}: {nets}"
        yield (
            f"    {most}{plural(each['epochs'], 'epoch')} of {each['images_per_epoch']:,} images = "
            f"{each['steps_each']:,} steps a net ({each['steps_per_epoch']:,} an epoch), "
            f"{most}{each['images_in_all']:,} images in all; {each['parameters']:,} parameters"
        )
        if each["few_steps"]:
            yield f"    warning: {each['few_steps']}"
    for each in values["evaluations"]:
        nets = f"{plural(each['nets'], 'net')}, {each['crops']} crops of {each['images']:,} images"
        where = f"{each['variant']} on {each['dataset']} {each['split']}"
        yield f"  evaluate {where}: {nets}{say_done(each['nets_done'], each['nets'])}"
    for each in values["averages"]:
        where = f"{each['name']} on {each['dataset']} {each['split']}"
        yield f"  average {where}: {each['members']} nets{say_done(each['done'], 1)}"
    for each in values["baselines"]:
        yield (
            f"  learn {each['variant']} on {each['dataset']}, seed {each['seed']}: "
            f"{plural(each['models'], 'classifier')} over codes of {each['dimensions']:,} numbers, "
            f"{plural(each['passes'], 'pass', 'passes')}; {in_bytes(each['codes_bytes'])} of codes at a time"
            f"{say_done(each['done'], 1)}"
        )
    totals, baselines = values["totals"], values["baselines"]
    counted = [(each, totals[f"{each}s"], totals[f"{each}s_done"]) for each in ("training", "evaluation", "average")]
    counted += [("baseline", len(baselines), sum(each["done"] for each in baselines))] if baselines else []
    parts = [f"{plural(count, name)}{say_done(finished, count)}" for name, count, finished in counted]
    steps, left = totals["training_steps"], totals["training_steps_left"]
    parts[0] += f", {totals['training_images']:,} images in {steps:,} steps"
    parts[0] += "" if left == steps else f", of which {left:,} are left"
    yield f"  in all: {'; '.join(parts)}"


def list_disk_lines(values: dict[str, Any]) -> Iterator[str]:
    disk, memory = values["disk"], values["memory"]
    yield "Disk"
    for each in values["datasets"]:
        size, there = in_bytes(disk["packed_bytes"][each["name"]]), ", already there" if each["packed"] else ""
        about = ", a fifth of raw pixels" if each["storage"] == "jpeg" else ""
        stored = f"{each['storage']}, {each['image_bytes']:,} bytes an image{about}"
        yield f"  packed {each['name']}: {size} ({stored}){there}"
    yield (
        f"  predictions {in_bytes(disk['predictions_bytes'])}, weights {in_bytes(disk['weights_bytes'])}, checkpoints "
        f"of simultaneous trainings {in_bytes(disk['checkpoints_bytes'])}"
    )
    for each in disk["file_systems"]:
        verdict = "fits" if each["fits"] else "DOES NOT FIT: make room, or link a folder to a larger disk"
        need = f"{in_bytes(each['needed_bytes'])} still needed, {in_bytes(each['free_bytes'])} free"
        yield f"  {' and '.join(each['folders'])}: {need}: {verdict}"
    fits = "fit, and are read from disk once" if memory["packed_fits"] else "do not fit: each epoch reads the disk"
    packed, available = in_bytes(memory["packed_bytes"]), in_bytes(memory["memory_bytes"])
    yield f"  packed data of {packed} in {available} of memory: they {fits}"


def render_time(values: dict[str, Any]) -> str:
    """Time and reading rate on this machine, and on so many cards."""
    if not values["schedules"]:
        return "Time: none, for everything is done. Snakemake runs a job again where its code or settings changed."
    return "\n".join(list_time_lines(values))


def list_time_lines(values: dict[str, Any]) -> Iterator[str]:
    measured, hardware = values["measured"], values["machine"]["hardware"]
    most = "at most " if any(each["epochs_at_most"] for each in values["trainings"]) else ""
    yield f"Time, an estimate that may be off by half ({hardware}; measured for {measured['took_s']:.0f} s)"
    if measured["busy_cores_before"] >= BUSY_CORES:
        busy = f"other work kept about {measured['busy_cores_before']:.1f} cores busy before this was measured"
        yield f"  note: {busy}; without it the jobs go faster"
    for each in measured["rates"]:
        speed = f"{each['images_per_s']:,.0f} images/s in training, {each['ten_crop_images_per_s']:,.0f} in evaluation"
        processes = plural(each["processes"], "process", "processes")
        where = f"{each['variant']} on {each['dataset']}"
        yield f"  {where}: {speed}, in each of {processes} ({each['device']}; {each['origin']})"
    yield f"  beside its images: {measured['overheads']['start_s']:.1f} s a job"
    for name, seconds in measured["preparations_s"].items():
        yield f"  preparing {name}: {in_rough_time(seconds)}"
    here, *others = values["schedules"]
    for each in values["schedules"]:
        yield f"  {each['where']}: {most}about {in_rough_time(each['makespan_s'])}"
        if each["simultaneous_trainings"]:
            read = (
                f"{each['read_bytes_per_s'] / 1e6:,.1f} MB/s in random reads of {each['read_bytes_per_image']:,} bytes"
            )
            fastest = f"{each['images_per_s_per_training']:,.0f} images/s, {each['images_per_s_origin']}"
            trainings = plural(each["simultaneous_trainings"], "training")
            yield f"    {trainings} at once (the fastest {fastest}); up to {read}"
    if others:
        threads = plural((others[0]["cores"] - here["cores"]) // others[0]["cards"], "core")
        yield f"  cards are taken to come with {threads} each (torch_threads), beside this machine's {here['cores']}"


def plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def say_done(count: int, of: int) -> str:
    return "" if not count else ", done already" if count == of else f", {count} done already"


def in_rough_time(seconds: float) -> str:
    """1 h 05 min, 3 min 20 s, 12 s, 4.2 days."""
    if seconds >= 2 * 86_400:
        return f"{seconds / 86_400:,.1f} days"
    if seconds >= 3600:
        return "{} h {:02d} min".format(*divmod(round(seconds / 60), 60))
    return "{} min {:02d} s".format(*divmod(round(seconds), 60)) if seconds >= 60 else f"{seconds:.0f} s"
