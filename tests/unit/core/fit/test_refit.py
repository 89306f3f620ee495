"""Fits among the columns that can matter, against fits of the whole problem."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from lasso_jobs.core.fit import one_alpha
from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.fit.walk.paths import FEW_COLUMNS
from lasso_jobs.core.fit.walk.refits import NEAR, refit
from lasso_jobs.core.rows.moments import Moments

Floats = NDArray[np.float64]
Rows = Callable[..., Moments]
RecipeOf = Callable[..., Recipe]

P = FEW_COLUMNS + 20
ALPHA = 0.2
RECIPES = {
    "lasso": {},
    "elastic net": {"l1_ratio": 0.5},
    "unscaled": {"scaling": "none"},
    "penalty factors": {"penalty_factors": {"x0": 0.0, "x1": 3.0, "x500": 0.2}},
    "indicators": {"indicators": (0, 3, 510)},
}


def rows(seed: int = 0, shift: float = 0.0) -> tuple[Floats, Floats]:
    """Neighbours are correlated; ``shift`` moves what the target depends on."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(700, P))
    X[:, 1:] += 0.7 * X[:, :-1]
    y = X[:, 5:400:40] @ np.linspace(2, 0.5, 10) + 3 * rng.normal(size=len(X))
    y += shift * X[:, 490:500].sum(axis=1)
    X[rng.random(X.shape) < 0.02] = np.nan
    return X * np.geomspace(0.5, 2, P) + 3, y


@pytest.mark.parametrize("options", RECIPES.values(), ids=list(RECIPES))
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_it_is_the_fit_of_the_whole_problem(
    options: dict[str, object], shift: float, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    """With the shift, columns enter that were far from it."""
    recipe, other = recipe_of(P, **options), moments_of(*rows(1, shift))
    near = one_alpha.fit(recipe, moments_of(*rows()), np.array([ALPHA]))
    found = refit(near, recipe, other)
    whole = one_alpha.fit(recipe, other, np.array([ALPHA]))
    assert found.converged
    assert found.design.usable.sum() < whole.design.usable.sum()
    assert_array_equal(found.coef != 0, whole.coef != 0)
    assert_allclose(found.standardised, whole.standardised, rtol=0, atol=1e-10)
    assert found.intercept == pytest.approx(whole.intercept, rel=1e-10)
    far = (near.standardised == 0) & (near.nearness() < NEAR * ALPHA)
    assert not shift or np.any(found.coef[far])


def test_a_relaxed_fit_is_that_of_the_whole_problem(moments_of: Rows, recipe_of: RecipeOf) -> None:
    recipe, other = recipe_of(P), moments_of(*rows(1))
    near = one_alpha.fit(recipe, moments_of(*rows()), np.array([ALPHA]), gamma=0.5)
    found = refit(near, recipe, other, gamma=0.5)
    whole = one_alpha.fit(recipe, other, np.array([ALPHA]), gamma=0.5)
    assert_allclose(found.standardised, whole.standardised, rtol=0, atol=1e-10)


@pytest.mark.parametrize("options", [{"adaptive": True}, {"bounds": {"x5": (0.0, 1.0)}}])
def test_what_depends_on_all_columns_is_solved_whole(
    options: dict[str, object], moments_of: Rows, recipe_of: RecipeOf
) -> None:
    recipe, some = recipe_of(P, **options), moments_of(*rows())
    near = one_alpha.fit(recipe, some, np.array([ALPHA]))
    found = refit(near, recipe, some)
    assert_allclose(found.coef, near.coef, rtol=1e-10, atol=1e-14)
    assert found.design.usable.all()


def test_the_strongest_are_the_active_then_those_that_enter_next(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    recipe, some = recipe_of(P), moments_of(*rows())
    fit = one_alpha.fit(recipe, some, np.array([ALPHA]))
    order, n = fit.strongest(), np.count_nonzero(fit.coef)
    assert_array_equal(np.sort(order), np.arange(P))
    sizes = np.abs(fit.standardised[order])
    assert_array_equal(sizes, np.sort(sizes)[::-1])
    nearest = order[n]
    just_before = one_alpha.fit(recipe, some, np.array([fit.nearness()[nearest] * (1 + 1e-4)]))
    # Between the two alphas other gradients move too, but none that far.
    below = one_alpha.fit(recipe, some, np.array([fit.nearness()[nearest] * (1 - 0.05)]))
    assert just_before.coef[nearest] == 0
    assert np.count_nonzero(below.coef) > n


def test_the_model_of_one_alpha_comes_with_the_whole_path(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    recipe, some, alphas = recipe_of(P), moments_of(*rows()), np.array([0.5, ALPHA, 0.15])
    found = one_alpha.fit(recipe, some, alphas, at=1)
    alone = one_alpha.fit(recipe, some, alphas[:2])
    assert_array_equal(found.coef, alone.coef)
    assert (found.alpha, len(found.path.coef)) == (ALPHA, 3)
    assert replace(found, path=alone.path).kkt == alone.kkt
