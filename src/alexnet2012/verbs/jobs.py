"""What verbs do first that work on a run: read its settings, lease its GPUs."""

from contextlib import AbstractContextManager
from pathlib import Path

from alexnet2012.config.schema import RunConfig, read_run
from alexnet2012.errors import ConfigError
from alexnet2012.gpus import lease_gpus


def read_settings(folder: Path, baseline: bool = False) -> RunConfig:
    """The settings of a net, or of a baseline; raises ConfigError for the other one."""
    run = read_run(folder / "config.yaml")
    if run.is_baseline != baseline:
        verbs = "train, predict and classify" if baseline else "train-baseline and predict-baseline"
        raise ConfigError(f"{folder} holds a {'net' if baseline else 'baseline'}; that is for the verbs {verbs}")
    return run


def lease_for(run: RunConfig, job: str, granted: int | None, needed: int = 1) -> AbstractContextManager[int]:
    """The GPUs of a job of `run`: entered before torch is imported, which must not see others."""
    return lease_gpus(job, run.runtime.device, granted, needed, run.runtime.too_few_devices)
