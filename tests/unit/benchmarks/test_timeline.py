import json
from pathlib import Path

import pytest
from timeline import Job, read_compute, read_jobs, split_time

# Two slots from 0 to 100: both busy from 10 to 60, one until 80, then tables from 90 to 100.
JOBS = [Job("train_net", 10, 60), Job("train_net", 10, 80), Job("render_tables", 90, 100)]


def test_shares_add_up_to_the_whole():
    found = split_time(JOBS, compute=100, began=0, ended=100, slots=2)
    assert found.compute == pytest.approx(0.5)  # 100 of 200 slot seconds
    assert found.start_up == pytest.approx(0.1)  # 50 + 70 - 100
    assert found.other_jobs == pytest.approx(0.05)
    assert found.tail == pytest.approx(0.25)  # after 60: 80 slot seconds, of which 20 + 10 were busy
    assert found.idle == pytest.approx(0.1)  # both slots, before 10
    assert sum(vars(found).values()) == pytest.approx(1)


def test_a_job_that_begins_as_another_ends_fills_no_third_slot():
    jobs = [Job("train_net", 0, 10), Job("train_net", 10, 20)]
    found = split_time(jobs, compute=20, began=0, ended=20, slots=2)
    assert (found.compute, found.tail, found.idle) == pytest.approx((0.5, 0.5, 0))


def test_jobs_are_read_once_each_and_old_ones_left_out(tmp_path):
    folder = tmp_path / ".snakemake" / "metadata"
    folder.mkdir(parents=True)
    notes = [
        ("a", "train_net", "seed0.log", 5, 9),
        ("b", "train_net", "seed0.log", 5, 9.5),  # another output of the same job
        ("c", "train_net", "seed1.log", 4, 9),
        ("d", "prepare_dataset", "prepare.log", 0, 2),
    ]
    for name, rule, log, began, ended in notes:
        note = {"rule": rule, "log": [log], "starttime": began, "endtime": ended}
        (folder / name).write_text(json.dumps(note), encoding="utf-8")
    found = read_jobs(tmp_path, since=3)
    assert [(job.rule, job.began) for job in found] == [("train_net", 4), ("train_net", 5)]


def test_a_training_in_two_processes_takes_two_slots(tmp_path):
    log = "results/tiny/logs/train/d/cnn-1/seed0.log"
    write(tmp_path / ".snakemake/metadata/a", {"rule": "train_net", "log": [log], "starttime": 10, "endtime": 40})
    write(tmp_path / "results/tiny/runs/d/cnn-1/seed0/record.json", {"processes": 2})
    jobs = read_jobs(tmp_path, since=0)
    assert [job.slots for job in jobs] == [2]
    found = split_time(jobs, compute=50, began=0, ended=50, slots=2)
    assert (found.compute, found.start_up, found.tail, found.idle) == pytest.approx((0.5, 0.1, 0.2, 0.2))


def test_compute_is_that_of_single_nets(tmp_path):
    records = {
        "runs/d/cnn-1/seed0/record.json": {"kind": "training", "wall_time_s": 20.5, "processes": 2},
        "predictions/d/cnn-1/seed0/val.json": {"kind": "prediction", "wall_time_s": 1.5},
        "predictions/d/cnn-1/seed0/test.json": {"kind": "prediction", "wall_time_s": 3},
        "predictions/d/5-cnns-1/average/val.json": {"kind": "ensemble"},
        "predictions/d/5-cnns-1/average/run.json": {"key": "no record of ours"},
        "analyses/d/cnn-1/seed0/analysis.json": {"kind": "analysis", "wall_time_s": 2},
    }
    for path, record in records.items():
        write(tmp_path / path, record)
    found = [read_compute(tmp_path, stage) for stage in ("runs", "predictions", "analyses")]
    assert found == [{Path("d/cnn-1/seed0"): seconds} for seconds in (41, 4.5, 2)]


def write(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values), encoding="utf-8")
