"""Sweeps the coordinates: the inner loop of coordinate descent, compiled."""

from typing import Any

from lasso_jobs.core.njit_cached import njit_cached


@njit_cached(nogil=True)
def descend(
    gram: Any,
    l1: Any,
    l2: Any,
    low: Any,
    high: Any,
    coef: Any,
    gradient: Any,
    index: Any,
    tol: float,
    slack: float,
    max_sweeps: int,
) -> int:
    """Sweep the coordinates of ``index`` until none moves by more than ``tol``.

    A coordinate stays zero if no more than ``slack`` is beyond its penalty: the twin of an active
    column is right at it, and by rounding a little beyond.
    """
    for sweep in range(max_sweeps):
        largest = 0.0
        for j in index:
            old = coef[j]
            z = gradient[j] + gram[j, j] * old
            new = 0.0
            if z > l1[j] + slack:
                new = min((z - l1[j]) / (gram[j, j] + l2[j]), high[j])
            elif z < -l1[j] - slack:
                new = max((z + l1[j]) / (gram[j, j] + l2[j]), low[j])
            step = new - old
            if step != 0.0:
                coef[j] = new
                for k in range(len(gradient)):
                    gradient[k] -= step * gram[j, k]
                largest = max(largest, abs(step))
        if largest <= tol:
            return sweep + 1
    return max_sweeps
