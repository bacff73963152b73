"""The nets in nets/, by which the package does something as soon as it is installed."""

from pathlib import Path

import numpy as np
import pytest

import alexnet2012
from alexnet2012.cli import main
from alexnet2012.files import file_digest, read_json

ROOT = Path(__file__).parents[3]
SOURCES = {
    "cifar10": "rehearsal/runs/cifar10/cnn-7f484866/seed0",
    "tiny-imagenet": "tiny-imagenet/runs/tiny40/cnn-bc0d751f/seed0",
}


@pytest.mark.parametrize(("name", "source"), SOURCES.items())
def test_they_are_nets_of_the_references(name, source):
    net, reference = ROOT / "nets" / name, ROOT / "results" / "reference" / source
    record = read_json(net / "record.json")
    assert record["weights_sha256"] == file_digest(net / "model.safetensors")
    assert record == read_json(reference / "record.json")
    assert (net / "config.yaml").read_bytes() == (reference / "config.yaml").read_bytes()


@pytest.mark.parametrize(("name", "classes", "first"), [("cifar10", 10, "airplane"), ("tiny-imagenet", 40, "bullfrog")])
def test_they_load_in_any_folder(name, classes, first, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    net = alexnet2012.load(f"nets/{name}")
    assert (len(net.classes), net.classes[0]) == (classes, first)
    pixels = np.random.default_rng(0).integers(0, 256, (50, 80, 3), dtype=np.uint8)
    assert net.predict([pixels]).sum(axis=1).iloc[0] == pytest.approx(1)


def test_a_folder_of_that_name_comes_before_theirs(monkeypatch, tmp_path, capsys):
    (tmp_path / "nets" / "cifar10").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert main(["classify", "cat.jpg", "--net", "nets/cifar10"]) == 1
    assert "nets/cifar10 lacks model.safetensors" in capsys.readouterr().err
