"""Solves many problems at once: along alphas, from solutions nearby, or as columns enter.

Plain problems are walked together (`lasso_jobs.core.fit.walk.homotopy`), those of as many columns
in one walk. Every solution is then measured against the optimality conditions. One that misses
them, and problems with a ridge part, bounds or very many columns, are solved one by one
(`lasso_jobs.core.fit.lasso`).
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit.lasso import alpha_grid, alpha_max, solve_one, solve_path
from lasso_jobs.core.fit.problem import (
    KKT_TOLERANCE,
    AllPenalised,
    Path,
    Penalised,
    Problem,
    dual_gap,
    kkt_violation,
)
from lasso_jobs.core.fit.walk.homotopy import Line, Walk
from lasso_jobs.core.fit.walk.signs import from_signs
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.core.threads import Steps, in_threads

FEW_COLUMNS = 500
"""Problems of more are solved one by one: a walk of 500 changes takes as long as 100 solutions."""
ENTRY_ALPHAS, ENTRY_EPS = 100, 1e-3
"""The grid along which columns enter: each alpha is 0.93 of the one before."""

Places = NDArray[np.intp]


def walkable(problem: Problem) -> bool:
    """Whether a problem can be walked."""
    return problem.plain and len(problem.covariance) <= FEW_COLUMNS


def alike(problems: Sequence[Problem]) -> Iterator[Places]:
    """Where the problems with each number of columns are, if they can be walked."""
    size = np.array([len(each.covariance) if walkable(each) else -1 for each in problems])
    for p in np.unique(size[size >= 0]).tolist():
        yield np.flatnonzero(size == p)


class Paths:
    """The paths of some problems, which go on to smaller alphas as these are asked for.

    Parameters
    ----------
    problems : sequence of Problem

    Examples
    --------
    Of uncorrelated columns, each coefficient is its covariance less alpha, or zero.

    >>> one, free = np.ones(2), np.full(2, np.inf)
    >>> problem = Problem(
    ...     gram=np.eye(2),
    ...     covariance=np.array([0.9, -0.3]),
    ...     variance=1.0,
    ...     l1_factor=one,
    ...     l2_factor=0 * one,
    ...     low=-free,
    ...     high=free,
    ... )
    >>> (path,) = Paths([problem]).solve(np.array([0.5, 0.1]))
    >>> path.coef.round(12)
    array([[ 0.4,  0. ],
           [ 0.8, -0.2]])
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self._problems = problems
        self._walks = [(places, _down([problems[k] for k in places])) for places in alike(problems)]
        walked = {int(k) for places, _ in self._walks for k in places}
        self._others = [k for k in range(len(problems)) if k not in walked]
        self._last: list[Floats | None] = [None] * len(problems)

    def solve(self, alphas: Floats, steps: Steps | None = None) -> list[Path]:
        """The solutions at some alphas, descending, and smaller than those before.

        Parameters
        ----------
        alphas : ndarray, shape (n_alphas,) or (n, n_alphas)
            For all problems, or for each; a problem whose alphas are NaN waits where it is.
        steps : Steps, optional
            Each alpha of each problem takes one.

        Returns
        -------
        list of Path
            Of a problem that waits, an empty one.
        """
        steps, found = steps or Steps(), [Path.zeros((0, 0))] * len(self._problems)
        grids = np.broadcast_to(alphas, (len(self._problems), alphas.shape[-1]))
        going = np.isfinite(grids[:, 0])
        for places, walk in self._walks:
            some = going[places]
            if not some.any():
                continue
            coef, own = _along(walk, grids[places]), places[some]
            problems = [self._problems[k] for k in own.tolist()]
            certain = certified(problems, grids[own], coef[some], steps)
            for k, path in zip(own.tolist(), certain, strict=True):
                found[k] = path

        def alone(k: int) -> Path:
            return solve_path(self._problems[k], grids[k], self._last[k], steps=steps)

        others = [k for k in self._others if going[k]]
        for k, path in zip(others, in_threads(alone, others, steps), strict=True):
            found[k] = path
            self._last[k] = path.coef[-1]
        return found


def _down(problems: Sequence[Problem]) -> Walk:
    """The walk along falling alphas."""
    covariance = np.array([each.covariance for each in problems])
    factor, zero = np.array([each.l1_factor for each in problems]), np.zeros_like(covariance)
    line = Line(fixed=covariance, moving=zero, l1=zero, l1_moving=factor)
    return Walk([each.gram for each in problems], line, zero, np.inf)


