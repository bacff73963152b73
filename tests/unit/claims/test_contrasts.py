"""Synthetic ledgers of known effects, over 2,000 images: which nets share a spread, what the ledger says of them."""

import json

import numpy as np
import pytest
import yaml
from fake_results import FakeResults, change, render_ledger

from alexnet2012.claims.contrasts import contrast_errors, describe_spread, setup_of
from alexnet2012.claims.ledger import make_ledgers

IMAGES = 2000


@pytest.fixture
def photos(fake) -> FakeResults:
    fake.counts = {"train": 20_000, "val": 1000, "test": IMAGES}
    return fake


def add(fake: FakeResults, key: str, *counts: int, training=None) -> None:
    """A variant with so many of 2,000 test images wrong, seed by seed."""
    seeds = {seed: {("test", "ten_crop"): (count, 0)} for seed, count in enumerate(counts)}
    fake.add(key, seeds, ("in_text",), training=training)


def settings(fake: FakeResults, key: str, **sections) -> None:
    for path in fake.folder.glob(f"runs/photos/{key}-00000000/*"):
        (path / "config.yaml").write_text(yaml.safe_dump(sections), encoding="utf-8")


def contrast(fake: FakeResults, worse: str, better: str = "cnn"):
    results = fake.load()
    return contrast_errors(results, results.find("photos", worse), results.find("photos", better))


def rows(fake: FakeResults) -> dict:
    (ledger,) = make_ledgers(fake.load())
    return {row.id + row.reading: row for row in ledger.claims}


AROUND_800 = (798, 802, 799, 801, 800, 797, 803, 800, 798, 802)


def test_effects_of_every_kind_are_told_apart(photos):
    """Of 2,000: one-gpu 60 more (3 points), normalisation 60 fewer, no-colour as cnn, pool-2x2 2 points with few seeds.

    Seeds differ by 0.1 point. Half the paper's effect is 0.85, 0.7 and 0.5 points.
    """
    add(photos, "cnn", *AROUND_800)
    add(photos, "one-gpu", *(count + 60 for count in AROUND_800[:5]))
    add(photos, "no-lrn", *(count - 60 for count in AROUND_800[:5]))
    add(photos, "no-colour", *AROUND_800[:5])
    add(photos, "pool-2x2", 840)
    found = rows(photos)
    assert [found[name].colour for name in ("C04", "C05alpha as printed", "C07", "C06")] == [
        *("supported", "contradicted", "no effect", "indicative"),
    ]
    assert found["C07"].verdict.startswith("no effect above 0.5 points on photos")
    assert found["C07"].p_holm > 0.5 and found["C07"].p_equivalence < 0.05
    assert found["C04"].family == "seeds" and found["C06"].family == "images"
    assert "seeds 0-4 against 0-9" in found["C04"].conditions and "seeds 0 against 0-9" in found["C06"].conditions


def test_an_effect_below_the_spread_of_seeds_stays_open(photos):
    """Seeds differ by 2 points, no-colour by 0.5."""
    wide = np.array([-40, 40, 0, -30, 30])
    add(photos, "cnn", *(800 + wide))
    add(photos, "no-colour", *(810 + wide))
    row = rows(photos)["C07"]
    assert row.colour == "inconclusive" and "found four times in five" in row.note


def test_all_variants_share_one_spread(photos):
    """Residuals 2, 1 and 1 (twice 10 images): 6 x 100 over 2,000 and 4 + 2 + 2 degrees of freedom."""
    for key, counts in {"cnn": (780, 790, 800, 810, 820), "no-lrn": (800, 810, 820), "tanh": (400, 410, 420)}.items():
        add(photos, key, *counts)
    spread = contrast(photos, "no-lrn").shared.spread
    squares = (20**2 + 10**2) * 2 + 10**2 * 2 + 10**2 * 2
    assert (spread.freedom, spread.groups, spread.pooled) == (8, 3, True)
    assert spread.deviation == pytest.approx((squares / 8) ** 0.5 / IMAGES)


@pytest.mark.parametrize(
    "training",
    [
        {"schedule": '{"kind":"fixed","epochs":[6,2]}'},
        {"recipe": "code2012"},
        {"starts_from": {"variant": "cnn"}},
        {"kind": "baseline"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_nets_that_were_trained_otherwise_are_left_out(photos, training):
    for key in ("cnn", "no-lrn"):
        add(photos, key, 780, 800, 820)
    add(photos, "no-crops", 500, 800, 1100, training=training)
    assert contrast(photos, "no-lrn").shared.spread.groups == 2
    assert contrast(photos, "no-crops").shared is None
    assert contrast(photos, "no-crops").estimate.method.startswith("Welch's t over 3 and 3 seeds")


@pytest.mark.parametrize("sections", [{"net": {"kind": "layers"}}, {"training": {"batch_size": 64}}])
def test_other_kinds_of_nets_and_other_batches_are_left_out(photos, sections):
    for key in ("cnn", "no-lrn", "four-layer-relu"):
        add(photos, key, 780, 800, 820)
        settings(photos, key, **{"net": {"kind": "alexnet"}, "training": {"batch_size": 128}})
    settings(photos, "four-layer-relu", **({"net": {"kind": "alexnet"}, "training": {"batch_size": 128}} | sections))
    assert contrast(photos, "no-lrn").shared.spread.groups == 2


def test_averages_and_other_datasets_are_left_out(photos):
    for key in ("cnn", "no-lrn"):
        add(photos, key, 780, 800, 820)
    photos.average("5-cnns", {("test", "ten_crop"): (700, 0)}, ("table2",))
    photos.add("cnn", {0: {}, 1: {}, 2: {}}, ("in_text",), dataset="others")
    assert contrast(photos, "no-lrn").shared.spread.groups == 2
    (average,) = photos.load().find("photos", "5-cnns").nets
    assert setup_of(average) is None


def test_unequal_spreads_are_not_pooled(photos):
    """no-crops varies 50 times as much as the others: Bartlett's test tells, and Welch's is used, as the foot says."""
    for key in ("cnn", "no-lrn", "no-colour"):
        add(photos, key, 798, 802, 799, 801, 800)
    add(photos, "no-crops", 700, 900, 750, 850, 800)
    found = contrast(photos, "no-lrn")
    assert not found.shared.spread.pooled and found.shared.spread.bartlett_p < 0.05
    assert found.estimate.method.startswith("Welch's t over 5 and 5 seeds")
    assert "Welch" in describe_spread(found.shared)
    results = photos.load()
    text = render_ledger(results)
    assert text.count(describe_spread(found.shared)) == 1


def test_seeds_of_one_variant_that_were_trained_otherwise_are_no_part_of_the_spread(photos):
    for key in ("cnn", "no-lrn"):
        add(photos, key, 780, 800, 820, 1000)
    add(photos, "no-colour", 780, 800, 820, 2000)
    change(photos.folder / "runs/photos/no-colour-00000000/seed3/record.json", schedule="another")
    assert contrast(photos, "no-lrn").shared.spread.freedom == 3 + 3 + 2
    assert contrast(photos, "no-colour").shared is None


def test_an_exploratory_ledger_says_so_at_its_head(photos):
    add(photos, "cnn", 800)
    assert "exploratory" not in render_ledger(photos.load())
    path = photos.folder / "experiments.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"exploratory": "Rules came after data."}))
    results = photos.load()
    text = render_ledger(results)
    assert text.index("exploratory") < text.index("Rules came after data.") < text.index("**C03**")
