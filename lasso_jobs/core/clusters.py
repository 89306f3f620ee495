"""Means of rows that come in clusters (days, customers), and what they may vary by.

Rows of one cluster share their weather and their jams, so that n rows say less than n independent
ones would. How much less is seen from how the clusters' sums vary.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.moments import Floats

Index = NDArray[np.intp]
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over rows, how well it is known, and how much the rows vary around it.

    Parameters
    ----------
    mean : float
    standard_error : float or None
        See `standard_error`; None for fewer than two clusters.
    between, within : float
        Variance of the clusters' own means, and of the rows of a cluster: the mean of n further
        rows of one new cluster has the variance ``between + within / n``.
    n_clusters : int
    """

    mean: float
    standard_error: float | None
    between: float
    within: float
    n_clusters: int

    @property
    def limit(self) -> float:
        """Standard errors that the mean has to exceed to be positive (one-sided t test at 5 %)."""
        from scipy.special import stdtrit

        return float(stdtrit(max(self.n_clusters - 1, 1), CONFIDENCE))

    @property
    def positive(self) -> bool:
        """Whether it is positive by more than chance explains."""
        known = self.standard_error is not None
        return known and self.mean > self.limit * (self.standard_error or 0.0)


def estimate(
    values: Floats,
    weights: Floats,
    clusters: Floats | None = None,
    share: float = 1.0,
    mean: float | None = None,
) -> Estimate:
    """Estimate a mean from a uniform sample of rows.

    Parameters
    ----------
    values, weights : ndarray, shape (n,)
    clusters : ndarray, shape (n,), optional
        The cluster of each row; without, each row is one.
    share : float
        Of the rows, how many are in the sample.
    mean : float, optional
        Over all rows, where it is known; by default that of the sample.
    """
    every = np.arange(len(values)) if clusters is None else clusters
    index = np.unique(every, return_inverse=True)[1]
    mean = float(values @ weights / weights.sum()) if mean is None else mean
    between, within = components(values, index)
    error = standard_error(weights * (values - mean), float(weights.sum()), index, share)
    n_clusters = int(index.max(initial=-1)) + 1
    return Estimate(mean, error, between, within, n_clusters)


def standard_error(
    residuals: Floats, weight: float, index: Index, share: float = 1.0
) -> float | None:
    """Standard error of a weighted mean over clusters of rows, of which a share is sampled.

    The mean over all N rows is ``sum(w x) / W``. Its error is, linearised, the sum of the
    clusters' ``T_g = sum(z)``, with ``z = w (x - mean)``, over W. Clusters being independent, its
    variance is estimated by ``G / (G - 1) sum(T_g^2) / W^2`` (Liang & Zeger 1986, for a model of
    nothing but an intercept). Of a uniform sample with the share f, ``t_g = sum(z)`` over the
    sampled rows has ``E[t_g^2] = f^2 T_g^2 + f (1 - f) sum(z^2)``, and the sampled ``Q = sum(z^2)``
    has the mean ``f sum(z^2)``. So ``(sum(t_g^2) - (1 - f) Q) / f^2`` is free of bias for
    ``sum(T_g^2)``; and f W is the weight of the sample. Where every row is a cluster, ``f Q``
    is left: the usual variance over N. It is taken where the estimate is below it, as noise can
    make it.

    Parameters
    ----------
    residuals : ndarray, shape (n,)
        ``w (x - mean)`` of the sampled rows.
    weight : float
        Of the sampled rows.
    index : ndarray of int, shape (n,)
        Clusters, numbered from 0.
    share : float
        Of the rows, how many are in the sample.
    """
    sums = np.bincount(index, residuals)
    n_clusters = len(sums)
    if n_clusters < 2:
        return None
    rows = float(residuals @ residuals)
    total = max(float(sums @ sums) - (1 - share) * rows, share * rows)
    return float(np.sqrt(total * n_clusters / (n_clusters - 1))) / weight


def components(values: Floats, index: Index) -> tuple[float, float]:
    """Variance between clusters, and within them.

    By the analysis of variance for clusters of unequal sizes (Searle, Casella & McCulloch 1992,
    "Variance components", section 3.6); the first is at least 0.
    """
    sizes = np.bincount(index)
    n_rows, n_clusters = len(values), len(sizes)
    if n_rows < 2 or n_clusters == n_rows or n_clusters < 2:
        return 0.0, float(values.var(ddof=1)) if n_rows > 1 else 0.0
    means = np.bincount(index, values) / sizes
    within = float(((values - means[index]) ** 2).sum() / (n_rows - n_clusters))
    spread = float(sizes @ (means - values.mean()) ** 2 / (n_clusters - 1))
    size = (n_rows - float(sizes @ sizes) / n_rows) / (n_clusters - 1)
    return max(0.0, (spread - within) / size), within
