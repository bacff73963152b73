"""Nets that did not learn: they stay in every mean and test, and whatever rests on them says so."""

from pathlib import Path

import pytest
from fake_results import FakeResults, change, read_grid, read_rows, render_in_text, render_table1, render_table2
from page import read_page
from report_inputs import write_report_inputs

from alexnet2012.claims.ledger import make_ledgers, try_measure
from alexnet2012.claims.measurement import describe_outcome
from alexnet2012.claims.measures_errors import measure_ensemble
from alexnet2012.files import read_json
from alexnet2012.reporting.cards import render_card, unevaluated
from alexnet2012.reporting.compare import compare_folders
from alexnet2012.reporting.comparison_text import render_comparison
from alexnet2012.reporting.figures import style
from alexnet2012.reporting.page import render_report

RUNS = Path(__file__).parents[3] / "results" / "reference" / "cifar10" / "runs" / "cifar10"
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


def test_every_variants_errors_say_it(partly):
    names = [row[0] for row in read_grid(render_in_text(partly.load()), 1)[1:]]
    assert names == ["cnn (3 of 5 seeds learned)", "5-cnns (3 of 5 members learned)", "one-gpu (did not learn)"]


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


def test_a_number_without_a_verdict_says_it_too(partly):
    outcome = try_measure(measure_ensemble, partly.load(), "photos")
    assert describe_outcome(outcome)[1].endswith("; cnn: 3 of 5 seeds learned; 5-cnns: 3 of 5 members learned")


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


def test_figures_say_it(partly):
    results = partly.load()
    assert style.subtitle(results, results.find("photos", "cnn")).endswith(", 5 seeds (3 of 5 seeds learned)")
    assert style.describe_scope(results, results.find("photos", "one-gpu")).endswith(", seed 0 (did not learn)")


def test_the_report_names_each_run(partly):
    write_report_inputs(partly.folder)
    page = read_page(render_report(partly.folder).read_text(encoding="utf-8"))
    heads = {head.text for head in page.all("th") if "seed" in head.text}
    assert {"cnn-seed1 did not learn", "cnn-seed3 did not learn", "one-gpu-seed0 did not learn"} < heads
    assert {"cnn-seed0", "cnn-seed2", "cnn-seed4"} < heads
    assert "one-gpu, seed 0 (did not learn)" in page.text
    assert "cnn seed 1, cnn seed 3, one-gpu seed 0 did not learn" in page.one("header").text


def test_compare_warns_of_the_folder_that_has_them(tmp_path):
    a, b = (FakeResults(tmp_path / name) for name in "ab")
    add(a, "cnn", {0: 8, 1: 18, 2: 8}, dead=(1,))
    add(b, "cnn", {0: 8, 1: 8, 2: 8})
    comparison = compare_folders(a.folder, b.folder)
    assert comparison.groups[0].learned == ("2 of 3 seeds learned", "")
    lines = [line for line in render_comparison(comparison).splitlines() if "learned" in line]
    assert lines == ["warning: cnn on photos: 2 of 3 seeds learned in A; its errors count all the same"]


@pytest.mark.parametrize(
    ("run", "said"), [("tanh-1aeff824", True), ("cnn-2aac5739", False), ("four-layer-relu-rate-0.016-25318864", False)]
)
def test_the_card_of_a_net_says_it_but_not_that_of_a_rate_that_was_tried(run, said):
    """That rate was too high, which is what its short run was to find out."""
    folder = RUNS / run / "seed0"
    card = render_card(folder, unevaluated(folder, read_json(folder / "record.json"), Path("data")))
    assert ("- it did not learn" in card) is said
