"""Golden files: pages as they were once looked at and found good, in the folder golden/."""

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"


def check_golden(name: str, text: str) -> None:
    """The text is that of the file; `GOLDEN=write pytest ...` writes it, to be looked at and committed."""
    path = FOLDER / name
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
