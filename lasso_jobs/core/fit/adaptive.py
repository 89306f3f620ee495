"""Weighs the adaptive LASSO's penalty: features that a ridge fit finds weak are penalised more.

Zou (2006), "The adaptive lasso and its oracle properties", weights ``|w_j|`` by ``1 / |b_j|``, with
b a first estimate; here b is a Ridge fit to the same training rows, which exists for any number of
columns. Only the l1 part is weighted, as in the adaptive Elastic Net of Zou & Zhang (2009).

The weights are ``mean |b| / |b_j|``: a coefficient of mean size is penalised as without weights.
To scale the mean of the weights to 1 instead would let the one feature whose ``b_j`` happens to be
nearest to zero in a fold set what alpha means in that fold.
"""

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.moments import Floats

RIDGE = 0.01
"""The ridge penalty per standard deviation: scikit-learn's ``Ridge(alpha=0.01 * n)``."""
LARGEST_WEIGHT = 1e6
"""The weight of a coefficient that is zero, or nearly, in the ridge fit."""


def adaptive_weights(
    gram: Floats,
    covariance: Floats,
    stretch: Floats,
    penalised: NDArray[np.bool_],
    *,
    spread: Floats | float = 1.0,
) -> Floats:
    """Weights of the l1 penalty, shape (p,).

    Parameters
    ----------
    gram, covariance : ndarray
        As in `lasso_jobs.core.fit.problem.Problem`.
    stretch : ndarray, shape (p,)
        Turns coefficients of the correlation scale into those that the penalty compares.
    penalised : ndarray of bool, shape (p,)
        The coefficients whose mean size counts.
    spread : ndarray, shape (p,), optional
        Turns them into those per standard deviation, which the ridge penalty compares; not 1
        only without an intercept.
    """
    from scipy.linalg import solve

    ridge = solve(gram + RIDGE * np.eye(len(gram)) * np.square(spread), covariance, assume_a="pos")
    size = np.abs(ridge * stretch)
    mean = float(size[penalised].mean()) if penalised.any() else 0.0
    if mean == 0:
        return np.ones_like(size)
    return np.asarray(mean / np.maximum(size, mean / LARGEST_WEIGHT))
