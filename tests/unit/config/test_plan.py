"""Configurations resolved into plans: runs, hashes, ensembles, claims."""

import pytest
import yaml
from minimal import CLAIM, ENSEMBLE, LINE, MINIMAL, ROOT, STAR, VARIANTS, committed, complaint, plan

from alexnet2012.config.plan import TARGETS, make_plan
from alexnet2012.config.schedules import warn_of_few_steps
from alexnet2012.config.schema import TrainingConfig


def planned(found) -> list[tuple[str, int]]:
    return [(run.variant, run.seed) for run in found.runs]


def test_the_rehearsal_plans_seven_trainings_and_one_average_and_lists_every_folder():
    found = committed("config.yaml")
    assert planned(found) == [*(("cnn", seed) for seed in range(5)), ("one-gpu", 0), ("cnn-two-devices", 0)]
    assert [run.runtime.gpus_per_training for run in found.runs] == [1] * 6 + [2]
    assert [run.seed for run in found.ensembles[0].members] == [0, 1, 2, 3, 4]
    schedule = found.runs[0].training.schedule
    assert (schedule.epochs, schedule.drops, schedule.max_epochs) == ([3, 1], 1, 4)
    assert found.runs[0].net.conv2.model_dump() == {"kernels": 48, "kernel_px": 5, "stride": 1, "pad": 2}
    assert (found.runs[5].net.towers, found.runs[5].net.halved) == (1, ["conv1", "conv2", "conv3", "conv4"])

    listed = found.list_experiments()
    cnn, one_gpu, _, ensemble = listed["experiments"]
    assert listed["name"] == "rehearsal"
    assert cnn["runs"] == [f"results/rehearsal/runs/cifar10/cnn-7f484866/seed{seed}" for seed in range(5)]
    assert one_gpu["predictions"] == ["results/rehearsal/predictions/cifar10/one-gpu-d7ee8a79/seed0"]
    scaled = [f"net.{key}" for key in ("crop_px", "conv1", "conv2", "conv3", "conv4", "conv5", "fc_neurons")]
    assert ensemble == {
        "dataset": "cifar10",
        "kind": "cifar10",
        "splits": ["val", "test"],
        "departures": ["datasets.size_px", *scaled, "training.schedule"],
        "tables": ["table2", "in_text"],
        "ensemble": "5-cnns",
        "predictions": ["results/rehearsal/predictions/cifar10/5-cnns-9d37d2e4/average"],
    }


def test_the_papers_own_configuration_departs_in_nothing():
    listed = committed("ilsvrc.yaml").list_experiments()["experiments"]
    assert len(listed) == 4 and all(each["departures"] == [] for each in listed)
    assert plan().runs[0].training == TrainingConfig()


def test_what_a_variant_changes_is_no_departure_but_the_base_is():
    net, training = MINIMAL["net"] | {"dropout": 0.0}, {"batch_size": 64, "torch_threads": 2}
    made = plan(net=net, training=training, experiments=[LINE | {"variant": "one-gpu"}])
    (listed,) = made.list_experiments()["experiments"]
    of_net = ["net.crop_px", "net.conv1", "net.dropout"]
    assert listed["departures"] == ["datasets.size_px", *of_net, "training.batch_size"]


@pytest.mark.parametrize(("variant", "runtime"), [("cnn-two-devices", {}), ("cnn", {"placement": "two-devices"})])
def test_a_placement_changes_no_hash_and_takes_two_cards_and_twice_the_threads(variant, runtime):
    threads = {"torch_threads": 3}
    (run,) = plan(training=threads, runtime=runtime, experiments=[LINE | {"variant": variant}]).runs
    (alone,) = plan(training=threads).runs
    assert (run.hash8, run.runtime.placement) == (alone.hash8, "two-devices")
    assert (run.runtime.gpus_per_training, run.training_threads) == (2, 6)
    assert (alone.runtime.gpus_per_training, alone.training_threads) == (1, 3)


