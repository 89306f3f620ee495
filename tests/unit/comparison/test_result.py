"""Whether a non-linear model earns its keep: by how much, and how surely, it is better."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from lasso_jobs.comparison.paired import PairedDifference
from lasso_jobs.comparison.result import Comparison, FamilyResult, Refit
from lasso_jobs.core.fit.choice import CrossValidation
from lasso_jobs.jobs.train import TrainJob

VALUES = {"name": "a", "data": {"path": "a"}, "target": "y", "compare": {"min_gain": 0.02}}
JOB = TrainJob.from_values(VALUES)
CURVE = CrossValidation(
    l1_ratios=np.ones(1),
    gammas=np.ones(1),
    alphas=np.full(1, 0.5),
    fold_mse=np.array([[90.0], [110.0]]),
    fold_weight=np.ones(2),
    n_nonzero=np.ones(1, np.int64),
    rule="min",
    fold_means="size",
    n_left_out=0,
    worst_dual_gap=0.0,
    worst_kkt=0.0,
    converged=True,
    worst_sse_bound=0.0,
)


def row(family: str, mse: float, se: float = 0.0, linear: bool = False) -> FamilyResult:
    fold_mse = np.array([mse - 10, mse + 10])
    return FamilyResult(
        family=family,
        settings=3,
        params={"a": 0.25},
        fold_mse=fold_mse,
        mse=mse,
        mse_se=10,
        paired=PairedDifference(mse - 100, se, 10),
        refit=Refit(0.5, 2000, linear),
        importance={"x": PairedDifference(mse / 2, 1.0, 2)},
    )


LASSO = row("lasso", 100.0, linear=True)


def comparison(*rows: FamilyResult) -> Comparison:
    return Comparison(
        job=JOB,
        sample_rows=50,
        n_rows=80,
        sample_bytes=800,
        all_rows=CURVE,
        families=(LASSO, *rows),
        test_to_train=0.25,
        seconds={"total": 1.0},
        bytes_read=10,
    )


def test_clearly_better_earns_its_keep_and_has_a_price() -> None:
    # 36 / 19.63 is the 95 % quantile of Student's t with nine degrees of freedom, 1.833.
    found = comparison(row("forest", 64.0, 19.63), row("trees", 70.0, 1.0)).conclusion()
    assert (found.best, found.earns_its_keep) == ("forest", True)
    assert "forest has an RMSE of 8, 20.0 % below the LASSO's 10 on the same rows" in found.text
    assert "(MSE -36, corrected standard error 20, p 0.1)" in found.text
    assert "standard error 599, p" in comparison(row("forest", 64.0, 599.1)).conclusion().text
    assert "It costs 2,000 bytes instead of 2,000, and 0.5 s instead of 0.5 s" in found.text
    assert "one read of all rows, and coefficients" in found.text


@pytest.mark.parametrize(
    ("mse", "se", "why"),
    [
        (64.0, 19.65, "which chance may explain: one-sided, p is 0.05."),
        (64.0, 36.0, "which chance may explain: one-sided, p is 0.17."),
        (96.05, 0.1, "less than the 2 % that would be worth it."),
        (121.0, 1.0, "10.0 % above the LASSO's 10 on the same rows and folds (MSE +21, "),
        (100.0, 0.0, "0.0 % above the LASSO's 10"),
    ],
)
def test_no_better_by_enough_or_not_surely_does_not(mse: float, se: float, why: str) -> None:
    found = comparison(row("forest", mse, se)).conclusion()
    assert (found.best, found.earns_its_keep) == ("forest", False)
    assert found.text.startswith("A non-linear model does not earn its keep: forest, the best, has")
    assert why in found.text


def test_the_least_gain_that_is_worth_it_is_enough() -> None:
    assert comparison(row("forest", 96.03, 0.1)).conclusion().earns_its_keep


def test_a_linear_family_is_no_candidate() -> None:
    found = comparison(row("ridge", 4.0, 0.1, linear=True)).conclusion()
    assert (found.best, found.text) == (None, "No non-linear model was searched.")


def test_others_are_judged_by_the_lasso_of_the_least_error() -> None:
    least = replace(LASSO, family="lasso (min)", mse=64.0)
    other = replace(row("forest", 81.0), paired=PairedDifference(17.0, 1.0, 10))
    found = comparison(least, other).conclusion()
    assert not found.earns_its_keep
    assert "12.5 % above the LASSO's 8" in found.text


def test_a_perfect_lasso_cannot_be_beaten() -> None:
    exact = replace(LASSO, mse=0.0)
    other = replace(row("forest", 1.0), paired=PairedDifference(1.0, 0.1, 10))
    found = replace(comparison(), families=(exact, other)).conclusion()
    assert not found.earns_its_keep
    assert "forest, the best, has an RMSE of 1, " in found.text


def test_plain_values_have_the_error_on_all_rows_beside_the_sample() -> None:
    found = comparison(row("forest", 64.0, 1.0))
    values = found.as_values()
    assert (values["sample_rows"], values["rows_in_folds"], values["folds"]) == (50, 80, 2)
    assert values["all_rows"]["mse"] == 100.0
    assert values["all_rows"]["rmse"] == sqrt(100.0)
    assert values["all_rows"]["mse_se"] == pytest.approx(10.0)
    assert values["families"][1]["fold_mse"] == [54.0, 74.0]
    assert values["families"][1]["fits"] == 6
    assert values["families"][1]["difference_p"] < 1e-9
    assert values["families"][1]["importance"] == {"x": {"mse_rise": 32.0, "standard_error": 1.0}}
    assert values["test_to_train"] == 0.25
    assert (
        values["budget"]
        == found.in_words()["budget"]
        == ("3 settings x 2 fits: forest; 3 alphas of one path in each fit: the LASSO")
    )
    assert found.importances() == [{"feature": "x", "lasso": 0.5, "forest": 0.5}]
    assert [row.in_words()["family"] for row in found.families] == ["lasso", "forest"]
    assert found.families[1].in_words()["best"] == "a 0.25"
    assert found.in_words()["folds"] == "2, those of the training"
    twice = replace(found, job=TrainJob.from_values({**VALUES, "search": {"repeats": 2}}))
    assert twice.in_words()["folds"] == "1, 2 times, those of the training"
    assert (twice.as_values()["folds"], twice.as_values()["repeats"]) == (1, 2)
    assert found.in_words()["rows"] == "50 of 80 in folds, 800 bytes in memory"
    assert replace(found, sample_rows=80).in_words()["rows"].startswith("all 80 in folds")
