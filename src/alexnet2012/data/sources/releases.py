"""The Fall 2009 and Fall 2011 releases of ImageNet: tars of synsets, of which a class list selects some."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.listing import Listing, Problem, Source, concatenate
from alexnet2012.data.packed import SPLITS
from alexnet2012.data.sources.arrange import arrange_train
from alexnet2012.data.sources.classes import read_class_list
from alexnet2012.data.sources.drawn_splits import draw_fractions, find_small_classes
from alexnet2012.data.sources.image_names import in_one_line, list_some
from alexnet2012.data.sources.layouts import source_folder
from alexnet2012.data.sources.tars import (
    LIKE_SYNSET_TAR,
    NO_TAR_NAME,
    SYNSET_TAR,
    InnerTar,
    list_inner_tars,
    walk_inner_tars,
)
from alexnet2012.errors import DataError

FALL_2009_CLASSES = 10_184  # §6, with 8.9 million images
TITLES = {"fall2009": "the Fall 2009 release", "fall2011": "the Fall 2011 release"}
WHOLE = re.compile(r".*whole.*\.tar")  # fall11_whole.tar contains the tars of all synsets
CHUNK_CLASSES = 256


def find_release(dataset: DatasetConfig) -> Source:
    """The images of the listed classes; val and test are drawn from each class with `split_seed`.

    Raises DataError if a listed class has no tar or too few images; tars of other classes are ignored.
    """
    folder = source_folder(dataset)
    classes = read_class_list(Path(str(dataset.class_list)).expanduser())
    fractions = {"val": dataset.val_fraction, "test": dataset.test_fraction}
    generator = np.random.default_rng(dataset.split_seed)
    parts: dict[str, list[Listing]] = {name: [] for name in SPLITS}
    problems: list[Problem] = []
    small: list[str] = []
    for first, images in _list_classes(folder, classes, _find_tars(folder, classes)):
        names = classes[first : first + CHUNK_CLASSES]
        counts = np.bincount(images.labels, minlength=len(names))
        small += [f"{names[label]} ({counts[label]})" for label in find_small_classes(counts, fractions)]
        problems += images.problems
        if not small:
            for name, rows in draw_fractions(images.labels, names, fractions, generator).items():
                parts[name].append(images.take(rows).put(label=first + images.labels[rows]))
    if small:
        raise DataError(
            f"{folder}: {len(small):,} classes have too few images to be split into train, val and test: "
            f"{list_some(small)}. Remove them from {dataset.class_list}."
        )
    # The paper states the number of classes of Fall 2009 (§6), but not of Fall 2011.
    is_part = dataset.kind == "fall2009" and len(classes) != FALL_2009_CLASSES
    return Source(
        description=f"{TITLES[dataset.kind]}, {len(classes):,} classes from {folder}",
        folder=folder,
        classes=classes,
        # Popped, so that the parts of a split are freed before the next: there are 15 million images.
        splits={name: concatenate(parts.pop(name)) for name in SPLITS},
        problems=tuple(problems),
        part=f"{len(classes):,} of {FALL_2009_CLASSES:,} classes" if is_part else "",
    )


def _find_tars(folder: Path, classes: tuple[str, ...]) -> list[InnerTar]:
    """The tar of each class; a separate file takes precedence over a member of a tar of the whole release."""
    wanted, ignored = set(classes), set()
    tar_of: dict[str, InnerTar] = {}
    unusable: dict[str, str] = {}
    for path in _find_archives(folder):
        place = in_one_line(str(path.relative_to(folder)))
        for tar in _look_into(path, folder):
            if tar.fault:
                unusable[tar.wnid] = f"{place}!{tar.name} ({tar.fault})" if tar.name else f"{place} ({tar.fault})"
            elif tar.wnid not in wanted:
                ignored.add(tar.wnid)
            elif tar_of.setdefault(tar.wnid, tar) is not tar and not tar.name:
                first = tar_of[tar.wnid].archive
                raise DataError(f"{folder} holds two tars of {tar.wnid}, {first} and {path}; remove one of them.")
    if missing := [wnid for wnid in classes if wnid not in tar_of]:
        seen = [unusable[wnid] for wnid in missing if wnid in unusable]
        raise DataError(
            f"{folder} holds no tar of {len(missing):,} of the {len(classes):,} listed classes: {list_some(missing)}. "
            + (f"These cannot be read: {list_some(seen)}. " if seen else "")
            + "Put their nXXXXXXXX.tar there or remove them from the class list."
        )
    if ignored:
        print(f"{folder}: {len(ignored):,} tars of classes that are not listed are ignored", flush=True)
    return [tar_of[wnid] for wnid in classes]


def _find_archives(folder: Path) -> list[Path]:
    """The files named like the tar of a class, then those named like a tar of the whole release."""
    paths = folder.rglob("*")
    named = [path for path in paths if LIKE_SYNSET_TAR.fullmatch(path.name) or WHOLE.fullmatch(path.name)]
    return sorted(named, key=lambda path: (bool(WHOLE.fullmatch(path.name)), path))


def _look_into(path: Path, folder: Path) -> list[InnerTar]:
    """The tars of classes that a file is or contains; prints the images that lie beside them."""
    match = LIKE_SYNSET_TAR.fullmatch(path.name)
    if match is None:
        tars, problems, _ = list_inner_tars(path)
        if problems:
            named = list_some([problem.path for problem in problems])
            place, count = in_one_line(str(path.relative_to(folder))), len(problems)
            print(f"{place}: {count:,} images lie beside the tars of the classes and are left out: {named}", flush=True)
        return tars
    if not SYNSET_TAR.fullmatch(path.name):
        return [InnerTar(path, match[1].lower(), "", fault=NO_TAR_NAME)]
    if not path.is_file():
        return [InnerTar(path, match[1], "", fault="it is no file, or a link to one that does not exist")]
    return [InnerTar(path, match[1], "", 0, path.stat().st_size)]


def _list_classes(folder: Path, classes: tuple[str, ...], tars: list[InnerTar]) -> Iterator[tuple[int, Listing]]:
    """The images of CHUNK_CLASSES classes at a time, in canonical order, with the index of the chunk's first class;
    labels count from that class.

    Chunks are joined early, because keeping thousands of small tables fragments the heap.
    """
    pieces: list[Listing] = []
    for label, (wnid, found) in enumerate(walk_inner_tars(tars, folder, f"{folder}, {len(classes):,} classes")):
        images = arrange_train(found, (wnid,), prefix="", official_names=False)
        pieces.append(images.put(label=len(pieces)))
        if len(pieces) == CHUNK_CLASSES or wnid == classes[-1]:
            yield label + 1 - len(pieces), concatenate(pieces)
            pieces = []
