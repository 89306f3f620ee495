"""States the Elastic Net on a Gram matrix, and measures how far a solution is from optimal.

The problem, for weights w on the correlation scale (unit variances):

    minimise  1/2 w'Gw - c'w + sum_j l1_j |w_j| + 1/2 sum_j l2_j w_j^2   with low <= w <= high

G is the correlation matrix of the features, c their covariances with the target. With
``l1_j = alpha l1_ratio f_j`` and ``l2_j = alpha (1 - l1_ratio) f_j`` this is scikit-learn's
``1/(2n) ||y - Xw||^2 + alpha ||w||_1`` and its Elastic Net, up to the constant var(y)/2.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.moments import Floats

KKT_TOLERANCE = 1e-12
RANK_TOLERANCE = 1e-12
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

    @property
    def plain(self) -> bool:
        """Whether there is neither a ridge part nor a bound, and something to be fitted."""
        limited = np.isfinite(self.low).any() or np.isfinite(self.high).any()
        some = self.variance > 0 and len(self.covariance) > 0
        return bool(some and not limited and not self.l2_factor.any())

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
        Sweeps of coordinate descent; 0 if it was solved directly.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Problems:
    """Problems of as many columns, along some alphas, without their matrices.

    Parameters
    ----------
    covariance, low, high : ndarray, shape (n, 1, p)
    variance : ndarray, shape (n, 1)
    """

    covariance: Floats
    variance: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class AllPenalised:
    """Problems at their alphas, as `Penalised` is one.

    Parameters
    ----------
    problem : Problems
    l1, l2 : ndarray, shape (n, n_alphas, p)
    """

    problem: Problems
    l1: Floats
    l2: Floats

    @classmethod
    def of(cls, problems: Sequence[Problem], alphas: Floats) -> "AllPenalised":
        """Some problems at alphas of their own, of shape (n, n_alphas)."""

        def each(name: str) -> Floats:
            return np.array([getattr(problem, name) for problem in problems])[:, None]

        stacked = Problems(**{name: each(name) for name in Problems.__slots__})
        steps = alphas[:, :, None]
        return cls(stacked, steps * each("l1_factor"), steps * each("l2_factor"))


def kkt_violation(here: Penalised | AllPenalised, coef: Floats, gradient: Floats) -> Floats:
    """Violation of each coefficient's optimality condition, of the shape of ``coef``."""
    problem, l1, l2 = here.problem, here.l1, here.l2
    slope = gradient - l2 * coef
    violation = np.where(
        coef == 0, np.maximum(np.abs(slope) - l1, 0.0), np.abs(slope - l1 * np.sign(coef))
    )
    # At a bound, only a slope that points back inside violates.
    violation[(coef >= problem.high) & (slope >= l1)] = 0.0
    violation[(coef <= problem.low) & (slope <= -l1)] = 0.0
    return violation


def dual_gap(here: Penalised | AllPenalised, coef: Floats, gradient: Floats) -> Floats:
    """Gap to the dual objective at the residual, scaled until it is feasible.

    The Fenchel dual at ``s r`` (r the residual) is
    ``s r'y - s^2 r'r / 2 - sum_j h*_j(s g_j)`` with ``h*_j`` the conjugate of penalty plus bounds;
    it is finite everywhere but where an unbounded coefficient has no ridge part.

    Parameters
    ----------
    here : Penalised or AllPenalised
    coef, gradient : ndarray, shape (..., p)

    Returns
    -------
    ndarray, shape (...,)
    """
    problem, l1, l2 = here.problem, here.l1, here.l2
    penalty = (l1 * np.abs(coef) + l2 * coef**2 / 2).sum(axis=-1)
    residual_target = problem.variance - (problem.covariance * coef).sum(axis=-1)
    residual = residual_target - (gradient * coef).sum(axis=-1)
    high, low = np.isinf(problem.high), np.isinf(problem.low)
    unlimited = np.where(gradient > 0, high, low) & (l2 == 0)
    steepness = np.abs(gradient)
    # Without the slack, an unpenalised coefficient's gradient, which the solver leaves at up to
    # the KKT tolerance, would scale to 0. What the slack hides is worth its product with coef.
    slack = 2 * KKT_TOLERANCE * np.sqrt(problem.variance)
    beyond = unlimited & (steepness > l1 + np.asarray(slack)[..., None])
    excess = np.where(unlimited & ~beyond, np.maximum(steepness - l1, 0.0), 0.0)
    hidden = (excess * np.abs(coef)).sum(axis=-1)
    share = np.ones(np.broadcast_shapes(steepness.shape, l1.shape))
    np.divide(l1, steepness, out=share, where=beyond)
    scale = share.min(axis=-1, initial=1.0)
    slope = np.abs(scale[..., None] * gradient) - l1
    limit = np.where(gradient > 0, problem.high, -problem.low)
    ridge = (l2 > 0) & (slope > 0)
    boxed = (l2 == 0) & (slope > 0) & np.isfinite(limit)
    best = np.where(boxed, limit, 0.0)
    np.divide(slope, l2, out=best, where=ridge)
    np.minimum(best, limit, out=best, where=ridge)
    conjugate = (slope * best - l2 * best**2 / 2).sum(axis=-1)
    dual = scale * residual_target - scale**2 * residual / 2 - conjugate
    return np.asarray(np.maximum(residual / 2 + penalty - dual, 0.0) + hidden)
