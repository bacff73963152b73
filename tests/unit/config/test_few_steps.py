"""The warning of too few steps."""

import pytest

from alexnet2012.config.schedules import warn_of_few_steps


@pytest.mark.parametrize(
    ("steps_per_epoch", "epochs", "warns"),
    [
        (1, 90, True),  # 168 photographs in batches of 128
        (10, 99, True),
        (10, 100, False),
        (9, 1000, True),
        (1000, 1, False),
        (999, 1, True),
        (0, 90, True),
        (10_009, 90, False),  # the paper's
    ],
)
def test_fewer_than_a_thousand_steps_or_ten_an_epoch_are_warned_of(steps_per_epoch, epochs, warns):
    assert bool(warn_of_few_steps(steps_per_epoch, epochs)) is warns


def test_the_warning_counts_and_names_the_setting():
    sentence = warn_of_few_steps(8, 130)
    assert "1,040 in all, 8 an epoch" in sentence
    assert "training.batch_size" in sentence
