"""Runs the parts of the check, each in a process of its own, and writes what they found."""

import argparse
import json
import math
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from alexnet2012 import provenance
from alexnet2012.errors import RecordError
from alexnet2012.gpu_check import NUMBA_ABSENT
from alexnet2012.gpu_check.part import CannotRunError, CheckPart, Figures, Target
from alexnet2012.gpu_check.right import RIGHT
from alexnet2012.gpu_check.speed import FAST_PARTS
from alexnet2012.gpu_check.useful import USEFUL
from alexnet2012.towers.launch import end_with_launcher

LIMIT_S = 480.0  # of all parts together, on a data-centre card
CPU_FACTOR = 6.0  # a rehearsal on a CPU may take longer
OUT = Path("results/gpu-check")


@dataclass(frozen=True)
class PartResult:
    """What came of a part: `state` is passed, failed or skipped, and `reason` says why it has not passed; `missed`: the
    goals that were not reached."""

    name: str
    state: str
    seconds: float = 0.0
    reason: str = ""
    figures: Figures = field(default_factory=dict)
    goals: dict[str, float] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    traceback: str = ""


def look_at_card(target: Target) -> Figures:
    """The card, its driver and the versions; fails if the device is not usable."""
    import torch

    device = target.open()
    figures: Figures = {"device": "cpu", "torch": version("torch"), "python": platform.python_version()}
    figures["hardware"] = provenance.describe_hardware(device.type)
    if device.type == "cuda":
        query = "name,driver_version,memory.total,power.limit,clocks.max.sm"
        told = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"]
        card = torch.cuda.get_device_properties(device)
        figures |= {"device": card.name, "cards": torch.cuda.device_count(), "memory_bytes": card.total_memory}
        figures |= {"cuda": str(torch.version.cuda), "cudnn": torch.backends.cudnn.version()}  # type: ignore[no-untyped-call]
        if shutil.which(told[0]):
            figures["driver"] = subprocess.run(told, capture_output=True, encoding="utf-8", check=False).stdout.strip()
    return figures


MACHINE = CheckPart("machine", look_at_card, 60)
PARTS = (MACHINE, *RIGHT, *FAST_PARTS, *USEFUL)


def run_parts(parts: Sequence[CheckPart], target: Target, limit_s: float) -> list[PartResult]:
    """The results of `parts`, whatever happens to one of them; after `limit_s` seconds the rest is skipped, as is all
    if the device is not usable."""
    found: list[PartResult] = []
    began, factor = time.monotonic(), 1.0 if target.device == "cuda" else CPU_FACTOR
    for part in parts:
        left = limit_s * factor - (time.monotonic() - began)
        lacking = [need for need in part.needs if not is_there(need)]
        if found and found[0].name == MACHINE.name and found[0].state == "failed":
            result = PartResult(part.name, "skipped", reason=f"{target.device} is not usable")
        elif lacking:
            result = PartResult(part.name, "skipped", reason=f"{', '.join(lacking)} not installed")
        elif left < 1:
            result = PartResult(part.name, "skipped", reason=f"the {limit_s:.0f} s of the whole check are over")
        else:
            result = run_part(part, target, min(left, part.seconds * factor))
        print(f"{result.state:8}{result.name:24}{result.seconds:6.1f} s  {result.reason}", flush=True)
        found.append(result)
    return found


def is_there(need: str) -> bool:
    """Whether a module or a program of that name is installed."""
    if need == "numba":
        return not NUMBA_ABSENT
    return find_spec(need) is not None or shutil.which(need) is not None


def run_part(part: CheckPart, target: Target, limit_s: float) -> PartResult:
    """The result of a part in a process of its own, which is killed with all that it started after `limit_s`.

    A process for each, because an error of a kernel makes a GPU useless for the rest of its process.
    """
    server = get_context("forkserver")
    server.set_forkserver_preload([__name__])  # imports torch once for all parts, and opens no GPU
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as scratch:
        own, answer = replace(target, scratch=Path(scratch)), Path(scratch, "answer.json")
        process, began = server.Process(target=answer_for, args=(part, own, answer)), time.monotonic()
        process.start()
        try:
            process.join(limit_s)
            in_time, seconds = not process.is_alive(), time.monotonic() - began
        finally:
            with suppress(ProcessLookupError):  # it leads no group before it has imported this module
                os.killpg(process.pid or 0, signal.SIGKILL)
            process.kill()
            process.join()
        if not in_time:
            return PartResult(part.name, "failed", seconds, f"took more than {limit_s:.0f} s")
        if not answer.exists():
            return PartResult(part.name, "failed", seconds, f"its process ended with {process.exitcode}, see log.txt")
        return replace(judge_part(part, json.loads(answer.read_text(encoding="utf-8"))), seconds=seconds)


