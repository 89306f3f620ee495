"""Reads a Delta table's log: its commits, and the files that one version or any version shows."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pyarrow import fs

from lasso_jobs.data.arrays import table_of
from lasso_jobs.sinks.partitions import columns_of, partition_text
from lasso_jobs.sinks.protocol import Partition, WrittenFile
from lasso_jobs.storage import failures
from lasso_jobs.storage import files as storage
from lasso_jobs.storage.json_text import json_values

if TYPE_CHECKING:  # It loads pandas, which a scoring does without.
    from pyarrow.dataset import Dataset

_FOLDER, _COMMIT = "_delta_log", re.compile(r"([0-9]{20})\.json")
_LOG = "a readable Delta table"
_MEND = "Restore its _delta_log, or name another output"


def as_output_error(where: str, expected: str, remedy: str) -> AbstractContextManager[None]:
    """Turn failures of deltalake and of the system into an `OutputError`."""
    return failures.as_output_error(where, expected, remedy, DeltaError)


def metadata(root: str, at: int | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Versions and metadata of the commits that the log still has, or of one, the newest first."""
    for version in _versions(root) if at is None else (at,):
        for info in _commit(root, version).infos:
            yield version, info


def application_version(root: str, application: str) -> int | None:
    """The version of the newest commit with this application transaction id, if there is one."""
    table, kept = opened(root), (_kept.get() or {}).get(root)
    if table is None:
        return None
    newest = table.version()
    if kept is None or application not in kept.applications:
        # deltalake looks through the log since the last checkpoint: 2 ms of 90 commits.
        with as_output_error(root, _LOG, _MEND):
            version = table.transaction_version(application)
    else:
        asked, version = kept.applications[application]
        for later in range(asked + 1, newest + 1):
            version = _commit(root, later).applications.get(application, version)
    if kept is not None:
        kept.applications[application] = (newest, version)
    return version


@dataclass(frozen=True, slots=True)
class ShownFile:
    """A file that a table shows."""

    partition: Partition
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Commit:
    infos: list[dict[str, Any]]
    applications: dict[str, int]
    added: list[dict[str, Any]]
    removed: list[str]


@dataclass(slots=True)
class _Kept:
    table: DeltaTable
    files: dict[str, ShownFile] | None = None
    files_at: int = -1
    commits: dict[int, _Commit] = field(default_factory=dict)
    applications: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    """By id: the version of the table at which it was looked for, and what was found."""


_kept: ContextVar[dict[str, _Kept] | None] = ContextVar("kept", default=None)


@contextmanager
def kept_open() -> Iterator[None]:
    """Keep the tables that are opened in a ``with`` block, and read but what is new of their logs.

    A table that is deleted meanwhile, with another in its place, is not noticed.
    """
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


def exists(root: str) -> bool:
    """Whether there is a table."""
    return root in (_kept.get() or ()) or bool(DeltaTable.is_deltatable(root))


def opened(root: str) -> DeltaTable | None:
    """The table at its newest version, if there is one."""
    kept = _kept.get()
    with as_output_error(root, _LOG, _MEND):
        if kept is not None and root in kept:
            table = kept[root].table
            # To look for one file takes 10 us, and to list the log 1 ms: 14 times a night.
            if storage.is_uri(root) or Path(root, _FOLDER, _name(table.version() + 1)).exists():
                table.update_incremental()
            return table
        if not DeltaTable.is_deltatable(root):
            return None
        table = DeltaTable(root)
        if kept is not None:
            kept[root] = _Kept(table)
        return table


def kept_files(root: str, table: DeltaTable) -> Mapping[str, ShownFile] | None:
    """The files that a table shows, by their paths in its log; None if it is not kept open.

    What is known of them is brought up to date by each commit. deltalake gathers all of them again:
    4 ms of 90 files of a drift table, and more for each further night.
    """
    kept = (_kept.get() or {}).get(root)
    if kept is None or kept.table is not table:
        return None
    by = table.metadata().partition_columns
    if kept.files is None:
        kept.files = {
            row["path"]: ShownFile(
                tuple((name, partition_text(name, row["partition"][name])) for name in by),
                row["size_bytes"],
            )
            for row in files_of(table).to_pylist()
        }
        kept.files_at = table.version()
    for version in range(kept.files_at + 1, table.version() + 1):
        commit = _commit(root, version)
        # Another engine's commit may take a file out and in again, with other deleted rows.
        for path in commit.removed:
            kept.files.pop(path, None)
        for added in commit.added:
            # An empty text is null, as Delta has it.
            values = added["partitionValues"]
            partition = tuple((name, values.get(name) or None) for name in by)
            kept.files[added["path"]] = ShownFile(partition, added["size"])
    kept.files_at = table.version()
    return kept.files


