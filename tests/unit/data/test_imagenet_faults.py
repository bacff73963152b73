"""Broken, contradictory and incomplete copies of ILSVRC-2010 and -2012, told before an image is decoded.

A wrong label trains in silence, so names, folders, columns and the devkit must tell the same class.
"""

import gzip
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_imagenet import (
    LAYOUTS_2012,
    Edition,
    add_links,
    find,
    inner_tars,
    read_rows,
    rewrite_val_names,
    tar_bytes,
    write_devkit,
    write_ilsvrc2010_tars,
    write_ilsvrc2012_tars,
    write_solution,
    write_tar,
)

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.listing import Problem
from alexnet2012.data.sources import ilsvrc2010
from alexnet2012.data.sources.find import check_source
from alexnet2012.errors import DataError

TRAIN, VAL, DEVKIT = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz"
VAL_STEM = "ILSVRC2012_val_00000007"
TRUTH = "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"
KAGGLE = "ILSVRC/Data/CLS-LOC"
SWAPPED = "SECOND by its name, but listed under FIRST"
WRONG_ADDED = rf"1 validation images .*{VAL_STEM}_WRONG.JPEG is of WRONG by its name, but .* under RIGHT"
OTHER_THAN_DEVKIT = (
    rf"\d+ validation images .*{DEVKIT}.*: val/ILSVRC2012_val_\d+ is labelled n\d+, but n\d+ by the devkit"
)
Change = Callable[[Path, Edition], object]


def compress(name: str) -> Change:
    return lambda folder, edition: (folder / name).write_bytes(gzip.compress((folder / name).read_bytes()))


def cut(name: str, share: float = 0.5) -> Change:
    def change(folder: Path, edition: Edition) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(share * len(content))])

    return change


def remove(name: str) -> Change:
    return lambda folder, edition: (folder / name).unlink()


def copy(name: str, other: str) -> Change:
    return lambda folder, edition: shutil.copy(folder / name, folder / other)


def with_truth(row: int, *lines: str) -> Change:
    """The devkit's validation ground truth with `lines` in place of one line."""

    def change(folder: Path, edition: Edition) -> None:
        with tarfile.open(folder / DEVKIT) as kit:
            members = {member.name: kit.extractfile(member).read() for member in kit}
        truth = members[TRUTH].decode().split()
        members[TRUTH] = "\r\n".join([*truth[:row], *lines, *truth[row + 1 :], "", ""]).encode()
        (folder / DEVKIT).write_bytes(gzip.compress(tar_bytes(members)))

    return change


def with_tar(name: str, members: dict[str, bytes]) -> Change:
    return lambda folder, edition: write_tar(folder / name, members)


def make_folder(name: str) -> Change:
    return lambda folder, edition: (folder / name).mkdir()


def of_another_year(folder: Path, edition: Edition) -> None:
    write_devkit(folder, replace(edition, year=2010))
    (folder / "ILSVRC2010_devkit-1.0.tar.gz").rename(folder / DEVKIT)


def add_inner(wnid: str) -> Change:
    inner = {f"{wnid}.tar": tar_bytes({f"{wnid}_1.JPEG": b"1"})}
    return lambda folder, edition: write_tar(folder / TRAIN, inner_tars(edition) | inner)


def swap_inner(folder: Path, edition: Edition) -> None:
    inner = inner_tars(edition)
    first, second = (f"{wnid}.tar" for wnid in edition.wnids[:2])
    write_tar(folder / TRAIN, inner | {first: inner[second], second: inner[first]})


def swap_folders(root: str) -> Change:
    def change(folder: Path, edition: Edition) -> None:
        first, second = (folder / root / wnid for wnid in edition.wnids[:2])
        first.rename(folder / "kept")
        second.rename(first)
        (folder / "kept").rename(second)
        (folder / "LOC_train_solution.csv").unlink(missing_ok=True)

    return change


def add_training_image(name: str) -> Change:
    """In the folder of the first class."""
    return lambda folder, edition: (folder / fill_in(f"train/FIRST/{name}", edition)).write_bytes(b"1")


