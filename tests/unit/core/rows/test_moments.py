"""Against explicit sums, in integers or long doubles where the digits matter."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from operator import mul

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from lasso_jobs.core.rows import moments as m
from lasso_jobs.core.rows.centring import of_rows
from lasso_jobs.core.rows.moments import Moments

Floats = NDArray[np.float64]


def with_gaps(q: int, n: int, columns: Sequence[int], seed: int = 0) -> Floats:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(q, n)) + rng.normal(size=q)[:, None]
    for j in columns:
        values[j, rng.random(n) < 0.3] = np.nan
    return values


def by_hand(
    values: Floats,
    nulls: NDArray[np.intp],
    weights: Floats | None = None,
    fill: Floats | None = None,
    centre: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Means and cross-products of values and null indicators, laid out as one matrix."""
    mask = np.isnan(values).astype(np.longdouble)
    w = np.ones(values.shape[1]) if weights is None else weights
    w = w.astype(np.longdouble)
    zero_filled = np.nan_to_num(values, nan=0.0).astype(np.longdouble)
    observed = (1 - mask) @ w
    if fill is None:
        fill = np.divide(zero_filled @ w, observed, out=0 * observed, where=observed > 0)
    laid_out = np.vstack([np.where(mask == 1, fill[:, None], zero_filled), mask[nulls]])
    if centre is None:
        centre = np.concatenate([fill, mask[nulls] @ w / w.sum()])
    deviations = laid_out - centre[:, None]
    return centre, (deviations * w) @ deviations.T


def assert_same(a: Moments, b: Moments, rtol: float = 1e-12) -> None:
    assert a.n == b.n
    assert_allclose(a.weight, b.weight, rtol=rtol)
    assert np.array_equal(a.nulls, b.nulls)
    size = np.sqrt(np.outer(np.diag(b.scatter), np.diag(b.scatter)))
    deviation = np.sqrt(np.diag(b.scatter) / b.weight)
    assert np.all(np.abs(a.mean - b.mean) <= rtol * (np.abs(b.mean) + deviation))
    assert np.all(np.abs(a.scatter - b.scatter) <= rtol * size)
    assert np.array_equal(a.low, b.low)
    assert np.array_equal(a.high, b.high)


def test_without_nulls_they_are_means_and_covariances() -> None:
    values = with_gaps(4, 300, [])
    found = of_rows(values.copy())
    assert found.n == found.weight == 300
    assert_allclose(found.mean, values.mean(axis=1), rtol=1e-13)
    assert_allclose(found.scatter, np.cov(values) * 299, rtol=1e-12, atol=1e-11)


def test_with_nulls_they_are_those_of_filled_values_and_indicators() -> None:
    values = with_gaps(5, 300, [1, 3])
    found = of_rows(values.copy())
    mean, scatter = by_hand(values, np.array([1, 3]))
    assert np.array_equal(found.nulls, [1, 3])
    assert_allclose(found.mean, mean.astype(float), rtol=1e-13)
    assert_allclose(found.scatter, scatter.astype(float), rtol=1e-12, atol=1e-11)


def test_weights_count_as_repetitions() -> None:
    values, times = with_gaps(4, 200, [0, 2]), np.random.default_rng(1).integers(1, 5, 200)
    found = of_rows(values.copy(), times.astype(float))
    repeated = np.repeat(values, times, axis=1)
    mean, scatter = by_hand(repeated, np.array([0, 2]))
    assert found.n == 200
    assert found.weight == times.sum()
    assert_allclose(found.mean, mean.astype(float), rtol=1e-13)
    assert_allclose(found.scatter, scatter.astype(float), rtol=1e-12, atol=1e-11)


def test_fractional_weights_weigh() -> None:
    values, weights = with_gaps(4, 200, [0, 2]), np.random.default_rng(1).random(200)
    found = of_rows(values.copy(), weights)
    mean, scatter = by_hand(values, np.array([0, 2]), weights)
    assert_allclose(found.mean, mean.astype(float), rtol=1e-13)
    assert_allclose(found.scatter, scatter.astype(float), rtol=1e-12, atol=1e-11)


