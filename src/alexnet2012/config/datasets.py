"""The `datasets:` section of a configuration: where images come from, how they are split, checked and stored."""

from collections.abc import Set
from typing import Any, Literal

from pydantic import Field, model_validator

from alexnet2012.config.validate import Section, dump_departures, suggest

# sha256 of CIFAR-10's pixels and labels in the official order, see data/sources/cifar10.py.
CIFAR10_DIGEST = "80387ddb9a0edf3fc4a964ee3770296169bb26a651050df20035579673099660"

EDITIONS = ("ilsvrc2010", "ilsvrc2012")
RELEASES = ("fall2009", "fall2011")
TINY_IMAGENET = "tiny_imagenet"
TINY_IMAGENET_PX = 64
DOWNSAMPLED = "downsampled_imagenet"
DOWNSAMPLED_PX = (32, 64)
SIZES_PX = {"cifar10": (32,), DOWNSAMPLED: DOWNSAMPLED_PX}  # the kinds that are stored as they were published
KINDS_DECODED = ("imagefolder", *EDITIONS, *RELEASES, TINY_IMAGENET)
KINDS_AS_THEY_ARE = ("cifar10", DOWNSAMPLED, "rotations")  # raw pixels of the stored size
KINDS_IN_ARCHIVES = (*EDITIONS, *RELEASES, TINY_IMAGENET, DOWNSAMPLED)  # checked whole before the first job

# The kinds that accept each of these settings; other kinds refuse it. Rotations take their images from another dataset.
ONLY_FOR = {
    "of": ("rotations",),
    "layout": EDITIONS,
    "class_list": RELEASES,
    "splits": (TINY_IMAGENET,),
    "subset": (*KINDS_DECODED, DOWNSAMPLED),
    **dict.fromkeys(("storage", "bad_images"), KINDS_DECODED),
    **dict.fromkeys(("folder", "split_seed", "complete"), ("cifar10", *KINDS_DECODED, DOWNSAMPLED)),
    **dict.fromkeys(("val_fraction", "test_fraction"), ("cifar10", *KINDS_DECODED)),
    **dict.fromkeys(("jpeg_quality", "max_bad_images"), ("cifar10", *KINDS_DECODED)),
}
# By required setting: the kinds that require it, and an example value.
NEEDED = {
    "of": (("rotations",), "NAME of the dataset whose images are rotated"),
    "folder": (("imagefolder", *EDITIONS, *RELEASES, DOWNSAMPLED), "path/to/images"),
    "class_list": (RELEASES, "path/to/file with one WordNet id on each line"),
}

# Settings that locate images or handle unreadable ones; they do not change which images are packed.
PLACE = {"folder", "layout"}
TOLERANCE = {"bad_images", "max_bad_images"}
# Settings that a known digest covers, or that `identity` adds to it explicitly.
BESIDE_DIGEST = {"kind", "digest", "size_px", "split_seed", "storage", "jpeg_quality"}


class SubsetConfig(Section):
    """A random part of a dataset: `classes` of its classes, at most `per_class` images of each in each split.

    `classes_not_in`: another dataset's name; the classes of its subset are left out before `classes` are drawn.
    `left_out`: that dataset's subset, filled in by Config.
    """

    classes: int | None = Field(default=None, ge=2)
    per_class: int | None = Field(default=None, ge=1)
    seed: int = Field(default=2012, ge=0)
    classes_not_in: str | None = None
    left_out: "SubsetConfig | None" = None

    @model_validator(mode="after")
    def _takes_a_part(self) -> "SubsetConfig":
        if not self.takes_some_classes and self.per_class is None:
            raise ValueError(
                "expected classes, classes_not_in, per_class or several of them, e.g. subset: {classes: 100, "
                "per_class: 200}"
            )
        return self

    @property
    def takes_some_classes(self) -> bool:
        """Whether the subset selects classes, and does not only limit the images of each."""
        return self.classes is not None or self.classes_not_in is not None or self.left_out is not None

    def count_classes(self, total: int) -> int:
        """Number of classes selected out of `total`; at most those that are not left out."""
        free = total if self.left_out is None else total - self.left_out.count_classes(total)
        return free if self.classes is None else min(self.classes, free)


