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
from alexnet2012.training.record import summarise

ROWS = ["epoch", "learning_rate", "train_loss", "train_top1_error_as_seen", "train_top1_error"]
ROWS += ["train_loss_evaluation_mode", "val_loss", "val_top1_error", "val_top5_error", "schedule_top1_error"]
STEPS = STEPS_PER_EPOCH * sum(EPOCHS)


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
def alone(root, dataset, tmp_path_factory):
    """The training that nobody disturbs."""
    training = begin(make_run(root), dataset)
    train_to_the_end(training, tmp_path_factory.mktemp("alone"), StopRequest())
    return training


def begin(run, dataset, state=None) -> Training:
    return Training(run, dataset, {"code": "c"}, torch.device("cpu"), state)


def untimed(history: list[dict]) -> list[dict]:
    return [{key: row[key] for key in ROWS} for row in history]


def assert_same(training: Training, other: Training) -> None:
    ours, theirs = training.net.state_dict(), other.net.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert untimed(training.state.history) == untimed(other.state.history)


def run_until_death(run, dataset, folder, on_step) -> None:
    """One life of a training: from what `folder` holds to its end, or to Died."""
    training = begin(run, dataset, load_latest(folder))
    train_to_the_end(training, folder, StopRequest(), on_step)


def test_every_image_is_trained_on_when_val_steers(root, dataset):
    rows = choose_rows(make_run(root), dataset.split("train").labels)

    assert rows.train.tolist() == list(range(126))
    assert rows.minival.size == 0
    assert len(rows.measured) == 50


def test_minival_is_taken_out_of_the_training_images_class_by_class(root, dataset):
    labels = dataset.split("train").labels
    run = make_run(root, training={"schedule_split": "minival", "minival_fraction": 0.1})

    rows = choose_rows(run, labels)

    # 42 images in each of three classes, a tenth of which is 4.
    assert np.bincount(labels[rows.minival]).tolist() == [4, 4, 4]
    assert sorted([*rows.train, *rows.minival]) == list(range(126))
    assert set(rows.measured) <= set(rows.train)


def test_the_choice_of_images_is_the_datasets_not_the_runs(root, dataset):
    labels = dataset.split("train").labels
    minival = {"schedule_split": "minival", "minival_fraction": 0.1}
    first, second = (choose_rows(make_run(root, seed=seed, training=minival), labels) for seed in (0, 1))
    other = choose_rows(make_run(root, dataset={"split_seed": 2013}, training=minival), labels)

    assert np.array_equal(first.minival, second.minival)
    assert np.array_equal(first.measured, second.measured)
    assert not np.array_equal(first.minival, other.minival)


def test_minival_leaves_train_fewer_steps_and_steers(root, dataset, tmp_path):
    training = begin(make_run(root, training={"schedule_split": "minival", "minival_fraction": 0.4}), dataset)
    seen = []
    original = training.update
    training.update = lambda batch: (seen.append(len(batch.labels)), original(batch))

    training.train_epoch(lambda: None)
    row = training.measure_epoch()

    # 126 - 3 x 17 = 75 images: nine batches of eight, the last three images are dropped.
    assert seen == [8] * 9
    assert row["schedule_top1_error"] == training.measure("train", training.rows.minival)["top1_error"]


def test_fewer_images_than_a_batch_are_refused(root, dataset):
    with pytest.raises(ConfigError, match="pictures: 126 training images are fewer than one batch of 127; lower"):
        begin(make_run(root, training={"batch_size": 127}), dataset)

    assert begin(make_run(root, training={"batch_size": 126}), dataset).steps_per_epoch == 1


def test_minival_counts_against_the_batch(root, dataset):
    with pytest.raises(ConfigError, match="114 training images are fewer than one batch of 126"):
        begin(
            make_run(root, training={"batch_size": 126, "schedule_split": "minival", "minival_fraction": 0.1}),
            dataset,
        )


