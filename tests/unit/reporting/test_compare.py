import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from fake_results import FakeResults, change, describe, save

from alexnet2012 import cli
from alexnet2012.config.plan import make_plan
from alexnet2012.config.schema import digest8
from alexnet2012.config.validate import read_yaml
from alexnet2012.errors import ConfigError, RecordError
from alexnet2012.reporting.compare.comparison import compare_folders
from alexnet2012.reporting.compare.folder import read_settings
from alexnet2012.reporting.compare.text import render

ROOT = Path(__file__).parents[3]
TABLES = ("table1",)
RUN = "runs/photos/cnn-00000000/seed0"
PREDICTIONS = "predictions/photos/cnn-00000000/seed0"
WRONG = {("val", "ten_crop"): (4, 1), ("val", "centre"): (5, 1), ("test", "ten_crop"): (8, 2)}
ALL_WRONG = {(split, crops): (n, n) for split, n in (("val", 10), ("test", 20)) for crops in ("ten_crop", "centre")}


def make(tmp_path, name: str, cnn: dict, one_gpu: dict | None = None) -> FakeResults:
    fake = FakeResults(tmp_path / name).add("cnn", cnn, TABLES)
    return fake if one_gpu is None else fake.add("one-gpu", one_gpu, TABLES)


@pytest.fixture
def pair(tmp_path) -> tuple[FakeResults, FakeResults]:
    """Two folders of cnn, seeds 0 to 4, and of their average, the same to the last bit."""
    a, b = (make(tmp_path, name, dict.fromkeys(range(5), WRONG)).average("5-cnns", WRONG, TABLES) for name in "ab")
    return a, b


def retrain(fake: FakeResults, key: str, *seeds: int) -> None:
    """Other weights, and the same errors."""
    for seed in seeds:
        place = f"photos/{key}-00000000/seed{seed}"
        for path in (f"runs/{place}/record", f"predictions/{place}/val", f"predictions/{place}/test"):
            change(fake.folder / f"{path}.json", weights_sha256=f"others of {seed}")


def compare(a: FakeResults, b: FakeResults):
    return compare_folders(a.folder, b.folder)


def group_of(comparison, key: str):
    (found,) = [group for group in comparison.groups if group.key == key]
    return found


def test_the_same_bits_are_identical_and_nothing_is_tested(pair):
    comparison = compare(*pair)
    assert (comparison.verdict, comparison.agrees) == ("bit-identical", True)
    assert [(group.key, len(group.pairs), len(group.errors)) for group in comparison.groups] == [
        ("cnn", 5, 4),
        ("5-cnns", 1, 4),
    ]
    assert all(judged is None for group in comparison.groups for _, judged in group.errors)
    assert (
        render(comparison).splitlines()[0] == "bit-identical: weights and errors of all 6 nets that both folders have"
    )


def test_a_reference_without_arrays_is_read_wherever_it_lies(pair, tmp_path):
    a, b = pair
    for path in b.folder.rglob("*.npy"):
        path.unlink()
    plan = (b.folder / "experiments.json").read_text(encoding="utf-8").replace(str(b.folder), "results/some")
    moved = tmp_path / "elsewhere" / "reference"
    shutil.move(b.folder, moved)
    (moved / "experiments.json").write_text(plan, encoding="utf-8")
    assert '"results/some/runs/photos' in plan
    assert compare_folders(a.folder, moved).verdict == "bit-identical"


@pytest.mark.parametrize("path", [f"{PREDICTIONS}/test-centre.npy", f"{RUN}/model.safetensors", f"{RUN}/answers.npz"])
def test_stored_arrays_count_where_both_folders_have_them(pair, path):
    a, b = pair
    (a.folder / path).write_bytes(b"some")
    if "model" in path or "answers" in path:
        assert compare(a, b).verdict == "bit-identical"
    (b.folder / path).write_bytes(b"same")
    for each in (a, b):
        os.utime(each.folder / path, (0, 0))  # sizes and times agree, as between copies; the bytes must be read
    comparison = compare(a, b)
    assert group_of(comparison, "cnn").pairs[0].differences == (f"bytes of {Path(path).name}",)
    assert [each.identical for each in group_of(comparison, "cnn").pairs] == [False, True, True, True, True]
    assert comparison.verdict == "statistically the same"


def test_other_weights_with_the_same_errors_are_not_identical(pair):
    a, b = pair
    retrain(b, "cnn", 1, 3)
    comparison = compare(a, b)
    assert [each.differences for each in group_of(comparison, "cnn").pairs] == [(), ("weights",), (), ("weights",), ()]
    assert group_of(comparison, "5-cnns").pairs[0].differences == ("its members' weights",)
    text = render(comparison)
    assert text.splitlines()[0] == "statistically the same: 8 errors tested, no difference found"
    assert "  seeds 0, 2, 4: bit-identical\n  seeds 1, 3: differs in weights\n" in text


