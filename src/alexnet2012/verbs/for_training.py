"""The verbs that run the workflow, train nets and baselines, and tell how far they are."""

import argparse
import json
import os
import sys
import sysconfig
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from alexnet2012.config.schema import RunConfig
from alexnet2012.errors import ConfigError
from alexnet2012.fingerprint import fingerprint
from alexnet2012.project import PROJECT
from alexnet2012.verbs.arguments import CONFIG, DATA, GPUS, JSON, TRACKING, VARIANTS, argument, path, project_file, verb
from alexnet2012.verbs.jobs import lease_for, read_settings

if TYPE_CHECKING:
    from alexnet2012.training.train import Join

RUN = path("folder", "holds config.yaml; the results go beside it")
SEARCH = path("--search", "folders of the runs that tried its learning rates, if it searches for one", nargs="+")
START = path("--start", "folder of the run that it takes layers from, if it does")
# Process number of the launcher that started this process as one of two, see towers/launch.py.
LAUNCHER = argument("--launcher", type=int, help=argparse.SUPPRESS)

COLUMNS = 100  # at most, of a note that `status` prints
ELSEWHERE = {"--profile", "--workflow-profile", "--executor"}  # options by which jobs do not run on all cores of here


@verb(
    "run the workflow in this folder as `snakemake` does in a clone, with the same targets and options; on all cores "
    "without --cores, and with the project's own config/ and profiles/ if there are none here",
    argument("words", nargs="*", metavar="ARGUMENT", help="targets and options of snakemake"),
    example="claims --cores 8 --configfile config/cifar10.yaml",
)
def run_run(options: argparse.Namespace) -> None:
    """Replace this process by Snakemake; cli.parse takes nothing after `run` for an option of its own."""
    words = [locate(word) for word in options.words]
    cores = [] if ELSEWHERE & {word.partition("=")[0] for word in words} else ["--cores", "all"]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(PROJECT / "Snakefile"), *cores, *words]
    # Jobs call `alexnet2012`, which is not on the path if the environment is not activated.
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    os.execv(command[0], command)


def locate(word: str) -> str:
    """A word of a command; a file of the project by its path: config/cifar10.yaml, --configfile=config/cifar10.yaml."""
    option, equals, value = word.rpartition("=")
    found = project_file(value)
    return word if found == Path(value) else f"{option}{equals}{found}"


@verb(
    "train the net of a run, or resume its training",
    RUN,
    SEARCH,
    START,
    TRACKING,
    DATA,
    GPUS,
    LAUNCHER,
    example="results/cifar10/runs/cifar10/cnn-2aac5739/seed0 --tracking results/cifar10/tracking.json",
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
    example="results/cifar10/runs/cifar10/sift-fv-322e48a0/seed0 --tracking results/cifar10/tracking.json",
    by_workflow=True,
)
def run_train_baseline(options: argparse.Namespace) -> None:
    from alexnet2012.baselines.run import train_baseline

    read_settings(options.folder, baseline=True)
    train_baseline(options.folder, options.data, options.tracking)


@verb(
    "print how far each net of a configuration is, while it is trained here or elsewhere",
    path("folder", "results of a configuration, e.g. results/cifar10", nargs="?"),
    argument("--configfile", type=project_file, help=f"the configuration, {CONFIG} if neither is given"),
    JSON,
    VARIANTS,
    example="results/cifar10",
)
def run_status(options: argparse.Namespace) -> None:
    from alexnet2012.status import list_planned, list_statuses

    if options.folder is not None and (options.configfile is not None or options.folder.is_file()):
        raise ConfigError("name either a results folder or, after --configfile, a configuration")
    if options.folder is not None:
        found = list_statuses(options.folder)
    else:
        found = list_planned(options.configfile or project_file(CONFIG), options.variants)
    if options.json:
        print(json.dumps([asdict(each) for each in found], indent=2))
        return
    from tabulate import tabulate

    from alexnet2012.training.progress import in_time

    rows, notes = [], []
    for each in found:
        most = "" if each.max_epochs is None else f" of {each.max_epochs}"
        epochs = "" if each.epochs_done is None else f"{each.epochs_done}{most}"
        loss = "" if each.train_loss is None else f"{each.train_loss:.4f}"
        error = "" if each.val_error is None else f"{each.val_error:.2%}"
        left = "" if each.left_s is None else in_time(each.left_s)
        net, brief = f"{each.variant} seed {each.seed}", each.note if each.state == "finished" else ""
        rows.append([each.dataset, net, each.state, epochs, loss, error, left, brief])
        if each.note and not brief:
            note = f"{net} on {each.dataset}: {each.note}" + f"; see {each.log}" * (each.state == "failed")
            notes += wrap(note, COLUMNS, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    headers = ["dataset", "net", "state", "epochs", "train loss", "val error", "left, about", ""]
    print(tabulate(rows, headers, tablefmt="plain", disable_numparse=True))
    print(*notes, sep="\n")
    counts = [f"{count} {state}" for state, count in Counter(each.state for each in found).items()]
    print(f"{len(found)} net{'s' * (len(found) != 1)}: {', '.join(counts)}")
