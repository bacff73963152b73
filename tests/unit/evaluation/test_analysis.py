import json

import numpy as np
import pytest
import yaml
from fake_dataset import write_dataset, write_manifest
from safetensors.torch import save_file
from threadpoolctl import threadpool_info, threadpool_limits

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.config.nets import ConvConfig, LayeredNetConfig, NetConfig
from alexnet2012.config.schema import RunConfig, TrainingConfig
from alexnet2012.data.augment import torch_generator
from alexnet2012.data.packed import open_packed
from alexnet2012.errors import ConfigError, RecordError
from alexnet2012.evaluation import analysis
from alexnet2012.evaluation.analysis import analyse
from alexnet2012.evaluation.predict import predict_ten_crops
from alexnet2012.files import SCHEMA, file_digest
from alexnet2012.model.layered import initialise, make_net

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SMALL = ConvConfig(kernels=4, kernel_px=3, pad=1)
NET = NetConfig(crop_px=12, conv1=SMALL, conv2=SMALL, conv3=SMALL, conv4=SMALL, conv5=SMALL, fc_neurons=6)
LAYERED = LayeredNetConfig(crop_px=12, layers=[{"type": "fc", "name": "fc1", "init_std": 0.01}])


def write_run(root, net, seed: int = 0):
    """A trained run's folder, its weights as they are initialised."""
    dataset = write_dataset(root / "data" / "fake", {"train": 40, "val": 9, "test": 12}, size_px=16, classes=3)
    write_manifest(dataset)
    run = RunConfig(
        name="some",
        variant="cnn",
        seed=seed,
        dataset_name="fake",
        dataset=DatasetConfig(kind="imagefolder", folder="x", size_px=16),
        net=net,
        training=TrainingConfig(),
    )
    folder = root / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(run.model_dump()), encoding="utf-8")
    model = make_net(net, 3)
    initialise(model, torch_generator(seed, "init"))
    save_file(model.state_dict(), folder / "model.safetensors")
    record = {"weights_sha256": file_digest(folder / "model.safetensors"), "dataset": dataset.describe()}
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
    return folder, model


@pytest.fixture(autouse=True)
def commit(monkeypatch):
    monkeypatch.setenv("ALEXNET2012_COMMIT", COMMIT)


def test_the_record_and_the_examples_of_a_net(tmp_path):
    folder, model = write_run(tmp_path, NET)

    analyse(folder, tmp_path / "out", tmp_path / "data")

    found = json.loads((tmp_path / "out" / "analysis.json").read_text(encoding="utf-8"))
    assert (found["schema"], found["kind"], found["variant"], found["seed"]) == (SCHEMA, "analysis", "cnn", 0)
    assert found["weights_sha256"] == file_digest(folder / "model.safetensors")
    assert found["provenance"]["commit"] == COMMIT
    assert [len(each) for each in found["chroma"]["towers"]] == [2, 2]
    near = found["neighbours"]
    assert (near["k"], near["queries"], near["gallery"]) == (5, 12, 40)
    for space in ("features", "pixels"):
        hits = near[f"{space}_hits"]
        assert len(hits) == 12 and set(hits) <= set(range(6))
        assert near[f"{space}_precision"] == pytest.approx(sum(hits) / 60)

    examples = np.load(tmp_path / "out" / "examples.npz")
    data = open_packed(tmp_path / "data" / "fake")
    test, train = data.split("test"), data.split("train")
    shapes = {name: examples[name].shape for name in examples.files}
    assert shapes == {
        "test_images": (8, 16, 16, 3),
        "test_labels": (8,),
        "test_top5": (8, 3),
        "test_probabilities": (8, 3),
        "query_images": (5, 16, 16, 3),
        "query_labels": (5,),
        "features_images": (5, 6, 16, 16, 3),
        "features_labels": (5, 6),
        "pixels_images": (5, 6, 16, 16, 3),
        "pixels_labels": (5, 6),
    }

    def row_of(image, split) -> int:
        (rows,) = np.nonzero((np.asarray(split.images) == image).all(axis=(1, 2, 3)))
        return int(rows[0])

    pixels = np.asarray(train.images).reshape(40, -1).astype(np.int64)
    shown = (examples[name] for name in ("query_images", "query_labels", "pixels_images"))
    for query, label, near in zip(*shown, strict=True):
        assert label == test.labels[row_of(query, test)]
        distances = np.square(pixels - query.reshape(-1).astype(np.int64)).sum(axis=1)
        assert [row_of(each, train) for each in near] == np.argsort(distances, kind="stable")[:6].tolist()
    centre = predict_ten_crops(model.eval(), data, "test", 12, 4).centre
    rows = [row_of(image, test) for image in examples["test_images"]]
    np.testing.assert_allclose(examples["test_probabilities"], -np.sort(-centre[rows], axis=1), rtol=1e-5)
    assert np.array_equal(examples["test_top5"][:, 0], centre[rows].argmax(axis=1))


def test_another_seed_is_asked_about_the_same_images(tmp_path):
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
        folder, _ = write_run(tmp_path / str(seed), NET, seed)
        analyse(folder, tmp_path / str(seed) / "out", tmp_path / str(seed) / "data")
    first, second = (np.load(tmp_path / str(seed) / "out" / "examples.npz") for seed in (0, 1))
    assert all(np.array_equal(first[name], second[name]) for name in ("query_images", "pixels_images", "test_images"))
    assert not np.array_equal(first["test_probabilities"], second["test_probabilities"])


def test_distances_take_the_runs_threads_and_not_the_machines(tmp_path, monkeypatch):
    folder, _ = write_run(tmp_path, NET)
    used, distances = [], analysis.euclidean_distances

    def watch(*arguments, **options):
        used.extend(each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas")
        return distances(*arguments, **options)

    monkeypatch.setattr(analysis, "euclidean_distances", watch)
    with threadpool_limits(2):
        analyse(folder, tmp_path / "out", tmp_path / "data")
    assert used and set(used) == {1}


def test_one_tower_has_no_chroma_to_compare(tmp_path):
    folder, _ = write_run(tmp_path, NET.model_copy(update={"towers": 1}))
    analyse(folder, tmp_path / "out", tmp_path / "data")
    assert json.loads((tmp_path / "out" / "analysis.json").read_text(encoding="utf-8"))["chroma"] is None


def test_a_net_of_layers_is_refused(tmp_path):
    folder, _ = write_run(tmp_path, LAYERED)
    with pytest.raises(ConfigError, match="a net of kind layers; only the paper's net has towers and fc7"):
        analyse(folder, tmp_path / "out", tmp_path / "data")


def test_weights_that_are_not_the_records_are_refused(tmp_path):
    folder, _ = write_run(tmp_path, NET)
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(RecordError, match="train this run again"):
        analyse(folder, tmp_path / "out", tmp_path / "data")
    assert not (tmp_path / "out").exists()
