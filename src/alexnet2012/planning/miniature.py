"""What a job costs beside its images: the real verbs, timed on a net and pictures so small that little else is left."""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from alexnet2012.config.plan import Plan, load_variants, make_plan
from alexnet2012.config.schedules import FixedSchedule
from alexnet2012.config.schema import RunConfig
from alexnet2012.cpu import KEEP_LARGE_BUFFERS
from alexnet2012.errors import RecordError
from alexnet2012.files import write_json
from alexnet2012.gpus import FOLDER_VARIABLE
from alexnet2012.preflight import write_run
from alexnet2012.provenance import COMMIT_VARIABLE

CLASSES, IMAGES_PER_CLASS, SIZE_PX = 7, 5, 16
CONFIG = {
    "name": "miniature",
    "net": {
        "crop_px": 12,
        "conv1": {"kernels": 8, "kernel_px": 3, "stride": 1, "pad": 1},
        "conv2": {"kernels": 8, "kernel_px": 3, "pad": 1},
        **{name: {"kernels": 8} for name in ("conv3", "conv4", "conv5")},
        "fc_neurons": 32,
    },
    "training": {"batch_size": 7, "schedule": {"kind": "fixed", "epochs": [1]}, "measured_train_images": 7},
}
MORE_EPOCHS = 20
VERB = "import sys; from alexnet2012.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class Overheads:
    """Seconds of each verb when its work is nothing; `epoch_s`: what each epoch of a training takes beside its images,
    to be measured, kept and sent to the tracking."""

    track_s: float
    prepare_s: float
    train_s: float
    epoch_s: float
    predict_s: float
    average_s: float
    tables_s: float
    publish_s: float
    show_s: float


def job_environment() -> dict[str, str]:
    """The environment of a rule's job, whose package is this one; a real tracking store is out of its reach."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    source = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (source, kept.get("PYTHONPATH"))))
    own = {**KEEP_LARGE_BUFFERS, "PYTHONPATH": path, FOLDER_VARIABLE: ""}  # a plan waits for no training's GPU
    return {COMMIT_VARIABLE: "0" * 40, **kept, **own}


def measure_overheads(variants_path: Path, torch_threads: int, device: str, at_once: int) -> Overheads:
    """Time every verb once in a temporary folder, side by side where the workflow would run two `at_once`.

    Raises RecordError with what a verb said when it failed, as the workflow's own would.
    """
    pair = max(1, min(2, at_once))
    with tempfile.TemporaryDirectory(prefix="alexnet2012-plan-") as name:
        root = Path(name)
        write_pictures(root / "pictures")
        plan = make_miniature_plan(root, variants_path, torch_threads, device)
        first, second = plan.runs
        second = lengthen(second, MORE_EPOCHS)
        tracking = ["--tracking", "tracking.json"]
        listed = plan.list_experiments()
        for experiment in listed["experiments"]:
            for key in ("seeds", "runs", "predictions"):
                experiment[key] = experiment[key][:1]
        write_json(root / "results" / "miniature" / "experiments.json", listed)
        for run in (first, second):
            write_run(run, root)
        prepare = ["prepare", "miniature", first.dataset.model_dump_json()]
        track_s, prepare_s = time_verbs(root, [["track", "miniature", "tracking.json"], prepare])
        train = [["train", str(run.folder), *tracking] for run in (first, second)]
        train_s, longer_s = time_in_turn(root, train, pair)
        predict = [
            ["predict", str(first.folder), str(first.predictions), "--split", split, *tracking]
            for split in ("val", "test")
        ]
        predict_s = mean(time_in_turn(root, predict, pair))
        average = ["average", "some", "results/miniature/predictions/some-0/average", "--split", "val", *tracking]
        average += ["--members", str(first.predictions)]
        average_s, tables_s = time_verbs(root, [average, ["tables", "results/miniature"]])
        tables = "results/miniature/tables/table1.md"
        (publish_s,) = time_verbs(root, [["publish", tables, *tracking, "--output", "published.txt"]])
        (show_s,) = time_verbs(root, [["show", "results/miniature"]])
    epoch_s = max(0.0, longer_s - train_s) / MORE_EPOCHS
    return Overheads(track_s, prepare_s, train_s, epoch_s, predict_s, average_s, tables_s, publish_s, show_s)


def make_miniature_plan(root: Path, variants_path: Path, torch_threads: int, device: str) -> Plan:
    """Two seeds of the first variant that a variants file names."""
    variant = next(iter(load_variants(variants_path).variants))
    values = {
        **CONFIG,
        "datasets": {"miniature": {"kind": "imagefolder", "folder": str(root / "pictures"), "size_px": SIZE_PX}},
        "experiments": [{"dataset": "miniature", "variant": variant, "seeds": [0, 1], "tables": ["table1"]}],
        "training": {**CONFIG["training"], "torch_threads": torch_threads},
        "runtime": {"device": device},
    }
    return make_plan(values, "the miniature", variants_path)


def lengthen(run: RunConfig, epochs: int) -> RunConfig:
    """`run` with so many epochs more."""
    schedule = FixedSchedule(kind="fixed", epochs=[run.training.schedule.max_epochs + epochs])
    return run.model_copy(update={"training": run.training.model_copy(update={"schedule": schedule})})


def write_pictures(folder: Path) -> None:
    """PNGs of noise in class folders."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    for k in range(CLASSES):
        (folder / f"class{k}").mkdir(parents=True)
        for number in range(IMAGES_PER_CLASS):
            pixels = random.integers(0, 256, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"class{k}" / f"{number}.png")


def time_in_turn(root: Path, calls: list[list[str]], pair: int) -> list[float]:
    """Seconds of each of `calls`, of which so many run side by side."""
    return [each for k in range(0, len(calls), pair) for each in time_verbs(root, calls[k : k + pair])]


def time_verbs(root: Path, calls: list[list[str]]) -> list[float]:
    """Seconds of each of `calls`, which run side by side."""
    started = time.monotonic()
    with ExitStack() as files:
        said = [files.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8")) for _ in calls]
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", VERB, *call],
                cwd=root,
                env=job_environment(),
                stdout=subprocess.DEVNULL,
                stderr=file,
            )
            for call, file in zip(calls, said, strict=True)
        ]
        seconds: dict[int, float] = {}
        try:
            while len(seconds) < len(processes):
                for index, process in enumerate(processes):
                    if index not in seconds and process.poll() is not None:
                        seconds[index] = time.monotonic() - started
                time.sleep(0.01)
        finally:
            for process in processes:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        for call, process, file in zip(calls, processes, said, strict=True):
            if process.returncode:
                file.seek(0)
                raise RecordError(f"`alexnet2012 {call[0]}` failed on a miniature dataset: {file.read().strip()}")
    return [seconds[index] for index in range(len(calls))]
