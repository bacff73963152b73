"""Real photographs for tests: 20 classes of Caltech-101, if the archive is available."""

import os
import tarfile
from pathlib import Path

CALTECH = Path(__file__).parents[3] / "shared" / "data" / "caltech101-20.tar"


def caltech_archive() -> Path | None:
    """The archive named by ALEXNET2012_CALTECH, or the one beside the project's folder; None if it does not exist."""
    archive = Path(os.environ.get("ALEXNET2012_CALTECH", CALTECH))
    return archive if archive.is_file() else None


def read_caltech(per_class: int) -> list[list[bytes]] | None:
    """Up to `per_class` JPEGs of each of the 20 classes; None if there is no archive."""
    archive = caltech_archive()
    if archive is None:
        return None
    classes: dict[str, list[bytes]] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.lower().endswith(".jpg"):
                images = classes.setdefault(Path(member.name).parent.name, [])
                if len(images) < per_class:
                    images.append(tar.extractfile(member).read())
    return [classes[name] for name in sorted(classes)]
