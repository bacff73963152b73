import operator
import os
import signal
import time
from itertools import combinations

import numpy as np
import pytest
import torch
from tiny_training import EPOCHS, STEPS_PER_EPOCH, Died, make_run, pack

from alexnet2012.data.augment import stream
from alexnet2012.errors import ConfigError, Interrupted, TrainingError
from alexnet2012.training.checkpoint import StopRequest, list_checkpoints, load_latest
from alexnet2012.training.loader import Batch, choose_rows
from alexnet2012.training.loop import Training, train_to_the_end

STEPS = STEPS_PER_EPOCH * sum(EPOCHS)
MINIVAL = {"schedule_split": "minival", "minival_fraction": 0.1}
TIMED = ("images_per_second", "seconds")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("loop")


@pytest.fixture(scope="module")
def dataset(root):
    return pack(root)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def begin(root, dataset):
    """begin(state, **changes): the tiny training with these settings, from `state` on."""

    def begin(state=None, **changes) -> Training:
        return Training(make_run(root, **changes), dataset, {"code": "c"}, torch.device("cpu"), state)

    return begin


@pytest.fixture(scope="module")
def alone(begin, tmp_path_factory):
    """The training that nobody disturbs."""
    training = begin()
    train_to_the_end(training, tmp_path_factory.mktemp("alone"), StopRequest())
    return training


@pytest.fixture
def ends_as_alone(begin, alone, tmp_path):
    """ends_as_alone(on_step) goes on from the newest checkpoint, to the same bits as the one that nobody disturbs."""

    def untimed(training: Training) -> list[dict]:
        return [{key: row[key] for key in row if key not in TIMED} for row in training.state.history]

    def check(on_step=lambda training: None) -> None:
        training = begin(load_latest(tmp_path))
        train_to_the_end(training, tmp_path, StopRequest(), on_step)
        ours, theirs = training.net.state_dict(), alone.net.state_dict()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
        assert untimed(training) == untimed(alone)

    return check


def test_every_image_is_trained_on_when_val_steers(root, dataset):
    rows = choose_rows(make_run(root), dataset.split("train").labels)
    assert rows.train.tolist() == list(range(126))
    assert (rows.minival.size, len(rows.measured)) == (0, 50)


def test_minival_is_taken_out_class_by_class_by_the_datasets_seed_and_not_the_runs(root, dataset):
    labels = dataset.split("train").labels
    rows, second, other = (
        choose_rows(make_run(root, training=MINIVAL, **changes), labels)
        for changes in ({}, {"seed": 2}, {"dataset": {"split_seed": 2013}})
    )
    # 42 images in each of three classes, a tenth of which is 4.
    assert np.bincount(labels[rows.minival]).tolist() == [4, 4, 4]
    assert sorted([*rows.train, *rows.minival]) == list(range(126))
    assert set(rows.measured) <= set(rows.train)
    assert np.array_equal(rows.minival, second.minival) and np.array_equal(rows.measured, second.measured)
    assert not np.array_equal(rows.minival, other.minival)


def test_minival_leaves_train_fewer_steps_and_steers(begin):
    training = begin(training=MINIVAL | {"minival_fraction": 0.4})
    (batches,) = list_epochs(training, 1)
    row = training.state.history[0]
    # 126 - 3 x 17 = 75 images: nine batches of eight, the last three images are dropped.
    assert [len(batch.labels) for batch in batches] == [8] * 9
    assert row["schedule_top1_error"] == training.measure("train", training.rows.minival)["top1_error"]


@pytest.mark.parametrize(("changes", "images"), [({"batch_size": 127}, 126), ({"batch_size": 126, **MINIVAL}, 114)])
def test_fewer_images_than_a_batch_are_refused(begin, changes, images):
    with pytest.raises(ConfigError, match=f"pictures: {images} .*training.batch_size"):
        begin(training=changes)
    assert begin(training={"batch_size": 126}).steps_per_epoch == 1


