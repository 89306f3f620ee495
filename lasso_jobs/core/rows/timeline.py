"""Counts rows by time, and cuts them into segments of about equal rows.

While there are few distinct times, their rows are counted, and the cuts are exact. Beyond that the
cuts are quantiles of a uniform sample of the rows, of a rank error below 0.6 % with probability
99 % (see `lasso_jobs.core.rows.sample`). Either is the same for any grouping of the rows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows import sample as s
from lasso_jobs.core.rows.buckets import Hashes
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.core.rows.sample import Sample

MAX_TIMES = 100_000
"""The most distinct times that are counted, and the size of the sample beyond."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Rows by time.

    Parameters
    ----------
    times : ndarray, shape (t,)
        The distinct times, ascending; none once there are more than `MAX_TIMES`.
    counts : ndarray of int, shape (t,)
        Their rows.
    counted : bool
        Whether these are all rows; otherwise there is the sample.
    sample : Sample
        Of the times of rows.
    """

    times: Floats
    counts: NDArray[np.int64]
    counted: bool
    sample: Sample

    def distinct(self) -> tuple[Floats, NDArray[np.int64]]:
        """Distinct times, ascending, and how many rows, or rows of the sample, have each."""
        if self.counted:
            return self.times, self.counts
        times, counts = np.unique(self.sample.values[0], return_counts=True)
        return times, counts.astype(np.int64)


def empty() -> Timeline:
    """A timeline of no rows."""
    none = np.empty(0)
    return Timeline(none, none.astype(np.int64), True, s.empty(1, MAX_TIMES))


def extended(timeline: Timeline, hashes: Hashes, times: Floats) -> Timeline:
    """Add some rows to a timeline."""
    distinct, counts = np.unique(times, return_counts=True)
    sample = s.extended(timeline.sample, hashes, np.zeros(len(times), np.intp), times[None])
    return _counted(timeline, Timeline(distinct, counts.astype(np.int64), True, sample), sample)


def merge(a: Timeline, b: Timeline) -> Timeline:
    """Timeline of two disjoint sets of rows together."""
    return _counted(a, b, s.merge(a.sample, b.sample))


def _counted(a: Timeline, b: Timeline, sample: Sample) -> Timeline:
    """The times of both, counted while they are few; the sample is that of both."""
    none = np.empty(0)
    if a.counted and b.counted:
        both, place = np.unique(np.concatenate([a.times, b.times]), return_inverse=True)
        if len(both) <= MAX_TIMES:
            sums = np.zeros(len(both), np.int64)
            np.add.at(sums, place, np.concatenate([a.counts, b.counts]))
            return Timeline(both, sums, True, sample)
    return Timeline(none, none.astype(np.int64), False, sample)


def last_share(times: Floats, counts: NDArray[np.int64], share: float) -> float:
    """The time at which about the last share of the rows begins; never the first time."""
    return float(times[_nearest(counts, np.array([counts.sum() * (1 - share)]))[0]])


def segment_starts(times: Floats, counts: NDArray[np.int64], n_tests: int) -> tuple[float, ...]:
    """Starts of the tests, as scikit-learn's ``TimeSeriesSplit`` has them.

    Of n rows, each test has ``n // (n_tests + 1)``, and those before the first test have the rest;
    rows of equal time stay together, so the nearest time to each such place is taken.

    Parameters
    ----------
    times, counts : ndarray, shape (t,)
        Distinct times, ascending, more than ``n_tests``; and their rows.
    n_tests : int

    Examples
    --------
    >>> segment_starts(np.arange(6.0), np.ones(6, np.int64), n_tests=2)
    (2.0, 4.0)
    """
    n = int(counts.sum())
    ranks = n - n // (n_tests + 1) * np.arange(n_tests, 0, -1)
    return tuple(times[_nearest(counts, ranks)].tolist())


def _nearest(counts: NDArray[np.int64], ranks: NDArray[np.generic]) -> NDArray[np.intp]:
    """Indices, ascending and from 1, of the times before which the most nearly ``ranks`` rows lie.

    They differ from each other, even if one time has the rows of several segments.
    """
    before = np.cumsum(counts) - counts
    nearest = np.searchsorted((before[1:] + before[:-1]) / 2, ranks)
    order = np.arange(1, len(ranks) + 1)
    apart = np.maximum.accumulate(np.maximum(nearest - order, 0))
    return np.asarray(np.minimum(apart, len(counts) - 1 - len(ranks)) + order)
