"""Row groups to arrays: the only place that reads rows."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lasso_jobs.core.columns import Block, Category, Columns
from lasso_jobs.data import storage
from lasso_jobs.data.dataset import FileIdentity, Piece, leaf_owners
from lasso_jobs.data.where import Condition
from lasso_jobs.errors import DataError

Number = TypeVar("Number", np.int64, np.float64)

BLOCK_ROWS = 65_536
"""Rows in memory at a time; part of what makes results reproducible, so it never adapts."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a piece that pass the filter.

    Parameters
    ----------
    table : pyarrow.Table
        The wanted columns.
    positions : ndarray of int64, shape (n,)
        Of the rows in their file.
    n_filtered : int
        Rows that the filter took out.
    n_bytes : int
        Compressed bytes that were read for these rows.
    """

    table: pa.Table
    positions: NDArray[np.int64]
    n_filtered: int
    n_bytes: int


def read(
    piece: Piece,
    columns: Sequence[str],
    where: Sequence[Condition] = (),
    absent: Collection[str] = (),
) -> Iterator[Rows]:
    """Read the wanted columns of a piece, a block at a time.

    Parameters
    ----------
    piece : Piece
    columns : sequence of str
    where : sequence of Condition
        The rows to keep; may use columns that are not wanted.
    absent : collection of str
        Columns that are null where the file lacks them.

    Raises
    ------
    DataError
        If the file has changed since its footer was read, or is damaged.
    """
    constants = dict(piece.file.constants)
    needed = list(dict.fromkeys([*columns, *(c for w in where for c in sorted(w.columns))]))
    physical = [name for name in needed if name not in constants]
    position = piece.first_row
    try:
        _check_unchanged(piece.file)
        with _open(piece.file) as file:
            for index in piece.row_groups:
                table = file.read_row_group(index, columns=physical, use_threads=False)
                table = _plain(table)
                n_bytes = _read_bytes(
                    file.metadata.row_group(index), file.schema_arrow, set(physical)
                )
                rows = file.metadata.row_group(index).num_rows
                for name in needed:
                    if name in constants:
                        table = table.append_column(name, pa.repeat(constants[name], rows))
                for name in set(absent) - set(table.column_names):
                    table = table.append_column(name, pa.nulls(rows))
                for start in range(0, rows, BLOCK_ROWS):
                    part = table.slice(start, min(BLOCK_ROWS, rows - start))
                    positions = np.arange(position + start, position + start + part.num_rows)
                    yield _filtered(part, positions, columns, where, 0 if start else n_bytes)
                position += rows
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


def _filtered(
    table: pa.Table,
    positions: NDArray[np.int64],
    columns: Sequence[str],
    where: Sequence[Condition],
    n_bytes: int,
) -> Rows:
    before = table.num_rows
    if where:
        table, positions = matching(table, positions, where)
    return Rows(table.select(list(columns)), positions, before - table.num_rows, n_bytes)


def matching(
    table: pa.Table, positions: NDArray[np.int64], conditions: Sequence[Condition]
) -> tuple[pa.Table, NDArray[np.int64]]:
    """The rows that meet all conditions, with their positions."""
    # The position travels along, under a name that no column has.
    mark = "position of " + " ".join(table.column_names)
    table = table.append_column(mark, pa.array(positions))
    for condition in conditions:
        table = condition.filter(table)
    return table, _buffer(table.column(mark).combine_chunks(), np.int64)


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


def block(table: pa.Table, columns: Columns) -> Block:
    """The features of some rows."""
    return Block(
        table.num_rows,
        tuple(numbers(table.column(name)) for name in columns.numeric),
        tuple(codes(table.column(c.name), c) for c in columns.categories),
    )


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    if isinstance(combined, pa.ChunkedArray):
        combined = combined.chunk(0) if combined.num_chunks else pa.array([], column.type)
    return combined


def _buffer(array: pa.Array, dtype: type[Number]) -> NDArray[Number]:
    # Array.to_numpy() imports pandas, which costs more than many jobs.
    if len(array) == 0:
        return np.empty(0, dtype)
    data, size = array.buffers()[1], np.dtype(dtype).itemsize
    return np.frombuffer(data, dtype, count=len(array), offset=array.offset * size)
