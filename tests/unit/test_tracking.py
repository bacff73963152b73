import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import webbrowser
from pathlib import Path

import pytest
import tiny_training
import yaml
from ports import free_port
from tracked_net import begin_net, finish_net, make_history, predict, write_errors

from alexnet2012.config.schema import read_run
from alexnet2012.errors import ConfigError, RecordError
from alexnet2012.files import write_json, write_text
from alexnet2012.tracking import publish as publishing
from alexnet2012.tracking import store as stores
from alexnet2012.tracking.browser import serve
from alexnet2012.tracking.contents import compose_net
from alexnet2012.tracking.publish import LiveRun, publish
from alexnet2012.tracking.store import TrackingIds, begin_tracking, tracking_uri
from alexnet2012.tracking.views import VIEW_TAG
from alexnet2012.training.checkpoint import resume, set_aside


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """One store for all tests, as making a database takes seconds; each test has a configuration of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        folder = tmp_path_factory.mktemp("tracking") / "results"
        assert begin_tracking("first", folder).experiment_id is not None
    return folder


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(stores.outage, "warned", False)
    monkeypatch.setattr(stores.outage, "retry_at", 0.0)


@pytest.fixture
def ids(results, request):
    return begin_tracking(request.node.name.removeprefix("test_"), results)


@pytest.fixture
def folder(ids):
    """The folder of one training of the test's configuration."""
    return begin_net(ids)


@pytest.fixture
def client(ids):
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=tracking_uri(Path(ids.results)))


def read_metric(client, run_id, key):
    return [(metric.step, metric.value) for metric in client.get_metric_history(run_id, key)]


def children(client, ids):
    return client.search_runs([ids.experiment_id], f"tags.`mlflow.parentRunId` = '{ids.parent_run_id}'")


def note_of(folder):
    return json.loads((folder / "state/run.json").read_text(encoding="utf-8"))


def test_initialising_twice_gives_the_same_ids(ids, results, client, tmp_path):
    assert begin_tracking(ids.name, results) == ids
    ids.save(tmp_path / "new" / "tracking.json")
    assert TrackingIds.load(tmp_path / "new" / "tracking.json") == ids
    experiment = client.get_experiment(ids.experiment_id)
    assert experiment.name == "alexnet2012"
    assert json.loads(experiment.tags["mlflow.sharedViewState.alexnet2012"])["selectedColumns"][0] == "tags.`dataset`"
    assert client.get_run(ids.parent_run_id).info.run_name == ids.name
    assert ids.uri == f"sqlite:///{results.resolve()}/mlflow.db"


@pytest.mark.slow
def test_two_processes_initialise_a_fresh_store_at_once_and_in_silence(tmp_path):
    code = (
        "import sys; from pathlib import Path; from alexnet2012.tracking.store import begin_tracking;"
        "begin_tracking(sys.argv[1], Path(sys.argv[2])).save(Path(sys.argv[2], sys.argv[1]))"
    )
    commands = [[sys.executable, "-c", code, name, str(tmp_path)] for name in ("one", "two")]
    processes = [
        subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8") for c in commands
    ]
    assert [process.communicate(timeout=180)[0] for process in processes] == ["", ""]
    one, two = (TrackingIds.load(tmp_path / name) for name in ("one", "two"))
    assert one.experiment_id == two.experiment_id is not None
    assert one.parent_run_id != two.parent_run_id


@pytest.mark.parametrize(("on", "store"), [(True, tiny_training.DEAD_STORE), (False, "")])
def test_mlflow_is_imported_by_those_alone_who_reach_the_store(folder, ids, on, store):
    code = (
        "import sys; from pathlib import Path; from alexnet2012.tracking.publish import LiveRun, publish;"
        "from alexnet2012.tracking.store import TrackingIds; folder = Path(sys.argv[1]);"
        f"LiveRun(folder, TrackingIds({store!r}, None, None, 'any', sys.argv[2]), {on}).update([]);"
        "assert (folder / 'state/run.json').exists(); sys.exit('mlflow' in sys.modules)"
    )
    environment = os.environ | {"MLFLOW_TRACKING_URI": store}
    command = [sys.executable, "-c", code, str(folder), ids.results]
    assert subprocess.run(command, env=environment, capture_output=True).returncode == 0


