import itertools

import pytest

from alexnet2012.config.schedules import FixedSchedule, PlateauSchedule, TargetSchedule
from alexnet2012.config.schema import TrainingConfig
from alexnet2012.training.record import epochs_to_target
from alexnet2012.training.schedule import (
    Scheduler,
    learning_rate,
    steering_error,
)


def run(scheduler: Scheduler, errors) -> tuple[list[int], int | None]:
    """The epochs (from 1) after which the rate dropped, and the one after which training ends."""
    drops = []
    for error in errors:
        before = scheduler.drops_done
        scheduler.observe(error)
        if scheduler.drops_done != before:
            assert scheduler.drops_done == before + 1
            drops.append(scheduler.epochs_done)
        if scheduler.finished:
            return drops, scheduler.epochs_done
    return drops, None


def plateau(**changes) -> Scheduler:
    return Scheduler(PlateauSchedule(kind="plateau", **changes))


def test_a_fixed_schedule_has_its_rate_in_every_epoch():
    scheduler = Scheduler(FixedSchedule(kind="fixed", epochs=[18, 6, 3, 3]))
    rates = []
    while not scheduler.finished:
        rates.append(learning_rate(TrainingConfig(), scheduler))
        scheduler.observe(0.5)
    assert rates == [0.01] * 18 + [0.001] * 6 + [0.0001] * 3 + [0.00001] * 3
    assert (scheduler.epochs_done, scheduler.drops_done) == (30, 3)


def test_a_fixed_schedule_drops_at_its_boundaries_whatever_the_error():
    for errors in (itertools.repeat(0.5), itertools.count(1.0, -0.01)):
        scheduler = Scheduler(FixedSchedule(kind="fixed", epochs=[2, 1, 4]))
        assert run(scheduler, errors) == ([2, 3], 7)
    assert run(Scheduler(FixedSchedule(kind="fixed", epochs=[1])), [0.5]) == ([], 1)


def test_the_paper_divides_by_ten_three_times():
    config = PlateauSchedule(kind="plateau")
    assert (config.patience, config.min_delta, config.drops, config.max_epochs) == (5, 0.001, 3, 90)
    scheduler, rates = Scheduler(config), []
    while not scheduler.finished:
        rates.append(learning_rate(TrainingConfig(), scheduler))
        scheduler.observe(0.5)
    # At each rate the first epoch sets the best and five bring nothing.
    assert rates == [0.01] * 6 + [0.001] * 6 + [0.0001] * 6 + [0.00001] * 6


def test_drops_of_a_worked_sequence():
    # 1: 0.90 best; 2: 0.80 best; 3..6 no better; 7: 0.70 best; 8..12 five without: drop after 12.
    first = [0.90, 0.80, 0.80, 0.85, 0.7995, 0.80, 0.70, 0.70, 0.72, 0.6995, 0.75, 0.71]
    # 13: 0.75, WORSE than 0.70, is the best at the new rate; 14: 0.74 best; 15..19 without: drop after 19.
    second = [0.75, 0.74, 0.74, 0.74, 0.7395, 0.80, 0.74]
    # 20: 0.60; 21..25 without: drop after 25. 26: 0.60; 27..30 without; 31: 0.59; 32..36 without: the end.
    third = [0.60] * 6
    fourth = [0.60] * 5 + [0.59] * 6
    assert run(plateau(), first + second + third + fourth + [0.1]) == ([12, 19, 25], 36)


def test_patience_starts_anew_with_each_improvement_and_each_drop():
    scheduler = plateau(patience=3, drops=1)
    improving = [0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.7, 0.7, 0.7]
    assert run(scheduler, improving) == ([], None)
    assert run(scheduler, [0.7]) == ([10], None)
    # Not one of the three counts that led to the drop is left.
    assert run(scheduler, [0.7, 0.7, 0.7]) == ([], None)
    assert run(scheduler, [0.7]) == ([], 14)


def test_improvement_is_measured_from_the_best_not_from_the_last():
    # Steps of half of min_delta: every third epoch lies more than min_delta below the last BEST.
    scheduler = plateau(patience=3, min_delta=0.125, drops=0)
    assert run(scheduler, [1.0 - 0.0625 * step for step in range(16)]) == ([], None)
    # After a worse epoch, coming back to the best is none.
    assert run(plateau(patience=3, min_delta=0.125, drops=0), [0.5, 1.0, 0.75, 0.5]) == ([], 4)


