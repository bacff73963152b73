"""The schema of configuration files: small strict sections, and the hash that names a run.

Defaults are the paper's net and recipe, so that a config file states only where it departs from them.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from alexnet2012.dataset_config import DatasetConfig
from alexnet2012.section import Section

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
RESERVED_NAMES = ("reference", "benchmarks")  # folders of results/ that no configuration may write to


class ConvConfig(Section):
    kernels: int = Field(ge=1)
    kernel_px: int = Field(ge=1)
    stride: int = Field(default=1, ge=1)
    pad: int = Field(default=0, ge=0)


class PoolConfig(Section):
    """Overlapping max pooling (§3.4); `rounding` says what becomes of a last window that does not fit."""

    size: int = Field(default=3, ge=1)
    stride: int = Field(default=2, ge=1)
    rounding: Literal["up", "down"] = "up"


class LRNConfig(Section):
    """Local response normalisation (§3.3): k, n, alpha, beta; alpha is not divided by n."""

    n: int = Field(default=5, ge=1)
    k: float = Field(default=2.0, gt=0)
    alpha: float = Field(default=1e-4, ge=0)
    beta: float = Field(default=0.75, gt=0)

    @field_validator("n")
    @classmethod
    def _odd(cls, n: int) -> int:
        if n % 2 == 0:
            raise ValueError(f"the window n is centred on its channel and must be odd, not {n}")
        return n


CONV_NAMES = ("conv1", "conv2", "conv3", "conv4", "conv5")
WEIGHT_NAMES = (*CONV_NAMES, "fc6", "fc7", "fc8")


class NetConfig(Section):
    """Sizes of the net; the defaults are figure 2 of the paper."""

    crop_px: int = Field(default=224, ge=1)
    towers: Literal[1, 2] = 2
    conv1: ConvConfig = ConvConfig(kernels=96, kernel_px=11, stride=4)
    conv2: ConvConfig = ConvConfig(kernels=256, kernel_px=5, pad=2)
    conv3: ConvConfig = ConvConfig(kernels=384, kernel_px=3, pad=1)
    conv4: ConvConfig = ConvConfig(kernels=384, kernel_px=3, pad=1)
    conv5: ConvConfig = ConvConfig(kernels=256, kernel_px=3, pad=1)
    halved: list[Literal["conv1", "conv2", "conv3", "conv4", "conv5"]] = []
    pool: PoolConfig = PoolConfig()
    lrn: LRNConfig | None = LRNConfig()
    fc_neurons: int = Field(default=4096, ge=1)
    dropout: float = Field(default=0.5, ge=0, lt=1)
    init_std: float = Field(default=0.01, gt=0)
    bias_one: list[Literal["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]] = [
        "conv2",
        "conv4",
        "conv5",
        "fc6",
        "fc7",
    ]


class FixedSchedule(Section):
    """`epochs[i]` epochs at learning_rate / 10^i."""

    kind: Literal["fixed"]
    epochs: list[int] = Field(min_length=1)

    @field_validator("epochs")
    @classmethod
    def _positive(cls, epochs: list[int]) -> list[int]:
        if min(epochs) < 1:
            raise ValueError(f"every learning rate needs at least one epoch, found {epochs}")
        return epochs

    @property
    def drops(self) -> int:
        return len(self.epochs) - 1

    @property
    def max_epochs(self) -> int:
        return sum(self.epochs)


class PlateauSchedule(Section):
    """§5: divide by ten when validation error stops improving; three drops, about 90 epochs."""

    kind: Literal["plateau"]
    patience: int = Field(default=5, ge=1)
    min_delta: float = Field(default=0.001, ge=0)
    drops: int = Field(default=3, ge=0)
    max_epochs: int = Field(default=90, ge=1)


class AugmentationConfig(Section):
    """§4.1: random crops, reflections, and PCA colour noise of standard deviation `colour_std`."""

    crops: bool = True
    reflections: bool = True
    colour_std: float = Field(default=0.1, ge=0)


class TrainingConfig(Section):
    """§5; the defaults are recipe `paper`. Recipe `fast` departs from its arithmetic, by `precision` and `compile`."""

    recipe: Literal["paper", "fast"] = "paper"
    batch_size: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=0.01, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=0.0005, ge=0)
    schedule: FixedSchedule | PlateauSchedule = Field(default=PlateauSchedule(kind="plateau"), discriminator="kind")
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
        if self.recipe == "paper" and departs:
            raise ValueError("recipe paper is float32 and not compiled; precision and compile are for recipe: fast")
        if self.recipe == "fast" and not departs:
            raise ValueError("recipe fast needs precision: bf16 or compile: true; without them it is recipe: paper")
        return self

    @property
    def recipe_in_words(self) -> str:
        """What tables say: "paper", or "fast (bf16, compiled)"."""
        if self.recipe == "paper":
            return self.recipe
        return f"{self.recipe} ({', '.join([self.precision, *(['compiled'] if self.compile else [])])})"


class RuntimeConfig(Section):
    """How a run is carried out; nothing here changes a result, so nothing here is hashed."""

    checkpoint_every_s: float = Field(default=600.0, gt=0)
    evaluation_batch: int = Field(default=100, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    gpus_per_training: Literal[1] = 1
    accept_code: str | None = None


TableName = Literal["table1", "table2", "in_text"]


class Variant(Section):
    """One numbered variant: where the paper speaks of it, which claims it serves, and only its delta from `base`."""

    section: str
    claims: list[str] = []
    net: dict[str, Any] = {}
    training: dict[str, Any] = {}


class Members(Section):
    variant: str
    seeds: list[int] = Field(min_length=1)


class Ensemble(Section):
    section: str
    claims: list[str] = []
    members: list[Members] = Field(min_length=1)


class VariantsFile(Section):
    variants: dict[str, Variant]
    ensembles: dict[str, Ensemble] = {}


class Experiment(Section):
    """One line of the plan: a variant with its seeds, or an ensemble, on a dataset; and the tables that it feeds."""

    dataset: str
    variant: str | None = None
    ensemble: str | None = None
    seeds: list[int] = []
    tables: list[TableName] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_subject(self) -> "Experiment":
        if (self.variant is None) == (self.ensemble is None):
            raise ValueError("an experiment names either a variant or an ensemble")
        if self.variant is not None and not self.seeds:
            raise ValueError(f"variant {self.variant} needs seeds, e.g. seeds: [0]")
        if self.ensemble is not None and self.seeds:
            raise ValueError(
                f"ensemble {self.ensemble} takes its seeds from its members in variants.yaml; remove seeds"
            )
        if len(set(self.seeds)) != len(self.seeds) or any(seed < 0 for seed in self.seeds):
            raise ValueError(f"seeds must be distinct and not negative, found {self.seeds}")
        return self


class CalibrationConfig(Section):
    """A net of known accuracy is evaluated on `dataset` first; `weights`: its file, or torch hub's cache if null."""

    dataset: str
    weights: str | None = None


