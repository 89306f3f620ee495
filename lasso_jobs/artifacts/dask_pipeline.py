"""A model as dask-ml's meta-estimator, for notebooks; nothing is computed here."""

from typing import TYPE_CHECKING, Any

import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from lasso_jobs.artifacts.frames import table_of
from lasso_jobs.artifacts.sklearn_pipeline import to_sklearn
from lasso_jobs.core.columns import Columns
from lasso_jobs.data.schema import check_types
from lasso_jobs.errors import DataError, ModelError

if TYPE_CHECKING:
    from dask_ml.wrappers import ParallelPostFit

    from lasso_jobs.artifacts.model import Model


class FramePipeline(Pipeline):  # type: ignore[misc]  # scikit-learn states no types
    """A pipeline whose predictions keep the index of the frame, of which there may be no rows.

    A partition that a filter has emptied is ordinary in Dask; scikit-learn refuses no rows.
    """

    def predict(self, X: pd.DataFrame, **params: Any) -> "pd.Series[float]":
        """Predict the rows of a frame."""
        empty = isinstance(X, pd.DataFrame) and not len(X)
        values = [] if empty else super().predict(X, **params)
        return pd.Series(values, index=X.index, dtype="f8", name="prediction")


def checked(frame: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """A frame with the columns that a model was trained on, of their types.

    Scikit-learn takes numbers for unseen levels, and says of missing columns what only it knows.

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
            "Run pip install 'lasso_jobs[compare]', or use model.predict, which needs it not",
        ) from error
    check = FunctionTransformer(checked, kw_args={"columns": model.columns})
    pipeline = FramePipeline([("check", check), *to_sklearn(model).steps])
    # Stated, so that no call computes anything to find it out.
    meta = pd.Series([], dtype="f8", name="prediction")
    return ParallelPostFit(pipeline, predict_meta=meta)
