"""An ensemble's average, errors and intervals at ImageNet's size beside a numpy script with argsort.

The members' files take 4.2 GB; ALEXNET2012_BENCHMARK_ENSEMBLE_IMAGES makes them of fewer images than 150,000.
"""

import os
import shutil

import pytest
from contest import Contender, Contest, in_both
from judging import compare_speed, floor_of_bytes, limit_memory
from sizes import pick

IMAGES = int(os.environ.get("ALEXNET2012_BENCHMARK_ENSEMBLE_IMAGES", pick("150000", "2000")))
CLASSES, MEMBERS = 1000, 7


@pytest.fixture
def members(tmp_path):
    from contenders.ensembles import write_members

    write_members(tmp_path, MEMBERS, IMAGES, CLASSES)
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.benchmark(group="ensemble")
def test_average_and_errors(hold, record, members):
    ours = Contender(
        "average, rank_truth, estimate_error",
        "contenders.ensembles:make_ours",
        {"folder": str(members), "output": str(members / "ours.npy")},
    )
    plain, same = in_both(
        Contender(
            "numpy with argsort",
            "contenders.ensembles:make_numpy",
            {"folder": str(members), "output": str(members / "theirs.npy")},
        )
    )
    rates = Contender("rates", "contenders.rates:make")
    with Contest([ours, plain, same, rates]) as contest:
        hold(contest, rounds=pick(3, 2))
        found, measured = contest.results(), contest.details(rates.label)
        errors = [contest.details(each.label)[0] for each in (ours, plain)]
    own = found[ours.label]
    record(
        f"average of {MEMBERS} nets, top-1 and top-5 errors and intervals, {IMAGES:,} x {CLASSES:,}",
        "calls",
        [found[each.label] for each in (ours, plain, same)],
        [
            compare_speed(own, found[plain.label], 5.0),
            compare_speed(own, found[same.label], None),
            limit_memory(own, 2.0**30),
        ],
        # Each member is read, the average written and read.
        floor_of_bytes(own, (MEMBERS + 2) * 4 * IMAGES * CLASSES, measured),
        note="both write the average to a file; the files are in the page cache where memory suffices",
    )
    for k in ("top1", "top5"):
        assert errors[0][k] == pytest.approx(errors[1][k], abs=2 / IMAGES), "ties apart, both find the same errors"
