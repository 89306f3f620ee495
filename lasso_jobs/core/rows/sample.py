"""Keeps a uniform random sample that does not depend on the order or the grouping of the rows.

The rows with the k smallest hashes are a simple random sample without replacement; the smallest
of a union are found among the smallest of its parts, so samples merge exactly.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.buckets import Hashes
from lasso_jobs.core.rows.moments import Floats

MAX_ROWS = 10_000
MAX_BYTES = 64 * 2**20
CONFIDENCE = 0.99
ALL = 2**64


def sample_size(n_columns: int) -> int:
    """How many rows to keep: 10,000, fewer when they are very wide."""
    return max(1_000, min(MAX_ROWS, MAX_BYTES // (8 * n_columns)))


def rank_error(n_rows: int) -> float:
    """The largest error of the ranks of a sample's quantiles, with probability `CONFIDENCE`.

    ``sqrt(log(2 / (1 - CONFIDENCE)) / (2 n_rows))`` (Massart 1990, "The tight constant in the
    Dvoretzky-Kiefer-Wolfowitz inequality"): 1.6 % of 10,000 rows.
    """
    return sqrt(log(2 / (1 - CONFIDENCE)) / (2 * n_rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The kept rows.

    Parameters
    ----------
    size : int
        The most rows to keep.
    hashes : ndarray of uint64, shape (k,)
        Ascending.
    buckets : ndarray of intp, shape (k,)
        The bucket of each row.
    values : ndarray, shape (q, k)
        NaN is null.
    below : int
        Rows with hashes from here on may be missing, although there were fewer than ``size``.
    """

    size: int
    hashes: Hashes
    buckets: NDArray[np.intp]
    values: Floats
    below: int = ALL

    @property
    def complete(self) -> bool:
        """Whether it is the rows with the smallest hashes, as many as there are up to its size."""
        return self.below == ALL or len(self.hashes) == self.size

    def selected(self, place: NDArray[np.intp]) -> "Sample":
        """Some of the columns, in another order; -1 for one that is zero in every row."""
        values = np.where(place[:, None] >= 0, self.values[place], 0.0)
        return replace(self, values=values)

    def up_to(self, below: int) -> "Sample":
        """The rows with hashes below a limit, which the sample remembers."""
        n = int(np.searchsorted(self.hashes, np.uint64(min(below, ALL - 1))))
        if n == len(self.hashes):
            return self
        values = self.values[:, :n].copy()
        return replace(
            self, hashes=self.hashes[:n], buckets=self.buckets[:n], values=values, below=below
        )

    def only(self, buckets: Iterable[int]) -> "Sample":
        """The rows that are in some buckets."""
        return self.taken(np.flatnonzero(np.isin(self.buckets, list(buckets))))

    def taken(self, rows: NDArray[np.intp]) -> "Sample":
        """Some of the rows, in another order."""
        values = self.values.take(rows, axis=1)
        return replace(self, hashes=self.hashes[rows], buckets=self.buckets[rows], values=values)


def empty(n_values: int, size: int) -> Sample:
    """A sample of no rows."""
    return Sample(
        size=size,
        hashes=np.empty(0, np.uint64),
        buckets=np.empty(0, np.intp),
        values=np.empty((n_values, 0)),
    )


def of_rows(hashes: Hashes, buckets: NDArray[np.intp], values: Floats, size: int) -> Sample:
    """Sample rows in memory: ``values`` has shape (q, n)."""
    return extended(empty(len(values), size), hashes, buckets, values)


def entering(sample: Sample, hashes: Hashes) -> NDArray[np.intp]:
    """Which rows are among the smallest, in the order of their hashes.

    Once the sample is full, only rows below its largest hash can enter it, which are few.
    """
    full = len(sample.hashes) == sample.size
    kept = np.flatnonzero(hashes < sample.hashes[-1]) if full else np.arange(len(hashes))
    if len(kept) > sample.size:
        kept = kept[np.argpartition(hashes[kept], sample.size)[: sample.size]]
    return kept[np.argsort(hashes[kept], kind="stable")]


def extended(sample: Sample, hashes: Hashes, buckets: NDArray[np.intp], values: Floats) -> Sample:
    """Sample some rows together with those that were sampled before."""
    rows = Sample(size=sample.size, hashes=hashes, buckets=buckets, values=values)
    return merge(sample, rows.taken(entering(sample, hashes)))


def merge(a: Sample, b: Sample) -> Sample:
    """Sample of two disjoint sets of rows together."""
    if not len(a.hashes) and a.below == ALL:
        return b
    hashes = np.concatenate([a.hashes, b.hashes])
    below = min(a.below, b.below)
    kept = np.argsort(hashes, kind="stable")[: a.size]
    if below < ALL:
        kept = kept[hashes[kept] < np.uint64(below)]
    buckets = np.concatenate([a.buckets, b.buckets])
    values = np.empty((len(a.values), len(kept)))
    for column, left, right in zip(values, a.values, b.values, strict=True):
        np.take(np.concatenate([left, right]), kept, out=column, mode="clip")
    return Sample(
        size=a.size, hashes=hashes[kept], buckets=buckets[kept], values=values, below=below
    )
