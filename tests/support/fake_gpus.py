"""Fake GPUs, listed by a fake `nvidia-smi` that is first on PATH; this is all that leases need."""

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
    """Write a fake `nvidia-smi` that lists `count` GPUs; returns its folder, to be put first on PATH."""
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
    """The environment of a process on a machine with `count` GPUs and leases in `folder`, independent of this one."""
    names = ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID")
    return {
        **{key: value for key, value in os.environ.items() if key not in names},
        "PATH": f"{write_nvidia_smi(folder / 'bin', count)}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(SOURCE),
        "ALEXNET2012_LEASES": str(folder / "leases"),
    }


def refuse_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make jobs in this process fail instead of waiting for a GPU, because nothing would ever free it."""
    monkeypatch.setattr(gpus, "POLL_S", -1.0)  # time.sleep raises ValueError


def job_command(output: Path, needed: int, granted: int, seconds: float) -> list[str]:
    return [sys.executable, str(JOB), str(output), str(needed), str(granted), str(seconds)]
