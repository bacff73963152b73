"""Image files through a stored net, as `alexnet2012 classify` shows them."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from alexnet2012.cli import main
from alexnet2012.config.schema import read_run
from alexnet2012.data.packed import open_packed
from alexnet2012.errors import DataError, RecordError
from alexnet2012.evaluation.predict import classify, predict_ten_crops
from alexnet2012.evaluation.trained import load_net, write_inputs

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture(scope="module")
def stored(alone, tmp_path_factory):
    """A trained net's folder alone, taken elsewhere, where its dataset is not."""
    write_inputs(alone, open_packed(alone.parent / "data" / "pictures"))
    folder = tmp_path_factory.mktemp("elsewhere") / "net"
    folder.mkdir()
    for name in ("model.safetensors", "config.yaml", "record.json", "inputs.npz"):
        shutil.copy(alone / name, folder)
    return folder


def pictures(root) -> list:
    """Files of the test split, as the packed index names them."""
    index = pd.read_parquet(root / "data" / "pictures" / "test" / "index.parquet")
    return [root / "pictures" / path for path in index["path"]]


@pytest.mark.parametrize(("crops", "stored_as"), [("ten", "ten_crop"), ("centre", "centre")])
def test_an_image_file_gets_the_probabilities_that_its_packed_image_gets(root, alone, stored, crops, stored_as):
    dataset, run = open_packed(root / "data" / "pictures"), read_run(alone / "config.yaml")
    net, _ = load_net(alone, run, 3)
    expected = getattr(predict_ten_crops(net, dataset, "test", run.net.crop_px, 100), stored_as)
    files = pictures(root)
    assert len(files) == len(expected) == 36
    for each, row in zip(classify(stored, files, crops), expected, strict=True):
        order = np.argsort(-row)
        assert [name for name, _ in each.labels] == [dataset.classes[label] for label in order]
        np.testing.assert_allclose([value for _, value in each.labels], row[order], atol=1e-6)


def test_a_photograph_of_any_size_is_cut_to_the_nets(stored, tmp_path):
    Image.fromarray(np.full((90, 70, 3), 128, np.uint8)).save(tmp_path / "grey.jpg")
    (found,) = classify(stored, [tmp_path / "grey.jpg"])
    assert sum(value for _, value in found.labels) == pytest.approx(1)


def test_every_image_that_cannot_be_read_is_named_before_the_net_is_loaded(stored, tmp_path, monkeypatch):
    (tmp_path / "text.jpg").write_text("no image", encoding="utf-8")
    monkeypatch.setattr("alexnet2012.evaluation.predict.load_net", lambda *_: 1 / 0)
    with pytest.raises(DataError) as refused:
        classify(stored, [tmp_path / "text.jpg", tmp_path / "none.png", tmp_path])
    lines = str(refused.value).splitlines()
    assert lines[0] == "3 of 3 images cannot be read:"
    assert lines[1].endswith("text.jpg: it is no image of a known format")
    assert lines[2].endswith("none.png: No such file or directory") and lines[3].endswith(": Is a directory")


def test_the_command_prints_five_labels_or_json(root, stored, capsys):
    file = str(pictures(root)[0])
    assert main(["classify", file, "--net", str(stored)]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == file and len(lines) == 3  # of three classes
    assert main(["classify", file, file, "--net", str(stored), "--crops", "centre", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["image"] for each in found] == [file, file]
    assert found[0]["labels"] == found[1]["labels"] and found[0]["labels"][0]["label"].startswith("class")


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("inputs.npz", DataError, "`alexnet2012 cards RESULTS` writes it"),
        ("model.safetensors", RecordError, "model.safetensors"),
    ],
)
def test_a_folder_that_lacks_something_says_what(root, stored, tmp_path, name, error, words):
    folder = shutil.copytree(stored, tmp_path / "net")
    (folder / name).unlink()
    with pytest.raises(error, match=words):
        classify(folder, pictures(root)[:1])


def test_other_weights_than_those_of_the_record_are_refused(root, stored, tmp_path):
    folder = shutil.copytree(stored, tmp_path / "net")
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    with pytest.raises(RecordError, match="is not what record.json beside it describes"):
        classify(folder, pictures(root)[:1])
