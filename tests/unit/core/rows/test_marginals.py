"""Marginals equal what numpy says of each set of rows, however the rows are cut and merged."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lasso_jobs.core.rows import marginals as mg
from lasso_jobs.core.rows.moments import Floats


def rows(seed: int, n: int, q: int, offset: float, nulls: float) -> tuple[Floats, Floats, Floats]:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(q, n)) * rng.uniform(0.1, 10, (q, 1)) + offset
    values[rng.random((q, n)) < nulls] = np.nan
    weights = rng.uniform(0, 3, n) * (rng.random(n) < 0.9)
    return values, rng.normal(5, 2, n), weights


def filled(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Each column's weighted mean of observed values, and the column with it for its nulls."""
    null = np.isnan(values)
    taken = np.where(null, 0.0, weights)
    total = taken.sum(axis=1)
    mean = np.where(null, 0.0, values * taken).sum(axis=1) / np.where(total > 0, total, 1.0)
    return mean, np.where(null, mean[:, None], values)


@settings(deadline=None)
@given(
    seed=st.integers(0, 10_000),
    cuts=st.lists(st.integers(0, 40), max_size=4),
    nulls=st.sampled_from([0.0, 0.3, 0.95]),
    offset=st.sampled_from([0.0, 1e6]),
    weighted=st.booleans(),
)
def test_merged_parts_are_those_of_all_rows(
    seed: int, cuts: list[int], nulls: float, offset: float, weighted: bool
) -> None:
    values, target, weights = rows(seed, 40, 4, offset, nulls)
    edges = [0, *sorted(cuts), 40]
    parts = [
        mg.of_rows(
            values[:, a:b],
            target[a:b],
            np.array([b - a]),
            weights[a:b] if weighted else None,
        )
        for a, b in pairwise(edges)
    ]
    total = mg.empty((1,), 4)
    for part in parts:
        total = mg.merge(total, part)
    weights = weights if weighted else np.ones(40)
    mean, columns = filled(values, weights)
    rise = target - np.average(target, weights=weights)
    deviation = columns - mean[:, None]
    null = np.isnan(values)
    size = np.sqrt((weights * deviation**2).sum(axis=1))
    assert total.n[0, 0] == 40
    np.testing.assert_allclose(total.weight[0, 0], weights.sum())
    np.testing.assert_allclose(total.mean[0], mean, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(total.target_squares[0, 0], (weights * rise**2).sum())
    np.testing.assert_allclose(
        total.null_share[0], (null * weights).sum(1) / weights.sum(), atol=1e-14
    )
    blur = 1e-12 * (1 + offset)
    np.testing.assert_allclose(total.squares[0], size**2, rtol=1e-9, atol=blur)
    products = (weights * deviation * rise).sum(axis=1)
    np.testing.assert_allclose(total.products[0], products, rtol=1e-9, atol=1e-9 + blur)
    np.testing.assert_allclose(total.null_products[0], (null * weights * rise).sum(1), atol=1e-10)


def test_a_large_offset_loses_no_digits_of_the_spread() -> None:
    values, target, _ = rows(1, 1000, 3, 0.0, 0.0)
    plain = mg.of_rows(values, target, np.array([400, 600])).merged([0, 1])
    far = mg.of_rows(values + 1e7, target, np.array([400, 600])).merged([0, 1])
    np.testing.assert_allclose(far.squares, plain.squares, rtol=1e-9)


def test_equal_values_do_not_vary() -> None:
    values = np.full((1, 30), 0.1 + 0.2)
    found = mg.of_rows(values, np.arange(30.0), np.array([10, 20])).merged([0, 1])
    assert found.deviation.tolist() == [0.0]


@pytest.mark.parametrize("counts", [[0, 5], [5, 0]])
def test_a_set_without_rows_adds_nothing(counts: list[int]) -> None:
    values, target, _ = rows(2, 5, 2, 3.0, 0.2)
    found = mg.of_rows(values, target, np.array(counts)).merged([0, 1])
    alone = mg.of_rows(values, target, np.array([5]))[0]
    np.testing.assert_array_equal(found.squares, alone.squares)
    np.testing.assert_array_equal(found.mean, alone.mean)
