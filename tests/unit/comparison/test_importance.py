"""Errors with a feature shuffled: in the mean of all shuffles, what algebra says."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression

from lasso_jobs.comparison import importance
from lasso_jobs.comparison.importance import leading, shuffled_errors, shuffled_features
from lasso_jobs.core.rows.columns import Category, Columns

STORE = Category(name="store", levels=("a", "b"), other=False, type="string")


def rows(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    a = rng.random(n) < 0.5
    X = np.column_stack([rng.normal(size=n), rng.normal(size=n), a, ~a, np.ones(n)])
    return X, 2 * X[:, 0] + 3 * X[:, 2] + rng.normal(size=n)


def test_the_rise_of_a_linear_model_is_twice_its_terms_variance_and_covariance() -> None:
    X, y = rows(300)
    split = (np.arange(200, dtype=np.int32), np.arange(200, 300, dtype=np.int32))
    features = {"x": np.array([0]), "store": np.array([2, 3])}
    errors = [
        shuffled_errors(LinearRegression(), {}, split, features=features, seed=k, X=X, y=y)
        for k in range(400)
    ]
    fitted = LinearRegression().fit(X[:200], y[:200])
    test, residual = X[200:], y[200:] - fitted.predict(X[200:])
    assert_allclose([e[0] for e in errors], np.mean(residual**2))
    for j, places in enumerate(features.values()):
        # (e + t - t')^2 with t' any other row's term: e^2 + 2 e (t - mean) + 2 var(t) on average.
        term = test[:, places] @ fitted.coef_[places]
        rise = 2 * np.mean(residual * (term - term.mean())) + 2 * term.var()
        assert_allclose(np.mean([e[1 + j] - e[0] for e in errors]), rise, rtol=0.03)


def test_of_many_features_those_are_shuffled_that_say_most(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    n = 500
    a = rng.random(n) < 0.5
    noise = rng.normal(size=(n, 3))
    X = np.column_stack([noise, rng.normal(size=n), np.full(n, np.nan), a, ~a, np.ones(n)])
    y = X[:, 3] ** 2 + a
    columns = Columns(("n1", "n2", "n3", "curve", "null"), (STORE,))
    every = shuffled_features(columns, X, y, None)
    assert list(every) == [*columns.numeric, "store"]
    assert "n1" not in shuffled_features(columns, X, y, "n1")
    monkeypatch.setattr(importance, "MOST_FEATURES", 2)
    assert set(shuffled_features(columns, X, y, None)) == {"curve", "store"}


def test_the_leading_features_are_those_that_some_family_needs() -> None:
    assert leading([{"a": 0.1, "b": 0.5}, {"a": 0.9, "c": 0.2}], 2) == ["a", "b"]