def test_an_average_whose_members_are_gone_is_not_called_identical(tmp_path):
    a, b = (FakeResults(tmp_path / name).average("5-cnns", WRONG, TABLES) for name in "ab")
    comparison = compare(a, b)
    assert comparison.groups[0].pairs[0].differences == ("its members' weights (not all known)",)
    assert comparison.verdict == "statistically the same"


def test_the_same_weights_with_other_top5_errors_are_not_identical(pair):
    a, b = pair
    record = json.loads((b.folder / PREDICTIONS / "test.json").read_text(encoding="utf-8"))
    record["errors"]["centre"]["top5"] = 0.05
    save(b.folder / PREDICTIONS / "test.json", record)
    assert group_of(compare(a, b), "cnn").pairs[0].differences == ("errors on test",)


def test_different_says_where_and_of_what(tmp_path):
    a = make(tmp_path, "a", {0: WRONG}, {0: {}})
    b = make(tmp_path, "b", {0: WRONG}, {0: ALL_WRONG})
    comparison = compare(a, b)
    assert (comparison.verdict, comparison.agrees) == ("different", False)
    assert [(group.key, group.verdict) for group in comparison.groups] == [
        ("cnn", "bit-identical"),
        ("one-gpu", "different"),
    ]
    text = render(comparison)
    assert text.splitlines()[0] == "different: one-gpu on photos (4 of 4 errors); these nets, not the method"
    assert "  seed 0: differs in errors on val, errors on test\n" in text
    row = next(line.split() for line in text.splitlines() if "one-gpu  test" in line and "ten crops" in line)
    assert row[3:10] == ["ten", "crops", "0.00", "100.00", "-100.00", "-100.00", "to"]


def test_seeds_of_one_folder_are_samples_and_other_nets_are_listed(tmp_path):
    wrong = [{("test", "ten_crop"): (n, 0)} for n in (6, 8, 10, 12)]
    a = make(tmp_path, "a", {seed: wrong[seed] for seed in (0, 1, 2)}, {0: {}})
    b = make(tmp_path, "b", {seed: wrong[seed - 1] for seed in (1, 2, 3, 4)})
    comparison = compare(a, b)
    cnn = group_of(comparison, "cnn")
    assert (cnn.only_a, cnn.only_b, [each.seed for each in cnn.pairs]) == ((0,), (3, 4), [1, 2])
    (errors, judged) = next(each for each in cnn.errors if (each[0].split, each[0].crops) == ("test", "ten_crop"))
    assert (errors.a, errors.b) == ((0.3, 0.4, 0.5), (0.3, 0.4, 0.5, 0.6))
    assert judged.samples == "3 and 4 seeds"
    assert (comparison.only_a, comparison.only_b) == (("one-gpu on photos",), ())
    assert "\nonly in A: one-gpu on photos\n" in render(comparison)


def test_an_unfinished_folder_is_compared_by_what_it_has(tmp_path):
    a, b = (
        FakeResults(tmp_path / name).add(
            "cnn", {0: {}, 1: {}}, TABLES, training={"final": {"train_loss": 1.0, "val_top1_error": error}}
        )
        for name, error in (("a", 0.3), ("b", 0.4))
    )
    shutil.rmtree(a.folder / "predictions")
    (a.folder / "runs/photos/cnn-00000000/seed1/record.json").unlink()
    cnn = group_of(compare(a, b), "cnn")
    assert cnn.unfinished_a == ("seed 0's answers on val", "seed 0's answers on test", "seed 1")
    assert (cnn.verdict, cnn.only_b, cnn.unfinished_b) == ("bit-identical", (1,), ())
    retrain(b, "cnn", 0)
    ((errors, judged),) = group_of(compare(a, b), "cnn").errors
    assert (errors.split, errors.crops, errors.a, errors.b, errors.images) == (
        "val",
        "centre",
        (0.3,),
        (0.4, 0.4),
        (10, 10),
    )
    assert (judged.different, judged.samples) == (False, "10 images")


def test_other_data_are_not_comparable_and_are_compared_all_the_same(pair):
    a, b = pair
    for path in b.folder.rglob("*.json"):
        if path.name != "experiments.json":
            change(path, dataset=describe("photos") | {"digest": "other0123456789abcdef"})
    comparison = compare(a, b)
    assert (comparison.verdict, comparison.agrees) == ("not comparable: other data", False)
    lines = render(comparison).splitlines()
    assert lines[0] == "not comparable: other data (cnn on photos, 5-cnns on photos)"
    assert lines[4] == (
        "warning: cnn on photos: other data (digests photos0123456789 and other0123456789a); "
        "its errors are of other images"
    )
    assert group_of(comparison, "cnn").pairs[0].differences == ("data",)
    assert group_of(comparison, "cnn").errors[0][1].p == 1


