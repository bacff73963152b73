"""Pages as data, written as markdown here and as HTML in page.py; and the notes that several pages have."""

from collections.abc import Iterable
from dataclasses import dataclass

from tabulate import tabulate

from alexnet2012 import paper
from alexnet2012.evaluation.statistics import Estimate, estimate_error
from alexnet2012.reporting.results import ExperimentResults, Results

ABSENT = "–"
NOT_YET = "not yet reproduced"
IN_FULL = "run `snakemake full`"
LABELS_WITHHELD = "labels withheld"
INTERVALS = "in brackets the 95 % interval: over seeds where there are three or more, else over images"
CROP_WORDS = {"ten_crop": "ten crops", "centre": "centre crop"}
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
            return f"{tabulate(rows, headers=headers, tablefmt='pipe', disable_numparse=True)}\n"
        case Bullets(items):
            return "".join(f"- {item}\n" for item in items)
    return f"{block}\n"


def name_dataset(experiment: ExperimentResults) -> str:
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
        + (f" seed{'s' if len(seeds) > 1 else ''} {list_ranges(seeds)}" if seeds else "")
        + f" on {dataset}{' (trained, not evaluated)' if trained else ''}"
        for (key, dataset, trained), seeds in groups.items()
    )
    count = len(results.missing)
    return f"{count} of {results.listed} nets and ensembles {'is' if count == 1 else 'are'} not in yet: {names}."


def rehearsal_note(experiment: ExperimentResults, *editions: str) -> str:
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


def estimate(experiment: ExperimentResults, split: str, k: int, crops: str) -> Estimate:
    return estimate_error([net.wrong(split, crops, k) for net in experiment.nets])


def cell(
    experiment: ExperimentResults | None,
    splits: tuple[str, ...],
    split: str,
    k: int,
    crops: str = "ten_crop",
    absent: str = NOT_YET,
) -> str:
    """A measured error, or what stands for it; `splits` are those of the dataset whose labels are public."""
    if split not in splits:
        return LABELS_WITHHELD
    return absent if experiment is None else error_cell(estimate(experiment, split, k, crops))


def error_cell(found: Estimate) -> str:
    return f"{percent(found.value)} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def probability_cell(p: float | None) -> str:
    if p is None:
        return ABSENT
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def percent(value: float | None) -> str:
    return ABSENT if value is None else f"{100 * value:.1f} %"


def points_pair(pair: paper.Errors) -> str:
    return " / ".join(f"{100 * value:.1f}" for value in pair.given) + " points"


def count_seeds(seeds: list[int]) -> str:
    return oppose_counts([len(seeds)])


def oppose_counts(counts: list[int]) -> str:
    """How many seeds each experiment has, the base net last: "1 seed", "3 seeds", "3 against 5 seeds"."""
    return f"{oppose([str(each) for each in counts])} seed{'s' if max(counts) > 1 else ''}"


def list_seeds(seeds: list[int]) -> str:
    return ", ".join(str(seed) for seed in seeds)


def oppose(sides: list[str]) -> str:
    """What the experiments have, "A against B", that of the base net last; once if they all have the same."""
    *others, base = sides
    unlike = [each for each in dict.fromkeys(others) if each != base]
    return " against ".join([" and ".join(unlike), base] if unlike else [base])


def list_ranges(seeds: list[int]) -> str:
    """The seeds in order, three consecutive ones or more as a range: "0-4", "0, 1", "0, 2"."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else list_seeds(run) for run in runs)


def list_ratios(ratios: list[float], seeds: list[int]) -> str:
    return ", ".join(f"{ratio:.2f}x (seed {seed})" for ratio, seed in zip(ratios, seeds, strict=True))


def interval(found: Estimate) -> str:
    """A fraction in percent or points, without its unit: "1.20 [0.80, 1.60]"."""
    return f"{100 * found.value:.2f} [{100 * found.low:.2f}, {100 * found.high:.2f}]"


def in_brackets(words: str) -> str:
    """The words as a remark behind others; nothing for none."""
    return f" ({words})" if words else ""
