"""One tracking server for many machines: MLflow over http on PostgreSQL, all of it real, killed in the middle."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import logging_process as content
import pytest
import tiny_training
import tracked_net
import yaml
from losing_proxy import losing_proxy
from tracking_server import Postgres, TrackingServer, wait_for, what_is_missing

from alexnet2012.config.schema import read_run
from alexnet2012.tracking import store
from alexnet2012.tracking.contents import flatten
from alexnet2012.tracking.publish import publish
from alexnet2012.tracking.store import TrackingIds, begin_tracking

pytestmark = [pytest.mark.cluster, pytest.mark.skipif(bool(what_is_missing()), reason=what_is_missing() or "")]

PROCESSES = 8
LONGEST_WAIT_S = 20  # MLflow's timeout of 10 s, once more after a failure
PROCESS_S = 90
CLI = str(Path(sys.executable).with_name("alexnet2012"))


@pytest.fixture(scope="module")
def servers() -> Iterator[SimpleNamespace]:
    """Both servers, empty at first; whatever happens, none of their processes is left."""
    folder = Path(tempfile.mkdtemp(prefix="alexnet2012-"))
    folder.chmod(0o755)  # PostgreSQL runs under another account
    postgres = server = None
    try:
        postgres = Postgres(folder / "postgres")
        postgres.start()
        server = TrackingServer(folder, postgres)
        server.start()
        yield SimpleNamespace(postgres=postgres, mlflow=server)
    finally:
        for kill in (server and server.kill, postgres and postgres.crash):
            if kill:
                kill()
        for log in ("mlflow.log", "postgres.log"):
            print(
                f"{log}:\n{(folder / log).read_text(encoding='utf-8')[-4000:] if (folder / log).exists() else 'none'}"
            )
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def client(servers, monkeypatch):
    """This process and those that it starts use the server."""
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", servers.mlflow.uri)
    monkeypatch.setattr(store.outage, "warned", False)
    monkeypatch.setattr(store.outage, "retry_at", 0.0)
    return MlflowClient(tracking_uri=servers.mlflow.uri)


@pytest.fixture
def start(tmp_path) -> Iterator:
    """Starts logging_process.py, which is killed in the end if it still runs."""
    started = []
    (tmp_path / "gates").mkdir()

    def start(results: Path, configuration: str, number: int, pause_s: float, role: str) -> subprocess.Popen:
        arguments = [str(results), configuration, str(number), str(tmp_path / "gates"), str(pause_s), role]
        started.append(
            subprocess.Popen(
                [sys.executable, content.__file__, *arguments],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_eight_machines_that_begin_at_once_on_an_empty_server(servers, client, start, tmp_path):
    """Each has a results folder of its own; four run one configuration, four another. Nobody made the experiment."""
    configurations = ["rehearsal" if number % 2 else "cifar10" for number in range(PROCESSES)]
    processes = [
        start(tmp_path / f"machine{number}" / "results", name, number, 60.0, "machine")
        for number, name in enumerate(configurations)
    ]
    let_all_begin(processes, tmp_path / "gates")
    (tmp_path / "gates" / "enough").touch()
    done = [finish(process) for process in processes]
    assert [errors for _, errors in done] == [""] * PROCESSES

    experiments = servers.postgres.query("SELECT name FROM experiments ORDER BY name")
    assert experiments == [("Default",), ("alexnet2012",)]
    for name in ("cifar10", "rehearsal"):
        numbers = [number for number in range(PROCESSES) if configurations[number] == name]
        parent = assert_runs(servers, client, name, {number: done[number][0]["epochs"] for number in numbers})
        assert parent.data.tags["mlflow.note.content"] == content.TABLE.strip()
        assert [file.path for file in client.list_artifacts(parent.info.run_id, "tables")] == ["tables/table1.md"]


def test_servers_killed_in_the_middle_lose_and_double_nothing(servers, client, start, tmp_path):
    """Jobs of one machine: half of them try again at once and catch up, half leave it to `alexnet2012 publish`."""
    results, gates = tmp_path / "results", tmp_path / "gates"
    run_cli(tmp_path, "track", "outage", "results/tracking.json")
    processes = [start(results, "outage", number, 0.5 if number % 2 else 3600.0, "job") for number in range(PROCESSES)]
    let_all_begin(processes, gates)
    wait_for(lambda: min(sent(servers, "outage")) >= 3, "all to have sent three epochs")

    servers.mlflow.kill()
    servers.postgres.crash()
    reached = trained(gates)
    wait_for(lambda: min(map(int.__sub__, trained(gates), reached)) >= 5, "all to go on without servers")
    servers.postgres.start()
    servers.mlflow.start()
    wait_for(lambda: min(map(int.__sub__, sent(servers, "outage")[1::2], reached[1::2])) >= 5, "some to catch up")
    (gates / "enough").touch()

    done = [finish(process) for process in processes]
    assert all(errors.count("cannot reach the store now") == len(errors.splitlines()) == 1 for _, errors in done)
    assert max(report["longest_s"] for report, _ in done) < LONGEST_WAIT_S
    epochs = [report["epochs"] for report, _ in done]
    assert [count == each for count, each in zip(sent(servers, "outage"), epochs, strict=True)] == [False, True] * 4

    (results / "table1.md").write_text(content.TABLE, encoding="utf-8")
    publishing = ["publish", "results/table1.md", "--tracking", "results/tracking.json", "--output", "published.txt"]
    for _ in range(2):
        run_cli(tmp_path, *publishing)
        assert (tmp_path / "published.txt").read_text(encoding="utf-8") == "sent\n"
        assert_runs(servers, client, "outage", dict(enumerate(epochs)))


def test_answers_that_are_lost_double_nothing(servers, client, tmp_path, monkeypatch):
    """The server did it and died before it said so: MLflow asks again, and so do we."""
    monkeypatch.setattr(store, "PAUSE_AFTER_FAILURE_S", 0.0)
    monkeypatch.setattr(store, "SETTLE_S", 0.0)
    monkeypatch.setattr(content, "EPOCH_S", 0.0)
    epochs = {}
    with losing_proxy(servers.mlflow.uri, share=0.2) as proxy:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.uri)
        ids = begin_tracking("lossy", tmp_path / "results")
        for number in range(3):
            gates = tmp_path / f"gates{number}"
            gates.mkdir()
            (gates / "enough").touch()
            epochs[number], _ = content.log_a_training(ids, number, gates)
        wait_for(lambda: publish(ids, []), "everything to be published")
    assert {"mlflow/runs/create", "mlflow/runs/log-batch", "mlflow/experiments/get-by-name"} <= proxy.lost.keys()
    assert_runs(servers, client, "lossy", epochs)


def test_four_machines_that_publish_at_once_what_they_trained_alone(servers, client, tmp_path):
    """Without live metrics, in one results folder that all of them see: each net once, and each of its values."""
    ids = TrackingIds(servers.mlflow.uri, None, None, "shared", str(tmp_path / "results"))
    ids.save(tmp_path / "tracking.json")
    for number in range(4):
        folder = tracked_net.begin_net(ids, number)
        tracked_net.finish_net(folder, tracked_net.make_history(6, number))
        tracked_net.predict(ids, folder, "test", number + 0.25)
    table = tmp_path / "table1.md"
    table.write_text(content.TABLE, encoding="utf-8")
    arguments = ["publish", str(table), "--tracking", "tracking.json", "--output"]
    processes = [subprocess.Popen([CLI, *arguments, f"published{k}.txt"], cwd=tmp_path) for k in range(4)]
    assert [process.wait(timeout=PROCESS_S) for process in processes] == [0] * 4
    run_cli(tmp_path, *arguments, "published.txt")
    assert_runs(servers, client, "shared", dict.fromkeys(range(4), 6))


def test_a_training_killed_and_resumed_is_one_run(servers, client, tmp_path):
    """`alexnet2012 train`, which dies by SIGKILL after its third epoch and is started again."""
    tiny_training.pack(tmp_path)
    ids = TrackingIds(servers.mlflow.uri, None, None, "tiny", str(tmp_path / "results"))
    ids.save(tmp_path / "tracking.json")
    folder = tiny_training.write_run(tmp_path, "seed1")
    for driver, code in ((DIES_AFTER_EPOCH_3, -9), ("", 0)):
        assert training_ended(tiny_training.start(folder, driver=driver, store=servers.mlflow.uri)) == code
    assert publish(ids, [])

    (run,) = children(client, "tiny")[1]
    assert run.data.tags["seed"] == "1" and run.info.status == "FINISHED"
    assert run.data.params == {key: str(value) for key, value in flatten(read_run(folder / "config.yaml")).items()}
    assert json.loads((folder / "record.json").read_text(encoding="utf-8"))["mlflow_run_id"] == run.info.run_id
    history, rows = tiny_training.read_history(folder), metrics_in(servers, run.info.run_id)
    losses = [(epoch, value) for key, epoch, value in rows if key == "train/loss"]
    assert losses == list(zip(history["epoch"], history["train_loss"], strict=True))
    assert max(Counter((key, epoch) for key, epoch, _ in rows).values()) == 1


DIES_AFTER_EPOCH_3 = """
import os, signal, sys
from alexnet2012.tracking.publish import LiveRun
send = LiveRun.update
def update(self, history):
    send(self, history)
    if len(history) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
