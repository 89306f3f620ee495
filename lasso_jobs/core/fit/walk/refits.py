"""Fits again: to other sets of rows, without some columns, or until enough columns entered.

The fits of many sets of rows are alike, so few columns are solved for all at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit.one_alpha import Fit, fit, fitted
from lasso_jobs.core.fit.problem import KKT_TOLERANCE, Path, Problem
from lasso_jobs.core.fit.walk.paths import FEW_COLUMNS, entering, settle
from lasso_jobs.core.rows.moments import Floats, Moments
from lasso_jobs.core.rows.sample import Sample
from lasso_jobs.core.threads import Steps, in_threads

NEAR = 0.7
"""Gradients of this share of what enters make a column a candidate of a fit to similar rows."""
LEFT_OUT = 1e300
"""The l1 penalty of a coefficient that is left out: more than any gradient, and no overflow."""


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """What a model is fitted to.

    Parameters
    ----------
    moments : Moments
    sample : Sample or None
        Of the same rows, for robust scaling.
    """

    moments: Moments
    sample: Sample | None = None


def refits(
    near: Fit,
    recipe: d.Recipe,
    rows: Sequence[TrainingRows],
    *,
    gamma: float = 1.0,
    measured: bool = False,
    steps: Steps | None = None,
) -> list[Fit]:
    """Fit to other sets of rows at the alpha of a fit to similar ones.

    Problems of few columns are solved all at once, each from the first fit. Of more columns, only
    those that can matter are solved for.

    The candidates are the active columns of the first fit and those near to entering it. The
    problem is solved for them alone, to the same tolerance. Then the optimality condition of every
    other column is checked, from its own products with the active ones; columns that violate it
    become candidates, and the problem is solved again. A solution that satisfies all conditions is
    one of the whole problem, which is convex. What is saved is the matrix of all columns.

    Problems whose conditions depend on other columns (adaptive weights, and levels that each fit
    chooses), or have bounds, are solved whole.

    Parameters
    ----------
    near : Fit
    recipe : Recipe
        The same but for its levels.
    rows : sequence of TrainingRows
    gamma : float
    measured : bool
        Whether the fits are measured on rows that the first fit has seen. Then none starts from it:
        where columns are equal in all rows but those, it has chosen among them by those.
    steps : Steps, optional
        Each fit takes one.
    """
    alpha, steps = np.array([near.alpha]), steps or Steps()
    if _is_whole(near, recipe):
        designs = [d.fit(recipe, each.moments, each.sample) for each in rows]
        starts = [_start(None if measured else near, design) for design in designs]
        paths = _settled([design.problem for design in designs], near.alpha, starts, steps)
        return [
            fitted(design, path, path, alpha=near.alpha, gamma=gamma)
            for design, path in zip(designs, paths, strict=True)
        ]

    def alone(each: TrainingRows) -> Fit:
        found = _among_candidates(
            near,
            recipe,
            each.moments,
            lambda within: fit(
                recipe, each.moments, alpha, gamma=gamma, sample=each.sample, within=within
            ),
        )
        steps.take()
        return found

    return in_threads(alone, rows, steps)


def refit(
    near: Fit,
    recipe: d.Recipe,
    rows: Moments,
    *,
    gamma: float = 1.0,
    sample: Sample | None = None,
    measured: bool = False,
) -> Fit:
    """Fit to one other set of rows, as `refits`."""
    training = [TrainingRows(rows, sample)]
    (found,) = refits(near, recipe, training, gamma=gamma, measured=measured)
    return found


def refits_without(
    near: Fit,
    recipe: d.Recipe,
    rows: TrainingRows,
    left_out: Sequence[NDArray[np.bool_]],
    *,
    gamma: float = 1.0,
) -> list[Fit]:
    """Fit again to the same rows, each time without some coefficients.

    Parameters
    ----------
    near : Fit
        To the rows.
    recipe : Recipe
        With the levels of the fit.
    rows : TrainingRows
    left_out : sequence of ndarray of bool, shape (p,)
        What has no coefficient in each fit.
    gamma : float
    """
    if recipe.adaptive or not _is_whole(near, recipe):
        alpha = np.array([near.alpha])

        def alone(without: NDArray[np.bool_]) -> Fit:
            return _among_candidates(
                near,
                recipe,
                rows.moments,
                lambda within: fit(
                    recipe, rows.moments, alpha, gamma=gamma, sample=rows.sample, within=within
                ),
                without=without,
            )

        return in_threads(alone, left_out, Steps())
    design, problems, starts = near.design, [], []
    for without in left_out:
        out = without[design.usable]
        factor = np.where(out, LEFT_OUT / max(near.alpha, 1.0), design.problem.l1_factor)
        problems.append(replace(design.problem, l1_factor=factor))
        starts.append(np.where(out, 0.0, _start(near, design)))
    paths = _settled(problems, near.alpha, starts, Steps())
    return [
        fitted(replace(design, problem=problem), path, path, alpha=near.alpha, gamma=gamma)
        for problem, path in zip(problems, paths, strict=True)
    ]


def _settled(
    problems: Sequence[Problem], alpha: float, starts: Sequence[Floats], steps: Steps
) -> list[Path]:
    return settle(problems, np.full(len(problems), alpha), starts, steps)


def _start(near: Fit | None, design: d.Design) -> Floats:
    """The coefficients of a fit, for the columns of another design; zeros if they differ."""
    same = near is not None and near.design.grouping.columns == design.grouping.columns
    if near is None or not same or len(near.coef) != len(design.unit):
        return np.zeros(np.count_nonzero(design.usable))
    return np.asarray((near.coef * design.unit)[design.usable])


def first_to_enter(
    near: Fit,
    recipe: d.Recipe,
    rows: Sequence[TrainingRows],
    most: int,
    *,
    steps: Steps | None = None,
) -> list[Fit]:
    """Fit to other sets of rows, each at the smallest alpha with at most so many coefficients.

    The path is walked down from the alpha at which the first column enters, on the grid of
    `lasso_jobs.core.fit.walk.paths.entering`, until too many penalised ones are active or it ends.

    Parameters
    ----------
    near : Fit
        To similar rows; among what columns to look, as for `refits`.
    recipe : Recipe
    rows : sequence of TrainingRows
    most : int
    steps : Steps, optional
        Each fit takes one.
    """
    steps = steps or Steps()
    if _is_whole(near, recipe):
        designs = [d.fit(recipe, each.moments, each.sample) for each in rows]
        return _entered(designs, most, steps)

    def alone(each: TrainingRows) -> Fit:
        def solve(within: NDArray[np.bool_] | None) -> Fit:
            design = d.fit(recipe, each.moments, each.sample, within=within)
            (found,) = _entered([design], most, Steps())
            return found

        found = _among_candidates(near, recipe, each.moments, solve)
        steps.take()
        return found

    return in_threads(alone, rows, steps)


def _entered(designs: Sequence[d.Design], most: int, steps: Steps) -> list[Fit]:
    paths, alphas = entering([design.problem for design in designs], most, steps)
    return [
        fitted(design, path, path, alpha=alpha, gamma=1.0)
        for design, path, alpha in zip(designs, paths, alphas.tolist(), strict=True)
    ]


def _is_whole(near: Fit, recipe: d.Recipe) -> bool:
    """Whether problems are solved with all columns: to leave out few would save nothing."""
    own_levels = bool(recipe.columns.categories) and recipe.grouping is None
    few = len(near.coef) <= FEW_COLUMNS
    return few or recipe.adaptive or bool(recipe.bounds) or own_levels


def _among_candidates(
    near: Fit,
    recipe: d.Recipe,
    rows: Moments,
    solve: Callable[[NDArray[np.bool_] | None], Fit],
    *,
    without: NDArray[np.bool_] | None = None,
) -> Fit:
    """Solve within the columns that can matter, until no other column violates its condition."""
    if _is_whole(near, recipe):
        return solve(None if without is None else ~without)
    allowed = np.ones(len(near.coef), np.bool_) if without is None else ~without
    free = near.design.usable.copy()
    free[free] = near.design.problem.l1_factor == 0
    within = (near.coef != 0) | (near.nearness() >= NEAR * near.alpha) | free
    within &= allowed
    while True:
        found = solve(within)
        coef, _ = found.design.original_units(found.path.coef[-1:])
        more = _violating(recipe, found.design, rows, coef=coef[0], alpha=found.alpha)
        more = more[allowed[more]]
        if not len(more):
            return found
        within[more] = True


def _violating(
    recipe: d.Recipe, design: d.Design, training: Moments, *, coef: Floats, alpha: float
) -> NDArray[np.intp]:
    """The coefficients outside a problem that would not stay zero if they were in it.

    On the correlation scale the gradient of a zero coefficient must not exceed alpha times its l1
    factor. It needs the products of its column with the target and with the active columns only.

    Parameters
    ----------
    recipe : Recipe
        Without bounds and adaptive weights.
    design : Design
        Of a problem within some of the coefficients.
    training : Moments
        What it was fitted to.
    coef : ndarray, shape (p,)
        The solution, in original units.
    alpha : float
    """
    outside = (design.unit > 0) & ~design.usable
    recipe = replace(recipe, columns=design.grouping.columns)
    outside[d.fixed(recipe)] = False
    rows = design.grouping.moments(training).with_nulls(design.nulls)
    place, unit = design.position[outside], design.unit[outside]
    active = np.flatnonzero(coef)
    products = rows.scatter[np.ix_(place, design.position[active])] @ coef[active]
    gradient = (rows.scatter[place, design.target] - products) / rows.weight
    if not design.intercept:
        mean_residual = design.location[design.target] - design.mean_prediction(coef[None])[0]
        gradient += design.location[place] * mean_residual
    gradient /= unit
    l1_factor, _ = d.penalties(recipe, design.scale[outside] / unit, outside)
    slack = KKT_TOLERANCE * np.sqrt(design.problem.variance)
    violates = np.abs(gradient) > alpha * l1_factor + slack
    return np.asarray(np.flatnonzero(outside)[violates])
