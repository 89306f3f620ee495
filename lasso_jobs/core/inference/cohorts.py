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


@dataclass(frozen=True, slots=True, kw_only=True)
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
    degrees : float or None
        Degrees of freedom of the standard error, see `degrees_of_freedom`; None in models of
        before there were any, for which it is one less than the cohorts.
    """

    mean: float
    standard_error: float | None
    between: float
    within: float
    n_cohorts: int
    degrees: float | None = None

    @property
    def freedom(self) -> float:
        """Degrees of freedom of Student's t for the mean over its standard error."""
        return max(self.n_cohorts - 1, 1) if self.degrees is None else self.degrees

    @property
    def limit(self) -> float:
        """Standard errors that the mean has to exceed to be positive (one-sided t test at 5 %)."""
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, CONFIDENCE))

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
    mean = float(values @ weights / weights.sum()) if mean is None else mean
    counts = weights > 0  # a row of no weight says nothing of the mean, nor does its cohort
    every = np.arange(len(values)) if cohorts is None else cohorts
    index = np.unique(every[counts], return_inverse=True)[1]
    values, weights = values[counts], weights[counts]
    between, within = components(values, index)
    n_cohorts = int(index.max(initial=-1)) + 1
    error = degrees = None
    if n_cohorts > 1:
        error = standard_error(weights * (values - mean), weights, index, share)
        degrees = degrees_of_freedom(weights, index, between, within)
    return Estimate(
        mean=mean,
        standard_error=error,
        between=between,
        within=within,
        n_cohorts=n_cohorts,
        degrees=degrees,
    )


def standard_error(residuals: Floats, weights: Floats, index: Index, share: float = 1.0) -> float:
    """Standard error of a weighted mean over cohorts of rows, of which a share is sampled.

    The mean over all N rows is ``sum(w x) / W``. Its error is, linearised, the sum of the
    cohorts' ``T_g = sum(z)``, with ``z = w (x - mean)``, over W. A cohort that has the share p_g
    of the weight draws the mean towards itself, so that ``T_g^2`` is too small, by ``1 - p_g`` if
    rows vary as ``1 / w``. The variance ``sum(T_g^2 / (1 - p_g)) / W^2`` is CR2, the bias-reduced
    linearization of Bell & McCaffrey (2002), for a model of nothing but an intercept (with
    weights, by the root that is symmetric where rows are scaled to one variance).

    Of a uniform sample with the share f, ``t_g = sum(z)`` over the sampled rows has
    ``E[t_g^2] = f^2 T_g^2 + f (1 - f) sum(z^2)``, and the sampled ``q_g = sum(z^2)`` has the mean
    ``f sum(z^2)``. So ``(t_g^2 - (1 - f) q_g) / f^2`` is free of bias for ``T_g^2``; and f W is the
    weight of the sample. The variance of independent rows, of which each is a cohort, is taken
    where the estimate is below it, as noise can make it.

    Parameters
    ----------
    residuals : ndarray, shape (n,)
        ``w (x - mean)`` of the sampled rows.
    weights : ndarray, shape (n,)
        Of the sampled rows, above 0.
    index : ndarray of int, shape (n,)
        Cohorts, numbered from 0; at least two.
    share : float
        Of the rows, how many are in the sample.
    """
    sums, squares = np.bincount(index, residuals), np.bincount(index, residuals**2)
    of_cohorts = (sums**2 - (1 - share) * squares) / _rest(
        np.asarray(np.bincount(index, weights), float)
    )
    of_rows = share * residuals**2 / _rest(weights)
    total = max(float(of_cohorts.sum()), float(of_rows.sum()))
    return float(np.sqrt(total) / weights.sum())


def degrees_of_freedom(weights: Floats, index: Index, between: float, within: float) -> float:
    """Satterthwaite's degrees of freedom of the variance in `standard_error`.

    The variance is a sum of squares ``U_g^2``, with ``U_g = T_g / sqrt(1 - p_g)``. With C the
    covariances of the U_g, it has the mean ``tr(C)`` and the variance ``2 tr(C C)``, as a
    chi-squared variable times a constant with ``tr(C)^2 / tr(C C)`` degrees of freedom. C is that
    of rows with the variance ``within`` around means of cohorts with the variance ``between``, as
    Imbens & Kolesar (2016) have it. Bell & McCaffrey's (2002) is that of ``between = 0``: with 12
    days of unequal rows it promoted 6.7 % of models that were no better, this one 4.2 %. Of G
    cohorts of equal weight both are ``G - 1``.

    Parameters
    ----------
    weights : ndarray, shape (n,)
        Above 0.
    index : ndarray of int, shape (n,)
        Cohorts, numbered from 0; at least two.
    between, within : float
        See `components`.

    Examples
    --------
    Of three days, one has most of the rows:

    >>> day = np.array([0, 1, 2, 2, 2, 2])
    >>> round(degrees_of_freedom(np.ones(6), day, between=1.0, within=1.0), 2)
    1.32
    """
    total = between + within
    alike = between / total if 0 < total < np.inf else 0.0
    scale = weights / weights.sum()
    share = np.asarray(np.bincount(index, scale), float)
    # T_g is Y_g - p_g sum(Y), so that cov(T_g, T_h) is v_g [g = h] - p_g v_h - v_g p_h + p_g p_h V
    # with the variances v of Y_g, and V their sum. C has these over the roots of 1 - p: a diagonal
    # d less b c' + c b' - V b b', whose traces are products of vectors.
    variance = alike * share**2 + (1 - alike) * np.bincount(index, scale**2)
    rest, sum_ = _rest(share), float(variance.sum())
    b, c, d = share / np.sqrt(rest), variance / np.sqrt(rest), variance / rest
    bb, bc, cc = float(b @ b), float(b @ c), float(c @ c)
    trace = float(d.sum()) - 2 * bc + sum_ * bb
    square = float(d @ d) - 4 * float(d @ (b * c)) + 2 * sum_ * float(d @ (b * b))
    square += 2 * bc**2 + 2 * bb * cc - 4 * sum_ * bc * bb + (sum_ * bb) ** 2
    # Between 1 and the rank of C; where one cohort has all the weight, rounding leaves nothing.
    return float(np.clip(trace**2 / square if square > 0 else 1.0, 1.0, len(share) - 1.0))


def _rest(weights: Floats) -> Floats:
    """Of all weight, the share that is not of each; never 0, however small it is."""
    rest: Floats = np.maximum(1 - weights / weights.sum(), np.finfo(float).eps)
    return rest


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
