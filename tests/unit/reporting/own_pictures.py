"""Pictures of one's own in 20 classes with unkind names, and a net that gets some of them wrong."""

import json

import numpy as np
from fake_results import FakeResults
from PIL import Image

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.data.packed import open_packed
from alexnet2012.data.prepare import prepare

UNKIND = [
    *(
        "$x_1^{2}$",
        "_a_ *b* **c**",
        "a\\b",
        "<b>bold</b>",
        "black & white &amp;",
        "a|b",
        "`code`",
        "\"double\" 'single'",
    ),
    *("猫", "犬", "قطة", "😀", "x" * 200, "x" * 199 + "y", " leading", "..", "-rf", "100 %", "#1", "<script>alert(1)"),
]
WRONG = 5  # images of test, the first ones


def add_own_pictures(fake: FakeResults, names: list[str] = UNKIND) -> None:
    """data/photos, and a net cnn that takes the first WRONG images of test for the next class, the last most surely."""
    random = np.random.default_rng(0)
    for k in range(len(names)):
        (folder := fake.root / "pictures" / f"{k:03d}").mkdir(parents=True)
        for image in range(10):
            pixels = random.integers(0, 255, (12, 12, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{image}.png")
    prepare("photos", DatasetConfig(kind="imagefolder", folder=str(fake.root / "pictures"), size_px=12), fake.data)
    manifest = fake.data / "photos" / "manifest.json"
    described = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps(described | {"classes": names, "digest": "photos0123456789abcdef"}))
    dataset = open_packed(fake.data / "photos")
    fake.classes, fake.counts = len(names), dataset.counts
    fake.add("cnn", {0: {("test", "ten_crop"): (WRONG, 0)}}, ("table1", "in_text"))
    labels = dataset.split("test").labels
    rows = np.arange(len(labels))
    answers = np.where(rows < WRONG, (labels + 1) % len(names), labels)
    probabilities = np.full((len(labels), len(names)), 0.01, np.float32)
    probabilities[rows, answers] = 0.5 + 0.1 * np.minimum(rows, WRONG - 1)
    (path,) = fake.folder.glob("predictions/photos/cnn-*/seed0/test-ten_crop.npy")
    np.save(path, probabilities)
