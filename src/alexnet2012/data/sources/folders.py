"""Image files in folder trees, and a folder of class folders as a source."""

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.decode import IMAGE_FORMATS
from alexnet2012.data.listing import Listing, Problem, Source
from alexnet2012.data.packed import SPLITS
from alexnet2012.data.sources.arrange import NO_CLASS
from alexnet2012.data.sources.drawn_splits import draw_fractions
from alexnet2012.data.sources.image_names import IMAGE_NAME, as_list, in_one_line, list_some
from alexnet2012.data.sources.tars import report_listed
from alexnet2012.errors import DataError


def scan_image_folder(dataset: DatasetConfig) -> Source:
    """Images from `train/<class>/`, `val/<class>/`, `test/<class>/`, or from `<class>/` folders alone.

    A split without a folder is drawn from each class of the training images with `split_seed`. Images are ordered by
    class, then by file name. Raises DataError if a class is empty, missing from a split, too small to be split, or has
    images in sub-folders.
    """
    folder = Path(str(dataset.folder)).expanduser()
    if not folder.is_dir():
        raise DataError(f"The image folder {folder} does not exist; name an existing one as the dataset's folder.")
    given = [name for name in SPLITS if (folder / name).is_dir()]
    if given and "train" not in given:
        raise DataError(f"{folder} has {given[0]}/ but no train/; name the folder of training images train/.")
    roots = {name: folder / name for name in given} or {"train": folder}
    classes, found = {}, {}
    for name, root in roots.items():
        classes[name], found[name] = _scan_classes(folder, root)
    _refuse_differing_classes(folder, classes)
    fractions = {"val": dataset.val_fraction, "test": dataset.test_fraction}
    drawn = {name: fraction for name, fraction in fractions.items() if name not in found}
    rows = draw_fractions(found["train"].labels, classes["train"], drawn, dataset.split_seed)
    splits = found | {name: found["train"].take(rows[name]) for name in rows}
    how = ", ".join(f"{name} {'drawn from train' if name in drawn else 'as given'}" for name in ("val", "test"))
    return Source(
        description=f"image files of {dataset.folder} ({how})",
        folder=folder,
        classes=classes["train"],
        splits={name: splits[name] for name in SPLITS},
        problems=tuple(problem for images in found.values() for problem in images.problems),
    )


def list_tree(folder: Path, root: Path, is_image: Callable[[str], object] = IMAGE_NAME.search) -> Listing:
    """The image files below `root`, recognised by name, in the order of folders and names.

    Names are paths relative to `folder`. A broken link is a Problem.
    """
    began = time.monotonic()
    paths, sizes, problems, others, other = [], [], [], 0, ""
    for entry in _walk(root):
        path = os.path.relpath(entry.path, folder)
        if not is_image(path):
            others, other = others + 1, other or in_one_line(os.fsencode(path))
        elif not _holds(entry.is_file):
            problems.append(
                Problem(in_one_line(os.fsencode(path)), "it is no file, or a link to one that does not exist")
            )
        else:
            paths.append(os.fsencode(path))
            sizes.append(entry.stat().st_size)
    report_listed(f"{folder if root == folder else root.relative_to(folder)}/", len(paths), others, began, other)
    names, file = [in_one_line(path) for path in paths], np.arange(len(paths))
    return Listing.of(names, paths, file=file, size=sizes, problems=tuple(problems))


def label_by_folder(images: Listing, below: str, classes: Sequence[str], split: str) -> Listing:
    """The images in the folders of `classes`, labelled; a difference for images elsewhere.

    Names begin with `below` (such as "train/") and the folder of a class.
    """
    wnids = pc.replace_substring_regex(pc.utf8_slice_codeunits(images.names, len(below)), "/.*$", "")
    labels = pc.fill_null(pc.index_in(wnids, pa.array(classes, pa.string())), NO_CLASS).to_numpy()
    labelled = images.put(label=labels).take(np.flatnonzero(labels != NO_CLASS))
    strangers = wnids.take(np.flatnonzero(labels == NO_CLASS)).to_pylist()
    if not strangers:
        return labelled
    named = list_some(sorted(set(strangers)))
    return labelled.note(f"{split}: {len(strangers):,} images do not lie in a class of the edition: {named}")


def _walk(root: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(root) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if entry.name.startswith("."):
            continue
        if _holds(entry.is_dir):
            yield from _walk(Path(entry.path))
        else:
            yield entry


def _holds(test: Callable[[], bool]) -> bool:
    """The result of an entry's is_dir or is_file; False for a link that leads to itself."""
    try:
        return test()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
        raise


def _scan_classes(folder: Path, root: Path) -> tuple[tuple[str, ...], Listing]:
    """The class folders of `root`, and their images ordered by class and name."""
    with os.scandir(root) as entries:
        folders = sorted(entry.name for entry in entries if _holds(entry.is_dir) and not entry.name.startswith("."))
    if not folders:
        raise DataError(f"{root} holds no class folders; put the images of each class into a folder of its own there.")
    classes = tuple(in_one_line(os.fsencode(name)) for name in folders)
    images = list_tree(folder, root, _is_image)
    below = "" if root == folder else f"{root.name}/"
    parts = [name.removeprefix(below).split("/") for name in images.names.to_pylist()]
    if deep := ["/".join(part) for part in parts if len(part) > 2]:
        raise DataError(
            f"{root}: {len(deep):,} images lie in sub-folders of class folders: {list_some(deep)}. The folder of a "
            "class must hold its images directly; move them there or remove the sub-folders."
        )
    if loose := [part[0] for part in parts if len(part) == 1]:
        named = list_some(loose)
        print(f"{root}: {len(loose):,} images lie beside the class folders and are left out: {named}", flush=True)
    images = images.take(np.array([row for row, part in enumerate(parts) if len(part) == 2], np.int64))
    images = label_by_folder(images, below, classes, root.name)
    counts = np.bincount(images.labels, minlength=len(classes))
    if empty := [classes[label] for label in np.flatnonzero(counts == 0)]:
        raise DataError(
            f"{root}: these classes have no image ({', '.join(IMAGE_FORMATS)}): {', '.join(empty)}. "
            "Add images to them or remove their folders."
        )
    return classes, images


def _is_image(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in IMAGE_FORMATS  # noqa: PTH122 (a Path for each of millions is slow)


def _refuse_differing_classes(folder: Path, found: dict[str, tuple[str, ...]]) -> None:
    expected = set(found["train"])
    differences = []
    for split, classes in found.items():
        if missing := sorted(expected - set(classes)):
            differences.append(f"{split}/ lacks {', '.join(missing)}")
        if added := sorted(set(classes) - expected):
            differences.append(f"{split}/ has {', '.join(added)}, which train/ has not")
    if differences:
        raise DataError(
            f"{folder}: every split must have the classes of train/, but\n{as_list(differences)}\n"
            "Make the class folders the same in every split."
        )
