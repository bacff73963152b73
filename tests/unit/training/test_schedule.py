from collections.abc import Iterable

import pytest

from alexnet2012.config.schedules import AnySchedule, FixedSchedule, PlateauSchedule, TargetSchedule
from alexnet2012.config.schema import TrainingConfig
from alexnet2012.costs import epochs_to_target
from alexnet2012.training.schedule import Scheduler, learning_rate, steering_error

FLAT = [0.5] * 100
FALLING = [1.0 - 0.01 * epoch for epoch in range(100)]


def fixed(*epochs: int) -> FixedSchedule:
    return FixedSchedule(kind="fixed", epochs=list(epochs))


def plateau(**changes) -> PlateauSchedule:
    return PlateauSchedule(kind="plateau", **changes)


TARGET = TargetSchedule(kind="target", train_error=0.25, max_epochs=5)


def follow(scheduler: Scheduler, errors: Iterable[float]) -> list[tuple[float, bool]]:
    """The learning rate after each epoch, and whether training ends there."""
    seen = []
    for error in errors:
        if scheduler.finished:
            break
        scheduler.observe(error)
        seen.append((learning_rate(TrainingConfig(), scheduler), scheduler.finished))
    return seen


def drops_and_end(schedule: AnySchedule, errors: list[float]) -> tuple[list[int], int | None]:
    """The epochs (from 1) after which the rate dropped, and the one after which training ends."""
    seen = [(0.01, False), *follow(Scheduler(schedule), errors)]
    drops = [epoch for epoch in range(1, len(seen)) if seen[epoch][0] != seen[epoch - 1][0]]
    return drops, len(seen) - 1 if seen[-1][1] else None


@pytest.mark.parametrize(
    ("schedule", "epochs"), [(fixed(18, 6, 3, 3), [18, 6, 3, 3]), (PlateauSchedule(kind="plateau"), [6, 6, 6, 6])]
)
def test_the_rate_is_divided_by_ten_three_times(schedule, epochs):
    """With the paper's plateau, the first epoch at each rate sets the best, and five bring nothing."""
    scheduler, rates = Scheduler(schedule), []
    while not scheduler.finished:
        rates.append(learning_rate(TrainingConfig(), scheduler))
        scheduler.observe(0.5)
    expected = zip((0.01, 0.001, 0.0001, 0.00001), epochs, strict=True)
    assert rates == [rate for rate, count in expected for _ in range(count)]


# 1: 0.90 best; 2: 0.80 best; 3..6 no better; 7: 0.70 best; 8..12 five without: drop after 12.
FIRST = [0.90, 0.80, 0.80, 0.85, 0.7995, 0.80, 0.70, 0.70, 0.72, 0.6995, 0.75, 0.71]
# 13: 0.75, WORSE than 0.70, is the best at the new rate; 14: 0.74 best; 15..19 without: drop after 19.
SECOND = [0.75, 0.74, 0.74, 0.74, 0.7395, 0.80, 0.74]
# 20: 0.60; 21..25 without: drop after 25. 26: 0.60; 27..30 without; 31: 0.59; 32..36 without: the end.
THIRD, FOURTH = [0.60] * 6, [0.60] * 5 + [0.59] * 6
IMPROVING = [0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.7, 0.7, 0.7]
# Steps of half of min_delta: every third epoch lies more than min_delta below the last BEST.
HALF_STEPS = [1.0 - 0.0625 * step for step in range(16)]


@pytest.mark.parametrize(
    ("schedule", "errors", "drops", "end"),
    [
        (fixed(2, 1, 4), FLAT, [2, 3], 7),
        (fixed(2, 1, 4), FALLING, [2, 3], 7),
        (fixed(1), FLAT, [], 1),
        (plateau(), [*FIRST, *SECOND, *THIRD, *FOURTH, 0.1], [12, 19, 25], 36),
        # Patience starts anew with each improvement and each drop: of the counts before the drop none is left.
        (plateau(patience=3, drops=1), IMPROVING, [], None),
        (plateau(patience=3, drops=1), [*IMPROVING, *[0.7] * 4], [10], None),
        (plateau(patience=3, drops=1), [*IMPROVING, *[0.7] * 5], [10], 14),
        # An improvement is measured from the best, not from the last; coming back to the best is none.
        (plateau(patience=3, min_delta=0.125, drops=0), HALF_STEPS, [], None),
        (plateau(patience=3, min_delta=0.125, drops=0), [0.5, 1.0, 0.75, 0.5], [], 4),
        # Exactly min_delta is none, in binary fractions and where float64 rounds: 0.346 - 0.345 is above 0.001 there.
        (plateau(patience=2, min_delta=0.125, drops=0), [1.0, 0.875, 0.875], [], 3),
        (plateau(patience=2, min_delta=0.125, drops=0), [1.0, 0.8749, 0.8749], [], None),
        (plateau(patience=2, min_delta=0.0, drops=0), [0.5, 0.5, 0.5], [], 3),
        (plateau(patience=2, drops=0), [0.346, 0.345, 0.345], [], 3),
        (plateau(patience=2, drops=0), [0.345, 0.344, 0.344], [], 3),
        (plateau(patience=2, drops=0), [0.346, 0.3449, 0.345], [], None),
        # max_epochs ends it though the error still falls, and after the drop of the epoch before.
        (plateau(), FALLING, [], 90),
        (plateau(max_epochs=8), FLAT, [6], 8),
        (plateau(drops=0), FLAT, [], 6),
        (plateau(drops=1, patience=1), FLAT, [2], 4),
        (TARGET, [0.5, 0.3, 0.2501, 0.25, 0.1], [], 4),
        (TARGET, FLAT, [], 5),
    ],
)
def test_drops_and_the_end_of_worked_sequences(schedule, errors, drops, end):
    assert drops_and_end(schedule, errors) == (drops, end)


SEQUENCE = [0.9, 0.8, 0.8, 0.8, 0.7, 0.7, 0.7, 0.7, 0.9, 0.6, 0.6, 0.6, 0.6, 0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    "schedule", [fixed(5, 3, 4), plateau(patience=3, drops=2), plateau(patience=3, drops=3, max_epochs=11), TARGET]
)
def test_a_saved_schedule_goes_on_as_if_never_stopped(schedule):
    whole = follow(Scheduler(schedule), SEQUENCE)
    assert whole[-1][1]
    for stop in range(len(whole)):
        first = Scheduler(schedule)
        before = follow(first, SEQUENCE[:stop])
        state = first.progress
        assert set(map(type, state.values())) <= {int, float, bool}
        assert before + follow(Scheduler(schedule, **state), SEQUENCE[stop:]) == whole
        assert first.progress == state  # the continuation had a state of its own


@pytest.mark.parametrize(("schedule", "error"), [(TARGET, 0.2), (plateau(), 0.4), (fixed(1), 0.4)])
def test_a_target_looks_at_the_training_error_and_the_others_at_their_split(schedule, error):
    assert steering_error(schedule, {"train_top1_error": 0.2, "schedule_top1_error": 0.4}) == error


@pytest.mark.parametrize(
    ("errors", "epochs"),
    [
        ([0.5, 0.3, 0.2, 0.1], 2.5),
        ([0.5, 0.3, 0.25], 3.0),
        ([0.2, 0.1], 1.0),
        ([0.5, 0.26], None),
        ([0.5, 0.24, 0.3, 0.2], 2 - 0.01 / 0.26),  # the first time counts
    ],
)
def test_epochs_to_a_target_lie_on_the_line_between_two_epochs(errors, epochs):
    assert epochs_to_target(errors, 0.25) == pytest.approx(epochs)
