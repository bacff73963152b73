"""The numbers of the paper's running text, the errors of every variant and the ledger of claims, as pages."""

from functools import partial
from itertools import product

from alexnet2012 import paper
from alexnet2012.claims.ledger import (
    SIGNS,
    Ledger,
    LedgerRow,
    brief_measured,
    brief_stated,
    measure_number,
    name_section,
    try_measure,
)
from alexnet2012.claims.measurement import NotMeasured, Outcome, describe_outcome
from alexnet2012.claims.measures_errors import measure_ensemble, measure_excess
from alexnet2012.reporting.format import (
    INTERVALS,
    Block,
    Bullets,
    Details,
    Heading,
    Page,
    Table,
    cell,
    chance_note,
    in_brackets,
    make_page,
    name_dataset,
    points_pair,
)
from alexnet2012.reporting.origin import describe_few_steps, describe_origin
from alexnet2012.reporting.results import ExperimentResults, Results, learned_of

LEDGER_HEADERS = ["", "claim", "paper", "measured, top-1", "verdict"]
SPREADS = "Spread between seeds, one for all variants that were trained alike (a linear model, variant as a factor):"

Number = tuple[str, str, Outcome]  # what it is, what the paper states, what was measured


def describe_numbers(results: Results) -> Page:
    """The numbers of the running text, and the errors of every variant with and without the ten crops."""
    blocks: list[Block] = []
    for dataset in results.datasets:
        experiments = results.on(dataset)
        numbers: list[Number] = [
            (f"{claim.words} ({name_section(claim.section)})", brief_stated(claim), outcome)
            for claim in paper.CLAIMS
            if claim.in_text
            for outcome in [measure_number(claim, results, dataset)]
        ]
        gain = paper.Errors(paper.FIVE_CNNS_GAIN.top1)
        measured = try_measure(measure_ensemble, results, dataset)
        numbers.append(("averaging five CNNs lowers the error of one (§6, table 2)", points_pair(gain), measured))
        blocks += [Heading(name_dataset(experiments[0])), *describe_measured(["what", "paper"], numbers)]
        blocks += ["**Errors of every variant**", *variant_errors(results, experiments), INTERVALS]
        if logged := list_logged(results, dataset):
            blocks.append(
                "**Nets of the 2012 source** (recipe code2012) beside its run notes, top-1 / top-5 in percent"
            )
            blocks += describe_measured(["net", "logged"], logged)
        blocks += [describe_few_steps(results, experiments), describe_origin(experiments)]
    return make_page("Numbers in the text", results, blocks, results.datasets)


def describe_measured(headers: list[str], numbers: list[Number]) -> list[Block]:
    """A table of the numbers that were measured, and folded away their conditions, and why others were not."""
    rows, conditions, reasons = [], [], []
    for what, stated, outcome in numbers:
        measured, details = describe_outcome(outcome)
        if isinstance(outcome, NotMeasured):
            reasons.append(f"{what}: {details}")
            continue
        rows.append([what, stated, brief_measured(outcome, None, measured)])
        conditions.append(f"{what}: {measured}; {details}")
    blocks: list[Block] = [Table([*headers, "measured, top-1"], rows)] if rows else []
    blocks += [Details("Top-5 and conditions of each row", [Bullets(conditions)])] if rows else []
    return [*blocks, *fold_reasons(reasons, "number")]


def fold_reasons(reasons: list[str], noun: str) -> list[Block]:
    """A line for each thing that was not measured, folded away."""
    count = len(reasons)
    verb = " was" if count == 1 else "s were"
    return [Details(f"{count} {noun}{verb} not measured", [Bullets(reasons)])] if reasons else []


def list_logged(results: Results, dataset: str) -> list[Number]:
    """How much worse than the unchanged net those nets of the 2012 source are that were trained."""
    numbers: list[Number] = []
    for net in paper.LOGGED_NETS:
        if not net.against or results.find(dataset, net.key) is None:
            continue
        base = next(each for each in paper.LOGGED_NETS if each.key == net.against)
        excess = partial(measure_excess, base_key=base.key, other_key=net.key)
        logged = logged_pair(paper.gain(net.errors, base.errors, paper.LOGGED_DIGITS))
        errors = f"{logged_pair(net.errors)} on {net.edition}, {net.split}"
        what = f"{net.label}, more than {base.label}"
        numbers.append((what, f"{logged} points ({errors})", try_measure(excess, results, dataset)))
    return numbers


