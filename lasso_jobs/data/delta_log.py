"""What a Delta table's log says of the past: commits, files of a version, files of any version."""

import json
import re
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lasso_jobs.data import staging, storage
from lasso_jobs.data.staging import Partition, WrittenFile, columns_of, partition_text

_FOLDER, _COMMIT = "_delta_log", re.compile(r"[0-9]+\.json")
_LOG = "a readable Delta table"
_MEND = "Restore its _delta_log, or name another output"


def told(where: str, expected: str, remedy: str) -> AbstractContextManager[None]:
    """Turn failures of deltalake and of the system into an `OutputError`."""
    return staging.told(where, expected, remedy, DeltaError)


def metadata(root: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Versions and metadata of the commits that the log still has, the newest first."""
    for name in reversed(_commits(root)):
        for action in _actions(storage.join(root, _FOLDER, name)):
            if "commitInfo" in action:
                yield int(name.removesuffix(".json")), action["commitInfo"]


def version(root: str) -> int:
    """The newest version, -1 if there is no table."""
    with told(root, _LOG, _MEND):
        return DeltaTable(root).version() if DeltaTable.is_deltatable(root) else -1


def files_at(
    root: str, version: int, partitions: Collection[Partition] | None = None
) -> tuple[WrittenFile, ...]:
    """Files that a version shows, of all partitions or of these.

    Raises
    ------
    OutputError
        If there is no such version.
    """
    with told(root, f"version {version}", "Choose a version that its log has"):
        table = DeltaTable(root, version)
        by, columns = table.metadata().partition_columns, columns_of(table.schema())
        rows = pa.table(table.get_add_actions()).to_pylist()
    files = []
    for row in rows:
        partition = tuple((name, partition_text(name, row["partition"][name])) for name in by)
        if partitions is None or not by or partition in partitions:
            stats = {"numRecords": row["num_records"], "nullCount": row["null_count"]}
            path = unquote(row["path"])
            files.append(
                WrittenFile(
                    path,
                    partition,
                    row["num_records"],
                    row["size_bytes"],
                    json.dumps(stats),
                    columns,
                )
            )
    return tuple(files)


def named_files(root: str) -> set[str]:
    """Paths of the files that any version in the log names, as they are on disk."""
    named: set[str] = set()
    for name in _commits(root):
        for action in _actions(storage.join(root, _FOLDER, name)):
            named |= {action[kind]["path"] for kind in ("add", "remove") if kind in action}
    for name in (name for name in _names(root) if name.endswith(".parquet")):
        place = storage.join(root, _FOLDER, name)
        with told(place, "an intact checkpoint", _MEND):
            source = storage.source(place, storage.state(place))
            with pq.ParquetFile(source) as file:
                kinds = [kind for kind in ("add", "remove") if kind in file.schema_arrow.names]
                table = file.read([f"{kind}.path" for kind in kinds])
        paths = (pc.struct_field(table[kind], "path").to_pylist() for kind in kinds)
        named |= {path for several in paths for path in several if path}
    return {unquote(path) for path in named}


def _names(root: str) -> list[str]:
    with told(root, _LOG, _MEND):
        return storage.names(storage.join(root, _FOLDER))


def _commits(root: str) -> list[str]:
    return [name for name in _names(root) if _COMMIT.fullmatch(name)]


def _actions(place: str) -> list[dict[str, Any]]:
    with told(place, "an intact commit", _MEND):
        # Not splitlines(), which cuts text at other characters too.
        return [json.loads(line) for line in storage.read(place).decode().split("\n") if line]
