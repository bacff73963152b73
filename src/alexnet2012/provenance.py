"""What made a result: commit, machine, versions, date."""

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from alexnet2012.cpu import count_usable_cores
from alexnet2012.errors import RecordError

COMMIT_VARIABLE = "ALEXNET2012_COMMIT"


@dataclass(frozen=True)
class Provenance:
    """`hardware` names the processor and the GPU, if one was used; `dirty`: tracked files differed."""

    commit: str
    dirty: bool
    date: str
    hardware: str
    usable_cores: int
    python: str
    torch: str
    torchvision: str
    torch_threads: int


def collect(torch_threads: int, device: str = "cpu") -> Provenance:
    """The provenance of what this process is about to make; raises RecordError when the commit cannot be told."""
    commit, dirty = read_commit()
    return Provenance(
        commit=commit,
        dirty=dirty,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        hardware=describe_hardware(device),
        usable_cores=count_usable_cores(),
        python=platform.python_version(),
        torch=version("torch"),
        torchvision=version("torchvision"),
        torch_threads=torch_threads,
    )


def read_commit() -> tuple[str, bool]:
    """Commit and dirty flag of the checkout that this package is run from."""
    if given := os.environ.get(COMMIT_VARIABLE):
        return given, False
    reason = "no checkout of the project was found"
    for folder in (Path(__file__).resolve().parents[2], Path.cwd()):
        if not (folder / "src" / "alexnet2012").is_dir():
            continue
        head = run_git(folder, "rev-parse", "HEAD")
        status = run_git(folder, "status", "--porcelain", "--untracked-files=no")
        if head.returncode == 0 and status.returncode == 0:
            return head.stdout.strip(), bool(status.stdout.strip())
        reason = (head.stderr or status.stderr).strip().partition("\n")[0]
    raise RecordError(
        f"the commit that runs cannot be told ({reason}), and a result without its commit is refused. Run from a git "
        f"clone, or set {COMMIT_VARIABLE} to the commit that you unpacked."
    )


def run_git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess(words, 1, "", "git is not installed")


def describe_hardware(device: str) -> str:
    """Processor model, and the GPU's when `device` is cuda."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in information.read_text().splitlines()
            if line.startswith("model name")
        ]
        processor = names[0] if names else processor
    text = f"{processor}, {count_usable_cores()} usable cores"
    if device == "cuda":
        import torch

        text += f", {torch.cuda.get_device_name()}"
    return text
