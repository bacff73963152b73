"""Broken copies of Tiny ImageNet, each of which is told before an image is decoded."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fake_tiny_imagenet import (
    TRAIN,
    WNIDS,
    Tiny,
    find,
    write_archive,
    write_folder,
    write_folder_of_val_classes,
    write_shard,
    write_shards,
    write_tree,
    write_zip,
)

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.packed import open_packed
from alexnet2012.data.prepare import prepare
from alexnet2012.data.sources.find import check_source
from alexnet2012.errors import DataError

pytestmark = pytest.mark.usefixtures("small_tiny_imagenet")

ROOT = "tiny-imagenet-200"
ZIP = "tiny-imagenet-200.zip"
Break = Callable[[Path, Tiny], None]
NOTES = "val/val_annotations.txt"


def without(*names: str) -> Break:
    """The official folder that lacks these files or folders."""

    def write(folder: Path, tiny: Tiny) -> None:
        write_folder(folder, tiny)
        for name in names:
            path = folder / ROOT / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return write


def with_text(name: str, change: Callable[[list[bytes]], list[bytes]]) -> Break:
    """The official folder with other lines in one of its files."""

    def write(folder: Path, tiny: Tiny) -> None:
        write_folder(folder, tiny)
        path = folder / ROOT / name
        path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))

    return write


def with_files(files: dict[str, bytes], by_class: bool = False) -> Break:
    """The official folder, or one with val sorted by class, with other or more files."""

    def write(folder: Path, tiny: Tiny) -> None:
        if by_class:
            write_folder_of_val_classes(folder / ROOT, tiny)
        else:
            write_folder(folder, tiny)
        write_tree(folder / ROOT, files)

    return write


def in_another_class(folder: Path, tiny: Tiny, again: bool = False) -> None:
    """Val sorted by class, its first image moved, or copied, to a wrong class."""
    write_folder_of_val_classes(folder / ROOT, tiny)
    own = tiny.val_wnids[0]
    other = next(wnid for wnid in WNIDS if wnid != own)
    first = folder / ROOT / "val" / own / "images" / "val_0.JPEG"
    write_tree(folder / ROOT, {f"val/{other}/images/val_0.JPEG": first.read_bytes()})
    if not again:
        first.unlink()


def zipped(change: Callable[[dict[str, bytes]], dict[str, bytes]], root: str = f"{ROOT}/") -> Break:
    """An archive of other files."""
    return lambda folder, tiny: write_zip(folder / ZIP, change(tiny.files), root)


def cut_archive(folder: Path, tiny: Tiny) -> None:
    write_archive(folder, tiny)
    content = (folder / ZIP).read_bytes()
    (folder / ZIP).write_bytes(content[: len(content) // 2])


def cut_shard(folder: Path, tiny: Tiny) -> None:
    write_shards(folder, tiny)
    path = next((folder / "data").glob("valid-*"))
    path.write_bytes(path.read_bytes()[:-100])


def shards(labels: Callable[[int], int | None] = int, noted: list[str] | None = None, left: int = 0) -> Break:
    """Shards with other labels in val, other metadata, or without the last `left` rows of val."""

    def write(folder: Path, tiny: Tiny) -> None:
        write_shards(folder, tiny, noted=noted)
        rows = [({"bytes": photo, "path": None}, labels(label)) for _, label, photo in tiny.rows("val")]
        name = "valid-00000-of-00001-1a2b.parquet"
        write_shard(folder / "data" / name, rows[: len(rows) - left], noted or list(WNIDS))

    return write


def other_columns(folder: Path, tiny: Tiny) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_shards(folder, tiny)
    pq.write_table(pa.table({"img": [b"1"], "label": [0]}), next((folder / "data").glob("train-*")))


def two_sets(folder: Path, tiny: Tiny) -> None:
    write_shards(folder, tiny)
    shutil.copy(next((folder / "data").glob("train-*")), folder / "data" / "train-00000-of-00002-3c4d.parquet")


def lacking_shard(folder: Path, tiny: Tiny) -> None:
    write_shards(folder, tiny)
    path = next((folder / "data").glob("train-*"))
    path.rename(path.with_name("train-00001-of-00002-1a2b.parquet"))


def only_train_shards(folder: Path, tiny: Tiny) -> None:
    write_shards(folder, tiny)
    next((folder / "data").glob("valid-*")).unlink()


FIRST = f"train/{WNIDS[0]}/images/{WNIDS[0]}_0.JPEG"
BROKEN: dict[str, tuple[Break, str]] = {
    "nothing": (lambda folder, tiny: folder.mkdir(), rf"{ZIP} \(http://cs231n.*zh-plus/tiny-imagenet"),
    "no classes": (without("wnids.txt"), "wnids.txt is missing"),
    "no train": (without("train"), f"{ROOT}/train is missing"),
    "no val": (without("val"), f"{ROOT}/val is missing"),
    "no annotations": (without(NOTES), f"{NOTES} is missing"),
    "a class too few": (with_text("wnids.txt", lambda lines: lines[1:]), f"{NOTES}, line .* no class of wnids.txt"),
    "a class without images": (with_text("wnids.txt", lambda lines: [*lines, b"n09999999\n"]), "n09999999 lacks 12"),
    "a line that is no class": (
        with_text("wnids.txt", lambda lines: [*lines, b"goldfish\n"]),
        "wnids.txt, line 6: .goldfish",
    ),
    "a class twice": (
        with_text("wnids.txt", lambda lines: [*lines, lines[0]]),
        f"wnids.txt names {WNIDS[4]} twice, in lines 1 and 6",
    ),
    "classes that are no text": (with_text("wnids.txt", lambda lines: [b"\xff\xfe"]), "wnids.txt is not text"),
    "a class too few by its folder": (
        with_files({"train/n09999999/images/n09999999_0.JPEG": b"1"}),
        "train: 1 images do not lie in a class of the edition: n09999999",
    ),
    "a class folder less": (without(f"train/{WNIDS[3]}"), f"{WNIDS[3]} lacks 12 of 12"),
    "a train image less": (without(FIRST), f"59 of 60 images.*{WNIDS[0]} lacks 1 of 12"),
    "a train image more": (with_files({FIRST.replace("_0.", f"_{TRAIN}."): b"1"}), f"{WNIDS[0]} has 1 too many"),
    "a train image of another class": (
        with_files({f"train/{WNIDS[1]}/images/{WNIDS[0]}_0.JPEG": b"1"}),
        f"{WNIDS[0]}_0.JPEG is of {WNIDS[0]} by its name, but listed under {WNIDS[1]}",
    ),
    "a val image less": (without("val/images/val_3.JPEG"), f"1 images of {NOTES} are missing: val_3.JPEG"),
    "no val image": (
        lambda folder, tiny: [without("val/images")(folder, tiny), (folder / ROOT / "val/images").mkdir()],
        "val: 0 of 20 images",
    ),
    "an image without annotation": (with_text(NOTES, lambda lines: lines[1:]), f"no line in {NOTES}: val_0.JPEG"),
    "an annotation twice": (with_text(NOTES, lambda lines: [*lines, lines[0]]), f"{NOTES}, line 21: val_0.JPEG has"),
    "an annotation of an unknown class": (
        with_text(NOTES, lambda lines: [b"val_0.JPEG\tn09999999\t0\t0\t1\t1\n", *lines[1:]]),
        f"{NOTES}, line 1: .*n09999999",
    ),
    "an annotation without class": (with_text(NOTES, lambda lines: [*lines[:4], b"val_4.JPEG\n"]), f"{NOTES}, line 5"),
    "annotations that are no text": (with_text(NOTES, lambda lines: [b"\xff\xfe"]), "annotations.txt is not text"),
    "val moved by half": (
        with_files({f"val/{WNIDS[0]}/val_90.JPEG": b"1"}),
        f"20 images lie in val/images/ and 1 in other folders of val/, such as val/{WNIDS[0]}/val_90.JPEG",
    ),
    "a val image in a wrong class": (in_another_class, f"val_0.JPEG lies in val/.* and is {'n'}"),
    "a val image in two classes": (
        lambda folder, tiny: in_another_class(folder, tiny, again=True),
        "val_0 lies in val/.*/ as well as in val/",
    ),
    "a val folder of no class": (with_files({"val/n09999999/val_90.JPEG": b"1"}, by_class=True), "val: .*n09999999"),
    "no archive": (lambda folder, tiny: write_tree(folder, {ZIP: b"<html>404</html>"}), rf"{ZIP} \(16 bytes\)"),
    "an archive cut short": (cut_archive, rf"{ZIP} \([\d,]+ bytes\) .*248,100,043 bytes"),
    "another archive": (zipped(lambda files: {"some/photo.JPEG": b"1"}), f"{ZIP} holds no wnids.txt"),
    "an archive with two trees": (
        zipped(lambda files: files | {f"copy/{name}": content for name, content in files.items()}),
        f"{ZIP} holds several wnids.txt",
    ),
    "an archive without train": (
        zipped(lambda files: {name: content for name, content in files.items() if not name.startswith("train")}),
        "train: 0 of 60 images",
    ),
    "an archive without annotations": (
        zipped(lambda files: {name: content for name, content in files.items() if name != NOTES}),
        f"{ZIP}: {NOTES} is missing",
    ),
    "an archive with an image less": (
        zipped(lambda files: {name: content for name, content in files.items() if name != FIRST}),
        f"{WNIDS[0]} lacks 1 of 12",
    ),
    "train shards alone": (only_train_shards, r"data/valid-\*.parquet are missing"),
    "a shard cut short": (cut_shard, "valid-.*parquet .* cannot be read as parquet"),
    "a shard of other columns": (other_columns, r"train-.* has the columns img \(binary\)"),
    "shards of two sets": (two_sets, "shards of two sets"),
    "a shard less": (lacking_shard, "1 of 2 shards are missing: 0"),
    "a label beyond the classes": (shards(lambda label: label + 1), "valid-.* row 16 has label 5, and 3 more"),
    "a row without label": (shards(lambda label: label or None), "valid-.* row 0 has label -1"),
    "shards that name no WordNet ids": (shards(noted=["fish"] * 5), "names the classes fish, .*put the official wnids"),
    "shards with an image less": (shards(left=1), f"val: 19 of 20 images.*{WNIDS[4]} lacks 1 of 4"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_copy_is_told(fault, tmp_path, tiny):
    write, words = BROKEN[fault]
    write(tmp_path / "copy", tiny)
    with pytest.raises(DataError, match=f"(?s){words}"):
        find(tmp_path / "copy")


def test_a_folder_that_is_not_there_and_a_file_that_is_no_archive_are_told_with_the_ways(tmp_path):
    (tmp_path / "tiny.tar").touch()
    for name in ("nowhere", "tiny.tar"):
        (sentence,) = check_source(DatasetConfig(kind="tiny_imagenet", folder=str(tmp_path / name)))
        assert name in sentence and "http://cs231n.stanford.edu/tiny-imagenet-200.zip" in sentence
    assert check_source(DatasetConfig(kind="tiny_imagenet")) == []


@pytest.mark.parametrize(
    ("fault", "train", "val"),
    [
        ("a class without images", 60, 20),
        ("a class folder less", 48, 16),
        ("a train image less", 59, 20),
        ("a val image less", 60, 19),
        ("an image without annotation", 60, 19),
        ("an archive with an image less", 59, 20),
        ("a shard less", 60, 20),
        ("shards with an image less", 60, 19),
    ],
)
def test_an_incomplete_copy_is_accepted_on_demand_and_says_so(fault, train, val, tmp_path, tiny):
    BROKEN[fault][0](tmp_path, tiny)
    source = find(tmp_path, complete=False)
    assert {split: len(rows) for split, rows in source.splits.items()} == {
        "train": train - 3 * len(source.classes),
        "val": 3 * len(source.classes),
        "test": val,
    }
    assert f"incomplete: {train} of 60 train, {val} of 20 val images" in source.part


def damage(path: Path, content: bytes) -> None:
    """Other bytes in the middle of `content`, which the file holds as they are."""
    whole = bytearray(path.read_bytes())
    start = whole.index(content) + len(content) // 2
    whole[start : start + 40] = bytes(40)
    path.write_bytes(bytes(whole))


@pytest.mark.parametrize("layout", ["folder", "zip", "parquet"])
def test_damaged_images_are_named_and_may_be_left_out(layout, tmp_path, tiny):
    """In the archive its own checksum tells."""
    copy = tmp_path / "copy"
    if layout == "folder":
        with_files({"val/images/val_0.JPEG": b"\xff\xd8no photograph"})(copy, tiny)
    elif layout == "zip":
        names = list(tiny.files)
        # Stored, and not deflated, are those at odd places.
        stored = [name for k, name in enumerate(names) if name.startswith("val/images") and k % 2][-1]
        write_zip(copy / ZIP, tiny.files)
        damage(copy / ZIP, tiny.files[stored])
    else:
        rows = [({"bytes": photo, "path": None}, label) for _, label, photo in tiny.rows("val")]
        write_shards(copy, tiny)
        rows[5] = ({"bytes": rows[5][0]["bytes"][:300], "path": None}, rows[5][1])
        write_shard(copy / "data" / "valid-00000-of-00001-1a2b.parquet", rows, list(WNIDS))
    settings = {"kind": "tiny_imagenet", "folder": str(copy)}
    where = {"folder": "val/images/val_0.JPEG", "zip": rf"{ZIP}!val/.*Bad CRC-32", "parquet": "valid-.*, row 5"}[layout]
    with pytest.raises(DataError, match=where):
        prepare("tiny", DatasetConfig(**settings), tmp_path / "data")
    skipping = DatasetConfig(**settings, bad_images="skip", max_bad_images=1)
    packed = open_packed(prepare("tiny", skipping, tmp_path / "data").parent)
    assert packed.counts == {"train": 45, "val": 15, "test": 19} and "left out: 1 of test" in packed.part
    assert np.bincount(packed.split("test").labels).min() == 3


def test_an_image_that_lies_there_twice_is_taken_once(tmp_path, tiny):
    again = {FIRST.replace("images/", ""): tiny.files[FIRST]}
    with_files(again)(tmp_path, tiny)
    source = find(tmp_path)
    assert len(source.splits["train"]) == 45
    (problem,) = source.problems
    assert problem.path.endswith(f"{WNIDS[0]}_0.JPEG") and "only that one is taken" in problem.reason


def test_what_systems_add_to_archives_and_folders_is_ignored(tmp_path, tiny):
    added = {"train/.DS_Store": b"1", f"train/{WNIDS[0]}/images/._{WNIDS[0]}_0.JPEG": b"1"}
    with_files(added)(tmp_path / "folder", tiny)
    zipped(lambda files: files | added)(tmp_path / "zip", tiny)
    zipped(lambda files: files, root="")(tmp_path / "bare", tiny)
    for name in ("folder", "zip", "bare"):
        assert find(tmp_path / name).problems == ()