def test_an_epoch_sees_each_image_at_most_once_in_the_drawn_order(root, dataset):
    training = begin(make_run(root), dataset)
    seen = []
    original = training.update
    training.update = lambda batch: (seen.extend(batch.labels.tolist()), original(batch))

    training.train_epoch(lambda: None)

    # 126 / 8 -> 15 steps; six images are left out.
    order = stream(1, "order", 0).permutation(126)[:120]
    assert seen == dataset.split("train").labels[order].tolist()


UNSEEN = {"crops": False, "reflections": False, "colour_std": 0.0}  # each image looks the same in every epoch


def list_epochs(training: Training, epochs: int) -> list[list[Batch]]:
    """The batches of so many epochs as the loop makes them; no weight is changed."""
    seen: list[list[Batch]] = []
    training.update = lambda batch: seen[-1].append(batch)
    for _ in range(epochs):
        seen.append([])
        training.train_epoch(lambda: None)
        training.close_epoch(training.measure_epoch())
    return seen


def list_images(epoch: list[Batch]) -> list[bytes]:
    """The images of an epoch in their order."""
    return [image.numpy().tobytes() for batch in epoch for image in batch.images]


def test_every_epoch_has_an_order_of_its_own(root, dataset):
    # Batches of nine leave no image out, so that epochs differ by the order alone.
    run = make_run(root, training={"batch_size": 9, "augmentation": UNSEEN})
    epochs = [list_images(epoch) for epoch in list_epochs(begin(run, dataset), 4)]

    assert len(set(epochs[0])) == 126
    assert all(sorted(each) == sorted(epochs[0]) for each in epochs)
    for one, other in combinations(epochs, 2):
        # Two random orders agree at one place on average, Poisson: at ten or more once in ten million pairs.
        assert sum(map(operator.eq, one, other)) < 10


def test_a_fixed_order_is_that_of_every_epoch_and_seed(root, dataset):
    fixed = {"batch_size": 9, "order": "fixed", "augmentation": UNSEEN}
    epochs = list_epochs(begin(make_run(root, training=fixed), dataset), 3)
    (other,) = list_epochs(begin(make_run(root, seed=2, training=fixed), dataset), 1)

    assert all(list_images(each) == list_images(other) for each in epochs)


@pytest.mark.parametrize(
    ("change", "as_before"),
    # Shares of images that look as in another epoch: by 5 x 5 positions, by two reflections, by noise of any strength.
    [({"crops": True}, 1 / 25), ({"reflections": True}, 1 / 2), ({"colour_std": 0.1}, 0)],
)
def test_every_epoch_has_crops_reflections_and_noise_of_its_own(root, dataset, change, as_before):
    """§4.1: the same image, at the same place of a fixed order, is shown anew in each epoch: "a factor of 2048"."""
    run = make_run(root, training={"batch_size": 9, "order": "fixed", "augmentation": {**UNSEEN, **change}})
    epochs = [list_images(epoch) for epoch in list_epochs(begin(run, dataset), 4)]

    for one, other in combinations(epochs, 2):
        assert sum(map(operator.eq, one, other)) / 126 == pytest.approx(as_before, abs=0.15 if as_before else 0)


def test_every_epoch_has_dropout_masks_of_its_own(root, dataset):
    epochs = list_epochs(begin(make_run(root), dataset), 3)
    masks = [torch.cat([torch.cat(batch.masks, 1) for batch in epoch]) for epoch in epochs]

    for one, other in combinations(masks, 2):
        # Two masks that keep 0.8 agree by chance at 0.8^2 + 0.2^2 of their places.
        assert float((one == other).float().mean()) == pytest.approx(0.68, abs=0.05)


def test_the_learning_rate_follows_the_schedule(alone):
    assert [row["learning_rate"] for row in alone.state.history] == [0.01] * 5 + [0.001] * 2
    assert [row["epoch"] for row in alone.state.history] == [1, 2, 3, 4, 5, 6, 7]