def test_an_improvement_of_exactly_min_delta_is_none():
    # Binary fractions, so that the difference is exact.
    exactly, more = [1.0, 0.875, 0.875], [1.0, 0.8749, 0.8749]
    assert run(plateau(patience=2, min_delta=0.125, drops=0), exactly) == ([], 3)
    assert run(plateau(patience=2, min_delta=0.125, drops=0), more) == ([], None)
    assert run(plateau(patience=2, min_delta=0.0, drops=0), [0.5, 0.5, 0.5]) == ([], 3)


def test_training_ends_at_max_epochs_though_the_error_still_falls():
    falling = [1.0 - 0.01 * epoch for epoch in range(100)]
    assert run(plateau(), falling) == ([], 90)
    assert run(plateau(max_epochs=7), falling) == ([], 7)
    # The drop after epoch 6 comes first, then the end.
    assert run(plateau(max_epochs=8), itertools.repeat(0.5)) == ([6], 8)


def test_without_drops_the_end_is_the_first_plateau():
    assert run(plateau(drops=0), itertools.repeat(0.5)) == ([], 6)
    assert run(plateau(drops=1, patience=1), itertools.repeat(0.5)) == ([2], 4)


SEQUENCE = [0.9, 0.8, 0.8, 0.8, 0.7, 0.7, 0.7, 0.7, 0.9, 0.6, 0.6, 0.6, 0.6, 0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    "config",
    [
        FixedSchedule(kind="fixed", epochs=[5, 3, 4]),
        PlateauSchedule(kind="plateau", patience=3, drops=2),
        PlateauSchedule(kind="plateau", patience=3, drops=3, max_epochs=11),
    ],
    ids=["fixed", "plateau", "short"],
)
def test_a_saved_schedule_goes_on_as_if_never_stopped(config):
    def follow(scheduler: Scheduler, errors) -> list[tuple[float, bool]]:
        seen = []
        for error in errors:
            if scheduler.finished:
                break
            scheduler.observe(error)
            seen.append((learning_rate(TrainingConfig(), scheduler), scheduler.finished))
        return seen

    whole = follow(Scheduler(config), SEQUENCE)
    assert whole[-1][1] and len({rate for rate, _ in whole}) >= 2
    for stop in range(len(whole)):
        first = Scheduler(config)
        before = follow(first, SEQUENCE[:stop])
        state = first.progress
        assert set(map(type, state.values())) <= {int, float, bool}
        after = follow(Scheduler(config, **state), SEQUENCE[stop:])
        assert before + after == whole
        assert first.progress == state  # the continuation had a state of its own


def test_an_improvement_of_exactly_min_delta_is_none_whatever_the_rounding():
    # In float64 0.345 - 0.344 is above 0.001, and 0.346 - 0.345 is too.
    assert run(plateau(patience=2, drops=0), [0.346, 0.345, 0.345]) == ([], 3)
    assert run(plateau(patience=2, drops=0), [0.345, 0.344, 0.344]) == ([], 3)
    assert run(plateau(patience=2, drops=0), [0.346, 0.3449, 0.345]) == ([], None)


TARGET = TargetSchedule(kind="target", train_error=0.25, max_epochs=5)


def test_a_target_ends_the_training_at_one_rate():
    assert run(Scheduler(TARGET), [0.5, 0.3, 0.2501, 0.25, 0.1]) == ([], 4)
    assert run(Scheduler(TARGET), itertools.repeat(0.5)) == ([], 5)


def test_a_saved_target_goes_on():
    scheduler = Scheduler(TARGET)
    scheduler.observe(0.5)
    again = Scheduler(TARGET, **scheduler.progress)
    assert (again.epochs_done, again.finished) == (1, False)
    again.observe(0.2)
    assert again.finished


def test_a_target_looks_at_the_training_error_and_the_others_at_their_split():
    row = {"train_top1_error": 0.2, "schedule_top1_error": 0.4}
    assert steering_error(TARGET, row) == 0.2
    assert (
        steering_error(PlateauSchedule(kind="plateau"), row)
        == steering_error(FixedSchedule(kind="fixed", epochs=[1]), row)
        == 0.4
    )


def test_epochs_to_a_target_lie_on_the_line_between_two_epochs():
    assert epochs_to_target([0.5, 0.3, 0.2, 0.1], 0.25) == pytest.approx(2.5)
    assert epochs_to_target([0.5, 0.3, 0.25], 0.25) == pytest.approx(3.0)
    assert epochs_to_target([0.2, 0.1], 0.25) == 1.0
    assert epochs_to_target([0.5, 0.26], 0.25) is None
    assert epochs_to_target([0.5, 0.24, 0.3, 0.2], 0.25) == pytest.approx(2 - 0.01 / 0.26)  # the first time counts
