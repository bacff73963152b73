import copy
from pathlib import Path

import pytest
import yaml

from alexnet2012 import paper
from alexnet2012.config import TrainingConfig
from alexnet2012.errors import ConfigError
from alexnet2012.net_config import NetConfig
from alexnet2012.plan import merge
from alexnet2012.resolve import describe_target, load_variants, make_plan, read_run
from alexnet2012.validation import read_yaml

ROOT = Path(__file__).parents[2]
VARIANTS = ROOT / "config" / "variants.yaml"
LINE = {"dataset": "cifar10", "variant": "cnn", "seeds": [0], "tables": ["table1"]}
MINIMAL = {
    "name": "some",
    "datasets": {"cifar10": {"kind": "cifar10", "size_px": 32}},
    "experiments": [LINE],
    "net": {"crop_px": 28, "conv1": {"kernel_px": 5, "stride": 1}},
}


def plan(variants=VARIANTS, **changes):
    return make_plan(MINIMAL | changes, "some.yaml", variants)


def complaint(variants=VARIANTS, **changes) -> str:
    with pytest.raises(ConfigError) as caught:
        plan(variants, **changes)
    return str(caught.value)


def test_a_plan_may_be_made_before_the_folder_is_there():
    datasets = {"photos": {"kind": "imagefolder", "folder": "nowhere"}}
    values = MINIMAL | {"datasets": datasets, "experiments": [LINE | {"dataset": "photos"}]}
    assert len(make_plan(values, "some.yaml", VARIANTS).runs) == 1


@pytest.fixture
def write_variants(tmp_path):
    def write(variants: dict, ensembles: dict | None = None) -> Path:
        path = tmp_path / "variants.yaml"
        whole = {name: {"section": "3.5"} | delta for name, delta in variants.items()}
        path.write_text(yaml.safe_dump({"variants": whole, "ensembles": ensembles or {}}))
        return path

    return write


def committed(name: str):
    return make_plan(yaml.safe_load((ROOT / "config" / name).read_text()), name, VARIANTS)


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


def two_devices(net: dict | None = None, training: dict | None = None, variant: str = "cnn-two-devices"):
    experiments = [{"dataset": "cifar10", "variant": variant, "seeds": [0], "tables": ["in_text"]}]
    runtime = {} if variant == "cnn-two-devices" else {"placement": "two-devices"}
    return plan(
        net=MINIMAL["net"] | (net or {}), training=training or {}, experiments=experiments, runtime=runtime
    ).runs[0]


def test_a_placement_changes_no_hash_and_takes_two_cards_and_twice_the_threads():
    run = two_devices(training={"torch_threads": 3})
    (alone,) = plan(training={"torch_threads": 3}).runs[:1]
    assert (run.hash8, alone.variant) == (alone.hash8, "cnn")
    assert (run.runtime.placement, run.runtime.gpus_per_training, run.training_threads) == ("two-devices", 2, 6)
    assert (alone.runtime.gpus_per_training, alone.training_threads) == (1, 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"net": {"fc_neurons": 33}}, "halves fc6 and fc7, and net.fc_neurons is 33; make it even"),
        ({"variant": "one-gpu"}, "splits a net of two towers, and this net has none; give it net.towers: 2"),
        ({"variant": "cifar-13pct"}, "splits a net of two towers, and this net has none"),
        ({"training": {"recipe": "fast", "compile": True}}, "features between layers, which cannot be compiled"),
    ],
)
def test_a_net_that_cannot_be_two_towers_is_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        two_devices(**changes)


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
    values = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    reordered = {
        key: dict(reversed(value.items())) if key in ("net", "training") else value
        for key, value in reversed(values.items())
    }
    assert make_plan(reordered, "x", VARIANTS).runs[0].hash8 == "7f484866"


