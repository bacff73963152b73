"""The default configuration as a user runs it, beside the compute that its own records add up to.

It takes as long as `make reproduce` without its set-up: ten minutes on two cores.
"""

import shutil
import subprocess
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from judging import judge
from sizes import CORES, TOY
from timeline import read_compute, read_jobs, split_time

from alexnet2012.data.sources.cifar10 import find_cached
from alexnet2012.reporting.benchmark_results import ContenderResult

ROOT = Path(__file__).parents[2]
DOWNLOADS = ROOT / "data" / "downloads"
LIMIT_S = 3600
OVERHEAD = 0.08  # of the slots' time


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of this checkout with CIFAR-10 beside it; at toy sizes with the workflow tests' pictures, one net."""
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "workflow"))
    from workflow_copy import TINY, Project

    project = Project.copy(tmp_path / "project")
    if TOY:
        project.configure({**TINY, "experiments": TINY["experiments"][1:2]})
    else:
        values = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
        values["datasets"]["cifar10"]["folder"] = str(DOWNLOADS)
        (project.root / "config" / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    yield project
    shutil.rmtree(project.root)


def run(project, *arguments: str) -> float:
    """Seconds of a successful run."""
    from workflow_copy import killed_in_the_end

    began = time.time()
    process = project.start("--cores", "8", *arguments, config="config/tiny.yaml" if TOY else None)
    with killed_in_the_end(process):
        output, _ = process.communicate(timeout=LIMIT_S)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args, output)
    return time.time() - began


def share(part: dict[Path, float], trained: dict[Path, float]) -> float:
    """The seconds of `part` over those of the same nets' trainings."""
    return sum(part.values()) / sum(trained[net] for net in part)


@pytest.mark.benchmark(group="whole run")
def test_whole_run(hold, record, request):
    subject = f"overhead of a whole {'toy' if TOY else 'default'} run, preparation apart"
    if not TOY and not find_cached(DOWNLOADS):
        hold(lambda: None, rounds=1)
        nothing = judge("snakemake --cores 8", "recorded compute", "share", [], OVERHEAD, "at most")
        record(
            subject, "runs", [], [nothing], note="data/downloads does not hold CIFAR-10; `make reproduce` fetches it"
        )
        return
    project = request.getfixturevalue("project")
    run(project, "--until", "prepare_dataset")
    began = time.time()
    hold(lambda: run(project), rounds=1)
    ended = time.time()
    (results,) = (path.parent for path in project.root.glob("results/*/experiments.json"))
    trained, evaluated, analysed = (read_compute(results, stage) for stage in ("runs", "predictions", "analyses"))
    compute = sum(sum(each.values()) for each in (trained, evaluated, analysed))
    split = split_time(read_jobs(project.root, began), compute, began, ended, CORES)
    whole = ContenderResult("snakemake --cores 8", "job", 1, [ended - began], [1])
    needed = ContenderResult(f"recorded compute over {CORES} slots", "job", 1, [compute / CORES], [1])
    record(
        subject,
        "runs",
        [whole, needed],
        [
            judge(whole.label, needed.label, "share", [1 - split.compute], OVERHEAD, "at most"),
            judge(
                "a net's evaluation, val and test", "its training", "share", [share(evaluated, trained)], 0.2, "at most"
            ),
            *(
                [judge("a net's analysis", "its training", "share", [share(analysed, trained)], 0.1, "at most")]
                if analysed
                else []
            ),
        ],
        note="of its slots' time: " + ", ".join(f"{name} {100 * share:.1f} %" for name, share in asdict(split).items()),
    )
