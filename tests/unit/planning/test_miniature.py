from dataclasses import asdict, replace
from pathlib import Path

import pytest
from planned import VARIANTS

from alexnet2012.errors import RecordError
from alexnet2012.planning import miniature


@pytest.mark.slow
def test_every_verb_runs_on_the_miniature_and_leaves_nothing_here():
    overheads = miniature.measure_overheads(VARIANTS, torch_threads=1, device="cpu", at_once=2)
    found = asdict(replace(overheads, epoch_s=1.0))  # the difference of two times may be 0 on a busy machine
    assert min(found.values()) > 0
    assert overheads.epoch_s >= 0
    assert list(Path.cwd().iterdir()) == []


def test_a_verb_that_fails_is_an_error_with_what_it_said():
    with pytest.raises(RecordError, match="`alexnet2012 show` failed on a miniature dataset: error: none holds no tab"):
        miniature.time_verbs(Path.cwd(), [["show", "none"]])


def test_only_the_number_of_epochs_differs_in_the_longer_training():
    miniature.write_pictures(Path("pictures"))
    assert len(list(Path("pictures").glob("*/*.png"))) == 35
    run = miniature.make_miniature_plan(Path.cwd(), VARIANTS, 1, "cpu").runs[1]
    longer = miniature.lengthen(run, 20)
    assert (run.training.schedule.max_epochs, longer.training.schedule.max_epochs) == (1, 21)
    assert longer.folder != run.folder
    assert longer.net == run.net