def test_writing_a_default_out_changes_no_hash():
    written = plan(training={"batch_size": 128, "learning_rate": 0.01, "augmentation": {"crops": True}})
    assert written.runs[0].hash8 == plan().runs[0].hash8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainning": {}}, 'some.yaml: "trainning" is not a setting; did you mean "training"?'),
        (
            {"datasets": {"cifar10": {"kind": "cifar10", "size": 32}}},
            'some.yaml: datasets.cifar10: "size" is not a setting; did you mean "size_px"?',
        ),
        (
            {"experiments": [LINE | {"seed": 0}]},
            'some.yaml: experiments[0]: "seed" is not a setting; did you mean "seeds"?',
        ),
        ({"net": {"crop": 1}}, 'some.yaml: net: "crop" is not a setting; did you mean "crop_px"?'),
        ({"net": {"conv1": {"kernel": 5}}}, 'some.yaml: net.conv1: "kernel" is not a setting; did you mean "kernels"?'),
        ({"net": {"lrn": {"alhpa": 1.0}}}, 'some.yaml: net.lrn: "alhpa" is not a setting; did you mean "alpha"?'),
        ({"net": {"pool": {"sise": 2}}}, 'some.yaml: net.pool: "sise" is not a setting; did you mean "size"?'),
        (
            {"training": {"augmentation": {"color_std": 0.0}}},
            'some.yaml: training.augmentation: "color_std" is not a setting; did you mean "colour_std"?',
        ),
        (
            {"training": {"schedule": {"pateince": 2}}},
            'some.yaml: training.schedule: "pateince" is not a setting; did you mean "patience"?',
        ),
        ({"runtime": {"devise": "cpu"}}, 'some.yaml: runtime: "devise" is not a setting; did you mean "device"?'),
        ({"runtime": {"zzz": 1}}, "there are accept_code, checkpoint_every_s, device, evaluation_batch"),
    ],
)
def test_an_unknown_key_is_refused_at_every_level_with_the_nearest_name(changes, message):
    assert message in complaint(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": 2012}, "some.yaml: name is 2012: input should be a valid string"),
        (
            {"training": {"batch_size": "many"}},
            "some.yaml: training.batch_size is 'many': input should be a valid integer",
        ),
        ({"training": {"learning_rate": "1e-4"}}, "training.learning_rate is '1e-4': input should be a valid number"),
        ({"training": {"learning_rate": "1e-4"}}, "it was read as text: write 0.0001"),
        ({"net": {"halved": ["conv9"]}}, "some.yaml: net.halved[0] is 'conv9': input should be 'conv1', 'conv2'"),
        (
            {"experiments": [LINE | {"tables": ["table9"]}]},
            "experiments[0].tables[0] is 'table9': input should be 'table1'",
        ),
        ({"datasets": {}}, "some.yaml: datasets is {}: dictionary should have at least 1 item"),
        ({"experiments": []}, "some.yaml: experiments is []: list should have at least 1 item"),
        ({"net": None}, "some.yaml: net is empty; give it a value or remove it"),
        ({"training": None}, "some.yaml: training is empty; give it a value or remove it"),
        ({"runtime": None}, "some.yaml: runtime is empty; give it a value or remove it"),
        ({"net": {"conv1": None}}, "some.yaml: net.conv1 is empty; give it a value or remove it"),
        ({"training": {"schedule": None}}, "some.yaml: training.schedule is empty; give it a value or remove it"),
        ({"name": "reference"}, "name: results/reference is not a configuration's folder; choose another name"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(changes, message):
    assert message in complaint(**changes)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"kind": "steps"}, "training.schedule.kind is 'steps': input should be 'fixed' or 'plateau'"),
        (
            {"kind": "fixed", "epochs": [1], "patience": 2},
            'training.schedule: "patience" is not a setting of a fixed schedule but of a plateau one; '
            "write kind: plateau or remove it",
        ),
        (
            {"epochs": [1]},
            'training.schedule: "epochs" is not a setting of a plateau schedule but of a fixed one; write kind: fixed',
        ),
        ({"kind": "fixed"}, 'training.schedule: "epochs" is missing'),
        ({"kind": "fixed", "epochs": [0]}, "training.schedule.epochs: every learning rate needs at least one epoch"),
        (
            {"kind": "fixed", "epochs": [1], "epoch": 1},
            'training.schedule: "epoch" is not a setting; did you mean "epochs"?',
        ),
    ],
)
def test_a_mistaken_schedule_is_told_by_its_own_kind(schedule, message):
    found = complaint(training={"schedule": schedule})
    assert found.startswith("some.yaml: ")
    assert message in found


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (None, "some.yaml: it is empty; a file of settings was expected"),
        (["a"], "some.yaml: it holds a list; settings, each a `key: value`, were expected"),
        ("text", "some.yaml: it holds a str; settings, each a `key: value`, were expected"),
        (
            {},
            'some.yaml: "name" is missing\nsome.yaml: "datasets" is missing\nsome.yaml: "experiments" is missing',
        ),
    ],
)
def test_a_file_without_settings_is_refused(values, message):
    with pytest.raises(ConfigError) as caught:
        make_plan(values, "some.yaml", VARIANTS)
    assert str(caught.value) == message


