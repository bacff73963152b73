import ast
import gc
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alexnet2012 import fingerprint as module
from alexnet2012.fingerprint import NEUTRAL, PACKAGE, ROOT, SECTIONS, STAGES, Code, fingerprint, lies_in

TRAININGS = {"train", "train-towers"}
NETS = {*TRAININGS, "predict", "analyse"}


@pytest.fixture(autouse=True)
def without_garbage_collection():
    """The collector would look at the many nodes of each tree again and again."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def tree(tmp_path) -> Path:
    """A copy of the package's sources that a test may edit."""
    return Path(shutil.copytree(ROOT, tmp_path / PACKAGE, ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture(scope="module")
def committed() -> dict[str, str]:
    return {stage: fingerprint(stage) for stage in STAGES}


@pytest.fixture
def changed(tree, committed):
    """The stages whose fingerprints differ from the committed ones, once the tree is edited."""

    def compare() -> set[str]:
        code = Code(tree)
        return {stage for stage in STAGES if code.digest(stage) != committed[stage]}

    return compare


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def edit_everywhere(tree: Path, pattern: str, after: str) -> None:
    for path in tree.rglob("*.py"):
        path.write_text(re.sub(pattern, after, path.read_text(encoding="utf-8")), encoding="utf-8")


def test_a_copied_tree_has_the_same_fingerprints(changed):
    assert changed() == set()


def test_a_renamed_module_changes_nothing(tree, changed):
    (tree / "model/lrn.py").rename(tree / "model/normalisation.py")
    edit_everywhere(tree, r"alexnet2012\.model\.lrn\b", "alexnet2012.model.normalisation")
    assert changed() == set()


def test_a_renamed_module_whose_name_stands_before_its_definitions_changes_nothing(tree, changed):
    (tree / "paper.py").rename(tree / "published.py")
    edit_everywhere(tree, r"from alexnet2012 import paper\b", "from alexnet2012 import published")
    edit_everywhere(tree, r"from alexnet2012\.paper import", "from alexnet2012.published import")
    edit_everywhere(tree, r"\bpaper\.([A-Za-z])", r"published.\1")
    assert changed() == set()


def test_a_renamed_package_changes_nothing(tree, changed):
    (tree / "model").rename(tree / "nets")
    edit_everywhere(tree, r"alexnet2012\.model\b", "alexnet2012.nets")
    assert changed() == set()


def test_a_function_that_moves_to_another_module_changes_nothing(tree, changed):
    old, new = tree / "training/train.py", tree / "training/finetune.py"
    text = old.read_text(encoding="utf-8")
    (node,) = (each for each in ast.parse(text).body if getattr(each, "name", "") == "summarise_search")
    source = ast.get_source_segment(text, node)
    old.write_text(
        f"from alexnet2012.training.finetune import summarise_search\n{text.replace(source, '')}", encoding="utf-8"
    )
    new.write_text(f"{new.read_text(encoding='utf-8')}\n\n{source}\n", encoding="utf-8")
    assert changed() == set()
    edit(new, 'record["final"]["train_top1_error"]', 'record["final"]["val_top1_error"]')
    assert changed() == TRAININGS


@pytest.mark.parametrize(
    ("file", "before", "after", "touched"),
    [
        ("training/sgd.py", "def zero_grad", "def clear_grad", TRAININGS),
        ("training/loop.py", "CUDA_LOSSES = 50", "CUDA_LOSSES = 51", TRAININGS),
        ("model/lrn.py", "def _window_sum(", "def _window_sum(extra, ", NETS),
        ("devices.py", "allow_tf32 = False", "allow_tf32 = True", {*NETS, "calibrate"}),
        ("config/schedules.py", "len(self.epochs) - 1", "len(self.epochs)", TRAININGS),  # a property of a section
        ("towers/tower.py", "chunk(TOWERS, 1)", "chunk(TOWERS, -1)", {"train-towers"}),
        ("towers/training.py", "self.peers.tell(state is not None)", "pass", {"train-towers"}),
        ("evaluation/trained.py", "each >= k).mean", "each > k).mean", {"predict", "average", "predict-baseline"}),
        ("evaluation/ensemble.py", "BLOCK_VALUES = 2**17", "BLOCK_VALUES = 2**16", {"average"}),
        ("baselines/run.py", "QUANTISED_FROM = 4096", "QUANTISED_FROM = 4097", {"train-baseline"}),
        ("data/prepare.py", "LISTED_UNREADABLE = 20", "LISTED_UNREADABLE = 21", {"prepare"}),
        ("reporting/tables.py", "Differences are measured minus paper", "Measured minus paper", {"tables", "report"}),
        ("reporting/report.css", "}", " }", {"report"}),
        ("reporting/model_card.md.jinja", "#", "##", {"cards"}),
    ],
)
def test_an_edit_reaches_the_stages_that_use_the_definition_and_no_other(tree, changed, file, before, after, touched):
    edit(tree / file, before, after)
    assert changed() == touched


def test_what_decides_no_result_changes_no_fingerprint(tree, changed):
    for file, before, after in (
        # Words for readers.
        ("training/sgd.py", "import torch\n", "# Why torch.\n\n\nimport torch  # so\n"),
        ("training/loop.py", '"""A training in progress', '"""A training that goes on'),
        ("training/loop.py", "def measure_epoch(self) -> dict[str, Any]:", "def measure_epoch(self):"),
        # What a stage does not reach, in a module of which it reaches other parts.
        ("training/record.py", '"epochs": state.epoch', '"epochs": 1'),
        ("training/finetune.py", "kept = {key:", "other = {key:"),
        ("training/record.py", '"kind": "training",', '"kind": "training", "version": 2,'),
        ("training/record.py", 'f"{run.variant} seed {run.seed}"', '"training"'),
        ("training/progress.py", "class EpochProgress:", "class EpochProgress:\n    added = 1"),
        ("estimate.py", "def ", "def estimated_"),
        ("cli.py", "def main(", "def start("),
        # What is declared to be neutral.
        ("tracking/publish.py", "MAX_BATCH = ", "MAX_SENT = "),
        ("provenance.py", "dirty: bool", "altered: bool"),
        ("errors.py", "class TrainingError(", "class TrainingError(ValueError, "),
        ("files.py", "indent=2", "indent=4"),
        ("cpu.py", "os.cpu_count() or 1", "os.cpu_count() or 2"),
        ("config/schema.py", "eight hex digits".capitalize(), "8 hex digits"),
        ("config/schema.py", "colour_std: float = Field(default=0.1", "colour_std: float = Field(default=0.2"),
        ("config/nets.py", "fc_neurons: int", "fc_units: int"),
        ("config/nets.py", "must be odd", "has to be odd"),
    ):
        edit(tree / file, before, after)
    assert changed() == set()


def test_neither_locale_nor_hash_seed_has_a_say(committed):
    program = "from alexnet2012.fingerprint import *; print(*map(fingerprint, STAGES))"
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT.parent)}
    for seed in ("1", "2"):
        environment = os.environ | ascii_only | {"PYTHONHASHSEED": seed}
        found = subprocess.check_output([sys.executable, "-c", program], env=environment, encoding="utf-8")
        assert found.split() == list(committed.values())


