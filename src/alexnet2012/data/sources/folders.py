"""Image files in folder trees, and a folder of class folders as a source."""

import errno
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.decode import FIRST, IMAGE_FORMATS, begins_like_an_image
from alexnet2012.data.listing import Listing, Problem, Source
from alexnet2012.data.packed import SPLITS
from alexnet2012.data.sources.arrange import NO_CLASS
from alexnet2012.data.sources.drawn_splits import draw_fractions
from alexnet2012.data.sources.image_names import IMAGE_NAME, LISTED, as_list, in_one_line, list_some
from alexnet2012.data.sources.tars import report_listed
from alexnet2012.errors import DataError

LIKE_SPLIT = re.compile(
    r"(?i)(?:(train|test)(?:ing)?|val(?:id(?:ation)?)?|dev|eval(?:uation)?|holdout)"
    r"(?:[-_ ]?(?:set|data|images|labels|list|\d+(?:-of-\d+)?))?"
)
# Of disks, network storage, macOS and Windows: none is a class, and some may not be entered.
OF_SYSTEMS = {"lost+found", "@eadir", "#recycle", "#snapshot", "@recycle", "~snapshot", "__macosx", "$recycle.bin"}
OF_SYSTEMS |= {"system volume information", "thumbs.db", "desktop.ini"}
# Copies and unfinished downloads, which must not be images a second time.
LEFTOVER = re.compile(r"(?i)(?:~|\.(?:bak|old|orig|tmp|part|crdownload|download))\Z")
# Archives of images, tables of images, and lists of names, also in numbered parts.
SPLIT_FILE = re.compile(
    r"(?i)\.(?:zip|tar|tgz|7z|rar|parquet|arrow|npz|npy|h5|hdf5|lmdb|tfrecords?|txt|csv|tsv|jsonl?)(?:\.\w+)?\Z"
)
DEEPEST = 100  # folders below each other; nobody has so many on purpose


def scan_image_folder(dataset: DatasetConfig) -> Source:
    """Images from `train/<class>/`, `val/<class>/`, `test/<class>/`, or from `<class>/` folders alone.

    A split without a folder is drawn from each class of the training images with `split_seed`. Images are ordered by
    class, then by file name. Raises DataError if a class is empty, missing from a split, too small to be split, or has
    images in sub-folders; and for images beside `train/` that would not be read.
    """
    folder = Path(str(dataset.folder)).expanduser()
    if not folder.is_dir():
        raise DataError(f"The image folder {folder} does not exist; name an existing one as the dataset's folder.")
    roots = _find_splits(folder)
    _refuse_same(roots.values(), "splits", "would be in both splits")
    classes, found = {}, {}
    for name, root in roots.items():
        classes[name], found[name] = _scan_classes(folder, root)
    composed = {name: tuple(normalize("NFC", each) for each in own) for name, own in classes.items()}
    _refuse_differing_classes(folder, composed)
    for name, images in found.items():
        if classes[name] != classes["train"]:
            print(f"{folder}: accents are written in two ways in train/ and {name}/; classes are matched", flush=True)
            labels = np.array([composed["train"].index(each) for each in composed[name]])[images.labels]
            found[name] = images.put(label=labels).take(np.argsort(labels, kind="stable"))
    fractions = {"val": dataset.val_fraction, "test": dataset.test_fraction}
    drawn = {name: fraction for name, fraction in fractions.items() if name not in found}
    rows = draw_fractions(found["train"].labels, classes["train"], drawn, dataset.split_seed)
    splits = found | {name: found["train"].take(rows[name]) for name in rows}
    how = ", ".join(f"{name} {'drawn from train' if name in drawn else 'as given'}" for name in ("val", "test"))
    ignored = sum((images.ignored for images in found.values()), Counter[str]())
    if loose := roots["train"] != folder and _count_loose(folder):
        ignored["images beside the splits"] = loose
    parts = [f"{' and '.join(drawn)} drawn from train, seed {dataset.split_seed}"] if drawn else []
    parts += [f"{ignored.total():,} files ignored"] if ignored else []
    return Source(
        description=f"image files of {dataset.folder} ({how})",
        folder=folder,
        classes=classes["train"],
        splits={name: splits[name] for name in SPLITS},
        problems=tuple(problem for images in found.values() for problem in images.problems),
        part="; ".join(parts),
        ignored=ignored,
    )


def find_images(folder: Path) -> list[Path]:
    """The images below `folder`, in the order of their paths; recognised as those of a dataset."""
    return sorted(Path(entry.path) for entry in _walk(folder) if _is_image(entry))


