import copy
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from planned import ILSVRC, ROOT, TINY, VARIANTS, finish, plan_work, write_pictures

from alexnet2012 import cli
from alexnet2012.config.schedules import warn_of_few_steps
from alexnet2012.errors import PlanError
from alexnet2012.planning import forecast, rates
from alexnet2012.planning.baselines import BaselineCosts, measure_costs
from alexnet2012.planning.describe import describe_work
from alexnet2012.planning.jobs import list_jobs
from alexnet2012.planning.machine import Machine
from alexnet2012.planning.makespan import schedule
from alexnet2012.planning.miniature import Overheads
from alexnet2012.planning.rates import Rates, setting_of
from alexnet2012.planning.report import in_bytes, in_time, render_time, render_work
from alexnet2012.planning.small_costs import SmallCosts, preparation_seconds

# A hundred images a second and process; nothing costs anything beside its images.
RATES = Rates(
    batch_size=8,
    step_s=0.08,
    centre_s=0.002,
    ten_crop_s=0.02,
    epoch_start_s=0.0,
    checkpoint_s=0.0,
    processes=2,
    device="cpu",
    origin="measured",
)
OVERHEADS = Overheads(
    track_s=0.0,
    prepare_s=1.0,
    train_s=1.0,
    epoch_s=0.0,
    predict_s=0.0,
    average_s=0.0,
    tables_s=0.0,
    publish_s=0.0,
    show_s=0.0,
)
COSTS = SmallCosts(0.01, 0.004, 1e-9, 1e-9, 0.0, 1e-8, 0.0)
MACHINE = Machine(cores=2, cards=None, memory_bytes=10**10, hardware="some processor, 2 usable cores")


@pytest.fixture
def pictures():
    write_pictures(Path("pictures"), classes=7, images=20)


@pytest.fixture
def measured(monkeypatch):
    """Rates as above instead of those of the machine."""
    monkeypatch.setattr(
        forecast, "measure_rates", lambda work, machine: {setting_of(each): RATES for each in work.trainings}
    )
    monkeypatch.setattr(forecast, "measure_overheads", lambda *arguments: OVERHEADS)
    monkeypatch.setattr(forecast, "measure_small_costs", lambda *arguments: COSTS)
    monkeypatch.setattr(forecast, "measure_snakemake", lambda configfile: 0.5)


def predict_time(values: dict, **options) -> dict:
    return forecast.forecast_time(plan_work(values), MACHINE, Path("plan.yaml"), VARIANTS, Path("data"), **options)


def list_at(work) -> list:
    return list_jobs(work, lambda training: RATES, OVERHEADS, COSTS, {"pictures": 3.0})


WITH_BASELINE = {
    **TINY,
    "experiments": [{"dataset": "pictures", "variant": "sift-fv", "seeds": [0], "tables": ["table1"]}],
    "baselines": {
        "sift-fv": {
            "gaussians": 64,
            "models": [
                {"kind": kind, "grids": [{"side_px": side, "step_px": 4}]}
                for kind, side in (("sift", 12), ("colour", 8))
            ],
        }
    },
}


def test_a_baseline_is_learnt_and_judged_by_all_cores():
    """42 images a split of train: a second to encode, of which four cores do four; ten passes over three classes."""
    write_pictures(Path("pictures"), classes=3, images=20)
    work = plan_work(WITH_BASELINE)
    (baseline,) = work.baselines
    assert baseline.dimensions == [5 * 2 * 64 * 64] * 2 and baseline.codes_bytes == 5 * 2 * 64 * 64 * 42 * 2
    costs = {baseline.name: BaselineCosts(encode_s=1.0, fit_s=0.5, codebook_s=100.0)}
    jobs = {job.name: job for job in list_jobs(work, lambda training: RATES, OVERHEADS, COSTS, {}, costs, cores=4)}
    learning = jobs[baseline.name]
    assert learning.seconds == pytest.approx(OVERHEADS.train_s + 100 + 42 / 4 + 10 * 42 * 0.5 / 3)
    assert learning.cores is None and set(learning.needs) == {"track"}
    judging = jobs["judge pictures sift-fv seed0 test"]
    assert judging.needs == (baseline.name, "track") and judging.seconds == pytest.approx(OVERHEADS.predict_s + 12 / 4)
    assert judging.name in jobs["tables"].needs
    assert not work.trainings and not work.predictions
    text = render_work(describe_work(work, MACHINE, Path("data")))
    assert "learn sift-fv on pictures, seed 0: 2 classifiers over codes of 81,920 numbers" in text
    assert "in all: 0 trainings, " in text and "; 1 baseline\n" in text


