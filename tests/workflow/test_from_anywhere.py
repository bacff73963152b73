"""The workflow runs in any folder: from a checkout, from an archive without git, and from an installed wheel."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml
from workflow_copy import COMMIT, REPOSITORY, TINY, count_jobs

pytestmark = pytest.mark.slow

SNAKEMAKE = [sys.executable, "-m", "snakemake", "--cores", "2", "-n"]
RUN = [sys.executable, "-m", "alexnet2012", "run", "-n"]


@pytest.fixture
def elsewhere(tmp_path) -> Path:
    """A folder that has a configuration of its own, pictures, and nothing of the project."""
    folder = tmp_path / "elsewhere"
    (folder / "pictures" / "class0").mkdir(parents=True)
    values = {**TINY, "experiments": TINY["experiments"][:2]}  # three nets
    (folder / "own.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    """The last commit as `git archive` exports it, unpacked outside any repository."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("the tests themselves run from an archive")
    folder = tmp_path_factory.mktemp("archive")
    subprocess.run(["git", "archive", "-o", folder / "archive.tar", "HEAD"], cwd=REPOSITORY, check=True)
    with tarfile.open(folder / "archive.tar") as packed:
        packed.extractall(folder / "alexnet2012", filter="data")
    return folder / "alexnet2012"


def plan(folder: Path, source: Path, *command: str | Path, commit: str | None = COMMIT) -> dict[str, int]:
    """The jobs by rule that `command`, given in `folder`, would run with the package in the folder `source`."""
    environment = {key: value for key, value in os.environ.items() if key != "ALEXNET2012_COMMIT"}
    environment |= {"PYTHONPATH": str(source), **({"ALEXNET2012_COMMIT": commit} if commit else {})}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "profiles/default" in done.stderr
    return count_jobs(done.stdout + done.stderr)


def pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments, "--no-index", "--no-deps"]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_with_another_working_directory(elsewhere, snakefile):
    command = [*SNAKEMAKE, "-s", snakefile, "--directory", elsewhere, "--configfile", elsewhere / "own.yaml"]
    assert plan(REPOSITORY, REPOSITORY / "src", *command)["train_net"] == 3


def test_with_the_snakefile_of_another_folder(elsewhere):
    jobs = plan(elsewhere, REPOSITORY / "src", *SNAKEMAKE, "-s", REPOSITORY / "Snakefile")
    assert jobs["train_net"] == 7  # the rehearsal, whose configuration is not here


def test_from_an_archive_without_git(elsewhere, archive):
    assert plan(archive, archive / "src", *SNAKEMAKE, commit=None)["train_net"] == 7
    assert plan(elsewhere, archive / "src", *RUN, "--configfile", "own.yaml", commit=None)["train_net"] == 3


def test_from_an_installed_wheel(elsewhere, archive, tmp_path):
    packages = tmp_path / "packages"
    pip("wheel", archive, "--no-build-isolation", "-w", tmp_path)
    pip("install", "--target", packages, *tmp_path.glob("*.whl"))
    assert plan(elsewhere, packages, *RUN, "--configfile", "own.yaml", commit=None)["train_net"] == 3
    jobs = plan(elsewhere, packages, *RUN, "claims", "--configfile", "config/tiny-imagenet.yaml", commit=None)
    assert jobs["train_net"] > 50
    assert not list(elsewhere.rglob("Snakefile"))


def test_a_part_of_the_work_after_all_outputs_were_deleted_succeeds(fresh):
    (fresh.root / "results/tiny/tables").mkdir(parents=True)  # as --delete-all-output leaves it

    fresh.run("--until", "list_experiments")

    assert (fresh.root / "results/tiny/experiments.json").exists()
