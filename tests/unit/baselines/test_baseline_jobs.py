"""A baseline from its config.yaml to its errors, on pictures whose colours tell their class."""

import json

import numpy as np
import pytest
from tiny_training import COMMIT, stay_offline

from alexnet2012.baselines import encoding, linear
from alexnet2012.baselines.run import load_models, predict_baseline, train_baseline
from alexnet2012.config.schema import read_run
from alexnet2012.data.packed import open_packed
from alexnet2012.errors import DataError, RecordError
from alexnet2012.files import SCHEMA, file_digest

MODELS, EPOCHS, CHUNKS = 2, 4, 4


class Died(BaseException):
    """Ends a job as a kill would."""


class InThisProcess:
    """A pool of processes that is none: spawned ones would not see what tests change."""

    def __init__(self, processes, context, initializer, arguments) -> None:
        initializer(*arguments)

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        pass

    map = staticmethod(map)


@pytest.fixture(scope="module", autouse=True)
def four_chunks_offline():
    """126 training images are four chunks."""
    with pytest.MonkeyPatch.context() as patch:
        stay_offline(patch)
        patch.setattr(encoding, "CHUNK_IMAGES", 40)
        patch.setattr(encoding, "ProcessPoolExecutor", InThisProcess)
        yield


def learn(folder) -> None:
    train_baseline(folder, folder.parent / "data", folder.parent / "tracking.json")


def judge(folder, split: str = "test"):
    output = folder / "predictions"
    predict_baseline(folder, split, output, folder.parent / "data")
    return json.loads((output / f"{split}.json").read_text(encoding="utf-8")), np.load(output / f"{split}-ten_crop.npy")


def die_at(call: int, calls: list, real):
    """`real`, which notes its calls, and dies at that one."""

    def die(*arguments, **settings):
        calls.append(None)
        if len(calls) == call:
            raise Died
        return real(*arguments, **settings)

    return die


@pytest.fixture(scope="module")
def learnt(write_baseline):
    """The folder of a baseline that nobody disturbed; it is judged already."""
    folder = write_baseline("learnt")
    learn(folder)
    judge(folder)
    return folder


@pytest.fixture(scope="module")
def sparse(write_baseline):
    folder = write_baseline("sparse", "sparse-coding")
    learn(folder)
    return folder


@pytest.mark.parametrize("kind", ["learnt", "sparse"])
def test_it_learns_what_can_be_learnt_and_records_it(root, request, kind):
    folder = request.getfixturevalue(kind)
    record, shares = judge(folder)
    assert record["errors"]["ten_crop"]["top1"] < 0.2  # of three classes
    assert record["errors"]["ten_crop"] == record["errors"]["centre"]
    labels = open_packed(root / "data" / "pictures").split("test").labels
    assert record["errors"]["ten_crop"]["top1"] == float((shares.argmax(axis=1) != labels).mean())
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
    found = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert found["schema"] == record["schema"] == SCHEMA
    assert (found["kind"], found["recipe"], found["seed"], found["classes"]) == ("baseline", "baseline", 1, 3)
    assert found["provenance"]["commit"] == COMMIT and found["weights_sha256"] == record["weights_sha256"]
    assert not list((folder / "state").glob("[0-9]*-*"))  # codes, codebooks and classifiers are in the results now


def test_two_classifiers_are_averaged(root, learnt):
    shares = np.load(learnt / "predictions" / "test-ten_crop.npy")
    dataset, run = open_packed(root / "data" / "pictures"), read_run(learnt / "config.yaml")
    images = dataset.split("test").images
    each = [model.judge(model.encoder.encode(images)) for model in load_models(learnt, run.net, 16)]
    assert len(each) == MODELS and not np.allclose(*each, atol=0.01)
    np.testing.assert_allclose(shares, np.mean(each, axis=0), atol=2e-3)  # codes are stored in halves of a float


@pytest.mark.parametrize(
    ("place", "calls", "done_again"),
    [
        ((encoding, "_encode_chunk"), MODELS * CHUNKS, {1}),  # in the second model's codes
        ((linear.SGDClassifier, "partial_fit"), MODELS * EPOCHS * CHUNKS, {2, 3, 4, 5}),  # in the second pass
    ],
)
def test_killed_in_the_middle_it_goes_on_and_ends_with_the_same_bits(
    write_baseline, learnt, monkeypatch, place, calls, done_again
):
    folder, made = write_baseline(f"killed-{place[1]}"), []
    with monkeypatch.context() as patch:
        patch.setattr(*place, die_at(6, made, getattr(*place)))
        with pytest.raises(Died):
            learn(folder)
        assert not (folder / "record.json").exists()
        times = list((folder / "state").glob("*/seconds.json"))
        for path in times:
            path.write_text('{"seconds": 1000.0}', encoding="utf-8")
        learn(folder)
    assert json.loads((folder / "record.json").read_text(encoding="utf-8"))["wall_time_s"] > 1000 * len(times) > 0
    assert len(made) - calls in done_again
    assert file_digest(folder / "model.safetensors") == file_digest(learnt / "model.safetensors")


def test_a_judging_that_is_killed_goes_on_and_leaves_nothing(learnt, monkeypatch):
    expected, made = np.load(learnt / "predictions" / "test-ten_crop.npy"), []
    with monkeypatch.context() as patch:
        patch.setattr(encoding, "describe_patches", die_at(len(expected) + 1, made, encoding.describe_patches))
        with pytest.raises(Died):  # in the second model
            judge(learnt)
        np.testing.assert_array_equal(judge(learnt)[1], expected)
    assert len(made) == MODELS * len(expected) + 1  # the first model's images are not described again
    assert not list((learnt / "predictions").glob(".test-*"))


def test_codes_and_state_of_other_settings_are_not_used(write_baseline, monkeypatch):
    folder, other = write_baseline("twice"), write_baseline("once", gaussians=5)
    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(linear, "fit", die_at(1, [], linear.fit))
        learn(folder)
    write_baseline("twice", gaussians=3)
    learn(folder)
    (aside,) = (folder / "state").glob("superseded-*")
    assert (aside / "0-sift" / "codebook.npz").exists()

    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(linear, "as_probabilities", die_at(1, [], linear.as_probabilities))
        judge(folder)
    write_baseline("twice", gaussians=5)
    for each in (folder, other):
        learn(each)
    np.testing.assert_array_equal(judge(folder)[1], judge(other)[1])


def test_other_weights_or_withheld_labels_are_refused(root, sparse):
    labels = root / "data" / "pictures" / "val" / "labels.npy"
    known = labels.read_bytes()
    np.save(labels, np.full(18, -1))
    with pytest.raises(DataError, match="pictures's val"):
        judge(sparse, "val")
    labels.write_bytes(known)
    path = sparse / "model.safetensors"
    weights = path.read_bytes()
    path.write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    with pytest.raises(RecordError, match=str(path)):
        judge(sparse)
    path.write_bytes(weights)
