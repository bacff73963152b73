import hashlib
import tracemalloc

import numpy as np
import pytest
from fake_downsampled import (
    CLASSES,
    EXPECTED,
    SIDE,
    TEST,
    WNIDS,
    Batch,
    draw_batches,
    find,
    write_class_map,
    write_npz,
    write_pickles,
)

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.experiments import Config
from alexnet2012.data import storage
from alexnet2012.data.listing import Listing, Source
from alexnet2012.data.packed import open_packed
from alexnet2012.data.prepare import check, prepare
from alexnet2012.data.sources import downsampled_imagenet
from alexnet2012.data.sources.downsampled_batches import read_batch_images
from alexnet2012.data.sources.small_layouts import TRAIN, VAL
from alexnet2012.errors import DataError
from alexnet2012.preflight import list_archived

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


def test_the_seed_decides_which_images_are_drawn(tmp_path, batches):
    write_pickles(tmp_path, batches)
    first, again, other = (find(tmp_path, split_seed=seed).splits["val"].names.to_pylist() for seed in (1, 1, 2))
    assert first == again != other


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


def test_images_of_64_pixels(tmp_path):
    batches = draw_batches(side=64)
    write_npz(tmp_path, batches)
    images = list(find(tmp_path, size_px=64).splits["test"].read())
    np.testing.assert_array_equal(images, batches[VAL].images)


def test_a_subset_takes_classes_and_images_of_each(tmp_path, batches):
    write_npz(tmp_path, batches)
    write_class_map(tmp_path / "map_clsloc.txt")
    whole, part = find(tmp_path), find(tmp_path, subset={"classes": 2, "per_class": 3})
    assert len(part.classes) == 2 and "2 of 5 classes" in part.part
    for split in ("train", "val", "test"):
        taken = rows_of(part, split)
        assert [row for row in rows_of(whole, split) if row in taken] == taken and len(taken) == 6
        assert {row[1] for row in taken} == set(part.classes)


def test_what_is_there_of_an_incomplete_release_is_taken(tmp_path, batches):
    there = (*TRAIN[1:4], TRAIN[6], TRAIN[9])
    write_npz(tmp_path, {name: batches[name] for name in (*there, VAL)})
    source = find(tmp_path, complete=False)
    taken = [name.partition("/")[0] for name in source.splits["train"].names.to_pylist()]
    assert set(taken) == set(there) and taken == sorted(taken, key=TRAIN.index)
    assert "incomplete: 48 of 93 train, 20 of 20 val images" in source.part


def test_a_class_without_training_images_is_left_out_of_an_incomplete_release(tmp_path, batches):
    few = {}
    for name in TRAIN:
        rows = batches[name].labels != 2
        few[name] = Batch(batches[name].labels[rows], batches[name].images[rows], batches[name].mean)
    write_pickles(tmp_path, batches | few)
    write_class_map(tmp_path / "map_clsloc.txt")
    source = find(tmp_path, complete=False)
    assert source.classes == tuple(sorted(set(WNIDS) - {WNIDS[1]}))
    assert rows_of(source, "test") == [row for row in expected_rows(batches, VAL) if row[1] != WNIDS[1]]


def test_the_check_before_the_first_job_says_what_there_is(tmp_path, batches, capsys):
    write_npz(tmp_path, batches)
    dataset = DatasetConfig(kind="downsampled_imagenet", folder=str(tmp_path), size_px=SIDE)
    line = {"dataset": "some", "variant": "cnn", "seeds": [0], "tables": ["table1"]}
    config = Config(name="x", datasets={"some": dataset}, experiments=[line])
    assert list_archived(config, tmp_path / "data", ["some"]) == ["some"]
    check("some", dataset, tmp_path / "data")
    assert "some: 78 train, 15 val, 20 test images in 5 classes" in capsys.readouterr().out


def test_an_npz_is_read_a_few_images_at_a_time(tmp_path):
    images, path = 4000, tmp_path / "train_data_batch_1.npz"
    np.savez_compressed(path, data=np.zeros((images, 3072), np.uint8), labels=np.ones(images, np.int64))
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_batch_images(path)) == images
        assert tracemalloc.get_traced_memory()[1] < images * 3072 / 4  # pieces of 256 images; twice while one is cut
    finally:
        tracemalloc.stop()


def test_the_same_release_elsewhere_is_packed_once_and_other_draws_of_it_again():
    def identity(**settings):
        return DatasetConfig(kind="downsampled_imagenet", **{"folder": "there", "size_px": 64, **settings}).identity

    assert identity() == identity(folder="elsewhere") == {"kind": "downsampled_imagenet", "size_px": 64}
    others = [identity(size_px=32), identity(split_seed=1), identity(subset={"classes": 9}), identity(complete=False)]
    assert all(other != identity() for other in others)


def test_a_full_disk_is_told_before_anything_is_packed_without_a_storage_that_it_has_not(
    tmp_path, batches, monkeypatch
):
    write_npz(tmp_path, batches)
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda _: storage.shutil._ntuple_diskusage(10, 9, 1))
    dataset = DatasetConfig(kind="downsampled_imagenet", folder=str(tmp_path), size_px=SIDE)
    with pytest.raises(DataError, match="1 free|0.0 kB free") as raised:
        prepare("small", dataset, tmp_path / "data")
    assert "jpeg" not in str(raised.value)


def test_arrays_taken_twice_are_the_rows_of_the_first(batches):
    images = batches[VAL].images
    rows = np.arange(CLASSES * TEST)
    labels = batches[VAL].labels
    whole = Listing.of([str(k) for k in rows], offset=rows, label=labels, container="pixels", images=images)
    part = whole.take(np.array([1, 4, 7, 19])).take(np.array([1, 3]))
    assert part.names.to_pylist() == ["4", "19"] and part.labels.tolist() == batches[VAL].labels[[4, 19]].tolist()
    np.testing.assert_array_equal(list(part.read()), images[[4, 19]])
    assert list(whole.take(np.array([], np.int64)).read()) == []
    with pytest.raises(AssertionError):
        whole.take(np.array([4, 1])).read()