def add_wrong_wnid(layout: str) -> Change:
    """To the name of a validation image; those of the others are right."""
    return lambda folder, edition: rewrite_val_names(folder, layout, edition, {7: other_class(edition, 7)})


def other_class(edition: Edition, number: int) -> str:
    return next(wnid for wnid in edition.wnids if wnid != edition.val_wnids[number - 1])


def shift_against_devkit(layout: str) -> Change:
    """Val's labels are those of their neighbours, by the devkit that lies beside them."""

    def change(folder: Path, edition: Edition) -> None:
        shutil.rmtree(folder)
        LAYOUTS_2012[layout](folder, replace(edition, val_wnids=edition.val_wnids[1:] + edition.val_wnids[:1]))
        write_devkit(folder, edition)

    return change


def in_two_folders(folder: Path, edition: Edition) -> None:
    own, other = edition.val_wnids[6], other_class(edition, 7)
    shutil.copy(folder / "val" / own / f"{VAL_STEM}.JPEG", folder / "val" / other)


def with_train_row(stem: str, wnid: str) -> Change:
    """Kaggle's table of training images with one row."""

    def change(folder: Path, edition: Edition) -> None:
        write_solution(folder / "LOC_train_solution.csv", {fill_in(stem, edition): fill_in(wnid, edition)})

    return change


def with_val_row(stem: str, wnid: str) -> Change:
    """Kaggle's table of validation images with one row other or more."""

    def change(folder: Path, edition: Edition) -> None:
        wnid_of = dict(zip(edition.numbered("val"), edition.val_wnids, strict=True))
        write_solution(folder / "LOC_val_solution.csv", wnid_of | {stem: fill_in(wnid, edition)})

    return change


def fill_in(text: str, edition: Edition) -> str:
    first, second = edition.wnids[:2]
    words = {"FIRST": first, "SECOND": second, "STEM": next(iter(edition.train[first]))}
    for word, name in (words | {"RIGHT": edition.val_wnids[6], "WRONG": other_class(edition, 7)}).items():
        text = text.replace(word, name)
    return text


def add_to_mapping(folder: Path, edition: Edition) -> None:
    with (folder / "LOC_synset_mapping.txt").open("a", encoding="utf-8") as file:
        file.write("tench, Tinca tinca\n")


def renumber_labels(folder: Path, edition: Edition) -> None:
    """The first two classes have each other's numbers."""
    shutil.rmtree(folder)
    wnids = (edition.wnids[1], edition.wnids[0], *edition.wnids[2:])
    LAYOUTS_2012["parquet"](folder, replace(edition, wnids=wnids))


def shift_labels(folder: Path, edition: Edition) -> None:
    table = pq.ParquetFile(folder / SHARD).read()
    pq.write_table(table.set_column(1, "label", pa.array(np.roll(table["label"].to_numpy(), 1))), folder / SHARD)


def other_columns(folder: Path, edition: Edition) -> None:
    pq.write_table(pa.table({"jpg": [b""], "cls": [0]}), folder / SHARD)


