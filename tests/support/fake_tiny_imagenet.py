"""Writers of a small Tiny ImageNet in each of the layouts that are read."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.sources.find import find_source
from alexnet2012.data.sources.source import Source
from alexnet2012.data.sources.verify import Expected

CLASSES, TRAIN, VAL = 5, 12, 4  # classes, and images of each
WNIDS = tuple(f"n{1_440_000 + 1_000 * k:08d}" for k in range(CLASSES))
EXPECTED = Expected(
    title="Tiny ImageNet",
    edition="",
    counts={"train": CLASSES * TRAIN, "val": CLASSES * VAL},
    per_class={"val": VAL},
    train_per_class=(TRAIN, TRAIN),
    optional=("test",),
    classes=CLASSES,
)


@dataclass(frozen=True)
class Tiny:
    """JPEGs of 64 pixels, some of them greyscale. `train`: file name -> JPEG of each wnid; `val`: by file name, in the
    order of their numbers, `val_wnids` their classes."""

    train: dict[str, dict[str, bytes]]
    val: dict[str, bytes]
    val_wnids: tuple[str, ...]

    @classmethod
    def draw(cls) -> "Tiny":
        generator = np.random.default_rng(7)
        train = {wnid: {f"{wnid}_{k}.JPEG": _photograph(generator) for k in range(TRAIN)} for wnid in WNIDS}
        val = {f"val_{k}.JPEG": _photograph(generator) for k in range(CLASSES * VAL)}
        return cls(train, val, tuple(np.array(WNIDS * VAL)[generator.permutation(CLASSES * VAL)].tolist()))

    def rows(self, split: str) -> list[tuple[str, int, bytes]]:
        """(canonical name, label, JPEG) of each image of the official train or val, in canonical order."""
        of_class = dict(self.train) if split == "train" else {wnid: {} for wnid in WNIDS}
        for (name, photo), wnid in zip(self.val.items(), self.val_wnids, strict=True):
            if split == "val":
                of_class[wnid][name] = photo
        return [
            (f"{split}/{wnid}/{name.removesuffix('.JPEG')}", label, of_class[wnid][name])
            for label, wnid in enumerate(WNIDS)
            for name in sorted(of_class[wnid], key=lambda name: name.removesuffix(".JPEG"))
        ]

    @property
    def files(self) -> dict[str, bytes]:
        """Every file of the official tree, by its path in tiny-imagenet-200/."""
        lines = [f"{name}\t{wnid}\t0\t0\t62\t62\n" for name, wnid in zip(self.val, self.val_wnids, strict=True)]
        files = {
            "wnids.txt": "".join(f"{wnid}\n" for wnid in WNIDS[::-1]).encode(),
            "words.txt": "".join(f"{wnid}\ta word, another\n" for wnid in WNIDS).encode(),
            "val/val_annotations.txt": "".join(lines).encode(),
            "test/images/test_0.JPEG": next(iter(self.val.values())),
        }
        for wnid, photos in self.train.items():
            files[f"train/{wnid}/{wnid}_boxes.txt"] = b"".join(b"%s\t0\t0\t9\t9\n" % name.encode() for name in photos)
            files |= {f"train/{wnid}/images/{name}": photo for name, photo in photos.items()}
        return files | {f"val/images/{name}": photo for name, photo in self.val.items()}


def write_tree(root: Path, files: dict[str, bytes]) -> None:
    """Files by their paths below `root`."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_folder(folder: Path, tiny: Tiny) -> None:
    """The official archive, unpacked in `folder`."""
    write_tree(folder / "tiny-imagenet-200", tiny.files)


def find(folder: Path, **settings) -> Source:
    """What pass 1 finds in `folder`."""
    return find_source(DatasetConfig(kind="tiny_imagenet", folder=str(folder), **settings), folder / "data")


def _photograph(generator: np.random.Generator) -> bytes:
    pixels = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize((64, 64), Image.Resampling.BILINEAR)
    if generator.integers(8) == 0:
        image = image.convert("L")
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
