import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
from planned import ILSVRC, TINY, finish, plan_work, write_pictures

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.sources.layouts import TARS_2010, TEST_2010
from alexnet2012.evaluation.metrics import CROPS
from alexnet2012.planning.describe import describe_work
from alexnet2012.planning.disk import measure_disk, packed_bytes, stored_image_bytes
from alexnet2012.planning.machine import Machine
from alexnet2012.planning.report import render_work

TRAINED = ("record.json", "model.safetensors")


def changed(values: dict, **dataset) -> dict:
    """`values` with other settings of its only dataset."""
    values = copy.deepcopy(values)
    next(iter(values["datasets"].values())).update(dataset)
    return values


def pack(section: dict) -> None:
    """What a preparation of TINY's dataset with the settings `section` leaves of its notes."""
    folder = Path("data/pictures")
    folder.mkdir(parents=True)
    manifest = {"counts": {"train": 80, "val": 10, "test": 20}, "classes": ["a"] * 5}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / "preparation.json").write_text(
        json.dumps({"dataset": DatasetConfig(**section).model_dump()}), encoding="utf-8"
    )


def test_the_papers_numbers_of_images_steps_and_bytes():
    work = plan_work(ILSVRC)
    older, newer = work.datasets
    assert older.counts.images == {"train": 1_261_406, "val": 50_000, "test": 150_000}
    assert newer.counts.images == {"train": 1_281_167, "val": 50_000, "test": 0}
    assert [each.partition(" does not exist")[0] for each in work.missing] == [
        "plan.yaml: datasets.ilsvrc2010: the folder nowhere/2010",
        "plan.yaml: datasets.ilsvrc2012: the folder nowhere/2012",
    ]
    training = work.trainings[1]
    assert (training.steps_per_epoch, training.epochs, training.at_most) == (10_009, 90, True)
    assert training.steps == 10_009 * 90 == 900_810
    assert training.images_per_epoch == 10_009 * 128
    assert training.parameters == 60_965_224
    assert training.measured_per_epoch == 10_000 + 50_000
    assert stored_image_bytes(newer.config) == 196_608
    assert round(1_281_167 * stored_image_bytes(newer.config) / 1e9, 1) == 251.9
    # Both editions without 2012's test images: 549 GB, and a label of 8 bytes each.
    images = 1_281_167 + 50_000 + 1_261_406 + 50_000 + 150_000
    assert round(images * 196_608 / 1e9) == 549
    assert packed_bytes(older) + packed_bytes(newer) == images * (196_608 + 8)


@pytest.mark.parametrize("layout", ["auto", "named"])
@pytest.mark.parametrize(
    ("name", "mark", "test"),
    [
        ("tars", "ILSVRC2012_img_val.tar", "ILSVRC2012_img_test.tar"),
        ("tars", "ILSVRC2012_img_val.tar", "ILSVRC2012_img_test_v10102019.tar"),
        ("kaggle", "ILSVRC/Data/CLS-LOC/val/1.JPEG", "ILSVRC/Data/CLS-LOC/test/1.JPEG"),
        ("parquet", "data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"),
        ("folder", "val/n01440764/1.JPEG", "test/1.JPEG"),
    ],
)
def test_the_images_of_2012s_test_set_are_counted_where_they_are(layout, name, mark, test):
    values = copy.deepcopy(ILSVRC)
    values["datasets"]["ilsvrc2012"] |= {"folder": "2012", "layout": name if layout == "named" else "auto"}
    for path, images in ((mark, 0), (test, 100_000)):
        finish(Path("2012", path).parent, (Path(path).name,))
        assert plan_work(values).datasets[1].counts.images["test"] == images


def test_the_labels_of_2012s_test_set_are_withheld_and_so_it_is_not_evaluated():
    work = plan_work(ILSVRC)
    assert [(each.dataset.name, each.split) for each in work.predictions[:3]] == [
        ("ilsvrc2010", "val"),
        ("ilsvrc2010", "test"),
        ("ilsvrc2012", "val"),
    ]
    assert [(each.split, len(each.members), each.images) for each in work.averages] == [("val", 5, 50_000)]
    assert len(work.predictions) == 2 + 5


def test_the_disk_of_both_editions():
    work = plan_work(ILSVRC)
    disk = measure_disk(work, Path("data"), at_once=2)
    # float32, 1,000 classes, ten crops and centre: val of 2010, its test, and of 2012 five nets and their average.
    assert disk.predictions_bytes == (50_000 + 150_000 + 6 * 50_000) * 1_000 * 4 * 2
    assert disk.weights_bytes == 6 * 60_965_224 * 4
    # Weights and velocity, two checkpoints kept and one being written, two trainings.
    assert disk.checkpoints_bytes == 2 * 3 * 2 * 60_965_224 * 4
    assert disk.data_needed_bytes == sum(disk.packed_bytes.values())
    assert disk.results_needed_bytes == disk.predictions_bytes + disk.weights_bytes + disk.checkpoints_bytes
    (one,) = disk.file_systems  # data/ and results/ of a test lie on one
    assert one.needed_bytes == disk.data_needed_bytes + disk.results_needed_bytes
    assert one.folders == ("data", "results/paper")