def list_tree(folder: Path, root: Path, is_image: Callable[[os.DirEntry[str]], object] | None = None) -> Listing:
    """The image files below `root`, in the order of folders and names; recognised by name if not by `is_image`.

    Names are paths relative to `folder`. A broken link is a Problem.
    """
    began = time.monotonic()
    paths, sizes, problems, ignored, other = [], [], [], Counter[str](), ""
    for entry in _walk(root):
        path = os.path.relpath(entry.path, folder)
        if not (is_image(entry) if is_image else IMAGE_NAME.search(entry.name)):
            ignored[_kind_of(entry.name)] += 1
            other = other or in_one_line(os.fsencode(path))
        elif not _holds(entry.is_file):
            problems.append(
                Problem(in_one_line(os.fsencode(path)), "it is no file, or a link to one that does not exist")
            )
        else:
            paths.append(os.fsencode(path))
            sizes.append(entry.stat().st_size)
    report_listed(
        f"{folder if root == folder else root.relative_to(folder)}/", len(paths), ignored.total(), began, other
    )
    names, file = [in_one_line(path) for path in paths], np.arange(len(paths))
    return Listing.of(names, paths, file=file, size=sizes, problems=tuple(problems), ignored=ignored)


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


def _walk(root: Path, above: tuple[Path, ...] = ()) -> Iterator[os.DirEntry[str]]:
    """The files below `root`, with those behind links. `above`: the folders that lead to it. Raises DataError for a
    folder that holds itself."""
    if holder := _find_same(root, above):
        raise DataError(
            f"{root} is {holder} again, through a link to a folder above it or a mount of it, so that its images never "
            "end. Remove that."
        )
    if len(above) > DEEPEST:
        raise DataError(f"{above[1]} holds more than {DEEPEST} folders below each other; move its images up")
    with os.scandir(root) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if not _is_ours(entry.name):
            continue
        if _holds(entry.is_dir):
            yield from _walk(Path(entry.path), (*above, root))
        else:
            yield entry


def _is_ours(name: str) -> bool:
    """Whether a file or folder is neither hidden nor one that systems and their disks add by themselves."""
    return not name.startswith(".") and name.lower() not in OF_SYSTEMS


def _find_same(folder: Path, others: Iterable[Path]) -> Path | None:
    """The one of `others` that is the same folder on disk as `folder`, by its device and number."""
    return next((other for other in others if other.samefile(folder)), None)


def _holds(test: Callable[[], bool]) -> bool:
    """The result of an entry's is_dir or is_file; False for a link that leads to itself."""
    try:
        return test()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
        raise


def _find_splits(folder: Path) -> dict[str, Path]:
    """The folder of each split; if there are class folders alone, `folder` as that of train.

    A folder called like a split is a class if it holds no folders and a class folder lies beside it. Raises DataError
    for images that could be a split and would not be read.
    """
    for path in (folder / name for name in SPLITS):
        if os.path.lexists(path) and not path.is_dir():
            found = f"a link to {path.readlink()}, which is no folder" if path.is_symlink() else "a file"
            raise DataError(f"{path} is {found}; a folder of class folders was expected. Correct it, or remove it.")
    folders = _list_folders(folder)
    nested = [name for name in folders if _list_folders(folder / name)]
    given = [name for name in SPLITS if name in folders]
    others = [name for name in folders if not LIKE_SPLIT.fullmatch(name)]
    if not set(given) & set(nested) and any(_has_images(folder / name) for name in others):
        for name in given:
            print(f"{folder / name} holds no class folders, so that {name} is read as a class", flush=True)
        given = []
    if not given:
        _refuse_unread(folder, [name for name in nested if name not in others and _has_images(folder / name)], given)
        return {"train": folder}
    if "train" not in given:
        raise DataError(f"{folder} has {given[0]}/ but no train/; name the folder of training images train/.")
    unread = [name for name in folders if name not in given and _has_images(folder / name)]
    for path in sorted(folder.iterdir()):
        could_be = path.is_symlink() if not path.exists() else path.is_file() and SPLIT_FILE.search(path.name)
        if could_be and (split := _split_of(path.name)) and split not in given:
            unread.append(path.name)
    _refuse_unread(folder, unread, given)
    return {name: folder / name for name in given}


def _split_of(name: str) -> str | None:
    """The split that a folder or a file is called after, such as val for Validation.zip; None for another name."""
    found = LIKE_SPLIT.fullmatch(name.partition(".")[0])
    return found and (found[1] or "val").lower()


