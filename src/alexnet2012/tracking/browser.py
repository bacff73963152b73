"""The run browser (MLflow's web server) and the addresses of its pages."""

import os
import socket
import subprocess
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

from alexnet2012.errors import ConfigError
from alexnet2012.tracking.store import (
    ENVIRONMENT,
    EXPERIMENT,
    connect,
    database,
    embedded_uri,
    keep_view,
    tolerated,
    tracking_uri,
    without_password,
)
from alexnet2012.tracking.views import VIEW

# `python -m mlflow`, but without a traceback if Ctrl-C stops it during its import, which takes seconds.
MLFLOW = """\
import signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
from mlflow.cli import cli
signal.signal(signal.SIGINT, signal.default_int_handler)
cli()
"""


# Opens the address once the server behind it answers; a process of its own, since this one becomes the server.
OPENER = """\
import signal, sys, time, urllib.request, webbrowser
signal.signal(signal.SIGINT, signal.SIG_DFL)
for attempt in range(300):
    try:
        urllib.request.urlopen(sys.argv[1].partition("/#")[0] + "/health", timeout=5).close()
        webbrowser.open(sys.argv[1])
        break
    except OSError:
        time.sleep(0.2)
"""
PORTS_TRIED = range(5000, 5010)


def serve(port: int | None = None, results: Path = Path("results"), open_page: bool = False) -> None:
    """Print the address of the runs, and replace this process by MLflow's web server (unless MLFLOW_TRACKING_URI names
    one).

    `port`: the first free one from 5000 on if None. `open_page`: whether to open the address in a web browser. Raises
    ConfigError if there is no store to show or the port is taken.
    """
    uri, host = tracking_uri(results), "127.0.0.1"
    if uri.startswith("http"):
        address = page_address(uri, find_experiment(uri))
        print(f"open {address} (the server that MLFLOW_TRACKING_URI names)", flush=True)
        if open_page:
            open_in_browser(address)
        return
    if uri == embedded_uri(results) and not database(results).exists():
        raise ConfigError(f"{database(results)} does not exist yet; run the workflow first, its first step makes it")
    asked, port = port, find_port(host, [port] if port else PORTS_TRIED)
    if not asked and port != PORTS_TRIED[0]:
        print(f"port {PORTS_TRIED[0]}, to which the links in reports lead, is taken by another program")
    command = [sys.executable, "-c", MLFLOW, "server", "--host", host, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", uri, "--artifacts-destination", str(results.resolve() / "mlartifacts")]
    address = page_address(f"http://{host}:{port}", find_experiment(uri))
    print(f"open {address} (Ctrl-C stops the server; the runs are in {without_password(uri)})", flush=True)
    if open_page:
        open_in_browser(address)
    os.execve(command[0], command, {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **ENVIRONMENT, **os.environ})


def find_port(host: str, ports: Sequence[int]) -> int:
    """The first of `ports` that can be listened on; raises ConfigError if none can."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                return port
            except OSError as error:
                refused = error.strerror
    tried = str(ports[0]) if len(ports) == 1 else f"{ports[0]} to {ports[-1]}"
    raise ConfigError(
        f"{host}:{tried} cannot be listened on ({refused}); choose another one, e.g. --port {ports[-1] + 1}"
    )


def open_in_browser(address: str) -> None:
    """Have the user's web browser open `address` as soon as its server answers, or say that there is none."""
    try:
        webbrowser.get()
    except webbrowser.Error:
        print("no web browser was found on this machine; open the address above in yours", flush=True)
        return
    subprocess.Popen([sys.executable, "-c", OPENER, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def find_experiment(uri: str) -> str | None:
    """The id of the experiment in the store at `uri`; None if there is none yet or the store cannot be reached."""
    with tolerated():
        client = connect(uri)
        if experiment := client.get_experiment_by_name(EXPERIMENT):
            keep_view(client, experiment)
            return str(experiment.experiment_id)
    return None


def page_address(server: str, experiment_id: str | None = None, run_id: str | None = None) -> str:
    """The address of a run, of an experiment's list of runs, or of the list of experiments, on an MLflow server.

    `server`: its http(s) address; user name and password in it are removed.
    """
    parts = urlsplit(server)
    root = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl().rstrip("/")
    runs = f"/{experiment_id}/runs" if experiment_id else ""
    run = f"/{run_id}" if run_id else ""
    view = f"&viewStateShareKey={VIEW}" if runs and not run else ""
    # Without the workflow type, MLflow 3.17 opens its pages for language models, which list no runs.
    return f"{root}/#/experiments{runs}{run}?workflowType=machine_learning{view}"


def comparison_address(experiment_id: str | None, **tags: str) -> str:
    """The address, relative to any server, of the charts of the runs with these tags, with a curve for each seed."""
    return f"{search_address(experiment_id, **tags)}&compareRunsMode=CHART"


def search_address(experiment_id: str | None, **tags: str) -> str:
    """The address, relative to any server, of the list of the runs with these tags, sorted by seed."""
    query = quote(" AND ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items()))
    sorted_by = f"orderByKey={quote('tags.`seed`')}&orderByAsc=true"  # sorted by date, they would be folded
    return f"#/experiments/{experiment_id}/runs?workflowType=machine_learning&{sorted_by}&searchFilter={query}"
