import numpy as np
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy import stats

from lasso_jobs.core.inference.cohorts import Estimate, components, estimate, standard_error

Floats = NDArray[np.float64]


def days(n_days: int = 40, spread: float = 1.0, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Values of rows that share their day's, of days of many sizes; weights; days."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 60, n_days)
    day = np.repeat(np.arange(n_days), sizes)
    values = 3 + rng.normal(0, spread, n_days)[day] + rng.normal(0, 2, len(day))
    return values, rng.uniform(0.5, 2, len(day)), day.astype(float)


def test_independent_rows_have_the_usual_standard_error() -> None:
    values, *_ = days()
    found = estimate(values, np.ones(len(values)))
    assert_allclose(found.mean, values.mean())
    assert_allclose(found.standard_error, stats.sem(values))
    assert (found.between, found.n_cohorts) == (0.0, len(values))
    assert_allclose(found.within, values.var(ddof=1))


@pytest.mark.parametrize("weighted", [False, True])
def test_cohorts_have_the_standard_error_of_a_cluster_robust_regression(weighted: bool) -> None:
    values, weights, day = days()
    weights = weights if weighted else np.ones(len(values))
    regression = sm.WLS(values, np.ones(len(values)), weights)
    oracle = regression.fit(
        cov_type="cluster", cov_kwds={"groups": day.astype(int), "df_correction": True}
    )
    found = estimate(values, weights, day)
    assert_allclose(found.mean, oracle.params[0])
    assert_allclose(found.standard_error, oracle.bse[0], rtol=1e-10)


def test_a_sample_of_the_rows_estimates_the_standard_error_of_all() -> None:
    """Free of bias: over many samples, the mean of the variances is that of all rows."""
    values, weights, day = days(seed=3)
    mean, rng, share = float(values @ weights / weights.sum()), np.random.default_rng(1), 0.3
    n_cohorts = len(np.unique(day))
    z = weights * (values - mean)
    every = (np.bincount(day.astype(int), z) ** 2).sum() / weights.sum() ** 2
    every *= n_cohorts / (n_cohorts - 1)
    found = []
    for _ in range(3000):
        rows = rng.random(len(values)) < share
        error = standard_error(
            z[rows], float(weights[rows].sum()), day[rows].astype(np.intp), share
        )
        found.append((error or 0.0) ** 2)
    assert_allclose(np.mean(found), every, rtol=0.05)


def test_it_is_never_below_that_of_independent_rows() -> None:
    values = np.tile([1.0, -1.0], 50)  # each cohort's sum is zero
    cohorts = np.repeat(np.arange(50.0), 2)
    found = estimate(values, np.ones(100), cohorts)
    assert_allclose(found.standard_error, np.sqrt((values @ values) * 50 / 49) / 100)


@pytest.mark.parametrize("cohorts", [np.zeros(5), None])
def test_one_cohort_has_no_standard_error(cohorts: Floats | None) -> None:
    values = np.arange(5.0) if cohorts is not None else np.array([2.0])
    found = estimate(values, np.ones(len(values)), cohorts)
    assert found.standard_error is None
    assert not found.positive


def test_the_components_of_the_variance_are_found() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.integers(5, 40, 2000)
    day = np.repeat(np.arange(2000), sizes)
    values = rng.normal(0, 1.5, 2000)[day] + rng.normal(0, 2, len(day))
    between, within = components(values, day)
    assert_allclose([between, within], [1.5**2, 2**2], rtol=0.05)


def test_the_components_of_equal_sizes_are_those_of_the_analysis_of_variance() -> None:
    table = np.random.default_rng(2).normal(size=(6, 9)) + np.arange(6)[:, None]
    between, within = components(table.ravel(), np.repeat(np.arange(6), 9))
    assert_allclose(within, table.var(axis=1, ddof=1).mean())
    assert_allclose(between, table.mean(axis=1).var(ddof=1) - within / 9)


@pytest.mark.parametrize(("mean", "positive"), [(1.6, False), (1.9, True), (-3.0, False)])
def test_positive_is_more_than_a_one_sided_t_test_asks_for(mean: float, positive: bool) -> None:
    found = Estimate(mean, 1.0, 0.0, 1.0, 10)
    assert_allclose(found.limit, stats.t(9).ppf(0.95))
    assert found.positive is positive


def test_a_difference_without_noise_is_positive_and_none_is_not() -> None:
    assert Estimate(0.1, 0.0, 0.0, 0.0, 5).positive
    assert not Estimate(0.0, 0.0, 0.0, 0.0, 5).positive
