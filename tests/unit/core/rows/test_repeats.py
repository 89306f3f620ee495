"""Against counts of whole rows by pandas."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from lasso_jobs.core.rows import repeats as r
from lasso_jobs.core.rows.repeats import Hashing, Repeats, merge, none

Floats = NDArray[np.float64]
KEY = 7


def counted(
    X: Floats, y: Floats, buckets: NDArray[np.intp], before: Repeats | None = None
) -> Repeats:
    hashing = Hashing(none(KEY) if before is None else before, y, len(X))
    for column in X:
        hashing.add(column)
    return hashing.counted(buckets)


def assert_same(a: Repeats, b: Repeats) -> None:
    assert a.columns == b.columns
    for name in ("hashes", "counts", "first", "last"):
        assert_array_equal(getattr(a, name), getattr(b, name))


def rows(n: int, seed: int = 0, p: int = 4) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Of which one in five is a copy of another; some values are null."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(p, n)), np.round(rng.normal(size=n), 2)
    X[rng.random(X.shape) < 0.1] = np.nan
    copies, originals = rng.permutation(n)[: 2 * (n // 5)].reshape(2, -1)
    X[:, copies], y[copies] = X[:, originals], y[originals]
    return X, y, rng.integers(0, 11, n)


def test_all_rows_are_counted_while_they_are_few() -> None:
    X, y, buckets = rows(1_000)
    found = counted(X, y, buckets)
    table = pd.DataFrame({**{str(j): x for j, x in enumerate(X)}, "y": y, "bucket": buckets})
    groups = table.groupby([*"0123", "y"], dropna=False)["bucket"]
    expected = pd.DataFrame({"n": groups.size(), "first": groups.min(), "last": groups.max()})
    own = np.column_stack([found.counts, found.first, found.last]).tolist()
    assert sorted(map(tuple, own)) == sorted(map(tuple, expected.to_numpy().tolist()))
    assert not found.full


@pytest.mark.parametrize("cuts", [[], [5_000], [100, 101, 30_000], [7_000, 14_000, 21_000]])
def test_parts_merge_to_the_whole_in_any_order(cuts: list[int]) -> None:
    X, y, buckets = rows(40_000)
    whole = counted(X, y, buckets)
    assert whole.full
    parts = [
        counted(X[:, part], y[part], buckets[part]) for part in np.split(np.arange(40_000), cuts)
    ]
    for order in (parts, parts[::-1]):
        merged = none()
        for part in order:
            merged = merge(merged, part)
        assert_same(merged, whole)
    begun = None
    for part in np.split(np.arange(40_000), cuts):
        begun = counted(X[:, part], y[part], buckets[part], begun)
    assert begun is not None
    assert_same(begun, whole)


def test_the_sample_estimates_the_share_of_the_copies() -> None:
    X, y, buckets = rows(200_000)
    found = counted(X, y, buckets)
    assert len(found.hashes) == r.SIZE
    # A fifth is copied, so that about two fifths have a twin: of 1,024 different rows, to 1.5 %.
    share = found.counts[found.counts > 1].sum() / found.counts.sum()
    true = pd.DataFrame(np.vstack([X, y]).T).duplicated(keep=False).mean()
    assert share == pytest.approx(true, abs=0.05)


def test_a_row_that_is_there_a_million_times_is_one_entry() -> None:
    n = 100_000
    found = counted(np.zeros((3, n)), np.zeros(n), np.zeros(n, int))
    assert found.counts.tolist() == [n]


def test_zeros_and_nulls_are_alike() -> None:
    other_null = np.array([0xFFF8000000000001], np.uint64).view(float)[0]
    X = np.array([[0.0, -0.0, np.nan, other_null, -np.nan, np.inf, -np.inf]])
    assert sorted(counted(X, np.ones(7), np.arange(7)).counts.tolist()) == [1, 1, 2, 3]


def test_columns_are_told_apart() -> None:
    X = np.array([[1.0, 2.0, 3.0], [2.0, 1.0, 3.0]])
    assert counted(X, np.ones(3), np.arange(3)).counts.tolist() == [1, 1, 1]


def test_what_was_not_counted_or_by_other_columns_is_not_merged() -> None:
    some, not_counted = counted(*rows(50)), none(r.NOT_COUNTED)
    other = Hashing(none(KEY + 1), np.ones(2), 0).counted(np.arange(2))
    for a, b in ((some, not_counted), (not_counted, some), (some, other)):
        assert_same(merge(a, b), not_counted)
    assert_same(merge(none(), some), some)
    assert_same(merge(some, none()), some)
