"""Against refits with scikit-learn to the first rows."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from sklearn.linear_model import Lasso
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from lasso_jobs.core.fit import one_alpha
from lasso_jobs.core.fit.cross_validation import PathSearch
from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.inference.refits.groups import ResamplingGroups
from lasso_jobs.core.inference.refits.learning_curve import LearningCurve, learning_curve
from lasso_jobs.core.rows import moments as m
from lasso_jobs.core.rows.moments import Moments

Floats = NDArray[np.float64]
Rows = Callable[..., Moments]
RecipeOf = Callable[..., Recipe]


def correlated(n: int = 200, p: int = 6, seed: int = 0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) @ (np.eye(p) + 0.5 * rng.normal(size=(p, p)))
    X = X * np.geomspace(0.1, 30, p) + rng.normal(size=p) * 50
    standard = (X - X.mean(axis=0)) / X.std(axis=0)
    slopes = np.where(np.arange(p) % 2, 0.0, np.linspace(3, 1, p))
    return X, standard @ slopes + 2 * rng.normal(size=n)


def curve(recipe: Recipe, parts: list[Moments], holdout: Moments) -> LearningCurve:
    groups = ResamplingGroups(tuple(parts))
    final = one_alpha.fit(recipe, groups.merged(), np.array([0.2]))
    return learning_curve(recipe, groups, holdout, final)


def test_the_learning_curve_is_that_of_refits_to_the_first_rows(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = correlated(n=330)
    group = np.arange(330) % 11
    parts = [moments_of(X[group == g], y[group == g]) for g in range(11)]
    found = curve(recipe_of(6), parts[:10], parts[10])
    assert found.test == "hold-out"
    assert found.n_rows.tolist() == [30, 60, 120, 180, 240, 300]
    for size, train_mse, test_mse in zip(
        (1, 2, 4, 6, 8, 10), found.train_mse, found.test_mse, strict=True
    ):
        rows, scaler = group < size, StandardScaler()
        lasso = Lasso(alpha=0.2, tol=1e-13).fit(scaler.fit_transform(X[rows]), y[rows])
        for chosen, mse in ((rows, train_mse), (group == 10, test_mse)):
            residuals = y[chosen] - lasso.predict(scaler.transform(X[chosen]))
            assert mse == pytest.approx((residuals**2).mean(), rel=1e-9)


@pytest.mark.parametrize(("n_groups", "n_rows"), [(2, [10]), (6, [10, 20, 30, 40, 50])])
def test_without_a_holdout_the_last_groups_test(
    n_groups: int, n_rows: list[int], moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = correlated(n=10 * n_groups)
    group = np.repeat(np.arange(n_groups), 10)
    parts = [moments_of(X[group == g], y[group == g]) for g in range(n_groups)]
    found = curve(recipe_of(6), parts, m.empty(7))
    with_holdout = curve(recipe_of(6), parts[:-1], parts[-1])
    assert found.test == "last buckets"
    assert found.n_rows.tolist() == n_rows
    assert_allclose(found.test_mse, with_holdout.test_mse, rtol=1e-13)


def test_each_size_chooses_its_alpha_by_folds_of_its_own_groups(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    """By scikit-learn's search over pipelines, on the same alphas and folds."""
    X, y = correlated(n=330)
    y = y + 12 * np.random.default_rng(3).normal(size=330)
    group = np.arange(330) % 11
    parts = [moments_of(X[group == g], y[group == g]) for g in range(11)]
    groups = ResamplingGroups(tuple(parts[:10]))
    final = one_alpha.fit(recipe_of(6), groups.merged(), np.array([0.02]))
    alphas = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02)
    search = PathSearch(alphas=alphas)
    found = learning_curve(recipe_of(6), groups, parts[10], final, search=search)
    assert found.alphas is not None
    # One group has no folds, and all rows have the chosen alpha.
    assert (found.alphas[0], found.alphas[-1]) == (0.02, 0.02)
    for i, size in enumerate((2, 4, 6, 8), 1):
        rows = group < size
        grid = GridSearchCV(
            Pipeline([("scaler", StandardScaler()), ("lasso", Lasso(tol=1e-10, max_iter=10**5))]),
            {"lasso__alpha": alphas},
            cv=PredefinedSplit(group[rows] % min(5, size)),
            scoring="neg_mean_squared_error",
        ).fit(X[rows], y[rows])
        assert found.alphas[i] == grid.best_params_["lasso__alpha"]
        residuals = y[group == 10] - grid.predict(X[group == 10])
        assert found.test_mse[i] == pytest.approx((residuals**2).mean(), rel=1e-7)
    assert len(set(found.alphas[1:-1].tolist())) > 1
    assert found.alphas[1:-1].max() > 0.02


def test_of_very_many_columns_all_sizes_have_the_chosen_alpha(
    moments_of: Rows, recipe_of: RecipeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = correlated(n=100)
    parts = [moments_of(X[g::5], y[g::5]) for g in range(5)]
    groups = ResamplingGroups(tuple(parts))
    final = one_alpha.fit(recipe_of(6), groups.merged(), np.array([0.2]))
    monkeypatch.setattr(f"{learning_curve.__module__}.FEW_COLUMNS", 5)
    found = learning_curve(recipe_of(6), groups, m.empty(7), final, search=PathSearch())
    assert found.alphas is not None
    assert set(found.alphas.tolist()) == {0.2}
