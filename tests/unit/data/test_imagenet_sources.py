import pytest
from fake_imagenet import (
    LAYOUTS_2012,
    find,
    read_rows,
    rewrite_val_names,
    write_devkit,
    write_ilsvrc2010_tars,
    write_ilsvrc2012_parquet,
    write_tar,
)

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.sources.find import check_source
from alexnet2012.errors import DataError


@pytest.mark.parametrize("layout", LAYOUTS_2012)
def test_every_layout_of_2012_gives_each_image_its_name_label_and_row(layout, tmp_path, edition):
    LAYOUTS_2012[layout](tmp_path, edition)
    source = find(tmp_path)
    assert source.classes == edition.wnids
    for split in ("train", "val", "test"):
        assert read_rows(source, split) == edition.rows(split)
    assert (source.problems, source.part) == ((), "")
    assert source.splits["test"].labels.tolist() == [-1] * 48


@pytest.mark.parametrize("layout", LAYOUTS_2012)
def test_the_devkit_gives_every_layout_the_official_ids(layout, tmp_path, edition):
    LAYOUTS_2012[layout](tmp_path, edition)
    assert (find(tmp_path).official_ids is None) == (layout != "tars")
    write_devkit(tmp_path, edition)
    assert find(tmp_path).official_ids == edition.ids


def test_2010_is_read_with_patches_and_gzipped_members(tmp_path, edition_2010, capsys):
    write_ilsvrc2010_tars(tmp_path, edition_2010)
    source = find(tmp_path, "ilsvrc2010")
    for split in ("train", "val", "test"):
        assert read_rows(source, split) == edition_2010.rows(split)
    assert source.official_ids == edition_2010.ids
    assert "patch_images.tar: 3 images replaced" in capsys.readouterr().out


def test_2010_without_its_patches_warns_and_strange_patches_are_named(tmp_path, edition_2010, capsys):
    write_ilsvrc2010_tars(tmp_path, edition_2010)
    name = next(iter(edition_2010.numbered("val")))
    write_tar(tmp_path / "patch_images.tar", {"patch_images/val/a.JPEG": b"1", f"patch_images/test/{name}.JPEG": b"2"})
    source = find(tmp_path, "ilsvrc2010")
    assert read_rows(source, "val")[0][2] == b""
    out = capsys.readouterr().out
    assert f"2 images replace none that is known: patch_images/val/a.JPEG, patch_images/test/{name}.JPEG" in out
    (tmp_path / "patch_images.tar").unlink()
    find(tmp_path, "ilsvrc2010")
    assert "patch_images.tar is not there: the blank images that it replaces stay blank" in capsys.readouterr().out


def test_auto_says_what_it_looked_for_and_refuses_to_choose(tmp_path, edition):
    with pytest.raises(DataError) as raised:
        find(tmp_path)
    for layout in LAYOUTS_2012:
        assert f"layout {layout}, looked for in {tmp_path}: " in str(raised.value)
    for layout in ("tars", "parquet"):
        LAYOUTS_2012[layout](tmp_path, edition)
    with pytest.raises(DataError, match=r"several layouts: tars \(ILSVRC2012_img_train.tar, .*parquet \(data/train-0"):
        find(tmp_path)
    assert read_rows(find(tmp_path, layout="parquet"), "val") == edition.rows("val")


@pytest.fixture
def shards(tmp_path, edition):
    """The folder data/ of an edition in 3 shards of each split."""
    write_ilsvrc2012_parquet(tmp_path, edition)
    return tmp_path / "data"


def test_shards_that_are_missing_are_told_before_anything_is_read(shards):
    for shard in shards.iterdir():
        shard.write_bytes(b"unreadable")
    (shards / "train-00001-of-00003.parquet").unlink()
    (shards / "test-00002-of-00003.parquet").unlink()
    hint = "; fetch them, or set complete: false to accept the images that are there"
    assert check_source(DatasetConfig(kind="ilsvrc2012", folder=str(shards.parent))) == [
        f"{shards}/train-*-of-00003.parquet: 1 of 3 shards are missing: 1{hint}",
        f"{shards}/test-*-of-00003.parquet: 1 of 3 shards are missing: 2{hint}",
    ]


def test_an_added_wordnet_id_is_no_part_of_a_name(tmp_path, edition):
    for layout, write in LAYOUTS_2012.items():
        write(tmp_path / layout, edition)
        rewrite_val_names(tmp_path / layout, layout, edition, {})
        assert read_rows(find(tmp_path / layout), "val") == edition.rows("val")
