"""Drift statistics do not depend on how the rows are cut into blocks."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from lasso_jobs.core.drift import current as c
from lasso_jobs.core.rows import periods as p

EDGES = np.array([-1.0, 0.0, 1.0])

values = st.lists(
    st.floats(-1e3, 1e3) | st.sampled_from([np.nan, np.inf, -np.inf, -1.0, 0.0, 1.0]),
    min_size=1,
    max_size=60,
)
cuts = st.lists(st.integers(0, 60), max_size=8).map(sorted)
settled = settings(max_examples=150, deadline=None)


def same(merged: c.Current, whole: c.Current, scale: float) -> None:
    assert_array_equal(merged.counts, whole.counts)
    for name in ("low", "high", "n_nonfinite", "n_outside"):
        assert getattr(merged, name) == getattr(whole, name)
    assert_allclose(merged.means, whole.means, atol=1e-12 * scale)
    assert_allclose(
        merged.predicted[merged.n_predicted > 0], whole.predicted[whole.n_predicted > 0], atol=1e-9
    )
    for name in ("spread", "cross"):
        assert_allclose(getattr(merged, name), getattr(whole, name), atol=1e-12 * scale**2 * 60)


@given(values, cuts, st.floats(-1e3, 1e3))
@settled
def test_numbers_merge_to_those_of_all_rows(
    numbers: list[float], ends: list[int], slope: float
) -> None:
    x = np.array(numbers)
    y = slope + np.arange(len(x), dtype=float) % 7

    def of(part: np.ndarray, predicted: np.ndarray) -> c.Current:
        return c.of_numbers(part, predicted, edges=EDGES, low=-5.0, high=5.0)

    parts = [of(*pair) for pair in zip(np.split(x, ends), np.split(y, ends), strict=True)]
    merged = parts[0]
    for part in parts[1:]:
        merged = c.merge(merged, part)
    same(merged, of(x, y), max(1.0, np.abs(x[np.isfinite(x)]).max(initial=0.0)))


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=60), cuts)
@settled
def test_codes_merge_to_those_of_all_rows(numbers: list[int], ends: list[int]) -> None:
    codes = np.array(numbers, np.int32)
    y = np.arange(len(codes), dtype=float)
    pairs = zip(np.split(codes, ends), np.split(y, ends), strict=True)
    parts = [c.of_codes(*pair, 4) for pair in pairs]
    merged = parts[0]
    for part in parts[1:]:
        merged = c.merge(merged, part)
    same(merged, c.of_codes(codes, y, 4), 1.0)


def summed(columns: np.ndarray, keys: np.ndarray) -> p.Periods:
    summing = p.Summing.of(keys, len(columns))
    for j, column in enumerate(columns):
        summing.add(j, column)
    return summing.sums


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(-9, 9) | st.none()), min_size=1, max_size=60),
    cuts,
)
@settled
def test_periods_merge_to_those_of_all_rows(
    rows: list[tuple[int, int | None]], ends: list[int]
) -> None:
    keys = np.array([key for key, _ in rows], float)
    column = np.array([[np.nan if value is None else value for _, value in rows]], float)
    merged = p.empty(1)
    for part in zip(np.split(column, ends, axis=1), np.split(keys, ends), strict=True):
        merged = p.merge(merged, summed(*part))
    expected = [column[0][(keys == key) & ~np.isnan(column[0])] for key in np.unique(keys)]
    assert merged.n.tolist() == [int((keys == key).sum()) for key in np.unique(keys)]
    assert merged.observed[0].tolist() == [len(values) for values in expected]
    assert merged.sums[0].tolist() == [values.sum() for values in expected]
