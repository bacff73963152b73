import json
import math

import pytest
from fake_results import FakeResults, change, describe, save

from alexnet2012 import cli
from alexnet2012.errors import RecordError
from alexnet2012.reporting.compare import FolderComparison, Group, compare_folders
from alexnet2012.reporting.comparison_text import render_comparison

TABLES = ("table1",)
RUN, PREDICTIONS = (f"{name}/photos/cnn-00000000/seed0" for name in ("runs", "predictions"))
FEW = {("test", "ten_crop"): (8, 2)}
ALL_WRONG = {(split, crops): (n, n) for split, n in (("val", 10), ("test", 20)) for crops in ("ten_crop", "centre")}


def wrong(count: int) -> dict:
    """So many of the 20 test images are wrong, by ten crops."""
    return {("test", "ten_crop"): (count, 0)}


def make(tmp_path, name: str, **nets: dict[int, dict]) -> FakeResults:
    fake = FakeResults(tmp_path / name)
    for key, seeds in nets.items():
        fake.add(key, seeds, TABLES)
    return fake


@pytest.fixture
def pair(tmp_path) -> tuple[FakeResults, FakeResults]:
    """Two folders of cnn, seeds 0 to 4, and of their average, the same to the last bit."""
    a, b = (make(tmp_path, name, cnn=dict.fromkeys(range(5), FEW)).average("5-cnns", FEW, TABLES) for name in "ab")
    return a, b


def retrain(fake: FakeResults, *seeds: int, key: str = "cnn") -> None:
    """Other weights, and the same answers."""
    for seed in seeds:
        for path in fake.folder.glob(f"*/photos/{key}-00000000/seed{seed}/*.json"):
            change(path, weights_sha256=f"others of {seed}")


def compare(a: FakeResults, b: FakeResults) -> FolderComparison:
    return compare_folders(a.folder, b.folder)


def group_of(comparison: FolderComparison, key: str) -> Group:
    (found,) = [group for group in comparison.groups if group.name == f"{key} on photos"]
    return found


def row_of(group: Group, split: str = "test", crops: str = "ten_crop"):
    (found,) = [row for row in group.rows if (row.split, row.crops) == (split, crops)]
    return found


def write_ledger(fake: FakeResults, **colours: str) -> None:
    claims = [{"id": id, "verdict": f"{colour} on photos", "colour": colour} for id, colour in colours.items()]
    save(fake.folder / "tables/claims.json", {"name": "some", "datasets": [{"dataset": "photos", "claims": claims}]})


def test_the_same_bits_are_identical_and_nothing_is_tested(pair):
    comparison = compare(*pair)
    assert (comparison.verdict, comparison.agrees) == ("bit-identical", True)
    nets = {"cnn on photos": dict.fromkeys(range(5), ()), "5-cnns on photos": {None: ()}}
    assert {group.name: group.nets for group in comparison.groups} == nets
    assert all(row.estimate is None for group in comparison.groups for row in group.rows)
    text = render_comparison(comparison)
    assert text.startswith("bit-identical: ") and "cnn on photos, seeds 0, 1, 2, 3, 4: bit-identical\n" in text


def test_other_weights_with_the_same_answers_are_not_identical(pair):
    a, b = pair
    retrain(b, 1, 3)
    comparison = compare(a, b)
    assert (comparison.verdict, comparison.agrees) == ("statistically the same", True)
    assert group_of(comparison, "cnn").nets == {0: (), 1: ("weights",), 2: (), 3: ("weights",), 4: ()}
    assert group_of(comparison, "5-cnns").nets == {None: ("weights",)}
    row = row_of(group_of(comparison, "cnn"))
    assert (row.estimate.value, row.estimate.p, row.answer) == (0, 1, "the same")


def test_the_same_seeds_are_tested_in_pairs(tmp_path):
    a = make(tmp_path, "a", cnn={seed: wrong(n) for seed, n in enumerate((4, 8, 12))})
    b = make(tmp_path, "b", cnn={seed: wrong(n) for seed, n in enumerate((5, 10, 13))})
    row = row_of(group_of(compare(a, b), "cnn"))
    # Differences -0.05, -0.10, -0.05: mean -1/15, standard error 1/60, t = -4 with 2 degrees of freedom.
    assert (row.estimate.value, row.estimate.p) == pytest.approx((-1 / 15, 0.05719), abs=1e-5)
    assert row.estimate.high - row.estimate.low == pytest.approx(2 * 4.30265 / 60, abs=1e-5)
    assert (row.estimate.method, row.spread, row.answer) == ("t over 3 seeds", 0, "the same")


