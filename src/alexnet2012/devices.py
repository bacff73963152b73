"""Where a net runs: the CPU with a fixed number of threads, or a GPU; decided at run time only."""

from typing import TYPE_CHECKING

from alexnet2012.errors import ConfigError

if TYPE_CHECKING:
    import torch


def open_device(wanted: str, torch_threads: int) -> "torch.device":
    """The device for `wanted` ("auto", "cpu" or "cuda"), with threads and precision set as the recipes demand.

    float32 means float32: TF32 is off. Raises ConfigError when a GPU is demanded and none can be used.
    """
    import torch

    torch.set_num_threads(torch_threads)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise ConfigError(
            "runtime.device is cuda, but this process sees no usable GPU; use auto or cpu, or mend the driver"
        )
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")
