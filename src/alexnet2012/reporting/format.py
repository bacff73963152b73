"""Pages as data, written as markdown here and as HTML in page.py; and the notes that several pages have."""

from collections.abc import Iterable
from dataclasses import dataclass

from tabulate import tabulate

from alexnet2012.reporting.cells import percent
from alexnet2012.reporting.outcomes import list_seeds
from alexnet2012.reporting.results import Experiment, Results

UNFED = "No experiment of this configuration feeds this table."


@dataclass(frozen=True)
class Heading:
    """A heading of the second level."""

    text: str


@dataclass(frozen=True)
class Table:
    """Cells of text, a row of as many as there are headers."""

    headers: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Bullets:
    """A list; `of_origin`: of what made a table, which a reader of HTML unfolds."""

    items: list[str]
    of_origin: bool = False


Block = str | Heading | Table | Bullets  # a str is a paragraph


@dataclass(frozen=True)
class Page:
    """A page's title and what stands below it. In all of its text `code` stands in backticks, **emphasis** in stars."""

    title: str
    blocks: list[Block]


def make_page(words: str, results: Results, blocks: Iterable[Block]) -> Page:
    """A page of results, with what is missing from them; blocks without text are left out."""
    note = missing_note(results)
    return Page(
        f"{words}: {results.name}",
        [block for block in (f"**Not complete**: {note}" if note else "", *(list(blocks) or [UNFED])) if block],
    )


def to_markdown(page: Page) -> str:
    """The page with a blank line between its blocks."""
    return "\n".join([f"# {page.title}\n", *map(write_block, page.blocks)])


def write_block(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {text}\n"
        case Table(headers, rows):
            return tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True) + "\n"
        case Bullets(items):
            return "".join(f"- {item}\n" for item in items)
    return f"{block}\n"


def name_dataset(experiment: Experiment) -> str:
    """The dataset, and what part of it was packed where that is not the whole."""
    return f"{experiment.dataset}{f' ({experiment.part})' if experiment.part else ''}"


def missing_note(results: Results) -> str:
    """ "2 of 7 nets and ensembles are not in yet: cnn seeds 3, 4 on cifar10."; empty where none is missing."""
    if not results.missing:
        return ""
    groups: dict[tuple[str, str, bool], list[int]] = {}
    for each in results.missing:
        seeds = groups.setdefault((each.key, each.dataset, each.trained), [])
        seeds += [] if each.seed is None else [each.seed]
    names = "; ".join(
        key
        + (f" seed{'s' if len(seeds) > 1 else ''} {list_seeds(seeds)}" if seeds else "")
        + f" on {dataset}{' (trained, not evaluated)' if trained else ''}"
        for (key, dataset, trained), seeds in groups.items()
    )
    count = len(results.missing)
    return f"{count} of {results.listed} nets and ensembles {'is' if count == 1 else 'are'} not in yet: {names}."


def rehearsal_note(experiment: Experiment, *editions: str) -> str:
    """Says plainly that numbers off the whole of the paper's data are no reproduction of its numbers."""
    if experiment.edition in editions:
        return ""
    papers = editions[0] if len(editions) == 1 else "the paper's datasets"
    classes, images = experiment.classes, experiment.counts["train"]
    size = experiment.part or f"{classes:,} classes, {images:,} training images"
    text = f"**This is a rehearsal**: the paper's numbers are errors on {papers}, the measured ones errors on "
    text += f"{experiment.dataset} ({size}). They do not compare."
    if experiment.departures:
        text += f" These settings are not the paper's: {', '.join(experiment.departures)}."
    if classes < 100:
        chance = max(0.0, 1 - 5 / classes)
        text += f" Top-5 of {classes} classes has a chance level of {percent(chance)}."
    return text