def test_every_root_names_one_definition():
    code = Code(ROOT)
    found = [code.find(root) for roots in STAGES.values() for root in roots]
    assert set(found) <= code.nodes.keys()


@pytest.mark.parametrize("root", ["train_to_no_end", "training.TowerTraining"])
def test_a_root_that_names_no_definition_is_refused(root):
    with pytest.raises(LookupError, match=root):
        Code(ROOT).find(root)


def test_all_that_is_declared_neutral_would_be_reached(monkeypatch):
    monkeypatch.setattr(module, "NEUTRAL", ())
    code = Code(ROOT)
    reached = set().union(*(code.reach(stage) for stage in STAGES))
    assert [each for each in (*NEUTRAL, *SECTIONS) if not any(lies_in(path, [each]) for path in reached)] == []


def test_every_top_level_statement_of_the_package_is_seen():
    """Only imports, definitions and what runs a module as a program."""
    for path in ROOT.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            words = ast.unparse(node)
            is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            is_seen = isinstance(node, ast.Import | ast.ImportFrom) or module.list_bound(node)
            runs = words.startswith(("if TYPE_CHECKING:", "if __name__ == '__main__':", "sys.exit(main())"))
            assert is_text or is_seen or runs, f"{path}:{node.lineno}: {words}"


def test_every_name_of_the_package_leads_to_a_definition():
    """A module that is used as a value, or a name that the module lacks, would be passed over."""
    code = Code(ROOT)
    texts = [text for stage in STAGES for text in code.reach(stage).values()]
    assert [each for text in texts for each in re.findall(rf"(?<![\w.'\"/]){PACKAGE}\.\w+", text)] == []


@pytest.fixture
def write(tmp_path, monkeypatch):
    """The digest of a small package whose one stage has the root `root`, from the sources of its modules."""
    monkeypatch.setattr(module, "STAGES", {"made": ("root",)})
    monkeypatch.setattr(module, "NEUTRAL", ("quiet",))

    def digest(**sources: str) -> str:
        for name, source in sources.items():
            path = tmp_path / f"{name}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(source, encoding="utf-8")
        return Code(tmp_path).digest("made")

    return digest


def test_a_root_that_names_several_definitions_is_refused(write):
    with pytest.raises(LookupError, match="root"):
        write(one="def root():\n    return 1\n", other="def root():\n    return 2\n")


