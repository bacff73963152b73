from pathlib import Path

import pytest
import yaml


@pytest.fixture
def write_variants(tmp_path):
    """Writes these variants, each laid over a section of the paper, and ensembles; returns their file."""

    def write(variants: dict, ensembles: dict | None = None) -> Path:
        path = tmp_path / "variants.yaml"
        whole = {name: {"section": "3.5"} | delta for name, delta in variants.items()}
        path.write_text(yaml.safe_dump({"variants": whole, "ensembles": ensembles or {}}), encoding="utf-8")
        return path

    return write
