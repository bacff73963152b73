import pytest

from alexnet2012.config.schedules import warn_of_few_steps


@pytest.mark.parametrize(
    ("steps_per_epoch", "epochs", "numbers"),
    [
        (1, 90, "90 in all, 1 an epoch"),  # 168 photographs in batches of 128
        (10, 99, "990 in all, 10 an epoch"),
        (10, 100, ""),
        (9, 1000, "9,000 in all, 9 an epoch"),
        (1000, 1, ""),
        (0, 90, "0 in all, 0 an epoch"),
        (10_009, 90, ""),  # the paper's
    ],
)
def test_fewer_than_a_thousand_steps_or_ten_an_epoch_are_warned_of(steps_per_epoch, epochs, numbers):
    warning = warn_of_few_steps(steps_per_epoch, epochs)
    assert bool(warning) == bool(numbers)
    assert numbers in warning
