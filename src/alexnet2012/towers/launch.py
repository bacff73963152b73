"""Launching a training in two processes: torchrun starts the same command twice, with the option --launcher."""

import ctypes
import os
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from alexnet2012.config.schema import RunConfig
from alexnet2012.errors import Interrupted, TrainingError

STOPPED = 143  # exit code of a process that stopped on a signal after its checkpoint, see cli.py
CHECKPOINT_S = 300  # time that a stopped process has to write its checkpoint
PR_SET_PDEATHSIG = 1  # from linux/prctl.h
# Variables of another launcher that this process may have inherited. torchrun would use PET_* as its options and
# PYTHON_EXEC as the interpreter.
INHERITED_PREFIXES = ("PET_", "TORCHELASTIC_", "TORCH_ELASTIC_")
INHERITED = {"MASTER_ADDR", "MASTER_PORT", "RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "ROLE_NAME", "PYTHON_EXEC"}
INHERITED |= {"WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE"}


def launch(arguments: list[str], run: RunConfig) -> None:
    """Run `alexnet2012` with `arguments` in two processes on this machine; returns when both have ended.

    Raises Interrupted if a signal stopped them, TrainingError if one of them failed (it prints its own error).
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    from alexnet2012.towers.exchange import TOWERS

    drop_inherited()
    os.environ["OMP_NUM_THREADS"] = str(run.training.torch_threads)  # otherwise torchrun sets it, with a warning
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # because the host name may not resolve
    options = ["--standalone", f"--nproc-per-node={TOWERS}", f"--shutdown-timeout={CHECKPOINT_S}"]
    try:
        with TemporaryDirectory() as folder:  # for torchrun's logs
            given = Path(folder, "arguments")  # in a file, because torchrun would take --start as its own option
            verb, *rest = arguments
            words = (verb, f"--launcher={os.getpid()}", *rest)
            given.write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
            torchrun([*options, f"--log-dir={folder}", "--module", "alexnet2012", f"@{given}"])
    except SignalException as stopped:
        raise Interrupted(
            f"stopped by {stopped.sigval.name}; a checkpoint was written, the same command resumes"
        ) from None
    except ChildFailedError as error:
        failures = {rank: failure.exitcode for rank, failure in error.failures.items()}
        if STOPPED in failures.values():
            raise Interrupted("stopped by a signal; a checkpoint was written, the same command resumes") from None
        rank, code = next(iter(failures.items()))
        raise TrainingError(
            f"the process of tower {rank} ended with exit code {code} (see above), so the other was stopped too. The "
            "last checkpoint is kept; the same command resumes"
        ) from None


def drop_inherited() -> None:
    """Remove variables of another launcher, which may have started this process, from the environment."""
    for key in list(os.environ):
        if key in INHERITED or key.startswith(INHERITED_PREFIXES):
            del os.environ[key]


def end_with_launcher(pid: int) -> None:
    """Make the kernel kill this process when the launcher dies, even if it is blocked in a collective or stopped.

    `pid`: that of the launcher. Only the steps since the last checkpoint are lost. Raises TrainingError if the launcher
    has ended already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != pid:
        raise TrainingError(f"process {pid}, which launched this one, has ended; start the training again")
