"""Row groups to arrays: the only place that reads rows."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lasso_jobs.data import storage
from lasso_jobs.data.arrays import array, numbers, values_of
from lasso_jobs.data.dataset import FileIdentity, Piece
from lasso_jobs.data.discover import leaf_owners
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
            table = _completed(table, group.num_rows, constants, needed, absent)
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


def _completed(
    table: pa.Table,
    n_rows: int,
    constants: Mapping[str, pa.Scalar],
    needed: Sequence[str],
    absent: Collection[str],
) -> pa.Table:
    """With the columns that are constant in the file, and nulls for those that it lacks."""
    for name in needed:
        if name in constants:
            table = table.append_column(name, pa.repeat(constants[name], n_rows))
    for name in set(absent) - set(table.column_names):
        table = table.append_column(name, pa.nulls(n_rows))
    return table


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
    return table, values_of(table.column(mark).combine_chunks(), np.int64)
