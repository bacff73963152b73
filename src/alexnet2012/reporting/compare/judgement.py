"""Errors of two folders tested against each other; the tests are scipy's and statsmodels'."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special, stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from alexnet2012.evaluation.statistics import CONFIDENCE, MANY_SEEDS
from alexnet2012.reporting.compare.errors import Errors

LEVEL = 1 - CONFIDENCE
POWER = 0.8  # the chance to find a true difference of the size that is called visible
SEEDS, SPREAD, IMAGES = "seeds", "spread", "images"


@dataclass(frozen=True)
class Judgement:
    """Mean error in A minus that in B with its 95 % interval (fractions), p before and after Holm's adjustment.

    `visible`: the true difference that this test finds four times in five, at the level that Holm asks of the smallest
    p. `kind`, SEEDS, SPREAD or IMAGES, and `samples`, in words: what the difference is measured by.
    """

    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    visible: float
    kind: str
    samples: str

    @property
    def different(self) -> bool:
        return self.p_holm < LEVEL


def judge(tested: list[Errors], known: list[Errors]) -> list[Judgement]:
    """A two-sided test of each of `tested`, and Holm over them; `known` are all errors of the folders, tested or not.

    Three seeds or more in both folders: Welch's t over seeds. Fewer: two proportions over images, and where `known`
    shows how far seeds lie apart, the difference against that spread too; the larger p counts, for a difference must
    pass both. Images alone do not do: of five seeds of the committed rehearsal, two differ so in half of all pairs.
    """
    if not tested:
        return []
    strictest = LEVEL / len(tested)  # Holm asks this of the smallest p
    tests = [judge_seeds(each, strictest) or judge_few(each, known, strictest) for each in tested]
    adjusted = multipletests([test["p"] for test in tests], alpha=LEVEL, method="holm")[1]
    return [Judgement(**test, p_holm=float(p)) for test, p in zip(tests, adjusted, strict=True)]


def judge_seeds(sample: Errors, level: float) -> dict | None:
    """None where seeds are too few, or do not vary at all: t would be infinite."""
    a, b = np.array(sample.a), np.array(sample.b)
    if min(len(a), len(b)) < MANY_SEEDS or np.ptp(a) == np.ptp(b) == 0:
        return None
    result = stats.ttest_ind(a, b, equal_var=False)
    interval = result.confidence_interval(CONFIDENCE)
    standard_error = math.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    return {
        "difference": float(a.mean() - b.mean()),
        "low": float(interval.low),
        "high": float(interval.high),
        "p": float(result.pvalue),
        "visible": visible_by_t(standard_error, float(result.df), level),
        "kind": SEEDS,
        "samples": f"{len(a)} and {len(b)} seeds",
    }


def judge_few(sample: Errors, known: list[Errors], level: float) -> dict:
    """The test with the larger p; only a difference that both can see is one that would be seen."""
    tests = [test for test in (judge_images(sample, level), judge_spread(sample, known, level)) if test is not None]
    decisive = max(tests, key=lambda test: test["p"])
    return decisive | {"visible": max(test["visible"] for test in tests)}


def judge_images(sample: Errors, level: float) -> dict:
    """Two proportions: the nets of a folder share their images, so that their mean error counts as one set of them."""
    means = np.array([np.mean(sample.a), np.mean(sample.b)])
    images = np.array(sample.images)
    wrong = means * images
    share = wrong.sum() / images.sum()
    constant = share in (0, 1)  # both nets all right, or both all wrong: z would be 0 / 0
    low, high = confint_proportions_2indep(wrong[0], images[0], wrong[1], images[1], compare="diff", alpha=LEVEL)
    standard_error = math.sqrt(share * (1 - share) * (1 / images).sum())
    return {
        "difference": float(means[0] - means[1]),
        "low": float(low),
        "high": float(high),
        "p": 1.0 if constant else float(proportions_ztest(wrong, images)[1]),
        "visible": float((stats.norm.ppf(1 - level / 2) + stats.norm.ppf(POWER)) * standard_error),
        "kind": IMAGES,
        "samples": f"{min(images):,} images",
    }


def judge_spread(sample: Errors, known: list[Errors], level: float) -> dict | None:
    """The difference against the seeds' standard deviation, pooled over all variants of this dataset, split and crops.

    None where fewer than two degrees of freedom, as three seeds of one variant give, say what it is.
    """
    alike = [each for each in known if (each.dataset, each.split, each.crops) == place_of(sample)]
    # Bit-identical nets are the same sample twice, so equal cells count once.
    cells = list(dict.fromkeys([sample.a, sample.b, *(cell for each in alike for cell in (each.a, each.b))]))
    values = np.concatenate(cells)
    freedom = len(values) - len(cells)
    if sample.a == sample.b or freedom < MANY_SEEDS - 1 or all(np.ptp(cell) == 0 for cell in cells):
        return None
    membership = np.repeat(np.eye(len(cells)), [len(cell) for cell in cells], axis=0)
    contrast = OLS(values, membership).fit().t_test(np.eye(len(cells))[0] - np.eye(len(cells))[1])
    low, high = contrast.conf_int(alpha=LEVEL)[0]
    return {
        "difference": float(contrast.effect[0]),
        "low": float(low),
        "high": float(high),
        "p": float(contrast.pvalue),
        "visible": visible_by_t(float(contrast.sd[0, 0]), float(freedom), level),
        "kind": SPREAD,
        "samples": f"spread of {len(values)} nets",
    }


def place_of(errors: Errors) -> tuple[str, str, str]:
    return errors.dataset, errors.split, errors.crops


def visible_by_t(standard_error: float, freedom: float, level: float) -> float:
    # Solved by scipy: statsmodels' solve_power stops early, in silence, at few degrees of freedom and small levels.
    noncentrality = special.nctdtrinc(freedom, 1 - POWER, stats.t.ppf(1 - level / 2, freedom))
    return float(noncentrality * standard_error)
