from dataclasses import replace
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics

from lasso_jobs.core.drift.outcomes import (
    Expectation,
    Tally,
    Tolerance,
    judge_errors,
    merge,
    tally_rows,
)
from lasso_jobs.core.inference.cohorts import Estimate

Floats = NDArray[np.float64]


def rows(n: int, seed: int = 0, unknown: float = 0.2) -> tuple[Floats, Floats, Floats, Floats]:
    rng = np.random.default_rng(seed)
    prediction = rng.normal(50, 10, n)
    outcome = prediction + rng.normal(1, 5, n)
    outcome[rng.random(n) < unknown] = np.nan
    return prediction, prediction - 8, prediction + 8, outcome


def numbers(tally: Tally) -> list[float]:
    names = ("n_scored", "n_known", "known_share", "mse", "rmse", "mae", "r2", "bias", "coverage")
    return [getattr(tally, name) for name in names]


def test_the_errors_are_those_of_scikit_learn() -> None:
    prediction, low, high, outcome = rows(500)
    known = ~np.isnan(outcome)
    y, p = outcome[known], prediction[known]
    expected = [
        *(500, known.sum(), known.mean()),
        *(metrics.mean_squared_error(y, p), metrics.root_mean_squared_error(y, p)),
        *(metrics.mean_absolute_error(y, p), metrics.r2_score(y, p), np.mean(p - y)),
        np.mean((low[known] <= y) & (y <= high[known])),
    ]
    assert_allclose(numbers(tally_rows(prediction, low, high, outcome)), expected, rtol=1e-12)


@given(st.lists(st.integers(0, 120), max_size=6), st.sampled_from([0.0, 0.5, 1.0]))
def test_tallies_of_parts_merge_to_that_of_all(cuts: list[int], unknown: float) -> None:
    values = rows(120, unknown=unknown)
    parts = zip(*(np.split(v, sorted(cuts)) for v in values), strict=True)
    merged = reduce(merge, (tally_rows(*part) for part in parts))
    assert_allclose(numbers(merged), numbers(tally_rows(*values)), rtol=1e-11)


def test_nothing_known_has_no_errors() -> None:
    tally = tally_rows(*rows(10, unknown=1.0))
    assert (tally.n_scored, tally.n_known, tally.known_share) == (10, 0, 0.0)
    assert np.isnan([tally.mse, tally.mae, tally.r2, tally.bias, tally.coverage]).all()


def test_constant_outcomes_have_no_r2_and_missing_intervals_no_coverage() -> None:
    three, nan = np.arange(3.0), np.full(3, np.nan)
    tally = tally_rows(three, nan, nan, np.ones(3))
    assert np.isnan([tally.r2, tally.coverage]).all()
    assert_allclose([tally.mse, tally.bias], [2 / 3, 0.0], atol=1e-15)


# The verdict. The hold-out: RMSE 10, no bias, coverage 0.9, of days whose spread is known well.


def _estimate(mean: float, error: float, between: float, within: float) -> Estimate:
    return Estimate(
        mean=mean,
        standard_error=error,
        between=between,
        within=within,
        n_cohorts=40,
        degrees=1e9,
    )


EXPECTED = Expectation(
    squared_error=_estimate(100.0, 2.0, 25.0, 20_000.0),
    error=_estimate(0.0, 0.2, 1.0, 100.0),
    absolute_error=_estimate(8.0, 0.1, 1.0, 36.0),
    covered=_estimate(0.9, 0.005, 0.0004, 0.09),
    n_sampled=40_000,
)
TOLERANCE = Tolerance(rmse=0.1, bias=0.25, coverage=0.05)


def judged(
    tally: Tally, expected: Expectation = EXPECTED, by_period: bool = True
) -> tuple[str, str]:
    return judge_errors(tally, expected, TOLERANCE, by_period=by_period, min_rows=100)


def measured(n: int = 1000, mse: float = 100.0, bias: float = 0.0, coverage: float = 0.9) -> Tally:
    return Tally(n, n, np.array([bias, mse, 8.0, coverage, 50.0]), np.ones(5))


def error(by_day: float, by_row: float, se: float, n: int = 1000) -> float:
    return float(np.sqrt(by_day + by_row / n + se**2))


