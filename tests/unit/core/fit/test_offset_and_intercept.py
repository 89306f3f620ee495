"""Fits without an intercept, and with an offset: against glmnet, scikit-learn and statsmodels."""

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from sklearn.linear_model import Lasso, LinearRegression, Ridge
from sklearn.preprocessing import StandardScaler

from lasso_jobs.core.fit import one_alpha
from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.fit.squared_error import evaluate
from lasso_jobs.core.fit.walk.refits import refit
from lasso_jobs.core.inference import diagnostics as dg
from lasso_jobs.core.rows import centring
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.moments import Moments

Floats = NDArray[np.float64]

# glmnet's own C++ core (that of R's glmnet 4.1-8), by the package glmnetpp 0.1.0, at thresh 1e-24:
# of the target or of the target less the offset; standardize; alpha; lambda; the coefficients.
GLMNET: list[tuple[bool, bool, float, float, list[float]]] = [
    (False, True, 1.0, 0.5, [1.7741158332912548, -11.707279429603267, 0.4927676647289248, 0.0]),
    (
        *(False, True, 1.0, 0.05),
        [2.1840904472265703, -10.447990769265616, 0.494156637201104, -0.03985719292307736],
    ),
    (False, True, 0.5, 0.3, [2.0885434292590106, -10.763049930815832, 0.49327847390587204, 0.0]),
    (
        *(False, True, 0.0, 0.5),
        [2.20459959565873, -10.446056911201865, 0.4927564835043574, -0.10738693694513712],
    ),
    (False, False, 1.0, 0.5, [1.9070549872870892, 0.0, 0.7738994848961498, 0.0]),
    (False, False, 0.5, 0.3, [2.4530477580790957, 0.0, 0.733087985896824, 0.0]),
    (True, True, 1.0, 0.5, [1.079782100897553, -5.142522243716308, 0.20212121992267038, 0.0]),
    (True, True, 0.5, 0.3, [1.3900096478197028, -4.205953948702924, 0.20275856341446116, 0.0]),
    (True, False, 1.0, 0.05, [1.6310136213179425, 0.0, 0.2892686309101804, 0.0]),
]


@pytest.mark.parametrize(("with_offset", "standardize", "ratio", "lambda_", "coef"), GLMNET)
def test_without_an_intercept_the_coefficients_are_those_of_glmnet(
    with_offset: bool, standardize: bool, ratio: float, lambda_: float, coef: list[float]
) -> None:
    i = np.arange(40.0)
    waves = [3 + np.sin(i), 0.1 * np.cos(2 * i) - 1, 40 + 5 * np.sin(3 * i + 1), np.cos(5 * i)]
    X, offset = np.stack(waves, axis=1), 20 + 10 * np.cos(0.7 * i)
    y = offset + X @ [1.5, -4, 0.2, 0.0] + np.sin(11 * i)
    # glmnet gives the target unit size, which its ridge part is relative to.
    size = np.sqrt(np.mean((y - offset * with_offset) ** 2))
    l1, l2 = lambda_ * ratio, lambda_ * (1 - ratio) / size
    found = fitted(
        np.column_stack([offset, X]) if with_offset else X,
        y,
        alpha=l1 + l2,
        l1_ratio=l1 / (l1 + l2),
        scaling="standard" if standardize else "none",
        intercept=False,
        offset="x0" if with_offset else None,
    )
    assert_allclose(found.coef[with_offset:], coef, rtol=1e-8, atol=1e-8)
    assert found.intercept == 0


def fitted(X: Floats, y: Floats, *, alpha: float, w: Floats | None = None, **how: Any) -> Any:
    names = tuple(f"x{j}" for j in range(X.shape[1]))
    recipe = Recipe(columns=Columns(names, ()), **how)
    return one_alpha.fit(recipe, moments(X, y, w), np.array([alpha]), gamma=1.0)


def moments(X: Floats, y: Floats, w: Floats | None = None) -> Moments:
    return centring.of_rows(np.vstack([X.T, y]), w)


