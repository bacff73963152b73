"""Class lists and the names of shards: what is wrong with them is said before any image is read."""

import shutil

import pytest
from fake_imagenet import write_ilsvrc2012_parquet, write_release

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.sources import ilsvrc2012
from alexnet2012.data.sources.classes import read_class_list
from alexnet2012.data.sources.find import check_source, find_source
from alexnet2012.data.sources.names import list_some
from alexnet2012.errors import DataError


@pytest.fixture
def shards(drawn, monkeypatch, tmp_path):
    """The folder data/ of an edition in 3 shards of each split."""
    monkeypatch.setattr(ilsvrc2012, "ILSVRC2012", drawn.expected)
    write_ilsvrc2012_parquet(tmp_path, drawn)
    return tmp_path / "data"


def config(folder, **settings) -> DatasetConfig:
    return DatasetConfig(kind="ilsvrc2012", folder=str(folder), **settings)


def release(folder, class_list) -> DatasetConfig:
    return DatasetConfig(kind="fall2011", folder=str(folder), class_list=str(class_list))


def test_a_shard_that_is_missing_is_told_before_anything_is_read(shards):
    for shard in shards.iterdir():
        shard.write_bytes(b"unreadable")
    (shards / "train-00001-of-00003.parquet").unlink()
    (shards / "test-00002-of-00003.parquet").unlink()
    hint = "; fetch them, or set complete: false to accept the images that are there"
    assert check_source(config(shards.parent)) == [
        f"{shards}/train-*-of-00003.parquet: 1 of 3 shards are missing: 1{hint}",
        f"{shards}/test-*-of-00003.parquet: 1 of 3 shards are missing: 2{hint}",
    ]
    with pytest.raises(DataError, match="1 of 3 shards are missing: 1"):
        find_source(config(shards.parent), shards)


def test_trials_may_lack_shards(shards, capsys):
    (shards / "train-00001-of-00003.parquet").unlink()
    source = find_source(config(shards.parent, complete=False), shards)
    assert len(source.splits["train"]) == 48
    assert "shards are missing: 1" in capsys.readouterr().out


@pytest.mark.parametrize("other", ["train-00000-of-00004.parquet", "train-0-of-3.parquet", "train-all.parquet"])
def test_two_sets_of_shards_are_refused_even_for_trials(other, shards):
    shutil.copy(shards / "train-00000-of-00003.parquet", shards / other)
    with pytest.raises(DataError, match=r"holds shards of two sets, such as train-0.* and train-.*; remove"):
        find_source(config(shards.parent, complete=False), shards)


def test_sets_of_shards_in_two_folders_are_refused(shards):
    shutil.copy(shards / "validation-00000-of-00003.parquet", shards.parent)
    with pytest.raises(DataError, match=r"validation-\*.parquet lie in .* as well as in its data/; remove one"):
        find_source(config(shards.parent, complete=False), shards)


def test_shards_may_carry_a_hash_or_no_numbers(shards):
    for shard in shards.glob("train-*"):
        shard.rename(shard.with_name(f"{shard.stem}-0a1b2c.parquet"))
    (shards / "test-00000-of-00003.parquet").rename(shards / "test-a.parquet")
    for number in (1, 2):
        (shards / f"test-0000{number}-of-00003.parquet").rename(shards / f"test-{number}.parquet")
    assert find_source(config(shards.parent), shards).part == ""


def test_a_class_list_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "classes.txt").write_text("n00000002 a\n# n00000003\nn00000001 # b\n", encoding="utf-8-sig")
    assert read_class_list(tmp_path / "classes.txt") == ("n00000001", "n00000002")


def test_a_class_that_is_listed_twice_is_named_with_its_lines(tmp_path):
    (tmp_path / "classes.txt").write_text("n00000002\n\nn00000001\nn00000002 again\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"classes.txt names n00000002 twice, in lines 1 and 4"):
        read_class_list(tmp_path / "classes.txt")


def test_a_class_list_that_is_a_folder_is_told(tmp_path, drawn):
    write_release(tmp_path, drawn)
    assert check_source(release(tmp_path, tmp_path / "more")) == [
        f"the class list {tmp_path}/more is a folder; name a file with a WordNet id on each of its lines"
    ]
    with pytest.raises(DataError, match="more is a folder; a file with a WordNet id on each line was expected"):
        read_class_list(tmp_path / "more")


def test_lists_in_messages_keep_to_one_line():
    assert list_some(["a\nb", "c", "d"], limit=2) == r"a\nb, c and 1 more"
