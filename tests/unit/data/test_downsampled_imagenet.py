import hashlib

import numpy as np
import pytest
from fake_downsampled import (
    CLASSES,
    EXPECTED,
    SIDE,
    WNIDS,
    Batch,
    draw_batches,
    find,
    write_class_map,
    write_npz,
    write_pickles,
)

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.listing import Source
from alexnet2012.data.packed import open_packed
from alexnet2012.data.prepare import prepare
from alexnet2012.data.sources import downsampled_imagenet
from alexnet2012.data.sources.small_layouts import TRAIN, VAL

DRAWN = 3  # of each class of train, for val


@pytest.fixture(scope="session")
def batches() -> dict[str, Batch]:
    return draw_batches()


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(downsampled_imagenet, "EXPECTED", EXPECTED)
    monkeypatch.setattr(downsampled_imagenet, "VAL_PER_CLASS", DRAWN)


def rows_of(source: Source, split: str) -> list[tuple[str, str, str]]:
    """(name, class, sha256 of the pixels) of each image."""
    arrays = source.splits[split]
    names, classes = arrays.names.to_pylist(), [source.classes[label] for label in arrays.labels]
    pixels = [hashlib.sha256(np.ascontiguousarray(image)).hexdigest() for image in arrays.read()]
    return list(zip(names, classes, pixels, strict=True))


def expected_rows(batches: dict[str, Batch], *names: str) -> list[tuple[str, str, str]]:
    """As above, of whole batches, whose classes' names are known."""
    return [
        (f"{name}/{k:06d}", WNIDS[label - 1], hashlib.sha256(image).hexdigest())
        for name in names
        for k, (label, image) in enumerate(zip(batches[name].labels, batches[name].images, strict=True))
    ]


def test_test_is_the_published_val_and_val_a_part_of_each_class_of_train(tmp_path, batches):
    write_pickles(tmp_path, batches)
    write_class_map(tmp_path / "map_clsloc.txt")
    source = find(tmp_path)
    assert rows_of(source, "test") == expected_rows(batches, VAL)
    train, val = rows_of(source, "train"), rows_of(source, "val")
    every = expected_rows(batches, *TRAIN)
    assert [row for row in every if row in train] == train and [row for row in every if row in val] == val
    assert sorted(train + val) == sorted(every)
    assert np.bincount(source.splits["val"].labels).tolist() == [DRAWN] * CLASSES
    assert "seed 2012" in source.part and "by number" not in source.part


def test_classes_are_sorted_where_their_names_are_known_and_numbered_where_not(tmp_path, batches):
    write_npz(tmp_path, batches)
    unnamed = find(tmp_path)
    assert unnamed.classes == ("class-0001", "class-0002", "class-0003", "class-0004", "class-0005")
    assert unnamed.official_ids == (1, 2, 3, 4, 5) and "map_clsloc.txt" in unnamed.part
    assert np.array_equal(unnamed.splits["test"].labels, batches[VAL].labels - 1)
    write_class_map(tmp_path / "Imagenet64_val_npz" / "map_clsloc.txt")
    named = find(tmp_path)
    assert named.classes == tuple(sorted(WNIDS))
    assert [WNIDS[number - 1] for number in named.official_ids] == list(named.classes)
    for split in ("train", "val", "test"):  # the same images are drawn
        assert named.splits[split].names.equals(unnamed.splits[split].names)


def test_pickles_and_npz_are_packed_alike_with_the_pixels_in_their_places(tmp_path, batches):
    write_pickles(tmp_path / "pickles", batches)
    write_npz(tmp_path / "compressed", batches)
    write_npz(tmp_path / "stored", batches, compressed=False)
    packed = []
    for form in ("pickles", "compressed", "stored"):
        dataset = DatasetConfig(kind="downsampled_imagenet", folder=str(tmp_path / form), size_px=SIDE)
        packed.append(open_packed(prepare(form, dataset, tmp_path / "data").parent))
    assert len({each.digest for each in packed}) == 1
    assert packed[0].counts == {"train": 93 - 15, "val": 15, "test": 20} and packed[0].size_px == SIDE
    np.testing.assert_array_equal(packed[1].split("test").images, batches[VAL].images)
    np.testing.assert_array_equal(packed[2].split("test").labels, batches[VAL].labels - 1)
    train = np.concatenate([batches[name].images for name in TRAIN]).astype(np.float64)
    both = np.concatenate([packed[0].split(name).images for name in ("train", "val")]).astype(np.float64)
    np.testing.assert_array_equal(train.sum(axis=0), both.sum(axis=0))


def test_what_is_there_of_an_incomplete_release_is_taken(tmp_path, batches):
    there = (*TRAIN[1:4], TRAIN[6], TRAIN[9])
    write_npz(tmp_path, {name: batches[name] for name in (*there, VAL)})
    source = find(tmp_path, complete=False)
    taken = [name.partition("/")[0] for name in source.splits["train"].names.to_pylist()]
    assert set(taken) == set(there) and taken == sorted(taken, key=TRAIN.index)
    assert "incomplete: 48 of 93 train, 20 of 20 val images" in source.part
