"""Assigns rows to buckets, by a row's identity and a seed alone, and keeps the moments of each.

Buckets 0 .. n_buckets - 1 are for cross-validation; bucket ``n_buckets`` holds the hold-out. A
row's identity is its file's name and its position in it, or the value of a group column, so that
adding or removing files moves no other row. Only cuts in time depend on all rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows import moments as m
from lasso_jobs.core.rows.centring import Centring
from lasso_jobs.core.rows.moments import Floats, Moments

Hashes = NDArray[np.uint64]

N_BUCKETS = 60
"""Divides into 5, 6, 10, 12, 15, 20 and 30 folds."""

MAX_STATE_BYTES = 128 * 2**20


def text_key(text: str, seed: int) -> int:
    """A 64-bit key of a text, such as a file's name or a group's label."""
    digest = blake2b(text.encode(), digest_size=8, key=seed.to_bytes(8, "big", signed=True))
    return int.from_bytes(digest.digest(), "big")


def row_hashes(key: int, positions: NDArray[np.integer]) -> Hashes:
    """Hash positions in the file of this key by splitmix64 (Steele, Lea & Flood 2014)."""
    with np.errstate(over="ignore"):
        z = np.uint64(key) + (positions.astype(np.uint64) + np.uint64(1)) * np.uint64(
            0x9E3779B97F4A7C15
        )
    return remix(z)


def remix(hashes: Hashes) -> Hashes:
    """Another draw for the same rows: splitmix64's finaliser."""
    with np.errstate(over="ignore"):
        z = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def uniform(hashes: Hashes) -> Floats:
    """Map hashes to [0, 1)."""
    return np.asarray((hashes >> np.uint64(11)) * 2.0**-53, float)


def assign(
    hashes: Hashes, n_buckets: int, holdout: float, buckets: NDArray[np.intp] | None = None
) -> NDArray[np.intp]:
    """Bucket of each row.

    Parameters
    ----------
    hashes : ndarray of uint64, shape (n,)
    n_buckets : int
        Number of buckets for cross-validation.
    holdout : float
        Share of the rows that goes to the hold-out, bucket ``n_buckets``.
    buckets : ndarray of intp, optional
        The bucket of each row where the user supplies it; otherwise all are equally likely.
    """
    draw = uniform(hashes)
    if buckets is None:
        buckets = (uniform(remix(~hashes)) * n_buckets).astype(np.intp)
    return np.where(draw < holdout, n_buckets, buckets)


def n_buckets_for(n_columns: int, n_folds: int) -> int:
    """60 buckets while they are cheap to keep, otherwise just the folds.

    Examples
    --------
    >>> n_buckets_for(n_columns=100, n_folds=5), n_buckets_for(n_columns=1000, n_folds=5)
    (60, 5)
    """
    cheap = 8 * n_columns**2 * (N_BUCKETS + 1) <= MAX_STATE_BYTES
    return N_BUCKETS if cheap and n_folds <= N_BUCKETS else n_folds


@dataclass(frozen=True, slots=True)
class BucketMoments:
    """Moments per bucket, the hold-out last."""

    buckets: tuple[Moments, ...]

    @property
    def n_rows(self) -> int:
        """Number of rows in all buckets."""
        return sum(bucket.n for bucket in self.buckets)

    @property
    def holdout(self) -> Moments:
        """Moments of the held-out rows."""
        return self.buckets[-1]

    @property
    def nulls(self) -> NDArray[np.intp]:
        """The columns that have nulls in any bucket, ascending."""
        return np.unique(np.concatenate([bucket.nulls for bucket in self.buckets]))

    def merged(self, which: Iterable[int]) -> Moments:
        """Moments of some buckets together, merged in the given order."""
        return m.merge_all((self.buckets[i] for i in which), self.holdout.n_values)


def merge(a: BucketMoments, b: BucketMoments) -> BucketMoments:
    """Merge bucket by bucket."""
    pairs = zip(a.buckets, b.buckets, strict=True)
    return BucketMoments(tuple(m.merge(left, right) for left, right in pairs))


def empty(n_values: int, n_buckets: int) -> BucketMoments:
    """Moments of no rows."""
    return BucketMoments((m.empty(n_values),) * (n_buckets + 1))


def of_rows(values: Floats, counts: Sequence[int], weights: Floats | None = None) -> BucketMoments:
    """Moments per bucket of rows that lie in the order of their buckets.

    Parameters
    ----------
    values : ndarray, shape (q, n)
        As for `lasso_jobs.core.rows.centring.of_rows`.
    counts : sequence of int
        Rows in each bucket, the hold-out last.
    weights : ndarray, shape (n,), optional
    """
    return BucketMoments(Centring.of_rows(values, counts, weights).moments())
