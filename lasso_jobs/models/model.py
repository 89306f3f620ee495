"""Holds a trained model: what it predicts with, and what is known about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.drift.drift import Reference
from lasso_jobs.core.drift.outcomes import Expectation
from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.fit.screening import ScreeningRecord
from lasso_jobs.core.inference.diagnostics import Diagnostics
from lasso_jobs.core.inference.refits.left_out import Importance
from lasso_jobs.core.inference.refits.stability import Stability
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.models.frames import predict_frame
from lasso_jobs.models.predictions import predictions

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

INTERVAL_COVERAGE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """Errors on the held-out rows of the model that was fitted without them.

    Parameters
    ----------
    n_rows : int
    mse, rmse, r2, mae : float
    interval : float or None
        Half the width of the prediction interval: the quantile of the absolute residuals at
        `INTERVAL_COVERAGE` (split conformal prediction); None where there are too few.
    n_sampled : int
        Rows that ``mae`` and the intervals come from.
    by : str or None
        A column whose groups have intervals of their own.
    intervals : mapping of str to float
        Half the width for each group that had enough rows.
    expected : Expectation or None
    expected_by : mapping of str to Expectation
        Of each group that had enough rows.
    cohort : str or None
        The column whose values (or days) are cohorts: sets of rows that may err alike, each
        of which counts as one for the standard errors.
    effective_size : float or None
        Equal and independent rows that say as much of the intervals; None of models of before.
    warning : str or None
        That R2 is too good to be true, and of which feature that may be.
    """

    n_rows: int
    mse: float
    rmse: float
    r2: float
    mae: float
    interval: float | None
    n_sampled: int
    by: str | None = None
    intervals: Mapping[str, float] = field(default_factory=dict)
    expected: Expectation | None = None
    expected_by: Mapping[str, Expectation] = field(default_factory=dict)
    cohort: str | None = None
    effective_size: float | None = None
    warning: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The cross-validation curve, by l1_ratio, gamma and alpha, and its choices.

    Parameters
    ----------
    l1_ratios, gammas, alphas, mse, mse_se, n_nonzero : ndarray, shape (n,)
        Of each combination; alpha changes fastest, and descends.
    fold_mse : ndarray, shape (repeats * n_folds, n)
        The folds of the first repeat, then those of the next.
    fold_weight : ndarray, shape (repeats * n_folds,)
    alpha_min, alpha_1se : float
    n_left_out : int
        Combinations that an early stop left out.
    repeats : int
    """

    l1_ratios: Floats
    gammas: Floats
    alphas: Floats
    mse: Floats
    mse_se: Floats
    n_nonzero: NDArray[np.int64]
    fold_mse: Floats
    fold_weight: Floats
    alpha_min: float
    alpha_1se: float
    n_left_out: int
    repeats: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """How exact the fits are, as far as the data and the job determine it.

    The rest of the certificate (rows and bytes read, identities of the files, versions) is in the
    provenance: it varies with file times, compression, the champion of the day and the machine,
    and the same data and job must give the same model, bit for bit.

    Parameters
    ----------
    dual_gap, kkt : float
        Of the final fit, as shares of the target's variance and deviation.
    worst_dual_gap, worst_kkt : float
        Over all folds and combinations, relaxed fits too.
    sse_bound : float
        Largest relative rounding error of a fold's squared error.
    condition_number : float or None
        Of the correlations of the columns that vary; None if they are singular to rounding.
    converged : bool
        Whether the final fit did, the one that the held-out rows measure, and all that the search
        could have chosen: those down to the alpha of the smallest error.
    screening : ScreeningRecord or None
        Where the columns of the model were found among many more: that the others are zero.
    """

    dual_gap: float
    kkt: float
    worst_dual_gap: float
    worst_kkt: float
    sse_bound: float
    condition_number: float | None
    converged: bool
    screening: ScreeningRecord | None


