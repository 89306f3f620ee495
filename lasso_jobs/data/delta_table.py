"""A Delta table as input: the files that one of its versions shows."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa

from lasso_jobs.data import remote, storage
from lasso_jobs.data.listing import GLOB, Listed
from lasso_jobs.errors import DataError

if TYPE_CHECKING:
    from deltalake import DeltaTable

_HARMLESS = {"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"}
"""Features of readers that change neither which rows a file has nor what its columns are called."""


def is_table(path: str) -> bool:
    """Whether there is a Delta table at a path."""
    log = storage.join(path, "_delta_log")
    if not storage.is_uri(path):
        return Path(log).is_dir()
    if any(mark in path for mark in GLOB):
        return False
    try:
        return bool(storage.names(log))
    except OSError:
        return False  # what is wrong there, listing the files will say


def live_files(path: str, version: int | None) -> tuple[int, list[Listed]]:
    """The version, by default the newest, and its files, whose constants are their partition.

    Raises
    ------
    DataError
        If there is no such version, or the table uses what changes the meaning of its files.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        table = DeltaTable(path, version=version)
        actions = pa.table(table.get_add_actions())
    except (DeltaError, OSError, ValueError) as error:
        which = "" if version is None else f"version {version} "
        # The text of a store's own error may hold what was taken out of this one.
        cause = None if storage.is_uri(path) else error
        raise DataError(
            path,
            f"{which}cannot be read ({remote.one_line(error)})",
            "a Delta table with that version",
            "Check data.path and data.version",
        ) from cause
    _refuse_features(path, table)
    by = table.metadata().partition_columns
    found = []
    for quoted, partition in zip(
        actions["path"].to_pylist(),
        actions["partition"] if by else [None] * len(actions),
        strict=True,
    ):
        name = unquote(quoted)
        if storage.is_uri(name) or name.startswith("/"):
            raise DataError(
                path, f"shows a file elsewhere, {name}", "files below it", "Name the table it is of"
            )
        constants = tuple((column, partition[column]) for column in by)
        found.append(Listed(storage.join(path, name), name, constants))
    return table.version(), sorted(found, key=lambda file: file.name)


def _refuse_features(path: str, table: "DeltaTable") -> None:
    found = set(table.protocol().reader_features or ()) - _HARMLESS
    if table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        found.add("columnMapping")
    if found:
        raise DataError(
            path,
            f"uses the table features {', '.join(sorted(found))}",
            "a table without deletion vectors, column mapping and other such features",
            "Write it anew without them, or export that version to Parquet",
        )