def test_where_test_labels_are_withheld_val_alone_is_evaluated(tmp_path):
    editions = {kind: {"kind": kind, "folder": str(tmp_path)} for kind in ("ilsvrc2010", "ilsvrc2012")}
    lines = [LINE | {"dataset": kind, "seeds": [0, 1, 2, 3, 4]} for kind in editions]
    found = plan(datasets=editions, experiments=[*lines, ENSEMBLE | {"dataset": "ilsvrc2012"}], net={})
    splits = {run.dataset_name: run.splits for run in found.runs}
    assert splits == {"ilsvrc2010": ("val", "test"), "ilsvrc2012": ("val",)}
    assert [ensemble.splits for ensemble in found.ensembles] == [("val",)]
    listed = found.list_experiments()["experiments"]
    assert [entry["splits"] for entry in listed] == [["val", "test"], ["val"], ["val"]]


def test_neither_order_nor_defaults_written_out_nor_a_calibration_change_a_hash(tmp_path):
    values = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    reordered = {
        key: dict(reversed(value.items())) if key in ("net", "training") else value
        for key, value in reversed(values.items())
    }
    assert make_plan(reordered, "x", VARIANTS).runs[0].hash8 == "7f484866"

    (tmp_path / "weights.pth").touch()
    datasets = MINIMAL["datasets"] | {"imagenet": {"kind": "ilsvrc2012", "folder": str(tmp_path)}}
    calibration = {"dataset": "imagenet", "weights": str(tmp_path / "weights.pth")}
    defaults = {"batch_size": 128, "learning_rate": 0.01, "augmentation": {"crops": True}}
    written = plan(training=defaults, datasets=datasets, calibration=calibration)
    assert written.config.calibration.model_dump() == calibration
    assert written.runs[0].hash8 == plan().runs[0].hash8


def test_two_lines_of_one_variant_train_each_seed_once_and_two_of_an_ensemble_average_it_once():
    lines = [LINE | {"seeds": [0, 1]}, LINE | {"seeds": [1, 2, 3, 4], "tables": ["in_text"]}]
    found = plan(experiments=[*lines, ENSEMBLE, ENSEMBLE | {"tables": ["in_text"]}])
    assert planned(found) == [("cnn", seed) for seed in range(5)]
    assert len(found.ensembles) == 1
    listed = found.list_experiments()["experiments"]
    assert len(listed) == 4 and [each["seeds"] for each in listed[:2]] == [[0, 1], [1, 2, 3, 4]]


def test_experiments_for_claims_belong_to_the_plan_only_when_they_are_asked_for():
    few, everything = plan(claims=[CLAIM]), plan(claims=[CLAIM], targets=("claims",))
    assert planned(few) == [("cnn", 0)]
    assert planned(everything) == [("cnn", 0), ("no-lrn", 0), ("no-lrn", 1), ("cnn", 1)]
    assert len(few.list_experiments()["experiments"]) == 1
    listed = everything.list_experiments()["experiments"]
    assert [(each["variant"], each["seeds"], each["tables"]) for each in listed] == [
        ("cnn", [0], ["table1"]),
        ("no-lrn", [0, 1], ["claims"]),
        ("cnn", [0, 1], ["claims"]),
    ]
    kept = everything.keep(lambda line: line.experiment.subject == "no-lrn")
    assert planned(kept) == [("no-lrn", 0), ("no-lrn", 1)]
    assert len(kept.list_experiments()["experiments"]) == 1
    assert everything.keep(lambda line: True).runs == everything.runs


def test_a_published_length_lays_its_training_over_the_variants():
    line = CLAIM | {"variants": ["cifar-13pct"], "seeds": [0]}
    here, published = (
        plan(claims=[line | {"length": length}], targets=["claims"]).runs[1] for length in ("here", "published")
    )
    assert (here.training.schedule.epochs, published.training.schedule.epochs) == ([20, 5, 3], [140, 10, 10])
    assert published.training.learning_rate == here.training.learning_rate == 0.001
    assert published.hash8 != here.hash8
    assert "cifar-13pct seed 0 on cifar10" in complaint(claims=[line, line | {"length": "published"}])


def test_all_seeds_of_a_variant_share_the_search_of_the_first():
    made = plan(claims=[CLAIM | {"variants": ["four-layer-relu"], "seeds": [2, 1]}], targets=["claims"])
    runs = [run for run in made.runs if run.variant == "four-layer-relu"]
    assert set(made.searches) == {run.folder for run in runs}
    first, second = made.searches.values()
    assert [each.folder for each in first] == [each.folder for each in second]
    assert len(first) == 6 and {each.seed for each in first} == {2}
    assert len(made.trainings) == len(made.runs) + 6


