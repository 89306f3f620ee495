"""What one pass leaves of a feature, against pandas and numpy over the same rows."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lasso_jobs.core.drift.current import Current, merge, of_codes, of_numbers

EDGES = np.array([-1.0, 0.0, 0.5, 2.0])


def numbers(n: int = 3_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=n).round(2)
    y = 2 * values + rng.normal(size=n)
    values[::7] = np.nan
    return values, y


def counted(values: list[float] | np.ndarray, y: np.ndarray | None = None) -> Current:
    values = np.array(values, float)
    y = np.arange(len(values), dtype=float) if y is None else y
    return of_numbers(values, y, edges=EDGES, low=-2.0, high=2.0)


def test_rows_are_counted_per_bin_and_those_in_none_last() -> None:
    values, y = numbers()
    bins = pd.cut(values, [-np.inf, *EDGES, np.inf], right=False, labels=False)
    expected = pd.Series(bins).value_counts().reindex(range(5), fill_value=0)
    assert np.isin(values, EDGES).any()
    assert counted(values, y).counts.tolist() == [*expected, np.isnan(values).sum()]


def test_means_spread_extremes_and_products_are_those_of_the_values() -> None:
    values, y = numbers()
    found, kept = counted(values, y), ~np.isnan(values)
    x, z = values[kept], y[kept]
    bins = pd.cut(x, [-np.inf, *EDGES, np.inf], right=False, labels=False)
    assert_allclose(found.means, pd.Series(x).groupby(bins).mean(), rtol=1e-12)
    assert_allclose(found.mean, x.mean(), rtol=1e-12)
    assert_allclose(found.spread, ((x - x.mean()) ** 2).sum(), rtol=1e-12)
    assert_allclose(found.cross, ((x - x.mean()) * (z - z.mean())).sum(), rtol=1e-12)
    assert_allclose(found.predicted, [z.mean(), y[~kept].mean()], rtol=1e-12)
    assert_allclose(found.predicted_mean, y.mean(), rtol=1e-12)
    assert (found.low, found.high) == (x.min(), x.max())
    assert found.n_outside == ((x < -2) | (x > 2)).sum() > 0


def test_a_large_offset_costs_no_digits_of_the_spread() -> None:
    values, y = numbers()
    moved = of_numbers(values + 1e6, y, edges=EDGES + 1e6, low=-np.inf, high=np.inf)
    assert_allclose(moved.spread, counted(values, y).spread, rtol=1e-9)
    assert_allclose(moved.cross, counted(values, y).cross, rtol=1e-9)


def test_a_value_on_an_edge_lies_above_it() -> None:
    assert counted([0.0]).counts.tolist() == [0, 0, 1, 0, 0, 0]


def test_what_is_not_finite_is_in_no_bin_and_counted() -> None:
    found = counted([np.inf, -np.inf, np.nan, 0.1, np.inf])
    assert found.counts.tolist() == [0, 0, 1, 0, 0, 4]
    assert (found.n_nonfinite, found.mean, found.low, found.high) == (3, 0.1, 0.1, 0.1)
    assert found.predicted.tolist() == [3.0, (0 + 1 + 2 + 4) / 4]


def test_without_edges_all_observed_values_share_a_bin() -> None:
    found = of_numbers(np.array([1.0, np.nan, 3.0]), np.zeros(3), edges=np.empty(0), low=0, high=5)
    assert found.counts.tolist() == [2, 1]
    assert found.means.tolist() == [2.0]


@pytest.mark.parametrize("values", [[], [np.nan, np.nan]])
def test_without_values_there_is_no_mean(values: list[float]) -> None:
    found = counted(values)
    assert np.isnan(found.mean)
    assert (found.n, found.n_observed, found.spread) == (len(values), 0, 0.0)
    assert (found.low, found.high) == (np.inf, -np.inf)


def test_codes_are_counted_with_their_predictions_and_those_without_an_indicator_last() -> None:
    codes = np.array([2, 0, -1, 2, -1, 0, 0], np.int32)
    found = of_codes(codes, np.arange(7.0), 4)
    assert found.counts.tolist() == [3, 0, 2, 0, 2]
    assert_allclose(found.predicted[[0, 2, 4]], [(1 + 5 + 6) / 3, 1.5, 3.0], rtol=1e-15)
    assert_allclose(found.predicted_mean, 3.0, rtol=1e-15)
    assert np.isnan(found.mean)


def test_no_codes_have_counts_of_zero() -> None:
    assert of_codes(np.empty(0, np.int32), np.empty(0), 2).counts.tolist() == [0, 0, 0]


def test_the_shares_sum_to_one_and_of_nothing_to_zero() -> None:
    assert_allclose(counted(numbers()[0]).shares.sum(), 1.0)
    assert not counted([]).shares.any()


def test_a_part_without_values_moves_no_mean() -> None:
    some, nulls = counted([0.1, 0.2]), counted([np.nan] * 5, np.full(5, 3.0))
    for merged in (merge(some, nulls), merge(nulls, some)):
        assert merged.mean == some.mean
        assert (merged.spread, merged.cross) == (some.spread, some.cross)
        assert merged.counts.tolist() == [0, 0, 2, 0, 0, 5]
        assert_array_equal(merged.predicted, [some.predicted[0], 3.0])