def list_epochs(training: Training, epochs: int) -> list[list[Batch]]:
    """The batches of so many epochs as the loop makes them; no weight is changed."""
    seen: list[list[Batch]] = []
    training.update = lambda batch: seen[-1].append(batch)
    for _ in range(epochs):
        seen.append([])
        training.train_epoch(lambda: None)
        training.close_epoch(training.measure_epoch())
    return seen


def test_an_epoch_sees_each_image_at_most_once_in_the_drawn_order(begin, dataset):
    (epoch,) = list_epochs(begin(), 1)
    # 126 / 8 -> 15 steps; six images are left out.
    order = stream(1, "order", 0).permutation(126)[:120]
    assert torch.cat([batch.labels for batch in epoch]).tolist() == dataset.split("train").labels[order].tolist()


def list_images(epoch: list[Batch]) -> list[bytes]:
    """The images of an epoch in their order."""
    return [image.numpy().tobytes() for batch in epoch for image in batch.images]


UNSEEN = {"crops": False, "reflections": False, "colour_std": 0.0}  # each image looks the same in every epoch


@pytest.mark.parametrize("order", ["shuffled", "fixed"])
def test_every_epoch_has_an_order_of_its_own_unless_it_is_fixed_for_all_seeds(begin, order):
    # Batches of nine leave no image out, so that epochs differ by the order alone.
    training = {"batch_size": 9, "order": order, "augmentation": UNSEEN}
    trainings = [list_epochs(begin(seed=seed, training=training), epochs) for seed, epochs in ((1, 3), (2, 1))]
    epochs = [list_images(epoch) for each in trainings for epoch in each]
    assert len(set(epochs[0])) == 126
    assert all(sorted(each) == sorted(epochs[0]) for each in epochs)
    for one, other in combinations(epochs, 2):
        agree = sum(map(operator.eq, one, other))
        # Two random orders agree at one place on average, Poisson: at ten or more once in ten million pairs.
        assert agree == 126 if order == "fixed" else agree < 10


def test_every_epoch_has_views_and_dropout_masks_of_its_own(begin):
    """§4.1: the same image, at the same place of a fixed order, is shown anew in each epoch."""
    epochs = list_epochs(begin(training={"batch_size": 9, "order": "fixed"}), 3)
    masks = [torch.cat([torch.cat(batch.masks, 1) for batch in epoch]) for epoch in epochs]
    for one, other in combinations(range(3), 2):
        assert not any(map(operator.eq, list_images(epochs[one]), list_images(epochs[other])))
        # Two masks that keep 0.8 agree by chance at 0.8^2 + 0.2^2 of their places.
        assert float((masks[one] == masks[other]).float().mean()) == pytest.approx(0.68, abs=0.05)


def test_each_epochs_rate_is_the_optimisers_and_its_seconds_are_its_own(begin, tmp_path):
    rates, started = [], time.monotonic()
    training = begin(training={"schedule": {"kind": "fixed", "epochs": [1, 1, 1]}})
    train_to_the_end(training, tmp_path, StopRequest(), lambda training: rates.append(training.optimiser.lr))
    assert rates == pytest.approx([0.01] * 15 + [0.001] * 15 + [0.0001] * 15, rel=1e-12)
    # Once they were counted from the beginning of the training, by the checkpoint that follows an epoch.
    seconds = sum(row["seconds"] for row in training.state.history)
    assert seconds == pytest.approx(training.state.seconds) and seconds < time.monotonic() - started


def dies_when(condition):
    """An `on_step` that dies when it holds of the state."""

    def die(training: Training) -> None:
        if condition(training.state):
            raise Died

    return die