def test_extremes_are_those_of_the_observed_values() -> None:
    values = with_gaps(4, 100, [0, 2])
    found = of_rows(values.copy())
    assert np.array_equal(found.low, np.nanmin(values, axis=1))
    assert np.array_equal(found.high, np.nanmax(values, axis=1))


def test_null_shares_and_observed_weights_follow_the_weights() -> None:
    values, weights = with_gaps(4, 200, [0, 2]), np.random.default_rng(1).random(200)
    found, mask = of_rows(values.copy(), weights), np.isnan(values)
    assert_allclose(found.null_share(), mask @ weights / weights.sum(), rtol=1e-12)
    assert_allclose(found.observed_weight(), ~mask @ weights, rtol=1e-12)


def test_an_all_null_column_has_mean_zero_and_no_extremes() -> None:
    values = with_gaps(3, 50, [])
    values[1] = np.nan
    found = of_rows(values)
    assert found.mean[1] == 0
    assert not found.scatter[1].any()
    assert (found.low[1], found.high[1], found.null_share()[1]) == (np.inf, -np.inf, 1)


def test_one_row_has_its_values_as_means_and_no_scatter() -> None:
    found = of_rows(np.array([[3.0], [np.nan], [0.1]]))
    assert (found.n, found.weight) == (1, 1.0)
    assert np.array_equal(found.mean, [3.0, 0.0, 0.1, 1.0])
    assert not found.scatter.any()


def test_no_rows_have_empty_moments() -> None:
    found = of_rows(np.empty((3, 0)))
    assert (found.n, found.weight, found.n_values) == (0, 0.0, 3)


@pytest.mark.parametrize("weighted", [False, True])
def test_merged_parts_are_the_moments_of_their_rows_together(weighted: bool) -> None:
    values = with_gaps(5, 400, [1, 4])
    values[3, 100:150] = np.nan
    weights = np.random.default_rng(2).random(400) if weighted else None
    ends = [0, 7, 100, 150, 399, 400]
    parts = [
        of_rows(values[:, a:b].copy(), None if weights is None else weights[a:b])
        for a, b in pairwise(ends)
    ]
    merged = m.merge_all(parts, 5)
    mean, scatter = by_hand(values, np.array([1, 3, 4]), weights)
    assert np.array_equal(merged.nulls, [1, 3, 4])
    assert_allclose(merged.mean, mean.astype(float), rtol=1e-13)
    assert_allclose(merged.scatter, scatter.astype(float), rtol=1e-12, atol=1e-11)
    assert np.array_equal(merged.low, np.nanmin(values, axis=1))
    assert np.array_equal(merged.high, np.nanmax(values, axis=1))


def test_a_part_in_which_a_column_is_all_null_does_not_move_its_mean() -> None:
    values = with_gaps(2, 60, []) + 1e6
    alone = of_rows(values.copy())
    gone = with_gaps(2, 60, [], seed=1)
    gone[0] = np.nan
    for merged in (m.merge(alone, of_rows(gone.copy())), m.merge(of_rows(gone.copy()), alone)):
        assert merged.mean[0] == alone.mean[0]
        assert merged.null_share()[0] == 0.5


def test_empty_moments_are_neutral_in_a_merge() -> None:
    some = of_rows(with_gaps(3, 20, [1]))
    for merged in (m.merge(some, m.empty(3)), m.merge(m.empty(3), some)):
        assert_same(merged, some, rtol=0)


def test_merging_nothing_gives_empty_moments() -> None:
    merged = m.merge_all([], 3)
    assert (merged.n, merged.n_values) == (0, 3)


def test_weights_of_zero_leave_the_moments_of_the_other_rows() -> None:
    values, weights = with_gaps(4, 200, [0, 2]), np.random.default_rng(1).random(200)
    weights[::3] = 0.0
    kept = weights > 0
    found = of_rows(values.copy(), weights)
    mean, scatter = by_hand(values[:, kept], np.array([0, 2]), weights[kept])
    assert found.n == 200
    assert_allclose(found.mean, mean.astype(float), rtol=1e-13)
    assert_allclose(found.scatter, scatter.astype(float), rtol=1e-12, atol=1e-11)


