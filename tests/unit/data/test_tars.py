"""Images at their offsets in tars and tars of tars; members that are not what was expected are told, never dropped."""

import io
import tarfile
from pathlib import Path

import pytest
from fake_imagenet import tar_bytes, write_tar

from alexnet2012.data.sources.tars import list_inner_tars, walk_inner_tars, walk_tar
from alexnet2012.errors import DataError


def walk_all(archive: Path) -> list:
    tars, _, others = list_inner_tars(archive)
    return list(walk_inner_tars(tars, archive.parent, archive.name, others))


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
