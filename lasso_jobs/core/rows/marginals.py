"""Sums each column by itself and with the target: what screening many columns needs of the rows.

`lasso_jobs.core.rows.moments` keeps the products of all pairs of q columns, which are q^2. Here are
their diagonal and the target's row, which are 2q: a fold's scaler and imputer, the gradient at zero
of each of its columns, and so alpha_max, follow from them. The conventions are the same: a null is
filled with the mean of its own set's observed values.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.moments import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Marginals:
    """Moments of each column of some sets of rows, and of each with the target.

    Every field has the shape of the sets first; ``q`` is the number of columns.

    Parameters
    ----------
    n, weight, target_mean, target_squares : ndarray, shape (..., 1)
        Rows, their weights, and the target's mean and centred squares.
    mean, low, high : ndarray, shape (..., q)
        Of the observed values; ``inf`` and ``-inf`` are the extremes of none.
    null_share : ndarray, shape (..., q)
        Weighted share of the nulls.
    squares : ndarray, shape (..., q)
        Sums of ``w d^2``, d a value's deviation from ``mean``, and 0 for a null.
    products : ndarray, shape (..., q)
        Sums of ``w d e``, e the target's deviation from its mean.
    null_products : ndarray, shape (..., q)
        Sums of ``w e`` over the nulls of each column.
    """

    n: Floats
    weight: Floats
    target_mean: Floats
    target_squares: Floats
    mean: Floats
    low: Floats
    high: Floats
    null_share: Floats
    squares: Floats
    products: Floats
    null_products: Floats

    def __getitem__(self, which: Any) -> "Marginals":
        """Those of some of the sets."""
        return Marginals(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    def of_columns(self, which: slice) -> "Marginals":
        """Those of some of the columns."""
        chosen = {name: getattr(self, name)[..., which] for name in OF_COLUMNS}
        return replace(self, **chosen)

    def merged(self, which: Iterable[int]) -> "Marginals":
        """Those of some sets together, merged in the given order."""
        return reduce(merge, (self[i] for i in which), empty((), self.mean.shape[-1]))

    @property
    def deviation(self) -> Floats:
        """Standard deviation of each column after imputation; 0 where it is constant."""
        spread = self.squares / np.where(self.weight > 0, self.weight, 1.0)
        # The same bound as that of a fit to all pairs, in `lasso_jobs.core.fit.design`.
        noise = np.finfo(float).eps * (np.sqrt(self.n) * np.abs(self.mean) + np.sqrt(spread))
        return np.where(spread > noise**2, np.sqrt(spread), 0.0)

    @property
    def null_deviation(self) -> Floats:
        """Standard deviation of each column's indicator of nulls."""
        return np.sqrt(self.null_share * (1.0 - self.null_share))

    def unit(self, intercept: bool) -> Floats:
        """The deviation of each column, or without an intercept its root mean square."""
        return self.deviation if intercept else np.hypot(self.deviation, self.mean)

    def null_unit(self, intercept: bool) -> Floats:
        """The same of its indicator of nulls."""
        return self.null_deviation if intercept else np.sqrt(self.null_share)


def empty(shape: tuple[int, ...], n_columns: int) -> Marginals:
    """Those of sets without rows."""
    one, zero = np.zeros((*shape, 1)), np.zeros((*shape, n_columns))
    return Marginals(
        n=one,
        weight=one,
        target_mean=one,
        target_squares=one,
        mean=zero,
        low=zero + np.inf,
        high=zero - np.inf,
        null_share=zero,
        squares=zero,
        products=zero,
        null_products=zero,
    )


def merge(a: Marginals, b: Marginals) -> Marginals:
    """Those of disjoint sets of rows together, set by set.

    A set is restated around the pooled means, as `lasso_jobs.core.rows.moments` does with all
    pairs: with ``delta = mean - location``, a value's deviation becomes ``d + delta``, and a null's
    stays 0 (Chan, Golub & LeVeque 1979, "Updating formulae and a pairwise algorithm for computing
    sample variances").
    """
    weight = a.weight + b.weight
    share = ratio(b.weight, weight)
    target_mean = a.target_mean + (b.target_mean - a.target_mean) * share
    observed_a, observed_b = a.weight * (1 - a.null_share), b.weight * (1 - b.null_share)
    observed = observed_a + observed_b
    mean = a.mean + (b.mean - a.mean) * ratio(observed_b, observed)
    squares, products, null_products = np.zeros((3, *mean.shape))
    target_squares = np.zeros(target_mean.shape)
    for part, observed_part in ((a, observed_a), (b, observed_b)):
        delta, rise = part.mean - mean, part.target_mean - target_mean
        nulls = part.weight * part.null_share
        squares = squares + part.squares + observed_part * delta**2
        # The observed rows' deviations of the target sum to minus those of the nulls.
        products = products + part.products + delta * (observed_part * rise - part.null_products)
        null_products = null_products + part.null_products + nulls * rise
        target_squares = target_squares + part.target_squares + part.weight * rise**2
    return Marginals(
        n=a.n + b.n,
        weight=weight,
        target_mean=target_mean,
        target_squares=target_squares,
        mean=mean,
        low=np.minimum(a.low, b.low),
        high=np.maximum(a.high, b.high),
        null_share=a.null_share + (b.null_share - a.null_share) * share,
        squares=squares,
        products=products,
        null_products=null_products,
    )


