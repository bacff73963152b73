"""The report's first section for one's own images: accuracy, errors by class, confusions, and the worst images."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from alexnet2012.data.packed import open_packed
from alexnet2012.evaluation.statistics import estimate_share
from alexnet2012.reporting.format import error_cell, percent
from alexnet2012.reporting.own_data import ClassErrors, WrongImage, read_class_errors
from alexnet2012.reporting.page_parts import embed
from alexnet2012.reporting.results import Results, is_reference

LARGEST_MATRIX = 20  # classes; of more the most frequent confusions are listed
LISTED = 20  # classes or confusions, the others are folded away
PICTURE_PX = 128


@dataclass(frozen=True)
class ClassRow:
    name: str
    images: int
    wrong: int
    error: str


@dataclass(frozen=True)
class Confusion:
    """So many images of one class that were taken for another, and their share of the class."""

    label: str
    answer: str
    images: int
    share: str


@dataclass(frozen=True)
class ShownImage:
    """An image with a wrong answer; `name`: its file, or its row where that is not known; `source`: a data URI, empty
    where the images are not shown."""

    name: str
    label: str
    answer: str
    probability: str
    source: str


@dataclass(frozen=True)
class OwnSection:
    """What one's own images show of a net; `classes`, `names` and `confusions` are sorted, the worst first.

    `matrix`: images by true class (rows) and answer, in the order of `names`; empty where there are too many classes.
    """

    dataset: str
    net: str
    split: str
    images: int
    accuracy: str
    most_frequent: str
    names: list[str]
    classes: list[ClassRow]
    confusions: list[Confusion]
    matrix: list[list[int]]
    worst: list[ShownImage]


def make_own_sections(folder: Path, results: Results) -> list[OwnSection]:
    """A section for each dataset of one's own whose answers were counted (tables/classes.json).

    A reference shows no images: they may not be anyone's to publish.
    """
    data_folder = None if is_reference(folder) else Path("data")
    return [make_own_section(found, data_folder) for found in read_class_errors(folder, results)]


def make_own_section(found: ClassErrors, data_folder: Path | None) -> OwnSection:
    table, names = found.table, found.classes
    images, right = table.sum(axis=1), table.diagonal()
    error = estimate_share(int(images.sum() - right.sum()), int(images.sum()))
    order = np.argsort(-(images - right) / np.maximum(images, 1), kind="stable").tolist()
    return OwnSection(
        dataset=found.dataset,
        net=found.net,
        split=found.split,
        images=int(images.sum()),
        accuracy=f"{percent(1 - error.value)} [{100 * (1 - error.high):.1f}, {100 * (1 - error.low):.1f}]",
        most_frequent=percent(float(images.max() / images.sum())),
        names=[names[k] for k in order],
        classes=[describe_class(names[k], int(images[k]), int(images[k] - right[k])) for k in order if images[k]],
        confusions=list_confusions(table, names),
        matrix=table[order][:, order].tolist() if len(names) <= LARGEST_MATRIX else [],
        worst=show_images(found, data_folder),
    )


def describe_class(name: str, images: int, wrong: int) -> ClassRow:
    return ClassRow(name, images, wrong, error_cell(estimate_share(wrong, images)))


def list_confusions(table: np.ndarray, names: list[str]) -> list[Confusion]:
    """The most frequent ones first."""
    wrong = table - np.diag(table.diagonal())
    places = np.argsort(-wrong, axis=None, kind="stable")[:LISTED].tolist()
    pairs = (divmod(place, len(names)) for place in places)
    return [
        Confusion(names[k], names[j], int(wrong[k, j]), percent(float(wrong[k, j] / table[k].sum())))
        for k, j in pairs
        if wrong[k, j]
    ]


def show_images(found: ClassErrors, data_folder: Path | None) -> list[ShownImage]:
    """The worst images, with their pictures where `data_folder` has the dataset."""
    sources = [""] * len(found.worst)
    if data_folder is not None and (data_folder / found.dataset / "manifest.json").is_file():
        images = open_packed(data_folder / found.dataset).split(found.split).images
        sources = [encode_picture(images[each.row]) for each in found.worst]
    return [make_shown_image(found, each, source) for each, source in zip(found.worst, sources, strict=True)]


def make_shown_image(found: ClassErrors, each: WrongImage, source: str) -> ShownImage:
    names = found.classes
    name = each.path or f"image {each.row} of {found.split}"
    return ShownImage(name, names[each.label], names[each.answer], percent(each.probability), source)


def encode_picture(pixels: np.ndarray) -> str:
    """A JPEG of `pixels`, uint8 (s, s, 3), as a data URI."""
    image, file = Image.fromarray(np.asarray(pixels)), io.BytesIO()
    image.thumbnail((PICTURE_PX, PICTURE_PX))
    image.save(file, "JPEG", quality=88)
    return embed("image/jpeg", file.getvalue())
