"""Code that is said to make the bits of older code does: both train and predict here, and nothing differs."""

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from alexnet2012.fingerprint import SAME_BITS, digest

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).with_name("train_and_predict.py")
OLDER = "7c3dad5"  # the commit whose fingerprints the code of today keeps
STAGES = ("train", "predict")


def make(source: Path, folder: Path) -> dict:
    """What the package in `source` makes."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, DRIVER, folder],
        env={
            **os.environ,
            "PYTHONPATH": str(source),
            "ALEXNET2012_COMMIT": OLDER.ljust(40, "0"),
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        },
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_only_todays_code_is_said_to_keep_bits():
    """An entry of other code says nothing any more; after a change it is shown again, or taken out."""
    assert set(SAME_BITS) <= {digest(stage) for stage in STAGES}


@pytest.mark.slow
@pytest.mark.skipif(not SAME_BITS, reason="no code is said to keep the bits of older code")
def test_code_that_keeps_a_fingerprint_makes_the_same_bits(tmp_path):
    archive = subprocess.run(["git", "archive", OLDER, "src"], cwd=ROOT, capture_output=True)
    if archive.returncode:
        pytest.skip(f"commit {OLDER} is not in this checkout")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(tmp_path / "older", filter="data")

    older, todays = make(tmp_path / "older" / "src", tmp_path / "a"), make(ROOT / "src", tmp_path / "b")

    assert older["bits"] == todays["bits"]
    assert older["code"] == todays["code"]  # the older code's fingerprints, which SAME_BITS gives to today's
    assert len(set(older["bits"].values())) == len(older["bits"])
