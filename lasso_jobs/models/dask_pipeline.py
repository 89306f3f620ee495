"""Wraps a model in dask-ml's meta-estimator, for notebooks; nothing is computed here."""

from typing import TYPE_CHECKING, Any

import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.data.columns.feature_kinds import check_types
from lasso_jobs.errors import DataError, ModelError
from lasso_jobs.models.frames import table_of
from lasso_jobs.models.sklearn_pipeline import to_sklearn

if TYPE_CHECKING:
    from dask_ml.wrappers import ParallelPostFit

    from lasso_jobs.models.model import Model


class FramePipeline(Pipeline):  # type: ignore[misc]  # scikit-learn states no types
    """A pipeline whose predictions keep the index of the frame, even if it has no rows.

    A filter often leaves a Dask partition without rows, and scikit-learn refuses such a frame.
    """

    def predict(self, X: pd.DataFrame, **params: Any) -> "pd.Series[float]":
        """Predict the rows of a frame."""
        empty = isinstance(X, pd.DataFrame) and not len(X)
        values = [] if empty else super().predict(X, **params)
        return pd.Series(values, index=X.index, dtype="f8", name="prediction")


def checked(frame: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """Check that a frame has the columns that a model was trained on, of their types.

    Scikit-learn would take a number for an unseen level, and its message of a missing column speaks
    of its own steps.

    Raises
    ------
    DataError
    """
    if not isinstance(frame, pd.DataFrame):
        expected, remedy = "a frame of pandas or dask", "Convert it, or use model.predict"
        raise DataError("frame", f"is a {type(frame).__name__}", expected, remedy)
    check_types(table_of(frame, columns.stored).schema, columns, "frame")
    return frame


def to_dask(model: "Model") -> "ParallelPostFit":
    """Wrap the model's scikit-learn pipeline.

    Raises
    ------
    ModelError
        If dask-ml is not installed, or the model has no pipeline (see `to_sklearn`).
    """
    try:
        from dask_ml.wrappers import ParallelPostFit
    except ImportError as error:
        raise ModelError(
            "to_dask",
            f"dask-ml cannot be imported ({error})",
            "the package dask-ml",
            "Run pip install 'lasso_jobs[compare]', or use model.predict, which does not need it",
        ) from error
    check = FunctionTransformer(checked, kw_args={"columns": model.columns})
    pipeline = FramePipeline([("check", check), *to_sklearn(model).steps])
    # Stated, so that no call computes anything to find it out.
    meta = pd.Series([], dtype="f8", name="prediction")
    return ParallelPostFit(pipeline, predict_meta=meta)