def test_a_net_is_published_with_settings_epochs_errors_and_files(ids, client, folder):
    history = make_history(3)
    history[1]["train_loss"] = float("nan")
    finish_net(folder, history)
    predict(ids, folder, "test", 0.25)
    write_text(Path(ids.results, ids.name, "logs/train/cifar10/cnn-0123abcd/seed0.log"), "epoch 1\n")

    assert publish(ids, [])
    (run,) = children(client, ids)
    assert run.info.run_id == note_of(folder)["run_id"]
    assert (run.info.run_name, run.info.status) == ("cnn-seed0", "FINISHED")
    assert run.data.params["net.conv1.kernels"] == "96" and run.data.params["training.learning_rate"] == "0.01"
    hash8 = read_run(folder / "config.yaml").hash8
    tags = {"kind": "net", "dataset": "cifar10", "variant": "cnn", "seed": "0", "recipe": "paper", "hash8": hash8}
    tags |= {"configuration": ids.name, "data_digest": "d" * 16, "mlflow.source.name": "alexnet2012 train"}
    tags |= {"mlflow.source.git.commit": "c" * 40, "hardware": "a processor"}
    assert tags.items() <= run.data.tags.items()
    state = folder.relative_to(Path(ids.results).parent) / "state"
    assert run.data.tags["alexnet2012.state_folder"] == str(state)
    columns = {"train/loss": ("train_loss", (1, 3)), "val/top1_error": ("val_top1_error", (1, 2, 3))}
    for name, (column, epochs) in columns.items():
        values = [(epoch, history[epoch - 1][column]) for epoch in epochs]
        assert read_metric(client, run.info.run_id, name) == values
    assert run.data.metrics["test/ten_crop/top1_error"] == 0.25
    kept = {"config.yaml", "history.parquet", "record.json", "log"}
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == kept


def test_a_training_shows_who_runs_what_and_how_busy_the_machine_is(ids, client, folder, monkeypatch):
    monkeypatch.setenv("USER", "somebody")
    monkeypatch.delenv("LOGNAME", raising=False)
    live = LiveRun(folder, ids)
    live.update([])
    live.update(make_history(1))
    run = client.get_run(live.run_id)
    assert run.info.user_id == "somebody"
    assert len(run.data.tags["mlflow.source.git.commit"]) == 40 and run.data.tags["mlflow.source.git.branch"]
    assert 0 <= run.data.metrics["system/cpu_utilization_percentage"] <= 100
    assert run.data.metrics["system/system_memory_usage_megabytes"] > 100


def test_seeds_have_colours_of_their_own_until_somebody_chooses_another(ids, client):
    for seed in range(3):
        finish_net(begin_net(ids, seed), make_history(1, seed))
    assert publish(ids, [])
    runs = children(client, ids)
    assert len({run.data.tags["mlflow.runColor"] for run in runs}) == 3
    client.set_tag(runs[0].info.run_id, "mlflow.runColor", "#123456")
    assert publish(ids, [])
    assert client.get_run(runs[0].info.run_id).data.tags["mlflow.runColor"] == "#123456"


def test_a_training_of_others_that_is_published_names_no_user(ids, client, folder):
    finish_net(folder, make_history(1))
    assert publish(ids, [])
    (run,) = children(client, ids)
    assert "mlflow.user" not in run.data.tags and "mlflow.source.git.branch" not in run.data.tags
    assert run.info.start_time <= run.info.end_time


def test_only_files_that_changed_are_uploaded_again(ids, client, folder, monkeypatch):
    from mlflow.tracking import MlflowClient

    finish_net(folder, make_history(1))
    assert publish(ids, [])
    sent, log = [], MlflowClient.log_artifact
    monkeypatch.setattr(
        MlflowClient,
        "log_artifact",
        lambda self, run, path, *at: (sent.append(Path(path).name), log(self, run, path, *at)),
    )
    assert publish(ids, []) and sent == []
    finish_net(folder, make_history(2))
    assert publish(ids, []) and sorted(sent) == ["history.parquet", "record.json"]