def test_other_seeds_are_tested_by_welch(tmp_path):
    a = make(tmp_path, "a", cnn={seed: wrong(n) for seed, n in enumerate((8, 9, 10))})
    b = make(tmp_path, "b", cnn={seed: wrong(n) for seed, n in enumerate((12, 13, 14), start=2)})
    comparison = compare(a, b)
    group = group_of(comparison, "cnn")
    row = row_of(group)
    # Variances 0.0025, so that the standard error is sqrt(0.0025 * 2 / 3) = 0.040825 and t = -4.899 with 4 degrees.
    found = row.estimate
    assert (found.value, found.low, found.high, found.p) == pytest.approx((-0.2, -0.31335, -0.08665, 0.00805), abs=1e-5)
    assert (row.p_holm, row.answer) == (pytest.approx(4 * found.p), "different")  # by two crops on two splits
    assert (group.only, list(group.nets)) == (([0, 1], [3, 4]), [2])
    assert render_comparison(comparison).splitlines()[0] == "different: cnn on photos"


def test_single_nets_are_tested_over_images_and_different_says_where(tmp_path):
    a = make(tmp_path, "a", cnn={0: FEW}, tanh={0: {}})
    b = make(tmp_path, "b", cnn={0: FEW}, tanh={0: ALL_WRONG})
    comparison = compare(a, b)
    assert (comparison.verdict, comparison.agrees) == ("different", False)
    assert [group.verdict for group in comparison.groups] == ["bit-identical", "different"]
    row = row_of(group_of(comparison, "tanh"))
    assert (row.estimate.value, row.estimate.p) == (-1, 2 * 0.5**20)  # McNemar's: 20 images of 20 changed one way
    text = render_comparison(comparison)
    assert text.splitlines()[0] == "different: tanh on photos; these nets, not the method"
    assert "tanh on photos, seed 0: other weights" not in text
    assert "tanh on photos, seed 0: other answers on val, answers on test\n" in text
    (line,) = [line.split() for line in text.splitlines() if line.startswith("tanh") and "test     ten_crop" in line]
    assert line[3:11] == ["test", "ten_crop", "0.0", "%", "100.0", "%", "-100.00", "[-100.00,"]


@pytest.mark.parametrize(("learned", "answer"), [(True, "within the spread of seeds"), (False, "different")])
def test_few_seeds_must_differ_by_more_than_two_seeds_of_one_net(tmp_path, learned, answer):
    final = {"train_loss": 1.0 if learned else math.log(10), "val_top1_error": 0.3}
    a, b = (
        make(tmp_path, name, tanh={0: wrong(n)}).add(
            "cnn", {0: wrong(0), 1: wrong(19)}, TABLES, training={"final": final}
        )
        for name, n in (("a", 0), ("b", 18))
    )
    comparison = compare(a, b)
    row = row_of(group_of(comparison, "tanh"))
    assert (row.estimate.value, row.p_holm < 0.001) == (-0.9, True)
    assert (row.spread, row.answer) == (0.95 if learned else 0, answer)
    assert comparison.agrees is learned


def test_holm_counts_all_rows(tmp_path):
    a = make(tmp_path, "a", cnn={0: {}}, tanh={0: {}})
    b = make(tmp_path, "b", cnn={0: wrong(7)}, tanh={0: wrong(0)})
    retrain(b, 0, key="tanh")
    comparison = compare(a, b)
    row = row_of(group_of(comparison, "cnn"))
    assert row.estimate.p == 2 * 0.5**7  # alone it would count as different
    assert (row.p_holm, comparison.verdict) == (8 * row.estimate.p, "statistically the same")


def test_an_unfinished_folder_is_compared_by_what_it_has(tmp_path):
    a = make(tmp_path, "a", cnn={0: FEW, 1: FEW}, tanh={0: FEW}, relu={0: FEW})
    b = make(tmp_path, "b", cnn={0: FEW, 1: FEW}, tanh={0: FEW})
    (b.folder / "runs/photos/cnn-00000000/seed1/record.json").unlink()
    (b.folder / "predictions/photos/tanh-00000000/seed0/val.json").unlink()
    comparison = compare(a, b)
    assert (comparison.verdict, comparison.only) == ("bit-identical", (["tanh on photos", "relu on photos"], []))
    assert group_of(comparison, "cnn").only == ([1], [])
    text = render_comparison(comparison)
    assert "warning: B: 2 of 3 nets and ensembles are not in yet: cnn seed 1 on photos; tanh seed 0 on photos" in text
    assert "cnn on photos, seed 1: only in A\n" in text and "only in A: tanh on photos, relu on photos\n" in text