def test_a_difference_on_shared_data_comes_before_data_that_are_not_shared(tmp_path):
    a, b = (
        FakeResults(tmp_path / name).add("cnn", {0: wrong}, TABLES).add("cnn", {0: wrong}, TABLES, dataset="drawings")
        for name, wrong in (("a", {}), ("b", ALL_WRONG))
    )
    write_ledger(a, C03="supported")
    write_ledger(b, C03="contradicted")
    for path in b.folder.glob("*/photos/**/*.json"):
        change(path, dataset=describe("photos") | {"digest": "other0123456789abcdef"})
    comparison = compare(a, b)
    assert [group.verdict for group in comparison.groups] == ["not comparable: other data", "different"]
    assert comparison.verdict == "different"
    for path in b.folder.glob("*/drawings"):
        shutil.rmtree(path)
    assert compare(a, b).verdict == "not comparable: other data"  # nor do opposite verdicts on other data count


def write_settings(fake: FakeResults, values: dict) -> None:
    (fake.folder / RUN / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    change(fake.folder / RUN / "record.json", hash8=digest8(values))


def test_other_settings_are_named_and_change_no_verdict(pair):
    a, b = pair
    write_settings(a, {"name": "a", "net": {"fc_neurons": 384}, "training": {"schedule": {"epochs": [3, 1]}}})
    write_settings(b, {"name": "b", "net": {"fc_neurons": 384}, "training": {"schedule": {"epochs": [9, 1]}}})
    comparison = compare(a, b)
    assert group_of(comparison, "cnn").settings == {"training.schedule.epochs": ([3, 1], [9, 1])}
    assert comparison.verdict == "bit-identical"
    warning = "warning: cnn on photos: other settings: training.schedule.epochs: [3, 1] in A, [9, 1] in B"
    assert render(comparison).splitlines()[4] == warning
    (b.folder / RUN / "config.yaml").unlink()
    assert "warning: cnn on photos: other settings; a config.yaml that would say" in render(compare(a, b))


def test_a_setting_that_an_older_version_did_not_write_has_its_default(tmp_path):
    plan = make_plan(read_yaml(ROOT / "config/config.yaml"), "config.yaml", ROOT / "config/variants.yaml")
    values = plan.runs[0].model_dump(mode="json")
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    today = read_settings(path)
    del values["training"]["compile"]
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    assert read_settings(path) == today
    assert (today["training.compile"], today["training.momentum"]) == (False, 0.9)


def test_settings_that_are_not_yaml_are_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("net: {fc_neu", encoding="utf-8")
    with pytest.raises(ConfigError, match="not valid YAML"):
        read_settings(tmp_path / "config.yaml")


def write_ledger(fake: FakeResults, **colours: str) -> None:
    claims = [{"id": id, "verdict": f"{colour} on photos", "colour": colour} for id, colour in colours.items()]
    save(fake.folder / "tables/claims.json", {"name": "some", "datasets": [{"dataset": "photos", "claims": claims}]})


def test_verdicts_that_differ_are_listed_and_opposite_ones_count(pair):
    a, b = pair
    write_ledger(a, C03="supported", C04="supported", C05="inconclusive")
    assert "ledger: not compared, for B holds no tables/claims.json" in render(compare(a, b))
    write_ledger(b, C03="supported", C04="inconclusive", C06="supported")
    comparison = compare(a, b)
    assert [(each.id, each.a, each.b, each.opposite) for each in comparison.verdict_changes] == [
        ("C04", "supported on photos", "inconclusive on photos", False),
        ("C05", "inconclusive on photos", None, False),
        ("C06", None, "supported on photos", False),
    ]
    assert comparison.verdict == "bit-identical"
    assert "ledger: C05 on photos: inconclusive on photos in A, no row in B" in render(comparison)
    write_ledger(b, C03="contradicted", C04="supported", C05="inconclusive")
    assert render(compare(a, b)).splitlines()[0] == "different: C03 on photos"


def test_what_made_the_folders_is_told_where_it_differs(pair):
    a, b = pair
    record = json.loads((b.folder / RUN / "record.json").read_text(encoding="utf-8"))
    made_by = record["provenance"] | {"torch": "2.15.0", "hardware": "Another CPU, 64 usable cores"}
    change(b.folder / RUN / "record.json", provenance=made_by)
    comparison = compare(a, b)
    assert comparison.made_by["torch"] == (["2.14.1"], ["2.14.1", "2.15.0"])
    text = render(comparison)
    assert "torch: 2.14.1 in A, 2.14.1 and 2.15.0 in B\nhardware: Some CPU, 2 usable cores in A, Another CPU" in text
    assert "commit" not in text


def test_an_altered_copy_of_one_commit_is_told(pair):
    a, b = pair
    record = json.loads((b.folder / RUN / "record.json").read_text(encoding="utf-8"))
    change(b.folder / RUN / "record.json", provenance=record["provenance"] | {"source_sha256": "ab" * 32})
    comparison = compare(a, b)
    assert comparison.made_by == {"source_sha256": ([], ["ab" * 32])}
    assert "source_sha256: not said in A, abababababab in B" in render(comparison)


def refusal(a: Path, b: Path) -> str:
    with pytest.raises(RecordError) as caught:
        compare_folders(a, b)
    return str(caught.value)


def test_a_folder_that_is_no_configurations_is_refused(pair, tmp_path):
    a, _ = pair
    words = "; name the results of a configuration, as in results/rehearsal"
    assert refusal(tmp_path / "none", a.folder) == f"{tmp_path / 'none'} is no folder{words}"
    assert refusal(a.folder, tmp_path) == f"{tmp_path} holds no experiments.json{words}"


@pytest.mark.parametrize("plan", ["[]", '{"name": "some"}', '{"name": "some", "experiments": [{"dataset": "photos"}]}'])
def test_a_plan_that_lists_nothing_is_refused(pair, plan):
    a, b = pair
    (b.folder / "experiments.json").write_text(plan, encoding="utf-8")
    assert refusal(a.folder, b.folder).startswith(f"{b.folder}/experiments.json is no list of experiments")


@pytest.mark.parametrize("path", [f"{RUN}/record.json", f"{PREDICTIONS}/val.json", "tables/claims.json"])
def test_a_truncated_record_is_refused_by_name(pair, path):
    a, b = pair
    write_ledger(b, C03="supported")
    (b.folder / path).write_text((b.folder / path).read_text(encoding="utf-8")[:-9])
    assert refusal(a.folder, b.folder).startswith(f"{b.folder / path} is not JSON")


@pytest.mark.parametrize(
    ("path", "key", "words"),
    [
        (f"{RUN}/record.json", "weights_sha256", "the digest of its weights"),
        (f"{PREDICTIONS}/val.json", "weights_sha256", "the digest of its weights"),
        (f"{PREDICTIONS}/test.json", "errors", "its error by ten_crop"),
    ],
)
def test_a_record_that_lacks_something_is_refused(pair, path, key, words):
    a, b = pair
    change(b.folder / path, **{key: None})
    assert refusal(a.folder, b.folder).startswith(f"{b.folder / path} does not say {words}")


def test_folders_with_no_net_in_common_are_refused(tmp_path):
    a = make(tmp_path, "a", {0: WRONG})
    b = FakeResults(tmp_path / "b").add("one-gpu", {0: WRONG}, TABLES)
    assert refusal(a.folder, b.folder) == (
        f"{a.folder} and {b.folder} have no finished net in common: the first has cnn on photos, the second one-gpu on "
        "photos; let the missing runs finish, or compare folders of one configuration"
    )


def test_the_exit_code_is_the_answer(pair, tmp_path, capsys):
    a, b = pair
    folders = [str(a.folder), str(b.folder)]
    assert cli.main(["compare", *folders]) == 0
    assert capsys.readouterr().out.startswith("bit-identical: ")
    other = make(tmp_path, "other", dict.fromkeys(range(5), ALL_WRONG))
    assert cli.main(["compare", folders[0], str(other.folder)]) == 1
    assert capsys.readouterr().out.startswith("different: cnn on photos (4 of 4 errors)")
    assert cli.main(["compare", folders[0], str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err[:6]) == ("", "error:")


def test_the_answer_as_json(tmp_path, capsys):
    a = make(tmp_path, "a", {0: WRONG, 1: {}}, {0: {}})
    b = make(tmp_path, "b", {0: WRONG, 1: {}}, {0: ALL_WRONG})
    assert cli.main(["compare", str(a.folder), str(b.folder), "--json"]) == 1
    values = json.loads(capsys.readouterr().out)
    assert (values["verdict"], values["agrees"], values["a"]) == ("different", False, str(a.folder))
    assert [(group["key"], group["verdict"]) for group in values["groups"]] == [
        ("cnn", "bit-identical"),
        ("one-gpu", "different"),
    ]
    assert values["groups"][0]["errors"][0] == {
        "dataset": "photos",
        "key": "cnn",
        "split": "val",
        "crops": "ten_crop",
        "a": [0.4, 0.0],
        "b": [0.4, 0.0],
        "images": [10, 10],
        "judgement": None,
    }
    judged = values["groups"][1]["errors"][0]["judgement"]
    assert (judged["difference"], judged["kind"]) == (-1.0, "images")
    assert np.isfinite([judged[key] for key in ("low", "high", "p", "p_holm", "visible")]).all()
