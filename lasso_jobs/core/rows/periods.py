"""Sums the columns by period, such as by day, and measures how much the periods differ.

Rows of one day share its weather: the mean of n of them varies by more than ``variance / n``. It is
a random effect of the day, and the mean of its rows' deviations from that, so that its variance is
``between + within / n`` (one-way analysis of variance; Searle, Casella & McCulloch 1992, "Variance
Components", chapter 3).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.moments import Floats

MOST_BYTES = 64 * 2**20
LEAST_PERIODS = 10
"""Fewer do not tell an odd one from the others, nor how much neighbours have in common."""

NULL_KEY = -0.5
"""The key of rows without a period (`lasso_jobs.data.times.periods`)."""

LEAST_ROWS = 20
"""Periods of fewer rows do not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """Sums of the columns of some rows by the period that the rows are in; mergeable.

    Parameters
    ----------
    keys : ndarray, shape (t,)
        A number of each period, ascending.
    n : ndarray of int, shape (t,)
        Rows.
    observed : ndarray of int, shape (q, t)
        Rows with a value, of each column.
    sums : ndarray, shape (q, t)
        Of the values.
    whole : bool
        False if there were too many periods, which are kept no more.
    """

    keys: Floats
    n: NDArray[np.int64]
    observed: NDArray[np.int64]
    sums: Floats
    whole: bool = True

    def selected(self, place: NDArray[np.intp]) -> "Periods":
        """Sums of some of the columns, in another order; -1 for one that is zero in every row."""
        known = place[:, None] >= 0
        observed = np.where(known, self.observed[place], self.n)
        sums = np.where(known, self.sums[place], 0.0)
        return replace(self, observed=observed, sums=sums)


@dataclass(frozen=True, slots=True)
class Summing:
    """Sums by period of rows in memory, one column after the other.

    Parameters
    ----------
    sums : Periods
    place : ndarray of intp, shape (n,)
        The period of each row among those; no rows if none are to be summed.
    """

    sums: Periods
    place: NDArray[np.intp]

    @classmethod
    def of(cls, numbers: Floats, n_columns: int) -> "Summing":
        """Prepare to sum rows, of which ``numbers`` has the period of each."""
        keys, place, n = np.unique(numbers, return_inverse=True, return_counts=True)
        observed = np.zeros((n_columns, len(keys)), np.int64)
        sums = np.zeros((n_columns, len(keys)))
        return cls(Periods(keys=keys, n=n.astype(np.int64), observed=observed, sums=sums), place)

    def add(self, j: int, values: Floats) -> None:
        """Sum column j; NaN is null."""
        if len(self.place):
            known, n_periods = ~np.isnan(values), len(self.sums.n)
            self.sums.observed[j] += np.bincount(self.place[known], minlength=n_periods)
            values = np.where(known, values, 0.0)
            self.sums.sums[j] += np.bincount(self.place, values, n_periods)


def empty(n_columns: int) -> Periods:
    """Sums of no rows."""
    none = np.empty((n_columns, 0))
    return Periods(
        keys=np.empty(0), n=np.empty(0, np.int64), observed=none.astype(np.int64), sums=none
    )


def merge(a: Periods, b: Periods) -> Periods:
    """Sums of two disjoint sets of rows together."""
    if not a.whole or not b.whole:
        return _too_many(len(a.sums))
    keys = np.union1d(a.keys, b.keys)
    if 16 * len(keys) * len(a.sums) > MOST_BYTES:
        return _too_many(len(a.sums))
    n, observed = np.zeros(len(keys), np.int64), np.zeros((len(a.sums), len(keys)), np.int64)
    sums = np.zeros((len(a.sums), len(keys)))
    for part in (a, b):
        place = np.searchsorted(keys, part.keys)
        n[place] += part.n
        observed[:, place] += part.observed
        sums[:, place] += part.sums
    return Periods(keys=keys, n=n, observed=observed, sums=sums)


def _too_many(n_columns: int) -> Periods:
    return replace(empty(n_columns), whole=False)


