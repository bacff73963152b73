"""Nets that did not learn: they stay in every mean and test, and whatever rests on them says so."""

import pytest
from fake_results import FakeResults, change, read_rows, render_in_text, render_table1, render_table2

from alexnet2012.claims.ledger import make_ledgers
from alexnet2012.reporting.page import name_unlearned
from alexnet2012.reporting.page_parts import list_runs

LIVE, DEAD = {"train_loss": 1.0, "val_top1_error": 0.2}, {"train_loss": 2.31, "val_top1_error": 0.9}
ALL = ("table1", "table2", "in_text")


def add(fake: FakeResults, key: str, wrong: dict[int, int], dead: tuple[int, ...] = (), tables=ALL) -> None:
    """A variant with so many of 20 test images wrong for each seed; those `dead` did not learn."""
    fake.add(key, {seed: {("test", "ten_crop"): (count, 0)} for seed, count in wrong.items()}, tables)
    for seed in wrong:
        run = fake.folder / "runs" / "photos" / f"{key}-00000000" / f"seed{seed}"
        change(run / "record.json", final=DEAD if seed in dead else LIVE)


@pytest.fixture
def partly(fake) -> FakeResults:
    """cnn of five seeds, of which 1 and 3 did not learn, their average, and one-gpu, whose only net did not."""
    add(fake, "cnn", {0: 8, 1: 18, 2: 8, 3: 18, 4: 8}, dead=(1, 3))
    fake.average("5-cnns", {}, ("table2",))
    add(fake, "one-gpu", {0: 18}, dead=(0,))
    return fake


def test_rows_of_tables_1_and_2_count_them_in_and_say_so(partly):
    """18 of 20 is in the mean: (3 * 40 + 2 * 90) / 5 = 60 %."""
    rows = read_rows(render_table1(partly.load()))
    assert rows["CNN"]["top-1"].startswith("60.0 %")
    assert rows["CNN"]["seeds"] == "3 of 5 seeds learned"
    assert rows["one-gpu"]["seeds"] == "1 seed; did not learn"
    assert read_rows(render_table2(partly.load()))["5 CNNs"]["seeds"] == "average of 5; 3 of 5 members learned"


def test_the_report_lists_them_by_variant(partly):
    assert name_unlearned(list_runs(partly.load())) == ["cnn seeds 1, 3 on photos", "one-gpu seed 0 on photos"]


def test_where_all_learned_nothing_is_said(fake):
    add(fake, "cnn", {0: 8, 1: 8})
    text = render_table1(fake.load()) + render_in_text(fake.load())
    assert "learned" not in text and "did not learn" not in text


def test_a_verdict_that_rests_on_them_says_so(fake):
    add(fake, "cnn", {0: 8, 1: 8, 2: 8})
    add(fake, "one-gpu", {0: 16, 1: 17, 2: 16, 3: 18}, dead=(1, 3))
    add(fake, "no-lrn", {0: 16, 1: 17, 2: 16})
    (ledger,) = make_ledgers(fake.load())
    rows = {(row.id, row.reading): row for row in ledger.claims}
    of_one_gpu, of_no_lrn = rows["C04", ""], rows["C05", "alpha as printed"]
    assert of_one_gpu.verdict.endswith(", 4 epochs, 4 against 3 seeds; one-gpu: 2 of 4 seeds learned")
    assert of_one_gpu.conditions.endswith("; one-gpu: 2 of 4 seeds learned")
    counted_in = (16 + 17 + 16 + 18) / 80 - 8 / 20
    assert of_one_gpu.numbers.estimate == pytest.approx(100 * counted_in)
    assert "learned" not in of_no_lrn.verdict


def test_a_baseline_that_is_no_better_than_chance_did_not_learn(fake):
    """A baseline has no training loss: its error on val decides, of 10 images of ten classes."""
    fake.add("sparse-coding", {0: {("val", "centre"): (9, 0)}}, ("table1",), training={"kind": "baseline"})
    fake.add("sift-fv", {0: {("val", "centre"): (3, 0)}}, ("table1",), training={"kind": "baseline"})
    rows = read_rows(render_table1(fake.load()))
    assert rows["Sparse coding [2]"]["seeds"] == "1 seed; did not learn"
    assert rows["SIFT + FVs [24]"]["seeds"] == "1 seed"


def test_what_the_record_says_counts_by_its_own_chance_level(fake):
    """Of classes of unlike sizes: naming val's largest class errs on 20 %, as this net does."""
    add(fake, "cnn", {0: 8})
    run = fake.folder / "runs/photos/cnn-00000000/seed0/record.json"
    change(run, chance={"train_loss": 1.5, "val_error": 0.2})
    assert read_rows(render_table1(fake.load()))["CNN"]["seeds"] == "1 seed; did not learn"
