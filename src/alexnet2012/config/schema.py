"""The resolved settings of one run, and the hash that names it.

The defaults are the paper's recipe; a config file states only departures from them.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.nets import AnyNetConfig, BaselineConfig, LayeredNetConfig, NetConfig
from alexnet2012.config.schedules import AnySchedule, PlateauSchedule, Rate
from alexnet2012.config.validate import Distinct, Section, dump_departures, read_yaml, validate
from alexnet2012.errors import ConfigError


class SearchConfig(Section):
    """A learning-rate search: each of `rates` is tried in a run of `epochs`; the one nearest to the target is taken."""

    rates: Annotated[list[Annotated[float, Field(gt=0)]], Distinct] = Field(min_length=2)
    epochs: int = Field(ge=1)


class AugmentationConfig(Section):
    """§4.1: random crops, reflections, and PCA colour noise of standard deviation `colour_std`.

    Features of the 2012 code: `chunk` consecutive images share a crop position and a reflection; images with colour
    noise are divided by `colour_divisor`.
    """

    crops: bool = True
    reflections: bool = True
    colour_std: float = Field(default=0.1, ge=0)
    chunk: int = Field(default=1, ge=1)
    colour_divisor: float = Field(default=1.0, gt=0)


class TrainingConfig(Section):
    """§5; the defaults are recipe `paper`.

    Other recipes: `fast` changes the arithmetic (`precision`, `compile`); `code2012` follows the 2012 source;
    `baseline`: placeholder for systems that are not nets. `bias_rate`: learning rate of biases relative to weights;
    `layer_rates`: learning rates of layers relative to the others. `learning_rate_search` sets `learning_rate` to the
    best of several. `order: fixed`: one shuffled order for all epochs and seeds, as in the 2012 code's files.
    `minival_fraction`: the part of the training split held out for `schedule_split: minival`. `measured_train_images`:
    number of training images on which the training error is measured.
    """

    recipe: Literal["paper", "fast", "code2012", "baseline"] = "paper"
    batch_size: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=0.01, gt=0)
    learning_rate_search: SearchConfig | None = None
    bias_rate: float = Field(default=1.0, gt=0)
    layer_rates: dict[str, Rate] = {}
    order: Literal["shuffled", "fixed"] = "shuffled"
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=0.0005, ge=0)
    decay_biases: bool = True
    schedule: AnySchedule = Field(default=PlateauSchedule(kind="plateau"), discriminator="kind")
    schedule_split: Literal["val", "minival"] = "val"
    minival_fraction: float = Field(default=0.05, gt=0, lt=1)
    augmentation: AugmentationConfig = AugmentationConfig()
    measured_train_images: int = Field(default=10_000, ge=1)
    precision: Literal["fp32", "bf16"] = "fp32"
    compile: bool = False
    torch_threads: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _arithmetic_of_the_recipe(self) -> "TrainingConfig":
        departs = self.precision != "fp32" or self.compile
        if self.recipe != "fast" and departs:
            raise ValueError(f"precision and compile are settings of recipe: fast, not of {self.recipe}")
        if self.recipe == "fast" and not departs:
            raise ValueError("recipe fast needs precision: bf16 or compile: true; without them it is recipe: paper")
        return self

    @model_validator(mode="after")
    def _settings_of_the_schedule(self) -> "TrainingConfig":
        search, schedule = self.learning_rate_search, self.schedule
        if schedule.kind == "logged" and self.layer_rates:
            raise ValueError("a logged schedule sets the rate of each layer; remove layer_rates")
        if search is not None and schedule.kind != "target":
            raise ValueError("learning_rate_search needs schedule: {kind: target, ...}, to compare the rates")
        if search is not None and search.epochs > schedule.max_epochs:
            raise ValueError(
                f"learning_rate_search.epochs is {search.epochs}, more than the {schedule.max_epochs} of the schedule"
            )
        return self

    @property
    def recipe_in_words(self) -> str:
        """The recipe as shown in tables: "paper", "code2012", or "fast (bf16, compiled)"."""
        if self.recipe != "fast":
            return self.recipe
        return f"{self.recipe} ({', '.join([self.precision, *(['compiled'] if self.compile else [])])})"


class RuntimeConfig(Section):
    """Execution settings. None changes a result by more than rounding, so none is part of the hash.

    `checkpoint_every_s`: seconds between checkpoints. `evaluation_batch`: images per batch. `placement`: a whole net on
    one device, or one tower on each of two (§3.2). `accept_code`: fingerprint of other code whose checkpoints may be
    resumed. `too_few_devices`: what a training on two devices does if only one GPU is available. `deterministic`: a
    seed gives the same bits on a GPU too, for one GPU model and one torch version. `live_metrics`: send metrics to the
    run browser during training, not only at its end.
    """

    checkpoint_every_s: float = Field(default=600.0, gt=0)
    evaluation_batch: int = Field(default=100, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    placement: Literal["one-device", "two-devices"] = "one-device"
    accept_code: str | None = None
    too_few_devices: Literal["stop", "one-device"] = "stop"
    deterministic: bool = True
    live_metrics: bool = True

    @property
    def gpus_per_training(self) -> int:
        """The number of devices (and processes) that one training uses."""
        return 2 if self.placement == "two-devices" else 1


class Start(Section):
    """`layers` that are initialised with the trained weights of `run`."""

    run: "RunConfig"
    layers: list[str] = Field(min_length=1)

    @property
    def identity(self) -> list[Any]:
        """The part of a run's hash that stands for its pre-training."""
        return [self.run.hash8, self.run.seed, sorted(self.layers)]


