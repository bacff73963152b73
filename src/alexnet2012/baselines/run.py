"""A baseline as two jobs: training of codebooks and classifiers, and prediction of a split."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save

from alexnet2012 import provenance
from alexnet2012.baselines import linear
from alexnet2012.baselines.codebook import Codebook, learn_codebook
from alexnet2012.baselines.encoding import (
    Encoder,
    encode_chunks,
    list_chunks,
    load_codes,
    sample_descriptors,
    save_array,
)
from alexnet2012.baselines.quantise import Quantiser
from alexnet2012.config.nets import DescriptorConfig, FisherConfig, SparseConfig
from alexnet2012.config.schema import RunConfig, digest8, read_run
from alexnet2012.cpu import count_usable_cores
from alexnet2012.data.augment import stream
from alexnet2012.data.packed import JpegImages, PackedDataset, open_packed
from alexnet2012.evaluation.metrics import CROPS, are_kept, measure_chance, rank_truth
from alexnet2012.evaluation.predict import check_labels_public
from alexnet2012.evaluation.trained import open_run, write_record
from alexnet2012.files import SCHEMA, file_digest, read_json, replacing, write_json
from alexnet2012.fingerprint import fingerprint
from alexnet2012.tracking.publish import LiveRun
from alexnet2012.tracking.store import TrackingIds
from alexnet2012.training.checkpoint import lock, set_aside

WEIGHTS, IDENTITY = "model.safetensors", "identity.json"
QUANTISED_FROM = 4096  # number of vectors from which the quantiser is learned


@dataclass(frozen=True)
class Model:
    """One of the classifiers whose probabilities are averaged: its encoder, and a hyperplane for each class."""

    encoder: Encoder
    weights: np.ndarray
    biases: np.ndarray

    def judge(self, vectors: np.ndarray) -> np.ndarray:
        """Probabilities of classes, float32 (n, classes), for codes (n, dimensions)."""
        return linear.as_probabilities(linear.decide(vectors, self.weights, self.biases))


@dataclass
class Stopwatch:
    """Seconds spent on a model over all calls that resumed it; of each call, until its last `keep`."""

    path: Path
    before: float
    started: float

    @classmethod
    def resume(cls, path: Path) -> "Stopwatch":
        before = read_json(path)["seconds"] if path.exists() else 0.0
        return cls(path, before, time.monotonic())

    def keep(self) -> None:
        write_json(self.path, {"seconds": self.before + time.monotonic() - self.started})


def train_baseline(folder: Path, data_folder: Path, tracking_file: Path) -> None:
    """Train the baseline whose config.yaml is in `folder`: writes model.safetensors and record.json there.

    Intermediate codebooks, codes and classifiers are in `folder`/state; after a kill, the same call resumes. Memory
    holds one chunk of codes at a time. Raises DataError for an incomplete dataset, TrainingError if another process
    trains this run.
    """
    run = read_run(folder / "config.yaml")
    packed = data_folder / run.dataset_name
    dataset, state = open_packed(packed), folder / "state"
    made_by = provenance.collect(1)
    state.mkdir(exist_ok=True)
    with lock(state):
        identity = {"code": fingerprint(run.training_stage), "config": run.hash8, "data": dataset.digest}
        keep_own(state, identity)
        live = LiveRun(folder, TrackingIds.load(tracking_file), run.runtime.live_metrics)
        live.update([])
        models = learn_models(run, packed, dataset, state)
        arrays = {
            f"{index}.{name}": each for index, model in enumerate(models) for name, each in arrays_of(model).items()
        }
        with replacing(folder / WEIGHTS) as path:
            path.write_bytes(save(arrays))
        seconds = sum(read_json(each)["seconds"] for each in sorted(state.glob("*/seconds.json")))
        write_json(
            folder / "record.json",
            {
                "schema": SCHEMA,
                "kind": "baseline",
                "config": run.name,
                "variant": run.variant,
                "seed": run.seed,
                "recipe": run.training.recipe,
                "hash8": run.hash8,
                "dataset": dataset.describe(),
                "classes": len(dataset.classes),
                "chance": asdict(measure_chance(dataset.split("train").labels, dataset.split("val").labels)),
                "parameters": sum(each.size for each in arrays.values()),
                "epochs": settings_of(run).linear.epochs,
                "drops_done": 0,
                "drops_planned": 0,
                "schedule": json.dumps({"kind": "passes", "epochs": settings_of(run).linear.epochs}),
                "val_steered": False,
                "wall_time_s": round(seconds, 1),
                "final": None,
                "diverged": False,
                "weights_sha256": file_digest(folder / WEIGHTS),
                "identity": identity,
                "provenance": asdict(made_by),
                "mlflow_run_id": live.run_id,
            },
        )
        live.finish()
        for each in state.glob("[0-9]*-*"):
            shutil.rmtree(each, ignore_errors=True)


def settings_of(run: RunConfig) -> FisherConfig | SparseConfig:
    """The settings of a baseline, stored as the run's `net`."""
    assert isinstance(run.net, FisherConfig | SparseConfig)
    return run.net


