"""`alexnet2012 plan`: what it counts, its disk, and its arithmetic at given rates."""

import copy
import json
import os
import subprocess
import sys
from collections import namedtuple
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from alexnet2012 import cli, estimate
from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.schedules import warn_of_few_steps
from alexnet2012.data.sources.layouts import TARS_2010, TEST_2010
from alexnet2012.errors import PlanError
from alexnet2012.estimate import Machine, Measured, add_up, describe_work, measure_disk, render_time, render_work

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
RATE = {"images_per_s": 100.0, "ten_crop_images_per_s": 50.0, "centre_images_per_s": 500.0}
RATE |= {"processes": 2, "device": "cpu", "origin": "measured"}
START_S, TAIL_S = 1.0, 6.0


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """Every test plans in a folder of its own, where nothing was run."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pictures():
    write_pictures(Path("pictures"), classes=7, images=20)


def write_pictures(folder: Path, classes: int, images: int) -> None:
    """Empty files that are counted and never opened."""
    for k in range(classes):
        finish(folder / f"class{k}", *(f"{number:02d}.PNG" for number in range(images)), "readme.txt", ".hidden.png")


def finish(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def finish_net(run) -> None:
    finish(run.folder, "record.json", "model.safetensors")
    for split in ("val", "test"):
        finish(run.predictions, *(f"{split}{end}" for end in (".json", "-ten_crop.npy", "-centre.npy")))


def changed(values: dict, **dataset) -> dict:
    """`values` with other settings of its first dataset."""
    values = copy.deepcopy(values)
    next(iter(values["datasets"].values())).update(dataset)
    return values


def plan(values: dict) -> estimate.Work:
    """The work of a configuration in the working directory, whose packed data would lie in data/."""
    Path("plan.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return estimate.survey(Path("plan.yaml"), VARIANTS, Path("data"))


def describe(values: dict) -> dict:
    return describe_work(plan(values), MACHINE, Path("data"))


def counted(values: dict) -> estimate.PlannedDataset:
    """The first dataset of a configuration."""
    return next(iter(plan(values).datasets.values()))


def at_given_rates(work: estimate.Work) -> Measured:
    costs = {run.hash8: {"encode_s": 1.0, "descriptor_s": 1e-3} for run in work.baselines}
    return Measured(START_S, {each.setting: RATE for each in work.trainings}, costs)


def time_of(values: dict, machine: Machine = MACHINE) -> dict:
    work = plan(values)
    found = at_given_rates(work)
    return add_up(work, found, found.rates, machine, machine.cores)


@pytest.fixture
def measured(monkeypatch):
    """The rates above instead of those of the machine."""
    monkeypatch.setattr(estimate, "measure_rates", lambda work, machine: at_given_rates(work))


# Images, steps, bytes.


def test_the_papers_numbers_of_images_steps_and_bytes():
    work = plan(ILSVRC)
    older, newer = work.datasets.values()
    assert older.images == {"train": 1_261_406, "val": 50_000, "test": 150_000}
    assert newer.images == {"train": 1_281_167, "val": 50_000, "test": 0}
    training = work.trainings[1]
    assert (training.steps_per_epoch, training.epochs, training.steps) == (10_009, 90, 900_810)
    assert (training.parameters, training.measured_images) == (60_965_224, 10_000 + 50_000)
    # Both editions without 2012's test images, a label of 8 bytes each.
    images = 1_281_167 + 50_000 + 1_261_406 + 50_000 + 150_000
    assert older.bytes + newer.bytes == images * (196_608 + 8)
    assert [(each["split"], each["members"], each["images"]) for each in work.averages] == [("val", 5, 50_000)]
    assert [each.splits for each in work.trainings[:2]] == [("val", "test"), ("val",)]  # labels of 2012's are withheld


def test_the_disk_of_both_editions():
    work = plan(ILSVRC)
    disk = measure_disk(work, Path("data"), at_once=2)
    # float32, 1,000 classes, ten crops and centre: val of 2010, its test, and of 2012 five nets and their average.
    assert disk["predictions_bytes"] == (50_000 + 150_000 + 6 * 50_000) * 1_000 * 4 * 2
    assert disk["weights_bytes"] == 6 * 60_965_224 * 4
    # Weights and velocity, two checkpoints kept and one being written, two trainings.
    assert disk["checkpoints_bytes"] == 2 * 3 * 2 * 60_965_224 * 4
    assert disk["data_needed_bytes"] == sum(disk["packed_bytes"].values())
    results = disk["predictions_bytes"] + disk["weights_bytes"] + disk["checkpoints_bytes"]
    assert disk["results_needed_bytes"] == results
    (one,) = disk["file_systems"]  # data/ and results/ of a test lie on one
    assert one["needed_bytes"] == disk["data_needed_bytes"] + results
    assert one["folders"] == ["data", "results/paper"]


def test_a_disk_that_is_too_small_does_not_fit(monkeypatch):
    usage = namedtuple("usage", "total used free")
    for free, fits in ((10**11, False), (10**12, True)):
        monkeypatch.setattr("shutil.disk_usage", lambda folder, free=free: usage(10**13, 0, free))
        values = describe(ILSVRC)
        assert (values["disk"]["fits"], "DOES NOT FIT" in render_work(values)) == (fits, not fits)


def test_a_preparation_that_was_begun_needs_less_disk():
    before = measure_disk(plan(ILSVRC), Path("data"), 1)["data_needed_bytes"]
    Path("data/.ilsvrc2012.partial/train").mkdir(parents=True)
    Path("data/.ilsvrc2012.partial/train/images.npy").write_bytes(b"x" * 2**20)
    assert before - measure_disk(plan(ILSVRC), Path("data"), 1)["data_needed_bytes"] == 2**20


def test_jpeg_storage_takes_a_fifth():
    """196,608 / 5 = 39,321.6 bytes, 16 of places in the file, and a label of 8."""
    assert counted(changed(ILSVRC, storage="jpeg")).image_bytes == 39_338


@pytest.mark.parametrize(
    ("mark", "test"),
    [
        ("ILSVRC2012_img_val.tar", "ILSVRC2012_img_test.tar"),
        ("ILSVRC2012_img_val.tar", "ILSVRC2012_img_test_v10102019.tar"),
        ("ILSVRC/Data/CLS-LOC/val/1.JPEG", "ILSVRC/Data/CLS-LOC/test/1.JPEG"),
        ("data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"),
        ("val/n01440764/1.JPEG", "test/1.JPEG"),
    ],
)
def test_the_images_of_2012s_test_set_are_counted_where_they_are(mark, test):
    values = copy.deepcopy(ILSVRC)
    values["datasets"]["ilsvrc2012"] |= {"folder": "2012"}
    for path, images in ((mark, 0), (test, 100_000)):
        finish(Path("2012"), path)
        assert plan(values).datasets["ilsvrc2012"].images["test"] == images


def test_a_subset_has_fewer_images_and_none_of_a_split_whose_labels_are_withheld():
    values = changed(ILSVRC, subset={"classes": 100, "per_class": 200})
    values["datasets"]["ilsvrc2012"]["subset"] = {"classes": 20}
    older, newer = plan(values).datasets.values()
    # 1,261 images a class in train are cut to 200; val has 50 of each class, test 150.
    assert older.images == {"train": 20_000, "val": 5_000, "test": 15_000}
    assert newer.images == {"train": 1_281_167 * 20 // 1000, "val": 1_000, "test": 0}
    assert (older.classes, older.exact, newer.classes) == (100, False, 20)


def test_tiny_imagenet_is_counted_by_its_published_numbers():
    tiny = {"kind": "tiny_imagenet", "size_px": 64}
    values = {**TINY, "datasets": {"tiny": tiny, "tiny40": {**tiny, "splits": "merged", "subset": {"classes": 40}}}}
    values["datasets"]["rest"] = {**tiny, "subset": {"classes_not_in": "tiny40"}, "splits": "merged"}
    values["experiments"] = [{**TINY["experiments"][0], "dataset": name} for name in values["datasets"]]
    whole, some, rest = plan(values).datasets.values()
    assert (whole.images, whole.classes) == ({"train": 90_000, "val": 10_000, "test": 10_000}, 200)
    assert (some.images, some.classes) == ({"train": 15_400, "val": 2_200, "test": 4_400}, 40)
    assert (rest.images, rest.classes) == ({"train": 61_600, "val": 8_800, "test": 17_600}, 160)


def test_the_releases_are_counted_as_the_paper_counts_them():
    Path("classes.txt").write_text("".join(f"n{k:08d}\n" for k in range(5_092)), encoding="utf-8")
    dataset = counted(changed(TINY, kind="fall2009", size_px=256, class_list="classes.txt"))
    # Half of 10,184 classes, so half of 8.9 million images; a tenth for val and a fifth for test.
    assert dataset.images == {"train": 3_115_000, "val": 445_000, "test": 890_000}
    assert (dataset.classes, dataset.exact) == (5_092, False)
    assert counted(changed(TINY, kind="fall2009", size_px=256, class_list="none.txt")).classes == 10_184


def test_a_folder_is_counted_without_opening_an_image(pictures):
    training = plan(TINY).trainings[0]
    assert training.dataset.images == {"train": 7 * 14, "val": 7 * 2, "test": 7 * 4}
    assert (training.steps_per_epoch, training.steps, training.measured_images) == (12, 36, 50 + 14)


def test_given_splits_are_counted_as_given():
    for split, images in (("train", 9), ("val", 2), ("test", 3)):
        write_pictures(Path("pictures", split), classes=5, images=images)
    assert counted(TINY).images == {"train": 45, "val": 10, "test": 15}


def test_what_is_missing_is_said_and_no_error():
    values = describe(TINY)
    assert values["datasets"][0]["images"] == {"train": 0, "val": 0, "test": 0}
    assert "the folder pictures does not exist" in values["missing"][0]
    assert values["missing"][0] in render_work(values)
    assert "how many images is not known" in render_work(values)
    finish(Path("2010"), *(name for name in TARS_2010 if name != TEST_2010))
    (sentence,) = plan({**changed(ILSVRC, folder="2010"), "experiments": ILSVRC["experiments"][:1]}).missing
    assert sentence == f"plan.yaml: datasets.ilsvrc2010: 2010/{TEST_2010} is missing: the test images"


def test_an_edition_that_may_lack_images_has_at_most_its_own_number():
    values = describe({**changed(ILSVRC, complete=False), "experiments": ILSVRC["experiments"][:1]})
    assert (values["datasets"][0]["exact"], values["datasets"][0]["at_most"]) == (False, True)
    assert "at most 1,261,406 train" in render_work(values)


def test_minival_is_held_out_class_by_class(pictures):
    training = plan({**TINY, "training": {**TINY["training"], "schedule_split": "minival"}}).trainings[0]
    # 5 % of 14 images are one of each class: 91 images are left.
    assert (training.steps_per_epoch, training.measured_images) == (91 // 8, 50 + 14 + 7)


def test_too_few_steps_are_warned_of():
    """168 training images in one step an epoch, of which nobody was told."""
    assert describe(TINY)["trainings"][0]["few_steps"] == ""  # the images are not known
    write_pictures(Path("pictures"), classes=3, images=80)
    values = describe(TINY | {"training": {"batch_size": 128, "schedule": {"kind": "plateau", "max_epochs": 90}}})
    sentence = values["trainings"][0]["few_steps"]
    assert sentence == warn_of_few_steps(1, 90)
    assert f"warning: {sentence}" in render_work(values)
    enough = {"batch_size": 16, "schedule": {"kind": "fixed", "epochs": [90, 30]}}
    assert describe(TINY | {"training": enough})["trainings"][0]["few_steps"] == ""


# What is done already.


def pack(section: dict) -> None:
    """What a preparation of TINY's dataset with the settings `section` leaves of its notes."""
    finish(Path("data/pictures"), "manifest.json", "preparation.json")
    manifest = {"counts": {"train": 80, "val": 10, "test": 20}, "classes": ["a"] * 5}
    Path("data/pictures/manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    made_from = {"dataset": DatasetConfig(**section).model_dump()}
    Path("data/pictures/preparation.json").write_text(json.dumps(made_from), encoding="utf-8")


def test_what_the_manifest_counts_is_packed_and_needs_no_disk():
    pack(TINY["datasets"]["pictures"] | {"bad_images": "skip", "max_bad_images": 3})  # which makes no other dataset
    dataset = counted(TINY)
    assert (dataset.packed, dataset.images["train"], dataset.classes) == (True, 80, 5)
    disk = measure_disk(plan(TINY), Path("data"), 1)
    assert (disk["packed_bytes"], disk["data_needed_bytes"]) == ({"pictures": 110 * (16 * 16 * 3 + 8)}, 0)
    assert time_of(TINY)["job_s_by_kind"]["prepare"] == 0


@pytest.mark.parametrize("name", ["manifest", "preparation"])
@pytest.mark.parametrize("text", ["{", "[]", '{"counts": {}, "dataset": {"kind": "none"}}'])
def test_a_broken_manifest_is_not_taken(name, text):
    pack(TINY["datasets"]["pictures"])
    Path(f"data/pictures/{name}.json").write_text(text, encoding="utf-8")
    assert not counted(TINY).packed
    assert not counted(TINY).packed_otherwise


@pytest.mark.parametrize(
    "settings", [{"size_px": 32}, {"storage": "jpeg"}, {"subset": {"classes": 5}}, {"split_seed": 7}, {"folder": "x"}]
)
def test_what_was_packed_otherwise_is_packed_again(settings, pictures):
    pack(TINY["datasets"]["pictures"] | settings)
    dataset, values = counted(TINY), describe(TINY)
    assert (dataset.packed, dataset.packed_otherwise, dataset.images["train"]) == (False, True, 7 * 14)
    assert values["disk"]["data_needed_bytes"] > 0
    assert "packed from other settings, to be packed again" in render_work(values)


def test_finished_jobs_and_kept_steps_are_left_out(pictures):
    first, second = plan(TINY).trainings
    finish_net(first.run)
    finish(second.run.predictions, "val.json", "val-ten_crop.npy", "val-centre.npy")  # of a net that will be trained
    finish(second.run.folder / "state", "checkpoint-000000012.pt", "checkpoint-000000024.pt", "lock")
    work = plan(TINY)
    assert [(each.done, each.steps_left) for each in work.trainings] == [(True, 0), (False, 12)]
    assert [each.unpredicted for each in work.trainings] == [(), ("val", "test")]
    # 12 steps of 8 images, 64 centre crops in their one epoch; 14 + 28 images of ten crops.
    kinds = time_of(TINY)["job_s_by_kind"]
    assert kinds["train"] == pytest.approx(START_S + 12 * 8 / 100 + 64 / 500)
    assert kinds["predict"] == pytest.approx(2 * START_S + 42 / 50)


def test_where_everything_is_done_nothing_is_measured(pictures):
    for training in plan(TINY).trainings:
        finish_net(training.run)
    assert not plan(TINY).tables_done
    finish(Path("results/tiny/tables"), "claims.md")
    work, values = plan(TINY), describe(TINY)
    assert estimate.estimate_time(work, MACHINE) == {"measured": None, "schedules": []}
    assert "2 nets, seeds 0, 1, done already" in render_work(values)
    assert render_time({**values, "schedules": []}).startswith("Time: none, for everything is done.")


# Time at given rates.


def test_the_time_is_the_longest_chain_or_all_work_over_the_slots(pictures):
    """36 steps of 8 images, and in each of three epochs 50 + 14 centre crops; 14 + 28 images of ten crops; an analysis
    of 98 centre crops that takes two starts more. Preparing 140 photographs and the tables take all cores."""
    train, predict, analyse = 1 + 36 * 8 / 100 + 3 * 64 / 500, 2 + 42 / 50, 2 + 98 / 500
    alone = 1 + 140 * estimate.DECODED_S / 2 + TAIL_S
    time = time_of(TINY)
    assert time["job_s_by_kind"] == pytest.approx(
        {"prepare": alone - TAIL_S, "baselines": 0, "tables": TAIL_S, "train": 2 * train, "predict": 2 * predict}
        | {"analyse": 2 * analyse, "average": 0}
    )
    assert time["critical_path_s"] == pytest.approx(alone + train + predict)
    assert time["work_s"] == pytest.approx(alone + 2 * (train + predict + analyse) / 2)
    assert time["makespan_s"] == time["work_s"]
    many = time_of(TINY, Machine(cores=2, cards=64, memory_bytes=0, hardware=""))
    assert many["work_s"] == time["work_s"]  # two cores feed no more than two cards
    one = time_of(TINY, Machine(cores=2, cards=1, memory_bytes=0, hardware=""))
    assert one["makespan_s"] == pytest.approx(alone + 2 * (train + predict + analyse))


def test_a_pretrained_net_comes_after_its_pretraining(pictures):
    star = {
        "dataset": "pictures",
        "variant": "1-cnn-star",
        "seeds": [0],
        "pretrained_on": "turned",
        "tables": ["table2"],
    }
    turned = {"turned": {"kind": "rotations", "of": "pictures"}}
    values = {**TINY, "datasets": TINY["datasets"] | turned, "experiments": [star]}
    work = plan(values)
    sizes = {name: (each.images["train"], each.classes) for name, each in work.datasets.items()}
    assert sizes == {"pictures": (98, 7), "turned": (4 * 98, 28)}
    assert [(each.run.dataset_name, each.splits) for each in work.trainings] == [
        ("turned", ()),
        ("pictures", ("val", "test")),
    ]
    time = time_of(values)
    kinds = time["job_s_by_kind"]
    assert time["critical_path_s"] == pytest.approx(
        kinds["prepare"] + kinds["tables"] + kinds["train"] + kinds["predict"]
    )


def test_a_net_to_start_from_and_the_same_variant_to_be_evaluated_are_two(pictures):
    start = {"variant": "cnn", "layers": ["conv1"], "training": {"learning_rate": "x0.1", "schedule": {"epochs": [4]}}}
    tuned = {"dataset": "pictures", "variant": "tuned", "seeds": [0], "pretrained_on": "pictures", "tables": TABLES}
    values = {**TINY, "variants": {"tuned": {"section": "6", "starts_from": start}}}
    described = describe_work(plan({**values, "experiments": [*TINY["experiments"], tuned]}), MACHINE, Path("data"))
    trainings = {(each["variant"], tuple(each["seeds"]), each["epochs"]) for each in described["trainings"]}
    assert trainings == {("cnn", (0,), 4), ("cnn", (0, 1), 3), ("tuned", (0,), 3)}
    evaluated = [(each["variant"], each["split"], each["nets"]) for each in described["evaluations"]]
    assert sorted(evaluated) == [("cnn", "test", 2), ("cnn", "val", 2), ("tuned", "test", 1), ("tuned", "val", 1)]


def test_a_baseline_is_learnt_and_judged_by_all_cores():
    """42 training images to encode, a second each; 6 + 12 to judge; ten passes of three classes on two cores."""
    write_pictures(Path("pictures"), classes=3, images=20)
    (entry,) = describe(BASELINE_ALONE)["baselines"]
    assert (entry["dimensions"], entry["codes_bytes"]) == (2 * 5 * 2 * 64 * 64, 5 * 2 * 64 * 64 * 42 * 2)
    fitting = estimate.FITTED_S * 42 * entry["dimensions"] * 10 * 3 / 2
    codebooks = 42 * 1.0 + estimate.LEARNING_STEPS * 200_000 * 1e-3
    seconds = 3 * START_S + codebooks + fitting + (42 + 6 + 12) / 2
    assert time_of(BASELINE_ALONE)["job_s_by_kind"]["baselines"] == pytest.approx(seconds)
    (run,) = plan(BASELINE_ALONE).baselines
    finish(run.folder, "record.json", "model.safetensors")
    finish(run.predictions, "val.json")
    assert time_of(BASELINE_ALONE)["job_s_by_kind"]["baselines"] == pytest.approx(START_S + 12 / 2)


def test_a_configuration_of_baselines_alone_is_planned(measured, capsys):
    """It ended in a traceback: the widest of no trainings was asked for."""
    write_pictures(Path("pictures"), classes=3, images=20)
    plan(BASELINE_ALONE)
    assert cli.main(["plan", "--gpus", "2", "--configfile", "plan.yaml", "--variants", str(VARIANTS)]) == 0
    text = capsys.readouterr().out
    assert "learn sift-fv on pictures, seed 0: 2 classifiers over codes of 81,920 numbers" in text
    assert "in all: 0 trainings, 0 images in 0 steps; 0 evaluations; 0 averages; 1 baseline\n" in text
    assert "this machine: about " in text
    assert "2 cards: about " in text


def test_more_cards_and_their_given_speed(pictures, measured):
    work = plan(TINY)
    here, one, many = estimate.estimate_time(work, MACHINE, (1, 64))["schedules"]
    assert [each["where"] for each in (here, one, many)] == ["this machine", "1 card", "64 cards"]
    assert [each["cores"] for each in (here, one, many)] == [2, 2 + 1, 2 + 64]
    assert [each["simultaneous_trainings"] for each in (here, one, many)] == [2, 1, 2]
    assert one["makespan_s"] > many["makespan_s"] == many["critical_path_s"]
    # 100 images/s of 16 x 16 x 3 bytes in each training.
    assert [each["read_bytes_per_s"] for each in (here, one, many)] == [2 * 76_800, 76_800, 2 * 76_800]
    assert [each["images_per_s_origin"] for each in (here, one)] == ["measured here", "as fast as this machine's CPU"]
    here, given = estimate.estimate_time(work, MACHINE, (1,), images_per_second=1000.0)["schedules"]
    assert (given["images_per_s_origin"], given["images_per_s_per_training"]) == ("as given", 1000.0)
    assert here["images_per_s_per_training"] == 100
    # Ten times as fast in training and in evaluation.
    assert given["job_s_by_kind"]["train"] == pytest.approx(2 * (1 + (36 * 8 / 100 + 3 * 64 / 500) / 10))


def test_the_paper_on_fewer_cores_than_a_training_wants(measured):
    work = estimate.survey(ROOT / "config/ilsvrc.yaml", VARIANTS, Path("data"))
    values = describe_work(work, MACHINE, Path("data")) | estimate.estimate_time(work, MACHINE, (1, 2, 8), 1500.0)
    # Four threads on two cores: Snakemake gives a job what there is.
    assert values["machine"]["simultaneous_trainings"] == 1
    assert [each["simultaneous_trainings"] for each in values["schedules"]] == [1, 1, 2, 7]
    assert [each["cores"] for each in values["schedules"]] == [2, 2 + 4, 2 + 8, 2 + 32]
    assert "cards are taken to come with 4 cores each (torch_threads), beside this machine's 2" in render_time(values)


def test_imagenet_at_64_pixels_is_planned_without_its_files(measured):
    work = estimate.survey(ROOT / "config/imagenet64.yaml", VARIANTS, Path("data"))
    dataset = work.datasets["imagenet64"]
    assert dataset.images == {"train": 1_231_167, "val": 50_000, "test": 50_000} and dataset.classes == 1000
    assert (dataset.image_bytes, dataset.exact) == (64 * 64 * 3, True)
    assert "data/archives/imagenet64" in work.missing[0]
    values = describe_work(work, MACHINE, Path("data")) | estimate.estimate_time(work, MACHINE, (1,), 3000.0)
    seconds = values["schedules"][1]["job_s_by_kind"]
    assert 6 * 30 * 1_231_104 / 3000 < seconds["train"] < 86_400
    # A ten-thousandth of a second for each image, which is not decoded.
    assert seconds["prepare"] == pytest.approx(1.0 + 133.1167)


def test_an_incomplete_release_has_at_most_its_published_number():
    small = {"kind": "downsampled_imagenet", "folder": "nowhere", "size_px": 64, "complete": False}
    counted = estimate.count_images(DatasetConfig(**small), Path("data"))
    assert (counted["exact"], counted["at_most"], counted["images"]["train"]) == (False, True, 1_231_167)


def test_a_net_that_is_not_measured_is_scaled_by_its_multiply_adds(pictures):
    values = copy.deepcopy(TINY)
    values["experiments"].append({"dataset": "pictures", "variant": "one-gpu", "seeds": [0], "tables": ["table1"]})
    cnn, _, other = plan(values).trainings
    scaled = estimate.scale_rate(cnn, RATE, other)
    assert scaled["origin"] == "from cnn's by multiply-adds"
    assert scaled["images_per_s"] == pytest.approx(100 * cnn.multiply_adds / other.multiply_adds)


# What is printed.


def test_the_json_has_the_same_keys_always_with_their_units(pictures, measured):
    work = plan(TINY)
    values = describe_work(work, MACHINE, Path("data")) | estimate.estimate_time(work, MACHINE, (1,))
    sections = "name machine datasets missing trainings evaluations averages baselines totals disk memory measured"
    assert list(values) == [*sections.split(), "schedules"]
    assert values["machine"] == {**asdict(MACHINE), "simultaneous_trainings": 2}
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
    evaluation = {"dataset": "pictures", "variant": "cnn", "split": "val", "nets": 2, "nets_done": 0, "images": 14}
    assert values["evaluations"][0] == {**evaluation, "crops": 10}
    speeds = "images_per_s_origin simultaneous_trainings images_per_s_per_training read_bytes_per_image"
    times = "where cores cards makespan_s lower_bound_s critical_path_s work_s job_s_by_kind"
    read = "read_bytes_per_s_per_training read_bytes_per_s"
    assert list(values["schedules"][0]) == f"{times} {speeds} {read}".split()
    keys = "took_s busy_cores_before rates overheads preparations_s baselines"
    assert list(values["measured"]) == keys.split()


def test_the_text_says_what_the_json_says(measured):
    work = plan(ILSVRC)
    values = describe_work(work, MACHINE, Path("data"))
    text = render_work(values)
    assert "1,281,167 train, 50,000 val, 0 test, 1,000 classes; the edition's own numbers" in text
    assert "at most 90 epochs of 1,281,152 images = 900,810 steps a net (10,009 an epoch)" in text
    assert "average 5-cnns on ilsvrc2012 val: 5 nets" in text
    assert "packed ilsvrc2012: 261.7 GB (raw, 196,608 bytes an image)" in text
    assert "of memory: they do not fit: each epoch reads the disk" in text
    text = render_time(values | estimate.estimate_time(work, MACHINE, (8,)))
    assert "an estimate" in text
    assert "8 cards: at most about " in text
    assert "in random reads of 196,608 bytes" in text


def test_a_busy_machine_is_said(pictures, measured, monkeypatch):
    for load, said in ((0.2, False), (1.7, True)):
        monkeypatch.setattr("os.getloadavg", lambda load=load: (load, 0.0, 0.0))
        text = render_time(describe(TINY) | estimate.estimate_time(plan(TINY), MACHINE))
        assert ("other work kept about 1.7 cores busy" in text) == said


@pytest.mark.parametrize(
    ("seconds", "words"), [(12, "12 s"), (200, "3 min 20 s"), (3900, "1 h 05 min"), (363_000, "4.2 days")]
)
def test_times_are_said_in_words(seconds, words):
    assert estimate.in_rough_time(seconds) == words


def test_json_keeps_the_work_and_the_disk_when_measuring_fails(capsys, monkeypatch):
    def fail(*arguments):
        raise PlanError("it stopped")

    monkeypatch.setattr(estimate, "measure_rates", fail)
    configured = ["--configfile", str(ROOT / "config/ilsvrc.yaml"), "--variants", str(VARIANTS)]
    assert cli.main(["plan", "--json", *configured]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["disk"]["packed_bytes"].keys() == {"ilsvrc2010", "ilsvrc2012"}
    assert said.err == "error: it stopped\n"


# The machine.


def test_a_machine_runs_as_many_trainings_as_it_has_cards_or_cores_for(pictures):
    work = plan(TINY)
    for cores, cards, count, at_once in ((8, None, 5, 5), (8, None, 20, 8), (8, 2, 5, 2), (0, None, 5, 1)):
        assert Machine(cores, cards, 0, "").at_once([work.trainings[0]] * count) == at_once


@pytest.mark.parametrize(
    ("membership", "limits", "usable"),
    [
        ("0::/a/b\n", {"a/memory.max": "3000", "a/b/memory.max": "max"}, 3000),
        ("4:memory:/a\n", {"memory/memory.limit_in_bytes": "9223372036854771712", "memory/a": "5000"}, None),
        ("4:memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": "5000"}, 5000),
        ("0::/a\n", {"memory.max": "max", "b/memory.max": "1"}, None),
    ],
)
def test_usable_memory_is_the_least_limit_of_all_groups_around(tmp_path, membership, limits, usable):
    (tmp_path / "membership").write_text(membership, encoding="utf-8")
    for name, text in limits.items():
        path = tmp_path / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", encoding="utf-8")
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert estimate.usable_memory_bytes(tmp_path / "membership", tmp_path / "mount") == (usable or whole)


def test_a_survey_does_without_torch():
    program = "import sys; from alexnet2012 import estimate; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert found.stdout == "False\n"


@pytest.mark.slow
def test_nets_and_baselines_are_timed_by_the_real_code(pictures, capfd, monkeypatch):
    monkeypatch.setattr(estimate, "SILENCE_S", 0.1)
    values = copy.deepcopy(TINY) | {"baselines": {"sift-fv": SIFT}, "runtime": {"device": "cpu"}}
    values["experiments"] += BASELINE_ALONE["experiments"]
    work = plan(values)
    found = estimate.measure_rates(work, MACHINE)
    (rate,) = found.rates.values()
    assert min(rate[key] for key in RATE if key.endswith("_per_s")) > 0
    assert (rate["processes"], rate["device"], rate["origin"]) == (2, "cpu", "measured")
    (costs,) = found.baselines.values()
    assert min(*costs.values(), found.start_s) > 0
    said = capfd.readouterr().err
    assert "measuring: cnn on pictures\n" in said
    assert "measuring: sift-fv\n" in said
    assert "  still measuring, for " in said
    assert sorted(os.listdir()) == ["pictures", "plan.yaml"]  # noqa: PTH208
