"""The paper's tables, its numbers in the text and the ledger of claims, as markdown, each with what made it."""

from collections.abc import Iterable
from functools import partial
from itertools import product
from pathlib import Path

import pandas as pd

from alexnet2012 import paper
from alexnet2012.evaluation.metrics import CROPS
from alexnet2012.files import write_json, write_text
from alexnet2012.reporting.cells import (
    ABSENT,
    IN_FULL,
    NOT_YET,
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
    stated_cell,
)
from alexnet2012.reporting.claims import measure_number, try_measure
from alexnet2012.reporting.ledger import make_ledgers, render_claims, to_data
from alexnet2012.reporting.measures_errors import measure_ensemble, measure_excess
from alexnet2012.reporting.net import in_brackets
from alexnet2012.reporting.pages import grid, heading, page, rehearsal_note, title
from alexnet2012.reporting.provenance_note import describe_calibration, describe_few_steps, describe_origin
from alexnet2012.reporting.results import EDITIONS, Experiment, Results, learned_of, load_results, members

INTERVALS = "in brackets the 95 % interval: over seeds where there are three or more, else over images"


def render_tables(folder: Path, data_folder: Path) -> list[Path]:
    """Write tables/{table1,table2,in_text,claims}.md, claims.json and results.csv below `folder`; their paths.

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
    data, errors = folder / "tables" / "claims.json", folder / "tables" / "results.csv"
    write_json(data, to_data(results, ledgers))
    write_text(errors, list_errors(results).to_csv(index=False))
    return [*paths, data, errors]


def list_errors(results: Results) -> pd.DataFrame:
    """A row for each net or average, split and crops; errors are fractions of the split's `n` images.

    `digest` is that of the dataset. Commit, hardware and `seconds` are the training's, of an average its evaluation's;
    an average has no seed, epochs or `learned`.
    """
    rows = []
    for experiment in (each for dataset in results.datasets for each in results.on(dataset)):
        for net, split, crops in product(experiment.nets, experiment.splits, CROPS):
            evaluated = net.predictions[split]
            record = evaluated if net.training is None else net.training
            rows.append(
                {
                    "dataset": experiment.dataset,
                    "variant": experiment.key,
                    "seed": net.seed,
                    "split": split,
                    "crops": crops,
                    "top1_error": evaluated["errors"][crops]["top1"],
                    "top5_error": evaluated["errors"][crops]["top5"],
                    "n": evaluated["images"],
                    "commit": record["provenance"]["commit"],
                    "digest": experiment.digest,
                    "hardware": record["provenance"]["hardware"],
                    "seconds": record.get("wall_time_s"),
                    "epochs": record.get("epochs"),
                    "learned": net.learned,
                }
            )
    return pd.DataFrame(rows).astype({"seed": "Int64", "epochs": "Int64"})


def render_table1(results: Results) -> str:
    """Table 1 in the paper's shape, once for each dataset that feeds it."""
    parts = [title("Table 1", results)]
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
                    label(results, row, found),
                    stated_cell(row.test.top1, row.logged.top1),
                    stated_cell(row.test.top5, row.logged.top5),
                    *(cell(found, first.splits, "test", k, absent=absent(results, dataset, row)) for k in (1, 5)),
                    difference(results, found, row.test, paper.ILSVRC2010, "test", row.recipe),
                    seeds_cell(results, found, "test"),
                ]
            )
        headers = ["Model", "paper top-1", "paper top-5", "top-1", "top-5", "difference top-1 / top-5", "seeds"]
        parts += [
            heading(first),
            caption(first, "its test set"),
            rehearsal_note(first, paper.ILSVRC2010),
            grid(headers, rows),
            few_steps_note(results, experiments.values()),
            describe_origin(experiments.values()),
        ]
    return page(parts)


def render_table2(results: Results) -> str:
    """Table 2 in the paper's shape, once for each dataset that feeds it."""
    parts = [title("Table 2", results)]
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
                    label(results, row, found),
                    stated_cell(row.val.top1, row.logged.top1),
                    stated_cell(row.val.top5, row.logged.top5),
                    percent(row.test.top5),
                    *(
                        cell(found, first.splits, split, k, absent=absent(results, dataset, row))
                        for split in ("val", "test")
                        for k in (1, 5)
                    ),
                    difference(results, found, row.val, paper.ILSVRC2012, "val", row.recipe),
                    seeds_cell(results, found, "val"),
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
        parts += [few_steps_note(results, experiments.values()), describe_origin(experiments.values())]
    return page(parts)


