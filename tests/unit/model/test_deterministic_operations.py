"""What runtime.deterministic rests on: no net trains by an operation that has no deterministic kernel on a GPU."""

import pytest
import torch
from small_nets import build, draw_images, scaled_net, variant
from torch import nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

# Those that raise, by the documentation of torch.use_deterministic_algorithms in torch 2.14, as torch calls them.
RAISING = {
    *(f"{name}_backward" for name in ("avg_pool3d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d")),
    *(f"{name}_backward" for name in ("adaptive_max_pool2d", "fractional_max_pool2d", "fractional_max_pool3d")),
    *(f"upsample_{name}_backward" for name in ("linear1d", "bilinear2d", "bicubic2d", "trilinear3d")),
    *(f"reflection_pad{n}d_backward" for n in (1, 2, 3)),
    *("max_unpool2d", "max_unpool3d", "max_pool3d_with_indices_backward", "nll_loss2d_forward", "nll_loss2d_backward"),
    *("_ctc_loss_backward", "_embedding_bag_dense_backward", "put_", "histc", "bincount", "median", "grid_sampler_2d"),
    *("grid_sampler_2d_backward", "grid_sampler_3d_backward", "scatter_reduce", "scatter_reduce_"),
}


def list_operations(net: nn.Module, images: torch.Tensor) -> set[str]:
    """Of one step of training, forward and backward, by the formulas that a GPU is given."""
    masks = (torch.ones(len(images), 512),) * 2
    with profile(activities=[ProfilerActivity.CPU]) as seen, pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.compiler, "is_compiling", lambda: True)  # response normalisation without its CPU loops
        logits = net(images, masks)
        functional.cross_entropy(logits, torch.arange(len(images))).backward()
    return {each.key.removeprefix("aten::") for each in seen.key_averages()}


@pytest.mark.parametrize("name", ["cnn", "four-layer-relu", "cifar-13pct-lrn", "cifar-11pct"])
def test_no_net_trains_by_an_operation_that_raises(name):
    config = scaled_net() if name == "cnn" else variant(name)
    names = list_operations(build(config, 4), draw_images(4, config.crop_px))
    assert {"nll_loss_backward", "convolution_backward", "max_pool2d_with_indices_backward"} <= names
    assert names & RAISING == set()


def test_an_operation_that_raises_is_seen():
    assert "_adaptive_avg_pool2d_backward" in list_operations(Averaging(), draw_images(4, 8)) & RAISING


class Averaging(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 1)

    def forward(self, images: torch.Tensor, masks: object) -> torch.Tensor:
        return functional.adaptive_avg_pool2d(self.layer(images), 2).sum((2, 3))
