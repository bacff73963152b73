"""The run browser (MLflow's web server) and the addresses of its pages."""

import os
import socket
import sys
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


def serve(host: str = "127.0.0.1", port: int = 5000, results: Path = Path("results")) -> None:
    """Print the address of the runs, and replace this process by MLflow's web server (unless MLFLOW_TRACKING_URI names
    one).

    Raises ConfigError if there is no store to show or the port is taken.
    """
    uri = tracking_uri(results)
    if uri.startswith("http"):
        print(f"open {page_address(uri, find_experiment(uri))} (the server that MLFLOW_TRACKING_URI names)")
        return
    if uri == embedded_uri(results) and not database(results).exists():
        raise ConfigError(f"{database(results)} does not exist yet; run the workflow first, its first step makes it")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"{host}:{port} cannot be listened on ({error.strerror}); choose another one, e.g. --port {port + 1}"
            ) from error
    command = [sys.executable, "-c", MLFLOW, "server", "--host", host, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", uri, "--artifacts-destination", str(results.resolve() / "mlartifacts")]
    address = page_address(f"http://{host}:{port}", find_experiment(uri))
    print(f"open {address} (Ctrl-C stops the server; the runs are in {without_password(uri)})", flush=True)
    os.execve(command[0], command, {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **ENVIRONMENT, **os.environ})


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
