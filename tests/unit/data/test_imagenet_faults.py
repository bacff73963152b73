import gzip
import io
import subprocess
import sys
import tarfile
from dataclasses import replace

import pytest
from fake_imagenet import (
    LAYOUTS_2012,
    Edition,
    find,
    read_rows,
    tar_bytes,
    write_devkit,
    write_ilsvrc2010_tars,
    write_ilsvrc2012_folder,
    write_ilsvrc2012_tars,
    write_tar,
)

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.listing import Problem
from alexnet2012.data.sources import ilsvrc2010, ilsvrc2012
from alexnet2012.data.sources.find import check_source
from alexnet2012.data.sources.tars import list_inner_tars, walk_inner_tars, walk_tar
from alexnet2012.data.sources.verify import ILSVRC2010, ILSVRC2012
from alexnet2012.errors import DataError

TRAIN, VAL = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"


def walk_all(archive):
    tars, _, others = list_inner_tars(archive)
    return list(walk_inner_tars(tars, archive.parent, archive.name, others))


def test_the_editions_have_the_published_numbers():
    assert ILSVRC2012.counts == {"train": 1_281_167, "val": 50_000, "test": 100_000}
    assert ILSVRC2010.counts == {"train": 1_261_406, "val": 50_000, "test": 150_000}
    assert ILSVRC2012.classes == ILSVRC2010.classes == 1000


def test_offsets_in_an_inner_tar_are_those_of_the_outer_file(tmp_path):
    long_name = f"{'x' * 160}/n00000002_1.JPEG"  # longer than a header holds: it takes two more blocks
    inner = {"n00000001": {"n00000001_1.JPEG": b"one"}, "n00000002": {long_name: b"two", "n00000002_2.jpg": b"three"}}
    write_tar(tmp_path / "outer.tar", {f"sub/{wnid}.tar": tar_bytes(members) for wnid, members in inner.items()})
    content = (tmp_path / "outer.tar").read_bytes()
    for wnid, walked in walk_all(tmp_path / "outer.tar"):
        ends = zip(walked.offset, walked.size, strict=True)
        assert [content[start : start + size] for start, size in ends] == list(inner[wnid].values())
        assert walked.names.to_pylist() == [f"sub/{wnid}.tar/{name}" for name in inner[wnid]]


def test_extensions_in_any_case_are_images_and_other_members_are_counted(tmp_path, capsys):
    names = ("a.JPEG", "b.jpg", "c.JpG", "d.png", "e.jpeg.gz", "notes.txt", "._a.JPEG", "sub/f.PNG")
    write_tar(tmp_path / "some.tar", dict.fromkeys(names, b"1"))
    assert walk_tar(tmp_path / "some.tar").names.to_pylist() == [*names[:5], "sub/f.PNG"]
    assert "some.tar: 6 images listed in 0 s; 2 other files ignored" in capsys.readouterr().out


def test_links_devices_and_paths_that_lead_out_are_problems_and_never_followed(tmp_path):
    with tarfile.open(tmp_path / "odd.tar", "w") as archive:
        kinds = {
            "soft.JPEG": tarfile.SYMTYPE,
            "hard.JPEG": tarfile.LNKTYPE,
            "pipe.JPEG": tarfile.FIFOTYPE,
            "sparse.JPEG": tarfile.GNUTYPE_SPARSE,
        }
        for name, kind in kinds.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        for name in ("../up.JPEG", "/root.JPEG", "a/../b.JPEG", "good.JPEG"):
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
        directory = tarfile.TarInfo("folder.JPEG")
        directory.type = tarfile.DIRTYPE
        archive.addfile(directory)
    walked = walk_tar(tmp_path / "odd.tar")
    assert walked.names.to_pylist() == ["good.JPEG"]
    assert [problem.path for problem in walked.problems] == [
        f"odd.tar!{name}" for name in (*kinds, "../up.JPEG", "/root.JPEG", "a/../b.JPEG")
    ]
    reasons = [problem.reason for problem in walked.problems]
    assert reasons[:2] == ["it is a link (to /etc/passwd), and links in archives are not followed"] * 2
    assert reasons[2:4] == [
        "it is no regular file but a device or a pipe",
        "it is stored as a sparse file, which cannot be read at an offset",
    ]
    assert reasons[4:] == ["its path leads out of the archive"] * 3


