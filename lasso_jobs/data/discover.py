"""Which Parquet files there are, and what their footers say. No row is read here."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lasso_jobs.data import delta_table, listing, storage
from lasso_jobs.data.dataset import Dataset, FileIdentity, SourceFile
from lasso_jobs.data.listing import Constants, Listed
from lasso_jobs.data.where import Condition
from lasso_jobs.errors import DataError

FOOTER_THREADS = 8
OBJECT_THREADS = 32


def discover(path: str, where: Sequence[Condition] = (), version: int | None = None) -> Dataset:
    """Find the Parquet files of a file, folder, glob or Delta table, and read their footers.

    Parameters
    ----------
    path : str
        A local path or a URI.
    where : sequence of Condition
        Files whose constants contradict a condition are left out.
    version : int, optional
        Of a Delta table; by default its newest.

    Raises
    ------
    DataError
        If there is nothing there, or a file is not Parquet.
    """
    if delta_table.is_table(path):
        version, found = delta_table.live_files(path, version)
        if not found:
            raise DataError(path, f"version {version} holds no files", "rows", "Check data.path")
    elif version is not None:
        raise DataError(path, "is no Delta table", "one, as data.version is set", "Remove it")
    else:
        found = listing.files(path)
    kept = [file for file in found if _may_hold(file.constants, where)]
    if not kept:
        raise DataError(
            path,
            f"none of its {len(found)} files is left by data.where",
            "at least one file",
            "Widen data.where",
        )
    with ThreadPoolExecutor(OBJECT_THREADS if storage.is_uri(path) else FOOTER_THREADS) as pool:
        files = tuple(pool.map(_open, kept))
    if not any(file.rows.sum() for file in files):
        raise DataError(path, f"its {len(files)} files hold no rows", "rows", "Check data.path")
    constants = tuple(name for name, _ in files[0].identity.constants)
    return Dataset(path, files, _common_schema(files), constants, version)


def _may_hold(constants: Constants, where: Sequence[Condition]) -> bool:
    names = {name for name, _ in constants}
    row = pa.table({name: pa.repeat(value, 1) for name, value in constants})
    decided = [c for c in where if c.columns and c.columns <= names]
    return all(c.filter(row).num_rows for c in decided)


def _open(listed: Listed) -> SourceFile:
    path = listed.path
    try:
        state = storage.state(path)
        with pq.ParquetFile(storage.source(path, state)) as file:
            metadata, schema = file.metadata, file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            path,
            f"not readable as Parquet ({error})",
            "a Parquet file",
            "Replace or remove it",
        ) from error
    owner = leaf_owners(schema)
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise DataError(
            path, f"has several columns {twice[0]!r}", "names that differ", "Mend the file"
        )
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    column_bytes = np.zeros((len(groups), len(schema)), np.int64)
    nulls = np.zeros(len(schema), np.int64)
    for i, group in enumerate(groups):
        for j in range(group.num_columns):
            column = group.column(j)
            place = owner[j]
            if place >= 0:
                column_bytes[i, place] += column.total_compressed_size
                known = column.statistics
                if nulls[place] >= 0 and known is not None and known.has_null_count:
                    nulls[place] += known.null_count
                else:
                    nulls[place] = -1
    rows = np.array([group.num_rows for group in groups], np.int64)
    return SourceFile(
        FileIdentity(path, listed.name, state.size_bytes, state.stamp, listed.constants),
        schema.remove_metadata(),
        rows,
        column_bytes,
        nulls,
    )


def _common_schema(files: Sequence[SourceFile]) -> pa.Schema:
    fields = {field.name: field for field in files[0].schema}
    for file in files[1:]:
        for name, field in fields.items():
            if pa.types.is_null(field.type) and name in file.schema.names:
                fields[name] = file.schema.field(name)
    for name, value in files[0].identity.constants:
        fields[name] = pa.field(name, value.type)
    return pa.schema(list(fields.values()))


def leaf_owners(schema: pa.Schema) -> list[int]:
    """The column of the schema that each leaf of the file belongs to."""
    return [j for j, field in enumerate(schema) for _ in range(_n_leaves(field.type))]


def _n_leaves(type_: pa.DataType) -> int:
    if isinstance(type_, pa.BaseExtensionType):
        return _n_leaves(type_.storage_type)
    if pa.types.is_dictionary(type_) or not pa.types.is_nested(type_):
        return 1
    return sum(_n_leaves(type_.field(i).type) for i in range(type_.num_fields))
