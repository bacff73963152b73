import json

import numpy as np
import pytest
from fake_results import COUNTS, PROVENANCE, change, describe

from alexnet2012.errors import RecordError

TABLES = ("table1",)
RUN = "runs/photos/cnn-00000000/seed0/record.json"
VAL = "predictions/photos/cnn-00000000/seed0/val.json"
TEST = "predictions/photos/cnn-00000000/seed0/test.json"
WRONG = {("test", "ten_crop"): (8, 2), ("test", "centre"): (9, 3), ("val", "ten_crop"): (5, 1)}


@pytest.fixture
def cnn(fake):
    return fake.add("cnn", {0: WRONG}, TABLES)


def refusal(fake) -> str:
    with pytest.raises(RecordError) as caught:
        fake.load()
    return str(caught.value)


def test_the_wrong_answers_are_those_of_the_stored_probabilities(cnn):
    (net,) = cnn.load().experiments[0].nets
    assert (net.seed, net.training["variant"], sorted(net.predictions)) == (0, "cnn", ["test", "val"])
    for (split, crops), counts in WRONG.items():
        for k, count in zip((1, 5), counts, strict=True):
            assert net.wrong(split, crops, k).tolist() == [True] * count + [False] * (COUNTS[split] - count)


@pytest.mark.parametrize(
    ("path", "changes", "key"),
    [
        (RUN, {"provenance": PROVENANCE | {"commit": ""}}, "provenance.commit is"),
        (RUN, {"provenance": None}, '"provenance" is missing'),
        (RUN, {"seed": None}, '"seed" is missing'),
        (RUN, {"seed": "0"}, "seed is '0'"),
        (RUN, {"final": {"train_loss": 1.0}}, 'final: "val_top1_error" is missing'),
        (RUN, {"chance": {"val_error": [0.9], "train_loss": 2.3}}, "chance.val_error is [0.9]"),
        (RUN, {"dataset": describe("photos") | {"digest": None}}, "dataset.digest is empty"),
        (
            TEST,
            {"provenance": {key: value for key, value in PROVENANCE.items() if key != "commit"}},
            '"commit" is missing',
        ),
        (TEST, {"seed": None}, '"seed" is missing'),
        (TEST, {"dataset": {"name": "photos", "counts": COUNTS}}, 'dataset: "digest" is missing'),
        (TEST, {"errors": {"centre": {"top1": 0.5, "top5": 0.1}}}, 'errors: "ten_crop" is missing'),
        (VAL, {"images": None}, '"images" is missing'),
        (VAL, {"dataset": describe("photos") | {"counts": {"test": 20}}}, 'dataset.counts: "val" is missing'),
    ],
)
def test_a_record_that_lacks_something_is_refused(cnn, path, changes, key):
    change(cnn.folder / path, **changes)
    assert refusal(cnn).startswith(f"{cnn.folder / path}: ") and key in refusal(cnn)


@pytest.mark.parametrize(
    "changes", [{"runs": 3.5}, {"runs": []}, {"predictions": [[]]}, {"variant": None}, {"splits": 1}, {"tables": [{}]}]
)
def test_a_list_of_experiments_that_is_none_is_refused(cnn, changes):
    path = cnn.folder / "experiments.json"
    listed = json.loads(path.read_text(encoding="utf-8"))
    for experiments in ([listed["experiments"][0] | changes], ["cnn"]):
        change(path, experiments=experiments)
        assert refusal(cnn).startswith(f"{path}: experiments[0]")


def test_an_average_that_does_not_say_its_members_is_refused(fake):
    fake.average("5-cnns", {}, ("table2",))
    path = fake.folder / "predictions/photos/5-cnns-00000000/average/val.json"
    change(path, members={})
    assert refusal(fake).startswith(f"{path}: members is {{}}")


def test_too_few_images_are_refused(cnn):
    change(cnn.folder / TEST, images=19)
    assert refusal(cnn) == f"{cnn.folder / TEST}: 19 images were evaluated, test has 20; predict it again"


def test_predictions_of_other_weights_are_refused(cnn):
    change(cnn.folder / VAL, weights_sha256="others")
    assert refusal(cnn) == f"{cnn.folder / VAL} was made with other weights than cnn seed 0 has now; predict it again"


@pytest.mark.parametrize("path", [RUN, VAL, TEST])
def test_a_missing_record_is_refused_with_what_makes_it(cnn, path):
    (cnn.folder / path).unlink()
    assert refusal(cnn) == f"{cnn.folder / path} cannot be read: No such file or directory; run snakemake to make it"


def test_ranks_that_contradict_their_record_are_refused(cnn):
    path = cnn.folder / "predictions/photos/cnn-00000000/seed0/test-ranks.npz"
    ranks = dict(np.load(path))
    ranks["ten_crop"][19] = 1  # the last image, answered rightly until now
    np.savez(path, **ranks)
    (net,) = cnn.load().experiments[0].nets
    with pytest.raises(RecordError) as caught:
        net.wrong("test", "ten_crop", 1)
    assert str(caught.value) == (
        f"{path} does not hold the error that test.json beside it records; predict this split again"
    )
    assert net.wrong("test", "centre", 1).sum() == 9


@pytest.mark.parametrize("content", [None, b"", b"no array"])
def test_ranks_that_cannot_be_read_are_named(cnn, content):
    path = cnn.folder / "predictions/photos/cnn-00000000/seed0/test-ranks.npz"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    (net,) = cnn.load().experiments[0].nets
    with pytest.raises(RecordError, match=f"{path} cannot be read .*; run snakemake to make it anew"):
        net.wrong("test", "centre", 1)


def test_seeds_of_several_lines_are_put_together_and_no_net_counts_twice(fake):
    fake.add("cnn", {0: WRONG, 1: WRONG}, ("table1",)).add("cnn", {1: WRONG, 2: WRONG}, ("in_text",))
    results = fake.load()
    assert results.find("photos", "cnn").seeds == [0, 1, 2]
    assert results.find("photos", "cnn").tables == ("table1", "in_text")
    assert (results.find("photos", "one-gpu"), results.find("drawings", "cnn")) == (None, None)
    assert [each.key for each in results.feeding("in_text", "photos")] == ["cnn"]
    assert results.feeding("table2", "photos") == []
