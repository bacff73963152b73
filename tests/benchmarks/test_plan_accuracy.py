"""The planned time of a small workflow beside its real one: `pytest tests/benchmarks --benchmark-only`.

Both run on this machine, one after the other; `extra_info` holds the seconds of both and their ratio. A quiet machine
is needed for a ratio that says something, and nothing is asserted of it.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from sizes import TOY

WORKFLOW_TESTS = Path(__file__).parents[1] / "workflow"
EPOCHS = 60
pytestmark = pytest.mark.skipif(TOY, reason="planning measures for a minute, whatever the sizes")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The pictures and the workflow of the workflow tests, trained for long enough to be more than overheads."""
    monkeypatch.syspath_prepend(str(WORKFLOW_TESTS))
    from workflow_copy import TINY, Project

    project = Project.copy(tmp_path / "project")
    values = json.loads(json.dumps(TINY))
    values["training"]["schedule"] = {"kind": "fixed", "epochs": [EPOCHS]}
    values["runtime"] = {}
    values["net"] |= {"conv2": {"kernels": 64, "kernel_px": 5, "pad": 2}, "fc_neurons": 1024}
    values["net"] |= {name: {"kernels": 128} for name in ("conv3", "conv4", "conv5")}
    project.configure(values)
    assert yaml.safe_load((project.root / "config/tiny.yaml").read_text(encoding="utf-8")) == values
    return project


def plan_seconds(project) -> float:
    """The seconds that `alexnet2012 plan` estimates."""
    call = [sys.executable, "-m", "alexnet2012", "plan", "--json", "--configfile", "config/tiny.yaml"]
    planned = subprocess.run(call, cwd=project.root, env=project.environment(), capture_output=True, encoding="utf-8")
    assert planned.returncode == 0, planned.stderr
    return json.loads(planned.stdout)["schedules"][0]["makespan_s"]


def test_planned_beside_real(benchmark, project):
    planned_s = plan_seconds(project)

    def run() -> float:
        started = time.monotonic()
        project.run()
        return time.monotonic() - started

    real_s = benchmark.pedantic(run, rounds=1)
    benchmark.extra_info.update(planned_s=planned_s, real_s=real_s, planned_over_real=planned_s / real_s)
    print(f"\nplanned {planned_s:.1f} s, real {real_s:.1f} s, ratio {planned_s / real_s:.2f}")
    assert project.plan() == {}
