from fake_results import PROVENANCE, change

from alexnet2012.config.schedules import PlateauSchedule
from alexnet2012.reporting.origin import describe_origin, describe_schedule

TABLES = ("table1",)


def origin(fake) -> dict[str, str]:
    """What stands below every table, by its words."""
    listed = describe_origin(fake.load().experiments)
    assert listed.summary == "Provenance"
    return dict(item.split(": ", 1) for item in listed.blocks[0].items)


def test_every_origin_is_named(fake):
    """Two trainings of 60 s and four predictions of 6 s."""
    fake.add("cnn", {0: {}, 1: {}}, TABLES)
    assert origin(fake) == {
        "dataset": "photos, digest `photos0123456789`, 1,120 train / 10 val / 20 test",
        "recipe": "paper",
        "schedule": "fixed, 3 + 1 epochs, the learning rate divided by 10 in between",
        "commit": "`0123456789ab`",
        "date": "2026-11-24",
        "hardware": "Some CPU, 2 usable cores",
        "software": "torch 2.14.1, torchvision 0.29.1, Python 3.11.7",
        "torch threads": "1",
        "wall time": "training 2.0 min, evaluation 0.4 min, summed over jobs",
        "seeds": "cnn 0, 1",
    }


def test_the_source_is_named_where_records_hold_it(fake):
    """One commit with two sources is an altered copy; records of earlier versions hold none."""
    fake.add("cnn", {0: {}}, TABLES)
    assert "source" not in origin(fake)
    fake.add("one-gpu", {0: {}}, TABLES, training={"provenance": PROVENANCE | {"source_sha256": "ab" * 32}})
    assert origin(fake)["source"] == "sha256 `abababababab`"
    fake.add("tanh", {0: {}}, TABLES, training={"provenance": PROVENANCE | {"source_sha256": "cd" * 32}})
    assert origin(fake)["source"] == "sha256 `abababababab`; sha256 `cdcdcdcdcdcd`"


def test_where_records_differ_every_value_is_named(fake):
    fake.add("cnn", {0: {}}, TABLES)
    other = {"commit": "fedcba9876543210", "dirty": True, "date": "2026-11-26T01:00:00+00:00", "torch_threads": 2}
    fake.add("one-gpu", {0: {}, 3: {}}, TABLES, training={"recipe": "code2012", "provenance": PROVENANCE | other})
    found = origin(fake)
    assert found["commit"] == "`0123456789ab`; `fedcba987654` (dirty: tracked files were changed)"
    assert found["date"] == "2026-11-24 to 2026-11-26"
    assert found["torch threads"] == "1; 2"
    assert found["recipe"] == "code2012; paper"
    assert found["seeds"] == "cnn 0; one-gpu 0, 3"


def test_a_net_that_feeds_two_lines_is_counted_once(fake):
    fake.add("cnn", {0: {}}, TABLES).add("cnn", {0: {}}, ("in_text",))
    assert origin(fake)["wall time"].startswith("training 1.0 min")


def test_an_average_alone_leaves_no_line_empty(fake):
    fake.average("5-cnns", {}, ("table2",))
    found = origin(fake)
    assert {"recipe", "schedule", "seeds"} & set(found) == set()
    assert found["dataset"].startswith("photos")


def test_dates_span_the_first_to_the_last(fake):
    fake.add("cnn", {0: {}}, TABLES)
    path = fake.folder / "predictions/photos/cnn-00000000/seed0/val.json"
    change(path, provenance=PROVENANCE | {"date": "2026-11-20T23:59:59+00:00"})
    assert origin(fake)["date"] == "2026-11-20 to 2026-11-24"


def test_a_plateau_schedule_is_spelled_out():
    assert describe_schedule(PlateauSchedule(kind="plateau").model_dump()) == (
        "plateau, patience 5, min_delta 0.001, drops 3, max_epochs 90"
    )


def test_a_logged_schedule_and_a_baselines_passes_are_said_in_words():
    changes = [{"after": 0, "weights": {"rest": 0.01}}, {"after": 5, "weights": {"rest": 0.001}}]
    logged = {"kind": "logged", "changes": changes, "max_epochs": 20}
    assert describe_schedule(logged) == "logged, 20 epochs, rates set after 0, 5 epochs"
    assert describe_schedule({"kind": "passes", "epochs": 6}) == "6 passes"