MSE_ERROR, BIAS_ERROR, COVERAGE_ERROR = (
    error(25, 20_000, 2, n=200),
    error(1, 100, 0.2),
    error(0.0004, 0.09, 0.005),
)


@pytest.mark.parametrize(
    ("tally", "verdict", "words"),
    [
        (measured(), "ok", "as expected: RMSE 10 where 10 was expected"),
        (measured(mse=60.0, coverage=1.0), "ok", "as expected"),  # better is not worse
        (measured(mse=120.9), "ok", "as expected"),  # does not matter
        (measured(n=200, mse=100 + 2.99 * MSE_ERROR), "watch", "RMSE"),
        (measured(n=200, mse=100 + 3.01 * MSE_ERROR), "alarm", "RMSE 11.58 where 10 was expected"),
        (measured(bias=2.4), "ok", "as expected"),
        (measured(bias=2.99 * BIAS_ERROR), "watch", "bias 3.192 where 0"),
        (measured(bias=-3.01 * BIAS_ERROR), "alarm", "bias -3.21"),
        (measured(coverage=0.9 - 2.5 * COVERAGE_ERROR), "watch", "coverage 8"),
        (measured(coverage=0.9 - 3.1 * COVERAGE_ERROR), "alarm", "where 90.0% was expected"),
        (measured(n=99, mse=900.0), "unknown", "not judged: 99 outcomes are known, fewer than 100"),
        (measured(mse=400.0, bias=3.0), "alarm", "; bias 3 where 0"),
        (measured(coverage=float("nan")), "ok", "as expected"),
    ],
)
def test_a_difference_has_to_matter_and_to_be_certain(
    tally: Tally, verdict: str, words: str
) -> None:
    found, reason = judged(tally)
    assert (found, words in reason) == (verdict, True), reason


def test_days_that_differ_by_themselves_are_no_alarm() -> None:
    """The rows of a day share its weather: with independent rows, the same bias is an alarm."""
    tally = measured(n=10_000, bias=2.6)
    assert judged(tally)[0] == "watch"
    assert judged(tally, by_period=False)[0] == "alarm"


@pytest.mark.parametrize("degrees", [4.5, 39.0])
@pytest.mark.parametrize(("normal", "low", "high"), [(2.0, "ok", "watch"), (3.0, "watch", "alarm")])
def test_few_days_ask_for_as_many_errors_as_are_equally_rare(
    degrees: float, normal: float, low: str, high: str
) -> None:
    estimate = replace(EXPECTED.error, between=9.0, degrees=degrees)
    by_days = 9.0 + 0.2**2
    # Welch: the 100 / 1000 of the rows is known, and has no part in the uncertainty.
    freedom = degrees * ((by_days + 0.1) / by_days) ** 2
    limit = stats.t(freedom).ppf(stats.norm.cdf(normal)) * np.sqrt(by_days + 0.1)
    expected = replace(EXPECTED, error=estimate)
    assert judged(measured(bias=limit * 0.999), expected)[0] == low
    assert judged(measured(bias=limit * 1.001), expected)[0] == high


def test_one_outlier_is_no_alarm() -> None:
    rng, prediction = np.random.default_rng(0), np.zeros(1000)
    outcome = rng.normal(0, 10, 1000)
    outcome[0] = 400.0
    tally = tally_rows(prediction, prediction - 16.4, prediction + 16.4, outcome)
    assert tally.rmse > 15
    assert judged(tally)[0] == "ok"


def test_innocent_days_are_no_alarms() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(1000):
        bias = rng.normal(0, 1) + rng.normal(0, 10 / np.sqrt(1000))
        mse = 100 + rng.normal(0, 5) + rng.normal(0, np.sqrt(20))
        alarms += judged(measured(mse=mse, bias=bias))[0] == "alarm"
    assert alarms <= 10


def test_a_hold_out_of_one_group_judges_nothing() -> None:
    unknown = replace(EXPECTED.error, standard_error=None)
    verdict, reason = judged(measured(bias=100.0), replace(EXPECTED, error=unknown))
    assert (verdict, reason[:10]) == ("unknown", "not judged")
