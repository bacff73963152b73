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
    draw_batches,
    find,
    relabelled,
    write_class_map,
    write_npz,
    write_pickle,
    write_pickles,
)

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.sources import downsampled_imagenet
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


def pickled(values: object) -> Callable[[Path], None]:
    return lambda folder: write_pickle(folder / PICKLE, values)


# By what names tell alone: the change, and what the one sentence has.
MISPLACED = {
    "no folder": (shutil.rmtree, ""),
    "a training batch missing": (lambda folder: (folder / TRAIN[3]).unlink(), "train_data_batch_4"),
    "a pickle and its npz": (lambda folder: write_npz(folder, {TRAIN[4]: BATCHES[TRAIN[4]]}), "train_data_batch_5.npz"),
    "one batch in two folders": (
        lambda folder: ((folder / "again").mkdir(), shutil.copy(folder / TRAIN[5], folder / "again")),
        "again/train_data_batch_6",
    ),
    "a batch numbered from 0": (lambda folder: shutil.copy(folder / VAL, folder / "train_data_batch_0"), "_0"),
    "an archive that is not unpacked": (
        lambda folder: (folder / VAL).rename(folder / "Imagenet32_val.zip"),
        "Imagenet32_val.zip",
    ),
}

# By what the files hold; they are pickles, or npz where the change is of NPZ.
DAMAGED = {
    "a pickle cut short": (lambda folder: cut(folder / PICKLE, 0.6), PICKLE),
    "an npz cut short": (lambda folder: cut(folder / NPZ, 0.9), NPZ),
    "an npz with another byte": (lambda folder: flip_a_byte(folder / NPZ), NPZ),
    "an npz of fewer images than it holds": (lambda folder: claim_more_images(folder / NPZ), NPZ),
    "pixels as floats": (pickled(VALUES | {"data": VALUES["data"] / np.float32(255)}), "float32"),
    "images of 16 pixels": (pickled(draw_batches(side=16)[PICKLE].values), r"\(9, 768\)"),
    "one batch of 64 pixels": (pickled(draw_batches(side=64)[PICKLE].values), "64 pixels"),
    "labels from 0": (pickled(relabelled(THIRD, 4, 0).values), "image 4 is 0"),
    "a label too few": (pickled(VALUES | {"labels": VALUES["labels"][1:]}), r"\(8,\)"),
    "more bytes than there can be": (
        lambda folder: (folder / PICKLE).write_bytes(b"\x80\x04\x8e" + (2**62).to_bytes(8, "little")),
        "memory",
    ),
    "another batch again": (pickled(BATCHES[TRAIN[7]].values), TRAIN[7]),
    "training and val swapped": (
        lambda folder: write_pickles(folder, {PICKLE: BATCHES[VAL], VAL: THIRD}),
        f"{VAL} .*{PICKLE}",
    ),
    "an image too few": (pickled(replace(THIRD, labels=THIRD.labels[1:], images=THIRD.images[1:]).values), "8 of 9"),
    "classes of val that are not equal": (
        lambda folder: write_pickles(folder, {VAL: relabelled(BATCHES[VAL], 0, 1 + BATCHES[VAL].labels[0] % 5)}),
        "class-000",
    ),
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


def test_nothing_that_a_pickle_asks_for_is_run(tmp_path):
    write_pickles(tmp_path, BATCHES)
    for values in (VALUES | {"labels": RunsCode(tmp_path / "mark")}, RunsCode(tmp_path / "mark")):
        write_pickle(tmp_path / PICKLE, values)
        assert f"{PICKLE} cannot be read: UnpicklingError: it asks for posix.mkdir" in refusal(tmp_path)
    assert not (tmp_path / "mark").exists()
    pickle.loads((tmp_path / PICKLE).read_bytes())
    assert (tmp_path / "mark").exists()  # pickle.load does


def test_incomplete_releases_need_val_and_one_training_batch(tmp_path):
    some = DatasetConfig(kind="downsampled_imagenet", folder=str(tmp_path), size_px=SIDE, complete=False)
    write_pickles(tmp_path, {TRAIN[2]: THIRD})
    (sentence,) = check_source(some)
    assert VAL in sentence
    write_pickles(tmp_path, {VAL: BATCHES[VAL]})
    assert check_source(some) == []
    (tmp_path / TRAIN[2]).unlink()
    assert len(check_source(some)) == 10


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((*WNIDS[:4], WNIDS[0]), "4 WordNet ids for 5 numbers"),
        ((*WNIDS, "n00000006"), "line 6"),
        (("fox", *WNIDS[1:]), "line 1"),
    ],
)
def test_a_map_of_classes_that_is_not_whole_is_refused(lines, words, tmp_path):
    write_pickles(tmp_path, BATCHES)
    write_class_map(tmp_path / "map_clsloc.txt", lines)
    message = refusal(tmp_path)
    assert "map_clsloc.txt" in message and words in message
