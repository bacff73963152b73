from dataclasses import replace

import numpy as np
import pytest
from fake_results import change

from alexnet2012 import paper
from alexnet2012.claims.ledger import measure_number, settle_claim, try_measure
from alexnet2012.claims.measurement import Measurement, NotMeasured, describe_outcome
from alexnet2012.claims.measures_errors import measure_ensemble
from alexnet2012.config.nets import ConvConfig, NetConfig
from alexnet2012.evaluation.linear_model import pool_spread
from alexnet2012.evaluation.statistics import estimate_contrast
from alexnet2012.model.geometry import list_layers
from alexnet2012.reporting.results import load_results

CLAIMS = {claim.id: claim for claim in reversed(paper.CLAIMS)}  # of C05 the first reading
TABLES = ("table1", "in_text")


def settled(fake, claim: str, dataset: str = "photos"):
    return settle_claim(CLAIMS[claim], fake.load(), dataset)


def values(outcome: Measurement) -> tuple[float, float]:
    return round(outcome.top1.value, 12), round(outcome.top5.value, 12)


def wrong(ten_crop, centre=(0, 0)) -> dict:
    return {("test", "ten_crop"): ten_crop, ("test", "centre"): centre}


def contrast(worse: tuple[int, ...], better: tuple[int, ...], *others: tuple[int, ...]):
    """What the ledger must find for nets with so many of 20 wrong, with the spread of all these variants."""
    spread = pool_spread({str(index): np.divide(each, 20) for index, each in enumerate((worse, better, *others))})
    return estimate_contrast(*([np.arange(20) < count for count in each] for each in (worse, better)), spread)


def test_c03_is_the_mean_of_centre_minus_ten_crops(fake):
    """Of 20: 10 - 8, 9 - 8, 9 - 6 are 2, 1, 3: mean 10 %. Top-5: 3 - 2, 2 - 2, 4 - 2 are 1, 0, 2: mean 5 %.

    Both have a standard deviation of 5 points, so that seeds alone have a standard error of 5 / sqrt(3) = 2.89 points;
    images add to it, and degrees of freedom.
    """
    fake.add("cnn", {0: wrong((8, 2), (10, 3)), 1: wrong((8, 2), (9, 2)), 2: wrong((6, 2), (9, 4))}, TABLES)
    outcome = settled(fake, "C03")
    assert values(outcome) == (0.10, 0.05)
    assert outcome.top1.standard_error > 0.05 / 3**0.5 and outcome.top1.freedom > 2
    measured, conditions = describe_outcome(outcome)
    assert measured.startswith("10.00 [-") and measured.endswith("] points")
    assert conditions == ("photos; test, centre minus ten crops; 4 epochs; seeds 0-2; t over 3 seeds and 20 images")


def test_c04_takes_every_seed_of_both_nets(fake):
    """Of 20, cnn has 8, 10, 8, 10 and 9 wrong, mean 9; one-gpu with three other seeds 12, 14 and 13, mean 13."""
    base, without = (8, 10, 8, 10, 9), (12, 14, 13)
    fake.add("cnn", {seed: wrong((count, 0)) for seed, count in enumerate(base)}, TABLES)
    fake.add("one-gpu", {seed: wrong((count, 0)) for seed, count in enumerate(without, start=7)}, TABLES)
    outcome = settled(fake, "C04")
    assert outcome.top1.value == pytest.approx(0.20)
    assert outcome.top1 == contrast(without, base)
    assert (outcome.shared.spread.freedom, outcome.shared.spread.groups) == (6, 2)
    assert outcome.conditions == "photos; test, ten crops, one-gpu minus cnn; 4 epochs; seeds 7-9 against 0-4"
    assert (outcome.scope.sample, outcome.scope.few) == ("3 against 5 seeds", False)


