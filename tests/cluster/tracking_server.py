"""A PostgreSQL and an MLflow server of one's own, in a temporary folder, to be killed and started again."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

from ports import free_port

from alexnet2012.tracking.store import ENVIRONMENT

START_S = 60  # on two busy cores MLflow's server takes ten seconds
STOP_S = 10


def find_postgres() -> Path | None:
    """The folder of PostgreSQL's programs, the newest where there are several; Debian leaves it out of PATH."""
    if program := shutil.which("initdb"):
        return Path(program).resolve().parent
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(folders, key=lambda folder: float(folder.parent.name), default=None)


def what_is_missing() -> str | None:
    """Why there can be no server here, or None."""
    if find_postgres() is None:
        return "PostgreSQL's initdb is neither in PATH nor in /usr/lib/postgresql: apt-get install postgresql"
    if find_spec("psycopg2") is None:
        return "psycopg2 is not installed: pip install --editable '.[server]'"
    if os.getuid() == 0 and not has_account("postgres"):
        return "PostgreSQL does not run as root, and there is no account postgres"
    return None


class Postgres:
    """A database server in `folder`, with one database and one account, which has a password."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port, self._process = folder, free_port(), None
        self.address = f"tracker:dont-tell@127.0.0.1:{self._port}/tracking"
        folder.mkdir()
        (folder / "password").write_text("dont-tell\n", encoding="utf-8")
        if os.getuid() == 0:
            shutil.chown(folder, "postgres")
            shutil.chown(folder / "password", "postgres")
        how = ["--username=tracker", "--pwfile=password", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"]
        subprocess.run(self._command("initdb", "-D", "data", *how), **self._options(), check=True, timeout=START_S)

    def start(self) -> None:
        with (self._folder.parent / "postgres.log").open("a", encoding="utf-8") as log:
            command = self._command("postgres", "-D", "data", "-p", str(self._port), "-k", str(self._folder))
            command += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
            self._process = subprocess.Popen(command, **{**self._options(), "stdout": log})
        wait_for(self._answers, "PostgreSQL to answer", self._process)

    def query(self, text: str, database: str = "tracking") -> list[tuple]:
        import psycopg2

        address = f"postgresql://{self.address.rpartition('/')[0]}/{database}"
        connection = psycopg2.connect(address, connect_timeout=5)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(text)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def crash(self) -> None:
        """Ends it without a checkpoint, as a power cut would, but with what the kernel holds."""
        stop(self._process, signal.SIGQUIT)
        self._process = None

    def _answers(self) -> bool:
        import psycopg2

        try:
            if not self.query("SELECT 1 FROM pg_database WHERE datname = 'tracking'", "postgres"):
                self.query("CREATE DATABASE tracking", "postgres")
        except psycopg2.OperationalError:
            return False
        return True

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [str(find_postgres() / program), *arguments]

    def _options(self) -> dict:
        account = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
        return {**account, **quiet, "cwd": self._folder, "env": environment, "start_new_session": True}


class TrackingServer:
    """`mlflow server` on that database, started as docs/machines.md says."""

    def __init__(self, folder: Path, postgres: Postgres) -> None:
        self._folder, self._postgres, self._port, self._process = folder, postgres, free_port(), None
        self.uri = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--backend-store-uri", f"postgresql+psycopg2://{self._postgres.address}", "--workers", "2"]
        command += ["--artifacts-destination", str(self._folder / "artifacts")]
        environment = {**os.environ, **ENVIRONMENT, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self._folder / "mlflow.log").open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=self._folder, start_new_session=True
            )
        wait_for(self._answers, "the MLflow server to answer", self._process)

    def kill(self) -> None:
        """SIGKILL to it and all its workers, in the middle of whatever they do."""
        stop(self._process, signal.SIGKILL)
        self._process = None

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.uri}/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False


def stop(process: subprocess.Popen | None, kindly: signal.Signals) -> None:
    """Ends the session that `process` leads, by SIGKILL in the end."""
    if process is None:
        return
    try:
        # PostgreSQL's first process ends the others itself; MLflow's workers would live on.
        (os.kill if kindly == signal.SIGQUIT else os.killpg)(process.pid, kindly)
        process.wait(timeout=STOP_S)
    except (subprocess.TimeoutExpired, ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=STOP_S)


def wait_for(
    happens: Callable[[], object], what: str, process: subprocess.Popen | None = None, within_s: float = START_S
) -> None:
    """Returns when happens() is true; AssertionError if that takes too long or `process` ends before."""
    deadline = time.monotonic() + within_s
    while not happens():
        assert process is None or process.poll() is None, f"waited for {what}, but the process ended"
        assert time.monotonic() < deadline, f"waited {within_s} s for {what}"
        time.sleep(0.05)


def has_account(name: str) -> bool:
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False
