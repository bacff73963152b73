"""Words in place of WordNet ids."""

import re

from torchvision.models import AlexNet_Weights

from alexnet2012.class_names import name_classes, read_table


def test_the_1000_classes_are_in_their_order_with_torchvision_s_words():
    words = read_table()
    assert list(words.values()) == AlexNet_Weights.IMAGENET1K_V1.meta["categories"]
    assert list(words) == sorted(words) and all(re.fullmatch(r"n\d{8}", each) for each in words)


def test_ids_become_words_and_other_names_stay():
    assert name_classes(["n01440764", "n02012849", "n03126707"]) == ["tench", "crane bird", "crane"]
    assert name_classes(["n00000001", "cat", "n01440764 "]) == ["n00000001", "cat", "n01440764 "]
    assert name_classes(["n01440764", "tench"]) == ["n01440764", "tench"]  # names stay unlike each other
