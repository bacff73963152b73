"""How many images a dataset has, as well as can be known before it is packed."""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

from alexnet2012.config.datasets import EDITIONS, DatasetConfig
from alexnet2012.data.decode import IMAGE_FORMATS
from alexnet2012.data.packed import SPLITS
from alexnet2012.data.sources import layouts
from alexnet2012.data.sources.class_list import read_class_list
from alexnet2012.data.sources.draw import share_of
from alexnet2012.data.sources.rotations import ORIENTATIONS
from alexnet2012.data.sources.shards import find_shards
from alexnet2012.data.sources.verify import ILSVRC2010, ILSVRC2012

# CIFAR-10 with 500 images a class drawn for val; the editions as they are published.
KNOWN = {
    "cifar10": ({"train": 45_000, "val": 5_000, "test": 10_000}, 10),
    "ilsvrc2010": (ILSVRC2010.counts, ILSVRC2010.classes),
    "ilsvrc2012": (ILSVRC2012.counts, ILSVRC2012.classes),
}
# §6: Fall 2009 has 8.9 million images of 10,184 categories; the whole of Fall 2011, 15 million of 22 thousand.
RELEASE_IMAGES = {"fall2009": (8_900_000, 10_184), "fall2011": (15_000_000, 22_000)}
UNKNOWN_CLASSES = 1000


@dataclass(frozen=True)
class ImageCounts:
    """`images` by split and the number of classes; `origin` says in words where they come from.

    `packed`: they are those of the manifest of a packed dataset. `packed_otherwise`: what is packed there was made from
    other settings or images, and will be packed again. `exact` is False for what was drawn, is only known roughly, or
    may be less (`at_most`).
    """

    images: dict[str, int]
    classes: int
    origin: str
    packed: bool = False
    exact: bool = True
    packed_otherwise: bool = False
    at_most: bool = False


def count_images(name: str, dataset: DatasetConfig, data_folder: Path) -> ImageCounts:
    """From the manifest of the packed dataset, the edition's own numbers, or a look at the folder of images.

    A folder that is not there is no error: its images are counted as none.
    """
    packed = read_manifest(data_folder / name, dataset)
    if packed and not packed.packed_otherwise:
        return packed
    if dataset.source is not None:
        images = count_images(str(dataset.of), dataset.source, data_folder)
        counts = {split: ORIENTATIONS * count for split, count in images.images.items()}
        return replace(
            images,
            images=counts,
            classes=ORIENTATIONS * images.classes,
            origin=f"{dataset.of} in {ORIENTATIONS} orientations",
            packed=False,
            packed_otherwise=packed is not None,
        )
    if dataset.kind in KNOWN:
        numbers, classes = KNOWN[dataset.kind]
        images = dict(numbers) if dataset.kind != "ilsvrc2012" or holds_test(dataset) else {**numbers, "test": 0}
        found = ImageCounts(images, classes, "the edition's own numbers")
        if dataset.kind in EDITIONS and not dataset.complete:
            found = replace(found, exact=False, at_most=True)
    elif dataset.kind in RELEASE_IMAGES:
        found = estimate_release(dataset)
    elif not (folder := layouts.source_folder(dataset)).is_dir():
        found = ImageCounts(dict.fromkeys(SPLITS, 0), UNKNOWN_CLASSES, "the folder is not there", exact=False)
    else:
        found = count_folder(folder, dataset)
    return replace(take_subset(found, dataset), packed_otherwise=packed is not None)


def read_manifest(folder: Path, dataset: DatasetConfig) -> ImageCounts | None:
    """What a packed dataset's manifest counts, and whether it was packed otherwise than `dataset` says; None where
    there is none, or no note of what it was packed from."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        made_from = DatasetConfig(**json.loads((folder / "preparation.json").read_text(encoding="utf-8"))["dataset"])
        counts = {name: int(manifest["counts"].get(name, 0)) for name in SPLITS}
        same = made_from.identity == dataset.identity
        return ImageCounts(counts, len(manifest["classes"]), "its manifest", same, packed_otherwise=not same)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def holds_test(dataset: DatasetConfig) -> bool:
    """Whether the images of 2012's test set, which nothing needs, lie beside the others and will be packed."""
    folder = layouts.source_folder(dataset)
    there = {
        "tars": layouts.first_file(folder, layouts.TESTS_2012) is not None,
        "kaggle": (layouts.kaggle_root(folder) / layouts.KAGGLE_IMAGES / "test").is_dir(),
        "parquet": bool(find_shards(folder, "test").paths),
        "folder": (folder / "test").is_dir(),
    }
    found = [name for name, look in layouts.LAYOUTS_2012.items() if look(folder).marks]
    return any(there[name] for name in (found if dataset.layout == "auto" else [dataset.layout]))


def estimate_release(dataset: DatasetConfig) -> ImageCounts:
    """The share of a release's images that the classes of the list have on average, split by the fractions.

    A list that is not there is taken for one of all classes. Raises DataError for one that cannot be read.
    """
    images, classes = RELEASE_IMAGES[dataset.kind]
    try:
        listed = len(read_class_list(Path(str(dataset.class_list)).expanduser()))
    except OSError:
        listed = classes
    total = round(images * min(1.0, listed / classes))
    val, test = round(total * dataset.val_fraction), round(total * dataset.test_fraction)
    return ImageCounts(
        dict(zip(SPLITS, (total - val - test, val, test), strict=True)),
        min(listed, classes),
        f"about {images / 1e6:g} million images of {classes:,} classes, as the paper says",
        exact=False,
    )


def count_folder(folder: Path, dataset: DatasetConfig) -> ImageCounts:
    """Files of class folders by their suffixes, without opening any; what has no split of its own is drawn."""

    def count_classes(root: Path) -> list[int]:
        with os.scandir(root) as entries:
            classes = sorted(entry.path for entry in entries if entry.is_dir() and not entry.name.startswith("."))
        counts = []
        for path in classes:
            with os.scandir(path) as files:
                names = [file.name for file in files if not file.name.startswith(".")]
            counts.append(sum(os.path.splitext(name)[1].lower() in IMAGE_FORMATS for name in names))  # noqa: PTH122
        return counts

    given = {name: folder / name for name in SPLITS if (folder / name).is_dir()}
    classes = {name: count_classes(root) for name, root in (given or {"train": folder}).items()}
    train = classes.get("train", [])
    images = {name: sum(each) for name, each in classes.items()}
    for name, fraction in (("val", dataset.val_fraction), ("test", dataset.test_fraction)):
        if name not in classes:
            images[name] = sum(share_of(count, fraction) for count in train)
            images["train"] = images.get("train", 0) - images[name]
    images = {name: max(0, images.get(name, 0)) for name in SPLITS}
    return ImageCounts(images, len(train), f"counted in {folder}")


def take_subset(found: ImageCounts, dataset: DatasetConfig) -> ImageCounts:
    """The part that `subset` leaves, for classes of equal size; a split whose labels are withheld is left out of it."""
    subset = dataset.subset
    if subset is None or found.packed:
        return found
    classes = min(found.classes, subset.classes or found.classes)
    images = {}
    for name, count in found.images.items():
        share = count * classes // max(1, found.classes) if name in ("train", *dataset.evaluated_splits) else 0
        images[name] = min(share, subset.per_class * classes) if subset.per_class else share
    origin = f"{found.origin}, less by its subset"
    return replace(found, images=images, classes=classes, origin=origin, exact=False, at_most=False)
