"""Members of archives that are not what was expected are told, never dropped in silence."""

import tarfile

import pytest
from fake_imagenet import (
    Edition,
    find,
    inner_tars,
    read_rows,
    write_ilsvrc2010_tars,
    write_ilsvrc2012_tars,
    write_release,
    write_tar,
)

from alexnet2012.data.listing import Problem
from alexnet2012.data.sources import ilsvrc2010
from alexnet2012.errors import DataError

TRAIN = "ILSVRC2012_img_train.tar"


def add_links(archive, links: dict[str, str]) -> None:
    """Symbolic links: name -> target."""
    with tarfile.open(archive, "a") as tar:
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)


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


def test_images_beside_the_inner_tars_are_problems(tmp_path, edition):
    write_ilsvrc2012_tars(tmp_path, edition)
    stem = f"{edition.wnids[0]}_99999"
    write_tar(tmp_path / TRAIN, inner_tars(edition) | {f"{stem}.JPEG": b"1"})
    source = find(tmp_path)
    reason = "it lies beside the tars of the classes, not in one of them"
    assert source.problems == (Problem(f"{TRAIN}!{stem}.JPEG", reason),)
    assert read_rows(source, "train") == edition.rows("train")


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


def test_odd_members_of_the_patches_are_problems(tmp_path, monkeypatch):
    whole = Edition.draw(year=2010)
    monkeypatch.setattr(ilsvrc2010, "ILSVRC2010", whole.expected)
    write_ilsvrc2010_tars(tmp_path, whole)
    stem = "ILSVRC2010_val_00000001"
    patches = {f"a/{stem}.JPEG": whole.val[0], f"b/{stem}.JPEG": b"other", "../val/ILSVRC2010_val_00000002.JPEG": b"up"}
    write_tar(tmp_path / "patch_images.tar", patches)
    add_links(tmp_path / "patch_images.tar", {"ILSVRC2010_val_00000003.JPEG": "/etc/passwd"})
    source = find(tmp_path, "ilsvrc2010")
    assert source.problems == (
        Problem("patch_images.tar!../val/ILSVRC2010_val_00000002.JPEG", "its path leads out of the archive"),
        Problem(
            "patch_images.tar!ILSVRC2010_val_00000003.JPEG",
            "it is a link (to /etc/passwd), and links in archives are not followed",
        ),
        Problem(
            f"patch_images.tar!b/{stem}.JPEG",
            f"patch_images.tar!a/{stem}.JPEG replaces val/{stem} already; only that one is taken",
        ),
    )
    assert read_rows(source, "val") == whole.rows("val")


def test_a_line_break_in_a_name_breaks_no_line(tmp_path, edition):
    write_ilsvrc2012_tars(tmp_path, edition)
    write_tar(tmp_path / TRAIN, inner_tars(edition) | {"a\nb.JPEG": b"1", "c\r.JPEG": b"2", "d.JPEG\n": b"3"})
    add_links(tmp_path / TRAIN, {"e.JPEG": "f\ng"})
    problems = find(tmp_path).problems
    assert [problem.path for problem in problems] == [
        f"{TRAIN}!{name}" for name in (r"a\nb.JPEG", r"c\r.JPEG", "e.JPEG")
    ]
    assert problems[2].reason == r"it is a link (to f\ng), and links in archives are not followed"
