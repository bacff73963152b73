import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from fake_dataset import write_dataset, write_manifest
from PIL import Image
from torch import nn
from torch.nn import functional

from alexnet2012 import cli
from alexnet2012.data.packed import PackedDataset
from alexnet2012.errors import DataError
from alexnet2012.evaluation import calibrate as calibrating
from alexnet2012.evaluation.calibrate import KNOWN, TOLERANCE, calibrate, preprocess
from alexnet2012.files import SCHEMA, file_digest

CLASSES, SIZE, VAL = 10, 8, 400


def scale(images: np.ndarray) -> torch.Tensor:
    """Another preprocessing than torchvision's: -1..1."""
    return torch.from_numpy(images.transpose(0, 3, 1, 2) / np.float32(127.5) - 1)


def write_colours(folder) -> PackedDataset:
    """Each class has its own colour, of which an image shows a shade."""
    dataset = write_dataset(folder, {"train": 1000, "val": VAL, "test": 1}, SIZE, CLASSES)
    generator = np.random.default_rng(5)
    colours = generator.integers(40, 216, (CLASSES, 3))
    for split in ("train", "val"):
        labels = np.load(folder / split / "labels.npy")
        shades = colours[labels] + generator.normal(0, 25, (len(labels), 3))
        pixels = shades[:, None, None] + generator.normal(0, 20, (len(labels), SIZE, SIZE, 3))
        np.save(folder / split / "images.npy", np.clip(pixels, 0, 255).astype(np.uint8))
    return dataset


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """(dataset, a net trained on it, its errors on val measured image by image)."""
    dataset = write_colours(tmp_path_factory.mktemp("colours"))
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 32, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(32, CLASSES)
    )
    optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
    train = dataset.split("train")
    inputs, labels = scale(train.images), torch.from_numpy(train.labels)
    for _ in range(60):
        optimiser.zero_grad()
        functional.cross_entropy(net(inputs), labels).backward()
        optimiser.step()
    net.eval()
    ranks = []
    for image, label in zip(dataset.split("val").images, dataset.split("val").labels, strict=True):
        with torch.no_grad():
            scores = net(scale(image[None]))[0].tolist()
        ranks.append(sorted(scores, reverse=True).index(scores[label]))
    return dataset, net, {f"top{k}": sum(rank >= k for rank in ranks) / VAL for k in (1, 5)}


def test_a_nets_known_errors_are_found_again_without_its_masks(learnt):
    dataset, net, known = learnt
    assert 0.02 < known["top1"] < 0.4  # it has learnt, and has something to get wrong
    assert calibrate(net.train(), scale, dataset, known, 0.0, batch=64) == known


ORDER = np.random.default_rng(0).permutation(CLASSES)  # as if the classes had been numbered in another order


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        ("labels.npy", lambda labels: ORDER[labels]),
        ("labels.npy", lambda labels: np.array([1, 0, *range(2, CLASSES)])[labels]),
        ("images.npy", lambda images: images[..., ::-1]),
    ],
)
def test_mistakes_in_the_data_are_found_and_their_causes_told(learnt, tmp_path, name, mistake):
    original, net, known = learnt
    copy = write_dataset(tmp_path / "copy", original.counts, SIZE, CLASSES)
    for each in ("images.npy", "labels.npy"):
        array = np.load(original.folder / "val" / each)
        np.save(copy.folder / "val" / each, mistake(array) if each == name else array)
    with pytest.raises(DataError) as caught:
        calibrate(net, scale, copy, known, TOLERANCE)
    message = str(caught.value)
    assert "on 400 val images the net errs on" in message and "where 0.5 are allowed" in message
    assert f"but is known to err on {100 * known['top1']:.3f} / {100 * known['top5']:.3f} %" in message
    for cause in ("sorted WordNet ids", "RGB, not BGR", "warped images", "ground truth of val"):
        assert cause in message


