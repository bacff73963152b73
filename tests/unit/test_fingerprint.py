import ast
import shutil
from pathlib import Path

import pytest

from alexnet2012.fingerprint import PACKAGE, ROOT, STAGES, fingerprint, list_modules, strip


@pytest.fixture
def tree(tmp_path) -> Path:
    """A copy of the package's sources that a test may edit."""
    return Path(shutil.copytree(ROOT, tmp_path / PACKAGE, ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture(scope="module")
def committed() -> dict[str, str]:
    return {stage: fingerprint(stage) for stage in STAGES}


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def short(stage: str, root: Path = ROOT) -> set[str]:
    return {module.removeprefix(f"{PACKAGE}.") for module in list_modules(stage, root)}


@pytest.mark.parametrize("stage", STAGES)
def test_a_copied_tree_has_the_same_fingerprint(tree, committed, stage):
    found = fingerprint(stage, tree)
    assert found == committed[stage]
    assert len(found) == 16
    int(found, 16)


def test_stages_differ(committed):
    assert len(set(committed.values())) == len(STAGES) == 12


def test_training_depends_on_what_makes_weights_and_on_nothing_else():
    modules = short("train")
    assert {
        "data.batches",
        "compiled",
        "data.cropping",
        "data.on_device",
        "data.packed",
        "model.alexnet",
        "model.convolution",
        "model.geometry",
        "model.lrn",
        "model.lrn_loops",
        "training.feed",
        "training.forward",
        "training.loop",
        "training.update",
        "training.schedule",
        "training.checkpoint",
        "evaluation.crops",
        "evaluation.predict",
    } <= modules
    assert not {each for each in modules if each.startswith(("tracking", "reporting", "baselines"))}
    assert not modules & {"data.prepare", "data.sources", "data.downloads", "cli", "paper", "evaluation.ensemble"}


def test_predicting_depends_on_the_net_and_not_on_its_training():
    modules = short("predict")
    assert {
        "compiled",
        "data.cropping",
        "model.alexnet",
        "model.convolution",
        "model.lrn",
        "model.lrn_loops",
    } <= modules
    assert {"evaluation.crops", "evaluation.predict", "evaluation.metrics"} <= modules
    assert not {each for each in modules if each.startswith("training")}


def test_tables_depend_on_reporting_and_the_papers_numbers_alone():
    modules = short("tables")
    assert {"reporting.tables", "reporting.claims", "reporting.results", "paper", "evaluation.statistics"} <= modules
    assert not {each for each in modules if each.startswith(("training", "data"))}


@pytest.mark.parametrize(
    "name", ["config", "resolve", "errors", "tracking", "provenance", "fingerprint", "files", "training.progress"]
)
def test_neutral_modules_are_in_no_stage(name):
    everything = set().union(*(short(stage) for stage in STAGES))
    assert not {each for each in everything if each == name or each.startswith(f"{name}.")}


@pytest.mark.parametrize("stage", STAGES)
def test_planning_is_in_no_stage(stage):
    assert not {each for each in short(stage) if each.startswith("planning")}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import torch\n", "# Why torch.\nimport torch\n"),
        ("import torch\n", "\n\n\nimport torch\n\n\n"),
        ("import torch\n", "import torch  # a reason\n"),
    ],
)
def test_comments_and_blank_lines_change_nothing(tree, committed, before, after):
    edit(tree / "training/update.py", before, after)
    assert fingerprint("train", tree) == committed["train"]


def test_docstrings_and_layout_change_nothing():
    bare = "def f(a,b):\n  return  (a +\n     b)\nclass A: x = 1\n"
    full = (
        '"""Module."""\n\n\ndef f(a, b):\n    """Sum."""\n    return a + b\n\n\nclass A:\n    """A."""\n\n    x = 1\n'
    )
    assert strip(bare) == strip(full)
    assert strip("def f():\n    '''Doc.'''\n") == strip("def f(): pass")
    assert strip("async def f():\n    '''Doc.'''\n    await g()\n") == strip("async def f(): await g()")