def test_mistakes_are_reported_together_over_both_sections():
    lines = complaint(net={"crop": 1, "towers": 3}, training={"epochs": 3}).splitlines()
    assert len(lines) == 3
    assert [line.split(":")[1].split()[0].split(".")[0] for line in lines] == ["net", "net", "training"]


def test_a_mistake_in_a_delta_is_the_variants_and_one_in_the_base_the_configurations(write_variants):
    variants = write_variants({"cnn": {"training": {"batch": 3}}})
    assert complaint(variants).startswith(
        f'{variants}: cnn: training: "batch" is not a setting; did you mean "batch_size"?'
    )
    fine = write_variants({"cnn": {"net": {"lrn": {"n": 3}}}})
    assert complaint(fine, net=MINIMAL["net"] | {"lrn": {"k": "two"}}).startswith("some.yaml: net.lrn.k is 'two'")


@pytest.mark.parametrize(
    "delta",
    [
        {"net": {"halved": ["conv9"]}},
        {"net": {"conv1": None}},
        {"net": {"conv1": 3}},
        {"training": {"schedule": {"kind": "fixed", "epochs": [0]}}},
        {"training": {"schedule": {"kind": "fixed", "epochs": ["x"]}}},
        {"training": {"schedule": {"kind": "steps"}}},
    ],
)
def test_a_mistake_deep_in_a_delta_is_still_the_variants(write_variants, delta):
    variants = write_variants({"cnn": delta})
    assert complaint(variants).startswith(f"{variants}: cnn: ")


def test_settings_that_contradict_each_other_are_the_variants_only_where_it_wrote_one(write_variants):
    contradiction = {"precision": "bf16"}
    assert complaint(training=contradiction).startswith("some.yaml: training: recipe paper is float32")
    variants = write_variants({"cnn": {"training": contradiction}})
    assert complaint(variants).startswith(f"{variants}: cnn: training: recipe paper is float32")


def test_an_unknown_key_of_a_variant_is_refused(write_variants):
    variants = write_variants({"cnn": {"nett": {}}})
    assert complaint(variants) == f'{variants}: variants.cnn: "nett" is not a setting; did you mean "net"?'


def test_unknown_names_are_answered_with_the_nearest_known():
    assert complaint(experiments=[LINE | {"dataset": "cifar-10"}]) == (
        'some.yaml: experiments[0].dataset: there is no dataset "cifar-10"; did you mean "cifar10"?'
    )
    found = complaint(experiments=[LINE | {"variant": "one-gpus"}])
    assert found.startswith('some.yaml: experiments[0].variant: there is no variant "one-gpus" in ')
    assert found.endswith('did you mean "one-gpu"?')
    ensemble = {"dataset": "cifar10", "ensemble": "6-cnns", "tables": ["table2"]}
    assert complaint(experiments=[ensemble]).endswith('did you mean "5-cnns"?')


def test_a_crop_larger_than_the_image_is_refused():
    assert complaint(net=MINIMAL["net"] | {"crop_px": 33}) == (
        "some.yaml: variant cnn on cifar10: net.crop_px is 33, larger than the dataset's size_px of 32; "
        "make it at most 32"
    )


def test_sizes_that_build_no_net_are_refused():
    assert "net.conv1: 3 kernels cannot be split over 2 towers" in complaint(
        net={"crop_px": 28, "conv1": {"kernels": 3, "kernel_px": 5, "stride": 1}}
    )


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"dataset": "imagent"}, 'calibration.dataset: there is no dataset "imagent"; did you mean "imagenet"?'),
        (
            {"dataset": "cifar10"},
            "calibration.dataset: cifar10 is of kind cifar10, but the errors of torchvision's AlexNet are known on "
            "ilsvrc2012 alone; name a dataset of that kind, or remove the section",
        ),
        (
            {"dataset": "imagenet", "weights": "none.pth"},
            "calibration.weights: none.pth is not a file; give torchvision's weights, or remove the line",
        ),
        ({"dataset": "imagenet", "weight": "x"}, 'calibration: "weight" is not a setting; did you mean "weights"?'),
        ({}, 'calibration: "dataset" is missing'),
    ],
)
def test_a_calibration_of_what_is_not_known_is_refused(tmp_path, section, message):
    datasets = MINIMAL["datasets"] | {"imagenet": {"kind": "ilsvrc2012", "folder": str(tmp_path)}}
    assert complaint(datasets=datasets, calibration=section) == f"some.yaml: {message}"


