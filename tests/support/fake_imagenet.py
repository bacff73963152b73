"""Writers of small fake ILSVRC-2010, ILSVRC-2012 and Fall releases, structured like the real ones, of photographs."""

import csv
import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.listing import WITHHELD, Listing, Source
from alexnet2012.data.sources.find import find_source
from alexnet2012.data.sources.verify import Expected

INNER_SYNSETS = {2010: 676, 2012: 860}  # number of inner nodes of the hierarchy, which meta.mat also lists
Photos = Sequence[Sequence[bytes]]


@dataclass(frozen=True)
class Edition:
    """A small edition of `year`. `wnids`: sorted; `ids`: the edition's own ids of these, in another order.

    `train`: for each wnid, JPEGs by stem. `val`, `test`: JPEGs in the order of their numbers; `val_wnids`,
    `test_wnids`: their classes.
    """

    year: int
    wnids: tuple[str, ...]
    ids: tuple[int, ...]
    train: dict[str, dict[str, bytes]]
    val: tuple[bytes, ...]
    val_wnids: tuple[str, ...]
    test: tuple[bytes, ...]
    test_wnids: tuple[str, ...]

    @classmethod
    def draw(
        cls,
        year: int = 2012,
        classes: int = 12,
        train: int = 6,
        val: int = 3,
        test: int = 4,
        photos: Photos | None = None,
        seed: int = 0,
    ) -> "Edition":
        """An edition with the given numbers of images per class, taken from `photos` (JPEGs by class) or from crops."""
        generator = np.random.default_rng([year, seed])
        photos = photos or crop_photographs(classes, train + val + test, generator)
        assert all(len(of_class) >= train + val + test for of_class in photos), "too few photos of a class"
        wnids = tuple(f"n{number:08d}" for number in np.sort(generator.permutation(9000)[: len(photos)] + 1_440_000))
        numbers = {wnid: generator.permutation(20_000)[:train].tolist() for wnid in wnids}
        of_wnid = dict(zip(wnids, photos, strict=True))
        val_images = _mix(of_wnid, train, train + val, generator)
        test_images = _mix(of_wnid, train + val, train + val + test, generator)
        return cls(
            year=year,
            wnids=wnids,
            ids=tuple((generator.permutation(len(wnids)) + 1).tolist()),
            train={
                wnid: {f"{wnid}_{number}": photo for number, photo in zip(numbers[wnid], of_class[:train], strict=True)}
                for wnid, of_class in of_wnid.items()
            },
            val=tuple(photo for _, photo in val_images),
            val_wnids=tuple(wnid for wnid, _ in val_images),
            test=tuple(photo for _, photo in test_images),
            test_wnids=tuple(wnid for wnid, _ in test_images),
        )

    @property
    def name(self) -> str:
        return f"ILSVRC{self.year}"

    def numbered(self, split: str) -> dict[str, bytes]:
        """The JPEGs of val or test by stem."""
        return {f"{self.name}_{split}_{k:08d}": photo for k, photo in enumerate(getattr(self, split), 1)}

    def rows(self, split: str) -> list[tuple[str, int, bytes]]:
        """(canonical name, label, JPEG) of each image, in canonical order."""
        if split == "train":
            return [
                (f"train/{wnid}/{stem}", label, self.train[wnid][stem])
                for label, wnid in enumerate(self.wnids)
                for stem in sorted(self.train[wnid])
            ]
        withheld = self.year == 2012 and split == "test"
        labels = [WITHHELD if withheld else self.wnids.index(wnid) for wnid in getattr(self, f"{split}_wnids")]
        return [
            (f"{split}/{stem}", label, photo)
            for (stem, photo), label in zip(self.numbered(split).items(), labels, strict=True)
        ]

    @property
    def expected(self) -> Expected:
        """The numbers against which this edition is checked."""
        counts = {split: len(self.rows(split)) for split in ("train", "val", "test")}
        per_class = {"val": len(self.val) // len(self.wnids)}
        if self.year == 2010:
            per_class["test"] = len(self.test) // len(self.wnids)
        sizes = [len(stems) for stems in self.train.values()]
        return Expected(
            title=f"ILSVRC-{self.year}",
            edition=self.name,
            counts=counts,
            per_class=per_class,
            train_per_class=(min(sizes), max(sizes)),
            optional=("test",) if self.year == 2012 else (),
            classes=len(self.wnids),
            sure_of_train=self.year == 2012,
        )


def find(folder: Path, kind: str = "ilsvrc2012", **settings) -> Source:
    """The source found in `folder`."""
    return find_source(DatasetConfig(kind=kind, folder=str(folder), **settings), folder)


def inner_tars(edition: Edition) -> dict[str, bytes]:
    """The members of the archive of training images, by name."""
    return {
        f"{wnid}.tar": tar_bytes({f"{stem}.JPEG": photo for stem, photo in stems.items()})
        for wnid, stems in edition.train.items()
    }


def crop_photographs(classes: int, per_class: int, generator: np.random.Generator) -> list[list[bytes]]:
    """For each class, distinct JPEGs of 36 to 60 pixels a side, cut from scikit-learn's two photographs."""
    from sklearn.datasets import load_sample_images

    images = [Image.fromarray(image) for image in load_sample_images().images]
    jpegs: set[bytes] = set()
    while len(jpegs) < classes * per_class:
        width, height = (int(side) for side in generator.integers(36, 61, 2))
        image = images[len(jpegs) % 2]
        left, top = int(generator.integers(image.width - width)), int(generator.integers(image.height - height))
        buffer = io.BytesIO()
        image.crop((left, top, left + width, top + height)).save(buffer, "JPEG", quality=90)
        jpegs.add(buffer.getvalue())
    ordered = sorted(jpegs)
    return [ordered[c * per_class : (c + 1) * per_class] for c in range(classes)]


def write_ilsvrc2012_tars(
    folder: Path, edition: Edition, test: str | None = "ILSVRC2012_img_test_v10102019.tar"
) -> None:
    """Write the official archives; `test`: the name of the archive of test images, None to leave it out."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_train_tar(folder / "ILSVRC2012_img_train.tar", edition)
    write_tar(folder / "ILSVRC2012_img_val.tar", _shuffled(_with_extension(edition.numbered("val"))))
    if test:
        write_tar(folder / test, _shuffled(_with_extension(edition.numbered("test"), "test/")))
    write_devkit(folder, edition)


def write_ilsvrc2010_tars(folder: Path, edition: Edition, blank: bytes = b"") -> None:
    """Write the official archives. Every seventh member is gzipped; the first image of each split has a patch."""
    folder.mkdir(parents=True, exist_ok=True)
    patches = {}
    first = next(iter(edition.train[edition.wnids[0]]))
    patches[f"patch_images/train/{first}.JPEG"] = edition.train[edition.wnids[0]][first]
    train = {wnid: dict(stems) for wnid, stems in edition.train.items()}
    train[edition.wnids[0]][first] = blank
    _write_train_tar(folder / "ILSVRC2010_images_train.tar", replace(edition, train=train), gzip_every=7)
    for split in ("val", "test"):
        members = _with_extension(edition.numbered(split), f"{split}/")
        name = next(iter(members))
        patches[f"patch_images/{name}"], members[name] = members[name], blank
        write_tar(folder / f"ILSVRC2010_images_{split}.tar", _shuffled(_gzip_some(members, 7)))
    write_tar(folder / "patch_images.tar", patches)
    write_devkit(folder, edition)
    write_truth(folder / "ILSVRC2010_test_ground_truth.txt", edition, "test")


def write_ilsvrc2012_kaggle(folder: Path, edition: Edition) -> None:
    """Write the unpacked tree with CSV files in another order than the images; that of train lists half of them."""
    images = folder / "ILSVRC" / "Data" / "CLS-LOC"
    for wnid, stems in edition.train.items():
        _write_files(images / "train" / wnid, _with_extension(stems))
    for split in ("val", "test"):
        _write_files(images / split, _with_extension(edition.numbered(split)))
    mapping = [f"{wnid} a word, another\n" for wnid in edition.wnids]
    (folder / "LOC_synset_mapping.txt").write_text("".join(mapping), encoding="utf-8")
    train = [(stem, wnid) for wnid, stems in edition.train.items() for stem in stems]
    write_solution(folder / "LOC_train_solution.csv", dict(_shuffled(dict(train[::2]))))
    val = dict(zip(edition.numbered("val"), edition.val_wnids, strict=True))
    write_solution(folder / "LOC_val_solution.csv", dict(_shuffled(val)))


def write_solution(path: Path, wnid_of: dict[str, str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = ((stem, f"{wnid} 10 20 30 40 {wnid} 1 2 3 4 ") for stem, wnid in wnid_of.items())
        csv.writer(file).writerows([("ImageId", "PredictionString"), *rows])


def write_ilsvrc2012_parquet(folder: Path, edition: Edition, shards: int = 3) -> None:
    """Write data/<split>-*.parquet: shuffled, in row groups of 3, names with WordNet ids added, test labels -1."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "data").mkdir(parents=True, exist_ok=True)
    for split, written_as in (("train", "train"), ("val", "validation"), ("test", "test")):
        rows = [
            (f"{name.split('/')[-1]}{'' if label < 0 else f'_{edition.wnids[label]}'}.JPEG", label, photo)
            for name, label, photo in edition.rows(split)
        ]
        rows = [rows[k] for k in np.random.default_rng(5).permutation(len(rows))]
        for shard in range(shards):
            part = rows[shard::shards]
            images = [{"bytes": photo, "path": path} for path, _, photo in part]
            kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
            labels = pa.array([label for _, label, _ in part], pa.int64())
            table = pa.table({"image": pa.array(images, kind), "label": labels})
            path = folder / "data" / f"{written_as}-{shard:05d}-of-{shards:05d}.parquet"
            pq.write_table(table, path, row_group_size=3)


def write_ilsvrc2012_folder(folder: Path, edition: Edition) -> None:
    """Write train/<wnid>/, val/<wnid>/ and a flat test/."""
    for wnid, stems in edition.train.items():
        _write_files(folder / "train" / wnid, _with_extension(stems))
    for (stem, photo), wnid in zip(edition.numbered("val").items(), edition.val_wnids, strict=True):
        _write_files(folder / "val" / wnid, {f"{stem}.JPEG": photo})
    _write_files(folder / "test", _with_extension(edition.numbered("test")))


LAYOUTS_2012: dict[str, Callable[[Path, Edition], None]] = {
    "tars": write_ilsvrc2012_tars,
    "kaggle": write_ilsvrc2012_kaggle,
    "parquet": write_ilsvrc2012_parquet,
    "folder": write_ilsvrc2012_folder,
}


def rewrite_val_names(folder: Path, layout: str, edition: Edition, wrong: dict[int, str]) -> None:
    """Rename the validation images, adding their WordNet ids, or for image numbers in `wrong` the ids given there."""
    added = [wrong.get(k, wnid) for k, wnid in enumerate(edition.val_wnids, 1)]
    stems = edition.numbered("val")
    names = {stem: f"{stem}_{wnid}.JPEG" for stem, wnid in zip(stems, added, strict=True)}
    if layout == "tars":
        write_tar(folder / "ILSVRC2012_img_val.tar", {names[stem]: photo for stem, photo in stems.items()})
    elif layout == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        for shard in (folder / "data").glob("validation-*"):
            rows = pq.ParquetFile(shard).read().to_pylist()
            for row in rows:
                row["image"]["path"] = names[row["image"]["path"][:23]]
            pq.write_table(pa.Table.from_pylist(rows), shard)
    else:
        root = folder / ("ILSVRC/Data/CLS-LOC/val" if layout == "kaggle" else "val")
        for path in list(root.rglob("*.JPEG")):
            path.rename(path.with_name(names[path.name[:23]]))


def write_release(folder: Path, edition: Edition, whole: bool = False) -> None:
    """Write each class's training images as nXXXXXXXX.tar, half of these in a sub-folder; or fall11_whole.tar."""
    (folder / "more").mkdir(parents=True, exist_ok=True)
    if whole:
        _write_train_tar(folder / "fall11_whole.tar", edition)
        return
    for k, (wnid, stems) in enumerate(edition.train.items()):
        write_tar((folder / "more" if k % 2 else folder) / f"{wnid}.tar", _shuffled(_with_extension(stems)))


def write_devkit(folder: Path, edition: Edition) -> None:
    """Write a development kit: meta.mat with inner synsets between the leaves and ids not in the order of the WordNet
    ids, and val's ground truth."""
    kit = {2010: "devkit-1.0", 2012: "ILSVRC2012_devkit_t12"}[edition.year]
    archive = {2010: "ILSVRC2010_devkit-1.0.tar.gz", 2012: "ILSVRC2012_devkit_t12.tar.gz"}[edition.year]
    truth = "".join(f"{edition.ids[edition.wnids.index(wnid)]}\n" for wnid in edition.val_wnids)
    members = {
        f"{kit}/readme.txt": b"a devkit",
        f"{kit}/data/meta.mat": write_meta(edition),
        f"{kit}/data/{edition.name}_validation_ground_truth.txt": truth.encode(),
    }
    (folder / archive).write_bytes(gzip.compress(tar_bytes(members), 1))


def write_truth(path: Path, edition: Edition, split: str) -> None:
    """Write a ground truth with Windows line ends and an empty last line, as in some copies."""
    ids = [edition.ids[edition.wnids.index(wnid)] for wnid in getattr(edition, f"{split}_wnids")]
    path.write_bytes("".join(f"{number}\r\n" for number in [*ids, ""]).encode())


def write_meta(edition: Edition) -> bytes:
    """The bytes of meta.mat; its 676 or 860 inner synsets are between the leaves but numbered after them."""
    sizes = tuple(len(stems) for stems in edition.train.values())
    return _write_meta(edition.year, edition.wnids, edition.ids, sizes)


@cache  # most tests need the same
def _write_meta(year: int, wnids: tuple[str, ...], ids: tuple[int, ...], sizes: tuple[int, ...]) -> bytes:
    from scipy.io import savemat

    leaves = list(zip(wnids, ids, sizes, strict=True))
    free = sorted({f"n{number:08d}" for number in range(1_440_000, 1_449_000)} - set(wnids))
    inner = free[:: len(free) // INNER_SYNSETS[year]][: INNER_SYNSETS[year]]
    rows = leaves + [(wnid, number, 0) for number, wnid in enumerate(inner, len(leaves) + 1)]
    fields = ("WNID", "words", "gloss", "num_children", "children", "wordnet_height", "num_train_images")
    synsets = np.empty((len(rows), 1), [(name, object) for name in (f"ILSVRC{year}_ID", *fields)])
    for row, k in enumerate(np.random.default_rng(3).permutation(len(rows)).tolist()):
        wnid, number, size = rows[k]
        children = np.array([]) if k < len(leaves) else np.array([1.0, 2.0])
        height = float(len(children) > 0)
        synsets[row, 0] = (
            float(number),
            wnid,
            "a word",
            "a gloss",
            float(len(children)),
            children,
            height,
            float(size),
        )
    buffer = io.BytesIO()
    savemat(buffer, {"synsets": synsets})
    return buffer.getvalue()


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    path.write_bytes(tar_bytes(members))


def tar_bytes(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def add_links(archive, links: dict[str, str]) -> None:
    """Add symbolic links, given as name -> target."""
    with tarfile.open(archive, "a") as tar:
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)


def read_image(source: Source, listing: Listing, k: int) -> bytes:
    """The bytes of row k, unzipped if necessary."""
    path = source.folder / listing.files[int(listing.file[k])].as_py().decode()
    offset, size = int(listing.offset[k]), int(listing.size[k])
    if listing.container == "parquet":
        import pyarrow.parquet as pq

        return pq.ParquetFile(path).read(columns=["image.bytes"])["image"][offset].as_py()["bytes"]
    if listing.container == "zip":
        with zipfile.ZipFile(path) as archive:
            return archive.read(archive.infolist()[offset])
    with path.open("rb") as file:
        file.seek(offset)
        content = file.read(size)
    assert len(content) == size
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def read_rows(source: Source, split: str) -> list[tuple[str, int, bytes]]:
    """(name, label, bytes) of each image of a split, to compare with Edition.rows."""
    listing = source.splits[split]
    names = listing.names.to_pylist()
    return [(names[k], int(listing.labels[k]), read_image(source, listing, k)) for k in range(len(listing))]


def _mix(
    of_wnid: dict[str, Sequence[bytes]], start: int, end: int, generator: np.random.Generator
) -> list[tuple[str, bytes]]:
    images = [(wnid, photo) for wnid, photos in of_wnid.items() for photo in photos[start:end]]
    return [images[k] for k in generator.permutation(len(images))]


def _write_train_tar(path: Path, edition: Edition, gzip_every: int = 0) -> None:
    inner = {
        f"{wnid}.tar": tar_bytes(_shuffled(_gzip_some(_with_extension(stems), gzip_every)))
        for wnid, stems in edition.train.items()
    }
    write_tar(path, _shuffled(inner))


def _gzip_some(members: dict[str, bytes], every: int) -> dict[str, bytes]:
    """The members with every `every`-th gzipped under its own name, as in 2010; 0 for none."""
    return {
        name: gzip.compress(content) if every and k % every == every - 1 else content
        for k, (name, content) in enumerate(members.items())
    }


def _with_extension(images: dict[str, bytes], prefix: str = "") -> dict[str, bytes]:
    return {f"{prefix}{stem}.JPEG": photo for stem, photo in images.items()}


def _shuffled(members: dict) -> dict:
    names = list(members)
    return {names[k]: members[names[k]] for k in np.random.default_rng(len(names)).permutation(len(names))}


def _write_files(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
