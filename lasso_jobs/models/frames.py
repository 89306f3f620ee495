"""Takes the columns that a model needs from the frames that people have."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.data.arrays import check_text, plain
from lasso_jobs.data.columns.feature_block import block, vectors_in
from lasso_jobs.data.columns.feature_kinds import check_types
from lasso_jobs.data.schema import listed
from lasso_jobs.data.vectors.values import check_vectors
from lasso_jobs.errors import DataError


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


def table_of(frame: Any, names: Sequence[str]) -> pa.Table:
    """The columns of a frame in memory, as a table with its number of rows.

    Parameters
    ----------
    frame : pandas.DataFrame, pyarrow.Table or pyarrow.RecordBatch
    names : sequence of str

    Raises
    ------
    DataError
        If it is something else, lacks a column, or has one that Arrow cannot represent.
    """
    if isinstance(frame, pa.RecordBatch):
        frame = pa.Table.from_batches([frame])
    if isinstance(frame, pa.Table):
        check_names(frame.column_names, names)
        return _checked(frame.select([*names]))
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise DataError(
            "frame",
            f"is a {type(frame).__module__}.{type(frame).__qualname__}",
            "a frame of pandas, pyarrow or dask, with columns by name",
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
    rows_of_features = block(table, columns, vectors)
    if offset is not None:
        nulls = np.isnan(rows_of_features.numeric[columns.place[offset]])
        if nulls.any():
            raise DataError(
                f"frame, column {offset!r}",
                f"has {int(nulls.sum())} nulls, the first in row {int(nulls.argmax())}",
                "a number in every row, as it is the model's offset",
                "Fill them, or leave these rows out",
            )
    return rows_of_features


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
