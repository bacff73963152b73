import fcntl
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from ports import free_port

from alexnet2012.errors import ConfigError, RecordError
from alexnet2012.tracking import (
    RunLog,
    TrackingIds,
    close_stale,
    initialise,
    log_benchmarks,
    log_ensemble,
    log_results,
    log_tables,
    outbox,
    serve,
    store,
    tracking_uri,
)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """One store for all tests, as making a database takes seconds; each test has a configuration of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        folder = tmp_path_factory.mktemp("tracking") / "results"
        assert initialise("first", folder).experiment_id is not None
    return folder


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(store.outage, "warned", False)
    monkeypatch.setattr(store.outage, "retry_at", 0.0)


@pytest.fixture
def ids(results, request):
    return initialise(request.node.name.removeprefix("test_"), results)


@pytest.fixture
def state(ids):
    """The state folder of one training of the test's configuration."""
    return Path(ids.results, ids.name, "runs", "seed0", "state")


@pytest.fixture
def client(ids):
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=tracking_uri(Path(ids.results)))


def history(client, run_id, key):
    return [(metric.step, metric.value) for metric in client.get_metric_history(run_id, key)]


def children(client, ids):
    return client.search_runs([ids.experiment_id], f"tags.`mlflow.parentRunId` = '{ids.parent_run_id}'")


def test_initialising_twice_gives_the_same_ids(ids, results, client, tmp_path):
    assert initialise(ids.name, results) == ids
    ids.save(tmp_path / "new" / "tracking.json")
    assert TrackingIds.load(tmp_path / "new" / "tracking.json") == ids
    assert client.get_experiment(ids.experiment_id).name == "alexnet2012"
    assert client.get_run(ids.parent_run_id).info.run_name == ids.name
    assert ids.uri == f"sqlite:///{results.resolve()}/mlflow.db"


def test_two_processes_initialise_a_fresh_store_at_once_and_in_silence(tmp_path):
    code = (
        "import sys; from pathlib import Path; from alexnet2012.tracking import initialise;"
        "initialise(sys.argv[1], Path(sys.argv[2])).save(Path(sys.argv[2], sys.argv[1]))"
    )
    commands = [[sys.executable, "-c", code, name, str(tmp_path)] for name in ("one", "two")]
    processes = [
        subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8") for c in commands
    ]
    assert [process.communicate(timeout=60)[0] for process in processes] == ["", ""]
    one, two = (TrackingIds.load(tmp_path / name) for name in ("one", "two"))
    assert one.experiment_id == two.experiment_id is not None
    assert one.parent_run_id != two.parent_run_id


def test_mlflow_is_not_imported_with_the_module():
    code = "import sys, alexnet2012.tracking; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_run_has_name_parent_params_and_a_value_per_epoch(ids, client, state):
    log = RunLog(state, ids, "cnn-seed0")
    log.start({f"p{number}": number / 8 for number in range(250)}, {"variant": "cnn"})
    for epoch in range(3):
        log.metrics(epoch, {"train_loss": 2.0 - epoch / 2, "diverged": float("nan")})
    log.finish({"final_top1_error": 0.25})

    (run,) = children(client, ids)
    assert run.info.run_id == log.run_id and run.info.run_name == "cnn-seed0" and run.info.status == "FINISHED"
    assert len(run.data.params) == 250 and run.data.params["p249"] == "31.125"
    assert run.data.tags["variant"] == "cnn"
    assert run.data.tags["alexnet2012.state_folder"] == f"results/{ids.name}/runs/seed0/state"
    assert history(client, log.run_id, "train_loss") == [(0, 2.0), (1, 1.5), (2, 1.0)]
    assert run.data.metrics == {"train_loss": 1.0, "final_top1_error": 0.25}


