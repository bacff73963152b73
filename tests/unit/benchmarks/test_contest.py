import pytest
from contest import Contender, Contest, ContestError, in_both, make_environment

from alexnet2012.cpu import KEEP_LARGE_BUFFERS

TELL = [*KEEP_LARGE_BUFFERS, "OMP_NUM_THREADS", "MKL_NUM_THREADS"]


def trivial(label: str, make: str, /, **arguments) -> Contender:
    return Contender(label, f"trivial_contenders:{make}", arguments)


def test_rounds_are_in_turn_and_each_begins_with_the_next(tmp_path):
    file = tmp_path / "order"
    with Contest([trivial(name, "make_writer", file=str(file), name=name) for name in "abc"]) as contest:
        warmed_up = file.read_text(encoding="utf-8").split()
        for _ in range(4):
            contest.round()
        found = contest.results()
    assert sorted(warmed_up) == ["a", "a", "b", "b", "c", "c"]
    assert "".join(file.read_text(encoding="utf-8").split()[6:]) == "abcbcacababc"
    assert list(found) == ["a (job)", "b (job)", "c (job)"]
    assert all(each.units == [3, 3, 3, 3] and len(each.seconds) == 4 for each in found.values())
    assert all(seconds > 0 for each in found.values() for seconds in each.seconds)


def test_each_environment_reaches_its_processes(monkeypatch):
    for name in (*TELL, "MALLOC_ARENA_MAX", "SOMETHING"):
        monkeypatch.setenv(name, "7")  # as a job of the workflow would have it
    contender = Contender("teller", "trivial_contenders:make_teller", {"names": TELL}, "plain", 2)
    with Contest(in_both(contender)) as contest:
        contest.round()
        plain, job = (contest.details(f"teller ({kind})")[0] for kind in ("plain", "job"))
        seconds = contest.results()["teller (job)"].seconds
    threads = {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": None}
    assert plain == {**dict.fromkeys(KEEP_LARGE_BUFFERS), **threads}
    assert job == {**KEEP_LARGE_BUFFERS, **threads}
    assert seconds == [0.25], "a contender's own clock counts where it has one"
    kept = make_environment("job", 1)
    assert kept["SOMETHING"] == "7" and "MALLOC_ARENA_MAX" not in kept


def test_anonymous_memory_is_the_largest_that_was_seen_during_a_call():
    size = 64 << 20
    with Contest([trivial("hoarder", "make_hoarder", size=size)]) as contest:
        contest.round()
        found = contest.results()["hoarder (job)"]
    assert size < found.peak_anonymous_bytes < 4 * size
    assert found.peak_rss_bytes >= found.peak_anonymous_bytes


@pytest.mark.parametrize(
    ("make", "arguments", "said"),
    [
        ("trivial_contenders:make_failing", {"after": 0}, "RuntimeError: the contender's own words"),
        ("trivial_contenders:make_dying", {}, "ended with 7"),
        ("no_such_module:make", {}, "no_such_module"),
    ],
)
def test_a_contender_that_cannot_begin_is_named_with_its_words(make, arguments, said):
    with pytest.raises(ContestError) as raised, Contest([Contender("broken", make, arguments)]):
        pass
    assert str(raised.value).startswith(f"broken (job), {make}, ended with ")
    assert said in str(raised.value)
