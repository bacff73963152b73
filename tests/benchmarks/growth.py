"""Processor time and memory of each command as its work grows: `python tests/benchmarks/growth.py FOLDER`.

Each command runs on synthetic data at 1, 4 and 16 times the images, classes and nets. FOLDER receives growth.json and
growth.svg, a log-log plot. The exponent is the slope from 4 to 16 times, so that the start of a command counts least.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import yaml
from PIL import Image
from sizes import pick

from alexnet2012 import provenance
from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.cpu import KEEP_LARGE_BUFFERS

REPOSITORY = Path(__file__).parents[2]
sys.path += [str(REPOSITORY / "tests" / name) for name in ("support", "unit/evaluation")]

from fake_dataset import write_dataset, write_manifest, write_run  # noqa: E402
from fake_results import FakeResults  # noqa: E402

from alexnet2012.config.nets import NetConfig  # noqa: E402
from alexnet2012.config.plan import make_plan  # noqa: E402
from alexnet2012.config.validate import read_yaml  # noqa: E402
from alexnet2012.tracking.store import TrackingIds  # noqa: E402

FACTORS = (1, 4, 16)
SIZE_PX, CLASSES = 32, 10
IMAGES, FEW_IMAGES = pick(2_000, 160), pick(4_000, 800)  # growing from the first, and fixed where classes grow
NETS = pick((31, 125, 500), (2, 4, 6))
# Measures a command from a small process: what a process uses before it becomes the command counts in its peak.
LAUNCHER = """
import json, os, subprocess, sys, time
began = time.monotonic()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps([time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True)
class Measurement:
    """One run of a command: wall time and processor time in seconds, peak memory of its largest process in bytes."""

    command: str
    grows: str
    amount: int
    wall_s: float
    cpu_s: float
    memory_bytes: int


def measure(folder: Path, *words: object) -> tuple[float, float, int]:
    """Wall time, processor time and peak memory of `alexnet2012 WORDS` in `folder`."""
    environment = {**os.environ, **KEEP_LARGE_BUFFERS, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", LAUNCHER, sys.executable, "-m", "alexnet2012", *map(str, words)]
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    wall_s, cpu_s, kibibytes = json.loads(done.stdout)
    return wall_s, cpu_s, kibibytes * 1024


def write_photographs(folder: Path, images: int, classes: int) -> None:
    """JPEGs of noise in `classes` folders below `folder`; ten different ones, linked under many names."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for k in range(10):
        pixels = generator.integers(0, 256, (SIZE_PX * 2, SIZE_PX * 2, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f".{k}.jpg")
    for k in range(images):
        own = folder / f"class{k % classes:03d}"
        own.mkdir(exist_ok=True)
        os.link(folder / f".{k % 10}.jpg", own / f"{k:06d}.jpg")
    for k in range(10):
        (folder / f".{k}.jpg").unlink()


def prepare(folder: Path, images: int, classes: int, _: int) -> list[object]:
    write_photographs(folder / "pictures", images, classes)
    dataset = DatasetConfig(kind="imagefolder", folder=str(folder / "pictures"), size_px=SIZE_PX)
    (folder / "settings.json").write_text(dataset.model_dump_json(), encoding="utf-8")
    return ["prepare", "fake", "@settings.json"]


def scaled_net() -> NetConfig:
    """The net of the default configuration."""
    config = REPOSITORY / "config" / "config.yaml"
    net = make_plan(read_yaml(config), str(config), config.with_name("variants.yaml")).runs[0].net
    assert isinstance(net, NetConfig)
    return net


def train(folder: Path, images: int, classes: int, _: int) -> list[object]:
    dataset = write_dataset(folder / "data" / "fake", {"train": images, "val": 100, "test": 100}, SIZE_PX, classes)
    write_manifest(dataset)
    write_run(folder / "run", dataset, scaled_net())
    for name in ("model.safetensors", "record.json"):
        (folder / "run" / name).unlink()
    values = read_yaml(folder / "run" / "config.yaml")
    values["training"] |= {"schedule": {"kind": "fixed", "epochs": [1]}, "torch_threads": 1}
    values["training"] |= {"measured_train_images": 100}
    (folder / "run" / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    TrackingIds("", None, None, "growth").save(folder / "tracking.json")
    return ["train", "run", "--tracking", "tracking.json", "--gpus", 0]


def predict(folder: Path, images: int, classes: int, _: int) -> list[object]:
    dataset = write_dataset(folder / "data" / "fake", {"train": 100, "val": images, "test": 100}, SIZE_PX, classes)
    write_manifest(dataset)
    write_run(folder / "run", dataset, scaled_net())
    return ["predict", "run", "out", "--split", "val", "--gpus", 0]


def average(folder: Path, images: int, classes: int, nets: int) -> list[object]:
    dataset = write_dataset(folder / "data" / "fake", {"train": 2, "val": images, "test": 2}, 4, classes)
    write_manifest(dataset)
    generator = np.random.default_rng(0)
    members = [folder / f"seed{seed}" for seed in range(nets)]
    for seed, member in enumerate(members):
        member.mkdir()
        for crops in ("ten_crop", "centre"):
            chances = generator.dirichlet(np.ones(classes), images).astype(np.float32)
            np.save(member / f"val-{crops}.npy", chances)
        record = {"seed": seed, "variant": "cnn", "dataset": dataset.describe(), "provenance": {"torch_threads": 1}}
        (member / "val.json").write_text(json.dumps(record), encoding="utf-8")
    return ["average", "many", "out", "--members", *members, "--split", "val"]


def results(folder: Path, images: int, classes: int, nets: int) -> None:
    """The results of `nets` nets, five of each variant, in results/some below `folder`."""
    made = FakeResults(folder, classes=classes, counts={"train": images, "val": images // 10, "test": images // 5})
    generator = np.random.default_rng(0)
    for first in range(0, nets, 5):
        wrong = {seed: {} for seed in range(min(5, nets - first))}
        for each in wrong.values():
            for split in ("val", "test"):
                top1 = int(generator.integers(2, made.counts[split] // 2))
                each |= {(split, crops): (top1, top1 // 2) for crops in ("ten_crop", "centre")}
        name = "cnn" if first == 0 else f"variant{first // 5}"
        made.add(name, wrong, ("table1", "table2"))
        made.train(name, dict.fromkeys(wrong, (2, 3)), np.linspace(2, 1, 60).tolist())
    for path in folder.glob("results/some/runs/*/*/*/history.parquet"):
        errors = {column: np.linspace(0.9, 0.3, 60) for column in ("train_top1_error", "val_top1_error")}
        pd.read_parquet(path).assign(images_per_second=2000.0, **errors).to_parquet(path)


def tables(folder: Path, images: int, classes: int, nets: int) -> list[object]:
    results(folder, images, classes, nets)
    return ["tables", "results/some"]


def report(folder: Path, images: int, classes: int, nets: int) -> list[object]:
    results(folder, images, classes, nets)
    for verb in ("tables", "figures"):
        measure(folder, verb, "results/some")
    return ["report", "results/some"]


Setup = Callable[[Path, int, int, int], list[object]]
# Command, what grows, and its images, classes and nets at each factor.
CASES: list[tuple[Setup, str, list[tuple[int, int, int]]]] = [
    *((command, "images", [(IMAGES * k, CLASSES, 1) for k in FACTORS]) for command in (prepare, train, predict)),
    *((command, "classes", [(FEW_IMAGES, CLASSES * k, 1) for k in FACTORS]) for command in (prepare, train, predict)),
    (average, "images", [(5 * IMAGES * k, 100, 5) for k in FACTORS]),
    (average, "classes", [(5 * IMAGES, 100 * k, 5) for k in FACTORS]),
    (average, "nets", [(5 * IMAGES, 100, 2 * k) for k in FACTORS]),
    *((command, "nets", [(10_000, CLASSES, nets) for nets in NETS]) for command in (tables, report)),
    (tables, "images", [(10_000 * k, CLASSES, 30) for k in FACTORS]),
]


def measure_all(work: Path) -> Iterator[Measurement]:
    for setup, grows, sizes in CASES:
        for images, classes, nets in sizes:
            with TemporaryDirectory(dir=work) as name:
                words = setup(Path(name), images, classes, nets)
                amount = {"images": images, "classes": classes, "nets": nets}[grows]
                found = Measurement(setup.__name__, grows, amount, *measure(Path(name), *words))
            print(found, flush=True)
            yield found


def find_exponent(first: tuple[float, float], second: tuple[float, float]) -> float:
    """The exponent of growth between two points (amount, cost)."""
    return math.log(second[1] / first[1]) / math.log(second[0] / first[0])


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as work:
        found = list(measure_all(Path(work)))
    rows = []
    for start in range(0, len(found), len(FACTORS)):
        own = found[start : start + len(FACTORS)]
        rows.append({"command": own[0].command, "grows": own[0].grows, "amounts": [each.amount for each in own]})
        for cost in ("wall_s", "cpu_s", "memory_bytes"):
            values = [getattr(each, cost) for each in own]
            exponent = find_exponent(*((each.amount, getattr(each, cost)) for each in own[-2:]))
            rows[-1] |= {cost: values, f"{cost}_exponent": round(exponent, 2)}
    made = {"provenance": asdict(provenance.collect(1)), "rows": rows}
    (folder / "growth.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    draw(rows, folder / "growth.svg")


def draw(rows: list[dict], path: Path) -> None:
    """Above, processor time; below, memory; a column for each of what grows, whose legends have the exponents."""
    from matplotlib import style
    from matplotlib.figure import Figure

    from alexnet2012.reporting.figures.style import BLUE, DARK, GREEN, GREY, ORANGE, PINK, STYLE, WIDTH

    names = ("prepare", "train", "predict", "average", "tables", "report")
    colours = dict(zip(names, (DARK, BLUE, ORANGE, GREEN, PINK, GREY), strict=True))
    costs = {"cpu_s": ("processor time, s", 1.0), "memory_bytes": ("memory, GiB", 2.0**30)}
    with style.context(STYLE | {"svg.hashsalt": "growth"}):
        figure = Figure(figsize=(WIDTH, 6.0), layout="constrained")
        axes = figure.subplots(len(costs), 3, sharey="row", sharex=True)
        for line, (cost, (words, unit)) in zip(axes, costs.items(), strict=True):
            for place, grows in zip(line, ("images", "classes", "nets"), strict=True):
                for row in (row for row in rows if row["grows"] == grows):
                    label = f"{row['command']}, {row[f'{cost}_exponent']:.2f}"
                    values = [value / unit for value in row[cost]]
                    place.plot(FACTORS, values, marker="o", label=label, color=colours[row["command"]])
                place.set(xscale="log", yscale="log", xlabel=f"times the {grows}")
                place.set_xticks(FACTORS, [f"{factor}" for factor in FACTORS])
                place.minorticks_off()
                place.yaxis.set_major_formatter("{x:g}")
                place.legend(title="exponent", loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=2)
            line[0].set_ylabel(words)
        figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
