"""Records of predictions and ensembles: how many classes stand before each true one, the errors, what made them."""

from pathlib import Path
from typing import Any

import numpy as np

from alexnet2012.data.packed import PackedDataset
from alexnet2012.evaluation.metrics import CROPS
from alexnet2012.files import SCHEMA, write_arrays, write_json


def write_record(
    folder: Path,
    kind: str,
    name: str,
    dataset: PackedDataset,
    split: str,
    ranks: dict[str, np.ndarray],
    made_by: dict[str, Any],
    details: dict[str, Any],
) -> dict[str, dict[str, float]]:
    """Write how many classes stand before each true one, and last the record; its errors by crops and k."""
    write_arrays(folder / f"{split}-ranks.npz", {crops: each.astype(np.uint16) for crops, each in ranks.items()})
    errors = {crops: {f"top{k}": float((each >= k).mean()) for k in (1, 5)} for crops, each in ranks.items()}
    write_json(
        folder / f"{split}.json",
        {
            "schema": SCHEMA,
            "kind": kind,
            "variant": name,
            "split": split,
            "images": len(ranks[CROPS[0]]),
            "classes": len(dataset.classes),
            "dataset": dataset.describe(),
            "errors": errors,
            **details,
            "provenance": made_by,
        },
    )
    return errors