USES = {
    "from": "from alexnet2012.part.helper import aid\n\ndef root():\n    return aid() + 1\n",
    "as": "from alexnet2012.part.helper import aid as help\n\ndef root():\n    return help() + 1\n",
    "late": "def root():\n    from alexnet2012.part.helper import aid\n    return aid() + 1\n",
    "module": "from alexnet2012.part import helper\n\ndef root():\n    return helper.aid() + 1\n",
    "module as": "from alexnet2012.part import helper as other\n\ndef root():\n    return other.aid() + 1\n",
    "dotted": "import alexnet2012.part.helper\n\ndef root():\n    return alexnet2012.part.helper.aid() + 1\n",
    "dotted as": "import alexnet2012.part.helper as other\n\ndef root():\n    return other.aid() + 1\n",
    "re-export": "from alexnet2012.part import aid\n\ndef root():\n    return aid() + 1\n",
    "re-export of a module": "import alexnet2012.part as part\n\ndef root():\n    return part.aid() + 1\n",
    "same module": "def aid():\n    return 1\n\ndef root():\n    return aid() + 1\n",
}


@pytest.mark.parametrize("use", USES)
def test_a_definition_counts_the_same_however_it_is_imported(write, use):
    helper, package = "def aid():\n    return 1\n", "from alexnet2012.part.helper import aid\n"
    before = write(**{"__init__": "", "main": USES["from"], "part/helper": helper, "part/__init__": package})
    assert write(main=USES[use]) == before
    after = write(**{"part/helper": helper.replace("1", "2")})
    assert (after == before) == (use == "same module")


def test_definitions_of_one_name_both_count(write):
    root = "from alexnet2012 import a, b\n\ndef root():\n    return a.size(), b.size()\n"
    before = write(main=root, a="def size():\n    return 1\n", b="def size():\n    return 2\n")
    assert write(b="def size():\n    return 3\n") != before
    assert write(a="def size():\n    return 3\n", b="def size():\n    return 2\n") != before


def test_what_a_foreign_name_stands_for_counts_where_it_is_used(write):
    before = write(main="from math import floor as cut\nimport json\n\ndef root(x):\n    return cut(x)\n")
    assert write(main="from math import ceil as cut\nimport json\n\ndef root(x):\n    return cut(x)\n") != before
    assert write(main="from math import floor as cut\nimport csv\n\ndef root(x):\n    return cut(x)\n") == before
    assert write(main="def root(x):\n    from math import floor as cut\n    return cut(x)\n") == before


def test_what_an_annotation_names_is_followed_and_the_annotation_does_not_count(write):
    bare = "from alexnet2012.kinds import Kind, Alias\n\ndef root(x, y=None):\n    z = 1\n    return x.value() + z\n"
    typed = "def root(x: Kind, y: Alias | None = None) -> int:\n    z: int = 1\n    return x.value() + z\n"
    kinds = "Alias = int\n\nclass Kind:\n    def value(self):\n        return 1\n"
    free = write(main=bare, kinds=kinds)
    assert write(kinds=kinds.replace("1", "2")) == free
    followed = write(main=f"from alexnet2012.kinds import Alias, Kind\n\n{typed}", kinds=kinds)
    assert write(kinds=kinds.replace("1", "2")) != followed
    assert write(kinds=kinds.replace("Alias = int", "Alias = float")) != followed  # an alias may lead to classes
    guard = "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from alexnet2012.kinds import Alias, Kind\n\n"
    assert write(main=guard + typed) == free


def test_the_annotation_of_a_field_counts(write):
    source = "from dataclasses import dataclass\n\n@dataclass\nclass root:\n    size: int = 1\n"
    before = write(main=source)
    assert write(main=source.replace("int", "float")) != before
    assert write(main=source.replace(": int", "")) != before


def test_decorators_defaults_and_bases_are_followed(write):
    parts = "def mark(f):\n    return f\n\nSIZE, SHAPE = 1, 2\nSHAPE += 3\n\nclass Base:\n    x = 4\n\nUNUSED = 5\n"
    root = "from alexnet2012.parts import mark, SHAPE, Base\n\ndef root():\n    return Derived()\n\n"
    root += "class Derived(Base):\n    @mark\n    def f(self, shape=SHAPE):\n        return shape\n"
    before = write(main=root, parts=parts)
    for edited, counts in (("return f", True), ("1, 2", True), ("+= 3", True), ("x = 4", True), ("UNUSED = 5", False)):
        assert (write(parts=parts.replace(edited, edited.replace(edited[-1], "7"))) != before) == counts, edited


def test_neutral_code_is_not_followed(write):
    root = "from alexnet2012.quiet import say\n\ndef root():\n    say(1)\n"
    before = write(main=root, quiet="def say(x):\n    print(x)\n")
    assert write(quiet="def say(x):\n    print(x, x)\n") == before
    assert write(main=root.replace("1", "2")) != before


def test_the_place_of_an_operand_counts(write):
    source = "def root(x):\n    return x[{}]\n"
    assert len({write(main=source.format(part)) for part in ("1:", ":1", "::1", "None:1", "1", "0", "None")}) == 7


def test_which_argument_has_a_default_counts(write):
    source = "def root(*, {}):\n    return a, b\n"
    assert len({write(main=source.format(part)) for part in ("a=1, b", "a, b=1", "a, b")}) == 3
