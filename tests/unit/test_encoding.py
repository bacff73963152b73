"""Files are UTF-8 whatever the locale's encoding is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REHEARSAL = ROOT / "results" / "reference" / "rehearsal"

# Python warns of every file that is opened in the locale's encoding; here that is an error in our own modules.
PROGRAM = """
import sys, warnings
warnings.filterwarnings("error", category=EncodingWarning, module=r"alexnet2012\\b")
from alexnet2012.cli import main
from alexnet2012.fingerprint import STAGES, fingerprint
print(*map(fingerprint, STAGES))
for arguments in {arguments!r}:
    assert main(arguments) == 0, arguments
"""


def run(*arguments: list[str], encoding: str) -> str:
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-X", "utf8=0", "-c", PROGRAM.format(arguments=arguments)],
        env=os.environ | {"PYTHONIOENCODING": encoding, "ALEXNET2012_COMMIT": "c" * 40},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(encoding)
    return done.stdout.decode(encoding)


@pytest.fixture
def results(tmp_path) -> Path:
    folder = tmp_path / "reference" / "rehearsal"
    shutil.copytree(REHEARSAL, folder)
    return folder


@pytest.mark.slow
def test_no_file_is_opened_in_the_locales_encoding(results):
    verbs = [
        ["tables", str(results)],
        ["report", str(results)],
        ["compare", *[str(results)] * 2],
    ]
    run(*verbs, ["show", str(results), "claims"], encoding="utf-8")
    for page in (results / "tables").glob("*.md"):
        assert page.read_bytes() == (REHEARSAL / "tables" / page.name).read_bytes(), page.name
