"""Fully connected layers that oneDNN multiplies on a CPU."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Linear(nn.Linear):
    """nn.Linear, by oneDNN instead of MKL for float32 on a CPU: half the time on an AMD EPYC.

    The function is the same up to rounding, and so are the parameters' names and shapes.
    """

    def forward(self, neurons: Tensor) -> Tensor:
        if torch.compiler.is_compiling() or not suits_onednn(neurons):
            return super().forward(neurons)
        return functional.linear(neurons.to_mkldnn(), self.weight, self.bias).to_dense()


def suits_onednn(values: Tensor) -> bool:
    """Whether `values` are float32 on a CPU, to be multiplied as such, and torch was built with oneDNN."""
    single = values.device.type == "cpu" and values.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    return single and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
