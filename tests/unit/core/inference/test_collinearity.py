"""Against statsmodels and determinants of the rows' columns."""

from collections.abc import Callable

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from statsmodels.stats.outliers_influence import variance_inflation_factor

from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.inference import collinearity as co
from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.core.rows.moments import Moments

Floats = NDArray[np.float64]
Rows = Callable[..., Moments]
RecipeOf = Callable[..., Recipe]


def correlated(n: int = 200, p: int = 6, seed: int = 0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) @ (np.eye(p) + 0.5 * rng.normal(size=(p, p)))
    return X * np.geomspace(0.1, 30, p) + 50 * rng.normal(size=p), rng.normal(size=n)


def collinearity(
    recipe: d.Recipe, rows: Moments, strongest: NDArray[np.intp] | None = None
) -> co.Collinearity:
    return co.collinearity(d.fit(recipe, rows), rows, strongest)


def test_vif_is_that_of_statsmodels(moments_of: Rows, recipe_of: RecipeOf) -> None:
    X, y = correlated()
    found = collinearity(recipe_of(6), moments_of(X, y))
    design = sm.add_constant(X)
    expected = [variance_inflation_factor(design, j) for j in range(1, 7)]
    assert max(expected) > 3
    assert_allclose(found.vif, expected, rtol=1e-9)


