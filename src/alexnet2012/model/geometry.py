"""The layer table: shapes, parameters and multiply-adds of a net, from its configuration alone (no torch)."""

import math
from dataclasses import asdict, dataclass

from alexnet2012.config.nets import (
    CONV_NAMES,
    SIXTH,
    ConvConfig,
    ConvLayer,
    FullLayer,
    LayeredNetConfig,
    NetConfig,
    PoolLayer,
)
from alexnet2012.errors import ConfigError


@dataclass(frozen=True)
class Layer:
    """One row of the layer table.

    `output` is [channels, height, width], or [neurons]; `overhang_px` is how far the last windows reach over the right
    and the bottom edge; `fan_in` is what one output sees, 0 for layers without weights.
    """

    name: str
    kind: str
    kernel: int | None
    stride: int | None
    output: list[int]
    parameters: int
    multiply_adds: int
    towers: int
    fan_in: int = 0
    overhang_px: int = 0


POOLED = ("conv1", "conv2", "conv5")  # §3.5: max pooling follows these
NORMALISED = ("conv1", "conv2")  # §3.5: response normalisation follows these
NORMALISED_TWICE = "conv2"  # net 145 of the 2012 code: then once more, within each map
WITHIN_TOWER = ("conv2", "conv4", "conv5")  # fig. 2: these see only their own GPU's maps


def list_layers(net: NetConfig | LayeredNetConfig, classes: int) -> list[Layer]:
    """All layers in order for a net of `classes` outputs; raises ConfigError for sizes that cannot be built."""
    return list_layered(net, classes) if isinstance(net, LayeredNetConfig) else list_alexnet(net, classes)


def list_alexnet(net: NetConfig, classes: int) -> list[Layer]:
    layers: list[Layer] = []
    channels, size = 3, net.crop_px
    for name in (*CONV_NAMES, SIXTH):
        if name in net.convolutions:
            conv = conv_layer(net, name, channels, size)
            layers.append(conv)
            channels, size = conv.output[0], conv.output[1]
            if name in NORMALISED and net.lrn is not None:
                layers.append(Layer(f"lrn{name[-1]}", "lrn", net.lrn.n, 1, conv.output, 0, 0, net.towers))
            if name == NORMALISED_TWICE and net.map_norm is not None:
                layers.append(Layer(f"norm{name[-1]}", "norm", net.map_norm.size, 1, conv.output, 0, 0, net.towers))
        if name in POOLED:
            pool = pool_layer(net, f"pool{name[-1]}", channels, size)
            layers.append(pool)
            size = pool.output[1]
    inputs = channels * size * size
    for name, outputs in (("fc6", net.fc_neurons), ("fc7", net.fc_neurons), ("fc8", classes)):
        layers.append(Layer(name, "fc", None, None, [outputs], (inputs + 1) * outputs, inputs * outputs, 1, inputs))
        inputs = outputs
    return layers


