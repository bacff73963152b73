import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from contest import Contender, Contest
from photograph_files import write_jpegs_of, write_photographs
from sizes import CORES, ROUNDS, TOY, pick

from alexnet2012 import provenance
from alexnet2012.reporting.benchmark_results import KEY, Benchmark, ContenderResult


def pytest_benchmark_update_json(config, benchmarks, output_json) -> None:
    """What made the results stands in their file: commit, machine, versions."""
    import torch

    output_json[KEY] = asdict(provenance.collect(CORES, "cuda" if torch.cuda.is_available() else "cpu"))


@pytest.fixture
def hold(benchmark) -> Callable[..., None]:
    """Runs the rounds of a contest; for what is no contest, a function once."""

    def run(what: Contest | Callable[[], None], rounds: int = ROUNDS) -> None:
        benchmark.pedantic(what.round if isinstance(what, Contest) else what, rounds=rounds)

    return run


@pytest.fixture
def compete(hold) -> Callable[..., tuple[list[ContenderResult], list[dict[str, Any]]]]:
    """Runs a contest of `contenders` and of this machine's `rates` at so many `threads`: the results of the former in
    their order, and the rates of each round."""

    def run(contenders: Sequence[Contender], threads: int = 1, rounds: int = ROUNDS, rates: Contender | None = None):
        rates = rates or Contender("rates", "contenders.rates:make", threads=threads)
        with Contest([*contenders, rates]) as contest:
            hold(contest, rounds)
            found = contest.results()
            return [found[each.label] for each in contenders], contest.details(rates.label)

    return run


@pytest.fixture
def record(benchmark) -> Callable[..., None]:
    """Keeps a complete result in the benchmark's extra_info."""

    def keep(subject: str, unit: str, contenders, comparisons, floor=None, note: str = "") -> None:
        result = Benchmark(subject, unit, list(contenders), list(comparisons), floor, TOY, note)
        rounds = {len(each.seconds) for each in result.contenders}
        assert len(rounds) <= 1 and 0 not in rounds, f"{subject}: contenders with {rounds} samples"
        assert all(seconds > 0 for each in result.contenders for seconds in each.seconds), subject
        assert result.comparisons, subject
        benchmark.extra_info[KEY] = asdict(result)

    return keep


@pytest.fixture(scope="session")
def photographs(tmp_path_factory) -> Iterator[Path]:
    """A folder of class folders of JPEGs, of the size and weight of ILSVRC's."""
    folder = tmp_path_factory.mktemp("photographs")
    write_photographs(folder, classes=20, per_class=pick(100, 13))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def packed(photographs, tmp_path_factory) -> Iterator[Path]:
    """The same, packed at 256 pixels: the folder of the dataset."""
    from alexnet2012.config.datasets import DatasetConfig
    from alexnet2012.data.prepare import prepare

    data = tmp_path_factory.mktemp("data")
    prepare("photographs", DatasetConfig(kind="imagefolder", folder=str(photographs)), data)
    yield data / "photographs"
    shutil.rmtree(data)


@pytest.fixture(scope="session")
def jpegs(packed, tmp_path_factory) -> Iterator[Path]:
    """JPEGs of the packed training images, which torchvision's ImageFolder reads in the packed order."""
    folder = tmp_path_factory.mktemp("jpegs")
    write_jpegs_of(packed, folder)
    yield folder
    shutil.rmtree(folder)
