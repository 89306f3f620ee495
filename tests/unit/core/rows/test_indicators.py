"""Levels by their entries are the same columns as those that are laid out."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lasso_jobs.core.rows import marginals as mg
from lasso_jobs.core.rows.blocks import indicators
from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.blocks.matrix import lay_out
from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.core.rows.levels import some_columns, with_other
from lasso_jobs.core.rows.moments import Floats


def category(name: str, n_levels: int, *, other: bool = False) -> Category:
    return Category(name, tuple(f"{name}{i}" for i in range(n_levels)), other, "string")


def drawn(widths: list[int], n: int, seed: int, *, other: bool = False) -> tuple[Block, Columns]:
    rng = np.random.default_rng(seed)
    categories = tuple(category(f"c{k}", width, other=other) for k, width in enumerate(widths))
    codes = tuple(rng.integers(-1, c.width, n).astype(np.int32) for c in categories)
    return Block(n, [rng.normal(size=n)], codes), Columns(("x",), categories)


def laid_out(block: Block, columns: Columns) -> Floats:
    values = np.empty((columns.n_columns, block.n_rows))
    for _ in lay_out(values, columns, block, order=np.arange(block.n_rows)):
        pass
    return values


CASES = st.tuples(
    st.lists(st.integers(1, 25), min_size=1, max_size=4), st.integers(0, 60), st.integers(0, 99)
)


@settings(max_examples=40, deadline=None)
@given(CASES, st.data())
def test_each_level_is_had_once_and_in_any_group(
    case: tuple[list[int], int, int], data: st.DataObject
) -> None:
    block, columns = drawn(*case)
    whole = laid_out(block, columns)
    low = data.draw(st.integers(0, columns.n_columns))
    wanted = range(low, data.draw(st.integers(low, columns.n_columns)))
    found = np.full(whole.shape, np.nan)
    for places, values in indicators.laid_out(block, columns, wanted):
        found[places] = values
    for each in indicators.by_entries(block, columns, wanted):
        assert np.isnan(found[each.places]).all()
        found[each.places] = np.array(list(each)).reshape(len(each), -1)
    expected = [j for j in wanted if j > 0]
    np.testing.assert_array_equal(found[expected], whole[expected])
    assert np.isnan(found[[j for j in range(len(whole)) if j not in expected]]).all()


@settings(max_examples=40, deadline=None)
@given(CASES, st.booleans())
def test_what_is_split_off_and_the_rest_are_all_columns(
    case: tuple[list[int], int, int], other: bool
) -> None:
    block, columns = drawn(*case, other=other)
    rest, kept, entries = indicators.split(block, columns)
    whole = laid_out(block, columns)
    places = [j for each in entries for j in each.places.tolist()]
    found = np.empty(whole.shape)
    found[np.delete(np.arange(len(whole)), places)] = laid_out(rest, kept)
    for each in entries:
        found[each.places] = np.array(list(each)).reshape(len(each), -1)
    np.testing.assert_array_equal(found, whole)


@pytest.mark.parametrize("weighted", [False, True])
def test_marginals_by_entries_are_those_of_whole_columns(weighted: bool) -> None:
    block, columns = drawn([40, 3], 500, 0)
    rng = np.random.default_rng(1)
    target, buckets = rng.normal(size=500), np.sort(rng.integers(0, 3, 500))
    weights = rng.uniform(0, 2, 500) if weighted else None
    whole = mg.of_rows(laid_out(block, columns), target, np.bincount(buckets), weights)
    (each,) = indicators.by_entries(block, columns, range(columns.n_columns))
    found = each.marginals(target, buckets, 3, weights)
    for name in mg.OF_COLUMNS:
        expected = getattr(whole, name)[:, each.places]
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-12, atol=1e-12)


def test_levels_outside_a_working_set_have_no_indicator_or_share_other() -> None:
    block, columns = drawn([6, 4], 80, 3)
    inside = np.zeros(columns.n_columns, np.bool_)
    inside[[0, 2, 5]] = True
    some = some_columns(columns, inside)
    assert some.labels == ("x", "c0=c01", "c0=c04")
    whole = laid_out(block, columns)
    own = replace(block, codes=indicators.codes_of(block, columns, some))
    np.testing.assert_array_equal(laid_out(own, some), whole[[0, 2, 5]])
    rest = with_other(some, columns)
    own = replace(block, codes=indicators.codes_of(block, columns, rest))
    found = laid_out(own, rest)
    assert rest.labels[-1] == "c0=(other)"
    np.testing.assert_array_equal(found[-1], 1 - whole[2] - whole[5])
    assert with_other(columns, columns) == columns
