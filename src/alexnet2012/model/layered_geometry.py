"""The layer table of a net that is a list of layers (no torch)."""

import math

from alexnet2012.errors import ConfigError
from alexnet2012.model.layer import Layer
from alexnet2012.net_config import ConvLayer, FullLayer, LayeredNetConfig, PoolLayer


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
            row = conv_layer(each, channels, size, where)
            channels, size = row.output[:2]
        elif isinstance(each, PoolLayer):
            row = pool_layer(each, sum(row.kind == "pool" for row in layers) + 1, channels, size, where)
            size = row.output[1]
        else:
            continue
        layers.append(row)
    return layers


def conv_layer(conv: ConvLayer, channels: int, size: int, where: str) -> Layer:
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


def pool_layer(pool: PoolLayer, number: int, channels: int, size: int, where: str) -> Layer:
    """Rounded up, as the 2012 code does: 32 -> 16 -> 8 -> 4."""
    if pool.size > size or pool.stride > pool.size:
        raise ConfigError(
            f"{where}: a window of {pool.size} with stride {pool.stride} does not do for maps of {size} pixels; "
            "the window must fit them, and the stride the window"
        )
    output = 1 + math.ceil((size - pool.size) / pool.stride)
    return Layer(f"pool{number}", "pool", pool.size, pool.stride, [channels, output, output], 0, 0, 1)
