"""Configurations resolved into plans: runs, hashes, ensembles, claims."""

import pytest
import yaml
from minimal import CLAIM, LINE, MINIMAL, ROOT, VARIANTS, committed, complaint, plan, two_devices

from alexnet2012.config.nets import NetConfig
from alexnet2012.config.plan import TARGETS, describe_target, make_plan
from alexnet2012.config.schema import TrainingConfig


def test_a_plan_may_be_made_before_the_folder_is_there():
    datasets = {"photos": {"kind": "imagefolder", "folder": "nowhere"}}
    values = MINIMAL | {"datasets": datasets, "experiments": [LINE | {"dataset": "photos"}]}
    assert len(make_plan(values, "some.yaml", VARIANTS).runs) == 1


@pytest.mark.parametrize(
    ("name", "hashes", "ensemble"),
    [
        ("config.yaml", {"cnn": "7f484866", "cnn-two-devices": "7f484866", "one-gpu": "d7ee8a79"}, "9d37d2e4"),
        ("cifar10.yaml", {"cnn": "2aac5739", "one-gpu": "b6021796"}, "280db129"),
    ],
)
def test_the_committed_configurations_keep_their_hashes(name, hashes, ensemble):
    """Whoever changes one of these numbers trains every net anew and loses the committed results' folders."""
    found = committed(name)
    assert {run.variant: run.hash8 for run in found.runs} == hashes
    assert [each.hash8 for each in found.ensembles] == [ensemble]


def test_the_rehearsal_plans_seven_trainings_and_one_average():
    found = committed("config.yaml")
    once = [("one-gpu", 0), ("cnn-two-devices", 0)]
    assert [(run.variant, run.seed) for run in found.runs] == [*(("cnn", seed) for seed in range(5)), *once]
    assert [run.runtime.gpus_per_training for run in found.runs] == [1] * 6 + [2]
    assert [run.seed for run in found.ensembles[0].members] == [0, 1, 2, 3, 4]
    assert str(found.ensembles[0].predictions) == "results/rehearsal/predictions/cifar10/5-cnns-9d37d2e4/average"
    assert found.runs[0].training.schedule.epochs == [3, 1]
    assert found.runs[0].net.conv2.model_dump() == {"kernels": 48, "kernel_px": 5, "stride": 1, "pad": 2}
    assert (found.runs[5].net.towers, found.runs[5].net.halved) == (1, ["conv1", "conv2", "conv3", "conv4"])


SCALED = ("crop_px", *(f"conv{k}" for k in range(1, 6)), "fc_neurons")


def test_the_papers_own_configuration_departs_in_nothing():
    listed = committed("ilsvrc.yaml").list_experiments()["experiments"]
    assert len(listed) == 4 and all(each["departures"] == [] for each in listed)


def test_what_a_variant_changes_is_no_departure_but_the_base_is():
    experiments = [{"dataset": "cifar10", "variant": "one-gpu", "seeds": [0], "tables": ["in_text"]}]
    net = MINIMAL["net"] | {"dropout": 0.0}
    made = plan(net=net, training={"batch_size": 64, "torch_threads": 2}, experiments=experiments)
    (listed,) = made.list_experiments()["experiments"]
    of_net = ["net.crop_px", "net.conv1", "net.dropout"]
    assert listed["departures"] == ["datasets.size_px", *of_net, "training.batch_size"]


def test_the_list_of_experiments_names_every_folder():
    listed = committed("config.yaml").list_experiments()
    cnn, one_gpu, _, ensemble = listed["experiments"]
    assert listed["name"] == "rehearsal"
    assert cnn["runs"] == [f"results/rehearsal/runs/cifar10/cnn-7f484866/seed{seed}" for seed in range(5)]
    assert one_gpu["predictions"] == ["results/rehearsal/predictions/cifar10/one-gpu-d7ee8a79/seed0"]
    assert ensemble == {
        "dataset": "cifar10",
        "kind": "cifar10",
        "splits": ["val", "test"],
        "departures": ["datasets.size_px", *(f"net.{key}" for key in SCALED), "training.schedule"],
        "tables": ["table2", "in_text"],
        "ensemble": "5-cnns",
        "predictions": ["results/rehearsal/predictions/cifar10/5-cnns-9d37d2e4/average"],
    }


