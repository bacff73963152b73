"""What made a result: commit, source, machine, versions, date. setup.py imports it where only Python is installed."""

import hashlib
import os
import platform
import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from alexnet2012.cpu import count_usable_cores
from alexnet2012.errors import RecordError

COMMIT_VARIABLE = "ALEXNET2012_COMMIT"
PACKAGE = Path(__file__).resolve().parent
# Holds the commit where there is no git: `git archive` fills it in (.gitattributes), and so does a build (setup.py).
STAMP = "commit.txt"


@dataclass(frozen=True)
class Provenance:
    """`hardware` names the processor and the GPU, if one was used; `dirty`: files differed from the commit;
    `source_sha256` is of the package's modules, as `digest_source` works it out."""

    commit: str
    dirty: bool
    source_sha256: str
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
        source_sha256=digest_source(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        hardware=describe_hardware(device),
        usable_cores=count_usable_cores(),
        python=platform.python_version(),
        torch=version("torch"),
        torchvision=version("torchvision"),
        torch_threads=torch_threads,
    )


def read_commit(package: Path = PACKAGE) -> tuple[str, bool]:
    """Commit of the modules in `package`, by default those that run, and whether files differ from it.

    It is what ALEXNET2012_COMMIT says; else that of the git checkout in which they are tracked; else the one stamped
    into an exported archive or an installed wheel. Raises RecordError when none of these tells.
    """
    if given := os.environ.get(COMMIT_VARIABLE):
        return given, False
    try:
        return read_checkout(package)
    except NoCheckout as reason:
        if stamp := read_stamp(package):
            return stamp
        raise RecordError(
            f"the commit that runs cannot be told ({reason}), and a result without its commit is refused. Run from a "
            f"git clone, or set {COMMIT_VARIABLE} to the commit that you unpacked."
        ) from None


class NoCheckout(Exception):
    """Why git knows no commit of the package."""


def read_checkout(package: Path) -> tuple[str, bool]:
    """Commit and dirty flag of the checkout in which `package` is tracked, not of another repository around a copy.

    A module that git does not track makes it dirty: the commit does not hold it. Raises NoCheckout.
    """
    tracked = set(ask_git(package, "ls-files", "-z").split("\0"))
    if Path(__file__).name not in tracked:
        raise NoCheckout(f"git does not track {package}")
    commit = ask_git(package, "rev-parse", "--verify", "HEAD").strip()
    changes = ask_git(package, "status", "--porcelain", "--untracked-files=no")
    return commit, bool(changes) or not tracked.issuperset(list_modules(package))


def ask_git(folder: Path, *words: str) -> str:
    """What git prints in `folder`; raises NoCheckout with its reason.

    Its variables are ignored: a hook's or a dotfile manager's GIT_DIR names another repository.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-C", str(folder), *words]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", env=environment)
    except FileNotFoundError:
        raise NoCheckout("git is not installed") from None
    if done.returncode:
        raise NoCheckout(done.stderr.strip().partition("\n")[0])
    return done.stdout


def read_stamp(package: Path) -> tuple[str, bool] | None:
    """Commit and dirty flag in the stamp; None where there is none, or one that nothing filled in."""
    try:
        text = (package / STAMP).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    found = re.fullmatch(r"([0-9a-f]{40,64})( dirty)?\n?", text)
    return (found[1], bool(found[2])) if found else None


def write_stamp(package: Path, built: Path) -> None:
    """Stamp the copy `built` of `package` with the package's commit, or with nothing where that cannot be told."""
    try:
        commit, dirty = read_commit(package)
        text = f"{commit}{' dirty' if dirty else ''}\n"
    except RecordError:
        text = ""
    (built / STAMP).write_text(text, encoding="utf-8")


def digest_source(package: Path = PACKAGE) -> str:
    """SHA-256 over names and content of the modules in `package`, whose lines may end in either way."""
    content = hashlib.sha256()
    for name in list_modules(package):
        source = (package / name).read_bytes().replace(b"\r\n", b"\n")
        content.update(f"{name}\0{len(source)}\0".encode() + source)
    return content.hexdigest()


def list_modules(package: Path) -> list[str]:
    """Paths in `package` of its modules, sorted; hidden files and folders are an editor's."""
    names = (path.relative_to(package) for path in package.rglob("*.py"))
    return sorted(name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts))


def describe_hardware(device: str) -> str:
    """Processor model, and the GPU's when `device` is cuda."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in information.read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ]
        processor = names[0] if names else processor
    text = f"{processor}, {count_usable_cores()} usable cores"
    if device == "cuda":
        import torch

        text += f", {torch.cuda.get_device_name()}"
    return text
