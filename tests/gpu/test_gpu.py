"""The parts of `make gpu-check` that compare a GPU with the CPU: `pytest -m gpu` on a machine that has one."""

from pathlib import Path

import pytest

from alexnet2012.gpu_check.part import Target
from alexnet2012.gpu_check.right import RIGHT
from alexnet2012.gpu_check.runner import MACHINE, run_parts

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("part", RIGHT, ids=lambda part: part.name)
def test_the_gpu_is_right(part, tmp_path: Path):
    machine, result = run_parts((MACHINE, part), Target("cuda", False, tmp_path, tmp_path), part.seconds + 120)
    if machine.state != "passed":
        pytest.skip(machine.reason)
    if result.state == "skipped":
        pytest.skip(result.reason)
    assert result.state == "passed", f"{result.reason}\n{(tmp_path / 'log.txt').read_text(encoding='utf-8')}"
