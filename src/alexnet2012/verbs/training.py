"""Verbs that train nets and learn baselines."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet2012.verbs.arguments import add_gpus, add_stores
from alexnet2012.verbs.jobs import lease_for, read_settings

if TYPE_CHECKING:
    from alexnet2012.config.schema import RunConfig
    from alexnet2012.training.train import Join


def add_training_verbs(verbs: argparse._SubParsersAction) -> None:
    verb = verbs.add_parser("train", help="train the run of a folder, or resume it")
    verb.add_argument("folder", type=Path, help="holds config.yaml; the results go beside it")
    verb.add_argument(
        "--search",
        type=Path,
        nargs="+",
        help="folders of the runs that tried its learning rates, where it has a search",
    )
    verb.add_argument("--start", type=Path, help="folder of the run that it takes layers from, where it does")
    add_stores(verb)
    add_gpus(verb)
    # The process that started this one as one of two, see towers/launch.py.
    verb.add_argument("--launcher", type=int, help=argparse.SUPPRESS)
    verb.set_defaults(run=run_train)

    verb = verbs.add_parser("learn", help="learn the baseline of a folder, or go on with it")
    verb.add_argument("folder", type=Path, help="holds config.yaml; the results go beside it")
    add_stores(verb)
    verb.set_defaults(run=run_learn)


def run_train(options: argparse.Namespace) -> None:
    run = read_settings(options.folder)
    needed = run.runtime.gpus_per_training
    if options.launcher is not None:
        from alexnet2012.towers.launch import end_with_launcher

        end_with_launcher(options.launcher)  # which has leased the GPUs of both
        from alexnet2012.towers.training import join

        return train_in_process(options, run, join=join)
    with lease_for(run, f"train {options.folder.resolve()}", options.gpus, needed) as gpus:
        if needed == 2 and gpus != 1:  # on none it is two processes on the CPU
            from alexnet2012.towers.launch import launch

            return launch(options.arguments, run)
        return train_in_process(options, run)


def train_in_process(options: argparse.Namespace, run: "RunConfig", **place: "Join") -> None:
    from alexnet2012.fingerprint import fingerprint
    from alexnet2012.tracking import RunLog, TrackingIds
    from alexnet2012.training.record import Recorder
    from alexnet2012.training.train import train

    log = RunLog(options.folder / "state", TrackingIds.load(options.tracking), f"{run.variant}-seed{run.seed}")
    # Either placement goes on with what the other began.
    codes = [fingerprint(stage) for stage in (run.training_stage, "train", "train-towers")]
    with Recorder(options.folder, log) as recorder:
        train(options.folder, options.data, recorder, codes, options.search, options.start, **place)


def run_learn(options: argparse.Namespace) -> None:
    from alexnet2012.baselines.run import train_baseline

    read_settings(options.folder, baseline=True)
    train_baseline(options.folder, options.data, options.tracking)
