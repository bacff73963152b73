"""Headless Chromium for tests of pages; it can reach only this machine."""

import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
DEAD_PROXY = "--proxy-server=127.0.0.1:9"  # for every address but those of this machine

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium, chromium-browser or google-chrome")


def rendered(address: str, profile: Path, width_px: int = 1280, budget_ms: int = 5000) -> str:
    """The page's HTML after its scripts have run and their requests were answered; a new folder is a fresh profile.

    `budget_ms`: virtual time, which stops while the page waits for an answer.
    """
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", *QUIET, DEAD_PROXY]
    command += [f"--user-data-dir={profile}", f"--window-size={width_px},2000", f"--virtual-time-budget={budget_ms}"]
    done = subprocess.run([*command, "--dump-dom", address], capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout
