"""The expected number of images of a dataset that is not packed yet."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from alexnet2012.config.datasets import DOWNSAMPLED, RELEASES, TINY_IMAGENET, DatasetConfig
from alexnet2012.data.sources.classes import read_class_list
from alexnet2012.data.sources.downsampled_imagenet import EXPECTED as DOWNSAMPLED_IMAGENET
from alexnet2012.data.sources.downsampled_imagenet import count_downsampled_imagenet
from alexnet2012.data.sources.find import check_source, find_source
from alexnet2012.data.sources.tiny_imagenet import EXPECTED as TINY
from alexnet2012.data.sources.tiny_imagenet import count_tiny_imagenet
from alexnet2012.data.sources.verify import ILSVRC2010, ILSVRC2012

# CIFAR-10's val is 500 images of each class of train. §6: Fall 2009 has 8.9 million images in 10,184 categories. The
# whole of Fall 2011 has 15 million in 22 thousand.
PUBLISHED = {
    "cifar10": ({"train": 45_000, "val": 5_000, "test": 10_000}, 10),
    DOWNSAMPLED: (count_downsampled_imagenet(), DOWNSAMPLED_IMAGENET.classes),
    "ilsvrc2010": (ILSVRC2010.counts, ILSVRC2010.classes),
    "ilsvrc2012": (ILSVRC2012.counts, ILSVRC2012.classes),
    TINY_IMAGENET: (TINY.counts, TINY.classes),
    "fall2009": ({"train": 8_900_000}, 10_184),
    "fall2011": ({"train": 15_000_000}, 22_000),
}
UNKNOWN_CLASSES = 1000


def expect_images(config: DatasetConfig) -> dict[str, Any]:
    """`images` of each split, number of `classes`, and the `origin` of these numbers: published, or counted by listing
    the images (`images` is empty if they are missing). `exact`: False if the numbers are estimates; `at_most`: there
    may be fewer.

    Raises DataError for images that cannot be packed.
    """
    if config.kind in PUBLISHED:
        return expect_published(config)
    sure = {"exact": True, "at_most": False}
    if check_source(config):
        return sure | {"images": {}, "classes": UNKNOWN_CLASSES, "origin": "its images are missing", "exact": False}
    with redirect_stdout(sys.stderr):
        print(f"listing the images of {config.folder}", flush=True)
        source = find_source(config, Path())  # the data folder, which this kind does not use
    images = {split: len(listing) for split, listing in source.splits.items()}
    return sure | {"images": images, "classes": len(source.classes), "origin": source.description}


def expect_published(config: DatasetConfig) -> dict[str, Any]:
    """The published numbers of a dataset; for a part of the classes, in proportion."""
    images, classes = PUBLISHED[config.kind]
    kept, subset = classes, config.subset
    if config.kind == TINY_IMAGENET:
        images = count_tiny_imagenet(config)
    if config.kind in RELEASES:
        val, test = (round(images["train"] * share) for share in (config.val_fraction, config.test_fraction))
        images = {"train": images["train"] - val - test, "val": val, "test": test}
        class_list = Path(str(config.class_list)).expanduser()
        kept = min(kept, len(read_class_list(class_list))) if class_list.is_file() else kept
    if subset is not None:
        kept = subset.count_classes(kept)
        images = {split: images[split] for split in ("train", *config.evaluated_splits)}
    images = {split: count * kept // classes for split, count in images.items()}
    if subset is not None and subset.per_class is not None:
        images = {split: min(count, subset.per_class * kept) for split, count in images.items()}
    at_most = config.kind == "ilsvrc2012" or not config.complete  # ILSVRC-2012's test images are optional
    exact = config.kind not in RELEASES and subset is None and not at_most
    return {"images": images, "classes": kept, "origin": "as published", "exact": exact, "at_most": at_most}