class SaysFive(nn.Module):
    """Scores that put classes 0, 1, 2, ... in this order for every image."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return -torch.arange(CLASSES, dtype=torch.float32).repeat(len(images), 1)


@pytest.mark.parametrize(
    ("known", "passes"),
    [
        ({"top1": 0.9, "top5": 0.5}, True),
        ({"top1": 0.895, "top5": 0.505}, True),  # exactly half a point each
        ({"top1": 0.894, "top5": 0.5}, False),
        ({"top1": 0.9, "top5": 0.506}, False),
        ({"top1": 0.906, "top5": 0.5}, False),  # better than known is wrong too
    ],
)
def test_half_a_point_is_the_limit_for_either_error(tmp_path, known, passes):
    """Labels 0..9 in turn: of ten images the first is right at top-1, the first five at top-5."""
    dataset = write_dataset(tmp_path / "data", {"train": 1, "val": 200, "test": 1}, SIZE, CLASSES)
    np.save(dataset.folder / "val" / "labels.npy", np.arange(200) % CLASSES)
    if passes:
        assert calibrate(SaysFive(), scale, dataset, known, 0.005) == {"top1": 0.9, "top5": 0.5}
        return
    with pytest.raises(DataError, match=r"errs on 90\.000 / 50\.000 %"):
        calibrate(SaysFive(), scale, dataset, known, 0.005)


def test_the_known_errors_and_the_preprocessing_are_torchvisions():
    from torchvision.models import AlexNet_Weights

    weights = AlexNet_Weights.IMAGENET1K_V1
    right = weights.meta["_metrics"]["ImageNet-1K"]
    assert pytest.approx({"top1": 1 - right["acc@1"] / 100, "top5": 1 - right["acc@5"] / 100}) == KNOWN
    assert weights.url == calibrating.WEIGHTS_URL
    images = np.random.default_rng(0).integers(0, 256, (2, 256, 256, 3), dtype=np.uint8)
    expected = torch.stack([weights.transforms()(Image.fromarray(image)) for image in images])
    found = preprocess(images)
    assert (found.shape, found.dtype, found.is_contiguous()) == ((2, 3, 224, 224), torch.float32, True)
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=0)
    # By hand: the corner of the crop is pixel (16, 16), and red comes first.
    assert found[0, 0, 0, 0].item() == pytest.approx((images[0, 16, 16, 0] / 255 - 0.485) / 0.229, abs=1e-5)


@pytest.fixture
def edition(tmp_path, monkeypatch) -> PackedDataset:
    """Four images that pass for ILSVRC-2012's val set, in `tmp_path`/data/imagenet."""
    monkeypatch.setenv("ALEXNET2012_COMMIT", "0" * 40)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    dataset = write_dataset(tmp_path / "data" / "imagenet", {"train": 1, "val": 4, "test": 1}, 256, 1000)
    dataset = replace(dataset, name="imagenet", kind="ilsvrc2012")
    write_manifest(dataset)
    return dataset


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of weights for torchvision's AlexNet that always answers with class 7 first, then 0, 1, 2, 3."""
    from torchvision.models import alexnet

    net = alexnet()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.classifier[6].bias[:] = -torch.arange(1000.0)
        net.classifier[6].bias[7] = 1
    path = tmp_path_factory.mktemp("weights") / "weights.pth"
    torch.save(net.state_dict(), path)
    return path


def run(tmp_path, *options: str) -> int:
    arguments = ["calibrate", "imagenet", str(tmp_path / "out" / "imagenet.json"), "--data", str(tmp_path / "data")]
    return cli.main([*arguments, *map(str, options)])


@pytest.fixture
def refused(tmp_path, capsys):
    """What the command line says when it refuses; it must not have written anything."""

    def refuse(*options) -> str:
        assert run(tmp_path, *options) == 1
        assert not (tmp_path / "out").exists()
        return capsys.readouterr().err

    return refuse


def test_the_command_line_writes_a_record_when_the_errors_are_known(tmp_path, edition, weights, monkeypatch, capsys):
    """Labels 7, 3, 4, 500 against the answers 7, 0, 1, 2, 3: one of four is right at top-1, two at top-5."""
    np.save(edition.folder / "val" / "labels.npy", np.array([7, 3, 4, 500]))
    monkeypatch.setattr(calibrating, "KNOWN", {"top1": 0.752, "top5": 0.5})
    assert run(tmp_path, "--weights", str(weights)) == 0
    output = capsys.readouterr().out
    assert "is not the published file" in output and output.endswith("imagenet.json\n")
    record = json.loads((tmp_path / "out" / "imagenet.json").read_text(encoding="utf-8"))
    assert record["provenance"].pop("commit") == "0" * 40
    assert record["difference"]["top1"] == pytest.approx(-0.002)
    assert {key: value for key, value in record.items() if key not in ("provenance", "difference")} == {
        "schema": SCHEMA,
        "kind": "calibration",
        "net": "torchvision's AlexNet",
        "split": "val",
        "images": 4,
        "dataset": edition.describe(),
        "errors": {"top1": 0.75, "top5": 0.5},
        "known": {"top1": 0.752, "top5": 0.5},
        "weights_sha256": file_digest(weights),
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"part": "subset of 1000 classes, 5 images each"}, "is a part of its edition (subset of 1000 classes, 5"),
        ({"kind": "ilsvrc2010"}, "is of kind ilsvrc2010 with 1000 classes at 256 px"),
        ({"kind": "imagefolder"}, "is of kind imagefolder"),
    ],
)
def test_data_on_which_nothing_is_known_are_refused(edition, weights, refused, changes, message):
    write_manifest(replace(edition, **changes))
    assert message in refused("--weights", weights)


def test_missing_weights_are_never_fetched_unasked_and_a_fetch_that_fails_says_why(
    tmp_path, edition, monkeypatch, refused
):
    def fail(url, path, hash_prefix):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    printed = refused()
    assert f"not in {tmp_path}/cache/hub/checkpoints/alexnet-owt-7be5be79.pth; give their file" in printed
    assert "with --download once" in printed and "no route" not in printed
    assert "none.pth" in refused("--weights", tmp_path / "none.pth")
    assert "could not be fetched (no route to host); give a file with --weights" in refused("--download")
