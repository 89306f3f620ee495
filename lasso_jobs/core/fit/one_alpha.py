"""Fits one model at one alpha, from the moments of its training rows."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit.lasso import alpha_grid, alpha_max, next_change, solve_path
from lasso_jobs.core.fit.problem import KKT_TOLERANCE, Optimality, Path, Problem
from lasso_jobs.core.fit.relaxed import mixed
from lasso_jobs.core.rows.moments import Floats, Moments
from lasso_jobs.core.rows.sample import Sample

FEW_COLUMNS = 500
"""Problems of so many columns are solved whole: to leave columns out would save nothing."""
NEAR = 0.7
"""Gradients of this share of what enters make a column a candidate of a fit to similar rows."""
ENTRY_ALPHAS, ENTRY_EPS = 100, 1e-3
"""The grid along which columns enter: each alpha is 0.93 of the one before."""
CLOSE = 1e-9
"""An alpha within this share of a change is solved for, whichever side of it rounding puts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One model and its optimality.

    Parameters
    ----------
    design : Design
    alpha : float
    coef : ndarray, shape (p,)
        In original units.
    standardised : ndarray, shape (p,)
        Coefficients for features of unit variance: target units per standard deviation.
    intercept : float
    path : Path
        Of all alphas that were solved for, this one among them; without relaxed fits.
    dual_gap, kkt : float
        As in `lasso_jobs.core.fit.problem.Path`; the worse of the fit and its relaxed fit.
    converged : bool
    """

    design: d.Design
    alpha: float
    coef: Floats
    standardised: Floats
    intercept: float
    path: Path
    dual_gap: float
    kkt: float
    converged: bool

    @property
    def selected(self) -> NDArray[np.intp]:
        """The coefficients that were fitted, and are not zero."""
        return np.flatnonzero((self.coef != 0) & self.design.usable)

    def nearness(self) -> Floats:
        """The gradient of each coefficient, as a multiple of its l1 factor, shape (p,).

        A coefficient enters where this reaches alpha. One that is never penalised, or whose column
        does not vary, has none.
        """
        usable, problem = np.flatnonzero(self.design.usable), self.design.problem
        gradient = problem.covariance - problem.gram @ (self.coef * self.design.unit)[usable]
        near = np.zeros(len(self.standardised))
        penalised = problem.l1_factor > 0
        near[usable[penalised]] = np.abs(gradient)[penalised] / problem.l1_factor[penalised]
        return near

    def strongest(self) -> NDArray[np.intp]:
        """All coefficients by size; those that are zero by how near they are to entering."""
        return np.lexsort((-self.nearness(), -np.abs(self.standardised)))


def fit(
    recipe: d.Recipe,
    rows: Moments,
    alphas: Floats,
    *,
    gamma: float = 1.0,
    sample: Sample | None = None,
    at: int = -1,
    within: NDArray[np.bool_] | None = None,
) -> Fit:
    """Fit along some alphas, and mix the relaxed fit into the model of one of them.

    Parameters
    ----------
    recipe : Recipe
    rows : Moments
    alphas : ndarray, shape (n_alphas,)
        Descending.
    gamma : float
    sample : Sample, optional
    at : int
        The alpha of the model; by default the last.
    within : ndarray of bool, shape (p,), optional
        As in `lasso_jobs.core.fit.design.fit`.
    """
    design = d.fit(recipe, rows, sample, within=within)
    path = solve_path(design.problem, alphas)
    return _fitted(design, path, path.only(at), alpha=float(alphas[at]), gamma=gamma)


def _fitted(design: d.Design, path: Path, chosen: Path, *, alpha: float, gamma: float) -> Fit:
    """The model of one of a path's alphas."""
    mixtures, relaxed = mixed(design.problem, chosen.coef, [gamma])
    worst = Optimality.of(chosen, relaxed)
    coef, intercept = design.original_units(mixtures[0])
    standardised = np.zeros(len(design.position))
    standardised[design.usable] = mixtures[0, 0]
    if not design.intercept:
        standardised *= np.divide(
            design.deviation, design.unit, out=np.zeros(len(standardised)), where=design.unit > 0
        )
    if design.offset is not None:
        standardised[design.offset] = design.deviation[design.offset]
    return Fit(
        design=design,
        alpha=alpha,
        coef=coef[0],
        standardised=standardised,
        intercept=float(intercept[0]),
        path=path,
        dual_gap=worst.dual_gap,
        kkt=worst.kkt,
        converged=worst.converged,
    )


