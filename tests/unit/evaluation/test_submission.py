from dataclasses import replace

import numpy as np
import pytest
import torch
from fake_dataset import NET, write_dataset, write_manifest, write_run

from alexnet2012 import cli
from alexnet2012.data.packed import PackedDataset
from alexnet2012.errors import DataError, RecordError
from alexnet2012.evaluation.predict import check_submittable, predict_ten_crops, write_submission
from alexnet2012.model.layered import initialise, make_net

# The edition's ids are not in the order of the classes.
IDS = (40, 7, 1000, 3, 12, 99)


def test_lines_worked_by_hand(tmp_path):
    probabilities = np.array(
        [
            [0.30, 0.05, 0.10, 0.25, 0.20, 0.10],  # classes 0 3 4, then 2 before 5 by the tie; class 1 is left out
            [0.50, 0.50, 0.00, 0.00, 0.00, 0.00],
            [0.00, 0.00, 0.00, 0.00, 0.00, 1.00],
        ],
        dtype=np.float32,
    )
    write_submission(tmp_path / "new" / "test-submission.txt", probabilities, IDS)
    assert (tmp_path / "new" / "test-submission.txt").read_text(encoding="utf-8") == (
        "40 3 12 1000 99\n"  #
        "40 7 1000 3 12\n"
        "99 40 7 1000 3\n"
    )
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["test-submission.txt"]


def test_probabilities_that_are_not_finite_are_no_submission(tmp_path):
    with pytest.raises(RecordError, match="are not finite"):
        write_submission(tmp_path / "test-submission.txt", np.array([[np.nan] * 6]), IDS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("classes", "images", "ids", "message"),
    [
        (4, 3, IDS[:4], "lists the 5 most probable classes of each image, but .*data has only 4"),
        (6, 3, None, "put the development kit next to the images and prepare the dataset again"),
        (6, 0, IDS, "has no images of test"),
    ],
)
def test_what_cannot_be_submitted_is_refused_with_a_reason(tmp_path, classes, images, ids, message):
    dataset = write_dataset(tmp_path / "data", {"train": 1, "val": 1, "test": images}, 9, classes)
    with pytest.raises(DataError, match=message):
        check_submittable(replace(dataset, official_ids=ids), "test")
    five = write_dataset(tmp_path / "five", {"train": 1, "val": 1, "test": 1}, 9, 5)
    check_submittable(replace(five, official_ids=IDS[:5]), "test")


@pytest.fixture
def trained(tmp_path, commit) -> PackedDataset:
    """`tmp_path`/run, an untrained net on `tmp_path`/data/fake, whose test labels are withheld."""
    dataset = write_dataset(tmp_path / "data" / "fake", {"train": 1, "val": 3, "test": 7}, 16, 6)
    dataset = replace(dataset, official_ids=IDS, kind="ilsvrc2012")
    np.save(dataset.folder / "test" / "labels.npy", np.full(7, -1))
    write_manifest(dataset)
    write_run(tmp_path / "run", dataset)
    return dataset


def submit(tmp_path, *options: str) -> int:
    arguments = ["predict", str(tmp_path / "run"), str(tmp_path / "out"), "--split", "test", "--data"]
    return cli.main([*arguments, str(tmp_path / "data"), *options])


def test_the_command_line_writes_the_ten_crops_labels_in_order(tmp_path, trained, capsys):
    assert submit(tmp_path, "--submission") == 0
    path = tmp_path / "out" / "test-submission.txt"
    assert capsys.readouterr().out == f"{path}\n"
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["test-submission.txt"]

    net = make_net(NET, 6)
    initialise(net, torch.Generator().manual_seed(0))
    probabilities = predict_ten_crops(net, trained, "test", 12, 100).ten_crop
    lines = [[int(word) for word in line.split(" ")] for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 7
    for row, line in zip(probabilities, lines, strict=True):
        assert line == [IDS[k] for k in sorted(range(6), key=lambda k: (-row[k], k))[:5]]


def test_without_submission_withheld_labels_are_refused_before_anything_is_written(tmp_path, trained, capsys):
    assert submit(tmp_path) == 1
    assert capsys.readouterr().err.endswith(
        "error: the labels of fake's test images are withheld, so that no error can be measured on them; "
        "with --submission, predict writes the five most probable labels of each image instead\n"
    )
    assert not (tmp_path / "out").exists()


def test_a_net_of_other_data_submits_nothing(tmp_path, trained, capsys):
    write_manifest(replace(trained, digest="1" * 64))
    assert submit(tmp_path, "--submission") == 1
    assert "was trained on data 00000000" in capsys.readouterr().err
