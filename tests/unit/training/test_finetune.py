"""Trainings that begin with the layers of another net: pre-trained on more classes, then fine-tuned (§6)."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_training import Died, die_at, make_run, read_history, stay_offline, train_here, weights_digest, write_run

from alexnet2012.data.augment import torch_generator
from alexnet2012.errors import ConfigError, RecordError
from alexnet2012.model.layered import initialise, make_net
from alexnet2012.training.finetune import begin_from

pytestmark = pytest.mark.usefixtures("offline")

SIXTH = {"net": {"sixth_layer": True}}
KEPT = ["conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "fc6", "fc7"]
RATES = {"learning_rate": 0.001, "layer_rates": {"conv1": 0.0, "fc8": 10.0}}


@pytest.fixture(scope="module")
def pretrained(root):
    """A finished training of the net with six convolutions."""
    folder = write_run(root, "pretrained", variant="sixth", **SIXTH)
    with pytest.MonkeyPatch.context() as patch:
        stay_offline(patch)
        train_here(folder)
    return folder


@pytest.fixture(scope="module")
def start(root):
    """The setting of a run that starts from it."""
    return {"starts_from": {"run": make_run(root, variant="sixth", **SIXTH).model_dump(), "layers": KEPT}}


@pytest.fixture(scope="module")
def tune(root, start):
    """tune(name, **changes): the folder of a run that starts from it."""
    return lambda name, **changes: write_run(root, name, variant="tuned", **SIXTH, training=RATES, **start, **changes)


@pytest.fixture(scope="module")
def tuned(pretrained, tune):
    folder = tune("tuned")
    with pytest.MonkeyPatch.context() as patch:
        stay_offline(patch)
        train_here(folder, start_folder=pretrained)
    return folder


def test_it_begins_with_the_kept_layers_and_a_new_head_of_any_number_of_classes(root, pretrained, start):
    run = make_run(root, **SIXTH, **start)
    state = begin_from(run, run.starts_from, 40, {}, pretrained)
    kept, fresh = load_file(pretrained / "model.safetensors"), make_net(run.net, 40)
    initialise(fresh, torch_generator(run.seed, "init"))
    for name, value in state.weights.items():
        assert torch.equal(value, fresh.state_dict()[name] if name.startswith("fc8") else kept[name]), name
    assert (state.epoch, state.step, state.history, state.velocity) == (0, 0, [], {})


def test_each_layer_learns_at_its_own_rate(pretrained, tuned):
    before, after = (load_file(folder / "model.safetensors") for folder in (pretrained, tuned))
    assert torch.equal(after["conv1.weight"], before["conv1.weight"])  # at rate 0
    moved = {name: float((after[name] - before[name]).abs().mean()) for name in ("conv6.weight", "fc8.weight")}
    assert 0 < moved["conv6.weight"] < moved["fc8.weight"]


def test_killed_at_any_moment_it_ends_with_the_same_bits(pretrained, tune, tuned, monkeypatch):
    folder = tune("killed", runtime={"checkpoint_every_s": 1e-9})
    for moment in ((1, 1), (2, 7)):
        with monkeypatch.context() as patch, pytest.raises(Died):
            die_at(patch, lambda epoch, batch, moment=moment: (epoch, batch) == moment)
            train_here(folder, start_folder=pretrained)
    train_here(folder, start_folder=pretrained)
    assert weights_digest(folder) == weights_digest(tuned)
    assert read_history(folder).equals(read_history(tuned))


def test_another_pretraining_makes_another_run(root, start):
    tuned = make_run(root, **SIXTH, **start)
    first = tuned.starts_from
    others = [
        first.model_copy(update={"layers": KEPT[:-1]}),
        first.model_copy(update={"run": first.run.model_copy(update={"seed": 2})}),
        first.model_copy(update={"run": make_run(root, **SIXTH, training={"learning_rate": 0.3})}),
    ]
    runs = [tuned.model_copy(update={"starts_from": each}) for each in (None, first, *others)]
    assert len({run.hash8 for run in runs}) == 5


def test_a_folder_that_holds_another_training_is_refused(tune, alone):
    with pytest.raises(RecordError, match=f"{alone} .*--start"):
        train_here(tune("misled"), start_folder=alone)


def test_weights_that_are_not_those_of_the_record_are_refused(pretrained, tune, tmp_path):
    (tmp_path / "record.json").write_bytes((pretrained / "record.json").read_bytes())
    weights = load_file(pretrained / "model.safetensors")
    save_file({**weights, "conv1.bias": weights["conv1.bias"] + 1}, tmp_path / "model.safetensors")
    with pytest.raises(RecordError, match=f"{tmp_path}/model.safetensors"):
        train_here(tune("damaged"), start_folder=tmp_path)


def test_the_folder_goes_with_runs_that_start_from_another_and_no_others(root, pretrained, tune):
    with pytest.raises(ConfigError, match="tuned .*--start"):
        train_here(tune("alone-in-the-world"))
    with pytest.raises(ConfigError, match="cnn .*--start"):
        train_here(write_run(root, "plain"), start_folder=pretrained)
