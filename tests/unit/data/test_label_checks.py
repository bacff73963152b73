"""A wrong label trains in silence, so names, folders, columns and the devkit must tell the same class."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from fake_imagenet import (
    LAYOUTS_2012,
    Edition,
    find,
    inner_tars,
    read_rows,
    rewrite_val_names,
    tar_bytes,
    write_devkit,
    write_ilsvrc2010_tars,
    write_ilsvrc2012_folder,
    write_ilsvrc2012_kaggle,
    write_ilsvrc2012_parquet,
    write_release,
    write_solution,
    write_tar,
)

from alexnet2012.data.listing import Problem
from alexnet2012.data.sources import ilsvrc2010
from alexnet2012.errors import DataError

TRAIN, VAL = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"


def swap_folders(root, first, second) -> None:
    (root / first).rename(root / "kept")
    (root / second).rename(root / first)
    (root / "kept").rename(root / second)


@pytest.mark.parametrize("layout", ["tars", "kaggle", "folder"])
def test_swapped_classes_of_training_images_are_refused_even_for_trials(layout, tmp_path, edition):
    LAYOUTS_2012[layout](tmp_path, edition)
    first, second = edition.wnids[:2]
    if layout == "tars":
        inner = inner_tars(edition)
        inner[f"{first}.tar"], inner[f"{second}.tar"] = inner[f"{second}.tar"], inner[f"{first}.tar"]
        write_tar(tmp_path / TRAIN, inner)
        path = rf"{TRAIN}!{first}.tar/{second}_\d+.JPEG"
    else:
        root = "ILSVRC/Data/CLS-LOC/train" if layout == "kaggle" else "train"
        swap_folders(tmp_path / root, first, second)
        (tmp_path / "LOC_train_solution.csv").unlink(missing_ok=True)
        path = rf"{root}/{first}/{second}_\d+.JPEG"
    with pytest.raises(
        DataError, match=rf"12 training images .*{path} is of {second} by its name, but listed under {first}"
    ):
        find(tmp_path, complete=False)


def test_2010_refuses_a_training_image_of_another_class(tmp_path, monkeypatch):
    whole = Edition.draw(year=2010)
    monkeypatch.setattr(ilsvrc2010, "ILSVRC2010", whole.expected)
    write_ilsvrc2010_tars(tmp_path, whole)
    inner = inner_tars(whole) | {f"{whole.wnids[0]}.tar": tar_bytes({f"{whole.wnids[1]}_1.JPEG": b"1"})}
    write_tar(tmp_path / "ILSVRC2010_images_train.tar", inner)
    with pytest.raises(DataError, match=f"1 training images .* is of {whole.wnids[1]} by its name, but listed under"):
        find(tmp_path, "ilsvrc2010")


def test_an_added_id_that_contradicts_a_training_images_class_is_refused(tmp_path, edition):
    write_ilsvrc2012_folder(tmp_path, edition)
    first, second = edition.wnids[:2]
    (tmp_path / "train" / first / f"{first}_99999_{second}.JPEG").write_bytes(b"1")
    with pytest.raises(
        DataError, match=f"1 training images .*{first}_99999_{second}.JPEG is of {second} by its name, but .* {first}"
    ):
        find(tmp_path, complete=False)


def test_a_training_image_whose_name_tells_no_class_is_a_problem(tmp_path, edition):
    write_ilsvrc2012_folder(tmp_path, edition)
    wnid = edition.wnids[0]
    (tmp_path / "train" / wnid / "cat.JPEG").write_bytes(b"1")
    source = find(tmp_path)
    reason = "its name is not nXXXXXXXX_ and a number, as every training image of the edition is named"
    assert source.problems == (Problem(f"train/{wnid}/cat.JPEG", reason),)
    assert read_rows(source, "train") == edition.rows("train")


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


@pytest.mark.parametrize("layout", LAYOUTS_2012)
def test_an_added_id_that_contradicts_a_validation_label_is_refused(layout, tmp_path, edition):
    LAYOUTS_2012[layout](tmp_path, edition)
    number = 7
    right = edition.val_wnids[number - 1]
    wrong = next(wnid for wnid in edition.wnids if wnid != right)
    rewrite_val_names(tmp_path, layout, edition, {})
    assert read_rows(find(tmp_path), "val") == edition.rows("val")
    rewrite_val_names(tmp_path, layout, edition, {number: wrong})
    message = (
        rf"1 validation images .*ILSVRC2012_val_00000007_{wrong}.JPEG is of {wrong} by its name, but .* under {right}"
    )
    with pytest.raises(DataError, match=message):
        find(tmp_path, complete=False)


@pytest.mark.parametrize("layout", ["kaggle", "parquet", "folder"])
def test_labels_that_contradict_the_devkit_beside_them_are_refused(layout, tmp_path, edition):
    shifted = edition.val_wnids[1:] + edition.val_wnids[:1]
    write_devkit(tmp_path, edition)
    LAYOUTS_2012[layout](tmp_path, replace(edition, val_wnids=shifted))
    count = sum(a != b for a, b in zip(shifted, edition.val_wnids, strict=True))
    k = next(k for k in range(36) if shifted[k] != edition.val_wnids[k])
    message = (
        rf"{count} validation images .*ILSVRC2012_devkit_t12.tar.gz.*: val/ILSVRC2012_val_{k + 1:08d} is labelled "
        rf"{shifted[k]}, but {edition.val_wnids[k]} by the devkit"
    )
    with pytest.raises(DataError, match=message):
        find(tmp_path, complete=False)


def test_a_validation_image_in_two_class_folders_is_refused(tmp_path, edition):
    write_ilsvrc2012_folder(tmp_path, edition)
    first, second = edition.val_wnids[0], next(wnid for wnid in edition.wnids if wnid != edition.val_wnids[0])
    name = "ILSVRC2012_val_00000001.JPEG"
    shutil.copy(tmp_path / "val" / first / name, tmp_path / "val" / second / name)
    with pytest.raises(
        DataError, match=r"1 images come again with other labels.* val/n\d{8}/ILSVRC2012_val_00000001.JPEG and val/n"
    ):
        find(tmp_path, complete=False)


def test_class_folders_of_an_edition_are_named_by_wordnet_ids(tmp_path, edition):
    write_ilsvrc2012_folder(tmp_path, edition)
    (tmp_path / "train" / ".cache").mkdir()
    assert find(tmp_path).classes == edition.wnids
    (tmp_path / "train" / "tench").mkdir()
    with pytest.raises(DataError, match=r"train: these folders are not named nXXXXXXXX as classes are: tench"):
        find(tmp_path)
    assert find(tmp_path, complete=False).classes == edition.wnids


def test_kaggles_mapping_names_wordnet_ids_only(tmp_path, edition):
    write_ilsvrc2012_kaggle(tmp_path, edition)
    mapping = tmp_path / "LOC_synset_mapping.txt"
    mapping.write_text(mapping.read_text(encoding="utf-8") + "tench, Tinca tinca\n")
    with pytest.raises(DataError, match=r"LOC_synset_mapping.txt, line 13: 'tench,' is no WordNet id"):
        find(tmp_path)


def test_number_nought_in_kaggles_table_is_no_image(tmp_path, edition):
    write_ilsvrc2012_kaggle(tmp_path, edition)
    wnid_of = dict(zip(edition.numbered("val"), edition.val_wnids, strict=True))
    write_solution(tmp_path / "LOC_val_solution.csv", wnid_of | {"ILSVRC2012_val_00000000": edition.wnids[0]})
    with pytest.raises(DataError, match=r"LOC_val_solution.csv, line 38: 'ILSVRC2012_val_00000000' is not the name"):
        find(tmp_path, complete=False)


def test_training_labels_shifted_against_the_names_are_refused(tmp_path, edition):
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_ilsvrc2012_parquet(tmp_path, edition)
    shard = tmp_path / "data" / "train-00000-of-00003.parquet"
    table = pq.ParquetFile(shard).read()
    pq.write_table(table.set_column(1, "label", pa.array(np.roll(table["label"].to_numpy(), 1))), shard)
    with pytest.raises(DataError, match="the label column was expected to number the sorted WordNet ids"):
        find(tmp_path, complete=False)
