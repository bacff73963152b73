from pathlib import Path

import pytest
from workflow_copy import COLOUR, SIFT

LARGER = {"kind": "colour", "grids": [{"side_px": 12, "step_px": 2}]}
COMMON = {"dimensions": 8, "sampled_images": 60, "sampled_descriptors": 800, "linear": {"alpha": 1e-3, "epochs": 4}}
KINDS = {
    "sift-fv": {"models": [SIFT, COLOUR], "gaussians": 4},
    "sparse-coding": {
        "models": [COLOUR, LARGER],
        "atoms": 16,
        "linear": {"alpha": 1e-3, "epochs": 4, "standardised": True},
    },
}


@pytest.fixture(scope="module")
def write_baseline(root):
    """Writes root/<name>/config.yaml of a small baseline on the tiny training's pictures; returns its folder."""
    import yaml
    from tiny_training import describe_dataset

    def write(name: str, kind: str = "sift-fv", seed: int = 1, **changes) -> Path:
        net = {"kind": kind, **COMMON, **KINDS[kind], **changes}
        values = {"name": "tiny", "variant": kind, "seed": seed, "dataset_name": "pictures", "net": net}
        values |= {"dataset": describe_dataset(root).model_dump(), "training": {"recipe": "baseline"}}
        (root / name).mkdir(exist_ok=True)
        (root / name / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        return root / name

    return write
