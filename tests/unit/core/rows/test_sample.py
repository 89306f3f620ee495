import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lasso_jobs.core.rows import sample as s
from lasso_jobs.core.rows.buckets import row_hashes, text_key

KEY = text_key("part-0.parquet", 0)
BUCKETS = np.random.default_rng(9).integers(0, 61, 50_000)


def test_the_rows_with_the_smallest_hashes_are_kept_with_their_values() -> None:
    hashes = row_hashes(KEY, np.arange(500))
    values = np.vstack([np.arange(500.0), -np.arange(500.0)])
    found = s.of_rows(hashes, BUCKETS[:500], values, 40)
    smallest = sorted(range(500), key=lambda i: int(hashes[i]))[:40]
    assert_array_equal(found.hashes, hashes[smallest])
    assert_array_equal(found.buckets, BUCKETS[smallest])
    assert_array_equal(found.values, values[:, smallest])


@pytest.mark.parametrize("seed", range(4))
def test_any_partition_in_any_order_gives_the_same_sample(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hashes, values = row_hashes(KEY, np.arange(1000)), rng.normal(size=(3, 1000))
    smallest = np.lexsort([hashes])[:100]
    parts = np.split(rng.permutation(1000), np.sort(rng.integers(0, 1000, 6)))
    merged = s.empty(3, 100)
    for part in parts:
        merged = s.merge(merged, s.of_rows(hashes[part], BUCKETS[part], values[:, part], 100))
    assert_array_equal(merged.hashes, hashes[smallest])
    assert_array_equal(merged.buckets, BUCKETS[smallest])
    assert_array_equal(merged.values, values[:, smallest])


def test_a_merge_as_a_tree_gives_the_same_sample() -> None:
    hashes, values = row_hashes(KEY, np.arange(800)), np.arange(800.0)[None]
    a, b, c, d = (
        s.of_rows(hashes[k::4], BUCKETS[:800][k::4], values[:, k::4], 50) for k in range(4)
    )
    merged = s.merge(s.merge(d, b), s.merge(a, c))
    assert_array_equal(merged.values[0], np.lexsort([hashes])[:50])


def test_fewer_rows_than_the_size_are_all_kept() -> None:
    hashes = row_hashes(KEY, np.arange(30))
    halves = [
        s.of_rows(hashes[k::2], BUCKETS[:15], np.arange(30.0)[None, k::2], 100) for k in range(2)
    ]
    assert_array_equal(np.sort(s.merge(*halves).values[0]), np.arange(30))


def test_nulls_are_kept() -> None:
    values = np.where(np.arange(50) % 2, np.nan, 1.0)[None]
    found = s.of_rows(row_hashes(KEY, np.arange(50)), BUCKETS[:50], values, 50)
    assert np.isnan(found.values).sum() == 25


def test_quantiles_of_the_sample_lie_within_the_stated_rank_error() -> None:
    n, k = 50_000, 2_000
    found = s.of_rows(row_hashes(KEY, np.arange(n)), BUCKETS[:n], np.arange(n)[None] / n, k)
    ranks = (np.arange(k) + 0.5) / k
    error = np.max(np.abs(np.sort(found.values[0]) - ranks)) + 0.5 / k
    assert error < np.sqrt(np.log(2 / 0.01) / (2 * k))


def test_the_sample_is_ten_thousand_rows_unless_they_are_wide() -> None:
    assert s.sample_size(1) == s.sample_size(800) == 10_000


@pytest.mark.parametrize("n_columns", [900, 4_000, 8_000])
def test_the_sample_of_wide_rows_stays_within_its_bytes(n_columns: int) -> None:
    size = s.sample_size(n_columns)
    assert size * n_columns * 8 <= s.MAX_BYTES < (size + 1) * n_columns * 8


def test_the_sample_of_very_wide_rows_has_a_thousand() -> None:
    assert s.sample_size(1_000_000) == 1_000


@pytest.mark.parametrize("seed", range(4))
def test_a_sample_extended_block_by_block_is_the_sample_of_all_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hashes, values = row_hashes(KEY, np.arange(1000)), rng.normal(size=(3, 1000))
    smallest = np.lexsort([hashes])[:100]
    found = s.empty(3, 100)
    for block in np.split(rng.permutation(1000), np.sort(rng.integers(0, 1000, 9))):
        found = s.extended(found, hashes[block], BUCKETS[block], values[:, block])
    assert_array_equal(found.hashes, hashes[smallest])
    assert_array_equal(found.buckets, BUCKETS[smallest])
    assert_array_equal(found.values, values[:, smallest])


def test_a_sample_up_to_a_limit_knows_what_it_may_lack() -> None:
    hashes = row_hashes(KEY, np.arange(1000))
    whole = s.of_rows(hashes, BUCKETS[:1000], np.arange(1000.0)[None], 100)
    parts = [
        s.of_rows(hashes[k::4], BUCKETS[:1000][k::4], np.arange(1000.0)[None, k::4], 100)
        for k in range(4)
    ]
    for limit, complete in ((int(whole.hashes[-1]) + 1, True), (int(whole.hashes[90]), False)):
        short = [part.up_to(limit) for part in parts]
        assert all(int(part.hashes[-1]) < limit for part in short)
        merged = s.merge(s.merge(short[0], parts[1]), s.merge(short[2], short[3]))
        assert merged.complete is complete
        n = 100 if complete else 90
        assert_array_equal(merged.values, whole.values[:, :n])
        assert_array_equal(merged.buckets, whole.buckets[:n])
    assert whole.complete
    assert whole.up_to(s.ALL) is whole


def test_selected_values_of_a_sample_are_in_the_order_asked_for() -> None:
    values = np.arange(90.0).reshape(3, 30)
    found = s.of_rows(row_hashes(KEY, np.arange(30)), BUCKETS[:30], values, 30)
    chosen = found.selected(np.array([2, -1, 0]))
    assert_array_equal(chosen.values, np.vstack([found.values[2], np.zeros(30), found.values[0]]))


def test_only_the_rows_of_some_buckets_are_kept() -> None:
    found = s.of_rows(row_hashes(KEY, np.arange(500)), BUCKETS[:500], np.arange(500.0)[None], 200)
    chosen = found.only([3, 17, 60])
    kept = np.isin(found.buckets, [3, 17, 60])
    assert_array_equal(chosen.values, found.values[:, kept])
    assert_array_equal(chosen.buckets, found.buckets[kept])
