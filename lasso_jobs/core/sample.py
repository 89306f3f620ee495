"""A uniform random sample that does not depend on the order or the grouping of the rows.

The rows with the k smallest hashes are a simple random sample without replacement; the smallest
of a union are found among the smallest of its parts, so samples merge exactly.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.buckets import Hashes
from lasso_jobs.core.moments import Floats

MAX_ROWS = 10_000
MAX_BYTES = 64 * 2**20
CONFIDENCE = 0.99
ALL = 2**64


def sample_size(n_columns: int) -> int:
    """How many rows to keep: 10,000, fewer when they are very wide."""
    return max(1_000, min(MAX_ROWS, MAX_BYTES // (8 * n_columns)))


def rank_error(n_rows: int) -> float:
    """What the ranks of a sample's quantiles are off by at most, with probability `CONFIDENCE`.

    ``sqrt(log(2 / (1 - CONFIDENCE)) / (2 n_rows))`` (Massart 1990, "The tight constant in the
    Dvoretzky-Kiefer-Wolfowitz inequality"): 1.6 % of 10,000 rows.
    """
    return sqrt(log(2 / (1 - CONFIDENCE)) / (2 * n_rows))


@dataclass(frozen=True, slots=True)
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
        """Some of the values, in another order; -1 for one that is zero in every row."""
        values = np.where(place[:, None] >= 0, self.values[place], 0.0)
        return Sample(self.size, self.hashes, self.buckets, values, self.below)

    def up_to(self, below: int) -> "Sample":
        """Only the rows with hashes below a limit, and the limit."""
        n = int(np.searchsorted(self.hashes, np.uint64(min(below, ALL - 1))))
        if n == len(self.hashes):
            return self
        return Sample(
            self.size, self.hashes[:n], self.buckets[:n], self.values[:, :n].copy(), below
        )

    def only(self, buckets: Iterable[int]) -> "Sample":
        """Those of the rows that are in some buckets."""
        kept = np.flatnonzero(np.isin(self.buckets, list(buckets)))
        values = self.values.take(kept, axis=1)
        return Sample(self.size, self.hashes[kept], self.buckets[kept], values, self.below)


def empty(n_values: int, size: int) -> Sample:
    """A sample of no rows."""
    return Sample(size, np.empty(0, np.uint64), np.empty(0, np.intp), np.empty((n_values, 0)))


def of_rows(hashes: Hashes, buckets: NDArray[np.intp], values: Floats, size: int) -> Sample:
    """Sample rows in memory: ``values`` has shape (q, n)."""
    kept = entering(empty(len(values), size), hashes)
    return Sample(size, hashes[kept], buckets[kept], values.take(kept, axis=1))


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
    kept = entering(sample, hashes)
    return merge(
        sample, Sample(sample.size, hashes[kept], buckets[kept], values.take(kept, axis=1))
    )


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
    # Not by an index, whose result lies otherwise in memory, for other roundings of what follows.
    values = np.concatenate([a.values, b.values], axis=1).take(kept, axis=1)
    return Sample(a.size, hashes[kept], buckets[kept], values, below)
