"""Stored nets as Python objects, and image files through them, as `alexnet2012 classify` shows them."""

import json
import re
import shutil
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fake_dataset import write_dataset, write_run
from PIL import Image

import alexnet2012
from alexnet2012.cli import main
from alexnet2012.config.plan import describe_target
from alexnet2012.config.schema import read_run
from alexnet2012.data.packed import open_packed
from alexnet2012.errors import AlexNet2012Error, ConfigError, DataError, RecordError
from alexnet2012.evaluation.analysis import feature_blocks
from alexnet2012.evaluation.ensemble import average
from alexnet2012.evaluation.predict import predict_ten_crops
from alexnet2012.evaluation.trained import load_net, read_inputs, write_inputs
from alexnet2012.files import file_digest, read_json, write_json
from alexnet2012.model.geometry import list_layers
from alexnet2012.reporting.cards import render_card, unevaluated

pytestmark = pytest.mark.usefixtures("offline")
ROOT = Path(__file__).parents[3]
VARIANTS = ROOT / "config" / "variants.yaml"
NEEDED = ("model.safetensors", "config.yaml", "record.json", "inputs.npz")


@pytest.fixture(scope="module")
def stored(alone, tmp_path_factory):
    """A trained net's folder alone, taken elsewhere, where its dataset is not."""
    write_inputs(alone, open_packed(alone.parent / "data" / "pictures"))
    folder = tmp_path_factory.mktemp("elsewhere") / "net"
    folder.mkdir()
    for name in NEEDED:
        shutil.copy(alone / name, folder)
    return folder


@pytest.fixture(scope="module")
def net(stored):
    return alexnet2012.load(stored)


@pytest.fixture(scope="module")
def expected(root, alone):
    """The workflow's predictions of the test split."""
    dataset, run = open_packed(root / "data" / "pictures"), read_run(alone / "config.yaml")
    return predict_ten_crops(load_net(alone, run, 3)[0], dataset, "test", run.net.crop_px, 100)


@pytest.fixture(scope="module")
def files(root) -> list:
    """Files of the test split, as the packed index names them."""
    index = pd.read_parquet(root / "data" / "pictures" / "test" / "index.parquet")
    return [root / "pictures" / path for path in index["path"]]


@pytest.mark.parametrize(("crops", "stored_as"), [("ten", "ten_crop"), ("centre", "centre")])
def test_an_image_file_gets_the_probabilities_that_its_packed_image_gets(net, files, expected, crops, stored_as):
    found = net.predict(files, crops)
    assert list(found.columns) == net.classes == ["class0", "class1", "class2"]
    assert list(found.index) == [str(file) for file in files] and len(found) == 36
    np.testing.assert_allclose(found, getattr(expected, stored_as), atol=1e-6)


def test_the_net_is_a_module_in_evaluation_mode_whose_softmax_is_the_centre_crops(net, files, expected):
    inputs = net.preprocess(files)
    assert inputs.shape == (36, 3, 12, 12) and inputs.dtype == torch.float32 and not net.training
    np.testing.assert_allclose(net(inputs).softmax(1).detach(), expected.centre, atol=1e-6)


def test_a_file_an_image_and_an_array_are_the_same_input(net, files):
    picture = Image.open(files[0])
    forms = [files[0], str(files[0]), picture, picture.convert("RGBA"), np.asarray(picture), np.asarray(picture)[None]]
    for form in forms:
        assert torch.equal(net.preprocess(form), net.preprocess(files[0]))
    assert list(net.predict(forms).index) == [str(files[0]), str(files[0]), 2, 3, 4, 5]


def test_features_are_what_each_layer_hands_to_the_next(net, files, root, alone):
    inputs = net.preprocess(files)
    found = net.features(inputs)
    assert {name: tuple(each.shape[1:]) for name, each in found.items()} == {
        "conv1": (8, 12, 12),
        "pool1": (8, 6, 6),
        "conv2": (8, 6, 6),
        "pool2": (8, 3, 3),
        "conv3": (8, 3, 3),
        "conv4": (8, 3, 3),
        "conv5": (8, 3, 3),
        "pool5": (8, 1, 1),
        "fc6": (16,),
        "fc7": (16,),
        "fc8": (3,),
    }
    assert torch.equal(found["fc8"], net(inputs)) and min(each.min() for each in list(found.values())[:-1]) == 0
    pooled = torch.nn.functional.max_pool2d(found["conv1"], 3, 2, ceil_mode=True)
    assert torch.equal(pooled, found["pool1"])
    convolved = torch.nn.functional.conv2d(found["conv3"], net.model.conv4.weight, net.model.conv4.bias, 1, 1, 1, 2)
    torch.testing.assert_close(convolved.relu(), found["conv4"])  # of two towers
    dataset = open_packed(root / "data" / "pictures")
    (stored_as,) = feature_blocks(net.model, dataset, "test", np.arange(36), 12, 100)
    np.testing.assert_allclose(found["fc7"], stored_as, atol=1e-6)


