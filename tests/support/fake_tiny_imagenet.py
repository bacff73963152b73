"""Writers of a small fake Tiny ImageNet in each of its layouts."""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.listing import Source
from alexnet2012.data.sources.find import find_source
from alexnet2012.data.sources.verify import Expected

CLASSES, TRAIN, VAL = 5, 12, 4  # TRAIN, VAL: images per class
DRAWN_VAL = 3  # of the 12 training images of each class
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
    """JPEGs of 64 pixels, some of them greyscale. `train`: for each wnid, JPEGs by file name; `val`: JPEGs by file name
    in the order of their numbers; `val_wnids`: their classes."""

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
    """Write files, given by their paths below `root`."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_folder(folder: Path, tiny: Tiny) -> None:
    """Write the official archive, unpacked in `folder`."""
    write_tree(folder / "tiny-imagenet-200", tiny.files)


def write_zip(path: Path, files: dict[str, bytes], root: str = "tiny-imagenet-200/") -> None:
    """Write a zip of files, given by their paths below `root`; every other one is stored, not deflated."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir(root.rstrip("/") or "some")
        for k, (name, content) in enumerate(files.items()):
            archive.writestr(f"{root}{name}", content, (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED)[k % 2])


def write_archive(folder: Path, tiny: Tiny) -> None:
    """Write the official archive, with its members in shuffled order."""
    names = sorted(tiny.files, key=lambda name: name[::-1])
    write_zip(folder / "tiny-imagenet-200.zip", {name: tiny.files[name] for name in names})


def write_shards(folder: Path, tiny: Tiny, names: bool = False, noted: list[str] | None = None) -> None:
    """Write data/{train,valid}-*.parquet in the order of the names, in row groups of 7; without `names`, as in most
    copies, the names are missing.

    `noted`: the names of the classes in the metadata.
    """
    for split, written in (("train", "train"), ("val", "valid")):
        rows = [
            ({"bytes": photo, "path": f"{name.rpartition('/')[2]}.JPEG" if names else None}, label)
            for name, label, photo in tiny.rows(split)
        ]
        if names:
            rows = rows[::-1]
        write_shard(folder / "data" / f"{written}-00000-of-00001-1a2b.parquet", rows, noted or list(WNIDS))


def write_shard(path: Path, rows: list[tuple[dict, int | None]], noted: list[str]) -> None:
    """Write one shard of rows (image, label)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images, labels = zip(*rows, strict=True)
    columns = {"image": pa.array(images, kind), "label": pa.array(labels, pa.int64())}
    notes = {"info": {"features": {"label": {"names": noted, "_type": "ClassLabel"}}}}
    table = pa.table(columns).replace_schema_metadata({"huggingface": json.dumps(notes)})
    pq.write_table(table, path, row_group_size=7)


def write_shards_with_names(folder: Path, tiny: Tiny) -> None:
    write_shards(folder, tiny, names=True)


def write_folder_of_val_classes(folder: Path, tiny: Tiny, below: str = "images/") -> None:
    """Write the unpacked archive with val sorted into class folders, as some scripts do."""
    wnid_of = dict(zip(tiny.val, tiny.val_wnids, strict=True))
    moved = {f"val/{wnid_of[name]}/{below}{name}": photo for name, photo in tiny.val.items()}
    kept = {name: content for name, content in tiny.files.items() if not name.startswith("val/images/")}
    write_tree(folder, kept | moved)


def write_flat_folder(folder: Path, tiny: Tiny) -> None:
    """Write the tree without images/ folders in train and val, and without annotations."""
    write_folder_of_val_classes(folder, tiny, below="")
    for root in sorted((folder / "train").glob("*/images")):
        for path in sorted(root.iterdir()):
            path.rename(root.parent / path.name)
        root.rmdir()
    (folder / "val" / "val_annotations.txt").unlink()


LAYOUTS = {
    "folder": write_folder,
    "zip": write_archive,
    "parquet with names": write_shards_with_names,
    "val sorted by class": write_folder_of_val_classes,
    "flat": write_flat_folder,
}


def find(folder: Path, **settings) -> Source:
    """The source found in `folder`."""
    return find_source(DatasetConfig(kind="tiny_imagenet", folder=str(folder), **settings), folder / "data")


def _photograph(generator: np.random.Generator) -> bytes:
    pixels = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize((64, 64), Image.Resampling.BILINEAR)
    if generator.integers(8) == 0:
        image = image.convert("L")
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
