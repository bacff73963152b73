"""Verbs that train nets and evaluate them."""

import argparse
import json
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet2012.verbs.arguments import number_of_gpus

if TYPE_CHECKING:
    from alexnet2012.config import RunConfig


LAUNCHED = "TORCHELASTIC_RUN_ID"  # torchrun's mark on the processes that it starts


def add_running_verbs(verbs: argparse._SubParsersAction) -> None:
    on_gpus = argparse.ArgumentParser(add_help=False)
    on_gpus.add_argument(
        "--gpus",
        type=number_of_gpus,
        metavar="N",
        help="the GPUs that Snakemake grants, of which it leases what it needs; 0 is the CPU",
    )

    verb = verbs.add_parser(
        "calibrate", help="check packed ILSVRC-2012 images by torchvision's AlexNet on val", parents=[on_gpus]
    )
    verb.add_argument("dataset")
    verb.add_argument("output", type=Path, help="the record, written when the errors are the known ones")
    verb.add_argument("--data", type=Path, default=Path("data"), help="folder of the packed datasets")
    verb.add_argument("--weights", type=Path, help="file of the net's weights; torch hub's cache if not given")
    verb.add_argument("--download", action="store_true", help="fetch the weights where they are not in the cache")
    verb.set_defaults(run=run_calibrate)

    stores = argparse.ArgumentParser(add_help=False)
    stores.add_argument("--tracking", type=Path, required=True, help="what `track` wrote")
    stores.add_argument("--data", type=Path, default=Path("data"), help="folder of the packed datasets")

    verb = verbs.add_parser("train", help="train the run of a folder, or resume it", parents=[stores, on_gpus])
    verb.add_argument("folder", type=Path, help="holds config.yaml; the results go beside it")
    verb.add_argument(
        "--search",
        type=Path,
        nargs="+",
        help="folders of the runs that tried its learning rates, where it has a search",
    )
    verb.add_argument("--start", type=Path, help="folder of the run that it takes layers from, where it does")
    verb.set_defaults(run=run_train)

    verb = verbs.add_parser("learn", help="learn the baseline of a folder, or go on with it", parents=[stores])
    verb.add_argument("folder", type=Path, help="holds config.yaml; the results go beside it")
    verb.set_defaults(run=run_learn)

    verb = verbs.add_parser("judge", help="store a learnt baseline's probabilities and errors", parents=[stores])
    verb.add_argument("folder", type=Path, help="a learnt baseline's folder")
    verb.add_argument("output", type=Path, help="folder of the probabilities")
    verb.add_argument("--split", choices=("val", "test"), required=True)
    verb.set_defaults(run=run_judge)

    verb = verbs.add_parser("predict", help="store a trained net's probabilities and errors", parents=[stores, on_gpus])
    verb.add_argument("folder", type=Path, help="a trained run's folder")
    verb.add_argument("output", type=Path, help="folder of the probabilities")
    verb.add_argument("--split", choices=("val", "test"), required=True)
    verb.add_argument(
        "--submission",
        action="store_true",
        help="write SPLIT-submission.txt instead, the five most probable labels of each image: the official format",
    )
    verb.set_defaults(run=run_predict)

    verb = verbs.add_parser(
        "analyse", help="measure what a trained net's kernels and features have learnt", parents=[on_gpus]
    )
    verb.add_argument("folder", type=Path, help="a trained run's folder")
    verb.add_argument("output", type=Path, help="folder of analysis.json and examples.npz")
    verb.add_argument("--data", type=Path, default=Path("data"), help="folder of the packed datasets")
    verb.set_defaults(run=run_analyse)

    verb = verbs.add_parser("classify", help="print the five most probable labels of images by a stored net")
    verb.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    verb.add_argument("--net", type=Path, required=True, help="a trained run's folder, with its inputs.npz")
    verb.add_argument("--crops", choices=("ten", "centre"), default="ten")
    verb.add_argument("--json", action="store_true", help="print JSON")
    verb.set_defaults(run=run_classify)

    verb = verbs.add_parser("average", help="average stored probabilities into an ensemble's", parents=[stores])
    verb.add_argument("name")
    verb.add_argument("output", type=Path)
    verb.add_argument("--members", type=Path, nargs="+", required=True, help="folders of the members' probabilities")
    verb.add_argument("--split", choices=("val", "test"), required=True)
    verb.set_defaults(run=run_average)