def table(seed: int, n: int = 60, p: int = 4) -> tuple[Floats, Floats, Floats, Floats]:
    """Columns of other offsets and scales, a target, an offset and weights."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * np.geomspace(0.1, 20, p) + rng.normal(size=p) * 10
    offset = rng.gamma(3, 5, n)
    return X, offset + X @ rng.normal(size=p) + rng.normal(size=n), offset, rng.uniform(0, 2, n)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    share=st.floats(0.001, 0.9),
    intercept=st.booleans(),
    weighted=st.booleans(),
    scaling=st.sampled_from(["standard", "minmax", "none"]),
    ratio=st.sampled_from([1.0, 0.4, 0.0]),
)
def test_a_fit_with_an_offset_is_that_to_the_target_less_the_offset(
    seed: int, share: float, intercept: bool, weighted: bool, scaling: str, ratio: float
) -> None:
    X, y, offset, w = table(seed)
    weights = w if weighted else None
    how: Any = {"scaling": scaling, "l1_ratio": ratio, "intercept": intercept}
    alpha = share * float(np.std(y))
    with_offset = np.column_stack([X[:, :2], offset, X[:, 2:]])
    found = fitted(with_offset, y, alpha=alpha, w=weights, offset="x2", **how)
    expected = fitted(X, y - offset, alpha=alpha, w=weights, **how)
    scale = np.abs(expected.coef * X.std(axis=0)).max() + 1e-9
    own = np.delete(found.coef, 2)
    assert found.coef[2] == 1.0
    assert_allclose(own * X.std(axis=0), expected.coef * X.std(axis=0), atol=1e-8 * scale)
    assert found.intercept == pytest.approx(expected.intercept, rel=1e-7, abs=1e-7 * np.std(y))
    other, other_y, other_offset, _ = table(seed + 1)
    rows = moments(np.column_stack([other[:, :2], other_offset, other[:, 2:]]), other_y)
    residual = other_y - other_offset - other @ own - found.intercept
    errors = evaluate(found.design, found.coef[None], rows)
    assert errors.mse[0] == pytest.approx(np.mean(residual**2), rel=1e-8)
    assert errors.bias[0] == pytest.approx(residual.mean(), abs=1e-8 * np.std(other_y))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("weighted", [False, True])
def test_without_an_intercept_a_fit_is_that_of_scikit_learn(seed: int, weighted: bool) -> None:
    X, y, _, w = table(seed)
    if not weighted:  # of which scikit-learn's variance may be negative
        X[:, 3] = 7.0  # constant, and of some use
    weights = w if weighted else np.ones(len(y))
    scaler = StandardScaler(with_mean=False).fit(X, sample_weight=weights)
    alpha = 0.05 * float(np.std(y))
    lasso = Lasso(alpha, fit_intercept=False, tol=1e-14, max_iter=10**6)
    lasso.fit(scaler.transform(X), y, sample_weight=weights / weights.mean())
    found = fitted(X, y, alpha=alpha, w=weights, intercept=False)
    assert_allclose(found.coef, lasso.coef_ / scaler.scale_, rtol=1e-7, atol=1e-9)
    assert found.converged


def test_bounds_hold_without_an_intercept() -> None:
    X, y, _, _ = table(1)
    lasso = Lasso(0.1, fit_intercept=False, positive=True, tol=1e-14, max_iter=10**6)
    scaled = StandardScaler(with_mean=False).fit(X)
    lasso.fit(scaled.transform(X), y)
    bounds = {f"x{j}": (0.0, np.inf) for j in range(4)}
    found = fitted(X, y, alpha=0.1, intercept=False, bounds=bounds)
    assert_allclose(found.coef, lasso.coef_ / scaled.scale_, rtol=1e-7, atol=1e-9)
    assert (found.coef == 0).any()


def test_the_adaptive_weights_are_of_a_ridge_fit_without_an_intercept() -> None:
    X, y, _, _ = table(2)
    Z = StandardScaler(with_mean=False).fit_transform(X)
    size = np.abs(Ridge(0.01 * len(y), fit_intercept=False).fit(Z, y).coef_)
    weights = size.mean() / size
    lasso = Lasso(0.2, fit_intercept=False, tol=1e-14, max_iter=10**6).fit(Z / weights, y)
    found = fitted(X, y, alpha=0.2, intercept=False, adaptive=True)
    assert_allclose(found.coef * X.std(axis=0), lasso.coef_ / weights, rtol=1e-7, atol=1e-9)


def test_the_relaxed_fit_is_least_squares_without_an_intercept() -> None:
    X, y, offset, _ = table(3)
    recipe = Recipe(
        columns=Columns(("o", *(f"x{j}" for j in range(4))), ()), intercept=False, offset="o"
    )
    rows = moments(np.column_stack([offset, X]), y)
    found = one_alpha.fit(recipe, rows, np.array([1.0]), gamma=0.0)
    active = found.selected - 1
    assert 0 < len(active) < 5
    least = LinearRegression(fit_intercept=False).fit(X[:, active], y - offset)
    assert_allclose(found.coef[found.selected], least.coef_, rtol=1e-8)


def test_least_squares_and_their_errors_are_those_of_statsmodels() -> None:
    X, y, offset, _ = table(4)
    recipe = Recipe(
        columns=Columns((*(f"x{j}" for j in range(4)), "o"), ()), intercept=False, offset="o"
    )
    rows = moments(np.column_stack([X, offset]), y)
    found = dg.least_squares(one_alpha.fit(recipe, rows, np.array([1e-3])), rows)
    assert found is not None
    known = sm.OLS(y - offset, X).fit()
    assert_allclose(found.coef[:4], known.params, rtol=1e-8)
    assert_allclose(found.standard_error[:4], known.bse, rtol=1e-8)
    assert np.isnan(found.coef[4]) and found.degrees_of_freedom == known.df_resid == 56
    fit = one_alpha.fit(recipe, rows, np.array([0.5, 0.1]))
    criteria = dg.information(fit.design, rows, fit.path.coef)
    assert criteria is not None
    assert criteria.noise_variance == pytest.approx(known.ssr / 56, rel=1e-8)


def test_refits_of_many_columns_are_those_of_the_whole_problem() -> None:
    rng = np.random.default_rng(5)
    X = rng.normal(2, 1, (150, 600))
    offset = rng.normal(50, 9, 150)
    y = offset + X[:, :4] @ [3, -2, 1, 0.5] + rng.normal(size=150)
    values = np.column_stack([offset, X])
    columns = Columns(tuple(f"x{j}" for j in range(601)), ())
    recipe = Recipe(columns=columns, intercept=False, offset="x0")
    near = one_alpha.fit(recipe, moments(values, y), np.array([0.4]))
    half = moments(values[:90], y[:90])
    found, whole = (
        refit(near, recipe, half),
        one_alpha.fit(recipe, half, np.array([0.4])),
    )
    assert found.design.usable.sum() < whole.design.usable.sum() == 600
    assert_allclose(found.coef, whole.coef, atol=1e-9)


def test_a_target_that_is_its_offset_leaves_nothing_to_explain() -> None:
    X, _, offset, _ = table(6)
    found = fitted(np.column_stack([offset, X]), offset + 0.1, alpha=1e-6, offset="x0")
    assert found.coef.tolist() == [1, 0, 0, 0, 0]
    assert found.intercept == pytest.approx(0.1)
