"""Elastic Net on a Gram matrix: coordinate descent, one alpha after the other.

The problem, for weights w on the correlation scale (unit variances):

    minimise  1/2 w'Gw - c'w + sum_j l1_j |w_j| + 1/2 sum_j l2_j w_j^2   with low <= w <= high

G is the correlation matrix of the features, c their covariances with the target. With
``l1_j = alpha l1_ratio f_j`` and ``l2_j = alpha (1 - l1_ratio) f_j`` this is scikit-learn's
``1/(2n) ||y - Xw||^2 + alpha ||w||_1`` and its Elastic Net, up to the constant var(y)/2.

Coordinate descent keeps the gradient ``g = c - Gw`` (the "covariance updates" of Friedman, Hastie &
Tibshirani 2010), sweeps the coordinates that pass the sequential strong rule (Tibshirani et al.
2012), and adds those that violate the optimality conditions. Between rounds of sweeps the active
coefficients are solved for directly, from orthant to orthant, which takes the last digits at once
and does not mind correlated columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.moments import Floats

MAX_SWEEPS = 20_000
SWEEPS_AT_ONCE = 100
PATIENCE = 1_000
FIRST_TOLERANCE = 1e-7
"""Sweeps are cheap beside the direct solution, which then finds the signs right at once."""

KKT_TOLERANCE = 1e-12
RANK_TOLERANCE = 1e-12
GAP_TOLERANCE = 1e-9
"""A fit has converged when its duality gap is below this share of var(y)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One set of training rows on the correlation scale.

    Parameters
    ----------
    gram : ndarray, shape (p, p)
        Correlations of the features.
    covariance : ndarray, shape (p,)
        Of the unit-variance features with the target.
    variance : float
        Of the target.
    l1_factor, l2_factor : ndarray, shape (p,)
        What alpha is multiplied by for each coefficient.
    low, high : ndarray, shape (p,)
        Bounds of the coefficients, around zero.
    """

    gram: Floats
    covariance: Floats
    variance: float
    l1_factor: Floats
    l2_factor: Floats
    low: Floats
    high: Floats

    def unpenalised(self, columns: NDArray[np.bool_]) -> "Problem":
        """Least squares on some of the columns, within their bounds."""
        zero = np.zeros(np.count_nonzero(columns))
        return Problem(
            self.gram[np.ix_(columns, columns)],
            self.covariance[columns],
            self.variance,
            zero,
            zero,
            self.low[columns],
            self.high[columns],
        )


@dataclass(frozen=True, slots=True)
class Path:
    """The solutions along alpha, and how exact each is.

    Parameters
    ----------
    coef : ndarray, shape (n_alphas, p)
        On the correlation scale.
    dual_gap : ndarray, shape (n_alphas,)
        Primal minus dual objective, as a share of the target's variance.
    kkt : ndarray, shape (n_alphas,)
        Largest violation of the optimality conditions, as a share of the target's deviation.
    n_iter : ndarray of int, shape (n_alphas,)
        Sweeps of coordinate descent.
    """

    coef: Floats
    dual_gap: Floats
    kkt: Floats
    n_iter: NDArray[np.int64]

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Where the duality gap and the optimality conditions are within `GAP_TOLERANCE`."""
        return (self.dual_gap <= GAP_TOLERANCE) & (self.kkt <= GAP_TOLERANCE)

    @property
    def last(self) -> "Path":
        """The solution at the last alpha alone."""
        return Path(self.coef[-1:], self.dual_gap[-1:], self.kkt[-1:], self.n_iter[-1:])


def alpha_max(problem: Problem) -> float:
    """The smallest alpha at which every penalised coefficient is zero."""
    gradient = np.abs(_reachable(problem, _null_gradient(problem)))
    penalised = problem.l1_factor > 0
    gradient, factor = gradient[penalised], problem.l1_factor[penalised]
    largest = float(np.max(gradient / factor, initial=0.0))
    if not penalised.all():
        largest *= 1 + 1e-13  # by the rounding of the fit to the unpenalised
    while np.any(largest * factor < gradient):  # by rounding
        largest = float(np.nextafter(largest, np.inf))
    return largest


def alpha_grid(largest: float, n_alphas: int, eps: float) -> Floats:
    """From ``largest`` down to ``eps * largest``, equally spaced in the logarithm."""
    if largest == 0:
        return np.zeros(n_alphas)
    return np.geomspace(largest, largest * eps, n_alphas)


