import hashlib
import json

import numpy as np
import pytest
from fake_images import folder_config

from alexnet2012.data import packed
from alexnet2012.data.packed import open_packed, shard_digests, verify_digests, whole_digest
from alexnet2012.data.prepare import prepare
from alexnet2012.errors import DataError


@pytest.fixture
def folder(tmp_path, pictures):
    return prepare("small", folder_config(pictures), tmp_path / "data").parent


def test_a_packed_dataset_opens_with_its_shapes(folder):
    dataset = open_packed(folder)
    assert (dataset.name, dataset.classes, dataset.size_px) == ("small", ("a", "b"), 8)
    assert dataset.counts == {"train": 14, "val": 2, "test": 4}
    train = dataset.split("train")
    assert isinstance(train.images.base, np.memmap) and not train.images.flags.writeable
    assert (train.images.shape, train.images.dtype, len(train)) == ((14, 8, 8, 3), np.uint8, 14)
    assert train.labels.dtype == np.int64 and train.labels.tolist() == [0] * 7 + [1] * 7
    assert (dataset.mean_image.shape, dataset.mean_image.dtype) == ((8, 8, 3), np.float32)
    assert (dataset.colour_vectors.shape, dataset.colour_deviations.shape) == ((3, 3), (3,))


def test_what_is_no_packed_dataset_is_refused(folder):
    with pytest.raises(DataError, match="has no manifest.json. Run snakemake"):
        open_packed(folder.parent)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for version in (1, 3):
        (folder / "manifest.json").write_text(json.dumps(manifest | {"version": version}), encoding="utf-8")
        with pytest.raises(DataError, match=f"of version {version}, but this code reads version 2"):
            open_packed(folder)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("val/images.npy", None, "val/images.npy cannot be opened"),
        ("val/labels.npy", np.zeros(3, np.int64), r"int64 \(3,\), but the manifest counts int64 \(2,\)"),
        (
            "test/images.npy",
            np.zeros((4, 8, 8, 3), np.float32),
            r"float32 \(4, 8, 8, 3\), but the manifest counts uint8",
        ),
        ("statistics.npz", None, "statistics.npz cannot be read"),
    ],
)
def test_files_that_differ_from_the_manifest_are_named(folder, file, content, message):
    (folder / file).unlink()
    if content is not None:
        np.save(folder / file, content)
    with pytest.raises(DataError, match=message):
        open_packed(folder)


def test_a_truncated_array_is_refused_without_reading_it(folder):
    images = folder / "train" / "images.npy"
    images.write_bytes(images.read_bytes()[:-1])
    with pytest.raises(DataError, match="train/images.npy cannot be opened"):
        open_packed(folder)


def test_one_changed_byte_is_found_in_its_shard(folder):
    verify_digests(folder)
    with (folder / "train" / "images.npy").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    open_packed(folder)
    with pytest.raises(DataError, match=r"The images of .*train are damaged in shard 0 \(rows 0 to 13\)"):
        verify_digests(folder)


def test_shards_are_4096_rows_and_the_last_is_shorter():
    rows = np.arange(4096 + 100, dtype=np.int64)
    assert shard_digests(rows) == shard_digests(rows[:4096]) + shard_digests(rows[4096:])
    assert packed.SHARD_ROWS == 4096
    # sha256 of no bytes but these: eight bytes for each label, little-endian.
    assert shard_digests(np.zeros(1, np.int64)) == ["af5570f5a1810b7af78caf4bc70a660f0df51e42baf91d4de5b2328de0e83dfc"]


def test_the_whole_digest_takes_the_splits_in_order():
    shards = {name: {"images": ["00"], "labels": [f"0{k}"]} for k, name in enumerate(packed.SPLITS)}
    # sha256 of the bytes 00 00 00 01 00 02
    expected = hashlib.sha256(bytes([0, 0, 0, 1, 0, 2])).hexdigest()
    assert whole_digest(dict(reversed(shards.items()))) == expected