def test_dying_after_any_step_changes_no_bit(begin, tmp_path, ends_as_alone):
    """A checkpoint after every step, and death after every seventh one, the end of an epoch included."""
    for target in range(2, STEPS, 7):
        training = begin(load_latest(tmp_path), runtime={"checkpoint_every_s": 1e-9})
        with pytest.raises(Died):
            train_to_the_end(training, tmp_path, StopRequest(), dies_when(lambda state, n=target: state.step == n))
        assert load_latest(tmp_path).step == target
    ends_as_alone()


@pytest.mark.parametrize("batch", [7, STEPS_PER_EPOCH])
def test_steps_since_the_last_checkpoint_are_done_again(tmp_path, ends_as_alone, batch):
    """Without a checkpoint since epoch 6 began, the first at the lower rate, a death costs that epoch's steps."""
    with pytest.raises(Died):
        ends_as_alone(dies_when(lambda state: (state.epoch, state.batch) == (5, batch)))
    state = load_latest(tmp_path)
    assert (state.epoch, state.batch, state.step) == (5, 0, 5 * STEPS_PER_EPOCH)
    ends_as_alone()


def test_a_signal_between_steps_writes_a_checkpoint_there(begin, tmp_path, ends_as_alone):
    def signal_at_20(training):
        if training.state.step == 20:
            os.kill(os.getpid(), signal.SIGTERM)

    with StopRequest() as stop, pytest.raises(Interrupted, match="SIGTERM"):
        train_to_the_end(begin(), tmp_path, stop, signal_at_20)
    state = load_latest(tmp_path)
    # The step after which the signal is seen is the next one.
    assert (state.epoch, state.batch, state.step) == (1, 6, 21)
    ends_as_alone()


def test_a_signal_while_an_epoch_is_measured_repeats_the_measuring_alone(begin, tmp_path, ends_as_alone, monkeypatch):
    original = Training.measure

    def signal_in_second_epoch(self, split, rows):
        if self.state.epoch == 1 and split == "val":
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, split, rows)

    with monkeypatch.context() as patch, StopRequest() as stop, pytest.raises(Interrupted):
        patch.setattr(Training, "measure", signal_in_second_epoch)
        train_to_the_end(begin(), tmp_path, stop)
    state = load_latest(tmp_path)
    assert (state.epoch, state.batch, state.step) == (1, STEPS_PER_EPOCH, 2 * STEPS_PER_EPOCH)
    steps = []
    ends_as_alone(lambda training: steps.append(training.state.step))
    assert steps[0] == 2 * STEPS_PER_EPOCH + 1


def test_a_loss_that_is_not_finite_stops_with_its_step(begin, tmp_path):
    training = begin(training={"learning_rate": 1e6})
    with pytest.raises(TrainingError, match=r"training.learning_rate") as failure:
        train_to_the_end(training, tmp_path, StopRequest())
    assert f"step {training.state.step - 1} " in str(failure.value)
    assert training.state.batch < training.steps_per_epoch  # not only when the epoch's weights are looked at
    assert [path.name for path in list_checkpoints(tmp_path)] == ["checkpoint-000000000.pt"]


def test_weights_that_the_last_step_of_an_epoch_spoils_are_neither_measured_nor_saved(begin, tmp_path):
    training = begin()

    def spoil(training):
        if training.state.batch == training.steps_per_epoch:
            training.net.fc8.weight.data.fill_(float("nan"))

    with pytest.raises(TrainingError, match=f"step {STEPS_PER_EPOCH - 1} "):
        train_to_the_end(training, tmp_path, StopRequest(), spoil)
    with pytest.raises(TrainingError):
        training.capture()
    assert [path.name for path in list_checkpoints(tmp_path)] == ["checkpoint-000000000.pt"]


def test_checkpoints_are_written_each_epoch_and_not_more_often_than_asked(begin, tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr("alexnet2012.training.loop.save", lambda _, state: saved.append((state.epoch, state.batch)))
    train_to_the_end(begin(training={"schedule": {"kind": "fixed", "epochs": [2]}}), tmp_path, StopRequest())
    assert saved == [(0, 0), (1, 0), (2, 0)]
