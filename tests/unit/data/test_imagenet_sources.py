from dataclasses import replace

import numpy as np
import pytest
from fake_imagenet import (
    LAYOUTS_2012,
    find,
    read_rows,
    write_devkit,
    write_ilsvrc2010_tars,
    write_ilsvrc2012_kaggle,
    write_ilsvrc2012_parquet,
    write_ilsvrc2012_tars,
    write_release,
    write_solution,
    write_tar,
)

from alexnet2012.data.listing import Problem
from alexnet2012.errors import DataError


def test_the_fixture_has_what_a_wrong_reader_would_fall_for(drawn):
    assert list(drawn.ids) != sorted(drawn.ids)
    assert list(drawn.val_wnids) != sorted(drawn.val_wnids)
    images = [photo for split in ("train", "val", "test") for _, _, photo in drawn.rows(split)]
    assert len(images) == len(set(images)) == 12 * (6 + 3 + 4)


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


def test_the_only_layout_there_is_asked_for_what_it_lacks(tmp_path, edition):
    write_ilsvrc2012_tars(tmp_path, edition)
    (tmp_path / "ILSVRC2012_devkit_t12.tar.gz").unlink()
    with pytest.raises(DataError, match=r"devkit_t12.tar.gz is missing: the classes and the validation labels"):
        find(tmp_path)


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


def test_kaggle_train_csv_must_agree_with_the_folders(tmp_path, edition):
    write_ilsvrc2012_kaggle(tmp_path, edition)
    first, second = edition.wnids[:2]
    stem = next(iter(edition.train[first]))
    write_solution(tmp_path / "LOC_train_solution.csv", {stem: second})
    with pytest.raises(DataError, match=f"{stem} is {second} there and lies in {first}/"):
        find(tmp_path)
    write_solution(tmp_path / "LOC_train_solution.csv", {stem: first, f"{first}_99999": first})
    with pytest.raises(DataError, match=f"1 images of LOC_train_solution.csv are missing: {first}_99999"):
        find(tmp_path)


def test_kaggle_val_csv_with_a_gap_or_a_stranger_is_refused(tmp_path, edition):
    write_ilsvrc2012_kaggle(tmp_path, edition)
    wnid_of = dict(zip(edition.numbered("val"), edition.val_wnids, strict=True))
    write_solution(tmp_path / "LOC_val_solution.csv", dict(list(wnid_of.items())[1:]))
    source = find(tmp_path, complete=False)
    path = "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000001.JPEG"
    assert source.problems == (Problem(path, "LOC_val_solution.csv has no label for it"),)
    write_solution(tmp_path / "LOC_val_solution.csv", wnid_of | {"ILSVRC2012_val_00000002": "n99999999"})
    with pytest.raises(DataError, match=r"LOC_val_solution.csv, line 3: 'n99999999 10 .* does not begin with a class"):
        find(tmp_path)


def test_parquet_labels_in_another_order_are_refused(tmp_path, edition):
    swapped = replace(edition, wnids=(edition.wnids[1], edition.wnids[0], *edition.wnids[2:]))
    write_ilsvrc2012_parquet(tmp_path, swapped)
    with pytest.raises(DataError, match=f"{edition.wnids[1]} has label 0 and {edition.wnids[0]} label 1"):
        find(tmp_path)


def test_parquet_of_another_make_or_cut_short_is_refused(tmp_path, edition):
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_ilsvrc2012_parquet(tmp_path, edition)
    shard = tmp_path / "data" / "train-00001-of-00003.parquet"
    content = shard.read_bytes()
    shard.write_bytes(content[:-100])
    with pytest.raises(DataError, match=r"train-00001-of-00003.parquet \([\d,]+ bytes\) cannot be read as parquet"):
        find(tmp_path)
    pq.write_table(pa.table({"jpg": [b""], "cls": [0]}), shard)
    with pytest.raises(DataError, match=r"has the columns jpg \(binary\), cls \(int64\); image"):
        find(tmp_path)


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


@pytest.mark.parametrize(("kind", "part"), [("fall2009", "12 of 10,184 classes"), ("fall2011", "")])
def test_a_few_classes_are_a_part_of_fall_2009(kind, part, tmp_path, drawn):
    """The paper's error is one over 10,184 classes; of Fall 2011 it says only that all was used."""
    write_release(tmp_path / "fall", drawn, False)
    (tmp_path / "classes.txt").write_text("\n".join(drawn.wnids), encoding="utf-8")
    assert find(tmp_path / "fall", kind, class_list=str(tmp_path / "classes.txt")).part == part


@pytest.mark.parametrize("whole", [False, True])
def test_a_release_is_split_class_by_class(whole, tmp_path, drawn):
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
