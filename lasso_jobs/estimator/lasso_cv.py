"""The estimator `LassoCV`: scikit-learn's conventions, this package's moments and path."""

from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted

from lasso_jobs.core.fit.cross_validation import PathSearch
from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.errors import JobError
from lasso_jobs.estimator import given
from lasso_jobs.estimator.dask_rows import is_dask, r2_on_dask
from lasso_jobs.estimator.search import Found, column_names, reading_of, search_for_alpha

if TYPE_CHECKING:
    from pathlib import Path

    from lasso_jobs.models.model import Model
    from lasso_jobs.models.registry import Registered

CHOICES: dict[str, tuple[object, ...]] = {
    "fit_intercept": (True, False),
    "positive": (True, False),
    "scaling": ("none", "standard", "minmax"),
    "missing": ("error", "mean"),
    "rule": ("min", "1se"),
}


class LassoCV(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn states no types
    """LASSO whose alpha is chosen by cross-validation, as scikit-learn's class of this name.

    With the same arguments it finds what ``sklearn.linear_model.LassoCV`` finds, but exactly: every
    fit is solved to rounding. It looks at each row once, in memory or in the partitions of Dask.

    Parameters
    ----------
    eps : float, default=1e-3
        The smallest alpha as a share of the largest.
    alphas : int or array-like, default=100
        How many alphas to try, or which.
    fit_intercept : bool, default=True
    cv : int, splitter, iterable of (training, test), or None, default=None
        As scikit-learn takes it: a number is of folds of neighbouring rows, in order; None is 5.
    positive : bool, default=False
        Whether no coefficient may be negative.
    rule : {"min", "1se"}, default="min"
        The alpha of the smallest error, or the largest within one standard error of it.
    scaling : {"none", "standard", "minmax"}, default="none"
        What each fold divides a column by before the penalty applies; the coefficients are in
        original units in any case. Scikit-learn's class does not scale. A training job does, to
        unit variance, which is "standard".
    missing : {"error", "mean"}, default="error"
        Whether NaN is refused, or filled with the mean of each fold's training rows.
    n_jobs : int or None, default=None
        Threads, as joblib counts them: None is 1, -1 is all cores. Dask uses its own.

    Attributes
    ----------
    alpha_ : float
    coef_ : ndarray, shape (n_features,)
    intercept_ : float
    alphas_ : ndarray, shape (n_alphas,)
        Descending.
    mse_path_ : ndarray, shape (n_alphas, n_folds)
    dual_gap_ : float
        Of the final fit, in squared units of y.
    n_iter_ : int
        Sweeps of coordinate descent of the final fit; 1 if it was solved directly.
    fill_ : ndarray, shape (n_features,)
        What NaN is filled with; only where ``missing="mean"``.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has names.

    Examples
    --------
    >>> import numpy as np
    >>> from lasso_jobs import LassoCV
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> y = 2 * X[:, 0] - X[:, 1] + 5
    >>> fitted = LassoCV(cv=4).fit(X, y)
    >>> fitted.coef_.round(2), round(fitted.intercept_, 2)
    (array([ 2., -1.,  0.]), 5.0)
    >>> fitted.mse_path_.shape
    (100, 4)
    """

    def __init__(
        self,
        *,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        cv: Any = None,
        positive: bool = False,
        rule: Literal["min", "1se"] = "min",
        scaling: Literal["none", "standard", "minmax"] = "none",
        missing: Literal["error", "mean"] = "error",
        n_jobs: int | None = None,
    ) -> None:
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.positive = positive
        self.rule = rule
        self.scaling = scaling
        self.missing = missing
        self.n_jobs = n_jobs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.missing == "mean"
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Fit to rows.

        Parameters
        ----------
        X : array-like, sparse matrix or frame, shape (n, n_features)
            Of numpy, scipy, pandas, Polars, pyarrow or Dask, or anything with the Arrow stream's
            protocol. Dask's are summed up where they are, partition by partition.
        y : array-like, shape (n,)
        sample_weight : array-like, shape (n,), optional
            Zero or more.
        groups : array-like, shape (n,), optional
            Rows of a group share a fold, if ``cv`` is a number; otherwise for the splitter.

        Raises
        ------
        JobError
            If a parameter is wrong.
        DataError, ValueError
            If the rows are.
        """
        from joblib import effective_n_jobs

        search = self._search()
        rows = given.rows(self, X, y, sample_weight)
        names = column_names(getattr(self, "feature_names_in_", None), self.n_features_in_)
        columns = Columns(names, ())
        bounds = dict.fromkeys(names, (0.0, np.inf)) if self.positive else {}
        found = search_for_alpha(
            rows,
            Recipe(
                columns=columns,
                scaling=self.scaling,
                bounds=bounds,
                intercept=self.fit_intercept,
            ),
            search,
            reading=reading_of(columns, given.name_of(y), nulls_allowed=self.missing == "mean"),
            cv=(self.cv, given.vector(groups)),
            n_threads=effective_n_jobs(self.n_jobs),
        )
        self._set(found)
        return self

    def _search(self) -> PathSearch:
        """The alphas to try, and how one is chosen, of checked parameters."""
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if not any(type(value) is type(choice) and value == choice for choice in choices):
                expected = f"one of {', '.join(map(str, choices))}"
                raise JobError(f"LassoCV, {name}", f"is {value!r}", expected, "Choose one of them")
        if not isinstance(self.eps, Real) or not 0 < self.eps < 1:
            expected = "a number between 0 and 1"
            remedy = "Give the smallest alpha as a share of the largest"
            raise JobError("LassoCV, eps", f"is {self.eps!r}", expected, remedy)
        alphas = given.alphas(self.alphas)
        # As scikit-learn: each fold counts as much as any other.
        return PathSearch(alphas=alphas, eps=float(self.eps), rule=self.rule, fold_means="equal")

    def _set(self, found: Found) -> None:
        final, cv, at = found.final, found.cv, len(found.cv.alphas_to_chosen) - 1
        self._found = found
        self.alpha_, self.alphas_ = final.alpha, cv.path_alphas
        self.mse_path_ = cv.fold_mse.T
        self.coef_, self.intercept_ = final.coef, final.intercept
        self.dual_gap_ = final.dual_gap * final.design.problem.variance
        self.n_iter_ = max(int(final.path.n_iter[at]), 1)
        if self.missing == "mean":
            self.fill_ = final.design.location[: len(final.coef)]
        if not (final.converged and cv.converged):
            given.warn_not_converged(final.dual_gap)

    def predict(self, X: Any) -> Any:
        """Predict rows.

        Parameters
        ----------
        X : as for `fit`

        Returns
        -------
        ndarray, shape (n,), or for Dask a series or an array, of which nothing is computed yet
        """
        check_is_fitted(self)
        if is_dask(X):
            return given.predict_on_dask(self, X)
        X = given.matrix(self, X)
        if self.missing == "mean":
            X = given.filled(X, self.fill_)
        return safe_sparse_dot(X, self.coef_) + self.intercept_

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R2 of the predictions; that of Dask collections is computed where they are."""
        if is_dask(X):
            return r2_on_dask(self, X, y, sample_weight)
        weights = given.vector(sample_weight)
        score: float = super().score(given.as_arrays(X), given.vector(y), weights)
        return score

    def to_model(
        self, registry: "str | Path", name: str, target: str | None = None
    ) -> "Registered":
        """Register the fit as a version of a model, which jobs can score with.

        Parameters
        ----------
        registry : str or Path
        name : str
            The model's.
        target : str, optional
            The column that it predicts; by default the name of y, or "y".

        Raises
        ------
        JobError, ModelError
        """
        check_is_fitted(self)
        from lasso_jobs.estimator.registered import register

        return register(self, registry, name, target)

    @classmethod
    def from_model(cls, model: "Model") -> "LassoCV":
        """A fitted estimator of a model of numeric features.

        Raises
        ------
        ModelError
            If the model has features that are no column of numbers.
        """
        from lasso_jobs.estimator.registered import from_model

        fitted: LassoCV = from_model(cls, model)
        return fitted
