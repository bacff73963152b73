"""The verbs that train: nets (`train`) and baselines (`train-baseline`)."""

import argparse
from typing import TYPE_CHECKING

from alexnet2012.config.schema import RunConfig
from alexnet2012.fingerprint import fingerprint
from alexnet2012.verbs.arguments import (
    DATA,
    GPUS,
    SOME_BASELINE,
    SOME_NET,
    SOME_TRACKING,
    TRACKING,
    argument,
    path,
    verb,
)
from alexnet2012.verbs.jobs import lease_for, read_settings

if TYPE_CHECKING:
    from alexnet2012.training.train import Join

RUN = path("folder", "holds config.yaml; the results go beside it")
SEARCH = path("--search", "folders of the runs that tried its learning rates, if it searches for one", nargs="+")
START = path("--start", "folder of the run that it takes layers from, if it does")
# Process number of the launcher that started this process as one of two, see towers/launch.py.
LAUNCHER = argument("--launcher", type=int, help=argparse.SUPPRESS)


@verb(
    "train the net of a run, or resume its training",
    RUN,
    SEARCH,
    START,
    TRACKING,
    DATA,
    GPUS,
    LAUNCHER,
    example=f"{SOME_NET} --tracking {SOME_TRACKING}",
    by_workflow=True,
)
def run_train(options: argparse.Namespace) -> None:
    """Train in this process on leased GPUs, or launch one process for each of two devices."""
    run = read_settings(options.folder)
    needed = run.runtime.gpus_per_training
    if options.launcher is not None:
        from alexnet2012.towers.launch import end_with_launcher

        end_with_launcher(options.launcher)  # which has leased the GPUs of both
        from alexnet2012.towers.training import join

        # mypy takes the members of Processes, which are read here alone, for ones that are set.
        return train_in_process(options, run, join=join)  # type: ignore[arg-type]
    with lease_for(run, f"train {options.folder.resolve()}", options.gpus, needed) as gpus:
        if needed == 2 and gpus != 1:  # on none it is two processes on the CPU
            from alexnet2012.towers.launch import launch

            return launch(options.arguments, run)
        return train_in_process(options, run)


def train_in_process(options: argparse.Namespace, run: RunConfig, **place: "Join") -> None:
    """Train, record the results and log them; `place` may hold the `join` of training.train.train."""
    from alexnet2012.tracking.publish import LiveRun
    from alexnet2012.tracking.store import TrackingIds
    from alexnet2012.training.record import Recorder
    from alexnet2012.training.train import train

    live = LiveRun(options.folder, TrackingIds.load(options.tracking), run.runtime.live_metrics)
    # A training begun on one device is resumed on two, and the other way round.
    codes = [fingerprint(stage) for stage in (run.training_stage, "train", "train-towers")]
    with Recorder(options.folder, live) as recorder:
        train(options.folder, options.data, recorder, codes, options.search, options.start, **place)


@verb(
    "train the baseline of a run, or resume its training",
    RUN,
    TRACKING,
    DATA,
    example=f"{SOME_BASELINE} --tracking {SOME_TRACKING}",
    by_workflow=True,
)
def run_train_baseline(options: argparse.Namespace) -> None:
    from alexnet2012.baselines.run import train_baseline

    read_settings(options.folder, baseline=True)
    train_baseline(options.folder, options.data, options.tracking)
