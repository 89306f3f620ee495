from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from lasso_jobs.core.rows import centring
from lasso_jobs.core.rows import moments as m
from lasso_jobs.core.rows.moments import Moments

Floats = NDArray[np.float64]

check = settings(deadline=None, max_examples=60)


@dataclass(frozen=True)
class Rows:
    values: Floats
    weights: Floats | None
    cuts: list[int]

    @property
    def sets(self) -> list[NDArray[np.intp]]:
        n = self.values.shape[1]
        return [np.arange(a, b) for a, b in pairwise([0, *self.cuts, n])]

    @property
    def parts(self) -> list[Moments]:
        return [self.of(part) for part in self.sets]

    def of(self, rows: NDArray[np.intp]) -> Moments:
        return centring.of_rows(
            self.values[:, rows].copy(), None if self.weights is None else self.weights[rows]
        )

    def whole(self) -> Moments:
        return self.of(np.arange(self.values.shape[1]))


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    """Columns of any offset and scale, with nulls, weights that may be zero, and cuts."""
    q, n = draw(st.integers(1, 4)), draw(st.integers(1, 30))
    numbers = st.integers(-1000, 1000).map(lambda i: i / 8)
    values = draw(arrays(float, (q, n), elements=st.one_of(numbers, st.just(np.nan))))
    scale = draw(arrays(float, q, elements=st.sampled_from([1e-9, 1e-3, 1.0, 1e9])))
    offset = draw(arrays(float, q, elements=st.sampled_from([0.0, 1.0, -1e3])))
    weights = draw(st.none() | arrays(float, n, elements=st.sampled_from([0.0, 0.25, 1.0, 3.0])))
    cuts = draw(st.lists(st.integers(0, n), max_size=5).map(sorted))
    return Rows((values + offset[:, None]) * scale[:, None], weights, cuts)


def sizes(data: Rows, nulls: NDArray[np.intp]) -> Floats:
    """What rounding errors of the columns, the indicators after them, are measured against."""
    largest = np.nan_to_num(np.abs(data.values)).max(axis=1)
    return np.concatenate([largest, np.ones(len(nulls))])


def assert_same(a: Moments, b: Moments, data: Rows) -> None:
    assert a.n == b.n
    assert np.isclose(a.weight, b.weight, rtol=1e-14)
    assert np.array_equal(a.nulls, b.nulls)
    assert np.array_equal(a.low, b.low)
    assert np.array_equal(a.high, b.high)
    size = sizes(data, b.nulls)
    if b.weight > 0:
        assert np.all(np.abs(a.mean - b.mean) <= 1e-13 * size)
    tolerance = 1e-12 * b.weight * np.outer(size, size)
    assert np.all(np.abs(a.scatter - b.scatter) <= tolerance)


@check
@given(rows())
def test_moments_do_not_depend_on_how_the_rows_are_partitioned(data: Rows) -> None:
    merged = m.merge_all(data.parts, data.values.shape[0])
    assert_same(merged, data.whole(), data)


@check
@given(rows(), st.randoms(use_true_random=False))
def test_moments_do_not_depend_on_the_order_of_the_parts(data: Rows, random: object) -> None:
    parts = data.parts
    random.shuffle(parts)
    assert_same(m.merge_all(parts, data.values.shape[0]), data.whole(), data)


@check
@given(rows(), st.randoms(use_true_random=False))
def test_moments_do_not_depend_on_the_tree_of_merges(data: Rows, random: object) -> None:
    parts = data.parts
    while len(parts) > 1:
        i = random.randrange(len(parts) - 1)
        parts[i : i + 2] = [m.merge(parts[i], parts[i + 1])]
    assert_same(parts[0], data.whole(), data)


@check
@given(rows(), st.randoms(use_true_random=False))
def test_moments_do_not_depend_on_the_order_of_the_rows(data: Rows, random: object) -> None:
    order = list(range(data.values.shape[1]))
    random.shuffle(order)
    assert_same(data.of(np.array(order)), data.whole(), data)


@check
@given(rows())
def test_two_parts_merge_alike_either_way_round(data: Rows) -> None:
    cut = data.values.shape[1] // 2
    a, b = data.of(np.arange(cut)), data.of(np.arange(cut, data.values.shape[1]))
    assert_same(m.merge(a, b), m.merge(b, a), data)