class RunConfig(Section):
    """All settings of one training: the config.yaml beside its result."""

    name: str
    variant: str
    seed: int
    dataset_name: str
    dataset: DatasetConfig
    net: AnyNetConfig
    training: TrainingConfig
    runtime: RuntimeConfig = RuntimeConfig()
    starts_from: Start | None = None

    @property
    def hash8(self) -> str:
        """Eight hex digits over everything that determines the weights, except the seed and the code.

        Settings at the default they were introduced with are left out, so that a new setting changes no older hash, but
        a changed default does. The dataset counts by its `identity` and not by its images: paths contain the hash, and
        must be known before any image is read. The digest of the images is checked through the manifest.
        """
        net, training = dump_departures(self.net), dump_departures(self.training)
        start = {} if self.starts_from is None else {"starts_from": self.starts_from.identity}
        return digest8({"dataset": self.dataset.identity, "net": net, "training": training, **start})

    @property
    def is_baseline(self) -> bool:
        """Whether this is one of the systems that table 1 compares the net with, and not a net."""
        return isinstance(self.net, BaselineConfig)

    @property
    def architecture(self) -> NetConfig | LayeredNetConfig:
        """The settings of the net; raises ConfigError for a baseline."""
        if isinstance(self.net, BaselineConfig):
            raise ConfigError(f"{self.folder}: expected a net, found a baseline; name the folder of a net")
        return self.net

    @property
    def is_trial(self) -> bool:
        """Whether the run is a trial of one rate in a learning-rate search."""
        return is_trial(self.variant, self.training.learning_rate)

    @property
    def training_stage(self) -> str:
        """The stage whose fingerprint identifies the code that trains this run.

        It depends only on `placement`, which the workflow knows in advance: a run configured for two devices counts the
        code for two even if it gets one (`too_few_devices`), and can resume on either.
        """
        if self.is_baseline:
            return "train-baseline"
        return "train-towers" if self.runtime.placement == "two-devices" else "train"

    @property
    def training_threads(self) -> int:
        """The number of torch threads over all processes of the training."""
        return self.training.torch_threads * self.runtime.gpus_per_training

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits on which the run is evaluated: those with public labels."""
        return self.dataset.evaluated_splits

    @property
    def folder(self) -> Path:
        """results/<name>/runs/<dataset>/<variant>-<hash8>/seed<k>, relative to the working directory."""
        return self._path("runs")

    @property
    def predictions(self) -> Path:
        """results/<name>/predictions/<dataset>/<variant>-<hash8>/seed<k>."""
        return self._path("predictions")

    @property
    def analysis(self) -> Path:
        """results/<name>/analyses/<dataset>/<variant>-<hash8>/seed<k>."""
        return self._path("analyses")

    def _path(self, kind: str) -> Path:
        return Path("results", self.name, kind, self.dataset_name, f"{self.variant}-{self.hash8}", f"seed{self.seed}")


def name_trial(variant: str, rate: float) -> str:
    """The variant name of the run that tries a learning rate for `variant`."""
    return f"{variant}-rate-{rate:g}"


def is_trial(variant: str, learning_rate: float | None) -> bool:
    """Whether a run of this name and rate is a trial of a learning-rate search. A trial may diverge."""
    return learning_rate is not None and variant.endswith(name_trial("", learning_rate))


def digest8(values: Any) -> str:
    """Eight hex digits of the sha256 of plain data."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def read_run(path: Path) -> RunConfig:
    """The settings of one run from its config.yaml; raises ConfigError if the file does not hold them."""
    return validate(RunConfig, read_yaml(path), str(path))