def test_a_part_of_weight_zero_leaves_the_moments_of_the_other() -> None:
    some, nothing = with_gaps(3, 50, [1]), with_gaps(3, 20, [1], seed=1)
    merged = m.merge(of_rows(nothing, np.zeros(20)), of_rows(some.copy()))
    expected = of_rows(some.copy())
    assert (merged.n, merged.weight) == (70, 50)
    assert_allclose(merged.mean, expected.mean, rtol=1e-13)
    assert_allclose(merged.scatter, expected.scatter, rtol=1e-12, atol=1e-12)


def test_two_parts_of_weight_zero_merge_to_no_scatter() -> None:
    parts = [of_rows(with_gaps(3, 20, [1], seed), np.zeros(20)) for seed in (0, 1)]
    merged = m.merge(*parts)
    assert (merged.n, merged.weight) == (40, 0.0)
    assert not merged.scatter.any()
    assert np.isfinite(merged.mean).all()


def test_rows_of_weight_zero_leave_no_trace_however_wild_their_values() -> None:
    values, weights = with_gaps(3, 90, []), np.ones(90)
    values[0] = 0.1
    values[:, ::3] = 1e12
    weights[::3] = 0.0
    kept = weights > 0
    expected = of_rows(values[:, kept].copy())
    merged = m.merge(
        of_rows(values[:, :45].copy(), weights[:45]),
        of_rows(values[:, 45:].copy(), weights[45:]),
    )
    for found in (of_rows(values.copy(), weights), merged):
        assert_allclose(found.mean, expected.mean, rtol=1e-14)
        assert np.array_equal(found.low, expected.low)
        assert np.array_equal(found.high, expected.high)


@pytest.mark.parametrize("nulls", [[], [1, 3]])
def test_about_restates_around_and_fills_with_another_location(nulls: list[int]) -> None:
    values, weights = with_gaps(4, 200, nulls), np.random.default_rng(1).random(200)
    location = np.random.default_rng(2).normal(size=4 + len(nulls))
    _, expected = by_hand(values, np.array(nulls, int), weights, location[:4], location)
    found = of_rows(values.copy(), weights).about(location)
    assert_allclose(found, expected.astype(float), rtol=1e-12, atol=1e-11)


def test_about_a_location_of_the_values_alone_restates_the_values_alone() -> None:
    values, location = with_gaps(4, 200, [1, 3]), np.array([0.3, -2.0, 5.0, 0.1])
    _, expected = by_hand(values, np.empty(0, int), None, location, location)
    found = of_rows(values.copy()).about(location)
    assert_allclose(found, expected.astype(float), rtol=1e-12, atol=1e-11)


def test_room_for_more_indicators_changes_nothing_else() -> None:
    found = of_rows(with_gaps(4, 60, [2]))
    roomy = found.with_nulls(np.array([0, 2, 3]))
    old = [0, 1, 2, 3, 5]
    assert np.array_equal(roomy.mean[old], found.mean)
    assert np.array_equal(roomy.scatter[np.ix_(old, old)], found.scatter)
    assert not roomy.mean[[4, 6]].any()
    assert not roomy.scatter[[4, 6]].any() and not roomy.scatter[:, [4, 6]].any()
    assert np.array_equal(roomy.null_share(), found.null_share())


def test_without_one_part_they_are_the_moments_of_all_other_rows() -> None:
    values = with_gaps(4, 350, [1])
    values[2, 50:100] = np.nan
    sets = np.split(values, 7, axis=1)
    others = m.leave_one_out([of_rows(part.copy()) for part in sets])
    for k, found in enumerate(others):
        rows = np.concatenate(sets[:k] + sets[k + 1 :], axis=1)
        nulls = np.flatnonzero(np.isnan(rows).any(axis=1))
        mean, scatter = by_hand(rows, nulls)
        assert found.n == 300
        assert np.array_equal(found.nulls, nulls)
        assert_allclose(found.mean, mean.astype(float), rtol=1e-13)
        assert_allclose(found.scatter, scatter.astype(float), rtol=1e-12, atol=1e-11)


def test_of_two_parts_each_is_left_with_the_other() -> None:
    a, b = (of_rows(with_gaps(3, 20, [1], seed)) for seed in (0, 1))
    without_a, without_b = m.leave_one_out([a, b])
    assert_same(without_a, b, rtol=0)
    assert_same(without_b, a, rtol=0)


