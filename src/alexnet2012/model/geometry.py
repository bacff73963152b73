"""The layer table of a net, computed from its configuration without torch: shapes, parameters, multiply-adds."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from alexnet2012.config.nets import (
    CONV_NAMES,
    SIXTH,
    ConvConfig,
    ConvLayer,
    FullLayer,
    LayeredNetConfig,
    LocalLayer,
    NetConfig,
    PoolConfig,
    PoolLayer,
)
from alexnet2012.errors import ConfigError

POOLED = ("conv1", "conv2", "conv5")  # §3.5: max pooling follows these
NORMALISED = ("conv1", "conv2")  # §3.5: response normalisation follows these
NORMALISED_TWICE = "conv2"  # net 145 of the 2012 code: a second normalisation, within each map, follows this
WITHIN_TOWER = ("conv2", "conv4", "conv5")  # fig. 2: these are connected only to their own GPU's maps


@dataclass(frozen=True)
class Layer:
    """One row of the layer table.

    `kind`: conv, local, fc, pool, lrn or norm. `kernel`, `stride`: in pixels (for lrn in channels), None for fully
    connected layers. `output`: [channels, height, width], or [neurons]. `towers`: groups of channels that do not mix.
    `fan_in`: inputs of one output, 0 for layers without weights. `overhang_px`: pixels by which the last windows extend
    beyond the right and bottom edges of the padded input.
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


def list_layers(net: NetConfig | LayeredNetConfig, classes: int) -> list[Layer]:
    """All layers of a net with `classes` outputs, in order, without activations and dropout.

    Raises ConfigError for sizes that cannot be built.
    """
    return list_layered(net, classes) if isinstance(net, LayeredNetConfig) else list_alexnet(net, classes)


def describe(net: NetConfig | LayeredNetConfig, classes: int) -> dict[str, Any]:
    """The layer table as plain data: {"layers": [...], "parameters", "multiply_adds"}, the last for one image.

    Raises ConfigError for sizes that cannot be built.
    """
    layers = list_layers(net, classes)
    hidden = ("fan_in", "overhang_px")
    return {
        "layers": [{key: value for key, value in asdict(layer).items() if key not in hidden} for layer in layers],
        "parameters": sum(layer.parameters for layer in layers),
        "multiply_adds": sum(layer.multiply_adds for layer in layers),
    }


def count_flops(net: NetConfig, classes: int, images: float) -> float:
    """FLOPs of a training step: forward, and as much again for the weights' gradient and for the input's, which conv1
    does not need.

    The paper's net on 128 images: 2 x (3 x 724,406,816 - 105,415,200) x 128 = 529 GFLOP.
    """
    layers = list_layers(net, classes)
    multiply_adds = 3 * sum(layer.multiply_adds for layer in layers) - layers[0].multiply_adds
    return 2.0 * multiply_adds * images


def count_neurons(net: NetConfig, classes: int) -> int:
    """The number of outputs of all layers with weights, without input pixels (the abstract's "650,000 neurons")."""
    return sum(math.prod(layer.output) for layer in list_layers(net, classes) if layer.parameters)


def paper_fan_in(net: NetConfig) -> dict[str, int]:
    """The fan-in of each layer with weights in the net of the paper's sizes that has the same towers and layers.

    Two towers: conv2 is connected to 48 maps, conv3 to 256, conv4 and conv5 to 192 each (fig. 2). One tower of halved
    width: conv3 is connected to 128 (§3.2).
    """
    same = {name: getattr(net, name) for name in ("towers", "halved", "removed", "sixth_layer", "separate_towers")}
    layers = list_alexnet(NetConfig(**same), classes=1000)
    return {layer.name: layer.fan_in for layer in layers if layer.fan_in}


def sees_own_tower(net: NetConfig, name: str) -> bool:
    """Whether a convolution is connected only to its own tower's maps (fig. 2; net 150 of the 2012 code: conv3 too)."""
    return name in WITHIN_TOWER or (name == "conv3" and net.separate_towers)


def list_alexnet(net: NetConfig, classes: int) -> list[Layer]:
    """The layers of the paper's net (§3.5); see list_layers."""
    layers: list[Layer] = []
    channels, size = 3, net.crop_px
    for name in (*CONV_NAMES, SIXTH):
        if name in net.convolutions:
            groups = net.towers if sees_own_tower(net, name) else 1
            kernels = count_kernels(net, name)
            conv = conv_layer(f"net.{name}", name, getattr(net, name), kernels, channels, size, groups)
            layers.append(conv)
            channels, size = conv.output[:2]
            if name in NORMALISED and net.lrn is not None:
                layers.append(Layer(f"lrn{name[-1]}", "lrn", net.lrn.n, 1, conv.output, 0, 0, net.towers))
            if name == NORMALISED_TWICE and net.map_norm is not None:
                layers.append(Layer(f"norm{name[-1]}", "norm", net.map_norm.size, 1, conv.output, 0, 0, net.towers))
        if name in POOLED:
            pool = pool_layer("net.pool", f"pool{name[-1]}", net.pool, channels, size, net.towers)
            layers.append(pool)
            size = pool.output[1]
    inputs = channels * size * size
    for name, outputs in (("fc6", net.fc_neurons), ("fc7", net.fc_neurons), ("fc8", classes)):
        layers.append(full_layer(name, inputs, outputs))
        inputs = outputs
    return layers


