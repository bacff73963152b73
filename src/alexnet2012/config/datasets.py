"""The `datasets:` section of a configuration: where images come from, how they are split, checked and stored."""

from collections.abc import Set
from typing import Any, Literal

from pydantic import Field, model_validator

from alexnet2012.config.introduced import dump_departures
from alexnet2012.config.validate import Section

# sha256 of CIFAR-10's pixels and labels in the official order, see data/downloads.py.
CIFAR10_DIGEST = "80387ddb9a0edf3fc4a964ee3770296169bb26a651050df20035579673099660"

EDITIONS = ("ilsvrc2010", "ilsvrc2012")
RELEASES = ("fall2009", "fall2011")
KINDS_IN_ARCHIVES = (*EDITIONS, *RELEASES)

# What says where the images lie, or what to do with bad ones: the images that are packed are the same.
PLACE = {"folder", "layout"}
TOLERANCE = {"bad_images", "max_bad_images"}
# What an identity with a known digest says in any case, or what that digest stands for.
BESIDE_DIGEST = {"kind", "digest", "size_px", "split_seed", "storage", "jpeg_quality"}


class SubsetConfig(Section):
    """A seeded part of a dataset for trial runs: `classes` of its classes, at most `per_class` images of each split."""

    classes: int | None = Field(default=None, ge=2)
    per_class: int | None = Field(default=None, ge=1)
    seed: int = Field(default=2012, ge=0)

    @model_validator(mode="after")
    def _takes_a_part(self) -> "SubsetConfig":
        if self.classes is None and self.per_class is None:
            raise ValueError("a subset names classes, per_class or both, e.g. subset: {classes: 100, per_class: 200}")
        return self


class DatasetConfig(Section):
    """One dataset; `size_px` is the side of the stored square image.

    `layout`: the form in which an ILSVRC edition lies in `folder`; auto looks. `storage`: raw pixels, or each image
    re-encoded as JPEG of `jpeg_quality`. `bad_images: skip` leaves out up to `max_bad_images` unreadable ones.
    `complete: false` accepts an edition that lacks images. `class_list`: a file with a WordNet id on each line.
    `of`: the dataset whose images kind rotations shows in four orientations, each with classes of its own; `source` is
    that dataset's section, which the configuration fills in.
    """

    kind: Literal["cifar10", "imagefolder", "ilsvrc2010", "ilsvrc2012", "fall2009", "fall2011", "rotations"]
    of: str | None = None
    source: "DatasetConfig | None" = None
    folder: str | None = None
    layout: Literal["auto", "tars", "kaggle", "parquet", "folder"] = "auto"
    class_list: str | None = None
    size_px: int = Field(default=256, ge=8)
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

    @model_validator(mode="after")
    def _consistent(self) -> "DatasetConfig":
        if self.kind == "cifar10" and self.size_px != 32:
            raise ValueError(f"size_px is {self.size_px}, but CIFAR-10's images are 32 pixels wide; write size_px: 32")
        if self.kind == "rotations" or self.of is not None:
            self._check_rotations()
            return self
        if self.kind != "cifar10" and not self.folder:
            raise ValueError(f"{self.kind} needs a folder: write folder: path/to/images")
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction + test_fraction leave no training images; make their sum smaller than 1")
        if self.layout != "auto" and self.kind not in EDITIONS:
            raise ValueError(f"layout is for {' and '.join(EDITIONS)}; remove it from {self.kind}")
        if self.layout not in ("auto", "tars") and self.kind == "ilsvrc2010":
            raise ValueError(f"layout is {self.layout}, but ILSVRC-2010 is read from its official tars only")
        if (self.class_list is None) == (self.kind in RELEASES):
            need = "needs a class_list" if self.kind in RELEASES else "takes no class_list; remove it"
            raise ValueError(f"{self.kind} {need}: a file with one WordNet id on each line")
        if (self.bad_images == "skip") != (self.max_bad_images > 0):
            raise ValueError("bad_images: skip and max_bad_images: N (how many at most) are written together")
        if self.storage == "raw" and "jpeg_quality" in self.model_fields_set and self.jpeg_quality != 95:
            raise ValueError("jpeg_quality is a setting of storage: jpeg; write that or remove it")
        if self.kind == "cifar10":
            for name in ("subset", "storage", "bad_images"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(
                        f"{name} is not for cifar10, whose 60,000 images are packed as they are; remove it"
                    )
        return self

    def _check_rotations(self) -> None:
        if self.kind != "rotations":
            raise ValueError(f"of is for kind: rotations; remove it from {self.kind}")
        if self.of is None:
            raise ValueError("rotations need the dataset whose images are rotated: write of: NAME")
        own = self.model_fields_set - {"kind", "of", "source", "size_px", "digest"}
        if given := sorted(name for name in own if getattr(self, name) != type(self).model_fields[name].default):
            raise ValueError(f"rotations are of the images of {self.of} as it packs them; remove {', '.join(given)}")

    @property
    def evaluated_splits(self) -> tuple[str, ...]:
        """The splits whose labels are public; those of ILSVRC-2012's test set are withheld (§2)."""
        if self.source is not None:
            return self.source.evaluated_splits
        return ("val",) if self.kind == "ilsvrc2012" else ("val", "test")

    @property
    def known_digest(self) -> str | None:
        """The content digest that the images must have, where it is known before they are read."""
        return CIFAR10_DIGEST if self.kind == "cifar10" else self.digest

    @property
    def packing(self) -> dict[str, Any]:
        """Plain data of all that decides what a packed image is, but for the images themselves."""
        if self.source is not None:
            return {"kind": self.kind, "of": self.source.packing}
        return self._dump_departures({*PLACE, *TOLERANCE, "digest"})

    @property
    def identity(self) -> dict[str, Any]:
        """Plain data that change whenever other images, or the same ones differently, are to be packed.

        A known digest stands for the kind of source and for where it lies, not for what is taken of it: a section that
        selects or splits otherwise is packed again, and refused there if its digest is still the old one.
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
        return {key: value for key, value in dump_departures(self).items() if key not in without}