def test_two_seeds_of_one_net_say_nothing_of_the_method(fake):
    """Of 20: 12 and 14, mean 13, against a mean of 9 over five seeds."""
    fake.add("cnn", {seed: wrong((9, 0)) for seed in range(5)}, TABLES)
    fake.add("one-gpu", {0: wrong((12, 0)), 1: wrong((14, 0))}, TABLES)
    outcome = settled(fake, "C04")
    assert outcome.top1.value == pytest.approx(0.20)
    assert (outcome.scope.sample, outcome.scope.few, outcome.shared) == ("2 against 5 seeds", True, None)
    assert outcome.top1.standard_error is None


def test_c04_needs_no_shared_seed(fake):
    fake.add("cnn", {0: wrong((8, 2))}, TABLES).add("one-gpu", {1: wrong((12, 3))}, TABLES)
    outcome = settled(fake, "C04")
    assert values(outcome) == (0.20, 0.05)
    assert outcome.conditions.endswith("; seeds 1 against 0")


def test_c05_has_a_row_for_each_reading_of_alpha(fake):
    """Of 20: no-lrn 12, alpha as printed 14, divided by n 9: -10 and +15 points."""
    for key, count in {"cnn": 14, "lrn-alpha-over-n": 9, "no-lrn": 12}.items():
        fake.add(key, {0: wrong((count, 0))}, TABLES)
    results = fake.load()
    printed, divided = (each for each in paper.CLAIMS if each.id == "C05")
    assert [round(settle_claim(each, results, "photos").top1.value, 12) for each in (printed, divided)] == [-0.10, 0.15]
    assert len({printed.words, divided.words, printed.text}) == 3


def test_the_ensembles_gain_is_the_mean_nets_error_minus_the_averages(fake):
    """Of 10 on val: the mean of 5 and 3 is 4, the average has 3: 10 points; top-5 the mean of 2 and 1 minus 1: 5."""
    fake.add("cnn", {0: {("val", "ten_crop"): (5, 2)}, 1: {("val", "ten_crop"): (3, 1)}}, TABLES)
    fake.average("5-cnns", {("val", "ten_crop"): (3, 1)}, ("table2",))
    outcome = try_measure(measure_ensemble, fake.load(), "photos")
    assert values(outcome) == (0.10, 0.05)
    assert outcome.conditions == "photos; val, ten crops, mean of cnn minus 5-cnns; 4 epochs; seeds 0, 1"
    assert outcome.top1.standard_error is None  # one average: over images
    assert describe_outcome(outcome)[0].endswith(" points")


def test_c24_and_c25_are_arithmetic(fake):
    """conv3: (9 * 256 + 1) * 384 = 885,120 and conv4: (9 * 192 + 1) * 384 = 663,936 of 60,965,224."""
    fake.add("one-gpu", {0: {}}, TABLES)
    assert settled(fake, "C24").text == "60,965,224 parameters and 659,272 neurons"
    assert settled(fake, "C25").text == "conv1 0.06 %, conv2 0.50 %, conv3 1.45 %, conv4 1.09 %, conv5 0.73 %"
    assert [settled(fake, claim).sign for claim in ("C24", "C25")] == ["supported", "contradicted"]
    assert settled(fake, "C24").conditions.endswith("rounded they would be 61,000,000 and 660,000")
    assert [round(parameters / 60_965_224, 4) for parameters in (885_120, 663_936)] == [0.0145, 0.0109]


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        ("C01", "needs all of ILSVRC-2010 and the paper's net"),
        ("C02", "needs all of ILSVRC-2010 and the paper's net"),
        ("C26", "needs all of ILSVRC-2010 and the paper's net"),
        ("C13", "needs all of ILSVRC-2012 and the paper's net"),
        ("C17", "needs all of ImageNet Fall 2009 and the paper's net"),
        ("C05", "no experiment of no-lrn; `snakemake claims` runs it"),  # as printed
        ("C08", "no experiment of no-dropout; `snakemake claims` runs it"),
        ("C10", "no experiment of no-conv2, no-conv3, no-conv4, no-conv5; `snakemake claims` runs them"),
        ("C11", "needs CIFAR-10; photos is of kind imagefolder"),
        ("C12", "needs CIFAR-10; photos is of kind imagefolder"),
        ("C18", "no experiment of sparse-coding, sift-fv; add them to the configuration's section full"),
        ("C19", "no experiment of no-weight-decay; `snakemake claims` runs it"),
        ("C20", "needs GPUs, and on them an experiment of one-gpu, cnn-two-devices"),
        ("C23", "needs GPUs; this configuration was run for its errors, not for its speed"),
        ("C21", "no analysis of cnn; run snakemake"),
        ("C22", "no analysis of cnn; run snakemake"),
    ],
)
def test_a_claim_that_is_not_measured_says_why(fake, claim, reason):
    fake.add("cnn", {0: wrong((8, 2))}, TABLES)
    assert settled(fake, claim) == NotMeasured(reason)
    assert describe_outcome(NotMeasured(reason)) == ["not measured", reason]


