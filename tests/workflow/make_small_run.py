"""Prints the configuration of a run of seconds: `python tests/workflow/make_small_run.py FOLDER > ci.yaml`, with
tests/support on PYTHONPATH.

Its pictures are written to FOLDER; the variants are the project's own, so all five nets of the ensemble are trained.
"""

import sys
from pathlib import Path

import yaml
from workflow_copy import SMALL_BASELINES, TINY, write_pictures


def main(folder: Path) -> None:
    write_pictures(folder / "pictures")
    values = {**TINY, "name": "ci"}
    values["datasets"] = {"ci": {**TINY["datasets"]["pictures"], "folder": str(folder / "pictures")}}
    values["experiments"] = [{**experiment, "dataset": "ci"} for experiment in TINY["experiments"]]
    values["experiments"][0]["seeds"] = [0, 1, 2, 3, 4]
    two_devices = {"dataset": "ci", "variant": "cnn-two-devices", "seeds": [0], "tables": ["in_text"]}
    of_the_source = {"dataset": "ci", "variant": "net145", "seeds": [0], "epochs": 4, "tables": ["table2"]}
    values["experiments"] += [two_devices, of_the_source]
    values["datasets"]["turned"] = {"kind": "rotations", "of": "ci"}
    star = {"dataset": "ci", "variant": "1-cnn-star", "seeds": [0, 1], "pretrained_on": "turned", "tables": ["table2"]}
    values["full"] = [star, {"dataset": "ci", "ensemble": "7-cnns-star", "tables": ["table2"]}]
    values["baselines"] = SMALL_BASELINES
    for variant, tables in (("sift-fv", ["table1", "table2"]), ("sparse-coding", ["table1"])):
        values["full"].append({"dataset": "ci", "variant": variant, "seeds": [0], "tables": tables})
    print(yaml.safe_dump(values, sort_keys=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
