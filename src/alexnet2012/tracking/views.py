"""What MLflow's list of runs shows when it is opened: its columns, their order, and how it is sorted."""

import json

VIEW = "alexnet2012"  # the view's name in an address, in MLflow's words its share key
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"  # of the experiment
TAGS = ("dataset", "variant", "seed", "recipe", "configuration", "kind")
METRICS = ("test/ten_crop/top1_error", "test/ten_crop/top5_error", "val/ten_crop/top1_error", "train/top1_error")
WIDTHS = {"variant": 190, **dict.fromkeys(METRICS, 200)}


def describe_view() -> str:
    """The view as MLflow's page reads it from the experiment's tag."""
    columns = {f"tags.`{name}`": WIDTHS.get(name, 110) for name in TAGS}
    columns |= {f"metrics.`{name}`": WIDTHS[name] for name in METRICS}
    others = ["attributes.`Dataset`", "attributes.`Models`"]
    view = {
        "selectedColumns": [*columns, *others],
        "columnOrder": ["attributes.`Run Name`", *columns, *others],
        "columnWidths": columns,
        # Sorted otherwise than by date, the list shows each run in a row of its own instead of folded under its parent.
        "orderByKey": "tags.`variant`",
        "orderByAsc": True,
    }
    return json.dumps(view)
