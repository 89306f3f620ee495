"""Measures how training columns spread: deviations, what a scaler divides by, products per unit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.moments import ROWS_AT_ONCE, Floats, Moments

Scaling = Literal["standard", "robust", "minmax", "none"]


def deviations(rows: Moments) -> Floats:
    """Standard deviation of each column; 0 where it is constant but for rounding."""
    spread = np.diag(rows.scatter) / rows.weight
    # The bound of a two-pass variance.
    noise = np.finfo(float).eps * (np.sqrt(rows.n) * np.abs(rows.mean) + np.sqrt(spread))
    return np.where(spread > noise**2, np.sqrt(spread), 0.0)


def scale(
    scaling: Scaling, training: Moments, deviation: Floats, position: NDArray[np.intp]
) -> Floats:
    """What each coefficient's column is divided by; 1 where it does not vary."""
    if scaling == "standard":
        found = deviation
    elif scaling == "minmax":
        span = np.ones(len(training.mean))
        observed = training.observed_weight() > 0
        span[: len(observed)][observed] = (training.high - training.low)[observed]
        found = span[position]
    else:
        found = np.ones(len(position))
    return np.where(found > 0, found, 1.0)


def quartile_range(training: Moments, sample: Floats, indicators: Sequence[int]) -> Floats:
    """Interquartile range of each coefficient's column after imputation; 1 where it is zero."""
    nulls = np.isnan(sample)
    filled = np.where(nulls, training.mean[: len(sample), None], sample)
    rows = np.vstack([filled, nulls[list(indicators)]])
    low, high = np.percentile(rows, [25, 75], axis=1)
    return np.where(high > low, high - low, 1.0)


def per_unit(
    training: Moments, kept: NDArray[np.intp], unit: Floats, mean: Floats | None = None
) -> Floats:
    """Mean products of some columns per unit of each, around their means or (of means) zero."""
    gram = np.empty((len(kept), len(kept)))
    for start in range(0, len(kept), ROWS_AT_ONCE):  # no other array of this size
        rows = slice(start, start + ROWS_AT_ONCE)
        part = training.scatter.take(kept[rows], axis=0).take(kept, axis=1)
        part /= training.weight
        if mean is not None:
            part += np.multiply.outer(mean[rows], mean)
        np.divide(part, np.multiply.outer(unit[rows], unit), out=gram[rows])
    return gram


@dataclass(frozen=True, slots=True)
class Response:
    """The target less the offset, in training.

    Parameters
    ----------
    mean, variance : float
    products : ndarray, shape (q + m,)
        Sums of its products with each column, both centred.
    """

    mean: float
    variance: float
    products: Floats

    @classmethod
    def of(cls, training: Moments, offset: int | None) -> "Response":
        """That of some rows, whose last value is the target.

        Parameters
        ----------
        training : Moments
        offset : int or None
            Its column, which has no nulls.
        """
        target = training.n_values - 1
        mean, products = float(training.mean[target]), training.scatter[:, target]
        varies, both = deviations(training)[target] > 0, products[target]
        if offset is not None:
            mean -= float(training.mean[offset])
            products = products - training.scatter[:, offset]
            both = products[target] - products[offset]
            size = training.scatter[target, target] + training.scatter[offset, offset]
            # What the rounding of two large squares leaves is no variance.
            varies = both > 4 * np.finfo(float).eps * size
        return cls(mean, float(both / training.weight) if varies else 0.0, products)
