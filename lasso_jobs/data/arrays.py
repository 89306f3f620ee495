"""Columns of Arrow as arrays of numpy, and back, without loading pandas."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lasso_jobs.core.columns import Block, Category, Columns, DateFeature
from lasso_jobs.errors import DataError

Number = TypeVar("Number", np.int64, np.float64)


def array(values: NDArray[Any]) -> pa.Array:
    """Numbers as a column, without a copy.

    ``pyarrow.array`` would load pandas, to see whether they are one of its own.
    """
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, buffer])


def repeated(value: str, n: int) -> pa.Array:
    """A text in each of n rows, without pandas."""
    content = value.encode()
    ends = np.arange(n + 1, dtype=np.int64) * len(content)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(content * n)]
    return pa.Array.from_buffers(pa.large_string(), n, buffers).cast(pa.string())


def numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Values as float64; null is NaN. The array may be a read-only view."""
    array = _one_array(column)
    if pa.types.is_null(array.type):
        return np.full(len(array), np.nan)
    if not pa.types.is_float64(array.type):
        array = pc.cast(array, pa.float64(), safe=False)
    if array.null_count:
        array = pc.fill_null(array, np.nan)
    return values_of(array, np.float64)


def has_infinity(values: NDArray[np.float64]) -> bool:
    """Whether there is an infinite value; one sum answers it for most columns."""
    with np.errstate(invalid="ignore", over="ignore"):
        return not np.isfinite(values.sum()) and bool(np.isinf(values).any())


def levels(column: pa.ChunkedArray) -> tuple[list[str | None], NDArray[np.int64]]:
    """The distinct values as text, and the index into them of each row."""
    array = _one_array(column)
    if pa.types.is_null(array.type):
        return [None], np.zeros(len(array), np.int64)
    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), None, array)
    if not pa.types.is_dictionary(array.type):
        array = pc.dictionary_encode(array)
    texts: list[str | None]
    if pa.types.is_floating(array.dictionary.type):
        # Integers with nulls are floats in pandas: 7.0 is the level 7.
        texts = [str(int(v)) if v.is_integer() else repr(v) for v in array.dictionary.to_pylist()]
    else:
        texts = pc.cast(array.dictionary, pa.string()).to_pylist()
    if array.indices.null_count == 0:
        return texts, values_of(pc.cast(array.indices, pa.int64()), np.int64)
    indices = pc.fill_null(pc.cast(array.indices, pa.int64()), len(texts))
    return [*texts, None], values_of(indices, np.int64)


def codes(column: pa.ChunkedArray, category: Category) -> NDArray[np.int32]:
    """The index of each row's indicator, -1 where the category has none for it."""
    texts, index = levels(column)
    known = {level: code for code, level in enumerate(category.levels)}
    rest = len(category.levels) if category.other else -1
    return np.array([known.get(text, rest) for text in texts] or [rest], np.int32)[index]


_PARTS = {
    "year": pc.year,
    "month": pc.month,
    "weekday": pc.day_of_week,  # Monday is 0
    "hour": pc.hour,
    "day_of_year": pc.day_of_year,
}


def with_parts(table: pa.Table, dates: Sequence[DateFeature]) -> pa.Table:
    """Add the parts of dates as columns; those of a time with a zone are the zone's.

    Raises
    ------
    DataError
        If a zone is not known here.
    """
    for date in dates:
        column = table.column(date.column)
        if pa.types.is_null(column.type):
            column = pa.nulls(table.num_rows, pa.date32())
        try:
            table = table.append_column(date.name, _PARTS[date.part](column))
        except pa.ArrowException as error:
            raise DataError(
                f"column {date.column!r}",
                f"has type {column.type}, whose {date.part} cannot be told ({error})",
                "a date, or a timestamp in a known time zone",
                "Install the time zones (tzdata), or convert the column",
            ) from error
    return table


def block(table: pa.Table, columns: Columns) -> Block:
    """The features of some rows."""
    table = with_parts(table, columns.dates)
    return Block(
        table.num_rows,
        tuple(numbers(table.column(name)) for name in columns.numeric),
        tuple(codes(table.column(c.name), c) for c in columns.categories),
    )


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    combined = column.combine_chunks()  # copies, even a single chunk
    if isinstance(combined, pa.ChunkedArray):
        combined = combined.chunk(0) if combined.num_chunks else pa.array([], column.type)
    return combined


def values_of(array: pa.Array, dtype: type[Number]) -> NDArray[Number]:
    """Numbers without nulls, without a copy."""
    # Array.to_numpy() imports pandas, which costs more than many jobs.
    if len(array) == 0:
        return np.empty(0, dtype)
    data, size = array.buffers()[1], np.dtype(dtype).itemsize
    return np.frombuffer(data, dtype, count=len(array), offset=array.offset * size)
