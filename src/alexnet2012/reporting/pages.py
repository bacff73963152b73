"""What every page of tables is made of: its parts, grids, headings, and the note that a rehearsal is one."""

from tabulate import tabulate

from alexnet2012.reporting.cells import percent
from alexnet2012.reporting.outcomes import list_seeds
from alexnet2012.reporting.results import Experiment, Results

UNFED = "No experiment of this configuration feeds this table.\n"


def page(parts: list[str]) -> str:
    """The parts, each of which ends its last line, with a blank line between them; the first is the heading."""
    return "\n".join(part for part in (parts if len(parts) > 1 else [*parts, UNFED]) if part)


def grid(headers: list[str], rows: list[list[str]]) -> str:
    return tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True) + "\n"


def heading(experiment: Experiment) -> str:
    """The dataset, and what part of it was packed where that is not the whole."""
    return f"## {experiment.dataset}{f' ({experiment.part})' if experiment.part else ''}\n"


def title(words: str, results: Results) -> str:
    """A page's heading, and what is missing from it."""
    note = missing_note(results)
    return f"# {words}: {results.name}\n" + (f"\n**Not complete**: {note}\n" if note else "")


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
    return text + "\n"
