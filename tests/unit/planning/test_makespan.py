import pytest

from alexnet2012.planning.makespan import Job, schedule


def trainings(count: int, seconds: float = 10.0, needs: tuple[str, ...] = ()) -> list[Job]:
    return [Job(f"train{k}", "train", seconds, needs, cores=1, cards=1) for k in range(count)]


def test_five_equal_trainings_on_two_cards_take_three_rounds():
    found = schedule(trainings(5), cores=8, cards=2)
    assert found.makespan_s == 30
    assert sorted(found.starts_s.values()) == [0, 0, 10, 10, 20]
    assert (found.work_s, found.critical_path_s, found.lower_bound_s) == (25, 10, 25)


def test_a_chain_takes_the_sum_of_its_jobs():
    jobs = [Job("a", "x", 1), Job("b", "x", 2, ("a",)), Job("c", "x", 4, ("b",))]
    found = schedule(jobs, cores=8, cards=None)
    assert found.starts_s == {"a": 0, "b": 1, "c": 3}
    assert (found.makespan_s, found.critical_path_s) == (7, 7)
    assert found.work_s == 7 / 8


def test_the_longest_road_goes_first():
    """By length alone `long` would go before `head`, whose followers make the longer road: 3 + 5 on one core each."""
    jobs = [Job("long", "x", 4), Job("short", "x", 2), Job("head", "x", 3), Job("tail", "x", 5, ("head",))]
    found = schedule(jobs, cores=2, cards=None)
    assert found.starts_s == {"head": 0, "long": 0, "tail": 3, "short": 4}
    assert found.makespan_s == 8


def test_many_cards_leave_the_critical_path():
    jobs = [Job("prepare", "prepare", 7, cores=None), *trainings(5, 10, ("prepare",))]
    jobs += [Job(f"predict{k}", "predict", 2, (f"train{k}",), cards=1) for k in range(5)]
    jobs.append(Job("tables", "tables", 1, tuple(f"predict{k}" for k in range(5))))
    found = schedule(jobs, cores=64, cards=64)
    assert found.makespan_s == found.critical_path_s == 7 + 10 + 2 + 1
    # One card: 7, then fifty seconds of training and ten of prediction, then 1.
    assert schedule(jobs, cores=64, cards=1).makespan_s == 7 + 50 + 10 + 1


def test_a_job_of_all_cores_runs_alone():
    jobs = [Job("first", "x", 1, cores=2), Job("prepare", "prepare", 5, ("first",), cores=None), Job("other", "x", 2)]
    found = schedule(jobs, cores=2, cards=None)
    assert found.starts_s == {"first": 0, "prepare": 1, "other": 6}


def test_trainings_of_two_threads_share_the_cores():
    jobs = [Job(f"train{k}", "train", 10, cores=2, cards=1) for k in range(4)]
    assert schedule(jobs, cores=4, cards=None).makespan_s == 20
    assert schedule(jobs, cores=5, cards=None).makespan_s == 20
    assert schedule(jobs, cores=8, cards=None).makespan_s == 10
    assert schedule(jobs, cores=8, cards=1).makespan_s == 40


def test_a_job_that_asks_for_more_than_there_is_gets_what_there_is():
    assert schedule([Job("wide", "x", 3, cores=16, cards=2)], cores=2, cards=1).makespan_s == 3


def test_nothing_to_do_takes_no_time():
    found = schedule([], cores=2, cards=1)
    assert (found.makespan_s, found.lower_bound_s, found.starts_s) == (0, 0, {})


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ([Job("a", "x", 1, ("b",))], "a needs b, which is no job"),
        ([Job("a", "x", 1, ("b",)), Job("b", "x", 1, ("a",))], "these jobs need each other: a, b"),
    ],
)
def test_a_graph_that_cannot_run_is_refused(jobs, message):
    with pytest.raises(ValueError, match=message):
        schedule(jobs, cores=1, cards=None)


def test_jobs_of_all_cores_go_first():
    """As prepare_dataset has priority: `second` would wait for the trainings of the first dataset by its short road."""
    jobs = [Job("second", "prepare", 5, cores=None), Job("first", "prepare", 5, cores=None)]
    jobs += [*trainings(2, 100, ("first",)), Job("evaluate", "predict", 1, ("second",))]
    found = schedule(jobs, cores=4, cards=1)
    assert found.starts_s == {"first": 0, "second": 5, "train0": 10, "evaluate": 10, "train1": 110}
    assert found.makespan_s == 210
