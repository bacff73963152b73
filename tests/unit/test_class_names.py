"""Words in place of WordNet ids."""

import re

from alexnet2012.class_names import IDS, name_classes


def test_the_1000_ids_are_those_of_torchvision_s_words():
    ids = IDS.read_text(encoding="ascii").split()
    assert ids == sorted(set(ids)) and all(re.fullmatch(r"n\d{8}", each) for each in ids)
    names = name_classes(ids)
    assert len(set(names)) == len(ids) == 1000
    some = {
        "n01440764": "tench",
        "n02119789": "kit fox",
        "n04311004": "steel arch bridge",
        "n15075141": "toilet tissue",
    }
    assert {each: names[ids.index(each)] for each in some} == some


def test_ids_become_words_and_other_names_stay():
    assert name_classes(["n01440764", "n02012849", "n03126707"]) == ["tench", "crane bird", "crane"]
    assert name_classes(["n00000001", "cat", "n01440764 "]) == ["n00000001", "cat", "n01440764 "]
    assert name_classes(["n01440764", "tench"]) == ["n01440764", "tench"]  # names stay unlike each other