def solve_path(
    problem: Problem, alphas: Sequence[float] | Floats, start: Floats | None = None
) -> Path:
    """Solve for each alpha, each from the solution before it.

    Parameters
    ----------
    problem : Problem
    alphas : sequence of float
        Descending.
    start : ndarray, shape (p,), optional
        Where to start for the first alpha; zeros if absent.

    Returns
    -------
    Path
    """
    shape = (len(alphas), len(problem.covariance))
    path = Path(
        np.zeros(shape), np.zeros(shape[0]), np.zeros(shape[0]), np.zeros(shape[0], np.int64)
    )
    coef = np.zeros(shape[1]) if start is None else start.copy()
    gradient = problem.covariance - problem.gram @ coef
    if problem.variance <= 0 or shape[1] == 0:
        return path
    previous = float(alphas[0]) if len(alphas) else 0.0
    for i, alpha in enumerate(alphas):
        l1, l2 = alpha * problem.l1_factor, alpha * problem.l2_factor
        strong = (2 * alpha - previous) * problem.l1_factor
        path.n_iter[i] = _solve(problem, l1, l2, strong, coef, gradient)
        path.coef[i] = coef
        path.dual_gap[i] = _dual_gap(problem, l1, l2, coef, gradient) / problem.variance
        path.kkt[i] = _kkt(problem, l1, l2, coef, gradient).max() / np.sqrt(problem.variance)
        previous = float(alpha)
    return path


def _solve(
    problem: Problem, l1: Floats, l2: Floats, strong: Floats, coef: Floats, gradient: Floats
) -> int:
    """Solve in place from a warm start; return the number of sweeps."""
    from lasso_jobs.core.descent import descend  # numba takes a second to load

    scale = float(np.sqrt(problem.variance))
    candidates = (coef != 0) | (np.abs(gradient) >= strong)
    sweeps, tol = 0, FIRST_TOLERANCE
    while sweeps < MAX_SWEEPS:
        index = np.flatnonzero(candidates)
        limits = (problem.low, problem.high)
        done = descend(
            problem.gram, l1, l2, *limits, coef, gradient, index, tol * scale, SWEEPS_AT_ONCE
        )
        sweeps += done
        violated = ~candidates & (_kkt(problem, l1, l2, coef, gradient) > KKT_TOLERANCE * scale)
        if violated.any():
            candidates |= violated
            continue
        _polish(problem, l1, l2, coef, gradient, sweeps > PATIENCE)
        if _kkt(problem, l1, l2, coef, gradient).max() <= KKT_TOLERANCE * scale:
            break
        if done < SWEEPS_AT_ONCE:
            if tol < KKT_TOLERANCE / 100:
                break
            tol /= 10
    return sweeps


def _polish(
    problem: Problem, l1: Floats, l2: Floats, coef: Floats, gradient: Floats, dependent: bool
) -> None:
    """Minimise over the free coefficients directly, for as long as none changes its sign.

    A Newton step solves exactly within an orthant. One that would leave it stops at the border,
    where the coefficient becomes 0 (or its bound) and is free no longer. Linearly dependent
    columns have many solutions: coordinate descent's own is kept, unless it is too slow to get
    there (``dependent``).
    """
    for _ in range(2 + len(coef)):
        inside = (coef > problem.low) & (coef < problem.high)
        free = np.flatnonzero(inside & ((coef != 0) | (l1 == 0)))
        slope = gradient[free] - l2[free] * coef[free] - l1[free] * np.sign(coef[free])
        matrix = problem.gram.take(free, axis=0).take(free, axis=1)
        matrix[np.diag_indices(len(free))] += l2[free]
        step = _newton(matrix, slope, dependent)
        if step is None:
            return
        room = _room(problem, l1, coef, free, step)
        length = min(1.0, float(room.min(initial=np.inf)))
        blocked = free[room <= length]
        border = np.where(step < 0, problem.low[free], problem.high[free])
        crosses = (l1[free] > 0) & (np.sign(coef[free]) * np.sign(step) < 0)
        coef[free] += length * step
        coef[blocked] = np.where(crosses, 0.0, border)[room <= length]
        gradient[:] = problem.covariance - problem.gram @ coef
        if not len(blocked):
            return


