"""Balanced groups against scikit-learn's GroupKFold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from lasso_jobs.core.rows import balance
from lasso_jobs.core.rows.balance import ListedGroups
from lasso_jobs.core.rows.buckets import assign, row_hashes, text_key, uniform
from lasso_jobs.core.rows.folds import Balance, KFold

KEY = text_key("part.parquet", 0)


def listed(counts: list[int]) -> tuple[ListedGroups, NDArray[np.uint64]]:
    """Groups of so many rows, and the hash of each row's."""
    hashes = np.repeat(row_hashes(KEY, np.arange(len(counts))), counts)
    return ListedGroups.of(hashes), hashes


def sizes_by_sklearn(groups: NDArray[np.uint64], n_folds: int) -> list[int]:
    splits = GroupKFold(n_folds).split(groups, groups=groups)
    return sorted(len(test) for _, test in splits)


@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=60),
    n_folds=st.integers(2, 12),
    per_fold=st.integers(1, 6),
)
def test_folds_have_the_sizes_of_group_k_fold(
    counts: list[int], n_folds: int, per_fold: int
) -> None:
    n_folds = min(n_folds, len(counts))
    groups, hashes = listed(counts)
    none = np.zeros(len(counts), bool)
    buckets = groups.buckets(n_folds * per_fold, n_folds, none)
    assert buckets.max() < n_folds * per_fold
    rows = np.bincount(buckets % n_folds, groups.counts, n_folds)
    assert sorted(rows.tolist()) == sizes_by_sklearn(hashes, n_folds)


@given(n=st.integers(2, 300), n_folds=st.integers(2, 20), share=st.floats(0.01, 0.9))
def test_rows_are_within_one_of_equal_in_folds_and_hold_out(
    n: int, n_folds: int, share: float
) -> None:
    groups, _ = listed([1] * n)
    held = groups.held_out(share)
    assert abs(held.sum() - share * n) <= 0.5 or held.sum() == 1
    buckets = groups.buckets(60 - 60 % n_folds, n_folds, held)
    assert (buckets[held] == 60 - 60 % n_folds).all()
    rows = np.bincount(buckets[~held] % n_folds, minlength=n_folds)
    assert np.ptp(rows) <= 1


@given(counts=st.lists(st.integers(1, 500), min_size=1, max_size=40), share=st.floats(0.01, 0.99))
def test_the_hold_out_is_no_further_from_its_share_than_a_group(
    counts: list[int], share: float
) -> None:
    groups, _ = listed(counts)
    held = groups.held_out(share)
    rows, goal = groups.counts[held].sum(), share * sum(counts)
    assert held.any()
    # No other group alone would bring it nearer, unless it came before the rows that did.
    assert abs(rows - goal) <= max(counts)
    assert not groups.held_out(0.0).any()


def test_groups_merge_in_any_grouping(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = row_hashes(KEY, np.random.default_rng(0).integers(0, 30, 400))
    parts = [ListedGroups.of(part) for part in np.array_split(hashes, 7)]
    left = parts[0]
    for part in parts[1:]:
        left = left.merge(part)
    right = parts[-1]
    for part in reversed(parts[:-1]):
        right = part.merge(right)
    keys, counts = np.unique(hashes, return_counts=True)
    for merged in (left, right):
        assert_array_equal(merged.keys, keys)
        assert_array_equal(merged.counts, counts)
        assert merged.complete
    monkeypatch.setattr(balance, "MOST_LISTED", 29)
    whole = ListedGroups.of(hashes)
    assert (whole.complete, len(whole.keys)) == (False, 0)
    assert not parts[0].merge(whole).complete
    assert not whole.merge(parts[0]).complete


@pytest.mark.parametrize("n_folds", [2, 5, 7])
def test_later_repeats_are_balanced_and_drawn_anew(n_folds: int) -> None:
    counts = np.random.default_rng(1).integers(1, 50, 24)
    groups, _ = listed(counts.tolist())
    n_buckets = 60 - 60 % n_folds
    buckets = groups.buckets(n_buckets, n_folds, np.zeros(24, bool))
    rows = np.bincount(buckets, groups.counts, n_buckets).astype(int)
    first = tuple((np.arange(n_buckets) % n_folds).tolist())
    folds = KFold(n_buckets, n_folds, 4, 0, Balance(tuple(rows.tolist()), first))
    seen = set()
    for repeat in folds.groups():
        assert sorted(np.concatenate(repeat)) == list(range(n_buckets))
        totals = [rows[fold].sum() for fold in repeat]
        assert max(totals) - min(totals) <= counts.max()
        seen.add(tuple(sorted(tuple(b for b in fold if rows[b]) for fold in map(sorted, repeat))))
    assert len(seen) == 4


@given(
    n=st.integers(10, 200),
    more=st.integers(0, 200),
    share=st.floats(0.01, 0.9),
    seed=st.integers(0, 1_000),
)
def test_a_share_of_hashes_holds_out_enough_and_others_move_none(
    n: int, more: int, share: float, seed: int
) -> None:
    keys = row_hashes(text_key("period", seed), np.arange(n + more))
    draws = uniform(keys)
    few, many = (ListedGroups.of(keys[:k]).share_to_hold(share) for k in (n, n + more))
    held = draws[:n] < few
    assert held[draws[:n] < share].all()
    assert held.sum() >= 3
    assert held.sum() >= 9 or few >= 1 / 3 or held.sum() == n // 2
    assert few == share or held.sum() == 3 or held.sum() <= max(n // 2, (draws[:n] < share).sum())
    # Others move only what is held out beyond the share, or was not held out for want of others.
    moved = held != (draws[:n] < many)
    assert (draws[:n][moved] >= share).all()


def test_rows_by_hash_are_those_of_the_buckets_that_rows_are_assigned() -> None:
    groups, hashes = listed([5, 9, 1, 3, 7, 7, 2])
    found = groups.rows_by_hash(4, 0.3)
    expected = np.bincount(assign(hashes, 4, 0.3), minlength=5)
    assert_array_equal(found.counts, expected[:4])
    assert expected[4] > 0