@pytest.mark.parametrize("kind", ["cifar10", "imagefolder"])
def test_the_papers_numbers_on_its_datasets_are_never_settled_elsewhere(fake, kind):
    fake.kind = kind
    fake.add("cnn", {0: wrong((8, 2))}, TABLES, dataset="cifar10")
    results = fake.load()
    needing = [claim for claim in paper.CLAIMS if claim.needs in ("ILSVRC-2010", "ILSVRC-2012", "ImageNet Fall 2009")]
    assert [claim.id for claim in needing] == ["C01", "C02", "C13", "C14", "C15", "C16", "C17", "C26"]
    assert all(isinstance(settle_claim(claim, results, "cifar10"), NotMeasured) for claim in needing)
    assert isinstance(measure_number(CLAIMS["C02"], results, "cifar10"), Measurement)


VAL = {("val", "ten_crop"): (4, 1), ("val", "centre"): (6, 3)}


def test_c01_c02_and_c26_are_measured_on_the_whole_of_ilsvrc_2010(fake):
    """Of 20 on test 8 / 2 and 10 / 3 are wrong; of 10 on val 4 / 1. Wilson's interval of 8 in 20: 0.2188 to 0.6134."""
    fake.kind = "ilsvrc2010"
    fake.add("cnn", {0: wrong((8, 2), (10, 3)) | VAL}, TABLES)
    c01, c02 = settled(fake, "C01"), settled(fake, "C02")
    assert (values(c01), values(c02)) == ((0.40, 0.10), (0.50, 0.15))
    assert describe_outcome(c01) == [
        "40.00 [21.88, 61.34] / 10.00 [2.79, 30.10] %",
        "photos; test, ten crops; 4 epochs; seed 0; Wilson over 20 images",
    ]
    assert c02.conditions == "photos; test, centre crop; 4 epochs; seed 0"
    assert values(settled(fake, "C26")) == (0.0, 0.0)
    assert settled(fake, "C26").tested_p is None
    for claim in ("C13", "C14", "C15", "C16"):
        assert settled(fake, claim) == NotMeasured("needs ILSVRC-2012; photos is ILSVRC-2010")


def test_c13_and_c14_are_measured_on_the_whole_of_ilsvrc_2012(fake):
    """Of 10 on val, the net has 4 / 1 wrong and the average 3 / 1. Wilson's interval of 3 in 10: 0.1078 to 0.6032."""
    fake.kind, fake.splits = "ilsvrc2012", ("val",)
    fake.add("cnn", {0: VAL}, TABLES).average("5-cnns", {("val", "ten_crop"): (3, 1)}, ("table2",))
    assert values(settled(fake, "C13")) == (0.40, 0.10)
    assert settled(fake, "C13").conditions == "photos; val, ten crops; 4 epochs; seed 0"
    assert describe_outcome(settled(fake, "C14")) == [
        "30.00 [10.78, 60.32] / 10.00 [1.79, 40.42] %",
        "photos; val, ten crops; average of 5; Wilson over 10 images",
    ]
    for claim in ("C01", "C02", "C26"):
        assert settled(fake, claim) == NotMeasured("needs ILSVRC-2010; photos is ILSVRC-2012")
    for claim in ("C15", "C16"):
        key = {"C15": "1-cnn-star", "C16": "7-cnns-star"}[claim]
        missing = NotMeasured(f"no experiment of {key}; add it to the configuration's section full")
        assert settled(fake, claim) == missing