@pytest.mark.parametrize("where", ["within the last image", "after an image", "within a header", "before the end mark"])
def test_a_tar_cut_short_is_named_with_its_sizes(where, tmp_path):
    members = {f"n00000001_{k}.JPEG": bytes(700) for k in range(3)}  # each a header and two blocks
    ends = {"within the last image": 3 * 1536 - 900, "after an image": 3072, "within a header": 3272}
    kept = ends.get(where, 3 * 1536)
    (tmp_path / "cut.tar").write_bytes(tar_bytes(members)[:kept])
    with pytest.raises(DataError, match=rf"cut.tar .*{kept:,}.*[Dd]ownload it again"):
        walk_tar(tmp_path / "cut.tar")


def test_an_outer_tar_cut_short_or_with_a_cut_inner_tar_is_refused(tmp_path):
    inner = tar_bytes({"n00000001_1.JPEG": bytes(700), "n00000001_2.JPEG": bytes(700)})
    content = tar_bytes({"n00000001.tar": inner})
    (tmp_path / "outer.tar").write_bytes(content[:5000])
    with pytest.raises(
        DataError, match=r"outer.tar is cut short: its member n00000001.tar reaches to byte 10,752, but"
    ):
        walk_all(tmp_path / "outer.tar")
    write_tar(tmp_path / "outer.tar", {"n00000001.tar": inner[:2100]})
    with pytest.raises(DataError, match=r"outer.tar!n00000001.tar is cut short: its member n00000001_2.JPEG"):
        walk_all(tmp_path / "outer.tar")


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path):
    content = bytearray(tar_bytes({f"{k}.JPEG": bytes(100) for k in range(4)}))
    content[2048:2058] = b"\xff" * 10
    (tmp_path / "damaged.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"damaged.tar has a damaged header at byte 2,048 of 10,240"):
        walk_tar(tmp_path / "damaged.tar")


def test_a_compressed_tar_is_to_be_gunzipped(tmp_path, edition):
    write_ilsvrc2012_tars(tmp_path, edition)
    (tmp_path / VAL).write_bytes(gzip.compress((tmp_path / VAL).read_bytes()))
    with pytest.raises(DataError, match=rf"{VAL} is compressed with gzip; .* Gunzip it"):
        find(tmp_path)


def test_of_images_with_one_name_the_first_is_taken_and_the_others_are_problems(tmp_path, edition):
    write_ilsvrc2012_tars(tmp_path, edition)
    wnid = edition.wnids[0]
    stem, *_ = edition.train[wnid]
    inner = {f"{name}.JPEG": photo for name, photo in edition.train[wnid].items()} | {f"{stem}_{wnid}.jpg": b"other"}
    others = {
        f"{name}.tar": tar_bytes({f"{s}.JPEG": p for s, p in edition.train[name].items()}) for name in edition.wnids[1:]
    }
    write_tar(tmp_path / TRAIN, {f"{wnid}.tar": tar_bytes(inner)} | others)
    val = {f"{name}.JPEG": photo for name, photo in edition.numbered("val").items()}
    write_tar(tmp_path / VAL, val | {"again/ILSVRC2012_val_00000007.JPEG": b"other", "val_8.JPEG": b"stranger"})
    source = find(tmp_path)
    assert read_rows(source, "train") == edition.rows("train") and read_rows(source, "val") == edition.rows("val")
    assert source.problems == (
        Problem(
            f"{TRAIN}!{wnid}.tar/{stem}_{wnid}.jpg",
            f"{TRAIN}!{wnid}.tar/{stem}.JPEG is train/{wnid}/{stem} already; only that one is taken",
        ),
        Problem(
            f"{VAL}!val_8.JPEG",
            "its name is not ILSVRC2012_val_ and eight digits, so nothing tells its label or its place",
        ),
        Problem(
            f"{VAL}!again/ILSVRC2012_val_00000007.JPEG",
            f"{VAL}!ILSVRC2012_val_00000007.JPEG is val/ILSVRC2012_val_00000007 already; only that one is taken",
        ),
    )


def test_names_that_are_not_utf8_and_broken_links_are_told(tmp_path, edition):
    write_ilsvrc2012_folder(tmp_path, edition)
    folder = tmp_path / "train" / edition.wnids[0]
    (folder / "broken.JPEG").symlink_to("nowhere.JPEG")
    with open(bytes(folder) + b"/\xff.JPEG", "wb") as file:  # noqa: PTH123 (a Path holds no such bytes)
        file.write(b"1")
    source = find(tmp_path, complete=False)
    path = f"train/{edition.wnids[0]}/broken.JPEG"
    assert source.problems == (
        Problem(path, "it is no file, or a link to one that does not exist"),
        Problem(
            f"train/{edition.wnids[0]}/\\xff.JPEG",
            "its name is not nXXXXXXXX_ and a number, as every training image of the edition is named",
        ),
    )
    assert read_rows(source, "train") == edition.rows("train")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda lines: [*lines[:4], "13", *lines[5:]],
            r"_validation_ground_truth.txt, line 5: '13' is not the id of a",
        ),
        (lambda lines: [*lines[:4], "", *lines[5:]], r"line 5: '' is not the id of a class; a number from 1 to 12"),
        (lambda lines: lines[:-1], r"has 35 lines, but .*img_val.tar holds image number 36"),
        (lambda lines: [*lines, "1"], r"has 37 lines; 36 were expected"),
    ],
)
def test_a_bad_line_of_the_ground_truth_is_named(spoil, message, tmp_path, edition):
    write_ilsvrc2012_tars(tmp_path, edition)
    archive = tmp_path / "ILSVRC2012_devkit_t12.tar.gz"
    with tarfile.open(archive) as kit:
        members = {member.name: kit.extractfile(member).read() for member in kit}
    name = "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"
    members[name] = "\r\n".join([*spoil(members[name].decode().split()), "", ""]).encode()
    archive.write_bytes(gzip.compress(tar_bytes(members)))
    with pytest.raises(DataError, match=message):
        find(tmp_path)


