"""Parts that measure what people wait and pay for: a small training, ten crops of a validation set, energy."""

import os
import time

import numpy as np
import torch

from alexnet2012 import costs
from alexnet2012.data.augment import torch_generator
from alexnet2012.evaluation.crops import predict_crops, ten_crops
from alexnet2012.gpu_check.part import (
    CannotRunError,
    CheckPart,
    Figures,
    Target,
    begin_training,
    first_batch,
    make_settings,
    synchronise,
    write_images,
    write_packed,
)
from alexnet2012.gpus import VISIBLE, list_cards
from alexnet2012.model.layered import initialise, make_net
from alexnet2012.training.checkpoint import StopRequest
from alexnet2012.training.loop import Training, train_to_the_end

CIFAR_IMAGES, EPOCHS, VALIDATION_IMAGES = 45_000, 4, 50_000


def train_small_net(target: Target) -> Figures:
    """Wall time of a whole training of the default configuration's net, four epochs, with evaluation and checkpoints;
    and what it would be on CIFAR-10's 45,000 images."""
    schedule = {"kind": "fixed", "epochs": [3, 1]}
    run, classes = make_settings(target, scaled=True, deterministic=True, learning_rate=0.01, schedule=schedule)
    counts = target.pick({"train": 11_904, "val": 1000}, {"train": 32, "val": 8})
    dataset = write_packed(target.scratch / "small", run.dataset.size_px, classes, counts)
    state_folder = target.scratch / "state"
    state_folder.mkdir()
    device, began = target.open(deterministic=True), time.monotonic()
    training = Training(run, dataset, {"code": "", "config": "", "data": ""}, device, None)
    with StopRequest() as stop:
        train_to_the_end(training, state_folder, stop)
    took_s = time.monotonic() - began
    rate = float(np.median([row["images_per_second"] for row in training.state.history]))
    figures = {"images": counts["train"], "epochs": EPOCHS, "training_s": took_s, "images_per_s": rate}
    return figures | {"on_45000_images_s": took_s + EPOCHS * (CIFAR_IMAGES - counts["train"]) / rate}


def time_ten_crops(target: Target) -> Figures:
    """Ten-crop evaluation of the paper's net from files: images a second, and the time of 50,000 images."""
    run, classes = make_settings(target)
    dataset, device = write_images(target), target.open()
    net = make_net(run.architecture, classes)
    initialise(net, torch_generator(run.seed, "init"))
    images, crop_px, batch = dataset.split("train").images, run.architecture.crop_px, run.runtime.evaluation_batch
    crops, net, rate = ten_crops(dataset.size_px, crop_px), net.to(device), 0.0
    for count in (batch, target.pick(4000, 40)):  # the first one warms up
        rows, began = np.arange(count) % len(images), time.perf_counter()
        for _ in predict_crops(net, images, rows, dataset.mean_image, crops, crop_px, batch):
            pass
        synchronise(device)
        rate = count / (time.perf_counter() - began)
    figures = {"images_per_s": rate, "images": VALIDATION_IMAGES, "all_s": VALIDATION_IMAGES / rate}
    if device.type == "cuda":
        figures["peak_memory_bytes"] = torch.cuda.max_memory_allocated(device)
    return figures


def measure_watts(target: Target) -> Figures:
    """Power while the paper's net is trained on one batch in fp32, from the counters of NVML (or of the processor)."""
    if target.device == "cuda" and not os.environ.get(VISIBLE):
        os.environ[VISIBLE] = list_cards()[0].key
    read = costs.read_cards if target.device == "cuda" else costs.read_packages
    training = begin_training(target)
    batch = first_batch(training)
    training.update(batch)
    synchronise(training.device)
    before, began, images = read(), time.perf_counter(), 0
    if not before:
        raise CannotRunError("no counter of energy can be read")
    while time.perf_counter() - began < target.pick(8.0, 0.1):
        for _ in range(20):
            training.update(batch)
            images += len(batch.labels)
        training.collect()
    joules = sum((now - before[name][0]) % limit for name, (now, limit) in read().items())
    return {"watts": joules / (time.perf_counter() - began), "images_per_joule": images / joules}


USEFUL = (
    CheckPart("small-training", train_small_net, 60),
    CheckPart("ten-crops", time_ten_crops, 40),
    CheckPart("energy", measure_watts, 40, ("pynvml", "nvidia-smi")),
)