def _newton(matrix: Floats, slope: Floats, dependent: bool) -> Floats | None:
    """Solve for a step. Of a singular system, the shortest solution, or none."""
    from scipy.linalg import cho_solve, lstsq

    try:
        lower = np.linalg.cholesky(matrix)  # unlike scipy's, it lets other threads run
        if np.square(np.diag(lower)).min(initial=1.0) > RANK_TOLERANCE:
            return np.asarray(cho_solve((lower.T, False), slope, check_finite=False))
    except np.linalg.LinAlgError:
        pass
    return np.asarray(lstsq(matrix, slope, cond=RANK_TOLERANCE)[0]) if dependent else None


def _room(
    problem: Problem, l1: Floats, coef: Floats, free: NDArray[np.intp], step: Floats
) -> Floats:
    """How many steps each coefficient can take before it reaches zero or a bound."""
    here = coef[free]
    border = np.where(step < 0, problem.low[free], problem.high[free])
    border = np.where((l1[free] > 0) & (np.sign(here) * np.sign(step) < 0), 0.0, border)
    room = np.full(len(free), np.inf)
    np.divide(border - here, step, out=room, where=step != 0)
    return room


def _kkt(problem: Problem, l1: Floats, l2: Floats, coef: Floats, gradient: Floats) -> Floats:
    """Violation of each coefficient's optimality condition."""
    slope = gradient - l2 * coef
    violation = np.where(
        coef == 0, np.maximum(np.abs(slope) - l1, 0.0), np.abs(slope - l1 * np.sign(coef))
    )
    # At a bound, only a slope that points back inside violates.
    violation[(coef >= problem.high) & (slope >= l1)] = 0.0
    violation[(coef <= problem.low) & (slope <= -l1)] = 0.0
    return violation


def _dual_gap(problem: Problem, l1: Floats, l2: Floats, coef: Floats, gradient: Floats) -> float:
    """Gap to the dual objective at the residual, scaled until it is feasible.

    The Fenchel dual at ``s r`` (r the residual) is
    ``s r'y - s^2 r'r / 2 - sum_j h*_j(s g_j)`` with ``h*_j`` the conjugate of penalty plus bounds;
    it is finite everywhere but where an unbounded coefficient has no ridge part.
    """
    penalty = float(l1 @ np.abs(coef) + l2 @ coef**2 / 2)
    residual_target = problem.variance - float(problem.covariance @ coef)
    residual = residual_target - float(gradient @ coef)
    unlimited = np.where(gradient > 0, np.isinf(problem.high), np.isinf(problem.low)) & (l2 == 0)
    steepness, limit, size = np.abs(gradient[unlimited]), l1[unlimited], np.abs(coef[unlimited])
    # Without the slack, an unpenalised coefficient's gradient, which the solver leaves at up to
    # the KKT tolerance, would scale to 0. What the slack hides is worth its product with coef.
    beyond = steepness > limit + 2 * KKT_TOLERANCE * np.sqrt(problem.variance)
    hidden = float(np.where(beyond, 0.0, np.maximum(steepness - limit, 0.0)) @ size)
    scale = float(np.min(limit[beyond] / steepness[beyond], initial=1.0))
    slope = np.abs(scale * gradient) - l1
    limit = np.where(gradient > 0, problem.high, -problem.low)
    best = np.zeros_like(slope)
    ridge = (l2 > 0) & (slope > 0)
    best[ridge] = np.minimum(slope[ridge] / l2[ridge], limit[ridge])
    boxed = (l2 == 0) & (slope > 0) & np.isfinite(limit)
    best[boxed] = limit[boxed]
    conjugate = float(slope @ best - l2 @ best**2 / 2)
    dual = scale * residual_target - scale**2 * residual / 2 - conjugate
    return max(residual / 2 + penalty - dual, 0.0) + hidden


def _null_gradient(problem: Problem) -> Floats:
    """Gradient where every penalised coefficient is zero and the others are at their optimum."""
    free = problem.l1_factor + problem.l2_factor == 0
    if not free.any():
        return problem.covariance
    coef = solve_path(problem.unpenalised(free), [0.0]).coef[0]
    gradient: Floats = problem.covariance - problem.gram[:, free] @ coef
    return gradient


def _reachable(problem: Problem, gradient: Floats) -> Floats:
    """The gradient, zero where a bound at zero keeps the coefficient from following it."""
    stuck = ((gradient > 0) & (problem.high <= 0)) | ((gradient < 0) & (problem.low >= 0))
    return np.where(stuck, 0.0, gradient)
