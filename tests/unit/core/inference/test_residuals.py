"""Statistics of residuals against scipy, statsmodels and brute force."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import f_oneway
from statsmodels.stats.diagnostic import het_breuschpagan
from statsmodels.stats.outliers_influence import variance_inflation_factor

from lasso_jobs.core.inference import residuals as r

RNG = np.random.default_rng(5)
N = 2000
X = RNG.normal(size=N)


def groups_of(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    edges = [np.sort(x)[k * len(x) // 10] for k in range(1, 10)]
    place = [sum(value >= edge for edge in edges) for value in x]
    return [y[np.array(place) == k] for k in range(10)]


def test_bins_hold_equal_shares_and_their_own_means() -> None:
    y = X**2 + RNG.normal(size=N)
    bins, groups = r.binned(X, y), groups_of(X, y)
    assert bins.n.tolist() == [200] * 10
    assert_allclose(bins.y, [g.mean() for g in groups], rtol=1e-12)
    assert_allclose(bins.deviation, [g.std(ddof=1) for g in groups], rtol=1e-12)
    assert np.all(np.diff(bins.x) > 0)


def test_equal_values_share_a_bin_and_single_rows_are_left_out() -> None:
    assert r.binned(np.repeat([1.0, 2.0], 50), np.arange(100.0)).n.tolist() == [50, 50]
    assert r.binned(np.ones(50), np.arange(50.0)).n.tolist() == [50]
    assert len(r.binned(np.array([3.0]), np.array([1.0])).n) == 0


def test_the_share_of_a_curve_is_omega_squared() -> None:
    y = 0.2 * X**2 + RNG.normal(size=N)
    share, p_value = r.curve_share(r.binned(X, y))
    groups = groups_of(X, y)
    f, p = f_oneway(*groups)
    assert_allclose(p_value, p, rtol=1e-9)
    assert_allclose(share, 9 * (f - 1) / (9 * (f - 1) + N), rtol=1e-9)  # its other form
    noise = [r.curve_share(r.binned(X, RNG.normal(size=N)))[0] for _ in range(20)]
    assert np.mean(noise) < 0.003


@pytest.mark.parametrize("y", [np.zeros(100), np.repeat([0.0, 1.0], 50)])
def test_a_curve_without_noise(y: np.ndarray) -> None:
    share, p_value = r.curve_share(r.binned(np.arange(100.0), y))
    assert (share, p_value) == ((1.0, 0.0) if y.any() else (0.0, 1.0))
    assert r.curve_share(r.binned(np.ones(9), np.arange(9.0))) == (0.0, 1.0)


def test_what_a_line_leaves_is_polyfits() -> None:
    x, y = 2 * X[:500] + 1e3, X[500:1000]
    expected = y - np.polyval(np.polyfit(x - 1e3, y, 1), x - 1e3)
    assert_allclose(r.without_line(x, y), expected, atol=1e-11)
    np.testing.assert_array_equal(r.without_line(x, 3 - 2 * x), np.zeros(500))
    assert_allclose(r.without_line(np.ones(500), y), y - y.mean())


def test_breusch_pagan_is_that_of_statsmodels() -> None:
    residuals = RNG.normal(size=N) * (1 + 0.3 * np.abs(X))
    lm, p_value, *_ = het_breuschpagan(residuals, np.column_stack([np.ones(N), X]))
    assert_allclose(r.breusch_pagan(residuals, X), (lm, p_value), rtol=1e-9)
    assert r.breusch_pagan(np.zeros(5), X[:5]) == (0.0, 1.0)


def test_inflation_is_that_of_statsmodels() -> None:
    columns = np.column_stack([X, X + RNG.normal(size=N), RNG.normal(size=(N, 2))])
    with_constant = np.column_stack([np.ones(N), columns])
    expected = [variance_inflation_factor(with_constant, j) for j in range(1, 5)]
    assert_allclose(r.inflation(np.corrcoef(columns.T)), expected, rtol=1e-9)
    assert np.isinf(r.inflation(np.ones((2, 2)))).all()
    assert len(r.inflation(np.empty((0, 0)))) == 0


def test_tail_share() -> None:
    residuals = np.append(np.ones(198), [-10.0, 10.0])
    assert r.tail_share(residuals) == 200 / 398
    assert r.tail_share(np.zeros(5)) == 0.0
    assert r.tail_share(RNG.normal(size=200_000)) == pytest.approx(0.084, abs=0.003)


def test_the_design_effect_is_one_plus_the_intraclass_correlation_times_the_others() -> None:
    size, rho, n_groups = 20, 0.3, 3000
    shared = RNG.normal(size=n_groups) * np.sqrt(rho)
    rows = shared[:, None] + RNG.normal(size=(n_groups, size)) * np.sqrt(1 - rho)
    weight = np.full(n_groups, float(size))
    found = r.design_effect(rows.mean(axis=1), weight, float(rows.var()))
    assert found == pytest.approx(1 + (size - 1) * rho, rel=0.08)
    independent = RNG.normal(size=(n_groups, size))
    found = r.design_effect(independent.mean(axis=1), weight, float(independent.var()))
    assert found == pytest.approx(1, rel=0.08)
    assert r.design_effect(np.zeros(3), np.ones(3), 0.0) == 1.0