def test_the_condition_number_and_the_correlations_are_those_of_numpy(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = correlated()
    found = collinearity(recipe_of(6), moments_of(X, y))
    correlation = np.corrcoef(X, rowvar=False)
    assert found.correlation is not None
    assert_allclose(found.correlation, correlation, atol=1e-12)
    assert found.condition_number == pytest.approx(np.linalg.cond(correlation), rel=1e-9)
    assert (found.constant, found.duplicates) == ((), ())


def test_constant_and_duplicate_columns_are_found(moments_of: Rows, recipe_of: RecipeOf) -> None:
    X, y = correlated(p=4)
    close = X[:, 1] + 1e-3 * X[:, 1].std() * np.random.default_rng(1).normal(size=200)
    X = np.column_stack([X, np.full(200, 7.0), 32 + 1.8 * X[:, 1], -X[:, 1], close])
    found = collinearity(recipe_of(8), moments_of(X, y))
    assert found.constant == (4,)
    assert found.duplicates == ((5, 1), (6, 1))
    assert found.condition_number is None
    assert_array_equal(np.isinf(found.vif), [False, True, False, False, False, True, True, False])
    assert_array_equal(np.isnan(found.vif), np.arange(8) == 4)
    # The copies add nothing to what the first says of a column that is none of them.
    alone = sm.add_constant(X[:, [0, 1, 2, 3, 7]])
    expected = [variance_inflation_factor(alone, j) for j in (1, 3, 4)]
    assert_allclose(found.vif[[0, 2, 3]], expected, rtol=1e-6)
    assert found.correlation is not None
    assert np.isnan(found.correlation[4]).all()
    assert np.isnan(found.correlation[:, 4]).all()
    assert found.correlation[5, 6] == pytest.approx(-1)


def test_numbers_that_sum_to_one_are_dependent_but_no_duplicates(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    rng = np.random.default_rng(3)
    level, x = rng.integers(0, 3, 100), rng.normal(size=100)
    X = np.column_stack([x, *(level == k for k in range(3))]).astype(float)
    found = collinearity(recipe_of(4), moments_of(X, x))
    assert (found.condition_number, found.duplicates) == (None, ())
    assert_array_equal(np.isinf(found.vif), [False, True, True, True])
    reference = sm.add_constant(X[:, :3])
    assert found.vif[0] == pytest.approx(variance_inflation_factor(reference, 1), rel=1e-9)


def test_where_every_column_is_constant_nothing_is_defined(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    found = collinearity(recipe_of(2), moments_of(np.ones((9, 2)), np.arange(9.0)))
    assert (found.condition_number, found.constant, found.duplicates) == (None, (0, 1), ())
    assert np.isnan(found.vif).all()


def test_the_correlations_of_many_columns_are_not_kept(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X = np.random.default_rng(0).normal(size=(300, 201))
    rows = moments_of(X, X[:, 0])
    assert collinearity(recipe_of(201), rows).correlation is None
    fewer = collinearity(recipe_of(200), moments_of(X[:, :200], X[:, 0]))
    assert fewer.correlation is not None


def test_of_too_many_columns_the_strongest_are_analysed(
    moments_of: Rows, recipe_of: RecipeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(co, "MOST_COLLINEAR", 3)
    X, y = correlated()
    strongest = np.array([4, 0, 2, 5, 3, 1])
    found = collinearity(recipe_of(6), moments_of(X, y), strongest)
    few = np.column_stack([X[:, [0, 2, 4]], np.ones(len(X))])
    factors = [variance_inflation_factor(few, j) for j in range(3)]
    assert_allclose(found.vif[[0, 2, 4]], factors, rtol=1e-9)
    assert np.isnan(found.vif[[1, 3, 5]]).all()
    values = np.linalg.eigvalsh(np.corrcoef(few[:, :3].T))
    assert found.condition_number == pytest.approx(values[-1] / values[0], rel=1e-9)


def dummies(codes: Floats) -> Floats:
    return np.array([codes == level for level in np.unique(codes)], float)


def by_determinants(columns: list[Floats], j: int) -> float:
    """GVIF^(1 / df) of a set of columns, as Fox and Monette define it."""
    own, others = columns[j], np.vstack([*columns[:j], *columns[j + 1 :]])
    of = [np.linalg.det(np.atleast_2d(np.corrcoef(each))) for each in (own, others)]
    whole = np.linalg.det(np.corrcoef(np.vstack([own, others])))
    return float((of[0] * of[1] / whole) ** (1 / len(own)))


@pytest.mark.parametrize("reference", [0, 1, 2])
def test_the_factor_of_a_category_is_that_of_determinants(reference: int) -> None:
    rng = np.random.default_rng(5)
    level = rng.integers(0, 3, 400)
    flag = ((level == 1) & (rng.random(400) < 0.7)) | (rng.random(400) < 0.2)
    x = level + rng.normal(size=400)
    terms = [x[None], dummies(level), dummies(flag)]
    found = co.inflation(np.corrcoef(np.vstack(terms)), np.array([0, 1, 1, 1, 2, 2]))
    less = [terms[0], np.delete(terms[1], reference, 0), terms[2][1:]]
    expected = [by_determinants(less, j) for j in range(3)]
    assert_allclose(found, np.repeat(expected, [1, 3, 2]), rtol=1e-9)


@pytest.mark.parametrize("copied", ["level", "category"])
def test_a_feature_that_others_determine_is_found_and_only_that(copied: str) -> None:
    rng = np.random.default_rng(6)
    level, x = rng.integers(0, 3, 300), rng.normal(size=300)
    more = level == 2 if copied == "level" else (level + 1) % 3
    terms = [x[None], dummies(level), dummies(more)]
    owner = np.repeat([0, 1, 2], [len(each) for each in terms])
    found = co.inflation(np.corrcoef(np.vstack(terms)), owner)
    assert np.isinf(found[1:]).all()
    without = sm.add_constant(np.column_stack([x, *terms[1][1:]]))
    assert found[0] == pytest.approx(variance_inflation_factor(without, 1), rel=1e-9)


def test_one_level_of_a_category_is_a_column_like_others() -> None:
    rng = np.random.default_rng(7)
    columns = np.vstack([rng.normal(size=200), rng.integers(0, 2, 200)]).astype(float)
    columns[0] += columns[1]
    expected = 1 / (1 - np.corrcoef(columns)[0, 1] ** 2)
    assert_allclose(co.inflation(np.corrcoef(columns), np.array([0, 1])), expected, rtol=1e-9)
    assert len(co.inflation(np.empty((0, 0)), np.empty(0, np.intp))) == 0
    assert np.isinf(co.inflation(np.ones((2, 2)), np.arange(2))).all()


def test_a_boolean_is_neither_singular_nor_its_own_duplicate(moments_of: Rows) -> None:
    rng = np.random.default_rng(8)
    flag, x = rng.random(300) < 0.4, rng.normal(size=300)
    x = x + flag
    columns = Columns(("x", "same"), (Category("flag", ("false", "true"), False, "boolean"),))
    X = np.column_stack([x, rng.normal(size=300), ~flag, flag]).astype(float)
    found = collinearity(Recipe(columns=columns), moments_of(X, x))
    design = sm.add_constant(X[:, [0, 1, 3]])
    expected = [variance_inflation_factor(design, j) for j in (1, 2, 3)]
    assert_allclose(found.vif, [*expected, expected[2]], rtol=1e-9)
    assert found.duplicates == ()
    cond = np.linalg.cond(np.corrcoef(X[:, [0, 1, 3]].T))
    assert found.condition_number == pytest.approx(cond, rel=1e-9)
    X[:, 1] = flag
    found = collinearity(Recipe(columns=columns), moments_of(X, x))
    assert found.duplicates == ((2, 1), (3, 1))
    assert np.isinf(found.vif[1:]).all() and found.vif[0] < 2
    assert found.condition_number is None


@pytest.mark.parametrize(
    ("nulls", "intercept", "tied"), [(0, True, 1), (5, True, 0), (0, False, 0)]
)
def test_two_levels_of_which_every_row_has_one_are_complements(
    nulls: int, intercept: bool, tied: int, moments_of: Rows
) -> None:
    rng = np.random.default_rng(9)
    flag, x = rng.random(300) < 0.4, rng.normal(size=300)
    X = np.column_stack([x, ~flag, flag]).astype(float)
    X[:nulls, 1:] = 0.0
    columns = Columns(("x",), (Category("flag", ("false", "true"), False, "boolean"),))
    design = d.fit(Recipe(columns=columns, intercept=intercept), moments_of(X, x + flag))
    assert co.complements(design) == [(1, 2)][:tied]
