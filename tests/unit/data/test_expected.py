"""How many images are expected of a dataset that is not packed."""

from pathlib import Path

import pytest

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.expected import UNKNOWN_CLASSES, expect_images
from alexnet2012.errors import DataError

EDITION = {"folder": "nowhere"}
PICTURES = {"kind": "imagefolder", "folder": "pictures", "size_px": 16}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def expect(**settings) -> dict:
    return expect_images(DatasetConfig(**settings))


def write_pictures(folder: Path, classes: int, images: int) -> None:
    """Empty files, which are counted and never opened."""
    for k in range(classes):
        (folder / f"class{k}").mkdir(parents=True)
        for name in (*(f"{number:02d}.PNG" for number in range(images)), "readme.txt", ".hidden.png"):
            (folder / f"class{k}" / name).touch()


def test_published_numbers():
    assert expect(kind="cifar10", size_px=32)["images"] == {"train": 45_000, "val": 5_000, "test": 10_000}
    older, newer = (expect(kind=kind, **EDITION) for kind in ("ilsvrc2010", "ilsvrc2012"))
    assert (older["images"], older["classes"]) == ({"train": 1_261_406, "val": 50_000, "test": 150_000}, 1000)
    assert newer["images"] == {"train": 1_281_167, "val": 50_000, "test": 100_000}
    assert (older["exact"], older["at_most"]) == (True, False)
    assert (newer["exact"], newer["at_most"]) == (False, True)  # nothing needs its test images
    small = {"kind": "downsampled_imagenet", "size_px": 64}
    assert expect(**small, **EDITION)["images"] == {"train": 1_231_167, "val": 50_000, "test": 50_000}
    assert all(expect(**kind, complete=False, **EDITION)["at_most"] for kind in (small, {"kind": "ilsvrc2010"}))


def test_a_subset_has_fewer_images_and_none_of_a_split_whose_labels_are_withheld():
    older = expect(kind="ilsvrc2010", subset={"classes": 100, "per_class": 200}, **EDITION)
    # 1,261 images a class in train are cut to 200; val has 50 of each class, test 150.
    assert older["images"] == {"train": 20_000, "val": 5_000, "test": 15_000}
    assert (older["classes"], older["exact"]) == (100, False)
    newer = expect(kind="ilsvrc2012", subset={"classes": 20}, **EDITION)
    assert newer["images"] == {"train": 1_281_167 * 20 // 1000, "val": 1_000}


def test_the_listed_share_of_a_release():
    Path("classes.txt").write_text("".join(f"n{k:08d} word # and more\n" for k in range(5_092)), encoding="utf-8")
    release = expect(kind="fall2009", class_list="classes.txt", **EDITION)
    # Half of 10,184 classes, so half of 8.9 million images; a tenth for val and a fifth for test.
    assert release["images"] == {"train": 3_115_000, "val": 445_000, "test": 890_000}
    assert (release["classes"], release["exact"]) == (5_092, False)
    assert expect(kind="fall2009", class_list="none.txt", **EDITION)["classes"] == 10_184


def test_a_folder_is_listed_without_opening_an_image(capsys):
    write_pictures(Path("pictures"), classes=7, images=20)
    found = expect(**PICTURES)
    assert found["images"] == {"train": 7 * 14, "val": 7 * 2, "test": 7 * 4}
    assert (found["classes"], found["exact"]) == (7, True)
    assert capsys.readouterr().out == ""  # where --json is printed


def test_given_splits_are_counted_as_given():
    for split, images in (("train", 9), ("val", 2), ("test", 3)):
        write_pictures(Path("pictures", split), classes=5, images=images)
    assert expect(**PICTURES)["images"] == {"train": 45, "val": 10, "test": 15}


def test_missing_images_are_none_and_those_that_cannot_be_packed_are_an_error():
    found = expect(**PICTURES)
    assert (found["images"], found["classes"], found["exact"]) == ({}, UNKNOWN_CLASSES, False)
    write_pictures(Path("pictures"), classes=3, images=0)
    with pytest.raises(DataError, match="class0, class1, class2"):
        expect(**PICTURES)


def test_tiny_imagenet_by_its_splits_and_the_classes_that_another_subset_has_not():
    whole = expect(kind="tiny_imagenet")
    assert (whole["images"], whole["classes"]) == ({"train": 90_000, "val": 10_000, "test": 10_000}, 200)
    some = expect(kind="tiny_imagenet", splits="merged", subset={"classes": 40})
    assert (some["images"], some["classes"]) == ({"train": 15_400, "val": 2_200, "test": 4_400}, 40)
    others = {"classes_not_in": "some", "left_out": {"classes": 40}}
    rest = expect(kind="tiny_imagenet", splits="merged", subset=others)
    assert (rest["images"], rest["classes"]) == ({"train": 61_600, "val": 8_800, "test": 17_600}, 160)
