"""From each form of an edition to packed images: the same digest, every image at its label, odd ones included."""

import gzip
import io
import json
import os
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from fake_imagenet import LAYOUTS_2012, Edition, write_ilsvrc2010_tars, write_ilsvrc2012_tars
from PIL import Image

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data import packing
from alexnet2012.data.decode import decode
from alexnet2012.data.packed import open_packed, verify_digests
from alexnet2012.data.prepare import prepare
from alexnet2012.data.sources import ilsvrc2010, ilsvrc2012


@pytest.fixture
def edition(monkeypatch) -> Edition:
    edition = Edition.draw(2012, classes=6, train=5, val=2, test=2)
    monkeypatch.setattr(ilsvrc2012, "ILSVRC2012", edition.expected)
    return edition


def check_images(edition: Edition, folder, size_px: int) -> None:
    """Image by image: name, class, label and pixels are those of the edition."""
    verify_digests(folder)
    dataset = open_packed(folder)
    assert (dataset.classes, dataset.part) == (edition.wnids, "")
    for split in dataset.counts:
        packed, index = dataset.split(split), pd.read_parquet(folder / split / "index.parquet")
        rows = edition.rows(split)
        assert index.path.tolist() == [name for name, _, _ in rows]
        assert packed.labels.tolist() == [label for _, label, _ in rows]
        classes = [edition.wnids[label] if label >= 0 else "" for _, label, _ in rows]
        assert index["class"].fillna("").tolist() == classes
        for row, (name, _, photo) in enumerate(rows):
            np.testing.assert_array_equal(packed.images[row], decode(photo, name, size_px).pixels)


def test_every_layout_of_2012_makes_the_same_dataset(edition, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "SHARD_IMAGES", 7)
    manifests = {}
    for layout, write in LAYOUTS_2012.items():
        write(tmp_path / layout, edition)
        config = DatasetConfig(kind="ilsvrc2012", folder=str(tmp_path / layout), size_px=32)
        manifest = prepare(layout, config, tmp_path / "data")
        check_images(edition, manifest.parent, 32)
        manifests[layout] = json.loads(manifest.read_text(encoding="utf-8"))
        del manifests[layout]["name"], manifests[layout]["official_ids"]
    assert len(manifests) == 4 and all(each == manifests["tars"] for each in manifests.values())
    assert open_packed(tmp_path / "data" / "tars").official_ids == edition.ids


def test_an_archive_that_was_replaced_is_read_again_though_size_and_time_are_the_same(edition, tmp_path, monkeypatch):
    write_ilsvrc2012_tars(tmp_path / "tars", edition)
    config = DatasetConfig(kind="ilsvrc2012", folder=str(tmp_path / "tars"), size_px=32)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("alexnet2012.data.prepare._refuse_unreadable", Mock(side_effect=KeyboardInterrupt))
        prepare("set", config, tmp_path / "data")
    archive = tmp_path / "tars" / "ILSVRC2012_img_val.tar"
    content, state = archive.read_bytes(), archive.stat()
    buffer = io.BytesIO()
    Image.new("L", (40, 40), 200).save(buffer, "JPEG", quality=20)
    other = buffer.getvalue().ljust(len(edition.val[0]), b"\0")  # decoders ignore what follows the end
    archive.write_bytes(content.replace(edition.val[0], other))
    os.utime(archive, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert archive.stat().st_size == state.st_size and archive.read_bytes() != content
    again, scratch = (prepare("set", config, tmp_path / name) for name in ("data", "scratch"))
    assert open_packed(again.parent).digest == open_packed(scratch.parent).digest


def test_2010_is_packed_with_its_patches_and_gzipped_members(tmp_path, monkeypatch):
    edition = Edition.draw(2010, classes=6, train=5, val=2, test=3)
    monkeypatch.setattr(ilsvrc2010, "ILSVRC2010", edition.expected)
    write_ilsvrc2010_tars(tmp_path / "archives", edition)
    manifest = prepare("set", DatasetConfig(kind="ilsvrc2010", folder=str(tmp_path / "archives"), size_px=32), tmp_path)
    check_images(edition, manifest.parent, 32)
    oddities = json.loads((manifest.parent / "preparation.json").read_text(encoding="utf-8"))["oddities"]
    assert sum(each.get("gzipped", 0) for each in oddities.values()) >= 3


def test_odd_images_inside_archives_are_read_and_noted_and_bad_ones_reported(edition, tmp_path):
    """As in the real training set: CMYK JPEGs, and a PNG that is named .JPEG."""

    def save(form: str, image: Image.Image) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, form)
        return buffer.getvalue()

    stems = edition.train[edition.wnids[2]]
    names = sorted(stems)
    stems[names[0]] = save("JPEG", Image.new("CMYK", (40, 40), (0, 255, 255, 0)))
    stems[names[1]] = save("PNG", Image.new("RGB", (40, 40), (9, 8, 7)))
    stems[names[2]] = gzip.compress(stems[names[2]])
    stems[names[3]] = b"<html>this photo is no longer available</html>"
    write_ilsvrc2012_tars(tmp_path / "archives", edition)
    settings = {"kind": "ilsvrc2012", "folder": str(tmp_path / "archives"), "size_px": 32}
    with pytest.raises(Exception, match="1 images cannot be read") as raised:
        prepare("set", DatasetConfig(**settings), tmp_path)
    where = f"ILSVRC2012_img_train.tar!train/{edition.wnids[2]}/{names[3]}: it is no image of a known format"
    assert where in str(raised.value) and where in (tmp_path / "set.unreadable.txt").read_text(encoding="utf-8")
    manifest = prepare("set", DatasetConfig(**settings, bad_images="skip", max_bad_images=1), tmp_path)
    index = pd.read_parquet(manifest.parent / "train" / "index.parquet").set_index("path")
    assert index.loc[[f"train/{edition.wnids[2]}/{name}" for name in names[:3]], "notes"].tolist() == [
        "CMYK",
        "PNG named as JPEG",
        "gzipped",
    ]
    dataset = open_packed(manifest.parent)
    assert dataset.counts["train"] == 29 and dataset.part == "unreadable and left out: 1 of train"
