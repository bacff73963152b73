"""How a verb is declared, and the arguments that several verbs take."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Run = Callable[[argparse.Namespace], int | None]
Argument = tuple[tuple[str, ...], dict[str, Any]]  # what argparse's `add_argument` is called with


@dataclass(frozen=True)
class Verb:
    """A verb of the command line. `run` returns the exit code, None for 0; `failure` is that of a package error."""

    run: Run
    help: str
    arguments: tuple[Argument, ...]
    failure: int

    def add_to(self, verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        name = self.run.__name__.removeprefix("run_").replace("_", "-")
        parser = verbs.add_parser(name, help=self.help)
        for names, settings in self.arguments:
            parser.add_argument(*names, **settings)
        parser.set_defaults(run=self.run, failure=self.failure)


def verb(help: str, *arguments: Argument, failure: int = 1) -> Callable[[Run], Verb]:
    """A decorator that makes the verb `some-name` of a function `run_some_name` of the parsed arguments."""
    return lambda run: Verb(run, help, arguments, failure)


def argument(*names: str, **settings: Any) -> Argument:
    return names, settings


def path(name: str, help: str | None = None, **settings: Any) -> Argument:
    return (name,), {"type": Path, "help": help, **settings}


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
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


NAME, OUTPUT = argument("name"), path("output")
JSON = argument("--json", action="store_true", help="print JSON")
DATA = path("--data", "folder of the packed datasets", default=Path("data"))
TRACKING = path("--tracking", "what `track` wrote", required=True)
VARIANTS = path("--variants", default=Path("config/variants.yaml"))
SPLIT = argument("--split", choices=("val", "test"), required=True)
GRANTED = "the GPUs that Snakemake grants, of which it leases what it needs; 0 is the CPU"
GPUS = argument("--gpus", type=number_of_gpus, metavar="N", help=GRANTED)
