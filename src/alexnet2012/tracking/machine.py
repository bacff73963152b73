"""Use of this machine's CPU, memory and GPUs during a training, under the names of MLflow's system metrics."""

import os
import subprocess
from contextlib import suppress

import psutil

ANSWER_S = 2.0  # limit for nvidia-smi, which runs once per epoch and must not delay a training
GPU_METRICS = {
    "utilization.gpu": "utilization_percentage",
    "memory.used": "memory_usage_megabytes",
    "power.draw": "power_usage_watts",
}


def measure_use() -> dict[str, float]:
    """{"system/cpu_utilization_percentage": 97.5, ...}: CPU use since the last call, memory, and the leased GPUs.

    GPUs that cannot be asked are left out.
    """
    memory = psutil.virtual_memory()
    found = {
        "cpu_utilization_percentage": psutil.cpu_percent(),
        "system_memory_usage_megabytes": round(memory.used / 1e6, 1),
        "system_memory_usage_percentage": memory.percent,
    }
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        found |= read_gpus()
    return {f"system/{name}": value for name, value in found.items()}


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