def keep_own(state: Path, identity: dict[str, str]) -> None:
    """Move the contents of `state` aside if they are of other code, settings or data; they are not deleted."""
    path = state / IDENTITY
    if path.exists() and read_json(path) != identity:
        print(
            f"warning: the state in {state} is of other code, settings or data; moved to {set_aside(state)}", flush=True
        )
    write_json(path, identity)


def learn_models(run: RunConfig, packed: Path, dataset: PackedDataset, state: Path) -> list[Model]:
    """All classifiers of a baseline, in the order of its settings."""
    return [
        learn_model(run, packed, dataset, model, state / f"{index}-{model.kind}")
        for index, model in enumerate(settings_of(run).models)
    ]


def learn_model(run: RunConfig, packed: Path, dataset: PackedDataset, model: DescriptorConfig, folder: Path) -> Model:
    """Learn one classifier: codebook, codes of all training images, hyperplanes; each is saved in `folder`."""
    config, train = settings_of(run), dataset.split("train")
    folder.mkdir(exist_ok=True)
    watch = Stopwatch.resume(folder / "seconds.json")
    codebook = Codebook.from_arrays(kept(folder / "codebook.npz", lambda: learn_arrays(run, dataset, model)))
    watch.keep()
    encoder = Encoder.make(model, config, codebook, dataset.size_px)
    quantiser = None
    if config.stored == "quantised":
        arrays = kept(folder / "quantiser.npz", lambda: learn_quantiser(encoder, train.images, run.seed))
        quantiser = Quantiser(arrays["centroids"], int(arrays["dimensions"]))
    hyperplanes = kept(
        folder / "hyperplanes.npz", lambda: learn_hyperplanes(run, packed, dataset, encoder, quantiser, folder, watch)
    )
    watch.keep()
    return Model(encoder, **hyperplanes)


def learn_hyperplanes(
    run: RunConfig,
    packed: Path,
    dataset: PackedDataset,
    encoder: Encoder,
    quantiser: Quantiser | None,
    folder: Path,
    watch: Stopwatch,
) -> dict[str, np.ndarray]:
    """Weights and biases of all classes, learned from the codes of all training images, which are then removed."""
    train = dataset.split("train")
    name, config, cores = (
        f"{run.variant} seed {run.seed}: {encoder.model.kind}",
        settings_of(run).linear,
        count_usable_cores(),
    )
    print(f"{name}: encoding {len(train):,} images", flush=True)
    # Shuffled once, because packed images are ordered by class, and classifiers learn badly from chunks of one class.
    rows = list_chunks(stream(run.seed, "baseline-chunks").permutation(len(train)))
    paths = [path for _, path in encode_chunks(packed, "train", rows, encoder, quantiser, folder, cores)]

    def report(epoch: int) -> None:
        watch.keep()
        print(f"{name}: pass {epoch}/{config.epochs}", flush=True)

    hyperplanes = linear.fit(
        [partial(load_codes, path, quantiser) for path in paths],
        [train.labels[each] for each in rows],
        len(dataset.classes),
        config,
        run.seed,
        cores,
        folder / "classifier.joblib",
        report,
    )
    for path in paths:
        path.unlink()
    return hyperplanes


def learn_arrays(run: RunConfig, dataset: PackedDataset, model: DescriptorConfig) -> dict[str, np.ndarray]:
    print(f"{run.variant} seed {run.seed}: {model.kind}: learning the codebook", flush=True)
    config = settings_of(run)
    sample = sample_descriptors(dataset.split("train"), model, config, run.seed)
    return learn_codebook(sample, config, run.seed).arrays


