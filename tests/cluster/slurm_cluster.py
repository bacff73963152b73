"""A Slurm of two nodes with two GPUs each, on this machine: real daemons, GPUs that are character devices of no use.

All of it lies in one folder, with a munge of its own, and is gone with the process that made it.
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

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "munged", "runuser")
NODES = ("n1", "n2")
ETC = Path("/etc/slurm")  # where jobs look: Snakemake's executor takes SLURM_CONF away from them
FILES = ("slurm.conf", "gres.conf")
START_S = 30
DEAD_AFTER_S = 6  # from when on a node that does not answer counts as down

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
SlurmdTimeout={dead_after_s}
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
    if os.geteuid() != 0:
        return "Slurm's daemons and fake GPUs need root"
    if (ETC / FILES[0]).exists():
        return f"{ETC / FILES[0]} is there: this machine belongs to a Slurm, which is left alone"
    return ""


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
        return {"PATH": search_path()}

    def start(self) -> None:
        for name in ("state", "munge"):
            (self.folder / name).mkdir(parents=True)
        for parent in (self.folder, *self.folder.parents):  # munge runs as a user of its own
            if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
        for index in range(4):
            os.mknod(self.folder / f"fakegpu{index}", 0o666 | 0o020000, os.makedev(1, 3))
        values = {"folder": self.folder, "host": socket.gethostname().partition(".")[0], "ports": find_ports(3)}
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(dead_after_s=DEAD_AFTER_S, **values))
        (self.folder / "gres.conf").write_text(GPUS.format(**values))
        ETC.mkdir(exist_ok=True)
        for name in FILES:
            (ETC / name).unlink(missing_ok=True)  # a link to a cluster whose process was killed
            (ETC / name).symlink_to(self.folder / name)
        self.start_munge()
        self.run_daemon("slurmctld", "slurmctld", "-D", "-i")
        for node in NODES:
            self.start_node(node)
        self.wait_for_nodes(NODES)

    def start_munge(self) -> None:
        munge = self.folder / "munge"
        (munge / "key").write_bytes(os.urandom(1024))
        (munge / "key").chmod(0o400)
        munge.chmod(0o755)
        for path in (munge, munge / "key"):
            shutil.chown(path, "munge", "munge")
        files = [f"--{name}={munge / name}" for name in ("socket", "key-file", "pid-file", "log-file", "seed-file")]
        files[1] = f"--key-file={munge / 'key'}"
        self.run_daemon("munged", "runuser", "-u", "munge", "--", "munged", "--foreground", *files)
        self.wait_until(lambda: (munge / "socket").exists(), "munge's socket")

    def start_node(self, node: str) -> None:
        self.run_daemon(node, "slurmd", "-D", "-N", node)

    def run_daemon(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.output").open("ab") as output:
            self.daemons[name] = subprocess.Popen(
                command,
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
                    f"--- {path.name}\n{path.read_text()[-2000:]}"
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
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=20, check=False
        )
        return done.stdout if done.returncode == 0 else ""

    def kill_node(self, node: str) -> None:
        """What a node's power failure does: its daemon and all processes of its jobs are gone at once."""
        daemon = self.daemons.pop(node)
        daemon.kill()
        daemon.wait(timeout=10)
        # Stopped first: a process that saw another's end would report it.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in processes_of(node):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    def stop(self) -> None:
        self.ask("scancel", "--user", "root")
        for node in NODES:
            if node in self.daemons:
                self.kill_node(node)
        for daemon in reversed(self.daemons.values()):
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait(timeout=10)
        self.daemons.clear()
        for name in FILES:
            (ETC / name).unlink(missing_ok=True)


def processes_of(node: str) -> set[int]:
    """All that a node's jobs started, to each of which Slurm told its node, and the steps that started them."""
    found, own = set(), f"SLURMD_NODENAME={node}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if own in (process / "environ").read_bytes().split(b"\0"):
                parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
                found.add(int(process.name))
                if Path("/proc", parent, "cmdline").read_bytes().startswith(b"slurmstepd"):
                    found.add(int(parent))
    return found


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
