"""Against statsmodels, scikit-learn and numpy on the rows."""

from collections.abc import Callable

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from sklearn.linear_model import Lasso, LassoLarsIC
from sklearn.preprocessing import StandardScaler

from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit import one_alpha
from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.fit.lasso import alpha_grid, alpha_max, solve_path
from lasso_jobs.core.inference import diagnostics as dg
from lasso_jobs.core.inference.refits.groups import ResamplingGroups
from lasso_jobs.core.rows import moments as m
from lasso_jobs.core.rows.columns import Category, Columns
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


def fitted(recipe: Recipe, rows: Moments, alpha: float) -> one_alpha.Fit:
    return one_alpha.fit(recipe, rows, np.array([alpha]))


# AIC and BIC


def information(design: d.Design, rows: Moments, alphas: Floats) -> dg.Information | None:
    return dg.information(design, rows, solve_path(design.problem, alphas).coef)


@pytest.mark.parametrize("criterion", ["aic", "bic"])
def test_criteria_are_those_of_lassolarsic(
    diabetes: tuple[Floats, Floats], moments_of: Rows, recipe_of: RecipeOf, criterion: str
) -> None:
    X, y = diabetes
    lars = LassoLarsIC(criterion=criterion).fit(StandardScaler().fit_transform(X), y)
    rows, design = moments_of(X, y), d.fit(recipe_of(10), moments_of(X, y))
    # The last knot of LARS is alpha = 0: least squares.
    found = information(design, rows, lars.alphas_)
    assert found is not None
    assert found.noise_variance == pytest.approx(lars.noise_variance_, rel=1e-9)
    # At a knot itself, rounding decides whether the coefficient that enters or leaves is zero.
    middle = (lars.alphas_[1:] + lars.alphas_[:-1]) / 2
    between = information(design, rows, middle)
    assert between is not None
    factor = 2.0 if criterion == "aic" else np.log(len(y))
    for alpha, value in zip(middle, getattr(between, criterion), strict=True):
        scaled = StandardScaler().fit_transform(X)
        lasso = Lasso(alpha=alpha, tol=1e-13, max_iter=10**6).fit(scaled, y)
        sse = ((y - lasso.predict(scaled)) ** 2).sum()
        expected = len(y) * np.log(2 * np.pi * lars.noise_variance_) + sse / lars.noise_variance_
        assert value == pytest.approx(expected + factor * np.count_nonzero(lasso.coef_), rel=1e-9)
    knots = getattr(found, criterion)
    assert_allclose(knots, lars.criterion_, atol=factor * 1.001)
    assert np.sum(np.abs(knots - lars.criterion_) < 1e-6) >= len(knots) // 2


def test_scaling_the_weights_changes_no_criterion(moments_of: Rows, recipe_of: RecipeOf) -> None:
    X, y = correlated()
    plain, weighted = moments_of(X, y), moments_of(X, y, np.full(200, 0.02))
    alphas = np.array([1.0, 0.1])
    ours = [information(d.fit(recipe_of(6), rows), rows, alphas) for rows in (plain, weighted)]
    assert_allclose(ours[0].aic, ours[1].aic, rtol=1e-10)
    assert_allclose(ours[0].bic, ours[1].bic, rtol=1e-10)


def test_a_copied_column_changes_no_criterion(moments_of: Rows, recipe_of: RecipeOf) -> None:
    X, y = correlated()
    copied = moments_of(np.column_stack([X, X[:, 0]]), y)
    found = information(d.fit(recipe_of(7), copied), copied, np.array([1e9]))
    rows = moments_of(X, y)
    expected = information(d.fit(recipe_of(6), rows), rows, np.array([1e9]))
    assert_allclose(
        [found.aic[0], found.noise_variance], [expected.aic[0], expected.noise_variance]
    )