def list_layered(net: LayeredNetConfig, classes: int) -> list[Layer]:
    """The layers with weights and the poolings of a layered net; see list_layers."""
    layers: list[Layer] = []
    channels, size = 3, net.crop_px
    for index, each in enumerate(net.layers):
        where = f"net.layers[{index}]"
        if isinstance(each, FullLayer):
            row = full_layer(each.name, channels * size * size, each.neurons or classes)
            channels, size = row.output[0], 1
        elif isinstance(each, ConvLayer):
            row = conv_layer(where, each.name, each, each.kernels, channels, size, groups=1)
            channels, size = row.output[:2]
        elif isinstance(each, PoolLayer):
            number = 1 + sum(layer.kind == "pool" for layer in layers)
            row = pool_layer(where, f"pool{number}", each, channels, size, towers=1)
            size = row.output[1]
        else:
            continue
        layers.append(row)
    return layers


def count_kernels(net: NetConfig, name: str) -> int:
    """The number of kernels of a convolution; raises ConfigError if it cannot be halved or split over the towers."""
    conv: ConvConfig = getattr(net, name)
    kernels = conv.kernels
    if name in net.halved:
        if kernels % 2:
            raise ConfigError(f"net.{name}: {kernels} kernels cannot be halved; make the number even")
        kernels //= 2
    if kernels % net.towers:
        raise ConfigError(
            f"net.{name}: {kernels} kernels cannot be split over {net.towers} towers; make the number even"
        )
    return kernels


def conv_layer(
    where: str, name: str, conv: ConvConfig | ConvLayer, kernels: int, channels: int, size: int, groups: int
) -> Layer:
    """The row of a convolution over `channels` maps of `size` x `size`; `where` is its key in the configuration.

    A layered net's convolutions have stride 1. Raises ConfigError if a kernel does not fit or pixels are skipped.
    """
    stride = conv.stride if isinstance(conv, ConvConfig) else 1
    padded = size + 2 * conv.pad
    if conv.kernel_px > padded:
        raise ConfigError(
            f"{where}: a {conv.kernel_px}-pixel kernel does not fit its input of {size} pixels with pad {conv.pad}; "
            "make the kernel, or the strides before it, smaller"
        )
    if stride > conv.kernel_px:
        raise ConfigError(
            f"{where}: stride {stride} would skip pixels between kernels of {conv.kernel_px}; "
            f"make it at most {conv.kernel_px}"
        )
    # Rounded up, as in the 2012 code: (224 - 11) / 4 = 53.25 gives 55 positions, the last extending over 3 pixels.
    output = 1 + math.ceil((padded - conv.kernel_px) / stride)
    fan_in, positions = conv.kernel_px**2 * (channels // groups), output * output
    is_local = isinstance(conv, LocalLayer)  # separate weights and biases at each position
    return Layer(
        name=name,
        kind="local" if is_local else "conv",
        kernel=conv.kernel_px,
        stride=stride,
        output=[kernels, output, output],
        parameters=(fan_in + 1) * kernels * (positions if is_local else 1),
        multiply_adds=fan_in * kernels * positions,
        towers=groups,
        fan_in=fan_in,
        overhang_px=(output - 1) * stride + conv.kernel_px - padded,
    )


def pool_layer(where: str, name: str, pool: PoolConfig | PoolLayer, channels: int, size: int, towers: int) -> Layer:
    """The row of a pooling of `channels` maps of `size` x `size`; `where` is its key in the configuration.

    A layered net's sizes round up, as in the 2012 code: 32 -> 16 -> 8 -> 4. Raises ConfigError if a window does not fit
    or cells are skipped.
    """
    if pool.size > size:
        raise ConfigError(
            f"{where}: a window of {pool.size} does not fit {name}'s input of {size} pixels; use fewer strides"
        )
    if pool.stride > pool.size:
        raise ConfigError(
            f"{where}: stride {pool.stride} would skip cells between windows of {pool.size}; at most {pool.size}"
        )
    rounds_down = isinstance(pool, PoolConfig) and pool.rounding == "down"
    output = 1 + (math.floor if rounds_down else math.ceil)((size - pool.size) / pool.stride)
    overhang = max(0, (output - 1) * pool.stride + pool.size - size)
    return Layer(name, "pool", pool.size, pool.stride, [channels, output, output], 0, 0, towers, 0, overhang)


def full_layer(name: str, inputs: int, outputs: int) -> Layer:
    """The row of a fully connected layer."""
    return Layer(name, "fc", None, None, [outputs], (inputs + 1) * outputs, inputs * outputs, 1, fan_in=inputs)
