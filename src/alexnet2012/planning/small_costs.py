"""Measured costs beside training and evaluation: reading photographs, packing bytes, sorting probabilities."""

import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from alexnet2012.planning.disk import existing_parent, stored_image_bytes
from alexnet2012.planning.miniature import job_environment
from alexnet2012.planning.work import DatasetWork

PHOTOGRAPH_PX, PHOTOGRAPH_QUALITY = (500, 375), 90  # the usual image of ILSVRC
GRAIN, PHOTOGRAPH_GRAIN = 6.0, 10.0  # grey levels: 39 kB at 256 pixels and quality 95, about 90 kB of the other
JPEG_QUALITY = 95
REPEATS = 24
WRITTEN_BYTES = 2**26


@dataclass(frozen=True)
class SmallCosts:
    """`decode_s`: one 500 x 375 JPEG of quality 90 decoded and resized, all cores at work, per image and core.

    `encode_s`: one packed image to JPEG, on one core. `sum_s_per_byte`: of pixels, for mean image and colours, and
    `digest_s_per_byte`, on one core; `write_s_per_byte`: to the disk of the data; `png_s_per_byte`: decoding, per byte
    of pixels; `value_s`: finding the five best of many probabilities, per probability.
    """

    decode_s: float
    encode_s: float
    sum_s_per_byte: float
    digest_s_per_byte: float
    write_s_per_byte: float
    png_s_per_byte: float
    value_s: float


def measure_small_costs(data_folder: Path, size_px: int, cores: int) -> SmallCosts:
    """All of them, in about two seconds."""
    import hashlib

    import numpy as np

    from alexnet2012.data.statistics import sum_images
    from alexnet2012.data.storage import encode
    from alexnet2012.evaluation.metrics import rank_truth

    random = np.random.default_rng(0)
    chunk = random.integers(0, 256, (max(1, 2**23 // (size_px**2 * 3)), size_px, size_px, 3), dtype=np.uint8)

    probabilities, labels = random.random((2000, 1000), dtype=np.float32), np.zeros(2000, dtype=np.int64)
    return SmallCosts(
        decode_s=time_decoding(make_photograph(*PHOTOGRAPH_PX, PHOTOGRAPH_QUALITY, PHOTOGRAPH_GRAIN), size_px, cores),
        encode_s=median_time(lambda: encode(chunk[0], JPEG_QUALITY)),
        sum_s_per_byte=median_time(lambda: sum_images(chunk)) / chunk.nbytes,
        digest_s_per_byte=median_time(lambda: hashlib.sha256(chunk)) / chunk.nbytes,
        write_s_per_byte=time_writing(existing_parent(data_folder)) / WRITTEN_BYTES,
        png_s_per_byte=time_decoding(make_photograph(512, 512, None), 512, 1) / (512 * 512 * 3),
        value_s=median_time(lambda: rank_truth(probabilities, labels)) / probabilities.size,
    )


def preparation_seconds(dataset: DatasetWork, costs: SmallCosts, cores: int, start_s: float) -> float:
    """Seconds to pack a dataset on all cores: images are decoded and written side by side, then summed and digested.

    CIFAR-10 is unpacked from one file, on one core; the time of a download is not counted.
    """
    config = dataset.config
    image_bytes = config.size_px**2 * 3
    stored = dataset.images * stored_image_bytes(config)
    if config.kind == "cifar10":
        reading = dataset.images * image_bytes * costs.png_s_per_byte
    else:
        encoding = costs.encode_s if config.storage == "jpeg" else 0.0
        reading = dataset.images * (costs.decode_s + encoding) / cores
    summing = dataset.counts.images["train"] * image_bytes * costs.sum_s_per_byte
    return (
        start_s + max(reading, stored * costs.write_s_per_byte) + (summing + stored * costs.digest_s_per_byte) / cores
    )


def make_photograph(width: int, height: int, quality: int | None, grain: float = GRAIN) -> bytes:
    """Clouds with some grain, whose files are as large as photographs' are; a JPEG of `quality`, or (None) a PNG."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    small = random.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    clouds = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC), dtype=np.float64)
    pixels = np.clip(clouds + random.normal(0, grain, clouds.shape), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, **({"format": "JPEG", "quality": quality} if quality else {"format": "PNG"}))
    return file.getvalue()


def time_decoding(encoded: bytes, size_px: int, cores: int) -> float:
    """Seconds of one core for one image, decoded and made a square of `size_px`, all `cores` at work."""
    from alexnet2012.data.decode import decode

    def read(_: int) -> None:
        decode(encoded, "photograph.JPEG", size_px)

    with ThreadPoolExecutor(cores) as pool:  # Pillow decodes and resizes outside the interpreter lock
        list(pool.map(read, range(cores)))
        started = time.perf_counter()
        list(pool.map(read, range(REPEATS * cores)))
    return (time.perf_counter() - started) / REPEATS


def time_writing(folder: Path) -> float:
    """Seconds to write and flush WRITTEN_BYTES to a temporary file in `folder`; 0 where that is not allowed."""
    content = os.urandom(2**20)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            started = time.perf_counter()
            for _ in range(WRITTEN_BYTES // len(content)):
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
            return time.perf_counter() - started
    except OSError:
        return 0.0


def median_time(work, repeats: int = 3) -> float:
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def measure_snakemake(configfile: Path) -> float:
    """Seconds until Snakemake knows its jobs: a dry run here, or where there is no Snakefile, its import."""
    call = [sys.executable, "-m", "snakemake", "-n", "-q", "all", "--configfile", str(configfile)]
    if not Path("Snakefile").is_file():
        call = [sys.executable, "-c", "import snakemake.cli"]
    started = time.monotonic()
    subprocess.run(call, env=job_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.monotonic() - started
