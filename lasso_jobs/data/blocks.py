"""Row groups to arrays: the only place that reads rows."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lasso_jobs.core.columns import Block, Category, Columns, DateFeature
from lasso_jobs.data import storage
from lasso_jobs.data.dataset import FileIdentity, Piece, leaf_owners
from lasso_jobs.data.where import Condition
from lasso_jobs.errors import DataError

Number = TypeVar("Number", np.int64, np.float64)

BLOCK_ROWS = 65_536
"""Rows in memory at a time; part of what makes results reproducible, so it never adapts."""

ROWS_BY_COLUMN = 16_384
"""From so many rows on, reading a column costs more than asking for it."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a piece that pass the filter.

    Parameters
    ----------
    table : pyarrow.Table
        The wanted columns, but for those to be had later.
    positions : ndarray of int64, shape (n,)
        Of the rows in their file.
    n_filtered : int
        Rows that the filter took out.
    n_bytes : int
        Compressed bytes that are read for these rows.
    later : callable
        Of the name of a column that is to be had later: its values as float64, null being NaN.
    """

    table: pa.Table
    positions: NDArray[np.int64]
    n_filtered: int
    n_bytes: int
    later: Callable[[str], NDArray[np.float64]]


def read(
    piece: Piece,
    columns: Sequence[str],
    where: Sequence[Condition] = (),
    later: Sequence[str] = (),
    block_rows: int | None = None,
    absent: Collection[str] = (),
) -> Iterator[Rows]:
    """Read the wanted columns of a piece, a block at a time.

    Parameters
    ----------
    piece : Piece
    columns : sequence of str
    where : sequence of Condition
        The rows to keep; may use columns that are not wanted.
    later : sequence of str
        Those of the columns, all numbers, that are wanted one after the other. Of a row group that
        is a block they are read then: such a column is used while it is in the processor's cache,
        and its memory is that of the column before.
    block_rows : int, optional
        Most rows of a block; `BLOCK_ROWS` if absent.
    absent : collection of str
        Columns that are null where the file lacks them.

    Raises
    ------
    DataError
        If the file has changed since its footer was read, or is damaged.
    """
    constants = dict(piece.file.constants)
    in_filter = {c for w in where for c in sorted(w.columns)}
    needed = list(dict.fromkeys([*columns, *sorted(in_filter)]))
    physical = [name for name in needed if name not in constants]
    at_once = [name for name in physical if name not in later or name in in_filter]
    most = block_rows or BLOCK_ROWS
    position = piece.first_row
    with _intact(piece):
        _check_unchanged(piece.file)
        # Not closed here: `Rows.later` may outlive the iteration.
        file = _open(piece.file)
        for index in piece.row_groups:
            group = file.metadata.row_group(index)
            by_column = not storage.is_uri(piece.file.path)
            by_column = by_column and ROWS_BY_COLUMN <= group.num_rows <= most
            table = _read_group(file, index, at_once if by_column else physical)
            for name in needed:
                if name in constants:
                    value = pa.repeat(constants[name], group.num_rows)
                    table = table.append_column(name, value)
            for name in set(absent) - set(table.column_names):
                table = table.append_column(name, pa.nulls(group.num_rows))
            n_bytes = _read_bytes(group, file.schema_arrow, set(physical))
            for start in range(0, group.num_rows, most):
                part = table.slice(start, min(most, group.num_rows - start))
                positions = np.arange(position + start, position + start + part.num_rows)
                part, kept = matching(part, positions, where) if where else (part, positions)
                rows = kept - position if where else slice(None)
                yield Rows(
                    part.select([name for name in columns if name not in later]),
                    kept,
                    len(positions) - len(kept),
                    0 if start else n_bytes,
                    partial(_later, piece, file, index, part, rows),
                )
            position += group.num_rows


def _later(
    piece: Piece,
    file: pq.ParquetFile,
    index: int,
    table: pa.Table,
    rows: NDArray[np.int64] | slice,
    name: str,
) -> NDArray[np.float64]:
    """The values of a column that is in the table, or else is read now."""
    if name in table.column_names:
        return numbers(table.column(name))
    with _intact(piece):
        return numbers(_read_group(file, index, [name]).column(0))[rows]


def _read_group(file: pq.ParquetFile, index: int, columns: Sequence[str]) -> pa.Table:
    return _plain(file.read_row_group(index, columns=columns, use_threads=False))


@contextmanager
def _intact(piece: Piece) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            piece.file.path,
            f"cannot be read ({error})",
            "an intact Parquet file",
            "Replace the file",
        ) from error


def _open(file: FileIdentity) -> pq.ParquetFile:
    """Map a local file; fetch the wanted ranges of an object, neighbouring ones at once."""
    source = storage.source(file.path, file.state)
    return pq.ParquetFile(source, memory_map=True, pre_buffer=storage.is_uri(file.path))


def _check_unchanged(file: FileIdentity) -> None:
    try:
        state = storage.state(file.path)
    except FileNotFoundError as error:
        raise DataError(
            file.path, "has disappeared", "the file that the plan names", "Restore it, or plan anew"
        ) from error
    if state != file.state:
        raise DataError(
            file.path, "has changed since the plan", "the planned file", "Run the job again"
        )


def _plain(table: pa.Table) -> pa.Table:
    """Arrow has no kernels to filter views of text."""
    if not any(pa.types.is_string_view(field.type) for field in table.schema):
        return table
    fields = [
        field.with_type(pa.large_string()) if pa.types.is_string_view(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _read_bytes(group: pq.RowGroupMetaData, schema: pa.Schema, physical: set[str]) -> int:
    return sum(
        int(group.column(j).total_compressed_size)
        for j, owner in enumerate(leaf_owners(schema))
        if schema.names[owner] in physical
    )


def matching(
    table: pa.Table, positions: NDArray[np.int64], conditions: Sequence[Condition]
) -> tuple[pa.Table, NDArray[np.int64]]:
    """The rows that meet all conditions, with their positions."""
    # The position travels along, under a name that no column has.
    mark = "position of " + " ".join(table.column_names)
    table = table.append_column(mark, array(positions))
    for condition in conditions:
        table = condition.filter(table)
    return table, _buffer(table.column(mark).combine_chunks(), np.int64)


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
    return _buffer(array, np.float64)


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
        return texts, _buffer(pc.cast(array.indices, pa.int64()), np.int64)
    indices = pc.fill_null(pc.cast(array.indices, pa.int64()), len(texts))
    return [*texts, None], _buffer(indices, np.int64)


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


def _buffer(array: pa.Array, dtype: type[Number]) -> NDArray[Number]:
    # Array.to_numpy() imports pandas, which costs more than many jobs.
    if len(array) == 0:
        return np.empty(0, dtype)
    data, size = array.buffers()[1], np.dtype(dtype).itemsize
    return np.frombuffer(data, dtype, count=len(array), offset=array.offset * size)
