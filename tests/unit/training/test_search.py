import json
from pathlib import Path

import pytest
from tiny_training import make_run, train_here, write_run

from alexnet2012.config.plan import list_search_runs
from alexnet2012.errors import ConfigError, RecordError
from alexnet2012.training.train import choose_rate

pytestmark = pytest.mark.usefixtures("offline")

TARGET = {"kind": "target", "train_error": 0.25, "max_epochs": 6}
SEARCH = {"schedule": TARGET, "learning_rate_search": {"rates": [0.001, 0.01, 0.02], "epochs": 3}}


def write_record(folder: Path, rate: float, epochs: float | None, error: float | None) -> Path:
    """Of a trial that diverged if `error` is None."""
    folder.mkdir(exist_ok=True)
    final = None if error is None else {"train_top1_error": error}
    record = {"learning_rate": rate, "target": {"epochs": epochs}, "final": final, "diverged": error is None}
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def read_record(folder: Path) -> dict:
    return json.loads((folder / "record.json").read_text(encoding="utf-8"))


def test_a_search_tries_each_rate_in_a_short_run_that_may_diverge(tmp_path):
    run = make_run(tmp_path, training=SEARCH, variant="relu")
    tried = list_search_runs(run)
    assert [each.variant for each in tried] == ["relu-rate-0.001", "relu-rate-0.01", "relu-rate-0.02"]
    assert [each.training.learning_rate for each in tried] == [0.001, 0.01, 0.02]
    assert {each.training.learning_rate_search for each in tried} == {None}
    assert tried[0].training.schedule.model_dump() == TARGET | {"max_epochs": 3, "diverging": "stop"}
    assert {(each.seed, each.net.crop_px) for each in tried} == {(run.seed, run.net.crop_px)}
    assert len({each.hash8 for each in (*tried, run)}) == 4
    assert list_search_runs(tried[0]) == ()
    assert [each.is_trial for each in (*tried, run)] == [True] * 3 + [False]


def test_the_soonest_at_the_target_wins_then_the_lowest_error_and_what_diverged_comes_last(tmp_path):
    folders = [
        write_record(tmp_path / "a", 0.1, None, None),
        write_record(tmp_path / "b", 0.001, None, 0.4),
        write_record(tmp_path / "c", 0.002, 2.5, 0.24),
        write_record(tmp_path / "d", 0.004, 1.5, 0.25),
        write_record(tmp_path / "e", 0.0005, None, 0.3),
    ]
    found = choose_rate(folders)
    assert [each["learning_rate"] for each in found] == [0.004, 0.002, 0.0005, 0.001, 0.1]
    assert found[0] == {"learning_rate": 0.004, "target_epochs": 1.5, "train_error": 0.25}
    assert found[-1]["train_error"] is None
    with pytest.raises(RecordError, match="0.1"):
        choose_rate(folders[:1])  # all diverged


def test_a_run_takes_the_rate_that_its_search_found_and_says_so(root, capsys):
    rates = {"slow": 1e-6, "wild": 1e6}
    for name, rate in rates.items():
        schedule = TARGET | {"max_epochs": 1, "diverging": "stop"}
        training = {"learning_rate": rate, "schedule": schedule}
        train_here(write_run(root, name, variant=f"cnn-rate-{rate:g}", training=training))
    assert "warning" not in capsys.readouterr().out  # trials are short on purpose
    wild = read_record(root / "wild")
    assert (wild["diverged"], wild["target"]["epochs"]) == (True, None)

    settings = SEARCH | {"learning_rate": 0.5, "schedule": TARGET | {"max_epochs": 3}}
    folder = write_run(root, "full", training=settings)
    with pytest.raises(ConfigError, match="--search"):
        train_here(folder)
    train_here(folder, search_folders=[root / name for name in rates])
    (warning,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: too few")]
    assert "45 in all, 15 an epoch" in warning and "training.batch_size" in warning
    record = read_record(folder)
    assert record["learning_rate"] == 1e-6
    assert [each["learning_rate"] for each in record["search"]] == [1e-6, 1e6]
    assert record["search"][1] == {"learning_rate": 1e6, "target_epochs": None, "train_error": None}
    # The run's own hash, by which its folder is named, is that of what was asked for, not of what was found.
    assert record["hash8"] == make_run(root, training=settings).hash8


def test_a_training_ends_at_its_target_and_says_when(root):
    folder = write_run(root, "easy", training={"schedule": TARGET | {"train_error": 0.99}})
    train_here(folder)
    record = read_record(folder)
    assert (record["epochs"], record["drops_planned"]) == (1, 0)
    assert record["target"]["train_error"] == 0.99 and record["target"]["epochs"] == 1.0
    seconds = 120 / record["final"]["images_per_second"]  # 15 steps of 8 images
    assert record["target"]["seconds"] == pytest.approx(seconds)
