"""The verbs that evaluate trained nets and baselines, inspect nets, and check the images."""

import argparse
import json
from pathlib import Path

from alexnet2012.verbs.arguments import add_data, add_gpus, add_split, add_stores
from alexnet2012.verbs.jobs import lease_for, read_settings


def add_evaluating_verbs(verbs: argparse._SubParsersAction) -> None:
    verb = verbs.add_parser("predict", help="predict a split by a trained net: probabilities and errors")
    verb.add_argument("folder", type=Path, help="a trained run's folder")
    verb.add_argument("output", type=Path, help="folder of the probabilities")
    verb.add_argument(
        "--submission",
        action="store_true",
        help="write SPLIT-submission.txt instead, the five most probable labels of each image: the official format",
    )
    add_split(verb)
    add_stores(verb)
    add_gpus(verb)
    verb.set_defaults(run=run_predict)

    verb = verbs.add_parser("judge", help="predict a split by a trained baseline: probabilities and errors")
    verb.add_argument("folder", type=Path, help="a trained baseline's folder")
    verb.add_argument("output", type=Path, help="folder of the probabilities")
    add_split(verb)
    add_stores(verb)
    verb.set_defaults(run=run_judge)

    verb = verbs.add_parser("average", help="average the probabilities of an ensemble's members")
    verb.add_argument("name")
    verb.add_argument("output", type=Path)
    verb.add_argument("--members", type=Path, nargs="+", required=True, help="folders of the members' probabilities")
    add_split(verb)
    add_stores(verb)
    verb.set_defaults(run=run_average)


def add_inspecting_verbs(verbs: argparse._SubParsersAction) -> None:
    """Verbs whose results are in no table of errors: analyse, classify, calibrate."""
    verb = verbs.add_parser("analyse", help="analyse a trained net's kernels and features")
    verb.add_argument("folder", type=Path, help="a trained run's folder")
    verb.add_argument("output", type=Path, help="folder of analysis.json and examples.npz")
    add_data(verb)
    add_gpus(verb)
    verb.set_defaults(run=run_analyse)

    verb = verbs.add_parser("classify", help="print the five most probable labels of images by a trained net")
    verb.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    verb.add_argument("--net", type=Path, required=True, help="a trained run's folder, with its inputs.npz")
    verb.add_argument("--crops", choices=("ten", "centre"), default="ten")
    verb.add_argument("--json", action="store_true", help="print JSON")
    verb.set_defaults(run=run_classify)

    verb = verbs.add_parser(
        "calibrate", help="check packed ILSVRC-2012 images by torchvision's AlexNet, of known error"
    )
    verb.add_argument("dataset")
    verb.add_argument("output", type=Path, help="file of the record, written if the errors are the known ones")
    verb.add_argument("--weights", type=Path, help="file of the net's weights; torch hub's cache if not given")
    verb.add_argument("--download", action="store_true", help="fetch the weights where they are not in the cache")
    add_data(verb)
    add_gpus(verb)
    verb.set_defaults(run=run_calibrate)


def run_predict(options: argparse.Namespace) -> None:
    run = read_settings(options.folder)
    with lease_for(run, f"predict {options.folder.resolve()} {options.split}", options.gpus):
        from alexnet2012.evaluation.predict import predict, submit

        if options.submission:
            print(submit(options.folder, options.split, options.output, options.data))
            return
        predict(options.folder, options.split, options.output, options.data, options.tracking)


def run_judge(options: argparse.Namespace) -> None:
    from alexnet2012.baselines.run import predict_baseline

    read_settings(options.folder, baseline=True)
    predict_baseline(options.folder, options.split, options.output, options.data, options.tracking)


def run_average(options: argparse.Namespace) -> None:
    from alexnet2012.evaluation.ensemble import average_members

    average_members(options.name, options.members, options.split, options.output, options.data, options.tracking)


def run_analyse(options: argparse.Namespace) -> None:
    run = read_settings(options.folder)
    with lease_for(run, f"analyse {options.folder.resolve()}", options.gpus):
        from alexnet2012.evaluation.analysis import analyse

        analyse(options.folder, options.output, options.data)


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


def run_calibrate(options: argparse.Namespace) -> None:
    from alexnet2012.gpus import lease_gpus

    packed = options.data / options.dataset
    with lease_gpus(f"calibrate {packed.resolve()}", granted=options.gpus):
        from alexnet2012.evaluation.calibrate import calibrate_torchvision

        weights = options.weights and options.weights.expanduser()
        calibrate_torchvision(packed, options.output, weights, options.download)
    print(options.output)