@dataclass(frozen=True, slots=True)
class Spans:
    """Which span each period is in.

    Parameters
    ----------
    keys : ndarray, shape (t,)
        Of the periods, ascending.
    place : ndarray of intp, shape (t,)
        The span of each; -1 for the last periods, which are no whole one, and those of few rows.
    n : ndarray of int, shape (s,)
        Rows of each span.
    """

    keys: Floats
    place: NDArray[np.intp]
    n: NDArray[np.int64]

    def sums(self, values: Floats) -> Floats:
        """Sum values of periods by span, over the last axis."""
        kept = self.place >= 0
        return np.asarray(np.add.reduceat(values[..., kept], self._starts, axis=-1))

    @property
    def _starts(self) -> NDArray[np.intp]:
        return np.flatnonzero(np.diff(self.place[self.place >= 0], prepend=-1))

    def of_rows(self, keys: Floats) -> NDArray[np.intp]:
        """The span of rows whose periods are known; -1 for none."""
        at = np.minimum(np.searchsorted(self.keys, keys), max(len(self.keys) - 1, 0))
        return np.asarray(np.where(self.keys[at] == keys, self.place[at], -1))


def spans(periods: Periods) -> list[Spans]:
    """Spans of 1, 2, 4, ... neighbouring periods.

    At least two periods, and spans of more while there are at least `LEAST_PERIODS`. Rows without a
    period are no period.
    """
    several: list[Spans] = []
    kept = np.flatnonzero((periods.n >= LEAST_ROWS) & (periods.keys != NULL_KEY))
    while len(kept) // 2 ** len(several) >= (LEAST_PERIODS if several else 2):
        length = 2 ** len(several)
        whole = kept[: len(kept) // length * length]
        place = np.full(len(periods.n), -1)
        place[whole] = np.arange(len(whole)) // length
        n = periods.n[whole].reshape(-1, length).sum(axis=1)
        several.append(Spans(periods.keys, place, n))
    return several


def between_variance(deviations: Floats, n: NDArray[np.int64], variance: float) -> float:
    """Variance of the periods' effects, from the deviations of their means from the mean of all.

    A squared deviation is on average ``between + within / n``, and ``between + within`` is the
    variance of the rows. All periods count alike, as days do when they are judged.
    """
    chance = float(np.mean(1.0 / n))
    return max(0.0, (float(np.mean(deviations**2)) - variance * chance) / (1.0 - chance))


def psi_by_period(
    places: NDArray[np.intp], bins: NDArray[np.intp], n_bins: int, n_periods: int
) -> Floats:
    """Each period's distance from all of them, ``sum_b (q_b - p_b)^2 / p_b``; 0 without rows.

    Parameters
    ----------
    places : ndarray of int, shape (n,)
        The period of each row of a sample; -1 for none.
    bins : ndarray of int, shape (n,)
        Its bin.
    n_bins, n_periods : int
    """
    cells = np.zeros((n_periods, n_bins))
    known = places >= 0
    np.add.at(cells, (places[known], bins[known]), 1.0)
    n, p = cells.sum(axis=1), cells.sum(axis=0) / max(int(known.sum()), 1)
    shares = cells / np.maximum(n, 1.0)[:, None]
    distances = (shares - p)[:, p > 0] ** 2 @ (1 / p[p > 0])
    return np.where(n > 0, distances, 0.0)


def psi_between(places: NDArray[np.intp], bins: NDArray[np.intp], n_bins: int) -> float:
    """The mean PSI of a span of infinitely many rows: what the spans' own differences make of it.

    For small differences the PSI is ``sum_b (q_b - p_b)^2 / p_b``. Its mean over spans is
    ``sum_b v_b / p_b``, where v_b is the variance of the spans' shares of bin b.

    Parameters
    ----------
    places : ndarray of int, shape (n,)
        The span of each row of a sample; -1 for none.
    bins : ndarray of int, shape (n,)
        Its bin.
    n_bins : int
    """
    bins, places = bins[places >= 0], places[places >= 0]
    _, place = np.unique(places, return_inverse=True)
    t, total = int(place.max(initial=-1)) + 1, len(places)
    if t < 2 or total <= 2 * t:
        return 0.0
    cells = np.bincount(place * n_bins + bins, minlength=t * n_bins).reshape(t, n_bins)
    n = cells.sum(axis=1)
    shares, p = cells / n[:, None], cells.sum(axis=0) / total
    between = n @ (shares - p) ** 2 / (t - 1)
    within = n @ (shares * (1 - shares)) / (total - t)
    size = (total - float(n @ n) / total) / (t - 1)
    some = p > 0
    return max(0.0, float(np.sum(((between - within) / size)[some] / p[some])))