def test_each_epochs_rate_is_the_optimisers(root, dataset, tmp_path):
    rates = []

    train_to_the_end(
        begin(make_run(root, training={"schedule": {"kind": "fixed", "epochs": [1, 1, 1]}}), dataset),
        tmp_path,
        StopRequest(),
        on_step=lambda training: rates.append(training.optimiser.lr),
    )

    assert rates == pytest.approx([0.01] * 15 + [0.001] * 15 + [0.0001] * 15, rel=1e-12)


def test_a_row_of_the_history(alone):
    row = alone.state.history[-1]

    assert set(row) == {*ROWS, "images_per_second", "seconds"}
    assert row["schedule_top1_error"] == row["val_top1_error"]
    assert row["val_top5_error"] == 0  # three classes
    assert row["images_per_second"] > 0


def test_the_seconds_of_the_epochs_add_up_to_the_time_that_passed(root, dataset, tmp_path):
    # Each was once counted from the beginning of the training, by the checkpoint that follows an epoch.
    started = time.monotonic()
    training = begin(make_run(root), dataset)
    train_to_the_end(training, tmp_path, StopRequest())
    passed = time.monotonic() - started
    seconds = sum(row["seconds"] for row in training.state.history)

    assert seconds == pytest.approx(training.state.seconds)
    assert seconds < passed


def test_it_learns(alone):
    first, last = alone.state.history[0], alone.state.history[-1]

    assert last["train_loss"] < 0.7 * first["train_loss"]
    assert last["val_top1_error"] < 2 / 3  # a guess


def test_the_summary_of_a_finished_training(alone):
    summary = summarise(alone)

    assert (summary["epochs"], summary["steps"], summary["train_images"]) == (7, STEPS, 126)
    assert (summary["drops_done"], summary["drops_planned"], summary["val_steered"]) == (1, 1, False)
    assert summary["final"] == alone.state.history[-1]


def test_the_seed_decides_the_bits(root, dataset, tmp_path, alone):
    again, other = begin(make_run(root), dataset), begin(make_run(root, seed=2), dataset)
    for name, training in (("again", again), ("other", other)):
        (tmp_path / name).mkdir()
        train_to_the_end(training, tmp_path / name, StopRequest())

    assert_same(again, alone)
    assert not torch.equal(other.net.fc8.weight, alone.net.fc8.weight)


def test_dying_after_any_step_changes_no_bit(root, dataset, tmp_path, alone):
    """A checkpoint after every step, and death after every second one, epochs' ends included."""
    run = make_run(root, runtime={"checkpoint_every_s": 1e-9})
    lives = 0

    for target in range(2, STEPS, 2):

        def die(training, target=target):
            if training.state.step == target:
                raise Died

        with pytest.raises(Died):
            run_until_death(run, dataset, tmp_path, die)
        lives += 1
        assert load_latest(tmp_path).step == target
    training = begin(run, dataset, load_latest(tmp_path))
    train_to_the_end(training, tmp_path, StopRequest())

    assert lives == 52
    assert_same(training, alone)


@pytest.mark.parametrize("batch", [1, 7, STEPS_PER_EPOCH])
def test_steps_since_the_last_checkpoint_are_done_again(root, dataset, tmp_path, alone, batch):
    """Without a checkpoint since epoch 6 began, the first at the lower rate, a death costs that epoch's steps."""
    run = make_run(root)

    def die(training):
        if (training.state.epoch, training.state.batch) == (5, batch):
            raise Died

    with pytest.raises(Died):
        run_until_death(run, dataset, tmp_path, die)
    state = load_latest(tmp_path)
    assert (state.epoch, state.batch, state.step) == (5, 0, 5 * STEPS_PER_EPOCH)
    training = begin(run, dataset, state)
    train_to_the_end(training, tmp_path, StopRequest())

    assert_same(training, alone)


