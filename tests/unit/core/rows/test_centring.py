"""Each sum depends on its own columns only, bitwise: what the cache of moments stands on."""

import numpy as np
import pytest

from lasso_jobs.core.rows import buckets as b
from lasso_jobs.core.rows import centring


@pytest.mark.parametrize("seed", range(24))
def test_the_moments_of_some_columns_are_some_of_those_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    q, n = int(rng.integers(1, 150)), int(rng.integers(1, 2500))
    values = rng.normal(size=(q, n)) * np.exp(3 * rng.normal(size=(q, 1)))
    if seed % 3 == 0:
        values[rng.random((q, n)) < 0.02] = np.nan
    weights = rng.integers(0, 3, n).astype(float) if seed % 4 == 1 else None
    chosen = rng.permutation(q)[: int(rng.integers(1, q + 1))]
    found = centring.of_rows(values, weights).selected(chosen)
    expected = centring.of_rows(values[chosen], weights)
    for name in ("n", "weight", "mean", "scatter", "low", "high", "nulls"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


def test_a_level_that_no_row_has_changes_no_other_sum() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(21, 900))
    wider = np.insert(values, [0, 7, 21], 0.0, axis=0)
    place = np.array([-1, *range(7), -1, *range(7, 21), -1])
    counts = [300, 0, 600]
    found = b.of_rows(values, counts).buckets
    expected = b.of_rows(wider, counts).buckets
    for a, c in zip(found, expected, strict=True):
        chosen = a.selected(place)
        np.testing.assert_array_equal(chosen.scatter, c.scatter)
        np.testing.assert_array_equal(chosen.low, c.low)
        np.testing.assert_array_equal(chosen.high, c.high)


def test_the_rows_that_are_given_stay_as_they_are() -> None:
    values = np.arange(30.0).reshape(3, 10)
    centring.of_rows(values)
    np.testing.assert_array_equal(values, np.arange(30.0).reshape(3, 10))
