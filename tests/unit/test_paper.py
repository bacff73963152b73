from pathlib import Path

import pytest
import yaml

from alexnet2012 import paper
from alexnet2012.paper import Errors

CLAIMS = {claim.id: claim for claim in paper.CLAIMS}
ROOT = Path(__file__).parents[2]


def test_table_1_is_the_papers():
    assert [(row.label, row.key, row.test.top1, row.test.top5) for row in paper.TABLE1] == [
        ("Sparse coding [2]", "sparse-coding", 0.471, 0.282),
        ("SIFT + FVs [24]", "sift-fv", 0.457, 0.257),
        ("CNN", "cnn", 0.375, 0.170),
    ]
    assert {row.val for row in paper.TABLE1} == {Errors(None, None)}


def test_table_2_is_the_papers():
    assert [(row.label, row.key, row.val.top1, row.val.top5, row.test.top5) for row in paper.TABLE2] == [
        ("SIFT + FVs [7]", "sift-fv", None, None, 0.262),
        ("1 CNN", "cnn", 0.407, 0.182, None),
        ("5 CNNs", "5-cnns", 0.381, 0.164, 0.164),
        ("1 CNN*", "1-cnn-star", 0.390, 0.166, None),
        ("7 CNNs*", "7-cnns-star", 0.367, 0.154, 0.153),
    ]
    assert {row.test.top1 for row in paper.TABLE2} == {None}  # the test labels are withheld


def test_the_numbers_of_the_text_are_the_papers():
    assert Errors(0.390, 0.183) == paper.CENTRE_CROP
    assert Errors(0.674, 0.409) == paper.FALL_2009.test
    assert Errors(0.781, 0.609) == paper.FALL_2009_BEST_BEFORE
    assert (paper.PARAMETERS, paper.NEURONS, paper.CONV_SHARE, paper.RELU_SPEEDUP) == (60_000_000, 650_000, 0.01, 6)


def test_the_ledger_has_all_26_claims_in_order():
    assert list(dict.fromkeys(claim.id for claim in paper.CLAIMS)) == [f"C{number:02}" for number in range(1, 27)]
    assert [claim.id for claim in paper.CLAIMS if claim.reading] == ["C05", "C05"]


@pytest.mark.parametrize(
    ("claim", "top1", "top5"),
    [
        ("C01", 0.375, 0.170),
        ("C02", 0.390, 0.183),
        ("C03", 0.015, 0.013),
        ("C04", 0.017, 0.012),
        ("C05", 0.014, 0.012),
        ("C06", 0.004, 0.003),
        ("C07", 0.01, None),
        ("C10", 0.02, None),
        ("C12", 0.02, None),
        ("C13", 0.407, 0.182),
        ("C14", 0.381, 0.164),
        ("C15", 0.390, 0.166),
        ("C16", 0.367, 0.154),
        ("C17", 0.674, 0.409),
        ("C18", 0.082, 0.087),  # over the better of the two
        ("C26", 0.001, 0.001),
    ],
)
def test_a_claims_size_in_errors_is_the_papers(claim, top1, top5):
    assert CLAIMS[claim].stated == Errors(top1, top5)


def test_the_other_claims_state_no_errors():
    without = [claim.id for claim in paper.CLAIMS if claim.stated == Errors()]
    assert without == ["C08", "C09", "C11", "C19", "C20", "C21", "C22", "C23", "C24", "C25"]


@pytest.mark.parametrize(
    ("claim", "size"),
    [
        ("C07", "over 1 point"),
        ("C08", "2x iterations"),
        ("C10", "about 2 points"),
        ("C11", "6x"),
        ("C12", "13 % -> 11 %"),
        ("C18", "9.6 and 8.2 points top-1"),
        ("C21", "every run"),
        ("C23", "5 to 6 days"),
        ("C24", "60,000,000 and 650,000"),
        ("C25", "at most 1 %"),
    ],
)
def test_a_claims_size_in_words_is_the_papers(claim, size):
    assert CLAIMS[claim].size == size


def test_the_sizes_that_follow_from_tables_agree_with_them():
    """In tenths of a point: 47.1 - 37.5 = 9.6, 45.7 - 37.5 = 8.2, 39.0 - 37.5 = 1.5, 40.7 - 38.1 = 2.6."""
    assert Errors(0.096, 0.112) == paper.CNN_OVER_SPARSE_CODING
    assert Errors(0.082, 0.087) == paper.CNN_OVER_SIFT_FV
    assert CLAIMS["C03"].stated == Errors(0.015, 0.013)
    assert Errors(0.026, 0.018) == paper.FIVE_CNNS_GAIN


def test_a_gain_is_exact_to_the_tenth_of_a_point():
    assert 0.390 - 0.375 != 0.015
    assert paper.gain(Errors(0.390, 0.183), Errors(0.375, 0.170)) == Errors(0.015, 0.013)


def test_rows_of_the_tables_are_named_once():
    for table in (paper.TABLE1, paper.TABLE2):
        assert len({row.key for row in table}) == len(table)


def test_errors_are_fractions():
    rows = [each for row in (*paper.TABLE1, *paper.TABLE2) for each in (row.val, row.test)]
    pairs = [*rows, *(claim.stated for claim in paper.CLAIMS)]
    values = [value for pair in pairs for value in (pair.top1, pair.top5) if value is not None]
    assert len(values) == 48  # tables 6 + 11, claims 14 pairs and 3
    assert all(0 < value < 1 for value in values)


def test_every_claim_that_variants_serve_is_in_the_ledger():
    file = yaml.safe_load((ROOT / "config/variants.yaml").read_text(encoding="utf-8"))
    served = {
        claim
        for entry in (*file["variants"].values(), *file["ensembles"].values())
        for claim in entry.get("claims", ())
    }
    assert {"C01", "C03", "C04", "C14"} <= served
    assert served <= set(CLAIMS)
