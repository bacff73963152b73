"""The journal of a preparation: which shards of the source are packed and safe on disk, so that a kill loses only one.

A shard is 4,096 images in the order of the source's files; the shards of a split are finished in that order.
"""

import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from alexnet2012.files import replacing


@dataclass(frozen=True)
class PackedShard:
    """One finished shard. `sha256` is that of the sha256 of its images; `end`: bytes of images.bin used so far.

    `odd` and `failed`: by row, what is odd about an image, or why it cannot be read.
    """

    split: str
    number: int
    sha256: str
    end: int = 0
    odd: dict[int, str] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)


class Journal:
    """`folder`/journal.jsonl: what the work is, then a line for each finished shard, each synced before it counts.

    `identity` is None where there is no journal yet; `finished` holds the shards. A line that a kill cut short, and all
    after it, do not count. Numbers of each image (sizes, places) lie in `folder`/sizes/, a file for each shard.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "journal.jsonl"
        self.identity: dict | None = None
        self.finished: list[PackedShard] = []
        if self.path.is_file():
            self._read()

    def begin(self, identity: dict, shards: list[PackedShard]) -> None:
        """Write the journal anew for the work that `identity` describes, with `shards` finished."""
        (self.folder / "sizes").mkdir(exist_ok=True)
        with replacing(self.path) as temporary:
            temporary.write_text(
                "".join(_line(each) for each in ({"identity": identity}, *map(asdict, shards))), encoding="utf-8"
            )
        self.identity, self.finished = identity, list(shards)

    def add(self, shard: PackedShard, **numbers: np.ndarray) -> None:
        """Note a shard whose images are on disk; returns when the note is, too."""
        with self._sizes_file(shard).open("wb") as file:
            np.savez(file, **numbers)
            file.flush()
            os.fsync(file.fileno())
        self._append(asdict(shard))
        self.finished.append(shard)

    def numbers(self, shard: PackedShard) -> dict[str, np.ndarray]:
        """What `add` was given with the shard. Raises OSError, ValueError or KeyError when the file is damaged."""
        with np.load(self._sizes_file(shard)) as file:
            return dict(file)

    def of_split(self, split: str) -> list[PackedShard]:
        return [shard for shard in self.finished if shard.split == split]

    def drop(self, split: str, first: int) -> None:
        """Forget the shards of a split from number `first` on."""
        kept = [shard for shard in self.finished if shard.split != split or shard.number < first]
        self.begin(self.identity or {}, kept)

    @staticmethod
    def remove_from(folder: Path) -> None:
        """Leave nothing of a journal in a finished folder."""
        shutil.rmtree(folder / "sizes")
        (folder / "journal.jsonl").unlink()

    def _sizes_file(self, shard: PackedShard) -> Path:
        return self.folder / "sizes" / f"{shard.split}-{shard.number:05d}.npz"

    def _read(self) -> None:
        whole = 0
        with self.path.open("rb") as file:
            for line in file:
                try:
                    values = json.loads(line)
                    if not line.endswith(b"\n"):
                        break
                    if self.identity is None:
                        self.identity = values["identity"]
                    else:
                        self.finished.append(_read_shard(values))
                except (ValueError, KeyError, TypeError):
                    break
                whole += len(line)
        os.truncate(self.path, whole)

    def _append(self, values: dict) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(values))
            file.flush()
            os.fsync(file.fileno())


def _line(values: dict) -> str:
    return json.dumps(values) + "\n"


def _read_shard(values: dict) -> PackedShard:
    # A few notes stand for many images: one object each.
    rows = {key: {int(row): sys.intern(text) for row, text in values[key].items()} for key in ("odd", "failed")}
    return PackedShard(values["split"], values["number"], values["sha256"], values["end"], **rows)
