"""Parts that measure the speed of training the paper's net: on one batch, from files, beside torchvision's AlexNet and
beside what the card can do."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.autograd.profiler_util import DeviceType  # type: ignore[attr-defined]
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from alexnet2012.config.nets import NetConfig
from alexnet2012.cpu import count_usable_cores
from alexnet2012.data.augment import draw_views
from alexnet2012.devices import make_deterministic
from alexnet2012.gpu_check.part import (
    CheckPart,
    Figures,
    Target,
    begin_training,
    draw_masks_for,
    first_batch,
    measure_rate,
    synchronise,
    write_images,
)
from alexnet2012.model.geometry import count_flops
from alexnet2012.timing import EnoughError, lengthen_epochs
from alexnet2012.training.loader import MAKERS
from alexnet2012.training.loop import CUDA_LOSSES, Training

HALF: dict[str, Any] = {"recipe": "fast", "precision": "bf16"}
MOST_STEPS = 5000  # in a window
TRACED, TOP = 10, 12  # the step that is traced, and operators in its picture


def measure_card(target: Target) -> Figures:
    """What the device can do: FLOPs a second of a 3x3 convolution and a matrix product, bytes a second of a copy."""
    device = target.open()
    figures = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        figures[f"{name}_convolution_flops_per_s"] = rate_convolution(target, device, dtype)
        side = target.pick(8192, 64)
        a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        figures[f"{name}_product_flops_per_s"] = 2.0 * side**3 * rate_calls(target, lambda: torch.mm(a, b))  # noqa: B023
    values = target.pick(2**28, 2**12)
    source, copied = (torch.zeros(values, device=device) for _ in range(2))
    figures["copy_bytes_per_s"] = 2.0 * 4 * values * rate_calls(target, lambda: copied.copy_(source))
    return figures


def rate_convolution(target: Target, device: torch.device, dtype: torch.dtype) -> float:
    """FLOPs a second of conv3 of the paper on a batch, forward, channels last."""
    images, channels, kernels, px = target.pick((128, 256, 384, 13), (2, 8, 8, 5))
    maps = torch.randn(images, channels, px, px, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    weights = torch.randn(kernels, channels, 3, 3, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        calls = rate_calls(target, lambda: functional.conv2d(maps, weights, padding=1))
    return 2.0 * images * kernels * channels * 9 * px**2 * calls


def rate_calls(target: Target, call: Callable[[], object]) -> float:
    """Calls a second."""

    def count() -> int:
        call()
        return 1

    return measure_rate(target, count, 0.5)


def compare_feeds(target: Target, **settings: Any) -> Figures:
    """Images a second of training with a batch that is on the device and from memory-mapped files, and the share of
    the card's floor that is reached."""
    training, dtype = begin_training(target, **settings), torch.bfloat16 if settings else torch.float32
    device, run = training.device, training.run
    assert isinstance(run.net, NetConfig)
    ready = rate_ready(target, training)
    files = rate_epochs(target, training)
    flops = count_flops(run.net, len(training.dataset.classes), 1)
    figures = {"ready_images_per_s": ready, "files_images_per_s": files, "files_share": files / ready}
    figures["floor_share"] = ready * flops / rate_convolution(target, device, dtype)
    if device.type == "cuda":
        figures["peak_memory_bytes"] = torch.cuda.max_memory_allocated(device)
        if not run.training.compile:
            make_deterministic()
            figures["deterministic_ready_images_per_s"] = rate_ready(target, training)
            figures["deterministic_files_images_per_s"] = rate_epochs(target, training)
    return figures


def rate_ready(target: Target, training: Training) -> float:
    """Images a second of updates on one batch that is on the device, without drawing masks."""
    batch = first_batch(training)

    def step() -> int:
        training.update(batch)
        training.state.step += 1
        if len(training.pending) >= CUDA_LOSSES:
            training.collect()
        return len(batch.labels)

    return measure_rate(target, step)


def rate_epochs(target: Target, training: Training) -> float:
    """Images a second of the training's own loop, from packed files; the first 20 steps are not counted."""
    warm, window_s = target.pick(20, 2), target.pick(5.0, 0.05)
    lengthen_epochs(training, MOST_STEPS)
    training.state.batch = 0
    began = 0.0

    def after_step() -> None:
        nonlocal began
        if training.state.batch == warm:
            synchronise(training.device)
            began = time.perf_counter()
        elif training.state.batch > warm and time.perf_counter() - began > window_s:
            raise EnoughError

    with suppress(EnoughError):
        training.train_epoch(after_step)
    synchronise(training.device)
    return (training.state.batch - warm) * training.run.training.batch_size / (time.perf_counter() - began)


def train_compiled(target: Target) -> Figures:
    """Recipe fast: bf16, compiled; not with toys, for which a CPU's compiler takes minutes."""
    with torch.compiler.set_stance("force_eager" if target.tiny else "default"):
        return compare_feeds(target, **HALF, compile=True)


def measure_host(target: Target) -> Figures:
    """Images a second that one thread of the host makes ready: crops and dropout masks; masks alone."""
    training = begin_training(target)
    run, size = training.run, training.run.training.batch_size
    batch = training.rows.train[:size]
    how, crop_px = run.training.augmentation, run.architecture.crop_px
    views = draw_views(1, 0, training.dataset, len(training.loader.labels), crop_px, how)
    both = rate_calls(target, lambda: training.loader.make_on_host(batch, views, 0))
    masks = rate_calls(target, lambda: draw_masks_for(run, size))
    return {"thread_images_per_s": both * size, "masks_alone_images_per_s": masks * size, "threads": MAKERS}


