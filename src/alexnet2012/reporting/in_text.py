"""The numbers of the paper's running text, the errors of every variant and the ledger of claims, as pages."""

from functools import partial
from itertools import product

from alexnet2012 import paper
from alexnet2012.claims.ledger import Ledger, measure_number, name_section, stated, try_measure
from alexnet2012.claims.measurement import describe_outcome
from alexnet2012.claims.measures_errors import measure_ensemble, measure_excess
from alexnet2012.reporting.format import (
    ABSENT,
    INTERVALS,
    Block,
    Bullets,
    Heading,
    Page,
    Table,
    cell,
    in_brackets,
    make_page,
    name_dataset,
    points_pair,
    probability_cell,
    rehearsal_note,
)
from alexnet2012.reporting.origin import describe_few_steps, describe_origin
from alexnet2012.reporting.results import EDITION_OF, ExperimentResults, Results, learned_of

LEDGER_HEADERS = ["claim", "what", "where", "paper", "measured (top-1 / top-5)", "verdict"]
LEDGER_HEADERS += ["conditions and interval, or why not", "p", "Holm p", "equivalence p"]

SPREADS = "Spread between seeds, one for all variants that were trained alike (a linear model, variant as a factor):"


def describe_numbers(results: Results) -> Page:
    """The numbers of the running text, and the errors of every variant with and without the ten crops."""
    blocks: list[Block] = []
    for dataset in results.datasets:
        experiments = results.on(dataset)
        rows = [
            [
                name_section(claim.section),
                claim.words,
                stated(claim),
                *describe_outcome(measure_number(claim, results, dataset)),
            ]
            for claim in paper.CLAIMS
            if claim.in_text
        ]
        rows.append(
            [
                name_section("6, table 2"),
                "averaging five CNNs lowers the error of one",
                points_pair(paper.FIVE_CNNS_GAIN),
                *describe_outcome(try_measure(measure_ensemble, results, dataset)),
            ]
        )
        headers = ["where", "what", "paper", "measured (top-1 / top-5)", "conditions and interval, or why not"]
        blocks += [Heading(name_dataset(experiments[0])), rehearsal_note(experiments[0], *EDITION_OF.values())]
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
        measured = describe_outcome(try_measure(excess, results, dataset))
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
    return " / ".join(f"{100 * value:.4f}" for value in pair.given)


def variant_errors(results: Results, experiments: list[ExperimentResults]) -> Table:
    kinds = list(product(("val", "test"), {"centre": "centre", "ten_crop": "ten crops"}.items(), (1, 5)))
    headers = ["variant", *(f"{split}, {words}, top-{k}" for split, (_, words), k in kinds)]
    rows = [
        [named(results, found), *(cell(found, found.splits, split, k, crops) for split, (crops, _), k in kinds)]
        for found in experiments
    ]
    return Table(headers, rows)


def named(results: Results, experiment: ExperimentResults) -> str:
    """An experiment's key, and how many of its nets learned where not all did."""
    return experiment.key + in_brackets(learned_of(results, experiment))


def describe_claims(results: Results, ledgers: list[Ledger]) -> Page:
    """The ledger as a page: every claim with a measurement and its verdict, or why there is none."""
    blocks: list[Block] = []
    for ledger in ledgers:
        before, after = describe_ledger(results, ledger)
        rows = [
            [row.id, row.text, row.section, row.paper, row.measured]
            + ["; ".join(part for part in (row.verdict, row.note) if part), row.conditions]
            + [probability_cell(each) for each in (row.p, row.p_holm, row.p_equivalence)]
            for row in ledger.claims
        ]
        heading = Heading(name_dataset(results.on(ledger.dataset)[0]))
        blocks += [heading, *before, Table(LEDGER_HEADERS, rows), *after]
    return make_page("Claims", results, blocks)


def describe_ledger(results: Results, ledger: Ledger) -> tuple[list[Block], list[Block]]:
    """What stands before and after a ledger's table of claims."""
    experiments = results.on(ledger.dataset)
    exploratory = f"**This ledger is exploratory.** {results.exploratory}" if results.exploratory else ""
    rehearsal = rehearsal_note(experiments[0], *EDITION_OF.values())
    after: list[Block] = [describe_tests(ledger)]
    if ledger.spreads:
        after += [SPREADS, Bullets(list(ledger.spreads))]
    return [each for each in (exploratory, rehearsal) if each], [*after, describe_origin(experiments)]


def describe_tests(ledger: Ledger) -> str:
    return (
        "Each row has one test, declared beforehand, on top-1 where it is about errors; top-5 errors stand beside "
        "them and have no verdict. A difference is positive in the claimed direction. Intervals are of 95 % and "
        "unadjusted; p is two-sided but for C21's. Verdicts follow Holm's adjustment of it, in two families: here "
        f"{ledger.count('seeds')} tests over seeds, which hold for other seeds and other images, and "
        f"{ledger.count('images')} of fewer than three seeds, which hold for these nets, not for the method, and are "
        'at most indicative. "No effect above x" follows the equivalence p, adjusted likewise; x is half the effect '
        "that the paper states, or one point."
    )
