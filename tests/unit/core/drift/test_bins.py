"""Bins of a number at training: equal shares, and one of its own for each frequent value."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lasso_jobs.core.drift import distances
from lasso_jobs.core.drift.bins import LEAST_REPEATS, N_BINS, bin_labels, middles, quantile_edges
from lasso_jobs.core.drift.current import of_numbers


def counts(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """As scored rows are counted, without those in no bin."""
    y = np.zeros(len(values))
    return of_numbers(values, y, edges=edges, low=-np.inf, high=np.inf).counts[:-1]


def test_inner_edges_cut_distinct_values_into_twenty_equal_bins() -> None:
    values = np.sort(np.random.default_rng(0).normal(size=1_000))
    edges = quantile_edges(values)
    assert counts(values, edges).tolist() == [50] * 20
    assert set(edges) <= set(values)


def test_frequent_values_have_bins_of_their_own() -> None:
    values = np.sort(np.repeat([1.0, 2.0, 3.0], [700, 260, 40]))
    edges = quantile_edges(values)
    assert bin_labels(edges)[:-1] == ("< 1", "1", "(1, 2)", "2", "> 2")
    assert counts(values, edges).tolist() == [0, 700, 0, 260, 40]


def test_a_constant_has_a_bin_of_its_own_so_that_its_end_is_seen() -> None:
    edges = quantile_edges(np.full(100, 5.0))
    assert bin_labels(edges) == ("< 5", "5", "> 5", "missing")
    now = counts(np.array([5.0] * 50 + [5.1] * 50), edges)
    assert distances.psi(np.array([0.0, 1.0, 0.0]), now) > 1


@pytest.mark.parametrize("values", [[], [5.0], [5.0] * (LEAST_REPEATS - 1)])
def test_few_rows_have_no_frequent_value(values: list[float]) -> None:
    assert quantile_edges(np.array(values)).size == 0


@given(
    st.dictionaries(
        st.one_of(
            st.integers(-3, 3).map(float),
            st.floats(-1e9, 1e9, allow_subnormal=False),
            st.sampled_from([0.0, 1e75, -1e75]),
        ),
        st.integers(1, 400),
        min_size=1,
        max_size=30,
    )
)
def test_any_numbers_have_few_bins_and_every_frequent_value_one_of_its_own(
    repeats: dict[float, int],
) -> None:
    values = np.sort(np.repeat([*repeats], [*repeats.values()]))
    edges, n = quantile_edges(values), len(values)
    assert (np.diff(edges) > 0).all()
    assert len(edges) <= N_BINS - 1 + N_BINS
    found = counts(values, edges)
    assert found.sum() == n
    steps = np.diff(values) > 0
    starts = np.concatenate([[0], np.flatnonzero(steps) + 1])
    for value, times in zip(values[starts], np.diff([*starts, n]), strict=True):
        if times * N_BINS > n and times >= LEAST_REPEATS:
            k = int(np.searchsorted(edges, value, "right"))
            assert found[k] == times
            assert counts(np.array([value, np.nextafter(value, np.inf) + 1e-300]), edges)[k] == 1
            assert counts(np.array([np.nextafter(value, -np.inf) - 1e-300]), edges)[k] == 0
    inside = middles(edges, values[0])
    assert counts(inside, edges).sum() == len(inside) == len(edges) + 1
    assert len(bin_labels(edges)) == len(edges) + 2


@given(st.floats(0.0, 0.2), st.floats(0.3, 0.8), st.sampled_from([0.0, -1.0, 7.25]))
def test_a_flag_that_becomes_frequent_is_seen(before: float, after: float, value: float) -> None:
    n = 2_000
    ones = round(before * n)
    values = np.sort(np.repeat([value, value + 1], [n - ones, ones]))
    edges = quantile_edges(values)
    then = counts(values, edges) / n
    now = np.repeat([value, value + 1], [n - round(after * n), round(after * n)])
    assert distances.psi(then, counts(now, edges)) > 0.05
    assert distances.psi(then, counts(values, edges)) < 1e-9
    # As the two levels of a category.
    two = np.array([1 - ones / n, ones / n])
    exact = distances.psi(two, np.array([n - round(after * n), round(after * n)]))
    assert distances.psi(then, counts(now, edges)) == pytest.approx(exact, rel=0.02)


def test_zero_inflated_numbers_keep_the_bins_of_the_others() -> None:
    rng = np.random.default_rng(1)
    values = np.sort(np.where(rng.random(5_000) < 0.6, 0.0, rng.gamma(2.0, 3.0, 5_000)))
    edges = quantile_edges(values)
    found = counts(values, edges)
    assert found[1] == (values == 0).sum()
    assert 8 <= np.count_nonzero(found[2:]) <= 10
    assert found[0] == 0
    more = np.where(rng.random(5_000) < 0.8, 0.0, rng.gamma(2.0, 3.0, 5_000))
    assert distances.psi(found / 5_000, counts(more, edges)) > 0.15


def test_sums_that_differ_by_rounding_are_one_value() -> None:
    values = np.sort(np.repeat([2.5, 4.0], [600, 400]))
    edges = quantile_edges(values, slack=4e-9)
    noise = np.random.default_rng(0).uniform(-1e-12, 1e-12, 1_000)
    assert counts(values + noise, edges).tolist() == [0, 600, 0, 400, 0]
    assert bin_labels(edges)[1:-1] == ("2.5", "(2.5, 4)", "4", "> 4")


@pytest.mark.parametrize(
    ("edges", "labels"),
    [
        ([], ("any", "missing")),
        ([1.5], ("< 1.5", ">= 1.5", "missing")),
        ([1.5, 3], ("< 1.5", "[1.5, 3)", ">= 3", "missing")),
        ([0.0, 2.3e-308, 3], ("< 0", "0", "(0, 3)", ">= 3", "missing")),
        ([3, np.nextafter(3, 4)], ("< 3", "3", "> 3", "missing")),
    ],
)
def test_bins_are_named_by_their_edges(edges: list[float], labels: tuple[str, ...]) -> None:
    assert bin_labels(np.array(edges)) == labels
