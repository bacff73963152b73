"""Names in words for the classes of ILSVRC-2012, which ImageNet's data name by their WordNet ids."""

from collections.abc import Sequence
from pathlib import Path

IDS = Path(__file__).with_name("class_ids.txt")  # of the 1,000 classes, in their order


def name_classes(classes: Sequence[str]) -> list[str]:
    """The classes' names with torchvision's words in place of WordNet ids: "n01440764" becomes "tench".

    Other names, ids that are not of ILSVRC-2012's 1,000 classes, and an id whose words are the name of another of these
    classes, stay as they are.
    """
    ids = IDS.read_text(encoding="ascii").split()
    if not set(ids) & set(classes):
        return list(classes)  # without the seconds that torchvision takes to import
    from torchvision.models import AlexNet_Weights

    words = dict(zip(ids, AlexNet_Weights.IMAGENET1K_V1.meta["categories"], strict=True))
    return [each if words.get(each) in classes else words.get(each, each) for each in classes]
