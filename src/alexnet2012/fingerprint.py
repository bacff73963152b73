"""Fingerprints of the code behind each stage, so that Snakemake sees an edit that may change a result, and no other.

A fingerprint covers the top-level functions, classes and constants that a stage's roots reach by name, whichever module
they stand in, so that moving a definition or renaming a module changes nothing. Comments, docstrings, import statements
and annotations are left out, but for those of a class's fields; the classes that annotations name are included, because
their methods are called. Top-level statements that bind no name are not seen; a test keeps them out of the package.
"""

import ast
import hashlib
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

PACKAGE = "alexnet2012"
ROOT = Path(__file__).resolve().parent

# The definitions that compute or write a stage's result, by name; where several share one, with a package or module.
TRAINING = (
    *("Training", "train_alone", "train_to_the_end", "measure_target", "take_rate"),
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
    "train-baseline": ("learn_model", "arrays_of", "open_packed"),
    "predict-baseline": ("predict_baseline",),
    "tables": ("render_tables",),
    "figures": ("draw_figures",),
    "report": ("render_report",),
    "cards": ("write_model_cards",),
}
# Files of the package that are no modules and shape a stage's result as much.
TEMPLATES = {
    "report": ("reporting/report.html.jinja", "reporting/report.css"),
    "cards": ("reporting/model_card.md.jinja",),
}
# Packages, modules and definitions that stages reach and that decide no result: they report, record, word messages,
# handle files or stop a process, or are the schema of configurations, whose values are in a run's hash.
NEUTRAL = (
    *("config", "errors", "files", "fingerprint", "provenance", "tracking"),
    *("cpu.KEEP_LARGE_BUFFERS", "cpu.count_usable_cores"),
    *("training.checkpoint.StopRequest", "towers.training.ended_with"),
)
# Of `config`, modules whose sections count by their methods: a run's hash holds the values of the fields, and not what
# the methods derive from them.
SECTIONS = ("config.nets", "config.schedules")


@cache
def fingerprint(stage: str) -> str:
    """Sixteen hex digits over the code behind `stage` in the package that runs."""
    return read_installed().digest(stage)


@cache
def read_installed() -> "Code":
    return Code(ROOT)