SHARD = "data/train-00000-of-00003.parquet"
VAL_SHARD = "validation-00000-of-00003.parquet"
# By layout and by what is wrong: the change, and the message, in which FIRST and SECOND are the first two classes,
# RIGHT the class of the seventh validation image, WRONG another.
FAULTS: dict[str, dict[str, tuple[Change, str]]] = {
    "tars": {
        "val compressed": (compress(VAL), rf"{VAL} is compressed with gzip; .* Gunzip it"),
        "no devkit": (remove(DEVKIT), f"{DEVKIT} is missing: the classes and the validation labels"),
        "a devkit cut short": (cut(DEVKIT), f"{DEVKIT} cannot be read: .* damaged or cut short"),
        "a devkit of another year": (of_another_year, "lacks data/ILSVRC2012_validation_ground_truth.txt"),
        "an id of no class": (with_truth(4, "13"), "_validation_ground_truth.txt, line 5: '13' is not the id of a"),
        "an empty line": (with_truth(4, ""), "line 5: '' .* 1 to 12"),
        "a line too few": (with_truth(35), "has 35 lines, but .*img_val.tar holds image number 36"),
        "a line too many": (with_truth(36, "1"), "has 37 lines; 36 were expected"),
        "no val image": (with_tar(VAL, {"readme.txt": b"1"}), "no val image that could be taken|val: 0 of 36"),
        "a tar of no class": (add_inner("n09999999"), "n09999999.tar, 1 images, is of no class of the edition"),
        "swapped classes": (swap_inner, rf"12 training images .*{TRAIN}!FIRST.tar/SECOND_\d+.JPEG is of {SWAPPED}"),
        "a wrong added id": (add_wrong_wnid("tars"), WRONG_ADDED),
    },
    "folder": {
        "swapped classes": (
            swap_folders("train"),
            rf"12 training images .*train/FIRST/SECOND_\d+.JPEG is of {SWAPPED}",
        ),
        "a wrong added id": (add_wrong_wnid("folder"), WRONG_ADDED),
        "a wrong added id in train": (
            add_training_image("FIRST_99999_SECOND.JPEG"),
            f"1 training images .*FIRST_99999_SECOND.JPEG is of {SWAPPED}",
        ),
        "a val image in two folders": (
            in_two_folders,
            rf"1 images .*labels.* val/n\d+/{VAL_STEM}.JPEG and val/n",
        ),
        "a folder of no id": (make_folder("train/tench"), "folders are not named nXXXXXXXX as classes are: tench"),
        "labels other than the devkit's": (shift_against_devkit("folder"), OTHER_THAN_DEVKIT),
    },
    "kaggle": {
        "swapped classes": (
            swap_folders(f"{KAGGLE}/train"),
            rf"12 training images .*{KAGGLE}/train/FIRST/SECOND_\d+.JPEG is of {SWAPPED}",
        ),
        "a wrong added id": (add_wrong_wnid("kaggle"), WRONG_ADDED),
        "a train table of other classes": (with_train_row("STEM", "SECOND"), "STEM is SECOND there and lies in FIRST/"),
        "a train table with a row more": (
            with_train_row("n1_2", "FIRST"),
            "1 images of LOC_train_solution.csv are missing: n1_2",
        ),
        "a val table of an unknown class": (
            with_val_row("ILSVRC2012_val_00000002", "n99999999"),
            "LOC_val_solution.csv, line 3: 'n99999999 10 .* does not begin with a class",
        ),
        "a val table with number nought": (
            with_val_row("ILSVRC2012_val_00000000", "FIRST"),
            "LOC_val_solution.csv, line 38: 'ILSVRC2012_val_00000000' is not the name",
        ),
        "a mapping of words": (add_to_mapping, "LOC_synset_mapping.txt, line 13: 'tench,' is no WordNet id"),
        "labels other than the devkit's": (shift_against_devkit("kaggle"), OTHER_THAN_DEVKIT),
    },
    "parquet": {
        "labels in another order": (renumber_labels, "SECOND has label 0 and FIRST label 1"),
        "labels shifted against names": (shift_labels, "the label column was expected to number the sorted WordNet"),
        "a wrong added id": (add_wrong_wnid("parquet"), WRONG_ADDED),
        "labels other than the devkit's": (shift_against_devkit("parquet"), OTHER_THAN_DEVKIT),
        "a shard cut short": (cut(SHARD, 0.9), rf"{SHARD} \([\d,]+ bytes\) cannot be read as parquet"),
        "other columns": (other_columns, r"has the columns jpg \(binary\), cls \(int64\); image"),
        "a shard less": (remove(SHARD), "train-.*-of-00003.parquet: 1 of 3 shards are missing: 0"),
        "shards in two folders": (
            copy(f"data/{VAL_SHARD}", VAL_SHARD),
            r"validation-\*.parquet lie in .* as well as in its data/; remove one",
        ),
        **{
            f"two sets, {other}": (copy(SHARD, f"data/{other}"), "shards of two sets, such as train-0.* and train-.*;")
            for other in ("train-00000-of-00004.parquet", "train-0-of-3.parquet", "train-all.parquet")
        },
    },
}
LACKING = {"a line too many", "a tar of no class", "a folder of no id", "a train table with a row more", "a shard less"}