def test_dying_between_an_epochs_checkpoint_and_its_report(root, dataset, tmp_path, alone):
    def die(row):
        raise Died

    with pytest.raises(Died):
        train_to_the_end(begin(make_run(root), dataset), tmp_path, StopRequest(), on_epoch=die)
    training = begin(make_run(root), dataset, load_latest(tmp_path))
    train_to_the_end(training, tmp_path, StopRequest())

    assert_same(training, alone)


def test_checkpoints_are_written_each_epoch_and_not_more_often_than_asked(root, dataset, tmp_path, monkeypatch):
    saved = []

    def note(folder, state):
        saved.append((state.epoch, state.batch))

    monkeypatch.setattr("alexnet2012.training.loop.save", note)
    train_to_the_end(begin(make_run(root), dataset), tmp_path, StopRequest())

    assert saved == [(epoch, 0) for epoch in range(8)]


def test_a_signal_between_steps_writes_a_checkpoint_there(root, dataset, tmp_path, alone):
    def signal_at_20(training):
        if training.state.step == 20:
            os.kill(os.getpid(), signal.SIGTERM)

    with StopRequest() as stop, pytest.raises(Interrupted, match="SIGTERM"):
        train_to_the_end(begin(make_run(root), dataset), tmp_path, stop, signal_at_20)
    state = load_latest(tmp_path)
    # The step after which the signal is seen is the next one.
    assert (state.epoch, state.batch, state.step) == (1, 6, 21)
    training = begin(make_run(root), dataset, state)
    train_to_the_end(training, tmp_path, StopRequest())

    assert_same(training, alone)


def test_a_signal_while_an_epoch_is_measured_repeats_the_measuring_alone(root, dataset, tmp_path, alone, monkeypatch):
    original = Training.measure

    def signal_in_second_epoch(self, split, rows):
        if self.state.epoch == 1 and split == "val":
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, split, rows)

    with monkeypatch.context() as patch, StopRequest() as stop, pytest.raises(Interrupted):
        patch.setattr(Training, "measure", signal_in_second_epoch)
        train_to_the_end(begin(make_run(root), dataset), tmp_path, stop)
    state = load_latest(tmp_path)
    assert (state.epoch, state.batch, state.step) == (1, STEPS_PER_EPOCH, 2 * STEPS_PER_EPOCH)
    steps = []
    training = begin(make_run(root), dataset, state)
    train_to_the_end(training, tmp_path, StopRequest(), lambda training: steps.append(training.state.step))

    assert steps[0] == 2 * STEPS_PER_EPOCH + 1
    assert_same(training, alone)


def test_a_loss_that_is_not_finite_stops_with_its_step(root, dataset, tmp_path):
    training = begin(make_run(root, training={"learning_rate": 1e6}), dataset)

    with pytest.raises(TrainingError, match=r"the loss of step (\d+) \(epoch 1\) is (nan|inf)") as failure:
        train_to_the_end(training, tmp_path, StopRequest())

    step = int(failure.value.args[0].split()[4])
    assert step == training.state.step - 1
    assert "smaller training.learning_rate" in str(failure.value)
    assert [path.name for path in list_checkpoints(tmp_path)] == ["checkpoint-000000000.pt"]


def test_weights_that_the_last_step_of_an_epoch_spoils_are_neither_measured_nor_saved(root, dataset, tmp_path):
    training = begin(make_run(root), dataset)

    def spoil(training):
        if training.state.batch == training.steps_per_epoch:
            training.net.fc8.weight.data.fill_(float("nan"))

    with pytest.raises(
        TrainingError, match=rf"step {STEPS_PER_EPOCH - 1} \(epoch 1\) left weights that are not finite"
    ):
        train_to_the_end(training, tmp_path, StopRequest(), spoil)

    with pytest.raises(TrainingError, match="not finite"):
        training.capture()
    assert [path.name for path in list_checkpoints(tmp_path)] == ["checkpoint-000000000.pt"]
