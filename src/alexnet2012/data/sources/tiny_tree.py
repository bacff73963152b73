"""Tiny ImageNet from its official tree, as a folder or in the published zip, which is not unpacked.

The tree has train/<wnid>/images/, and val/ with images/ or with class folders.
"""

import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from alexnet2012.data.downloads import Archive
from alexnet2012.data.listing import Checksum, Listing, Source
from alexnet2012.data.reading import MAX_UNPACKED_BYTES
from alexnet2012.data.sources.arrange import NO_CLASS, arrange_train, refuse_contradictions
from alexnet2012.data.sources.classes import list_wnids
from alexnet2012.data.sources.folders import label_by_folder, list_tree
from alexnet2012.data.sources.image_names import IMAGE_NAME, WNID, in_one_line, list_some, stems_of
from alexnet2012.data.sources.small_layouts import ANNOTATIONS, ARCHIVE, CLASSES
from alexnet2012.data.sources.tars import report_listed
from alexnet2012.errors import DataError

PUBLISHED = Archive(ARCHIVE, "md5", "90528d7ca1a48142e341f4ef8d21d0de")
PUBLISHED_BYTES = 248_100_043
ADVICE = f"The official {ARCHIVE} has {PUBLISHED_BYTES:,} bytes; compare, and download it again"


def list_folder(root: Path) -> Source:
    """The official tree as a folder. Raises DataError as list_official does."""
    annotations = (root / ANNOTATIONS).read_bytes() if (root / ANNOTATIONS).is_file() else b""
    train, val = (list_tree(root, root / split) for split in ("train", "val"))
    classes, splits = list_official(train, val, (root / CLASSES).read_bytes(), annotations, str(root))
    return Source(f"Tiny ImageNet from {root}", root, classes, splits)


def list_zip(archive: Path) -> Source:
    """The official tree inside a zip; members may be stored or deflated.

    Raises DataError for a damaged zip or another tree, and as list_official does.
    """
    began = time.monotonic()
    try:
        with zipfile.ZipFile(archive) as file:
            members = file.infolist()
            root = _find_root(archive, [member.filename for member in members])
            train, val = (_list_members(archive, members, root, split) for split in ("train", "val"))
            wnids, annotations = (_read_list(file, f"{root}{name}") for name in (CLASSES, ANNOTATIONS))
    except (zipfile.BadZipFile, OSError, RuntimeError) as error:
        size = archive.stat().st_size
        raise DataError(f"{archive} ({size:,} bytes) cannot be read as a zip: {error}. {ADVICE}.") from None
    listed = len(train) + len(val)
    report_listed(archive.name, listed, len(members) - listed, began)
    classes, splits = list_official(train, val, wnids, annotations, str(archive))
    checksums = (Checksum(archive, PUBLISHED.checksum),)
    return Source(f"Tiny ImageNet from {archive}", archive.parent, classes, splits, checksums=checksums)


def list_official(
    train: Listing, val: Listing, wnids: bytes, annotations: bytes, where: str
) -> tuple[tuple[str, ...], dict[str, Listing]]:
    """Classes, and the images of train and val, ordered by class and name; names begin with train/ and val/.

    `wnids`, `annotations`: the contents of wnids.txt and val_annotations.txt; `where`: the tree, for messages. Raises
    DataError for malformed texts, and for an image with two classes.
    """
    classes = list_wnids(_decode(wnids, f"{where}: {CLASSES}"), f"{where}: {CLASSES}")
    train = label_by_folder(train, "train/", classes, "train")
    val = _label_val(val, classes, _decode(annotations, f"{where}: {ANNOTATIONS}"), where)
    return classes, {
        "train": arrange_train(train, classes),
        "val": arrange_train(val, classes, prefix="val/", official_names=False),
    }


def read_annotations(text: str, classes: tuple[str, ...], where: str) -> dict[str, int]:
    """The labels of the files in val/images/, by name. Raises DataError for a line without label or with a name that
    occurred before."""
    label_of = {wnid: label for label, wnid in enumerate(classes)}
    labels: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, _, rest = line.partition("\t")
        wnid = rest.partition("\t")[0].strip()
        if not line.strip():
            continue
        if not WNID.fullmatch(wnid):
            why = f"{in_one_line(line)!r} was expected to be the name of a file, a tab, and a WordNet id"
        elif wnid not in label_of:
            why = f"{in_one_line(name)} is of {wnid}, which is no class of {CLASSES}"
        elif name in labels:
            why = f"{in_one_line(name)} has a line already, as {classes[labels[name]]}"
        else:
            labels[name] = label_of[wnid]
            continue
        raise DataError(f"{where}: {ANNOTATIONS}, line {number}: {why}. Fetch it again.")
    return labels


