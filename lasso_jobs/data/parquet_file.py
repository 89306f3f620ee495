"""Opens Parquet files and reads their columns; what cannot be read is named, file and column."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lasso_jobs.data.arrays import check_text, has_text
from lasso_jobs.data.columns.file_columns import FileColumns, SharedColumns, leaf_owners
from lasso_jobs.errors import DataError
from lasso_jobs.storage import files as storage
from lasso_jobs.storage.failures import waiting_helps

FAILURES = (pa.ArrowException, OSError)
INT96_UNIT = "us"
"""Parquet's INT96 is a day and its nanoseconds; in nanoseconds since 1970 it would overflow."""
PART_BYTES = 64 * 2**10
"""A local column is read by parts of so many bytes, or by its pages if those are larger."""
PART_VALUES = 2**22
"""Values of vectors that are read together. The rows of a block may be read in several parts."""
VALUES_AT_ONCE, COLUMNS_AT_ONCE = 2**16, 64
"""Local columns are read some at a time: pyarrow keeps the buffers of each until all are read. For
3,000 columns of 5,000 rows those are 450 MB. What fits in the processor's cache is read in half the
time: 10,000 columns of 1,000 rows took 0.14, 0.21, 0.27 s by 32, 128, 512 columns, and 0.4 by 256
before; 3,000 of 5,000 rows 0.15, 0.21, 0.29 s by 16, 64, 512. By one they took twice as long."""
SIGNATURE_BYTES = 28
"""A readable footer of a file with encryption is followed by its signature: a nonce and a tag."""


def read_footer(
    path: str, state: storage.State, shared: SharedColumns
) -> tuple[pq.FileMetaData, FileColumns]:
    """The footer of a file, and the columns in it.

    Raises
    ------
    DataError
        If it is no Parquet file, or is encrypted. pyarrow ends the whole process when it is asked
        for the size of an encrypted column, so that is found out before.
    """
    try:
        source = storage.source(path, state)
        end = storage.tail(source, 8)
        if end[4:] == b"PARE":
            raise _encrypted(path, "its footer is encrypted")
        with _Footer(source, coerce_int96_timestamp_unit=INT96_UNIT) as file:
            metadata = file.metadata
            signed = int.from_bytes(end[:4], "little") - metadata.serialized_size
            if signed == SIGNATURE_BYTES:
                _refuse_encrypted_columns(path, source)
            columns = shared.of(path, file)
    except FAILURES as error:
        remedy = remedy_for(error, "Replace or remove it")
        raise DataError(
            path,
            f"not readable as Parquet ({error})",
            "a Parquet file",
            remedy,
            transient=waiting_helps(error),
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            path,
            f"has the name of a column that is not UTF-8 ({error.object!r})",
            "names in UTF-8",
            "Rename the column in the file",
        ) from error
    return metadata, columns


class _Footer(pq.ParquetFile):  # type: ignore[misc]  # pyarrow states no types
    """A file of which no column is read.

    pyarrow lists all names when it opens one, in Python, to find columns by them. For 20,000
    columns that is a third of the time.
    """

    def _build_nested_paths(self) -> dict[str, list[int]]:
        return {}


def _refuse_encrypted_columns(path: str, source: object) -> None:
    with pq.ParquetFile(source, coerce_int96_timestamp_unit=INT96_UNIT) as file:
        for name in file.schema_arrow.names:
            # Only one row: a column that is not encrypted need not be read.
            rows = file.iter_batches(1, row_groups=[0], columns=[name], use_threads=False)
            try:
                next(rows, None)
            except FAILURES as error:
                raise _encrypted(f"{path}, column {name!r}", "is encrypted") from error


def _encrypted(where: str, found: str) -> DataError:
    return DataError(
        where, found, "a Parquet file without encryption", "Decrypt it into a file of its own"
    )


def opened(path: str, state: storage.State) -> pq.ParquetFile:
    """Read a local file by parts; fetch the wanted ranges of an object, neighbouring ones at once.

    Pages that have a checksum are held against it.
    """
    remote = storage.is_uri(path)
    # No memory map: if another program cuts the file short, a touch of a mapped page is the signal
    # SIGBUS, which ends the process without a word. A read is an error, which names the file. It
    # costs nothing that can be measured, of 2,000,000 rows x 100 columns, one thread's processor
    # time, medians of four, mapped / by parts / whole column chunks: columns one by one
    # 1.88 / 1.96 / 1.87 s, all of a row group at once 2.27 / 2.06 / 2.31 s, and the pass of a
    # training 5.3 / 5.4 / 5.4 s. Whole chunks lost as they are all in memory at once: 229 MiB for a
    # row group of 99 MiB, where parts take 146 and the map took 140.
    return pq.ParquetFile(
        storage.source(path, state),
        buffer_size=0 if remote else PART_BYTES,
        pre_buffer=remote,
        page_checksum_verification=True,
        coerce_int96_timestamp_unit=INT96_UNIT,
    )


