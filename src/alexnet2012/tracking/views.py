"""The initial view of MLflow's list of runs: its columns, their order, and the sorting."""

import json

VIEW = "alexnet2012"  # the view's name in addresses (MLflow's "share key")
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"  # tag of the experiment that stores the view
TAGS = ("dataset", "variant", "seed", "recipe", "configuration", "kind")
METRICS = ("test/ten_crop/top1_error", "test/ten_crop/top5_error", "val/ten_crop/top1_error", "train/top1_error")
WIDTHS = {"variant": 190, **dict.fromkeys(METRICS, 200)}


def describe_view() -> str:
    """The view as JSON, in the form that MLflow's page reads from the experiment's tag."""
    columns = {f"tags.`{name}`": WIDTHS.get(name, 110) for name in TAGS}
    columns |= {f"metrics.`{name}`": WIDTHS[name] for name in METRICS}
    others = ["attributes.`Dataset`", "attributes.`Models`"]
    view = {
        "selectedColumns": [*columns, *others],
        "columnOrder": ["attributes.`Run Name`", *columns, *others],
        "columnWidths": columns,
        # If not sorted by date, the list shows each run in its own row and not folded under its parent.
        "orderByKey": "tags.`variant`",
        "orderByAsc": True,
    }
    return json.dumps(view)
