"""Computes the statistics of residuals that the checks of a linear model's assumptions use."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit.lasso import RANK_TOLERANCE
from lasso_jobs.core.rows.moments import Floats

N_BINS = 10
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutPredictions:
    """A sample of the held-out rows, with the predictions of a model that did not see them.

    Parameters
    ----------
    predicted, actual : ndarray, shape (n,)
    features : sequence of str
        Numeric features with a coefficient, the strongest first.
    values : ndarray, shape (k, n)
        The features' values, nulls filled.
    slopes : ndarray, shape (k,)
        The features' coefficients.
    leverage : ndarray, shape (n,)
        ``1 / n + z' G^-1 z / n`` with the selected columns' z-values and correlations G, and n the
        training rows: the share of a prediction's variance that the coefficients' add.
    mean_leverage : float
        Of training rows: coefficients and intercept over n.
    """

    predicted: Floats
    actual: Floats
    features: Sequence[str]
    values: Floats
    slopes: Floats
    leverage: Floats
    mean_leverage: float

    @property
    def residuals(self) -> Floats:
        """Actual minus predicted."""
        return self.actual - self.predicted


@dataclass(frozen=True, slots=True)
class Bins:
    """Values of y in bins of x with about equal numbers of rows.

    Parameters
    ----------
    x, y : ndarray, shape (k,)
        Means in each bin.
    deviation : ndarray, shape (k,)
        Standard deviation of y in each bin (ddof 1).
    n : ndarray of int, shape (k,)
    """

    x: Floats
    y: Floats
    deviation: Floats
    n: NDArray[np.int64]


def binned(x: Floats, y: Floats, n_bins: int = N_BINS) -> Bins:
    """Cut rows at quantiles of x; equal values stay together, and bins of one row are left out.

    Examples
    --------
    >>> binned(np.arange(6.0), np.array([1.0, 1.0, 3.0, 3.0, 5.0, 5.0]), n_bins=3).y
    array([1., 3., 5.])
    """
    ordered = np.sort(x)
    edges = np.unique(ordered[np.arange(1, n_bins) * len(x) // n_bins])
    place = np.searchsorted(edges, x, side="right")
    groups = [place == b for b in range(len(edges) + 1)]
    groups = [rows for rows in groups if rows.sum() > 1]
    return Bins(
        np.array([x[rows].mean() for rows in groups]),
        np.array([y[rows].mean() for rows in groups]),
        np.array([y[rows].std(ddof=1) for rows in groups]),
        np.array([rows.sum() for rows in groups], np.int64),
    )


def without_line(x: Floats, y: Floats) -> Floats:
    """Residuals of the least-squares line of y on x: zero where they are rounding."""
    around = x - x.mean()
    squares = float(around @ around)
    rest = y - y.mean()
    if squares > 0:
        rest = rest - float(around @ rest) / squares * around
    return np.asarray(rest * (np.abs(rest) > ROUNDING * np.abs(y).max(initial=0.0)))


def curve_share(bins: Bins) -> tuple[float, float]:
    """The share of the variance of y that its means in the bins explain, and its p-value.

    omega squared, ``(SSB - (k - 1) MSW) / (SST + MSW)`` (Hays 1963), which is zero on average where
    there is nothing to explain; the p-value is that of the analysis of variance.
    """
    from scipy.special import fdtrc

    n, k = int(bins.n.sum()), len(bins.n)
    if k < 2 or n <= k:
        return 0.0, 1.0
    centre = float(bins.n @ bins.y) / n
    between = float(bins.n @ (bins.y - centre) ** 2)
    within = float((bins.n - 1) @ bins.deviation**2)
    if within <= 0:
        return (1.0, 0.0) if between > 0 else (0.0, 1.0)
    mean_within = within / (n - k)
    share = (between - (k - 1) * mean_within) / (between + within + mean_within)
    return max(share, 0.0), float(fdtrc(k - 1, n - k, between / (k - 1) / mean_within))


def breusch_pagan(residuals: Floats, predicted: Floats) -> tuple[float, float]:
    """Koenker's version of the test, ``n R2`` of the squared residuals on the predictions.

    Koenker (1981), "A note on studentizing a test for heteroscedasticity".

    Returns
    -------
    statistic, p_value : float
    """
    from scipy.special import chdtrc

    squares = residuals**2
    if squares.std() == 0 or predicted.std() == 0:
        return 0.0, 1.0
    statistic = len(residuals) * float(np.corrcoef(squares, predicted)[0, 1]) ** 2
    return statistic, float(chdtrc(1, statistic))


def inflation(gram: Floats) -> Floats:
    """Variance inflation factors of columns among themselves, from their correlations."""
    from scipy.linalg import cho_factor, cho_solve

    try:
        factor = cho_factor(gram)
    except np.linalg.LinAlgError:
        return np.full(len(gram), np.inf)
    if len(gram) and np.square(np.diag(factor[0])).min() <= RANK_TOLERANCE:
        return np.full(len(gram), np.inf)
    return np.asarray(np.diag(cho_solve(factor, np.eye(len(gram)))))


def tail_share(residuals: Floats) -> float:
    """Share of the squared error in the hundredth of the rows with the largest residuals.

    Examples
    --------
    >>> tail_share(np.append(np.ones(99), 9.0))
    0.45
    """
    squares = np.sort(residuals**2)[::-1]
    total = float(squares.sum())
    return float(squares[: max(len(squares) // 100, 1)].sum()) / total if total > 0 else 0.0


def design_effect(bias: Floats, weight: Floats, mse: float) -> float:
    """Variance of groups' mean residuals over that of the means of as many independent rows.

    ``sum w_g (b_g - b)^2 / ((G - 1) mse)``, 1 for independent rows (Kish 1965, "Survey Sampling").
    """
    centre = float(weight @ bias / weight.sum())
    return float(weight @ (bias - centre) ** 2) / ((len(bias) - 1) * mse) if mse > 0 else 1.0
