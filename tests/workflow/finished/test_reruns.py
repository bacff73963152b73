"""What an edit reruns, and what it does not: dry runs on a finished project."""

import copy
import os
import re
import shutil
import time

import pytest
from workflow_copy import TINY

pytestmark = pytest.mark.slow  # the first test runs the workflow

TRAININGS, AVERAGES = 3, 2
TO_THE_TABLES = {"render_tables": 1, "publish_tables": 1, "render_report": 1}
TO_THE_END = {**TO_THE_TABLES, "draw_figures": 1}
CARDS = {"write_model_cards": 1}
TO_PREDICTIONS = {"train_net": TRAININGS, "predict": TRAININGS, "average": AVERAGES}
FROM_TRAINING = {**TO_PREDICTIONS, "analyse": 2, **TO_THE_END, **CARDS}


def changed(**sections) -> dict:
    """The tiny configuration with `sections` laid over its own."""
    values = copy.deepcopy(TINY)
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    return values


def test_right_after_a_run_nothing_is_to_be_done(finished):
    assert finished.plan() == {}


def test_results_copied_into_a_new_clone_are_complete(twin):
    """Without the old clone's metadata, Snakemake compares the files' times; --touch mends lost ones."""
    shutil.rmtree(twin.root / ".snakemake")
    assert twin.plan() == {}
    copied = [path for name in ("data", "results") for path in (twin.root / name).rglob("*") if path.is_file()]
    for second, path in enumerate(sorted(copied, reverse=True), round(time.time()) - len(copied)):
        os.utime(path, (second, second))  # data last; times that are closer may be equal on disk
    assert twin.plan() != {}
    twin.run("--touch")
    assert twin.plan() == {}


def test_what_decides_no_result_reruns_nothing(twin):
    """All at once: Snakemake names the job and the reason where one of these does."""
    for path in ("model/alexnet.py", "training/loop.py", "reporting/tables.py", "data/prepare.py"):
        twin.append(f"src/alexnet2012/{path}", "\n\n\n# a comment\nOTHER = 1  # that no stage uses\n")
    for path, line in (
        ("model/alexnet.py", "class AlexNet(nn.Module):"),
        ("training/loop.py", "class Training:"),
        ("claims/ledger.py", "def make_ledgers("),
    ):
        text = (twin.root / "src/alexnet2012" / path).read_text(encoding="utf-8")
        words = text.partition(line)[2].partition('"""')[2].partition('"""')[0]
        twin.edit(f"src/alexnet2012/{path}", words, "Other words.")
    # Tracking, progress and messages.
    tracking = [path.relative_to(twin.root) for path in (twin.root / "src/alexnet2012/tracking").glob("*.py")]
    assert tracking
    for path in [*tracking, "src/alexnet2012/training/progress.py", "src/alexnet2012/errors.py"]:
        twin.append(str(path), "\nOTHER = 1\n")
    # `runtime:` is in no hash and no param: a finished run keeps the config.yaml that it was run with.
    twin.configure(changed(runtime={"checkpoint_every_s": 60.0}))
    twin.edit("config/tiny.yaml", "name: tiny\n", "# a comment\n\nname:   tiny  # so\n")
    delta = "  half-dropout:\n    section: '4.2'\n    net:\n      dropout: 0.25\n"
    twin.edit("config/variants.yaml", "variants:\n", f"# a comment\nvariants:\n{delta}")

    assert twin.plan("--resources", "gpu=0") == {}  # the run had two


def test_code_of_a_table_renders_the_tables_alone(twin):
    twin.edit("src/alexnet2012/reporting/format.py", 'INTERVALS = "In brackets', 'INTERVALS = "In square brackets')

    assert twin.plan() == TO_THE_TABLES


def test_a_number_of_the_paper_renders_tables_and_figures_alone(twin):
    twin.edit("src/alexnet2012/paper.py", "test=Errors(0.375, 0.170)", "test=Errors(0.376, 0.170)")

    assert twin.plan() == TO_THE_END


def test_the_reports_template_renders_the_report_alone(twin):
    twin.append("src/alexnet2012/reporting/report.html.jinja", "\n")

    assert twin.plan() == {"render_report": 1, "publish_tables": 1}


