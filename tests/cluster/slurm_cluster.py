"""A Slurm of two nodes with two GPUs each, on this machine: real daemons, GPUs that are character devices of no use.

All of it lies in one folder, with a munge of its own; nothing is written to /etc, so that several may run side by side.
Its daemons end with the process that made them, even with one that is killed.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "munged", "setpriv")
NODES = ("n1", "n2")
START_S = 30
DEAD_AFTER_S = 6  # from when on a node that does not answer counts as down
NOTICED_S = 90  # by when Slurm has surely noticed; 10 s on two idle cores, 30 s with MessageTimeout's default

CONFIGURATION = """\
ClusterName=ci
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
ReturnToService=2
MinJobAge=3600
SlurmdTimeout={dead_after_s}
MessageTimeout=5
TCPTimeout=1
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4 RealMemory=8000 Gres=gpu:fake:2
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4 RealMemory=8000 Gres=gpu:fake:2
PartitionName=main Nodes=ALL Default=YES MaxTime=60 DefMemPerCPU=100 State=UP
"""
GPUS = """\
AutoDetect=off
NodeName=n1 Name=gpu Type=fake File={folder}/fakegpu[0-1]
NodeName=n2 Name=gpu Type=fake File={folder}/fakegpu[2-3]
"""


def why_not() -> str:
    """Why no cluster can be started here; empty where it can."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=search_path()) is None]
    if missing:
        return f"{', '.join(missing)} not installed: apt-get install slurmctld slurmd slurm-client munge"
    return "" if os.geteuid() == 0 else "Slurm's daemons and fake GPUs need root"


def search_path() -> str:
    return f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"


@dataclass
class SlurmCluster:
    """Two nodes, n1 and n2, once started; `stop` ends every daemon and every job."""

    folder: Path
    daemons: dict[str, subprocess.Popen] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What a user of the cluster has in the environment."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": f"{self.folder / 'bin'}:{search_path()}"}

    def start(self) -> None:
        for name in ("state", "munge", "bin"):
            (self.folder / name).mkdir(parents=True)
        for parent in (self.folder, *self.folder.parents):  # munge runs as a user of its own
            if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
        for index in range(4):
            os.mknod(self.folder / f"fakegpu{index}", 0o666 | 0o020000, os.makedev(1, 3))
        values = {"folder": self.folder, "host": socket.gethostname().partition(".")[0], "ports": find_ports(3)}
        (self.folder / "slurm.conf").write_text(
            CONFIGURATION.format(dead_after_s=DEAD_AFTER_S, **values), encoding="utf-8"
        )
        (self.folder / "gres.conf").write_text(GPUS.format(**values), encoding="utf-8")
        self.write_srun()
        self.start_munge()
        self.run_daemon("slurmctld", "slurmctld", "-D", "-i")
        for node in NODES:
            self.start_node(node)
        self.wait_for_nodes(NODES)

    def write_srun(self) -> None:
        """Jobs start their steps by it: Snakemake's executor has taken SLURM_CONF from the environment by then."""
        srun = self.folder / "bin" / "srun"
        command = f'{shutil.which("srun", path=search_path())} "$@"'
        srun.write_text(f"#!/bin/sh\nSLURM_CONF={self.folder / 'slurm.conf'} exec {command}\n", encoding="utf-8")
        srun.chmod(0o755)

    def start_munge(self) -> None:
        munge = self.folder / "munge"
        (munge / "key").write_bytes(os.urandom(1024))
        (munge / "key").chmod(0o400)
        munge.chmod(0o755)
        for path in (munge, munge / "key"):
            shutil.chown(path, "munge", "munge")
        files = [f"--{name}={munge / name}" for name in ("socket", "key-file", "pid-file", "log-file", "seed-file")]
        files[1] = f"--key-file={munge / 'key'}"
        self.run_daemon("munged", "munged", "--foreground", *files, user="munge")
        self.wait_until(lambda: (munge / "socket").exists(), "munge's socket")

    def start_node(self, node: str) -> None:
        self.run_daemon(node, "slurmd", "-D", "-N", node)

    def run_daemon(self, name: str, *command: str, user: str = "root") -> None:
        as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--pdeathsig=KILL"]
        with (self.folder / f"{name}.output").open("ab") as output:
            self.daemons[name] = subprocess.Popen(
                [*as_user, *command],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait_for_nodes(self, nodes: tuple[str, ...]) -> None:
        self.wait_until(lambda: all(self.states().get(node) == "idle" for node in nodes), f"{', '.join(nodes)} idle")

    def wait_until(self, condition, words: str, patience_s: float = START_S) -> None:
        deadline = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > deadline:
                logs = "\n".join(
                    f"--- {path.name}\n{path.read_text(encoding='utf-8')[-2000:]}"
                    for path in (*self.folder.glob("*.log"), *self.folder.glob("*.output"))
                )
                raise AssertionError(f"{words}: not within {patience_s} s; nodes {self.states()}\n{logs}")
            time.sleep(0.1)

    def states(self) -> dict[str, str]:
        """Each node's state: idle, mixed, down*, ..."""
        return dict(line.split() for line in self.ask("sinfo", "-h", "-N", "-o", "%N %t").splitlines())

    def jobs(self) -> list[dict[str, str]]:
        """What scontrol says of each job, also of those that ended of late: JobState, NodeList, Restarts, ..."""
        lines = self.ask("scontrol", "-o", "show", "jobs").splitlines()
        return [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines if line.startswith("JobId=")]

    def ask(self, *command: str) -> str:
        done = subprocess.run(
            command,
            env={**os.environ, **self.environment},
            capture_output=True,
            encoding="utf-8",
            timeout=20,
            check=False,
        )
        return done.stdout if done.returncode == 0 else ""

    def kill_node(self, node: str) -> None:
        """What a node's power failure does: its daemon and all processes of its jobs are gone at once."""
        daemon = self.daemons.pop(node)
        daemon.kill()
        daemon.wait(timeout=10)
        # Stopped first: a process that saw another's end would report it.
        stopped: set[int] = set()
        while fresh := processes_of(node) - stopped:
            send_to(fresh, signal.SIGSTOP)
            stopped |= fresh
        send_to(stopped, signal.SIGKILL)

    def stop(self) -> None:
        self.ask("scancel", "--user", "root")
        for node in NODES:
            if node in self.daemons:
                self.kill_node(node)
        for daemon in reversed(self.daemons.values()):
            daemon.kill()
            daemon.wait(timeout=10)
        self.daemons.clear()


def processes_of(node: str) -> set[int]:
    """All that runs for a node's jobs: the processes that Slurm told of their node, the stepds that started these, and
    all descendants, since Snakemake's executor starts srun with most of Slurm's variables taken away."""
    parents: dict[int, int] = {}
    told, stepds = set(), set()
    own = f"SLURMD_NODENAME={node}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            pid = int(process.name)
            parents[pid] = int((process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
            if (process / "cmdline").read_bytes().startswith(b"slurmstepd"):
                stepds.add(pid)
            if own in (process / "environ").read_bytes().split(b"\0"):
                told.add(pid)
    found = told | ({parents[pid] for pid in told} & stepds)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def send_to(pids: set[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def find_ports(count: int) -> list[int]:
    """So many ports that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
