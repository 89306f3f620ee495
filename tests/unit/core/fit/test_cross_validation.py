"""Against scikit-learn pipelines refitted per fold, and published numbers of the diabetes data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, Ridge
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from lasso_jobs.core.fit import cross_validation, lasso, one_alpha
from lasso_jobs.core.fit import problem as problem_module
from lasso_jobs.core.fit import relaxed as relaxed_module
from lasso_jobs.core.fit.choice import CrossValidation
from lasso_jobs.core.fit.cross_validation import PathSearch
from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.fit.walk import paths
from lasso_jobs.core.rows import moments as m
from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.core.rows.folds import k_folds
from lasso_jobs.core.rows.moments import Moments

Floats = NDArray[np.float64]
Rows = Callable[..., Moments]
RecipeOf = Callable[..., Recipe]

N_FOLDS = 5
SEARCH = PathSearch(alphas=20)


def cross_validate(recipe: Recipe, parts: Sequence[Moments], search: PathSearch) -> CrossValidation:
    """Each part in turn is held out."""
    rows = m.merge_all(parts, parts[0].n_values)
    return cross_validation.cross_validate(recipe, rows, k_folds(parts), search=search)


@dataclass(frozen=True)
class Table:
    """Numeric columns with nulls, one categorical column of three levels, a target, folds."""

    X: Floats
    codes: NDArray[np.intp]
    y: Floats
    fold: NDArray[np.intp]

    @property
    def frame(self) -> Floats:
        return np.column_stack([self.X, self.codes])

    @property
    def one_hot(self) -> Floats:
        return (self.codes[:, None] == np.arange(3)).astype(float)

    def moments(self, moments_of: Rows, weights: Floats | None = None) -> list[Moments]:
        laid_out = np.hstack([self.X, self.one_hot])
        return [
            moments_of(laid_out[rows], self.y[rows], None if weights is None else weights[rows])
            for rows in (self.fold == k for k in range(N_FOLDS))
        ]

    def recipe(self, **options: object) -> Recipe:
        names = tuple(f"x{j}" for j in range(self.X.shape[1]))
        category = Category("level", ("a", "b", "c"), False, "string")
        return Recipe(columns=Columns(names, (category,)), **options)


def table(n: int = 150, p: int = 6, nulls: Sequence[int] = (1, 4), seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) @ (np.eye(p) + 0.3 * rng.normal(size=(p, p)))
    X = X * np.geomspace(0.3, 3, p) + rng.normal(size=p)
    codes = rng.integers(0, 3, n)
    slopes = (-1.0) ** np.arange(p) * rng.uniform(0, 2, p)
    y = X @ slopes + codes + 2 * rng.normal(size=n)
    for j in nulls:
        gone = rng.random(n) < 0.2
        y[gone] += 1
        X[gone, j] = np.nan
    return Table(X, codes, y, rng.permutation(n) % N_FOLDS)


def preprocessing(p: int, scaling: str, indicator: bool) -> list[object]:
    imputer = SimpleImputer(add_indicator=indicator, keep_empty_features=True)
    levels = OneHotEncoder(categories=[range(3)], handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer([("n", imputer, list(range(p))), ("c", levels, [p])])
    return [columns, *{"standard": [StandardScaler()], "minmax": [MinMaxScaler()]}.get(scaling, [])]


def estimator(alpha: float, l1_ratio: float = 1.0, positive: bool = False) -> ElasticNet:
    return ElasticNet(alpha=alpha, l1_ratio=l1_ratio, positive=positive, tol=1e-13, max_iter=10**6)


def by_pipelines(
    data: Table, alphas: Floats, steps: Callable[[], list[object]], **model: object
) -> Floats:
    """Mean squared errors, shape (n_folds, n_alphas)."""
    errors = np.empty((N_FOLDS, len(alphas)))
    for k in range(N_FOLDS):
        train, test = data.fold != k, data.fold == k
        for i, alpha in enumerate(alphas):
            pipeline = make_pipeline(*steps(), estimator(alpha, **model))
            pipeline.fit(data.frame[train], data.y[train])
            errors[k, i] = np.mean((data.y[test] - pipeline.predict(data.frame[test])) ** 2)
    return errors


@pytest.mark.parametrize("indicator", [False, True])
@pytest.mark.parametrize("scaling", ["standard", "minmax", "none"])
@pytest.mark.parametrize("model", [{}, {"l1_ratio": 0.3}, {"positive": True}])
def test_every_fold_and_alpha_has_the_error_of_a_pipeline_refitted_to_the_other_folds(
    model: dict[str, object], scaling: str, indicator: bool, moments_of: Rows
) -> None:
    data = table()
    features = [f"x{j}" for j in range(6)] + ["level"]
    recipe = data.recipe(
        scaling=scaling,
        indicators=(1, 4) if indicator else (),
        l1_ratio=model.get("l1_ratio", 1.0),
        bounds=dict.fromkeys(features, (0.0, np.inf)) if "positive" in model else {},
    )
    cv = cross_validate(recipe, data.moments(moments_of), PathSearch(alphas=12))
    expected = by_pipelines(data, cv.alphas, lambda: preprocessing(6, scaling, indicator), **model)
    assert cv.converged
    assert cv.n_nonzero[-1] >= 3
    assert_allclose(cv.fold_mse, expected, rtol=1e-8)


def null_in_one_fold_only(data: Table) -> None:
    data.X[np.flatnonzero(data.fold == 2)[::2], 0] = np.nan


def observed_in_one_fold_only(data: Table) -> None:
    data.X[data.fold != 2, 0] = np.nan


def all_null_in_one_fold(data: Table) -> None:
    data.X[data.fold == 2, 0] = np.nan


def all_null(data: Table) -> None:
    data.X[:, 0] = np.nan


def constant(data: Table) -> None:
    data.X[:, 0] = 0.1


def varying_in_one_fold_only(data: Table) -> None:
    data.X[data.fold != 2, 0] = 0.1


def constant_with_nulls(data: Table) -> None:
    data.X[:, 1] = np.where(np.isnan(data.X[:, 1]), np.nan, 1 / 3)


def level_missing_in_one_fold(data: Table) -> None:
    data.codes[(data.fold == 2) & (data.codes == 1)] = 0


def level_in_one_fold_only(data: Table) -> None:
    data.codes[(data.fold != 2) & (data.codes == 1)] = 0


def duplicated(data: Table) -> None:
    data.X[:, 0] = data.X[:, 2]
    data.X[:, 3] = -2 * data.X[:, 2]


def scales_from_tiny_to_huge(data: Table) -> None:
    data.X[:] *= np.geomspace(1e-9, 1e9, 6)


def target_constant_in_a_fold(data: Table) -> None:
    data.y[data.fold == 2] = 1.7


def target_constant_but_in_one_fold(data: Table) -> None:
    data.y[data.fold != 2] = 0.1


@pytest.mark.parametrize(
    "spoil",
    [
        null_in_one_fold_only,
        observed_in_one_fold_only,
        all_null_in_one_fold,
        all_null,
        constant,
        varying_in_one_fold_only,
        constant_with_nulls,
        level_missing_in_one_fold,
        level_in_one_fold_only,
        duplicated,
        scales_from_tiny_to_huge,
        target_constant_in_a_fold,
        target_constant_but_in_one_fold,
    ],
)
def test_folds_that_differ_have_the_errors_of_pipelines(
    spoil: Callable[[Table], None], moments_of: Rows
) -> None:
    data = table()
    spoil(data)
    nulls = tuple(np.flatnonzero(np.isnan(data.X).any(axis=0)))
    cv = cross_validate(data.recipe(indicators=nulls), data.moments(moments_of), SEARCH)
    expected = by_pipelines(data, cv.alphas, lambda: preprocessing(6, "standard", True))
    assert cv.converged
    assert_allclose(cv.fold_mse, expected, rtol=1e-8)


def test_more_columns_than_rows_have_the_errors_of_pipelines(moments_of: Rows) -> None:
    data = table(50, 60, nulls=(3, 50))
    cv = cross_validate(data.recipe(), data.moments(moments_of), PathSearch(alphas=8, eps=0.05))
    expected = by_pipelines(data, cv.alphas, lambda: preprocessing(60, "standard", False))
    assert cv.converged
    assert_allclose(cv.fold_mse, expected, rtol=1e-8)


def test_folds_of_one_row_have_the_errors_of_pipelines(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    data = table(20, 3, nulls=())
    cv = cross_validate(
        recipe_of(3), [moments_of(data.X[i : i + 1], data.y[i : i + 1]) for i in range(20)], SEARCH
    )
    for i, alpha in enumerate(cv.alphas):
        pipeline = make_pipeline(StandardScaler(), estimator(alpha))
        scores = cross_val_score(
            pipeline, data.X, data.y, cv=KFold(20), scoring="neg_mean_squared_error"
        )
        assert_allclose(cv.fold_mse[:, i], -scores, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("scaling", ["standard", "none"])
def test_weights_weigh_in_the_imputer_the_scaler_the_fit_and_the_error(
    scaling: str, zeros: bool, moments_of: Rows
) -> None:
    data, weights = table(), np.random.default_rng(1).uniform(0.1, 3, 150)
    if zeros:
        weights[::4] = 0.0
    cv = cross_validate(
        data.recipe(scaling=scaling, indicators=(1, 4)), data.moments(moments_of, weights), SEARCH
    )
    expected = np.empty_like(cv.fold_mse)
    for k in range(N_FOLDS):
        train, test = data.fold != k, data.fold == k
        w = weights[train]
        mask = np.isnan(data.X)
        fill = [np.average(x[~g], weights=v[~g]) for x, g, v in
                zip(data.X[train].T, mask[train].T, np.tile(w, (6, 1)), strict=True)]  # fmt: skip
        laid_out = np.hstack([np.where(mask, fill, data.X), mask[:, [1, 4]], data.one_hot])
        for i, alpha in enumerate(cv.alphas):
            scaler = StandardScaler() if scaling == "standard" else "passthrough"
            pipeline = Pipeline([("scale", scaler), ("fit", estimator(alpha))])
            fit_weights = {"scale__sample_weight": w} if scaling == "standard" else {}
            pipeline.fit(laid_out[train], data.y[train], fit__sample_weight=w, **fit_weights)
            squares = (data.y[test] - pipeline.predict(laid_out[test])) ** 2
            expected[k, i] = np.average(squares, weights=weights[test])
    assert_allclose(cv.fold_mse, expected, rtol=1e-8)
    assert_allclose(cv.fold_weight, [weights[data.fold == k].sum() for k in range(N_FOLDS)])


def test_columns_far_from_zero_lose_digits_to_the_offset_once_not_squared(moments_of: Rows) -> None:
    data = table(nulls=())
    far = Table(data.X + 1e9, data.codes, data.y, data.fold)
    cv = cross_validate(data.recipe(), far.moments(moments_of), SEARCH)
    # What is left of the columns once they are rounded, which is all that anyone can know.
    near = Table(far.X - 1e9, data.codes, data.y, data.fold)
    expected = by_pipelines(near, cv.alphas, lambda: preprocessing(6, "standard", False))
    assert cv.converged
    assert_allclose(cv.fold_mse, expected, rtol=10 * np.finfo(float).eps * 1e9)


# The choice of alpha


@pytest.fixture(scope="module")
def published(
    diabetes: tuple[Floats, Floats], moments_of: Rows, recipe_of: RecipeOf
) -> CrossValidation:
    X, y = diabetes
    folds = [moments_of(X[rows], y[rows]) for _, rows in KFold(10).split(X)]
    return cross_validate(recipe_of(10), folds, PathSearch(alphas=100, eps=1e-3))


def test_the_diabetes_data_has_the_published_cross_validation(published: CrossValidation) -> None:
    best = published.min_index
    assert_allclose(published.alphas[0], 45.160030, atol=5e-7)
    assert_allclose(published.alphas[best], 1.199490, atol=5e-7)
    assert_allclose(published.mse[best], 2986.17286, atol=5e-6)
    assert_allclose(published.mse_se[best], 215.56287, atol=5e-6)
    assert_allclose(published.alphas[published.one_se_index], 8.462165, atol=5e-7)


def test_the_one_se_fit_of_the_diabetes_data_keeps_the_published_features(
    published: CrossValidation,
    diabetes: tuple[Floats, Floats],
    moments_of: Rows,
    recipe_of: RecipeOf,
) -> None:
    alphas = published.alphas[: published.one_se_index + 1]
    fit = one_alpha.fit(recipe_of(10), moments_of(*diabetes), alphas)
    assert_array_equal(np.flatnonzero(fit.coef), [2, 3, 6, 8])
    assert published.n_nonzero[published.one_se_index] == 4


def test_the_whole_path_of_the_diabetes_data_is_that_of_pipelines(
    published: CrossValidation, diabetes: tuple[Floats, Floats]
) -> None:
    X, y = diabetes
    for i in range(0, 100, 5):
        pipeline = make_pipeline(StandardScaler(), estimator(published.alphas[i]))
        scores = cross_val_score(pipeline, X, y, cv=KFold(10), scoring="neg_mean_squared_error")
        assert_allclose(published.fold_mse[:, i], -scores, rtol=1e-8)


def test_the_certificate_of_the_diabetes_data_holds(published: CrossValidation) -> None:
    assert published.converged
    assert published.worst_dual_gap < 1e-14
    assert published.worst_kkt < 1e-14
    assert published.worst_sse_bound < 1e-12


def test_explicit_alphas_are_searched_descending(moments_of: Rows) -> None:
    data = table()
    cv = cross_validate(
        data.recipe(), data.moments(moments_of), PathSearch(alphas=(0.1, 1.0, 0.01))
    )
    assert_array_equal(cv.alphas, [1.0, 0.1, 0.01])
    expected = by_pipelines(data, cv.alphas, lambda: preprocessing(6, "standard", False))
    assert_allclose(cv.fold_mse, expected, rtol=1e-8)


def test_the_alphas_start_where_the_fit_to_all_folds_has_its_first_coefficient(
    moments_of: Rows,
) -> None:
    data = table(nulls=())
    cv = cross_validate(data.recipe(), data.moments(moments_of), SEARCH)
    Z = make_pipeline(*preprocessing(6, "standard", False)).fit_transform(data.frame)
    largest = np.abs(Z.T @ (data.y - data.y.mean())).max() / len(Z)
    assert_allclose(cv.alphas, largest * np.geomspace(1, 1e-3, 20), rtol=1e-12)


def test_the_non_zero_coefficients_are_those_of_the_fit_to_all_folds(moments_of: Rows) -> None:
    data = table()
    cv = cross_validate(data.recipe(), data.moments(moments_of), SEARCH)
    for alpha, n_nonzero in zip(cv.alphas, cv.n_nonzero, strict=True):
        pipeline = make_pipeline(*preprocessing(6, "standard", False), estimator(alpha))
        coef = pipeline.fit(data.frame, data.y)[-1].coef_
        assert n_nonzero == np.count_nonzero(np.abs(coef) > 1e-9)


@pytest.mark.parametrize("scaling", ["standard", "minmax"])
def test_the_final_fit_is_that_of_a_pipeline_to_all_rows(scaling: str, moments_of: Rows) -> None:
    data = table()
    recipe = data.recipe(scaling=scaling, indicators=(1, 4))
    rows = m.merge_all(data.moments(moments_of), 10)
    alphas = np.geomspace(1, 0.02, 10)
    fit = one_alpha.fit(recipe, rows, alphas)
    pipeline = make_pipeline(*preprocessing(6, scaling, True), estimator(0.02))
    pipeline.fit(data.frame, data.y)
    mask = np.isnan(data.X)
    filled = np.where(mask, np.nanmean(data.X, axis=0), data.X)
    laid_out = np.hstack([filled, data.one_hot, mask[:, [1, 4]]])
    assert fit.alpha == alphas[-1]
    assert_allclose(laid_out @ fit.coef + fit.intercept, pipeline.predict(data.frame), rtol=1e-9)
    assert_allclose(fit.standardised, fit.coef * laid_out.std(axis=0), rtol=1e-10, atol=1e-13)
    assert fit.converged
    assert max(fit.dual_gap, fit.kkt) < 1e-13


def test_the_coefficient_of_a_constant_column_is_zero(moments_of: Rows) -> None:
    data = table()
    data.X[:, 2] = 7.7
    fit = one_alpha.fit(data.recipe(), m.merge_all(data.moments(moments_of), 10), np.array([0.01]))
    assert fit.coef[2] == fit.standardised[2] == 0
    assert np.count_nonzero(fit.coef) >= 5


def test_a_fit_that_was_cut_short_is_not_called_converged(
    moments_of: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = table()
    monkeypatch.setattr(paths, "walkable", lambda _: False)
    monkeypatch.setattr(lasso, "MAX_SWEEPS", 1)
    monkeypatch.setattr(lasso, "_polish", lambda *_, **__: False)
    cv = cross_validate(data.recipe(), data.moments(moments_of), SEARCH)
    fit = one_alpha.fit(data.recipe(), data.moments(moments_of)[0], cv.alphas)
    assert not cv.converged
    assert not fit.converged
    assert min(cv.worst_dual_gap, fit.dual_gap) > problem_module.GAP_TOLERANCE
    assert min(cv.worst_kkt, fit.kkt) > 1e-8


def test_errors_that_are_lost_to_rounding_are_in_the_certificate(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    X = table(nulls=()).X
    folds = [moments_of(X[k::N_FOLDS], X[k::N_FOLDS].sum(axis=1)) for k in range(N_FOLDS)]
    assert cross_validate(recipe_of(6), folds, PathSearch(alphas=(1e-12,))).worst_sse_bound > 1e-6
    assert cross_validate(recipe_of(6), folds, PathSearch(alphas=(0.1,))).worst_sse_bound < 1e-10


def test_cross_validating_again_gives_the_same_bits(moments_of: Rows) -> None:
    data = table()
    once, again = (
        cross_validate(data.recipe(indicators=(1, 4)), data.moments(moments_of), SEARCH)
        for _ in range(2)
    )
    assert once.fold_mse.tobytes() == again.fold_mse.tobytes()
    assert once.alphas.tobytes() == again.alphas.tobytes()


# Nothing to penalise


def errors_of_means(data: Table) -> list[float]:
    return [
        float(np.mean((data.y[data.fold == k] - data.y[data.fold != k].mean()) ** 2))
        for k in range(N_FOLDS)
    ]


def test_features_that_are_all_constant_predict_the_mean(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    data = table()
    folds = [moments_of(np.full((30, 2), 0.1), data.y[data.fold == k]) for k in range(N_FOLDS)]
    cv = cross_validate(recipe_of(2), folds, SEARCH)
    assert not cv.n_nonzero.any()
    assert_allclose(cv.fold_mse[:, cv.index], errors_of_means(data), rtol=1e-10)


def test_bounds_that_no_feature_can_follow_predict_the_mean(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    data = table(nulls=())
    X = -data.y[:, None] + np.random.default_rng(1).normal(size=(150, 2))
    folds = [moments_of(X[data.fold == k], data.y[data.fold == k]) for k in range(N_FOLDS)]
    bounds = {"x0": (0.0, np.inf), "x1": (0.0, np.inf)}
    cv = cross_validate(recipe_of(2, bounds=bounds), folds, SEARCH)
    assert not cv.n_nonzero.any()
    assert_allclose(cv.fold_mse[:, cv.index], errors_of_means(data), rtol=1e-10)


def test_features_that_are_all_unpenalised_have_the_errors_of_least_squares(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    data = table(nulls=())
    folds = [moments_of(data.X[data.fold == k], data.y[data.fold == k]) for k in range(N_FOLDS)]
    cv = cross_validate(
        recipe_of(6, penalty_factors={f"x{j}": 0.0 for j in range(6)}), folds, SEARCH
    )
    design = np.column_stack([data.X, np.ones(len(data.X))])
    for k in range(N_FOLDS):
        train, test = data.fold != k, data.fold == k
        coef = np.linalg.lstsq(design[train], data.y[train])[0]
        expected = np.mean((data.y[test] - design[test] @ coef) ** 2)
        assert_allclose(cv.fold_mse[k, cv.index], expected, rtol=1e-9)


# Elastic Net, Ridge and least squares


def regression(alpha: float, l1_ratio: float, n: int) -> ElasticNet | Ridge | LinearRegression:
    """The estimator that scikit-learn has for each end of the Elastic Net."""
    if alpha == 0:
        return LinearRegression()
    if l1_ratio == 0:
        return Ridge(alpha=alpha * n)
    return estimator(alpha, l1_ratio)


@pytest.mark.parametrize("scaling", ["standard", "minmax"])
def test_every_l1_ratio_and_alpha_has_the_errors_of_its_own_pipelines(
    scaling: str, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    data, ratios = table(nulls=()), (1.0, 0.4, 0.0)
    folds = [moments_of(data.X[data.fold == k], data.y[data.fold == k]) for k in range(N_FOLDS)]
    search = PathSearch(alphas=(0.0, 2.0, 0.5, 0.02), l1_ratios=ratios)
    cv = cross_validate(recipe_of(6, scaling=scaling), folds, search)
    assert_array_equal(cv.l1_ratios, np.repeat(ratios, 4))
    assert_array_equal(cv.alphas, [2.0, 0.5, 0.02, 0.0] * 3)
    scaler = {"standard": StandardScaler(), "minmax": MinMaxScaler()}[scaling]
    for i, (ratio, alpha) in enumerate(zip(cv.l1_ratios, cv.alphas, strict=True)):
        for k in range(N_FOLDS):
            train, test = data.fold != k, data.fold == k
            pipeline = make_pipeline(scaler, regression(alpha, ratio, int(train.sum())))
            predicted = pipeline.fit(data.X[train], data.y[train]).predict(data.X[test])
            expected = np.mean((data.y[test] - predicted) ** 2)
            assert_allclose(cv.fold_mse[k, i], expected, rtol=1e-8)
    assert cv.converged


def test_each_l1_ratio_has_a_path_of_its_own_and_below_a_thousandth_that_of_a_thousandth(
    moments_of: Rows,
) -> None:
    data = table(nulls=())
    search = PathSearch(alphas=5, l1_ratios=(1.0, 0.5, 1e-3, 1e-5, 0.0))
    cv = cross_validate(data.recipe(), data.moments(moments_of), search)
    largest = cv.alphas[cv.l1_ratios == 1][0]
    for ratio, at_least in zip(search.l1_ratios, (1, 0.5, 1e-3, 1e-3, 1e-3), strict=True):
        expected = largest / at_least * np.geomspace(1, 1e-3, 5)
        assert_allclose(cv.alphas[cv.l1_ratios == ratio], expected, rtol=1e-12)
    assert_array_equal(cv.n_nonzero[::5] > 0, [False, False, False, True, True])


# Relaxed and adaptive LASSO


def by_hand(
    data: Table,
    cv: CrossValidation,
    weight: Floats,
    factors: Floats,
    positive: bool,
    adaptive: bool,
) -> Floats:
    """Mean squared errors, shape (n_folds, n), of fits to rows that are scaled by hand."""
    errors = np.empty_like(cv.fold_mse)
    for k in range(N_FOLDS):
        train, test = data.fold != k, data.fold == k
        w = weight[train]
        scaler = StandardScaler().fit(data.X[train], sample_weight=w)
        Z, Z_test, y = (
            scaler.transform(data.X[train]),
            scaler.transform(data.X[test]),
            data.y[train],
        )
        each = factors
        if adaptive:
            size = np.abs(Ridge(alpha=0.01 * w.sum()).fit(Z, y, sample_weight=w).coef_)
            each = factors * size.mean() / size
        for i, (alpha, gamma) in enumerate(zip(cv.alphas, cv.gammas, strict=True)):
            penalised = Lasso(alpha=alpha, positive=positive, tol=1e-13, max_iter=10**6)
            penalised.fit(Z / each, y, sample_weight=w)
            predicted = gamma * penalised.predict(Z_test / each)
            active = penalised.coef_ != 0
            if active.any():
                free = LinearRegression(positive=positive).fit(Z[:, active], y, sample_weight=w)
                predicted += (1 - gamma) * free.predict(Z_test[:, active])
            else:
                predicted += (1 - gamma) * np.average(y, weights=w)
            errors[k, i] = np.average((data.y[test] - predicted) ** 2, weights=weight[test])
    return errors


ONES = np.ones(6)
WEIGHTS = np.random.default_rng(1).uniform(0.1, 3, 150)
FACTORS = np.array([1.0, 2.0, 0.5, 1.0, 3.0, 1.0])


@pytest.mark.parametrize("gammas", [(1.0,), (0.0, 0.25, 1.0)])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("factors", [ONES, FACTORS])
@pytest.mark.parametrize("weight", [np.ones(150), WEIGHTS])
@pytest.mark.parametrize("adaptive", [False, True])
def test_relaxed_and_adaptive_fits_have_the_errors_of_fits_by_hand(
    adaptive: bool,
    weight: Floats,
    factors: Floats,
    positive: bool,
    gammas: tuple[float, ...],
    moments_of: Rows,
    recipe_of: RecipeOf,
) -> None:
    data = table(nulls=())
    folds = [
        moments_of(data.X[rows], data.y[rows], weight[rows])
        for rows in (data.fold == k for k in range(N_FOLDS))
    ]
    recipe = recipe_of(
        6,
        penalty_factors={f"x{j}": float(f) for j, f in enumerate(factors)},
        bounds={f"x{j}": (0.0, np.inf) for j in range(6)} if positive else {},
        adaptive=adaptive,
    )
    cv = cross_validate(recipe, folds, PathSearch(alphas=8, gammas=gammas))
    assert_array_equal(cv.gammas, np.repeat(gammas, 8))
    assert len(set(cv.n_nonzero)) >= 2
    expected = by_hand(data, cv, weight, factors, positive, adaptive)
    assert_allclose(cv.fold_mse, expected, rtol=1e-8)
    assert cv.converged


@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_the_final_relaxed_fit_is_that_of_the_active_columns_of_all_rows(
    gamma: float, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    data = table(nulls=())
    fit = one_alpha.fit(recipe_of(6), moments_of(data.X, data.y), np.array([1.0, 0.5]), gamma=gamma)
    Z = StandardScaler().fit_transform(data.X)
    penalised = estimator(0.5).fit(Z, data.y)
    active = penalised.coef_ != 0
    assert 0 < active.sum() < 6
    free = LinearRegression().fit(Z[:, active], data.y)
    expected = gamma * penalised.predict(Z) + (1 - gamma) * free.predict(Z[:, active])
    assert_allclose(data.X @ fit.coef + fit.intercept, expected, rtol=1e-10)
    assert fit.converged


def test_the_weights_of_only_the_l1_part_are_adaptive(
    moments_of: Rows, recipe_of: RecipeOf
) -> None:
    data = table(nulls=())
    rows = moments_of(data.X, data.y)
    fit = one_alpha.fit(recipe_of(6, adaptive=True, l1_ratio=0.5), rows, np.array([0.3]))
    Z, y = StandardScaler().fit_transform(data.X), data.y - data.y.mean()
    size = np.abs(Ridge(alpha=1.5).fit(Z, y).coef_)
    slope = Z.T @ (y - Z @ fit.standardised) / 150 - 0.15 * fit.standardised
    limit = 0.15 * size.mean() / size
    active = fit.standardised != 0
    assert 0 < active.sum() < 6
    assert_allclose(slope[active], (limit * np.sign(fit.standardised))[active], rtol=1e-10)
    assert np.all(np.abs(slope) <= limit * (1 + 1e-10))


def test_a_relaxed_fit_that_did_not_converge_is_in_the_certificate(
    moments_of: Rows, recipe_of: RecipeOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = table(nulls=())
    parts = [moments_of(data.X[data.fold == k], data.y[data.fold == k]) for k in range(N_FOLDS)]
    search = PathSearch(alphas=8, gammas=(0.0, 1.0))
    good = cross_validate(recipe_of(6), parts, search)

    def cut_short(problem: problem_module.Problem, alphas: Sequence[float]) -> problem_module.Path:
        path = lasso.solve_path(problem, alphas)
        return problem_module.Path(path.coef, path.dual_gap + 1e-3, path.kkt + 1e-2, path.n_iter)

    monkeypatch.setattr(relaxed_module, "solve_path", cut_short)
    cv = cross_validate(recipe_of(6), parts, search)
    fit = one_alpha.fit(recipe_of(6), m.merge_all(parts, 7), good.alphas[:4], gamma=0.5)
    assert good.converged
    assert max(good.worst_dual_gap, good.worst_kkt) < 1e-12
    assert not cv.converged
    assert not fit.converged
    assert_allclose([cv.worst_dual_gap, cv.worst_kkt], [1e-3, 1e-2], rtol=1e-9)
    assert_allclose([fit.dual_gap, fit.kkt], [1e-3, 1e-2], rtol=1e-9)


# Early stop


def wide(moments_of: Rows) -> tuple[list[Moments], int]:
    """So many useless columns that small alphas are clearly worse."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 50))
    y = 3 * X[:, 0] + rng.normal(size=60)
    return [moments_of(X[k::5], y[k::5]) for k in range(5)], 50


