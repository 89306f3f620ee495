"""A model as dask-ml's meta-estimator, for notebooks; nothing is computed here."""

from typing import TYPE_CHECKING, Any

import pandas as pd
from sklearn.pipeline import Pipeline

from lasso_jobs.artifacts.sklearn_pipeline import to_sklearn
from lasso_jobs.errors import ModelError

if TYPE_CHECKING:
    from dask_ml.wrappers import ParallelPostFit

    from lasso_jobs.artifacts.model import Model


class FramePipeline(Pipeline):  # type: ignore[misc]  # scikit-learn states no types
    """A pipeline whose predictions keep the index of the frame, of which there may be no rows.

    A partition that a filter has emptied is ordinary in Dask; scikit-learn refuses no rows.
    """

    def predict(self, X: pd.DataFrame, **params: Any) -> "pd.Series[float]":
        """Predict the rows of a frame."""
        values = super().predict(X, **params) if len(X) else []
        return pd.Series(values, index=X.index, dtype="f8", name="prediction")


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
    pipeline = FramePipeline(to_sklearn(model).steps)
    # Stated, so that no call computes anything to find it out.
    meta = pd.Series([], dtype="f8", name="prediction")
    return ParallelPostFit(pipeline, predict_meta=meta)
