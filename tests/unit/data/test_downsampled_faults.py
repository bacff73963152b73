"""What can be wrong with the batches of downsampled ImageNet is told by the file's name, before any image is packed."""

import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_downsampled import (
    EXPECTED,
    SIDE,
    WNIDS,
    Batch,
    draw_batches,
    find,
    relabelled,
    write_class_map,
    write_npz,
    write_pickle,
    write_pickles,
)

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.sources import downsampled_batches, downsampled_imagenet
from alexnet2012.data.sources.find import check_source
from alexnet2012.data.sources.small_layouts import TRAIN, VAL
from alexnet2012.errors import DataError

BATCHES = draw_batches()
THIRD = BATCHES[TRAIN[2]]
VALUES = THIRD.values
PICKLE, NPZ = TRAIN[2], f"Imagenet64_train_part1_npz/{TRAIN[2]}.npz"


class RunsCode:
    """Leaves a folder behind where its pickle is loaded by pickle.load."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(downsampled_imagenet, "EXPECTED", EXPECTED)
    monkeypatch.setattr(downsampled_imagenet, "VAL_PER_CLASS", 3)


def refusal(folder: Path, **settings) -> str:
    with pytest.raises(DataError) as raised:
        find(folder, **settings)
    return str(raised.value)


def cut(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def flip_a_byte(path: Path) -> None:
    """In the middle of the pixels."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def claim_more_images(path: Path) -> None:
    """An array whose header announces more than it holds, in a sound archive."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content.replace(b"(9, 3072)", b"(8, 3072)") if name == "data.npy" else content)


def values_without(key: str) -> dict:
    return {name: value for name, value in VALUES.items() if name != key}


def pickled(values: object) -> Callable[[Path], None]:
    return lambda folder: write_pickle(folder / PICKLE, values)


# By what names tell alone: the change, and what the one sentence has.
MISPLACED = {
    "no folder": (shutil.rmtree, ""),
    "nothing in it": (lambda folder: [path.unlink() for path in folder.iterdir()], "train_data_batch_1"),
    "a training batch missing": (lambda folder: (folder / TRAIN[3]).unlink(), "train_data_batch_4"),
    "val_data missing": (lambda folder: (folder / VAL).unlink(), "val_data"),
    "a folder in place of a batch": (
        lambda folder: ((folder / TRAIN[3]).unlink(), (folder / TRAIN[3]).mkdir()),
        "train_data_batch_4",
    ),
    "a pickle and its npz": (lambda folder: write_npz(folder, {TRAIN[4]: BATCHES[TRAIN[4]]}), "train_data_batch_5.npz"),
    "one batch in two folders": (
        lambda folder: ((folder / "again").mkdir(), shutil.copy(folder / TRAIN[5], folder / "again")),
        "again/train_data_batch_6",
    ),
    "an eleventh training batch": (lambda folder: shutil.copy(folder / VAL, folder / "train_data_batch_11"), "_11"),
    "a batch numbered from 0": (lambda folder: shutil.copy(folder / VAL, folder / "train_data_batch_0"), "_0"),
    "an archive that is not unpacked": (
        lambda folder: (folder / VAL).rename(folder / "Imagenet32_val.zip"),
        "Imagenet32_val.zip",
    ),
}

# By what the files hold; they are pickles, or npz where the change is of NPZ.
DAMAGED = {
    "a pickle cut short": (lambda folder: cut(folder / PICKLE, 0.6), PICKLE),
    "an empty pickle": (lambda folder: cut(folder / PICKLE, 0), PICKLE),
    "an npz cut short": (lambda folder: cut(folder / NPZ, 0.9), NPZ),
    "an empty npz": (lambda folder: cut(folder / NPZ, 0), NPZ),
    "an npz with another byte": (lambda folder: flip_a_byte(folder / NPZ), NPZ),
    "a pickle as npz": (lambda folder: write_pickle(folder / NPZ, VALUES), NPZ),
    "an npz of fewer images than it holds": (lambda folder: claim_more_images(folder / NPZ), NPZ),
    "labels as objects": (
        lambda folder: np.savez(folder / NPZ, data=VALUES["data"], labels=np.array([*range(9)], object)),
        NPZ,
    ),
    "columns before rows": (
        lambda folder: np.savez(folder / NPZ, data=np.asfortranarray(VALUES["data"]), labels=THIRD.labels),
        NPZ,
    ),
    "an npz without data": (lambda folder: np.savez(folder / NPZ, images=THIRD.images, labels=THIRD.labels), "`data`"),
    "a page of HTML": (lambda folder: (folder / PICKLE).write_text("<html>log in first</html>"), PICKLE),
    "a list": (pickled([1, 2]), "list"),
    "no data": (pickled(values_without("data")), "`data`"),
    "no labels": (pickled(values_without("labels")), "`labels`"),
    "pixels as floats": (pickled(VALUES | {"data": VALUES["data"] / np.float32(255)}), "float32"),
    "images of three axes": (pickled(VALUES | {"data": THIRD.images}), r"\(9, 32, 32, 3\)"),
    "images of 16 pixels": (pickled(draw_batches(side=16)[PICKLE].values), r"\(9, 768\)"),
    "a number for data": (pickled(VALUES | {"data": 7}), "`data`"),
    "one batch of 64 pixels": (pickled(draw_batches(side=64)[PICKLE].values), "64 pixels"),
    "labels from 0": (pickled(relabelled(THIRD, 4, 0).values), "image 4 is 0"),
    "a label too large": (pickled(relabelled(THIRD, 8, 6).values), "image 8 is 6"),
    "a label too few": (pickled(VALUES | {"labels": VALUES["labels"][1:]}), r"\(8,\)"),
    "labels as floats": (pickled(VALUES | {"labels": THIRD.labels / 1.0}), "float64"),
    "labels as words": (pickled(VALUES | {"labels": ["fox"] * 9}), "labels"),
    "more bytes than there can be": (
        lambda folder: (folder / PICKLE).write_bytes(b"\x80\x04\x8e" + (2**62).to_bytes(8, "little")),
        "memory",
    ),
    "another batch again": (pickled(BATCHES[TRAIN[7]].values), TRAIN[7]),
    "val again as training": (pickled(BATCHES[VAL].values), VAL),
    "training and val swapped": (
        lambda folder: write_pickles(folder, {PICKLE: BATCHES[VAL], VAL: THIRD}),
        f"{VAL} .*{PICKLE}",
    ),
    "an image too few": (pickled(replace(THIRD, labels=THIRD.labels[1:], images=THIRD.images[1:]).values), "8 of 9"),
    "classes of val that are not equal": (
        lambda folder: write_pickles(folder, {VAL: relabelled(BATCHES[VAL], 0, 1 + BATCHES[VAL].labels[0] % 5)}),
        "class-000",
    ),
    "a class of train with too few": (pickled(replace(THIRD, labels=np.full(9, 1)).values), "class-0001 has at least"),
}


@pytest.mark.parametrize("fault", MISPLACED)
def test_what_names_tell_is_one_sentence_without_opening_a_file(fault, tmp_path):
    change, named = MISPLACED[fault]
    folder = tmp_path / "batches"
    write_pickles(folder, BATCHES)
    change(folder)
    (sentence,) = check_source(DatasetConfig(kind="downsampled_imagenet", folder=str(folder), size_px=SIDE))
    assert str(folder) in sentence and named in sentence and "\n" not in sentence
    assert sentence in refusal(folder)


@pytest.mark.parametrize("fault", DAMAGED)
def test_what_a_file_holds_is_told_with_its_name(fault, tmp_path):
    change, named = DAMAGED[fault]
    write = write_npz if named == NPZ or "npz" in fault else write_pickles
    write(tmp_path, BATCHES)
    change(tmp_path)
    with pytest.raises(DataError, match=named) as raised:
        find(tmp_path)
    if "class" not in fault:  # else it is told class by class
        assert PICKLE in str(raised.value)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("form", [PICKLE, NPZ])
def test_a_file_cut_anywhere_is_told(form, share, tmp_path):
    (write_npz if form == NPZ else write_pickles)(tmp_path, BATCHES)
    cut(tmp_path / form, share)
    assert f"{tmp_path / form} cannot be read" in refusal(tmp_path)


def test_nothing_that_a_pickle_asks_for_is_run(tmp_path):
    write_pickles(tmp_path, BATCHES)
    for values in (VALUES | {"labels": RunsCode(tmp_path / "mark")}, RunsCode(tmp_path / "mark")):
        write_pickle(tmp_path / PICKLE, values)
        assert f"{PICKLE} cannot be read: UnpicklingError: it asks for posix.mkdir" in refusal(tmp_path)
    assert not (tmp_path / "mark").exists()
    pickle.loads((tmp_path / PICKLE).read_bytes())
    assert (tmp_path / "mark").exists()  # pickle.load does


def test_all_of_another_size_say_which_to_write(tmp_path):
    write_pickles(tmp_path, draw_batches(side=64))
    assert "write size_px: 64" in refusal(tmp_path)


def test_a_batch_that_is_damaged_between_check_and_packing_is_told(tmp_path):
    write_npz(tmp_path, BATCHES)
    images = find(tmp_path).splits["train"].read()
    flip_a_byte(tmp_path / NPZ)
    with pytest.raises(DataError, match=NPZ):
        list(images)


def test_incomplete_releases_need_val_and_one_training_batch(tmp_path):
    some = DatasetConfig(kind="downsampled_imagenet", folder=str(tmp_path), size_px=SIDE, complete=False)
    write_pickles(tmp_path, {TRAIN[2]: THIRD})
    (sentence,) = check_source(some)
    assert VAL in sentence
    write_pickles(tmp_path, {VAL: BATCHES[VAL]})
    assert check_source(some) == []
    (tmp_path / TRAIN[2]).unlink()
    assert len(check_source(some)) == 10


def test_a_class_with_too_few_images_to_draw_val_from_is_named(tmp_path):
    write_pickles(tmp_path, {TRAIN[2]: THIRD, VAL: BATCHES[VAL]})
    assert "class-0001 has only" in refusal(tmp_path, complete=False)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (WNIDS[:4], "4 WordNet ids for 4 numbers"),
        ((*WNIDS[:4], WNIDS[0]), "4 WordNet ids for 5 numbers"),
        ((*WNIDS, "n00000006"), "line 6"),
        (("fox", *WNIDS[1:]), "line 1"),
        (("n0211978", *WNIDS[1:]), "line 1"),
        (("n02119789 3", *WNIDS[1:]), "line 3"),
    ],
)
def test_a_map_of_classes_that_is_not_whole_is_refused(lines, words, tmp_path):
    write_pickles(tmp_path, BATCHES)
    write_class_map(tmp_path / "map_clsloc.txt", lines)
    message = refusal(tmp_path)
    assert "map_clsloc.txt" in message and words in message


def test_batches_of_any_protocol_that_holds_plain_arrays_are_read(tmp_path):
    write_pickles(tmp_path, BATCHES)
    digests = set()
    for protocol in (3, 4):
        (tmp_path / PICKLE).write_bytes(pickle.dumps(VALUES, protocol))
        digests.add(downsampled_batches.read_batch(tmp_path / PICKLE).digest)
    (tmp_path / PICKLE).write_bytes(pickle.dumps(Batch(THIRD.labels, THIRD.images).values | {"mean": None}, 3))
    digests.add(downsampled_batches.read_batch(tmp_path / PICKLE).digest)
    assert len(digests) == 1
