"""The check of a GPU, rehearsed on the CPU at toy sizes; tests/gpu has the same parts on a real one."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
import trivial_parts
from fake_gpus import environment

from alexnet2012.config.plan import make_plan
from alexnet2012.config.validate import read_yaml
from alexnet2012.data.augment import crop_bytes, crop_floats
from alexnet2012.gpu_check.part import CheckPart, Target, make_settings
from alexnet2012.gpu_check.runner import PARTS, check_gpu, judge_part, render_summary, run_parts
from alexnet2012.gpu_check.without_numba import slice_bytes, slice_floats
from alexnet2012.project import PROJECT

BY_NAME = {part.name: part for part in PARTS}
# These start processes that import torch, or take a full net, and are in the rehearsal below.
SLOW = {"interrupted-training", "towers", "workflow", "torchvision"}
ABSENT = ("numba", "yaml", "PIL", "pandas", "pyarrow", "mlflow", "rich", "joblib", "scipy", "matplotlib", "torchvision")
BARE = """
import sys
from pathlib import Path
sys.modules |= dict.fromkeys({absent}, None)
from alexnet2012.gpu_check.part import Target
from alexnet2012.gpu_check.runner import PARTS, judge_part
folder = Path(sys.argv[1])
for part in PARTS:
    if part.name in ("machine", "outputs", "feed", "evaluation", "paper-fp32"):
        result = judge_part(part, {{"figures": part.function(Target("cpu", True, folder, folder / part.name))}})
        assert result.state == "passed", result
"""


@pytest.fixture
def target(tmp_path) -> Iterator[Target]:
    """Of parts that run in this process: its settings are restored."""
    threads, variables = torch.get_num_threads(), dict(os.environ)
    yield Target("cpu", True, tmp_path, tmp_path)
    torch.set_num_threads(threads)
    os.environ.clear()
    os.environ.update(variables)


@pytest.mark.parametrize("name", sorted(BY_NAME.keys() - SLOW - {"leases", "energy"}))
def test_a_part_passes_on_the_cpu(name, target):
    part = BY_NAME[name]
    figures = part.function(target)
    assert judge_part(part, {"figures": figures}).state == "passed", figures
    assert {*part.limits, *part.goals} <= figures.keys()
    assert all(math.isfinite(each) for each in figures.values() if isinstance(each, float)), figures


def test_leases_are_checked_with_what_nvidia_smi_lists(target, tmp_path):
    os.environ.update(environment(tmp_path, 2))
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    os.environ.pop("SLURM_JOB_ID", None)
    part = BY_NAME["leases"]
    figures = part.function(target)
    assert judge_part(part, {"figures": figures}).state == "passed", figures
    assert figures["cards"] == 2


def test_every_part_is_tried_whatever_happens_to_the_others(target, tmp_path):
    results = run_parts(trivial_parts.PARTS, target, limit_s=480)
    assert [each.state for each in results] == trivial_parts.STATES
    by_name = {each.name: each for each in results}
    assert "trivial_parts.py" in by_name["raises"].traceback and "no such kernel" in by_name["raises"].reason
    assert "no_such_module_or_program" in by_name["lacks"].reason and "json" not in by_name["lacks"].reason
    assert by_name["succeeds"].figures == {"speed": 2.0, "error": 0.5, "toy": True}
    assert by_name["succeeds"].missed == ["toy"]
    log = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert "said by a part" in log and "ValueError: no such kernel" in log


def test_after_the_time_of_all_parts_the_rest_is_skipped(target):
    assert [each.state for each in run_parts(trivial_parts.PARTS[:2], target, limit_s=0)] == ["skipped"] * 2


def test_without_a_gpu_all_parts_are_skipped_and_the_check_fails(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert check_gpu(["--out", str(tmp_path), "--only", "machine", "feed"]) == 1
    values = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert [each["state"] for each in values["parts"]] == ["failed", "skipped"]
    assert "runtime.device is cuda" in values["parts"][0]["reason"]
    assert "no usable GPU" in (tmp_path / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("figure", "state"), [(0.5, "passed"), (0.5001, "failed"), (math.nan, "failed"), (math.inf, "failed")]
)
def test_a_figure_above_its_limit_or_none_at_all_fails(figure, state):
    part = CheckPart("part", lambda target: {}, 1, limits={"error": 0.5})
    assert judge_part(part, {"figures": {"error": figure}}).state == state
    assert judge_part(part, {"figures": {}}).state == "failed"


def test_the_scaled_net_is_that_of_the_default_configuration(target):
    """Its sizes are written twice, because the check runs without PyYAML."""
    config = PROJECT / "config" / "config.yaml"
    plan = make_plan(read_yaml(config), str(config), config.with_name("variants.yaml"))
    net = next(run.net for run in plan.runs if run.variant == "cnn")
    assert make_settings(replace(target, tiny=False), scaled=True)[0].net == net


def test_the_summary_says_which_goals_were_met():
    parts = [
        {"name": "a", "state": "passed", "reason": "", "seconds": 1.0, "figures": {"rate": 9500.5, "share": 0.5}}
        | {"goals": {"rate": 9000, "share": 0.6}, "missed": ["share"]},
        {
            "name": "b",
            "state": "skipped",
            "reason": "x",
            "seconds": 0,
            "figures": {},
            "goals": {"rate": 1},
            "missed": [],
        },
    ]
    values = {"machine": {}, "parts": parts, "seconds": 1, "tiny": False, "commit": "c", "changed": False, "date": "d"}
    page = render_summary(values | {"numba": True, "plan": ""})
    assert "| a: rate | 9,000 | 9,500 | met |" in page
    assert "| a: share | 0.6 | 0.5 | missed |" in page
    assert "| b: rate" not in page


def test_slices_are_the_crops_of_the_compiled_loops():
    random = np.random.default_rng(0)
    images, mean = random.integers(0, 256, (9, 16, 16, 3), dtype=np.uint8), random.random((16, 16, 3), np.float32)
    rows, (top, left), flipped = np.array([3, 0, 8, 3]), random.integers(5, size=(2, 4)), np.arange(4) % 2 == 1
    colour, bytes_ = random.random((4, 3), np.float32), np.empty((4, 12, 12, 3), np.uint8)
    floats = np.empty(bytes_.shape, np.float32)
    slice_bytes(0, 4, images, rows, top, left, bytes_)
    slice_floats(0, 4, images, rows, mean, top, left, flipped, colour, floats)
    expected = np.empty_like(bytes_)
    crop_bytes(images, rows, top, left, expected)
    assert (bytes_ == expected).all()
    assert (floats == crop_floats(images, mean, rows, top, left, flipped, colour, 12)).all()


def test_parts_run_where_most_packages_are_absent(tmp_path):
    """As on a machine that only has torch, pydantic and safetensors; numpy's slices make the batches there."""
    program = BARE.format(absent=ABSENT)
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_rehearsal_passes(tmp_path):
    """Without Snakemake: .ci/run has a small real run."""
    folder, names = tmp_path / "found", [name for name in BY_NAME if name != "workflow"]
    variables = {**environment(tmp_path, 1), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "alexnet2012.gpu_check", "--device", "cpu", "--tiny", "--out", str(folder)]
    command += ["--only", *names]
    done = subprocess.run(command, env=variables, capture_output=True, encoding="utf-8", check=False)
    parts = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["parts"]
    states = {each["name"]: each["state"] for each in parts}
    assert done.returncode == 0 and list(states) == names, done.stdout
    assert {name for name, state in states.items() if state == "skipped"} <= {"energy"}, done.stdout
    assert (folder / "trace.png").stat().st_size > 0
