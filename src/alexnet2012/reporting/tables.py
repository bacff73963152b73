"""The paper's tables, its numbers in the text and the ledger of claims, as markdown, each with what made it."""

from collections.abc import Iterable
from itertools import product
from pathlib import Path

from alexnet2012 import paper
from alexnet2012.files import write_json, write_text
from alexnet2012.reporting.cells import (
    ABSENT,
    WITHHELD,
    calibration_cell,
    cell,
    difference,
    outcome_cells,
    percent,
    place,
    points_pair,
    seeds_cell,
    stated,
)
from alexnet2012.reporting.claims import measure_number, try_measure
from alexnet2012.reporting.ledger import make_ledgers, render_claims, to_data
from alexnet2012.reporting.measures_errors import measure_ensemble
from alexnet2012.reporting.pages import grid, heading, page, rehearsal_note
from alexnet2012.reporting.provenance_note import describe_calibration, describe_origin
from alexnet2012.reporting.results import EDITIONS, Experiment, Results, load_results

INTERVALS = "in brackets the 95 % interval: over seeds where there are three or more, else over images"


def render_tables(folder: Path, data_folder: Path) -> list[Path]:
    """Write tables/{table1,table2,in_text,claims}.md and claims.json below `folder` and return their paths.

    Raises RecordError when a record may not stand in a table.
    """
    results = load_results(folder, data_folder)
    ledgers = make_ledgers(results)
    texts = {
        "table1": render_table1(results),
        "table2": render_table2(results),
        "in_text": render_in_text(results),
        "claims": render_claims(results, ledgers),
    }
    paths = [folder / "tables" / f"{name}.md" for name in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        write_text(path, text)
    data = folder / "tables" / "claims.json"
    write_json(data, to_data(results, ledgers))
    return [*paths, data]


def render_table1(results: Results) -> str:
    """Table 1 in the paper's shape, once for each dataset that feeds it."""
    parts = [f"# Table 1: {results.name}\n"]
    for dataset in results.datasets:
        experiments = {experiment.key: experiment for experiment in results.feeding("table1", dataset)}
        if not experiments:
            continue
        rows = []
        first = next(iter(experiments.values()))
        for row in with_others(paper.TABLE1, experiments):
            found = experiments.get(row.key)
            rows.append(
                [
                    row.label,
                    *(percent(each) for each in (row.test.top1, row.test.top5)),
                    *(cell(found, first.splits, "test", k) for k in (1, 5)),
                    difference(results, found, row.test, paper.ILSVRC2010, "test"),
                    seeds_cell(found, "test"),
                ]
            )
        headers = ["Model", "paper top-1", "paper top-5", "top-1", "top-5", "difference top-1 / top-5", "seeds"]
        parts += [
            heading(first),
            caption(first, "its test set"),
            rehearsal_note(first, paper.ILSVRC2010),
            grid(headers, rows),
            describe_origin(experiments.values()),
        ]
    return page(parts)


def render_table2(results: Results) -> str:
    """Table 2 in the paper's shape, once for each dataset that feeds it."""
    parts = [f"# Table 2: {results.name}\n"]
    for dataset in results.datasets:
        experiments = {experiment.key: experiment for experiment in results.feeding("table2", dataset)}
        if not experiments:
            continue
        rows = []
        first = next(iter(experiments.values()))
        for row in with_others(paper.TABLE2, experiments):
            found = experiments.get(row.key)
            rows.append(
                [
                    row.label,
                    *(percent(each) for each in (row.val.top1, row.val.top5, row.test.top5)),
                    *(cell(found, first.splits, split, k) for split in ("val", "test") for k in (1, 5)),
                    difference(results, found, row.val, paper.ILSVRC2012, "val"),
                    seeds_cell(found, "val"),
                ]
            )
        calibration = results.calibrations.get(dataset)
        if calibration is not None:
            val, test = (calibration_cell(calibration, k) for k in (1, 5)), (WITHHELD, WITHHELD)
            name = f"{calibration['net']} (not the paper's net), centre crop"
            rows.append([name, *[ABSENT] * 3, *val, *test, ABSENT, ABSENT])
        headers = ["Model", "paper top-1 (val)", "paper top-5 (val)", "paper top-5 (test)"]
        headers += ["top-1 (val)", "top-5 (val)", "top-1 (test)", "top-5 (test)"]
        headers += ["difference top-1 / top-5 (val)", "seeds"]
        parts += [
            heading(first),
            caption(first, "its val and test sets" if "test" in first.splits else "its val set"),
            rehearsal_note(first, paper.ILSVRC2012),
            grid(headers, rows),
        ]
        if any(val_steered(experiment) for experiment in experiments.values()):
            parts.append("val also steered the learning rate, so that its errors flatter the nets.\n")
        if calibration is not None:
            parts.append(describe_calibration(calibration))
        parts.append(describe_origin(experiments.values()))
    return page(parts)


def render_in_text(results: Results) -> str:
    """The numbers of the running text, and the errors of every variant with and without the ten crops."""
    parts = [f"# Numbers in the text: {results.name}\n"]
    for dataset in results.datasets:
        experiments = results.on(dataset)
        rows = [
            [place(claim.section), claim.text, stated(claim), *outcome_cells(measure_number(claim, results, dataset))]
            for claim in paper.CLAIMS
            if claim.in_text
        ]
        rows.append(
            [
                place("6, table 2"),
                "averaging five CNNs lowers the error of one",
                points_pair(paper.FIVE_CNNS_GAIN),
                *outcome_cells(try_measure(measure_ensemble, results, dataset)),
            ]
        )
        headers = ["where", "what", "paper", "measured (top-1 / top-5)", "conditions and interval, or why not"]
        parts += [heading(experiments[0]), rehearsal_note(experiments[0], *EDITIONS.values()), grid(headers, rows)]
        parts += [f"Errors of every variant; {INTERVALS}.\n", grid(*variant_errors(experiments))]
        parts.append(describe_origin(experiments))
    return page(parts)


def with_others(rows: tuple[paper.Row, ...], experiments: dict[str, Experiment]) -> Iterable[paper.Row]:
    """The paper's rows, then one for each experiment that the paper has no row for."""
    yield from rows
    known = {row.key for row in rows}
    yield from (paper.Row(key, key) for key in experiments if key not in known)


def variant_errors(experiments: list[Experiment]) -> tuple[list[str], list[list[str]]]:
    kinds = list(product(("val", "test"), {"centre": "centre", "ten_crop": "ten crops"}.items(), (1, 5)))
    headers = ["variant", *(f"{split}, {words}, top-{k}" for split, (_, words), k in kinds)]
    rows = [
        [found.key, *(cell(found, found.splits, split, k, crops) for split, (crops, _), k in kinds)]
        for found in experiments
    ]
    return headers, rows


def caption(experiment: Experiment, splits: str) -> str:
    text = f"Errors on {experiment.dataset}, {splits}, ten crops; {INTERVALS}. Differences are measured minus paper.\n"
    if "test" not in experiment.splits:
        text += f"{paper.ILSVRC2012}'s test labels are withheld: errors on its test set can only be quoted.\n"
    return text


def val_steered(experiment: Experiment) -> bool:
    return any(net.training is not None and net.training["val_steered"] for net in experiment.nets)
