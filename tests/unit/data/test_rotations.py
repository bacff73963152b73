import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from fake_images import write_pictures
from PIL import Image
from tiny_training import describe_dataset, pack

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.experiments import Config
from alexnet2012.data import storage
from alexnet2012.data.packed import open_packed, verify_digests
from alexnet2012.data.prepare import prepare
from alexnet2012.errors import DataError


def rotations_of(folder, name: str = "pictures") -> DatasetConfig:
    return configure({name: describe_dataset(folder).model_dump(), "turned": {"kind": "rotations", "of": name}})[
        "turned"
    ]


def configure(datasets: dict) -> dict[str, DatasetConfig]:
    experiment = {"dataset": "turned", "variant": "cnn", "seeds": [0], "tables": ["in_text"]}
    return Config.model_validate({"name": "some", "datasets": datasets, "experiments": [experiment]}).datasets


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rotations")
    pictures = pack(folder)
    prepare("turned", rotations_of(folder), folder / "data")
    return pictures, open_packed(folder / "data" / "turned")


def test_every_image_stands_there_in_four_orientations_each_with_its_class(turned):
    pictures, found = turned
    assert found.counts == {split: 4 * count for split, count in pictures.counts.items()}
    assert len(found.classes) == 12 and list(found.classes) == sorted(found.classes)
    assert found.classes[:2] == ("class0, turned by 000 degrees", "class0, turned by 090 degrees")
    for name in pictures.counts:
        plain, split = pictures.split(name), found.split(name)
        for row in (0, 5, len(plain) - 1):
            for turns in range(4):
                assert np.array_equal(split.images[4 * row + turns], np.rot90(plain.images[row], turns))
                assert split.labels[4 * row + turns] == 4 * plain.labels[row] + turns
    verify_digests(found.folder)


def test_the_mean_image_is_that_of_all_orientations(turned):
    pictures, found = turned
    expected = np.mean([np.rot90(pictures.mean_image, turns) for turns in range(4)], axis=0)
    np.testing.assert_allclose(found.mean_image, expected, rtol=1e-5)


def prepare_both(folder: Path, **settings) -> Path:
    """Pack folder/pictures as it is, then turned; returns the latter's folder."""
    pictures = {"kind": "imagefolder", "folder": str(folder / "pictures"), **settings}
    datasets = configure({"pictures": pictures, "turned": {"kind": "rotations", "of": "pictures"}})
    prepare("pictures", datasets["pictures"], folder / "data")
    return prepare("turned", datasets["turned"], folder / "data").parent


def test_the_digest_is_the_one_that_rotations_have_had(tmp_path):
    """As computed while all orientations were in memory at once."""
    for c in range(3):
        (folder := tmp_path / "pictures" / f"class{c}").mkdir(parents=True)
        for k in range(20):
            pixels = (np.arange(16 * 16 * 3).reshape(16, 16, 3) * (7 + c) + 13 * k) % 256
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{k:03d}.png")
    manifest = json.loads((prepare_both(tmp_path, size_px=16) / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["digest"] == "48eca31e3b25b36effccf2972540ab76fc59e20315531242b8d83c662577a80d"


def test_the_images_of_a_jpeg_source_are_turned_as_they_are_decoded(tmp_path):
    write_pictures(tmp_path / "pictures" / "a", 10)
    found = open_packed(prepare_both(tmp_path, size_px=16, storage="jpeg"))
    plain = open_packed(tmp_path / "data" / "pictures").split("train")
    images = found.split("train").images
    assert found.storage == "raw" and len(images) == 4 * len(plain) == 28
    for row in range(len(images)):
        assert np.array_equal(images[row], np.rot90(plain.images[row // 4], row % 4))


def test_rotating_takes_less_memory_than_the_source_has_pixels(tmp_path):
    """60 images of 128 pixels are 2.9 MB, and 11.8 MB in four orientations; statistics take about 30 images' worth."""
    write_pictures(tmp_path / "pictures" / "a", 60, size=(128, 128))
    pictures = {"kind": "imagefolder", "folder": str(tmp_path / "pictures"), "size_px": 128}
    datasets = configure({"pictures": pictures, "turned": {"kind": "rotations", "of": "pictures"}})
    prepare("pictures", datasets["pictures"], tmp_path / "data")
    tracemalloc.start()
    try:
        prepare("turned", datasets["turned"], tmp_path / "data")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60 * 128 * 128 * 3


def test_a_full_disk_is_refused_before_any_image_is_read(tmp_path, monkeypatch):
    write_pictures(tmp_path / "pictures" / "a", 10)
    prepare_both(tmp_path, size_px=16, storage="jpeg")
    for content in (tmp_path / "data" / "pictures").glob("*/images.bin"):
        content.write_bytes(bytes(content.stat().st_size))  # whoever decodes one of these fails
    with pytest.raises(DataError, match="cannot identify image file"):
        prepare("turned", rotations_of(tmp_path), tmp_path / "data")
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda _: storage.shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(DataError, match="need .* but .* free"):
        prepare("turned", rotations_of(tmp_path), tmp_path / "data")


def test_rotations_of_what_is_not_packed_say_so(tmp_path):
    with pytest.raises(DataError, match="pictures is no packed dataset"):
        prepare("turned", rotations_of(tmp_path), tmp_path / "data")


def test_they_are_other_images_when_what_they_rotate_is():
    plain, other = (
        configure(
            {
                "cifar10": {"kind": "cifar10", "size_px": 32, "split_seed": seed},
                "turned": {"kind": "rotations", "of": "cifar10"},
            }
        )["turned"]
        for seed in (2012, 2013)
    )
    assert plain.identity != other.identity
    assert plain.size_px == 32 and plain.evaluated_splits == ("val", "test")
    assert DatasetConfig.model_validate_json(plain.model_dump_json()).identity == plain.identity
