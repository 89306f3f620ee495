"""Sums from the entries of sparse columns equal those of the same columns laid out."""

from dataclasses import fields, replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lasso_jobs.core.rows import marginals as mg
from lasso_jobs.core.rows.blocks.sparse import SparseColumns
from lasso_jobs.core.rows.blocks.sparse_centring import SparseSets
from lasso_jobs.core.rows.centring import Centring
from lasso_jobs.core.rows.moments import Moments

N, Q = 60, 7


def laid_out(rng: np.random.Generator, share: float, nulls: float) -> NDArray[np.float64]:
    """Columns, the last of which has no entry."""
    values = rng.normal(1, 3, (Q, N)) * (rng.random((Q, N)) < share)
    values[rng.random((Q, N)) < nulls] = np.nan
    values[:, rng.random(N) < nulls] = np.nan
    values[-1] = np.where(np.isnan(values).all(axis=0), np.nan, 0.0)
    return values


def by_entries(values: NDArray[np.float64], dtype: str = "float64") -> SparseColumns:
    nulls = np.isnan(values).all(axis=0)
    column, row = np.nonzero(np.where(nulls, 0.0, values))
    starts = np.searchsorted(column, np.arange(len(values) + 1))
    return SparseColumns(
        places=np.arange(len(values)),
        starts=starts.astype(np.int64),
        rows=row.astype(np.int32),
        values=values[column, row].astype(dtype),
        nulls=nulls,
    )


@settings(deadline=None)
@given(
    seed=st.integers(0, 10_000),
    share=st.sampled_from([0.0, 0.05, 0.4, 1.0]),
    nulls=st.sampled_from([0.0, 0.1, 0.6]),
    weighted=st.booleans(),
    n_sets=st.integers(1, 4),
)
def test_sums_of_entries_are_those_of_the_columns(
    seed: int, share: float, nulls: float, weighted: bool, n_sets: int
) -> None:
    rng = np.random.default_rng(seed)
    values, target = laid_out(rng, share, nulls), rng.normal(5, 2, N)
    buckets = rng.integers(0, n_sets, N)
    weights = rng.integers(0, 3, N).astype(float) if weighted else None
    columns = by_entries(values)
    order = np.argsort(buckets, kind="stable")
    expected = mg.of_rows(
        values[:, order],
        target[order],
        np.bincount(buckets, minlength=n_sets + 1),
        None if weights is None else weights[order],
    )
    found = columns.marginals(target, buckets, n_sets + 1, weights)
    for field in fields(mg.Marginals):
        np.testing.assert_allclose(
            getattr(found, field.name),
            getattr(expected, field.name),
            rtol=1e-11,
            atol=1e-11,
            err_msg=field.name,
        )
    residuals, reference = rng.normal(size=(N, 3)), rng.normal(size=Q)
    products, of_nulls = columns.products(residuals, residuals.sum(axis=0), reference)
    null = np.isnan(values)
    deviation = np.where(null, 0.0, values - reference[:, None])
    np.testing.assert_allclose(products, deviation @ residuals, atol=1e-11)
    assert (of_nulls.size > 0) == null.any()
    if of_nulls.size:
        np.testing.assert_allclose(of_nulls, null @ residuals, atol=1e-12)


@pytest.mark.parametrize("nulls", [0.0, 0.05])
def test_columns_are_laid_out_chosen_and_told_by_how_many_entries_they_have(nulls: float) -> None:
    rng = np.random.default_rng(4)
    values = laid_out(rng, 0.3, nulls)
    values[2] = np.where(np.isnan(values).all(axis=0), np.nan, 4.0)
    columns = by_entries(values)
    np.testing.assert_array_equal(list(columns), values)
    some = columns.only(np.array([5, 2, 2]))
    np.testing.assert_array_equal(list(some), values[[5, 2, 2]])
    np.testing.assert_array_equal(some.places, [5, 2, 2])
    parts = [by_entries(values[:, :20]), by_entries(values[:, 20:]).only(np.array([0, 2, 6]))]
    joined = SparseColumns.joined(parts)
    np.testing.assert_array_equal(joined.places, [0, 2, 6])
    np.testing.assert_array_equal(list(joined), values[[0, 2, 6]])
    with mock.patch("lasso_jobs.core.rows.blocks.sparse.CHUNK_PRODUCTS", 6):
        parts = list(columns.chunks(2))
    np.testing.assert_array_equal(np.vstack([list(part) for part in parts]), values)
    np.testing.assert_array_equal(np.concatenate([part.places for part in parts]), range(Q))
    assert 2 not in columns.thin().places
    assert 6 in columns.thin().places


@settings(deadline=None)
@given(
    seed=st.integers(0, 10_000),
    share=st.sampled_from([0.0, 0.05, 0.5]),
    nulls=st.sampled_from([0.0, 0.3]),
    weighted=st.booleans(),
)
def test_moments_of_entries_are_those_of_the_columns(
    seed: int, share: float, nulls: float, weighted: bool
) -> None:
    """Beside columns that are laid out, some of which have nulls, in sets one of which is empty."""
    rng = np.random.default_rng(seed)
    sparse, others = laid_out(rng, share, 0.0), rng.normal(7, 2, (4, N))
    others[1, rng.random(N) < nulls] = np.nan
    values = np.vstack([others[:3], sparse, others[3:]])
    buckets = np.array([0, 1, 3])[rng.integers(0, 3, N)]
    weights = rng.integers(0, 3, N).astype(float) if weighted else None
    order, counts = np.argsort(buckets, kind="stable"), np.bincount(buckets, minlength=4)
    in_order = None if weights is None else weights[order]
    columns = replace(by_entries(sparse), places=np.arange(3, 3 + Q))
    sets = SparseSets.of(
        [columns.only(np.arange(2)), columns.only(np.arange(2, Q))],
        len(values),
        order=order,
        buckets=buckets,
        n_sets=4,
        weights=weights,
    )
    laid = Centring.of_rows(values[sets.others][:, order], counts.tolist(), in_order)
    expected = Centring.of_rows(values[:, order], counts.tolist(), in_order).moments()
    for found, whole in zip(laid.moments(sets), expected, strict=True):
        for field in fields(Moments):
            np.testing.assert_allclose(
                getattr(found, field.name),
                getattr(whole, field.name),
                atol=1e-11,
                err_msg=field.name,
            )
    np.testing.assert_array_equal(sets.values(np.array([4, 0])), sparse[:, order[[4, 0]]])


def test_float32_entries_are_summed_as_doubles() -> None:
    values = np.zeros((1, N))
    values[0, :20] = np.float32(0.1)
    target = np.arange(N, dtype=float)
    found = by_entries(values, "float32").marginals(target, np.zeros(N, np.intp), 1)
    expected = mg.of_rows(values, target, np.array([N]))
    np.testing.assert_allclose(found.products, expected.products, rtol=1e-14)
    residuals = target[:, None]
    columns = by_entries(values, "float32")
    products, _ = columns.products(residuals, residuals.sum(axis=0), np.zeros(1))
    np.testing.assert_allclose(products[0, 0], values[0] @ target, rtol=1e-15)
