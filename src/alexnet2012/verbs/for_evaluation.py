"""The verbs that evaluate trained nets and baselines, inspect nets, and check the images."""

import json
from argparse import Namespace

from alexnet2012.gpus import lease_gpus
from alexnet2012.verbs.arguments import DATA, GPUS, JSON, NAME, OUTPUT, SPLIT, SPLITS, argument, path, verb
from alexnet2012.verbs.jobs import lease_for, read_settings

LABELS = 5  # of an image

NET = path("folder", "a trained run's folder")
PROBABILITIES = path("output", "folder of the probabilities")
FORMAT = "write SPLIT-submission.txt instead, the five most probable labels of each image: the official format"
SUBMISSION = argument("--submission", action="store_true", help=FORMAT)


@verb(
    "predict splits by a trained net: probabilities and errors",
    NET,
    PROBABILITIES,
    SUBMISSION,
    SPLITS,
    DATA,
    GPUS,
    example="runs/cifar10/cnn-2aac5739/seed0 predictions/cifar10/cnn-2aac5739/seed0 --split val test",
    by_workflow=True,
)
def run_predict(options: Namespace) -> None:
    run = read_settings(options.folder)
    with lease_for(run, f"predict {options.folder.resolve()} {' '.join(options.splits)}", options.gpus):
        from alexnet2012.evaluation.predict import predict, submit

        if options.submission:
            for split in options.splits:
                print(submit(options.folder, split, options.output, options.data))
            return
        predict(options.folder, options.splits, options.output, options.data)


BASELINE = path("folder", "a trained baseline's folder")


@verb(
    "predict a split by a trained baseline: probabilities and errors",
    BASELINE,
    PROBABILITIES,
    SPLIT,
    DATA,
    example="runs/cifar10/sift-fv-322e48a0/seed0 predictions/cifar10/sift-fv-322e48a0/seed0 --split test",
    by_workflow=True,
)
def run_predict_baseline(options: Namespace) -> None:
    from alexnet2012.baselines.run import predict_baseline

    read_settings(options.folder, baseline=True)
    predict_baseline(options.folder, options.split, options.output, options.data)


MEMBERS = path("--members", "folders of the members' probabilities", nargs="+", required=True)


@verb(
    "average the probabilities of an ensemble's members",
    NAME,
    OUTPUT,
    MEMBERS,
    SPLIT,
    DATA,
    example="5-cnns AVERAGE --split test --members SEED0 SEED1 SEED2 SEED3 SEED4",
    by_workflow=True,
)
def run_average(options: Namespace) -> None:
    from alexnet2012.evaluation.ensemble import average_members

    average_members(options.name, options.members, options.split, options.output, options.data)


ANALYSIS = path("output", "folder of analysis.json and examples.npz")


@verb(
    "analyse a trained net's kernels and features",
    NET,
    ANALYSIS,
    DATA,
    GPUS,
    example="runs/cifar10/cnn-2aac5739/seed0 analyses/cifar10/cnn-2aac5739/seed0",
    by_workflow=True,
)
def run_analyse(options: Namespace) -> None:
    run = read_settings(options.folder)
    with lease_for(run, f"analyse {options.folder.resolve()}", options.gpus):
        from alexnet2012.evaluation.analysis import analyse

        analyse(options.folder, options.output, options.data)


@verb(
    "print the most probable labels of images by a trained net",
    path("images", "image files, or folders of them", nargs="+", metavar="IMAGE"),
    path("--net", "a trained run's folder, with its inputs.npz; or nets/tiny-imagenet, of the project", required=True),
    argument("--crops", choices=("ten", "centre"), default="ten"),
    JSON,
    example="cat.jpg holidays/ --net nets/tiny-imagenet",
)
def run_classify(options: Namespace) -> None:
    from alexnet2012.evaluation.trained import find_net

    folder = find_net(options.net)
    run = read_settings(folder)
    with lease_for(run, f"classify {folder.resolve()}", None):
        from alexnet2012 import load
        from alexnet2012.devices import open_device

        device = open_device(run.runtime.device, run.training.torch_threads, run.runtime.deterministic)
        found = load(folder).to(device).predict(options.images, options.crops)
    best = [(image, row.nlargest(LABELS)) for image, row in found.iterrows()]
    if options.json:
        labels = [[{"label": name, "probability": value} for name, value in row.items()] for _, row in best]
        images = [{"image": image, "labels": own} for (image, _), own in zip(best, labels, strict=True)]
        print(json.dumps(images, indent=2))
        return
    from tabulate import tabulate

    cells = [[f"{name} {100 * value:.1f} %" for name, value in row.items()] for _, row in best]
    lines = [[image, own[0], ", ".join(own[1:])] for (image, _), own in zip(best, cells, strict=True)]
    print(tabulate(lines, ["image", "most probable", "then"], disable_numparse=True))


@verb(
    "write a trained net as an ONNX file, from pixels to probabilities, checked against onnxruntime",
    path("net", "a trained run's folder, with its inputs.npz"),
    path("--onnx", "the file to be written", metavar="FILE", required=True),
    example="results/cifar10/runs/cifar10/cnn-2aac5739/seed0 --onnx net.onnx",
)
def run_export(options: Namespace) -> None:
    from alexnet2012.evaluation.onnx_export import OPSET, export_onnx

    difference = export_onnx(options.net, options.onnx)
    print(f"{options.onnx}: opset {OPSET}; onnxruntime's probabilities are the net's within {difference:.1g}")


@verb(
    "check packed ILSVRC-2012 images by torchvision's AlexNet, of known error",
    argument("dataset"),
    path("output", "file of the record, written if the errors are the known ones"),
    path("--weights", "file of the net's weights; torch hub's cache if not given"),
    argument("--download", action="store_true", help="fetch the weights where they are not in the cache"),
    DATA,
    GPUS,
    example="ilsvrc2012 results/ilsvrc/calibration.json --download",
    by_workflow=True,
)
def run_calibrate(options: Namespace) -> None:
    packed = options.data / options.dataset
    with lease_gpus(f"calibrate {packed.resolve()}", granted=options.gpus):
        from alexnet2012.evaluation.calibrate import calibrate_torchvision

        weights = options.weights and options.weights.expanduser()
        calibrate_torchvision(packed, options.output, weights, options.download)
    print(options.output)