@dataclass(frozen=True, kw_only=True)
class Model:
    """A trained model: its `Predictor`, and all that is known about how it was fitted.

    It never changes, and everything in it is a function of the data and the job. A `Predictor` has
    the coefficients alone and predicts blocks of arrays; a model predicts frames.

    Parameters
    ----------
    name, target : str
    n_rows : int
        Rows that the final fit saw.
    predictor : Predictor
    alpha, l1_ratio : float
    gamma : float
        The share of the penalised fit in the mixture with its relaxed fit; 1 without one.
    standardised : ndarray, shape (p,)
        Coefficients for features of unit variance.
    means, deviations, scales : ndarray, shape (p,)
        Of the coefficients' columns in training, after imputation; ``scales`` is what the penalty
        was relative to.
    prediction_mean, prediction_sd : float
        Of the predictions for the training rows.
    references : mapping of str to Reference
        Per feature, and ``prediction``.
    curve : Curve
    certificate : Certificate
    stability : Stability or None
    diagnostics : Diagnostics
    holdout : Holdout or None
    evaluated : Predictor or None
        Fitted without the held-out rows: what ``holdout`` is about, and another is compared with.
    job : mapping
        The training job, as its file had it.
    importance : Importance or None
    kept_together : str or None
        The column whose rows of one value shared a fold; None for rows one by one.

    Examples
    --------
    >>> import pandas as pd
    >>> from lasso_jobs import load_model
    >>> model = load_model("models", "sales")
    >>> model.coef.round(2).to_dict()
    {'price': -1.99, 'visitors': 0.99}
    >>> model.predict(pd.DataFrame({"price": [20.0], "visitors": [100.0]})).round(1).to_list()
    [110.2]
    """

    name: str
    target: str
    n_rows: int
    predictor: Predictor
    alpha: float
    l1_ratio: float
    gamma: float
    standardised: Floats
    means: Floats
    deviations: Floats
    scales: Floats
    prediction_mean: float
    prediction_sd: float
    references: Mapping[str, Reference]
    curve: Curve
    certificate: Certificate
    stability: Stability | None
    diagnostics: Diagnostics
    holdout: Holdout | None
    evaluated: Predictor | None
    job: Mapping[str, Any]
    importance: Importance | None = None
    kept_together: str | None = None

    @property
    def columns(self) -> Columns:
        """The features, in order."""
        return self.predictor.columns

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """One label per coefficient."""
        return self.columns.labels_with(self.predictor.indicators)

    @property
    def coef(self) -> "pd.Series[float]":
        """Coefficients by label, in original units."""
        import pandas as pd

        return pd.Series(self.predictor.coef, index=list(self.labels), name="coef")

    @property
    def correlation(self) -> "pd.DataFrame | None":
        """Correlations of the columns in training; None if they were too many to keep."""
        import pandas as pd

        values, labels = self.diagnostics.collinearity.correlation, list(self.labels)
        return None if values is None else pd.DataFrame(values, index=labels, columns=labels)

    @property
    def intercept(self) -> float:
        """The prediction where every column is zero; 0 of a model without one."""
        return self.predictor.intercept

    def predict(self, frame: Any) -> Any:
        """Predict the rows of a frame.

        Parameters
        ----------
        frame : a frame of pandas, Polars, pyarrow, DuckDB, Dask or narwhals
            Or anything else that has the protocol of Arrow's stream, such as a table of Ibis. With
            at least the columns of the features whose coefficients are not zero.

        Returns
        -------
        A column named ``prediction`` of the same library
            A Series of pandas with the frame's index, or of Polars; of lazy frames of Dask and
            Polars, a lazy one. A ChunkedArray for a table of pyarrow and whatever else has the
            protocol, and an Array for a record batch; docs/guide/estimator.md has a table.

        Raises
        ------
        DataError
            If a column is missing, or of another type than in training; if the offset has a null;
            or if a value is one that no row was trained on: infinite, or a level with a fraction
            among whole numbers.

        Examples
        --------
        >>> import pandas as pd
        >>> from lasso_jobs import load_model
        >>> frame = pd.DataFrame({"price": [18.0, 22.0], "visitors": [90.0, 110.0]})
        >>> load_model("models", "sales").predict(frame).round().to_list()
        [104.0, 116.0]
        """
        predict = partial(predict_frame, self._used)
        return predictions(frame, self._used.columns.stored, predict)

    def contributions(self, frame: Any) -> "pd.DataFrame":
        """What each feature adds to the predictions of the rows of a frame.

        A feature's contribution is its term less the term's mean in training, so that a feature
        at its mean adds nothing. These are the Shapley values of a linear model with independent
        features (Lundberg and Lee 2017, "A unified approach to interpreting model predictions";
        Strumbelj and Kononenko 2014). A category's levels, and a number's null indicator, are one
        term. The contributions of a row add up to its prediction less `base_value`.

        Parameters
        ----------
        frame : a frame in memory, as for `predict`

        Returns
        -------
        pandas.DataFrame, shape (n, n_used)
            A column for each feature whose coefficients are not zero, in the target's unit; its
            index is that of a pandas frame.

        Raises
        ------
        DataError
            If a column is missing, or of another type than in training.

        Examples
        --------
        >>> import pandas as pd
        >>> from lasso_jobs import load_model
        >>> model = load_model("models", "sales")
        >>> frame = pd.DataFrame({"price": [18.0], "visitors": [110.0]})
        >>> parts = model.contributions(frame)
        >>> parts.round(1).to_dict("records")
        [{'price': 4.1, 'visitors': 11.1}]
        >>> bool(abs(model.base_value + parts.sum(axis=1) - model.predict(frame)).max() < 1e-9)
        True
        """
        from lasso_jobs.models.contributions import contributions

        return contributions(self, frame)

    @cached_property
    def base_value(self) -> float:
        """The mean prediction of the training rows, which contributions are relative to."""
        return self.intercept + sum(self.mean_terms.values())

    @cached_property
    def mean_terms(self) -> Mapping[str, float]:
        """What each feature with a coefficient that is not zero adds to `base_value`."""
        return self.predictor.mean_terms(self.means)

    @property
    def _used(self) -> Predictor:
        """The predictor of the features whose coefficients are not zero."""
        return self.predictor.only(self.predictor.used)

    def to_sklearn(self) -> "Pipeline":
        """A fitted scikit-learn pipeline that predicts the same from pandas frames."""
        from lasso_jobs.models.sklearn_pipeline import to_sklearn

        return to_sklearn(self)

    def to_dask(self) -> Any:
        """The same pipeline in dask-ml's ParallelPostFit, which predicts dask frames by partition.

        Returns
        -------
        dask_ml.wrappers.ParallelPostFit
            Its predictions of pandas and dask frames are Series, with the index of the frame,
            which must have every feature.
        """
        from lasso_jobs.models.dask_pipeline import to_dask

        return to_dask(self)
