from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes

from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.rows import centring
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.moments import Moments

Floats = NDArray[np.float64]


@pytest.fixture(scope="session")
def diabetes() -> tuple[Floats, Floats]:
    X, y = load_diabetes(return_X_y=True, scaled=False)
    X.setflags(write=False)
    y.setflags(write=False)
    return X, y


@pytest.fixture(scope="session")
def moments_of() -> Callable[..., Moments]:
    """Moments of a design matrix as scikit-learn has it, and of a target."""

    def of(X: Floats, y: Floats, weights: Floats | None = None) -> Moments:
        return centring.of_rows(np.ascontiguousarray(np.vstack([X.T, y])), weights)

    return of


@pytest.fixture(scope="session")
def recipe_of() -> Callable[..., Recipe]:
    """A recipe for p numeric columns, x0, x1, ..."""

    def of(p: int, **options: object) -> Recipe:
        return Recipe(columns=Columns(tuple(f"x{j}" for j in range(p)), ()), **options)

    return of
