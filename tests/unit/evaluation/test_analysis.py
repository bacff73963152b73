import json

import numpy as np
import pytest
import torch
from fake_dataset import NET, write_dataset, write_manifest, write_run
from torch import nn

from alexnet2012.config.nets import LayeredNetConfig
from alexnet2012.data.packed import open_packed
from alexnet2012.errors import ConfigError, RecordError
from alexnet2012.evaluation import analysis
from alexnet2012.evaluation.analysis import (
    analyse,
    chroma_energy,
    compare_towers,
    feature_blocks,
    nearest,
    pixel_blocks,
)
from alexnet2012.evaluation.predict import predict_ten_crops
from alexnet2012.files import SCHEMA, file_digest
from alexnet2012.model.layered import initialise, make_net

LAYERED = LayeredNetConfig(crop_px=12, layers=[{"type": "fc", "name": "fc1", "init_std": 0.01}])

pytestmark = pytest.mark.usefixtures("commit")


def prepare(root, net=NET, seed: int = 0):
    """The folder of a net, and the net, on `root`/data/fake."""
    dataset = write_dataset(root / "data" / "fake", {"train": 40, "val": 9, "test": 12}, size_px=16, classes=3)
    write_manifest(dataset)
    return root / "run", write_run(root / "run", dataset, net, seed)


def test_the_record_and_the_examples_of_a_net(tmp_path, commit):
    folder, model = prepare(tmp_path)

    analyse(folder, tmp_path / "out", tmp_path / "data")

    found = json.loads((tmp_path / "out" / "analysis.json").read_text(encoding="utf-8"))
    assert (found["schema"], found["kind"], found["variant"], found["seed"]) == (SCHEMA, "analysis", "cnn", 0)
    assert found["weights_sha256"] == file_digest(folder / "model.safetensors")
    assert found["provenance"]["commit"] == commit
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


def test_one_tower_has_no_chroma_to_compare(tmp_path):
    folder, _ = prepare(tmp_path, NET.model_copy(update={"towers": 1}))
    analyse(folder, tmp_path / "out", tmp_path / "data")
    assert json.loads((tmp_path / "out" / "analysis.json").read_text(encoding="utf-8"))["chroma"] is None


def test_a_net_of_layers_is_refused(tmp_path):
    folder, _ = prepare(tmp_path, LAYERED)
    with pytest.raises(ConfigError, match="a net of kind layers; only the paper's net has towers and fc7"):
        analyse(folder, tmp_path / "out", tmp_path / "data")


def test_weights_that_are_not_the_records_are_refused(tmp_path):
    folder, _ = prepare(tmp_path)
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(RecordError, match="train this run again"):
        analyse(folder, tmp_path / "out", tmp_path / "data")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("block", [1, 3, 7, 50])
def test_the_nearest_of_blocks_are_the_nearest_of_all(block):
    random = np.random.default_rng(1)
    queries, gallery = (random.normal(size=(n, 6)).astype(np.float32) for n in (9, 50))
    found = nearest(queries, (gallery[start : start + block] for start in range(0, 50, block)), 4)
    distances = np.square(queries[:, None].astype(np.float64) - gallery).sum(axis=2)
    assert np.array_equal(found, np.argsort(distances, axis=1)[:, :4])


def test_a_gallery_smaller_than_k_is_returned_whole():
    queries = np.zeros((2, 1), dtype=np.float32)
    gallery = np.array([[3.0], [1.0], [2.0]], dtype=np.float32)
    assert nearest(queries, iter([gallery]), 5).tolist() == [[1, 2, 0]] * 2


def test_of_equally_near_images_the_earlier_one_comes_first():
    gallery = np.ones((4, 2), dtype=np.float32)
    assert nearest(np.zeros((1, 2), dtype=np.float32), iter([gallery[:2], gallery[2:]]), 3).tolist() == [[0, 1, 2]]


def test_pixels_are_the_packed_images_in_the_order_asked_for():
    images = np.arange(5 * 12, dtype=np.uint8).reshape(5, 2, 2, 3)
    (block,) = pixel_blocks(images, np.array([3, 1]))
    assert block.dtype == np.float32 and block[:, 0].tolist() == [36, 12]


def test_features_are_what_fc8_sees(tmp_path, monkeypatch):
    net = make_net(NET.model_copy(update={"towers": 1}), 3).eval()
    initialise(net, torch.Generator().manual_seed(0))
    dataset = write_dataset(tmp_path, {"train": 7, "val": 2, "test": 5}, size_px=16, classes=3)
    monkeypatch.setattr(analysis, "BLOCK_VALUES", 3 * 16 * 16 * 3)
    rows = np.array([4, 0, 2, 1])

    blocks = list(feature_blocks(net, dataset, "test", rows, crop_px=12, batch=2))

    assert [block.shape for block in blocks] == [(3, 6), (1, 6)]
    images = dataset.split("test").images[rows][:, 2:14, 2:14].astype(np.float32) - dataset.mean_image[2:14, 2:14]
    seen = torch.from_numpy(images).permute(0, 3, 1, 2)
    with torch.no_grad():
        net.fc8 = nn.Identity()
        torch.testing.assert_close(torch.from_numpy(np.concatenate(blocks)), net(seen))
    assert np.concatenate(blocks).min() >= 0 and np.concatenate(blocks).max() > 0


def kernel(red: float, green: float, blue: float) -> np.ndarray:
    """(3, 2, 2), the same colour everywhere."""
    return np.array([red, green, blue])[:, None, None] * np.ones((1, 2, 2))


def test_grey_has_no_chroma_and_opponent_colours_nothing_else():
    kernels = np.stack([kernel(2, 2, 2), kernel(1, -1, 0), kernel(3, 0, 0), kernel(0, 0, 0)])
    # (3, 0, 0) is 1 everywhere and (2, -1, -1): 6 of 9
    assert chroma_energy(kernels).tolist() == pytest.approx([0, 1, 2 / 3, 0])


def test_the_grey_part_is_taken_at_each_position():
    """A black-and-white edge is grey; one from red to cyan is not, although its mean is."""
    edge = np.array([1.0, -1.0])[None, None, None, :]
    grey, coloured = (np.array(colour)[None, :, None, None] * edge for colour in ([1, 1, 1], [1, -0.5, -0.5]))
    assert chroma_energy(grey).tolist() == pytest.approx([0])
    assert chroma_energy(coloured).tolist() == pytest.approx([1])


def test_a_grey_and_a_coloured_tower_differ():
    kernels = np.stack([kernel(1, 1, 1 + k / 100) for k in range(4)] + [kernel(1, -1, k / 100) for k in range(4)])
    found = compare_towers(kernels)
    assert [len(each) for each in found.towers] == [4, 4]
    assert found.means == pytest.approx([np.mean(each) for each in found.towers])
    assert found.means[0] < 0.001 and found.means[1] > 0.99
    assert found.difference == pytest.approx(found.means[1] - found.means[0])
    # Of the 70 ways to choose four of eight, this one and its mirror image are the extreme ones.
    assert found.p == pytest.approx(2 / 70)


def test_towers_of_the_same_kernels_do_not_differ():
    half = [kernel(1, 1, 1), kernel(1, -1, 0), kernel(3, 0, 0)]
    found = compare_towers(np.stack(half + half))
    assert found.difference == pytest.approx(0) and found.p == 1.0


def test_many_kernels_are_permuted_at_random_but_reproducibly():
    kernels = np.random.default_rng(0).normal(size=(96, 3, 3, 3))
    first, second = compare_towers(kernels), compare_towers(kernels)
    assert first == second and 0.05 < first.p <= 1
