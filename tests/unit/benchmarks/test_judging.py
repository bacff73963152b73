import pytest
from judging import compare_speed, compare_time, floor_of_bytes, floor_of_flops, judge, limit_memory, rate

from alexnet2012.reporting.benchmark_results import Comparison, ContenderResult

# Seconds for an image: 0.01, 0.02, 0.01 and 0.03, 0.03, 0.05.
OURS = ContenderResult("ours", "job", 2, [0.1, 0.2, 0.1], [10, 10, 10], 3 << 20, 2 << 20)
THEIRS = ContenderResult("theirs", "plain", 2, [0.06, 0.06, 0.1], [2, 2, 2])
CASES = {
    # 0.03 / 0.01, 0.03 / 0.02, 0.05 / 0.01
    "faster": (compare_speed(OURS, THEIRS, 2.4), (3.0, 1.5, 5.0), True),
    "not as much": (compare_speed(OURS, THEIRS, 3.1), (3.0, 1.5, 5.0), False),
    "without a goal": (compare_speed(OURS, THEIRS, None), (3.0, 1.5, 5.0), None),
    # Ours keeps one core busy, theirs two: six times as fast per core.
    "on one core": (compare_speed(OURS, THEIRS, None, cores=(1, 2)), (6.0, 3.0, 10.0), None),
    "on two cores": (compare_speed(OURS, THEIRS, None, cores=(2, 1)), (1.5, 0.75, 2.5), None),
    "little time": (compare_time(OURS, THEIRS, 0.34, "share"), (1 / 3, 1 / 5, 2 / 3), True),
    "too much time": (compare_time(OURS, THEIRS, 0.3, "times the seconds"), (1 / 3, 1 / 5, 2 / 3), False),
    "rate": (rate(OURS, 90.0), (100.0, 50.0, 100.0), True),
    "too slow": (rate(OURS, 101.0), (100.0, 50.0, 100.0), False),
    "memory": (limit_memory(OURS, 2.0**21), (2.0**21, 2.0**21, 2.0**21), True),
    "too much memory": (limit_memory(OURS, 2.0**21 - 1), (2.0**21, 2.0**21, 2.0**21), False),
}


@pytest.mark.parametrize("case", CASES)
def test_comparisons_are_made_round_by_round_and_judged_by_their_medians(case):
    found, values, met = CASES[case]
    assert (found.value, found.low, found.high) == pytest.approx(values)
    assert found.met is met


def test_a_comparison_says_what_it_compares():
    found = compare_speed(OURS, THEIRS, 2.4)
    assert (found.ours, found.against, found.measure) == ("ours (job)", "theirs (plain)", "times as fast")
    assert (found.goal, found.direction) == (2.4, "at least")
    assert compare_time(OURS, THEIRS, 0.3, "share").direction == "at most"


def test_nothing_measured_is_neither_met_nor_missed():
    found = judge("ours", "the goal", "images/s", [], 5.0, "at least")
    assert found == Comparison("ours", "the goal", "images/s", 5.0, "at least", None, None, None, None)


def test_a_floor_takes_the_median_rate_and_the_faster_kind():
    pairs = ((1e9, 3e9), (2e9, 4e9), (9e9, 5e9))
    rates = [{"torch.mm": product, "a 3x3 convolution": convolution, "copy": 2e9} for product, convolution in pairs]
    flops, copied = floor_of_flops(OURS, 2e8, rates), floor_of_bytes(OURS, 1e8, rates)
    # Medians 2e9 and 4e9; 2e8 / 4e9 = 0.05 s of the median call's 0.1 s.
    assert (flops.rate_of, flops.rate, flops.seconds, flops.fraction) == ("a 3x3 convolution", 4e9, 0.05, 0.5)
    assert (copied.what, copied.rate, copied.seconds, copied.fraction) == ("bytes", 2e9, 0.05, 0.5)
