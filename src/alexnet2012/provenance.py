"""Provenance of a result: commit, source, machine, versions, date.

setup.py imports this module before any dependency is installed.
"""

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
# File with the commit, for use without git: filled in by `git archive` (.gitattributes) and by a build (setup.py).
STAMP = "commit.txt"


@dataclass(frozen=True)
class Provenance:
    """The code, machine and versions behind a result.

    `dirty`: files differed from the commit. `source_sha256`: see digest_source. `date`: UTC, ISO 8601. `hardware`: the
    processor and, if one was used, the GPU.
    """

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
    """The provenance of results of this process; raises RecordError if the commit is unknown."""
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
    """The commit of the modules in `package`, and whether files differ from it.

    Taken from ALEXNET2012_COMMIT, else from the git checkout that tracks the modules, else from the stamp in an
    exported archive or an installed wheel. Raises RecordError if there is none of these.
    """
    if given := os.environ.get(COMMIT_VARIABLE):
        return given, False
    try:
        return read_checkout(package)
    except NoCheckout as reason:
        if stamp := read_stamp(package):
            return stamp
        raise RecordError(
            f"the commit of the running code is unknown ({reason}), but results record it. Run from a git clone, or "
            f"set {COMMIT_VARIABLE} to the commit of the code."
        ) from None


class NoCheckout(Exception):
    """Git knows no commit of the package; the text gives the reason."""


def read_checkout(package: Path) -> tuple[str, bool]:
    """Commit and dirty flag of the checkout that tracks `package`; a repository that merely contains it does not count.

    Untracked modules count as dirty, since the commit lacks them. Raises NoCheckout.
    """
    tracked = set(ask_git(package, "ls-files", "-z").split("\0"))
    if Path(__file__).name not in tracked:
        raise NoCheckout(f"git does not track {package}")
    commit = ask_git(package, "rev-parse", "--verify", "HEAD").strip()
    changes = ask_git(package, "status", "--porcelain", "--untracked-files=no")
    return commit, bool(changes) or not tracked.issuperset(list_modules(package))


def ask_git(folder: Path, *words: str) -> str:
    """The output of a git command in `folder`; raises NoCheckout with git's own message.

    Git's environment variables are removed: in a hook, for one, GIT_DIR may name another repository.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-C", str(folder), *words]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", env=environment)
    except FileNotFoundError:
        raise NoCheckout("git is not installed") from None
    except PermissionError as error:
        raise NoCheckout(f"git cannot be run: {error.strerror}") from None
    if done.returncode:
        reason = done.stderr.strip().partition("\n")[0]
        if "dubious ownership" in reason:  # in a container, or of a folder that another user cloned
            reason += f"; allow it by `git config --global --add safe.directory {folder}`"
        raise NoCheckout(reason)
    return done.stdout


def read_stamp(package: Path) -> tuple[str, bool] | None:
    """Commit and dirty flag from the stamp; None if the stamp is missing or was not filled in."""
    try:
        text = (package / STAMP).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    found = re.fullmatch(r"([0-9a-f]{40,64})( dirty)?\n?", text)
    return (found[1], bool(found[2])) if found else None


def write_stamp(package: Path, built: Path) -> None:
    """Write the commit of `package` into the stamp of its copy `built`; an empty stamp if the commit is unknown."""
    try:
        commit, dirty = read_commit(package)
        text = f"{commit}{' dirty' if dirty else ''}\n"
    except RecordError:
        text = ""
    (built / STAMP).write_text(text, encoding="utf-8")


def digest_source(package: Path = PACKAGE) -> str:
    """SHA-256 over the names and contents of the modules in `package`, independent of line endings."""
    content = hashlib.sha256()
    for name in list_modules(package):
        source = (package / name).read_bytes().replace(b"\r\n", b"\n")
        content.update(f"{name}\0{len(source)}\0".encode() + source)
    return content.hexdigest()


def list_modules(package: Path) -> list[str]:
    """The sorted relative paths of the modules in `package`, without hidden files (editors leave some)."""
    names = (path.relative_to(package) for path in package.rglob("*.py"))
    return sorted(name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts))


def describe_hardware(device: str) -> str:
    """The processor's model and usable cores, and the GPU's model if `device` is "cuda"."""
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
