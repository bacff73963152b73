"""The workflow through a real Slurm of two nodes and four fake GPUs, to the tables; and when a node dies."""

import re

import pytest
from slurm_cluster import SlurmCluster, why_not
from workflow_copy import EPOCHS, Project, count_jobs, killed_in_the_end, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is a Slurm")]

# What this Slurm lacks, accounting, and what is too slow for a test.
HERE = ["--slurm-status-command", "squeue", "--slurm-no-account", "--slurm-init-seconds-before-status-checks", "2"]
HERE += ["--seconds-between-status-checks", "2", "--latency-wait", "10"]
HERE += ["--set-resources", *(f"{rule}:runtime=10" for rule in ("prepare_dataset", "train_net"))]
HERE += ["--set-threads", "prepare_dataset=2"]
HERE += ["--default-resources", "nodes=1", "mem_mb=1000", "runtime=10"]
LOCAL = {"list_experiments", "initialise_tracking", "publish_tables"}
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
    """The tables of the same run without Slurm."""
    project = Project.copy(tmp_path_factory.mktemp("local") / "project")
    project.run()
    return errors_in(project)


def errors_in(project: Project) -> dict[str, list[str]]:
    """The rows of the tables that hold measured errors."""
    tables = sorted(project.root.glob("results/tiny/tables/*.md"))
    assert len(tables) == 4
    return {path.name: re.findall(r"^\|.*\d %.*$", path.read_text(), re.MULTILINE) for path in tables}


def start(project: Project, cluster: SlurmCluster):
    return project.start("--workflow-profile", "profiles/slurm", *HERE, **cluster.environment)


def rules_of(cluster: SlurmCluster) -> list[str]:
    return [re.sub("^rule_", "", job["Comment"].partition("_wildcards")[0]) for job in cluster.jobs()]


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
    assert errors_in(project) == expected
    assert "Nothing to be done" in project.run()  # the same run, on this machine


def test_a_training_whose_node_dies_goes_on_elsewhere_from_its_checkpoint(tmp_path, cluster, expected):
    project = Project.copy(tmp_path / "project")
    process = start(project, cluster)
    with killed_in_the_end(process):
        job = wait_for(process, lambda: find_training(project, cluster))
        cluster.kill_node(job["NodeList"])
        (other,) = {"n1", "n2"} - {job["NodeList"]}
        cluster.wait_until(lambda: cluster.states()[job["NodeList"]].startswith("down"), "the dead node is down")
        output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, output
    (again,) = (each for each in cluster.jobs() if each["JobId"] == job["JobId"])
    assert (again["JobState"], again["NodeList"], again["Restarts"]) == ("COMPLETED", other, "1")
    logs = [path.read_text() for path in project.root.glob("results/tiny/logs/train/*/*/*.log")]
    assert any("resuming at epoch" in log for log in logs)
    assert errors_in(project) == expected


def find_training(project: Project, cluster: SlurmCluster) -> dict[str, str] | None:
    """A job that trains, in the first half of its epochs, but not in the first."""
    for state in project.state_folders():
        steps = [int(path.stem.split("-")[1]) for path in state.glob("checkpoint-*.pt")]
        if 12 < max(steps, default=0) < 12 * EPOCHS // 2:
            running = [job for job in cluster.jobs() if job["JobState"] == "RUNNING" and "train_net" in job["Comment"]]
            seed, variant = state.parent.name.removeprefix("seed"), state.parent.parent.name.rpartition("-")[0]
            return next(job for job in running if variant in job["Comment"] and seed in job["Comment"])
    return None