@pytest.mark.parametrize(
    ("module", "line"), [("model/alexnet.py", "class AlexNet(nn.Module):"), ("training/loop.py", "class Training:")]
)
def test_code_of_the_net_or_the_loop_trains_all_anew_on_the_same_data(twin, module, line):
    twin.edit(f"src/alexnet2012/{module}", line, f"{line}\n    other = 1\n")

    assert twin.plan() == FROM_TRAINING


def test_code_of_the_data_prepares_anew(twin):
    twin.edit("src/alexnet2012/data/prepare.py", "LISTED_UNREADABLE = 20", "LISTED_UNREADABLE = 21")

    assert twin.plan() == {"prepare_dataset": 1, **FROM_TRAINING}


def test_the_same_images_prepared_again_rerun_nothing(twin):
    """The manifest holds what the data are, not when or from where they came: Snakemake sees that it did not change."""
    twin.edit("src/alexnet2012/data/prepare.py", "LISTED_UNREADABLE = 20", "LISTED_UNREADABLE = 21")
    before = (twin.root / "data/pictures/manifest.json").stat().st_mtime_ns

    twin.run("--until", "prepare_dataset")

    assert (twin.root / "data/pictures/manifest.json").stat().st_mtime_ns > before
    assert twin.plan() == {}


def test_code_of_averaging_averages_and_does_not_train(twin):
    twin.edit("src/alexnet2012/evaluation/ensemble.py", "BLOCK_VALUES = 2**17", "BLOCK_VALUES = 2**16")

    assert twin.plan() == {"average": AVERAGES, **TO_THE_END, **CARDS}


def test_settings_that_change_in_the_middle_hide_no_work(twin):
    """A net that lost all but its record, and the tables, are to be made; `runtime:` and the tolerance change."""
    made = ("runs/*/one-gpu-*/seed0/model.safetensors", "predictions/*/one-gpu-*/seed0/*", "tables/*")
    for path in [path for pattern in made for path in twin.root.glob(f"results/tiny/{pattern}")]:
        path.unlink()
    values = changed(runtime={"checkpoint_every_s": 60.0})
    values["datasets"]["pictures"] |= {"bad_images": "skip", "max_bad_images": 3}
    twin.configure(values)

    twin.run()

    assert len(list(twin.root.glob("results/tiny/tables/*.md"))) == 4
    (config,) = twin.root.glob("results/tiny/runs/*/one-gpu-*/seed0/config.yaml")
    assert "checkpoint_every_s: 60.0" in config.read_text(encoding="utf-8") and "max_bad_images: 3" in config.read_text(
        encoding="utf-8"
    )
    assert twin.plan() == {}


def test_another_part_of_the_images_is_packed_and_trained_on(twin):
    values = changed()
    values["datasets"]["pictures"]["subset"] = {"classes": 5}
    twin.configure(values)

    assert twin.plan() == {"list_experiments": 1, "prepare_dataset": 1, **FROM_TRAINING}


def test_a_setting_that_decides_the_weights_is_another_run_beside_the_old(twin):
    before = set(twin.root.glob("results/tiny/runs/*/*"))
    twin.configure(changed(training={"momentum": 0.8}))

    assert twin.plan() == {"list_experiments": 1, **FROM_TRAINING}
    assert set(twin.root.glob("results/tiny/runs/*/*")) == before


def test_a_new_seed_trains_that_seed_alone(twin):
    values = copy.deepcopy(TINY)
    values["experiments"][0]["seeds"] = [0, 1, 2]
    twin.configure(values)

    assert twin.plan() == {"list_experiments": 1, "train_net": 1, "predict": 1, "analyse": 1, **TO_THE_END, **CARDS}
    output = twin.snakemake("-n").stdout
    assert set(re.findall(r"^train cnn seed (\d+)", output, re.MULTILINE)) == {"2"}


def test_a_seed_taken_away_trains_nothing(twin):
    values = copy.deepcopy(TINY)
    values["experiments"] = [each for each in values["experiments"] if each.get("variant") != "one-gpu"]
    twin.configure(values)

    assert twin.plan() == {"list_experiments": 1, **TO_THE_END, **CARDS}


def test_a_deleted_table_is_rendered_again(twin):
    (twin.root / "results/tiny/tables/table1.md").unlink()

    assert twin.plan() == TO_THE_TABLES
