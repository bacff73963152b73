"""The device of a net, chosen at run time: the CPU with a fixed number of threads, or a GPU."""

import os
from typing import TYPE_CHECKING

from alexnet2012.errors import ConfigError

if TYPE_CHECKING:
    import torch

# cuBLAS sums in a fixed order only with a workspace of fixed size (this is the larger of the two), and torch requires
# it in deterministic mode. Read when CUDA is initialised.
CUBLAS_WORKSPACE, FIXED_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"


def open_device(wanted: str, torch_threads: int, deterministic: bool) -> "torch.device":
    """The device for `wanted` ("auto", "cpu" or "cuda"); sets torch's threads and float32 precision (TF32 off).

    `deterministic`: equal inputs give equal bits on a GPU too, as they always do on a CPU. Raises ConfigError if
    `wanted` is "cuda" and no GPU is usable.
    """
    if deterministic and wanted != "cpu":
        os.environ.setdefault(CUBLAS_WORKSPACE, FIXED_WORKSPACE)
    import torch

    torch.set_num_threads(torch_threads)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise ConfigError(
            "runtime.device is cuda, but this process sees no usable GPU; use auto or cpu, or mend the driver"
        )
    device = torch.device("cuda" if available and wanted != "cpu" else "cpu")
    if deterministic and device.type == "cuda":
        make_deterministic()
    return device


def make_deterministic() -> None:
    """Make GPU operations sum in a fixed order from now on; operations that cannot raise RuntimeError.

    This package uses none of those (docs/gpus.md).
    """
    import torch

    torch.use_deterministic_algorithms(True)
    # No tensor is read before it is written, so none needs filling. mypy does not know this module's property.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False  # each process would measure which algorithm is fastest, and may differ
