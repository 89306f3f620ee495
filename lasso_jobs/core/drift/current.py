"""Sums up a feature over scored rows in one pass, and merges such sums."""

from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.drift.histogram import scan
from lasso_jobs.core.rows.moments import Floats

BinCounts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """A feature in some of the rows that were scored; mergeable.

    Counts merge exactly. Means and centred products merge by the update of Chan, Golub & LeVeque
    (1979): whatever the cut of the rows, they are the same to rounding, and in one order of the
    parts bitwise.

    Parameters
    ----------
    counts : ndarray of int, shape (k + 1,)
        Rows in each of the reference's bins; last, those in none: nulls and what is not finite of
        a number, unseen levels of a category.
    means : ndarray, shape (k,)
        Of the values in each bin; empty for a category.
    predicted : ndarray, shape (2,) or (k + 1,)
        Mean predictions: of the rows with a value and of the others; of a category's bins.
    spread : float
        Sum of the values' squared deviations from their mean.
    cross : float
        Sum of the products of the values' and the predictions' deviations, where there are values.
    low, high : float
        Of the values; ``inf`` and ``-inf`` where there are none.
    n_nonfinite : int
    n_outside : int
        Values beyond the range of the training rows.
    """

    counts: BinCounts
    means: Floats
    predicted: Floats
    spread: float = 0.0
    cross: float = 0.0
    low: float = inf
    high: float = -inf
    n_nonfinite: int = 0
    n_outside: int = 0

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.counts.sum())

    @property
    def n_observed(self) -> int:
        """Number of rows in a bin."""
        return int(self.counts[:-1].sum())

    @property
    def shares(self) -> Floats:
        """Share of the rows in each bin."""
        return self.counts.astype(np.float64) / max(self.n, 1)

    @property
    def mean(self) -> float:
        """Of the values; NaN for a category, or where there are none."""
        if not len(self.means) or not self.n_observed:
            return float("nan")
        first = float(self.means[np.flatnonzero(self.counts[:-1])[0]])
        return first + float(self.counts[:-1] @ (self.means - first)) / self.n_observed

    @property
    def n_predicted(self) -> BinCounts:
        """Number of rows of each mean prediction."""
        if not len(self.means):
            return self.counts
        return np.array([self.n_observed, self.counts[-1]])

    @property
    def predicted_mean(self) -> float:
        """Mean prediction of all rows."""
        return float(self.n_predicted @ self.predicted) / max(self.n, 1)


def of_numbers(values: Floats, y: Floats, *, edges: Floats, low: float, high: float) -> Current:
    """Count rows in memory.

    Parameters
    ----------
    values : ndarray, shape (n,)
        NaN is null.
    y : ndarray, shape (n,)
        Their predictions.
    edges : ndarray, shape (k - 1,)
        Inner edges of the bins, ascending; a value equal to an edge lies above it.
    low, high : float
        The range of the training rows.
    """
    n, found = len(values), scan(values, y, edges)
    n_observed, x = int(found.counts.sum()), float(found.sums.sum())
    n_null = n_nonfinite = 0
    others = 0.0
    if n_observed < n:
        n_null = int(np.count_nonzero(np.isnan(values)))
        n_nonfinite = n - n_observed - n_null
        others = float((y[~np.isfinite(values)] - found.y_pivot).mean())
    means = found.pivot + found.sums / np.maximum(found.counts, 1)
    share = max(n_observed, 1)
    outside = found.low < low or found.high > high
    return Current(
        counts=np.append(found.counts, n - n_observed),
        means=np.where(found.counts > 0, means, 0.0),
        predicted=found.y_pivot + np.array([found.y / share, others]),
        spread=max(found.xx - x * x / share, 0.0),
        cross=found.xy - x * found.y / share,
        low=found.low,
        high=found.high,
        n_nonfinite=n_nonfinite,
        n_outside=_outside(values, low, high) if outside else 0,
    )


def _outside(values: Floats, low: float, high: float) -> int:
    beyond = (values < low) | (values > high)
    return int(np.count_nonzero(beyond & np.isfinite(values)))


def of_codes(codes: NDArray[np.int32], y: Floats, width: int) -> Current:
    """Count rows in memory by their indicator; -1 is none."""
    place = np.where(codes < 0, width, codes)
    counts = np.bincount(place, minlength=width + 1).astype(np.int64)
    pivot = float(y[0]) if len(y) else 0.0
    sums = np.bincount(place, y - pivot, width + 1)
    predicted = pivot + sums / np.maximum(counts, 1)
    return Current(counts=counts, means=np.empty(0), predicted=predicted)


def merge(a: Current, b: Current) -> Current:
    """Two disjoint sets of rows together."""
    n_a, n_b = a.n_observed, b.n_observed
    spread, cross = a.spread + b.spread, a.cross + b.cross
    if len(a.means) and n_a and n_b:
        both, step = n_a * n_b / (n_a + n_b), b.mean - a.mean
        spread += both * step**2
        cross += both * step * float(b.predicted[0] - a.predicted[0])
    return Current(
        counts=a.counts + b.counts,
        means=_pooled(a.means, a.counts[: len(a.means)], b.means, b.counts[: len(a.means)]),
        predicted=_pooled(a.predicted, a.n_predicted, b.predicted, b.n_predicted),
        spread=spread,
        cross=cross,
        low=min(a.low, b.low),
        high=max(a.high, b.high),
        n_nonfinite=a.n_nonfinite + b.n_nonfinite,
        n_outside=a.n_outside + b.n_outside,
    )


def _pooled(a: Floats, n_a: BinCounts, b: Floats, n_b: BinCounts) -> Floats:
    """Means of two sets together; exactly one's where the other has no rows."""
    pooled = a + (b - a) * (n_b / np.maximum(n_a + n_b, 1))
    return np.where(n_b == 0, a, np.where(n_a == 0, b, pooled))
