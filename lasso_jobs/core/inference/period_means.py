"""Computes the mean residual of each period of the training rows, and their autocorrelation.

Sums of the columns and of the target by period give each period's mean residual, without the rows.
The order of rows within a period is not known, so only what a period's rows share is seen.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit.design import Design
from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.core.rows.periods import Periods

BAND = 1.959963984540054
"""Standard errors on each side in a band of 95 %."""


@dataclass(frozen=True, slots=True)
class PeriodResiduals:
    """Mean residuals of periods such as days, each row counted once.

    Parameters
    ----------
    name : str
        The column of the periods.
    keys : ndarray, shape (t,)
        The periods, ascending, as `lasso_jobs.data.times.periods` numbers them; without null.
    n : ndarray of int, shape (t,)
        Rows.
    mean : ndarray, shape (t,)
        Mean residuals.
    """

    name: str
    keys: Floats
    n: NDArray[np.int64]
    mean: Floats

    @property
    def ordered(self) -> bool:
        """Whether the periods are days or integers, and follow one another; names do not."""
        return bool(np.all(self.keys % 1 == 0))

    @property
    def scaled(self) -> Floats:
        """Means times the root of their rows: of independent rows all have the same variance."""
        return np.asarray(self.mean * np.sqrt(self.n))


def deviations(predictor: Predictor, design: Design, periods: Periods) -> tuple[Floats, Floats]:
    """Sums of a model's columns by period, and of their nulls.

    Parameters
    ----------
    predictor : Predictor
    design : Design
        The design that the model was fitted with.
    periods : Periods
        Of the listed columns and, last, the target.

    Returns
    -------
    away : ndarray, shape (p, t)
        Sums of each coefficient's column, nulls filled, less its mean in training.
    nulls : ndarray, shape (n_columns, t)
        Rows with a null of a number, and rows of each level.
    """
    numeric = len(predictor.columns.numeric)
    sums = np.zeros((predictor.columns.n_columns, len(periods.keys)))
    np.add.at(sums, design.grouping.owner, periods.sums[:-1])
    nulls = np.concatenate([periods.n - periods.observed[:numeric], sums[numeric:]])
    sums[:numeric] += nulls[:numeric] * predictor.fill[:, None]
    sums = np.concatenate([sums, nulls[list(predictor.indicators)]])
    return sums - periods.n * design.location[design.position][:, None], nulls


def mean_residuals(
    name: str, predictor: Predictor, design: Design, periods: Periods
) -> PeriodResiduals:
    """Mean residuals of the periods; rows without a period are left out."""
    away, _ = deviations(predictor, design, periods)
    of_target = periods.sums[-1] - periods.n * design.location[design.target]
    known = periods.keys != -0.5
    means = (of_target - predictor.coef @ away)[known] / periods.n[known]
    if not design.intercept:
        means += design.location[design.target] - design.mean_prediction(predictor.coef[None])
    return PeriodResiduals(name, periods.keys[known], periods.n[known], means)


def durbin_watson(values: Floats) -> float:
    """``sum (v_t - v_t-1)^2 / sum v_t^2``: 2 without autocorrelation, 0 if neighbours are the same.

    Durbin & Watson (1950), "Testing for serial correlation in least squares regression".

    Examples
    --------
    >>> durbin_watson(np.array([1.0, -1.0, 1.0, -1.0]))
    3.0
    """
    squares = float(values @ values)
    return float(np.sum(np.diff(values) ** 2)) / squares if squares > 0 else 2.0


def autocorrelation(values: Floats, n_lags: int) -> Floats:
    """Autocorrelations at the lags 1, ..., n_lags (fewer than values), around the mean.

    ``sum (v_t - v)(v_t+k - v) / sum (v_t - v)^2`` (Box & Jenkins 1970, "Time series analysis"); of
    independent values nearly all are within ``BAND / sqrt(t)``.

    Examples
    --------
    >>> autocorrelation(np.array([1.0, -1.0, 1.0, -1.0]), n_lags=2)
    array([-0.75,  0.5 ])
    """
    around = values - values.mean()
    squares = float(around @ around)
    sums = [float(around[k:] @ around[:-k]) for k in range(1, n_lags + 1)]
    return np.array(sums) / squares if squares > 0 else np.zeros(n_lags)
