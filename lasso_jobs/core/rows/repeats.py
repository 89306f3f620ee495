"""Counts how often rows repeat, from the rows with the smallest hashes of what is in them.

A row's hash is of its values, so that its copies have the same one and are in the sample together,
wherever they lie. The sample has the `SIZE` smallest different hashes, each with the number of its
rows (the k minimum values of Bar-Yossef et al. 2002, "Counting distinct elements in a data
stream", with counts). What is among the smallest of all rows is so in each part, which therefore
has counted all of its copies: parts merge exactly, in any order.

The upper half of a hash is of the target alone. Only rows that this half lets into the sample are
hashed over all columns, which costs a pass over 100 columns 2 % of its time; to hash two
columns of all rows took twice as long.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.buckets import Hashes, remix, row_hashes
from lasso_jobs.core.rows.moments import Floats

SIZE = 1_024
"""Where 1 % of the rows have a copy, ten of these have: a standard error of 0.3 %. With 4,096 the
hashes took 8 % of a pass over 100 columns in work units of 100,000 rows."""
NOT_COUNTED = -1
_FACTOR, _HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
_NULL = np.uint64(0x7FF8000000000000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """How often each of some rows is there.

    Parameters
    ----------
    columns : int
        A key of the columns that were hashed; 0 of no rows, `NOT_COUNTED` if none were, or
        different ones in different parts.
    hashes : ndarray of uint64, shape (k,)
        Different ones, ascending.
    counts : ndarray of int, shape (k,)
        Rows that have each.
    first, last : ndarray of int, shape (k,)
        The smallest and the largest of their buckets.
    """

    columns: int
    hashes: Hashes
    counts: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]

    @property
    def full(self) -> bool:
        """Whether only rows with hashes below the largest can enter."""
        return len(self.hashes) == SIZE


def none(columns: int = 0) -> Repeats:
    """Of no rows."""
    no = np.empty(0, np.int64)
    return Repeats(
        columns=columns,
        hashes=np.empty(0, np.uint64),
        counts=no,
        first=no,
        last=no,
    )


def merge(a: Repeats, b: Repeats) -> Repeats:
    """Of two disjoint sets of rows together."""
    if a.columns == 0 or b.columns == 0:
        return b if a.columns == 0 else a
    if a.columns != b.columns or a.columns == NOT_COUNTED:
        return none(NOT_COUNTED)
    hashes, place = np.unique(np.concatenate([a.hashes, b.hashes]), return_inverse=True)
    counts = np.zeros(len(hashes), np.int64)
    np.add.at(counts, place, np.concatenate([a.counts, b.counts]))
    first, last = np.full(len(hashes), np.iinfo(np.int64).max), np.full(len(hashes), -1)
    np.minimum.at(first, place, np.concatenate([a.first, b.first]))
    np.maximum.at(last, place, np.concatenate([a.last, b.last]))
    return Repeats(
        columns=a.columns,
        hashes=hashes[:SIZE],
        counts=counts[:SIZE],
        first=first[:SIZE],
        last=last[:SIZE],
    )


def of_columns(values: Floats, first: int = 0) -> Hashes:
    """Hashes of rows by some columns; all nulls are alike, and both zeros.

    They are sums over the columns, so that those of columns apart are added.

    Parameters
    ----------
    values : ndarray, shape (p, n)
    first : int
        The number of the first of the columns.
    """
    bits = (values + 0.0).view(np.uint64)
    if np.isnan(values.sum()):
        bits[np.isnan(values)] = _NULL
    bits *= _FACTOR
    bits ^= bits >> _HALF
    # An odd number for each column.
    bits *= (row_hashes(0, np.arange(first, first + len(values))) | np.uint64(1))[:, None]
    return np.asarray(bits.sum(axis=0))


class Hashing:
    """Hashes some rows, a column at a time, and adds them to those that were counted before.

    Parameters
    ----------
    before : Repeats
    target : ndarray, shape (n,)
    n_columns : int
        How many are to come.
    whole : bool
        Whether they are all that rows differ by; if not, no row is counted.

    Examples
    --------
    >>> hashing = Hashing(none(columns=7), np.array([1.0, 2.0, 1.0]), n_columns=1)
    >>> hashing.add(np.array([0.5, 0.5, 0.5]))
    >>> sorted(hashing.counted(np.array([0, 1, 4])).counts.tolist())
    [1, 2]
    """

    def __init__(
        self, before: Repeats, target: Floats, n_columns: int, *, whole: bool = True
    ) -> None:
        self._before = before if whole else none(NOT_COUNTED)
        self._target, self._done = of_columns(target[None]), 0
        counted = self._before.columns != NOT_COUNTED
        self._rows = self._entering() if counted else np.empty(0, np.intp)
        self._values = np.empty((n_columns, len(self._rows)))

    def add(self, column: Floats) -> None:
        """Another column, shape (n,)."""
        np.take(column, self._rows, out=self._values[self._done], mode="clip")
        self._done += 1

    def counted(self, buckets: NDArray[np.intp]) -> Repeats:
        """All rows together; ``buckets`` has shape (n,)."""
        own, target = buckets[self._rows].astype(np.int64), self._target[self._rows]
        every = remix(target + of_columns(self._values, 1))
        hashes = (target >> _HALF << _HALF) | (every >> _HALF)
        new = Repeats(
            columns=self._before.columns,
            hashes=hashes,
            counts=np.ones(len(hashes), np.int64),
            first=own,
            last=own,
        )
        return merge(self._before, new)

    def _entering(self) -> NDArray[np.intp]:
        """The rows that may be among the smallest, by the upper half of their hashes."""
        upper, limit = self._target >> _HALF, 1 << 32
        if self._before.full:
            limit = int(self._before.hashes[-1] >> _HALF)
        elif len(upper) > 4 * SIZE:
            # Of rows that do not repeat, this share has a quarter more than are kept.
            share = int(1.25 * SIZE / len(upper) * limit)
            if len(np.unique(upper[upper <= share])) >= SIZE:
                limit = share
        return np.flatnonzero(upper <= limit)
