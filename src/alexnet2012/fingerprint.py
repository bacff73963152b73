"""Fingerprints of the code behind each stage: Snakemake reruns a stage when an edit may change its result.

A fingerprint is a hash over the top-level functions, classes and constants that a stage's roots reach by name, sorted,
without the names of their modules: moving a definition or renaming a module changes nothing. Comments, docstrings,
imports and annotations are left out, except for the annotations of a class's fields. Definitions that an annotation
names are reached all the same, because their methods may be called.

Not detected: top-level statements that bind no name and modules used as values (tests keep both out of the package),
and an edit that calls another definition of the same name if a stage reaches both.
"""

import ast
import hashlib
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGE = "alexnet2012"
ROOT = Path(__file__).resolve().parent

# The definitions that compute or write a stage's result, with a package or module where the name alone is ambiguous.
TRAINING = (
    *("training.train.train", "Training", "train_alone", "train_to_the_end", "measure_target", "take_rate"),
    *("begin_from", "load_latest", "open_packed", "open_device"),
)
STAGES = {
    "prepare": ("prepare",),
    "train": TRAINING,
    "train-towers": (*TRAINING, "TowerTraining", "towers.Pair", "towers.training.join"),
    "predict": ("predict",),
    "calibrate": ("calibrate_torchvision",),
    "analyse": ("analyse",),
    "average": ("average_members",),
    "train-baseline": ("learn_models", "arrays_of", "open_packed"),
    "predict-baseline": ("predict_baseline",),
    "tables": ("render_tables",),
    "figures": ("draw_figures",),
    "report": ("render_report",),
    "cards": ("write_model_cards",),
}
# Files other than modules that shape a stage's result.
TEMPLATES = {
    "report": ("reporting/report.html.jinja", "reporting/report.css"),
    "cards": ("reporting/model_card.md.jinja",),
}
# Packages, modules and definitions that are reached but do not affect a result: they report, record, word messages,
# handle files or stop a process; or they describe configurations, whose values are in a run's hash.
NEUTRAL = (
    *("config", "errors", "files", "fingerprint", "provenance", "tracking"),
    *("cpu.KEEP_LARGE_BUFFERS", "cpu.count_usable_cores"),
    *(f"training.checkpoint.{name}" for name in ("StopRequest", "lock", "resume", "discard")),
    *("training.train.check_start_folder", "training.finetune.describe_start", "towers.training.ended_with"),
)
# Modules of `config` whose methods count all the same: a run's hash holds the values of fields, not what methods derive
# from them.
SECTIONS = ("config.nets", "config.schedules")


@cache
def fingerprint(stage: str) -> str:
    """Sixteen hex digits that identify the installed code behind `stage`, a key of STAGES."""
    return read_installed().digest(stage)


@cache
def read_installed() -> "Code":
    return Code(ROOT)