def render_in_text(results: Results) -> str:
    """The numbers of the running text, and the errors of every variant with and without the ten crops."""
    parts = [title("Numbers in the text", results)]
    for dataset in results.datasets:
        experiments = results.on(dataset)
        rows = [
            [place(claim.section), claim.words, stated(claim), *outcome_cells(measure_number(claim, results, dataset))]
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
        parts += [f"Errors of every variant; {INTERVALS}.\n", grid(*variant_errors(results, experiments))]
        if rows := logged_rows(results, dataset):
            headers = ["net", "logged on", "logged top-1 / top-5", "more than", "logged difference"]
            headers += ["measured difference, ten crops", "conditions"]
            parts += ["Nets of the 2012 source (recipe code2012) beside its run notes.\n", grid(headers, rows)]
        parts += [few_steps_note(results, experiments), describe_origin(experiments)]
    return page(parts)


def with_others(rows: tuple[paper.Row, ...], experiments: dict[str, Experiment]) -> Iterable[paper.Row]:
    """The paper's rows, then one for each experiment that the paper has no row for."""
    yield from rows
    known = {row.key for row in rows}
    of_the_code = {row.key: row for row in paper.CODE_ROWS}
    yield from (of_the_code.get(key, paper.Row(key, key)) for key in experiments if key not in known)


def label(results: Results, row: paper.Row, found: Experiment | None) -> str:
    """A row's name with what its nets, or some of an ensemble's, were pre-trained on."""
    if found is None:
        return row.label
    earlier = [net.training.get("starts_from") for net in members(results, found)]
    names = dict.fromkeys(each["dataset"]["name"] for each in earlier if each is not None)
    if not names:
        return row.label
    some = f"{sum(each is not None for each in earlier)} of {len(earlier)} " if None in earlier else ""
    return f"{row.label} ({some}pre-trained on {', '.join(names)})"


def few_steps_note(results: Results, experiments: Iterable[Experiment]) -> str:
    """Of all nets behind the rows, those that ensembles average included."""
    nets = [net for each in experiments for net in members(results, each)]
    return describe_few_steps([net.training for net in nets if net.training is not None])


def absent(results: Results, dataset: str, row: paper.Row) -> str:
    """What stands in the cells of a row that was not run."""
    return IN_FULL if (dataset, row.key) in results.in_full else NOT_YET


def logged_rows(results: Results, dataset: str) -> list[list[str]]:
    """The nets of the 2012 source that were trained, with how much worse than the unchanged net each is."""
    rows = []
    for net in paper.LOGGED_NETS:
        if results.find(dataset, net.key) is None:
            continue
        row = [net.label, f"{net.edition}, {net.split}", logged_pair(net.errors)]
        if not net.against:
            rows.append([*row, *[ABSENT] * 4])
            continue
        base = next(each for each in paper.LOGGED_NETS if each.key == net.against)
        excess = partial(measure_excess, base_key=base.key, other_key=net.key)
        measured = outcome_cells(try_measure(excess, results, dataset))
        rows.append(
            [
                *row,
                base.label,
                f"{logged_pair(paper.gain(net.errors, base.errors, paper.LOGGED_DIGITS))} points",
                *measured,
            ]
        )
    return rows


def logged_pair(pair: paper.Errors) -> str:
    return f"{100 * pair.top1:.4f} / {100 * pair.top5:.4f}"


def variant_errors(results: Results, experiments: list[Experiment]) -> tuple[list[str], list[list[str]]]:
    kinds = list(product(("val", "test"), {"centre": "centre", "ten_crop": "ten crops"}.items(), (1, 5)))
    headers = ["variant", *(f"{split}, {words}, top-{k}" for split, (_, words), k in kinds)]
    rows = [
        [named(results, found), *(cell(found, found.splits, split, k, crops) for split, (crops, _), k in kinds)]
        for found in experiments
    ]
    return headers, rows


def named(results: Results, experiment: Experiment) -> str:
    """An experiment's key, and how many of its nets learned where not all did."""
    return experiment.key + in_brackets(learned_of(results, experiment))


def caption(experiment: Experiment, splits: str) -> str:
    text = f"Errors on {experiment.dataset}, {splits}, ten crops; {INTERVALS}. Differences are measured minus paper.\n"
    if "test" not in experiment.splits:
        text += f"{paper.ILSVRC2012}'s test labels are withheld: errors on its test set can only be quoted.\n"
    return text


def val_steered(experiment: Experiment) -> bool:
    return any(net.training is not None and net.training["val_steered"] for net in experiment.nets)
