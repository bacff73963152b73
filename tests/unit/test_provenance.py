import os
import platform
import re
import subprocess
from datetime import datetime
from importlib.metadata import version

import pytest

from alexnet2012 import provenance
from alexnet2012.errors import RecordError

GIVEN = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """The package as if installed outside any checkout, run from an empty folder, no commit in the environment."""
    monkeypatch.delenv(provenance.COMMIT_VARIABLE, raising=False)
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "site" / "packages" / "alexnet2012" / "provenance.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def checkout(nowhere):
    """A checkout with one commit, of which the working directory is the top."""
    source = nowhere / "src" / "alexnet2012" / "net.py"
    source.parent.mkdir(parents=True)
    source.write_text("LAYERS = 8\n")
    git("init", "-q")
    git("add", ".")
    git("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false", "commit", "-qm", "One")
    return nowhere


def git(*words: str) -> str:
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_is_the_checkouts(checkout):
    assert provenance.read_commit() == (git("rev-parse", "HEAD"), False)


def test_a_changed_tracked_file_makes_it_dirty_and_an_untracked_one_does_not(checkout):
    (checkout / "notes.txt").write_text("untracked")
    assert provenance.read_commit()[1] is False
    (checkout / "src/alexnet2012/net.py").write_text("LAYERS = 7\n")
    assert provenance.read_commit() == (git("rev-parse", "HEAD"), True)


def test_the_environment_may_name_the_commit(checkout, monkeypatch):
    monkeypatch.setenv(provenance.COMMIT_VARIABLE, GIVEN)
    assert provenance.read_commit() == (GIVEN, False)


def test_outside_a_checkout_the_commit_is_asked_for(nowhere):
    with pytest.raises(RecordError) as caught:
        provenance.read_commit()
    assert str(caught.value) == (
        "the commit that runs cannot be told (no checkout of the project was found), and a result without its commit "
        "is refused. Run from a git clone, or set ALEXNET2012_COMMIT to the commit that you unpacked."
    )


def test_an_unpacked_archive_has_no_commit(nowhere):
    (nowhere / "src" / "alexnet2012").mkdir(parents=True)
    with pytest.raises(RecordError, match="not a git repository.*set ALEXNET2012_COMMIT"):
        provenance.read_commit()


def test_a_repository_without_commits_has_no_commit(nowhere):
    (nowhere / "src" / "alexnet2012").mkdir(parents=True)
    git("init", "-q")
    with pytest.raises(RecordError, match=r"ambiguous argument 'HEAD'[^\n]*\), .*set ALEXNET2012_COMMIT"):
        provenance.read_commit()


def test_without_git_the_message_says_so(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RecordError, match="git is not installed"):
        provenance.read_commit()


def test_usable_cores_are_those_of_the_process(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 5, 7}, raising=False)
    assert provenance.count_usable_cores() == 3
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert provenance.count_usable_cores() == 1


def test_the_provenance_names_versions_machine_and_date(monkeypatch):
    monkeypatch.setenv(provenance.COMMIT_VARIABLE, GIVEN)
    found = provenance.collect(torch_threads=3)
    assert (found.commit, found.dirty, found.torch_threads) == (GIVEN, False, 3)
    assert (found.torch, found.torchvision) == (version("torch"), version("torchvision"))
    assert found.python == platform.python_version()
    assert found.usable_cores == provenance.count_usable_cores()
    assert found.hardware.endswith(f", {found.usable_cores} usable cores")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", found.date)
    assert datetime.fromisoformat(found.date).utcoffset().total_seconds() == 0