OF_ROWS = ("n", "weight", "target_mean", "target_squares")
OF_COLUMNS = (
    "mean",
    "low",
    "high",
    "null_share",
    "squares",
    "products",
    "null_products",
)


def side_by_side(
    parts: Sequence[tuple[slice | NDArray[np.intp], Marginals]], n_columns: int
) -> Marginals:
    """Those of all columns, from those of some of them each, of the same rows.

    Parameters
    ----------
    parts : sequence of (slice or ndarray of intp, Marginals)
        Which columns, and theirs.
    n_columns : int
    """
    first = parts[0][1]
    total = {name: np.empty((*first.mean.shape[:-1], n_columns)) for name in OF_COLUMNS}
    for where, part in parts:
        for name, values in total.items():
            values[..., where] = getattr(part, name)
    return Marginals(**{name: getattr(first, name) for name in OF_ROWS}, **total)


def ratio(part: Floats, whole: Floats) -> Floats:
    """Shares; 0 where there is nothing to have a share in."""
    whole = np.broadcast_to(whole, np.shape(part))
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole > 0)


def of_rows(
    values: Floats, target: Floats, counts: NDArray[np.intp], weights: Floats | None = None
) -> Marginals:
    """Those of rows in memory, which lie in the order of the sets that they are in.

    Parameters
    ----------
    values : ndarray, shape (q, n)
        One column per row of memory; NaN is null.
    target : ndarray, shape (n,)
    counts : ndarray of int, shape (n_sets,)
        Rows in each set.
    weights : ndarray, shape (n,), optional
        Non-negative weights; all one if absent. A row of weight zero counts in ``n`` only.

    Examples
    --------
    >>> rows = of_rows(np.array([[1.0, 2.0, 3.0]]), np.array([1.0, 1.0, 4.0]), np.array([3]))
    >>> rows.mean.tolist(), rows.squares.tolist(), rows.products.tolist()
    ([[2.0]], [[2.0]], [[3.0]])
    """
    parts, ends = [], np.cumsum(counts)
    for n, end in zip(counts.tolist(), ends.tolist(), strict=True):
        rows = slice(end - n, end)
        parts.append(
            _of_set(values[:, rows], target[rows], None if weights is None else weights[rows])
        )
    return Marginals(
        **{f.name: np.stack([getattr(p, f.name) for p in parts]) for f in fields(Marginals)}
    )


def of_target(
    target: Floats, buckets: NDArray[np.intp], n_sets: int, weights: Floats | None = None
) -> Marginals:
    """Those of no columns: what is known of the rows and their target alone.

    Parameters
    ----------
    target : ndarray, shape (n,)
    buckets : ndarray of intp, shape (n,)
        The set that each row is in.
    n_sets : int
    weights : ndarray, shape (n,), optional
    """
    order, counts = np.argsort(buckets, kind="stable"), np.bincount(buckets, minlength=n_sets)
    weights = None if weights is None else weights[order]
    return of_rows(np.empty((0, len(target))), target[order], counts, weights)


def _of_set(values: Floats, target: Floats, weights: Floats | None) -> Marginals:
    n = len(target)
    if weights is not None:
        counted = weights > 0
        values, target, weights = values[:, counted], target[counted], weights[counted]
    if not len(target):
        none = empty((), len(values))
        return Marginals(
            **{f.name: getattr(none, f.name) for f in fields(none) if f.name != "n"},
            n=np.array([float(n)]),
        )
    weight = float(len(target)) if weights is None else float(weights.sum())
    target_mean = _mean(target, weights)
    rise = target - target_mean
    weighed_rise = rise if weights is None else weights * rise
    null = np.isnan(values)
    has_nulls = bool(null.any())
    low, high = np.fmin.reduce(values, axis=1), np.fmax.reduce(values, axis=1)
    low, high = np.where(np.isnan(low), np.inf, low), np.where(np.isnan(high), -np.inf, high)
    taken = ~null if weights is None else ~null * weights
    observed = taken.sum(axis=1, dtype=float)
    filled = np.where(null, 0.0, values) if has_nulls else values
    total = filled.sum(axis=1) if weights is None else filled @ weights
    mean = np.divide(total, observed, out=np.zeros(len(values)), where=observed > 0)
    mean = np.where(low == high, low, mean)  # of equal values it is their value, without rounding
    deviation = filled - mean[:, None]
    if has_nulls:
        deviation[null] = 0.0
    weighed = deviation if weights is None else deviation * weights
    # What the rounding of a mean leaves, as large offsets have it.
    rest = ratio(weighed.sum(axis=1), observed)
    rest[low == high] = 0.0
    deviation -= rest[:, None]
    if has_nulls:
        deviation[null] = 0.0
    weighed = deviation if weights is None else deviation * weights
    return Marginals(
        n=np.array([float(n)]),
        weight=np.array([weight]),
        target_mean=np.array([target_mean]),
        target_squares=np.array([float(weighed_rise @ rise)]),
        mean=mean + rest,
        low=low,
        high=high,
        null_share=1.0 - observed / weight if has_nulls else np.zeros(len(values)),
        squares=np.einsum("ij,ij->i", weighed, deviation),
        products=deviation @ weighed_rise,
        null_products=null @ weighed_rise if has_nulls else np.zeros(len(values)),
    )


def _mean(values: Floats, weights: Floats | None) -> float:
    mean = float(np.average(values, weights=weights))
    return mean + float(np.average(values - mean, weights=weights))
