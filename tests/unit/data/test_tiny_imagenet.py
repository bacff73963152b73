import io

import numpy as np
import pytest
from fake_imagenet import read_rows
from fake_tiny_imagenet import (
    CLASSES,
    DRAWN_VAL,
    LAYOUTS,
    TRAIN,
    VAL,
    WNIDS,
    find,
    write_archive,
    write_folder,
    write_shards,
)
from PIL import Image

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.packed import open_packed
from alexnet2012.data.prepare import prepare

pytestmark = pytest.mark.usefixtures("small_tiny_imagenet")


def configure(folder, **settings) -> DatasetConfig:
    return DatasetConfig(kind="tiny_imagenet", folder=str(folder), **settings)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("splits", ["official", "merged"])
def test_every_layout_gives_the_same_images_names_and_order(layout, splits, tmp_path, tiny):
    write_folder(tmp_path / "known", tiny)
    LAYOUTS[layout](tmp_path / "other", tiny)
    known, other = (find(tmp_path / name, splits=splits) for name in ("known", "other"))
    assert other.classes == known.classes and other.part == known.part and other.problems == ()
    for split in ("train", "val", "test"):
        assert read_rows(other, split) == read_rows(known, split)


def test_shards_without_names_in_their_order_give_the_same_images_and_digest(tmp_path, tiny):
    write_archive(tmp_path / "known", tiny)
    write_shards(tmp_path / "shards", tiny)
    known, other = (find(tmp_path / name, splits="merged") for name in ("known", "shards"))
    for split in ("train", "val", "test"):
        assert [row[1:] for row in read_rows(other, split)] == [row[1:] for row in read_rows(known, split)]
    assert other.splits["train"].names[0].as_py() == f"train/{WNIDS[0]}/00000"
    packed = [
        open_packed(prepare(name, configure(tmp_path / name), tmp_path / "data").parent) for name in ("known", "shards")
    ]
    assert packed[0].digest == packed[1].digest


def test_official_splits_are_the_published_val_and_a_part_of_each_class_of_train(tmp_path, tiny):
    write_folder(tmp_path, tiny)
    source = find(tmp_path)
    assert source.classes == WNIDS
    assert read_rows(source, "test") == tiny.rows("val")
    train, val = read_rows(source, "train"), read_rows(source, "val")
    assert sorted([*train, *val]) == sorted(tiny.rows("train"))
    for rows, each in ((train, TRAIN - DRAWN_VAL), (val, DRAWN_VAL)):
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


def test_what_is_packed_are_the_pixels_of_the_files_greyscale_ones_too(tmp_path, tiny):
    write_folder(tmp_path, tiny)
    manifest = prepare("tiny", configure(tmp_path), tmp_path / "data")
    packed = open_packed(manifest.parent)
    assert packed.counts == {"train": 45, "val": 15, "test": 20} and "official splits" in packed.part
    grey = 0
    for k, (_, label, photo) in enumerate(tiny.rows("val")):
        image = Image.open(io.BytesIO(photo))
        grey += image.mode == "L"
        np.testing.assert_array_equal(packed.split("test").images[k], np.asarray(image.convert("RGB")))
        assert packed.split("test").labels[k] == label
    assert grey > 0


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
