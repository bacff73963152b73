"""Nets as MLflow's logged models: what is kept of them, and what they answer."""

import base64
import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tracked_net
from fake_dataset import write_dataset, write_run
from PIL import Image
from ports import free_port

import alexnet2012
from alexnet2012.errors import DataError
from alexnet2012.evaluation.served import read_image
from alexnet2012.evaluation.trained import write_inputs
from alexnet2012.files import read_json, write_json
from alexnet2012.tracking.publish import publish
from alexnet2012.tracking.store import TrackingIds, begin_tracking, embedded_uri

START_S = 180
PIXELS = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)


@pytest.fixture(autouse=True, scope="module")
def no_server():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


@pytest.fixture(scope="module")
def ids(tmp_path_factory) -> TrackingIds:
    return begin_tracking("some", tmp_path_factory.mktemp("models") / "results")


@pytest.fixture(scope="module")
def client(ids):
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=embedded_uri(Path(ids.results)))


@pytest.fixture(scope="module")
def folder(ids) -> Path:
    """A net that was published."""
    root = Path(ids.results)
    dataset = write_dataset(root.parent / "fake", {"train": 4, "val": 2, "test": 2}, 16, 3)
    folder = root / "some/runs/fake/cnn-0123abcd/seed0"
    folder.parent.mkdir(parents=True)
    write_run(folder, dataset)
    write_inputs(folder, dataset)
    record = read_json(folder / "record.json")
    tracked_net.finish_net(folder, tracked_net.make_history(2))
    write_json(folder / "record.json", {**read_json(folder / "record.json"), **record})
    tracked_net.predict(ids, folder, "test", 0.25)
    assert publish(ids, [])
    return folder


def models_of(client, ids):
    return list(client.search_logged_models([ids.experiment_id]))


def load_model(client, ids, monkeypatch):
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", embedded_uri(Path(ids.results)))
    mlflow.set_tracking_uri(embedded_uri(Path(ids.results)))
    (model,) = models_of(client, ids)
    return mlflow.pyfunc.load_model(f"models:/{model.model_id}")


def encode_image() -> str:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_a_net_is_one_model_with_signature_example_and_metrics(ids, client, folder):
    assert publish(ids, [])
    (model,) = models_of(client, ids)
    run = client.get_run(model.source_run_id)
    assert (model.name, str(model.status)) == ("cnn-seed0", "READY") and run.info.run_name == "cnn-seed0"
    assert [each.model_id for each in run.outputs.model_outputs] == [model.model_id]
    assert {metric.key: metric.value for metric in model.metrics}["test/ten_crop/top1_error"] == 0.25
    assert {metric.dataset_name for metric in model.metrics} == {"fake/test"}
    assert [point.value for point in client.get_metric_history(run.info.run_id, "test/ten_crop/top1_error")] == [0.25]
    contexts = {each.dataset.name: each.tags[0].value for each in run.inputs.dataset_inputs}
    assert contexts == {"fake/train": "training", "fake/val": "evaluation", "fake/test": "evaluation"}
    assert json.loads(run.inputs.dataset_inputs[0].dataset.profile)["images"] in (2, 4)


def test_it_takes_files_in_base64_and_arrays_and_says_what_the_net_says(ids, client, folder, monkeypatch):
    model = load_model(client, ids, monkeypatch)
    assert model.metadata.signature is not None and model.input_example is not None
    found = model.predict(pd.DataFrame({"image": [encode_image(), PIXELS]}))
    expected = alexnet2012.load(folder).predict([PIXELS]).iloc[0]
    for row in found.to_dict("records"):
        assert row["class"] == expected.idxmax() and row["probability"] == pytest.approx(expected.max())
        assert row["probabilities"] == pytest.approx(expected.to_dict())


@pytest.mark.parametrize("given", ["no base64!", "AAAA", np.zeros((4, 4)), np.full((4, 4, 3), 300)])
def test_what_is_no_image_is_refused(given):
    with pytest.raises(DataError):
        read_image(given)


@pytest.mark.slow
def test_a_served_model_answers_a_post_with_an_image(ids, client, folder, tmp_path):
    (model,) = models_of(client, ids)
    port, log = free_port(), tmp_path / "serve.log"
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local", "--port", str(port)]
    environment = os.environ | {"MLFLOW_TRACKING_URI": embedded_uri(Path(ids.results))}
    with log.open("w", encoding="utf-8") as output:
        server = subprocess.Popen(
            [*command, "--workers", "1", "--model-uri", f"models:/{model.model_id}"],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        body = json.dumps({"dataframe_records": [{"image": encode_image()}, {"image": PIXELS.tolist()}]}).encode()
        answer = post(f"http://127.0.0.1:{port}/invocations", body, server, log)
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)
    rows = answer["predictions"]
    assert len(rows) == 2 and rows[0] == rows[1]
    assert rows[0]["class"] in ("class0", "class1", "class2") and sum(
        rows[0]["probabilities"].values()
    ) == pytest.approx(1)


def post(address: str, body: bytes, server: subprocess.Popen, log: Path) -> dict:
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except ConnectionError:
            pass
        except urllib.error.HTTPError as error:
            pytest.fail(error.read().decode())
        except OSError:
            pass
        time.sleep(0.3)
    pytest.fail(f"no answer after {START_S} s:\n{log.read_text(encoding='utf-8')}")
