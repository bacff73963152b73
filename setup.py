"""Stamps the commit into wheels and source distributions; everything else is in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

SOURCE = Path(__file__).resolve().parent / "src"


def stamp(built: Path) -> None:
    sys.path.insert(0, str(SOURCE))
    from alexnet2012.provenance import write_stamp

    write_stamp(SOURCE / "alexnet2012", built)


class StampedBuild(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # an editable install runs the checkout itself
            stamp(Path(self.build_lib, "alexnet2012"))


class StampedSource(sdist):
    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        stamp(Path(base_dir, "src", "alexnet2012"))


setup(cmdclass={"build_py": StampedBuild, "sdist": StampedSource})