def test_a_resumed_run_repeats_nothing_and_keeps_its_params(ids, client, state):
    killed = RunLog(state, ids, "cnn-seed0")
    killed.start({"host": "a"})
    killed.metrics(0, {"train_loss": 2.0})
    killed.metrics(1, {"train_loss": 1.5})
    client.set_terminated(killed.run_id, "KILLED")

    resumed = RunLog(state, ids, "cnn-seed0")
    resumed.start({"host": "b", "added": 1})
    assert client.get_run(resumed.run_id).info.status == "RUNNING"
    resumed.metrics(1, {"train_loss": 1.4, "val_top1_error": 0.5})
    resumed.metrics(2, {"train_loss": 1.0})

    (run,) = children(client, ids)
    assert run.info.run_id == killed.run_id == resumed.run_id
    assert run.data.params == {"host": "a", "added": "1"}
    assert history(client, run.info.run_id, "train_loss") == [(0, 2.0), (1, 1.5), (2, 1.0)]
    assert history(client, run.info.run_id, "val_top1_error") == [(1, 0.5)]


def test_a_crash_between_sending_and_noting_it_doubles_nothing(ids, client, state):
    log = RunLog(state, ids, "cnn-seed0")
    log.start({"seed": 0})
    log.metrics(0, {"train_loss": 2.0})
    log.finish({"final_top1_error": 0.5})
    forgotten = json.loads((state / "run.json").read_text(encoding="utf-8")) | {"run_id": None, "sent": 0}
    (state / "run.json").write_text(json.dumps(forgotten), encoding="utf-8")

    assert RunLog(state, ids, "cnn-seed0").flush()
    (run,) = children(client, ids)
    assert run.info.status == "FINISHED"
    assert history(client, run.info.run_id, "train_loss") == [(0, 2.0)]
    assert history(client, run.info.run_id, "final_top1_error") == [(0, 0.5)]
    assert json.loads((state / "run.json").read_text(encoding="utf-8"))["sent"] == 3


