"""Where a net runs: the CPU with a fixed number of threads, or a GPU; decided at run time only."""

import os
from typing import TYPE_CHECKING

from alexnet2012.errors import ConfigError

if TYPE_CHECKING:
    import torch

# cuBLAS sums in one order only with a workspace of fixed size, of which this is the larger; torch refuses to go on
# without. Read when CUDA is initialised.
CUBLAS_WORKSPACE, FIXED_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"


def open_device(wanted: str, torch_threads: int, deterministic: bool) -> "torch.device":
    """The device for `wanted` ("auto", "cpu" or "cuda"), with threads and precision set as the recipes demand.

    float32 means float32: TF32 is off. `deterministic`: the same inputs make the same bits on a GPU too, as they do on
    a CPU in any case. Raises ConfigError when a GPU is demanded and none can be used.
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
    """From here on every operation on a GPU has one order of its sums; one that has none raises RuntimeError.

    No operation of this package is of that kind (docs/gpus.md).
    """
    import torch

    torch.use_deterministic_algorithms(True)
    # Every empty tensor here is written before it is read. mypy does not see the property of this module.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False  # what is fastest is measured anew in each process, and may differ