def _along(walk: Walk, alphas: Floats) -> Floats:
    """Coefficients at the alphas of each problem, shape (n, n_alphas, p); NaN where it ended."""
    coef = np.full((*alphas.shape, walk.n_columns), np.nan)
    done = np.zeros(len(alphas), np.intp)
    for part in walk.segments(np.nan_to_num(alphas[:, -1], nan=np.inf)):
        reached = (alphas[part.problems] >= part.until[:, None]).sum(axis=1)
        new = reached > done[part.problems]
        which = part.problems[new]
        if not len(which):
            continue
        for k, to, at, slope in zip(which, reached[new], *walk.solutions(which), strict=True):
            some = slice(done[k], to)
            coef[k, some] = at + alphas[k, some, None] * slope
            done[k] = to
    return coef


def settle(
    problems: Sequence[Problem], alphas: Floats, near: Sequence[Floats], steps: Steps | None = None
) -> list[Path]:
    """Solve each problem at an alpha of its own, from a solution of a similar problem.

    Parameters
    ----------
    problems : sequence of Problem
    alphas : ndarray, shape (n,)
    near : sequence of ndarray, shape (p,)
        Any coefficients; the nearer, the sooner it is done.
    steps : Steps, optional
    """
    steps, found = steps or Steps(), [Path.zeros((0, 0))] * len(problems)
    left = set(range(len(problems)))
    for places in alike(problems):
        some, left = [problems[k] for k in places], left.difference(places.tolist())
        start, grid = np.array([near[k] for k in places]), alphas[places]
        coef = _near(some, grid, start)
        paths = certified(some, grid[:, None], coef[:, None], steps, near=start)
        for k, path in zip(places, paths, strict=True):
            found[k] = path
    for k in sorted(left):
        found[k] = solve_path(problems[k], alphas[[k]], near[k], steps=steps)
    return found


def _near(problems: Sequence[Problem], alphas: Floats, start: Floats) -> Floats:
    """The solutions, by their signs where that finds them; NaN where a walk ended."""
    covariance = np.array([each.covariance for each in problems])
    l1 = alphas[:, None] * np.array([each.l1_factor for each in problems])
    coef, solved = from_signs([each.gram for each in problems], covariance, l1, start)
    left = np.flatnonzero(~solved)
    if len(left):
        coef[left] = _walked([problems[k] for k in left.tolist()], alphas[left], coef[left])
    return coef


def _walked(problems: Sequence[Problem], alphas: Floats, start: Floats) -> Floats:
    walk, coef = _from(problems, alphas, start), np.full(start.shape, np.nan)
    for part in walk.segments(np.zeros(len(problems))):
        arrived = part.problems[part.until <= 0]
        if len(arrived):
            coef[arrived] = walk.solutions(arrived)[0]
    return coef


def _from(problems: Sequence[Problem], alphas: Floats, start: Floats) -> Walk:
    """The walk from problems that have the starts as solutions."""
    covariance = np.array([each.covariance for each in problems])
    l1 = alphas[:, None] * np.array([each.l1_factor for each in problems])
    fitted = np.array([each.gram @ own for each, own in zip(problems, start, strict=True)])
    sign = np.sign(start) * (l1 > 0)
    bound = np.clip(covariance - fitted, -l1, l1)
    slope = np.where((start != 0) | (l1 == 0), l1 * sign, bound)
    moving = fitted + slope - covariance
    line = Line(fixed=covariance, moving=moving, l1=l1, l1_moving=np.zeros_like(l1))
    return Walk([each.gram for each in problems], line, sign, 1.0)


def entering(
    problems: Sequence[Problem], most: int, steps: Steps | None = None
) -> tuple[list[Path], Floats]:
    """The last solutions with at most so many penalised columns, along a grid, and their alphas.

    The grid goes down from the alpha at which the first column enters, to the first alpha with more
    columns.

    Parameters
    ----------
    problems : sequence of Problem
    most : int
    steps : Steps, optional
    """
    steps, found = steps or Steps(), [Path.zeros((0, 0))] * len(problems)
    grids = np.array([_entry_grid(each) for each in problems])
    chosen, left = grids[:, 0].copy(), set(range(len(problems)))
    for places in alike(problems):
        some, grid = [problems[k] for k in places], grids[places]
        at, coef = _until(_down(some), grid, most)
        chosen[places] = grid[np.arange(len(places)), at]
        left -= {int(k) for k, own in zip(places, coef, strict=True) if np.isfinite(own).all()}
        for k, path in zip(
            places, certified(some, chosen[places, None], coef[:, None], steps), strict=True
        ):
            found[k] = path
    for k in sorted(left):
        found[k], chosen[k] = _walked_alone(problems[k], grids[k], most)
    return found, chosen