def test_text_that_is_no_docstring_counts():
    assert strip("x = 'a'") != strip("x = 'b'")
    assert strip("def f():\n    return 'a'") != strip("def f():\n    return 'b'")


READERS = {"tables", "figures", "report", "cards"}  # of results


@pytest.mark.parametrize(
    ("module", "touched"),
    [
        ("model/lrn.py", {"train", "train-towers", "predict", "analyse"}),
        ("training/update.py", {"train", "train-towers"}),
        ("towers/tower.py", {"train-towers"}),
        ("evaluation/ensemble.py", {"average"}),
        ("evaluation/neighbours.py", {"analyse"}),
        ("evaluation/chroma.py", {"analyse"}),
        (
            "evaluation/metrics.py",
            {"train", "train-towers", "predict", "calibrate", "analyse", "average", *READERS},
        ),
        ("evaluation/statistics.py", {"tables", "figures", "cards"}),
        ("data/prepare.py", {"prepare"}),
        (
            "data/packed.py",
            {"prepare", "train", "train-towers", "predict", "calibrate", "analyse", "cards", "baselines"},
        ),
        ("baselines/fisher.py", {"baselines"}),
        ("reporting/tables.py", {"tables"}),
        ("reporting/figures/curves.py", {"figures"}),
        ("reporting/report_ledger.py", {"report"}),
        ("reporting/model_cards.py", {"cards"}),
        ("reporting/provenance_note.py", {"tables", "report", "cards"}),
        ("paper.py", READERS),
        ("cli.py", set()),
        ("config.py", set()),
        ("tracking/outbox.py", set()),
    ],
)
def test_an_edit_of_code_reaches_the_stages_that_use_it_and_no_other(tree, committed, module, touched):
    path = tree / module
    path.write_text(path.read_text() + "\nADDED = 1\n")
    assert {stage for stage in STAGES if fingerprint(stage, tree) != committed[stage]} == touched


@pytest.mark.parametrize("template", ["report.html.jinja", "report.css"])
def test_an_edit_of_the_reports_template_reaches_the_report_alone(tree, committed, template):
    path = tree / "reporting" / template
    path.write_text(path.read_text() + " ")
    assert {stage for stage in STAGES if fingerprint(stage, tree) != committed[stage]} == {"report"}


@pytest.mark.parametrize(
    "line",
    [
        "from alexnet2012.training.helper import HELP",
        "from alexnet2012.training import helper",
        "import alexnet2012.training.helper as helper",
        "def late():\n    from alexnet2012.training import helper",
    ],
)
def test_a_helper_that_is_imported_counts_by_itself(tree, line):
    (tree / "training/helper.py").write_text("HELP = 1\n")
    assert "training.helper" not in short("train", tree)
    path = tree / "training/schedule.py"
    path.write_text(f"{path.read_text()}\n{line}\n")
    assert "training.helper" in short("train", tree)
    before = fingerprint("train", tree)
    (tree / "training/helper.py").write_text("HELP = 2\n")
    assert fingerprint("train", tree) != before


def test_a_module_inside_a_neutral_package_is_neutral(tree):
    path = tree / "training/schedule.py"
    path.write_text(f"{path.read_text()}\nfrom alexnet2012.tracking.outbox import RunLog\n")
    assert not {each for each in short("train", tree) if each.startswith("tracking")}


def test_packages_hold_no_code_that_fingerprints_would_not_see():
    """A package's __init__.py is not read for a fingerprint, so it may only speak; tracking is neutral."""
    for path in ROOT.rglob("__init__.py"):
        if path.parent.name != "tracking":
            assert strip(path.read_text()) in ("", "pass"), path


def test_no_import_is_relative_as_fingerprints_follow_absolute_ones():
    for path in ROOT.rglob("*.py"):
        levels = {node.level for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)}
        assert levels <= {0}, path