class DatasetConfig(Section):
    """One dataset; `size_px` is the side of the stored square image.

    `layout`: how an ILSVRC edition is stored in `folder`; auto detects it. `storage`: raw pixels, or each image
    re-encoded as JPEG of `jpeg_quality`. `bad_images: skip` leaves out up to `max_bad_images` unreadable images.
    `splits`, for Tiny ImageNet: `official` uses the published val split as test and draws val from train; `merged`
    pools all labelled images and draws all splits from each class by the fractions.
    `complete: false` accepts an edition with missing images. `class_list`: a file with a WordNet id on each line.
    `of`, for kind rotations: the dataset whose images are rotated by 0, 90, 180 and 270 degrees, so that each of its
    classes becomes four; `source` is that dataset's section, filled in by Config.
    """

    kind: Literal[
        "cifar10",
        "imagefolder",
        "ilsvrc2010",
        "ilsvrc2012",
        "fall2009",
        "fall2011",
        "tiny_imagenet",
        "downsampled_imagenet",
        "rotations",
    ]
    of: str | None = None
    source: "DatasetConfig | None" = None
    folder: str | None = None
    layout: Literal["auto", "tars", "kaggle", "parquet", "folder"] = "auto"
    class_list: str | None = None
    size_px: int = Field(default=256, ge=8)
    splits: Literal["official", "merged"] = "official"
    split_seed: int = Field(default=2012, ge=0)
    val_fraction: float = Field(default=0.1, gt=0, lt=1)
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    subset: SubsetConfig | None = None
    complete: bool = True
    storage: Literal["raw", "jpeg"] = "raw"
    jpeg_quality: int = Field(default=95, ge=1, le=100)
    bad_images: Literal["stop", "skip"] = "stop"
    max_bad_images: int = Field(default=0, ge=0)
    digest: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _size_of_its_kind(cls, values: Any) -> Any:
        """Set Tiny ImageNet's `size_px` to its published size unless a size is given."""
        if isinstance(values, dict) and values.get("kind") == TINY_IMAGENET:
            return {"size_px": TINY_IMAGENET_PX, **values}
        return values

    @model_validator(mode="after")
    def _settings_of_its_kind(self) -> "DatasetConfig":
        for name in self.departs(*ONLY_FOR):
            if self.kind not in ONLY_FOR[name]:
                raise ValueError(f"{name} is not a setting of kind {self.kind}; remove it")
        for name, (kinds, example) in NEEDED.items():
            if self.kind in kinds and not getattr(self, name):
                raise ValueError(f"{self.kind} needs {name}; write {name}: {example}")
        widths = SIZES_PX.get(self.kind, (self.size_px,))
        if self.size_px not in widths:
            raise ValueError(
                f"size_px is {self.size_px}, but the images of {self.kind} are read as published, "
                f"{' or '.join(map(str, widths))} pixels wide; write size_px: {widths[-1]}"
            )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> "DatasetConfig":
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction + test_fraction leave no training images; make their sum smaller than 1")
        fractions = self.departs("val_fraction", "test_fraction")
        if self.kind == TINY_IMAGENET and self.splits == "official" and fractions:
            raise ValueError(f"{fractions[0]} is a setting of splits: merged; write that or remove it")
        if self.layout not in ("auto", "tars") and self.kind == "ilsvrc2010":
            raise ValueError(f"layout is {self.layout}, but ILSVRC-2010 is read from its official tars only")
        if (self.bad_images == "skip") != (self.max_bad_images > 0):
            raise ValueError("bad_images: skip and max_bad_images: N (how many at most) are written together")
        if self.storage == "raw" and self.departs("jpeg_quality"):
            raise ValueError("jpeg_quality is a setting of storage: jpeg; write that or remove it")
        return self

    @property
    def evaluated_splits(self) -> tuple[str, ...]:
        """The splits whose labels are public; ILSVRC-2012's test labels are not (§2)."""
        if self.source is not None:
            return self.source.evaluated_splits
        return ("val",) if self.kind == "ilsvrc2012" else ("val", "test")

    @property
    def known_digest(self) -> str | None:
        """The content digest that the packed images must have; None if it is not known in advance."""
        return CIFAR10_DIGEST if self.kind == "cifar10" else self.digest

    @property
    def packing(self) -> dict[str, Any]:
        """The settings, as plain data, that determine how a source image is packed."""
        if self.source is not None:
            return {"kind": self.kind, "of": self.source.packing}
        return self._dump_departures({*PLACE, *TOLERANCE, "digest"})

    @property
    def identity(self) -> dict[str, Any]:
        """The settings, as plain data, that determine which images are packed and how.

        A known digest replaces the kind and place of the source, but not the settings that select or split images: if
        those change, the dataset is packed again, and packing fails unless `digest` is updated.
        """
        if self.source is not None:
            return {"kind": self.kind, "of": self.source.identity}
        if self.known_digest:
            stored = {} if self.storage == "raw" else {"storage": self.storage, "jpeg_quality": self.jpeg_quality}
            always = {"digest": self.known_digest, "size_px": self.size_px, "split_seed": self.split_seed, **stored}
            return always | self._dump_departures(PLACE | TOLERANCE | BESIDE_DIGEST)
        place = PLACE if self.kind in KINDS_IN_ARCHIVES else PLACE - {"folder"}
        return self._dump_departures(place | TOLERANCE)

    def _dump_departures(self, without: Set[str]) -> dict[str, Any]:
        values = {key: value for key, value in dump_departures(self).items() if key not in without}
        if "subset" in values:
            values["subset"].pop("classes_not_in", None)  # only a name; `left_out` identifies the classes
        return values