def test_c17_is_the_sixth_layers_error_on_half_of_fall_2009(fake):
    fake.kind = "fall2009"
    fake.add("cnn-sixth-layer", {0: wrong((14, 8))}, TABLES)
    assert values(settled(fake, "C17")) == (0.70, 0.40)
    assert settled(fake, "C17").conditions == "photos; test, ten crops; 4 epochs; seed 0"
    fake.kind = "imagefolder"
    fake.add("cnn-sixth-layer", {0: wrong((14, 8))}, TABLES, dataset="others")
    results = fake.load()
    assert measure_number(CLAIMS["C17"], results, "others") == NotMeasured("needs ImageNet Fall 2009")


def test_where_test_labels_are_withheld_gains_are_those_on_val(fake):
    """Of 10 on val: centre minus ten crops is 6 - 4 and 3 - 1; one-gpu minus cnn 7 - 4 and 2 - 1."""
    fake.kind, fake.splits = "ilsvrc2012", ("val",)
    fake.add("cnn", {0: VAL}, TABLES).add("one-gpu", {0: {("val", "ten_crop"): (7, 2)}}, TABLES)
    c03, c04 = settled(fake, "C03"), settled(fake, "C04")
    assert (values(c03), values(c04)) == ((0.20, 0.20), (0.30, 0.10))
    assert c03.conditions == "photos; val, centre minus ten crops; 4 epochs; seed 0"
    assert c04.conditions == "photos; val, ten crops, one-gpu minus cnn; 4 epochs; seed 0"


@pytest.mark.parametrize("claim", ["C02", "C26"])
def test_a_number_that_needs_test_says_that_its_labels_are_withheld(fake, claim):
    fake.kind, fake.splits = "ilsvrc2012", ("val",)
    results = load_results(fake.add("cnn", {0: VAL}, TABLES).folder, fake.data)
    reason = "ILSVRC-2012's test labels are withheld"
    assert measure_number(CLAIMS[claim], results, "photos") == NotMeasured(reason)


def test_a_part_of_an_edition_does_not_settle_its_claims(fake):
    fake.kind, fake.part = "ilsvrc2010", "100 of 1000 classes"
    fake.add("cnn", {0: wrong((8, 2))}, TABLES)
    assert settled(fake, "C01") == NotMeasured("needs all of ILSVRC-2010 and the paper's net")


def test_another_net_on_a_whole_edition_does_not_settle_its_claims(fake):
    fake.kind, fake.departures = "ilsvrc2010", ("net.fc_neurons",)
    fake.add("cnn", {0: wrong((8, 2))}, TABLES)
    assert settled(fake, "C01") == NotMeasured("needs all of ILSVRC-2010 and the paper's net")


@pytest.mark.parametrize(("claim", "key"), [("C05", "no-lrn"), ("C06", "pool-2x2"), ("C07", "no-colour")])
def test_what_the_paper_praises_is_measured_by_the_net_without_it(fake, claim, key):
    """Of 20 on test: 12 - 8, 11 - 8 and 9 - 8, mean 13.3 %; the order of the seeds is another in each line."""
    fake.add("cnn", {seed: wrong((8, 2)) for seed in (0, 1, 2, 3)}, TABLES)
    fake.add(key, {2: wrong((9, 2)), 0: wrong((12, 2)), 1: wrong((11, 2))}, TABLES)
    outcome = settled(fake, claim)
    assert values(outcome) == (round(8 / 60, 12), 0.0)
    assert outcome.conditions == f"photos; test, ten crops, {key} minus cnn; 4 epochs; seeds 0-2 against 0-3"
    assert outcome.top1 == contrast((9, 12, 11), (8,) * 4)
    assert (outcome.scope.few, outcome.scope.sized) == (False, False)


