"""Trainings that begin with the layers of another net: pre-trained on more classes, then fine-tuned (§6)."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_training import Died, die_at, make_run, read_history, train_here, weights_digest, write_run

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
    from tiny_training import stay_offline

    with pytest.MonkeyPatch.context() as patch:
        stay_offline(patch)
        folder = write_run(root, "pretrained", variant="sixth", **SIXTH)
        train_here(folder)
    return folder


def tune(root, name: str, **changes):
    """The folder of a run that starts from it."""
    earlier = make_run(root, variant="sixth", **SIXTH).model_dump()
    start = {"starts_from": {"run": earlier, "layers": KEPT}}
    return write_run(root, name, variant="tuned", **SIXTH, training=RATES, **start, **changes)


def fine_tune(folder, pretrained) -> None:
    train_here(folder, start_folder=pretrained)


@pytest.fixture(scope="module")
def tuned(root, pretrained):
    from tiny_training import stay_offline

    folder = tune(root, "tuned")
    with pytest.MonkeyPatch.context() as patch:
        stay_offline(patch)
        fine_tune(folder, pretrained)
    return folder


def read_run_of(root, **changes):
    earlier = make_run(root, variant="sixth", **SIXTH)
    return make_run(root, **SIXTH, starts_from={"run": earlier.model_dump(), "layers": KEPT}, **changes)


def test_it_begins_with_the_kept_layers_and_a_new_head(root, pretrained):
    run = read_run_of(root)
    state = begin_from(run, run.starts_from, 3, {}, pretrained)
    kept, fresh = load_file(pretrained / "model.safetensors"), make_net(run.net, 3)
    initialise(fresh, torch_generator(run.seed, "init"))
    for name, value in state.weights.items():
        expected = fresh.state_dict()[name] if name.startswith("fc8") else kept[name]
        assert torch.equal(value, expected), name
    assert (state.epoch, state.step, state.history, state.velocity) == (0, 0, [], {})


def test_a_head_of_other_classes_is_no_matter_and_a_kept_layer_of_another_shape_is(root, pretrained):
    run = read_run_of(root)
    assert begin_from(run, run.starts_from, 40, {}, pretrained).weights["fc8.weight"].shape == (40, 16)


def test_each_layer_learns_at_its_own_rate(root, pretrained, tuned):
    before, after = (load_file(folder / "model.safetensors") for folder in (pretrained, tuned))
    assert torch.equal(after["conv1.weight"], before["conv1.weight"])  # at rate 0
    moved = {name: float((after[name] - before[name]).abs().mean()) for name in ("conv6.weight", "fc8.weight")}
    assert 0 < moved["conv6.weight"] < moved["fc8.weight"]


def test_the_record_says_what_it_started_from(pretrained, tuned):
    record, earlier = (
        json.loads((folder / "record.json").read_text(encoding="utf-8")) for folder in (tuned, pretrained)
    )
    found = record["starts_from"]
    assert found["weights_sha256"] == earlier["weights_sha256"] and found["dataset"] == earlier["dataset"]
    assert (found["variant"], found["seed"], found["classes"], found["layers"]) == ("sixth", 1, 3, KEPT)
    assert "starts_from" not in earlier


def test_killed_at_any_moment_it_ends_with_the_same_bits(root, pretrained, tuned, monkeypatch):
    folder = tune(root, "killed", runtime={"checkpoint_every_s": 1e-9})
    for moment in ((1, 1), (2, 7)):
        with monkeypatch.context() as patch:
            die_at(patch, lambda epoch, batch, moment=moment: (epoch, batch) == moment)
            with pytest.raises(Died):
                fine_tune(folder, pretrained)
    fine_tune(folder, pretrained)
    assert weights_digest(folder) == weights_digest(tuned)
    assert read_history(folder).equals(read_history(tuned))


def test_another_pretraining_makes_another_run(root):
    plain, tuned = make_run(root, **SIXTH), read_run_of(root)
    assert plain.hash8 != tuned.hash8
    start = tuned.starts_from
    others = [
        start.model_copy(update={"layers": KEPT[:-1]}),
        start.model_copy(update={"run": start.run.model_copy(update={"seed": 2})}),
        start.model_copy(update={"run": make_run(root, **SIXTH, training={"learning_rate": 0.3})}),
    ]
    hashes = {tuned.model_copy(update={"starts_from": each}).hash8 for each in (start, *others)}
    assert len(hashes) == 4


def test_a_folder_that_holds_another_training_is_refused(root, alone):
    with pytest.raises(RecordError, match="holds cnn-.* seed 1, but tuned starts from sixth-"):
        fine_tune(tune(root, "misled"), alone)


def test_weights_that_are_not_those_of_the_record_are_refused(root, pretrained, tmp_path):
    for name in ("record.json", "config.yaml"):
        (tmp_path / name).write_bytes((pretrained / name).read_bytes())
    weights = load_file(pretrained / "model.safetensors")
    save_file({**weights, "conv1.bias": weights["conv1.bias"] + 1}, tmp_path / "model.safetensors")
    with pytest.raises(RecordError, match="is not what record.json beside it describes"):
        fine_tune(tune(root, "damaged"), tmp_path)


def test_the_folder_goes_with_runs_that_start_from_another_and_no_others(root, pretrained):
    with pytest.raises(ConfigError, match="tuned starts from results/tiny/runs/pictures/sixth-.*; run snakemake"):
        train_here(tune(root, "alone-in-the-world"))
    with pytest.raises(ConfigError, match="cnn starts from no other training; leave --start"):
        fine_tune(write_run(root, "plain"), pretrained)