def train_torchvision(target: Target) -> Figures:
    """torchvision's AlexNet: images a second with a batch on the device (fp32 and bf16), and fed from JPEGs by
    ImageFolder and DataLoader."""
    from torchvision.models import alexnet

    device = target.open()
    net = alexnet(weights=None).to(device).train()
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-6, momentum=0.9, weight_decay=5e-4)
    crop_px, size = 224, target.pick(128, 2)
    pixels, labels = torch.randn(size, 3, crop_px, crop_px, device=device), torch.arange(size, device=device)

    def step(pixels: torch.Tensor, labels: torch.Tensor, half: bool = False) -> int:
        optimiser.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            loss = nn.functional.cross_entropy(net(pixels), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return len(labels)

    figures = {"ready_images_per_s": measure_rate(target, lambda: step(pixels, labels))}
    figures["bf16_ready_images_per_s"] = measure_rate(target, lambda: step(pixels, labels, True))
    batches = iter(load_photographs(target, crop_px, size))

    def load_and_step() -> int:
        images, classes = next(batches)
        return step(images.to(device, non_blocking=True), classes.to(device, non_blocking=True))

    figures["loader_images_per_s"] = measure_rate(target, load_and_step)
    return figures


def load_photographs(target: Target, crop_px: int, batch: int) -> Iterable[list[torch.Tensor]]:
    """Endless batches of the synthetic images as JPEGs of 256 pixels, as people load them."""
    from PIL import Image
    from torch.utils.data import DataLoader, RandomSampler
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    folder, train = target.scratch / "jpegs" / "class0", write_images(target).split("train")
    folder.mkdir(parents=True)
    for row in range(len(train)):
        Image.fromarray(train.images[row]).resize((256, 256)).save(folder / f"{row:03d}.jpg", quality=90)
    steps = [v2.RandomCrop(crop_px), v2.RandomHorizontalFlip(), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    images = ImageFolder(folder.parent, v2.Compose(steps))
    sampler = RandomSampler(images, replacement=True, num_samples=10**7)
    workers = target.pick(count_usable_cores(), 0)
    loader: Iterable[list[torch.Tensor]] = DataLoader(
        images, batch, sampler=sampler, num_workers=workers, pin_memory=target.device == "cuda"
    )
    return loader


def trace_step(target: Target) -> Figures:
    """One step of recipe paper from files by torch.profiler: trace.txt, trace.png where matplotlib is, and the share of
    the step in which the device computes; where that is small, the host is the limit."""
    training = begin_training(target)
    device, began, took_s = training.device, 0.0, 0.0
    on_card = device.type == "cuda"
    found = profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_card else [])])
    lengthen_epochs(training, 2 * TRACED)

    def after_step() -> None:
        nonlocal began, took_s
        if training.state.batch == TRACED:
            synchronise(device)
            found.start()
            began = time.perf_counter()
        elif training.state.batch > TRACED:
            synchronise(device)
            took_s = time.perf_counter() - began
            found.stop()
            raise EnoughError

    with suppress(EnoughError):
        training.train_epoch(after_step)
    key, events = "self_device_time_total" if on_card else "self_cpu_time_total", found.key_averages()
    (target.out / "trace.txt").write_text(events.table(sort_by=key, row_limit=25), encoding="utf-8")
    computed = [each for each in events if each.device_type == (DeviceType.CUDA if on_card else DeviceType.CPU)]
    busy_share = sum(getattr(each, key) for each in computed) / 1e6 / took_s
    operators = [each for each in events if each.device_type == DeviceType.CPU and getattr(each, key) > 0]
    operators = sorted(operators, key=lambda each: -getattr(each, key))[:TOP]
    spent = {each.key: getattr(each, key) / 1e3 for each in operators}
    with suppress(ImportError):
        draw_operators(target.out / "trace.png", spent, took_s)
    return {"step_s": took_s, "busy_share": busy_share} | {f"ms in {name}": ms for name, ms in spent.items()}


def draw_operators(path: Path, spent: dict[str, float], step_s: float) -> None:
    """A bar for each operator, with its milliseconds in one step."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.barh([name[:60] for name in spent], list(spent.values()))
    axes.invert_yaxis()
    axes.set_xlabel(f"ms in one step of {1000 * step_s:.1f} ms")
    figure.savefig(path, dpi=100)


SHARES = {"files_share": 0.9}
FAST_PARTS = (
    CheckPart("card", measure_card, 30),
    CheckPart("paper-fp32", compare_feeds, 60, goals={"ready_images_per_s": 9000, "floor_share": 0.6, **SHARES}),
    CheckPart("fast-bf16", partial(compare_feeds, **HALF), 60),
    CheckPart("fast-bf16-compiled", train_compiled, 150, ("g++",), goals={"ready_images_per_s": 40_000, **SHARES}),
    CheckPart("host", measure_host, 30),
    CheckPart("torchvision", train_torchvision, 60, ("torchvision", "PIL")),
    CheckPart("trace", trace_step, 40),
)
