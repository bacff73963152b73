"""Nets as ONNX files; needs the extra `onnx`."""

import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_dataset import NET, write_dataset, write_run

import alexnet2012
from alexnet2012.cli import main
from alexnet2012.config.plan import describe_target
from alexnet2012.errors import ConfigError, RecordError
from alexnet2012.evaluation import onnx_export
from alexnet2012.evaluation.onnx_export import export_onnx
from alexnet2012.evaluation.trained import write_inputs

VARIANTS = Path(__file__).parents[3] / "config" / "variants.yaml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A net of two towers with response normalisation, as it is initialised."""
    return write_stored(tmp_path_factory.mktemp("two"), NET)


def write_stored(root, net, size_px=16):
    dataset = write_dataset(root / "data", {"train": 6}, size_px, classes=3)
    write_run(root / "net", dataset, net)
    write_inputs(root / "net", dataset)
    return root / "net"


@pytest.fixture(scope="module")
def exported(folder, tmp_path_factory):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    with redirect_stdout(io.StringIO()) as printed:
        assert main(["export", str(folder), "--onnx", str(path)]) == 0
    assert printed.getvalue().startswith(f"{path}: opset 20; onnxruntime's probabilities are the net's within")
    return path


def test_the_file_makes_the_nets_probabilities_of_any_number_of_pixels(folder, exported, tmp_path):
    """As its metadata says: central crops in 0..255, RGB, channels first."""
    from onnxruntime import InferenceSession

    net, session = alexnet2012.load(folder), InferenceSession(exported)
    data = session.get_modelmeta().custom_metadata_map
    assert json.loads(data["classes"]) == net.classes and (data["size_px"], data["crop_px"]) == ("16", "12")
    assert "shorter side to 16 pixels, crop the central 12 x 12" in data["preprocessing"]
    assert data["weights_sha256"] == net.record["weights_sha256"] and data["opset"] == "20"
    squares = np.random.default_rng(1).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    for count in (1, 5):
        crops = squares[:count, 2:14, 2:14].transpose(0, 3, 1, 2).astype(np.float32)
        (found,) = session.run(None, {"images": crops})
        np.testing.assert_allclose(found, net.predict(squares[:count], "centre"), atol=1e-6)


def test_a_list_of_layers_with_clipped_averages_is_exported_too(exported, tmp_path):
    net = describe_target("four-layer-relu", VARIANTS, None)
    assert export_onnx(write_stored(tmp_path, net, size_px=32), tmp_path / "net.onnx") < 1e-6


def test_locally_connected_layers_are_refused(exported, tmp_path):
    net = describe_target("cifar-11pct", VARIANTS, None)
    with pytest.raises(ConfigError, match="locally connected"):
        export_onnx(write_stored(tmp_path, net, size_px=32), tmp_path / "net.onnx")


def test_a_file_that_differs_from_the_net_is_not_written(folder, exported, monkeypatch, tmp_path):
    real = onnx_export.compare

    def compare(path, classifier, crop_px):
        with torch.no_grad():
            classifier.model.fc8.bias[0] += float("nan")  # which is not above the limit either
        return real(path, classifier, crop_px)

    monkeypatch.setattr(onnx_export, "compare", compare)
    with pytest.raises(RecordError, match="was not written"):
        export_onnx(folder, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["onnxruntime", "onnxscript"])
def test_without_the_extra_a_sentence_says_how_to_install_it(folder, monkeypatch, tmp_path, missing):
    monkeypatch.setitem(sys.modules, "onnxruntime", sys)
    monkeypatch.setitem(sys.modules, "onnxscript", sys)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigError, match="pip install"):
        export_onnx(folder, tmp_path / "net.onnx")


def test_a_folder_in_place_of_the_file_is_refused(folder, exported, tmp_path):
    with pytest.raises(ConfigError, match="is a folder"):
        export_onnx(folder, tmp_path)