class Code:
    """The parsed sources of the package in the folder `root`.

    Definitions are named by dotted paths, e.g. "alexnet2012.model.alexnet.AlexNet".
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names: dict[str, dict[str, str]] = {}  # by module: the dotted path behind each of its names
        self.nodes: dict[str, list[ast.stmt]] = defaultdict(list)  # by dotted path: e.g. `X = 1` and a later `X += 1`
        self.known: dict[str, Reader] = {}  # by dotted path: the definitions that a stage has reached
        for file in root.rglob("*.py"):
            module = ".".join((PACKAGE, *file.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")
            body = ast.parse(file.read_text(encoding="utf-8")).body
            self.names[module] = list_imports(body)
            for node in body:
                for name in list_bound(node):
                    self.names[module][name] = f"{module}.{name}"
                    self.nodes[f"{module}.{name}"].append(node)

    def digest(self, stage: str) -> str:
        """Sixteen hex digits of a hash over the definitions that `stage` reaches, sorted, and its templates."""
        content = hashlib.sha256("\n".join(sorted(set(self.reach(stage).values()))).encode())
        for template in TEMPLATES.get(stage, ()):
            content.update((self.root / template).read_bytes())
        return content.hexdigest()[:16]

    def reach(self, stage: str) -> dict[str, str]:
        """By dotted path, the text of each definition that the roots of `stage` use, directly or indirectly."""
        found: dict[str, str] = {}
        waiting = {self.find(root) for root in STAGES[stage]}
        while waiting:
            path = waiting.pop()
            if path not in self.known:
                self.known[path] = Reader(self, path)
            found[path] = self.known[path].text
            waiting |= self.known[path].uses - found.keys()
        return found

    def find(self, root: str) -> str:
        """The dotted path of a root; raises LookupError unless the root names exactly one definition."""
        place, _, name = f"{PACKAGE}.{root}".rpartition(".")
        found = [path for path in self.nodes if path.startswith(f"{place}.") and path.endswith(f".{name}")]
        if len(found) != 1:
            raise LookupError(f"the root {root} in {__file__} names {found or 'nothing'} instead of one definition")
        return found[0]

    def follow(self, path: str) -> str:
        """The dotted path behind re-exports: of a definition, a module, or a name of another distribution."""
        while path not in self.nodes and path not in self.names:
            module, _, name = path.rpartition(".")
            if name not in self.names.get(module, ()):
                break
            path = self.names[module][name]
        return path


class Reader:
    """The `text` of a definition, and the dotted paths of the definitions that it `uses`."""

    def __init__(self, code: Code, path: str) -> None:
        self.code, self.is_section = code, lies_in(path, SECTIONS)
        self.uses: set[str] = set()
        self.text = self.read(code.nodes[path], code.names[path.rpartition(".")[0]])

    def read(self, node: object, names: dict[str, str], in_class: bool = False) -> str:
        """The text of a syntax tree, with definitions under their own names, not those that they are imported as.

        `names`: the dotted path behind each name that is known at the node. Adds to `uses`.
        """
        if isinstance(node, list):
            texts = ["None" if each is None else self.read(each, names, in_class) for each in node]  # None: no default
            return "\n".join(text for text in texts if text)
        if not isinstance(node, ast.AST):
            return "" if node is None else repr(node)
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Expr(ast.Constant()):
                return ""
            case ast.Name() | ast.Attribute() if path := self.path_of(node, names):
                if path not in self.code.nodes:
                    return path
                if not lies_in(path, NEUTRAL) or lies_in(path, SECTIONS):
                    self.uses.add(path)
                return path.rpartition(".")[2]
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                names = names | list_imports(ast.walk(node))
            case ast.ClassDef() if self.is_section:
                node = ast.ClassDef(node.name, node.bases, [], [each for each in node.body if is_method(each)], [])
            case ast.AnnAssign() if not in_class:
                self.read(node.annotation, names)
                if node.value is None:
                    return ""
                node = ast.Assign([node.target], node.value)
        fields = {}
        for field, value in ast.iter_fields(node):
            fields[field] = self.read(value, names, isinstance(node, ast.ClassDef))
        if not isinstance(node, ast.AnnAssign):
            fields |= dict.fromkeys(("annotation", "returns"), "")
        # Empty fields are left out, because newer versions of Python add some.
        return f"{type(node).__name__}({', '.join(f'{field}={text}' for field, text in fields.items() if text)})"

    def path_of(self, node: ast.AST, names: dict[str, str]) -> str | None:
        """The dotted path that a name, or an attribute of a module, stands for; None for any other expression."""
        path = None
        if isinstance(node, ast.Name):
            path = names.get(node.id)
        elif isinstance(node, ast.Attribute) and (module := self.path_of(node.value, names)) in self.code.names:
            path = f"{module}.{node.attr}"
        return path and self.code.follow(path)


def list_imports(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """The dotted path behind each name that import statements among `nodes` bind; ruff forbids relative imports."""
    found = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for each in node.names:
                first = each.name.partition(".")[0]
                found[each.asname or first] = each.name if each.asname else first
        elif isinstance(node, ast.ImportFrom):
            found |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return found


def list_bound(node: ast.stmt) -> list[str]:
    """The names that a top-level statement, other than an import, binds or changes."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [each.id for target in targets if target for each in ast.walk(target) if isinstance(each, ast.Name)]


def is_method(node: ast.stmt) -> bool:
    """Whether a statement of a class is a function other than pydantic's validators."""
    return isinstance(node, ast.FunctionDef) and "validator" not in "".join(map(ast.unparse, node.decorator_list))


def lies_in(path: str, places: Iterable[str]) -> bool:
    return f"{path}.".startswith(tuple(f"{PACKAGE}.{each}." for each in places))
