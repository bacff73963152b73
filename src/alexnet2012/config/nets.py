"""Settings of nets and baselines: the paper's net and its variants, the author's CIFAR-10 nets, and the systems that
table 1 compares with.

The defaults of NetConfig are figure 2 of the paper; a config file states only departures from them.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from alexnet2012.config.validate import Distinct, Section


class GridConfig(Section):
    """A grid of square patches, `side_px` wide and `step_px` apart."""

    side_px: int = Field(ge=4)
    step_px: int = Field(ge=1)


class DescriptorConfig(Section):
    """Descriptors of patches, computed after the image is enlarged `enlarged` times.

    sift: 4x4 cells of 8 orientations, square-rooted. colour: mean and deviation of RGB in 4x4 cells. hog: 2x2 cells of
    9 orientations. lbp: uniform local binary patterns in 2x2 cells. pixels: RGB, contrast-normalised.
    """

    kind: Literal["sift", "colour", "hog", "lbp", "pixels"]
    grids: list[GridConfig] = Field(min_length=1)
    enlarged: int = Field(default=1, ge=1)


class LinearConfig(Section):
    """One-vs-rest support vector machines, trained by averaged stochastic gradient descent with L2 penalty `alpha`.

    `standardised`: each number of a code has its mean subtracted and is divided by its standard deviation.
    """

    alpha: float = Field(default=1e-5, gt=0)
    epochs: int = Field(default=10, ge=1)
    standardised: bool = False


class BaselineConfig(Section):
    """Settings that all baselines have.

    `pyramid`: cells per side of each level over which codes are pooled (1: the whole image). `sampled_images`,
    `sampled_descriptors`: numbers drawn from the training split to learn the codebook. `stored`: storage of the codes,
    float16 or product-quantised to one byte per 8 numbers.
    """

    models: Annotated[list[DescriptorConfig], Distinct] = Field(min_length=1)
    pyramid: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1), Distinct] = [1, 2]
    sampled_images: int = Field(default=10_000, ge=1)
    sampled_descriptors: int = Field(default=200_000, ge=1)
    linear: LinearConfig = LinearConfig()
    stored: Literal["float16", "quantised"] = "float16"


class FisherConfig(BaselineConfig):
    """SIFT + FVs (the paper's [24]): Fisher vectors of a mixture of `gaussians` over descriptors of `dimensions`."""

    kind: Literal["sift-fv"]
    dimensions: int = Field(default=64, ge=1)
    gaussians: int = Field(default=64, ge=1)


class SparseConfig(BaselineConfig):
    """Sparse coding (the paper's [2]) of whitened descriptors, max-pooled. `penalty`: the L1 penalty with which the
    `atoms` are learnt, and the threshold of the codes."""

    kind: Literal["sparse-coding"]
    dimensions: int = Field(default=64, ge=1)
    atoms: int = Field(default=512, ge=2)
    penalty: float = Field(default=1.0, gt=0)


def check_odd(size: int) -> int:
    """`size` if it is odd; raises ValueError otherwise."""
    if size % 2 == 0:
        raise ValueError(f"a window with a centre is needed: it must be odd, not {size}")
    return size


Odd = Annotated[int, Field(ge=1), AfterValidator(check_odd)]
Activation = Literal["relu", "tanh"]
LayerName = Literal["conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "fc6", "fc7", "fc8"]


class ConvConfig(Section):
    """A convolution; `stride` and `pad` in pixels."""

    kernels: int = Field(ge=1)
    kernel_px: int = Field(ge=1)
    stride: int = Field(default=1, ge=1)
    pad: int = Field(default=0, ge=0)


class PoolConfig(Section):
    """Overlapping max pooling (§3.4). `rounding`: clip (`up`) or drop (`down`) a last window that does not fit."""

    size: int = Field(default=3, ge=1)
    stride: int = Field(default=2, ge=1)
    rounding: Literal["up", "down"] = "up"


class LRNConfig(Section):
    """Local response normalisation (§3.3); alpha is not divided by n."""

    n: Odd = 5
    k: float = Field(default=2.0, gt=0)
    alpha: float = Field(default=1e-4, ge=0)
    beta: float = Field(default=0.75, gt=0)


class MapNormConfig(Section):
    """The second normalisation of conv2 in the 2012 code, within each map: u / (k + alpha * sum of u^2)^beta. The sum
    is over the size x size pixels around each pixel, clipped at the border; alpha is not divided by their number."""

    size: Odd = 5
    k: float = Field(default=1.0, gt=0)
    alpha: float = Field(default=0.00004, ge=0)  # 0.001 / 25
    beta: float = Field(default=0.75, gt=0)


CONV_NAMES = ("conv1", "conv2", "conv3", "conv4", "conv5")
WEIGHT_NAMES = (*CONV_NAMES, "fc6", "fc7", "fc8")
SIXTH = "conv6"  # of the nets marked * in table 2
REST = "rest"  # in learning rates by layer: all layers without a rate of their own


class NetConfig(Section):
    """The paper's net.

    `halved`: convolutions with half the kernels. `removed`: convolutions left out with their ReLU and response
    normalisation; their pooling stays (§7). `activation` replaces every ReLU (§3.1). `sixth_layer`: adds conv6, as
    large as conv5 and connected to all maps of the last pooling (§6).

    Features of the 2012 code: `normalised_linear`: layers normalised before their ReLU; `map_norm`: a second
    normalisation after conv2; `layer_init_std`: standard deviations of initial weights that differ from `init_std`;
    `separate_towers`: conv3 is also connected only to its own tower; `mean_crop: central`: the central crop of the mean
    image is subtracted from every crop.
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
        """The sixth convolution: as many kernels as conv5, 3x3, padded to keep the map's size."""
        return ConvConfig(kernels=self.conv5.kernels, kernel_px=3, pad=1)

    @property
    def convolutions(self) -> tuple[str, ...]:
        """The names of the net's convolutions, in order."""
        return (*(name for name in CONV_NAMES if name not in self.removed), *([SIXTH] if self.sixth_layer else []))


class WeightLayer(Section):
    """A layer with normal initial weights of standard deviation `init_std` and zero biases. `weight_decay` None: that
    of the training."""

    name: str = Field(pattern=r"^(conv|local|fc)[a-z0-9_]*$")
    init_std: float = Field(gt=0)
    weight_decay: float | None = Field(default=None, ge=0)


class ConvLayer(WeightLayer):
    """A convolution with stride 1."""

    type: Literal["conv"]
    kernels: int = Field(ge=1)
    kernel_px: int = Field(ge=1)
    pad: int = Field(default=0, ge=0)


class LocalLayer(ConvLayer):
    """A locally connected layer: a convolution with separate weights and biases at each position."""

    type: Literal["local"]  # type: ignore[assignment]


class FullLayer(WeightLayer):
    """A fully connected layer; `neurons` None: one neuron per class."""

    type: Literal["fc"]
    neurons: int | None = Field(default=None, ge=1)


class PoolLayer(Section):
    """Max or average pooling. Windows are clipped to the map; an average counts only the cells inside."""

    type: Literal["pool"]
    of: Literal["max", "average"]
    size: int = Field(default=3, ge=1)
    stride: int = Field(default=2, ge=1)


class ActivationLayer(Section):
    """The net's `activation`, as a layer."""

    type: Literal["activation"]


class NormLayer(Section):
    """Response normalisation with the net's `lrn`, as a layer; identity if `lrn` is null."""

    type: Literal["lrn"]


AnyLayer = Annotated[
    ConvLayer | LocalLayer | FullLayer | PoolLayer | ActivationLayer | NormLayer, Field(discriminator="type")
]


class LayeredNetConfig(Section):
    """A net as a list of layers, like the 2012 code's layer files: the CIFAR-10 nets of §3.1 and §3.3."""

    kind: Literal["layers"] = "layers"
    crop_px: int = Field(ge=1)
    activation: Activation = "relu"
    lrn: LRNConfig | None = None
    layers: list[AnyLayer] = Field(min_length=1)

    @model_validator(mode="after")
    def _ends_in_classes(self) -> "LayeredNetConfig":
        names = [layer.name for layer in self.layers if isinstance(layer, WeightLayer)]
        if len(set(names)) != len(names):
            raise ValueError(f"expected unique names of layers, found {', '.join(names)}")
        kinds = [layer.type for layer in self.layers]
        if "fc" in kinds and set(kinds[kinds.index("fc") :]) - {"fc", "activation"}:
            raise ValueError("after the first layer of type fc, only fc and activation can follow")
        last = self.layers[-1]
        if not isinstance(last, FullLayer) or last.neurons is not None:
            raise ValueError("the last layer must be of type fc without neurons: it has one per class")
        return self

    @property
    def dropout(self) -> float:
        return 0.0

    @property
    def mean_crop(self) -> str:
        return "moving"


BASELINES: dict[str, type[FisherConfig | SparseConfig]] = {"sift-fv": FisherConfig, "sparse-coding": SparseConfig}


def kind_of_net(values: Any) -> str:
    """The `kind` of a net given as plain data or as a section; "alexnet" in older files, which have no such key."""
    return values.get("kind", "alexnet") if isinstance(values, dict) else getattr(values, "kind", "alexnet")


AnyNetConfig = Annotated[
    Annotated[NetConfig, Tag("alexnet")]
    | Annotated[LayeredNetConfig, Tag("layers")]
    | Annotated[FisherConfig, Tag("sift-fv")]
    | Annotated[SparseConfig, Tag("sparse-coding")],
    Discriminator(kind_of_net),
]