def test_what_a_baseline_costs_is_measured():
    write_pictures(Path("pictures"), classes=3, images=20)
    (baseline,) = plan_work(WITH_BASELINE).baselines
    costs = measure_costs(baseline)
    assert min(asdict(costs).values()) > 0


def test_a_pretrained_net_waits_for_its_pretraining_and_that_for_its_rotations():
    star = {
        "dataset": "pictures",
        "variant": "1-cnn-star",
        "seeds": [0],
        "pretrained_on": "turned",
        "tables": ["table2"],
    }
    turned = {"turned": {"kind": "rotations", "of": "pictures"}}
    write_pictures(Path("pictures"), classes=3, images=20)
    work = plan_work({**TINY, "datasets": TINY["datasets"] | turned, "experiments": [star]})
    counts = {each.name: (each.counts.images["train"], each.counts.classes) for each in work.datasets}
    assert counts == {"pictures": (42, 3), "turned": (168, 12)}
    jobs = list_jobs(work, lambda training: RATES, OVERHEADS, COSTS, {"pictures": 3.0, "turned": 1.0})
    needs = {job.name: job.needs for job in jobs}
    first = "train turned cnn-sixth-layer seed0"
    assert needs["prepare turned"] == ("prepare pictures",)
    assert needs[first] == ("prepare turned", "track")
    assert needs["train pictures 1-cnn-star seed0"] == ("prepare pictures", "track", first)
    assert not any(name.startswith("predict turned") for name in needs)


def test_each_jobs_seconds_are_those_of_its_images(pictures):
    jobs = {job.name: job for job in list_at(plan_work(TINY))}
    # 36 steps of 0.08 s, and in each of three epochs 50 + 14 centre crops of 0.002 s; one second beside them.
    assert jobs["train pictures cnn seed0"].seconds == pytest.approx(1 + 36 * 0.08 + 3 * 64 * 0.002)
    assert jobs["predict pictures cnn seed1 test"].seconds == pytest.approx(28 * 0.02)
    assert jobs["predict pictures cnn seed1 test"].needs[0] == "train pictures cnn seed1"
    assert jobs["prepare pictures"].cores is None
    assert len(jobs) == 1 + 1 + 2 + 4 + 2  # prepare, track, train, predict, tables and publish


def test_an_epoch_costs_something_beside_its_images(pictures):
    overheads = replace(OVERHEADS, epoch_s=0.5)
    jobs = list_jobs(plan_work(TINY), lambda training: RATES, overheads, COSTS, {})
    (seconds,) = {job.seconds for job in jobs if job.kind == "train"}
    assert seconds == pytest.approx(1 + 36 * 0.08 + 3 * (64 * 0.002 + 0.5))


def test_finished_jobs_cost_nothing(pictures):
    for training in plan_work(TINY).trainings:
        finish(training.run.folder, ("record.json", "model.safetensors", "config.yaml"))
        for split in ("val", "test"):
            finish(
                training.run.predictions, tuple(f"{split}{end}" for end in (".json", "-ten_crop.npy", "-centre.npy"))
            )
    finish(Path("results/tiny"), ("tracking.json",))
    assert [job.kind for job in list_at(plan_work(TINY))] == ["prepare", "tables", "publish"]
    finish(Path("results/tiny/tables"), ("claims.md",))
    work = plan_work(TINY)
    assert forecast.forecast_time(work, MACHINE, Path("plan.yaml"), VARIANTS, Path("data")) == {
        "measured": None,
        "schedules": [],
    }
    values = describe_work(work, MACHINE, Path("data"))
    assert "2 nets, seeds 0, 1, done already" in render_work(values)
    assert render_time({**values, "schedules": []}).startswith("Time: none, for everything is done.")


def test_half_of_the_trainings_done_leaves_half(pictures):
    first = plan_work(TINY).trainings[0]
    before = schedule(list_at(plan_work(TINY)), cores=1, cards=None).makespan_s
    finish(first.run.folder, ("record.json", "model.safetensors", "config.yaml"))
    jobs = list_at(plan_work(TINY))
    assert [job.name for job in jobs if job.kind == "train"] == ["train pictures cnn seed1"]
    assert schedule(jobs, cores=1, cards=None).makespan_s == pytest.approx(before - (1 + 36 * 0.08 + 3 * 64 * 0.002))


def test_the_json_has_the_same_keys_always_with_their_units(pictures, measured):
    work = plan_work(TINY)
    values = describe_work(work, MACHINE, Path("data")) | predict_time(TINY, gpus=(1, 64))
    assert list(values) == [
        "name",
        "machine",
        "datasets",
        "missing",
        "trainings",
        "evaluations",
        "averages",
        "baselines",
        "totals",
        "disk",
        "memory",
        "measured",
        "schedules",
    ]
    assert values["trainings"] == [
        {
            "dataset": "pictures",
            "variant": "cnn",
            "seeds": [0, 1],
            "seeds_done": [],
            "epochs": 3,
            "epochs_at_most": False,
            "images_per_epoch": 96,
            "steps_per_epoch": 12,
            "steps_each": 36,
            "few_steps": warn_of_few_steps(12, 3),
            "steps_left": 72,
            "images_in_all": 576,
            "parameters": work.trainings[0].parameters,
        }
    ]
    assert list(values["schedules"][0]) == [
        "where",
        "cores",
        "cards",
        "makespan_s",
        "lower_bound_s",
        "critical_path_s",
        "work_s",
        "job_s_by_kind",
        "images_per_s_origin",
        "simultaneous_trainings",
        "images_per_s_per_training",
        "read_bytes_per_image",
        "read_bytes_per_s_per_training",
        "read_bytes_per_s",
    ]
    assert [each["where"] for each in values["schedules"]] == ["this machine", "1 card", "64 cards"]
    assert list(values["measured"]) == [
        "took_s",
        "busy_cores_before",
        "rates",
        "overheads",
        "small_costs",
        "preparations_s",
        "baselines",
        "snakemake_s",
    ]


def test_the_reading_rate_is_that_of_all_simultaneous_trainings(pictures, measured):
    here, one, many = predict_time(TINY, gpus=(1, 64))["schedules"]
    # 100 images/s of 16 x 16 x 3 bytes in each of two trainings; 64 cards have no more than two to run.
    assert [each["simultaneous_trainings"] for each in (here, one, many)] == [2, 1, 2]
    assert [each["read_bytes_per_s"] for each in (here, one, many)] == [2 * 76_800, 76_800, 2 * 76_800]
    assert {each["read_bytes_per_s_per_training"] for each in (here, one, many)} == {76_800}


def test_more_cards_take_no_longer_and_no_less_than_the_critical_path(pictures, measured):
    schedules = predict_time(TINY, gpus=(1, 2, 64))["schedules"]
    one, two, many = (each["makespan_s"] for each in schedules[1:])
    assert one > two >= many
    assert many == pytest.approx(schedules[3]["critical_path_s"])
    assert all(each["makespan_s"] >= each["lower_bound_s"] for each in schedules)


def test_a_cards_speed_is_the_cpus_unless_one_is_given(pictures, measured):
    schedules = predict_time(TINY, gpus=(1,))["schedules"]
    assert [each["images_per_s_origin"] for each in schedules] == ["measured here", "as fast as this machine's CPU"]
    here, given = predict_time(TINY, gpus=(1,), images_per_second=1000.0)["schedules"]
    assert (given["images_per_s_origin"], given["images_per_s_per_training"]) == ("as given", 1000.0)
    assert here["images_per_s_per_training"] == pytest.approx(100.0)
    # Ten times as fast in training and in evaluation: 36 steps, 192 centre crops, 14 + 28 images of ten crops.
    assert given["job_s_by_kind"]["train"] == pytest.approx(2 * (1 + 36 * 0.008 + 192 * 0.0002))
    assert given["job_s_by_kind"]["predict"] == pytest.approx(2 * 42 * 0.002)


def test_preparation_shares_the_images_out_over_the_cores(pictures):
    (dataset,) = plan_work(TINY).datasets
    pixels, train_pixels = 140 * 768, 98 * 768
    expected = 1.0 + 140 * 0.01 / 2 + (train_pixels + pixels) * 1e-9 / 2
    assert preparation_seconds(dataset, COSTS, cores=2, start_s=1.0) == pytest.approx(expected)


def test_a_net_that_is_not_measured_is_scaled_by_its_multiply_adds(monkeypatch, pictures):
    values = copy.deepcopy(TINY)
    values["experiments"].append({"dataset": "pictures", "variant": "one-gpu", "seeds": [0], "tables": ["table1"]})
    calls = []

    def measure(training, processes, machine, window_s):
        calls.append((training.run.variant, processes))
        return RATES

    monkeypatch.setattr(rates, "measure_setting", measure)
    work = plan_work(values)
    found = rates.measure_rates(work, MACHINE, budget_s=0.0)
    assert calls == [("cnn", 2)]
    cnn, other = work.trainings[0], work.trainings[2]
    scaled = found[setting_of(other)]
    assert scaled.origin == "from cnn's by multiply-adds"
    assert scaled.step_s == pytest.approx(0.08 * other.multiply_adds / cnn.multiply_adds)