def refit(
    near: Fit,
    recipe: d.Recipe,
    rows: Moments,
    *,
    gamma: float = 1.0,
    sample: Sample | None = None,
    without: NDArray[np.bool_] | None = None,
) -> Fit:
    """Fit to other rows at the alpha of a fit to similar ones, among the columns that can matter.

    The candidates are the active columns of the first fit and those near to entering it. The
    problem is solved for them alone, to the same tolerance as always. Then the optimality condition
    of every other column is checked, from its own products with the active ones; columns that
    violate it become candidates, and the problem is solved again. A solution that satisfies all
    conditions is one of the whole problem, which is convex: where that has only one, both ways find
    it to rounding. What is saved is the matrix of all columns.

    Problems of few columns are solved whole, as are those whose conditions depend on other columns
    (adaptive weights, and levels that each fit chooses) or have bounds.

    Parameters
    ----------
    near : Fit
    recipe : Recipe
        The same but for its levels.
    rows : Moments
    gamma : float
    sample : Sample, optional
    without : ndarray of bool, shape (p,), optional
        Coefficients that are left out.
    """
    alpha = np.array([near.alpha])
    return _among_candidates(
        near,
        recipe,
        rows,
        lambda within: fit(recipe, rows, alpha, gamma=gamma, sample=sample, within=within),
        without=without,
    )


def first_to_enter(
    near: Fit, recipe: d.Recipe, rows: Moments, most: int, *, sample: Sample | None = None
) -> Fit:
    """Fit to other rows at the smallest alpha that selects at most some penalised coefficients.

    The path is walked down from the alpha at which the first column enters, on a grid of
    `ENTRY_ALPHAS`, until too many are active or the grid ends.

    Parameters
    ----------
    near : Fit
        To similar rows; among what columns to look, as for `refit`.
    recipe : Recipe
    rows : Moments
    most : int
    sample : Sample, optional
    """

    def entering(within: NDArray[np.bool_] | None) -> Fit:
        design = d.fit(recipe, rows, sample, within=within)
        path, alpha = _walked(design.problem, most)
        return _fitted(design, path, path, alpha=alpha, gamma=1.0)

    return _among_candidates(near, recipe, rows, entering)


def _walked(problem: Problem, most: int) -> tuple[Path, float]:
    """The last solution along the grid with at most so many penalised columns, and its alpha.

    Alphas down to where the active columns change next are passed over: at 11 columns that is three
    solutions of four.
    """
    alphas = alpha_grid(alpha_max(problem), ENTRY_ALPHAS, ENTRY_EPS)
    penalised, at = problem.l1_factor > 0, 0
    path = solve_path(problem, alphas[:1])
    while at < ENTRY_ALPHAS - 1:
        here, coef = float(alphas[at]), path.coef[0]
        change, gain = next_change(problem, coef, here)
        same = int((alphas > change * (1 + CLOSE)).sum())
        then = min(max(same, at + 1), ENTRY_ALPHAS - 1)
        start = coef + (here - max(change, alphas[then])) * gain
        found = solve_path(problem, alphas[[then]], start, previous=here)
        if np.count_nonzero(found.coef[0, penalised]) > most:
            if then - 1 > at:
                at, start = then - 1, coef + (here - alphas[then - 1]) * gain
                path = solve_path(problem, alphas[[at]], start)
            break
        path, at = found, then
    return path, float(alphas[at])


def _among_candidates(
    near: Fit,
    recipe: d.Recipe,
    rows: Moments,
    solve: Callable[[NDArray[np.bool_] | None], Fit],
    *,
    without: NDArray[np.bool_] | None = None,
) -> Fit:
    """Solve within the columns that can matter, until no other column violates its condition."""
    own_levels = bool(recipe.columns.categories) and recipe.grouping is None
    if len(near.coef) <= FEW_COLUMNS or recipe.adaptive or recipe.bounds or own_levels:
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
