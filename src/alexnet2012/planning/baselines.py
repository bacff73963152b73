"""What the baselines will cost: each model's encoder and classifier, timed for a second on random images."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from alexnet2012.config.nets import BaselineConfig, FisherConfig
from alexnet2012.config.schema import RunConfig
from alexnet2012.planning.counts import ImageCounts

if TYPE_CHECKING:
    from alexnet2012.baselines.codebook import Codebook

TIMED_IMAGES, TIMED_VECTORS, TIMED_CLASSES = 12, 64, 4
# A mixture converges after about 60 steps, each of which takes a quarter of what encoding its descriptors would;
# learning atoms takes about as long.
LEARNING_STEPS = 15


@dataclass(frozen=True)
class BaselineWork:
    """A baseline to be learnt on a dataset and judged on each of its evaluated splits."""

    run: RunConfig
    counts: ImageCounts
    learnt: bool
    judged: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"learn {self.run.dataset_name} {self.run.variant} seed{self.run.seed}"

    @property
    def done(self) -> bool:
        return self.learnt and set(self.judged) == set(self.run.splits)

    def judging(self, split: str) -> str:
        return f"judge {self.run.dataset_name} {self.run.variant} seed{self.run.seed} {split}"

    @cached_property
    def dimensions(self) -> list[int]:
        """Of each model's codes."""
        config = self.run.net
        cells = sum(level * level for level in config.pyramid)
        per_cell = 2 * config.gaussians * config.dimensions if isinstance(config, FisherConfig) else 2 * config.atoms
        return [cells * per_cell for _ in config.models]

    @property
    def codes_bytes(self) -> int:
        """On disk while a model is learnt: of all training images, one model at a time."""
        each = 2 if self.run.net.stored == "float16" else 1 / 8
        return round(max(self.dimensions) * self.counts.images["train"] * each)


@dataclass(frozen=True)
class BaselineCosts:
    """Seconds on one core: `encode_s` of an image, all models; `fit_s` of a training image in one pass, all models and
    classes; `codebook_s` of all models."""

    encode_s: float
    fit_s: float
    codebook_s: float


def list_baselines(runs: tuple[RunConfig, ...], counts: dict[str, ImageCounts]) -> tuple[BaselineWork, ...]:
    found = []
    for run in (run for run in runs if run.is_baseline):
        learnt = all((run.folder / name).is_file() for name in ("record.json", "model.safetensors"))
        judged = tuple(split for split in run.splits if learnt and (run.predictions / f"{split}.json").is_file())
        found.append(BaselineWork(run, counts[run.dataset_name], learnt, judged))
    return tuple(found)


def measure_all_costs(baselines: Collection[BaselineWork]) -> dict[str, BaselineCosts]:
    """By name; seeds of one baseline on one dataset are timed once."""
    measured: dict[str, BaselineCosts] = {}
    for each in baselines:
        if each.run.hash8 not in measured:
            measured[each.run.hash8] = measure_costs(each)
    return {each.name: measured[each.run.hash8] for each in baselines}


def measure_costs(work: BaselineWork) -> BaselineCosts:
    """By the real code on random images of the dataset's size, with codebooks of random numbers."""
    import numpy as np
    from sklearn.linear_model import SGDClassifier

    from alexnet2012.baselines.descriptors import describe
    from alexnet2012.baselines.encoding import Encoder

    config, size_px = work.run.net, work.run.dataset.size_px
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (TIMED_IMAGES, size_px, size_px, 3), dtype=np.uint8)
    classes = max(2, work.counts.classes)
    encode_s = fit_s = codebook_s = 0.0
    for model, dimensions in zip(config.models, work.dimensions, strict=True):
        patches, given = describe(images[0], model).shape
        encoder = Encoder.make(model, config, random_codebook(config, given), size_px)
        encoder.encode(images[:1])
        started = time.monotonic()
        vectors = encoder.encode(images)
        own = (time.monotonic() - started) / TIMED_IMAGES
        encode_s += own
        vectors = np.resize(vectors, (TIMED_VECTORS, dimensions)).astype(np.float32)
        labels = np.arange(TIMED_VECTORS) % TIMED_CLASSES
        classifier = SGDClassifier(loss="hinge", shuffle=False)
        classifier.partial_fit(vectors, labels, classes=np.arange(TIMED_CLASSES))
        started = time.monotonic()
        classifier.partial_fit(vectors, labels)
        fit_s += (time.monotonic() - started) / TIMED_VECTORS / TIMED_CLASSES * classes
        codebook_s += own * min(config.sampled_images, work.counts.images["train"])
        codebook_s += own * LEARNING_STEPS * config.sampled_descriptors / patches
    return BaselineCosts(encode_s, fit_s, codebook_s)


def random_codebook(config: BaselineConfig, given: int) -> "Codebook":
    """Of descriptors of `given` numbers."""
    import numpy as np

    from alexnet2012.baselines.codebook import Codebook

    random = np.random.default_rng(0)
    directions = min(config.dimensions, given)

    def numbers(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    if isinstance(config, FisherConfig):
        weights = np.full(config.gaussians, 1 / config.gaussians, np.float32)
        parts = {"weights": weights, "means": numbers(config.gaussians, directions)}
        parts["variances"] = np.ones((config.gaussians, directions), np.float32)
    else:
        parts = {"atoms": numbers(config.atoms, directions)}
    return Codebook(numbers(given), numbers(given, directions), parts)
