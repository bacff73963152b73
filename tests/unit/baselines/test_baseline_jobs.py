"""A baseline from its config.yaml to its errors, on pictures whose colours tell their class."""

import json

import numpy as np
import pytest
from tiny_training import COMMIT

from alexnet2012.baselines import encoding, linear
from alexnet2012.baselines.run import load_models, predict_baseline, train_baseline
from alexnet2012.cli import main
from alexnet2012.config.schema import read_run
from alexnet2012.data.packed import open_packed
from alexnet2012.errors import DataError, RecordError
from alexnet2012.files import SCHEMA, file_digest

pytestmark = pytest.mark.usefixtures("offline")


class Died(BaseException):
    """Ends a job as a kill would."""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """126 training images are four chunks. Encoded in this process: spawned ones would not see it."""
    monkeypatch.setattr(encoding, "CHUNK_IMAGES", 40)
    monkeypatch.setattr(encoding, "ProcessPoolExecutor", InThisProcess)


class InThisProcess:
    def __init__(self, processes, context, initializer, arguments) -> None:
        initializer(*arguments)

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        pass

    map = staticmethod(map)


def learn(folder) -> None:
    train_baseline(folder, folder.parent / "data", folder.parent / "tracking.json")


def judge(folder, split: str = "test"):
    output = folder / "predictions"
    predict_baseline(folder, split, output, folder.parent / "data", folder.parent / "tracking.json")
    return json.loads((output / f"{split}.json").read_text(encoding="utf-8")), np.load(output / f"{split}-ten_crop.npy")


@pytest.mark.parametrize("kind", ["sift-fv", "sparse-coding"])
def test_it_learns_what_can_be_learnt_and_records_it(root, write_baseline, kind):
    folder = write_baseline(f"learns-{kind}", kind)
    learn(folder)
    record, shares = judge(folder)
    assert record["errors"]["ten_crop"]["top1"] < 0.2  # of three classes
    assert record["errors"]["ten_crop"] == record["errors"]["centre"]
    labels = open_packed(root / "data" / "pictures").split("test").labels
    assert record["errors"]["ten_crop"]["top1"] == float((shares.argmax(axis=1) != labels).mean())
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
    learnt = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert learnt["schema"] == record["schema"] == SCHEMA
    assert (learnt["kind"], learnt["recipe"], learnt["seed"], learnt["classes"]) == ("baseline", "baseline", 1, 3)
    assert learnt["provenance"]["commit"] == COMMIT and learnt["weights_sha256"] == record["weights_sha256"]
    assert not list((folder / "state").glob("[0-9]*-*"))  # codes, codebooks and classifiers are in the results now


def test_two_classifiers_are_averaged(root, write_baseline):
    folder = write_baseline("averaged")
    learn(folder)
    _, shares = judge(folder)
    dataset, run = open_packed(root / "data" / "pictures"), read_run(folder / "config.yaml")
    images = dataset.split("test").images
    each = [model.judge(model.encoder.encode(images)) for model in load_models(folder, run.net, 16)]
    assert len(each) == 2 and not np.allclose(*each, atol=0.01)
    np.testing.assert_allclose(shares, np.mean(each, axis=0), atol=2e-3)  # codes are stored in halves of a float