def _label_val(val: Listing, classes: tuple[str, ...], annotations: str, where: str) -> Listing:
    """The labelled val images: of val/images/ by the annotations, of val/<wnid>/ by folder. Raises DataError if the
    annotations contradict the folders."""
    flat = pc.starts_with(val.names, "val/images/").to_numpy(zero_copy_only=False)
    if flat.any() and not flat.all():
        raise DataError(
            f"{where}: {flat.sum():,} images lie in val/images/ and {(~flat).sum():,} in other folders of val/, such "
            f"as {val.names[np.argmin(flat)]}. Move all of them into the one or into folders of classes."
        )
    if flat.any() and not annotations:
        raise DataError(f"{where}: {ANNOTATIONS} is missing or empty: the labels of val/images/. Fetch it again.")
    label_of = read_annotations(annotations, classes, where)
    if flat.any():
        return _label_by_annotations(val, label_of)
    val = label_by_folder(val, "val/", classes, "val")
    first: dict[str, int] = {}
    for stem, label in zip(stems_of(val.names).to_pylist(), val.labels, strict=True):
        if first.setdefault(stem, label) != label:
            raise DataError(
                f"{where}: {stem} lies in val/{classes[first[stem]]}/ as well as in val/{classes[label]}/; only one of "
                "them can be right. Fetch the images again."
            )
    odd = [
        f"{name} lies in val/{classes[label]}/ and is {classes[label_of[name]]}"
        for name, label in zip(_file_names(val), val.labels, strict=True)
        if label_of.get(name, label) != label
    ]
    heading = f"{where}: {len(odd):,} validation images lie in other classes than {ANNOTATIONS} says"
    refuse_contradictions(heading, odd, len(odd), "One of the two is wrong; fetch them again.")
    return val


def _label_by_annotations(val: Listing, label_of: dict[str, int]) -> Listing:
    """The images with an annotation, labelled; differences for images without one and annotations without an image."""
    names = _file_names(val)
    labels = np.array([label_of.get(name, NO_CLASS) for name in names], np.int64)
    without = [name for name in names if name not in label_of]
    missing = sorted(set(label_of) - set(names))
    val = val.put(label=labels).take(np.flatnonzero(labels != NO_CLASS))
    if without:
        val = val.note(f"val: {len(without):,} images have no line in {ANNOTATIONS}: {list_some(without)}")
    if missing:
        val = val.note(f"val: {len(missing):,} images of {ANNOTATIONS} are missing: {list_some(missing)}")
    return val


def _file_names(images: Listing) -> list[str]:
    return [path.rpartition("/")[2] for path in images.names.to_pylist()]


def _find_root(archive: Path, names: Sequence[str]) -> str:
    """The common beginning of the tree's paths, such as "tiny-imagenet-200/"."""
    roots = [name.removesuffix(CLASSES) for name in names if f"/{name}".endswith(f"/{CLASSES}")]
    if len(roots) != 1:
        found = f"holds several {CLASSES}: {list_some(roots)}" if roots else f"holds no {CLASSES}"
        raise DataError(
            f"{archive} {found}; tiny-imagenet-200/{CLASSES} beside train/ and val/ was expected. {ADVICE}."
        )
    return roots[0]


def _read_list(file: zipfile.ZipFile, name: str) -> bytes:
    """A member of a zip; empty if there is none."""
    if name not in file.NameToInfo:
        return b""
    if (size := file.getinfo(name).file_size) > MAX_UNPACKED_BYTES:
        raise zipfile.BadZipFile(f"{name} would have {size:,} bytes: a decompression bomb")
    return file.read(name)


def _list_members(archive: Path, members: Sequence[zipfile.ZipInfo], root: str, split: str) -> Listing:
    """The images of a split in a zip, with paths relative to `root`."""
    numbers = [
        number
        for number, member in enumerate(members)
        if member.filename.startswith(f"{root}{split}/") and IMAGE_NAME.search(member.filename)
    ]
    names = [in_one_line(members[number].filename.removeprefix(root)) for number in numbers]
    sizes = [members[number].file_size for number in numbers]
    file = archive.name.encode("utf-8", "surrogateescape")
    return Listing.of(names, [file], offset=numbers, size=sizes, container="zip")


def _decode(content: bytes, where: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise DataError(f"{where} is not text in UTF-8; it is damaged. Fetch it again.") from None