def put_on_other_data(fake: FakeResults) -> None:
    for path in fake.folder.glob("*/photos/**/*.json"):
        change(path, dataset=describe("photos") | {"digest": "other0123456789abcdef"})


def test_other_data_are_not_comparable(pair):
    a, b = pair
    put_on_other_data(b)
    for fake, colour in ((a, "supported"), (b, "contradicted")):
        write_ledger(fake, C03=colour)
    comparison = compare(a, b)
    assert (comparison.verdict, comparison.agrees) == ("not comparable: other data", False)
    assert group_of(comparison, "cnn").nets[0] == ("data",)
    assert row_of(group_of(comparison, "cnn")).estimate is None
    lines = render_comparison(comparison).splitlines()
    assert lines[0] == "not comparable: other data: cnn on photos, 5-cnns on photos"
    assert lines[4] == "warning: cnn on photos: other data, digests photos0123456789 and other0123456789a"


def test_verdicts_that_differ_are_listed_and_opposite_ones_count(pair):
    a, b = pair
    write_ledger(a, C03="supported", C04="supported", C05="inconclusive")
    assert compare(a, b).claims is None
    write_ledger(b, C03="supported", C04="inconclusive", C06="supported")
    comparison = compare(a, b)
    assert comparison.claims == {
        "C04 on photos": ("supported on photos", "inconclusive on photos"),
        "C05 on photos": ("inconclusive on photos", None),
        "C06 on photos": (None, "supported on photos"),
    }
    assert (comparison.verdict, comparison.opposite) == ("bit-identical", [])
    assert "ledger: C05 on photos: inconclusive on photos in A, no row in B\n" in render_comparison(comparison) + "\n"
    write_ledger(b, C03="contradicted", C04="supported", C05="inconclusive")
    comparison = compare(a, b)
    assert (comparison.opposite, comparison.agrees) == (["C03 on photos"], False)
    assert render_comparison(comparison).splitlines()[0] == "different: C03 on photos"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("experiments.json", None),
        ("experiments.json", "[]"),
        ("tables/claims.json", "{}"),
        (f"{RUN}/record.json", "{"),
        (f"{PREDICTIONS}/val.json", "{"),
        (f"{PREDICTIONS}/test-ranks.npz", "PK"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(pair, path, text):
    a, b = pair
    for fake in pair:
        write_ledger(fake, C03="supported")
    (b.folder / path).unlink() if text is None else (b.folder / path).write_text(text, encoding="utf-8")
    with pytest.raises(RecordError) as caught:
        compare(a, b)
    assert str(caught.value).startswith(str(b.folder / path))


def test_folders_with_no_net_in_common_are_refused(tmp_path):
    a, b = make(tmp_path, "a", cnn={0: FEW}), make(tmp_path, "b", tanh={0: FEW})
    with pytest.raises(RecordError, match="cnn on photos.*tanh on photos"):
        compare(a, b)


def test_the_exit_code_is_the_answer(pair, tmp_path, capsys):
    a, b = (str(each.folder) for each in pair)
    assert cli.main(["compare", a, b]) == 0
    assert capsys.readouterr().out.startswith("bit-identical: ")
    retrain(pair[1], 1)
    assert cli.main(["compare", a, b]) == 0
    other = make(tmp_path, "other", cnn=dict.fromkeys(range(3), ALL_WRONG), tanh={0: {}})
    assert cli.main(["compare", a, str(other.folder), "--json"]) == 1
    values = json.loads(capsys.readouterr().out.partition("{")[2].join(("{", "")))
    assert (values["verdict"], values["agrees"], values["a"]) == ("different", False, a)
    row = values["groups"][0]["rows"][2]
    assert (row["split"], row["crops"], row["a"], row["b"]) == ("test", "ten_crop", [0.4] * 3, [1.0] * 3)
    assert (row["estimate"]["value"], row["answer"]) == (pytest.approx(-0.6), "different")  # seeds that do not vary
    assert cli.main(["compare", a, str(tmp_path / "none")]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err[:6]) == ("", "error:")
