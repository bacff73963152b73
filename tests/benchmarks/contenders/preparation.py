"""Photographs to squares of 256 pixels: the verb `prepare`, Pillow in a loop, torchvision's ImageFolder."""

import io
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from contest import Call, Done
from PIL import Image

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.provenance import COMMIT_VARIABLE, read_commit

SIZE_PX = 256


def make_ours(folder: str, data: str) -> Call:
    """As its rule does, in a process of its own; "packing_s" is what it says of decoding and storing alone."""
    dataset = DatasetConfig(kind="imagefolder", folder=folder).model_dump_json()
    command = [sys.executable, "-m", "alexnet2012", "prepare", "photographs", dataset, "--data", data]
    images = len(list(Path(folder).glob("*/*.JPEG")))
    environment = {COMMIT_VARIABLE: read_commit()[0], **os.environ}

    def call() -> Done:
        began = time.perf_counter()
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8", env=environment).stdout
        seconds = time.perf_counter() - began
        shutil.rmtree(Path(data, "photographs"))
        rate = float(re.findall(r"([\d,]+) images/s", said)[-1].replace(",", ""))
        return Done(images, seconds, {"packing_s": images / rate})

    return call


def make_pillow(folder: str, share: int) -> Call:
    """One core: decode, shorter side to 256, central square, of every `share`-th photograph, as anyone would write."""
    files = [path.read_bytes() for path in sorted(Path(folder).glob("*/*.JPEG"))[::share]]

    def call() -> Done:
        for content in files:
            image = Image.open(io.BytesIO(content)).convert("RGB")
            scale = SIZE_PX / min(image.size)
            width, height = (round(side * scale) for side in image.size)
            left, top = (width - SIZE_PX) // 2, (height - SIZE_PX) // 2
            resized = image.resize((width, height), Image.Resampling.BILINEAR)
            np.asarray(resized.crop((left, top, left + SIZE_PX, top + SIZE_PX))).copy()
        return Done(len(files))

    return call


def make_loader(folder: str, workers: int) -> Call:
    """One pass of a DataLoader with a worker for each core."""
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    transform = v2.Compose([v2.Resize(SIZE_PX), v2.CenterCrop(SIZE_PX), v2.PILToTensor()])
    loader = DataLoader(ImageFolder(folder, transform), batch_size=64, num_workers=workers)
    return lambda: Done(sum(len(labels) for _, labels in loader))