def learn_quantiser(encoder: Encoder, images: np.ndarray | JpegImages, seed: int) -> dict[str, np.ndarray]:
    rows = np.linspace(0, len(images) - 1, min(len(images), QUANTISED_FROM)).astype(int)
    found = Quantiser.learn(encoder.encode(images[rows]), seed)
    return {"centroids": found.centroids, "dimensions": np.array(found.dimensions)}


def kept(path: Path, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays in the file `path`; if it does not exist, they are made and stored there."""
    if not path.exists():
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **make())  # type: ignore[arg-type]  # an array could be named allow_pickle
    with np.load(path) as arrays:
        return dict(arrays)


def arrays_of(model: Model) -> dict[str, np.ndarray]:
    """All arrays of a model by name, contiguous, because safetensors ignores that an array is transposed."""
    arrays = {**model.encoder.codebook.arrays, "hyperplanes": model.weights, "biases": model.biases}
    return {name: np.ascontiguousarray(each) for name, each in arrays.items()}


def load_models(run_folder: Path, config: FisherConfig | SparseConfig, size_px: int) -> list[Model]:
    """The classifiers of a trained baseline."""
    arrays, models = load_file(run_folder / WEIGHTS), []
    for index, descriptors in enumerate(config.models):
        own = {name.partition(".")[2]: each for name, each in arrays.items() if name.startswith(f"{index}.")}
        weights, biases = own.pop("hyperplanes"), own.pop("biases")
        encoder = Encoder.make(descriptors, config, Codebook.from_arrays(own), size_px)
        models.append(Model(encoder, weights, biases))
    return models


def predict_baseline(run_folder: Path, split: str, output_folder: Path, data_folder: Path) -> None:
    """Write the files of evaluation.predict.predict for the mean of the classifiers' probabilities.

    A baseline uses whole images and no crops: the entries for ten crops and for the centre are equal. Raises
    RecordError if the weights are not those of the record or were learned on other data; DataError if the split's
    labels are withheld.
    """
    run, record, dataset = open_run(run_folder, data_folder)
    check_labels_public(dataset, split)
    started, cores = time.monotonic(), count_usable_cores()
    # Part of folder names, so that codes left by a call with other weights or code are not used.
    made_by = digest8([record["weights_sha256"], fingerprint("predict-baseline")])
    config, images = settings_of(run), dataset.counts[split]
    total: np.ndarray | float = 0.0
    for index, model in enumerate(load_models(run_folder, config, dataset.size_px)):
        folder = output_folder / f".{split}-{index}-{made_by}"
        total = total + judge_images(model, data_folder / run.dataset_name, split, images, folder, cores)
    mean = np.asarray(total / len(config.models), np.float32)
    ranks = rank_truth(mean, dataset.split(split).labels)
    for crops in CROPS:
        save_array(output_folder / f"{split}-{crops}.npy", mean if are_kept(images, len(dataset.classes)) else mean[:0])
    details = {"seed": run.seed, "hash8": run.hash8, "weights_sha256": record["weights_sha256"]}
    details |= {"wall_time_s": round(time.monotonic() - started, 1), "mlflow_run_id": record.get("mlflow_run_id")}
    both, machine = dict.fromkeys(CROPS, ranks), asdict(provenance.collect(1))
    write_record(output_folder, "prediction", run.variant, dataset, split, both, machine, details)
    for each in output_folder.glob(f".{split}-[0-9]*"):
        shutil.rmtree(each)


def judge_images(model: Model, packed: Path, split: str, images: int, folder: Path, processes: int) -> np.ndarray:
    """Probabilities of classes by one model, float64 (images, classes); codes are removed after use."""
    chunks = list_chunks(np.arange(images))
    shares = [folder / f"shares-{index:06d}.npy" for index in range(len(chunks))]
    judged = {index for index, path in enumerate(shares) if path.exists()}
    for index, path in encode_chunks(packed, split, chunks, model.encoder, None, folder, processes, judged):
        save_array(shares[index], model.judge(load_codes(path, None)))
        path.unlink()
    return np.concatenate([np.load(path) for path in shares]).astype(np.float64)
