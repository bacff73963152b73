"""The tables of a results folder: the paper's, its numbers in the text, the ledger of claims, and all errors."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from alexnet2012 import paper
from alexnet2012.claims.ledger import make_ledgers, to_data
from alexnet2012.evaluation.statistics import estimate_error
from alexnet2012.files import write_json, write_text
from alexnet2012.reporting.format import (
    ABSENT,
    IN_FULL,
    INTERVALS,
    LABELS_WITHHELD,
    NOT_YET,
    Block,
    Heading,
    Page,
    Table,
    cell,
    error_cell,
    estimate,
    list_seeds,
    make_page,
    name_dataset,
    percent,
    rehearsal_note,
    to_markdown,
)
from alexnet2012.reporting.in_text import describe_claims, describe_numbers
from alexnet2012.reporting.origin import describe_calibration, describe_few_steps, describe_origin
from alexnet2012.reporting.results import ExperimentResults, Results, learned_of, load_results, members, tabulate_errors


@dataclass(frozen=True)
class TableLayout:
    """One of the paper's tables: its rows on `edition`, the splits that are `shown`, and the one that differences and
    seeds are of."""

    title: str
    rows: tuple[paper.TableRow, ...]
    edition: paper.Edition
    split: str
    shown: tuple[str, ...]

    @property
    def quoted(self) -> list[str]:
        """The other splits, of which the paper's top-5 error stands beside."""
        return [split for split in self.shown if split != self.split]

    @property
    def headers(self) -> list[str]:
        of = {split: f" ({split})" if self.quoted else "" for split in self.shown}
        own = of[self.split]
        quoted = [f"paper top-5{of[split]}" for split in self.quoted]
        measured = [f"top-{k}{of[split]}" for split, k in product(self.shown, (1, 5))]
        stated = [f"paper top-1{own}", f"paper top-5{own}", *quoted]
        return ["Model", *stated, *measured, f"difference top-1 / top-5{own}", "seeds"]


LAYOUTS = {
    "table1": TableLayout("Table 1", paper.TABLE1, paper.ILSVRC2010, "test", ("test",)),
    "table2": TableLayout("Table 2", paper.TABLE2, paper.ILSVRC2012, "val", ("val", "test")),
}


def render_tables(folder: Path, data_folder: Path) -> list[Path]:
    """Write tables/{table1,table2,in_text,claims}.md, claims.json and results.csv below `folder`; their paths.

    Raises RecordError when a record may not stand in a table.
    """
    results = load_results(folder, data_folder)
    ledgers = make_ledgers(results)
    pages = make_tables(results) | {"claims": describe_claims(results, ledgers)}
    paths = [folder / "tables" / f"{name}.md" for name in pages]
    for path, page in zip(paths, pages.values(), strict=True):
        write_text(path, to_markdown(page))
    data, errors = folder / "tables" / "claims.json", folder / "tables" / "results.csv"
    write_json(data, to_data(results, ledgers))
    write_text(errors, tabulate_errors(results).to_csv(index=False))
    return [*paths, data, errors]


def make_tables(results: Results) -> dict[str, Page]:
    """The paper's tables and its numbers in the text, by the names of their files."""
    return {key: describe_table(results, key) for key in LAYOUTS} | {"in_text": describe_numbers(results)}


def describe_table(results: Results, key: str) -> Page:
    """Table 1 or 2 in the paper's shape, once for each dataset that feeds it."""
    blocks: list[Block] = []
    for dataset in results.datasets:
        experiments = {experiment.key: experiment for experiment in results.feeding(key, dataset)}
        if experiments:
            blocks += describe_dataset_part(results, LAYOUTS[key], experiments)
    return make_page(LAYOUTS[key].title, results, blocks)


def describe_dataset_part(
    results: Results, layout: TableLayout, experiments: dict[str, ExperimentResults]
) -> list[Block]:
    """A table's part on the dataset of these experiments, with what made it."""
    first = next(iter(experiments.values()))
    rows = [fill_row(results, layout, first, row, experiments.get(row.key)) for row in with_others(layout, experiments)]
    notes = []
    if "val" in layout.shown and any(val_steered(experiment) for experiment in experiments.values()):
        notes.append("val also steered the learning rate, so that its errors flatter the nets.")
    calibration = results.calibrations.get(first.dataset) if "val" in layout.shown else None
    if calibration is not None:
        val, test = (calibration_cell(calibration, k) for k in (1, 5)), (LABELS_WITHHELD, LABELS_WITHHELD)
        name = f"{calibration['net']} (not the paper's net), centre crop"
        rows.append([name, *[ABSENT] * 3, *val, *test, ABSENT, ABSENT])
        notes.append(describe_calibration(calibration))
    return [
        Heading(name_dataset(first)),
        caption(first, layout),
        rehearsal_note(first, layout.edition),
        Table(layout.headers, rows),
        *notes,
        describe_few_steps(results, experiments.values()),
        describe_origin(experiments.values()),
    ]


