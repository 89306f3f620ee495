from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy import stats

from lasso_jobs.core.inference.cohorts import (
    Estimate,
    components,
    degrees_of_freedom,
    estimate,
    standard_error,
)

Floats = NDArray[np.float64]


def days(n_days: int = 40, spread: float = 1.0, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Values of rows that share their day's, of days of many sizes; weights; days."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 60, n_days)
    day = np.repeat(np.arange(n_days), sizes)
    values = 3 + rng.normal(0, spread, n_days)[day] + rng.normal(0, 2, len(day))
    return values, rng.uniform(0.5, 2, len(day)), day.astype(float)


def known(mean: float, error: float, n_cohorts: int) -> Estimate:
    """An estimate of a model from before there were degrees of freedom."""
    return Estimate(mean=mean, standard_error=error, between=0.0, within=0.0, n_cohorts=n_cohorts)


def test_independent_rows_have_the_usual_standard_error() -> None:
    values, *_ = days()
    found = estimate(values, np.ones(len(values)))
    assert_allclose(found.mean, values.mean())
    assert_allclose(found.standard_error, stats.sem(values))
    assert (found.between, found.n_cohorts) == (0.0, len(values))
    assert_allclose(found.within, values.var(ddof=1))


def test_cohorts_of_equal_sizes_have_the_error_of_a_cluster_robust_regression() -> None:
    values = np.random.default_rng(0).normal(size=300) + np.repeat(np.arange(30.0) % 4, 10)
    day = np.repeat(np.arange(30.0), 10)
    oracle = sm.OLS(values, np.ones(300)).fit(
        cov_type="cluster", cov_kwds={"groups": day.astype(int)}
    )
    found = estimate(values, np.ones(300), day)
    assert_allclose(found.mean, oracle.params[0])
    # statsmodels has CR1, G / (G - 1) times CR0, which for equal cohorts is CR2.
    assert_allclose(found.standard_error, oracle.bse[0], rtol=1e-10)
    assert_allclose(found.freedom, 29)


def cr2(
    values: Floats, weights: Floats, day: Floats, covariance: Floats
) -> tuple[float, float, float]:
    """Mean, CR2 error and Satterthwaite's degrees of freedom, by matrices of all rows.

    As Pustejovsky & Tipton (2018, equations 5 and 10) have them, for a weighted regression on
    nothing but an intercept, whose working model is that rows vary as 1 / weight.
    """
    n = len(values)
    X, W, phi = np.ones((n, 1)), np.diag(weights), np.diag(1 / weights)
    M = np.linalg.inv(X.T @ W @ X)
    H = np.eye(n) - X @ M @ X.T @ W
    scatter, G, residuals = 0.0, [], H @ values
    for each in np.unique(day):
        own = day == each
        B = H[own] @ phi @ H[own].T
        root = np.diag(np.sqrt(weights[own]))
        roots, vectors = np.linalg.eigh(root @ B @ root)
        inverse = vectors @ np.diag(np.where(roots > 1e-12, roots, np.inf) ** -0.5) @ vectors.T
        A = np.linalg.inv(root) @ inverse @ root
        assert_allclose(A @ B @ A.T, phi[np.ix_(own, own)], atol=1e-10)
        row = (M @ X[own].T @ W[np.ix_(own, own)] @ A @ H[own]).ravel()
        scatter += float(row @ values) ** 2
        G.append(row)
    assert_allclose(np.array(G).sum(axis=1), 0, atol=1e-10)
    C = np.array(G) @ covariance @ np.array(G).T
    mean = float((values - residuals)[0])
    return mean, float(np.sqrt(scatter)), float(np.trace(C) ** 2 / np.trace(C @ C))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("between", "within"), [(0.0, 1.0), (0.7, 2.0), (3.0, 0.1)])
def test_error_and_degrees_of_freedom_are_those_of_the_matrices(
    weighted: bool, between: float, within: float
) -> None:
    values, weights, day = days(n_days=7, seed=5)
    weights = weights if weighted else np.ones(len(values))
    alike = day[:, None] == day
    covariance = within * np.eye(len(values)) + between * alike
    mean, error, freedom = cr2(values, weights, day, covariance)
    found = estimate(values, weights, day)
    assert_allclose([found.mean, found.standard_error], [mean, error], rtol=1e-10)
    index = day.astype(np.intp)
    assert_allclose(degrees_of_freedom(weights, index, between, within), freedom, rtol=1e-9)
    assert found.degrees == degrees_of_freedom(weights, index, *components(values, index))
    assert freedom < 6


@pytest.mark.parametrize("n_cohorts", [2, 3, 50])
def test_equal_cohorts_have_one_degree_of_freedom_less(n_cohorts: int) -> None:
    index = np.repeat(np.arange(n_cohorts), 4)
    for between, within in ((0.0, 1.0), (5.0, 1.0), (0.0, 0.0), (np.inf, 1.0)):
        found = degrees_of_freedom(np.full(len(index), 2.5), index, between, within)
        assert_allclose(found, n_cohorts - 1)


def test_rows_without_weight_are_no_cohorts() -> None:
    values, weights, day = days(n_days=5)
    more = np.append(values, [1e6, -1e6]), np.append(weights, [0, 0]), np.append(day, [5, 0])
    assert estimate(*more) == estimate(values, weights, day)


def test_a_cohort_that_has_nearly_all_the_weight_is_no_division_by_zero() -> None:
    found = estimate(np.arange(4.0), np.array([1e300, 1.0, 1.0, 1.0]), np.arange(4.0) // 2)
    assert found.standard_error is not None
    assert np.isfinite([found.standard_error, found.freedom]).all()
    assert not found.positive


def test_a_sample_of_the_rows_estimates_the_standard_error_of_all() -> None:
    """Free of bias: over many samples, the mean of the variances is that of all rows."""
    values, weights, day = days(seed=3)
    mean, rng, share = float(values @ weights / weights.sum()), np.random.default_rng(1), 0.3
    z = weights * (values - mean)
    index = day.astype(np.intp)
    every = standard_error(z, weights, index) ** 2
    found = []
    for _ in range(3000):
        rows = rng.random(len(values)) < share
        error = standard_error(z[rows], weights[rows], index[rows], share)
        found.append(error**2)
    assert_allclose(np.mean(found), every, rtol=0.05)


def test_it_is_never_below_that_of_independent_rows() -> None:
    values = np.tile([1.0, -1.0], 50)  # each cohort's sum is zero
    cohorts = np.repeat(np.arange(50.0), 2)
    found = estimate(values, np.ones(100), cohorts)
    assert_allclose(found.standard_error, np.sqrt((values @ values) * 100 / 99) / 100)


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
    found = known(mean, 1.0, 10)
    assert_allclose(found.limit, stats.t(9).ppf(0.95))
    assert found.positive is positive


def test_degrees_of_freedom_decide_the_limit_where_they_are_known() -> None:
    found = replace(known(1.0, 1.0, 10), degrees=3.5)
    assert_allclose(found.limit, stats.t(3.5).ppf(0.95))


def test_a_difference_without_noise_is_positive_and_none_is_not() -> None:
    assert known(0.1, 0.0, 5).positive
    assert not known(0.0, 0.0, 5).positive
