"""Use of this machine's CPU, memory and GPUs during a training, under the names of MLflow's system metrics."""

import os
import subprocess
from pathlib import Path

ANSWER_S = 2.0  # limit for nvidia-smi, which runs once per epoch and must not delay a training
GPU_METRICS = {
    "utilization.gpu": "utilization_percentage",
    "memory.used": "memory_usage_megabytes",
    "power.draw": "power_usage_watts",
}


class Machine:
    """Measures CPU use since the last `measure`, memory in use and, with CUDA, the leased GPUs."""

    def __init__(self) -> None:
        self.busy_s, self.idle_s = 0.0, 0.0

    def measure(self) -> dict[str, float]:
        """{"system/cpu_utilization_percentage": 97.5, ...}; values that cannot be read are left out."""
        found: dict[str, float] = {}
        for read in (self.read_cpu, read_memory, read_gpus):
            try:
                found |= read()
            except (OSError, ValueError, IndexError, KeyError, subprocess.SubprocessError):
                continue
        return {f"system/{name}": value for name, value in found.items()}

    def read_cpu(self) -> dict[str, float]:
        # user, nice, system, idle, iowait, ... of all cores
        ticks = [float(each) for each in Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()[1:9]]
        idle = ticks[3] + ticks[4]
        busy = sum(ticks) - idle
        since_busy, since_idle = busy - self.busy_s, idle - self.idle_s
        self.busy_s, self.idle_s = busy, idle
        return {"cpu_utilization_percentage": round(100 * since_busy / max(since_busy + since_idle, 1), 1)}


def read_memory() -> dict[str, float]:
    lines = (line.split() for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines())
    bytes_of = {words[0].rstrip(":"): 1024 * float(words[1]) for words in lines}
    used, total = bytes_of["MemTotal"] - bytes_of["MemAvailable"], bytes_of["MemTotal"]
    return {
        "system_memory_usage_megabytes": round(used / 1e6, 1),
        "system_memory_usage_percentage": round(100 * used / total, 1),
    }


def read_gpus() -> dict[str, float]:
    """Utilisation, memory and power of the GPUs that this process leased."""
    cards = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not cards:
        return {}
    command = ["nvidia-smi", f"--id={cards}", f"--query-gpu={','.join(GPU_METRICS)}", "--format=csv,noheader,nounits"]
    lines = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=ANSWER_S, check=True).stdout
    return {
        f"gpu_{number}_{name}": float(value)
        for number, line in enumerate(lines.splitlines())
        for name, value in zip(GPU_METRICS.values(), line.split(","), strict=True)
        if value.strip()[:1].isdigit()  # "[N/A]" if a GPU does not report the value
    }