def test_a_disk_that_is_too_small_does_not_fit(monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage(10**12, 0, 10**11))
    assert not measure_disk(plan_work(ILSVRC), Path("data"), 1).fits
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage(10**13, 0, 10**12))
    assert measure_disk(plan_work(ILSVRC), Path("data"), 1).fits


def test_jpeg_storage_takes_a_fifth():
    """196,608 / 5 = 39,321.6 bytes, 16 of places in the file, and a label of 8."""
    values = copy.deepcopy(ILSVRC)
    for dataset in values["datasets"].values():
        dataset["storage"] = "jpeg"
    assert [stored_image_bytes(each.config) for each in plan_work(values).datasets] == [39_338, 39_338]


def test_a_subset_has_fewer_images():
    subset = {"classes": 100, "per_class": 200}
    (work,) = plan_work({**changed(ILSVRC, subset=subset), "experiments": ILSVRC["experiments"][:1]}).datasets
    # 1,261 images a class in train are cut to 200; val has 50 of each class, test 150.
    assert work.counts.images == {"train": 20_000, "val": 5_000, "test": 15_000}
    assert (work.counts.classes, work.counts.exact) == (100, False)


def test_a_subset_leaves_out_a_split_whose_labels_are_withheld():
    values = copy.deepcopy(ILSVRC)
    values["datasets"]["ilsvrc2012"]["subset"] = {"classes": 20}
    counts = plan_work(values).datasets[1].counts
    assert counts.images == {"train": 1_281_167 * 20 // 1000, "val": 1_000, "test": 0}


def test_a_preparation_that_was_begun_needs_less_disk():
    before = measure_disk(plan_work(ILSVRC), Path("data"), 1).data_needed_bytes
    Path("data/.ilsvrc2012.partial/train").mkdir(parents=True)
    Path("data/.ilsvrc2012.partial/train/images.npy").write_bytes(b"x" * 2**20)
    assert before - measure_disk(plan_work(ILSVRC), Path("data"), 1).data_needed_bytes == 2**20


def test_the_releases_are_counted_as_the_paper_counts_them():
    Path("classes.txt").write_text("".join(f"n{k:08d}\n" for k in range(5_092)), encoding="utf-8")
    values = changed(TINY, kind="fall2009", size_px=256, class_list="classes.txt")
    (work,) = plan_work(values).datasets
    # Half of 10,184 classes, so half of 8.9 million images; a tenth for val and a fifth for test.
    assert work.counts.images == {"train": 3_115_000, "val": 445_000, "test": 890_000}
    assert (work.counts.classes, work.counts.exact) == (5_092, False)
    assert work.counts.origin == "about 8.9 million images of 10,184 classes, as the paper says"


def test_a_folder_is_counted_without_opening_an_image():
    write_pictures(Path("pictures"), classes=7, images=20)
    work = plan_work(TINY)
    assert work.datasets[0].counts.images == {"train": 7 * 14, "val": 7 * 2, "test": 7 * 4}
    assert (work.trainings[0].steps_per_epoch, work.trainings[0].steps) == (12, 36)
    assert work.trainings[0].measured_per_epoch == 50 + 14


def few_steps(values: dict) -> tuple[str, str]:
    """What `plan` warns of: in its data, and the lines of its text."""
    work = describe_work(
        plan_work(values), Machine(cores=2, cards=None, memory_bytes=10**10, hardware="some"), Path("data")
    )
    warnings = [line.strip() for line in render_work(work).splitlines() if "warning" in line]
    return work["trainings"][0]["few_steps"], "\n".join(warnings)


def test_too_few_steps_are_warned_of():
    """168 training images in one step an epoch, of which nobody was told."""
    write_pictures(Path("pictures"), classes=3, images=80)
    values = TINY | {"training": {"batch_size": 128, "schedule": {"kind": "plateau", "max_epochs": 90}}}
    sentence, line = few_steps(values)
    assert "90 in all, 1 an epoch" in sentence
    assert line == f"warning: {sentence}"
    enough = {"batch_size": 16, "schedule": {"kind": "fixed", "epochs": [90, 30]}}
    assert few_steps(values | {"training": enough}) == ("", "")


def test_images_that_are_not_known_are_not_called_few_steps():
    assert few_steps(TINY) == ("", "")


def test_given_splits_are_counted_as_given():
    for split, images in (("train", 9), ("val", 2), ("test", 3)):
        write_pictures(Path("pictures", split), classes=5, images=images)
    assert plan_work(TINY).datasets[0].counts.images == {"train": 45, "val": 10, "test": 15}


def test_a_missing_folder_is_said_and_no_error():
    work = plan_work(TINY)
    assert work.datasets[0].counts.images == {"train": 0, "val": 0, "test": 0}
    assert "the folder pictures does not exist" in work.missing[0]


def test_a_missing_file_is_said_too():
    finish(Path("2010"), [name for name in TARS_2010 if name != TEST_2010])
    (sentence,) = plan_work({**changed(ILSVRC, folder="2010"), "experiments": ILSVRC["experiments"][:1]}).missing
    assert sentence == f"plan.yaml: datasets.ilsvrc2010: 2010/{TEST_2010} is missing: the test images"


def test_an_edition_that_may_lack_images_has_at_most_its_own_number():
    values = {**changed(ILSVRC, complete=False), "experiments": ILSVRC["experiments"][:1]}
    work = plan_work(values)
    counts = work.datasets[0].counts
    assert (counts.images["train"], counts.exact, counts.at_most) == (1_261_406, False, True)
    machine = Machine(cores=2, cards=None, memory_bytes=10**10, hardware="some processor")
    assert "at most 1,261,406 train" in render_work(describe_work(work, machine, Path("data")))


def test_minival_is_held_out_class_by_class():
    write_pictures(Path("pictures"), classes=7, images=20)
    values = {**TINY, "training": {**TINY["training"], "schedule_split": "minival"}}
    training = plan_work(values).trainings[0]
    # 5 % of 14 images are one of each class.
    assert (training.minival_images, training.images, training.measured_per_epoch) == (7, 91, 50 + 14 + 7)


def test_what_the_manifest_counts_is_packed_and_needs_no_disk():
    pack(TINY["datasets"]["pictures"])
    work = plan_work(TINY)
    counts = work.datasets[0].counts
    assert (counts.packed, counts.images["train"], counts.classes) == (True, 80, 5)
    disk = measure_disk(work, Path("data"), 1)
    assert (disk.packed_bytes, disk.data_needed_bytes) == ({"pictures": 110 * (16 * 16 * 3 + 8)}, 0)


@pytest.mark.parametrize("name", ["manifest", "preparation"])
@pytest.mark.parametrize("text", ["{", "[]", '{"counts": {}, "dataset": {"kind": "none"}}'])
def test_a_broken_manifest_is_not_taken(name, text):
    pack(TINY["datasets"]["pictures"])
    Path(f"data/pictures/{name}.json").write_text(text, encoding="utf-8")
    counts = plan_work(TINY).datasets[0].counts
    assert not counts.packed
    assert not counts.packed_otherwise


@pytest.mark.parametrize(
    "settings",
    [{"size_px": 32}, {"storage": "jpeg"}, {"subset": {"classes": 5}}, {"split_seed": 7}, {"folder": "others"}],
)
def test_what_was_packed_otherwise_is_packed_again(settings):
    write_pictures(Path("pictures"), classes=7, images=20)
    pack(TINY["datasets"]["pictures"] | settings)
    work = plan_work(TINY)
    counts = work.datasets[0].counts
    assert (counts.packed, counts.packed_otherwise, counts.images["train"]) == (False, True, 7 * 14)
    assert measure_disk(work, Path("data"), 1).data_needed_bytes > 0
    machine = Machine(cores=2, cards=None, memory_bytes=10**10, hardware="some processor")
    assert "packed from other settings, to be packed again" in render_work(describe_work(work, machine, Path("data")))


def test_how_many_bad_images_were_allowed_makes_no_other_dataset():
    pack(TINY["datasets"]["pictures"] | {"bad_images": "skip", "max_bad_images": 3})
    assert plan_work(TINY).datasets[0].counts.packed


def test_finished_jobs_are_counted_as_done():
    write_pictures(Path("pictures"), classes=7, images=20)
    first, second = plan_work(TINY).trainings
    finish(first.run.folder, TRAINED)
    finish(first.run.predictions, ("val.json", "val-ten_crop.npy", "val-centre.npy"))
    finish(second.run.predictions, ("val.json", "val-ten_crop.npy", "val-centre.npy"))
    work = plan_work(TINY)
    assert [each.done for each in work.trainings] == [True, False]
    assert [each.steps_left for each in work.trainings] == [0, 36]
    # What was predicted by a net that will be trained is predicted again.
    assert [each.done for each in work.predictions] == [True, False, False, False]
    assert work.pending == (work.trainings[1],)


def test_a_checkpoint_saves_its_steps():
    write_pictures(Path("pictures"), classes=7, images=20)
    folder = plan_work(TINY).trainings[0].run.folder
    finish(folder / "state", ("checkpoint-000000012.pt", "checkpoint-000000024.pt", "lock"))
    assert [each.steps_left for each in plan_work(TINY).trainings] == [12, 36]


def test_a_prediction_is_done_with_the_arrays_that_are_written():
    """Those kinds are listed where they are written, which a plan reads without importing torch."""
    program = "import sys; from alexnet2012.planning import forecast, work; print('torch' in sys.modules, *work.CROPS)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", *CROPS]
