"""Statistics of residuals against scipy, statsmodels and brute force."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import f as f_distribution
from scipy.stats import f_oneway, levene
from statsmodels.api import OLS
from statsmodels.stats.diagnostic import het_breuschpagan

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


@pytest.mark.parametrize("noise", ["normal", "heavy"])
def test_brown_forsythe_is_that_of_scipy(noise: str) -> None:
    y = RNG.normal(size=N) if noise == "normal" else RNG.standard_t(3, N)
    place = r.bin_of(X)
    expected = levene(*(y[place == k] for k in range(10)), center="median").pvalue
    assert r.brown_forsythe(place, y) == pytest.approx(expected, rel=1e-9)
    assert r.brown_forsythe(place * 7, y * (1 + place)) < 1e-9


def test_a_parabola_is_the_contrast_of_bins_that_statsmodels_tests() -> None:
    y = RNG.normal(size=N) + 0.1 * X**2
    place = r.bin_of(X)
    bins = r.Bins.of(place, X, y)
    share, p_value = r.parabola_share(bins)
    x = bins.x[place]
    square = x**2 - np.polyval(np.polyfit(x, x**2, 1), x)
    bend = (square @ y) ** 2 / (square @ square)
    within = OLS(y, np.eye(10)[place]).fit().mse_resid
    assert p_value == pytest.approx(f_distribution.sf(bend / within, 1, N - 10), rel=1e-6)
    total = sum(bins.n * (bins.y - y.mean()) ** 2) + within * (N - 10)
    assert share == pytest.approx((bend - within) / (total + within), rel=1e-6)
    assert r.parabola_share(r.Bins.of(place % 2, X, y)) == (0.0, 1.0)


def test_tail_share() -> None:
    residuals = np.append(np.ones(198), [-10.0, 10.0])
    assert r.tail_share(residuals) == 200 / 398
    assert r.tail_share(np.zeros(5)) == 0.0
    assert r.tail_share(np.append(np.ones(49), 3.0)) == 0.5 * 9 / 58  # of half a row
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
