"""The numbers of the paper's running text, and the errors of every variant, as a page."""

from functools import partial
from itertools import product

from alexnet2012 import paper
from alexnet2012.reporting.cells import ABSENT, INTERVALS, cell, outcome_cells, place, points_pair, stated
from alexnet2012.reporting.claims import measure_number, try_measure
from alexnet2012.reporting.format import Block, Heading, Page, Table, make_page, name_dataset, rehearsal_note
from alexnet2012.reporting.measures_errors import measure_ensemble, measure_excess
from alexnet2012.reporting.net import in_brackets
from alexnet2012.reporting.provenance_note import describe_few_steps, describe_origin
from alexnet2012.reporting.results import EDITIONS, Experiment, Results, learned_of


def describe_numbers(results: Results) -> Page:
    """The numbers of the running text, and the errors of every variant with and without the ten crops."""
    blocks: list[Block] = []
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
        blocks += [Heading(name_dataset(experiments[0])), rehearsal_note(experiments[0], *EDITIONS.values())]
        blocks += [Table(headers, rows), f"Errors of every variant; {INTERVALS}.", variant_errors(results, experiments)]
        if rows := logged_rows(results, dataset):
            headers = ["net", "logged on", "logged top-1 / top-5", "more than", "logged difference"]
            headers += ["measured difference, ten crops", "conditions"]
            blocks += ["Nets of the 2012 source (recipe code2012) beside its run notes.", Table(headers, rows)]
        blocks += [describe_few_steps(results, experiments), describe_origin(experiments)]
    return make_page("Numbers in the text", results, blocks)


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


def variant_errors(results: Results, experiments: list[Experiment]) -> Table:
    kinds = list(product(("val", "test"), {"centre": "centre", "ten_crop": "ten crops"}.items(), (1, 5)))
    headers = ["variant", *(f"{split}, {words}, top-{k}" for split, (_, words), k in kinds)]
    rows = [
        [named(results, found), *(cell(found, found.splits, split, k, crops) for split, (crops, _), k in kinds)]
        for found in experiments
    ]
    return Table(headers, rows)


def named(results: Results, experiment: Experiment) -> str:
    """An experiment's key, and how many of its nets learned where not all did."""
    return experiment.key + in_brackets(learned_of(results, experiment))