def fill_row(
    results: Results,
    layout: TableLayout,
    first: ExperimentResults,
    row: paper.TableRow,
    found: ExperimentResults | None,
) -> list[str]:
    """A row's cells; `first` tells the dataset, `found` is what reproduces the row, if anything does."""
    stated = getattr(row, layout.split)
    absent = IN_FULL if (first.dataset, row.key) in results.in_full else NOT_YET
    return [
        label(results, row, found),
        stated_cell(stated.top1, row.logged.top1),
        stated_cell(stated.top5, row.logged.top5),
        *(percent(getattr(row, split).top5) for split in layout.quoted),
        *(cell(found, first.splits, split, k, absent=absent) for split, k in product(layout.shown, (1, 5))),
        difference(results, found, stated, layout.edition, layout.split, row.recipe),
        seeds_cell(results, found, layout.split),
    ]


def with_others(layout: TableLayout, experiments: dict[str, ExperimentResults]) -> Iterable[paper.TableRow]:
    """The paper's rows, then one for each experiment that the paper has no row for."""
    yield from layout.rows
    known = {row.key for row in layout.rows}
    of_the_code = {row.key: row for row in paper.CODE_ROWS}
    yield from (of_the_code.get(key, paper.TableRow(key, key)) for key in experiments if key not in known)


def label(results: Results, row: paper.TableRow, found: ExperimentResults | None) -> str:
    """A row's name with what its nets, or some of an ensemble's, were pre-trained on."""
    if found is None:
        return row.label
    earlier = [net.training.get("starts_from") for net in members(results, found)]
    names = dict.fromkeys(each["dataset"]["name"] for each in earlier if each is not None)
    if not names:
        return row.label
    some = f"{sum(each is not None for each in earlier)} of {len(earlier)} " if None in earlier else ""
    return f"{row.label} ({some}pre-trained on {', '.join(names)})"


def caption(experiment: ExperimentResults, layout: TableLayout) -> str:
    shown = [split for split in layout.shown if split in experiment.splits] or list(layout.shown)
    sets = f"{' and '.join(shown)} set{'s' if len(shown) > 1 else ''}"
    text = f"Errors on {experiment.dataset}, its {sets}, ten crops; {INTERVALS}. Differences are measured minus paper."
    if "test" not in experiment.splits:
        text += f"\n{paper.ILSVRC2012}'s test labels are withheld: errors on its test set can only be quoted."
    return text


def val_steered(experiment: ExperimentResults) -> bool:
    return any(net.training and net.training["val_steered"] for net in experiment.nets)


def stated_cell(stated: float | None, logged: float | None) -> str:
    """The paper's error, and beside it the same one in the notes of the 2012 source."""
    return percent(stated) if logged is None else f"{percent(stated)} (logged {100 * logged:.4f})"


def calibration_cell(record: dict[str, Any], k: int) -> str:
    """The error of a calibrating net, one crop, with its interval over images."""
    images = record["images"]
    return error_cell(estimate_error([np.arange(images) < round(record["errors"][f"top{k}"] * images)]))


def difference(
    results: Results,
    experiment: ExperimentResults | None,
    stated: paper.Errors,
    edition: str,
    split: str,
    recipe: str = "paper",
) -> str:
    """Measured minus stated, in points, where the dataset is the whole `edition` and the recipe that of the row."""
    if experiment is None or experiment.edition != edition:
        return ABSENT
    if stated.top1 is None or stated.top5 is None or results.recipes(experiment) != {recipe}:
        return ABSENT
    values = (estimate(experiment, split, k, "ten_crop").value - own for k, own in ((1, stated.top1), (5, stated.top5)))
    return " / ".join(f"{100 * value:+.1f}" for value in values) + " points"


def seeds_cell(results: Results, experiment: ExperimentResults | None, split: str) -> str:
    """The seeds behind a cell; the smallest and the largest top-1 error where there are several; how many learned."""
    if experiment is None:
        return ABSENT
    text = list_seeds(experiment.seeds) if experiment.seeds else f"average of {len(experiment.members)}"
    if len(experiment.nets) > 1 and split in experiment.splits:
        errors = [net.predictions[split]["errors"]["ten_crop"]["top1"] for net in experiment.nets]
        text += f"; top-1 from {percent(min(errors))} to {percent(max(errors))}"
    return "; ".join(part for part in (text, learned_of(results, experiment)) if part)