def test_a_line_cut_short_by_a_crash_is_dropped(ids, client, state):
    log = RunLog(state, ids, "cnn-seed0")
    log.metrics(0, {"train_loss": 2.0})
    with (state / "tracking.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"kind": "metrics", "step": 1, "val')
    log.metrics(1, {"train_loss": 1.0})
    assert history(client, log.run_id, "train_loss") == [(0, 2.0), (1, 1.0)]


def test_a_store_that_does_not_know_the_run_is_filled_again(ids, client, state):
    log = RunLog(state, ids, "cnn-seed0")
    log.start({"seed": 0})
    log.metrics(0, {"train_loss": 2.0})
    lost = log.run_id
    other = json.loads((state / "run.json").read_text(encoding="utf-8")) | {"run_id": "f" * 32, "key": "unheard-of"}
    (state / "run.json").write_text(json.dumps(other), encoding="utf-8")

    refilled = RunLog(state, ids, "cnn-seed0")
    refilled.metrics(1, {"train_loss": 1.0})
    assert refilled.run_id not in (lost, "f" * 32)
    assert client.get_run(refilled.run_id).data.params == {"seed": "0"}
    assert history(client, refilled.run_id, "train_loss") == [(0, 2.0), (1, 1.0)]


def test_without_a_server_all_is_kept_and_later_sent_once(ids, client, state, results, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{free_port()}")
    absent = initialise("offline", results)
    assert (absent.experiment_id, absent.parent_run_id) == (None, None) and "secret" not in absent.uri
    log = RunLog(state, absent, "cnn-seed0")
    log.start({"seed": 0})
    for epoch in range(2):
        log.metrics(epoch, {"train_loss": 2.0 - epoch})
    log.finish()
    assert not log.flush() and log.run_id is None
    assert not log_tables(absent, [])
    assert [json.loads(line)["kind"] for line in (state / "tracking.jsonl").open(encoding="utf-8")] == [
        "start",
        "metrics",
        "metrics",
        "finish",
    ]
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == 1 and "secret" not in warnings[0]

    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert log.flush() and log.flush()
    run = client.get_run(log.run_id)
    assert run.info.status == "FINISHED" and run.data.params == {"seed": "0"}
    assert client.get_run(run.data.tags["mlflow.parentRunId"]).info.run_name == "offline"
    assert history(client, log.run_id, "train_loss") == [(0, 2.0), (1, 1.0)]
    first = json.loads((state / "tracking.jsonl").open(encoding="utf-8").readline())
    assert run.info.start_time == first["time_ms"]


def test_an_absent_server_is_asked_once_a_minute(ids, state, monkeypatch):
    asked = []

    def refuse(ids):
        asked.append(ids)
        raise ConnectionRefusedError("nobody there")

    monkeypatch.setattr(outbox, "open_store", refuse)
    log = RunLog(state, ids, "cnn-seed0")
    for epoch in range(5):
        log.metrics(epoch, {"train_loss": 1.0})
    assert len(asked) == 1
    monkeypatch.setattr(store.time, "monotonic", lambda: store.outage.retry_at + 0.1)
    log.metrics(5, {"train_loss": 1.0})
    assert len(asked) == 2


def test_a_dead_database_server_costs_no_hundred_seconds(ids, state, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql+psycopg2://u:p@127.0.0.1:{free_port()}/db")
    with pytest.raises(ConnectionRefusedError):
        store.open_store(ids)


@pytest.mark.parametrize("uri", ["postgresql://u:p@127.0.0.1:PORT/db", "http://127.0.0.1:PORT"])
def test_an_address_that_is_none_ends_no_training(ids, state, monkeypatch, capsys, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    RunLog(state, ids, "cnn-seed0").metrics(1, {"train_loss": 2.0})
    assert "cannot reach the store now" in capsys.readouterr().err
    assert len((state / "tracking.jsonl").read_text(encoding="utf-8").splitlines()) == 1


def test_a_damaged_note_of_the_run_ends_no_training(ids, state, capsys):
    log = RunLog(state, ids, "cnn-seed0")
    log.metrics(1, {"train_loss": 2.0})
    (state / "run.json").write_text("{", encoding="utf-8")
    log.metrics(2, {"train_loss": 1.0})
    assert "run.json is not JSON" in capsys.readouterr().err


def test_an_event_that_no_store_takes_does_not_hold_up_the_next(ids, client, state, tmp_path, capsys):
    log = RunLog(state, ids, "cnn-seed0")
    log.artifact(tmp_path / "absent.png")
    (tmp_path / "present.txt").write_text("here", encoding="utf-8")
    log.artifact(tmp_path / "present.txt")
    log.metrics(0, {"no/such%key!": 1.0})
    log.metrics(1, {"train_loss": 1.0})
    assert [file.path for file in client.list_artifacts(log.run_id)] == ["present.txt"]
    assert history(client, log.run_id, "train_loss") == [(1, 1.0)]
    assert capsys.readouterr().err.count("left out") == 2


def test_only_runs_that_nobody_trains_are_closed(ids, client, state, results):
    living, dead, elsewhere = (RunLog(state / name, ids, name) for name in ("living", "dead", "elsewhere"))
    for log in (living, dead, elsewhere):
        log.start({})
    client.set_tag(elsewhere.run_id, "alexnet2012.host", "another-host")
    for name in ("living", "dead"):
        (state / name / "lock").touch()
    with (state / "living" / "lock").open(encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert close_stale(ids) == [dead.run_id]
    status = {run.info.run_name: run.info.status for run in children(client, ids)}
    assert status == {"living": "RUNNING", "dead": "KILLED", "elsewhere": "RUNNING"}
    initialise(ids.name, results)
    assert client.get_run(living.run_id).info.status == "KILLED"


def test_a_run_of_another_checkout_on_this_host_is_left_alone(ids, client, results, tmp_path, monkeypatch):
    """Both send to one store, under one configuration's name: the folders are called alike, the runs' keys are not."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.embedded_uri(results))
    here, there = (initialise(ids.name, tmp_path / checkout / "results") for checkout in ("here", "there"))
    logs = [RunLog(Path(each.results, ids.name, "seed0", "state"), each, "cnn-seed0") for each in (here, there)]
    for log in logs:
        log.start({})
    assert close_stale(there) == [logs[1].run_id]
    assert client.get_run(logs[0].run_id).info.status == "RUNNING"


def test_an_experiment_that_another_machine_makes_meanwhile_is_used(ids, results, monkeypatch, capsys):
    from mlflow.tracking import MlflowClient

    answers, find = [None], MlflowClient.get_experiment_by_name
    monkeypatch.setattr(
        MlflowClient, "get_experiment_by_name", lambda self, name: answers.pop() if answers else find(self, name)
    )
    assert initialise(ids.name, results) == ids
    assert capsys.readouterr().err == "" and answers == []


@pytest.mark.parametrize("heard", [True, False])
def test_a_run_that_is_made_twice_stands_once(ids, client, state, monkeypatch, heard):
    """As when answers were lost: MLflow asks again by itself, and a minute later so do we, if it was told nothing."""
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    create = MlflowClient.create_run

    def create_twice(*given):
        made = [create(*given), create(*given)]
        if not heard:
            raise MlflowException("the connection ended")
        return made[1]

    monkeypatch.setattr(MlflowClient, "create_run", create_twice)
    monkeypatch.setattr(store, "PAUSE_AFTER_FAILURE_S", 0.0)
    for seed in range(4):
        log = RunLog(state / str(seed), ids, f"cnn-seed{seed}")
        log.start({"seed": seed})
        log.metrics(1, {"train_loss": 1.0})
    runs = {run.info.run_name: run.data for run in children(client, ids)}
    assert len(children(client, ids)) == 4
    assert {name: run.params["seed"] for name, run in runs.items()} == {f"cnn-seed{k}": str(k) for k in range(4)}
    assert all(run.metrics == {"train_loss": 1.0} for run in runs.values())


def test_of_two_parents_one_that_has_runs_is_left(ids, client, state, results):
    """Two machines whose clocks differ may have used both; then neither's runs may lose their parent."""
    key = {store.KEY_TAG: f"configuration:{ids.name}"}
    second, third = (client.create_run(ids.experiment_id, tags=key).info.run_id for _ in range(2))
    client.create_run(ids.experiment_id, tags={"mlflow.parentRunId": second})
    assert initialise(ids.name, results) == ids
    assert client.get_run(second).info.lifecycle_stage == "active"
    assert client.get_run(third).info.lifecycle_stage == "deleted"


def test_a_run_is_known_by_its_folder_from_the_first_moment(ids, client, state, monkeypatch):
    """close_stale of another process looks there for the lock before it says that nobody trains the run."""
    monkeypatch.setattr(outbox, "send", lambda *given: None)
    log = RunLog(state, ids, "cnn-seed0")
    log.start({})
    assert client.get_run(log.run_id).data.tags["alexnet2012.state_folder"] == f"results/{ids.name}/runs/seed0/state"


def test_results_added_later_are_logged_again_only_when_changed(ids, client, state):
    training = RunLog(state, ids, "cnn-seed0")
    training.start({})
    training.finish()
    ended = client.get_run(training.run_id).info
    for error in (0.375, 0.375, 0.25, 0.25):
        log_results(state, ids, "cnn-seed0", {"test_top1_error": error})
    assert history(client, training.run_id, "test_top1_error") == []  # they wait for the tables
    assert log_tables(ids, [])
    assert sorted(history(client, training.run_id, "test_top1_error")) == [(0, 0.25), (0, 0.375)]
    run = client.get_run(training.run_id)
    assert run.data.metrics["test_top1_error"] == 0.25
    assert (run.info.status, run.info.end_time) == ("FINISHED", ended.end_time)


def test_an_ensemble_is_one_run_linked_to_its_members(ids, client, state):
    training = RunLog(state, ids, "cnn-seed0")
    training.start({})
    members = {"cnn-seed0": training.run_id, "cnn-seed1": None}
    for folder in ("box", "another-box"):
        log_ensemble(ids, "five", members, {"top1_error": 0.5}, Path(ids.results, ids.name, folder))
    assert [run.info.run_name for run in children(client, ids)] == ["cnn-seed0"]
    assert log_tables(ids, [])
    (run,) = [run for run in children(client, ids) if run.info.run_name == "five"]
    assert run.data.tags["member.cnn-seed0"] == training.run_id and "member.cnn-seed1" not in run.data.tags
    assert run.data.params == {"members": "cnn-seed0, cnn-seed1"}
    assert history(client, run.info.run_id, "top1_error") == [(0, 0.5)]
    assert run.info.status == "FINISHED"


def test_tables_are_artifacts_and_note_of_the_parent(ids, client, state, tmp_path, monkeypatch):
    monkeypatch.setattr(store.outage, "retry_at", float("inf"))
    waiting = RunLog(state, ids, "cnn-seed0")
    waiting.metrics(0, {"train_loss": 1.0})
    assert waiting.run_id is None
    monkeypatch.setattr(store.outage, "retry_at", 0.0)
    short, long = tmp_path / "table1.md", tmp_path / "claims.md"
    short.write_text("| model | top-1 |\n|---|---|\n| cnn | 37.5 |\n", encoding="utf-8")
    long.write_text("| claim |\n|---|\n" + "| more |\n" * 1000, encoding="utf-8")

    assert log_tables(ids, [short, long])
    run = client.get_run(ids.parent_run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.note.content"] == (
        "| model | top-1 |\n|---|---|\n| cnn | 37.5 |\n\nFurther tables are among the artifacts, in `tables/`."
    )
    artifacts = [file.path for file in client.list_artifacts(ids.parent_run_id, "tables")]
    assert artifacts == ["tables/claims.md", "tables/table1.md"]
    logged = Path(client.download_artifacts(ids.parent_run_id, "tables/claims.md", str(tmp_path / ".")))
    assert logged.read_text(encoding="utf-8") == long.read_text(encoding="utf-8")
    assert history(client, waiting.run_id, "train_loss") == [(0, 1.0)]
    assert client.get_run(waiting.run_id).info.run_name == "cnn-seed0"


def test_serving_explains_what_is_missing(results, tmp_path):
    with pytest.raises(ConfigError, match=r"mlflow\.db does not exist yet; run the workflow first"):
        serve(results=tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="choose another port"):
            serve(port=taken.getsockname()[1], results=results)


@pytest.fixture
def called(monkeypatch):
    """What the server would have been started with."""
    called = {}
    monkeypatch.setattr(os, "execve", lambda path, command, environment: called.update(c=command, e=environment))
    return called


def printed_address(capsys):
    return capsys.readouterr().out.split()[1]


def test_serving_prints_where_the_runs_are(results, ids, called, capsys):
    port = free_port()
    serve(port=port, results=results)
    runs = f"http://127.0.0.1:{port}/#/experiments/{ids.experiment_id}/runs?workflowType=machine_learning"
    assert printed_address(capsys) == runs and called


def test_serving_a_store_without_the_experiment_prints_the_list_of_experiments(results, called, capsys, monkeypatch):
    monkeypatch.setattr(store, "EXPERIMENT", "not made yet")
    port = free_port()
    serve(port=port, results=results)
    assert printed_address(capsys) == f"http://127.0.0.1:{port}/#/experiments?workflowType=machine_learning"
    assert called


def test_of_a_server_elsewhere_that_is_away_the_address_is_printed_without_its_password(called, capsys, monkeypatch):
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{port}/lab/")
    serve()
    assert printed_address(capsys) == f"http://127.0.0.1:{port}/lab/#/experiments?workflowType=machine_learning"
    assert not called


def test_serving_becomes_a_server_for_the_store(results, called):
    serve(port=free_port(), results=results)
    command = " ".join(called["c"])
    assert f"--backend-store-uri sqlite:///{results.resolve()}/mlflow.db" in command
    assert f"--artifacts-destination {results.resolve()}/mlartifacts" in command
    assert called["e"]["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_benchmarks_are_one_run_that_keeps_the_latest_values(ids, client):
    folder = Path(ids.results, ids.name, "benchmarks")
    for value in (6.0, 6.0, 6.5):
        log_benchmarks(ids, {"commit": "abc"}, {"LRN/ours times as fast": value}, folder)
    (run,) = children(client, ids)
    assert run.info.run_name == "benchmarks" and run.info.status == "FINISHED"
    assert run.data.tags["benchmarks.commit"] == "abc"
    assert history(client, run.info.run_id, "LRN/ours times as fast") == [(0, 6.0), (0, 6.5)]


@pytest.mark.parametrize("text", ['{"x": 1}', "[1]"])
def test_a_file_that_track_did_not_write_is_refused_by_name(tmp_path, text):
    (tmp_path / "tracking.json").write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match="tracking.json is not what `track` wrote"):
        TrackingIds.load(tmp_path / "tracking.json")