@pytest.mark.parametrize("targets", [(), ("claims",), ("full",), ("claims", "full")])
def test_a_plan_of_every_target_narrows_to_the_plan_of_some(targets):
    """The workflow resolves its configuration once, with both sections."""
    for name in ("config.yaml", "ilsvrc.yaml"):
        everything, made = committed(name, TARGETS), committed(name, targets)
        assert everything.narrow(targets) == made
        assert everything.narrow(targets).searches == made.searches
        assert {run.variant for run in made.analysed} == {"cnn"}
        assert len(made.analysed) == sum(run.variant == "cnn" for run in made.runs)


def test_one_dataset_may_have_another_base_than_the_others():
    datasets = {name: {"kind": "imagefolder", "folder": name, "size_px": 64} for name in ("small", "large")}
    experiments = [LINE | {"dataset": name, "variant": "one-gpu"} for name in datasets]
    other = {"net": {"fc_neurons": "x2", "conv1": {"kernels": 20}}, "training": {"learning_rate": 0.002}}
    net = MINIMAL["net"] | {"fc_neurons": 96}
    found = plan(datasets=datasets, experiments=experiments, net=net, per_dataset={"large": other})
    small, large = found.runs
    assert (small.net.fc_neurons, small.net.conv1.kernels, small.training.learning_rate) == (96, 96, 0.01)
    assert (large.net.fc_neurons, large.net.conv1.kernels, large.training.learning_rate) == (192, 20, 0.002)
    assert large.net.conv1.kernel_px == MINIMAL["net"]["conv1"]["kernel_px"]  # the rest is the common base's
    departures = [each["departures"] for each in found.list_experiments()["experiments"]]
    assert ["training.learning_rate" in each for each in departures] == [False, True]


# As config/cifar10.yaml has it: the nets of both trainings of 1-cnn-star fit.
SMALL = {
    "net": yaml.safe_load((ROOT / "config" / "cifar10.yaml").read_text(encoding="utf-8"))["net"],
    "training": {"schedule": {"kind": "fixed", "epochs": [3, 1]}},
}


def test_each_seed_is_pretrained_first_on_the_other_dataset():
    made = plan(experiments=[STAR], **SMALL)
    assert [(run.variant, run.dataset_name, run.seed) for run in made.trainings] == [
        ("cnn-sixth-layer", "turned", 0),
        ("cnn-sixth-layer", "turned", 1),
        ("1-cnn-star", "cifar10", 0),
        ("1-cnn-star", "cifar10", 1),
    ]
    assert made.datasets == ["cifar10", "turned"]
    first, _, tuned, _ = made.trainings
    assert tuned.starts_from.run == first and "fc8" not in tuned.starts_from.layers
    assert first.training.schedule.epochs == [6, 2] and tuned.training.schedule.epochs == [3, 1]
    assert (tuned.training.learning_rate, tuned.training.layer_rates) == (0.001, {"conv1": 0.1, "fc8": 10.0})
    assert first.net == tuned.net and first.net.sixth_layer and "conv6" in first.net.bias_one
    assert made.runs == (made.trainings[2], made.trainings[3])  # only these are evaluated


def test_another_length_or_dataset_of_the_pretraining_makes_another_run():
    longer = {**STAR, "pretraining": {"schedule": {"kind": "fixed", "epochs": [5, 2, 1]}}}
    first, _, tuned, _ = plan(experiments=[longer], **SMALL).trainings
    assert first.training.schedule.epochs == [5, 2, 1] and tuned.training.schedule.epochs == [3, 1]
    others = {**MINIMAL["datasets"], "other": {"kind": "imagefolder", "folder": "x", "size_px": 32}}
    lines = [longer, *(STAR | {"pretrained_on": name} for name in others)]
    assert len({plan(experiments=[line], datasets=others, **SMALL).runs[0].hash8 for line in lines}) == 4