def read_columns(path: str, file: pq.ParquetFile, group: int, columns: Sequence[str]) -> pa.Table:
    """Those of the columns that the file has, of one row group.

    Raises
    ------
    DataError
        Naming the first column that is damaged, or whose text is not UTF-8.
    """
    step = columns_at_once(file.metadata.row_group(group).num_rows)
    if storage.is_uri(path):
        step = len(columns) or 1
    starts = range(0, len(columns) or 1, step)
    tables = [_read_some(path, file, group, columns[start : start + step]) for start in starts]
    if len(tables) == 1:
        return tables[0]
    fields = [field for table in tables for field in table.schema]
    arrays = [column for table in tables for column in table.columns]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def columns_at_once(n_rows: int) -> int:
    """How many columns of a row group of so many rows are read together."""
    return max(1, min(COLUMNS_AT_ONCE, VALUES_AT_ONCE // max(n_rows, 1)))


def leaves_of(schema: pa.Schema, columns: Collection[str]) -> list[int]:
    """The leaves of a file that belong to these columns."""
    wanted = frozenset(columns)
    chosen = [name in wanted for name in schema.names]
    return [j for j, owner in enumerate(leaf_owners(schema)) if chosen[owner]]


def _read_some(path: str, file: pq.ParquetFile, group: int, columns: Sequence[str]) -> pa.Table:
    try:
        table = file.read_row_group(group, columns=columns, use_threads=False)
    except FAILURES as error:
        raise _damaged(path, file, group, columns) or unreadable(path, path, error) from error
    if table.num_columns:
        _check_count(path, file, group, table.num_rows)
    return _checked(path, table, columns)


def read_in_parts(
    path: str, file: pq.ParquetFile, group: int, columns: Sequence[str], *, rows: int
) -> Iterator[pa.Table]:
    """The same, so many rows at a time but for the last ones; the whole is never in memory.

    Raises
    ------
    DataError
    """
    # Beside the values, Arrow decodes where each list of them begins and ends, and what is null.
    n_rows = file.metadata.row_group(group).num_rows
    at_once = max(1, min(rows, PART_VALUES * n_rows // max(n_values(file, group, columns), 1)))
    batches = file.iter_batches(at_once, row_groups=[group], columns=columns, use_threads=False)
    n_read, waiting = 0, []
    while True:
        try:
            batch = next(batches, None)
        except FAILURES as error:
            raise _damaged(path, file, group, columns) or unreadable(path, path, error) from error
        if batch is None:
            break
        n_read += batch.num_rows
        waiting.append(_checked(path, pa.Table.from_batches([batch]), columns))
        while sum(table.num_rows for table in waiting) >= rows:
            table = pa.concat_tables(waiting)
            yield table.slice(0, rows)
            waiting = [table.slice(rows)]
    _check_count(path, file, group, n_read)
    if sum(table.num_rows for table in waiting):
        yield pa.concat_tables(waiting)


def n_values(file: pq.ParquetFile, group: int, columns: Sequence[str]) -> int:
    """How many numbers, or other values, these columns have in a row group."""
    metadata = file.metadata.row_group(group)
    leaves = leaves_of(file.schema_arrow, columns)
    return sum(int(metadata.column(j).num_values) for j in leaves)


def _check_count(path: str, file: pq.ParquetFile, group: int, n_read: int) -> None:
    n_rows = file.metadata.row_group(group).num_rows
    if n_read != n_rows:
        found = f"has {n_read:,} rows in row group {group}, where its footer has {n_rows:,}"
        raise DataError(path, found, "an intact Parquet file", "Replace the file")


def _checked(path: str, table: pa.Table, columns: Sequence[str]) -> pa.Table:
    # For the name "a.b" pyarrow gives the field b of a column a, too.
    if table.column_names != list(columns):
        there = frozenset(table.column_names)
        table = table.select([name for name in columns if name in there])
    if has_text(table.schema):
        for name, column in zip(table.column_names, table.columns, strict=True):
            check_text(path, name, column)
    return table


def first_value(path: str, state: storage.State, column: str) -> Any:
    """The first value of a column of a file that is not null; None if there is none.

    Raises
    ------
    DataError
    """
    try:
        for batch in opened(path, state).iter_batches(256, columns=[column], use_threads=False):
            there = batch.column(batch.schema.get_field_index(column)).drop_null()
            if len(there):
                return there[0].as_py()
    except FAILURES as error:
        raise unreadable(f"{path}, column {column!r}", path, error) from error
    return None


def _damaged(
    path: str, file: pq.ParquetFile, group: int, columns: Sequence[str]
) -> DataError | None:
    for name in columns:
        try:
            file.read_row_group(group, columns=[name], use_threads=False)
        except FAILURES as error:
            return unreadable(f"{path}, column {name!r}", path, error)
    return None


def unreadable(where: str, path: str, error: Exception) -> DataError:
    """The error of a file, or of a column in it, that cannot be read."""
    found, helps = f"cannot be read ({error})", waiting_helps(error)
    remedy = remedy_for(error, "Replace the file")
    return DataError(where, found, "an intact Parquet file", remedy, transient=helps)


def remedy_for(error: Exception, otherwise: str) -> str:
    """What to do about a file that cannot be read: it is damaged, or only out of reach."""
    if waiting_helps(error):
        return "Run this again, once it can be reached"
    if isinstance(error, FileNotFoundError):
        return "Restore it"
    return "Give the user the right to read it" if isinstance(error, PermissionError) else otherwise
