"""The columns that a model needs, from the frames that people have."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

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
            raise DataError("frame", found, f"the columns {', '.join(names)}", remedy)


def table_of(frame: Any, names: Sequence[str]) -> pa.Table:
    """The columns of a frame in memory, as a table with its number of rows.

    Parameters
    ----------
    frame : pandas.DataFrame, pyarrow.Table or pyarrow.RecordBatch
    names : sequence of str

    Raises
    ------
    DataError
        If it is something else, lacks a column, or a column is none that Arrow can have.
    """
    if isinstance(frame, pa.RecordBatch):
        frame = pa.Table.from_batches([frame])
    if isinstance(frame, pa.Table):
        check_names(frame.column_names, names)
        return frame.select([*names])
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise DataError(
            "frame",
            f"is a {type(frame).__module__}.{type(frame).__qualname__}",
            "a frame of pandas, pyarrow or dask, with columns by name",
            "Convert it",
        )
    check_names(list(frame.columns), names)
    return pa.table({name: _column(name, frame[name]) for name in names})


def _column(name: str, values: Any) -> pa.Array:
    try:
        found = pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError) as error:
        raise DataError(
            f"frame, column {name!r}",
            f"cannot be a column of Arrow ({error})",
            "numbers, texts or times, of one type",
            "Convert it",
        ) from error
    # Pandas must give nulls a type, and says nothing by it.
    return pa.nulls(len(found)) if found.null_count == len(found) else found