def files_of(table: DeltaTable) -> pa.Table:
    """The files that a table shows, as the log has added them."""
    return table_of(table.get_add_actions())


def dataset(root: str, predicate: Sequence[tuple[str, str, Any]] | None = None) -> "Dataset":
    """The rows that the table shows now, of the files that may meet a predicate on partitions.

    Local files are opened by Arrow. deltalake would open them in Python, from Arrow's threads: one
    that still closes its file when the interpreter ends aborts the process (of 80 that had printed
    all of their result, ten ended with SIGABRT).
    """
    local = None
    if not storage.is_uri(root):
        local = fs.SubTreeFileSystem(str(Path(root).resolve()), fs.LocalFileSystem())
    return DeltaTable(root).to_pyarrow_dataset(
        file_pruning_predicate=None if predicate is None else [*predicate], filesystem=local
    )


def version(root: str) -> int:
    """The newest version, -1 if there is no table."""
    table = opened(root)
    return -1 if table is None else table.version()


def table_id(root: str) -> str | None:
    """What tells a table from any other but its copies; None if there is no table."""
    table = opened(root)
    return None if table is None else str(table.metadata().id)


def files_at(
    root: str, version: int, partitions: Collection[Partition] | None = None
) -> tuple[WrittenFile, ...]:
    """Files that a version shows, of all partitions or of these.

    Raises
    ------
    OutputError
        If there is no such version.
    """
    with as_output_error(root, f"version {version}", "Choose a version that its log has"):
        table = DeltaTable(root, version)
        by, columns = table.metadata().partition_columns, columns_of(table.schema())
        rows = table_of(table.get_add_actions()).to_pylist()
    files = []
    for row in rows:
        partition = tuple((name, partition_text(name, row["partition"][name])) for name in by)
        if partitions is None or not by or partition in partitions:
            files.append(
                WrittenFile.with_nulls(
                    path=unquote(row["path"]),
                    partition=partition,
                    rows=row["num_records"],
                    size_bytes=row["size_bytes"],
                    nulls=row["null_count"],
                    columns=columns,
                )
            )
    return tuple(files)


def named_files(root: str) -> set[str]:
    """Paths of the files that any version in the log names, as they are on disk."""
    named: set[str] = set()
    for version in _versions(root):
        for action in _actions(storage.join(root, _FOLDER, _name(version))):
            named |= {action[kind]["path"] for kind in ("add", "remove") if kind in action}
    for name in (name for name in _names(root) if name.endswith(".parquet")):
        place = storage.join(root, _FOLDER, name)
        with as_output_error(place, "an intact checkpoint", _MEND):
            source = storage.source(place, storage.state(place))
            with pq.ParquetFile(source) as file:
                kinds = [kind for kind in ("add", "remove") if kind in file.schema_arrow.names]
                table = file.read([f"{kind}.path" for kind in kinds])
        paths = (pc.struct_field(table[kind], "path").to_pylist() for kind in kinds)
        named |= {path for several in paths for path in several if path}
    return {unquote(path) for path in named}


def _names(root: str) -> list[str]:
    with as_output_error(root, _LOG, _MEND):
        return storage.names(storage.join(root, _FOLDER))


def _versions(root: str) -> list[int]:
    """Those of the commits that the log still has, the newest first."""
    matches = map(_COMMIT.fullmatch, _names(root))
    return sorted((int(match[1]) for match in matches if match), reverse=True)


def _commit(root: str, version: int) -> _Commit:
    kept = (_kept.get() or {}).get(root)
    if kept is not None and version in kept.commits:
        return kept.commits[version]
    actions = _actions(storage.join(root, _FOLDER, _name(version)))

    def of(kind: str) -> list[dict[str, Any]]:
        return [action[kind] for action in actions if kind in action]

    commit = _Commit(
        of("commitInfo"),
        {one["appId"]: one["version"] for one in of("txn")},
        of("add"),
        [one["path"] for one in of("remove")],
    )
    if kept is not None:
        kept.commits[version] = commit
    return commit


def _name(version: int) -> str:
    return f"{version:020d}.json"


def _actions(place: str) -> list[dict[str, Any]]:
    with as_output_error(place, "an intact commit", _MEND):
        # Not splitlines(), which cuts text at other characters too.
        return [json_values(line) for line in storage.read(place).decode().split("\n") if line]
