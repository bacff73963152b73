"""GPUs that are not there: an `nvidia-smi` of a test's, first on PATH, lists them; a lease needs no more of a card."""

import os
import sys
from pathlib import Path

import pytest

from alexnet2012 import gpus

JOB = Path(__file__).with_name("lease_job.py")
SOURCE = Path(__file__).resolve().parents[2] / "src"


def uuid_of(number: int) -> str:
    return f"GPU-{number:08x}-0000-0000-0000-000000000000"


def write_nvidia_smi(folder: Path, count: int) -> Path:
    """The folder to put first on PATH; its `nvidia-smi` answers the one question that is asked of it."""
    rows = "\n".join(f"{number}, {uuid_of(number)}" for number in range(count))
    return write_program(
        folder, f'[ "$*" = "--query-gpu=index,uuid --format=csv,noheader" ] || exit 1\necho "{rows}"\n'
    )


def write_program(folder: Path, lines: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{lines}", encoding="utf-8")
    path.chmod(0o755)
    return folder


def environment(folder: Path, count: int) -> dict[str, str]:
    """Of a process on a machine of so many GPUs that leases in `folder`, whatever this machine and its caller have."""
    names = ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID")
    return {
        **{key: value for key, value in os.environ.items() if key not in names},
        "PATH": f"{write_nvidia_smi(folder / 'bin', count)}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(SOURCE),
        "ALEXNET2012_LEASES": str(folder / "leases"),
    }


def refuse_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process a job that would wait fails: nobody would ever end what it waits for."""
    monkeypatch.setattr(gpus, "POLL_S", -1.0)  # no time to sleep


def job_command(output: Path, needed: int, granted: int, seconds: float) -> list[str]:
    return [sys.executable, str(JOB), str(output), str(needed), str(granted), str(seconds)]
