"""`alexnet2012 plan`: what it counts, its disk, and its arithmetic at given speeds."""

import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from alexnet2012 import cli, estimate
from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.prepare import prepare
from alexnet2012.estimate import AFTERWARDS, USUAL_START_S, Machine, add_up, describe_work
from alexnet2012.preflight import settings_file
from alexnet2012.survey import DECODED_S, FITTED_S, LEARNING_STEPS, PATCH_S, Work, survey
from alexnet2012.verbs.for_planning import list_work

ROOT = Path(__file__).parents[2]
VARIANTS = ROOT / "config" / "variants.yaml"
TABLES = ["table1", "table2", "in_text"]
# Both editions at the paper's own sizes, and its plateau schedule of at most 90 epochs.
ILSVRC = {
    "name": "paper",
    "datasets": {
        "ilsvrc2010": {"kind": "ilsvrc2010", "folder": "nowhere/2010"},
        "ilsvrc2012": {"kind": "ilsvrc2012", "folder": "nowhere/2012"},
    },
    "experiments": [
        {"dataset": "ilsvrc2010", "variant": "cnn", "seeds": [0], "tables": ["table1"]},
        {"dataset": "ilsvrc2012", "variant": "cnn", "seeds": [0, 1, 2, 3, 4], "tables": ["table2"]},
        {"dataset": "ilsvrc2012", "ensemble": "5-cnns", "tables": ["table2"]},
    ],
}
TINY = {
    "name": "tiny",
    "datasets": {"pictures": {"kind": "imagefolder", "folder": "pictures", "size_px": 16}},
    "experiments": [{"dataset": "pictures", "variant": "cnn", "seeds": [0, 1], "tables": TABLES}],
    "net": {
        "crop_px": 12,
        "conv1": {"kernels": 8, "kernel_px": 3, "stride": 1, "pad": 1},
        "conv2": {"kernels": 8, "kernel_px": 3, "pad": 1},
        **{name: {"kernels": 8} for name in ("conv3", "conv4", "conv5")},
        "fc_neurons": 32,
    },
    "training": {"batch_size": 8, "schedule": {"kind": "fixed", "epochs": [2, 1]}, "measured_train_images": 50},
    "runtime": {"device": "cpu"},
}
SIFT = {
    "gaussians": 64,
    "models": [
        {"kind": kind, "grids": [{"side_px": side, "step_px": 4}]} for kind, side in (("sift", 12), ("colour", 8))
    ],
}
BASELINE_ALONE = {
    "name": "baseline",
    "datasets": TINY["datasets"],
    "experiments": [{"dataset": "pictures", "variant": "sift-fv", "seeds": [0], "tables": ["table1"]}],
    "baselines": {"sift-fv": SIFT},
}
MACHINE = Machine(cores=2, cards=None, memory_bytes=10**10, hardware="some processor, 2 usable cores")
START_S, IMAGES_PER_S, CROPS_PER_S = 1.0, 100.0, 300.0
RATE = {"dataset": "some", "variant": "net", "images_per_s": IMAGES_PER_S, "ten_crop_images_per_s": 30.0}
RATE |= {"centre_images_per_s": CROPS_PER_S, "processes": 2, "device": "cpu", "origin": "measured"}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """Every test plans in a folder of its own, where nothing was run."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pictures():
    write_pictures(classes=7)


def write_pictures(classes: int, images: int = 20) -> None:
    """Empty files, which are counted and never opened."""
    for k in range(classes):
        finish(Path(f"pictures/class{k}"), *(f"{number:02d}.PNG" for number in range(images)))


def finish(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def finish_net(run) -> None:
    finish(run.folder, "record.json", "model.safetensors")
    finish(run.predictions, "val.json", "test.json")


def plan(values: dict) -> Work:
    """The work of a configuration in the working directory, whose packed data would lie in data/."""
    Path("plan.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return survey(Path("plan.yaml"), VARIANTS, Path("data"))


def describe(values: dict) -> dict:
    return describe_work(plan(values), MACHINE, Path("data"))


def time_of(work: Work, machine: Machine = MACHINE) -> dict:
    speeds = {estimate.speed_key(run): IMAGES_PER_S for _, run in work.nets("train")}
    return add_up("here", work, START_S, speeds, machine, "measured here")


@pytest.fixture
def measured(monkeypatch):
    """The speeds above instead of those of the machine."""

    def measure(work, machine):
        return START_S, {estimate.speed_key(run): RATE for _, run in work.nets("train")}

    monkeypatch.setattr(estimate, "measure", measure)


def call_plan(values: dict, *arguments: str) -> int:
    plan(values)
    return cli.main(["plan", "--configfile", "plan.yaml", "--variants", str(VARIANTS), *arguments])


# Images, steps, bytes.


def test_the_papers_numbers_of_images_steps_and_bytes():
    values = describe(ILSVRC)
    assert [each["images"]["train"] for each in values["datasets"]] == [1_261_406, 1_281_167]
    training = values["trainings"][1]
    assert (training["steps_per_epoch"], training["epochs"], training["steps_each"]) == (10_009, 90, 900_810)
    assert (training["seeds"], training["parameters"]) == ([0, 1, 2, 3, 4], 60_965_224)
    (average,) = values["averages"]
    assert (average["split"], average["members"], average["images"]) == ("val", 5, 50_000)
    # The labels of 2012's test set are withheld.
    evaluated = [(each["dataset"], each["splits"], each["nets"]) for each in values["evaluations"]]
    assert evaluated == [("ilsvrc2010", ["val", "test"], 1), ("ilsvrc2012", ["val"], 5)]


def test_the_disk_of_both_editions():
    disk = describe(ILSVRC)["disk"]
    older, newer = (1_261_406 + 50_000 + 150_000), (1_281_167 + 50_000 + 100_000)
    assert list(disk["packed_bytes"].values()) == [older * (196_608 + 8), newer * (196_608 + 8)]
    # float32, 1,000 classes, ten crops and centre: val of 2010, its test, and of 2012 five nets and their average.
    assert disk["predictions_bytes"] == (50_000 + 150_000 + 6 * 50_000) * 1_000 * 4 * 2
    assert disk["weights_bytes"] == 6 * 60_965_224 * 4
    # Weights and velocity, two checkpoints kept and one being written, two trainings.
    assert disk["checkpoints_bytes"] == 2 * 3 * 2 * 60_965_224 * 4
    assert disk["data_needed_bytes"] == sum(disk["packed_bytes"].values())
    results = disk["predictions_bytes"] + disk["weights_bytes"] + disk["checkpoints_bytes"]
    assert disk["results_needed_bytes"] == results
    (one,) = disk["file_systems"]  # data/ and results/ of a test lie on one
    assert (one["needed_bytes"], one["folders"]) == (disk["data_needed_bytes"] + results, ["data", "results/paper"])


# What is done already.


def test_finished_jobs_and_kept_steps_are_left_out(pictures):
    first, second = (run for run in plan(TINY).plan.runs)
    finish_net(first)
    finish(second.predictions, "val.json")  # of a net that will be trained
    finish(second.folder / "state", "checkpoint-000000012.pt", "checkpoint-000000024.pt", "lock")
    values = describe(TINY)
    training = values["trainings"][0]
    assert (training["seeds_done"], training["steps_left"]) == ([0], 12)
    assert [each["nets_done"] for each in values["evaluations"]] == [1]
    totals = {key: values["totals"][key] for key in ("trainings_done", "evaluations_done", "training_steps_left")}
    assert totals == {"trainings_done": 1, "evaluations_done": 1, "training_steps_left": 12}
    # 12 steps of 8 images, 64 centre crops in their one epoch; 14 + 28 images of ten crops.
    kinds = time_of(plan(TINY))["job_s_by_kind"]
    assert kinds["train"] == pytest.approx(START_S + 12 * 8 / IMAGES_PER_S + 64 / CROPS_PER_S)
    assert kinds["predict"] == pytest.approx(START_S + 10 * 42 / CROPS_PER_S)


def test_where_everything_is_done_nothing_is_measured(pictures, capsys):
    for run in plan(TINY).plan.runs:
        finish_net(run)
    assert not plan(TINY).done
    finish(Path("results/tiny/tables"), "claims.md")
    assert plan(TINY).done
    assert call_plan(TINY, "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["totals"]["tables_done"], values["measured"], values["schedules"]) == (True, None, [])
    assert call_plan(TINY) == 0


# Time at given speeds.


def test_the_time_is_the_longest_chain_or_all_work_over_the_slots(pictures):
    """36 steps of 8 images, and in each of three epochs 50 + 14 centre crops; 14 + 28 images of ten crops; an analysis
    of 98 centre crops. Preparing 140 photographs and the tables take all cores."""
    train = START_S + 36 * 8 / IMAGES_PER_S + 3 * 64 / CROPS_PER_S
    predict, analyse = START_S + 420 / CROPS_PER_S, START_S + 98 / CROPS_PER_S
    prepare_s, tables = START_S + 140 * DECODED_S / 2, AFTERWARDS * START_S
    time, alone = time_of(plan(TINY)), prepare_s + tables
    kinds = {"prepare": prepare_s, "tables": tables, "train": 2 * train, "predict": 2 * predict, "analyse": 2 * analyse}
    assert {kind: time["job_s_by_kind"][kind] for kind in kinds} == pytest.approx(kinds)
    assert time["critical_path_s"] == pytest.approx(alone + train + predict)
    assert time["work_s"] == pytest.approx(alone + 2 * (train + predict + analyse) / 2)
    assert time["makespan_s"] == time["work_s"]
    many = time_of(plan(TINY), Machine(cores=2, cards=64, memory_bytes=0, hardware=""))
    assert many["work_s"] == time["work_s"]  # two cores feed no more than two cards
    one = time_of(plan(TINY), Machine(cores=2, cards=1, memory_bytes=0, hardware=""))
    assert one["makespan_s"] == pytest.approx(alone + 2 * (train + predict + analyse))


def pretrained(seeds, *others):
    """The values of nets that are pre-trained, each seed on its own, with `others` on the same dataset."""
    star = {"dataset": "pictures", "variant": "1-cnn-star", "seeds": seeds, "pretrained_on": "turned"}
    turned = {"turned": {"kind": "rotations", "of": "pictures"}}
    experiments = [star | {"tables": ["table2"]}, *others]
    return {**TINY, "datasets": TINY["datasets"] | turned, "experiments": experiments}


def test_a_pretrained_net_comes_after_its_pretraining(pictures):
    work = plan(pretrained([0]))
    sizes = {name: (each["images"]["train"], each["classes"]) for name, each in work.datasets.items()}
    assert sizes == {"pictures": (98, 7), "turned": (4 * 98, 28)}
    described = describe_work(work, MACHINE, Path("data"))
    assert [each["dataset"] for each in described["trainings"]] == ["turned", "pictures"]
    assert {each["dataset"] for each in described["evaluations"]} == {"pictures"}
    time, chain = time_of(work), ("prepare", "tables", "train", "predict")
    assert time["critical_path_s"] == pytest.approx(sum(time["job_s_by_kind"][kind] for kind in chain))


def test_lines_of_one_variant_differ_by_their_seeds(pictures):
    """Each pre-trained net starts from another, so that its seeds are evaluated in lines of their own."""
    work = plan(pretrained([0, 1], {"dataset": "pictures", "variant": "cnn", "seeds": [0, 1], "tables": ["table2"]}))
    lines = [line for line in list_work(describe_work(work, MACHINE, Path("data"))) if "evaluate" in line]
    assert [line.split(": ")[0].partition(", ")[2] for line in lines] == ["seeds 0", "seeds 1", "seeds 0, 1"]


def test_a_baseline_is_learnt_and_judged_by_all_cores():
    """42 training images to learn from and to code, 6 + 12 to judge; 2 x 2 SIFT and 3 x 3 colour patches in each; ten
    passes of three classes."""
    write_pictures(classes=3)
    (entry,) = describe(BASELINE_ALONE)["baselines"]
    assert (entry["dimensions"], entry["codes_bytes"]) == (2 * 5 * 2 * 64 * 64, 5 * 2 * 64 * 64 * 42 * 2)
    encode_s = (2 * 2 + 3 * 3) * PATCH_S
    learning = encode_s * 42 + 2 * PATCH_S * LEARNING_STEPS * 200_000  # by one core
    fitting = FITTED_S * 42 * entry["dimensions"] * 10 * 3
    kinds = time_of(plan(BASELINE_ALONE))["job_s_by_kind"]
    assert kinds["baselines"] == pytest.approx(START_S + learning + (encode_s * (42 + 6 + 12) + fitting) / 2)
    (run,) = plan(BASELINE_ALONE).plan.runs
    finish(run.folder, "record.json", "model.safetensors")
    finish(run.predictions, "val.json")
    assert time_of(plan(BASELINE_ALONE))["job_s_by_kind"]["baselines"] == pytest.approx(START_S + 12 * encode_s / 2)


def test_with_a_given_speed_nothing_is_measured(pictures, monkeypatch, capsys):
    monkeypatch.setattr(estimate, "measure", None)
    keys = time_of(plan(TINY)).keys()
    assert call_plan(TINY, "--gpus", "1", "--images-per-second", "3000", "--json") == 0
    said = capsys.readouterr()
    values = json.loads(said.out)
    here, card = values["schedules"]
    assert (here["where"], here["makespan_s"], here["job_s_by_kind"]["train"]) == ("this machine", None, None)
    assert here.keys() == card.keys() == keys and card["makespan_s"] > 0
    assert (values["measured"]["took_s"], values["measured"]["rates"]) == (None, [])
    assert "measuring" not in said.err
    assert call_plan(TINY, "--images-per-second", "3000") == 0  # of one card, where none is asked for
    text = capsys.readouterr().out
    assert f"this machine, {here['cores']} cores: not measured" in text
    assert "1 card" in text and "3,000 images/s, as given" in text


# Measuring.


def test_each_distinct_net_is_measured_once_and_those_after_the_budget_are_scaled(pictures, monkeypatch):
    asked = []

    @contextmanager
    def measuring(processes):
        def ask(what, function, *arguments):
            asked.append((what, function))
            return [(80.0, "cpu"), (120.0, "cpu")]

        yield ask

    monkeypatch.setattr(estimate, "measuring", measuring)
    experiment = TINY["experiments"][0]
    others = [experiment | {"variant": name} for name in ("no-colour", "one-gpu")]  # the first is as fast as cnn
    work = plan(TINY | {"experiments": [experiment, *others]})
    rates = list(estimate.measure(work, MACHINE)[1].values())
    assert len([what for what, function in asked if function == "time_training"]) == 2
    assert [(each["variant"], each["images_per_s"]) for each in rates] == [("cnn", 100), ("one-gpu", 100)]
    monkeypatch.setattr(estimate, "BUDGET_S", -1.0)
    rates = list(estimate.measure(work, MACHINE)[1].values())
    costs = [estimate.describe(run.architecture, 7)["multiply_adds"] for _, run in work.nets("train")]
    assert [each["images_per_s"] for each in rates] == pytest.approx([100, 100 * costs[0] / costs[-1]])
    assert rates[0]["origin"] == "measured" != rates[1]["origin"]


@pytest.mark.slow
def test_nets_are_timed_by_the_real_code(pictures, capfd, monkeypatch):
    monkeypatch.setattr(estimate, "SILENCE_S", 0.1)
    start_s, rates = estimate.measure(plan(TINY), MACHINE)
    (rate,) = rates.values()
    assert min(start_s, *(rate[key] for key in RATE if key.endswith("_per_s"))) > 0
    assert (rate["variant"], rate["processes"], rate["device"]) == ("cnn", 2, "cpu")
    said = capfd.readouterr().err
    assert said.count("cnn on pictures") == 1
    assert said.count("\n") > 3  # of which some say that it goes on


def test_baselines_alone_are_planned(capsys):
    """They ended in a traceback: the widest of no trainings was asked for."""
    write_pictures(classes=3)
    assert call_plan(BASELINE_ALONE, "--gpus", "2", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert [each["makespan_s"] > 0 for each in values["schedules"]] == [True, True]
    assert (values["measured"]["rates"], len(values["measured"]["baselines"])) == ([], 1)


def test_what_is_packed_is_counted_by_its_manifest_unless_it_was_packed_otherwise():
    section = TINY["datasets"]["pictures"]
    for k in range(3):
        Path(f"pictures/class{k}").mkdir(parents=True)
        for number in range(10):
            pixels = np.full((16, 16, 3), 10 * number + k, np.uint8)
            Image.fromarray(pixels).save(f"pictures/class{k}/{number}.png")
    prepare("pictures", DatasetConfig(**section))
    finish(Path("pictures/class3"), *(f"{number}.png" for number in range(10)))  # since it was packed
    (dataset,), disk = (describe(TINY)[key] for key in ("datasets", "disk"))
    assert (dataset["packed"], dataset["images"]["train"], dataset["classes"]) == (True, 21, 3)
    assert (disk["packed_bytes"], disk["data_needed_bytes"]) == ({"pictures": 30 * (16 * 16 * 3 + 8)}, 0)
    assert time_of(plan(TINY))["job_s_by_kind"]["prepare"] == 0
    finish(Path("data/configs"), "pictures.json")
    settings_file("pictures", Path("data")).write_text(json.dumps(section | {"size_px": 32}), encoding="utf-8")
    (dataset,), disk = (describe(TINY)[key] for key in ("datasets", "disk"))
    assert (dataset["packed"], dataset["packed_otherwise"], dataset["classes"]) == (False, True, 4)
    assert disk["data_needed_bytes"] > 0


def test_a_net_to_start_from_and_the_same_variant_to_be_evaluated_are_two(pictures):
    start = {"variant": "cnn", "layers": ["conv1"], "training": {"learning_rate": "x0.1", "schedule": {"epochs": [4]}}}
    tuned = {"dataset": "pictures", "variant": "tuned", "seeds": [0], "pretrained_on": "pictures", "tables": TABLES}
    values = {**TINY, "variants": {"tuned": {"section": "6", "starts_from": start}}}
    described = describe({**values, "experiments": [*TINY["experiments"], tuned]})
    trainings = {(each["variant"], tuple(each["seeds"]), each["epochs"]) for each in described["trainings"]}
    assert trainings == {("cnn", (0,), 4), ("cnn", (0, 1), 3), ("tuned", (0,), 3)}
    evaluated = [(each["variant"], each["splits"], each["nets"]) for each in described["evaluations"]]
    assert sorted(evaluated) == [("cnn", ["val", "test"], 2), ("tuned", ["val", "test"], 1)]


def test_more_cards_and_their_given_speed(pictures, measured, monkeypatch):
    work = plan(TINY)
    monkeypatch.setitem(RATE, "device", "some GPU")
    here, one, many = estimate.estimate_time(work, MACHINE, (1, 64))["schedules"]
    assert [each["where"] for each in (here, one, many)] == ["this machine", "1 card", "64 cards"]
    assert [each["cores"] for each in (here, one, many)] == [2, 2 + 1, 2 + 64]
    assert [each["simultaneous_trainings"] for each in (here, one, many)] == [2, 1, 2]
    assert one["makespan_s"] > many["makespan_s"] == many["critical_path_s"]
    # 100 images/s of 16 x 16 x 3 bytes in each training.
    assert [each["read_bytes_per_s"] for each in (here, one, many)] == [2 * 76_800, 76_800, 2 * 76_800]
    here, given = estimate.estimate_time(work, MACHINE, (1,), images_per_second=1000.0)["schedules"]
    assert [each["images_per_s_per_training"] for each in (here, given)] == [None, 1000]
    # Ten times as fast in training and in evaluation.
    train = 2 * (USUAL_START_S + (36 * 8 / IMAGES_PER_S + 3 * 64 / CROPS_PER_S) / 10)
    assert given["job_s_by_kind"]["train"] == pytest.approx(train)
