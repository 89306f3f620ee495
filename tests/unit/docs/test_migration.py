"""The relations between penalties that docs/migration.md states."""

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet, Lasso, Ridge
from sklearn.preprocessing import StandardScaler

ALPHA = 0.1


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    """Columns of different deviations, centred as the target is."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4)) @ np.diag([1.0, 0.5, 2.0, 1.0])
    y = X @ [2.0, -1.0, 0.0, 0.3] + rng.normal(size=200)
    return X - X.mean(axis=0), y - y.mean()


def test_alpha_of_dask_ml_is_one_over_two_n_c_on_standardised_columns(
    data: tuple[np.ndarray, np.ndarray],
) -> None:
    from dask_ml.linear_model import LinearRegression

    X, y = data
    options = {"C": 1 / (2 * len(y) * ALPHA), "solver": "proximal_grad", "max_iter": 1000}
    theirs = LinearRegression(penalty="l1", fit_intercept=False, tol=1e-12, **options).fit(X, y)
    scaler = StandardScaler().fit(X)
    lasso = Lasso(alpha=ALPHA, tol=1e-12).fit(scaler.transform(X), y)
    assert np.count_nonzero(lasso.coef_) == 3
    # It stops early, whatever its tol; a factor of 2 in alpha would be a tenth of a coefficient.
    np.testing.assert_allclose(theirs.coef_, lasso.coef_ / scaler.scale_, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("mixing", [1.0, 0.7, 0.2])
def test_a_target_of_deviation_one_weakens_the_ridge_part(
    data: tuple[np.ndarray, np.ndarray], mixing: float
) -> None:
    X, y = data
    s = y.std()
    theirs = ElasticNet(alpha=ALPHA / s, l1_ratio=mixing, tol=1e-12).fit(X, y / s).coef_ * s
    alpha = ALPHA * (mixing + (1 - mixing) / s)
    ours = ElasticNet(alpha=alpha, l1_ratio=ALPHA * mixing / alpha, tol=1e-12).fit(X, y).coef_
    np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-10)


def test_columns_of_deviation_one_with_n_less_one_take_a_larger_alpha(
    data: tuple[np.ndarray, np.ndarray],
) -> None:
    X, y = data
    n, spark, ours = len(y), X.std(axis=0, ddof=1), X.std(axis=0)
    theirs = Lasso(alpha=ALPHA, tol=1e-12).fit(X / spark, y).coef_ / spark
    scaled = Lasso(alpha=ALPHA * np.sqrt(n / (n - 1)), tol=1e-12).fit(X / ours, y).coef_ / ours
    np.testing.assert_allclose(scaled, theirs, rtol=1e-8, atol=1e-10)


def test_alpha_of_ridge_is_n_times_that_of_the_elastic_net(
    data: tuple[np.ndarray, np.ndarray],
) -> None:
    X, y = data
    n = len(y)
    # A Ridge of the objective with 1/(2n): its optimum is where (X'X / n + alpha) w = X'y / n.
    ours = np.linalg.solve(X.T @ X / n + ALPHA * np.eye(4), X.T @ y / n)
    np.testing.assert_allclose(Ridge(alpha=ALPHA * n).fit(X, y).coef_, ours, rtol=1e-10)
