"""Names in words for the classes of ILSVRC-2012, which ImageNet's data name by their WordNet ids."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

# A line per class, "n01440764 tench": WordNet's first synonym, longer where two classes share it; the same words as in
# torchvision's AlexNet_Weights.IMAGENET1K_V1.meta["categories"].
TABLE = Path(__file__).with_name("class_names.txt")


def name_classes(classes: Sequence[str]) -> list[str]:
    """The classes' names with words in place of WordNet ids: "n01440764" becomes "tench".

    Other names, ids that are not of ILSVRC-2012's 1,000 classes, and an id whose words are the name of another of these
    classes, stay as they are.
    """
    words = read_table()
    return [each if words.get(each) in classes else words.get(each, each) for each in classes]


@cache
def read_table() -> dict[str, str]:
    """The words for each WordNet id."""
    lines = TABLE.read_text(encoding="ascii").splitlines()
    return dict(line.split(" ", 1) for line in lines)
