"""The verbs that run nets: what they lease, and when. Their work is replaced by a look at what they would see."""

import os
import subprocess
import sys
from functools import partial
from types import ModuleType

import pytest
import yaml
from fake_gpus import environment, refuse_to_wait, uuid_of

from alexnet2012 import cli
from alexnet2012.gpus import Card, leased
from alexnet2012.tracking.store import TrackingIds

RUN = {
    "name": "some",
    "variant": "cnn",
    "seed": 0,
    "dataset_name": "cifar10",
    "dataset": {"kind": "cifar10", "size_px": 32},
    "net": {},
    "training": {},
}
TWO = {"placement": "two-devices"}
VERBS = {
    "train": ["train", "run", "--tracking", "t"],
    "predict": ["predict", "run", "out", "--split", "val"],
    "submit": ["predict", "run", "out", "--split", "val", "--submission"],
    "analyse": ["analyse", "run", "out"],
    "calibrate": ["calibrate", "imagenet", "out"],
}
WORK = {
    "alexnet2012.training.train": ["train"],
    "alexnet2012.towers.launch": ["launch"],
    "alexnet2012.evaluation.predict": ["predict", "submit"],
    "alexnet2012.evaluation.analysis": ["analyse"],
    "alexnet2012.evaluation.calibrate": ["calibrate_torchvision"],
}


@pytest.fixture
def seen(monkeypatch, tmp_path) -> list[tuple[str, str | None]]:
    """The work that verbs did, and what CUDA_VISIBLE_DEVICES was then, on a machine of two GPUs."""
    for name, value in environment(tmp_path, 2).items():
        monkeypatch.setenv(name, value)
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    refuse_to_wait(monkeypatch)
    monkeypatch.chdir(tmp_path)
    seen: list[tuple[str, str | None]] = []
    for module, functions in WORK.items():
        stand_in = ModuleType(module)
        for function in functions:
            setattr(stand_in, function, partial(look, function, seen))
        monkeypatch.setitem(sys.modules, module, stand_in)
    write_run(tmp_path, {})
    TrackingIds("", None, None, "tiny").save(tmp_path / "t")
    return seen


def look(function: str, seen: list, *arguments: object, **place: object) -> None:
    words = f"{function} on two devices" if place else function
    seen.append((words, os.environ.get("CUDA_VISIBLE_DEVICES")))


def write_run(root, runtime: dict) -> None:
    (root / "run").mkdir(exist_ok=True)
    (root / "run" / "config.yaml").write_text(yaml.safe_dump({**RUN, "runtime": runtime}), encoding="utf-8")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("options", "visible"), [([], uuid_of(0)), (["--gpus", "1"], uuid_of(0)), (["--gpus", "0"], "")]
)
def test_every_verb_that_runs_a_net_has_a_card_of_its_own(seen, verb, options, visible):
    assert cli.main([*VERBS[verb], *options]) == 0
    assert [each for _, each in seen] == [visible]
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.parametrize("verb", ["train", "predict", "submit", "analyse"])
def test_runs_on_the_cpu_lease_nothing(seen, tmp_path, verb):
    write_run(tmp_path, {"device": "cpu"})
    assert cli.main(VERBS[verb]) == 0
    assert [each for _, each in seen] == [None] and not (tmp_path / "leases").exists()


@pytest.mark.parametrize(
    ("verb", "lock"),
    [
        ("train", "train {root}/run"),
        ("predict", "predict {root}/run val"),
        ("analyse", "analyse {root}/run"),
        ("calibrate", "calibrate {root}/data/imagenet"),
    ],
)
def test_those_that_wait_can_tell_what_runs(seen, tmp_path, verb, lock):
    assert cli.main(VERBS[verb]) == 0
    written = (tmp_path / "leases" / f"{uuid_of(0)}.lock").read_text(encoding="utf-8")
    assert written == f"process {os.getpid()} ({lock.format(root=tmp_path)})"


def test_a_training_on_two_devices_has_two_cards_and_its_evaluation_one(seen, tmp_path):
    write_run(tmp_path, TWO)
    assert cli.main([*VERBS["train"], "--gpus", "2"]) == 0
    assert cli.main([*VERBS["predict"], "--gpus", "1"]) == 0
    assert seen == [("launch", f"{uuid_of(0)},{uuid_of(1)}"), ("predict", uuid_of(0))]


@pytest.mark.parametrize(
    ("runtime", "options", "visible"), [({"device": "cpu"}, ["--gpus", "1"], None), ({}, ["--gpus", "0"], "")]
)
def test_two_devices_may_be_two_processes_on_the_cpu(seen, tmp_path, runtime, options, visible):
    write_run(tmp_path, TWO | runtime)
    assert cli.main([*VERBS["train"], *options]) == 0
    assert seen == [("launch", visible)]


def test_a_launcher_of_others_makes_no_process_of_two(seen, monkeypatch, tmp_path):
    write_run(tmp_path, TWO)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "some")
    monkeypatch.setenv("RANK", "0")
    assert cli.main([*VERBS["train"], "--gpus", "2"]) == 0
    assert seen == [("launch", f"{uuid_of(0)},{uuid_of(1)}")]


def test_a_process_of_two_leases_nothing_for_its_launcher_did(seen, monkeypatch, tmp_path):
    write_run(tmp_path, TWO)
    launcher = ModuleType("alexnet2012.towers.launch")
    launcher.end_with_launcher = lambda pid: seen.append(("ends with", pid))
    monkeypatch.setitem(sys.modules, launcher.__name__, launcher)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"{uuid_of(0)},{uuid_of(1)}")
    with leased([Card("0", uuid_of(0)), Card("1", uuid_of(1))], 2, f"train {tmp_path}/run", tmp_path / "leases"):
        assert cli.main([*VERBS["train"], "--gpus", "2", "--launcher", "7"]) == 0
    assert seen == [("ends with", 7), ("train on two devices", f"{uuid_of(0)},{uuid_of(1)}")]


def test_a_training_that_is_granted_too_few_stops(seen, tmp_path, capsys):
    write_run(tmp_path, TWO)
    assert cli.main([*VERBS["train"], "--gpus", "1"]) == 1
    assert seen == []
    assert capsys.readouterr().err.startswith("error: this job needs 2 GPUs")


def test_a_training_that_is_granted_too_few_makes_do_where_it_may(seen, tmp_path, capsys):
    write_run(tmp_path, TWO | {"too_few_devices": "one-device"})
    assert cli.main([*VERBS["train"], "--gpus", "1"]) == 0
    assert seen == [("train", uuid_of(0))]
    assert "1 GPU instead of 2, as runtime.too_few_devices allows" in capsys.readouterr().err


def test_cards_are_leased_before_torch_is_imported(seen):
    """CUDA reads its variable once."""
    program = (
        "import sys\n"
        "from alexnet2012 import cli, gpus\n"
        "def look(*arguments):\n"
        "    print('torch' in sys.modules, end=' ')\n"
        "    return []\n"
        "gpus.list_cards = look\n"
        "gpus.settle = lambda *arguments: sys.exit(0)\n"
        f"for arguments in {list(VERBS.values())}:\n"
        "    try:\n"
        "        cli.main(arguments)\n"
        "    except SystemExit:\n"
        "        pass\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.split() == ["False"] * len(VERBS)
