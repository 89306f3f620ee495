from functools import reduce

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import TimeSeriesSplit

from lasso_jobs.core.rows import timeline as t
from lasso_jobs.core.rows.buckets import row_hashes
from lasso_jobs.core.rows.timeline import Timeline


def of(times: np.ndarray, parts: int = 1) -> Timeline:
    """The times, read in parts that are merged in pairs."""
    hashes = row_hashes(7, np.arange(len(times)))
    pieces = [
        t.extended(t.empty(), h, x)
        for h, x in zip(np.array_split(hashes, parts), np.array_split(times, parts), strict=True)
    ]
    return reduce(t.merge, pieces)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than 400 distinct times are many."""
    monkeypatch.setattr(t, "MAX_TIMES", 400)


@pytest.mark.parametrize("parts", [1, 3, 8])
def test_few_distinct_times_are_counted(parts: int) -> None:
    times = np.random.default_rng(0).integers(-5, 30, 1_000) / 4
    expected = np.unique(times, return_counts=True)
    for found, wanted in zip(of(times, parts).distinct(), expected, strict=True):
        assert_array_equal(found, wanted)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("n", "counted"), [(400, True), (401, False)])
def test_times_are_counted_up_to_the_limit(n: int, counted: bool) -> None:
    times = np.random.default_rng(0).permutation(np.repeat(np.arange(n) / 7, 2))
    assert {of(times, parts).counted for parts in (1, 2, 5)} == {counted}


@pytest.mark.usefixtures("few")
def test_the_cuts_of_many_times_do_not_depend_on_the_parts() -> None:
    times = np.random.default_rng(0).exponential(size=5_000)
    found = [of(times, parts).distinct() for parts in (1, 2, 7)]
    for other in found[1:]:
        assert_array_equal(other[0], found[0][0])
        assert_array_equal(other[1], found[0][1])
    assert set(found[0][0]) < set(times)


@pytest.mark.usefixtures("few")
def test_segments_of_many_times_have_about_equal_rows_even_if_many_are_equal() -> None:
    rng = np.random.default_rng(0)
    times = np.concatenate([rng.random(40_000), np.repeat([0.25, 0.75], 5_000)])
    starts = t.segment_starts(*of(rng.permutation(times)).distinct(), 4)
    sizes = np.histogram(times, [-np.inf, *starts, np.inf])[0]
    # The sample's rank error, 0.081 at 400 rows with probability 99 %, at either end; and ties.
    assert np.abs(sizes / 50_000 - 0.2).max() < 2 * 0.081
    assert len(set(starts)) == 4


@pytest.mark.parametrize(("n", "folds"), [(60, 5), (61, 5), (65, 5), (12, 11), (100, 2), (7, 3)])
def test_segments_of_different_times_are_those_of_scikit_learn(n: int, folds: int) -> None:
    times = np.random.default_rng(0).permutation(n) * 0.5
    starts = t.segment_starts(*of(times).distinct(), folds)
    in_order = np.sort(times)
    theirs = [in_order[test[0]] for _, test in TimeSeriesSplit(folds).split(in_order)]
    assert list(starts) == theirs


def test_days_of_equal_rows_are_cut_between_days() -> None:
    days = np.repeat(np.arange(12.0), 30)
    assert t.segment_starts(*of(days).distinct(), 3) == (3.0, 6.0, 9.0)


def test_a_day_that_spans_a_cut_goes_to_the_side_that_is_nearer() -> None:
    # 100 rows in two segments: the cut is wanted before row 50.
    for first, expected in ((45, 1.0), (20, 2.0)):
        times, counts = np.array([0.0, 1.0, 2.0]), np.array([first, 40, 60 - first])
        assert t.segment_starts(times, counts, 1) == (expected,)


@pytest.mark.parametrize("heavy", range(6))
def test_no_segment_is_empty_even_if_one_time_has_most_rows(heavy: int) -> None:
    counts = np.ones(6, np.int64)
    counts[heavy] = 1_000
    for folds in range(1, 6):
        starts = t.segment_starts(np.arange(6.0), counts, folds)
        edges = [-np.inf, *starts, np.inf]
        assert (np.histogram(np.arange(6.0), edges)[0] > 0).all(), (folds, starts)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_the_last_share_has_that_many_rows(share: float) -> None:
    times = np.random.default_rng(0).permutation(200).astype(float)
    cut = t.last_share(*of(times).distinct(), share)
    assert (times >= cut).sum() == 200 * share


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_the_last_share_is_neither_nothing_nor_everything(share: float) -> None:
    times = np.array([1.0, 2.0, 3.0])
    assert t.last_share(times, np.array([10, 10, 10]), share) == (3.0 if share < 0.5 else 2.0)
