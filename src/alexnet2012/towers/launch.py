"""Two processes for one training: torchrun starts the same command twice."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from alexnet2012.config.schema import RunConfig
from alexnet2012.errors import Interrupted, TrainingError
from alexnet2012.towers.exchange import TOWERS

STOPPED = 143  # the exit code of a process that a signal stopped after its checkpoint, see cli.py
CHECKPOINT_S = 300  # what a stopped process may take for its checkpoint


def launch(arguments: list[str], run: RunConfig) -> None:
    """`alexnet2012` with these arguments in two processes on this machine, until both have ended.

    Raises Interrupted when a signal stopped them, TrainingError when one of them failed, whose message stands above.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    os.environ["OMP_NUM_THREADS"] = str(run.training.torch_threads)  # else torchrun sets it, and says so
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # a host's own name may lead nowhere
    options = ["--standalone", f"--nproc-per-node={TOWERS}", f"--shutdown-timeout={CHECKPOINT_S}"]
    try:
        with TemporaryDirectory() as folder:  # torchrun leaves logs behind
            given = Path(folder, "arguments")  # in a file: torchrun would take --start for an option of its own
            given.write_text("".join(f"{each}\n" for each in arguments))
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
            f"the process of tower {rank} ended with exit code {code}, see above, and the other with it. The last "
            "checkpoint is kept; the same command resumes"
        ) from None
