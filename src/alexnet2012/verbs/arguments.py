"""How a verb is declared, and the arguments that several verbs take."""

import argparse
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet2012.project import find_project_file

Run = Callable[[argparse.Namespace], int | None]
Argument = tuple[tuple[str, ...], dict[str, Any]]  # what argparse's `add_argument` is called with


@dataclass(frozen=True)
class Verb:
    """A verb of the command line. `run` returns the exit code, None for 0; `failure` is that of a package error.

    `example`: what could follow the verb; `by_workflow`: Snakemake calls it, people seldom do.
    """

    run: Run
    help: str
    arguments: tuple[Argument, ...]
    example: str
    by_workflow: bool
    failure: int

    @property
    def name(self) -> str:
        return self.run.__name__.removeprefix("run_").replace("_", "-")

    def add_to(self, verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        description = textwrap.fill(f"{self.help[0].upper()}{self.help[1:]}.", 100)
        example = f"example:\n  alexnet2012 {self.name} {self.example}"
        as_written = argparse.RawDescriptionHelpFormatter
        parser = verbs.add_parser(self.name, description=description, epilog=example, formatter_class=as_written)
        for names, settings in self.arguments:
            parser.add_argument(*names, **settings)
        parser.set_defaults(run=self.run, failure=self.failure)


def verb(
    help: str, *arguments: Argument, example: str, by_workflow: bool = False, failure: int = 1
) -> Callable[[Run], Verb]:
    """A decorator that makes the verb `some-name` of a function `run_some_name` of the parsed arguments."""
    return lambda run: Verb(run, help, arguments, example, by_workflow, failure)


def argument(*names: str, **settings: Any) -> Argument:
    return names, settings


def path(name: str, help: str | None = None, **settings: Any) -> Argument:
    return (name,), {"type": Path, "help": help, **settings}


def project_file(text: str) -> Path:
    """A file of the working directory or, if it has none of that name, of the project."""
    return find_project_file(Path(text))


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def port_number(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port; these go from 1 to 65535")
    return value


def number_of_gpus(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of GPUs")
    return value


def positive_list(text: str) -> tuple[int, ...]:
    try:
        return tuple(positive(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers; write e.g. 1,2,8") from None


def positive_rate(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


EVALUATED = ("val", "test")
NAME, OUTPUT = argument("name"), path("output")
JSON = argument("--json", action="store_true", help="print JSON")
DATA = path("--data", "folder of the packed datasets", default=Path("data"))
TRACKING = path("--tracking", "what `track` wrote", required=True)
CONFIG = "config/config.yaml"  # the default configuration
VARIANTS = argument("--variants", type=project_file, default="config/variants.yaml")
SPLIT = argument("--split", choices=EVALUATED, required=True)
SPLITS = argument("--split", choices=EVALUATED, nargs="+", required=True, dest="splits")
GRANTED = "the GPUs that Snakemake grants, of which it leases what it needs; 0 is the CPU"
GPUS = argument("--gpus", type=number_of_gpus, metavar="N", help=GRANTED)