@pytest.mark.parametrize(("layout", "fault"), [(layout, fault) for layout in FAULTS for fault in FAULTS[layout]])
def test_a_broken_or_contradictory_copy_is_told(layout, fault, tmp_path, edition):
    """Even for trials, which accept what is lacking or too much."""
    change, words = FAULTS[layout][fault]
    folder = tmp_path / "copy"
    LAYOUTS_2012[layout](folder, edition)
    change(folder, edition)
    words = fill_in(words, edition)
    with pytest.raises(DataError, match=words):
        find(folder)
    if fault in LACKING:
        assert len(find(folder, complete=False).splits["val"]) == 36
    else:
        with pytest.raises(DataError, match=words):
            find(folder, complete=False)


UNNAMED = "its name is not nXXXXXXXX_ and a number, as every training image of the edition is named"
UNNUMBERED = "its name is not ILSVRC2012_val_ and eight digits, so nothing tells its label or its place"
ONCE = "only that one is taken"
NO_FILE = "it is no file, or a link to one that does not exist"
BESIDE = "it lies beside the tars of the classes, not in one of them"


def come_again(folder: Path, edition: Edition) -> None:
    """A training image and a validation image under a second name each, and one without a number."""
    first, stem = fill_in("FIRST", edition), fill_in("STEM", edition)
    members = {f"{name}.JPEG": photo for name, photo in edition.train[first].items()}
    again = {f"{first}.tar": tar_bytes(members | {f"{stem}_{first}.jpg": b"other"})}
    write_tar(folder / TRAIN, inner_tars(edition) | again)
    val = {f"{name}.JPEG": photo for name, photo in edition.numbered("val").items()}
    write_tar(folder / VAL, val | {f"again/{VAL_STEM}.JPEG": b"other", "val_8.JPEG": b"stranger"})


def odd_files(folder: Path, edition: Edition) -> None:
    """A broken link, and a name that is not UTF-8."""
    of_class = folder / "train" / edition.wnids[0]
    (of_class / "broken.JPEG").symlink_to("nowhere.JPEG")
    with open(bytes(of_class) + b"/\xff.JPEG", "wb") as file:  # noqa: PTH123 (a Path holds no such bytes)
        file.write(b"1")


def odd_members(folder: Path, edition: Edition) -> None:
    members = {"n01440764_1.JPEG": b"1", "a\nb.JPEG": b"1", "c\r.JPEG": b"2", "d.JPEG\n": b"3"}
    write_tar(folder / TRAIN, inner_tars(edition) | members)
    add_links(folder / TRAIN, {"e.JPEG": "f\ng"})


# By what is odd: the layout, the change, and each problem's path and reason.
PROBLEMS: dict[str, tuple[str, Change, list[tuple[str, str]]]] = {
    "images that come again": (
        "tars",
        come_again,
        [
            (f"{TRAIN}!FIRST.tar/STEM_FIRST.jpg", f"{TRAIN}!FIRST.tar/STEM.JPEG is train/FIRST/STEM already; {ONCE}"),
            (f"{VAL}!val_8.JPEG", UNNUMBERED),
            (f"{VAL}!again/{VAL_STEM}.JPEG", f"{VAL}!{VAL_STEM}.JPEG is val/{VAL_STEM} already; {ONCE}"),
        ],
    ),
    "a broken link, and a name in no text": (
        "folder",
        odd_files,
        [("train/FIRST/broken.JPEG", NO_FILE), ("train/FIRST/\\xff.JPEG", UNNAMED)],
    ),
    "a name that tells no class": ("folder", add_training_image("cat.JPEG"), [("train/FIRST/cat.JPEG", UNNAMED)]),
    "images beside the inner tars, names of several lines": (
        "tars",
        odd_members,
        [
            *((f"{TRAIN}!{name}", BESIDE) for name in ("n01440764_1.JPEG", r"a\nb.JPEG", r"c\r.JPEG")),
            (f"{TRAIN}!e.JPEG", r"it is a link (to f\ng), and links in archives are not followed"),
        ],
    ),
}


