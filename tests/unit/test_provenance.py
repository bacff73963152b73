import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from alexnet2012 import provenance
from alexnet2012.errors import RecordError
from alexnet2012.provenance import digest_source, read_commit

ROOT = Path(__file__).parents[2]
GIVEN = "0123456789abcdef0123456789abcdef01234567"
PARTS = (".gitattributes", "pyproject.toml", "setup.py", "README.md", "LICENSE")
MODULES = ("__init__.py", "cpu.py", "errors.py", "provenance.py")


@pytest.fixture(autouse=True)
def no_commit_given(monkeypatch):
    monkeypatch.delenv(provenance.COMMIT_VARIABLE, raising=False)


@pytest.fixture
def unpacked(tmp_path) -> Path:
    """The project's root with a small package, outside any repository."""
    root = tmp_path / "project"
    package = package_in(root)
    package.mkdir(parents=True)
    for name in PARTS:
        shutil.copy(ROOT / name, root)
    for name in (*MODULES, provenance.STAMP):
        shutil.copy(ROOT / "src/alexnet2012" / name, package)
    return root


@pytest.fixture
def checkout(unpacked) -> Path:
    """The same as a checkout with one commit."""
    return commit_all(unpacked)


@pytest.fixture
def other(tmp_path) -> Path:
    """Another repository, with a commit of its own."""
    root = tmp_path / "home"
    root.mkdir()
    (root / ".profile").write_text("umask 022\n", encoding="utf-8")
    return commit_all(root)


def commit_all(root: Path) -> Path:
    git(root, "init", "-q")
    git(root, "add", ".")
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    git(root, *identity, "commit", "-qm", f"All of {root.name}")
    return root


def git(root: Path, *words: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-C", root, *words], check=True, capture_output=True, encoding="utf-8", env=environment
    )
    return done.stdout.strip()


def head(root: Path) -> str:
    return git(root, "rev-parse", "HEAD")


def package_in(root: Path) -> Path:
    return root / "src" / "alexnet2012"


