"""Relaxes the LASSO: mixes a solution with least squares on its own active columns.

Selection and shrinkage get a parameter each: alpha chooses the columns, and gamma says how much of
the shrinkage stays, ``gamma * lasso + (1 - gamma) * relaxed``. This is the form of Hastie,
Tibshirani & Tibshirani (2020), "Best subset, forward stepwise or lasso?", and of glmnet's
``relax``; the idea is Meinshausen's (2007).
"""

from collections.abc import Sequence

import numpy as np

from lasso_jobs.core.fit.lasso import solve_path
from lasso_jobs.core.fit.problem import Path, Problem
from lasso_jobs.core.rows.moments import Floats


def relaxed(problem: Problem, coef: Floats) -> Path:
    """Without penalty, and within the bounds, fit the active columns of each solution.

    Parameters
    ----------
    problem : Problem
    coef : ndarray, shape (n, p)
        Solutions of the problem; neighbours with the same active columns share a fit.
    """
    path = Path.zeros(coef.shape)
    for i, active in enumerate(coef != 0):
        if i and np.array_equal(active, coef[i - 1] != 0):
            path.coef[i], path.dual_gap[i] = path.coef[i - 1], path.dual_gap[i - 1]
            path.kkt[i] = path.kkt[i - 1]
            continue
        fit = solve_path(problem.unpenalised(active), [0.0])
        path.coef[i, active], path.dual_gap[i] = fit.coef[0], fit.dual_gap[0]
        path.kkt[i], path.n_iter[i] = fit.kkt[0], fit.n_iter[0]
    return path


def mixed(problem: Problem, coef: Floats, gammas: Sequence[float]) -> tuple[Floats, Path]:
    """Each solution mixed with its relaxed fit, shape (n_gammas, n, p), and the relaxed fits.

    Where every gamma is 1 nothing is fitted, and the path is empty.
    """
    if all(gamma == 1 for gamma in gammas):
        return np.stack([coef] * len(gammas)), relaxed(problem, coef[:0])
    path = relaxed(problem, coef)
    share = np.asarray(gammas, float)[:, None, None]
    return share * coef + (1 - share) * path.coef, path