@pytest.mark.parametrize("oddity", PROBLEMS)
def test_an_image_that_cannot_be_taken_is_a_problem_and_the_others_are_read(oddity, tmp_path, edition):
    layout, change, expected = PROBLEMS[oddity]
    LAYOUTS_2012[layout](tmp_path, edition)
    change(tmp_path, edition)
    source = find(tmp_path)
    assert source.problems == tuple(Problem(*(fill_in(text, edition) for text in pair)) for pair in expected)
    assert [read_rows(source, split) for split in ("train", "val")] == [edition.rows("train"), edition.rows("val")]


def test_an_image_of_number_nought_is_not_expected(tmp_path, edition):
    LAYOUTS_2012["folder"](tmp_path, edition)
    (tmp_path / "val" / edition.wnids[0] / "ILSVRC2012_val_00000000.JPEG").write_bytes(b"1")
    with pytest.raises(DataError, match="val: not expected: ILSVRC2012_val_00000000"):
        find(tmp_path)


def test_a_val_image_that_kaggles_table_lacks_is_a_problem(tmp_path, edition):
    LAYOUTS_2012["kaggle"](tmp_path, edition)
    wnid_of = dict(zip(edition.numbered("val"), edition.val_wnids, strict=True))
    write_solution(tmp_path / "LOC_val_solution.csv", dict(list(wnid_of.items())[1:]))
    source = find(tmp_path, complete=False)
    path = f"{KAGGLE}/val/ILSVRC2012_val_00000001.JPEG"
    assert source.problems == (Problem(path, "LOC_val_solution.csv has no label for it"),)


def test_inner_tars_that_cannot_be_read_are_told(tmp_path, edition):
    write_ilsvrc2012_tars(tmp_path, edition)
    first, second, third = edition.wnids[:3]
    inner = inner_tars(edition)
    inner[f"{first}.tar.gz"], inner[f"{second}.TAR"] = inner.pop(f"{first}.tar"), inner.pop(f"{second}.tar")
    del inner[f"{third}.tar"]
    write_tar(tmp_path / TRAIN, inner)
    add_links(tmp_path / TRAIN, {f"{third}.tar": "elsewhere.tar"})
    with pytest.raises(DataError) as raised:
        find(tmp_path)
    line = (
        f"train: 3 members of {TRAIN} are named like the tars of classes and cannot be read: "
        f"{first}.tar.gz (its name does not end with .tar; an uncompressed tar was expected), "
        f"{second}.TAR (its name does not end with .tar; an uncompressed tar was expected), "
        f"{third}.tar (it is a link (to elsewhere.tar), and links in archives are not followed)\n"
    )
    assert line in str(raised.value)
    assert find(tmp_path, complete=False).classes == edition.wnids[3:]
    write_tar(tmp_path / TRAIN, {f"{first}.tar.gz": b"1"})
    with pytest.raises(DataError, match=rf"holds no nXXXXXXXX.tar.* cannot be read: {first}.tar.gz"):
        find(tmp_path)


@pytest.mark.parametrize("layout", LAYOUTS_2012)
def test_what_an_edition_lacks_is_listed_and_accepted_for_trials(layout, tmp_path, edition):
    """The first class has lost 2 training images, the second all; val lacks numbers 35 and 36."""
    first, second = edition.wnids[:2]
    train = edition.train | {first: dict(list(edition.train[first].items())[2:]), second: {}}
    part = replace(edition, train=train, val=edition.val[:-2], val_wnids=edition.val_wnids[:-2])
    LAYOUTS_2012[layout](tmp_path, part)
    if layout == "tars":
        write_devkit(tmp_path, edition)
    with pytest.raises(DataError) as raised:
        find(tmp_path)
    message = str(raised.value)
    assert "train: 64 of 72 images" in message
    assert f"{edition.wnids[0]} lacks 2 of 6" in message
    if layout == "parquet":  # whose labels have no WordNet id where there is no training image
        assert "val: 3 images have labels of which there is no training image: 1\n" in message
    else:
        assert "val: 34 of 36 images" in message
        assert "val: missing: ILSVRC2012_val_00000035, ILSVRC2012_val_00000036" in message
    assert message.endswith("or set complete: false to accept the images as they are, for trials.")
    source = find(tmp_path, complete=False)
    assert source.part == "incomplete: 64 of 72 train, 31 of 36 val, 48 of 48 test images, 11 of 12 classes"
    assert source.classes == (edition.wnids[0], *edition.wnids[2:])
    for split in ("train", "val", "test"):
        kept = [row for row in part.rows(split) if row[1] != 1]
        assert read_rows(source, split) == [(name, label - (label > 1), photo) for name, label, photo in kept]
    if layout == "tars":
        assert source.official_ids == (edition.ids[0], *edition.ids[2:])


