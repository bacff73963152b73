"""The second normalisation of conv2 in net 145 of the 2012 code: within each map, over neighbouring pixels."""

from torch import Tensor
from torch.nn import functional

from alexnet2012.net_config import MapNormConfig


def normalise_within_maps(maps: Tensor, norm: MapNormConfig) -> Tensor:
    """u / (k + alpha * s)^beta for `maps` (images, channels, height, width), s being the sum of u^2 over the
    size x size pixels around each pixel, of which those outside the map count as zeros."""
    pixels = norm.size * norm.size
    sums = functional.avg_pool2d(maps.square(), norm.size, stride=1, padding=norm.size // 2) * pixels
    return maps * (norm.k + norm.alpha * sums).pow(-norm.beta)
