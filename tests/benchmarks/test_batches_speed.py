"""Augmented batches from packed arrays beside torchvision's ImageFolder on JPEGs of the same images."""

import pytest
from contest import Contender
from judging import compare_speed, compare_time, floor_of_bytes, rate
from our_steps import FULL_RUN, our_step
from sizes import CORES, pick

CROP_PX, BATCH = 224, pick(128, 8)
CROP_VALUES = 3 * CROP_PX**2
RATIOS = "ratios are per core; the loader reads the 500x375 JPEGs that were packed, or JPEGs of the packed squares"


def one_core(name: str, make: str, folder, **more) -> Contender:
    return Contender(
        name, f"contenders.batches:{make}", {"folder": str(folder), "crop_px": CROP_PX, "batch": BATCH, **more}
    )


def loader(name: str, folder, workers: int = 0) -> Contender:
    arguments = {"folder": str(folder), "crop_px": CROP_PX, "batch": BATCH, "workers": workers}
    return Contender(name, "contenders.batches:make_loader", arguments, "plain", 1)


def loaders(photographs, squares) -> list[Contender]:
    """In the process itself, with a worker for each core, and in the process on JPEGs that need no resizing."""
    return [
        loader("ImageFolder + DataLoader, in process", photographs),
        loader(f"ImageFolder + DataLoader, {CORES} workers", photographs, CORES),
        loader("the same in process, JPEGs of 256 pixels", squares),
    ]


@pytest.mark.benchmark(group="batches")
def test_float_batches(compete, record, packed, photographs, jpegs):
    ours = one_core("packed arrays, one core", "make_ours", packed)
    rivals = loaders(photographs, jpegs)
    found, measured = compete([ours, *rivals, our_step("our net's training step", FULL_RUN)])
    own, in_process, in_workers, squares, step = found
    record(
        f"float batches of {BATCH}, 256 to {CROP_PX} pixels",
        "images",
        found,
        [
            compare_speed(own, in_process, 20.0),
            compare_speed(own, in_workers, 20.0, cores=(1, CORES)),
            compare_speed(own, squares, None),
            compare_time(own, step, 0.03, "share"),
        ],
        # A crop's bytes are read and its floats written.
        floor_of_bytes(own, own.units[0] * CROP_VALUES * (1 + 4), measured),
        note=f"{RATIOS}; the step is that of the full net on all cores, and the share that of its time",
    )


@pytest.mark.benchmark(group="batches")
def test_bytes_for_a_gpu(compete, record, packed, photographs, jpegs):
    ours = one_core("packed arrays, one core, uint8", "make_bytes", packed)
    found, measured = compete([ours, *loaders(photographs, jpegs)])
    own, in_process, in_workers, squares = found
    record(
        f"uint8 batches of {BATCH} for a GPU, 256 to {CROP_PX} pixels",
        "images",
        found,
        [
            rate(own, 15_000.0),
            compare_speed(own, in_process, None),
            compare_speed(own, in_workers, None, cores=(1, CORES)),
            compare_speed(own, squares, None),
        ],
        floor_of_bytes(own, own.units[0] * CROP_VALUES * 2, measured),
        note=f"{RATIOS}; from page cache; reflections, mean and colour are left to the GPU",
    )
