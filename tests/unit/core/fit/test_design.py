"""Against scikit-learn's transformers and sums over rows."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, Lasso
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit.lasso import alpha_grid, alpha_max, solve_path
from lasso_jobs.core.fit.squared_error import Errors, evaluate
from lasso_jobs.core.rows import centring
from lasso_jobs.core.rows import moments as m
from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.core.rows.moments import Moments

Floats = NDArray[np.float64]
Rows = Callable[..., Moments]
RecipeOf = Callable[..., d.Recipe]
EPS = np.finfo(float).eps


def data(
    n: int = 150, p: int = 5, nulls: tuple[int, ...] = (), seed: int = 0
) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * np.geomspace(0.2, 5, p) + rng.normal(size=p)
    slopes = (-1.0) ** np.arange(p) * rng.uniform(0.2, 2, p) / np.geomspace(0.2, 5, p)
    y = X @ slopes + rng.normal(size=n)
    for j in nulls:
        gone = rng.random(n) < 0.25
        y[gone] += 0.5
        X[gone, j] = np.nan
    return X, y


def coefficients(design: d.Design, alpha: float) -> tuple[Floats, float]:
    largest = max(alpha_max(design.problem), alpha)
    alphas = alpha_grid(largest, 10, alpha / largest) if alpha < largest else [alpha]
    coef, intercept = design.original_units(solve_path(design.problem, alphas).coef[-1:])
    return coef[0], float(intercept[0])


def filled(X: Floats, fill: Floats, indicators: tuple[int, ...] = ()) -> Floats:
    return np.hstack([np.where(np.isnan(X), fill, X), np.isnan(X[:, list(indicators)])])


def test_the_fill_values_are_those_of_a_mean_imputer(moments_of: Rows, recipe_of: RecipeOf) -> None:
    X, y = data(nulls=(1, 3))
    design = d.fit(recipe_of(5), moments_of(X, y))
    assert_allclose(design.location[:5], SimpleImputer().fit(X).statistics_, rtol=1e-13)
    assert_allclose(design.location[design.target], y.mean(), rtol=1e-13)


@pytest.mark.parametrize("indicators", [(), (1, 3), (3,), (0, 1, 3)])
def test_the_deviations_are_those_of_a_standard_scaler_after_the_imputer(
    indicators: tuple[int, ...], moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = data(nulls=(1, 3))
    design = d.fit(recipe_of(5, indicators=indicators), moments_of(X, y))
    scaler = StandardScaler().fit(filled(X, np.nanmean(X, axis=0), indicators))
    assert_allclose(design.deviation, np.sqrt(scaler.var_), rtol=1e-12)
    assert_allclose(design.scale, scaler.scale_, rtol=1e-12)
    assert_allclose(design.location[design.position], scaler.mean_, rtol=1e-12)


def test_the_min_max_scale_is_that_of_a_min_max_scaler_after_the_imputer(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = data(nulls=(1, 3))
    design = d.fit(recipe_of(5, indicators=(1, 3), scaling="minmax"), moments_of(X, y))
    scaler = MinMaxScaler().fit(filled(X, np.nanmean(X, axis=0), (1, 3)))
    assert_allclose(design.scale, scaler.data_range_, rtol=1e-13)


def test_without_scaling_every_column_is_divided_by_one(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = data(nulls=(1,))
    design = d.fit(recipe_of(5, indicators=(1,), scaling="none"), moments_of(X, y))
    assert_array_equal(design.scale, np.ones(6))


def test_the_problem_is_made_of_correlations(moments_of: Rows, recipe_of: RecipeOf) -> None:
    X, y = data(nulls=(1,))
    problem = d.fit(recipe_of(5, indicators=(1,)), moments_of(X, y)).problem
    full = np.corrcoef(np.column_stack([filled(X, np.nanmean(X, axis=0), (1,)), y]).T)
    assert_allclose(problem.gram, full[:-1, :-1], rtol=1e-12, atol=1e-13)
    assert_allclose(problem.covariance, full[-1, :-1] * y.std(), rtol=1e-12, atol=1e-13)
    assert_allclose(problem.variance, y.var(), rtol=1e-12)


def scaled(scaling: str, X: Floats) -> tuple[Floats, Floats]:
    scaler = {"standard": StandardScaler(), "minmax": MinMaxScaler()}.get(scaling)
    Z = X if scaler is None else scaler.fit_transform(X)
    return Z, np.ones(
        X.shape[1]
    ) if scaler is None else scaler.scale_ if scaling == "standard" else scaler.data_range_


scalings = pytest.mark.parametrize("scaling", ["standard", "minmax", "none"])


@scalings
@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
def test_coefficients_in_original_units_are_scikit_learns(
    scaling: str, l1_ratio: float, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = data()
    design = d.fit(recipe_of(5, scaling=scaling, l1_ratio=l1_ratio), moments_of(X, y))
    alpha = 0.1 * alpha_max(design.problem)
    coef, intercept = coefficients(design, alpha)
    Z, scale = scaled(scaling, X)
    model = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, tol=1e-14, max_iter=10**6).fit(Z, y)
    assert np.count_nonzero(coef) >= 2
    assert_allclose(coef, model.coef_ / scale, rtol=1e-8, atol=1e-10)
    assert_allclose(X @ coef + intercept, model.predict(Z), rtol=1e-8, atol=1e-9)


@scalings
def test_alpha_max_is_where_scikit_learn_has_its_first_coefficient(
    scaling: str, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = data()
    largest = alpha_max(d.fit(recipe_of(5, scaling=scaling), moments_of(X, y)).problem)
    Z, _ = scaled(scaling, X)
    assert not Lasso(alpha=largest * (1 + 1e-6)).fit(Z, y).coef_.any()
    assert Lasso(alpha=largest * (1 - 1e-6), tol=1e-14).fit(Z, y).coef_.any()


@scalings
def test_penalty_factors_weigh_the_scaled_coefficients(
    scaling: str, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = data()
    factors = np.array([1.0, 3.0, 0.2, 1.0, 0.5])
    recipe = recipe_of(5, scaling=scaling, penalty_factors={f"x{j}": factors[j] for j in (1, 2, 4)})
    design = d.fit(recipe, moments_of(X, y))
    alpha = 0.1 * alpha_max(design.problem)
    Z, scale = scaled(scaling, X)
    model = Lasso(alpha=alpha, tol=1e-14, max_iter=10**6).fit(Z / factors, y)
    expected = model.coef_ / factors / scale
    assert np.count_nonzero(expected) >= 2
    assert_allclose(coefficients(design, alpha)[0], expected, rtol=1e-7, atol=1e-9)


@scalings
def test_penalty_factors_weigh_both_parts_of_an_elastic_net(
    scaling: str, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = data()
    factors = np.array([1.0, 3.0, 0.2, 1.0, 0.5])
    recipe = recipe_of(
        5,
        scaling=scaling,
        l1_ratio=0.4,
        penalty_factors={f"x{j}": factors[j] for j in (1, 2, 4)},
    )
    design = d.fit(recipe, moments_of(X, y))
    alpha = 0.1 * alpha_max(design.problem)
    Z, scale = scaled(scaling, X)
    # The ridge part as five more rows, whose target is 0.
    more = np.diag(np.sqrt(150 * alpha * 0.6 * factors))
    rows = np.vstack([Z - Z.mean(axis=0), more]) / factors
    target = np.append(y - y.mean(), np.zeros(5))
    model = Lasso(alpha * 0.4 * 150 / 155, fit_intercept=False, tol=1e-14, max_iter=10**6)
    expected = model.fit(rows, target).coef_ / factors / scale
    assert np.count_nonzero(expected) >= 2
    assert_allclose(coefficients(design, alpha)[0], expected, rtol=1e-7, atol=1e-9)


@scalings
def test_an_unpenalised_feature_keeps_its_coefficient_however_large_alpha_is(
    scaling: str, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = data()
    recipe = recipe_of(5, scaling=scaling, penalty_factors={"x2": 0.0})
    coef, _ = coefficients(d.fit(recipe, moments_of(X, y)), 1e6)
    expected = np.zeros(5)
    expected[2] = np.cov(X[:, 2], y)[0, 1] / X[:, 2].var(ddof=1)
    assert_allclose(coef, expected, rtol=1e-10)


@scalings
def test_bounds_hold_in_original_units(scaling: str, moments_of: Rows, recipe_of: RecipeOf) -> None:
    X, y = data()
    free, _ = coefficients(d.fit(recipe_of(5, scaling=scaling), moments_of(X, y)), 1e-6)
    limits = {f"x{j}": (-abs(free[j]) / 2, abs(free[j]) / 2) for j in (1, 4)}
    design = d.fit(recipe_of(5, scaling=scaling, bounds=limits), moments_of(X, y))
    coef, _ = coefficients(design, 1e-6)
    assert_allclose(coef[[1, 4]], free[[1, 4]] / 2, rtol=1e-12)


def test_bounds_from_zero_are_a_non_negative_lasso(moments_of: Rows, recipe_of: RecipeOf) -> None:
    X, y = data()
    recipe = recipe_of(5, bounds={f"x{j}": (0.0, np.inf) for j in range(5)})
    design = d.fit(recipe, moments_of(X, y))
    coef, intercept = coefficients(design, 0.01)
    Z, scale = scaled("standard", X)
    model = Lasso(alpha=0.01, positive=True, tol=1e-14, max_iter=10**6).fit(Z, y)
    assert 0 < np.count_nonzero(model.coef_) < 5
    assert_allclose(coef, model.coef_ / scale, rtol=1e-8, atol=1e-10)
    assert_allclose(X @ coef + intercept, model.predict(Z), rtol=1e-8, atol=1e-9)


COLUMNS = Columns(("a", "b"), (Category("c", ("u", "v"), True, "string"),))


def test_the_labels_name_the_columns_and_then_the_null_indicators() -> None:
    labels = ("a", "b", "c=u", "c=v", "c=(other)", "b is null")
    assert d.Recipe(columns=COLUMNS, indicators=(1,)).labels == labels


@pytest.mark.parametrize(("name", "places"), [("a", [0]), ("b", [1, 5]), ("c", [2, 3, 4])])
def test_a_feature_owns_its_columns_and_its_null_indicator(name: str, places: list[int]) -> None:
    chosen = d.Recipe(columns=COLUMNS, indicators=(1,)).by_coefficient(name)
    assert_array_equal(np.flatnonzero(chosen), places)


def test_penalty_factors_and_bounds_reach_all_coefficients_of_a_feature() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(6, 100))
    values[2:5] = np.eye(3)[rng.integers(0, 3, 100)].T
    values[1, ::4] = np.nan
    recipe = d.Recipe(
        columns=COLUMNS,
        indicators=(1,),
        penalty_factors={"b": 0.5, "c": 2.0},
        bounds={"b": (-1, 3)},
    )
    design = d.fit(recipe, centring.of_rows(values))
    assert_allclose(design.problem.l1_factor, [1, 0.5, 2, 2, 2, 0.5])
    assert_allclose(design.problem.high, [np.inf, 3, np.inf, np.inf, np.inf, 3] * design.deviation)
    assert_allclose(design.problem.low[[1, 5]], -design.deviation[[1, 5]])


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9, -1e-9, 1 / 3])
@pytest.mark.parametrize("n", [3, 150, 10_000])
def test_a_constant_column_is_not_usable_however_its_rows_are_merged(
    value: float, n: int, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = data(n)
    X[:, 1] = value
    weights = np.random.default_rng(1).random(n)
    whole = moments_of(X, y)
    merged = m.merge_all([moments_of(X[k::3], y[k::3]) for k in range(3)], 6)
    weighted = m.merge_all([moments_of(X[k::3], y[k::3], weights[k::3]) for k in range(3)], 6)
    for rows in (whole, merged, weighted):
        design = d.fit(recipe_of(5), rows)
        assert_array_equal(design.usable, [True, False, True, True, True])
        assert design.deviation[1] == 0


def test_a_constant_column_with_nulls_leaves_only_its_indicator(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = data()
    X[:, 1] = 0.1
    X[::3, 1] = np.nan
    parts = [moments_of(X[k::4], y[k::4]) for k in range(4)]
    design = d.fit(recipe_of(5, indicators=(1,)), m.merge_all(parts, 6))
    assert_array_equal(design.usable, [True, False, True, True, True, True])


@scalings
def test_an_all_null_column_is_not_usable(
    scaling: str, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = data()
    X[:, 2] = np.nan
    design = d.fit(recipe_of(5, scaling=scaling, indicators=(2,)), moments_of(X, y))
    assert_array_equal(design.usable, [True, True, False, True, True, False])
    assert np.isfinite(coefficients(design, 0.01)[0]).all()


def test_the_indicator_of_a_column_without_nulls_is_not_usable(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    design = d.fit(recipe_of(5, indicators=(2,)), moments_of(*data()))
    assert_array_equal(design.usable, [True] * 5 + [False])


def test_a_small_spread_far_from_zero_is_usable(moments_of: Rows, recipe_of: RecipeOf) -> None:
    X, y = data()
    X[:, 1] = 1e9 + np.random.default_rng(1).normal(size=len(X))
    design = d.fit(recipe_of(5), moments_of(X, y))
    assert design.usable.all()
    assert_allclose(design.deviation[1], (X[:, 1] - 1e9).std(), rtol=1e-12)


def test_a_target_that_is_constant_but_for_rounding_has_no_variance(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, _ = data()
    parts = [moments_of(X[k::4], np.full(len(X[k::4]), 0.1)) for k in range(4)]
    design = d.fit(recipe_of(5), m.merge_all(parts, 6))
    assert design.variance == 0
    coef, intercept = coefficients(design, 0.01)
    assert not coef.any()
    assert_allclose(intercept, 0.1)


def test_one_row_has_no_usable_column_and_predicts_its_target(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    design = d.fit(recipe_of(2), moments_of(np.array([[1.0, 2.0]]), np.array([7.0])))
    assert not design.usable.any()
    assert coefficients(design, 0.1) == (pytest.approx([0.0, 0.0]), 7.0)


# Errors on other rows


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("trained", "seen"), [((), ()), ((1, 3), (1, 3)), ((), (0, 2)), ((1, 3), ()), ((1, 3), (0, 3))]
)
def test_the_squared_error_is_the_sum_of_squared_residuals(
    trained: tuple[int, ...],
    seen: tuple[int, ...],
    weighted: bool,
    moments_of: Rows,
    recipe_of: RecipeOf,
) -> None:
    X, y = data(nulls=trained)
    other, target = data(60, nulls=seen, seed=1)
    weights = np.random.default_rng(2).random(60) if weighted else None
    design = d.fit(recipe_of(5, indicators=trained), moments_of(X, y))
    coef, intercept = design.original_units(
        solve_path(design.problem, alpha_grid(alpha_max(design.problem), 5, 1e-3)).coef
    )
    errors = evaluate(design, coef, moments_of(other, target, weights))
    w = np.ones(60) if weights is None else weights
    laid_out = filled(other, np.nanmean(X, axis=0), trained)
    expected = [w @ (target - laid_out @ c - b) ** 2 for c, b in zip(coef, intercept, strict=True)]
    assert_allclose(errors.sse, expected, rtol=1e-11)
    assert_allclose(errors.mse, expected / w.sum(), rtol=1e-11)
    centre = w @ target / w.sum()
    assert_allclose(errors.total, w @ (target - centre) ** 2, rtol=1e-12)


def test_the_squared_error_on_the_training_rows_is_scikit_learns(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = data()
    rows = moments_of(X, y)
    design = d.fit(recipe_of(5), rows)
    coef, _ = coefficients(design, 0.1)
    Z, _ = scaled("standard", X)
    model = Lasso(alpha=0.1, tol=1e-14, max_iter=10**6).fit(Z, y)
    expected = np.sum((y - model.predict(Z)) ** 2)
    assert_allclose(evaluate(design, coef[None], rows).sse, [expected], rtol=1e-10)


def test_one_row_has_its_own_squared_error(moments_of: Rows, recipe_of: RecipeOf) -> None:
    X, y = data()
    design = d.fit(recipe_of(5), moments_of(X[1:], y[1:]))
    coef, intercept = coefficients(design, 0.1)
    found = evaluate(design, coef[None], moments_of(X[:1], y[:1])).sse
    assert_allclose(found, [(y[0] - X[0] @ coef - intercept) ** 2], rtol=1e-10)


def exact_and_found(
    offset: float, noise: float, moments_of: Rows, recipe_of: RecipeOf, seed: int = 0
) -> tuple[Floats, Errors]:
    """Squared errors of a path of models in long doubles, and from moments."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(500, 4)) + offset
    y = (X - offset) @ [1.0, 2.0, 3.0, 4.0] + noise * rng.normal(size=500)
    parts = [moments_of(X[k::5], y[k::5]) for k in range(5)]
    design = d.fit(recipe_of(4), m.merge_all(parts[1:], 5))
    path = solve_path(design.problem, alpha_grid(alpha_max(design.problem), 20, 1e-12))
    coef, _ = design.original_units(path.coef)
    location = design.location.astype(np.longdouble)
    left = (y[::5] - location[4])[:, None] - (X[::5] - location[:4]) @ coef.T
    return np.sum(left**2, axis=0), evaluate(design, coef, parts[0])


@pytest.mark.parametrize("noise", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_the_rounding_error_of_the_squared_error_is_within_its_bound(
    offset: float, noise: float, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    exact, errors = exact_and_found(offset, noise, moments_of, recipe_of)
    # The bound counts one rounding of each product; the sums of products have a few more.
    relative = np.abs(errors.sse - exact) / np.maximum(errors.sse, exact)
    assert np.all(relative <= 8 * errors.bound)


def test_the_bound_of_a_well_conditioned_fit_is_small(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    _, errors = exact_and_found(0.0, 1.0, moments_of, recipe_of)
    assert np.all(errors.bound < 100 * EPS * errors.total / errors.sse)


@pytest.mark.parametrize("seed", range(5))
def test_a_squared_error_lost_to_rounding_says_so(
    seed: int, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    exact, errors = exact_and_found(0.0, 0.0, moments_of, recipe_of, seed)
    lost = np.abs(errors.sse - exact) > 1e-2 * exact
    assert lost.any()
    assert np.all(errors.bound[lost] > 1e-6)
