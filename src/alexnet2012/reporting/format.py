"""Pages as data, written as markdown here and as HTML in page.py; and the notes that several pages have."""

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tabulate import tabulate

from alexnet2012 import paper
from alexnet2012.evaluation.statistics import Estimate, estimate_error
from alexnet2012.reporting.results import ExperimentResults, Results

ABSENT = "–"
NOT_YET = "not yet reproduced"
IN_FULL = "run `snakemake full`"
LABELS_WITHHELD = "labels withheld"
INTERVALS = "In brackets the 95 % interval: over seeds where there are three or more, else over images."
CROP_WORDS = {"ten_crop": "ten crops", "centre": "centre crop"}
UNFED = "No experiment of this configuration feeds this table."
LINE = 60  # letters of a heading
FEW_NAMES = 6  # of what is missing, in a sentence
# An interval, and a number with its unit, are each read as one word.
UNBROKEN = re.compile(r"\[-?[\d.,]+, -?[\d.,]+\]|-?[\d.,]+ %")
# What markdown would read as the beginning of a tag or an entity.
TAG = re.compile(r"<(?=[A-Za-z/!?])|&(?=#?\w+;)")


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
    """A list of text."""

    items: list[str]


@dataclass(frozen=True)
class Details:
    """Blocks below a line of plain text, which a reader clicks to unfold them."""

    summary: str
    blocks: list["Block"]


Block = str | Heading | Table | Bullets | Details  # a str is a paragraph


@dataclass(frozen=True)
class Page:
    """A page's title, the notes that hold for all of it, and what stands below them.

    In all of its text `code` stands in backticks, **emphasis** in stars.
    """

    title: str
    blocks: list[Block]
    notes: tuple[Block, ...] = ()


def make_page(words: str, results: Results, blocks: Iterable[Block], datasets: Sequence[str]) -> Page:
    """A page on `datasets`, with what is missing from the results and what compares with the paper; empty blocks are
    left out."""
    notes = tuple(describe_state(results, datasets))
    return Page(f"{words}: {results.name}", [block for block in blocks if block] or [UNFED], notes)


def to_markdown(page: Page) -> str:
    """The page with a blank line between its blocks."""
    return "\n".join([f"# {page.title}\n", *map(write_block, (*page.notes, *page.blocks))])


def write_block(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {escape(text)}\n"
        case Table(headers, rows):
            cells = [[keep_whole(escape(cell)).replace("|", "\\|") for cell in row] for row in rows]
            return f"{tabulate(cells, headers=headers, tablefmt='pipe', disable_numparse=True)}\n"
        case Bullets(items):
            return "".join(f"- {escape(item)}\n" for item in items)
        case Details(summary, blocks):
            inner = "\n".join(write_block(each) for each in blocks if each)
            return f"<details>\n<summary>{html.escape(summary, quote=False)}</summary>\n\n{inner}\n</details>\n"
    return f"{escape(block)}\n"


def keep_whole(text: str) -> str:
    """The text, in which no line breaks within an interval or a percentage."""
    return UNBROKEN.sub(lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), text)


def escape(text: str) -> str:
    """Text in which markdown reads no tag and no entity."""
    return TAG.sub(lambda found: html.escape(found[0]), text)


def name_dataset(experiment: ExperimentResults) -> str:
    """The dataset, and what part of it was packed where that is not the whole and said in a line."""
    return f"{experiment.dataset}{in_brackets(experiment.part) if len(experiment.part) <= LINE else ''}"


def describe_state(results: Results, datasets: Sequence[str]) -> list[Block]:
    """What a reader must know first: what is missing from the results, and which of `datasets` compare with the
    paper's."""
    blocks: list[Block] = []
    if missing := missing_note(results):
        blocks.append(f"**Not complete**: {missing}")
        names = name_missing(results)
        blocks += [Details("What is not in yet", [Bullets(names)])] if len(names) > FEW_NAMES else []
    others = [each for each in map(results.on, datasets) if each[0].edition is None]
    if public := [name_with_size(each) for each in others if not each[0].is_own]:
        text = f"**Not the paper's data**: {'; '.join(public)}. The paper's numbers are of ImageNet: "
        blocks.append(f"{text}signs compare, sizes do not.")
    if own := [name_with_size(each) for each in others if each[0].is_own]:
        blocks.append(f"These are results on {'; '.join(own)}. The paper's numbers are of ImageNet and do not compare.")
    return blocks


def name_with_size(experiments: list[ExperimentResults]) -> str:
    """ "photos (10 classes, 1,120 training images, scaled net)"."""
    first = experiments[0]
    size = first.part or f"{first.classes:,} classes, {first.counts['train']:,} training images"
    return f"{first.dataset} ({size}{', scaled net' if first.scaled else ''})"


def missing_note(results: Results) -> str:
    """ "2 of 7 nets and ensembles are not in yet: cnn seeds 3, 4 on cifar10."; empty where none is missing.

    Many are counted and not named.
    """
    count, names = len(results.missing), name_missing(results)
    if not count:
        return ""
    text = f"{count} of {results.listed} nets and ensembles {'is' if count == 1 else 'are'} not in yet"
    return f"{text}: {'; '.join(names)}." if len(names) <= FEW_NAMES else f"{text}."


def name_missing(results: Results) -> list[str]:
    """ "cnn seeds 3, 4 on cifar10", for each net or ensemble."""
    groups: dict[tuple[str, str, bool], list[int]] = {}
    for each in results.missing:
        seeds = groups.setdefault((each.key, each.dataset, each.trained), [])
        seeds += [] if each.seed is None else [each.seed]
    return [
        name_with_seeds(key, dataset, seeds) + (" (trained, not evaluated)" if trained else "")
        for (key, dataset, trained), seeds in groups.items()
    ]


def name_with_seeds(key: str, dataset: str, seeds: list[int]) -> str:
    """ "cnn seeds 0-4 on cifar10", or "5-cnns on cifar10" for no seeds."""
    which = f" seed{'s' if len(seeds) > 1 else ''} {list_ranges(seeds)}" if seeds else ""
    return f"{key}{which} on {dataset}"


def chance_note(experiment: ExperimentResults) -> str:
    """What a guess errs on where that is not nearly everything; empty where top-5 is not shown."""
    if not experiment.shows_top5 or experiment.classes >= 100:
        return ""
    return f"Top-5 of {experiment.classes} classes has a chance level of {percent(1 - 5 / experiment.classes)}."


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
    return f"{100 * found.value:z.2f} [{100 * found.low:z.2f}, {100 * found.high:z.2f}]"


def in_brackets(words: str) -> str:
    """The words as a remark behind others; nothing for none."""
    return f" ({words})" if words else ""
