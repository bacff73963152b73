"""Training on a GPU, timed by the device's own events: ours end to end, and torchvision's AlexNet in the usual loop."""

from collections.abc import Callable
from pathlib import Path

import torch
from contenders.batches import open_loader
from contest import Call, Done
from torch import nn

from alexnet2012 import devices
from alexnet2012.config.schema import RunConfig
from alexnet2012.data.packed import open_packed
from alexnet2012.timing import lengthen_epochs
from alexnet2012.training.loop import Training

SIDE = 8192


def make_ours(run: dict, folder: str, steps: int) -> Call:
    """An epoch of at least `steps` by the loop of a real training, on packed images from page cache."""
    settings = RunConfig.model_validate(run)
    device = devices.open_device("cuda", settings.training.torch_threads, settings.runtime.deterministic)
    training = Training(settings, open_packed(Path(folder)), {}, device, None)
    lengthen_epochs(training, steps)

    def train() -> int:
        training.state.batch = 0
        training.train_epoch(lambda: None)
        training.state.epoch += 1
        return training.images_per_epoch

    return lambda: timed(train)


def make_loader_loop(folder: str, crop_px: int, batch: int, workers: int) -> Call:
    """ImageFolder, DataLoader with pinned memory, torchvision's AlexNet, torch's SGD."""
    loader = open_loader(folder, crop_px, batch, workers, pin_memory=True)
    step = make_step()

    def train() -> int:
        images = 0
        for pixels, labels in loader:
            step(pixels.to("cuda", non_blocking=True), labels.to("cuda", non_blocking=True))
            images += len(labels)
        return images

    return lambda: timed(train)


def make_ready_loop(crop_px: int, batch: int, steps: int) -> Call:
    """The same steps on one batch that lies on the GPU: no loading at all."""
    step = make_step()
    pixels = torch.randn(batch, 3, crop_px, crop_px, device="cuda")
    labels = torch.arange(batch, device="cuda") % 1000

    def train() -> int:
        for _ in range(steps):
            step(pixels, labels)
        return steps * batch

    return lambda: timed(train)


def make_rates(dtype: str) -> Call:
    """Details: FLOPs a second of torch.mm in `dtype`."""
    a, b = (torch.randn(SIDE, SIDE, device="cuda", dtype=getattr(torch, dtype)) for _ in range(2))

    def multiply() -> int:
        for _ in range(10):
            torch.mm(a, b)
        return 1

    def call() -> Done:
        done = timed(multiply)
        return Done(1, done.seconds, {"torch.mm": 10 * 2 * SIDE**3 / done.seconds})

    return call


def make_step() -> Callable[[torch.Tensor, torch.Tensor], None]:
    from torchvision.models import alexnet

    net = alexnet(weights=None).cuda().train()
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4)
    criterion = nn.CrossEntropyLoss()

    def step(pixels: torch.Tensor, labels: torch.Tensor) -> None:
        optimiser.zero_grad()
        criterion(net(pixels), labels).backward()
        optimiser.step()

    return step


def timed(work: Callable[[], int]) -> Done:
    """Seconds between two events on the device, around `work` and the last of its kernels."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begin.record()
    images = work()
    end.record()
    torch.cuda.synchronize()
    return Done(images, begin.elapsed_time(end) / 1000)