def test_the_same_seed_makes_the_same_bits_and_another_does_not(write_baseline):
    digests = []
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        folder = write_baseline(name, seed=seed)
        learn(folder)
        digests.append(file_digest(folder / "model.safetensors"))
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("moment", ["chunk", "pass"])
def test_killed_in_the_middle_it_goes_on_and_ends_with_the_same_bits(write_baseline, monkeypatch, moment):
    folder, whole = write_baseline(f"killed-{moment}"), write_baseline(f"whole-{moment}")
    learn(whole)
    place, calls = {"chunk": (encoding, "_encode_chunk"), "pass": (linear.SGDClassifier, "partial_fit")}[moment], []
    real = getattr(*place)

    def die_at_the_sixth(*arguments, **settings):
        calls.append(None)
        if len(calls) == 6:  # in the second model's codes, in the second pass
            raise Died
        return real(*arguments, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(*place, die_at_the_sixth)
        with pytest.raises(Died):
            learn(folder)
        assert not (folder / "record.json").exists()
        times = list((folder / "state").glob("*/seconds.json"))
        for path in times:
            path.write_text('{"seconds": 1000.0}', encoding="utf-8")
        learn(folder)
    assert json.loads((folder / "record.json").read_text(encoding="utf-8"))["wall_time_s"] > 1000 * len(times) > 0
    made = {"chunk": 8, "pass": 2 * 6 * 4}[moment]
    assert len(calls) - made in ({1} if moment == "chunk" else {2, 3, 4, 5})  # what was done before is not done again
    assert file_digest(folder / "model.safetensors") == file_digest(whole / "model.safetensors")


def test_a_judging_that_is_killed_goes_on_and_leaves_nothing(write_baseline, monkeypatch):
    folder, whole, calls = write_baseline("half-judged"), write_baseline("judged"), []
    for each in (folder, whole):
        learn(each)
    _, expected = judge(whole)
    real = encoding.describe

    def die_in_the_second_model(image, model):
        calls.append(None)
        if len(calls) == len(expected) + 1:
            raise Died
        return real(image, model)

    with monkeypatch.context() as patch:
        patch.setattr(encoding, "describe", die_in_the_second_model)
        with pytest.raises(Died):
            judge(folder)
        np.testing.assert_array_equal(judge(folder)[1], expected)
    assert len(calls) == 2 * len(expected) + 1  # the first model's images are not described again
    assert not list((folder / "predictions").glob(".test-*"))


def test_codes_of_other_weights_are_not_judged(write_baseline, monkeypatch):
    folder, other = write_baseline("learnt-twice"), write_baseline("learnt-once", gaussians=5)
    for each in (folder, other):
        learn(each)
    with monkeypatch.context() as patch:
        patch.setattr(linear, "as_probabilities", lambda *_: (_ for _ in ()).throw(Died))
        with pytest.raises(Died):
            judge(folder)
    text = (folder / "config.yaml").read_text(encoding="utf-8")
    (folder / "config.yaml").write_text(text.replace("gaussians: 4", "gaussians: 5"), encoding="utf-8")
    learn(folder)
    np.testing.assert_array_equal(judge(folder)[1], judge(other)[1])


def test_quantised_codes_lose_little(write_baseline):
    folder = write_baseline("quantised", stored="quantised")
    learn(folder)
    assert judge(folder)[0]["errors"]["ten_crop"]["top1"] < 0.25


def test_state_of_other_settings_is_moved_aside(write_baseline, monkeypatch, capsys):
    folder = write_baseline("changed")
    with monkeypatch.context() as patch:
        patch.setattr(linear, "fit", lambda *_: (_ for _ in ()).throw(Died))
        with pytest.raises(Died):
            learn(folder)
    text = (folder / "config.yaml").read_text(encoding="utf-8")
    (folder / "config.yaml").write_text(text.replace("gaussians: 4", "gaussians: 5"), encoding="utf-8")
    learn(folder)
    assert "is of other code, settings or data; moved to" in capsys.readouterr().out
    (aside,) = (folder / "state").glob("superseded-*")
    assert (aside / "0-sift" / "codebook.npz").exists()


def test_other_weights_or_withheld_labels_are_refused(root, write_baseline):
    folder = write_baseline("refused")
    learn(folder)
    labels = root / "data" / "pictures" / "val" / "labels.npy"
    known = labels.read_bytes()
    np.save(labels, np.full(18, -1))
    with pytest.raises(DataError, match="labels of pictures's val images are withheld"):
        judge(folder, "val")
    labels.write_bytes(known)
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    with pytest.raises(RecordError, match="is not what record.json beside it describes"):
        judge(folder)


@pytest.mark.parametrize("verb", [["train"], ["predict", "out", "--split", "val"], ["train-baseline"]])
def test_verbs_of_nets_and_of_baselines_are_not_mixed(root, alone, write_baseline, capsys, verb):
    folder = alone if verb == ["train-baseline"] else write_baseline(f"mixed-{verb[0]}")
    name, *options = verb
    assert main([name, str(folder), *options, "--tracking", "t", "--data", str(root / "data")]) == 1
    holds, verbs = (
        ("net", "train, predict") if verb == ["train-baseline"] else ("baseline", "train-baseline and predict-baseline")
    )
    assert f"{folder} holds a {holds}; that is for the verbs {verbs}" in capsys.readouterr().err