def _refuse_unread(folder: Path, names: Sequence[str], given: Sequence[str]) -> None:
    lines = []
    for name in names:
        split, where = _split_of(name), in_one_line(os.fsencode(name))
        if split is None or split in given:
            lines.append(f"{where} would not be read: move it out of {folder}, or into one of the splits")
        elif not (folder / name).exists():
            lines.append(f"{where} is a link to what is not there: make it the folder {split}/, or remove it")
        elif (folder / name).is_file():
            lines.append(f"{where} is a file: make of it the folder {split}/, or move it out of {folder}")
        else:
            lines.append(f"{where}/ is not read: name it {split}/, or move it out of {folder}")
    if lines:
        raise DataError(f"{folder}: only train/, val/ and test/ are read, but it holds more:\n{as_list(lines)}")


def _list_folders(root: Path) -> list[str]:
    """The names of the folders in `root`, sorted, without those of systems."""
    with os.scandir(root) as entries:
        return sorted(entry.name for entry in entries if _holds(entry.is_dir) and _is_ours(entry.name))


def _has_images(root: Path) -> bool:
    return any(_is_image(entry) for entry in _walk(root))


def _count_loose(folder: Path) -> int:
    """The number of images that lie in `folder` itself."""
    with os.scandir(folder) as entries:
        return sum(_is_ours(entry.name) and _holds(entry.is_file) and _is_image(entry) for entry in entries)


def _scan_classes(folder: Path, root: Path) -> tuple[tuple[str, ...], Listing]:
    """The class folders of `root`, and their images ordered by class and name."""
    folders = _list_folders(root)
    if not folders:
        raise DataError(f"{root} holds no class folders; put the images of each class into a folder of its own there.")
    beside = [path for path in sorted(root.iterdir()) if _extension(path.name) not in IMAGE_FORMATS]
    if dead := [path.name for path in beside if _is_ours(path.name) and not path.exists()]:
        raise DataError(
            f"{root}: {list_some(dead)} would be the folder of a class, but is a link to what is not there. Mend the "
            "link, or remove it."
        )
    _refuse_same([root / name for name in folders], "classes", "would be of both classes")
    classes = tuple(in_one_line(os.fsencode(name)) for name in folders)
    spelt: dict[str, str] = {}
    for name in classes:
        if (other := spelt.setdefault(normalize("NFC", name), name)) != name:
            raise DataError(
                f"{root}: the class folders {other}/ and {name}/ have the same letters in two spellings (composed and "
                "decomposed accents); move the images of both into one."
            )
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
        images = replace(images, ignored=images.ignored + Counter({"images beside the class folders": len(loose)}))
    images = images.take(np.array([row for row, part in enumerate(parts) if len(part) == 2], np.int64))
    images = label_by_folder(images, below, classes, root.name)
    counts = np.bincount(images.labels, minlength=len(classes))
    if empty := [classes[label] for label in np.flatnonzero(counts == 0)]:
        others = ", ".join(f"{count:,} {kind}" for kind, count in images.ignored.most_common(LISTED))
        raise DataError(
            f"{root}: these classes have no image ({', '.join(IMAGE_FORMATS)}): {', '.join(empty)}. Add images to them "
            f"or remove their folders. Ignored files: {others or 'none'}."
        )
    return classes, images


def _is_image(entry: os.DirEntry[str]) -> bool:
    """Whether a file is an image by its extension or, for other names than those of copies, by its first bytes."""
    if _extension(entry.name) in IMAGE_FORMATS:
        return True
    if LEFTOVER.search(entry.name) or not _holds(entry.is_file):
        return False
    with Path(entry.path).open("rb", buffering=0) as file:
        return begins_like_an_image(file.read(FIRST))


def _kind_of(name: str) -> str:
    return in_one_line(os.fsencode(_extension(name))) or "no extension"


def _extension(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 (a Path for each of millions is slow)


def _refuse_same(folders: Iterable[Path], what: str, otherwise: str) -> None:
    """Raise DataError if two of the folders are one, through a link: every image would be listed in both."""
    seen: dict[tuple[int, int], Path] = {}
    for folder in folders:
        state = folder.stat()
        if (other := seen.setdefault((state.st_dev, state.st_ino), folder)) != folder:
            raise DataError(
                f"The {what} {other} and {folder} are one folder, through a link: its images {otherwise}. Remove the "
                "link, or let it lead to other images."
            )


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