@pytest.mark.parametrize(("n", "defined"), [(7, False), (8, True)])
def test_criteria_need_more_rows_than_columns(
    n: int, defined: bool, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = correlated(n=n)
    found = information(d.fit(recipe_of(6), moments_of(X, y)), moments_of(X, y), np.ones(1))
    assert (found is not None) == defined


def test_criteria_need_noise(moments_of: Rows, recipe_of: RecipeOf) -> None:
    X, _ = correlated()
    rows = moments_of(X, X[:, 0] + X[:, 1])
    assert information(d.fit(recipe_of(6), rows), rows, np.ones(1)) is None


# Least squares with the selected columns


@pytest.mark.parametrize("weighted", [False, True])
def test_least_squares_is_that_of_statsmodels(
    weighted: bool, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = correlated()
    X = np.column_stack([X[:, :3], np.ones(200), X[:, 3:]])
    weights = np.random.default_rng(1).gamma(2, 5, 200) if weighted else None
    rows = moments_of(X, y, weights)
    fit = fitted(recipe_of(7), rows, 0.3)
    kept = np.flatnonzero(fit.coef)
    assert 1 < len(kept) < 6
    found = dg.least_squares(fit, rows)
    assert found is not None
    expected = sm.WLS(y, sm.add_constant(X[:, kept]), 1.0 if weights is None else weights).fit()
    assert_allclose(found.coef[kept], expected.params[1:], rtol=1e-9)
    assert_allclose(found.standard_error[kept], expected.bse[1:], rtol=1e-9)
    assert_allclose(found.t[kept], expected.tvalues[1:], rtol=1e-9)
    intervals = np.column_stack([found.low, found.high])[kept]
    assert_allclose(intervals, expected.conf_int(0.05)[1:], rtol=1e-9)
    assert found.residual_variance == pytest.approx(expected.mse_resid, rel=1e-9)
    assert found.degrees_of_freedom == expected.df_resid
    others = np.delete(np.arange(7), kept)
    for name in ("coef", "standard_error", "t", "low", "high"):
        assert np.isnan(getattr(found, name)[others]).all()


@pytest.mark.parametrize(("n", "warned"), [(29, True), (30, False)])
def test_least_squares_of_few_rows_is_offered_with_a_warning(
    n: int, warned: bool, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = correlated(n=n, p=2)
    rows = moments_of(X, y)
    found = diagnosed(recipe_of(2, penalty_factors={"x0": 0.0, "x1": 0.0}), rows)
    assert found.least_squares is not None
    assert any("9.7 rows for each coefficient" in note for note in found.notes) == warned
    expected = sm.OLS(y, sm.add_constant(X)).fit()
    assert_allclose(found.least_squares.p_value, expected.pvalues[1:], rtol=1e-9)


@pytest.mark.parametrize(("n", "defined"), [(3, False), (4, True)])
def test_least_squares_needs_a_row_for_the_residuals(
    n: int, defined: bool, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = correlated(n=n, p=2)
    rows = moments_of(X, y)
    fit = fitted(recipe_of(2, penalty_factors={"x0": 0.0, "x1": 0.0}), rows, 1e-9)
    assert (dg.least_squares(fit, rows) is not None) == defined


def test_least_squares_leaves_out_what_others_determine(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X, y = correlated()
    rows = moments_of(np.column_stack([X, X[:, 0]]), y)
    # Ridge's part shares the coefficient between the two copies.
    fit = fitted(recipe_of(7, l1_ratio=0.5), rows, 0.1)
    found = dg.least_squares(fit, rows)
    assert found is not None
    kept = fit.selected[fit.selected < 6]
    expected = sm.OLS(y, sm.add_constant(X[:, kept])).fit()
    assert_allclose(found.coef[kept], expected.params[1:], rtol=1e-9)
    assert_allclose(found.standard_error[kept], expected.bse[1:], rtol=1e-9)
    assert np.isnan(found.coef[6])
    found = diagnosed(recipe_of(7, l1_ratio=0.5), rows)
    assert any("leaves out x6, which" in note for note in found.notes)


def test_the_first_of_the_selected_levels_is_the_reference(moments_of: Rows) -> None:
    rng = np.random.default_rng(4)
    flag, x = rng.random(300) < 0.4, rng.normal(size=300)
    y = x + 2 * flag + rng.normal(size=300)
    columns = Columns(("x",), (Category("flag", ("false", "true"), False, "boolean"),))
    rows = moments_of(np.column_stack([x, ~flag, flag]).astype(float), y)
    fit = fitted(Recipe(columns=columns, l1_ratio=0.5), rows, 0.01)
    assert len(fit.selected) == 3
    found = dg.least_squares(fit, rows)
    assert found is not None
    expected = sm.OLS(y, sm.add_constant(np.column_stack([x, flag]))).fit()
    assert np.isnan(found.coef[1])
    assert_allclose(found.coef[[0, 2]], expected.params[1:], rtol=1e-9)
    assert_allclose(found.standard_error[[0, 2]], expected.bse[1:], rtol=1e-9)


def test_least_squares_needs_columns_and_residuals(moments_of: Rows, recipe_of: RecipeOf) -> None:
    X, y = correlated()
    rows = moments_of(X, y)
    assert dg.least_squares(fitted(recipe_of(6), rows, 1e9), rows) is None
    perfect = moments_of(X, X[:, 0] + X[:, 1])
    assert dg.least_squares(fitted(recipe_of(6), perfect, 1e-3), perfect) is None


# All of them


def grouped(parts: list[Moments]) -> ResamplingGroups:
    return ResamplingGroups(tuple(parts))


def diagnosed(recipe: Recipe, rows: Moments) -> dg.Diagnostics:
    design = d.fit(recipe, rows)
    alphas = alpha_grid(alpha_max(design.problem), 10, 0.01)
    return dg.diagnose(
        recipe,
        one_alpha.fit(recipe, rows, alphas),
        rows,
        grouped([rows, rows]),
        holdout=m.empty(rows.n_values),
    )


def test_what_is_missing_has_a_note(moments_of: Rows, recipe_of: RecipeOf) -> None:
    X, y = correlated()
    assert diagnosed(recipe_of(6), moments_of(X, y)).notes == ()
    wide = np.random.default_rng(0).normal(size=(50, 201))
    found = diagnosed(recipe_of(201), moments_of(wide, correlated(n=50)[1]))
    assert (found.information, found.least_squares) == (None, None)
    assert [note.split(":")[0] for note in found.notes] == [
        "the correlations of more than 200 columns are not kept",
        "no condition number",
        "no AIC and BIC",
        "no least squares",
    ]
    assert "50 rows and 201 columns" in found.notes[2]


@pytest.mark.parametrize("other", [{"l1_ratio": 0.5}, {"adaptive": True}])
def test_only_the_plain_lasso_has_aic_and_bic(
    other: dict[str, object], moments_of: Rows, recipe_of: RecipeOf
) -> None:
    found = diagnosed(recipe_of(6, **other), moments_of(*correlated()))
    assert found.information is None
    assert "plain LASSO" in found.notes[0]
