"""Where a grid of alphas ends, when it goes on, and which of its fits must converge."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from sklearn.linear_model import Lasso
from sklearn.preprocessing import StandardScaler

from lasso_jobs.core.fit.choice import CrossValidation
from lasso_jobs.core.fit.cross_validation import EPS, EPS_OF_FEW_ROWS, PathSearch, cross_validate
from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.fit.problem import GAP_TOLERANCE, Path
from lasso_jobs.core.fit.walk.paths import Paths
from lasso_jobs.core.rows import moments as m
from lasso_jobs.core.rows.folds import k_folds
from lasso_jobs.core.rows.moments import Moments
from lasso_jobs.core.threads import Steps

Floats = NDArray[np.float64]
Rows = Callable[..., Moments]
RecipeOf = Callable[..., Recipe]


def rows(n: int, p: int, noise: float, seed: int = 0) -> tuple[Floats, Floats]:
    r = np.random.default_rng(seed)
    X = r.normal(size=(n, p))
    return X, X[:, :3] @ [3.0, -2.0, 1.0] + noise * r.normal(size=n)


def searched(
    X: Floats, y: Floats, search: PathSearch, moments_of: Rows, recipe: Recipe
) -> CrossValidation:
    parts = [moments_of(X[k::5], y[k::5]) for k in range(5)]
    return cross_validate(
        recipe, m.merge_all(parts, parts[0].n_values), k_folds(parts), search=search
    )


def fold_mse_by_sklearn(X: Floats, y: Floats, alphas: Floats) -> Floats:
    errors = np.empty((5, len(alphas)))
    for k in range(5):
        test = np.arange(len(y)) % 5 == k
        scaler = StandardScaler().fit(X[~test])
        for i, alpha in enumerate(alphas):
            fit = Lasso(alpha=alpha, tol=1e-14, max_iter=1_000_000)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fit.fit(scaler.transform(X[~test]), y[~test])
            errors[k, i] = np.mean((y[test] - fit.predict(scaler.transform(X[test]))) ** 2)
    return errors


@pytest.mark.parametrize(
    ("n", "p", "eps"), [(40, 41, EPS_OF_FEW_ROWS), (41, 41, EPS), (42, 41, EPS)]
)
def test_the_grid_ends_earlier_where_there_are_fewer_rows_than_coefficients(
    n: int, p: int, eps: float, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = rows(n, p, noise=3.0)
    grid = PathSearch(alphas=7, eps=None).grid(recipe_of(p), moments_of(X, y))
    assert_allclose(grid[-1] / grid[0], eps, rtol=1e-12)
    fixed = PathSearch(alphas=7, eps=0.2).grid(recipe_of(p), moments_of(X, y))
    assert_allclose(fixed[-1] / fixed[0], 0.2, rtol=1e-12)


def test_a_grid_whose_smallest_alpha_is_chosen_goes_on_once(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = rows(200, 6, noise=1e-6)
    cv = searched(X, y, PathSearch(alphas=12, eps=None), moments_of, recipe_of(6))
    fixed = searched(X, y, PathSearch(alphas=12, eps=EPS), moments_of, recipe_of(6))
    assert len(fixed.alphas) == 12
    assert fixed.index == 11
    assert len(cv.alphas) == 2 * 12 - 1
    assert_array_equal(cv.alphas[:12], fixed.alphas)
    assert_array_equal(cv.fold_mse[:, :12], fixed.fold_mse)
    assert_allclose(cv.alphas[-1] / cv.alphas[0], EPS**2, rtol=1e-10)
    assert_allclose(np.diff(np.log(cv.alphas)), np.log(EPS) / 11, rtol=1e-9)
    assert_allclose(cv.fold_mse, fold_mse_by_sklearn(X, y, cv.alphas), rtol=1e-6, atol=1e-12)
    assert cv.index > 11


@pytest.mark.parametrize("rule", ["min", "1se"])
def test_a_grid_with_its_choice_inside_ends_where_it_ends(
    rule: str, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = rows(60, 30, noise=3.0)
    cv = searched(X, y, PathSearch(alphas=12, eps=None, rule=rule), moments_of, recipe_of(30))
    assert len(cv.alphas) == 12
    assert 0 < cv.index < 11


def test_a_list_of_alphas_does_not_go_on(moments_of: Rows, recipe_of: RecipeOf) -> None:
    X, y = rows(200, 6, noise=1e-6)
    cv = searched(X, y, PathSearch(alphas=(1.0, 0.1), eps=None), moments_of, recipe_of(6))
    assert cv.alphas.tolist() == [1.0, 0.1]


def test_only_the_chosen_l1_ratio_goes_on(moments_of: Rows, recipe_of: RecipeOf) -> None:
    X, y = rows(200, 6, noise=1e-6)
    search = PathSearch(alphas=6, eps=None, l1_ratios=(1.0, 0.5), gammas=(0.5, 1.0))
    cv = searched(X, y, search, moments_of, recipe_of(6))
    n = [int(np.count_nonzero(cv.l1_ratios == ratio)) for ratio in (1.0, 0.5)]
    chosen = [1.0, 0.5].index(cv.l1_ratio)
    assert n[chosen] == 2 * 11
    assert n[1 - chosen] == 2 * 6
    assert cv.fold_mse.shape == (5, sum(n))


def spoil(monkeypatch: pytest.MonkeyPatch, below: Callable[[float], bool]) -> None:
    """As if the fits at some alphas had not converged."""
    solve = Paths.solve

    def spoilt(paths: Paths, alphas: Floats, steps: Steps | None = None) -> list[Path]:
        wrong = np.array([below(alpha) for alpha in alphas[0]])  # those of all problems
        return [
            Path(path.coef, path.dual_gap + 1e-6 * wrong, path.kkt, path.n_iter)
            for path in solve(paths, alphas, steps)
        ]

    monkeypatch.setattr(Paths, "solve", spoilt)


def test_only_fits_that_could_be_chosen_must_converge(
    moments_of: Rows, recipe_of: RecipeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = rows(60, 30, noise=3.0)
    search = PathSearch(alphas=12)
    whole = searched(X, y, search, moments_of, recipe_of(30))
    best = whole.alphas[whole.min_index]
    for limit, converged in ((best, True), (best * 1.0001, False)):
        with monkeypatch.context() as patch:
            spoil(patch, lambda alpha, limit=limit: alpha < limit)
            cv = searched(X, y, search, moments_of, recipe_of(30))
        assert cv.converged == converged
        assert cv.worst_dual_gap > GAP_TOLERANCE
        assert cv.alpha == whole.alpha


def test_a_grid_goes_on_as_far_as_its_fits_converge(
    moments_of: Rows, recipe_of: RecipeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = rows(200, 6, noise=1e-6)
    search = PathSearch(alphas=30, eps=None)
    whole = searched(X, y, search, moments_of, recipe_of(6))
    assert len(whole.alphas) == 59
    spoil(monkeypatch, lambda alpha: alpha < whole.alphas[44])
    cv = searched(X, y, search, moments_of, recipe_of(6))
    assert_array_equal(cv.alphas, whole.alphas[:45])
    assert cv.converged
    assert cv.worst_dual_gap <= GAP_TOLERANCE
