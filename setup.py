"""Puts the workflow into wheels, and the commit into wheels and source distributions."""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
SOURCE = ROOT / "src"
WORKFLOW = ("Snakefile", "workflow/**/*", "config/*", "nets/*/*", "profiles/**/*", "envs/alexnet2012.*")


def stamp(built: Path) -> None:
    sys.path.insert(0, str(SOURCE))
    from alexnet2012.provenance import write_stamp

    write_stamp(SOURCE / "alexnet2012", built)


def copy_workflow(built: Path) -> None:
    """Copy the workflow to where alexnet2012.project looks for it."""
    for source in (each for pattern in WORKFLOW for each in ROOT.glob(pattern) if each.is_file()):
        target = built / "project" / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


class StampedBuild(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # an editable install runs the checkout itself
            built = Path(self.build_lib, "alexnet2012")
            copy_workflow(built)
            stamp(built)


class StampedSource(sdist):
    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        stamp(Path(base_dir, "src", "alexnet2012"))


setup(cmdclass={"build_py": StampedBuild, "sdist": StampedSource})
