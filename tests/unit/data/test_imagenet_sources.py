import pytest
from fake_imagenet import (
    LAYOUTS_2012,
    find,
    read_rows,
    rewrite_val_names,
    write_devkit,
    write_ilsvrc2010_tars,
    write_ilsvrc2012_kaggle,
    write_ilsvrc2012_parquet,
    write_ilsvrc2012_tars,
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


def test_2010_lists_every_missing_file_at_once(tmp_path):
    (tmp_path / "ILSVRC2010_images_val.tar").touch()
    with pytest.raises(DataError) as raised:
        find(tmp_path, "ilsvrc2010")
    for name in ("images_train.tar", "images_test.tar", "devkit-1.0.tar.gz", "test_ground_truth.txt"):
        assert f"ILSVRC2010_{name} is missing: the " in str(raised.value)
    assert "images_val.tar" not in str(raised.value)


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


@pytest.mark.parametrize("test", ["ILSVRC2012_img_test.tar", None])
def test_test_images_may_have_the_older_name_or_be_absent(test, tmp_path, edition):
    write_ilsvrc2012_tars(tmp_path, edition, test)
    source = find(tmp_path)
    assert set(source.splits) == {"train", "val"} | ({"test"} if test else set())


def test_known_md5s_are_handed_on(tmp_path, edition):
    write_ilsvrc2012_tars(tmp_path, edition)
    md5 = {checksum.path.name: checksum.md5 for checksum in find(tmp_path).checksums}
    assert md5 == {
        "ILSVRC2012_img_train.tar": "1d675b47d978889d74fa0da5fadfb00e",
        "ILSVRC2012_img_val.tar": "29b22e2961454d5413ddabcf34fc5622",
        "ILSVRC2012_devkit_t12.tar.gz": "fa75699e90414af021442c21a62c3abf",
        "ILSVRC2012_img_test_v10102019.tar": "e1b8681fff3d63731c599df9b4b6fc02",
    }


def test_kaggle_is_found_from_within_and_without(tmp_path, edition):
    write_ilsvrc2012_kaggle(tmp_path, edition)
    source = find(tmp_path / "ILSVRC")
    assert source.folder == tmp_path / "ILSVRC"
    assert read_rows(source, "val") == edition.rows("val")


def test_parquet_names_and_labels_are_read_without_the_images(tmp_path, edition, monkeypatch):
    import pyarrow.parquet as pq

    write_ilsvrc2012_parquet(tmp_path, edition)
    asked, read = [], pq.ParquetFile.read
    monkeypatch.setattr(
        pq.ParquetFile, "read", lambda self, columns: asked.append(columns) or read(self, columns=columns)
    )
    find(tmp_path)
    assert asked == [["image.path", "label"]] * 9


def test_parquet_shards_may_lie_in_the_folder_itself_and_test_may_have_no_label(tmp_path, edition):
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_ilsvrc2012_parquet(tmp_path, edition)
    for shard in (tmp_path / "data").iterdir():
        table = pq.ParquetFile(shard).read()
        if shard.name.startswith("test"):
            table = table.set_column(1, "label", pa.nulls(len(table)))
        pq.write_table(table, tmp_path / shard.name, row_group_size=3)
        shard.unlink()
    source = find(tmp_path)
    for split in ("train", "val", "test"):
        assert read_rows(source, split) == edition.rows(split)


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


def test_trials_may_lack_shards(shards, capsys):
    (shards / "train-00001-of-00003.parquet").unlink()
    assert len(find(shards.parent, complete=False).splits["train"]) == 48
    assert "shards are missing: 1" in capsys.readouterr().out


def test_shards_may_carry_a_hash_or_no_numbers(shards):
    for shard in shards.glob("train-*"):
        shard.rename(shard.with_name(f"{shard.stem}-0a1b2c.parquet"))
    (shards / "test-00000-of-00003.parquet").rename(shards / "test-a.parquet")
    for number in (1, 2):
        (shards / f"test-0000{number}-of-00003.parquet").rename(shards / f"test-{number}.parquet")
    assert find(shards.parent).part == ""


def test_an_added_wordnet_id_is_no_part_of_a_name(tmp_path, edition):
    for layout, write in LAYOUTS_2012.items():
        write(tmp_path / layout, edition)
        rewrite_val_names(tmp_path / layout, layout, edition, {})
        assert read_rows(find(tmp_path / layout), "val") == edition.rows("val")
