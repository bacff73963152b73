"""Pass 2: shards, resumption after kill -9, both kinds of storage, and images that are left out."""

import io
import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_images import folder_config, write_pictures
from PIL import Image

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.schema import AugmentationConfig
from alexnet2012.data import packing, storage
from alexnet2012.data.augment import draw_views, make_batch
from alexnet2012.data.listing import Listing
from alexnet2012.data.packed import open_packed, verify_digests
from alexnet2012.data.prepare import prepare
from alexnet2012.data.reading import cut_shard, read_images
from alexnet2012.errors import DataError

SHARD = 10

# A preparation in a process of its own, to be killed: shards of ten images, with a pause at each image, or
# a long one at shards from the fourth on.
SLOW = """
import sys, time
from pathlib import Path
from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data import packing
from alexnet2012.data.prepare import prepare
folder, kind, data, workers = sys.argv[1:]
packing.SHARD_IMAGES = 10
packing.POOL_FROM_IMAGES, packing.count_usable_cores = 1, lambda: int(workers)
slowed = "decode" if workers == "1" else "_pack_shard"
quick = getattr(packing, slowed)
def slow(*arguments):
    time.sleep(0.02 if workers == "1" else 60 * (arguments[0][1] > 3))
    return quick(*arguments)
setattr(packing, slowed, slow)
prepare("set", DatasetConfig(kind="imagefolder", folder=folder, size_px=8, storage=kind), Path(data))
"""


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(packing, "SHARD_IMAGES", SHARD)


@pytest.fixture
def pictures(tmp_path) -> Path:
    """100 pictures of two classes: 70, 10 and 20 of the splits, so that train has seven shards of ten."""
    for k, name in enumerate(("a", "b")):
        write_pictures(tmp_path / "pictures" / name, 50, seed=k)
    return tmp_path / "pictures"


def digest_of(manifest: Path) -> str:
    verify_digests(manifest.parent)
    return json.loads(manifest.read_text(encoding="utf-8"))["digest"]


def count_decoded(monkeypatch, at: int | None = None, then: Callable[[], None] = lambda: None) -> list[str]:
    """The names of the images that are decoded from now on; calls `then` when there are `at` of them."""
    decoded: list[str] = []

    def decode(content, name, size_px):
        if len(decoded) == at:
            then()
        decoded.append(name)
        return quick(content, name, size_px)

    quick = packing.decode
    monkeypatch.setattr(packing, "decode", decode)
    return decoded


def stop(*_, **__):
    raise KeyboardInterrupt


def interrupt(images: int, config: DatasetConfig, data: Path, monkeypatch) -> list[str]:
    """Ctrl-C in the middle of a shard; returns the names of the images that were decoded before."""
    with monkeypatch.context() as patch:
        decoded = count_decoded(patch, images, stop)
        with pytest.raises(KeyboardInterrupt):
            prepare("set", config, data)
    return decoded


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def list_records(data: Path) -> list[Path]:
    return sorted((data / ".set.partial").glob("*/shards/*.arrow"), key=lambda path: (path.parts[-3] != "train", path))


