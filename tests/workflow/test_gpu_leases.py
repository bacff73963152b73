"""Five jobs for one GPU and one for two, by Snakemake on a machine of two GPUs that are not there."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fake_gpus import JOB, environment, uuid_of
from workflow_copy import killed_in_the_end

CARDS = [uuid_of(0), uuid_of(1)]
PATIENCE_S = 60
HOLD_S = 0.6
IDLE_S = 0.45  # of which 0.2 pass between two looks; less than a job, which else could have run meanwhile
SNAKEFILE = """
rule all:
    input: expand("one{n}.json", n=range(5)), "two.json", "three.json"
rule one:
    output: "one{n}.json"
    resources: gpu=1
    shell: "PYTHON JOB {output} 1 {resources.gpu} HOLD_S 2> {output}.log"
rule two:
    output: "two.json"
    resources: gpu=2
    shell: "PYTHON JOB {output} 2 {resources.gpu} HOLD_S 2> {output}.log"
rule three:
    output: "three.json"
    resources: gpu=3
    shell: "PYTHON JOB {output} 3 {resources.gpu} HOLD_S 2> {output}.log"
"""
COUNTED = {"counted": ["--resources", "gpu=2"], "not counted": []}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What each job wrote, by name, of two runs side by side on a machine each: with --resources gpu=2 and without."""
    folders = {way: tmp_path_factory.mktemp("leases") for way in COUNTED}
    processes = {way: start(folders[way], arguments) for way, arguments in COUNTED.items()}
    with killed_in_the_end(processes["counted"]), killed_in_the_end(processes["not counted"]):
        for process in processes.values():
            output, _ = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, output
    return {
        way: {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
        for way, folder in folders.items()
    }


def start(folder: Path, arguments: list[str]) -> subprocess.Popen:
    words = {"PYTHON": sys.executable, "JOB": str(JOB), "HOLD_S": str(HOLD_S)}
    text = SNAKEFILE
    for word, value in words.items():
        text = text.replace(word, value)
    (folder / "Snakefile").write_text(text, encoding="utf-8")
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("snakemake")), "--cores", "8", *arguments],
        cwd=folder,
        env=environment(folder, len(CARDS)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    )


def jobs_of(run: dict) -> list[dict]:
    return [job for job in run.values() if "error" not in job]


@pytest.mark.parametrize("way", COUNTED)
def test_every_job_had_the_cards_it_needs_and_no_card_had_two_jobs(runs, way):
    jobs = jobs_of(runs[way])

    assert sorted(len(job["cards"]) for job in jobs) == [1, 1, 1, 1, 1, 2]
    assert runs[way]["two"]["cards"] == CARDS
    for card in CARDS:
        held = sorted((job["started"], job["ended"]) for job in jobs if card in job["cards"])
        assert len(held) > 1
        for (_, ended), (started, _) in zip(held, held[1:], strict=False):
            assert ended <= started


@pytest.mark.parametrize("way", COUNTED)
def test_no_card_was_idle_while_a_job_fitted(runs, way):
    jobs = jobs_of(runs[way])

    assert longest_idle(jobs) < IDLE_S
    ones = [job for job in jobs if job["needed"] == 1]
    assert any(a["started"] < b["started"] < a["ended"] for a in ones for b in ones)  # side by side


def longest_idle(jobs: list[dict]) -> float:
    """The longest time that a job waited while as many cards were idle as it needs."""
    moments = sorted({job[key] for job in jobs for key in ("asked", "started", "ended")})
    longest = 0.0
    for job in jobs:
        idle = 0.0
        for begin, end in zip(moments, moments[1:], strict=False):
            taken = sum(each["needed"] for each in jobs if each["started"] <= begin < each["ended"])
            fits = job["asked"] <= begin < job["started"] and job["needed"] <= len(CARDS) - taken
            idle = idle + end - begin if fits else 0.0
            longest = max(longest, idle)
    return longest


def test_the_measure_of_idleness_sees_a_card_that_is_kept_for_later():
    job = {"needed": 1, "asked": 0.0}
    jobs = [job | {"started": 0.0, "ended": 2.0}, job | {"started": 2.0, "ended": 3.0}]
    assert longest_idle(jobs) == 2.0
    assert longest_idle([*jobs, job | {"started": 0.5, "ended": 2.0}]) == 0.5


def test_every_rule_that_runs_a_net_hands_on_what_snakemake_grants(fresh):
    """None here; it would be one without the cap."""
    done = fresh.snakemake("-n", "-p", "all", "calibrate", "--resources", "gpu=0", config="config/ilsvrc.yaml")

    assert done.returncode == 0, done.stdout
    commands = re.findall(r"alexnet2012 (train|predict|analyse|calibrate) (.*)", done.stdout)
    assert {verb for verb, _ in commands} == {"train", "predict", "analyse", "calibrate"}
    for _, arguments in commands:
        assert " --gpus 0 " in arguments


def test_snakemakes_silent_cap_stops_a_job_that_needs_more(runs):
    capped, missing = (runs[way]["three"]["error"] for way in COUNTED)

    assert all(words in capped for words in ("needs 3 GPUs", "granted 2", "--resources gpu=3"))
    assert all(words in missing for words in ("needs 3 GPUs", "CUDA_VISIBLE_DEVICES", "names 2"))
