"""The rates of this machine: the real training and evaluation code for seconds, in as many processes as will run."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.errors import PlanError
from alexnet2012.planning.machine import Machine
from alexnet2012.planning.miniature import job_environment
from alexnet2012.planning.probe import PHASES, Probe, ProbeRequest, average_probes
from alexnet2012.planning.small_costs import make_photograph
from alexnet2012.planning.work import TrainingWork, Work

BUDGET_S = 40.0  # after so long, what is left is scaled from what was measured
WINDOW_S = 3.0
SAMPLE_BYTES = 2**27  # of random images: more than any cache holds, and 45,000 of CIFAR-10's


@dataclass(frozen=True)
class Rates:
    """Seconds of one training when `processes` of its kind run side by side: see Probe.

    `origin` says in words where they come from; `device` is the GPU's name, or cpu.
    """

    batch_size: int
    step_s: float
    centre_s: float
    ten_crop_s: float
    epoch_start_s: float
    checkpoint_s: float
    processes: int
    device: str
    origin: str

    @property
    def images_per_s(self) -> float:
        """Training images of one process."""
        return self.batch_size / self.step_s

    def at(self, images_per_s: float, origin: str) -> "Rates":
        """As fast as asked; evaluation keeps its measured ratio to training."""
        ratio = (self.batch_size / images_per_s) / self.step_s
        return replace(
            self,
            step_s=self.step_s * ratio,
            centre_s=self.centre_s * ratio,
            ten_crop_s=self.ten_crop_s * ratio,
            origin=origin,
        )


def setting_of(training: TrainingWork) -> str:
    """Equal for trainings that run at the same speed."""
    run = training.run
    return json.dumps(
        [
            run.net.model_dump(),
            run.training.batch_size,
            run.training.augmentation.model_dump(),
            run.training.precision,
            run.training.compile,
            run.training.torch_threads,
            run.runtime.evaluation_batch,
            run.runtime.device,
            run.dataset.size_px,
            [run.dataset.storage, run.dataset.jpeg_quality],
            training.dataset.counts.classes,
        ]
    )


def measure_rates(
    work: Work, machine: Machine, budget_s: float = BUDGET_S, window_s: float = WINDOW_S
) -> dict[str, Rates]:
    """Rates by `setting_of` for every training that is not done or not evaluated yet.

    Settings that come when the budget is spent get the rates of a measured one, by the multiply-adds of the nets.
    Raises PlanError when a measuring process fails.
    """
    unfinished = {each.training.name for each in work.predictions if not each.done}
    settings: dict[str, list[TrainingWork]] = {}
    for training in work.trainings:
        if not training.done or training.name in unfinished:
            settings.setdefault(setting_of(training), []).append(training)
    started = time.monotonic()
    rates: dict[str, Rates] = {}
    measured: list[tuple[TrainingWork, Rates]] = []
    for setting, trainings in settings.items():
        training = trainings[0]
        if measured and time.monotonic() - started > budget_s:
            rates[setting] = scale(*measured[0], training)
            continue
        share = max(1.0, min(window_s, budget_s / len(settings) / len(PHASES))) if window_s >= 1 else window_s
        pending = sum(len(each) for each in settings.values())
        rates[setting] = measure_setting(training, machine.at_once(training.run, pending), machine, share)
        measured.append((training, rates[setting]))
    return rates


def measure_setting(training: TrainingWork, processes: int, machine: Machine, window_s: float) -> Rates:
    """The rates of one setting from `processes` simultaneous probes."""
    run = training.run
    with random_images(run.dataset, training.images, run.training.batch_size) as folder:
        request = ProbeRequest(
            run=run.model_dump(),
            classes=max(2, training.dataset.counts.classes),
            images_folder=str(folder),
            epoch_images=max(1, training.images),
            window_s=window_s,
        )
        probes = run_probes(request, processes, machine.cards if run.runtime.device != "cpu" else None)
    probe = average_probes(probes)
    return Rates(
        batch_size=run.training.batch_size,
        step_s=probe.step_s,
        centre_s=probe.centre_s,
        ten_crop_s=probe.ten_crop_s,
        epoch_start_s=probe.epoch_start_s,
        checkpoint_s=probe.checkpoint_s,
        processes=len(probes),
        device=probe.device,
        origin="measured",
    )


def scale(measured: TrainingWork, rates: Rates, training: TrainingWork) -> Rates:
    """`rates` of a measured net for another one."""
    ratio = training.multiply_adds / measured.multiply_adds
    batches = training.run.training.batch_size / rates.batch_size
    return replace(
        rates,
        batch_size=training.run.training.batch_size,
        step_s=rates.step_s * ratio * batches,
        centre_s=rates.centre_s * ratio,
        ten_crop_s=rates.ten_crop_s * ratio,
        origin=f"from {measured.run.variant}'s by multiply-adds",
    )


@contextmanager
def random_images(dataset: DatasetConfig, images: int, batch_size: int) -> Iterator[Path]:
    """A temporary folder of one packed split: random pixels, or one JPEG many times, as the dataset is stored.

    As many images as the split has or SAMPLE_BYTES hold, at least a batch.
    """
    import numpy as np

    size_px = dataset.size_px
    count = max(batch_size, min(images, SAMPLE_BYTES // (size_px**2 * 3)))
    with tempfile.TemporaryDirectory(prefix="alexnet2012-plan-") as name:
        folder = Path(name)
        if dataset.storage == "jpeg":
            photograph = make_photograph(size_px, size_px, dataset.jpeg_quality)
            (folder / "images.bin").write_bytes(photograph)
            np.save(folder / "offsets.npy", np.full((count, 2), (0, len(photograph)), dtype=np.int64))
        else:
            pixels = np.random.default_rng(0).integers(0, 256, (count, size_px, size_px, 3), dtype=np.uint8)
            np.save(folder / "images.npy", pixels)
        yield folder


def run_probes(request: ProbeRequest, processes: int, cards: int | None) -> list[Probe]:
    """What each of `processes` simultaneous probes measured; with `cards`, each has a card of its own."""
    environment = job_environment()
    running: list[subprocess.Popen] = []
    try:
        for index in range(processes):
            own = {"CUDA_VISIBLE_DEVICES": visible_card(environment, index % cards)} if cards else {}
            running.append(
                subprocess.Popen(
                    [sys.executable, "-m", "alexnet2012.planning.probe", json.dumps(asdict(request))],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env={**environment, **own},
                )
            )
        for phase in PHASES:
            for process in running:
                hear(process, phase)
            for process in running:
                process.stdin.write("go\n")
                process.stdin.flush()
        found = [Probe(**hear(process, None)) for process in running]
        for process in running:
            process.wait()
        return found
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
            process.communicate()


def visible_card(environment: dict[str, str], index: int) -> str:
    """Card `index` of those that this process sees."""
    given = [card for card in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if card]
    return given[index] if index < len(given) else str(index)


def hear(process: subprocess.Popen, phase: str | None) -> dict:
    """The next line of a probe, which stands at `phase`, or has its result (None)."""
    line = process.stdout.readline()
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    if said is None or (phase is not None and said != {"at": phase}):
        raise PlanError(
            f"the measuring stopped at {phase or 'its result'} (exit code {process.poll()}); what it printed above "
            "says why, and a training would stop in the same way"
        )
    return said
