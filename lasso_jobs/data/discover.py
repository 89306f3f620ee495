"""Finds the Parquet files of a dataset and reads their footers; no row is read here."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lasso_jobs.data import delta_table, listing
from lasso_jobs.data.columns.common_schema import settle
from lasso_jobs.data.columns.file_columns import SharedColumns
from lasso_jobs.data.dataset import Dataset, FileIdentity, SourceFile
from lasso_jobs.data.listing import Constants, ListedFile
from lasso_jobs.data.parquet_file import read_footer, unreadable
from lasso_jobs.data.where import Condition
from lasso_jobs.errors import DataError, NoDataError
from lasso_jobs.storage import files as storage

FOOTER_THREADS = 8
OBJECT_THREADS = 32


class FoundFiles(NamedTuple):
    """The files that may have rows of a job; of a Delta table its version and schema, too."""

    files: list[ListedFile]
    version: int | None
    table: pa.Schema | None


def discover(
    path: str,
    where: Sequence[Condition] = (),
    version: int | None = None,
    *,
    may_be_empty: bool = False,
) -> Dataset:
    """Find the Parquet files of a file, folder, glob or Delta table, and read their footers.

    Parameters
    ----------
    path : str
        A local path or a URI.
    where : sequence of Condition
        Files whose constants contradict a condition are left out.
    version : int, optional
        Of a Delta table; by default its newest.
    may_be_empty : bool
        Whether files without rows are a dataset, such as that of a day on which nothing happened.

    Raises
    ------
    NoDataError
        If there is none, or none that may meet the conditions.
    DataError
        If the path does not exist, or a file is not Parquet.

    Examples
    --------
    >>> dataset = discover("data")
    >>> len(dataset.files), dataset.n_rows, dataset.constants
    (3, 60, ('day',))
    >>> [unit.rows for unit in dataset.work_units(["sales"])]
    [60]
    """
    kept, version, table = find_files(path, where, version)
    with ThreadPoolExecutor(OBJECT_THREADS if storage.is_uri(path) else FOOTER_THREADS) as pool:
        files = tuple(pool.map(partial(_open, shared=SharedColumns()), kept))
    if not may_be_empty and not any(file.n_left for file in files):
        raise _without_rows(path, files)
    schema, files = settle(files, table)
    constants = tuple(dict.fromkeys(name for f in files for name, _ in f.identity.constants))
    return Dataset(path=path, files=files, schema=schema, constants=constants, version=version)


def find_files(
    path: str, where: Sequence[Condition] = (), version: int | None = None
) -> FoundFiles:
    """Find the files as `discover` does, and open none.

    Raises
    ------
    NoDataError
        If there is none, or none that may meet the conditions.
    """
    table = None
    if delta_table.is_table(path):
        version, table, listed = delta_table.live_files(path, version)
        if not listed:
            found, remedy = f"version {version} holds no files", "Wait for rows, or read another"
            raise NoDataError(path, found, "rows", remedy)
    elif version is not None:
        found, remedy = f"is no Delta table, and has no version {version}", "Remove the key version"
        raise DataError(path, found, "a Delta table where a version is asked for", remedy)
    else:
        listed = listing.files(path)
    kept = [file for file in listed if _may_hold(file.constants, where)]
    if not kept:
        raise _without_files(path, listed, where)
    return FoundFiles(kept, version, table)


def _without_files(
    path: str, listed: Sequence[ListedFile], where: Sequence[Condition]
) -> NoDataError:
    """No file may hold rows of the filter; a date of the run is part of it."""
    names = dict.fromkeys(name for file in listed for name, _ in file.constants)
    sought = [c for c in where if c.columns and c.columns <= names.keys()]
    there = []
    for name in names:
        if any(name in condition.columns for condition in sought):
            values = sorted(str(dict(file.constants).get(name)) for file in listed)
            there.append(f"{name} from {values[0]} to {values[-1]}")
    by = " and ".join(dict.fromkeys(condition.key for condition in sought))
    return NoDataError(
        path,
        f"none of its {len(listed)} files is left by {by}: {' and '.join(c.text for c in sought)}",
        f"some; they are of {', '.join(there)}",
        f"Correct the date or {by}, or wait for the files",
    )


def _without_rows(path: str, files: Sequence[SourceFile]) -> NoDataError:
    n_deleted = sum(int(file.rows.sum()) for file in files)
    found = f"holds no rows (files: {len(files):,}; rows that the table has deleted: {n_deleted:,})"
    remedy = "Read a version with rows" if n_deleted else "Wait for rows, or correct the path"
    return NoDataError(path, found, "rows", remedy)


def _may_hold(constants: Constants, where: Sequence[Condition]) -> bool:
    names = {name for name, _ in constants}
    row = pa.table({name: pa.repeat(value, 1) for name, value in constants})
    decided = [c for c in where if c.columns and c.columns <= names]
    return all(c.filter(row).num_rows for c in decided)


def _open(listed: ListedFile, shared: SharedColumns) -> SourceFile:
    path = listed.path
    if listed.fault is not None:
        raise listed.fault
    try:
        state = storage.state(path)
    except FileNotFoundError as error:
        raise DataError(
            path,
            "does not exist",
            "the file that its folder, or the table's log, names",
            "Restore it, or run this again, or read a version of the table without it",
        ) from error
    except OSError as error:
        raise unreadable(path, path, error) from error
    metadata, columns = read_footer(path, state, shared)
    column_bytes, nulls = columns.sizes_and_nulls(metadata)
    groups = range(metadata.num_row_groups)
    rows = np.array([metadata.row_group(i).num_rows for i in groups], np.int64)
    return SourceFile(
        identity=FileIdentity(
            path=path,
            name=listed.name,
            size_bytes=state.size_bytes,
            stamp=state.stamp,
            constants=listed.constants,
            deletions=hashlib.sha256(listed.deleted).hexdigest() if listed.deleted else "",
        ),
        schema=columns.schema,
        rows=rows,
        column_bytes=column_bytes,
        nulls=nulls,
        aside=columns.aside,
        vectors=columns.vector_lengths(metadata),
        deleted=_by_row_group(path, listed.deleted, rows),
    )


def _by_row_group(path: str, deleted: bytes, rows: NDArray[np.int64]) -> tuple[bytes, ...]:
    """The bits of a file's rows, cut where its row groups are; a vector may end before the file."""
    if not deleted:
        return ()
    bits, n_rows = np.unpackbits(np.frombuffer(deleted, np.uint8), bitorder="little"), rows.sum()
    if bits[n_rows:].any():
        raise DataError(
            path,
            f"has {n_rows:,} rows, and the table has deleted row {np.flatnonzero(bits)[-1]:,}",
            "the file that the table's log names",
            "Restore the file",
        )
    bits = np.pad(bits[:n_rows], (0, max(0, n_rows - len(bits))))
    parts = np.split(bits, np.cumsum(rows)[:-1])
    return tuple(np.packbits(part, bitorder="little").tobytes() for part in parts)
