"""Sums up the rows without an outcome, which training passes over, and scoring does not.

A cancelled flight has no delay at arrival, and no time of departure either. Nights have such rows:
what drift compares them with has to have them, too. Fits never see them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows import periods as p
from lasso_jobs.core.rows import sample as s
from lasso_jobs.core.rows.buckets import Hashes
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.core.rows.periods import Periods, Summing
from lasso_jobs.core.rows.sample import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlabelled:
    """Summary of some rows without an outcome; those of disjoint rows merge.

    Parameters
    ----------
    totals : Periods
        Sums of the columns and, last, of zeros in the target's place; all rows are one period.
    periods : Periods
        The same by period; of no period if the job has none.
    low, high : ndarray, shape (q,)
        Of the values; ``inf`` and ``-inf`` where there are none.
    sample : Sample
        The columns' values and, last, the period.
    """

    totals: Periods
    periods: Periods
    low: Floats
    high: Floats
    sample: Sample

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.totals.n.sum())

    def selected(self, place: NDArray[np.intp]) -> "Unlabelled":
        """The summary of some of the columns, in another order; -1 for one that is zero."""
        known = place >= 0
        return Unlabelled(
            totals=self.totals.selected(place),
            periods=self.periods.selected(place),
            low=np.where(known, self.low[place], 0.0),
            high=np.where(known, self.high[place], 0.0),
            sample=self.sample.selected(place),
        )


def empty(n_columns: int, size: int) -> Unlabelled:
    """The summary of no rows; the sample keeps at most so many."""
    q = n_columns + 1
    return Unlabelled(
        totals=p.empty(q),
        periods=p.empty(q),
        low=np.full(q, np.inf),
        high=np.full(q, -np.inf),
        sample=s.empty(q, size),
    )


def of_rows(values: Floats, hashes: Hashes, periods: Floats | None, size: int) -> Unlabelled:
    """Sum up rows in memory.

    Parameters
    ----------
    values : ndarray, shape (n_columns + 1, n)
        NaN is null; the last of zeros, which are written over.
    hashes : ndarray of uint64, shape (n,)
        That draw the sample.
    periods : ndarray, shape (n,), or None
        A number of each row's period.
    size : int
        Of the sample.
    """
    q, n = values.shape
    if not n:
        return empty(q - 1, size)
    totals = Summing.of(np.zeros(n), q)
    by_period = Summing.of(np.empty(0) if periods is None else periods, q)
    for j, column in enumerate(values):
        totals.add(j, column)
        by_period.add(j, column)
    low = np.fmin.reduce(values, axis=1, initial=np.inf)
    high = np.fmax.reduce(values, axis=1, initial=-np.inf)
    values[-1] = -1.0 if periods is None else periods
    sample = s.of_rows(hashes, np.full(n, -1, np.intp), values, size)
    return Unlabelled(totals=totals.sums, periods=by_period.sums, low=low, high=high, sample=sample)


def merge(a: Unlabelled, b: Unlabelled) -> Unlabelled:
    """The summary of two disjoint sets of rows together."""
    return Unlabelled(
        totals=p.merge(a.totals, b.totals),
        periods=p.merge(a.periods, b.periods),
        low=np.minimum(a.low, b.low),
        high=np.maximum(a.high, b.high),
        sample=s.merge(a.sample, b.sample),
    )