def test_a_devkit_of_another_year_or_cut_short_is_refused(tmp_path, edition):
    write_ilsvrc2012_tars(tmp_path, edition)
    archive = tmp_path / "ILSVRC2012_devkit_t12.tar.gz"
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"devkit_t12.tar.gz cannot be read: .* damaged or cut short"):
        find(tmp_path)
    write_devkit(tmp_path, replace(edition, year=2010))
    (tmp_path / "ILSVRC2010_devkit-1.0.tar.gz").rename(archive)
    with pytest.raises(DataError, match=r"lacks data/ILSVRC2012_validation_ground_truth.txt"):
        find(tmp_path)


def shrink(edition: Edition) -> Edition:
    """The first class has lost 2 training images, the second all; val lacks numbers 35 and 36."""
    first, second = edition.wnids[:2]
    train = edition.train | {first: dict(list(edition.train[first].items())[2:]), second: {}}
    return replace(edition, train=train, val=edition.val[:-2], val_wnids=edition.val_wnids[:-2])


@pytest.mark.parametrize("layout", LAYOUTS_2012)
def test_what_an_edition_lacks_is_listed_and_accepted_for_trials(layout, tmp_path, edition):
    part = shrink(edition)
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


def test_an_edition_without_any_validation_image_is_refused_even_for_trials(tmp_path, edition):
    write_ilsvrc2012_tars(tmp_path, edition)
    write_tar(tmp_path / VAL, {"readme.txt": b"1"})
    with pytest.raises(DataError, match="there is no val image that could be taken"):
        find(tmp_path, complete=False)


