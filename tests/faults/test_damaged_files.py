"""Thousands of random faults in each file that is read: a sentence or a result, in 30 seconds and 2 GiB.

`FAULTS=all pytest tests/faults -s` makes them all, and prints what came of them; without it a tenth is made.
"""

import io
import json
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import fake_downsampled
import fake_imagenet
import fake_tiny_imagenet
import numpy as np
import pytest
import yaml
from damage import damage_bytes, damage_values, read_damaged, read_each_damaged, share
from fake_imagenet import Edition
from fake_tiny_imagenet import Tiny
from PIL import Image

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.plan import TARGETS, make_plan
from alexnet2012.config.validate import read_yaml
from alexnet2012.data import reading
from alexnet2012.data.decode import decode
from alexnet2012.data.prepare import prepare
from alexnet2012.data.sources import downsampled_imagenet, ilsvrc2010, ilsvrc2012, tars, tiny_imagenet, tiny_tree
from alexnet2012.data.sources.find import find_source
from alexnet2012.errors import DataError
from alexnet2012.reporting.results import load_results, tabulate_errors
from alexnet2012.status import list_statuses

ROOT = Path(__file__).parents[2]
# Formats, modes and options of images.
IMAGES = {
    "JPEG": ("JPEG", "RGB", {}),
    "progressive JPEG": ("JPEG", "RGB", {"progressive": True}),
    "CMYK JPEG": ("JPEG", "CMYK", {}),
    "greyscale JPEG": ("JPEG", "L", {}),
    "MPO": ("MPO", "RGB", {"save_all": True, "append_images": [Image.new("RGB", (64, 48))]}),
    "PNG": ("PNG", "RGB", {}),
    "palette PNG": ("PNG", "P", {}),
    "transparent PNG": ("PNG", "RGBA", {}),
    "GIF": ("GIF", "P", {}),
    "WebP": ("WEBP", "RGB", {}),
    "lossless WebP": ("WEBP", "RGBA", {"lossless": True}),
    "BMP": ("BMP", "RGB", {}),
    "PPM": ("PPM", "RGB", {}),
    "PBM": ("PPM", "1", {}),
    "TIFF": ("TIFF", "RGB", {}),
    "16-bit TIFF": ("TIFF", "I;16", {}),
    "LZW TIFF": ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    "JPEG TIFF": ("TIFF", "RGB", {"compression": "jpeg"}),
    "deflated TIFF": ("TIFF", "RGB", {"compression": "tiff_adobe_deflate"}),
    "fax TIFF": ("TIFF", "1", {"compression": "group4"}),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images(name):
    form, mode, options = IMAGES[name]
    generator, outcomes = np.random.default_rng(2012), Counter()
    noise = Image.fromarray(generator.integers(0, 256, (12, 14, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    noise.resize((90, 70), Image.Resampling.BICUBIC).convert(mode).save(buffer, form, **options)

    def read() -> None:
        assert decode(content, "x.jpg", 32).pixels.shape == (32, 32, 3)

    for _ in range(share(500)):
        content = damage_bytes(buffer.getvalue(), generator)
        read_damaged(read, outcomes)
    tell(name, outcomes)


SMALL = Edition.draw(classes=4, train=3, val=2, test=2)
SMALL_2010 = Edition.draw(year=2010, classes=4, train=3, val=2, test=2)
# How each layout is written, and its kind and settings.
LAYOUTS = {
    "ILSVRC-2010": (lambda at: fake_imagenet.write_ilsvrc2010_tars(at, SMALL_2010), "ilsvrc2010", {}),
    "ILSVRC-2012, tars": (lambda at: fake_imagenet.write_ilsvrc2012_tars(at, SMALL), "ilsvrc2012", {}),
    "ILSVRC-2012, kaggle": (lambda at: fake_imagenet.write_ilsvrc2012_kaggle(at, SMALL), "ilsvrc2012", {}),
    "ILSVRC-2012, parquet": (lambda at: fake_imagenet.write_ilsvrc2012_parquet(at, SMALL), "ilsvrc2012", {}),
    "Tiny ImageNet, folder": (lambda at: fake_tiny_imagenet.write_folder(at, Tiny.draw()), "tiny_imagenet", {}),
    "Tiny ImageNet, zip": (lambda at: fake_tiny_imagenet.write_archive(at, Tiny.draw()), "tiny_imagenet", {}),
    "Tiny ImageNet, shards": (lambda at: fake_tiny_imagenet.write_shards(at, Tiny.draw()), "tiny_imagenet", {}),
    "downsampled, pickles": (lambda at: write_downsampled(at, fake_downsampled.write_pickles), *("", {})),
    "downsampled, npz": (lambda at: write_downsampled(at, fake_downsampled.write_npz), *("", {})),
}


def write_downsampled(folder: Path, write) -> None:
    write(folder, fake_downsampled.draw_batches())
    fake_downsampled.write_class_map(folder / "map_clsloc.txt")


@pytest.mark.parametrize("name", LAYOUTS)
def test_lists_and_archives_of_datasets(name, tmp_path, monkeypatch):
    monkeypatch.setattr(ilsvrc2010, "ILSVRC2010", SMALL_2010.expected)
    monkeypatch.setattr(ilsvrc2012, "ILSVRC2012", SMALL.expected)
    monkeypatch.setattr(tiny_imagenet, "EXPECTED", fake_tiny_imagenet.EXPECTED)
    monkeypatch.setattr(tiny_imagenet, "VAL_PER_CLASS", fake_tiny_imagenet.DRAWN_VAL)
    monkeypatch.setattr(downsampled_imagenet, "EXPECTED", fake_downsampled.EXPECTED)
    monkeypatch.setattr(downsampled_imagenet, "VAL_PER_CLASS", 3)
    write, kind, settings = LAYOUTS[name]
    folder = tmp_path / "source"
    folder.mkdir()
    write(folder)
    if not kind:
        kind, settings = "downsampled_imagenet", {"size_px": fake_downsampled.SIDE}
    dataset = DatasetConfig(kind=kind, folder=str(folder), **settings)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".JPEG")
    files = [path for path in files if "_boxes" not in path.name]  # which nobody reads
    tell(name, read_each_damaged(files, damage_bytes, lambda: find_source(dataset, tmp_path / "data"), share(300)))


def test_devkits(tmp_path, monkeypatch):
    """meta.mat is damaged before it is compressed: a damaged archive would be refused for its checksum."""
    monkeypatch.setattr(ilsvrc2012, "ILSVRC2012", SMALL.expected)
    fake_imagenet.write_ilsvrc2012_tars(tmp_path, SMALL)
    dataset, whole = DatasetConfig(kind="ilsvrc2012", folder=str(tmp_path)), fake_imagenet.write_meta(SMALL)
    generator, outcomes = np.random.default_rng(2012), Counter()
    for _ in range(share(300)):
        monkeypatch.setattr(fake_imagenet, "write_meta", lambda _: damage_bytes(whole, generator))
        fake_imagenet.write_devkit(tmp_path, SMALL)
        read_damaged(lambda: find_source(dataset, tmp_path / "data"), outcomes)
    tell("meta.mat", outcomes)


@pytest.mark.parametrize("name", ["config", "tiny-imagenet", "ilsvrc"])
@pytest.mark.parametrize("change", ["bytes", "values"])
def test_configurations(name, change, tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    files = [tmp_path / "config" / f"{each}.yaml" for each in (name, "variants")]
    changes = {"bytes": damage_bytes, "values": damage_yaml}
    outcomes = read_each_damaged(
        files, changes[change], lambda: make_plan(read_yaml(files[0]), name, files[1], TARGETS), share(200)
    )
    tell(f"{name}.yaml, {change}", outcomes)


def damage_yaml(content: bytes, generator: np.random.Generator) -> bytes:
    return yaml.safe_dump(damage_values(yaml.safe_load(content), generator)).encode()


def damage_json(content: bytes, generator: np.random.Generator) -> bytes:
    return json.dumps(damage_values(json.loads(content), generator)).encode()


@pytest.fixture
def results(tmp_path) -> Path:
    return shutil.copytree(ROOT / "results/reference/rehearsal", tmp_path / "reference/rehearsal")


def test_records_as_bytes(results):
    files = [path for kind in ("runs", "predictions") for path in (results / kind).rglob("*") if path.is_file()]
    files = sorted([*files, results / "experiments.json"])
    tell("records", read_each_damaged(files, damage_bytes, lambda: tabulate(results), share(600)))


def test_records_as_values(results):
    files = [path for kind in ("runs", "predictions") for path in (results / kind).rglob("*.json")]
    files = sorted([*files, results / "experiments.json"])
    tell("records, values", read_each_damaged(files, damage_json, lambda: tabulate(results), share(2000)))


def test_records_in_status(results):
    records = sorted((results / "runs").rglob("record.json"))
    files = records + [results / "experiments.json"] * len(records)  # every other fault
    tell("status", read_each_damaged(files, damage_json, lambda: list_statuses(results), 1000))


@pytest.mark.parametrize("kind", ["zip", "list", "tgz"])
def test_members_that_unpack_to_gigabytes_are_refused(kind, tmp_path, monkeypatch):
    """A real bomb would take a minute to make: the limit is lowered instead."""
    for module in (reading, tars, tiny_tree):
        monkeypatch.setattr(module, "MAX_UNPACKED_BYTES", 500 if kind == "zip" else 20)
    if kind == "tgz":
        with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
            member = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
            member.size = 1000
            archive.addfile(member, io.BytesIO(bytes(1000)))
        dataset = DatasetConfig(kind="cifar10", folder=str(tmp_path), size_px=32)
    else:
        fake_tiny_imagenet.write_zip(tmp_path / "tiny-imagenet-200.zip", Tiny.draw().files)
        monkeypatch.setattr(tiny_imagenet, "EXPECTED", fake_tiny_imagenet.EXPECTED)
        monkeypatch.setattr(tiny_imagenet, "VAL_PER_CLASS", fake_tiny_imagenet.DRAWN_VAL)
        dataset = DatasetConfig(kind="tiny_imagenet", folder=str(tmp_path), size_px=32)
    with pytest.raises(DataError, match="a decompression bomb"):
        prepare("set", dataset, tmp_path / "data")


def tabulate(results: Path) -> None:
    tabulate_errors(load_results(results, ROOT / "data"))


def tell(what: str, outcomes: Counter) -> None:
    assert outcomes["refused"], f"{what}: no fault was noticed"
    print(f"{what}: {outcomes['refused']} refused, {outcomes['read']} read")
