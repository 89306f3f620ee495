"""Checks the optimality conditions of the coefficients that a problem leaves out."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit.design import Design, Recipe, first_levels, penalties
from lasso_jobs.core.fit.problem import KKT_TOLERANCE
from lasso_jobs.core.rows.moments import Floats, Moments


def violating(
    recipe: Recipe, design: Design, training: Moments, *, coef: Floats, alpha: float
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
    outside = (design.deviation > 0) & ~design.usable
    recipe = replace(recipe, columns=design.grouping.columns)
    if recipe.drop_first:
        outside[first_levels(recipe.columns)] = False
    rows = design.grouping.moments(training).with_nulls(design.nulls)
    place, unit = design.position[outside], design.deviation[outside]
    active = np.flatnonzero(coef)
    products = rows.scatter[np.ix_(place, design.position[active])] @ coef[active]
    gradient = (rows.scatter[place, design.target] - products) / rows.weight / unit
    l1_factor, _ = penalties(recipe, design.scale[outside] / unit, outside)
    slack = KKT_TOLERANCE * np.sqrt(design.variance)
    violates = np.abs(gradient) > alpha * l1_factor + slack
    return np.asarray(np.flatnonzero(outside)[violates])