LiveRun.update = update
"""


def assert_runs(servers, client, configuration: str, epochs: dict[int, int]):
    """The store holds exactly these runs of the configuration, each with its own and each value once; the parent."""
    parent, runs = children(client, configuration)
    assert [run.info.run_name for run in runs] == [f"cnn-seed{number}" for number in sorted(epochs)]
    for run, number in zip(runs, sorted(epochs), strict=True):
        assert run.info.status == "FINISHED"
        assert (run.data.params["net.fc_neurons"], run.data.tags["seed"]) == ("4096", str(number))
        assert metrics_in(servers, run.info.run_id) == content.metrics_of(number, epochs[number])
        files = [file.path for file in client.list_artifacts(run.info.run_id)]
        assert sorted(files) == ["config.yaml", "history.parquet", "record.json"]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(client.download_artifacts(run.info.run_id, "config.yaml", folder))
            assert yaml.safe_load(path.read_text(encoding="utf-8"))["seed"] == number
    return parent


def children(client, configuration: str) -> tuple:
    """The one parent run of a configuration, which is finished, and its children by name."""
    experiment = client.get_experiment_by_name("alexnet2012").experiment_id
    key = f"tags.`alexnet2012.key` = 'configuration:{configuration}'"
    (parent,) = client.search_runs([experiment], key)
    assert (parent.info.run_name, parent.info.status) == (configuration, "FINISHED")
    runs = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    return parent, sorted(runs, key=lambda run: run.info.run_name)


def metrics_in(servers, run_id: str) -> list[tuple[str, int, float]]:
    """Every value of the training in the database, as PostgreSQL has it; the use of the machine is never the same."""
    rows = servers.postgres.query(f"SELECT key, step, value FROM metrics WHERE run_uuid = '{run_id}'")
    return sorted(row for row in rows if not row[0].startswith("system/"))


def let_all_begin(processes: list[subprocess.Popen], gates: Path) -> None:
    ready = [gates / f"ready-{number}" for number in range(len(processes))]
    wait_for(lambda: all(path.exists() for path in ready), "all processes to be ready")
    (gates / "go").touch()


def finish(process: subprocess.Popen) -> tuple[dict, str]:
    """What a process that ended well reports, and its errors."""
    output, errors = process.communicate(timeout=PROCESS_S)
    assert process.returncode == 0, errors
    return json.loads(output), errors


def training_ended(process: subprocess.Popen) -> int:
    try:
        print(process.communicate(timeout=PROCESS_S)[0])
    finally:
        process.kill()
    return process.returncode


def run_cli(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [CLI, *arguments], cwd=folder, env={**os.environ}, capture_output=True, encoding="utf-8", timeout=PROCESS_S
    )
    assert (done.returncode, done.stderr) == (0, "")


def trained(gates: Path) -> list[int]:
    """The number of epochs that each process has trained."""
    return [int((gates / f"epochs-{number}").read_text(encoding="utf-8")) for number in range(PROCESSES)]


def sent(servers, configuration: str) -> list[int]:
    """The number of epochs that the database has of each process's run."""
    counts = servers.postgres.query(
        "SELECT runs.name, COUNT(DISTINCT step) FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid "
        "LEFT JOIN metrics ON metrics.run_uuid = runs.run_uuid AND step > 0 "
        f"WHERE tags.key = 'alexnet2012.state_folder' AND tags.value LIKE '%/{configuration}/%' GROUP BY runs.name"
    )
    return [dict(counts).get(f"cnn-seed{number}", 0) for number in range(PROCESSES)]
