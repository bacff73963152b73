"""A process of its own that measures what a training and a prediction cost, in step with others like it.

`python -m alexnet2012.planning.probe JSON`: it prints one JSON line when it stands at each phase, waits for a line on
stdin so that all processes measure at once, and prints what it measured.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from alexnet2012.config import RunConfig

CUDA_CHUNK = 25  # steps between two looks at the clock on a GPU, which is waited for each time
MINIMUM_CHUNKS = 2
LONG_BATCH_S = 0.5  # ten crops of a batch slower than this are not measured but taken as ten times one crop
DRAWN_IMAGES = 1_300_000  # views of more images are measured on so many


@dataclass(frozen=True)
class ProbeRequest:
    """`images_file`: uint8 .npy (n, s, s, 3). `epoch_images`: of the real training split. `window_s`: of each phase."""

    run: dict
    classes: int
    images_file: str
    epoch_images: int
    window_s: float


@dataclass(frozen=True)
class Probe:
    """Medians in seconds: one step (batch made, update), one image's centre crop and ten crops, what an epoch costs
    before its first step, and one checkpoint. `ready_s`: the clock (time.time) when the imports of a training were
    done. `device` is the GPU's name, or cpu."""

    step_s: float
    centre_s: float
    ten_crop_s: float
    epoch_start_s: float
    checkpoint_s: float
    ready_s: float
    device: str


class EnoughError(Exception):
    """Ends a measured epoch."""


def main(request: ProbeRequest, in_step: Callable[[str], None]) -> Probe:
    """Run the real training and evaluation code on random images; `in_step` returns when all processes stand there."""
    import numpy as np
    import torch

    from alexnet2012 import devices
    from alexnet2012.data.batches import draw_order, draw_views
    from alexnet2012.data.packed import PackedDataset, PackedSplit
    from alexnet2012.evaluation.crops import centre_crop, ten_crops
    from alexnet2012.evaluation.predict import predict_crops
    from alexnet2012.training import run as imports_of_a_training  # noqa: F401
    from alexnet2012.training.checkpoint import save
    from alexnet2012.training.loop import Training

    ready_s = time.time()
    run = RunConfig.model_validate(request.run)
    device = devices.open_device(run.runtime.device, run.training.torch_threads)
    images = np.load(request.images_file, mmap_mode="r")
    labels = np.arange(len(images)) % request.classes

    class RandomImages(PackedDataset):
        def split(self, name: str) -> PackedSplit:
            return PackedSplit(name, images, labels)

    dataset = RandomImages(
        folder=Path(request.images_file).parent,
        name="random",
        digest="",
        classes=tuple(map(str, range(request.classes))),
        counts=dict.fromkeys(("train", "val", "test"), len(images)),
        size_px=images.shape[1],
        mean_image=np.full(images.shape[1:], 120, dtype=np.float32),
        colour_vectors=np.eye(3),
        colour_deviations=np.array([90.0, 20.0, 8.0]),
    )
    training = Training(run, dataset, {}, device, None)
    chunk = CUDA_CHUNK if device.type == "cuda" else 1

    def wait_for_device() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    def train(seconds: float, chunks: int) -> list[float]:
        """Seconds of each step, by the epoch loop of a real training; its epochs of random images are short."""
        taken: list[float] = []
        marks = [time.perf_counter()]
        steps = 0

        def after_step() -> None:
            nonlocal steps
            steps += 1
            if steps % chunk:
                return
            wait_for_device()
            taken.append((time.perf_counter() - marks[-1]) / chunk)
            marks.append(time.perf_counter())
            if len(taken) >= chunks and marks[-1] - marks[0] >= seconds:
                raise EnoughError

        try:
            while True:
                training.state.batch = 0
                training.train_epoch(after_step)
                training.state.epoch += 1
        except EnoughError:
            return taken

    def evaluate(crops: tuple, seconds: float, chunks: int) -> list[float]:
        """Seconds of each evaluation batch."""
        rows = np.arange(run.runtime.evaluation_batch) % len(images)
        taken: list[float] = []
        started = time.perf_counter()
        while len(taken) < chunks or time.perf_counter() - started < seconds:
            before = time.perf_counter()
            for _ in predict_crops(
                training.net, images, rows, dataset.mean_image, crops, run.net.crop_px, run.runtime.evaluation_batch
            ):
                pass
            taken.append(time.perf_counter() - before)
        return taken

    crops = ten_crops(dataset.size_px, run.net.crop_px)
    centre_only = (centre_crop(dataset.size_px, run.net.crop_px),)
    train(0.0, 1)
    in_step("train")
    steps = train(request.window_s, MINIMUM_CHUNKS)
    evaluate(centre_only, 0.0, 1)
    in_step("centre")
    centre = statistics.median(evaluate(centre_only, request.window_s / 2, MINIMUM_CHUNKS))
    ten = 10 * centre
    if ten < LONG_BATCH_S * 10:
        evaluate(crops, 0.0, 1)
        in_step("ten_crop")
        ten = statistics.median(evaluate(crops, request.window_s, MINIMUM_CHUNKS))
    else:
        in_step("ten_crop")
    drawn = max(1, min(request.epoch_images, DRAWN_IMAGES))
    started = time.perf_counter()
    draw_order(run.seed, 0, drawn)
    draw_views(run.seed, 0, dataset, drawn, run.net.crop_px, run.training.augmentation)
    epoch_start = (time.perf_counter() - started) * max(1.0, request.epoch_images / drawn)
    with tempfile.TemporaryDirectory(dir=dataset.folder) as folder:
        started = time.perf_counter()
        save(Path(folder), training.capture())
        checkpoint = time.perf_counter() - started
    batch = run.runtime.evaluation_batch
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    return Probe(statistics.median(steps), centre / batch, ten / batch, epoch_start, checkpoint, ready_s, name)


def average_probes(probes: list[Probe]) -> Probe:
    """The means of simultaneous processes, which share the machine; the clock is that of the last to be ready."""
    names = ("step_s", "centre_s", "ten_crop_s", "epoch_start_s", "checkpoint_s")
    means = {name: statistics.mean(getattr(probe, name) for probe in probes) for name in names}
    return replace(probes[0], **means, ready_s=max(probe.ready_s for probe in probes))


def speak(phase: str) -> None:
    print(json.dumps({"at": phase}), flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    print(json.dumps(asdict(main(ProbeRequest(**json.loads(sys.argv[1])), speak))), flush=True)