def test_a_calibration_changes_no_hash(tmp_path):
    (tmp_path / "weights.pth").touch()
    datasets = MINIMAL["datasets"] | {"imagenet": {"kind": "ilsvrc2012", "folder": str(tmp_path)}}
    section = {"dataset": "imagenet", "weights": str(tmp_path / "weights.pth")}
    found = plan(datasets=datasets, calibration=section)
    assert found.config.calibration.model_dump() == section
    assert found.runs[0].hash8 == plan().runs[0].hash8
    assert plan().config.calibration is None


@pytest.mark.parametrize("name", ["a/b", "../up", "", " x", "x\n"])
def test_a_dataset_that_cannot_name_a_folder_is_refused(name):
    found = complaint(datasets={name: MINIMAL["datasets"]["cifar10"]}, experiments=[LINE | {"dataset": name}])
    assert f'datasets: "{name}" cannot name a folder of results' in found


def test_a_variant_that_cannot_name_a_folder_is_refused(write_variants):
    assert '"no/lrn" cannot name a folder of results' in complaint(write_variants({"no/lrn": {}}))


@pytest.mark.parametrize(
    ("base", "delta", "expected"),
    [
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}, {"a": {"x": 1, "y": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"lrn": {"n": 5}}, {"lrn": None}, {"lrn": None}),
        ({"lrn": None}, {"lrn": {"n": 3}}, {"lrn": {"n": 3}}),
        (
            {"schedule": {"kind": "plateau", "patience": 5}},
            {"schedule": {"kind": "fixed", "epochs": [1]}},
            {"schedule": {"kind": "fixed", "epochs": [1]}},
        ),
        (
            {"schedule": {"kind": "plateau", "patience": 5, "drops": 3}},
            {"schedule": {"patience": 2}},
            {"schedule": {"kind": "plateau", "patience": 2, "drops": 3}},
        ),
    ],
)
def test_merging_lays_a_delta_over_a_base(base, delta, expected):
    untouched = copy.deepcopy(base)
    assert merge(base, delta) == expected
    assert base == untouched


def test_a_variant_changes_the_base_and_nothing_else(write_variants):
    variants = write_variants(
        {
            "cnn": {},
            "no-lrn": {"net": {"lrn": None}},
            "steps": {"training": {"schedule": {"kind": "fixed", "epochs": [2, 1]}}},
        }
    )
    runs = plan(variants, experiments=[LINE | {"variant": name} for name in ("cnn", "no-lrn", "steps")]).runs
    cnn, no_lrn, steps = runs
    assert (cnn.net.lrn.n, no_lrn.net.lrn) == (5, None)
    assert no_lrn.net.model_copy(update={"lrn": cnn.net.lrn}) == cnn.net
    assert steps.net == cnn.net
    assert steps.training.schedule.model_dump() == {"kind": "fixed", "epochs": [2, 1]}
    assert len({run.hash8 for run in runs}) == 3


def test_two_variants_with_the_same_settings_share_the_hash_but_not_the_folder(write_variants):
    variants = write_variants({"cnn": {}, "same": {"net": {"dropout": 0.5}}})
    cnn, same = plan(variants, experiments=[LINE, LINE | {"variant": "same"}]).runs
    assert cnn.hash8 == same.hash8
    assert cnn.folder != same.folder


def test_two_lines_of_one_variant_train_each_seed_once():
    found = plan(experiments=[LINE | {"seeds": [0, 1]}, LINE | {"seeds": [1, 2], "tables": ["in_text"]}])
    assert [run.seed for run in found.runs] == [0, 1, 2]
    assert [each["seeds"] for each in found.list_experiments()["experiments"]] == [[0, 1], [1, 2]]


def test_two_lines_of_one_ensemble_average_it_once():
    ensemble = {"dataset": "cifar10", "ensemble": "5-cnns", "tables": ["table2"]}
    found = plan(experiments=[LINE | {"seeds": [0, 1, 2, 3, 4]}, ensemble, ensemble | {"tables": ["in_text"]}])
    assert len(found.ensembles) == 1
    assert len(found.list_experiments()["experiments"]) == 3


