"""The workflow through a real Slurm of two nodes and four fake GPUs, to the tables; and when a node dies."""

import re
from pathlib import Path

import pytest
from slurm_cluster import NOTICED_S, SlurmCluster, why_not
from workflow_copy import EPOCHS, Project, count_jobs, killed_in_the_end, wait_for

from alexnet2012.files import file_digest

pytestmark = [pytest.mark.cluster, pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is a Slurm")]

# What this Slurm lacks, accounting, and what is too slow for a test.
HERE = ["--slurm-status-command", "squeue", "--slurm-no-account", "--slurm-init-seconds-before-status-checks", "2"]
HERE += ["--seconds-between-status-checks", "2", "--latency-wait", "10"]
HERE += ["--set-resources", *(f"{rule}:runtime=10" for rule in ("prepare_dataset", "train_net"))]
HERE += ["--set-threads", "prepare_dataset=2"]
HERE += ["--default-resources", "nodes=1", "mem_mb=1000", "runtime=10"]
LOCAL = {"list_experiments", "initialise_tracking", "publish_tables"}
TABLES = "results/tiny/tables/table2.md"  # cards, figures and report would be more jobs of the same kind
PATIENCE_S = 480


@pytest.fixture
def cluster(tmp_path):
    cluster = SlurmCluster(tmp_path / "slurm")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The results of the same run without Slurm."""
    project = Project.copy(tmp_path_factory.mktemp("local") / "project")
    project.run(TABLES)
    return results_of(project)


def results_of(project: Project) -> dict[str, str | list[str]]:
    """Each net's weights, by their digest, and the rows of each table that hold measured errors."""
    results = project.root / "results/tiny"
    weights = {str(path.relative_to(results)): file_digest(path) for path in results.glob("runs/**/model.safetensors")}
    tables = {path.name: path.read_text(encoding="utf-8") for path in results.glob("tables/*.md")}
    assert (len(weights), len(tables)) == (3, 4)
    return weights | {name: re.findall(r"^\|.*\d %.*$", text, re.MULTILINE) for name, text in tables.items()}


def start(project: Project, cluster: SlurmCluster):
    return project.start(TABLES, "--workflow-profile", "profiles/slurm", *HERE, **cluster.environment)


def test_a_run_goes_through_slurm_to_the_same_tables(tmp_path, cluster, expected):
    project = Project.copy(tmp_path / "project")
    process = start(project, cluster)
    with killed_in_the_end(process):
        output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, output
    jobs = cluster.jobs()
    submitted = {rule: count for rule, count in count_jobs(output).items() if rule not in LOCAL}
    assert sum(submitted.values()) == len(jobs)
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    trainings = [job for job in jobs if job["Comment"].startswith("rule_train_net")]
    assert len(trainings) == submitted["train_net"] == 3
    assert {job["NodeList"] for job in trainings} == {"n1", "n2"}
    assert all((job["TresPerJob"], job["NumNodes"]) == ("gres:gpu:1", "1") for job in trainings)
    assert results_of(project) == expected
    assert "Nothing to be done" in project.run(TABLES)  # the same run, on this machine


def test_a_training_whose_node_dies_goes_on_elsewhere_from_its_checkpoint(tmp_path, cluster, expected):
    project = Project.copy(tmp_path / "project")
    process = start(project, cluster)
    with killed_in_the_end(process):
        state, job = wait_for(process, lambda: find_training(project, cluster))
        node = job["NodeList"]
        cluster.kill_node(node)
        step = newest_step(state)
        cluster.wait_until(lambda: cluster.states()[node].startswith("down"), f"{node} is down", NOTICED_S)
        output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, output
    (again,) = (each for each in cluster.jobs() if each["JobId"] == job["JobId"])
    (other,) = {"n1", "n2"} - {node}
    assert (again["JobState"], again["NodeList"], again["Restarts"]) == ("COMPLETED", other, "1")
    log = project.root / "results/tiny/logs/train" / state.parent.relative_to(project.root / "results/tiny/runs")
    assert (
        f", step {step}\n" in re.search("resuming at epoch.*\n", log.with_suffix(".log").read_text(encoding="utf-8"))[0]
    )
    assert results_of(project) == expected


def find_training(project: Project, cluster: SlurmCluster) -> tuple[Path, dict[str, str]] | None:
    """The state folder and the job of a training in the first half of its epochs, but not in the first."""
    for state in project.state_folders():
        if 12 < newest_step(state) < 12 * EPOCHS // 2:
            dataset, variant, seed = state.parent.relative_to(project.root / "results/tiny/runs").parts
            words = (dataset, *variant.rsplit("-", 1), seed.removeprefix("seed"))
            comment = "_".join(("rule_train_net_wildcards", *words))
            (job,) = (job for job in cluster.jobs() if job["Comment"] == comment)
            return state, job
    return None


def newest_step(state: Path) -> int:
    return max((int(path.stem.split("-")[1]) for path in state.glob("checkpoint-*.pt")), default=0)
