"""Solves many alike problems at once, from the signs of the solutions of similar problems.

With the active columns A and their signs s known, the solution is that of linear equations:

    G_AA w_A = c_A - l1_A s_A,   and the gradient is g = c - G w.

It is the optimum if no w_j has lost its sign and no other |g_j| exceeds its penalty. Otherwise
each column is judged by ``z_j = w_j + g_j``, which at an optimum exceeds l1_j exactly where the
column is active: the next signs are those of z where ``|z_j| > l1_j``. All columns change at once.
This is a Newton method for the optimality conditions (primal-dual active sets: Hintermueller, Ito
& Kunisch 2002, "The primal-dual active set strategy as a semismooth Newton method"). From a
solution nearby it ends after about four steps, however many columns change: a walk
(`lasso_jobs.core.fit.walk.homotopy`) takes a step for each. Where columns are much alike it goes in
circles: the first step that changes no fewer columns than two steps before is the last. What is
left for the walk mostly has fewer signs wrong than at first: of 100 columns of 400 rows, correlated
by 0.5, 4 and not 30. All 400 refits of 100 columns to resamples of 2,000,000 rows are solved, in
0.08 s; to walk to them took 0.4 s.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit.problem import RANK_TOLERANCE
from lasso_jobs.core.rows.moments import Floats

Places = NDArray[np.intp]


def from_signs(
    grams: Sequence[Floats], covariance: Floats, l1: Floats, near: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    """Solve each problem, or come nearer to its solution.

    Parameters
    ----------
    grams : sequence of ndarray, shape (p, p)
    covariance, l1 : ndarray, shape (n, p)
        The penalty is 0 where a coefficient is not penalised.
    near : ndarray, shape (n, p)
        Solutions of similar problems.

    Returns
    -------
    coef : ndarray, shape (n, p)
    solved : ndarray of bool, shape (n,)

    Examples
    --------
    Of uncorrelated columns, each coefficient is its covariance less the penalty.

    >>> c, l1 = np.array([[0.9, -0.3]]), np.full((1, 2), 0.1)
    >>> from_signs([np.eye(2)], c, l1, np.zeros((1, 2)))
    (array([[ 0.8, -0.2]]), array([ True]))
    """
    n, p = near.shape
    coef, sign = near.copy(), np.where(l1 > 0, np.sign(near), 0.0)
    left, before, solved = np.arange(n), np.full((2, n), p + 1), np.zeros(n, np.bool_)
    while len(left):
        own, c, penalty = sign[left], covariance[left], l1[left]
        some = [grams[k] for k in left.tolist()]
        found, products, regular = _solved(some, c - penalty * own, (own != 0) | (penalty == 0))
        moved = found + c - products
        after = np.where((np.abs(moved) > penalty) & (penalty > 0), np.sign(moved), 0.0)
        changes = (after != own).sum(axis=1)
        nearer = regular & (changes < before[0, left])
        left, found, own = left[nearer], found[nearer], own[nearer]
        coef[left] = np.where((own == np.sign(found)) | (l1[left] == 0), found, 0.0)
        sign[left], before[:, left] = after[nearer], [before[1, left], changes[nearer]]
        solved[left] = changes[nearer] == 0
        left = left[~solved[left]]
    return coef, solved


def _solved(
    grams: Sequence[Floats], goal: Floats, active: NDArray[np.bool_]
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Coefficients of the active columns, their products with all columns, and which are regular.

    Active columns come first in slots, whose number is that of the problem with the most of them;
    an empty slot is a column of its own.
    """
    n, p = goal.shape
    count = active.sum(axis=1)
    size = int(count.max(initial=0))
    slot = np.argsort(~active, axis=1, kind="stable")[:, :size]
    empty = np.arange(size) >= count[:, None]
    rows = np.zeros((n, size, p))
    for k, gram in enumerate(grams):
        gram.take(slot[k, : count[k]], axis=0, out=rows[k, : count[k]], mode="clip")
    every = np.arange(n)[:, None]
    among = np.take_along_axis(rows, slot[:, None, :], axis=2)
    among.transpose(0, 2, 1)[empty] = 0.0
    places = np.nonzero(empty)
    among[places[0], places[1], places[1]] = 1.0
    regular = _regular(among)
    among[~regular] = np.eye(size)
    wanted = np.where(empty, 0.0, goal[every, slot])
    in_slots = np.linalg.solve(among, wanted[:, :, None])[:, :, 0]
    products = (in_slots[:, None, :] @ rows)[:, 0]
    coef = np.zeros((n, p))
    coef[every, slot] = in_slots
    return coef, products, regular


def _regular(matrices: Floats) -> NDArray[np.bool_]:
    """Of which matrices the columns do not depend on each other."""
    try:
        lower = np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        if len(matrices) == 1:
            return np.zeros(1, np.bool_)
        return np.concatenate([_regular(each[None]) for each in matrices])
    smallest = np.diagonal(lower, axis1=1, axis2=2).min(axis=1, initial=1.0)
    return np.asarray(smallest**2 > RANK_TOLERANCE)