def removals(fake, wrongs: dict[int, tuple[int, int, int]]) -> Measurement:
    """cnn has 8 of 20 wrong with three seeds; `wrongs` maps each removed layer to those of its net."""
    fake.add("cnn", {seed: wrong((8, 2)) for seed in range(3)}, TABLES)
    for layer, counts in wrongs.items():
        fake.add(f"no-conv{layer}", {seed: wrong((count, 2)) for seed, count in enumerate(counts)}, TABLES)
    return settled(fake, "C10")


def test_c10_reports_the_smallest_difference_and_the_largest_p(fake):
    """Of 20 more than the base net's 8: conv2 5, conv3 6, conv4 2 and conv5 10, each -+ 1. conv4's is the most open."""
    counts = {2: (12, 13, 14), 3: (13, 14, 15), 4: (9, 10, 11), 5: (17, 18, 19)}
    outcome = removals(fake, counts)
    found = {key: contrast(counts[key], (8,) * 3, *(counts[each] for each in counts if each != key)) for key in counts}
    assert outcome.top1 == found[4] and found[4].value == pytest.approx(0.10)
    assert outcome.tested_p == max(each.p for each in found.values())
    assert "no-conv4's; p is the largest of all, no-conv4's" in outcome.conditions
    assert outcome.beside.startswith("all, in points: no-conv2 25.00 [")


def test_c10_with_a_net_that_does_better_has_four_times_its_p(fake):
    """conv4's removal gains 5 -+ 1 of 20."""
    counts = {2: (12, 13, 14), 3: (13, 14, 15), 4: (4, 3, 2), 5: (17, 18, 19)}
    outcome = removals(fake, counts)
    alone = contrast(counts[4], (8, 8, 8), *(counts[layer] for layer in (2, 3, 5)))
    assert (outcome.top1.value, outcome.chosen_from) == (pytest.approx(-0.25), 4)
    assert outcome.tested_p == pytest.approx(4 * alone.p)
    assert outcome.top1.low == alone.low  # the interval is not adjusted
    assert "p is 4 times the smallest p of a negative difference, no-conv4's" in outcome.conditions


def test_c10_of_two_nets_that_do_better_counts_the_smaller_p(fake):
    """conv4's removal gains 1 -+ 6 of 20 and conv5's 0.67 -+ 0.6: the smallest difference has the larger p."""
    outcome = removals(fake, {2: (12, 13, 14), 3: (13, 14, 15), 4: (14, 5, 2), 5: (7, 7, 8)})
    assert outcome.top1.value == pytest.approx(-0.05)
    assert "no-conv4's; p is 4 times the smallest p of a negative difference, no-conv5's" in outcome.conditions


def test_the_net_without_conv4_is_the_one_without_conv5_that_keeps_the_input_of_fc6():
    """So that C10 needs no further variant: layer for layer the same, at the paper's sizes and at smaller ones."""
    small = {"crop_px": 28, "conv1": ConvConfig(kernels=16, kernel_px=5), "fc_neurons": 64}
    for settings in ({}, small):
        without_conv4 = NetConfig(**settings, removed=["conv4"])
        without_conv5 = NetConfig(**settings, removed=["conv5"], conv4=without_conv4.conv5)
        tables = [
            [replace(layer, name="") for layer in list_layers(each, 40)] for each in (without_conv4, without_conv5)
        ]
        assert tables[0] == tables[1]


@pytest.mark.parametrize("claim", ["C03", "C04", "C13", "C14"])
def test_an_under_trained_net_is_named_and_not_measured(fake, claim):
    fake.kind, fake.splits = "ilsvrc2012", ("val",)
    fake.add("cnn", {0: VAL, 3: VAL}, TABLES).add("one-gpu", {0: VAL}, TABLES).average("5-cnns", VAL, TABLES)
    run = fake.folder / "runs/photos/cnn-00000000/seed3/record.json"
    change(run, drops_done=1, drops_planned=3)
    assert settled(fake, claim) == NotMeasured(
        "cnn seed 3 lowered its learning rate 1 of 3 times within 4 epochs; give its schedule more epochs",
        short="under-trained",
    )
