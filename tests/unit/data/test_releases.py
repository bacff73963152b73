"""The Fall releases of ImageNet, class by class, and the lists of classes that they are read by."""

import numpy as np
import pytest
from fake_imagenet import find, inner_tars, read_rows, write_release, write_tar

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.sources import releases
from alexnet2012.data.sources.classes import read_class_list
from alexnet2012.data.sources.find import check_source
from alexnet2012.data.sources.image_names import list_some
from alexnet2012.errors import DataError


@pytest.mark.parametrize(("kind", "part"), [("fall2009", "12 of 10,184 classes"), ("fall2011", "")])
def test_a_few_classes_are_a_part_of_fall_2009(kind, part, tmp_path, drawn):
    """The paper's error is one over 10,184 classes; of Fall 2011 it says only that all was used."""
    write_release(tmp_path / "fall", drawn, False)
    (tmp_path / "classes.txt").write_text("\n".join(drawn.wnids), encoding="utf-8")
    assert find(tmp_path / "fall", kind, class_list=str(tmp_path / "classes.txt")).part == part


@pytest.mark.parametrize(("whole", "at_once"), [(False, 256), (True, 4)])
def test_a_release_is_split_class_by_class(whole, at_once, tmp_path, drawn, monkeypatch):
    monkeypatch.setattr(releases, "CHUNK_CLASSES", at_once)
    write_release(tmp_path / "fall", drawn, whole)
    listed = drawn.wnids[1:]
    (tmp_path / "classes.txt").write_text(
        "# ids\n\n" + "".join(f"{wnid} a word\r\n" for wnid in reversed(listed)), encoding="utf-8"
    )
    settings = {"kind": "fall2011", "class_list": str(tmp_path / "classes.txt"), "split_seed": 3}
    source = find(tmp_path / "fall", **settings)
    assert source.classes == listed
    assert {name: np.bincount(split.labels).tolist() for name, split in source.splits.items()} == {
        "train": [4] * 11,
        "val": [1] * 11,
        "test": [1] * 11,
    }
    found = {row for split in source.splits for row in read_rows(source, split)}
    assert found == {
        (name.removeprefix("train/"), label - 1, photo) for name, label, photo in drawn.rows("train") if label
    }
    for split in source.splits.values():
        assert split.names.to_pylist() == sorted(split.names.to_pylist())
    again = find(tmp_path / "fall", **settings | {"split_seed": 4})
    assert again.splits["val"].names.to_pylist() != source.splits["val"].names.to_pylist()


def test_a_release_names_classes_without_a_tar_or_too_few_images(tmp_path, drawn, capsys):
    write_release(tmp_path, drawn)
    class_list = tmp_path / "classes.txt"
    class_list.write_text("\n".join([*drawn.wnids[:2], "n00000001", "n00000002"]), encoding="utf-8")
    with pytest.raises(DataError, match="no tar of 2 of the 4 listed classes: n00000001, n00000002"):
        find(tmp_path, "fall2009", class_list=str(class_list))
    class_list.write_text("\n".join([*drawn.wnids[:2], "n00000001"]), encoding="utf-8")
    write_tar(tmp_path / "n00000001.tar", {"n00000001_1.JPEG": b"1", "n00000001_2.JPEG": b"2"})
    with pytest.raises(DataError, match=r"1 classes have too few images .*: n00000001 \(2\)"):
        find(tmp_path, "fall2009", class_list=str(class_list))
    assert "10 tars of classes that are not listed are ignored" in capsys.readouterr().out
    class_list.write_text("tench\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 1: 'tench' is no WordNet id"):
        find(tmp_path, "fall2009", class_list=str(class_list))


def test_a_release_may_have_other_names_but_none_of_another_class(tmp_path, drawn):
    write_release(tmp_path / "fall", drawn)
    (tmp_path / "classes.txt").write_text("\n".join(drawn.wnids), encoding="utf-8")
    settings = {"kind": "fall2009", "class_list": str(tmp_path / "classes.txt")}
    wnid = drawn.wnids[0]
    members = {f"{stem}.JPEG": photo for stem, photo in drawn.train[wnid].items()}
    write_tar(tmp_path / "fall" / f"{wnid}.tar", members | {"cat.JPEG": b"1"})
    source = find(tmp_path / "fall", **settings)
    assert source.problems == ()
    assert f"{wnid}/cat" in {name for split in source.splits.values() for name in split.names.to_pylist()}
    write_tar(tmp_path / "fall" / f"{wnid}.tar", members | {f"{drawn.wnids[1]}_1.JPEG": b"1"})
    with pytest.raises(DataError, match=f"1 training images .* is of {drawn.wnids[1]} by its name, but .* {wnid}"):
        find(tmp_path / "fall", **settings)


def test_a_release_tells_why_a_listed_class_cannot_be_read(tmp_path, drawn, capsys):
    write_release(tmp_path, drawn, whole=True)
    first, second, third, fourth = drawn.wnids[:4]
    inner = inner_tars(drawn)
    inner[f"{first}.TAR"] = inner.pop(f"{first}.tar")
    del inner[f"{second}.tar"], inner[f"{third}.tar"]
    write_tar(tmp_path / "fall11_whole.tar", inner | {"a.JPEG": b"1"})
    (tmp_path / f"{second}.tar.gz").touch()
    (tmp_path / f"{third}.tar").symlink_to("nowhere.tar")
    (tmp_path / f"{fourth}.tgz").touch()
    class_list = tmp_path / "classes.txt"
    class_list.write_text("\n".join(drawn.wnids), encoding="utf-8")
    with pytest.raises(DataError) as raised:
        find(tmp_path, "fall2011", class_list=str(class_list))
    message = str(raised.value)
    assert f"holds no tar of 3 of the 12 listed classes: {first}, {second}, {third}. " in message
    for name in (f"fall11_whole.tar!{first}.TAR", f"{second}.tar.gz", f"{third}.tar"):
        assert f"{name} (" in message
    assert f"{fourth}.tgz" not in message
    class_list.write_text("\n".join(drawn.wnids[3:]), encoding="utf-8")
    find(tmp_path, "fall2011", class_list=str(class_list))
    assert "fall11_whole.tar: 1 images lie beside the tars of the classes and are left out" in capsys.readouterr().out


def test_a_class_list_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "classes.txt").write_text("n00000002 a\n# n00000003\nn00000001 # b\n", encoding="utf-8-sig")
    assert read_class_list(tmp_path / "classes.txt") == ("n00000001", "n00000002")


def test_a_class_that_is_listed_twice_is_named_with_its_lines(tmp_path):
    (tmp_path / "classes.txt").write_text("n00000002\n\nn00000001\nn00000002 again\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"classes.txt names n00000002 twice, in lines 1 and 4"):
        read_class_list(tmp_path / "classes.txt")


def test_a_missing_tar_and_a_class_list_that_is_missing_or_a_folder_are_told(tmp_path):
    (tmp_path / "more").mkdir()
    for name, what in (("none.txt", "does not exist"), ("more", "is a folder; name a file with a WordNet id")):
        settings = DatasetConfig(kind="fall2011", folder=str(tmp_path), class_list=str(tmp_path / name))
        of_list, of_tars = check_source(settings)
        assert f"the class list {tmp_path}/{name} {what}" in of_list and f"{tmp_path} holds no .tar" in of_tars
    with pytest.raises(DataError, match="more is a folder.*WordNet id on each line"):
        read_class_list(tmp_path / "more")


def test_lists_in_messages_keep_to_one_line():
    assert list_some(["a\nb", "c", "d"], limit=2) == r"a\nb, c and 1 more"