def logged_pair(pair: paper.Errors) -> str:
    return " / ".join(f"{100 * value:.4f}" for value in pair.given)


def variant_errors(results: Results, experiments: list[ExperimentResults]) -> list[Block]:
    """Top-1 errors of every variant, and folded away its top-5 errors where they say anything."""
    kinds = list(product(("val", "test"), {"centre": "centre", "ten_crop": "ten crops"}.items()))
    headers = ["variant", *(f"{split}, {words}" for split, (_, words) in kinds)]
    top1, top5 = (
        Table(
            headers,
            [
                [named(results, found), *(cell(found, found.splits, split, k, crops) for split, (crops, _) in kinds)]
                for found in experiments
            ],
        )
        for k in (1, 5)
    )
    return [
        top1,
        *([Details("Top-5 errors", [top5, chance_note(experiments[0])])] if experiments[0].shows_top5 else []),
    ]


def named(results: Results, experiment: ExperimentResults) -> str:
    """An experiment's key, and how many of its nets learned where not all did."""
    return experiment.key + in_brackets(learned_of(results, experiment))


def describe_claims(results: Results, ledgers: list[Ledger]) -> Page:
    """The ledger as a page: every claim with a measurement and its verdict, or why there is none."""
    blocks: list[Block] = []
    for ledger in ledgers:
        blocks += [Heading(name_dataset(results.on(ledger.dataset)[0])), *introduce_ledger(results, ledger)]
        rows = [
            [SIGNS[row.colour], f"**{row.id}** {row.text}", row.brief.paper, row.brief.measured, row.brief.verdict]
            for row in ledger.measured
        ]
        blocks += [Table(LEDGER_HEADERS, rows), *explain_ledger(results, ledger)]
    return make_page("Claims", results, blocks, results.datasets)


def introduce_ledger(results: Results, ledger: Ledger) -> list[Block]:
    """What stands before a ledger's table of claims: how many have which verdict."""
    tally = ", ".join(f"{SIGNS[colour]} {count} {colour}" for colour, count in ledger.tally.items())
    return [
        *exploratory_note(results),
        f"{len({row.id for row in ledger.claims})} claims in {len(ledger.claims)} rows: {tally}.",
    ]


def exploratory_note(results: Results) -> list[Block]:
    return [f"**This ledger is exploratory.** {results.exploratory}"] if results.exploratory else []


def explain_ledger(results: Results, ledger: Ledger) -> list[Block]:
    """What stands after it: why the others were not measured, and how each row was tested."""
    reasons = [f"{row.id} {row.text}: {row.conditions}" for row in ledger.not_measured]
    tests: list[Block] = [Heading("How each row was tested"), RULES, describe_families(ledger)]
    tests += [describe_test(row) for row in ledger.measured]
    tests += [SPREADS, Bullets(list(ledger.spreads))] if ledger.spreads else []
    return [*fold_reasons(reasons, "claim"), *tests, describe_origin(results.on(ledger.dataset))]


RULES = (
    "Each row has one test, which was declared beforehand, on top-1 errors. Top-5 errors have no verdict. A difference "
    "is positive in the claimed direction. Intervals are of 95 % and unadjusted. p is two-sided but for C21's. \"No "
    'effect above x" follows the equivalence p; x is half of the effect that the paper states, or one point.'
)


def describe_families(ledger: Ledger) -> str:
    return (
        "Verdicts follow p after Holm's adjustment, in two families. Tests over seeds (here "
        f"{ledger.count('seeds')}) hold for other seeds and other images. Tests of fewer than three seeds (here "
        f"{ledger.count('images')}) hold for these nets, not for the method, and are at most indicative."
    )


def describe_test(row: LedgerRow) -> Details:
    """A row's numbers in full, its verdict with what that holds for, its conditions and its p."""
    lines = {
        "section": row.section,
        "paper": row.paper,
        "measured": row.measured,
        "verdict": "; ".join(part for part in (row.verdict, row.note) if part),
        "conditions": row.conditions,
        "tests": row.tests,
    }
    return Details(f"{row.id} {row.text}", [Bullets([f"{key}: {value}" for key, value in lines.items() if value])])