class Config(Section):
    """A whole configuration file."""

    name: str = Field(pattern=NAME_PATTERN)
    datasets: dict[str, DatasetConfig] = Field(min_length=1)
    experiments: list[Experiment] = Field(min_length=1)
    net: dict[str, Any] = {}
    training: dict[str, Any] = {}
    runtime: RuntimeConfig = RuntimeConfig()
    calibration: CalibrationConfig | None = None

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name in RESERVED_NAMES:
            raise ValueError(f"results/{name} is not a configuration's folder; choose another name")
        return name


class RunConfig(Section):
    """Everything one training needs, resolved: the config.yaml beside its result."""

    name: str
    variant: str
    seed: int
    dataset_name: str
    dataset: DatasetConfig
    net: NetConfig
    training: TrainingConfig
    runtime: RuntimeConfig = RuntimeConfig()

    @property
    def hash8(self) -> str:
        """Eight hex digits over all that decides the weights but the seed and the code.

        Settings at their defaults are left out, so that a setting that a later version adds changes no older hash.
        The dataset enters by what makes its images these and no others, not by where they lie (DatasetConfig.identity):
        a path must be known before any image is read. The digest of what was read is checked through the manifest.
        """
        net, training = (section.model_dump(exclude_defaults=True) for section in (self.net, self.training))
        return digest8({"dataset": self.dataset.identity, "net": net, "training": training})

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that its net is evaluated on: those whose labels are public."""
        return self.dataset.evaluated_splits

    @property
    def folder(self) -> Path:
        """results/<name>/runs/<dataset>/<variant>-<hash8>/seed<k>, relative to the working directory."""
        return self._path("runs")

    @property
    def predictions(self) -> Path:
        """results/<name>/predictions/<dataset>/<variant>-<hash8>/seed<k>."""
        return self._path("predictions")

    def _path(self, kind: str) -> Path:
        return Path("results", self.name, kind, self.dataset_name, f"{self.variant}-{self.hash8}", f"seed{self.seed}")


def digest8(values: Any) -> str:
    """Eight hex digits of the sha256 of plain data."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]