def test_a_learning_rate_that_was_searched_for_is_the_one_of_the_record(ids, client, folder):
    settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    schedule = {"kind": "target", "train_error": 0.25, "max_epochs": 5}
    settings["training"] = {"learning_rate_search": {"rates": [0.01, 0.02], "epochs": 2}, "schedule": schedule}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    LiveRun(folder, ids).update([])
    finish_net(folder, make_history(1), learning_rate=0.02)
    assert publish(ids, [])
    (run,) = children(client, ids)
    assert run.data.params["training.learning_rate"] == "0.02"


def test_a_net_that_was_trained_to_an_error_shows_how_long_that_took(ids, folder):
    finish_net(folder, make_history(2))
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    for epochs, seconds in ((1.5, 90.0), (None, None)):
        target = {"train_error": 0.25, "epochs": epochs, "seconds": seconds}
        write_json(folder / "record.json", record | {"target": target, "energy": {"cpu_kwh": 0.5}})
        results = compose_net(folder, ids).results
        assert results.get("training/epochs_to_target") == epochs
        assert results.get("training/seconds_to_target") == seconds
        assert results["training/cpu_kwh"] == 0.5


def test_a_setting_that_a_run_has_already_keeps_its_value(ids, client, folder):
    """A later version of this package may write a setting otherwise, and MLflow refuses to change one."""
    LiveRun(folder, ids).update([])
    settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    (folder / "config.yaml").write_text(yaml.safe_dump(settings | {"net": {"fc_neurons": 2048}}), encoding="utf-8")
    finish_net(folder, make_history(1))
    assert publish(ids, [])
    (run,) = children(client, ids)
    assert (run.info.status, run.data.params["net.fc_neurons"]) == ("FINISHED", "4096")


def test_long_trainings_and_many_settings_are_published(ids, client, folder, monkeypatch):
    monkeypatch.setattr(publishing, "MAX_METRICS", 9)
    monkeypatch.setattr(publishing, "MAX_BATCH", 10)
    finish_net(folder, make_history(5))

    assert publish(ids, [])
    (run,) = children(client, ids)
    assert len(run.data.params) > 20
    assert [step for step, _ in read_metric(client, run.info.run_id, "train/loss")] == [1, 2, 3, 4, 5]


def test_a_training_killed_resumed_and_published_repeats_nothing(ids, client, folder):
    history, other = make_history(4), make_history(4, seed=9)
    killed = LiveRun(folder, ids)
    killed.update([])
    assert client.get_run(killed.run_id).info.status == "RUNNING"
    killed.update(history[:2])
    client.set_terminated(killed.run_id, "KILLED")

    resumed = LiveRun(folder, ids)
    resumed.update(other[:1])  # it went back to an earlier checkpoint
    assert client.get_run(killed.run_id).info.status == "RUNNING"
    resumed.update([*history[:1], other[1], *history[2:3]])
    finish_net(folder, history)
    resumed.finish()
    assert client.get_run(resumed.run_id).info.status == "FINISHED"
    for _ in range(2):
        assert publish(ids, [])

    (run,) = children(client, ids)
    assert run.info.run_id == killed.run_id == resumed.run_id and run.info.status == "FINISHED"
    for name, column in (("train/loss", "train_loss"), ("training/seconds", "seconds")):
        assert read_metric(client, run.info.run_id, name) == [(row["epoch"], row[column]) for row in history]


@pytest.mark.parametrize("forgotten", [{"run_id": None}, {"run_id": "f" * 32, "key": "unheard-of"}])
def test_a_crash_before_the_note_doubles_nothing_and_a_store_that_lost_a_run_gets_it_again(
    ids, client, folder, forgotten, request
):
    finish_net(folder, make_history(3))
    assert publish(ids, [])
    lost = note_of(folder)["run_id"]
    write_json(folder / "state/run.json", note_of(folder) | forgotten)

    assert publish(ids, [])
    assert (note_of(folder)["run_id"] == lost) == ("key" not in forgotten)
    assert len(children(client, ids)) == 1 + ("key" in forgotten)
    assert len(read_metric(client, note_of(folder)["run_id"], "train/loss")) == 3