def _entry_grid(problem: Problem) -> Floats:
    return alpha_grid(alpha_max(problem), ENTRY_ALPHAS, ENTRY_EPS)


def _until(walk: Walk, alphas: Floats, most: int) -> tuple[Places, Floats]:
    """Where along its alphas each problem has its last solution of so few columns, and that."""
    n = len(alphas)
    done, coef = np.zeros(n, np.intp), np.full((n, walk.n_columns), np.nan)
    for part in walk.segments(alphas[:, -1]):
        own = part.problems
        reached = (alphas[own] >= part.until[:, None]).sum(axis=1)
        new, few = reached > done[own], part.n_active <= most
        walk.end(own[new & ~few])
        take = new & few
        which = own[take]
        if len(which):
            done[which] = reached[take]
            at, slope = walk.solutions(which)
            coef[which] = at + alphas[which, done[which] - 1][:, None] * slope
    return np.maximum(done - 1, 0), coef


def _walked_alone(problem: Problem, alphas: Floats, most: int) -> tuple[Path, float]:
    penalised, path, at = problem.l1_factor > 0, solve_path(problem, alphas[:1]), 0
    for k in range(1, len(alphas)):
        previous = float(alphas[k - 1])
        found = solve_path(problem, alphas[[k]], path.coef[0], previous=previous)
        if np.count_nonzero(found.coef[0, penalised]) > most:
            break
        path, at = found, k
    return path, float(alphas[at])


def certified(
    problems: Sequence[Problem],
    alphas: Floats,
    coef: Floats,
    steps: Steps,
    *,
    near: Iterable[Floats] | None = None,
) -> list[Path]:
    """Measure solutions against the conditions; what misses them, or is NaN, is solved alone.

    It is solved from where it is, and if that fails, from zeros: among columns that depend on each
    other a walk may end at coefficients so large that no descent from them arrives.

    Parameters
    ----------
    problems : sequence of Problem
        Of as many columns.
    alphas : ndarray, shape (n, n_alphas)
    coef : ndarray, shape (n, n_alphas, p)
        Changed in place.
    steps : Steps
    near : iterable of ndarray, shape (p,), optional
        Where to start without a solution; else from that at the alpha before.
    """
    starts = [np.zeros(coef.shape[2])] * len(problems) if near is None else list(near)
    gradient = np.array(
        [each.covariance - own @ each.gram for each, own in zip(problems, coef, strict=True)]
    )
    here = AllPenalised.of(problems, alphas)
    variance = here.problem.variance
    scale = np.sqrt(variance)
    kkt = kkt_violation(here, coef, gradient).max(axis=2)
    most = np.broadcast_to(KKT_TOLERANCE * scale, kkt.shape)
    for k, i in np.argwhere(~(kkt <= most)).tolist():
        own = problems[k]
        if not np.isfinite(coef[k, i]).all():
            coef[k, i] = coef[k, i - 1] if i else starts[k]
            gradient[k, i] = own.covariance - own.gram @ coef[k, i]
        one = Penalised(own, alphas[k, i] * own.l1_factor, alphas[k, i] * own.l2_factor)
        kkt[k, i] = solve_one(one, coef[k, i], gradient[k, i], steps=steps)
        if not kkt[k, i] <= most[k, i]:
            anew, its_gradient = np.zeros_like(coef[k, i]), own.covariance.copy()
            violation = solve_one(one, anew, its_gradient, steps=steps)
            if not violation >= kkt[k, i]:
                coef[k, i], gradient[k, i], kkt[k, i] = anew, its_gradient, violation
    gap = dual_gap(here, coef, gradient) / variance
    for _ in range(coef.shape[0] * coef.shape[1]):
        steps.take()
    n_iter = np.zeros(coef.shape[1], np.int64)
    return [Path(coef[k], gap[k], kkt[k] / scale[k], n_iter) for k in range(len(problems))]
