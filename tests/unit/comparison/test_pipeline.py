"""The job's own LASSO, fitted to rows: scikit-learn's coefficients, with an offset and weights."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import Lasso
from sklearn.preprocessing import StandardScaler

from lasso_jobs.comparison.pipeline import LassoAtAlpha
from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.rows.columns import Columns


@pytest.mark.parametrize("offset", [None, "c"])
def test_it_predicts_what_scikit_learns_does(offset: str | None) -> None:
    rng = np.random.default_rng(3)
    values, weight = rng.normal(2, 1, (200, 3)), rng.integers(1, 4, 200).astype(float)
    values[rng.random(200) < 0.1, 0] = np.nan
    target = np.nan_to_num(values[:, 0]) - values[:, 1] + rng.normal(size=200)
    X = np.column_stack([values, weight])
    recipe = Recipe(columns=Columns(("a", "b", "c"), ()), offset=offset)
    found = LassoAtAlpha(recipe, np.array([1.0, 0.05]), 1.0).fit(X[:150], target[:150])
    filled = values[:, : 2 if offset else 3].copy()
    known = ~np.isnan(filled[:150, 0])
    mean = np.average(filled[:150, 0][known], weights=weight[:150][known])
    filled[np.isnan(filled[:, 0]), 0] = mean
    scaler = StandardScaler().fit(filled[:150], sample_weight=weight[:150])
    lasso = Lasso(0.05, tol=1e-12, max_iter=100_000)
    lasso.fit(scaler.transform(filled[:150]), target[:150], sample_weight=weight[:150])
    assert_allclose(
        found.predict(X[150:]), lasso.predict(scaler.transform(filled[150:])), rtol=1e-7
    )
