import pytest

from alexnet2012 import paper
from alexnet2012.paper import Errors

CLAIMS = {claim.id: claim for claim in paper.CLAIMS}


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


def test_the_sizes_that_follow_from_tables_agree_with_them():
    """In tenths of a point: 47.1 - 37.5 = 9.6, 45.7 - 37.5 = 8.2, 39.0 - 37.5 = 1.5, 40.7 - 38.1 = 2.6."""
    assert Errors(0.096, 0.112) == paper.CNN_OVER_SPARSE_CODING
    assert Errors(0.082, 0.087) == paper.CNN_OVER_SIFT_FV
    assert CLAIMS["C03"].stated == Errors(0.015, 0.013)
    assert Errors(0.026, 0.018) == paper.FIVE_CNNS_GAIN
