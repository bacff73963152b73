import io
import json

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
    write_tree,
)
from PIL import Image

from alexnet2012.config.datasets import DatasetConfig, SubsetConfig
from alexnet2012.data import packing
from alexnet2012.data.packed import open_packed
from alexnet2012.data.prepare import prepare
from alexnet2012.data.sources.tiny_imagenet import count_tiny_imagenet
from alexnet2012.errors import DataError

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


def test_labels_of_shards_number_the_classes_as_their_metadata_say_or_else_the_sorted_ones(tmp_path, tiny):
    write_shards(tmp_path / "noted", tiny, noted=list(WNIDS[::-1]))
    assert read_rows(find(tmp_path / "noted"), "test")[0][1:] == (0, tiny.rows("val")[-VAL][2])
    write_shards(tmp_path / "listed", tiny, noted=["goldfish", *WNIDS[1:]])
    write_tree(tmp_path / "listed", {"wnids.txt": tiny.files["wnids.txt"]})
    assert read_rows(find(tmp_path / "listed"), "test")[0][1:] == tiny.rows("val")[0][1:]


def test_the_archive_is_read_where_it_lies_and_its_md5_measured(tmp_path, tiny, capsys):
    write_archive(tmp_path, tiny)
    manifest = prepare("tiny", configure(tmp_path / "tiny-imagenet-200.zip"), tmp_path / "data")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "tiny-imagenet-200.zip"]
    preparation = json.loads((manifest.parent / "preparation.json").read_text(encoding="utf-8"))
    assert "90528d7ca1a48142e341f4ef8d21d0de" in preparation["warnings"][0]
    write_folder(tmp_path / "known", tiny)
    known = open_packed(prepare("known", configure(tmp_path / "known"), tmp_path / "data").parent)
    assert known.digest == open_packed(manifest.parent).digest


def test_many_images_of_an_archive_are_read_by_several_processes(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(packing, "POOL_FROM_IMAGES", 1)
    monkeypatch.setattr(packing, "count_usable_cores", lambda: 2)
    write_archive(tmp_path, tiny)
    packed = open_packed(prepare("tiny", configure(tmp_path), tmp_path / "data").parent)
    expected = [np.asarray(Image.open(io.BytesIO(photo)).convert("RGB")) for _, _, photo in tiny.rows("val")]
    np.testing.assert_array_equal(packed.split("test").images, expected)


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


def test_too_few_training_images_for_official_splits_name_the_class(tmp_path, tiny):
    write_folder(tmp_path, tiny)
    for k in range(TRAIN - DRAWN_VAL):
        (tmp_path / "tiny-imagenet-200" / "train" / WNIDS[2] / "images" / f"{WNIDS[2]}_{k}.JPEG").unlink()
    with pytest.raises(DataError, match=f"Class {WNIDS[2]} has only 3 training images"):
        find(tmp_path, complete=False)
    assert "incomplete: 51 of 60 train, 20 of 20 val images" in find(tmp_path, complete=False, splits="merged").part


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


def test_another_size_is_resized(tmp_path, tiny):
    write_folder(tmp_path, tiny)
    packed = open_packed(prepare("tiny", configure(tmp_path, size_px=32), tmp_path / "data").parent)
    assert packed.split("val").images.shape == (15, 32, 32, 3)


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


def test_the_numbers_of_images_are_known_beforehand(tmp_path, tiny):
    write_folder(tmp_path, tiny)
    for settings in ({}, {"splits": "merged", "val_fraction": 0.1, "test_fraction": 0.4}):
        counts = {name: len(split) for name, split in find(tmp_path, **settings).splits.items()}
        assert count_tiny_imagenet(configure(tmp_path, **settings)) == counts
    assert SubsetConfig(classes_not_in="x", left_out=SubsetConfig(classes=40)).count_classes(200) == 160
