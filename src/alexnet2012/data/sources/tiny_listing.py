"""The labelled images of Tiny ImageNet's official tree: train/<wnid>/images/, and val/ in any of its forms."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alexnet2012.data.listing import Listing, Problem
from alexnet2012.data.sources.names import WNID, as_text, list_some, stems_of
from alexnet2012.data.sources.rows import Rows, arrange_train
from alexnet2012.data.sources.tiny_layouts import ANNOTATIONS, CLASSES
from alexnet2012.data.sources.trees import NO_CLASS, Tree, label_by_folder, list_tree
from alexnet2012.data.sources.verify import Inventory
from alexnet2012.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

NAMED = 5


@dataclass(frozen=True, eq=False)
class Official:
    """What the official tree holds, packed in an archive or not; paths are relative to tiny-imagenet-200/.

    `where`: what messages call it. `classes`: the text of wnids.txt; `annotations`: that of val_annotations.txt, or
    None. `folder`: what the trees' files are relative to.
    """

    where: str
    folder: Path
    train: Tree
    val: Tree
    classes: str
    annotations: str | None


def list_folder(root: Path) -> Inventory:
    """The official tree as a folder. Raises DataError as list_official does."""
    annotations = root / ANNOTATIONS
    return list_official(
        Official(
            where=str(root),
            folder=root,
            train=list_tree(root, root / "train"),
            val=list_tree(root, root / "val"),
            classes=_read_text(root / CLASSES),
            annotations=_read_text(annotations) if annotations.is_file() else None,
        )
    )


def list_official(found: Official) -> Inventory:
    """The images of train and val by class and name.

    Raises DataError for a list of classes or annotations that are not what they should be, and for an image that is of
    two classes.
    """
    classes = read_classes(found)
    rows, strangers = label_by_folder(found.train, Path("train"), Path(), classes, "train")
    train, problems = arrange_train(rows, classes, found.train.files)
    val, val_problems, differences = _list_val(found, classes)
    return Inventory(
        description=f"Tiny ImageNet from {found.where}",
        folder=found.folder,
        classes=classes,
        splits={"train": train, "val": val},
        problems=(*found.train.problems, *problems, *found.val.problems, *val_problems),
        differences=(*strangers, *differences),
    )


def read_classes(found: Official) -> tuple[str, ...]:
    """The WordNet ids of wnids.txt, sorted. Raises DataError for a line that is none, or one that comes twice."""
    lines = found.classes.split()
    odd = [line for line in lines if not WNID.fullmatch(line)]
    twice = sorted({line for line in lines if lines.count(line) > 1})
    for what, names in (("lines that are no WordNet ids", odd), ("classes that come twice", twice)):
        if names:
            raise DataError(f"{found.where}: {CLASSES} has {what}: {list_some(names)}. Fetch it again.")
    return tuple(sorted(lines))


def _list_val(found: Official, classes: tuple[str, ...]) -> tuple[Listing, tuple[Problem, ...], tuple[str, ...]]:
    """val/images/ by its annotations, or val/<wnid>/ by its folders, which the annotations must not contradict."""
    import pyarrow.compute as pc

    rows, files = found.val.rows, found.val.files
    flat = pc.starts_with(rows.paths, "val/images/").to_numpy(zero_copy_only=False)
    if flat.any() and not flat.all():
        k = int(np.flatnonzero(~flat)[0])
        raise DataError(
            f"{found.where}: {flat.sum():,} images lie in val/images/ and {(~flat).sum():,} in other folders of val/, "
            f"such as {rows.paths[k].as_py()}. Move all of them into the one or into folders of classes."
        )
    labels_of = None if found.annotations is None else read_annotations(found.annotations, classes, found.where)
    if flat.any():
        rows, differences = _label_by_annotations(rows, labels_of, found.where)
    else:
        rows, differences = label_by_folder(found.val, Path("val"), Path(), classes, "val")
        _refuse_two_classes(rows, classes, found.where)
        if labels_of is not None:
            _refuse_other_labels(rows, labels_of, classes, found.where)
    listing, problems = arrange_train(rows, classes, files, prefix="val/", official_names=False)
    return listing, problems, differences


def read_annotations(text: str, classes: tuple[str, ...], where: str) -> dict[str, int]:
    """The label of each file of val/images/. Raises DataError for a line that gives none, and for a file's second."""
    label_of = {wnid: label for label, wnid in enumerate(classes)}
    labels: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, _, rest = line.partition("\t")
        wnid = rest.partition("\t")[0].strip()
        if not line.strip():
            continue
        if wnid not in label_of:
            why = f"{as_text(line)!r} was expected to be a file's name and a class of {CLASSES}, separated by a tab"
        elif name in labels:
            why = f"{as_text(name)} has a line already, as {classes[labels[name]]}"
        else:
            labels[name] = label_of[wnid]
            continue
        raise DataError(f"{where}: {ANNOTATIONS}, line {number}: {why}. Fetch it again.")
    return labels


def _label_by_annotations(rows: Rows, labels_of: dict[str, int] | None, where: str) -> tuple[Rows, tuple[str, ...]]:
    """The images that have a line, labelled; sentences on those without one and on lines without an image."""
    if labels_of is None:
        raise DataError(f"{where}: {ANNOTATIONS} is missing: the labels of val/images/. Fetch it again.")
    names = _file_names(rows.paths)
    labels = np.array([labels_of.get(name, NO_CLASS) for name in names], np.int64)
    without = [name for name, label in zip(names, labels.tolist(), strict=True) if label == NO_CLASS]
    missing = sorted(set(labels_of) - set(names))
    differences = []
    if without:
        differences.append(f"val: {len(without):,} images have no line in {ANNOTATIONS}: {list_some(without)}")
    if missing:
        differences.append(f"val: {len(missing):,} images of {ANNOTATIONS} are missing: {list_some(missing)}")
    return replace(rows, labels=labels).take(np.flatnonzero(labels != NO_CLASS)), tuple(differences)


def _refuse_two_classes(rows: Rows, classes: tuple[str, ...], where: str) -> None:
    """Raises DataError for an image that lies in the folders of two classes."""
    first: dict[str, int] = {}
    for stem, label in zip(stems_of(rows.paths).to_pylist(), rows.labels.tolist(), strict=True):
        if first.setdefault(stem, label) != label:
            raise DataError(
                f"{where}: {stem} lies in val/{classes[first[stem]]}/ as well as in val/{classes[label]}/; only one of "
                "them can be right. Fetch the images again."
            )


def _refuse_other_labels(rows: Rows, labels_of: dict[str, int], classes: tuple[str, ...], where: str) -> None:
    """Raises DataError for images that lie in the folder of another class than the annotations give them."""
    odd = [
        f"{name} lies in val/{classes[label]}/ and is {classes[labels_of[name]]}"
        for name, label in zip(_file_names(rows.paths), rows.labels.tolist(), strict=True)
        if labels_of.get(name, label) != label
    ]
    if odd:
        more = f"; and {len(odd) - NAMED:,} more" if len(odd) > NAMED else ""
        raise DataError(
            f"{where}: {len(odd):,} validation images lie in other classes than {ANNOTATIONS} says: "
            f"{'; '.join(odd[:NAMED])}{more}. One of the two is wrong; fetch them again."
        )


def _file_names(paths: "pa.Array") -> list[str]:
    return [path.rpartition("/")[2] for path in paths.to_pylist()]


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not text in UTF-8; it is damaged. Fetch it again.") from None