def test_a_placement_changes_no_hash_and_takes_two_cards_and_twice_the_threads():
    run = two_devices(training={"torch_threads": 3})
    (alone,) = plan(training={"torch_threads": 3}).runs[:1]
    assert (run.hash8, alone.variant) == (alone.hash8, "cnn")
    assert (run.runtime.placement, run.runtime.gpus_per_training, run.training_threads) == ("two-devices", 2, 6)
    assert (alone.runtime.gpus_per_training, alone.training_threads) == (1, 3)


def test_where_test_labels_are_withheld_val_alone_is_evaluated(tmp_path):
    editions = {kind: {"kind": kind, "folder": str(tmp_path)} for kind in ("ilsvrc2010", "ilsvrc2012")}
    experiments = [
        {"dataset": kind, "variant": "cnn", "seeds": [0, 1, 2, 3, 4], "tables": [table]}
        for kind, table in (("ilsvrc2010", "table1"), ("ilsvrc2012", "table2"))
    ]
    experiments.append({"dataset": "ilsvrc2012", "ensemble": "5-cnns", "tables": ["table2"]})
    found = plan(datasets=editions, experiments=experiments, net={})
    assert {run.dataset_name: run.splits for run in found.runs} == {
        "ilsvrc2010": ("val", "test"),
        "ilsvrc2012": ("val",),
    }
    assert [ensemble.splits for ensemble in found.ensembles] == [("val",)]
    listed = found.list_experiments()["experiments"]
    assert [entry["splits"] for entry in listed] == [["val", "test"], ["val"], ["val"]]


def test_the_hash_does_not_depend_on_the_order_of_keys():
    values = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    reordered = {
        key: dict(reversed(value.items())) if key in ("net", "training") else value
        for key, value in reversed(values.items())
    }
    assert make_plan(reordered, "x", VARIANTS).runs[0].hash8 == "7f484866"


def test_writing_a_default_out_changes_no_hash():
    written = plan(training={"batch_size": 128, "learning_rate": 0.01, "augmentation": {"crops": True}})
    assert written.runs[0].hash8 == plan().runs[0].hash8


def test_a_calibration_changes_no_hash(tmp_path):
    (tmp_path / "weights.pth").touch()
    datasets = MINIMAL["datasets"] | {"imagenet": {"kind": "ilsvrc2012", "folder": str(tmp_path)}}
    section = {"dataset": "imagenet", "weights": str(tmp_path / "weights.pth")}
    found = plan(datasets=datasets, calibration=section)
    assert found.config.calibration.model_dump() == section
    assert found.runs[0].hash8 == plan().runs[0].hash8
    assert plan().config.calibration is None


def test_two_lines_of_one_variant_train_each_seed_once():
    found = plan(experiments=[LINE | {"seeds": [0, 1]}, LINE | {"seeds": [1, 2], "tables": ["in_text"]}])
    assert [run.seed for run in found.runs] == [0, 1, 2]
    assert [each["seeds"] for each in found.list_experiments()["experiments"]] == [[0, 1], [1, 2]]


def test_two_lines_of_one_ensemble_average_it_once():
    ensemble = {"dataset": "cifar10", "ensemble": "5-cnns", "tables": ["table2"]}
    found = plan(experiments=[LINE | {"seeds": [0, 1, 2, 3, 4]}, ensemble, ensemble | {"tables": ["in_text"]}])
    assert len(found.ensembles) == 1
    assert len(found.list_experiments()["experiments"]) == 3


def test_describing_without_a_configuration_gives_the_papers_net():
    assert describe_target("cnn", VARIANTS, None) == NetConfig()
    assert describe_target("one-gpu", VARIANTS, None).towers == 1
    assert describe_target("cnn", VARIANTS, ROOT / "config/config.yaml").fc_neurons == 384


def test_a_minimal_configuration_trains_by_the_paper():
    assert plan().runs[0].training == TrainingConfig()