@pytest.mark.parametrize("wild", [0, 2, 4])
def test_leaving_out_a_part_of_huge_spread_cancels_no_digits(wild: int) -> None:
    sets = [with_gaps(3, 40, [], seed) for seed in range(5)]
    sets[wild] *= 1e12
    found = m.leave_one_out([of_rows(part.copy()) for part in sets])[wild]
    _, expected = by_hand(np.concatenate(sets[:wild] + sets[wild + 1 :], axis=1), np.empty(0, int))
    assert_allclose(found.scatter, expected.astype(float), rtol=1e-12, atol=1e-11)


def exact_scatter(values: Floats) -> Floats:
    """In integers: every value is a multiple of the unit."""
    unit, n = 2**140, values.shape[1]
    rows = [[Fraction(v) * unit for v in row] for row in values.tolist()]
    assert all(v.denominator == 1 for row in rows for v in row)
    whole = [[int(v) for v in row] for row in rows]
    products = [[n * sum(map(mul, a, b)) - sum(a) * sum(b) for b in whole] for a in whole]
    return np.array([[float(Fraction(v, n * unit**2)) for v in row] for row in products])


def relative_to_deviations(found: Floats, exact: Floats) -> float:
    size = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    return float(np.max(np.abs(found - exact) / size))


def test_one_block_far_from_zero_keeps_twelve_digits() -> None:
    values = with_gaps(3, 500, []) + 1e9
    found = of_rows(values.copy()).scatter
    assert relative_to_deviations(found, exact_scatter(values)) < 1e-12


@pytest.mark.parametrize("offset", [0.0, 1e5, 1e9])
def test_merged_blocks_far_from_zero_lose_digits_to_the_offset_once_not_squared(
    offset: float,
) -> None:
    values = with_gaps(3, 1000, []) + offset
    merged = m.merge_all([of_rows(part) for part in np.split(values.copy(), 20, axis=1)], 3)
    eps = np.finfo(float).eps
    assert relative_to_deviations(merged.scatter, exact_scatter(values)) < 4 * eps * (1 + offset)


def test_scales_from_tiny_to_huge_keep_their_digits() -> None:
    scales = np.array([1e-9, 1e-3, 1.0, 1e3, 1e9])
    values = with_gaps(5, 300, []) * scales[:, None]
    merged = m.merge_all([of_rows(part) for part in np.split(values.copy(), 10, axis=1)], 5)
    assert relative_to_deviations(merged.scatter, exact_scatter(values)) < 1e-13


def test_merging_the_same_parts_again_gives_the_same_bits() -> None:
    parts = [of_rows(with_gaps(4, 50, [1], seed)) for seed in range(6)]
    once, again = m.merge_all(parts, 4), m.merge_all(parts, 4)
    assert once.scatter.tobytes() == again.scatter.tobytes()
    assert once.mean.tobytes() == again.mean.tobytes()


@pytest.mark.parametrize("nulls", [[], [1, 2]])
def test_sets_that_count_several_times_are_their_rows_repeated(nulls: list[int]) -> None:
    rows = [with_gaps(4, n, nulls, seed=n) + 5 * n for n in (3, 7, 20, 6)]
    times = (2, 0, 1, 3)
    repeated = np.hstack([np.tile(part, k) for part, k in zip(rows, times, strict=True)])
    found, none = m.pooled([of_rows(part) for part in rows], np.array([times, (0, 0, 0, 0)]))
    assert_same(found, of_rows(repeated), rtol=1e-11)
    assert found.n_values == 4
    assert (none.n, none.weight) == (0, 0.0)


def test_sets_of_columns_far_from_zero_keep_their_digits() -> None:
    """And of one that is constant in most parts, and very far away in another."""
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(3, 20)) + 1e5 for _ in range(6)]
    rows[5][2] += 1e7
    times = np.array([(1, 0, 2, 1, 0, 0), (0, 1, 0, 0, 3, 1)])
    for often, found in zip(times, m.pooled([of_rows(part) for part in rows], times), strict=True):
        exact = np.hstack([np.tile(part, k) for part, k in zip(rows, often, strict=True)])
        assert relative_to_deviations(found.scatter, exact_scatter(exact)) < 1e-10
