from pathlib import Path

import numpy as np
import pytest
from fake_imagenet import Edition
from fake_images import PER_BATCH, write_pictures
from fake_tiny_imagenet import DRAWN_VAL, EXPECTED, Tiny

from alexnet2012.config import datasets
from alexnet2012.data.sources import cifar10 as module
from alexnet2012.data.sources import ilsvrc2010, ilsvrc2012, tiny_imagenet


@pytest.fixture
def pictures(tmp_path) -> Path:
    """20 pictures of two classes: 14, 2 and 4 of the splits."""
    for k, name in enumerate(("a", "b")):
        write_pictures(tmp_path / "pictures" / name, 10, seed=k)
    return tmp_path / "pictures"


@pytest.fixture
def cifar10(monkeypatch) -> module.Cifar10:
    """Random pixels, labels 0 to 9 in turn; its digest takes the place of the real one, and val has 2 of each class."""
    generator = np.random.default_rng(1)
    images = generator.integers(0, 256, (6 * PER_BATCH, 32, 32, 3), dtype=np.uint8)
    labels = (np.arange(6 * PER_BATCH) % 10).astype(np.uint8)
    fake = module.Cifar10(images[:60], labels[:60], images[60:], labels[60:])
    monkeypatch.setattr(datasets, "CIFAR10_DIGEST", fake.digest)
    monkeypatch.setattr(module, "CIFAR10_VAL_PER_CLASS", 2)
    return fake


@pytest.fixture(scope="session")
def drawn() -> Edition:
    """ILSVRC-2012 in 12 classes; not to be changed."""
    return Edition.draw()


@pytest.fixture
def edition(drawn, monkeypatch) -> Edition:
    """The same, and its numbers of images take the place of the real one's."""
    monkeypatch.setattr(ilsvrc2012, "ILSVRC2012", drawn.expected)
    return drawn


@pytest.fixture(scope="session")
def drawn_2010() -> Edition:
    """ILSVRC-2010 in 12 classes; not to be changed."""
    return Edition.draw(year=2010)


@pytest.fixture
def edition_2010(drawn_2010, monkeypatch) -> Edition:
    """The same, and its numbers of images take the place of the real one's."""
    monkeypatch.setattr(ilsvrc2010, "ILSVRC2010", drawn_2010.expected)
    return drawn_2010


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    """Tiny ImageNet in 5 classes; not to be changed."""
    return Tiny.draw()


@pytest.fixture
def small_tiny_imagenet(monkeypatch) -> None:
    """Its numbers of images take the place of the real one's."""
    monkeypatch.setattr(tiny_imagenet, "EXPECTED", EXPECTED)
    monkeypatch.setattr(tiny_imagenet, "VAL_PER_CLASS", DRAWN_VAL)
