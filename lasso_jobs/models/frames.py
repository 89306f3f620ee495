"""Takes the columns that a model needs from the frames that people have."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.data.arrays import check_range, check_text, numbers, plain
from lasso_jobs.data.columns.feature_block import block, vectors_in
from lasso_jobs.data.columns.feature_kinds import check_types
from lasso_jobs.data.columns.kinds import kind_of
from lasso_jobs.data.schema import listed
from lasso_jobs.data.vectors.values import check_vectors
from lasso_jobs.errors import DataError

REMEDY = "Leave the row out, or write a null"


def check_names(present: Sequence[str], names: Sequence[str]) -> None:
    """Check that a frame has each of the columns, once.

    Raises
    ------
    DataError
        Naming the first column that it has not, or has several times.
    """
    for name in names:
        count = present.count(name)
        if count != 1:
            found = f"has {count} columns {name!r}" if count else f"lacks the column {name!r}"
            remedy = "Remove the others" if count else "Add the column"
            raise DataError("frame", found, f"the columns {listed(names)}, each once", remedy)


def library_of(frame: Any) -> str:
    """The library that a frame is of, by its top-level module.

    Examples
    --------
    >>> library_of(pa.table({"a": [1.0]}))
    'pyarrow'
    """
    return type(frame).__module__.partition(".")[0]


def table_of(frame: Any, names: Sequence[str]) -> pa.Table:
    """The columns of a frame in memory, as a table with its number of rows.

    Parameters
    ----------
    frame : pandas.DataFrame, or what has the protocol of Arrow's stream or is a record batch
    names : sequence of str

    Raises
    ------
    DataError
        If it is something else, lacks a column, or has one that Arrow cannot represent.
    """
    if isinstance(frame, pa.RecordBatch):
        frame = pa.Table.from_batches([frame])
    if library_of(frame) != "pandas" and hasattr(frame, "__arrow_c_stream__"):
        # Of a frame of Polars, only the columns that are needed are converted.
        if library_of(frame) == "polars":
            check_names(frame.columns, names)
            frame = frame.select(*names) if names else frame
        table = frame if isinstance(frame, pa.Table) else pa.table(frame)
        check_names(table.column_names, names)
        return _checked(table.select([*names]) if names else table)
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise DataError(
            "frame",
            f"is a {type(frame).__module__}.{type(frame).__qualname__}",
            "a frame of pandas, Polars, pyarrow, DuckDB or dask, with columns by name",
            "Convert it",
        )
    check_names(list(frame.columns), names)
    return _checked(pa.table({name: _column(name, frame[name]) for name in names}))


def block_of(frame: Any, columns: Columns, offset: str | None = None) -> Block:
    """The features of the rows of a frame in memory.

    Raises
    ------
    DataError
        If a column is missing, or of another type than in training, or the offset has a null.
    """
    table = table_of(frame, columns.stored)
    check_types(table.schema, columns, "frame")
    vectors, rows = vectors_in(table, columns), range(table.num_rows)
    for vector in columns.vectors:
        column, values = table.column(vector.column), vectors[vector.column]
        check_vectors("frame", column, values, vector=vector, positions=rows)
    features = block(table, columns, vectors)
    for name, numbers_of in zip(columns.numeric, features.numeric, strict=True):
        check_range(f"frame, column {name!r}", numbers_of, remedy=REMEDY)
    if offset is not None:
        _check_offset(offset, features.numeric[columns.place[offset]])
    for category in columns.categories:
        if category.type == "integer" and category.name in table.column_names:
            _check_whole(category.name, table.column(category.name))
    return features


def _check_offset(name: str, values: Floats) -> None:
    nulls = np.isnan(values)
    if nulls.any():
        raise DataError(
            f"frame, column {name!r}",
            f"has {int(nulls.sum())} nulls, the first in row {int(nulls.argmax())}",
            "a number in every row, as it is the model's offset",
            "Fill them, or leave these rows out",
        )


def _check_whole(name: str, column: pa.ChunkedArray) -> None:
    """Check that numbers which are levels are whole; scoring quarantines the others."""
    if kind_of(column.type) != "number":
        return
    values = numbers(column)
    odd = ~np.isnan(values) & (np.isinf(values) | (values != np.round(values)))
    if odd.any():
        found, expected = f"has the value {values[odd][0]:g}", "whole numbers, or nulls"
        raise DataError(f"frame, column {name!r}", found, expected, REMEDY)


def predict_frame(predictor: Predictor, frame: Any) -> Floats:
    """Predict a frame in memory.

    Raises
    ------
    DataError
        As `block_of`.
    """
    if not predictor.columns.stored:
        table_of(frame, ())
        return np.full(len(frame), predictor.intercept)
    return predictor.predict(block_of(frame, predictor.columns, predictor.offset))


def _checked(table: pa.Table) -> pa.Table:
    table = plain(table)
    for name, column in zip(table.column_names, table.columns, strict=True):
        check_text("frame", name, column)
    return table


def _column(name: str, values: Any) -> pa.Array:
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
        raise DataError(
            f"frame, column {name!r}",
            f"cannot be a column of Arrow ({error})",
            "numbers, texts or times, of one type",
            "Convert it",
        ) from error
    # Pandas must give a column of nulls a type, which means nothing.
    return pa.nulls(len(array)) if array.null_count == len(array) else array
