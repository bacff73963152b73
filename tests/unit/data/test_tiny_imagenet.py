import io

import numpy as np
import pytest
from fake_imagenet import read_rows
from fake_tiny_imagenet import CLASSES, EXPECTED, TRAIN, VAL, WNIDS, Tiny, find, write_folder
from PIL import Image

from alexnet2012.config.datasets import DatasetConfig, SubsetConfig
from alexnet2012.data.packed import open_packed
from alexnet2012.data.prepare import prepare
from alexnet2012.data.sources import tiny_imagenet
from alexnet2012.data.sources.tiny_imagenet import count_tiny_imagenet
from alexnet2012.errors import DataError

OFFICIAL_VAL = 3  # of the 12 training images of each class


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    return Tiny.draw()


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(tiny_imagenet, "EXPECTED", EXPECTED)
    monkeypatch.setattr(tiny_imagenet, "VAL_PER_CLASS", OFFICIAL_VAL)


def test_official_splits_are_the_published_val_and_a_part_of_each_class_of_train(tmp_path, tiny):
    write_folder(tmp_path, tiny)
    source = find(tmp_path)
    assert source.classes == WNIDS
    assert read_rows(source, "test") == tiny.rows("val")
    train, val = read_rows(source, "train"), read_rows(source, "val")
    assert sorted([*train, *val]) == sorted(tiny.rows("train"))
    for rows, each in ((train, TRAIN - OFFICIAL_VAL), (val, OFFICIAL_VAL)):
        assert rows == [row for row in tiny.rows("train") if row in rows]
        assert np.bincount([label for _, label, _ in rows]).tolist() == [each] * CLASSES
    assert "official splits" in source.part and "seed 2012" in source.part


def test_merged_splits_are_fractions_of_all_labelled_images_of_each_class(tmp_path, tiny):
    write_folder(tmp_path, tiny)
    source = find(tmp_path, splits="merged", val_fraction=0.1, test_fraction=0.4)
    every = tiny.rows("train") + tiny.rows("val")
    # Of 16 images 1.6 and 6.4.
    counts = {"train": 8, "val": 2, "test": 6}
    found = {split: read_rows(source, split) for split in counts}
    assert sorted(row for rows in found.values() for row in rows) == sorted(every)
    for split, rows in found.items():
        assert np.bincount([label for _, label, _ in rows]).tolist() == [counts[split]] * CLASSES
        by_class = [row for label in range(CLASSES) for row in every if row[1] == label]
        assert rows == [row for row in by_class if row in rows]
    assert "merged splits" in source.part and "0.4 of each class for test" in source.part


@pytest.mark.parametrize("splits", ["official", "merged"])
def test_the_seed_decides_which_images_are_drawn(splits, tmp_path, tiny):
    write_folder(tmp_path, tiny)
    first, again, other = (
        set(find(tmp_path, splits=splits, split_seed=seed).splits["val"].names.to_pylist()) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_too_few_training_images_for_official_splits_name_the_class(tmp_path, tiny):
    write_folder(tmp_path, tiny)
    for k in range(TRAIN - OFFICIAL_VAL):
        (tmp_path / "tiny-imagenet-200" / "train" / WNIDS[2] / "images" / f"{WNIDS[2]}_{k}.JPEG").unlink()
    with pytest.raises(DataError, match=f"Class {WNIDS[2]} has only 3 training images"):
        find(tmp_path, complete=False)
    assert "incomplete: 51 of 60 train, 20 of 20 val images" in find(tmp_path, complete=False, splits="merged").part


def test_what_is_packed_are_the_pixels_of_the_files_greyscale_ones_too(tmp_path, tiny):
    write_folder(tmp_path, tiny)
    manifest = prepare("tiny", DatasetConfig(kind="tiny_imagenet", folder=str(tmp_path)), tmp_path / "data")
    packed = open_packed(manifest.parent)
    assert packed.counts == {"train": 45, "val": 15, "test": 20} and "official splits" in packed.part
    grey = 0
    for k, (_, label, photo) in enumerate(tiny.rows("val")):
        image = Image.open(io.BytesIO(photo))
        grey += image.mode == "L"
        np.testing.assert_array_equal(packed.split("test").images[k], np.asarray(image.convert("RGB")))
        assert packed.split("test").labels[k] == label
    assert grey > 0


def test_another_size_is_resized(tmp_path, tiny):
    write_folder(tmp_path, tiny)
    dataset = DatasetConfig(kind="tiny_imagenet", folder=str(tmp_path), size_px=32)
    assert open_packed(prepare("tiny", dataset, tmp_path / "data").parent).split("val").images.shape == (15, 32, 32, 3)


def test_a_dataset_has_the_classes_that_another_has_not(tmp_path, tiny):
    write_folder(tmp_path, tiny)
    some = {"classes": 2, "seed": 5}
    drawn = find(tmp_path, subset=some)
    rest = find(tmp_path, subset={"classes_not_in": "some", "left_out": some})
    assert len(drawn.classes) == 2 and len(rest.classes) == 3
    assert sorted((*drawn.classes, *rest.classes)) == list(WNIDS)
    assert rest.splits["test"].labels.tolist() == [label for label in range(3) for _ in range(VAL)]
    assert "3 of 5 classes" in rest.part and "2 of 5 classes, seed 5" in rest.part and "some" not in rest.part
    for seed in range(8):
        part = find(tmp_path, subset={"classes_not_in": "some", "left_out": some, "classes": 2, "seed": seed})
        assert len(part.classes) == 2 and set(part.classes) < set(rest.classes)
    third = {"classes_not_in": "rest", "left_out": {"classes_not_in": None, "left_out": some}}
    assert find(tmp_path, subset=third).classes == drawn.classes


@pytest.mark.parametrize(
    ("subset", "words"),
    [
        ({"classes_not_in": "some", "left_out": {"classes": 2}, "classes": 4}, "classes is 4, .* leaves 3"),
        ({"classes_not_in": "some", "left_out": {"classes": 5}}, "5 classes, of which classes_not_in leaves 0"),
        ({"classes_not_in": "some"}, "classes_not_in is some"),
    ],
)
def test_classes_that_another_leaves_too_few_of_are_refused(subset, words, tmp_path, tiny):
    write_folder(tmp_path, tiny)
    with pytest.raises(DataError, match=words):
        find(tmp_path, subset=subset)


def test_the_numbers_of_images_are_known_beforehand(monkeypatch):
    monkeypatch.undo()
    official = DatasetConfig(kind="tiny_imagenet")
    assert count_tiny_imagenet(official) == {"train": 90_000, "val": 10_000, "test": 10_000}
    merged = DatasetConfig(kind="tiny_imagenet", splits="merged", val_fraction=0.05, test_fraction=0.4)
    assert count_tiny_imagenet(merged) == {"train": 302 * 200, "val": 28 * 200, "test": 220 * 200}
    assert SubsetConfig(classes_not_in="x", left_out=SubsetConfig(classes=40)).count_classes(200) == 160


@pytest.mark.parametrize("split", ["train", "val"])
def test_an_image_that_is_missing_is_told_unless_incomplete_ones_are_accepted(split, tmp_path, tiny):
    write_folder(tmp_path, tiny)
    name, wnid = ("val_3.JPEG", tiny.val_wnids[3]) if split == "val" else (f"{WNIDS[1]}_0.JPEG", WNIDS[1])
    next((tmp_path / "tiny-imagenet-200" / split).rglob(name)).unlink()
    with pytest.raises(DataError, match=f"{wnid} lacks 1 of"):
        find(tmp_path)
    assert "incomplete" in find(tmp_path, complete=False).part