def test_the_text_says_what_the_json_says(measured):
    work = plan_work(ILSVRC)
    values = describe_work(work, MACHINE, Path("data"))
    text = render_work(values)
    assert "1,281,167 train, 50,000 val, 0 test, 1,000 classes; the edition's own numbers" in text
    assert "datasets.ilsvrc2012: the folder nowhere/2012 does not exist" in text
    assert "at most 90 epochs of 1,281,152 images = 900,810 steps a net (10,009 an epoch)" in text
    assert "average 5-cnns on ilsvrc2012 val: 5 nets" in text
    assert "packed ilsvrc2012: 261.7 GB (raw, 196,608 bytes an image)" in text
    values |= predict_time(ILSVRC, gpus=(8,))
    text = render_time(values)
    assert "in random reads of 196,608 bytes" in text
    assert "do not fit: each epoch reads the disk" in text
    assert "at most in" in text
    assert "8 cards" in text


def test_asdict_of_the_machine_is_in_the_report(pictures):
    values = describe_work(plan_work(TINY), MACHINE, Path("data"))
    assert values["machine"] == {**asdict(MACHINE), "simultaneous_trainings": 2}


def test_a_machine_runs_as_many_trainings_as_it_has_cards_or_cores_for(pictures):
    run = plan_work(TINY).trainings[0].run
    assert Machine(8, None, 0, "").at_once(run, 5) == 5
    assert Machine(8, None, 0, "").at_once(run, 20) == 8
    assert Machine(8, 2, 0, "").at_once(run, 5) == 2
    wide = run.model_copy(update={"training": run.training.model_copy(update={"torch_threads": 3})})
    assert Machine(8, None, 0, "").at_once(wide, 5) == 2
    assert Machine(2, None, 0, "").at_once(wide, 5) == 1


def test_a_busy_machine_is_said(pictures, measured, monkeypatch):
    values = describe_work(plan_work(TINY), MACHINE, Path("data"))
    for load, said in ((0.2, False), (1.7, True)):
        monkeypatch.setattr("os.getloadavg", lambda load=load: (load, 0.0, 0.0))
        text = render_time(values | predict_time(TINY))
        assert ("other work kept about 1.7 cores busy" in text) == said


def test_a_missing_folder_of_unknown_images_is_said():
    text = render_work(describe_work(plan_work(TINY), MACHINE, Path("data")))
    assert "how many images is not known, and nothing of its work is counted below" in text
    assert "the folder pictures does not exist" in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(12, "12 s"), (200, "3 min 20 s"), (3900, "1 h 05 min"), (363_000, "4.2 days")],
)
def test_times_are_said_in_words(seconds, words):
    assert in_time(seconds) == words


def test_bytes_are_said_in_words():
    assert [in_bytes(size) for size in (251.9e9, 3_600_000, 1.5e12, 900)] == ["251.9 GB", "3.6 MB", "1.5 TB", "0.9 kB"]


def test_json_keeps_the_work_and_the_disk_when_measuring_fails(capsys, monkeypatch):
    def fail(*arguments):
        raise PlanError("it stopped")

    monkeypatch.setattr(forecast, "forecast_time", fail)
    configured = ["--configfile", str(ROOT / "config/ilsvrc.yaml"), "--variants", str(VARIANTS)]
    assert cli.main(["plan", "--json", *configured]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["disk"]["packed_bytes"].keys() == {"ilsvrc2010", "ilsvrc2012"}
    assert said.err == "error: it stopped\n"


def test_the_paper_on_fewer_cores_than_a_training_wants(measured):
    path = ROOT / "config/ilsvrc.yaml"
    work = forecast.survey(path, VARIANTS, Path("data"))
    values = describe_work(work, MACHINE, Path("data"))
    values |= forecast.forecast_time(work, MACHINE, path, VARIANTS, Path("data"), (1, 2, 8), 1500.0)
    # Four threads on two cores: Snakemake gives a job what there is.
    assert values["machine"]["simultaneous_trainings"] == 1
    assert [each["simultaneous_trainings"] for each in values["schedules"]] == [1, 1, 2, 7]
    text = render_work(values) + render_time(values)
    assert "nothing left to train" not in text
    assert "this machine, 1 training at once: " in text
    assert [each["cores"] for each in values["schedules"]] == [2, 2 + 4, 2 + 8, 2 + 32]
    assert "cards are taken to come with 4 cores each (torch_threads), beside this machine's 2; preparing" in text


def test_the_help_says_the_cores_of_a_card(capsys):
    with pytest.raises(SystemExit):
        cli.main(["plan", "--help"])
    assert "each with torch_threads cores beside this machine's" in " ".join(capsys.readouterr().out.split())


def test_calibrating_is_another_verb(pictures, measured):
    values = describe_work(plan_work(TINY), MACHINE, Path("data")) | predict_time(TINY)
    assert "alibrat" not in json.dumps(values) + render_work(values) + render_time(values)
    assert "; measured for " in render_time(values)