def list_sizes(folder: Path) -> dict[str, int]:
    """The size of each file of a packed dataset but for preparation.json, where times stand."""
    files = {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*.*")}
    return {name: size for name, size in files.items() if name != "preparation.json"}


@pytest.mark.parametrize(("kind", "workers"), [("raw", 1), ("jpeg", 2)])
def test_a_preparation_killed_in_the_middle_goes_on_at_its_last_shard(
    tmp_path, pictures, kind, workers, monkeypatch, capfd
):
    data = tmp_path / "data"
    process = psutil.Popen([sys.executable, "-c", SLOW, str(pictures), kind, str(data), str(workers)])
    deadline = time.monotonic() + 60
    while len(list_records(data)) < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    children, deadline = process.children(recursive=True), time.monotonic() + 20
    process.kill()
    process.wait()
    assert len(children) >= (workers if workers > 1 else 0)
    while any(is_alive(child) for child in children):  # none outlives its parent
        assert time.monotonic() < deadline
        time.sleep(0.05)
    finished = len(list_records(data))
    assert 3 <= finished < 10 and not (data / "set").exists()

    decoded = count_decoded(monkeypatch)
    resumed = digest_of(prepare("set", folder_config(pictures, storage=kind), data))

    assert len(decoded) == 100 - 10 * finished
    assert f"going on after {finished} finished shards" in capfd.readouterr().out
    other = prepare("set", folder_config(pictures, storage=kind), tmp_path / "other")
    assert resumed == digest_of(other)
    index = pd.read_parquet(data / "set" / "train" / "index.parquet")
    assert (index[["width", "height"]] == [20, 16]).all().all() and index.path.is_monotonic_increasing
    assert list_sizes(data / "set") == list_sizes(other.parent)  # nothing of an unfinished shard stays
    assert not (data / ".set.partial").exists()


@pytest.mark.parametrize(("kind", "expected", "change"), [("raw", 70, "time"), ("jpeg", 90, "size")])
def test_a_source_file_that_changed_is_read_again(tmp_path, pictures, kind, expected, change, monkeypatch):
    """And those behind it in images.bin, so that it has no gaps."""
    config, data = folder_config(pictures, storage=kind), tmp_path / "data"
    changed = pictures / interrupt(45, config, data, monkeypatch)[15]
    time_ns = changed.stat().st_mtime_ns
    if change == "size":
        Image.new("RGB", (20, 16), (200, 100, 50)).save(changed)
    os.utime(changed, ns=(0, time_ns + (change == "time")))
    decoded = count_decoded(monkeypatch)
    manifest = prepare("set", config, data)
    assert changed.relative_to(pictures).as_posix() in decoded and len(decoded) == expected
    other = prepare("set", config, tmp_path / "other")
    assert digest_of(manifest) == digest_of(other) and list_sizes(manifest.parent) == list_sizes(other.parent)


@pytest.mark.parametrize(("kind", "how"), [("raw", "over"), ("jpeg", "moved"), ("raw", "linked")])
def test_a_file_that_was_fetched_again_is_read_again_though_size_and_time_are_the_same(
    tmp_path, pictures, kind, how, monkeypatch
):
    """As rsync and wget leave it, which set the time that the server tells."""
    config, data = folder_config(pictures, storage=kind), tmp_path / "data"
    changed = pictures / interrupt(45, config, data, monkeypatch)[15]
    state = changed.stat()
    other = tmp_path / "other.png" if how != "over" else changed
    Image.new("RGB", (20, 16), (200, 100, 50)).save(other)
    other.write_bytes(other.read_bytes().ljust(state.st_size, b"\0"))  # decoders ignore what follows the end
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    if how == "moved":
        other.replace(changed)
    elif how == "linked":
        changed.unlink()
        changed.symlink_to(other)
    assert (changed.stat().st_size, changed.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)
    again = digest_of(prepare("set", config, data))
    assert again == digest_of(prepare("set", config, tmp_path / "scratch"))


def test_work_of_other_code_is_begun_anew(tmp_path, pictures, monkeypatch):
    """A new release may decode an image differently."""
    interrupt(45, folder_config(pictures), tmp_path / "data", monkeypatch)
    monkeypatch.setattr("alexnet2012.data.prepare.fingerprint", lambda stage: "other code")
    decoded = count_decoded(monkeypatch)
    prepare("set", folder_config(pictures), tmp_path / "data")
    assert len(decoded) == 100


@pytest.mark.parametrize("content", [b"", b"ARROW1\0\0"])
def test_a_record_that_a_power_cut_left_torn_does_not_count(tmp_path, pictures, content, monkeypatch):
    interrupt(35, folder_config(pictures), tmp_path / "data", monkeypatch)
    list_records(tmp_path / "data")[1].write_bytes(content)
    decoded = count_decoded(monkeypatch)
    assert digest_of(prepare("set", folder_config(pictures), tmp_path / "data"))
    assert len(decoded) == 80


@pytest.mark.parametrize(
    ("before", "settings"),
    [({}, {"size_px": 16}), ({}, {"storage": "jpeg"}), ({"storage": "jpeg"}, {"storage": "jpeg", "jpeg_quality": 20})],
)
def test_work_of_other_settings_is_begun_anew(tmp_path, pictures, before, settings, monkeypatch):
    interrupt(95, folder_config(pictures, **before), tmp_path / "data", monkeypatch)
    decoded = count_decoded(monkeypatch)
    manifest = prepare("set", folder_config(pictures, **settings), tmp_path / "data")
    assert len(decoded) == 100 and open_packed(manifest.parent).size_px == settings.get("size_px", 8)
    assert digest_of(manifest) == digest_of(prepare("set", folder_config(pictures, **settings), tmp_path / "other"))
    assert list_sizes(manifest.parent) == list_sizes(tmp_path / "other" / "set")


def test_only_one_process_prepares_a_dataset(tmp_path, pictures):
    from alexnet2012.files import locked

    with (
        locked(tmp_path / "data" / ".set.lock"),
        pytest.raises(DataError, match=f"is being prepared by process {os.getpid()}"),
    ):
        prepare("set", folder_config(pictures), tmp_path / "data")


def test_processes_pack_the_same_bytes_as_one(tmp_path, pictures, monkeypatch):
    monkeypatch.setattr(packing, "count_usable_cores", lambda: 2)
    digests = {}
    for kind in ("raw", "jpeg"):
        for threshold in (1, 10_000):
            monkeypatch.setattr(packing, "POOL_FROM_IMAGES", threshold)
            manifest = prepare("set", folder_config(pictures, storage=kind), tmp_path / f"{kind}{threshold}")
            digests[kind, threshold] = digest_of(manifest)
    assert digests["raw", 1] == digests["raw", 10_000] != digests["jpeg", 1] == digests["jpeg", 10_000]


def test_jpeg_storage_keeps_each_image_as_a_jpeg_and_reads_like_an_array(tmp_path, pictures):
    raw = open_packed(prepare("raw", folder_config(pictures), tmp_path).parent)
    dataset = open_packed(prepare("jpeg", folder_config(pictures, storage="jpeg", jpeg_quality=90), tmp_path).parent)
    pixels, images = raw.split("train").images, dataset.split("train").images
    assert images.shape == pixels.shape == (70, 8, 8, 3)
    expected = np.asarray(Image.open(io.BytesIO(storage.encode(pixels[33], 90))))
    np.testing.assert_array_equal(images[33], expected)
    np.testing.assert_array_equal(images[np.array([33, 2])][0], expected)
    np.testing.assert_array_equal(images[30:40][3], expected)
    assert not (tmp_path / "jpeg" / "train" / "images.npy").exists()
    everything = images[:].astype(np.float64)
    np.testing.assert_array_equal(dataset.mean_image, everything.mean(axis=0).astype(np.float32))
    views = draw_views(0, 0, dataset, 70, 6, AugmentationConfig())
    rows = np.array([5, 60, 5])
    batches = [make_batch(each, dataset.mean_image, rows, views, 6) for each in (images, images[:])]
    assert (batches[0] == batches[1]).all() and batches[0].shape == (3, 3, 6, 6)


def test_a_damaged_jpeg_store_is_found(tmp_path, pictures):
    folder = prepare("jpeg", folder_config(pictures, storage="jpeg"), tmp_path).parent
    file = folder / "val" / "images.bin"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(DataError, match=f"images.bin has {len(whole) - 1:,} bytes, but offsets.npy"):
        open_packed(folder)
    file.write_bytes(bytes([*whole[:-9], whole[-9] ^ 1, *whole[-8:]]))
    with pytest.raises(DataError, match="The images of .*val are damaged in shard 0"):
        verify_digests(folder)


@pytest.mark.parametrize("kind", ["raw", "jpeg"])
def test_bad_images_are_left_out_up_to_the_stated_number(tmp_path, pictures, kind, monkeypatch):
    for name in ("a/007.png", "b/020.png"):
        (pictures / name).write_text("not an image", encoding="utf-8")
    write_pictures(pictures / "a", 0)
    data = tmp_path / "data"
    with pytest.raises(DataError, match=r"(?s)2 images cannot be read.*skip and max_bad_images: 2") as raised:
        prepare("set", folder_config(pictures, storage=kind), data)
    assert "a/007.png: it is no image of a known format" in str(raised.value)
    settings = {"storage": kind, "bad_images": "skip"}
    decoded = count_decoded(monkeypatch)
    with pytest.raises(DataError, match="more than max_bad_images: 1"):
        prepare("set", folder_config(pictures, max_bad_images=1, **settings), data)
    manifest = prepare("set", folder_config(pictures, max_bad_images=2, **settings), data)
    assert decoded == ["a/007.png", "b/020.png"] * 2  # once more, in case they can be read now; the others were kept
    assert digest_of(manifest) == digest_of(
        prepare("set", folder_config(pictures, max_bad_images=2, **settings), tmp_path / "other")
    )
    dataset = open_packed(manifest.parent)
    assert sum(dataset.counts.values()) == 98
    preparation = json.loads((manifest.parent / "preparation.json").read_text(encoding="utf-8"))
    assert sum(preparation["left_out"].values()) == 2
    for split in ("train", "val", "test"):
        index = pd.read_parquet(manifest.parent / split / "index.parquet")
        assert len(index) == dataset.counts[split] and not set(index.path) & {"a/007.png", "b/020.png"}
        labels, images = dataset.split(split).labels, dataset.split(split).images
        for row, (path, name) in enumerate(zip(index.path, index["class"], strict=True)):
            assert dataset.classes[labels[row]] == name == path.split("/")[0]
            pixels = np.asarray(Image.open(pictures / path).resize((10, 8), Image.Resampling.BILINEAR))[:, 1:9]
            limit = 1 if kind == "raw" else 90  # noise does not survive JPEG well, but no other image is as near
            assert np.abs(images[row].astype(int) - pixels).max() <= limit


FINISHING = {
    "arrange": "storage.RawStore.arrange",
    "measure_and_sum": "finish.derive_statistics",
    "write_manifest": "finish._write_manifest",
    "publish": "prepare._publish",
    "remove_records": "prepare._remove_records",
}


@pytest.mark.parametrize("kind", ["raw", "jpeg"])
@pytest.mark.parametrize("moment", FINISHING)
def test_a_kill_in_the_last_minutes_costs_few_images(tmp_path, pictures, moment, kind, monkeypatch):
    """With gaps that were filled and a file that was shortened."""
    (pictures / "a" / "007.png").write_text("not an image", encoding="utf-8")
    config = folder_config(pictures, storage=kind, bad_images="skip", max_bad_images=1)
    with monkeypatch.context() as patch:
        place = FINISHING[moment].replace("RawStore", "RawStore" if kind == "raw" else "JpegStore")
        patch.setattr(f"alexnet2012.data.{place}", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare("set", config, tmp_path / "data")
    decoded = count_decoded(monkeypatch)
    resumed = prepare("set", config, tmp_path / "data")
    if moment != "remove_records":  # after that the dataset is published, and only a new call prepares it again
        # Besides the image that failed, the shard whose last row filled the gap, and was cut off then.
        assert len(decoded) <= (1 + SHARD if kind == "raw" else 1)
    other = prepare("set", config, tmp_path / "other")
    assert digest_of(resumed) == digest_of(other) and list_sizes(resumed.parent) == list_sizes(other.parent)


def test_a_kill_between_the_two_renamings_leaves_the_old_dataset(tmp_path, pictures, monkeypatch):
    prepare("set", folder_config(pictures), tmp_path / "data")
    (tmp_path / "data" / "set").rename(tmp_path / "data" / ".set.old")
    monkeypatch.setattr("alexnet2012.data.prepare.find_source", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare("set", folder_config(pictures), tmp_path / "data")
    assert digest_of(tmp_path / "data" / "set" / "manifest.json")


@pytest.mark.parametrize(("kind", "content"), [("raw", None), ("raw", b"\x93NUMPY\x01\x00"), ("jpeg", b"")])
def test_records_without_their_images_do_not_count(tmp_path, pictures, kind, content, monkeypatch):
    config = folder_config(pictures, storage=kind)
    interrupt(25, config, tmp_path / "data", monkeypatch)
    (images,) = (tmp_path / "data" / ".set.partial" / "train").glob("images.*")
    images.unlink() if content is None else images.write_bytes(content)
    decoded = count_decoded(monkeypatch)
    assert digest_of(prepare("set", config, tmp_path / "data")) and len(decoded) == 100


@pytest.mark.parametrize("kind", ["raw", "jpeg"])
def test_what_could_not_be_read_is_tried_again(tmp_path, pictures, kind):
    """Though its file looks the same: a disk may have been away."""
    picture = pictures / "b" / "020.png"
    good, state = picture.read_bytes(), picture.stat()
    picture.write_bytes(bytes(len(good)))
    os.utime(picture, ns=(0, state.st_mtime_ns))
    config = folder_config(pictures, storage=kind)
    with pytest.raises(DataError, match="1 images cannot be read"):
        prepare("set", config, tmp_path / "data")
    picture.write_bytes(good)
    os.utime(picture, ns=(0, state.st_mtime_ns))
    manifest = prepare("set", config, tmp_path / "data")
    assert digest_of(manifest) == digest_of(prepare("set", config, tmp_path / "other"))


def test_a_source_that_goes_away_makes_no_image_unreadable(tmp_path, pictures, monkeypatch):
    with monkeypatch.context() as patch:
        count_decoded(patch, 25, lambda: pictures.rename(tmp_path / "unmounted"))
        with pytest.raises(DataError, match=f"{pictures} has .*shards are kept"):
            prepare("set", folder_config(pictures), tmp_path / "data")
    (tmp_path / "unmounted").rename(pictures)
    decoded = count_decoded(monkeypatch)
    assert digest_of(prepare("set", folder_config(pictures), tmp_path / "data")) and len(decoded) == 80


def test_an_image_that_is_too_large_for_the_memory_stops_the_run(tmp_path, pictures, monkeypatch):
    def fit_square(*_):
        raise MemoryError

    monkeypatch.setattr("alexnet2012.data.decode.fit_square", fit_square)
    with pytest.raises(DataError, match="memory.*shards are kept"):
        prepare("set", folder_config(pictures), tmp_path / "data")


def test_a_disk_that_fills_up_is_named_and_what_was_packed_kept(tmp_path, pictures, monkeypatch):
    def fsync(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(storage.os, "fsync", fsync)
        with pytest.raises(DataError, match=r"data: No space left on device. .* free there.* run the same command"):
            prepare("set", folder_config(pictures), tmp_path / "data")
    assert digest_of(prepare("set", folder_config(pictures), tmp_path / "data"))


def test_a_digest_that_is_corrected_packs_nothing_again(tmp_path, pictures, monkeypatch):
    with pytest.raises(DataError, match="have digest [0-9a-f]{64}") as raised:
        prepare("set", folder_config(pictures, digest="0" * 64), tmp_path / "data")
    measured = re.search("have digest ([0-9a-f]{64})", str(raised.value)).group(1)
    decoded = count_decoded(monkeypatch)
    assert digest_of(prepare("set", folder_config(pictures, digest=measured), tmp_path / "data")) == measured
    assert decoded == []


def test_a_process_that_is_killed_is_told(monkeypatch):
    with pytest.raises(DataError, match="was killed.*memory"):
        list(packing.in_parallel(os._exit, [1, 1, 1], 2))


def write_shard(path: Path, contents: list[bytes], row_group: int) -> None:
    images = pa.array([{"bytes": content, "path": f"{k}.JPEG"} for k, content in enumerate(contents)])
    pq.write_table(pa.table({"image": images, "label": pa.array(range(len(contents)))}), path, row_group_size=row_group)


@pytest.mark.parametrize("row_group", [1, 3, 7, 100])
def test_parquet_rows_come_in_order_whatever_the_row_groups(tmp_path, row_group):
    contents = [[f"{file}-{row}".encode() for row in range(25)] for file in range(2)]
    for file, own in enumerate(contents):
        write_shard(tmp_path / f"train-{file}.parquet", own, row_group)
    wanted = [(file, row) for file in range(2) for row in range(25) if row % 5 != 2]
    shuffled = np.random.default_rng(0).permutation(len(wanted))
    listing = Listing.of(
        [f"train/{k}" for k in shuffled],
        [b"train-0.parquet", b"train-1.parquet"],
        file=[wanted[k][0] for k in shuffled],
        offset=[wanted[k][1] for k in shuffled],
        container="parquet",
    )
    order = listing.source_order
    shards = [cut_shard(listing, order[first : first + 7]) for first in range(0, len(order), 7)]
    read = [content for shard in shards for content in read_images(shard, tmp_path)]
    assert read == [contents[file][row] for file, row in wanted]


def test_a_file_that_went_away_or_ends_early_fails_its_images_alone(tmp_path):
    write_pictures(tmp_path / "a", 3)
    size = (tmp_path / "a" / "000.png").stat().st_size
    files = [b"a/000.png", b"gone.png", b"a/002.png"]
    listing = Listing.of(["0", "1", "2"], files, file=np.arange(3), size=[size, 10, 10**6])
    first, gone, short = read_images(cut_shard(listing, np.arange(3)), tmp_path)
    assert first == (tmp_path / "a" / "000.png").read_bytes()
    assert isinstance(gone, FileNotFoundError) and "ends" in str(short)