SAME_IMAGES = ("kind", "folder", "class_list", "complete")  # must be equal for two subsets of the same classes


def fill_in_others(datasets: dict[str, DatasetConfig]) -> dict[str, DatasetConfig]:
    """The sections with everything filled in that refers to another one: `subset.left_out`, and `source` of rotations.

    Raises ValueError for a reference to an unknown or unsuitable dataset.
    """
    filled = {name: fill_in_left_out(name, datasets) for name in datasets}
    originals = {name: dataset for name, dataset in filled.items() if dataset.of is None}
    for name, dataset in datasets.items():
        if dataset.of is None:
            continue
        if dataset.of not in originals:
            raise ValueError(
                f"{name}: of is {dataset.of}: expected a dataset that is no rotation; {suggest(dataset.of, originals)}"
            )
        source = originals[dataset.of]
        filled[name] = dataset.model_copy(update={"source": source, "size_px": source.size_px})
    return filled


def fill_in_left_out(name: str, datasets: dict[str, DatasetConfig], asked_by: tuple[str, ...] = ()) -> DatasetConfig:
    """The section `name`, with `subset.left_out` set to the subset of the dataset that `classes_not_in` names, if any.

    Raises ValueError unless that is another dataset with the same source images and a subset of classes.
    """
    dataset = datasets[name]
    subset = dataset.subset
    if subset is None or subset.classes_not_in is None:
        return dataset
    other = subset.classes_not_in
    where = f"{name}: subset.classes_not_in is {other}"
    if other in (name, *asked_by):
        raise ValueError(f"{where}, whose classes depend on those of {name} (a cycle); name another dataset")
    if other not in datasets:
        raise ValueError(
            f"{where}: this configuration has no dataset of that name; {suggest(other, set(datasets) - {name})}"
        )
    for key in SAME_IMAGES:
        own, its = getattr(dataset, key), getattr(datasets[other], key)
        if own != its:
            raise ValueError(
                f"{where}, whose {key} is {its}, not {own}; both datasets must be drawn from the same images"
            )
    drawn = fill_in_left_out(other, datasets, (*asked_by, name)).subset
    if drawn is None or not drawn.takes_some_classes:
        raise ValueError(f"{where}, which has all classes; give it a subset of classes, e.g. subset: {{classes: 40}}")
    left_out = SubsetConfig(classes=drawn.classes, seed=drawn.seed, left_out=drawn.left_out)
    return dataset.model_copy(update={"subset": subset.model_copy(update={"left_out": left_out})})
