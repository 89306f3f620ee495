"""Against moments of rows whose levels are merged before."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.core.rows.levels import Grouping, choose
from lasso_jobs.core.rows.moments import Moments

Floats = NDArray[np.float64]
Rows = Callable[..., Moments]

COUNTS = [5, 40, 0, 25, 25, 5]
LEVELS = ("a", "b", "c", "d", "e")


def one_hot(codes: NDArray[np.intp], width: int) -> Floats:
    return (codes[:, None] == np.arange(width)).astype(float)


CODES = np.random.default_rng(0).permutation(np.repeat(np.arange(6), COUNTS))
X = np.random.default_rng(1).normal(size=(100, 2))
X[::7, 1] = np.nan
Y = np.random.default_rng(2).normal(size=100)


def columns(other: bool) -> Columns:
    return Columns(("x0", "x1"), (Category("s", LEVELS, other, "string"),))


def moments(moments_of: Rows, other: bool = True) -> Moments:
    if not other:
        kept = CODES < 5
        return moments_of(np.hstack([X[kept], one_hot(CODES[kept], 5)]), Y[kept])
    return moments_of(np.hstack([X, one_hot(CODES, 6)]), Y)


def levels(grouping: Grouping) -> tuple[tuple[str | None, ...], bool]:
    (category,) = grouping.columns.categories
    return category.levels, category.other


@pytest.mark.parametrize(
    ("max_levels", "min_count", "kept"),
    [
        (None, 1, "abde"),
        (None, 6, "bde"),
        (None, 25, "bde"),
        (None, 26, "b"),
        (None, 41, ""),
        (1, 1, "b"),
        (2, 1, "bd"),
        (3, 1, "bde"),
        (3, 26, "b"),
        (9, 1, "abde"),
    ],
)
def test_the_most_frequent_levels_are_kept_in_their_own_order(
    moments_of: Rows, max_levels: int | None, min_count: int, kept: str
) -> None:
    grouping = choose(columns(True), moments(moments_of), max_levels, min_count)
    assert levels(grouping) == (tuple(kept), True)


def test_there_is_no_other_level_where_nothing_is_merged(moments_of: Rows) -> None:
    grouping = choose(columns(False), moments(moments_of, False), 4, 1)
    assert levels(grouping) == (LEVELS, False)
    grouping = choose(columns(False), moments(moments_of, False), 3, 1)
    assert levels(grouping) == (("b", "d", "e"), True)


@pytest.mark.parametrize("max_levels", [1, 2, 3])
def test_moments_after_the_grouping_are_those_of_rows_with_merged_levels(
    moments_of: Rows, max_levels: int
) -> None:
    wide = moments(moments_of)
    grouping = choose(columns(True), wide, max_levels, 1)
    kept = [LEVELS.index(str(level)) for level in levels(grouping)[0]]
    place = {code: k for k, code in enumerate(kept)}
    merged = np.array([place.get(code, max_levels) for code in CODES])
    expected = moments_of(np.hstack([X, one_hot(merged, max_levels + 1)]), Y)
    found = grouping.moments(wide)
    assert (found.n, found.weight) == (expected.n, expected.weight)
    assert_array_equal(found.nulls, expected.nulls)
    for name in ("mean", "scatter", "low", "high"):
        assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12, atol=1e-12)
    values = np.hstack([X, one_hot(CODES, 6)]).T
    assert_array_equal(grouping.values(values)[2:], one_hot(merged, max_levels + 1).T)


def test_levels_that_are_all_merged_make_a_constant_column(moments_of: Rows) -> None:
    wide = moments(moments_of)
    grouping = choose(columns(True), wide, None, 41)
    found = grouping.moments(wide)
    assert_allclose(found.mean[2], 1.0, rtol=1e-15)
    assert_array_equal(found.scatter[2], 0.0)
    assert_array_equal(found.scatter[:, 2], 0.0)


def test_moments_are_the_same_object_where_nothing_is_merged(moments_of: Rows) -> None:
    wide = moments(moments_of, False)
    assert choose(columns(False), wide, 5, 1).moments(wide) is wide
