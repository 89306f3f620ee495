"""Reads the rows of a piece, a block at a time; no other module reads rows of the input."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lasso_jobs.data.arrays import array, matrix, numbers, plain, plain_type, values_of
from lasso_jobs.data.dataset import FileIdentity, Piece
from lasso_jobs.data.parquet_file import (
    PART_VALUES,
    leaves_of,
    n_values,
    opened,
    read_columns,
    read_in_parts,
    unreadable,
)
from lasso_jobs.data.where import Condition
from lasso_jobs.errors import DataError
from lasso_jobs.storage import files as storage

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
        Rows that the filter took out, or that the table has deleted.
    n_bytes : int
        Compressed bytes that are read for these rows.
    later : Later
    """

    table: pa.Table
    positions: NDArray[np.int64]
    n_filtered: int
    n_bytes: int
    later: "Later"


def read(
    piece: Piece,
    columns: Sequence[str],
    where: Sequence[Condition] = (),
    *,
    later: Sequence[str] = (),
    block_rows: int | None = None,
    absent: Collection[str] = (),
    in_turn: bool = False,
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
        is a block they are read then: such a column is used while the processor's cache has it.
    block_rows : int, optional
        Most rows of a block; `BLOCK_ROWS` if absent.
    absent : collection of str
        Columns that no file need have: they are null where the file lacks them.
    in_turn : bool
        Whether those of `later` are wanted once, many together: then of any row group.

    Raises
    ------
    DataError
        If the file has changed since its footer was read, or is damaged.
    """
    wanted = _Wanted.of(piece, columns, where, later)
    first_row = piece.first_row
    with _planned(piece.file):
        # Not closed here: `Rows.later` may outlive the iteration.
        file = opened(piece.file.path, piece.file.state)
        gone = dict(zip(piece.row_groups, piece.deleted, strict=False))
        schema = file.schema_arrow
        leaves, nested = leaves_of(schema, wanted.physical), _any_nested(schema, wanted.physical)
        for index in piece.row_groups:
            group = _RowGroup(piece, file, index)
            n_bytes = group.n_bytes(leaves)
            most = block_rows or BLOCK_ROWS
            in_parts = nested and (group.n_rows > most or group.is_large(wanted.physical))
            read_blocks = group.in_parts if in_parts else group.at_once
            for start, part in read_blocks(wanted, most, absent, in_turn=in_turn):
                every = np.arange(first_row + start, first_row + start + part.num_rows)
                part, kept = _without(part, every, gone[index], start) if gone else (part, every)
                part, kept = matching(part, kept, where) if where else (part, kept)
                rows = slice(None) if len(kept) == len(every) else kept - first_row
                yield Rows(
                    table=part.select(wanted.shown),
                    positions=kept,
                    n_filtered=len(every) - len(kept),
                    n_bytes=0 if start else n_bytes,
                    later=Later(group, part, rows),
                )
            first_row += group.n_rows


_Blocks = Iterator[tuple[int, pa.Table]]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The columns of a file by when they are read.

    Parameters
    ----------
    shown : list of str
        Those of the tables that are yielded.
    physical : list of str
        Those that the file has to have, also for the filter.
    at_once : list of str
        Those of them that are not read later.
    constants : dict of str to pyarrow.Scalar
        Those that have one value in the file, or none.
    """

    shown: list[str]
    physical: list[str]
    at_once: list[str]
    constants: dict[str, pa.Scalar]

    @classmethod
    def of(
        cls,
        piece: Piece,
        columns: Sequence[str],
        where: Sequence[Condition],
        later: Sequence[str],
    ) -> "_Wanted":
        nulls = {name: pa.scalar(None, plain_type(type_)) for name, type_ in piece.file.valueless}
        constants = {**nulls, **dict(piece.file.constants)}
        in_filter = {name for condition in where for name in condition.columns}
        needed = list(dict.fromkeys([*columns, *sorted(in_filter)]))
        physical = [name for name in needed if name not in constants]
        deferred = frozenset(later)
        return cls(
            [name for name in columns if name not in deferred],
            physical,
            [name for name in physical if name not in deferred or name in in_filter],
            {name: constants[name] for name in needed if name in constants},
        )


@dataclass(frozen=True, slots=True)
class _RowGroup:
    """A row group of an open file."""

    piece: Piece
    file: pq.ParquetFile
    index: int

    @property
    def is_local(self) -> bool:
        return not storage.is_uri(self.piece.file.path)

    @property
    def n_rows(self) -> int:
        return int(self.file.metadata.row_group(self.index).num_rows)

    def is_large(self, columns: Sequence[str]) -> bool:
        """Whether these columns have more values than are read together."""
        return n_values(self.file, self.index, columns) > PART_VALUES

    def at_once(
        self, wanted: _Wanted, most: int, absent: Collection[str], *, in_turn: bool
    ) -> _Blocks:
        """All rows, cut into blocks, each with the place of its first row."""
        # What is wanted later is read later if a block is the row group, and worth it.
        least = 0 if in_turn else ROWS_BY_COLUMN
        by_column = self.is_local and least <= self.n_rows <= most
        table = self.read(wanted.at_once if by_column else wanted.physical)
        table = _completed(table, self.n_rows, wanted.constants, absent)
        for start in range(0, self.n_rows, most):
            yield start, table.slice(start, min(most, self.n_rows - start))

    def in_parts(
        self, wanted: _Wanted, most: int, absent: Collection[str], *, in_turn: bool
    ) -> _Blocks:
        """The same, read block by block: vectors of a row group may be larger than memory."""
        start, path = 0, self.piece.file.path
        for table in read_in_parts(path, self.file, self.index, wanted.physical, rows=most):
            table = _converted(plain(table), self.piece.file)
            yield start, _completed(table, table.num_rows, wanted.constants, absent)
            start += table.num_rows

    def read(self, columns: Sequence[str]) -> pa.Table:
        table = read_columns(self.piece.file.path, self.file, self.index, columns)
        return _converted(plain(table), self.piece.file)

    def n_bytes(self, leaves: Sequence[int]) -> int:
        """Compressed bytes of these leaves."""
        group = self.file.metadata.row_group(self.index)
        return sum(int(group.column(j).total_compressed_size) for j in leaves)


def _any_nested(schema: pa.Schema, columns: Collection[str]) -> bool:
    if not any(map(pa.types.is_nested, set(schema.types))):
        return False
    places = (schema.get_field_index(name) for name in columns)
    return any(pa.types.is_nested(schema.field(place).type) for place in places if place >= 0)


@dataclass(frozen=True, slots=True)
class Later:
    """Gives the values of a column that is in the table, or else is read when it is asked for."""

    group: _RowGroup
    table: pa.Table
    rows: NDArray[np.int64] | slice

    def __call__(self, name: str) -> NDArray[np.float64]:
        """A column as float64, null being NaN."""
        if self._has(name):
            return numbers(self.table.column(name))
        with _still_planned(self.group.piece.file):
            return numbers(self.group.read([name]).column(name))[self.rows]

    def several(self, names: Sequence[str]) -> NDArray[Any]:
        """Some columns, one per row of memory, as float64 or float32, null being NaN."""
        if all(map(self._has, names)):
            return matrix(self.table.select(names))
        if any(map(self._has, names)):
            return np.stack([self(name) for name in names])
        with _still_planned(self.group.piece.file):
            return matrix(self.group.read(names))[:, self.rows]

    def _has(self, name: str) -> bool:
        return bool(self.table.schema.get_field_index(name) >= 0)


def _completed(
    table: pa.Table, n_rows: int, constants: Mapping[str, pa.Scalar], absent: Collection[str]
) -> pa.Table:
    """With the columns of one value, such as null, and nulls for those that are absent."""
    for name, value in constants.items():
        table = table.append_column(name, pa.repeat(value, n_rows))
    for name in set(absent) - set(table.column_names):
        table = table.append_column(name, pa.nulls(n_rows))
    return table


@contextmanager
def _planned(file: FileIdentity) -> Iterator[None]:
    """Check that what is read is of the planned file, before and after.

    A local file is opened by its name, and read by parts: between the checks another may take its
    place, or its bytes change. Of an object, the store sends no other than the planned one.
    """
    _check_unchanged(file)
    with _still_planned(file):
        yield


@contextmanager
def _still_planned(file: FileIdentity) -> Iterator[None]:
    """Check that what is read of an open file is of the planned one, once it has been read."""
    try:
        yield
    except (DataError, pa.ArrowException, OSError) as error:
        _check_unchanged(file)
        if isinstance(error, DataError):
            raise
        raise unreadable(file.path, file.path, error) from error
    if not storage.is_uri(file.path):
        _check_unchanged(file)


def _check_unchanged(file: FileIdentity) -> None:
    try:
        state = storage.state(file.path)
    except FileNotFoundError as error:
        raise DataError(
            file.path,
            "has disappeared",
            "the file that the plan names",
            "Restore it, or run this again" + storage.elsewhere(file.path, "the data"),
        ) from error
    except OSError as error:
        raise unreadable(file.path, file.path, error) from error
    if state != file.state:
        raise DataError(
            file.path, "has changed since the plan", "the planned file", "Run this again"
        )


def _converted(table: pa.Table, file: FileIdentity) -> pa.Table:
    """With the types that the columns have in all files together; most files have them already."""
    for name, type_ in file.converted:
        place = table.schema.get_field_index(name)
        if place < 0:
            continue
        try:
            table = table.set_column(place, name, table.column(place).cast(type_))
        except pa.ArrowInvalid as error:
            raise DataError(
                f"{file.path}, column {name!r}",
                f"has a value that {type_} cannot hold ({error})",
                f"values of {type_}, the type that all files have in common",
                "Write the files with one type, or leave the column out",
            ) from error
    return table


def _without(
    table: pa.Table, positions: NDArray[np.int64], deleted: bytes, start: int
) -> tuple[pa.Table, NDArray[np.int64]]:
    """The rows that are not deleted, with their positions; they start so far into the bits."""
    bits = np.unpackbits(np.frombuffer(deleted, np.uint8), bitorder="little")
    kept = bits[start : start + len(positions)] == 0
    return table.filter(pa.array(kept)), positions[kept]


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