def answer_for(part: CheckPart, target: Target, answer: Path) -> None:
    """Run `part` in this process, with its output in log.txt, and write its figures or its error to `answer`."""
    os.setsid()
    end_with_launcher(os.getppid())
    log = os.open(target.out / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    print(f"\n=== {part.name}", flush=True)
    found: dict[str, Any] = {}
    try:
        found["figures"] = part.function(target)
    except CannotRunError as reason:
        found["skipped"] = str(reason)
    except Exception as error:
        found |= {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
        print(found["traceback"], flush=True)
    answer.write_text(json.dumps(found), encoding="utf-8")


def judge_part(part: CheckPart, found: dict[str, Any]) -> PartResult:
    """The result of a part from its answer."""
    figures = found.get("figures", {})
    result = PartResult(part.name, "passed", figures=figures, goals={**part.goals})
    if "skipped" in found:
        return replace(result, state="skipped", reason=found["skipped"])
    if "error" in found:
        return replace(result, state="failed", reason=found["error"], traceback=found["traceback"])
    missed = [name for name, goal in part.goals.items() if not figures[name] >= goal]
    found_limits = {name: figures.get(name, math.nan) for name in part.limits}  # nan, so that what is absent fails
    over = [
        f"{name} is {found_limits[name]:.3g}" for name, most in part.limits.items() if not found_limits[name] <= most
    ]
    return replace(result, state="failed" if over else "passed", reason="; ".join(over), missed=missed)


def describe_check(target: Target, results: Sequence[PartResult], seconds: float) -> dict[str, Any]:
    """The contents of summary.json."""
    try:
        commit, changed = provenance.read_commit()
    except RecordError:
        commit, changed = "unknown", False
    found = {each.name: each.figures for each in results}
    rates = found.get("paper-fp32", {})
    rate = rates.get("deterministic_files_images_per_s", rates.get("files_images_per_s"))
    plan = f"alexnet2012 plan --configfile config/ilsvrc.yaml --gpus 1 --images-per-second {rate:.0f}" if rate else ""
    return {
        "device": target.device,
        "tiny": target.tiny,
        "machine": found.get(MACHINE.name, {}),
        "commit": commit,
        "changed": changed,
        "source_sha256": provenance.digest_source(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "numba": not NUMBA_ABSENT,
        "seconds": seconds,
        "plan": plan,
        "parts": [asdict(each) for each in results],
    }


def render_summary(values: dict[str, Any]) -> str:
    """summary.md from summary.json."""
    machine, parts = values["machine"], values["parts"]
    counts = {state: sum(each["state"] == state for each in parts) for state in ("passed", "failed", "skipped")}
    lines = ["# GPU check", "", ", ".join(f"{count} {state}" for state, count in counts.items())]
    lines[-1] += f", in {values['seconds']:.0f} s{', at toy sizes' * values['tiny']}."
    lines += ["", *(f"- {name}: {each}" for name, each in machine.items())]
    lines += [f"- commit: {values['commit']}{', with changes' * values['changed']}", f"- date: {values['date']}"]
    lines += [] if values["numba"] else ["- numba is absent: numpy made the batches"]
    lines += ["", "| part | result | seconds | figures |", "|---|---|---|---|"]
    for each in parts:
        figures = ", ".join(f"{name} {show(value)}" for name, value in each["figures"].items())
        state = each["state"] + (f": {each['reason']}" if each["reason"] else "")
        lines.append(f"| {each['name']} | {state.replace('|', '/')} | {each['seconds']:.1f} | {figures} |")
    goals = [(each, name, goal) for each in parts for name, goal in each["goals"].items() if each["figures"]]
    goals = [] if values["tiny"] else goals
    lines += ["", "| goal on an H200 | at least | measured | |", "|---|---|---|---|"] if goals else []
    for each, name, goal in goals:
        verdict = "missed" if name in each["missed"] else "met"
        lines.append(f"| {each['name']}: {name} | {show(goal)} | {show(each['figures'][name])} | {verdict} |")
    lines += ["", f"    {values['plan']}"] if values["plan"] else []
    return "\n".join(lines) + "\n"


def show(value: Any) -> str:
    """A figure, with four digits if it is a small number that is not whole."""
    if isinstance(value, str):
        return value
    return f"{value:,.4g}" if abs(value) < 1e4 and value != int(value) else f"{value:,.0f}"


def check_gpu(arguments: list[str] | None = None) -> int:
    """`python -m alexnet2012.gpu_check`: run the parts and write the summary; exit code 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m alexnet2012.gpu_check", description=__doc__)
    names = [part.name for part in PARTS]
    parser.add_argument("--out", type=Path, default=OUT, help=f"folder for what was found, {OUT} if not given")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a rehearsal")
    parser.add_argument("--tiny", action="store_true", help="toy sizes, as a rehearsal needs them")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="PART", help=", ".join(names))
    parser.add_argument("--seconds", type=float, default=LIMIT_S, help="after which no part begins, six times on a CPU")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # not before the part that runs was killed
    out: Path = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    (out / "log.txt").unlink(missing_ok=True)
    target, began = Target(options.device, options.tiny, out, out), time.monotonic()
    results = run_parts([part for part in PARTS if part.name in options.only], target, options.seconds)
    values = describe_check(target, results, time.monotonic() - began)
    (out / "summary.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    (out / "summary.md").write_text(render_summary(values), encoding="utf-8")
    print(f"{out / 'summary.md'}", file=sys.stderr)
    return int(any(each.state == "failed" for each in results))
