"""Turns rows in memory into moments: centres each column in each set of rows, then multiplies all.

A column is centred as soon as it is laid out, while it is in the processor's cache; the products
then need each row of memory once more. Both are a few nanoseconds a value.

Each sum depends on its own columns only, bitwise, whichever others there are: so the moments of
some features are part of those of more. For the matrix product this takes a number of columns that
its kernels need not treat the last of in another way, whence the columns of zeros.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.blocks.sparse_centring import SparseSets
from lasso_jobs.core.rows.moments import Floats, Moments, empty

WIDTH = 8
"""The number of columns is rounded up to a multiple of it: OpenBLAS's kernels, of any processor
that it knows on x86-64, then compute every element in the same way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Centring:
    """Rows in the order of the sets that they are in, on their way to moments.

    Parameters
    ----------
    values : ndarray, shape (q rounded up to a multiple of `WIDTH`, n)
        One column per row of memory; NaN is null. Overwritten by deviations from the sets' means.
    counts : ndarray of int, shape (n_sets,)
        Rows in each set.
    weights : ndarray, shape (n,), or None
        Non-negative weights; all one if absent. A row of weight zero counts in its set's number
        of rows only.
    mean, low, high, has_nulls : ndarray, shape (q, n_sets)
    """

    values: Floats
    counts: NDArray[np.intp]
    weights: Floats | None
    mean: Floats
    low: Floats
    high: Floats
    has_nulls: NDArray[np.bool_]

    @classmethod
    def of(
        cls, room: Floats, n_values: int, counts: Sequence[int], weights: Floats | None
    ) -> "Centring":
        """Make room for rows, of which no column is laid out yet.

        Parameters
        ----------
        room : ndarray of float64, contiguous, shape (at least `room_for(n_values, n)`,)
        n_values : int
            Number q of columns.
        counts, weights
        """
        n = int(sum(counts))
        values = room[: room_for(n_values, n)].reshape(-1, n) if n else np.empty((n_values, 0))
        values[n_values:] = 0.0
        shape = (n_values, len(counts))
        return cls(
            values=values,
            counts=np.asarray(counts),
            weights=weights,
            mean=np.zeros(shape),
            low=np.full(shape, np.inf),
            high=np.full(shape, -np.inf),
            has_nulls=np.zeros(shape, np.bool_),
        )

    @classmethod
    def of_rows(cls, values: Floats, counts: Sequence[int], weights: Floats | None) -> "Centring":
        """Lay out and centre rows in memory, of shape (q, n)."""
        centring = cls.of(np.empty(room_for(*values.shape)), len(values), counts, weights)
        for j, column in enumerate(values):
            centring.values[j] = column
            centring.centre(j)
        return centring

    def centre(self, j: int) -> None:
        """Centre column j."""
        column, filled = self.values[j], np.flatnonzero(self.counts)
        if not len(filled):
            return
        counts = self.counts[filled]
        starts = np.cumsum(counts) - counts
        low, high = np.minimum.reduceat(column, starts), np.maximum.reduceat(column, starts)
        if self.weights is not None or np.isnan(low).any():
            mean, low, high = self._of_observed(j, filled, starts)
        else:
            mean = np.add.reduceat(column, starts) / counts
        # The mean of equal values is their value, without rounding.
        mean = np.where(low == high, low, mean)
        self.mean[j, filled], self.low[j, filled], self.high[j, filled] = mean, low, high
        column -= np.repeat(mean, counts)
        if self.weights is not None:
            column[self.weights == 0] = 0.0

    def _of_observed(
        self, j: int, filled: NDArray[np.intp], starts: NDArray[np.intp]
    ) -> tuple[Floats, Floats, Floats]:
        """Means and extremes of a column some of whose values are null, or have weights.

        The weighted mean is a correction of the plain one, which loses no digits to an offset.
        """
        column, null = self.values[j], np.isnan(self.values[j])
        weights = np.ones(len(column)) if self.weights is None else self.weights
        taken = ~null & (weights > 0)
        self.has_nulls[j, filled] = np.logical_or.reduceat(null & (weights > 0), starts)
        low = np.minimum.reduceat(np.where(taken, column, np.inf), starts)
        high = np.maximum.reduceat(np.where(taken, column, -np.inf), starts)
        n = np.add.reduceat(taken, starts, dtype=np.float64)
        mean = np.add.reduceat(np.where(taken, column, 0.0), starts) / np.maximum(n, 1.0)
        share = np.where(taken, weights, 0.0)
        deviation = np.where(taken, column - np.repeat(mean, self.counts[filled]), 0.0)
        total = np.add.reduceat(share, starts)
        shift = np.add.reduceat(share * deviation, starts)
        mean += np.divide(shift, total, out=np.zeros_like(shift), where=total > 0)
        return mean, low, high

    def moments(
        self, sparse: SparseSets | None = None, sets: range | None = None
    ) -> tuple[Moments, ...]:
        """Moments of each set, or of some, once all columns are centred, and of sparse columns."""
        ends = np.cumsum(self.counts).tolist()
        starts = [0, *ends]
        return tuple(
            self._of_set(k, slice(starts[k], ends[k]), sparse)
            for k in (range(len(ends)) if sets is None else sets)
        )

    def _of_set(self, k: int, rows: slice, sparse: SparseSets | None) -> Moments:
        q, n, nulls = len(self.mean), int(self.counts[k]), np.flatnonzero(self.has_nulls[:, k])
        weights = None if self.weights is None else self.weights[rows]
        weight = float(n) if weights is None else float(weights.sum())
        if weight == 0:
            return replace(empty(q if sparse is None else sparse.n_values), n=n)
        deviations, mean = self.values[:, rows], self.mean[:, k].copy()
        if len(nulls):
            null = np.isnan(deviations[nulls])
            share = (null if weights is None else null * weights).sum(axis=1) / weight
            mean = np.concatenate([mean, share])
            more = np.zeros((_rounded(len(mean)) - q, n))
            more[: len(nulls)] = null - share[:, None]
            deviations = np.vstack([deviations[:q], more])
            deviations[nulls] = np.where(null, 0.0, deviations[nulls])
        roots = None if weights is None else np.sqrt(weights)
        if roots is not None:
            deviations = deviations * roots
        low, high = self.low[:, k].copy(), self.high[:, k].copy()
        scatter = (deviations @ deviations.T)[: len(mean), : len(mean)].copy()
        moments = Moments(
            n=n, weight=weight, mean=mean, scatter=scatter, low=low, high=high, nulls=nulls
        )
        if sparse is None or not len(sparse.places):
            return moments
        return sparse.beside(moments, k, rows, roots=roots, deviations=deviations)


def room_for(n_values: int, n: int) -> int:
    """How many numbers of memory n rows of so many columns take."""
    return _rounded(n_values) * n


def _rounded(n_values: int) -> int:
    return -(-n_values // WIDTH) * WIDTH


def of_rows(values: Floats, weights: Floats | None = None) -> Moments:
    """Moments of rows in memory.

    Parameters
    ----------
    values : ndarray, shape (q, n)
        One column per row of memory; NaN is null.
    weights : ndarray, shape (n,), optional
        Non-negative weights; all one if absent. A row of weight zero counts
        in ``n`` only.

    Returns
    -------
    Moments

    Examples
    --------
    >>> rows = of_rows(np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 4.0]]))
    >>> rows.n, rows.mean
    (3, array([2., 2.]))
    >>> rows.scatter
    array([[2., 3.],
           [3., 6.]])
    """
    return Centring.of_rows(values, [values.shape[1]], weights).moments()[0]
