"""Wraps the job's preprocessing and weights as scikit-learn estimators, to search others with.

A matrix of theirs has a row for each sampled row: the values of the columns as `Columns` lays them
out, null as NaN, and last the row's weight. It travels with the row into every fold.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit import one_alpha
from lasso_jobs.core.fit.design import Design, Recipe
from lasso_jobs.core.rows import centring
from lasso_jobs.core.rows import sample as s
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.engine.blas import use_one_blas_thread

MODEL = "model__estimator__"
"""What the parameters of the estimator are called in the pipeline."""


class DesignTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Makes the design of rows: levels, imputation, indicators of nulls and scaling.

    It is fitted to a fold as a training is.

    Parameters
    ----------
    recipe : Recipe
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def fit(self, X: Floats, y: Floats) -> Self:
        """Fit to training rows.

        Parameters
        ----------
        X : ndarray, shape (n, n_columns + 1)
            The columns, and the weight.
        y : ndarray, shape (n,)
        """
        values = np.vstack([X[:, :-1].T, y])
        sample = _sample(values) if self.recipe.scaling == "robust" else None
        self.design_: Design = d.fit(self.recipe, centring.of_rows(values, X[:, -1]), sample)
        return self

    def transform(self, X: Floats) -> Floats:
        """The design of some rows, a column for each coefficient; and the weight.

        A column that is constant in the training, or dropped, is zero, and so is the offset.
        """
        design = self.design_
        values = design.grouping.values(X[:, :-1].T)
        nulls = np.isnan(values)
        fill = design.location[: len(values), None]
        rows = np.vstack([np.where(nulls, fill, values), nulls[list(self.recipe.indicators)]])
        if design.intercept:
            rows -= design.location[design.position, None]
        rows /= design.scale[:, None]
        rows[~design.usable] = 0.0
        return np.ascontiguousarray(np.vstack([rows, X[:, -1]]).T)


class Weighted(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator whose matrix ends with the weights; it is fitted on one thread.

    Parameters
    ----------
    estimator : scikit-learn regressor
    weighted : bool
        Whether it is told the weights, with a mean of one; it need not know of them otherwise.
    """

    def __init__(self, estimator: Any, weighted: bool = False) -> None:
        self.estimator = estimator
        self.weighted = weighted

    def fit(self, X: Floats, y: Floats) -> Self:
        """Fit to the design of training rows."""
        use_one_blas_thread()
        weights = X[:, -1]
        known = {"sample_weight": weights / weights.mean()} if self.weighted else {}
        # OpenMP counts its threads by the thread that calls it, and Dask has one for each core.
        with threadpool_limits(1, user_api="openmp"):
            self.estimator_ = clone(self.estimator).fit(X[:, :-1], y, **known)
        return self

    def predict(self, X: Floats) -> NDArray[np.float64]:
        """Predictions for the design of some rows."""
        with threadpool_limits(1, user_api="openmp"):
            return np.asarray(self.estimator_.predict(X[:, :-1]), float).reshape(len(X))


class LassoAtAlpha(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """The job's own LASSO at the alpha that was chosen, fitted to rows as the others are.

    Parameters
    ----------
    recipe : Recipe
    alphas : ndarray, shape (n,)
        Descending; the last is that of the model.
    gamma : float
    """

    def __init__(self, recipe: Recipe, alphas: Floats, gamma: float) -> None:
        self.recipe = recipe
        self.alphas = alphas
        self.gamma = gamma

    def fit(self, X: Floats, y: Floats) -> Self:
        """Fit to training rows, whose target is less the offset."""
        values = np.vstack([X[:, :-1].T, y + self._offset(X)])
        sample = _sample(values) if self.recipe.scaling == "robust" else None
        moments = centring.of_rows(values, X[:, -1])
        self.fit_ = one_alpha.fit(
            self.recipe, moments, self.alphas, gamma=self.gamma, sample=sample
        )
        return self

    def predict(self, X: Floats) -> Floats:
        """Predictions less the offset."""
        design = self.fit_.design
        values = design.grouping.values(X[:, :-1].T)
        nulls = np.isnan(values)
        filled = np.where(nulls, design.location[: len(values), None], values)
        rows = np.vstack([filled, nulls[list(self.recipe.indicators)]])
        return np.asarray(self.fit_.coef @ rows + self.fit_.intercept - self._offset(X))

    def _offset(self, X: Floats) -> Floats | float:
        place = self.recipe.offset_at
        return 0.0 if place is None else X[:, place]


def _sample(values: Floats) -> s.Sample:
    """All rows, as robust scaling takes its quartiles from them."""
    order = np.arange(values.shape[1])
    return s.Sample(
        size=len(order), hashes=order.astype(np.uint64), buckets=order, values=values[:-1]
    )


def pipeline(recipe: Recipe, estimator: Any, weighted: bool) -> Pipeline:
    """An estimator behind the job's preprocessing."""
    return Pipeline(
        [("preprocess", DesignTransformer(recipe)), ("model", Weighted(estimator, weighted))]
    )


def score(fitted: Pipeline, X: Floats, y: Floats) -> float:
    """Minus the weighted mean squared error."""
    return -float(np.average((y - fitted.predict(X)) ** 2, weights=X[:, -1]))