def test_an_ensemble_needs_its_members_trained():
    ensemble = {"dataset": "cifar10", "ensemble": "5-cnns", "tables": ["table2"]}
    assert complaint(experiments=[LINE | {"seeds": [0, 1, 2, 3]}, ensemble]) == (
        "some.yaml: experiments[1]: ensemble 5-cnns averages cnn seed 4 on cifar10, which no experiment trains; "
        "add seed 4 to an experiment of cnn"
    )


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([{"variant": "cn", "seeds": [0]}], 'ensembles.pair.members[0]: there is no variant "cn"; did you mean "cnn"?'),
        ([{"variant": "cnn", "seeds": [0, 0]}], "ensemble pair names cnn seed 0 twice in variants.yaml"),
        ([{"variant": "cnn", "seed": 0}], 'ensembles.pair.members[0]: "seed" is not a setting; did you mean "seeds"?'),
    ],
)
def test_a_mistaken_ensemble_is_refused(write_variants, members, message):
    variants = write_variants({"cnn": {}}, {"pair": {"section": "6", "members": members}})
    ensemble = {"dataset": "cifar10", "ensemble": "pair", "tables": ["table2"]}
    assert message in complaint(variants, experiments=[LINE, ensemble])


def test_a_name_is_a_variant_or_an_ensemble(write_variants):
    variants = write_variants({"cnn": {}}, {"cnn": {"section": "6", "members": [{"variant": "cnn", "seeds": [0]}]}})
    assert complaint(variants) == f"{variants}: cnn is a variant and an ensemble; give one of them another name"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", "file.yaml, line 3: "),
        ("a: 1\n\tb: 2\n", "file.yaml, line 2: "),
        ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", 'file.yaml, line 5: "c" is written twice; keep one of them'),
        ("a: !!python/object:os.system {}\n", "could not determine a constructor"),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_line(tmp_path, text, message):
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert message in str(caught.value)
    assert str(caught.value).endswith("this is not valid YAML")


def test_a_key_may_recur_in_another_mapping_and_through_a_merge(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: {x: 4}\n")
    assert read_yaml(path) == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 4}}


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml cannot be read: No such file or directory"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(ConfigError, match=r"binary\.yaml is not text in UTF-8 .* at byte 6"):
        read_yaml(tmp_path / "binary.yaml")


def test_an_empty_variants_file_is_refused(tmp_path):
    path = tmp_path / "variants.yaml"
    path.write_text("")
    with pytest.raises(ConfigError, match="it is empty; a file of settings was expected"):
        load_variants(path)


def test_a_stored_run_reads_back_as_it_was(tmp_path):
    run = committed("config.yaml").runs[5]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(run.model_dump(), sort_keys=False))
    assert read_run(path) == run


def test_describing_without_a_configuration_gives_the_papers_net():
    assert describe_target("cnn", VARIANTS, None) == NetConfig()
    assert describe_target("one-gpu", VARIANTS, None).towers == 1
    assert describe_target("cnn", VARIANTS, ROOT / "config/config.yaml").fc_neurons == 384


def test_a_minimal_configuration_trains_by_the_paper():
    assert plan().runs[0].training == TrainingConfig()


CLAIM = {"dataset": "cifar10", "variants": ["no-lrn", "cnn"], "seeds": [0, 1]}


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


def test_mistakes_among_the_claims_are_found_whatever_is_asked_for():
    assert 'claims[0], no-lnr.variant: there is no variant "no-lnr"' in complaint(
        claims=[CLAIM | {"variants": ["no-lnr"]}]
    )
    assert "claims[0].seeds: seeds must be distinct" in complaint(claims=[CLAIM | {"seeds": [1, 1]}])
    assert "claims[0].variants" in complaint(claims=[CLAIM | {"variants": []}])


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


def test_the_nets_of_layers_are_the_same_whatever_the_base_net_is():
    claims = [CLAIM | {"variants": ["four-layer-tanh"]}]
    run = make_plan(MINIMAL | {"claims": claims}, "some.yaml", VARIANTS, targets=["claims"]).runs[1]
    assert (run.net.kind, run.net.crop_px, run.net.activation, run.net.dropout) == ("layers", 32, "tanh", 0.0)
    assert [layer.type for layer in run.net.layers].count("conv") == 3


