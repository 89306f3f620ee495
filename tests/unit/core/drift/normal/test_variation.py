"""How much periods vary, against simulations and other implementations."""

import numpy as np
import pytest
from scipy import stats

from lasso_jobs.core.drift.normal import variation as v


def autoregressive(r: float, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    series = rng.normal(size=shape)
    for t in range(1, shape[1]):
        series[:, t] = r * series[:, t - 1] + np.sqrt(1 - r * r) * series[:, t]
    return series


@pytest.mark.parametrize("odd", [5.0, -40.0, 1e9])
def test_an_odd_period_is_left_out_and_the_others_are_not(odd: float) -> None:
    values = np.random.default_rng(0).normal(0, 0.1, 60)
    values[19] = odd
    found = v.odd_periods(values, np.full(60, 1e-3))
    assert np.flatnonzero(found).tolist() == [19]


def test_what_chance_explains_is_not_odd() -> None:
    values, chance = np.zeros(60), np.full(60, 1e-6)
    values[7], chance[7] = 2.0, 1.0  # a day of few rows
    assert not v.odd_periods(values, chance).any()
    assert v.odd_periods(values, np.full(60, 1e-6))[7]


def test_a_third_of_the_periods_is_not_odd() -> None:
    values = np.where(np.arange(63) % 7 >= 5, 10.0, 0.0) + np.sin(np.arange(63)) / 10
    assert not v.odd_periods(values, np.zeros(63)).any()
    values = np.where(np.arange(60) % 12 == 0, 10.0 + np.arange(60), np.sin(np.arange(60)))
    assert np.flatnonzero(v.odd_periods(values, np.zeros(60))).tolist() == [24, 36, 48]
    assert not v.odd_periods(values[:9], np.zeros(9)).any()


@pytest.mark.parametrize("r", [0.0, 0.5, 0.8])
def test_the_effective_number_is_that_of_the_variance_of_a_mean(r: float) -> None:
    """The mean of 60 autocorrelated periods varies as that of so many independent ones."""
    series = autoregressive(r, (2_000, 60))
    found = [v.known_by(row, ordered=True).effective for row in series]
    assert np.median(found) == pytest.approx(1 / series.mean(axis=1).var(), rel=0.2)


@pytest.mark.parametrize("r", [0.0, 0.5, 0.8])
def test_new_periods_are_as_far_away_as_expected(r: float) -> None:
    """The mean square, inflated, is the variance around the training's mean."""
    series = autoregressive(r, (4_000, 200))
    past = series[:, :60]
    away = series[:, -1] - past.mean(axis=1)
    around = past - past.mean(axis=1)[:, None]
    known = [v.known_by(row, ordered=True) for row in past]
    expected = np.mean(around**2, axis=1) * [each.inflation for each in known]
    assert np.median(expected) < np.mean(away**2) * 1.15
    assert np.mean(expected) > np.mean(away**2) * 0.9


def test_names_have_no_neighbours() -> None:
    series = autoregressive(0.9, (1, 60))[0]
    assert v.known_by(series, ordered=False) == v.Knowledge(0.0, 60.0, 59.0)
    assert v.known_by(series, ordered=True).freedom < 30


@pytest.mark.parametrize("seed", range(3))
def test_the_l_kurtosis_is_scipys(seed: int) -> None:
    lmoment = pytest.importorskip("scipy", "1.15").stats.lmoment
    values = np.random.default_rng(seed).standard_t(3, size=40)
    assert v.l_kurtosis(values) == pytest.approx(lmoment(values, 4), rel=1e-9)


@pytest.mark.parametrize("freedom", [3, 5, 10])
def test_the_freedom_of_tails_is_that_of_the_distribution(freedom: float) -> None:
    uniform = (np.arange(20_000) + 0.5) / 20_000
    assert v.tail_freedom(stats.t(freedom).ppf(uniform)) == pytest.approx(freedom, rel=0.15)
    assert v.tail_freedom(stats.norm.ppf(uniform)) > 100


def test_few_periods_have_the_tails_of_all_features() -> None:
    values = np.random.default_rng(0).normal(size=60)
    assert v.tail_freedom(values) > 30
    assert v.tail_freedom(values, 0.2168) == pytest.approx(4.0)
    assert np.isinf(v.tail_freedom(values[:19], 0.2168))


def test_heavy_tails_have_wider_quantiles() -> None:
    t4 = stats.t(4)
    expected = t4.isf(0.0005) / t4.std()
    assert v.quantile(0.001, 1e9, 0.25) >= expected * 0.999
    assert v.quantile(0.001, 20) == pytest.approx(stats.t(20).isf(0.0005), rel=1e-9)