def test_without_a_server_nothing_fails_and_all_is_published_later(ids, client, results, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{free_port()}")
    absent = begin_tracking("offline", results)
    assert (absent.experiment_id, absent.parent_run_id) == (None, None) and "secret" not in absent.uri
    folder, history = begin_net(absent), make_history(2)
    live = LiveRun(folder, absent)
    for epochs in range(3):
        live.update(history[:epochs])
    finish_net(folder, history)
    live.finish()
    assert live.run_id is None
    assert not publish(absent, [])
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == 1 and "secret" not in warnings[0]

    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert publish(absent, []) and publish(absent, [])
    note = note_of(folder)
    run = client.get_run(note["run_id"])
    assert (run.info.status, run.info.start_time) == ("FINISHED", note["began_ms"])
    assert client.get_run(run.data.tags["mlflow.parentRunId"]).info.run_name == "offline"
    assert [step for step, _ in read_metric(client, note["run_id"], "train/loss")] == [1, 2]


def test_an_error_that_names_the_address_is_told_without_the_password(capsys):
    with stores.tolerated():
        raise OSError("no answer from https://user:secret@tracker:8443/api")
    told = capsys.readouterr().err
    assert "tracker:8443" in told and "secret" not in told


def test_an_absent_server_is_asked_once_a_minute_and_then_gets_what_it_missed(ids, client, folder, monkeypatch):
    asked, opened, history = [], stores.Store, make_history(7)

    def refuse(ids):
        asked.append(ids)
        raise ConnectionRefusedError("nobody there")

    monkeypatch.setattr(publishing, "Store", refuse)
    live = LiveRun(folder, ids)
    for epochs in range(5):
        live.update(history[:epochs])
    assert len(asked) == 1
    monkeypatch.setattr(publishing.time, "monotonic", lambda: stores.outage.retry_at + 0.1)
    live.update(history[:6])
    assert len(asked) == 2
    monkeypatch.setattr(publishing, "Store", opened)
    live.update(history)
    assert len(read_metric(client, live.run_id, "train/loss")) == 7


def test_a_dead_database_server_costs_no_hundred_seconds(ids, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql+psycopg2://u:p@127.0.0.1:{free_port()}/db")
    with pytest.raises(ConnectionRefusedError):
        stores.Store(ids)


@pytest.mark.parametrize("uri", ["postgresql://u:p@127.0.0.1:PORT/db", "http://127.0.0.1:PORT"])
def test_an_address_that_is_none_ends_no_training(ids, folder, monkeypatch, capsys, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    LiveRun(folder, ids).update([])
    assert "cannot reach the store now" in capsys.readouterr().err


def test_a_damaged_note_of_the_run_ends_no_training(ids, folder, capsys):
    live = LiveRun(folder, ids)
    live.update([])
    (folder / "state/run.json").write_text("{", encoding="utf-8")
    live.update(make_history(1))
    assert "run.json is not JSON" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damaged", "content"),
    [(name, "{") for name in ("record.json", "history.parquet", "config.yaml", "state/run.json")]
    + [("record.json", "{}")],
)
def test_a_damaged_result_does_not_hold_up_the_next(ids, client, capsys, damaged, content):
    first, second = begin_net(ids, 0), begin_net(ids, 1)
    for folder in (first, second):
        finish_net(folder, make_history(1))
    (first / damaged).parent.mkdir(exist_ok=True)
    (first / damaged).write_text(content, encoding="utf-8")

    assert publish(ids, [])
    assert [run.info.run_name for run in children(client, ids)] == ["cnn-seed1"]
    assert capsys.readouterr().err.count("left out") >= 1


def test_what_no_store_takes_does_not_hold_up_the_next(ids, client, capsys):
    for seed, history in enumerate((make_history(1), make_history(1))):
        finish_net(begin_net(ids, seed), [row | {"no/such%key!": 1.0} if seed == 0 else row for row in history])

    assert publish(ids, [])
    statuses = {run.info.run_name: run.info.status for run in children(client, ids)}
    assert statuses == {"cnn-seed0": "RUNNING", "cnn-seed1": "FINISHED"}
    assert capsys.readouterr().err.count("left out") == 1


def test_a_training_killed_before_its_first_checkpoint_goes_on_as_the_same_run(ids, client, folder):
    def begin_again() -> list[str]:
        resume(folder / "state", {}, set())
        LiveRun(folder, ids).update([])
        return sorted(run.info.status for run in children(client, ids))

    LiveRun(folder, ids).update([])
    assert begin_again() == ["RUNNING"]
    finish_net(folder, make_history(1))
    LiveRun(folder, ids).finish()
    assert begin_again() == ["FINISHED", "RUNNING"], "what is finished stays, and is made again as another run"
    (folder / "state/checkpoint-000000001.pt").touch()
    set_aside(folder / "state")  # of another code
    LiveRun(folder, ids).update([])
    assert len(children(client, ids)) == 3


def test_only_trainings_that_were_killed_are_closed(ids, client):
    folders = {name: begin_net(ids, seed) for seed, name in enumerate(("living", "dead", "elsewhere", "again"))}
    for folder in folders.values():
        LiveRun(folder, ids).update([])
    write_json(folders["elsewhere"] / "state/run.json", note_of(folders["elsewhere"]) | {"host": "another-host"})
    finish_net(folders["again"], make_history(1))  # an older result, whose training was begun again
    for name in ("living", "again"):
        lock = (folders[name] / "state/lock").open("w", encoding="utf-8")
        fcntl.flock(lock, fcntl.LOCK_EX)
        folders[name] = folders[name], lock

    assert publish(ids, [])
    status = {run.info.run_name: run.info.status for run in children(client, ids)}
    assert status == {f"cnn-seed{seed}": "KILLED" if seed == 1 else "RUNNING" for seed in range(4)}
    for name in ("living", "again"):
        folders[name][1].close()
    assert publish(ids, [])
    status = {run.info.run_name: run.info.status for run in children(client, ids)}
    assert [status[f"cnn-seed{seed}"] for seed in (0, 3)] == ["KILLED", "FINISHED"]


@pytest.mark.parametrize(
    "name",
    ["what? #1", *(pytest.param(each, marks=pytest.mark.slow) for each in ("50%41", "it's", 'a "b"', "zürich 東京"))],
)
def test_the_store_lies_in_the_checkout_whatever_that_is_called(name, tmp_path, monkeypatch):
    checkout = tmp_path / name
    checkout.mkdir()
    monkeypatch.chdir(checkout)
    assert begin_tracking("some").parent_run_id
    assert sorted(path.name for path in tmp_path.rglob("*") if path.suffix == ".db") == ["mlflow.db"]
    assert (checkout / "results/mlflow.db").exists()


def test_a_run_of_another_checkout_on_this_host_is_left_alone(ids, client, results, tmp_path, monkeypatch):
    """Both send to one store, under one configuration's name: the folders are called alike, the runs' keys are not."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", stores.embedded_uri(results))
    here, there = (begin_tracking(ids.name, tmp_path / checkout / "results") for checkout in ("here", "there"))
    live = [LiveRun(begin_net(each), each) for each in (here, there)]
    for each in live:
        each.update([])
    assert publish(there, [])
    assert [client.get_run(each.run_id).info.status for each in live] == ["RUNNING", "KILLED"]
    assert len(children(client, ids)) == 2


def test_results_that_were_moved_are_published_once(ids, client, results, tmp_path, monkeypatch):
    folder = begin_net(ids)
    finish_net(folder, make_history(2))
    assert publish(ids, [])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", stores.embedded_uri(results))
    shutil.copytree(results / ids.name, tmp_path / "moved" / ids.name)
    assert publish(begin_tracking(ids.name, tmp_path / "moved"), [])
    (run,) = children(client, ids)
    assert len(read_metric(client, run.info.run_id, "train/loss")) == 2


def test_an_experiment_that_another_machine_makes_meanwhile_is_used(ids, results, monkeypatch, capsys):
    from mlflow.tracking import MlflowClient

    answers, find = [None], MlflowClient.get_experiment_by_name
    monkeypatch.setattr(
        MlflowClient, "get_experiment_by_name", lambda self, name: answers.pop() if answers else find(self, name)
    )
    assert begin_tracking(ids.name, results) == ids
    assert capsys.readouterr().err == "" and answers == []


@pytest.mark.parametrize("method", ["log_batch", "log_inputs", "set_tag", "set_experiment_tag"])
def test_what_another_machine_inserts_meanwhile_is_inserted_again(ids, client, folder, monkeypatch, method):
    """As PostgreSQL refuses it: two machines publish at the same moment."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import BAD_REQUEST
    from mlflow.tracking import MlflowClient

    finish_net(folder, make_history(1))
    refused, call = [], getattr(MlflowClient, method)

    def refuse_once(*given, **named):
        if not refused:
            refused.append(given)
            raise MlflowException("duplicate key value violates unique constraint", error_code=BAD_REQUEST)
        return call(*given, **named)

    client.delete_experiment_tag(ids.experiment_id, VIEW_TAG)
    monkeypatch.setattr(MlflowClient, method, refuse_once)
    assert publish(ids, [])
    assert refused
    (run,) = children(client, ids)
    assert run.info.status == "FINISHED" and "record.json" in run.data.tags[publishing.FILES_TAG]


@pytest.mark.parametrize("heard", [True, False])
def test_a_run_that_is_made_twice_stands_once(ids, client, monkeypatch, heard):
    """As when answers were lost: MLflow asks again by itself, and later so do we, if it was told nothing."""
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    create = MlflowClient.create_run

    def create_twice(*given):
        made = [create(*given), create(*given)]
        if not heard:
            raise MlflowException("the connection ended")
        return made[1]

    monkeypatch.setattr(MlflowClient, "create_run", create_twice)
    monkeypatch.setattr(stores, "PAUSE_AFTER_FAILURE_S", 0.0)
    for seed in range(4):
        live = LiveRun(begin_net(ids, seed), ids)
        for epochs in range(2):
            live.update(make_history(epochs, seed))
    runs = {run.info.run_name: run.data for run in children(client, ids)}
    assert len(children(client, ids)) == len(runs) == 4
    assert all(runs[f"cnn-seed{seed}"].metrics["train/loss"] == seed + 0.001 for seed in range(4))


def test_of_two_parents_one_that_has_runs_is_left(ids, client, results):
    """Two machines whose clocks differ may have used both; then neither's runs may lose their parent."""
    key = {stores.KEY_TAG: f"configuration:{ids.name}"}
    second, third = (client.create_run(ids.experiment_id, tags=key).info.run_id for _ in range(2))
    client.create_run(ids.experiment_id, tags={"mlflow.parentRunId": second})
    assert begin_tracking(ids.name, results) == ids
    assert client.get_run(second).info.lifecycle_stage == "active"
    assert client.get_run(third).info.lifecycle_stage == "deleted"


def test_errors_are_published_again_only_when_changed(ids, client, folder):
    finish_net(folder, make_history(1))
    assert publish(ids, [])
    (run,) = children(client, ids)
    for error in (0.375, 0.375, 0.25, 0.25):
        predict(ids, folder, "test", error)
        assert publish(ids, [])
    assert sorted(read_metric(client, run.info.run_id, "test/centre/top1_error")) == [(0, 0.25), (0, 0.375)]
    ended, run = run.info.end_time, client.get_run(run.info.run_id)
    assert run.data.metrics["test/centre/top1_error"] == 0.25
    assert (run.info.status, run.info.end_time) == ("FINISHED", ended)


def test_an_ensemble_is_one_run_linked_to_its_members(ids, client):
    folder, members = Path(ids.results, ids.name, "predictions/d/five-0/average"), {"cnn-seed0": "0" * 32, "x": None}
    for split, error in (("val", 0.25), ("test", 0.5)):
        write_errors(folder / f"{split}.json", split, error, variant="five", members=members)
    for _ in range(2):
        assert publish(ids, [])
    (run,) = children(client, ids)
    assert (run.info.run_name, run.info.status) == ("five", "FINISHED")
    assert run.data.tags["member.cnn-seed0"] == "0" * 32 and "member.x" not in run.data.tags
    assert run.data.params == {"members": "cnn-seed0, x"}
    assert read_metric(client, run.info.run_id, "test/ten_crop/top1_error") == [(0, 0.5)]
    assert run.data.metrics["val/ten_crop/top1_error"] == 0.25


def test_benchmarks_are_one_run_that_keeps_the_latest_values(ids, client):
    path = Path(ids.results, ids.name, publishing.BENCHMARKS)
    for value in (6.0, 6.0, 6.5):
        write_json(path, {"provenance": {"commit": "abc"}, "values": {"LRN/ours times as fast": value}})
        assert publish(ids, [])
    (run,) = children(client, ids)
    assert (run.info.run_name, run.info.status) == ("benchmarks", "FINISHED")
    assert run.data.tags["benchmarks.commit"] == "abc"
    assert read_metric(client, run.info.run_id, "LRN/ours times as fast") == [(0, 6.0), (0, 6.5)]


def test_tables_are_artifacts_and_note_of_the_parent(ids, client, tmp_path):
    short, long = tmp_path / "table1.md", tmp_path / "claims.md"
    short.write_text("| model | top-1 |\n|---|---|\n| cnn | 37.5 |\n", encoding="utf-8")
    long.write_text("| claim |\n|---|\n" + "| more |\n" * 1000, encoding="utf-8")

    assert publish(ids, [short, long])
    run = client.get_run(ids.parent_run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.note.content"] == (
        "| model | top-1 |\n|---|---|\n| cnn | 37.5 |\n\nFurther tables are among the artifacts, in `tables/`."
    )
    artifacts = [file.path for file in client.list_artifacts(ids.parent_run_id, "tables")]
    assert artifacts == ["tables/claims.md", "tables/table1.md"]
    logged = Path(client.download_artifacts(ids.parent_run_id, "tables/claims.md", str(tmp_path / ".")))
    assert logged.read_text(encoding="utf-8") == long.read_text(encoding="utf-8")


def test_serving_explains_what_is_missing(results, tmp_path):
    with pytest.raises(ConfigError, match=r"mlflow\.db does not exist yet; run the workflow first"):
        serve(results=tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="choose another one"):
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
    assert printed_address(capsys) == f"{runs}&viewStateShareKey=alexnet2012" and called


def test_serving_takes_the_next_port_where_the_first_is_taken(results, called, capsys, monkeypatch):
    free = free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr("alexnet2012.tracking.browser.PORTS_TRIED", [taken.getsockname()[1], free])
        serve(results=results)
    assert f"http://127.0.0.1:{free}/" in capsys.readouterr().out
    assert called["c"][called["c"].index("--port") + 1] == str(free)


def test_a_machine_without_a_web_browser_says_so_and_serves(results, called, capsys, monkeypatch):
    def none_found():
        raise webbrowser.Error

    monkeypatch.setattr(webbrowser, "get", none_found)
    serve(free_port(), results, open_page=True)
    assert "no web browser" in capsys.readouterr().out and called


def test_serving_a_store_without_the_experiment_prints_the_list_of_experiments(results, called, capsys, monkeypatch):
    monkeypatch.setattr("alexnet2012.tracking.browser.EXPERIMENT", "not made yet")
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


@pytest.mark.parametrize("text", ['{"x": 1}', "[1]"])
def test_a_file_that_track_did_not_write_is_refused_by_name(tmp_path, text):
    (tmp_path / "tracking.json").write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match="tracking.json is not what `track` wrote"):
        TrackingIds.load(tmp_path / "tracking.json")
