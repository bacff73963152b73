"""Arguments that several verbs take, and their types."""

import argparse
from pathlib import Path


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


def add_data(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--data", type=Path, default=Path("data"), help="folder of the packed datasets")


def add_stores(verb: argparse.ArgumentParser) -> None:
    """Where a job that is a run, or adds to one, reads and reports."""
    verb.add_argument("--tracking", type=Path, required=True, help="what `track` wrote")
    add_data(verb)


def add_split(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--split", choices=("val", "test"), required=True)


def add_gpus(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--gpus",
        type=number_of_gpus,
        metavar="N",
        help="the GPUs that Snakemake grants, of which it leases what it needs; 0 is the CPU",
    )
