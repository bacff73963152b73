"""The tables of a results folder: the paper's, its numbers in the text, the ledger of claims, and all errors."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet2012 import paper
from alexnet2012.claims.ledger import make_ledgers, to_data
from alexnet2012.evaluation.statistics import estimate_share
from alexnet2012.files import write_json, write_text
from alexnet2012.reporting.format import (
    ABSENT,
    IN_FULL,
    INTERVALS,
    NOT_YET,
    Block,
    Heading,
    Page,
    Table,
    cell,
    chance_note,
    count_seeds,
    error_cell,
    estimate,
    list_ranges,
    make_page,
    name_dataset,
    percent,
    to_markdown,
)
from alexnet2012.reporting.in_text import describe_claims, describe_numbers
from alexnet2012.reporting.origin import describe_calibration, describe_few_steps, describe_origin
from alexnet2012.reporting.own_data import write_class_errors
from alexnet2012.reporting.results import ExperimentResults, Results, learned_of, load_results, members, tabulate_errors


@dataclass(frozen=True)
class TableLayout:
    """One of the paper's tables: its rows on `edition`, first of its `split`, then of `others`."""

    title: str
    rows: tuple[paper.TableRow, ...]
    edition: paper.Edition
    split: str
    others: tuple[str, ...] = ()


LAYOUTS = {
    "table1": TableLayout("Table 1", paper.TABLE1, paper.ILSVRC2010, "test"),
    "table2": TableLayout("Table 2", paper.TABLE2, paper.ILSVRC2012, "val", ("test",)),
}


def render_tables(folder: Path, data_folder: Path) -> list[Path]:
    """Write tables/{table1,table2,in_text,claims}.md, claims.json and results.csv below `folder`; their paths.

    For images of one's own also classes.json, which the report reads.
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
    write_class_errors(folder, results)
    return [*paths, data, errors]


def make_tables(results: Results) -> dict[str, Page]:
    """The paper's tables and its numbers in the text, by the names of their files."""
    return {key: describe_table(results, key) for key in LAYOUTS} | {"in_text": describe_numbers(results)}


def describe_table(results: Results, key: str) -> Page:
    """Table 1 or 2 in the paper's shape, once for each dataset that feeds it."""
    blocks: list[Block] = []
    datasets = [dataset for dataset in results.datasets if results.feeding(key, dataset)]
    for dataset in datasets:
        experiments = {experiment.key: experiment for experiment in results.feeding(key, dataset)}
        blocks += describe_dataset_part(results, LAYOUTS[key], experiments)
    return make_page(LAYOUTS[key].title, results, blocks, datasets)


def describe_dataset_part(
    results: Results, layout: TableLayout, experiments: dict[str, ExperimentResults]
) -> list[Block]:
    """A table's part on the dataset of these experiments, with what made it."""
    first = next(iter(experiments.values()))
    rows = {row: experiments.get(row.key) for row in with_others(layout, experiments)}
    blocks: list[Block] = [Heading(name_dataset(first)), caption(first, layout)]
    blocks.append(make_table(results, layout, first, rows, layout.split))
    for split in layout.others:
        if split in first.splits:
            blocks += [f"On the {split} set:", make_table(results, layout, first, rows, split)]
        else:
            blocks.append(quote_errors(rows, split))
    if "val" in (layout.split, *layout.others):
        blocks.append(describe_steering([(row.label, found) for row, found in rows.items() if found is not None]))
    if calibration := calibration_of(results, layout, first):
        blocks.append(describe_calibration(calibration))
    blocks += [quote_logged(rows), chance_note(first), describe_few_steps(results, experiments.values())]
    spread = {row.label: describe_range(found, layout.split) for row, found in rows.items() if found is not None}
    by_seed = "; ".join(f"{name} {words}" for name, words in spread.items() if words)
    return [*blocks, describe_origin(experiments.values(), **{"top-1 by seed": by_seed})]


def make_table(
    results: Results,
    layout: TableLayout,
    first: ExperimentResults,
    rows: dict[paper.TableRow, ExperimentResults | None],
    split: str,
) -> Table:
    """What the paper states of a split beside what was measured; a column that would be empty is left out."""
    ks = (1, 5) if first.shows_top5 else (1,)
    columns = [column for k in ks for column in (f"paper top-{k}", f"top-{k}")]
    filled = [fill_row(results, layout, first, row, found, split, ks) for row, found in rows.items()]
    if split == "val" and (calibration := calibration_of(results, layout, first)):
        measured = [cell for k in ks for cell in (ABSENT, calibration_cell(calibration, k))]
        name = f"{calibration['net']} (not the paper's net), centre crop"
        filled.append([name, *measured, ABSENT, ABSENT])
    headers = ["Model", *columns, f"difference top-{' / top-'.join(map(str, ks))}", "seeds"]
    shown = [
        index
        for index, header in enumerate(headers)
        if not header.startswith(("paper", "difference")) or any(row[index] != ABSENT for row in filled)
    ]
    return Table([headers[index] for index in shown], [[row[index] for index in shown] for row in filled])


