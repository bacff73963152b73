"""The pages that `alexnet2012 ui` and the report lead to, as headless Chromium shows them in a fresh profile."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from chromium import needs_chromium, rendered
from ports import free_port
from tracked_net import begin_net, finish_net, make_history

from alexnet2012.files import read_json
from alexnet2012.reporting.page_parts import RunBrowser, read_store
from alexnet2012.tracking.browser import comparison_address, serve
from alexnet2012.tracking.publish import publish
from alexnet2012.tracking.store import TrackingIds, begin_tracking

START_S = 180
LANGUAGE_MODELS = "Evaluation runs"  # an entry of MLflow's menu for language models, and of no other

pytestmark = [needs_chromium, pytest.mark.slow]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A folder whose results/ has a store, with one configuration and one training."""
    folder = tmp_path_factory.mktemp("checkout")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        ids = begin_tracking("tiny", folder / "results")
        finish_net(begin_net(ids), make_history(3))
        assert publish(ids, [])
    ids.save(folder / "tracking.json")
    return folder


@pytest.fixture(scope="module")
def printed(checkout) -> Iterator[str]:
    """The address that `alexnet2012 ui --open` prints in the checkout, once its server answers.

    The web browser that it opens is a script, which writes to opened.txt what it is given.
    """
    port, browser = free_port(), checkout / "browser.sh"
    command = [sys.executable, "-m", "alexnet2012", "ui", "--port", str(port), "--open"]
    browser.write_text(f'#!/bin/sh\necho "$1" > {checkout}/opened.txt\n', encoding="utf-8")
    browser.chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    environment["BROWSER"] = str(browser)
    log = checkout / "ui.log"
    with log.open("w", encoding="utf-8") as output:
        server = subprocess.Popen(command, cwd=checkout, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server, log)
        yield re.search(r"^open (\S+) ", log.read_text(encoding="utf-8"), re.MULTILINE)[1]
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture
def linked(checkout, printed) -> RunBrowser:
    """What a report links, with this server in the place of the one on port 5000."""
    ids = replace(TrackingIds.load(checkout / "tracking.json"), uri=server_of(printed))
    ids.save(checkout / "linked.json")
    return read_store(checkout / "linked.json")


def test_the_printed_address_shows_the_runs(printed, tmp_path):
    texts = texts_of(rendered(printed, tmp_path / "profile"))
    assert {"alexnet2012", "Runs", "tiny", "cnn-seed0"} <= texts
    assert {"dataset", "variant", "seed", "cifar10"} <= texts  # columns, and a value of one
    assert LANGUAGE_MODELS not in texts


def test_the_browser_is_opened_at_the_printed_address(printed, checkout):
    opened, deadline = checkout / "opened.txt", time.monotonic() + START_S
    while not opened.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert opened.read_text(encoding="utf-8").strip() == printed


def test_without_the_workflow_type_no_run_would_be_seen(printed, tmp_path):
    experiment = printed.partition("/runs?")[0]
    texts = texts_of(rendered(experiment, tmp_path / "profile"))
    assert {"alexnet2012", "Overview", LANGUAGE_MODELS} <= texts
    assert "cnn-seed0" not in texts


def test_the_report_links_the_same_list_and_the_page_of_a_run(printed, linked, checkout, tmp_path):
    assert linked.runs == printed
    (note,) = checkout.glob("results/tiny/runs/**/run.json")
    run_id = read_json(note)["run_id"]
    texts = texts_of(rendered(linked.run(run_id), tmp_path / "profile"))
    assert {"cnn-seed0", run_id, "val/top1_error", "Datasets"} <= texts
    assert any(text.startswith("cifar10/train") for text in texts)
    assert LANGUAGE_MODELS not in texts


def test_the_address_of_a_comparison_shows_the_charts_of_its_seeds(printed, tmp_path):
    address = comparison_address("1", kind="net", configuration="tiny", dataset="cifar10", variant="cnn")
    texts = texts_of(rendered(f"{server_of(printed)}/{address}", tmp_path / "profile", budget_ms=30_000))
    assert {"cnn-seed0", "train/loss", "val/top1_error"} <= texts
    assert "tiny" not in texts  # the parent, under which they would be folded


def test_ui_of_a_server_elsewhere_prints_its_runs(printed, checkout, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server_of(printed).replace("//", "//me:secret@"))
    serve(results=checkout / "results")
    assert capsys.readouterr().out.split()[1] == printed


def server_of(address: str) -> str:
    return address.partition("/#")[0]


def texts_of(html: str) -> set[str]:
    """Everything that stands between two tags."""
    return {text.strip() for text in re.findall(r">([^<>]+)<", html)}


def wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            return urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"no server after {START_S} s:\n{log.read_text(encoding='utf-8')}")