def python(root: Path, *arguments: str | Path) -> str:
    """What an interpreter prints that has the packages of this one, but not this project."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, encoding="utf-8", env=environment).stdout


def refusal(package: Path) -> str:
    with pytest.raises(RecordError) as caught:
        read_commit(package)
    assert provenance.COMMIT_VARIABLE in str(caught.value)
    return str(caught.value)


def test_the_commit_is_the_checkouts(checkout):
    assert read_commit(package_in(checkout)) == (head(checkout), False)


def test_the_commit_of_a_worktree_is_its_own(checkout, tmp_path):
    first = head(checkout)
    git(checkout, "worktree", "add", "-q", tmp_path / "tree", first)
    (checkout / "README.md").write_text("Changed.\n", encoding="utf-8")
    commit_all(checkout)
    assert read_commit(package_in(tmp_path / "tree")) == (first, False)
    assert read_commit(package_in(checkout)) == (head(checkout), False) != (first, False)


def test_a_changed_tracked_file_makes_it_dirty_and_an_untracked_one_does_not(checkout):
    (checkout / "notes.txt").write_text("untracked", encoding="utf-8")
    assert read_commit(package_in(checkout)) == (head(checkout), False)
    (checkout / "README.md").write_text("Changed.\n", encoding="utf-8")
    assert read_commit(package_in(checkout)) == (head(checkout), True)


@pytest.mark.parametrize("ignored", [False, True])
def test_a_module_that_no_commit_holds_makes_it_dirty(checkout, ignored):
    if ignored:
        (checkout / ".git/info/exclude").write_text("net.py\n", encoding="utf-8")
    (package_in(checkout) / "net.py").write_text("LAYERS = 8\n", encoding="utf-8")
    assert read_commit(package_in(checkout)) == (head(checkout), True)


def test_an_editors_hidden_files_are_no_modules(checkout):
    (package_in(checkout) / ".#errors.py").symlink_to("nobody@nowhere.1")
    before = digest_source(package_in(checkout))
    (package_in(checkout) / ".ipynb_checkpoints").mkdir()
    (package_in(checkout) / ".ipynb_checkpoints" / "errors.py").write_text("", encoding="utf-8")
    assert read_commit(package_in(checkout)) == (head(checkout), False)
    assert digest_source(package_in(checkout)) == before


def test_a_copy_inside_another_repository_has_not_its_commit(unpacked, other):
    copy = other / "downloads" / "project"
    shutil.move(unpacked, copy)
    assert "git does not track" in refusal(package_in(copy))


@pytest.mark.parametrize("inherited", ["GIT_DIR", "GIT_DIR and GIT_WORK_TREE", "GIT_INDEX_FILE"])
def test_gits_own_variables_are_ignored(checkout, other, monkeypatch, inherited):
    """As a hook sets them, and as one sets them whose home is a repository with a folder of its own."""
    values = {
        "GIT_DIR": {"GIT_DIR": other / ".git"},
        "GIT_DIR and GIT_WORK_TREE": {"GIT_DIR": other / ".git", "GIT_WORK_TREE": checkout},
        "GIT_INDEX_FILE": {"GIT_INDEX_FILE": other / ".git/index"},
    }
    for key, value in values[inherited].items():
        monkeypatch.setenv(key, str(value))
    assert read_commit(package_in(checkout)) == (head(checkout), False)


def test_gits_variables_make_no_checkout_of_a_copy(unpacked, checkout, monkeypatch, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(checkout, copy, ignore=shutil.ignore_patterns(".git"))
    monkeypatch.setenv("GIT_DIR", str(checkout / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(copy))
    refusal(package_in(copy))


def test_the_working_directory_says_nothing_about_the_modules_that_run(unpacked, checkout, tmp_path, monkeypatch):
    installed = tmp_path / "site-packages" / "alexnet2012"
    shutil.copytree(package_in(checkout), installed)
    monkeypatch.chdir(checkout)
    refusal(installed)


@pytest.mark.parametrize("place", ["downloads", "home/project"])
def test_an_exported_archive_carries_its_commit(checkout, other, tmp_path, place):
    git(checkout, "archive", "--output", tmp_path / "project.tar", "HEAD")
    with tarfile.open(tmp_path / "project.tar") as archive:
        archive.extractall(tmp_path / place, filter="data")
    assert read_commit(package_in(tmp_path / place)) == (head(checkout), False)


@pytest.mark.parametrize("stamp", [None, "", "$Format:%H$\n", "main\n", "0123456\n"])
def test_a_stamp_that_holds_no_commit_is_none(unpacked, stamp):
    path = package_in(unpacked) / provenance.STAMP
    path.unlink() if stamp is None else path.write_text(stamp, encoding="utf-8")
    assert "not a git repository" in refusal(package_in(unpacked))


def test_a_wheel_carries_the_commit_of_its_build(checkout, tmp_path):
    wheel, target = tmp_path / "wheel", tmp_path / "home" / "site-packages"
    pip = ["-m", "pip", "--disable-pip-version-check"]
    python(checkout, *pip, "wheel", ".", "--no-index", "--no-build-isolation", "--no-deps", "-w", wheel)
    python(checkout, *pip, "install", "--no-index", "--no-deps", "--target", target, *wheel.glob("*.whl"))
    assert read_commit(target / "alexnet2012") == (head(checkout), False)
    assert digest_source(target / "alexnet2012") == digest_source(package_in(checkout))
    assert (package_in(checkout) / provenance.STAMP).read_text(encoding="utf-8") == "$Format:%H$\n"


def test_a_stamp_says_that_files_differed_from_the_commit(checkout, tmp_path):
    (checkout / "README.md").write_text("Changed.\n", encoding="utf-8")
    built = tmp_path / "alexnet2012"
    shutil.copytree(package_in(checkout), built)
    provenance.write_stamp(package_in(checkout), built)
    assert read_commit(built) == (head(checkout), True)


def test_a_source_distribution_carries_the_commit(checkout, tmp_path):
    build = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    python(checkout, "-c", build, tmp_path / "built")
    (path,) = (tmp_path / "built").glob("*.tar.gz")
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (root,) = (tmp_path / "unpacked").iterdir()
    assert read_commit(package_in(root)) == (head(checkout), False)
    assert (package_in(checkout) / provenance.STAMP).read_text(encoding="utf-8") == "$Format:%H$\n"


def test_a_build_without_a_commit_stamps_none(unpacked, tmp_path):
    built = tmp_path / "alexnet2012"
    shutil.copytree(package_in(unpacked), built)
    (built / provenance.STAMP).write_text(GIVEN, encoding="utf-8")  # what an earlier build left behind
    provenance.write_stamp(package_in(unpacked), built)
    refusal(built)


def test_a_build_has_only_the_standard_library(unpacked):
    """pip builds in an environment of its own, where no dependency of the package is installed."""
    program = "import sys; sys.path.insert(0, sys.argv[1]); import alexnet2012.provenance"
    python(unpacked, "-I", "-S", "-c", program, ROOT / "src")


def test_the_environment_may_name_the_commit(checkout, monkeypatch):
    monkeypatch.setenv(provenance.COMMIT_VARIABLE, GIVEN)
    assert read_commit(package_in(checkout)) == (GIVEN, False)


def test_the_digest_of_the_source_shows_an_altered_copy(unpacked):
    package = package_in(unpacked)
    errors = package / "errors.py"
    whole, text = digest_source(package), errors.read_bytes()
    assert re.fullmatch("[0-9a-f]{64}", whole)
    errors.write_bytes(text.replace(b"\n", b"\r\n"))
    assert digest_source(package) == whole
    (package / provenance.STAMP).write_text(GIVEN, encoding="utf-8")
    assert digest_source(package) == whole
    altered = set()
    errors.write_bytes(text + b"#\n")
    altered.add(digest_source(package))
    errors.write_bytes(text)
    errors.rename(package / "mistakes.py")
    altered.add(digest_source(package))
    (package / "errors.py").write_bytes(text)
    altered.add(digest_source(package))
    assert len(altered | {whole}) == 4


def test_the_provenance_names_versions_machine_and_date(monkeypatch):
    monkeypatch.setenv(provenance.COMMIT_VARIABLE, GIVEN)
    found = provenance.collect(torch_threads=3)
    assert (found.commit, found.dirty, found.torch_threads) == (GIVEN, False, 3)
    assert found.source_sha256 == digest_source()
    assert (found.torch, found.torchvision) == (version("torch"), version("torchvision"))
    assert found.python == platform.python_version()
    assert found.usable_cores == provenance.count_usable_cores()
    assert found.hardware.endswith(f", {found.usable_cores} usable cores")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", found.date)
    assert datetime.fromisoformat(found.date).utcoffset().total_seconds() == 0
