"""Fits one model at one alpha, from the moments of its training rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit.problem import Optimality, Path
from lasso_jobs.core.fit.relaxed import mixed
from lasso_jobs.core.fit.walk.paths import Paths
from lasso_jobs.core.rows.moments import Floats, Moments
from lasso_jobs.core.rows.sample import Sample


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
    (path,) = Paths([design.problem]).solve(alphas)
    return fitted(design, path, path.only(at), alpha=float(alphas[at]), gamma=gamma)


def fitted(design: d.Design, path: Path, chosen: Path, *, alpha: float, gamma: float) -> Fit:
    """The model of one of a path's alphas.

    Parameters
    ----------
    design : Design
    path : Path
        All that was solved for.
    chosen : Path
        The solution of the model.
    alpha : float
        Its alpha.
    gamma : float
    """
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
