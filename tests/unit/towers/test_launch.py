"""How two processes are launched, and that they end with their launcher and with each other, whatever they wait for."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch.distributed.run
from tiny_training import make_run

from alexnet2012.towers.launch import launch

ENDS_WITHIN_S = 30
OWN = {"HOME", "PATH", "OMP_NUM_THREADS", "GLOO_SOCKET_IFNAME", "MASTER_KEY", "RANKING"}
# A wait that, as one for a GPU, no signal breaks off: for a mutex that this thread holds.
WAIT = """
import ctypes
mutex = ctypes.create_string_buffer(64)
print("waits", flush=True)
for _ in range(2):
    ctypes.CDLL(None).pthread_mutex_lock(mutex)
"""


def test_what_is_launched_owns_its_environment_and_knows_its_launcher(monkeypatch, tmp_path):
    """In the environment of another launcher, whose variables torchrun would read."""
    torchs = ("PET_NNODES", "PET_RDZV_ENDPOINT", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_ERROR_FILE", "PYTHON_EXEC")
    ranks = ("RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "ROLE_NAME", "MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE")
    sizes = ("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE", "TORCH_ELASTIC_SHUTDOWN_TIMEOUT")
    environment = {key: value for key, value in os.environ.items() if key in OWN}
    environment |= dict.fromkeys((*torchs, *ranks, *sizes, "MASTER_KEY", "RANKING"), "2")
    found = {}

    def torchrun(words: list[str]) -> None:
        found["options"] = torch.distributed.run.parse_args(words)
        found["arguments"] = Path(words[-1].removeprefix("@")).read_text(encoding="utf-8").splitlines()

    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr(torch.distributed.run, "main", torchrun)
    launch(["train", "folder", "--search", "a", "b"], make_run(tmp_path))
    options = found["options"]
    assert (options.nnodes, options.nproc_per_node, options.standalone) == ("1:1", "2", True)
    assert options.rdzv_endpoint == ""
    assert {"MASTER_KEY", "RANKING"} <= set(environment) <= OWN
    assert environment["OMP_NUM_THREADS"] == "1"
    assert found["arguments"] == ["train", f"--launcher={os.getpid()}", "folder", "--search", "a", "b"]


def run_python(program: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )


def lives(pid: int) -> bool:
    """Whether there is such a process that is no zombie."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "\nState:\tZ" not in status.read_text(encoding="utf-8")


def test_a_process_that_waits_ends_with_its_launcher():
    child = "import os; from alexnet2012.towers.launch import end_with_launcher; end_with_launcher(os.getppid())" + WAIT
    program = f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {child!r}]); print(child.pid)"
    launcher = run_python(f"{program}; sys.stdout.flush(); child.wait()")
    pid = int(launcher.stdout.readline())
    assert launcher.stdout.readline() == "waits\n"
    launcher.kill()
    launcher.wait(ENDS_WITHIN_S)
    deadline = time.monotonic() + ENDS_WITHIN_S
    while lives(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_process_whose_launcher_is_gone_does_not_begin():
    gone = run_python("")
    gone.wait(ENDS_WITHIN_S)
    child = run_python(f"from alexnet2012.towers.launch import end_with_launcher; end_with_launcher({gone.pid})")
    _, error = child.communicate(timeout=ENDS_WITHIN_S)
    assert child.returncode == 1 and "TrainingError" in error and str(gone.pid) in error


def test_a_process_that_waits_ends_with_its_peer():
    """Deaf to SIGTERM, as torchrun would find it."""
    peer = run_python("import time; time.sleep(600)")
    program = (
        "import signal; from alexnet2012.towers import training\n"
        "training.POLL_S, training.GRACE_S = 0.05, 0.1\n"
        "signal.signal(signal.SIGTERM, lambda *signal: None)\n"
        f"with training.ended_with({peer.pid}):" + WAIT.replace("\n", "\n    ")
    )
    process = run_python(program)
    assert process.stdout.readline() == "waits\n"
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert process.poll() is None
    peer.kill()
    peer.wait(ENDS_WITHIN_S)
    _, error = process.communicate(timeout=ENDS_WITHIN_S)
    assert process.returncode == 1
    assert f"({peer.pid}) has ended" in error