def test_nets_of_the_source_have_their_recipe_below_their_own_settings():
    lines = [LINE | {"variant": name, "epochs": 20} for name in ("net145", "net148")]
    net145, net148 = plan(experiments=lines, **SMALL).runs
    assert {run.training.recipe for run in (net145, net148)} == {"code2012"}
    assert (net145.net.lrn.alpha, net145.net.mean_crop, net145.net.conv1.kernels) == (2e-5, "central", 16)
    assert net145.net.layer_init_std["conv4"] == 0.03 and net145.net.map_norm is not None
    assert (net148.net.lrn, net148.net.map_norm, net148.net.mean_crop) == (None, None, "central")
    assert net145.training.augmentation.chunk == 32 and not net145.training.decay_biases


def test_full_and_claims_are_planned_for_their_targets_alone():
    values = {"full": [STAR], "claims": [CLAIM | {"variants": ["no-lrn"], "seeds": [0]}], **SMALL}
    plans = {targets: plan(targets=targets, **values) for targets in ((), ("full",), ("claims",))}
    names = {targets: [run.variant for run in each.runs] for targets, each in plans.items()}
    assert names == {(): ["cnn"], ("full",): ["cnn", "1-cnn-star", "1-cnn-star"], ("claims",): ["cnn", "no-lrn"]}
    assert plans[()].list_experiments()["in_full"] == [{"dataset": "cifar10", "key": "1-cnn-star"}]
    assert plans["full",].list_experiments()["in_full"] == []


@pytest.mark.parametrize(
    ("steps_per_epoch", "epochs", "numbers"),
    [
        (1, 90, "90 in all, 1 an epoch"),  # 168 photographs in batches of 128
        (10, 99, "990 in all, 10 an epoch"),
        (10, 100, ""),
        (9, 1000, "9,000 in all, 9 an epoch"),
        (1000, 1, ""),
        (0, 90, "0 in all, 0 an epoch"),
    ],
)
def test_fewer_than_a_thousand_steps_or_ten_an_epoch_are_warned_of(steps_per_epoch, epochs, numbers):
    warning = warn_of_few_steps(steps_per_epoch, epochs)
    assert bool(warning) == bool(numbers)
    assert numbers in warning


def classes_of(**subsets) -> dict:
    """Datasets of these subsets; one that is a whole section stands as it is."""
    tiny = {"kind": "tiny_imagenet", "folder": "images"}
    sections = {name: each if "kind" in each else tiny | {"subset": each} for name, each in subsets.items()}
    return plan(datasets=sections, experiments=[LINE | {"dataset": "ours"}]).config.datasets


def test_the_others_draw_is_what_identifies_the_classes_and_not_its_name():
    first, renamed, reseeded = (
        classes_of(ours={"classes_not_in": name}, **{name: {"classes": 40, "per_class": 9, "seed": seed}})["ours"]
        for name, seed in (("tiny40", 1), ("small", 1), ("tiny40", 2))
    )
    assert first.subset.left_out.classes == 40 and first.subset.left_out.per_class is None
    assert first.identity == renamed.identity and first.packing == renamed.packing
    assert first.identity != reseeded.identity and first.packing != reseeded.packing
    assert first.identity["subset"] == {"left_out": {"classes": 40, "seed": 1}}
    assert type(first).model_validate_json(first.model_dump_json()).identity == first.identity


def test_keys_of_a_subset_combine_chains_are_followed_and_rotations_know_the_classes():
    found = classes_of(
        ours={"classes_not_in": "second", "classes": 3, "per_class": 7, "seed": 4},
        second={"classes_not_in": "first", "classes": 20},
        first={"classes": 40},
        turned={"kind": "rotations", "of": "ours"},
    )
    assert found["ours"].identity["subset"] == {
        "classes": 3,
        "per_class": 7,
        "seed": 4,
        "left_out": {"classes": 20, "left_out": {"classes": 40}},
    }
    assert found["turned"].source == found["ours"]


@pytest.mark.parametrize(("size", "stored"), [({}, 64), ({"size_px": 32}, 32)])
def test_tiny_imagenet_is_stored_at_its_own_size_unless_another_is_written(size, stored):
    assert classes_of(ours={"kind": "tiny_imagenet", **size})["ours"].size_px == stored
