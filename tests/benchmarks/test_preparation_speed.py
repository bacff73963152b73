"""Preparation beside what people would use: Pillow in a loop on one core, and torchvision's ImageFolder with workers.

`pytest tests/benchmarks/test_preparation_speed.py --benchmark-only -s` prints images/s of all three, rounds interleaved
in one run, on photographs of ILSVRC's usual size. The goal: at least 0.9 x cores x Pillow's rate on one core. Both
shares are printed: that of packing (decoding, storing, journal) and that of the whole command, with its start, listing,
statistics, digests and index.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from PIL import Image

from alexnet2012.config import DatasetConfig
from alexnet2012.provenance import count_usable_cores

CLASSES, PER_CLASS = 20, int(os.environ.get("ALEXNET2012_BENCHMARK_PER_CLASS", "100"))
ROUNDS = 3


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    """500x375 crops of scikit-learn's two photographs at quality 97: 99 kB each, where ILSVRC-2012's have 115."""
    from sklearn.datasets import load_sample_images

    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    sources = [Image.fromarray(image) for image in load_sample_images().images]
    for k in range(CLASSES):
        (folder / f"class{k:02d}").mkdir()
        for number in range(PER_CLASS):
            source = sources[number % 2]
            left, top = random.integers(source.width - 499), random.integers(source.height - 374)
            photograph = source.crop((left, top, left + 500, top + 375))
            photograph.save(folder / f"class{k:02d}" / f"{number:04d}.JPEG", quality=97)
    return folder


@pytest.mark.benchmark(group="preparation")
def test_preparation_beside_pillow_and_torchvision(benchmark, photographs, tmp_path):
    packing: list[float] = []
    files = [path.read_bytes() for path in sorted(photographs.glob("*/*.JPEG"))]
    contenders = {
        "pillow, one core": lambda: read_with_pillow(files[: len(files) // 4]),
        "torchvision ImageFolder": lambda: read_with_torchvision(photographs),
        "alexnet2012 prepare": lambda: prepare_all(photographs, tmp_path, packing),
    }
    rates: dict[str, list[float]] = {name: [] for name in contenders}

    def one_round() -> None:
        for name, run in contenders.items():
            began = time.perf_counter()
            images = run()
            rates[name].append(images / (time.perf_counter() - began))
        shutil.rmtree(tmp_path / "photographs")

    benchmark.pedantic(one_round, rounds=ROUNDS, warmup_rounds=1)
    found = {name: median(each[1:]) for name, each in rates.items()}
    cores = count_usable_cores()
    found["alexnet2012 prepare, packing alone"] = median(packing[1:])
    ideal = cores * found["pillow, one core"]
    benchmark.extra_info |= {name: f"{rate:,.0f} images/s" for name, rate in found.items()}
    benchmark.extra_info |= {"cores": cores, "kB an image": round(sum(map(len, files)) / len(files) / 1e3, 1)}
    shares = [found[name] / ideal for name in ("alexnet2012 prepare, packing alone", "alexnet2012 prepare")]
    benchmark.extra_info["share of cores x Pillow"] = f"packing {shares[0]:.2f}, whole {shares[1]:.2f} (goal 0.9)"
    print("\n" + "\n".join(f"{name}: {value}" for name, value in benchmark.extra_info.items()))
    assert all(len(each) == ROUNDS + 1 for each in rates.values())


def read_with_pillow(files: list[bytes]) -> int:
    """Decode, shorter side to 256, central square: as anyone would write it."""
    for content in files:
        image = Image.open(io.BytesIO(content)).convert("RGB")
        scale = 256 / min(image.size)
        width, height = (round(side * scale) for side in image.size)
        left, top = (width - 256) // 2, (height - 256) // 2
        np.asarray(
            image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + 256, top + 256))
        ).copy()
    return len(files)


def read_with_torchvision(folder: Path) -> int:
    """One pass of a DataLoader with a worker for each core."""
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    transform = v2.Compose([v2.Resize(256), v2.CenterCrop(256), v2.PILToTensor()])
    loader = DataLoader(ImageFolder(folder, transform), batch_size=64, num_workers=count_usable_cores())
    return sum(len(labels) for _, labels in loader)


def prepare_all(folder: Path, data: Path, packing: list[float]) -> int:
    """As its rule does, in a process of its own; the rate that it says itself is appended to `packing`."""
    dataset = DatasetConfig(kind="imagefolder", folder=str(folder)).model_dump_json()
    command = [Path(sys.executable).with_name("alexnet2012"), "prepare", "photographs", dataset, "--data", data]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    packing.append(float(re.findall(r"([\d,]+) images/s", said)[-1].replace(",", "")))
    return CLASSES * PER_CLASS
