"""Distances over bins, against scipy and sums written out."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy, ks_2samp, wasserstein_distance

from lasso_jobs.core.drift import distances

counts = st.lists(st.integers(0, 300), min_size=2, max_size=22).filter(any)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a reference and of a day in the same bins."""
    before = draw(counts)
    after = draw(st.lists(st.integers(0, 300), min_size=len(before), max_size=len(before)))
    return np.array(before), np.array(after) + (np.arange(len(before)) == 0) * (not any(after))


def shares(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / rows.sum())


@settings(deadline=None)
@given(pairs())
def test_psi_is_the_symmetrised_relative_entropy_of_the_smoothed_shares(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    before, after = pair
    n, k = after.sum(), len(after)
    p, q = (shares(before) * n + 0.5) / (n + k / 2), (after + 0.5) / (n + k / 2)
    found = distances.psi(shares(before), after)
    assert_allclose(found, entropy(p, q) + entropy(q, p), rtol=1e-12, atol=1e-12)


def test_psi_of_many_rows_approaches_the_textbook_sum() -> None:
    reference, current = np.array([0.2, 0.3, 0.5]), np.array([0.3, 0.3, 0.4])
    expected = np.sum((current - reference) * np.log(current / reference))
    found = distances.psi(reference, (current * 10**9).astype(int))
    assert_allclose(found, expected, rtol=1e-7)


def test_no_rows_have_a_psi_of_zero() -> None:
    assert distances.psi(np.array([0.5, 0.5]), np.array([0, 0])) == 0


def test_the_psi_of_another_draw_of_the_same_population_is_about_its_degrees_of_freedom() -> None:
    # n PSI is asymptotically chi-square with bins - 1 degrees of freedom.
    rng, tenths = np.random.default_rng(0), np.full(10, 0.1)
    found = [1_000 * distances.psi(tenths, rng.multinomial(1_000, tenths)) for _ in range(200)]
    assert abs(np.mean(found) - 9) < 4 * np.sqrt(2 * 9 / 200)


@settings(deadline=None)
@example((np.array([0, 1]), np.array([1, 0])))
@given(pairs())
def test_ks_is_that_of_the_bins_numbers(pair: tuple[np.ndarray, np.ndarray]) -> None:
    before, after = pair
    bins = np.arange(len(before))
    # Of one row each scipy has no p-value, which is not compared, and divides by zero for it.
    with np.errstate(divide="ignore"):
        result = ks_2samp(np.repeat(bins, before), np.repeat(bins, after), method="asymp")
    expected = result.statistic
    assert_allclose(distances.kolmogorov_smirnov(shares(before), after), expected, atol=1e-12)


def test_ks_of_the_values_is_larger_by_at_most_a_bins_share() -> None:
    rng = np.random.default_rng(1)
    before, after = rng.normal(size=4_000), rng.normal(0.3, 1.2, 3_000)
    edges = [-np.inf, *np.quantile(before, np.arange(1, 20) / 20), np.inf]
    old, new = (np.histogram(values, edges)[0] for values in (before, after))
    found = distances.kolmogorov_smirnov(shares(old), new)
    exact = ks_2samp(before, after).statistic
    assert found <= exact + 1e-12 <= found + max(shares(old).max(), shares(new).max())


@settings(deadline=None)
@given(pairs())
def test_js_is_scipys_to_base_two(pair: tuple[np.ndarray, np.ndarray]) -> None:
    before, after = pair
    found = distances.jensen_shannon(shares(before), after)
    # The distance is the root of a divergence, which is known to rounding.
    expected = jensenshannon(shares(before), shares(after), base=2)
    assert_allclose(found**2, np.nan_to_num(expected) ** 2, atol=1e-12)


@settings(deadline=None)
@given(pairs(), st.randoms(use_true_random=False))
def test_wasserstein_is_that_of_rows_at_the_means_of_their_bins(
    pair: tuple[np.ndarray, np.ndarray], random: "np.random.Generator"
) -> None:
    before, after = pair
    places = np.sort([random.uniform(-5, 5) for _ in before])
    now = places + [random.uniform(-0.1, 0.1) for _ in before]
    found = distances.wasserstein(shares(before), places, after, now)
    expected = wasserstein_distance(places, now, before, after)
    assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@settings(deadline=None)
@given(pairs())
def test_chi_square_is_the_sum_over_levels(pair: tuple[np.ndarray, np.ndarray]) -> None:
    before, after = pair
    expected = sum(
        (p - q) ** 2 / (p + q) / 2
        for p, q in zip(shares(before), shares(after), strict=True)
        if p + q > 0
    )
    assert_allclose(distances.chi_square(shares(before), after), expected, atol=1e-12)


@pytest.mark.parametrize("name", ["kolmogorov_smirnov", "jensen_shannon", "chi_square"])
def test_of_no_rows_there_is_no_distance(name: str) -> None:
    assert np.isnan(getattr(distances, name)(np.array([0.5, 0.5]), np.array([0, 0])))


def test_of_no_rows_there_is_no_wasserstein_distance() -> None:
    none, half = np.array([0, 0]), np.array([0.5, 0.5])
    assert np.isnan(distances.wasserstein(half, half, none, half))


def test_separate_distributions_are_as_far_apart_as_can_be() -> None:
    before, after = np.array([1.0, 0.0]), np.array([0, 7])
    assert distances.jensen_shannon(before, after) == pytest.approx(1)
    assert distances.chi_square(before, after) == pytest.approx(1)
    assert distances.kolmogorov_smirnov(before, after) == pytest.approx(1)
