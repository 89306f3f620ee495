import math
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, chisquare

from lasso_jobs.core.rows import buckets as b
from lasso_jobs.core.rows.centring import of_rows

N = 200_000


def hashes_of(name: str, n: int = N, seed: int = 0) -> b.Hashes:
    return b.row_hashes(b.text_key(name, seed), np.arange(n))


def counted(buckets: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    return np.bincount(buckets, minlength=n)


def test_row_hashes_are_the_published_outputs_of_splitmix64() -> None:
    # Of the reference implementation's generator started at 1234567.
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert b.row_hashes(1234567, np.arange(5)).tolist() == expected


def test_the_hash_of_a_row_is_the_same_whatever_block_it_is_read_in() -> None:
    key = b.text_key("a.parquet", 0)
    whole = b.row_hashes(key, np.arange(100))
    assert_array_equal(b.row_hashes(key, np.array([97, 3, 40])), whole[[97, 3, 40]])


def test_the_largest_key_wraps_around() -> None:
    mask = 2**64 - 1
    z = (mask + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    assert b.row_hashes(mask, np.arange(1)).tolist() == [z ^ (z >> 31)]


def test_the_key_of_a_text_never_changes() -> None:
    # Every stored model's hold-out depends on these numbers.
    assert b.text_key("flights/2013-01.parquet", 0) == 1755950492187177881
    assert b.text_key("flights/2013-01.parquet", -1) == 11574907593451516454


def test_texts_and_seeds_have_keys_of_their_own() -> None:
    keys = {b.text_key(text, seed) for text in ("a", "b", "", "ü") for seed in (0, 1, -1, 2**62)}
    assert len(keys) == 16


def test_uniform_numbers_lie_in_zero_to_one_and_never_reach_it() -> None:
    ends = b.uniform(np.array([0, 2**63, 2**64 - 1], np.uint64))
    assert ends[0] == 0
    assert ends[1] == 0.5
    assert 1 - 2**-52 < ends[2] < 1


def test_remixing_tells_rows_apart_and_is_not_the_identity() -> None:
    hashes = hashes_of("a", 10_000)
    mixed = b.remix(hashes)
    assert len(np.unique(mixed)) == 10_000
    assert abs(np.corrcoef(b.uniform(hashes), b.uniform(mixed))[0, 1]) < 4 / math.sqrt(10_000)


@pytest.mark.parametrize("n_buckets", [5, 60])
def test_the_buckets_are_equally_likely(n_buckets: int) -> None:
    buckets = b.assign(hashes_of("a"), n_buckets, 0.0)
    assert buckets.max() == n_buckets - 1
    assert chisquare(counted(buckets, n_buckets)).pvalue > 1e-3


def test_the_buckets_are_equally_likely_beside_a_hold_out() -> None:
    buckets = b.assign(hashes_of("a"), 60, 0.2)
    assert chisquare(counted(buckets, 61)[:60]).pvalue > 1e-3


def test_rows_next_to_each_other_fall_in_buckets_independently() -> None:
    buckets = b.assign(hashes_of("a"), 6, 0.0)
    pairs = np.bincount(buckets[:-1] * 6 + buckets[1:], minlength=36).reshape(6, 6)
    assert chi2_contingency(pairs).pvalue > 1e-3


@pytest.mark.parametrize(("name", "seed"), [("b", 0), ("a", 1)])
def test_another_file_or_another_seed_is_an_independent_draw(name: str, seed: int) -> None:
    mine = b.assign(hashes_of("a"), 6, 0.0)
    other = b.assign(hashes_of(name, seed=seed), 6, 0.0)
    pairs = np.bincount(mine * 6 + other, minlength=36).reshape(6, 6)
    assert chi2_contingency(pairs).pvalue > 1e-3


@pytest.mark.parametrize("holdout", [0.01, 0.2, 0.5])
def test_the_hold_out_has_its_share_of_the_rows(holdout: float) -> None:
    held = np.count_nonzero(b.assign(hashes_of("a"), 60, holdout) == 60)
    assert abs(held - N * holdout) < 4 * math.sqrt(N * holdout * (1 - holdout))


def test_without_a_hold_out_no_row_is_held_out() -> None:
    assert b.assign(hashes_of("a"), 60, 0.0).max() < 60


def test_a_larger_hold_out_moves_no_other_row() -> None:
    small, large = (b.assign(hashes_of("a", 10_000), 60, share) for share in (0.1, 0.3))
    assert np.all(large[small == 60] == 60)
    assert_array_equal(large[large < 60], small[large < 60])


def test_a_row_keeps_its_bucket_when_files_are_added() -> None:
    first = hashes_of("a", 1_000)
    together = np.concatenate([hashes_of("0-comes-before", 500), first, hashes_of("z", 700)])
    assert_array_equal(b.assign(together, 60, 0.2)[500:1_500], b.assign(first, 60, 0.2))


def unmixed(z: int) -> int:
    """The hash that the mixing turns into z: each of its steps, undone."""
    z ^= z >> 31 ^ z >> 62
    z = z * pow(0x94D049BB133111EB, -1, 2**64) % 2**64
    z ^= z >> 27 ^ z >> 54
    z = z * pow(0xBF58476D1CE4E5B9, -1, 2**64) % 2**64
    return z ^ z >> 30 ^ z >> 60


@pytest.mark.parametrize("n_buckets", [1, 2, 3, 7, 60, 64, 1000])
def test_the_largest_and_the_smallest_draw_fall_in_the_last_and_the_first_bucket(
    n_buckets: int,
) -> None:
    ends = np.array([unmixed(2**64 - 1), unmixed(0)], np.uint64)
    assert_array_equal(b.remix(ends), np.array([2**64 - 1, 0], np.uint64))
    assert b.assign(~ends, n_buckets, 0.0).tolist() == [n_buckets - 1, 0]


def test_supplied_buckets_are_kept() -> None:
    supplied = np.arange(1_000) % 7
    assert_array_equal(b.assign(hashes_of("a", 1_000), 7, 0.0, supplied), supplied)


def test_the_hold_out_is_drawn_from_supplied_buckets_too() -> None:
    supplied = np.arange(1_000) % 7
    found = b.assign(hashes_of("a", 1_000), 7, 0.2, supplied)
    held = found == 7
    assert 150 < held.sum() < 250
    assert_array_equal(found[~held], supplied[~held])


@pytest.mark.parametrize("n_folds", [2, 3, 5, 10, 60])
def test_narrow_data_has_sixty_buckets(n_folds: int) -> None:
    assert b.n_buckets_for(30, n_folds) == 60


def test_wide_data_has_just_the_folds() -> None:
    assert b.n_buckets_for(5_000, 5) == 5


def test_sixty_buckets_stay_within_their_bytes() -> None:
    widest = max(p for p in range(1, 2_000) if b.n_buckets_for(p, 5) == 60)
    assert 61 * 8 * widest**2 <= b.MAX_STATE_BYTES < 61 * 8 * (widest + 1) ** 2


def test_more_than_sixty_folds_have_a_bucket_each() -> None:
    assert b.n_buckets_for(30, 100) == 100


def rows_by_bucket(counts: list[int], seed: int = 0) -> tuple[NDArray[np.float64], list[slice]]:
    values = np.random.default_rng(seed).normal(size=(3, sum(counts)))
    values[1, ::5] = np.nan
    ends = np.cumsum([0, *counts])
    return values, [slice(i, j) for i, j in pairwise(ends)]


@pytest.mark.parametrize("weighted", [False, True])
def test_the_moments_of_a_bucket_are_those_of_its_rows(weighted: bool) -> None:
    counts = [10, 0, 25, 7]
    values, slices = rows_by_bucket(counts)
    weights = np.random.default_rng(1).random(42) if weighted else None
    found = b.of_rows(values.copy(), counts, weights)
    assert found.n_rows == 42
    for bucket, rows in zip(found.buckets, slices, strict=True):
        expected = of_rows(values[:, rows].copy(), None if weights is None else weights[rows])
        assert bucket.n == expected.n
        assert_allclose(bucket.weight, expected.weight)
        assert_allclose(bucket.mean, expected.mean)
        assert_allclose(bucket.scatter, expected.scatter)


def test_the_last_bucket_is_the_hold_out() -> None:
    values, slices = rows_by_bucket([10, 5, 7])
    holdout = b.of_rows(values.copy(), [10, 5, 7]).holdout
    assert holdout.n == 7
    assert_allclose(holdout.mean[0], values[0, slices[2]].mean())


def test_merged_buckets_are_those_of_their_rows_together() -> None:
    counts = [4, 9, 6, 8, 5, 7, 11]
    values, slices = rows_by_bucket(counts)
    found = b.of_rows(values.copy(), counts).merged([5, 0, 3])
    rows = np.concatenate([values[:, slices[i]] for i in (0, 3, 5)], axis=1)
    assert found.n == rows.shape[1]
    assert_allclose(found.mean[:3], np.nanmean(rows, axis=1))
    assert_allclose(found.scatter[0, 0], rows.shape[1] * rows[0].var())


def test_merging_merges_bucket_by_bucket() -> None:
    (left, left_rows), (right, right_rows) = (
        rows_by_bucket([5, 0, 8], 0),
        rows_by_bucket([3, 6, 4], 1),
    )
    merged = b.merge(b.of_rows(left.copy(), [5, 0, 8]), b.of_rows(right.copy(), [3, 6, 4]))
    assert [bucket.n for bucket in merged.buckets] == [8, 6, 12]
    for bucket, i, j in zip(merged.buckets, left_rows, right_rows, strict=True):
        rows = np.concatenate([left[:, i], right[:, j]], axis=1)
        assert_allclose(bucket.mean[:3], np.nanmean(rows, axis=1))


def test_empty_buckets_are_neutral() -> None:
    values, _ = rows_by_bucket([5, 3, 8])
    some = b.of_rows(values, [5, 3, 8])
    merged = b.merge(b.empty(3, 2), some)
    assert b.empty(3, 2).n_rows == 0
    assert merged.n_rows == 16
    assert_array_equal(merged.holdout.scatter, some.holdout.scatter)
