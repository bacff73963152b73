"""Settings of nets and baselines: the paper's net, scaled or with a part removed, the author's CIFAR-10 nets, and the
systems that table 1 compares with.

Defaults of NetConfig are figure 2 of the paper, so that a config file states only where it departs from them.
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from alexnet2012.config.validate import Section


class GridConfig(Section):
    """Square patches of `side_px` at every `step_px` pixels, as many as fit."""

    side_px: int = Field(ge=4)
    step_px: int = Field(ge=1)


class DescriptorConfig(Section):
    """What is computed of each patch; the image is enlarged `enlarged` times before.

    sift: 4x4 cells of 8 orientations, square-rooted. colour: mean and deviation of RGB in 4x4 cells. hog: 2x2 cells of
    9 orientations. lbp: uniform local binary patterns in 2x2 cells. pixels: RGB, contrast-normalised.
    """

    kind: Literal["sift", "colour", "hog", "lbp", "pixels"]
    grids: list[GridConfig] = Field(min_length=1)
    enlarged: int = Field(default=1, ge=1)


class LinearConfig(Section):
    """One-vs-rest support vector machines by averaged stochastic gradient descent: L2 penalty `alpha`, whole passes;
    `standardised`: over codes less their mean, in units of their deviation."""

    alpha: float = Field(default=1e-5, gt=0)
    epochs: int = Field(default=10, ge=1)
    standardised: bool = False


class BaselineConfig(Section):
    """What both have in common.

    `pyramid`: cells per side of each level, over which codes are pooled (1 is the whole image). `sampled_images`,
    `sampled_descriptors`: of the training split, to learn codes from. `stored`: codes in halves of a float, or
    product-quantised to a byte for each 8 numbers where they would outgrow memory and disk.
    """

    models: list[DescriptorConfig] = Field(min_length=1)
    pyramid: list[int] = [1, 2]
    sampled_images: int = Field(default=10_000, ge=1)
    sampled_descriptors: int = Field(default=200_000, ge=1)
    linear: LinearConfig = LinearConfig()
    stored: Literal["float16", "quantised"] = "float16"

    @field_validator("models")
    @classmethod
    def _distinct(cls, models: list[DescriptorConfig]) -> list[DescriptorConfig]:
        if any(model in models[:index] for index, model in enumerate(models)):
            raise ValueError("the same descriptors twice make the same classifier twice; change or remove one of them")
        return models

    @field_validator("pyramid")
    @classmethod
    def _levels(cls, pyramid: list[int]) -> list[int]:
        if not pyramid or min(pyramid) < 1 or len(set(pyramid)) != len(pyramid):
            raise ValueError(f"a level is its number of cells per side, each once, e.g. [1, 2]; found {pyramid}")
        return pyramid


class FisherConfig(BaselineConfig):
    """SIFT + FVs (the paper's [24]): Fisher vectors of a mixture of Gaussians over descriptors of `dimensions`."""

    kind: Literal["sift-fv"]
    dimensions: int = Field(default=64, ge=1)
    gaussians: int = Field(default=64, ge=1)


class SparseConfig(BaselineConfig):
    """Sparse coding (the paper's [2]): `atoms` are learnt with an L1 penalty of `penalty`, which is also the threshold
    of the codes, from whitened descriptors; codes are maximum-pooled."""

    kind: Literal["sparse-coding"]
    dimensions: int = Field(default=64, ge=1)
    atoms: int = Field(default=512, ge=2)
    penalty: float = Field(default=1.0, gt=0)


Activation = Literal["relu", "tanh"]
LayerName = Literal["conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "fc6", "fc7", "fc8"]


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


class MapNormConfig(Section):
    """The second normalisation of conv2 in the 2012 code, within each map: u / (k + alpha * sum of u^2)^beta over the
    size x size pixels around each, clipped at the border; alpha is not divided by their number."""

    size: int = Field(default=5, ge=1)
    k: float = Field(default=1.0, gt=0)
    alpha: float = Field(default=0.00004, ge=0)  # 0.001 / 25
    beta: float = Field(default=0.75, gt=0)

    @field_validator("size")
    @classmethod
    def _odd(cls, size: int) -> int:
        if size % 2 == 0:
            raise ValueError(f"the window is centred on its pixel and its size must be odd, not {size}")
        return size


CONV_NAMES = ("conv1", "conv2", "conv3", "conv4", "conv5")
WEIGHT_NAMES = (*CONV_NAMES, "fc6", "fc7", "fc8")
SIXTH = "conv6"  # of the nets marked * in table 2
REST = "rest"  # in rates by layer: every layer that is not named


class NetConfig(Section):
    """The paper's net.

    `removed`: convolutions that are left out with their ReLU and response normalisation, while their pooling stays
    (§7). `activation` stands for every ReLU (§3.1). `sixth_layer`: conv6, as large as conv5, over the last pooling and
    all of it (§6). Of the 2012 code: `normalised_linear`: layers normalised before their ReLU; `map_norm`: conv2's
    second normalisation; `layer_init_std`: initial weights that are not N(0, init_std); `separate_towers`: conv3 sees
    its own tower too; `mean_crop: central`: images lose the centre of the mean image, whatever their crop.
    """

    kind: Literal["alexnet"] = "alexnet"
    crop_px: int = Field(default=224, ge=1)
    towers: Literal[1, 2] = 2
    conv1: ConvConfig = ConvConfig(kernels=96, kernel_px=11, stride=4)
    conv2: ConvConfig = ConvConfig(kernels=256, kernel_px=5, pad=2)
    conv3: ConvConfig = ConvConfig(kernels=384, kernel_px=3, pad=1)
    conv4: ConvConfig = ConvConfig(kernels=384, kernel_px=3, pad=1)
    conv5: ConvConfig = ConvConfig(kernels=256, kernel_px=3, pad=1)
    halved: list[Literal["conv1", "conv2", "conv3", "conv4", "conv5"]] = []
    removed: list[Literal["conv2", "conv3", "conv4", "conv5"]] = []
    activation: Activation = "relu"
    pool: PoolConfig = PoolConfig()
    lrn: LRNConfig | None = LRNConfig()
    fc_neurons: int = Field(default=4096, ge=1)
    dropout: float = Field(default=0.5, ge=0, lt=1)
    init_std: float = Field(default=0.01, gt=0)
    layer_init_std: dict[LayerName, Annotated[float, Field(gt=0)]] = {}
    bias_one: list[LayerName] = ["conv2", "conv4", "conv5", "fc6", "fc7"]
    sixth_layer: bool = False
    separate_towers: bool = False
    normalised_linear: list[Literal["conv1", "conv2"]] = []
    map_norm: MapNormConfig | None = None
    mean_crop: Literal["moving", "central"] = "moving"

    @property
    def conv6(self) -> ConvConfig:
        """The sixth layer: as many kernels as conv5, 3x3 on a map that keeps its size."""
        return ConvConfig(kernels=self.conv5.kernels, kernel_px=3, pad=1)

    @property
    def convolutions(self) -> tuple[str, ...]:
        """Those that the net has, in order."""
        return (*(name for name in CONV_NAMES if name not in self.removed), *([SIXTH] if self.sixth_layer else []))


class WeightLayer(Section):
    """A layer with weights drawn from N(0, init_std) and biases 0; `weight_decay` None: that of the training."""

    name: str = Field(pattern=r"^(conv|local|fc)[a-z0-9_]*$")
    init_std: float = Field(gt=0)
    weight_decay: float | None = Field(default=None, ge=0)


class ConvLayer(WeightLayer):
    type: Literal["conv"]
    kernels: int = Field(ge=1)
    kernel_px: int = Field(ge=1)
    pad: int = Field(default=0, ge=0)


class LocalLayer(ConvLayer):
    """A convolution whose weights and biases are not shared between positions."""

    type: Literal["local"]  # type: ignore[assignment]


class FullLayer(WeightLayer):
    """Fully connected; `neurons` None: one for each class."""

    type: Literal["fc"]
    neurons: int | None = Field(default=None, ge=1)


class PoolLayer(Section):
    """Windows at every `stride` pixels, the last ones clipped to the map: an average is over the cells inside."""

    type: Literal["pool"]
    of: Literal["max", "average"]
    size: int = Field(default=3, ge=1)
    stride: int = Field(default=2, ge=1)


class ActivationLayer(Section):
    """The net's `activation`."""

    type: Literal["activation"]


class NormLayer(Section):
    """The net's `lrn`; nothing where that is null."""

    type: Literal["lrn"]


AnyLayer = Annotated[
    ConvLayer | LocalLayer | FullLayer | PoolLayer | ActivationLayer | NormLayer, Field(discriminator="type")
]


class LayeredNetConfig(Section):
    """A net as a list of layers, in the manner of the 2012 code's layer files: the CIFAR-10 nets of §3.1 and §3.3."""

    kind: Literal["layers"] = "layers"
    crop_px: int = Field(ge=1)
    activation: Activation = "relu"
    lrn: LRNConfig | None = None
    layers: list[AnyLayer] = Field(min_length=1)

    @model_validator(mode="after")
    def _ends_in_classes(self) -> "LayeredNetConfig":
        names = [layer.name for layer in self.layers if isinstance(layer, WeightLayer)]
        if len(set(names)) != len(names):
            raise ValueError(f"layers need names of their own, found {', '.join(names)}")
        kinds = [layer.type for layer in self.layers]
        if "fc" in kinds and set(kinds[kinds.index("fc") :]) - {"fc", "activation"}:
            raise ValueError(
                "after the first layer of type fc there are no maps left: only fc and activation can follow"
            )
        last = self.layers[-1]
        if not isinstance(last, FullLayer) or last.neurons is not None:
            raise ValueError("the last layer must be of type fc without neurons: it has one for each class")
        return self

    @property
    def dropout(self) -> float:
        return 0.0

    @property
    def mean_crop(self) -> str:
        return "moving"


NETS: dict[str, type[Section]] = {
    "alexnet": NetConfig,
    "layers": LayeredNetConfig,
    "sift-fv": FisherConfig,
    "sparse-coding": SparseConfig,
}


def kind_of_net(values: Any) -> str:
    """The kind of net that plain data or a section describes; files older than the key hold the paper's net."""
    return values.get("kind", "alexnet") if isinstance(values, dict) else getattr(values, "kind", "alexnet")


AnyNetConfig = Annotated[
    Annotated[NetConfig, Tag("alexnet")]
    | Annotated[LayeredNetConfig, Tag("layers")]
    | Annotated[FisherConfig, Tag("sift-fv")]
    | Annotated[SparseConfig, Tag("sparse-coding")],
    Discriminator(kind_of_net),
]
