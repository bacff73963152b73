import numpy as np
import pytest
from fake_imagenet import LAYOUTS_2012, find, read_rows, write_ilsvrc2012_tars
from fake_images import write_pictures

from alexnet2012.errors import DataError


@pytest.mark.parametrize("layout", LAYOUTS_2012)
def test_a_subset_is_the_same_from_every_layout(layout, tmp_path, edition):
    LAYOUTS_2012[layout](tmp_path, edition)
    source = find(tmp_path, subset={"classes": 5, "per_class": 2, "seed": 7})
    chosen = sorted(np.random.default_rng(7).permutation(12)[:5].tolist())
    assert source.classes == tuple(edition.wnids[c] for c in chosen)
    assert source.part == "subset: 5 of 12 classes, at most 2 images of each per split, seed 7"
    assert set(source.splits) == {"train", "val"}
    for split in ("train", "val"):
        rows = read_rows(source, split)
        assert np.bincount([label for _, label, _ in rows]).tolist() == [2] * 5
        of_chosen = [
            (name, chosen.index(label), photo) for name, label, photo in edition.rows(split) if label in chosen
        ]
        assert rows == [row for row in of_chosen if row in rows]
    names = source.splits["train"].names.to_pylist()
    assert names == find(tmp_path, subset={"classes": 5, "per_class": 2, "seed": 7}).splits["train"].names.to_pylist()
    assert names != find(tmp_path, subset={"classes": 5, "per_class": 2, "seed": 8}).splits["train"].names.to_pylist()
    (tmp_path / "names").mkdir()
    LAYOUTS_2012["tars"](tmp_path / "names", edition)
    same = find(tmp_path / "names", subset={"classes": 5, "per_class": 2, "seed": 7})
    assert same.splits["train"].names.to_pylist() == names


def test_a_subset_of_classes_alone_keeps_every_image_and_the_ids(tmp_path, edition):
    write_ilsvrc2012_tars(tmp_path, edition)
    source = find(tmp_path, subset={"classes": 3})
    assert [len(source.splits[split]) for split in ("train", "val")] == [18, 9]
    assert source.official_ids == tuple(edition.ids[edition.wnids.index(wnid)] for wnid in source.classes)
    with pytest.raises(DataError, match=r"subset.classes is 13, but ILSVRC-2012 from .* has 12 classes; ask for fewer"):
        find(tmp_path, subset={"classes": 13})


def test_an_image_folder_has_subsets_too(tmp_path):
    for name in ("a", "b", "c"):
        write_pictures(tmp_path / name, 10)
    source = find(tmp_path, "imagefolder", subset={"classes": 2, "per_class": 3})
    counts = {name: np.bincount(split.labels).tolist() for name, split in source.splits.items()}
    assert counts == {"train": [3, 3], "val": [1, 1], "test": [2, 2]}
    drawn, subset = source.part.split("; ")
    assert drawn.startswith("val and test drawn from train")
    assert subset == "subset: 2 of 3 classes, at most 3 images of each per split, seed 2012"
