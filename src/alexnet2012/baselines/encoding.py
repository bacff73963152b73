"""Encoding the images of a split in chunks, on all cores; finished chunks survive a kill."""

from collections.abc import Container, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from alexnet2012.baselines.codebook import Codebook
from alexnet2012.baselines.descriptors import cells, describe_patches, place
from alexnet2012.baselines.quantise import Quantiser
from alexnet2012.config.nets import DescriptorConfig, FisherConfig, SparseConfig
from alexnet2012.data.augment import stream
from alexnet2012.data.packed import PackedSplit, open_packed
from alexnet2012.files import replacing

CHUNK_IMAGES = 512  # with codes of 40,000 numbers, 82 MB in float32 while they are computed
SAMPLED_PER_IMAGE = 20  # minimum number of descriptors


@dataclass(frozen=True)
class Encoder:
    """Encodes images as vectors: descriptors of `model`, coded by `codebook`, pooled over `cells`."""

    model: DescriptorConfig
    config: FisherConfig | SparseConfig
    codebook: Codebook
    cells: np.ndarray

    @classmethod
    def make(
        cls, model: DescriptorConfig, config: FisherConfig | SparseConfig, codebook: Codebook, size_px: int
    ) -> "Encoder":
        return cls(model, config, codebook, cells(place(size_px, model), config.pyramid))

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Vectors, float32 (n, dimensions), of images uint8 (n, s, s, 3)."""
        with threadpool_limits(1):  # because there is a process for each core
            return np.array(
                [self.codebook.encode(describe_patches(each, self.model), self.cells, self.config) for each in images]
            )


def sample_descriptors(
    split: PackedSplit, model: DescriptorConfig, config: FisherConfig | SparseConfig, seed: int
) -> np.ndarray:
    """Random descriptors of random training images, float32 (n, D); `config` has their numbers."""
    random = stream(seed, f"descriptors-{model.kind}")
    rows = np.sort(random.permutation(len(split))[: config.sampled_images])
    each = max(SAMPLED_PER_IMAGE, -(-config.sampled_descriptors // len(rows)))
    found = []
    for row in rows:
        own = describe_patches(split.images[row], model)
        found.append(own[random.permutation(len(own))[:each]])
    return np.concatenate(found)[: config.sampled_descriptors]


def list_chunks(order: np.ndarray) -> list[np.ndarray]:
    """`order`, row numbers of images, cut into chunks."""
    return [order[first : first + CHUNK_IMAGES] for first in range(0, len(order), CHUNK_IMAGES)]


def encode_chunks(
    data_folder: Path,
    split: str,
    chunks: list[np.ndarray],
    encoder: Encoder,
    quantiser: Quantiser | None,
    folder: Path,
    processes: int,
    skipped: Container[int] = (),
) -> Iterator[tuple[int, Path]]:
    """Write a file of codes in `folder` for each of `chunks`, unless it exists already or its index is in `skipped`.

    Yields each chunk's index and file in order, as soon as it exists; `load_codes` reads it."""
    paths = {index: folder / f"{split}-{index:06d}.npy" for index in range(len(chunks)) if index not in skipped}
    missing = {index: path for index, path in paths.items() if not path.exists()}
    tasks = [(chunks[index], path) for index, path in missing.items()]
    # Spawned, because a forked process could inherit a lock held by a library's thread.
    with ProcessPoolExecutor(processes, get_context("spawn"), _open, (data_folder, split, encoder, quantiser)) as pool:
        made = pool.map(_encode_chunk, tasks)
        for index, path in paths.items():
            if index in missing:
                next(made)
            yield index, path


def load_codes(path: Path, quantiser: Quantiser | None) -> np.ndarray:
    """The codes of a chunk, float32 (n, dimensions)."""
    stored = np.load(path)
    return stored.astype(np.float32) if quantiser is None else quantiser.decode(stored)


_work: tuple[PackedSplit, Encoder, Quantiser | None]


def _open(data_folder: Path, split: str, encoder: Encoder, quantiser: Quantiser | None) -> None:
    global _work
    _work = (open_packed(data_folder).split(split), encoder, quantiser)


def _encode_chunk(task: tuple[np.ndarray, Path]) -> None:
    rows, path = task
    split, encoder, quantiser = _work
    vectors = encoder.encode(split.images[rows])
    stored = vectors.astype(np.float16) if quantiser is None else quantiser.encode(vectors)
    save_array(path, stored)


def save_array(path: Path, array: np.ndarray) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)
