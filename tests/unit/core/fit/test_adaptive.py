"""Against scikit-learn's Ridge."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from lasso_jobs.core.fit.adaptive import LARGEST_WEIGHT, adaptive_weights

Floats = NDArray[np.float64]
EVERY = np.ones(5, np.bool_)


def rows(n: int = 80, p: int = 5) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p)) @ (np.eye(p) + 0.3 * rng.normal(size=(p, p)))
    y = X[:, 0] - 0.5 * X[:, 1] + rng.normal(size=n)
    return (X - X.mean(axis=0)) / X.std(axis=0), y - y.mean()


def weights(X: Floats, y: Floats, stretch: Floats, penalised: NDArray[np.bool_]) -> Floats:
    return adaptive_weights(X.T @ X / len(y), X.T @ y / len(y), stretch, penalised)


@pytest.mark.parametrize(("n", "p"), [(80, 5), (10, 30)])
def test_the_weights_are_the_mean_size_of_a_ridge_fit_over_each_size(n: int, p: int) -> None:
    X, y = rows(n, p)
    size = np.abs(Ridge(alpha=0.01 * n, fit_intercept=False).fit(X, y).coef_)
    found = weights(X, y, np.ones(p), np.ones(p, np.bool_))
    assert_allclose(found, size.mean() / size, rtol=1e-9)


def test_the_sizes_are_those_of_the_scaled_columns() -> None:
    (X, y), stretch = rows(), np.geomspace(0.1, 10, 5)
    size = np.abs(Ridge(alpha=0.8, fit_intercept=False).fit(X, y).coef_) * stretch
    assert_allclose(weights(X, y, stretch, EVERY), size.mean() / size, rtol=1e-10)


def test_the_mean_is_of_the_penalised_coefficients() -> None:
    X, y = rows()
    penalised = np.array([False, True, True, False, True])
    size = np.abs(Ridge(alpha=0.8, fit_intercept=False).fit(X, y).coef_)
    found = weights(X, y, np.ones(5), penalised)
    assert_allclose(found, size[penalised].mean() / size, rtol=1e-10)


def test_a_coefficient_that_is_zero_in_the_ridge_fit_has_the_largest_weight() -> None:
    found = adaptive_weights(np.eye(3), np.array([1.0, 0.0, -1.0]), np.ones(3), np.ones(3, bool))
    assert_allclose(found, [2 / 3, LARGEST_WEIGHT, 2 / 3])


def test_where_no_feature_is_related_to_the_target_all_weights_are_one() -> None:
    assert_array_equal(adaptive_weights(np.eye(3), np.zeros(3), np.ones(3), EVERY[:3]), [1, 1, 1])


def test_without_penalised_columns_all_weights_are_one() -> None:
    assert_array_equal(adaptive_weights(np.eye(2), np.ones(2), np.ones(2), ~EVERY[:2]), [1, 1])


def test_without_columns_there_are_no_weights() -> None:
    assert adaptive_weights(np.eye(0), np.ones(0), np.ones(0), EVERY[:0]).shape == (0,)
