import numpy as np
import pytest
from fake_images import PER_BATCH

from alexnet2012 import dataset_config
from alexnet2012.data import downloads
from alexnet2012.data.sources import cifar10 as module


@pytest.fixture
def cifar10(monkeypatch) -> downloads.Cifar10:
    """Random pixels, labels 0 to 9 in turn; its digest takes the place of the real one, and val has 2 of each class."""
    generator = np.random.default_rng(1)
    images = generator.integers(0, 256, (6 * PER_BATCH, 32, 32, 3), dtype=np.uint8)
    labels = (np.arange(6 * PER_BATCH) % 10).astype(np.uint8)
    fake = downloads.Cifar10(images[:60], labels[:60], images[60:], labels[60:])
    monkeypatch.setattr(dataset_config, "CIFAR10_DIGEST", fake.digest)
    monkeypatch.setattr(module, "CIFAR10_VAL_PER_CLASS", 2)
    return fake