def test_several_folders_are_an_ensemble_of_averaged_probabilities(root, stored, files, tmp_path):
    other = shutil.copytree(stored, tmp_path / "other")
    reweigh(other, lambda name, weight: weight * 0.5)
    nets = [stored, other]
    for number, folder in enumerate(nets):
        np.save(tmp_path / f"{number}.npy", np.ascontiguousarray(alexnet2012.load(folder).predict(files)))
    average([tmp_path / "0.npy", tmp_path / "1.npy"], tmp_path / "mean.npy")
    found = alexnet2012.load(nets).predict(iter(files))
    assert np.array_equal(found, np.load(tmp_path / "mean.npy")) and list(found.columns)[0] == "class0"


def reweigh(folder, change) -> None:
    """Change the weights in `folder`, and its record with them."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    save_file({name: change(name, weight) for name, weight in load_file(path).items()}, path)
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    write_json(folder / "record.json", record | {"weights_sha256": file_digest(path)})


def test_nets_of_other_classes_make_no_ensemble(stored, tmp_path):
    other = shutil.copytree(stored, tmp_path / "other")
    with np.load(stored / "inputs.npz") as arrays:
        np.savez(other / "inputs.npz", mean_image=arrays["mean_image"], classes=np.array(["a", "b", "c"]))
    for folders in ([stored, other], []):
        with pytest.raises(RecordError):
            alexnet2012.load(folders)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((8, 8, 3)), r"float64 \(8, 8, 3\)"),
        (np.zeros((8, 8), np.uint8), r"uint8 \(8, 8\)"),
        (Image.new("F", (8, 8)), "mode"),
        ([], "no images"),
        (torch.zeros(1, 3, 12, 12), "a Tensor is no image"),
        ([7], "a int is no image"),
    ],
)
def test_what_is_no_image_is_refused(net, given, words):
    for use in (net.preprocess, net.predict):
        with pytest.raises(DataError, match=words):
            use(given)


def test_every_image_that_cannot_be_read_is_named(net, tmp_path):
    (tmp_path / "text.jpg").write_text("no image", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as refused:
        net.predict([tmp_path / "text.jpg", tmp_path / "none.png", np.zeros(3)])
    lines = str(refused.value).splitlines()
    assert lines[0] == "3 of 3 images cannot be read:"
    assert lines[1].endswith("text.jpg: it is no image of a known format")
    assert lines[2].endswith("none.png: No such file or directory") and lines[3].startswith("  - 2: an array")
    with pytest.raises(DataError, match="holds no images"):
        net.predict(tmp_path / "empty")


def test_the_command_prints_a_table_or_json(files, stored, capsys):
    assert main(["classify", str(files[0].parent), "--net", str(stored)]) == 0
    header, _, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["image", "most", "probable", "then"] and len(lines) == 60
    assert lines[0].startswith(str(files[0].parent / "000.png")) and lines[0].count(" %") == 3  # of three classes
    assert main(["classify", str(files[0]), str(files[0]), "--net", str(stored), "--crops", "centre", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["image"] for each in found] == [str(files[0])] * 2
    assert found[0]["labels"] == found[1]["labels"] and found[0]["labels"][0]["label"].startswith("class")
    probabilities = [each["probability"] for each in found[0]["labels"]]
    assert probabilities == sorted(probabilities, reverse=True) and sum(probabilities) == pytest.approx(1)


def test_the_lines_of_the_model_card_run(alone, files):
    record = read_json(alone / "record.json")
    card = render_card(alone, unevaluated(alone, record, alone.parent / "data"))
    code = textwrap.dedent("".join(re.findall(r"^    (?:import|net).*\n", card, re.MULTILINE)))
    *lines, last = code.replace("IMAGE", str(files[0])).splitlines()
    assert len(lines) == 2
    names: dict = {}
    exec("\n".join(lines), names)
    assert eval(last, names).shape == (1, 3)


@pytest.mark.parametrize("name", NEEDED)
def test_a_folder_that_lacks_something_says_what(stored, tmp_path, name):
    folder = shutil.copytree(stored, tmp_path / "net")
    (folder / name).unlink()
    with pytest.raises(RecordError, match=f"lacks {name}"):
        alexnet2012.load(folder)


def test_the_command_says_what_is_in_the_place_of_a_net(stored, files, capsys):
    assert main(["classify", str(files[0]), "--net", str(stored.parent)]) == 1
    assert f"do you mean {stored}?" in capsys.readouterr().err


def test_other_places_are_refused_with_what_is_there(stored, tmp_path):
    (tmp_path / "average").mkdir()
    np.save(tmp_path / "average" / "test-ten_crop.npy", np.zeros((1, 2)))
    places = {
        tmp_path / "none": "does not exist",
        stored / "config.yaml": "is a file",
        tmp_path / "average": "predictions",
        stored.parent: f"do you mean {stored}",
    }
    for place, words in places.items():
        with pytest.raises(RecordError, match=words):
            alexnet2012.load(place)


@pytest.mark.parametrize("change", [lambda old: old[:-1] + bytes([old[-1] ^ 1]), lambda old: old[:100]])
def test_other_weights_than_those_of_the_record_are_refused(stored, tmp_path, change):
    folder = shutil.copytree(stored, tmp_path / "net")
    weights = folder / "model.safetensors"
    weights.write_bytes(change(weights.read_bytes()))
    with pytest.raises(RecordError, match="is not what record.json beside it describes"):
        alexnet2012.load(folder)


def test_a_baseline_is_no_net(stored, tmp_path):
    folder = shutil.copytree(stored, tmp_path / "net")
    (baseline,) = (ROOT / "results/reference/cifar10/runs/cifar10").glob("sift-fv-*/seed0")
    shutil.copy(baseline / "config.yaml", folder)
    with pytest.raises(ConfigError, match="baseline"):
        alexnet2012.load(folder)


def test_files_that_do_not_belong_together_are_refused(stored, tmp_path):
    """The record is that of the weights, but the weights are no net's, or another net's."""
    folder = shutil.copytree(stored, tmp_path / "net")
    reweigh(folder, lambda name, weight: weight[:2].clone())
    with pytest.raises(RecordError, match="of the net of 3 classes"):
        alexnet2012.load(folder)
    (folder / "model.safetensors").write_bytes(b"no weights")
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    write_json(folder / "record.json", record | {"weights_sha256": file_digest(folder / "model.safetensors")})
    with pytest.raises(RecordError, match="does not hold the weights"):
        alexnet2012.load(folder)
    shutil.copy(stored / "model.safetensors", folder)
    np.savez(folder / "inputs.npz", mean_image=np.zeros((8, 8, 3), np.float32), classes=np.array(["a", "b", "c"]))
    with pytest.raises(AlexNet2012Error):
        alexnet2012.load(folder)


def test_classes_that_are_wordnet_ids_have_their_words(tmp_path):
    dataset = write_dataset(tmp_path / "data", {"train": 4}, size_px=8, classes=2)
    write_inputs(tmp_path, replace(dataset, classes=("n01440764", "n02012849")))
    assert read_inputs(tmp_path)[1] == ["tench", "crane bird"]


def test_features_of_a_net_that_is_a_list_of_layers(tmp_path):
    layers = describe_target("four-layer-relu", VARIANTS, None)
    dataset = write_dataset(tmp_path / "data", {"train": 4}, size_px=32, classes=10)
    write_run(tmp_path / "net", dataset, layers)
    write_inputs(tmp_path / "net", dataset)
    net = alexnet2012.load(tmp_path / "net")
    inputs = net.preprocess(dataset.split("train").images)
    found = net.features(inputs)
    assert {name: list(each.shape[1:]) for name, each in found.items()} == {
        layer.name: layer.output for layer in list_layers(layers, 10)
    }
    convolved = torch.nn.functional.conv2d(inputs, net.model.conv1.weight, net.model.conv1.bias, padding=2)
    assert torch.equal(convolved, found["conv1"]) and convolved.min() < 0
    assert torch.equal(list(found.values())[-1], net(inputs))


def test_a_finished_net_can_be_used_while_another_trains(root, alone, tmp_path, capsys):
    folders = [tmp_path / f"runs/pictures/cnn-0123abcd/seed{seed}" for seed in (0, 1)]
    folders[0].mkdir(parents=True)
    shutil.copytree(alone, folders[1], ignore=shutil.ignore_patterns("inputs.npz"))
    runs = [f"results/some/{folder.relative_to(tmp_path)}" for folder in folders]
    experiment = {"variant": "cnn", "dataset": "pictures", "kind": "imagefolder", "tables": [], "seeds": [0, 1]}
    experiment |= {"runs": runs, "predictions": [run.replace("/runs/", "/predictions/") for run in runs]}
    write_json(tmp_path / "experiments.json", {"name": "some", "experiments": [experiment], "trainings": runs})

    assert main(["cards", str(tmp_path), "--data", str(root / "data")]) == 0

    cards = tmp_path / "model_cards.json"
    assert capsys.readouterr().out.splitlines() == [str(cards), f"skipped, not finished: {folders[0]}"]
    assert read_json(cards) == [str(folders[1] / "model_card.md")]
    assert alexnet2012.load(folders[1]).classes and not list(folders[0].iterdir())
