"""States the Elastic Net on a Gram matrix, and measures how far a solution is from optimal.

The problem, for weights w on the correlation scale (unit variances):

    minimise  1/2 w'Gw - c'w + sum_j l1_j |w_j| + 1/2 sum_j l2_j w_j^2   with low <= w <= high

G is the correlation matrix of the features, c their covariances with the target. With
``l1_j = alpha l1_ratio f_j`` and ``l2_j = alpha (1 - l1_ratio) f_j`` this is scikit-learn's
``1/(2n) ||y - Xw||^2 + alpha ||w||_1`` and its Elastic Net, up to the constant var(y)/2.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.moments import Floats

KKT_TOLERANCE = 1e-12
GAP_TOLERANCE = 1e-9
"""A fit has converged when its duality gap is below this share of var(y)."""


@dataclass(frozen=True, slots=True, kw_only=True)
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
        return replace(
            self,
            gram=self.gram[np.ix_(columns, columns)],
            covariance=self.covariance[columns],
            l1_factor=zero,
            l2_factor=zero,
            low=self.low[columns],
            high=self.high[columns],
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

    @classmethod
    def zeros(cls, shape: tuple[int, int]) -> "Path":
        """A path of zeros, to be filled in, for so many alphas and columns."""
        n = shape[0]
        return cls(np.zeros(shape), np.zeros(n), np.zeros(n), np.zeros(n, np.int64))

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Where the duality gap and the optimality conditions are within `GAP_TOLERANCE`."""
        return (self.dual_gap <= GAP_TOLERANCE) & (self.kkt <= GAP_TOLERANCE)

    def only(self, at: int) -> "Path":
        """The solution at one alpha alone."""
        return Path(self.coef[[at]], self.dual_gap[[at]], self.kkt[[at]], self.n_iter[[at]])


@dataclass(frozen=True, slots=True)
class Optimality:
    """How exact some fits are: the worst of each.

    Parameters
    ----------
    dual_gap, kkt : float
        As in `Path`.
    converged : bool
        Whether all did.
    """

    dual_gap: float
    kkt: float
    converged: bool

    @classmethod
    def of(cls, *paths: Path) -> "Optimality":
        """The worst over all solutions of some paths."""
        return cls(
            max(float(path.dual_gap.max(initial=0.0)) for path in paths),
            max(float(path.kkt.max(initial=0.0)) for path in paths),
            all(bool(path.converged.all()) for path in paths),
        )


@dataclass(frozen=True, slots=True)
class Penalised:
    """A problem at one alpha.

    Parameters
    ----------
    problem : Problem
    l1, l2 : ndarray, shape (p,)
        The factors times alpha.
    """

    problem: Problem
    l1: Floats
    l2: Floats


def kkt_violation(here: Penalised, coef: Floats, gradient: Floats) -> Floats:
    """Violation of each coefficient's optimality condition."""
    problem, l1, l2 = here.problem, here.l1, here.l2
    slope = gradient - l2 * coef
    violation = np.where(
        coef == 0, np.maximum(np.abs(slope) - l1, 0.0), np.abs(slope - l1 * np.sign(coef))
    )
    # At a bound, only a slope that points back inside violates.
    violation[(coef >= problem.high) & (slope >= l1)] = 0.0
    violation[(coef <= problem.low) & (slope <= -l1)] = 0.0
    return violation


def dual_gap(here: Penalised, coef: Floats, gradient: Floats) -> float:
    """Gap to the dual objective at the residual, scaled until it is feasible.

    The Fenchel dual at ``s r`` (r the residual) is
    ``s r'y - s^2 r'r / 2 - sum_j h*_j(s g_j)`` with ``h*_j`` the conjugate of penalty plus bounds;
    it is finite everywhere but where an unbounded coefficient has no ridge part.
    """
    problem, l1, l2 = here.problem, here.l1, here.l2
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
    ridge = (l2 > 0) & (slope > 0)
    boxed = (l2 == 0) & (slope > 0) & np.isfinite(limit)
    conjugate = 0.0
    if ridge.any() or boxed.any():
        best = np.zeros_like(slope)
        best[ridge] = np.minimum(slope[ridge] / l2[ridge], limit[ridge])
        best[boxed] = limit[boxed]
        conjugate = float(slope @ best - l2 @ best**2 / 2)
    dual = scale * residual_target - scale**2 * residual / 2 - conjugate
    return max(residual / 2 + penalty - dual, 0.0) + hidden