def test_experiments_for_claims_belong_to_the_plan_only_when_they_are_asked_for():
    values = MINIMAL | {"claims": [CLAIM]}
    few, all_of_them = (make_plan(values, "some.yaml", VARIANTS, targets) for targets in ((), ("claims",)))
    assert [(run.variant, run.seed) for run in few.runs] == [("cnn", 0)]
    assert [(run.variant, run.seed) for run in all_of_them.runs] == [
        *(("cnn", 0), ("no-lrn", 0), ("no-lrn", 1), ("cnn", 1))
    ]
    assert len(few.list_experiments()["experiments"]) == 1
    listed = all_of_them.list_experiments()["experiments"]
    assert [(each["variant"], each["seeds"], each["tables"]) for each in listed] == [
        ("cnn", [0], ["table1"]),
        ("no-lrn", [0, 1], ["claims"]),
        ("cnn", [0, 1], ["claims"]),
    ]


def test_a_published_length_lays_its_training_over_the_variants():
    line = CLAIM | {"variants": ["cifar-13pct"], "seeds": [0]}
    here, published = (
        make_plan(MINIMAL | {"claims": [line | {"length": length}]}, "some.yaml", VARIANTS, targets=["claims"]).runs[1]
        for length in ("here", "published")
    )
    assert (here.training.schedule.epochs, published.training.schedule.epochs) == ([20, 5, 3], [140, 10, 10])
    assert published.training.learning_rate == here.training.learning_rate == 0.001
    assert published.hash8 != here.hash8
    assert "no-lrn has no training of a published length" in complaint(claims=[CLAIM | {"length": "published"}])
    both = [line, line | {"length": "published"}]
    assert "cifar-13pct seed 0 on cifar10 is asked for in two ways" in complaint(claims=both)


def test_all_seeds_of_a_variant_share_the_search_of_the_first():
    line = CLAIM | {"variants": ["four-layer-relu"], "seeds": [2, 1]}
    made = make_plan(MINIMAL | {"claims": [line]}, "some.yaml", VARIANTS, targets=["claims"])
    runs = [run for run in made.runs if run.variant == "four-layer-relu"]
    assert set(made.searches) == {run.folder for run in runs}
    first, second = made.searches.values()
    assert [each.folder for each in first] == [each.folder for each in second]
    assert len(first) == 6 and {each.seed for each in first} == {2}
    assert len(made.trainings) == len(made.runs) + 6


def test_a_plan_keeps_the_experiments_that_are_wanted():
    values = MINIMAL | {"claims": [CLAIM]}
    everything = make_plan(values, "some.yaml", VARIANTS, targets=["claims"])
    few = everything.keep(lambda experiment: experiment.variant == "no-lrn" and len(experiment.seeds) == 2)
    assert [(run.variant, run.seed) for run in few.runs] == [("no-lrn", 0), ("no-lrn", 1)]
    assert len(few.list_experiments()["experiments"]) == 1
    assert everything.keep(lambda experiment: True).runs == everything.runs


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
    found = plan(
        datasets=datasets,
        experiments=experiments,
        net=MINIMAL["net"] | {"fc_neurons": 96},
        per_dataset={"large": other},
    )
    small, large = found.runs
    assert (small.net.fc_neurons, small.net.conv1.kernels, small.training.learning_rate) == (96, 96, 0.01)
    assert (large.net.fc_neurons, large.net.conv1.kernels, large.training.learning_rate) == (192, 20, 0.002)
    assert large.net.conv1.kernel_px == MINIMAL["net"]["conv1"]["kernel_px"]  # the rest is the common base's
    departures = [each["departures"] for each in found.list_experiments()["experiments"]]
    assert ["training.learning_rate" in each for each in departures] == [False, True]


@pytest.mark.parametrize(
    ("other", "place"),
    [
        ({"nowhere": {"net": {}}}, "per_dataset.nowhere"),
        ({"cifar10": {"nett": {}}}, "nett"),
        ({"cifar10": {"net": {"fc_neurones": 3}}}, "fc_neurones"),
        ({"cifar10": {"net": {"kind": "layers"}}}, "net.kind"),
        ({"cifar10": {"net": {"conv1": {"kernels": "x0.3"}}}}, "per_dataset.cifar10"),
    ],
)
def test_a_mistake_in_the_base_of_a_dataset_is_named(other, place):
    assert place in complaint(per_dataset=other, net=MINIMAL["net"] | {"conv1": {"kernels": 5, "kernel_px": 5}})