@check
@given(rows())
def test_moments_without_a_part_are_those_of_the_other_rows(data: Rows) -> None:
    for k, found in enumerate(m.leave_one_out(data.parts)):
        others = np.concatenate([[], *data.sets[:k], *data.sets[k + 1 :]]).astype(int)
        assert_same(found, data.of(others), data)


@check
@given(rows(), st.data())
def test_cross_products_about_a_location_add_up_over_parts(data: Rows, draw: st.DataObject) -> None:
    whole = data.whole()
    size = sizes(data, whole.nulls)
    unit = draw.draw(arrays(float, len(size), elements=st.sampled_from([-1.0, 0.0, 0.5])))
    location = unit * size
    total = sum(part.with_nulls(whole.nulls).about(location) for part in data.parts if part.n)
    tolerance = 1e-12 * whole.weight * np.outer(size, size)
    assert np.all(np.abs(total - whole.about(location)) <= tolerance)


@check
@given(rows())
def test_cross_products_have_no_negative_eigenvalue_and_are_symmetric(data: Rows) -> None:
    merged = m.merge_all(data.parts, data.values.shape[0])
    size = np.where((s := sizes(data, merged.nulls)) > 0, s, 1.0)
    scatter = merged.scatter / np.outer(size, size)
    assert np.all(np.abs(scatter - scatter.T) <= 1e-13 * merged.weight)
    assert np.linalg.eigvalsh(scatter).min() >= -1e-12 * max(merged.weight, 1.0)


@check
@given(rows(), st.sampled_from([1.0, -8.0, 1024.0]))
def test_adding_a_constant_moves_the_means_alone(data: Rows, constant: float) -> None:
    plain = Rows(np.rint(data.values / np.nanmax([1.0, *np.abs(data.values).flat]) * 1e3), None, [])
    moved = Rows(plain.values + constant, None, [])
    before, after = plain.whole(), moved.whole()
    observed = np.isfinite(before.low)
    assert np.allclose((after.mean - before.mean)[: len(observed)][observed], constant, atol=1e-9)
    size = sizes(moved, before.nulls) + sizes(plain, before.nulls)
    tolerance = 1e-12 * before.weight * np.outer(size, size)
    assert np.all(np.abs(after.scatter - before.scatter) <= tolerance)


@check
@given(rows(), st.sampled_from([2.0, -0.5, 2.0**40]))
def test_scaling_a_column_scales_its_moments(data: Rows, factor: float) -> None:
    scaled = Rows(data.values * factor, data.weights, [])
    before, after = data.whole(), scaled.whole()
    stretch = np.where(np.arange(len(before.mean)) < before.n_values, factor, 1.0)
    # A power of two rounds nothing.
    assert np.array_equal(after.mean, before.mean * stretch)
    assert np.array_equal(after.scatter, before.scatter * np.outer(stretch, stretch))


@check
@given(rows())
def test_weights_that_are_all_one_are_no_weights(data: Rows) -> None:
    without = Rows(data.values, None, [])
    ones = Rows(data.values, np.ones(data.values.shape[1]), [])
    assert_same(ones.whole(), without.whole(), without)


@check
@given(rows(), st.data())
def test_selected_columns_have_the_moments_of_the_rows_of_those_columns(
    data: Rows, more: st.DataObject
) -> None:
    """Bitwise, in any order, with columns of zeros between: a cached sum serves other features."""
    q, n = data.values.shape
    place = np.array(more.draw(st.permutations(range(q)))[: more.draw(st.integers(1, q))])
    place = np.insert(place, more.draw(st.integers(0, len(place))), -1)
    chosen = np.where(place[:, None] >= 0, data.values[place], 0.0)
    expected = centring.of_rows(chosen, data.weights)
    found = data.whole().selected(place)
    for name in ("n", "weight", "mean", "scatter", "low", "high", "nulls"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
    cut = n // 2
    halves = [np.arange(cut), np.arange(cut, n)]
    merged = m.merge(*(data.of(half) for half in halves)).selected(place)
    again = m.merge(*(data.of(half).selected(place) for half in halves))
    np.testing.assert_array_equal(merged.scatter, again.scatter)
    np.testing.assert_array_equal(merged.mean, again.mean)
