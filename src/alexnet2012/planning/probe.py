"""A process of its own that measures what a training and a prediction cost, in step with others like it.

`python -m alexnet2012.planning.probe JSON`: it prints one JSON line when it stands at each phase, waits for a line on
stdin so that all processes measure at once, and prints what it measured.
"""

import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields

PHASES = ("train", "centre", "ten_crop")
LONG_BATCH_S = 0.5  # where one crop of a batch takes longer, ten are not measured but taken as ten times as much


@dataclass(frozen=True)
class ProbeRequest:
    """`run`: a RunConfig's values. `images_folder`: of a packed split. `epoch_images`: of the real training split.
    `window_s`: how long each phase measures."""

    run: dict
    classes: int
    images_folder: str
    epoch_images: int
    window_s: float


@dataclass(frozen=True)
class Probe:
    """Medians in seconds: one step (batch made, update), one image's centre crop and ten crops; and what an epoch costs
    before its first step, and one checkpoint. `device` is the GPU's name, or cpu."""

    step_s: float
    centre_s: float
    ten_crop_s: float
    epoch_start_s: float
    checkpoint_s: float
    device: str


def probe(request: ProbeRequest, stand_at: Callable[[str], None]) -> Probe:
    """Run the real training and evaluation code on random images; `stand_at(phase)` returns when all stand there."""
    from alexnet2012.planning.bench import Bench

    bench = Bench(request)
    batch = bench.run.runtime.evaluation_batch
    bench.train(0.0, 1)
    stand_at("train")
    steps = bench.train(request.window_s)
    bench.evaluate(bench.centre, 0.0, 1)
    stand_at("centre")
    centre_s = statistics.median(bench.evaluate(bench.centre, request.window_s / 2))
    ten_crop_s = 10 * centre_s
    measured = centre_s < LONG_BATCH_S
    if measured:
        bench.evaluate(bench.crops, 0.0, 1)
    stand_at("ten_crop")
    if measured:
        ten_crop_s = statistics.median(bench.evaluate(bench.crops, request.window_s))
    return Probe(
        step_s=statistics.median(steps),
        centre_s=centre_s / batch,
        ten_crop_s=ten_crop_s / batch,
        epoch_start_s=bench.start_epoch(),
        checkpoint_s=bench.save_checkpoint(),
        device=bench.device_name,
    )


def average_probes(probes: list[Probe]) -> Probe:
    """The means of simultaneous processes."""
    names = [field.name for field in fields(Probe) if field.name != "device"]
    means = {name: statistics.mean(getattr(each, name) for each in probes) for name in names}
    return Probe(**means, device=probes[0].device)


def speak(phase: str) -> None:
    print(json.dumps({"at": phase}), flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    print(json.dumps(asdict(probe(ProbeRequest(**json.loads(sys.argv[1])), speak))), flush=True)
