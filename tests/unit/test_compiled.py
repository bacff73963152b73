import time

import numpy as np
import pytest
import torch

from alexnet2012 import compiled as module
from alexnet2012.compiled import compiled, run_split


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def double(first, last, values):
    for i in range(first, last):
        values[i] *= 2


@pytest.mark.parametrize(("rows", "multiple"), [(10, 1), (1, 1), (10, 4), (7, 100), (0, 1)])
def test_every_row_is_done_once(threads, rows, multiple):
    values, parts = np.ones(rows), []

    def loop(first, last, each):
        parts.append((first, last))
        double(first, last, each)

    run_split(loop, rows, values, multiple=multiple)
    assert (values == 2).all()
    assert len(parts) <= threads
    assert all(first % multiple == 0 for first, _ in parts)


def test_a_compiled_loop_does_what_its_python_does():
    values = np.arange(5.0)
    compiled(double)(1, 4, values)
    assert values.tolist() == [0, 2, 4, 6, 4]


def test_a_loop_compiles_where_nothing_can_be_kept(monkeypatch):
    real, asked = module.njit, []

    def njit(cache=False, **options):
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function 'double': no locator available for file")
        return real(**options)

    monkeypatch.setattr(module, "njit", njit)
    values = np.ones(3)
    compiled(double)(0, 3, values)
    assert values.tolist() == [2, 2, 2]
    assert asked == [True, False]


def test_codes_that_differ_are_kept_in_files_of_their_own():
    """numba does not lock its files: two processes that compile different codes under one name could mix them."""

    def make(factor: int):
        def scale(first, last, values):
            for i in range(first, last):
                values[i] *= factor

        return compiled(scale)

    names = [make(factor).py_func.__qualname__ for factor in (2, 3, 2)]
    assert names[0] == names[2] != names[1]
    values = np.ones(3)
    make(3)(0, 2, values)
    assert values.tolist() == [3, 3, 1]


def test_all_parts_have_ended_when_one_fails():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    ended = []

    def loop(first, last):
        if first == 0:
            raise ValueError("the first part")
        time.sleep(0.05)
        ended.append(first)

    try:
        with pytest.raises(ValueError, match="the first part"):
            run_split(loop, 10)
    finally:
        torch.set_num_threads(before)
    assert ended == [5]
