"""Fingerprints of the code behind each stage, so that Snakemake sees an edit of src/ and ignores a comment."""

import ast
import hashlib
from pathlib import Path

PACKAGE = "alexnet2012"
ROOT = Path(__file__).resolve().parent

# The modules in which each stage's result is made; what they import from the package is found by itself.
STAGES = {
    "prepare": ("data.prepare",),
    "train": ("training.loop", "training.finetune", "devices"),
    "train-towers": ("training.loop", "training.finetune", "devices", "towers.training"),
    "predict": ("devices", "evaluation.predict", "evaluation.metrics", "model.build"),
    "calibrate": ("devices", "evaluation.calibrate"),
    "analyse": ("devices", "evaluation.analysis"),
    "average": ("evaluation.ensemble", "evaluation.metrics"),
    "baselines": ("baselines.encoding", "baselines.linear"),
    "tables": ("reporting.tables",),
    "figures": ("reporting.figures.draw",),
    "report": ("reporting.report",),
    "cards": ("reporting.model_cards",),
}
# Files of the package that are no modules and shape a stage's result as much.
TEMPLATES = {
    "report": ("reporting/report.html.jinja", "reporting/report.css"),
    "cards": ("reporting/model_card.md.jinja",),
}
# Imported along the way without a say in the result. What config.py and resolve.py decide is a rule's param by itself:
# the resolved configuration. The others report, record or word messages.
NEUTRAL = frozenset(
    f"{PACKAGE}.{name}"
    for name in (
        "cpu",
        "config",
        "preflight",
        "errors",
        "tracking",
        "provenance",
        "fingerprint",
        "files",
        "training.progress",
    )
)


def fingerprint(stage: str, root: Path = ROOT) -> str:
    """Sixteen hex digits over the syntax trees, without docstrings and comments, of all modules that affect `stage`,
    and over its templates as they are."""
    content = hashlib.sha256()
    for module in list_modules(stage, root):
        content.update(f"{module}\n{strip(module_path(module, root).read_text())}\n".encode())
    for template in TEMPLATES.get(stage, ()):
        content.update(f"{template}\n{(root / template).read_text()}\n".encode())
    return content.hexdigest()[:16]


def list_modules(stage: str, root: Path = ROOT) -> list[str]:
    """The stage's modules and all of the package that they import, directly or not, sorted; neutral ones left out."""
    found: set[str] = set()
    waiting = [f"{PACKAGE}.{entry}" for entry in STAGES[stage]]
    while waiting:
        module = waiting.pop()
        if module in found or is_neutral(module):
            continue
        found.add(module)
        waiting.extend(list_imports(ast.parse(module_path(module, root).read_text()), root))
    return sorted(found)


def is_neutral(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in NEUTRAL)


def list_imports(tree: ast.Module, root: Path) -> list[str]:
    """Modules of the package imported anywhere in `tree`, functions included."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return [name for name in names if name.startswith(f"{PACKAGE}.") and module_path(name, root).is_file()]


def module_path(module: str, root: Path) -> Path:
    return root.joinpath(*module.split(".")[1:]).with_suffix(".py")


def strip(source: str) -> str:
    """The source without comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