def turned(folds: Floats) -> bool:
    """Of five folds of one size: ten errors above the smallest, or three and the last clearly."""
    mean = folds.mean(axis=0)
    gamma, best = np.unravel_index(mean.argmin(), mean.shape)
    behind = mean[:, best + 1 :] > mean[gamma, best]
    rise = folds[:, :, -1] - folds[:, gamma, best][:, None]
    clearly = (rise.mean(axis=0) > 2 * rise.std(axis=0, ddof=1) / np.sqrt(5)).all()
    if behind.shape[1] >= 10:
        return bool(behind[:, -10:].all())
    return behind.shape[1] >= 3 and bool(behind[:, -3:].all() and clearly)


@pytest.mark.parametrize("fold_means", ["size", "equal"])
def test_an_early_stop_leaves_out_only_alphas_behind_errors_that_have_turned(
    fold_means: str, moments_of: Rows, recipe_of: RecipeOf
) -> None:
    folds, p = wide(moments_of)
    options = {"alphas": 60, "fold_means": fold_means, "gammas": (0.5, 1.0)}
    whole = cross_validate(recipe_of(p), folds, PathSearch(**options))
    short = cross_validate(recipe_of(p), folds, PathSearch(**options, early_stop=True))
    n = len(short.alphas) // 2
    assert n % 10 == 0
    assert 0 < short.n_left_out == 120 - 2 * n < 120
    assert whole.n_left_out == 0
    assert_array_equal(short.alphas, np.tile(whole.alphas[:n], 2))
    kept = np.concatenate([np.arange(n), 60 + np.arange(n)])
    assert_allclose(short.fold_mse, whole.fold_mse[:, kept], rtol=1e-9)
    assert_array_equal(short.n_nonzero, whole.n_nonzero[kept])
    folds_of = short.fold_mse.reshape(5, 2, n)
    assert turned(folds_of)
    assert not turned(folds_of[:, :, :-10])
    assert (short.min_index, short.one_se_index) == tuple(
        int(np.flatnonzero(kept == i)[0]) for i in (whole.min_index, whole.one_se_index)
    )


def test_an_error_that_never_clearly_turns_stops_nothing(
    moments_of: Rows,
) -> None:
    data = table()
    search = PathSearch(alphas=25, early_stop=True)
    cv = cross_validate(data.recipe(), data.moments(moments_of), search)
    assert (len(cv.alphas), cv.n_left_out) == (25, 0)
    expected = by_pipelines(data, cv.alphas, lambda: preprocessing(6, "standard", False))
    assert_allclose(cv.fold_mse, expected, rtol=1e-8)
