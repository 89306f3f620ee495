"""Lists the files that a version of a Delta table shows, as those of an input."""

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from lasso_jobs.data.arrays import table_of
from lasso_jobs.data.listing import GLOB, ListedFile
from lasso_jobs.errors import DataError
from lasso_jobs.storage import files as storage
from lasso_jobs.storage import remote
from lasso_jobs.storage.failures import waiting_helps

if TYPE_CHECKING:
    from deltalake import DeltaTable

_VECTORS = "deletionVectors"
_UNDERSTOOD = {"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck", _VECTORS}
"""Features of readers that do not change what a file's columns are called."""


def is_table(path: str) -> bool:
    """Whether there is a Delta table at a path.

    Raises
    ------
    DataError
        If that cannot be told: files that the table no longer shows would be taken for its rows.
    """
    log = storage.join(path, "_delta_log")
    if any(mark in path for mark in GLOB) and (storage.is_uri(path) or not os.path.lexists(path)):
        return False
    try:
        if storage.is_uri(path):
            return bool(storage.names(log))
        return os.path.lexists(log) and stat.S_ISDIR(Path(log).stat().st_mode)
    except OSError as error:
        raise DataError(
            log,
            f"cannot be looked at ({error})",
            "the log of a Delta table, or nothing",
            "Correct the path, or mend the credentials or rights",
            transient=waiting_helps(error),
        ) from error


def live_files(path: str, version: int | None) -> tuple[int, pa.Schema, list[ListedFile]]:
    """The version, by default the newest, its schema, and its files with their partitions.

    Raises
    ------
    DataError
        If there is no such version, or the table uses what changes the meaning of its files.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        table = DeltaTable(path, version=version)
        actions = table_of(table.get_add_actions())
    except (DeltaError, OSError, ValueError) as error:
        which, expected = "", "a Delta table that the library deltalake reads"
        remedy = "Restore its log, or export the table to Parquet"
        if version is not None:
            which, expected = f"version {version} ", "a version that the table still has"
            remedy = "Correct the version, or leave it out to read the newest"
        # The text of a store's own error may hold what was taken out of this one.
        cause = None if storage.is_uri(path) else error
        raise DataError(
            path,
            f"{which}cannot be read ({remote.one_line(error)})",
            expected,
            remedy,
            transient=waiting_helps(error),
        ) from cause
    _refuse_features(path, table)
    deleted = _deleted_rows(path, table)
    by = table.metadata().partition_columns
    files = []
    for quoted, partition in zip(
        actions["path"].to_pylist(),
        actions["partition"] if by else [None] * len(actions),
        strict=True,
    ):
        name = unquote(quoted)
        if storage.is_uri(name) or name.startswith("/") or ".." in name.split("/"):
            raise DataError(
                path, f"shows a file elsewhere, {name}", "files below it", "Name the table it is of"
            )
        constants = tuple((column, partition[column]) for column in by)
        files.append(ListedFile(storage.join(path, name), name, constants, deleted.pop(name, b"")))
    if deleted:
        raise _unreadable_vector(path, f"one is of a file that it does not show, {min(deleted)}")
    schema = pa.schema(table.schema().to_arrow())
    return table.version(), schema, sorted(files, key=lambda file: file.name)


def _deleted_rows(path: str, table: "DeltaTable") -> dict[str, bytes]:
    """Of each file with a deletion vector, by name: a bit for each row, set if it is deleted."""
    from deltalake.exceptions import DeltaError

    if _VECTORS not in (table.protocol().reader_features or ()):
        return {}
    root, deleted = unquote(table.table_uri).rstrip("/") + "/", {}
    try:
        for batch in map(pa.record_batch, table.deletion_vectors()):
            for file, kept in zip(batch["filepath"], batch["selection_vector"], strict=True):
                mask = kept.values.to_numpy(zero_copy_only=False)
                name = unquote(file.as_py()).removeprefix(root)
                deleted[name] = np.packbits(~mask, bitorder="little").tobytes()
    except (DeltaError, OSError, ValueError) as error:
        unreadable = _unreadable_vector(path, remote.one_line(error))
        unreadable.transient = waiting_helps(error)
        raise unreadable from None
    return deleted


def _unreadable_vector(path: str, why: str) -> DataError:
    return DataError(
        path,
        f"its deletion vectors cannot be read ({why})",
        "a vector for each file that the log says has one, and the number of the file's rows",
        "Write the table anew without them, or read an earlier version, with the key version",
    )


def _refuse_features(path: str, table: "DeltaTable") -> None:
    features = set(table.protocol().reader_features or ()) - _UNDERSTOOD
    # Two may be listed and not in use: deltalake lists variants with every table of deletion
    # vectors, and Spark the mapping of columns of every table that is raised from version 2.
    if table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        features.add("columnMapping")
    else:
        features.discard("columnMapping")
    if re.search(r'[tT]ype":"variant"', table.schema().to_json()) is None:
        features.discard("variantType")
    if features:
        raise DataError(
            path,
            f"uses the table features {', '.join(sorted(features))}",
            "a table without column mapping and other such features",
            "Write it anew without them, or export that version to Parquet",
        )
