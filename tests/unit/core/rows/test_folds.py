import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GroupKFold

from lasso_jobs.core.rows import buckets as b
from lasso_jobs.core.rows.folds import KFold, rolling_origin


def test_at_first_a_fold_is_every_kth_bucket() -> None:
    (groups,) = KFold(60, 5).groups()
    assert [group.tolist() for group in groups] == [list(range(k, 60, 5)) for k in range(5)]


@pytest.mark.parametrize(("n_buckets", "n_folds"), [(60, 5), (60, 7), (12, 11)])
def test_in_each_repeat_each_bucket_is_in_one_fold_and_folds_are_of_like_size(
    n_buckets: int, n_folds: int
) -> None:
    for groups in KFold(n_buckets, n_folds, repeats=6).groups():
        assert sorted(np.concatenate(groups)) == list(range(n_buckets))
        sizes = [len(group) for group in groups]
        assert max(sizes) - min(sizes) <= 1


def test_the_training_of_a_fold_is_every_bucket_outside_its_test() -> None:
    splits = list(KFold(12, 4, repeats=3).splits())
    assert len(splits) == 12
    for training, test in splits:
        assert sorted([*training, *test]) == list(range(12))


def grouping(repeat: int, seed: int = 0) -> np.ndarray:
    """The fold of each bucket."""
    groups = list(KFold(60, 5, repeats=repeat + 1, seed=seed).groups())[repeat]
    fold = np.empty(60, int)
    for k, group in enumerate(groups):
        fold[group] = k
    return fold


def test_each_repeat_and_each_seed_groups_the_buckets_in_another_way() -> None:
    found = [grouping(r, seed) for r in (1, 2, 3) for seed in (0, 1)]
    together = [np.equal.outer(fold, fold) for fold in found]
    for i, one in enumerate(together):
        assert not any(np.array_equal(one, other) for other in together[:i])


def test_a_repeat_does_not_depend_on_how_many_there_are() -> None:
    more = list(KFold(60, 5, repeats=9).groups())[2]
    assert all(map(np.array_equal, more, list(KFold(60, 5, repeats=3).groups())[2]))


def test_two_buckets_share_a_fold_in_a_repeat_as_often_as_chance_has_it() -> None:
    folds = np.array([grouping(r) for r in range(1, 100)])
    shared = (folds[:, :, None] == folds[:, None, :])[:, ~np.eye(60, dtype=bool)].mean(axis=0)
    assert_allclose(shared.mean(), 11 / 59)
    assert shared.max() < 11 / 59 + 5 * np.sqrt(11 / 59 * 48 / 59 / 99)


@pytest.mark.parametrize("repeats", [1, 3])
def test_the_moments_of_a_fold_are_those_of_its_rows(repeats: int) -> None:
    rng = np.random.default_rng(0)
    bucket = np.sort(rng.integers(0, 13, 500))
    values = rng.normal(size=(3, 500))
    moments = b.of_rows(values.copy(), np.bincount(bucket, minlength=13))
    scheme = KFold(12, 4, repeats)
    folds = list(scheme.folds(moments))
    assert len(folds) == 4 * repeats
    for fold, (_, test) in zip(folds, scheme.splits(), strict=True):
        own = np.isin(bucket, test)
        for found, rows in ((fold.test, own), (fold.training, ~own & (bucket < 12))):
            assert found.n == rows.sum()
            assert_allclose(found.mean, values[:, rows].mean(axis=1))
            assert_allclose(found.scatter, rows.sum() * np.cov(values[:, rows], bias=True))


def test_folds_of_groups_are_those_of_a_group_k_fold() -> None:
    """Rows of one bucket are a group: as with GroupKFold, none is in two folds."""
    bucket = np.random.default_rng(1).integers(0, 60, 600)
    splits = list(KFold(60, 5, repeats=4).splits())
    theirs = list(GroupKFold(5).split(bucket, groups=bucket))
    for repeat in range(4):
        mine = splits[5 * repeat : 5 * repeat + 5]
        for folds in (mine, [(bucket[a], bucket[t]) for a, t in theirs]):
            for training, test in folds:
                assert not set(training) & set(test)
            assert sorted(x for _, t in folds for x in set(t)) == list(range(60))


# By time

STARTS = (10.0, 17.5, 20.0, 31.0)
GAPS = [0.0, 0.5, 2.5, 3.0, 8.0]


def by_hand(times: np.ndarray, rolling: bool, gap: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each fold, which rows are its training and which its test."""
    found = []
    for k, start in enumerate(STARTS):
        training = times < start - gap
        if rolling and k:
            training &= times >= STARTS[k - 1]
        test = times >= start
        if k < 3:
            test &= times < STARTS[k + 1]
        found.append((training, test))
    return found


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("rolling", [False, True])
@pytest.mark.parametrize("holdout", [np.inf, 34.0])
def test_folds_by_time_have_exactly_the_rows_of_their_times(
    rolling: bool, gap: float, holdout: float
) -> None:
    rng = np.random.default_rng(0)
    # Many rows lie on the edges.
    times = np.sort(rng.integers(0, 80, 400) / 2)
    scheme = rolling_origin(STARTS, rolling, gap, holdout)
    bucket = np.searchsorted(scheme.edges, times, "right")
    kept = times < holdout
    bucket[~kept] = scheme.n_buckets
    values = rng.normal(size=(2, 400))
    order = np.argsort(bucket, kind="stable")
    moments = b.of_rows(values[:, order], np.bincount(bucket, minlength=scheme.n_buckets + 1))
    expected = [(a & kept, c & kept) for a, c in by_hand(times, rolling, gap)]
    folds = list(scheme.folds(moments))
    assert scheme.n_folds == len(folds) == 4
    for split, fold, wanted in zip(scheme.splits(), folds, expected, strict=True):
        for which, found, rows in zip(split, (fold.training, fold.test), wanted, strict=True):
            assert_array_equal(np.isin(bucket, which), rows)
            assert found.n == rows.sum()
            if rows.any():
                assert_allclose(found.mean, values[:, rows].mean(axis=1))
                assert_allclose(found.scatter, rows.sum() * np.cov(values[:, rows], bias=True))
    before = bucket < scheme.n_before_holdout
    assert_array_equal(before, times < holdout - gap if holdout < np.inf else kept)


def test_there_are_at_most_two_edges_a_fold_and_one_for_the_holdout() -> None:
    assert rolling_origin(STARTS, True).edges == STARTS
    assert len(rolling_origin(STARTS, True, 0.7, 40.0).edges) == 9


@pytest.mark.parametrize("rolling", [False, True])
def test_a_gap_longer_than_all_rows_before_leaves_no_training(rolling: bool) -> None:
    scheme = rolling_origin(STARTS, rolling, 100.0)
    bucket = np.searchsorted(scheme.edges, np.arange(40.0), "right")
    for training, test in scheme.splits():
        assert not np.isin(bucket, training).any()
        assert np.isin(bucket, test).any()
