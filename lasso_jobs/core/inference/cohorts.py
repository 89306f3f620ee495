"""Estimates a mean over rows that come in cohorts, and its standard error.

A cohort is a set of rows that may err alike, such as those of a day or of a customer; statistics
calls it a cluster, which here is Dask's. Rows of one day share their weather and their jams, so
that n rows say less than n independent ones would. How much less is seen from how the cohorts'
sums vary.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.moments import Floats

Index = NDArray[np.intp]
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over rows, how well it is known, and how much the rows vary around it.

    Parameters
    ----------
    mean : float
    standard_error : float or None
        See `standard_error`; None for fewer than two cohorts.
    between, within : float
        Variance of the cohorts' own means, and of the rows of a cohort: the mean of n further
        rows of one new cohort has the variance ``between + within / n``.
    n_cohorts : int
    """

    mean: float
    standard_error: float | None
    between: float
    within: float
    n_cohorts: int

    @property
    def limit(self) -> float:
        """Standard errors that the mean has to exceed to be positive (one-sided t test at 5 %)."""
        from scipy.special import stdtrit

        return float(stdtrit(max(self.n_cohorts - 1, 1), CONFIDENCE))

    @property
    def positive(self) -> bool:
        """Whether it is positive by more than chance explains."""
        return self.exceeds(0.0)

    def exceeds(self, value: float) -> bool:
        """Whether it is above a value by more than chance explains."""
        known = self.standard_error is not None
        return known and self.mean - value > self.limit * (self.standard_error or 0.0)


def estimate(
    values: Floats,
    weights: Floats,
    cohorts: Floats | None = None,
    *,
    share: float = 1.0,
    mean: float | None = None,
) -> Estimate:
    """Estimate a mean from a uniform sample of rows.

    Parameters
    ----------
    values, weights : ndarray, shape (n,)
    cohorts : ndarray, shape (n,), optional
        The cohort of each row; without, each row is one.
    share : float
        Of the rows, how many are in the sample.
    mean : float, optional
        Over all rows, where it is known; by default that of the sample.

    Examples
    --------
    Four rows of two days:

    >>> delays = np.array([3.0, 5.0, 11.0, 13.0])
    >>> found = estimate(delays, np.ones(4), cohorts=np.array([1.0, 1.0, 2.0, 2.0]))
    >>> found.mean, found.n_cohorts, found.positive
    (8.0, 2, False)
    """
    every = np.arange(len(values)) if cohorts is None else cohorts
    index = np.unique(every, return_inverse=True)[1]
    mean = float(values @ weights / weights.sum()) if mean is None else mean
    between, within = components(values, index)
    error = standard_error(weights * (values - mean), float(weights.sum()), index, share)
    n_cohorts = int(index.max(initial=-1)) + 1
    return Estimate(
        mean=mean,
        standard_error=error,
        between=between,
        within=within,
        n_cohorts=n_cohorts,
    )


def standard_error(
    residuals: Floats, weight: float, index: Index, share: float = 1.0
) -> float | None:
    """Standard error of a weighted mean over cohorts of rows, of which a share is sampled.

    The mean over all N rows is ``sum(w x) / W``. Its error is, linearised, the sum of the
    cohorts' ``T_g = sum(z)``, with ``z = w (x - mean)``, over W. Cohorts being independent, its
    variance is estimated by ``G / (G - 1) sum(T_g^2) / W^2`` (Liang & Zeger 1986, for a model of
    nothing but an intercept). Of a uniform sample with the share f, ``t_g = sum(z)`` over the
    sampled rows has ``E[t_g^2] = f^2 T_g^2 + f (1 - f) sum(z^2)``, and the sampled ``Q = sum(z^2)``
    has the mean ``f sum(z^2)``. So ``(sum(t_g^2) - (1 - f) Q) / f^2`` is free of bias for
    ``sum(T_g^2)``; and f W is the weight of the sample. Where every row is a cohort, ``f Q``
    is left: the usual variance over N. It is taken where the estimate is below it, as noise can
    make it.

    Parameters
    ----------
    residuals : ndarray, shape (n,)
        ``w (x - mean)`` of the sampled rows.
    weight : float
        Of the sampled rows.
    index : ndarray of int, shape (n,)
        Cohorts, numbered from 0.
    share : float
        Of the rows, how many are in the sample.
    """
    sums = np.bincount(index, residuals)
    n_cohorts = len(sums)
    if n_cohorts < 2:
        return None
    rows = float(residuals @ residuals)
    total = max(float(sums @ sums) - (1 - share) * rows, share * rows)
    return float(np.sqrt(total * n_cohorts / (n_cohorts - 1))) / weight


def components(values: Floats, index: Index) -> tuple[float, float]:
    """Variance between cohorts, and within them.

    By the analysis of variance for cohorts of unequal sizes (Searle, Casella & McCulloch 1992,
    "Variance components", section 3.6); the first is at least 0.
    """
    sizes = np.bincount(index)
    n_rows, n_cohorts = len(values), len(sizes)
    if n_rows < 2 or n_cohorts == n_rows or n_cohorts < 2:
        return 0.0, float(values.var(ddof=1)) if n_rows > 1 else 0.0
    means = np.bincount(index, values) / sizes
    within = float(((values - means[index]) ** 2).sum() / (n_rows - n_cohorts))
    spread = float(sizes @ (means - values.mean()) ** 2 / (n_cohorts - 1))
    size = (n_rows - float(sizes @ sizes) / n_rows) / (n_cohorts - 1)
    return max(0.0, (spread - within) / size), within
