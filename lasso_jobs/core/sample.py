"""A uniform random sample that does not depend on the order or the grouping of the rows.

The rows with the k smallest hashes are a simple random sample without replacement; the smallest
of a union are found among the smallest of its parts, so samples merge exactly. Quantiles of the
sample have a rank error below ``sqrt(log(2 / d) / (2 k))`` with probability 1 - d (Massart 1990,
"The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality"): 1.6 % at k = 10,000, d = 1 %.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.buckets import Hashes
from lasso_jobs.core.moments import Floats

MAX_ROWS = 10_000
MAX_BYTES = 64 * 2**20


def sample_size(n_columns: int) -> int:
    """How many rows to keep: 10,000, fewer when they are very wide."""
    return max(1_000, min(MAX_ROWS, MAX_BYTES // (8 * n_columns)))


@dataclass(frozen=True, slots=True)
class Sample:
    """The kept rows.

    Parameters
    ----------
    size : int
        The most rows to keep.
    hashes : ndarray of uint64, shape (k,)
        Ascending.
    values : ndarray, shape (q, k)
        NaN is null.
    """

    size: int
    hashes: Hashes
    values: Floats


def empty(n_values: int, size: int) -> Sample:
    """A sample of no rows."""
    return Sample(size, np.empty(0, np.uint64), np.empty((n_values, 0)))


def of_rows(hashes: Hashes, values: Floats, size: int) -> Sample:
    """Sample rows in memory: ``values`` has shape (q, n)."""
    kept = entering(empty(len(values), size), hashes)
    return Sample(size, hashes[kept], values[:, kept])


def entering(sample: Sample, hashes: Hashes) -> NDArray[np.intp]:
    """Which rows are among the smallest, in the order of their hashes.

    Once the sample is full, only rows below its largest hash can enter it, which are few.
    """
    full = len(sample.hashes) == sample.size
    kept = np.flatnonzero(hashes < sample.hashes[-1]) if full else np.arange(len(hashes))
    if len(kept) > sample.size:
        kept = kept[np.argpartition(hashes[kept], sample.size)[: sample.size]]
    return kept[np.argsort(hashes[kept], kind="stable")]


def extended(sample: Sample, hashes: Hashes, values: Floats) -> Sample:
    """Sample some rows together with those that were sampled before."""
    kept = entering(sample, hashes)
    return merge(sample, Sample(sample.size, hashes[kept], values[:, kept]))


def merge(a: Sample, b: Sample) -> Sample:
    """Sample of two disjoint sets of rows together."""
    if not len(a.hashes):
        return b
    hashes = np.concatenate([a.hashes, b.hashes])
    kept = np.argsort(hashes, kind="stable")[: a.size]
    return Sample(a.size, hashes[kept], np.concatenate([a.values, b.values], axis=1)[:, kept])
