"""Takes what users hand to the estimator: matrices, frames and Dask collections, checked."""

import warnings
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import (
    _check_sample_weight,
    column_or_1d,
    validate_data,
)

from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.errors import DataError, JobError
from lasso_jobs.estimator.dask_rows import RowsOnDask, is_array, is_dask
from lasso_jobs.estimator.rows import Rows, RowsOfMatrix

if TYPE_CHECKING:
    from lasso_jobs.estimator.lasso_cv import LassoCV


def rows(estimator: "LassoCV", X: Any, y: Any, sample_weight: Any) -> Rows:
    """The rows to fit to; the estimator learns the number and the names of their columns."""
    if is_dask(X):
        _learn_columns(estimator, X, reset=True)
        as_arrays(getattr(y, "_meta", None))
        return RowsOnDask.of(X, y, sample_weight)
    X, y = validate_data(
        estimator,
        as_arrays(X),
        vector(y),
        accept_sparse="csr",
        dtype=np.float64,
        y_numeric=True,
        ensure_min_samples=2,
        ensure_all_finite=_finite(estimator),
    )
    weights = vector(sample_weight)
    if weights is not None:
        weights = _check_sample_weight(weights, X, dtype=np.float64, ensure_non_negative=True)
    return RowsOfMatrix(X, y.astype(np.float64, copy=False), weights)


def matrix(estimator: "LassoCV", X: Any) -> Any:
    """Rows to predict, with the columns that were fitted to."""
    return validate_data(
        estimator,
        as_arrays(X),
        accept_sparse="csr",
        dtype=np.float64,
        reset=False,
        ensure_all_finite=_finite(estimator),
    )


def _finite(estimator: "LassoCV") -> Any:
    return "allow-nan" if estimator.missing == "mean" else True


def _learn_columns(estimator: "LassoCV", X: Any, *, reset: bool) -> None:
    """Learn the columns of a Dask collection, or check that they are those that were learnt."""
    shown = as_arrays(np.empty((0, *X.shape[1:]), X.dtype) if is_array(X) else X._meta)
    if shown.ndim != 2:
        # In the words of scikit-learn, which its users search for.
        raise ValueError(f"Expected 2D array, got {shown.ndim}D instead: X is a {type(X).__name__}")
    validate_data(estimator, shown, reset=reset, skip_check_array=True)


def as_arrays(X: Any) -> Any:
    """Frames that scikit-learn does not know as those that it does.

    Raises
    ------
    DataError
        If a column has times, of which numpy would make numbers in units that nobody chose.
    """
    if type(X).__module__.startswith("polars.") and hasattr(X, "collect"):
        X = X.collect()
    elif hasattr(X, "__arrow_c_stream__") and not hasattr(X, "__array__"):
        import pyarrow as pa

        X = pa.table(X)
    for name, dtype in _types(X):
        if _is_time(dtype):
            remedy = "Make numbers of it, such as days since a date"
            raise DataError(f"column {name!r}", f"has {dtype}", "numbers or booleans", remedy)
    return X


def _types(X: Any) -> list[tuple[Any, Any]]:
    """The name and the type of each column, of a frame of whichever library, or of an array."""
    if hasattr(X, "column_names"):
        return list(zip(X.column_names, X.schema.types, strict=True))
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        return list(zip(X.columns, X.dtypes, strict=True))
    return [(getattr(X, "name", None) or "all", X.dtype)] if hasattr(X, "dtype") else []


def _is_time(dtype: Any) -> bool:
    """Whether a type of pyarrow, Polars or numpy has dates, times or durations."""
    dtype = getattr(dtype, "pyarrow_dtype", dtype)
    if type(dtype).__module__.startswith("pyarrow."):
        import pyarrow as pa

        return bool(pa.types.is_temporal(dtype))
    if hasattr(dtype, "is_temporal"):
        return bool(dtype.is_temporal())
    return getattr(dtype, "kind", "O") in "mM"


def vector(values: Any) -> Any:
    """One value for each row, also of a frame of one column."""
    if values is None or is_dask(values):
        return values.compute() if is_dask(values) else None
    values = as_arrays(values)
    if getattr(values, "ndim", 1) == 1 and not hasattr(values, "column_names"):
        return values
    return column_or_1d(np.asarray(values), warn=hasattr(values, "ndim"))


def alphas(wanted: Any) -> int | tuple[float, ...]:
    """How many alphas to try, or which.

    Raises
    ------
    JobError
    """
    if isinstance(wanted, Integral) and not isinstance(wanted, bool) and int(wanted) >= 1:
        return int(wanted)
    try:
        values = np.asarray(wanted, float)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim != 1 or not len(values) or not np.all(np.isfinite(values) & (values >= 0)):
        found, expected = f"is {wanted!r}", "a number of alphas, or a list of some"
        raise JobError("LassoCV, alphas", found, expected, "Give a positive number, or a list")
    return tuple(values.tolist())


def name_of(y: Any) -> str:
    """The name of a series; otherwise y."""
    name = getattr(y, "name", None)
    return name if isinstance(name, str) and name and not hasattr(y, "chunks") else "y"


def filled(X: Any, fill: Floats) -> Any:
    """The rows with each NaN replaced by its column's fill."""
    if not isinstance(X, np.ndarray):
        X = X.toarray()
    return np.where(np.isnan(X), fill, X)


def predict_on_dask(estimator: "LassoCV", X: Any) -> Any:
    """Predict the partitions of a Dask collection, when they are computed."""
    _learn_columns(estimator, X, reset=False)
    if is_array(X):
        X = X.rechunk({1: -1}) if X.numblocks[1] > 1 else X
        return X.map_blocks(_predicted, estimator, drop_axis=1, dtype=np.float64, meta=np.empty(0))
    return X.map_partitions(_predicted_series, estimator, meta=("prediction", "f8"))


def _predicted(X: Any, estimator: "LassoCV") -> Floats:
    values: Floats = estimator.predict(X) if X.shape[0] else np.empty(0)
    return values


def _predicted_series(X: Any, estimator: "LassoCV") -> Any:
    import pandas as pd

    return pd.Series(_predicted(X, estimator), index=X.index, name="prediction")


def warn_not_converged(gap: float) -> None:
    """Warn as scikit-learn does."""
    warnings.warn(
        f"A fit did not converge: the final duality gap is {gap:.3g} of the variance of y. "
        "Try fewer small alphas (a larger eps), or scaling='standard'.",
        ConvergenceWarning,
        stacklevel=3,
    )