@pytest.mark.parametrize(
    ("net", "words"),
    [
        ({"kind": "layer"}, 'net.kind: there is no kind of net "layer"; did you mean "layers"?'),
        ({"kind": "layers", "crop_px": 8, "layers": [{"type": "cnv"}]}, "net.layers[0].type is 'cnv'"),
        (
            {"kind": "layers", "crop_px": 8, "layers": [{"type": "pool", "off": "max"}]},
            '"off" is not a setting; did you mean "of"?',
        ),
        ({"removed": ["conv1"]}, "net.removed[0] is 'conv1'"),
        ({"activation": "sigmoid"}, "net.activation is 'sigmoid'"),
    ],
)
def test_mistakes_in_a_variants_net_are_named(write_variants, net, words):
    variants = write_variants({"cnn": {"net": net}})
    assert words in complaint(variants)


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ({"learning_rate_search": {"rates": [0.1, 0.2], "epochs": 3}}, "needs schedule: {kind: target, ...}"),
        ({"learning_rate_search": {"rates": [0.1, 0.1], "epochs": 3}}, "rates must be distinct and positive"),
        ({"schedule": {"kind": "target", "train_error": 25, "max_epochs": 3}}, "train_error is 25"),
        ({"schedule": {"kind": "target", "train_error": 0.2, "patience": 3}}, "write kind: plateau or remove it"),
    ],
)
def test_mistakes_in_a_target_or_a_search_are_named(training, words):
    assert words in complaint(training=training)


def test_a_run_written_before_nets_had_kinds_is_the_papers(tmp_path):
    run = plan().runs[0]
    values = run.model_dump()
    del values["net"]["kind"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    assert read_run(tmp_path / "config.yaml") == run
    values["net"]["pol"] = 3
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match='net: "pol" is not a setting; did you mean "pool"'):
        read_run(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"net": {"kind": "layers"}}, "some.yaml: net.kind: the base net is the paper's; nets of layers are variants"),
        (
            {"claims": [CLAIM | {"variants": ["no-lrn", "no-lrn"]}]},
            "claims[0].variants: each variant once, found no-lrn",
        ),
        (
            {
                "experiments": [
                    {"dataset": "cifar10", "ensemble": "5-cnns", "length": "published", "tables": ["table1"]}
                ]
            },
            "ensemble 5-cnns takes its members as they are; remove length",
        ),
        (
            {
                "training": {
                    "schedule": {"kind": "target", "train_error": 0.2, "max_epochs": 3},
                    "learning_rate_search": {"rates": [0.1, 0.2], "epochs": 4},
                }
            },
            "learning_rate_search.epochs is 4, more than the 3 of the schedule",
        ),
    ],
)
def test_settings_that_would_do_nothing_are_refused(changes, words):
    assert words in complaint(**changes)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([{"name": "conv1", "kernels": 2}], "net.layers[0] has no type; say which kind it is"),
        ([{"type": "fc", "name": "train", "init_std": 0.1}], "net.layers[0].name is 'train'"),
        (
            [{"type": "fc", "name": "fc1", "neurons": 3, "init_std": 0.1}, {"type": "pool", "of": "max"}],
            "after the first layer of type fc there are no maps left",
        ),
    ],
)
def test_mistakes_in_a_list_of_layers_are_named(write_variants, layers, words):
    assert words in complaint(write_variants({"cnn": {"net": {"kind": "layers", "crop_px": 8, "layers": layers}}}))


def test_a_plan_keeps_the_experiments_that_are_wanted():
    values = MINIMAL | {"claims": [CLAIM]}
    everything = make_plan(values, "some.yaml", VARIANTS, targets=["claims"])
    few = everything.keep(lambda experiment: experiment.variant == "no-lrn" and len(experiment.seeds) == 2)
    assert [(run.variant, run.seed) for run in few.runs] == [("no-lrn", 0), ("no-lrn", 1)]
    assert len(few.list_experiments()["experiments"]) == 1
    assert everything.keep(lambda experiment: True).runs == everything.runs


def test_each_variant_names_the_claims_that_need_it():
    """claims: of variants.yaml and `needs` of the ledger say the same."""
    variants = load_variants(VARIANTS).variants
    for claim in paper.CLAIMS:
        for name in set(claim.variants) & set(variants) - {"cnn"}:
            assert claim.id in variants[name].claims, (claim.id, name)
    editions = (paper.ILSVRC2010, paper.ILSVRC2012, paper.FALL2009)
    on_variants = [claim for claim in paper.CLAIMS if claim.needs not in editions]
    for name, variant in variants.items():
        for claim in (each for each in on_variants if each.id in variant.claims and name not in ("cnn", "tanh")):
            assert name in claim.variants, (claim.id, name)