def conv_layer(net: NetConfig, name: str, channels: int, size: int) -> Layer:
    conv: ConvConfig = getattr(net, name)
    kernels = conv.kernels
    if name in net.halved:
        if kernels % 2:
            raise ConfigError(f"net.{name}: {kernels} kernels cannot be halved; make the number even")
        kernels //= 2
    groups = net.towers if sees_own_tower(net, name) else 1
    if kernels % net.towers:
        raise ConfigError(
            f"net.{name}: {kernels} kernels cannot be split over {net.towers} towers; make the number even"
        )
    padded = size + 2 * conv.pad
    if conv.kernel_px > padded:
        raise ConfigError(
            f"net.{name}: a {conv.kernel_px}-pixel kernel does not fit its input of {size} pixels with pad {conv.pad}; "
            "make the kernel, or the strides before it, smaller"
        )
    if conv.stride > conv.kernel_px:
        raise ConfigError(
            f"net.{name}: stride {conv.stride} would skip pixels between kernels of {conv.kernel_px}; "
            f"make it at most {conv.kernel_px}"
        )
    # Rounded up, as the 2012 code does: (224 - 11) / 4 = 53.25 gives 55 positions, the last hanging over by 3 pixels.
    output = 1 + math.ceil((padded - conv.kernel_px) / conv.stride)
    overhang = (output - 1) * conv.stride + conv.kernel_px - padded
    fan_in = conv.kernel_px**2 * (channels // groups)
    return Layer(
        name=name,
        kind="conv",
        kernel=conv.kernel_px,
        stride=conv.stride,
        output=[kernels, output, output],
        parameters=(fan_in + 1) * kernels,
        multiply_adds=fan_in * kernels * output * output,
        towers=groups,
        fan_in=fan_in,
        overhang_px=overhang,
    )


def sees_own_tower(net: NetConfig, name: str) -> bool:
    """Whether a convolution sees only the maps of its own tower (fig. 2; conv3 as well in net 150 of the 2012 code)."""
    return name in WITHIN_TOWER or (name == "conv3" and net.separate_towers)


def pool_layer(net: NetConfig, name: str, channels: int, size: int) -> Layer:
    pool = net.pool
    if pool.size > size:
        raise ConfigError(
            f"net.pool: a window of {pool.size} does not fit {name}'s input of {size} pixels; use fewer strides"
        )
    if pool.stride > pool.size:
        raise ConfigError(
            f"net.pool: stride {pool.stride} would skip cells between windows of {pool.size}; at most {pool.size}"
        )
    divide = math.ceil if pool.rounding == "up" else math.floor
    output = 1 + divide((size - pool.size) / pool.stride)
    overhang = max(0, (output - 1) * pool.stride + pool.size - size)
    return Layer(name, "pool", pool.size, pool.stride, [channels, output, output], 0, 0, net.towers, 0, overhang)


def paper_fan_in(net: NetConfig) -> dict[str, int]:
    """The fan-in of each weight layer of the paper's own net with the towers and the layers of `net`.

    Two towers: conv2 sees 48 maps, conv3 256, conv4 and conv5 192 each (fig. 2). One tower: conv3 sees 128 (§3.2).
    """
    same = {name: getattr(net, name) for name in ("towers", "halved", "removed", "sixth_layer", "separate_towers")}
    layers = list_alexnet(NetConfig(**same), classes=1000)
    return {layer.name: layer.fan_in for layer in layers if layer.fan_in}


def describe(net: NetConfig | LayeredNetConfig, classes: int) -> dict:
    """The layer table as plain data: {"layers": [...], "parameters", "multiply_adds"}."""
    layers = list_layers(net, classes)
    hidden = ("fan_in", "overhang_px")
    return {
        "layers": [{key: value for key, value in asdict(layer).items() if key not in hidden} for layer in layers],
        "parameters": sum(layer.parameters for layer in layers),
        "multiply_adds": sum(layer.multiply_adds for layer in layers),
    }


def count_neurons(net: NetConfig, classes: int) -> int:
    """Input pixels excluded: the outputs of all weight layers (the abstract's "650,000 neurons")."""
    return sum(math.prod(layer.output) for layer in list_layers(net, classes) if layer.parameters)


def list_layered(net: LayeredNetConfig, classes: int) -> list[Layer]:
    """All layers with weights and all poolings in order; raises ConfigError for sizes that cannot be built."""
    layers: list[Layer] = []
    channels, size = 3, net.crop_px
    for index, each in enumerate(net.layers):
        where = f"net.layers[{index}]"
        if isinstance(each, FullLayer):
            inputs, outputs = channels * size * size, each.neurons or classes
            row = Layer(each.name, "fc", None, None, [outputs], (inputs + 1) * outputs, inputs * outputs, 1, inputs)
            channels, size = outputs, 1
        elif isinstance(each, ConvLayer):
            row = layered_conv(each, channels, size, where)
            channels, size = row.output[:2]
        elif isinstance(each, PoolLayer):
            row = layered_pool(each, sum(row.kind == "pool" for row in layers) + 1, channels, size, where)
            size = row.output[1]
        else:
            continue
        layers.append(row)
    return layers


def layered_conv(conv: ConvLayer, channels: int, size: int, where: str) -> Layer:
    """Stride 1. A local layer (type local) has weights and biases of its own at each position."""
    output = size + 2 * conv.pad - conv.kernel_px + 1
    if output < 1:
        raise ConfigError(
            f"{where}: a {conv.kernel_px}-pixel kernel does not fit its input of {size} pixels with pad {conv.pad}; "
            "make the kernel, or the strides before it, smaller"
        )
    fan_in, positions = conv.kernel_px**2 * channels, output * output
    sets = positions if conv.type == "local" else 1
    parameters, multiply_adds = sets * (fan_in + 1) * conv.kernels, fan_in * conv.kernels * positions
    shape = [conv.kernels, output, output]
    return Layer(conv.name, conv.type, conv.kernel_px, 1, shape, parameters, multiply_adds, 1, fan_in)


def layered_pool(pool: PoolLayer, number: int, channels: int, size: int, where: str) -> Layer:
    """Rounded up, as the 2012 code does: 32 -> 16 -> 8 -> 4."""
    if pool.size > size or pool.stride > pool.size:
        raise ConfigError(
            f"{where}: a window of {pool.size} with stride {pool.stride} does not do for maps of {size} pixels; "
            "the window must fit them, and the stride the window"
        )
    output = 1 + math.ceil((size - pool.size) / pool.stride)
    return Layer(f"pool{number}", "pool", pool.size, pool.stride, [channels, output, output], 0, 0, 1)
