import pytest
from judging import compare_speed, compare_time, floor_of_bytes, floor_of_flops, judge, limit_memory, rate

from alexnet2012.reporting.benchmark_results import Comparison, ContenderResult

# Seconds for an image: 0.01, 0.02, 0.01 and 0.03, 0.03, 0.05.
OURS = ContenderResult("ours", "job", 2, [0.1, 0.2, 0.1], [10, 10, 10], 3 << 20, 2 << 20)
THEIRS = ContenderResult("theirs", "plain", 2, [0.06, 0.06, 0.1], [2, 2, 2])


def test_speed_is_compared_round_by_round():
    # 0.03 / 0.01, 0.03 / 0.02, 0.05 / 0.01
    found = compare_speed(OURS, THEIRS, 2.4)
    assert (found.value, found.low, found.high) == pytest.approx((3.0, 1.5, 5.0))
    assert (found.ours, found.against, found.measure) == ("ours (job)", "theirs (plain)", "times as fast")
    assert (found.goal, found.direction, found.met) == (2.4, "at least", True)
    assert compare_speed(OURS, THEIRS, 3.1).met is False
    assert compare_speed(OURS, THEIRS, None).met is None


def test_speed_per_core():
    # Ours keeps one core busy, theirs two: six times as fast per core.
    assert compare_speed(OURS, THEIRS, None, cores=(1, 2)).value == pytest.approx(6.0)
    assert compare_speed(OURS, THEIRS, None, cores=(2, 1)).value == pytest.approx(1.5)


def test_time_may_be_at_most_so_much():
    found = compare_time(OURS, THEIRS, 0.34, "share")
    assert (found.value, found.low, found.high) == pytest.approx((1 / 3, 1 / 5, 2 / 3))
    assert (found.direction, found.met) == ("at most", True)
    assert compare_time(OURS, THEIRS, 0.3, "times the seconds").met is False


def test_rates_and_memory_stand_by_themselves():
    assert rate(OURS, 90.0).value == pytest.approx(100.0)
    assert (rate(OURS, 90.0).met, rate(OURS, 101.0).met) == (True, False)
    assert limit_memory(OURS, 2.0**21).met is True
    assert limit_memory(OURS, 2.0**21 - 1).met is False


def test_nothing_measured_is_neither_met_nor_missed():
    assert judge("ours", "the goal", "images/s", [], 5.0, "at least") == Comparison(
        "ours", "the goal", "images/s", 5.0, "at least", None, None, None, None
    )


def test_a_floor_takes_the_median_rate_and_the_faster_kind():
    pairs = ((1e9, 3e9), (2e9, 4e9), (9e9, 5e9))
    rates = [{"torch.mm": product, "a 3x3 convolution": convolution, "copy": 2e9} for product, convolution in pairs]
    flops = floor_of_flops(OURS, 2e8, rates)
    # Medians 2e9 and 4e9; 2e8 / 4e9 = 0.05 s of the median call's 0.1 s.
    assert (flops.rate_of, flops.rate, flops.seconds, flops.fraction) == ("a 3x3 convolution", 4e9, 0.05, 0.5)
    copied = floor_of_bytes(OURS, 1e8, rates)
    assert (copied.what, copied.rate, copied.seconds, copied.fraction) == ("bytes", 2e9, 0.05, 0.5)