def run_calibrate(options: argparse.Namespace) -> None:
    from alexnet2012.leases import lease_gpus

    packed = options.data / options.dataset
    with lease_gpus(f"calibrate {packed.resolve()}", granted=options.gpus):
        from alexnet2012.evaluation.calibration import calibrate_torchvision

        weights = options.weights and options.weights.expanduser()
        calibrate_torchvision(packed, options.output, weights, options.download)
    print(options.output)


def run_train(options: argparse.Namespace) -> None:
    run = read_settings(options.folder)
    needed = run.runtime.gpus_per_training
    if needed == 2 and LAUNCHED in os.environ:
        from alexnet2012.leases import share_lease

        with share_lease():
            return train_here(options, two_devices=True)
    with lease_for(run, f"train {options.folder.resolve()}", options.gpus, needed) as gpus:
        if needed == 2 and gpus != 1:  # on none it is two processes on the CPU
            from alexnet2012.towers.launch import launch

            return launch(options.arguments, run)
        return train_here(options, two_devices=False)


def train_here(options: argparse.Namespace, two_devices: bool) -> None:
    from alexnet2012.training.run import train

    train(options.folder, options.data, options.tracking, options.search, two_devices, options.start)


def run_predict(options: argparse.Namespace) -> None:
    run = read_settings(options.folder)
    with lease_for(run, f"predict {options.folder.resolve()} {options.split}", options.gpus):
        from alexnet2012.evaluation.run import predict, submit

        if options.submission:
            print(submit(options.folder, options.split, options.output, options.data))
            return
        predict(options.folder, options.split, options.output, options.data, options.tracking)


def run_analyse(options: argparse.Namespace) -> None:
    run = read_settings(options.folder)
    with lease_for(run, f"analyse {options.folder.resolve()}", options.gpus):
        from alexnet2012.evaluation.analysis import analyse

        analyse(options.folder, options.output, options.data)


def run_learn(options: argparse.Namespace) -> None:
    from alexnet2012.baselines.run import train_baseline

    read_settings(options.folder, baseline=True)
    train_baseline(options.folder, options.data, options.tracking)


def run_judge(options: argparse.Namespace) -> None:
    from alexnet2012.baselines.run import predict_baseline

    read_settings(options.folder, baseline=True)
    predict_baseline(options.folder, options.split, options.output, options.data, options.tracking)


def run_classify(options: argparse.Namespace) -> None:
    run = read_settings(options.net)
    with lease_for(run, f"classify {options.net.resolve()}", None):
        from alexnet2012.evaluation.classify import classify

        found = classify(options.net, options.images, options.crops)
    if options.json:
        labels = [[{"label": name, "probability": value} for name, value in each.labels] for each in found]
        images = [{"image": str(each.path), "labels": own} for each, own in zip(found, labels, strict=True)]
        print(json.dumps(images, indent=2))
        return
    for each in found:
        print(each.path)
        print("".join(f"{100 * value:7.1f} %  {name}\n" for name, value in each.labels), end="")


def read_settings(folder: Path, baseline: bool = False) -> "RunConfig":
    """The settings of a net, or of a baseline; raises ConfigError for the other one."""
    from alexnet2012.errors import ConfigError
    from alexnet2012.resolve import read_run

    run = read_run(folder / "config.yaml")
    if run.is_baseline != baseline:
        verbs = "train, predict and classify" if baseline else "learn and judge"
        raise ConfigError(f"{folder} holds a {'net' if baseline else 'baseline'}; that is for the verbs {verbs}")
    return run


def lease_for(run: "RunConfig", job: str, granted: int | None, needed: int = 1) -> AbstractContextManager[int]:
    """The GPUs of a job of `run`: entered before torch is imported, which must not see others."""
    from alexnet2012.leases import lease_gpus

    return lease_gpus(job, run.runtime.device, granted, needed, run.runtime.too_few_devices)


def run_average(options: argparse.Namespace) -> None:
    from alexnet2012.evaluation.run import average_members

    average_members(options.name, options.members, options.split, options.output, options.data, options.tracking)
