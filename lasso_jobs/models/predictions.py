"""Predicts frames of any library, and returns a column of the same library."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lasso_jobs.data.arrays import array
from lasso_jobs.errors import DataError
from lasso_jobs.models.frames import check_names, library_of

PREDICTION = "prediction"

Predict = Callable[[Any], NDArray[np.float64]]


def predictions(frame: Any, names: Sequence[str], predict: Predict) -> Any:
    """Predict a frame; see `lasso_jobs.models.model.Model.predict`.

    Parameters
    ----------
    frame : a frame
    names : sequence of str
        The columns that are needed.
    predict : callable
        Predicts a frame in memory.

    Raises
    ------
    DataError
        If it is no frame, or lacks a column.
    """
    library = library_of(frame)
    if library == "narwhals":
        return _of_narwhals(frame, names, predict)
    if library in ("dask", "dask_expr"):
        check_names(list(frame.columns), names)
        # Of files that the frame stands for, only these columns are read.
        wanted = frame[[*names]] if names else frame
        return wanted.map_partitions(_as_series, predict, meta=(PREDICTION, "f8"))
    if library == "polars" and hasattr(frame, "collect_schema"):
        return _of_polars(frame, names, predict)
    if isinstance(frame, pa.RecordBatch):
        return array(predict(frame))
    if isinstance(frame, pa.Table):
        return pa.chunked_array([array(predict(frame))])
    if library != "pandas" and hasattr(frame, "__arrow_c_stream__"):
        parts = [array(predict(batch)) for batch in _batches(frame, names)]
        return pa.chunked_array(parts, pa.float64())
    return _as_series(frame, predict)


def _as_series(frame: Any, predict: Predict) -> Any:
    import pandas as pd

    values = predict(frame)  # which refuses what is no frame of pandas
    return pd.Series(values, index=frame.index, name=PREDICTION)


def _of_polars(frame: Any, names: Sequence[str], predict: Predict) -> Any:
    """A series; of a lazy frame, a lazy frame of one column."""
    import polars as pl

    if isinstance(frame, pl.DataFrame):
        return pl.Series(PREDICTION, predict(frame))
    check_names(frame.collect_schema().names(), names)

    def predicted(part: pl.DataFrame) -> pl.DataFrame:
        return pl.DataFrame({PREDICTION: predict(part)}, schema={PREDICTION: pl.Float64})

    wanted = frame.select(*names) if names else frame
    # Rows that are asked for later are rows of these, so nothing may be filtered before.
    return wanted.map_batches(
        predicted,
        schema={PREDICTION: pl.Float64},
        predicate_pushdown=False,
        projection_pushdown=False,
    )


def _of_narwhals(frame: Any, names: Sequence[str], predict: Predict) -> Any:
    import narwhals as nw

    found = predictions(frame.to_native(), names, predict)
    return nw.from_native(found, allow_series=True)


def _batches(frame: Any, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of whatever has the protocol of Arrow's stream, a batch at a time."""
    if library_of(frame) == "duckdb":
        check_names(frame.columns, names)
        if names:  # so that DuckDB reads no other column
            frame = frame.project(
                ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}"' for name in names)
            )
    try:
        yield from pa.RecordBatchReader.from_stream(frame)
    except pa.ArrowException as error:
        raise DataError(
            "frame",
            f"cannot be read as a stream of Arrow ({error})",
            "a frame with columns by name",
            "Convert it to a frame of pandas, Polars or pyarrow",
        ) from error