def test_long_lists_of_lacking_classes_are_cut_after_twenty(tmp_path, monkeypatch):
    whole = Edition.draw(classes=23, train=3, val=1, test=1)
    monkeypatch.setattr(ilsvrc2012, "ILSVRC2012", whole.expected)
    train = {wnid: dict(list(stems.items())[1:]) for wnid, stems in whole.train.items()}
    write_ilsvrc2012_tars(tmp_path, whole)
    archive = {f"{wnid}.tar": tar_bytes({f"{s}.JPEG": p for s, p in stems.items()}) for wnid, stems in train.items()}
    write_tar(tmp_path / TRAIN, archive)
    with pytest.raises(DataError, match=rf"train, 23 classes: .*{whole.wnids[19]} lacks 1 of 3; and 3 more classes\n"):
        find(tmp_path)


def test_a_tar_of_no_class_is_told(tmp_path, edition):
    write_ilsvrc2012_tars(tmp_path, edition)
    inner = {f"{w}.tar": tar_bytes({f"{s}.JPEG": p for s, p in edition.train[w].items()}) for w in edition.wnids}
    write_tar(tmp_path / TRAIN, inner | {"n09999999.tar": tar_bytes({"n09999999_1.JPEG": b"1"})})
    with pytest.raises(DataError, match=r"train: n09999999.tar, 1 images, is of no class of the edition"):
        find(tmp_path)
    assert read_rows(find(tmp_path, complete=False), "train") == edition.rows("train")


def test_2010_trusts_the_devkits_counts_more_than_the_total(tmp_path, monkeypatch, capsys):
    whole = Edition.draw(year=2010)
    write_ilsvrc2010_tars(tmp_path, whole)
    counts = whole.expected.counts | {"train": 80}
    monkeypatch.setattr(ilsvrc2010, "ILSVRC2010", replace(whole.expected, counts=counts))
    assert find(tmp_path, "ilsvrc2010").part == ""
    assert "train: 72 of 80 images; every class has as many as the devkit says" in capsys.readouterr().out
    monkeypatch.setattr(ilsvrc2010, "ILSVRC2010", replace(whole.expected, per_class={"val": 3, "test": 5}))
    with pytest.raises(DataError, match=f"test, 12 classes: {whole.wnids[0]} lacks 1 of 5; "):
        find(tmp_path, "ilsvrc2010")


def test_missing_files_are_found_without_numpy_or_arrow(tmp_path):
    code = (
        "import sys; from alexnet2012.data.sources.find import check_source;"
        "assert not {'numpy', 'pyarrow', 'torch'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    kaggle = DatasetConfig(kind="ilsvrc2012", folder=str(tmp_path), layout="kaggle")
    assert check_source(kaggle) == [
        f"{tmp_path}/ILSVRC/Data/CLS-LOC/train/ is missing",
        f"{tmp_path}/ILSVRC/Data/CLS-LOC/val/ is missing",
        f"{tmp_path}/LOC_synset_mapping.txt is missing: the classes",
        f"{tmp_path}/LOC_val_solution.csv is missing: the validation labels",
    ]
    release = DatasetConfig(kind="fall2011", folder=str(tmp_path), class_list=str(tmp_path / "none.txt"))
    assert [line.split(" ")[0:3] for line in check_source(release)] == [
        ["the", "class", "list"],
        [str(tmp_path), "holds", "no"],
    ]
    nowhere = DatasetConfig(kind="imagefolder", folder=str(tmp_path / "nowhere"))
    assert "nowhere does not exist" in check_source(nowhere)[0]
    assert check_source(DatasetConfig(kind="cifar10", size_px=32)) == []