class Code:
    """The package's sources in the folder `root`, parsed once; a definition is read when a stage first reaches it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names: dict[str, dict[str, str]] = {}  # by module: what each of its names stands for, a dotted path
        self.nodes: dict[str, list[ast.stmt]] = defaultdict(list)  # by dotted path: the statements that define it
        self.definitions: dict[ast.stmt, Definition] = {}
        for file in root.rglob("*.py"):
            module = ".".join((PACKAGE, *file.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")
            package = module if file.stem == "__init__" else module.rpartition(".")[0]
            body = ast.parse(file.read_text(encoding="utf-8")).body
            self.names[module] = {"__package__": package, **list_imports(body, package)}
            for node in body:
                for name in list_bound(node):
                    self.names[module][name] = f"{module}.{name}"
                    self.nodes[f"{module}.{name}"].append(node)

    def digest(self, stage: str) -> str:
        """Sixteen hex digits over the definitions that `stage` reaches, sorted by content, and over its templates."""
        content = hashlib.sha256("\n".join(sorted({self.describe(path) for path in self.reach(stage)})).encode())
        for template in TEMPLATES.get(stage, ()):
            content.update((self.root / template).read_bytes())
        return content.hexdigest()[:16]

    def reach(self, stage: str) -> set[str]:
        """Dotted paths of all definitions that the roots of `stage` use, directly or not."""
        found: set[str] = set()
        waiting = {self.find(root) for root in STAGES[stage]}
        while waiting:
            path = waiting.pop()
            found.add(path)
            waiting |= {used for each in self.read(path) for used in each.uses | each.types} - found
        return found

    def find(self, root: str) -> str:
        """The definition that a root names; raises LookupError unless it is one."""
        place, _, name = f"{PACKAGE}.{root}".rpartition(".")
        found = [path for path in self.nodes if path.startswith(f"{place}.") and path.endswith(f".{name}")]
        if len(found) != 1:
            raise LookupError(f"the root {root} in {__file__} names {found or 'nothing'} instead of one definition")
        return found[0]

    def read(self, path: str) -> list["Definition"]:
        module = path.rpartition(".")[0]
        for node in self.nodes[path]:
            if node not in self.definitions:
                self.definitions[node] = Definition(self, module, node)
        return [self.definitions[node] for node in self.nodes[path]]

    def describe(self, path: str) -> str:
        """The text of a definition and of those that it uses, which tells apart what bears the same name elsewhere."""
        definitions = self.read(path)
        used = {each.text for own in definitions for name in own.uses for each in self.read(name)}
        return "\n".join([*(each.text for each in definitions), *sorted(used)])

    def follow(self, path: str) -> str:
        """What a dotted path leads to through re-exports: a definition, a module, or a name of another distribution."""
        while path not in self.nodes and path not in self.names:
            module, _, name = path.rpartition(".")
            if name not in self.names.get(module, ()):
                break
            path = self.names[module][name]
        return path


class Definition(ast.NodeTransformer):
    """A top-level statement: its `text`, the definitions that it `uses`, and the `types` that its annotations name."""

    def __init__(self, code: Code, module: str, node: ast.stmt) -> None:
        self.code, self.names, self.in_class = code, code.names[module], False
        self.uses, self.types, self.foreign = set[str](), set[str](), set[str]()
        if isinstance(node, ast.ClassDef) and lies_in(module, SECTIONS):
            node.body = [each for each in node.body if isinstance(each, ast.FunctionDef) and not is_validator(each)]
        text = ast.unparse(self.generic_visit(ast.Module([node], [])))
        self.text = "\n".join([text, *sorted(self.foreign)])

    def visit(self, node: ast.AST) -> ast.AST | None:
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Expr(ast.Constant()):
                return None
            case ast.Name() | ast.Attribute():
                return self.visit_name(node)
            case ast.ClassDef():
                return self.visit_scope(node, self.names)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self.follow_types(node.returns)
                node.returns = None
                return self.visit_scope(node, self.names | list_imports(ast.walk(node), self.names["__package__"]))
            case ast.arg():
                self.follow_types(node.annotation)
                node.annotation = None
            case ast.AnnAssign() if not self.in_class:
                self.follow_types(node.annotation)
                if node.value is None:
                    return None
                node = ast.copy_location(ast.Assign([node.target], node.value), node)
        return self.generic_visit(node)

    def visit_scope(self, node: ast.AST, names: dict[str, str]) -> ast.AST:
        outer = self.names, self.in_class
        self.names, self.in_class = names, isinstance(node, ast.ClassDef)
        self.generic_visit(node)
        self.names, self.in_class = outer
        return node

    def visit_name(self, node: ast.Name | ast.Attribute) -> ast.AST:
        """A definition is called by its own name, whatever it is imported as."""
        path = self.path_of(node)
        if path in self.code.nodes:
            self.uses |= without_neutral([path])
            return ast.Name(path.rpartition(".")[2])
        if path in self.code.names:  # a module as a value stands for all that it defines
            self.uses |= without_neutral(self.code.names[path].values()) & self.code.nodes.keys()
        elif path and isinstance(node, ast.Name):
            self.foreign.add(f"{node.id} is {path}")
        return self.generic_visit(node)

    def path_of(self, node: ast.AST) -> str | None:
        """The dotted path that a name, or an attribute of a module, stands for; None for what is no import's."""
        path = None
        if isinstance(node, ast.Name):
            path = self.names.get(node.id)
        elif isinstance(node, ast.Attribute) and (module := self.path_of(node.value)) in self.code.names:
            path = f"{module}.{node.attr}"
        return path and self.code.follow(path)

    def follow_types(self, annotation: ast.expr | None) -> None:
        for node in ast.walk(annotation) if annotation else ():
            path = self.path_of(node)
            if path and any(isinstance(each, ast.ClassDef) for each in self.code.nodes.get(path, ())):
                self.types |= without_neutral([path])


def list_imports(nodes: Iterable[ast.AST], package: str) -> dict[str, str]:
    """The dotted path behind each name that the import statements among `nodes` bind."""
    found = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for each in node.names:
                first = each.name.partition(".")[0]
                found[each.asname or first] = each.name if each.asname else first
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name(f"{'.' * node.level}{node.module or ''}", package)
            found |= {each.asname or each.name: f"{module}.{each.name}" for each in node.names}
    return found


def list_bound(node: ast.stmt) -> list[str]:
    """The names that a top-level statement binds or changes, but for imports."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [each.id for target in targets if target for each in ast.walk(target) if isinstance(each, ast.Name)]


def is_validator(node: ast.FunctionDef) -> bool:
    return any("validator" in ast.unparse(each) for each in node.decorator_list)


def without_neutral(paths: Iterable[str]) -> set[str]:
    return {path for path in paths if not lies_in(path, NEUTRAL) or lies_in(path, SECTIONS)}


def lies_in(path: str, places: Iterable[str]) -> bool:
    return f"{path}.".startswith(tuple(f"{PACKAGE}.{each}." for each in places))
