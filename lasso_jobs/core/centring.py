"""From rows to moments: each column is centred in each set of rows, then multiplied with all.

A column is centred as soon as it is laid out, while it is in the processor's cache; the products
then need each row of memory once more. Both are a few nanoseconds a value.

Each sum depends on its own columns only, bitwise, whichever others there are: so the moments of
some features are part of those of more. For the matrix product this takes a number of columns that
its kernels need not treat the last of in another way, whence the columns of zeros.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lasso_jobs.core.moments import Floats, Moments, empty

WIDTH = 8
"""The number of columns is rounded up to a multiple of it: OpenBLAS's kernels, of any processor
that it knows on x86-64, then compute every element in the same way."""


@dataclass(frozen=True, slots=True)
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
        """Nothing is laid out and centred yet.

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
        mean, low, high = np.empty((3, *shape))
        return cls(values, np.asarray(counts), weights, mean, low, high, np.empty(shape, np.bool_))

    @classmethod
    def of_rows(cls, values: Floats, counts: Sequence[int], weights: Floats | None) -> "Centring":
        """Rows in memory, of shape (q, n), centred."""
        centring = cls.of(np.empty(room_for(*values.shape)), len(values), counts, weights)
        for j, column in enumerate(values):
            centring.values[j] = column
            centring.centre(j)
        return centring

    def centre(self, j: int) -> None:
        """Centre column j."""
        weights = np.empty(0) if self.weights is None else self.weights
        statistics = self.mean[j], self.low[j], self.high[j], self.has_nulls[j]
        _centre(self.values[j], self.counts, weights, *statistics)

    def moments(self) -> tuple[Moments, ...]:
        """Moments of each set, once all columns are centred."""
        ends = np.cumsum(self.counts)
        return tuple(
            self._of_set(k, slice(end - n, end))
            for k, (n, end) in enumerate(zip(self.counts.tolist(), ends.tolist(), strict=True))
        )

    def _of_set(self, k: int, rows: slice) -> Moments:
        q, n, nulls = len(self.mean), int(self.counts[k]), np.flatnonzero(self.has_nulls[:, k])
        weights = None if self.weights is None else self.weights[rows]
        weight = float(n) if weights is None else float(weights.sum())
        if weight == 0:
            return replace(empty(q), n=n)
        deviations, mean = self.values[:, rows], self.mean[:, k].copy()
        if len(nulls):
            null = np.isnan(deviations[nulls])
            share = (null if weights is None else null * weights).sum(axis=1) / weight
            mean = np.concatenate([mean, share])
            more = np.zeros((_rounded(len(mean)) - q, n))
            more[: len(nulls)] = null - share[:, None]
            deviations = np.vstack([deviations[:q], more])
            deviations[nulls] = np.where(null, 0.0, deviations[nulls])
        if weights is not None:
            deviations = deviations * np.sqrt(weights)
        low, high = self.low[:, k].copy(), self.high[:, k].copy()
        scatter = (deviations @ deviations.T)[: len(mean), : len(mean)].copy()
        return Moments(n, weight, mean, scatter, low, high, nulls)


def room_for(n_values: int, n: int) -> int:
    """Numbers of memory for n rows of so many columns."""
    return _rounded(n_values) * n


def _rounded(n_values: int) -> int:
    return -(-n_values // WIDTH) * WIDTH


@njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _centre(
    column: Any, counts: Any, weights: Any, mean: Any, low: Any, high: Any, has_nulls: Any
) -> None:
    """Centre the sets of a column in place; a null stays NaN."""
    end = 0
    for k, n in enumerate(counts):
        rows, some = column[end : end + n], weights[end : end + n]
        end += n
        has_nulls[k] = False
        centre = _mean(rows) if n else 0.0
        if n == 0 or len(weights) > 0 or np.isnan(centre):
            mean[k], low[k], high[k], has_nulls[k] = _centre_observed(rows, some)
            continue
        low[k], high[k] = _extremes(rows)
        mean[k] = centre
        for i in range(n):
            rows[i] -= centre


@njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def _centre_observed(rows: Any, weights: Any) -> tuple[float, float, float, bool]:
    """Centre rows some of which are null, or have weights; mean, extremes, whether there are nulls.

    The weighted mean is found as a correction of the plain one, which is exact if all are the same.
    """
    weighted, has_nulls = len(weights) > 0, False
    n, first, total, low, high = 0, 0.0, 0.0, np.inf, -np.inf
    for i, value in enumerate(rows):
        if weighted and weights[i] == 0.0:
            continue
        if np.isnan(value):
            has_nulls = True
            continue
        first = value if n == 0 else first
        n, total, low, high = n + 1, total + (value - first), min(low, value), max(high, value)
    centre = first + total / n if n else 0.0
    weight = shift = 0.0
    for i, value in enumerate(rows):
        w = weights[i] if weighted else 1.0
        if w > 0.0 and not np.isnan(value):
            weight, shift = weight + w, shift + w * (value - centre)
    centre += shift / weight if weight > 0.0 else 0.0
    for i in range(len(rows)):
        rows[i] = 0.0 if weighted and weights[i] == 0.0 else rows[i] - centre
    return centre, low, high, has_nulls


@njit(cache=True, nogil=True, fastmath={"reassoc"})  # type: ignore[misc, unused-ignore]
def _mean(values: Any) -> float:
    """Summed in any order, so that several can be added at once; exact if all are the same."""
    first, total = values[0], 0.0
    for value in values:
        total += value - first
    return float(first + total / len(values))


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "reassoc"})  # type: ignore[misc, unused-ignore]
def _extremes(values: Any) -> tuple[float, float]:
    low, high = np.inf, -np.inf
    for value in values:
        low, high = min(low, value), max(high, value)
    return low, high