def test_2010_trusts_the_devkits_counts_more_than_the_total(tmp_path, edition_2010, monkeypatch, capsys):
    write_ilsvrc2010_tars(tmp_path, edition_2010)
    expected = edition_2010.expected
    monkeypatch.setattr(ilsvrc2010, "ILSVRC2010", replace(expected, counts=expected.counts | {"train": 80}))
    assert find(tmp_path, "ilsvrc2010").part == ""
    assert "train: 72 of 80 images; every class has as many as the devkit says" in capsys.readouterr().out
    monkeypatch.setattr(ilsvrc2010, "ILSVRC2010", replace(expected, per_class={"val": 3, "test": 5}))
    with pytest.raises(DataError, match=f"test, 12 classes: {edition_2010.wnids[0]} lacks 1 of 5; "):
        find(tmp_path, "ilsvrc2010")


def test_2010_refuses_a_training_image_of_another_class(tmp_path, edition_2010):
    write_ilsvrc2010_tars(tmp_path, edition_2010)
    first, second = edition_2010.wnids[:2]
    inner = inner_tars(edition_2010) | {f"{first}.tar": tar_bytes({f"{second}_1.JPEG": b"1"})}
    write_tar(tmp_path / "ILSVRC2010_images_train.tar", inner)
    with pytest.raises(DataError, match=f"1 training images .* is of {second} by its name, but listed under"):
        find(tmp_path, "ilsvrc2010")


def test_odd_members_of_the_patches_are_problems(tmp_path, edition_2010):
    write_ilsvrc2010_tars(tmp_path, edition_2010)
    stem, patch = "ILSVRC2010_val_00000001", edition_2010.val[0]
    patches = {f"a/{stem}.JPEG": patch, f"b/{stem}.JPEG": b"other", "../val/ILSVRC2010_val_00000002.JPEG": b"up"}
    patches["ILSVRC2010_val_00000004.JPEG"] = edition_2010.val[3]
    write_tar(tmp_path / "patch_images.tar", patches)
    add_links(tmp_path / "patch_images.tar", {"ILSVRC2010_val_00000003.JPEG": "/etc/passwd"})
    source = find(tmp_path, "ilsvrc2010")
    replaced = f"patch_images.tar!a/{stem}.JPEG replaces val/{stem} already; only that one is taken"
    assert source.problems == (
        Problem("patch_images.tar!../val/ILSVRC2010_val_00000002.JPEG", "its path leads out of the archive"),
        Problem(
            "patch_images.tar!ILSVRC2010_val_00000003.JPEG",
            "it is a link (to /etc/passwd), and links in archives are not followed",
        ),
        Problem(f"patch_images.tar!b/{stem}.JPEG", replaced),
    )
    assert read_rows(source, "val") == edition_2010.rows("val")


def test_missing_files_are_found_without_numpy_or_arrow(tmp_path):
    code = (
        "import sys; from alexnet2012.data.sources.find import check_source;"
        "assert not {'numpy', 'pyarrow', 'torch'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    kaggle = DatasetConfig(kind="ilsvrc2012", folder=str(tmp_path), layout="kaggle")
    assert check_source(kaggle) == [
        f"{tmp_path}/{KAGGLE}/train/ is missing",
        f"{tmp_path}/{KAGGLE}/val/ is missing",
        f"{tmp_path}/LOC_synset_mapping.txt is missing: the classes",
        f"{tmp_path}/LOC_val_solution.csv is missing: the validation labels",
    ]
    nowhere = DatasetConfig(kind="imagefolder", folder=str(tmp_path / "nowhere"))
    assert "nowhere does not exist" in check_source(nowhere)[0]
    assert check_source(DatasetConfig(kind="cifar10", size_px=32)) == []