def fill_row(
    results: Results,
    layout: TableLayout,
    first: ExperimentResults,
    row: paper.TableRow,
    found: ExperimentResults | None,
    split: str,
    ks: tuple[int, ...],
) -> list[str]:
    """A row's cells; `first` tells the dataset, `found` is what reproduces the row, if anything does."""
    stated: paper.Errors = getattr(row, split)
    absent = IN_FULL if (first.dataset, row.key) in results.in_full else NOT_YET
    errors = [
        text
        for k in ks
        for text in (
            percent(getattr(stated, f"top{k}")),
            cell(found, first.splits, split, k, absent=absent if k == 1 else ABSENT),
        )
    ]
    changed = difference(results, found, stated, layout.edition, split, row.recipe)
    return [label(results, row, found), *errors, changed, seeds_cell(results, found)]


def calibration_of(results: Results, layout: TableLayout, first: ExperimentResults) -> dict[str, Any] | None:
    return results.calibrations.get(first.dataset) if layout.split == "val" else None


def quote_errors(rows: Iterable[paper.TableRow], split: str) -> str:
    """What the paper states of a split whose labels are withheld."""
    quoted = {row.label: getattr(row, split).top5 for row in rows}
    words = ", ".join(f"{name} {percent(value)}" for name, value in quoted.items() if value is not None)
    text = f"{paper.ILSVRC2012}'s {split} labels are withheld: errors there can only be quoted"
    return f"{text} (top-5: {words})." if words else f"{text}."


def quote_logged(rows: Iterable[paper.TableRow]) -> str:
    """The paper's rounded errors in the notes of the 2012 source, where a row has them."""
    logged = {row.label: row.logged for row in rows if row.logged.top1 is not None}
    pairs = (f"{name} {' / '.join(f'{100 * value:.4f}' for value in each.given)} %" for name, each in logged.items())
    words = "; ".join(pairs)
    return f"In the run notes of the 2012 source, top-1 / top-5: {words}." if words else ""


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
    text = f"Errors on the {layout.split} set of {experiment.dataset}, ten crops; the paper's are on {layout.edition}."
    compared = " Differences are measured minus paper, in points." if experiment.edition == layout.edition else ""
    return f"{text} {INTERVALS}{compared}"


def describe_steering(rows: list[tuple[str, ExperimentResults]]) -> str:
    """That val is no unseen split for those of the nets that were trained by its error; empty if there are none."""
    steered = [label for label, experiment in rows if val_steered(experiment)]
    if not steered:
        return ""
    whose, nets = ("", "the nets") if len(steered) == len(rows) else (f" of {', '.join(steered)}", "these nets")
    return f"val also steered the learning rate{whose}, so that its errors flatter {nets}."


def val_steered(experiment: ExperimentResults) -> bool:
    return any(net.training and net.training["val_steered"] for net in experiment.nets)


def calibration_cell(record: dict[str, Any], k: int) -> str:
    """The error of a calibrating net, one crop, with its interval over images."""
    images = record["images"]
    return error_cell(estimate_share(round(record["errors"][f"top{k}"] * images), images))


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
    return " / ".join(f"{100 * value:+z.1f}" for value in values)


def seeds_cell(results: Results, experiment: ExperimentResults | None) -> str:
    """How many seeds are behind a row, which where they are not the first ones, and how many of them learned."""
    if experiment is None:
        return ABSENT
    seeds, learned = experiment.seeds, learned_of(results, experiment)
    if not seeds:
        return f"average of {len(experiment.members)}{'; ' * bool(learned)}{learned}"
    text = learned if learned and len(seeds) > 1 else count_seeds(seeds)
    numbered = "" if sorted(seeds) == list(range(len(seeds))) else f" ({list_ranges(seeds)})"
    return f"{text}{numbered}{f'; {learned}' if learned and len(seeds) == 1 else ''}"


def describe_range(experiment: ExperimentResults, split: str) -> str:
    """The smallest and the largest top-1 error; empty for a single net."""
    if len(experiment.nets) < 2 or split not in experiment.splits:
        return ""
    errors = [net.predictions[split]["errors"]["ten_crop"]["top1"] for net in experiment.nets]
    return f"from {percent(min(errors))} to {percent(max(errors))}"
