import pytest

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.experiments import Config

TINY = {"kind": "tiny_imagenet", "folder": "images"}


def configure(**subsets) -> dict[str, DatasetConfig]:
    """Datasets of these subsets; one that is a whole section stands as it is."""
    sections = {
        name: subset if subset and "kind" in subset else {**TINY, "subset": subset} for name, subset in subsets.items()
    }
    experiment = {"dataset": "ours", "variant": "cnn", "seeds": [0], "tables": ["in_text"]}
    return Config.model_validate({"name": "some", "datasets": sections, "experiments": [experiment]}).datasets


def test_the_others_draw_is_what_identifies_the_classes_and_not_its_name():
    first, renamed, reseeded = (
        configure(ours={"classes_not_in": name}, **{name: {"classes": 40, "per_class": 9, "seed": seed}})["ours"]
        for name, seed in (("tiny40", 1), ("small", 1), ("tiny40", 2))
    )
    assert first.subset.left_out.classes == 40 and first.subset.left_out.per_class is None
    assert first.identity == renamed.identity and first.packing == renamed.packing
    assert first.identity != reseeded.identity and first.packing != reseeded.packing
    assert first.identity["subset"] == {"left_out": {"classes": 40, "seed": 1}}
    assert DatasetConfig.model_validate_json(first.model_dump_json()).identity == first.identity


def test_keys_combine_and_chains_are_followed():
    found = configure(
        ours={"classes_not_in": "second", "classes": 3, "per_class": 7, "seed": 4},
        second={"classes_not_in": "first", "classes": 20},
        first={"classes": 40},
    )
    assert found["ours"].identity["subset"] == {
        "classes": 3,
        "per_class": 7,
        "seed": 4,
        "left_out": {"classes": 20, "left_out": {"classes": 40}},
    }


def test_rotations_of_such_a_dataset_know_its_classes():
    sections = {"classes_not_in": "tiny40"}, {"classes": 40}, {"kind": "rotations", "of": "ours"}
    found = configure(ours=sections[0], tiny40=sections[1], turned=sections[2])
    assert found["turned"].source == found["ours"]


@pytest.mark.parametrize(
    ("datasets", "words"),
    [
        ({"ours": {"classes_not_in": "tiny4"}, "tiny40": {"classes": 40}}, "tiny4, .*did you mean .tiny40"),
        ({"ours": {"classes_not_in": "ours"}}, "ours: subset.classes_not_in is ours"),
        ({"ours": {"classes_not_in": "b"}, "b": {"classes_not_in": "ours"}}, "depend on those of b itself"),
        (
            {"ours": {"classes_not_in": "b"}, "b": {"classes_not_in": "c"}, "c": {"classes_not_in": "b"}},
            "depend on those of",
        ),
        ({"ours": {"classes_not_in": "b"}, "b": {"per_class": 9}}, "b, which has all classes"),
        ({"ours": {"classes_not_in": "b"}, "b": TINY}, "b, which has all classes"),
        ({"ours": {"classes_not_in": "b"}, "b": {"kind": "cifar10", "size_px": 32}}, "whose kind is cifar10"),
        ({"ours": {"classes_not_in": "b"}, "b": {**TINY, "folder": "x"}}, "whose folder is x, not images"),
        ({"ours": {"classes_not_in": "b"}, "b": {**TINY, "complete": False}}, "whose complete is False"),
    ],
)
def test_a_dataset_that_cannot_be_meant_is_refused(datasets, words):
    with pytest.raises(ValueError, match=words):
        configure(**datasets)


def test_tiny_imagenet_is_stored_at_its_own_size_unless_another_is_written():
    assert DatasetConfig(kind="tiny_imagenet").size_px == 64
    assert DatasetConfig(kind="tiny_imagenet", size_px=32).size_px == 32
    assert DatasetConfig(kind="imagefolder", folder="x").size_px == 256


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"kind": "tiny_imagenet", "val_fraction": 0.2}, "val_fraction"),
        ({"kind": "tiny_imagenet", "test_fraction": 0.3}, "test_fraction"),
        ({"kind": "tiny_imagenet", "splits": "both"}, "splits"),
        ({"kind": "cifar10", "size_px": 32, "splits": "merged"}, "splits"),
        ({"kind": "tiny_imagenet", "class_list": "x"}, "class_list"),
    ],
)
def test_settings_of_other_kinds_and_splits_are_refused(settings, key):
    with pytest.raises(ValueError, match=key):
        DatasetConfig(**settings)
