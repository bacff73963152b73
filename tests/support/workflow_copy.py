"""Copies of the project that tests can run and edit, with pictures and a configuration that runs in seconds."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "workflow", "config", "profiles", "envs")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CLASSES = 7
TRAIN, VAL, TEST = 7 * 14, 7 * 2, 7 * 4  # 20 images per class: a tenth for val, a fifth for test
EPOCHS = 7
TIMEOUT_S = 600

TINY: dict[str, Any] = {
    "name": "tiny",
    "datasets": {"pictures": {"kind": "imagefolder", "folder": "pictures", "size_px": 16}},
    "experiments": [
        {"dataset": "pictures", "variant": "cnn", "seeds": [0, 1], "tables": ["table1", "table2", "in_text"]},
        {"dataset": "pictures", "variant": "one-gpu", "seeds": [0], "tables": ["in_text"]},
        {"dataset": "pictures", "ensemble": "5-cnns", "tables": ["table2", "in_text"]},
    ],
    "net": {
        "crop_px": 12,
        "conv1": {"kernels": 8, "kernel_px": 3, "stride": 1, "pad": 1},
        "conv2": {"kernels": 8, "kernel_px": 3, "pad": 1},
        **{name: {"kernels": 8} for name in ("conv3", "conv4", "conv5")},
        "fc_neurons": 32,
        "dropout": 0.2,
    },
    "training": {
        "batch_size": 8,
        "learning_rate": 0.02,
        "schedule": {"kind": "fixed", "epochs": [EPOCHS - 1, 1]},
        "measured_train_images": 50,
        "torch_threads": 1,
    },
    "runtime": {"checkpoint_every_s": 0.001},
}

SIFT = {"kind": "sift", "grids": [{"side_px": 12, "step_px": 2}]}
COLOUR = {"kind": "colour", "grids": [{"side_px": 8, "step_px": 4}]}
# The section `baselines` for pictures of 16 pixels.
SMALL_BASELINES = {
    "sift-fv": {"gaussians": 4, "dimensions": 8, "models": [SIFT, COLOUR]},
    "sparse-coding": {"atoms": 16, "dimensions": 8, "models": [SIFT, COLOUR]},
}


class Project:
    """A project in `root`. It runs the repository's src/, whose compiled loops are cached, until its own is edited."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def source(self) -> Path:
        return self.root / "src" if (self.root / "src").exists() else REPOSITORY / "src"

    @classmethod
    def copy(cls, root: Path) -> "Project":
        """Copy the repository's workflow to `root`, with pictures, and with two members in the ensemble of five."""
        root.mkdir(exist_ok=True)
        for part in PARTS:
            copy_part(part, root)
        write_pictures(root / "pictures")
        project = cls(root)
        project.configure(TINY)
        path = root / "config" / "variants.yaml"
        variants = yaml.safe_load(path.read_text(encoding="utf-8"))
        variants["ensembles"]["5-cnns"]["members"] = [{"variant": "cnn", "seeds": [0, 1]}]
        path.write_text(yaml.safe_dump(variants), encoding="utf-8")
        return project

    def twin(self, root: Path) -> "Project":
        """A complete copy in `root`, including results, Snakemake's metadata and file times."""
        shutil.copytree(self.root, root)
        return Project(root)

    def configure(self, values: dict) -> None:
        (self.root / "config" / "tiny.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace the only occurrence of `old` in a file."""
        self.copy_source_for(path)
        text = (self.root / path).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{path} holds {old!r} {text.count(old)} times"
        (self.root / path).write_text(text.replace(old, new), encoding="utf-8")

    def append(self, path: str, text: str) -> None:
        self.copy_source_for(path)
        with (self.root / path).open("a", encoding="utf-8") as file:
            file.write(text)

    def copy_source_for(self, path: str) -> None:
        """Copy src/ here before its file `path` is edited."""
        if path.startswith("src/") and not (self.root / "src").exists():
            self.copy_source()

    def copy_source(self) -> None:
        copy_part("src", self.root)

    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
        return {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.source),
            "ALEXNET2012_COMMIT": COMMIT,
        }

    def start(self, *arguments: str, config: str | None = "config/tiny.yaml", **environment: str) -> subprocess.Popen:
        chosen = ["--configfile", config] if config else []
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("snakemake")), *arguments, *chosen],
            cwd=self.root,
            env={**self.environment(), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )

    def snakemake(
        self, *arguments: str, config: str | None = "config/tiny.yaml", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run Snakemake to its end; stdout has stderr too."""
        process = self.start(*arguments, config=config, **environment)
        with killed_in_the_end(process):
            output, _ = process.communicate(timeout=TIMEOUT_S)
        return subprocess.CompletedProcess(process.args, process.returncode, output, None)

    def run(self, *arguments: str) -> str:
        """The output of a run, which must succeed."""
        done = self.snakemake("--cores", "2", *arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def plan(self, *arguments: str, config: str | None = "config/tiny.yaml") -> dict[str, int]:
        """The numbers of jobs by rule that a run would start now, without `all`."""
        done = self.snakemake("-n", *arguments, config=config)
        assert done.returncode == 0, done.stdout
        return count_jobs(done.stdout)

    def state_folders(self) -> list[Path]:
        return sorted(self.root.glob("results/tiny/runs/*/*/seed*/state"))


def copy_part(part: str, root: Path) -> None:
    """Copy a file or folder of the repository to `root`."""
    source = REPOSITORY / part
    if source.is_dir():
        shutil.copytree(source, root / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    else:
        shutil.copy2(source, root / part)


def count_jobs(output: str) -> dict[str, int]:
    """Snakemake's table of jobs without `all`; {} if there is nothing to be done."""
    if "Nothing to be done" in output:
        assert "Job stats:" not in output
        return {}
    table = output.split("Job stats:")[1].split("total")[0]
    jobs = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}
    jobs.pop("all", None)
    return jobs


def wait_for(process: subprocess.Popen, find) -> Any:
    """Wait for find() to return a true value while `process` runs, and return it."""
    deadline = time.monotonic() + TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        if found := find():
            return found
        time.sleep(0.002)
    raise AssertionError(f"what was waited for did not come:\n{process.communicate(timeout=TIMEOUT_S)[0]}")


@contextmanager
def killed_in_the_end(process: subprocess.Popen) -> Iterator[None]:
    """A context that kills the process group of `process` at its end, if that is still running."""
    try:
        yield
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def write_pictures(folder: Path) -> None:
    """Write 20 noisy pictures for each class, in a colour for each class."""
    random = np.random.default_rng(0)
    for k in range(CLASSES):
        (folder / f"class{k}").mkdir(parents=True)
        colour = random.integers(30, 225, 3)
        for number in range(20):
            pixels = np.clip(colour + random.normal(0, 25, (16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"class{k}" / f"{number:02d}.png")
