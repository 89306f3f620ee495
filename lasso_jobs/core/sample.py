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
    """

    size: int
    hashes: Hashes
    buckets: NDArray[np.intp]
    values: Floats

    def only(self, buckets: Iterable[int]) -> "Sample":
        """Those of the rows that are in some buckets."""
        kept = np.isin(self.buckets, list(buckets))
        return Sample(self.size, self.hashes[kept], self.buckets[kept], self.values[:, kept])


def empty(n_values: int, size: int) -> Sample:
    """A sample of no rows."""
    return Sample(size, np.empty(0, np.uint64), np.empty(0, np.intp), np.empty((n_values, 0)))


def of_rows(hashes: Hashes, buckets: NDArray[np.intp], values: Floats, size: int) -> Sample:
    """Sample rows in memory: ``values`` has shape (q, n)."""
    kept = np.argsort(hashes, kind="stable")[:size]
    return Sample(size, hashes[kept], buckets[kept], values[:, kept])


def extended(sample: Sample, hashes: Hashes, buckets: NDArray[np.intp], values: Floats) -> Sample:
    """Sample some rows together with those that were sampled before.

    Once the sample is full, only rows below its largest hash can enter it, which are few.
    """
    if len(sample.hashes) == sample.size:
        kept = np.flatnonzero(hashes < sample.hashes[-1])
        hashes, buckets, values = hashes[kept], buckets[kept], values[:, kept]
    return merge(sample, of_rows(hashes, buckets, values, sample.size))


def merge(a: Sample, b: Sample) -> Sample:
    """Sample of two disjoint sets of rows together."""
    hashes = np.concatenate([a.hashes, b.hashes])
    kept = np.argsort(hashes, kind="stable")[: a.size]
    buckets = np.concatenate([a.buckets, b.buckets])
    values = np.concatenate([a.values, b.values], axis=1)
    return Sample(a.size, hashes[kept], buckets[kept], values[:, kept])
