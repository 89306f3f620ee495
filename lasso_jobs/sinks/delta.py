"""Writes rows into a Delta table, which shows each partition's old or new generation.

Workers write Parquet files under names of their own; no reader sees them until the driver names
them in one Delta commit, which takes what they replace out of the table. deltalake's own check
refuses concurrent commits to different partitions, and lets two of them fill the same new one. So
`commit` asks for exactly the next version and, if another writer took it, checks for itself.
"""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from lasso_jobs.errors import OutputError
from lasso_jobs.sinks import delta_log, protocol, written_file
from lasso_jobs.sinks.delta_log import as_output_error
from lasso_jobs.sinks.fence import (
    compare_and_swap,
    consistent,
    refuse_other,
    refuse_overtaken,
    shown_when_seen,
)
from lasso_jobs.sinks.partitions import by_columns, columns_of, partition_text, split
from lasso_jobs.sinks.protocol import Change, Partition, WrittenFile
from lasso_jobs.storage import files as storage

_KEEP_LOG = {"delta.enableExpiredLogCleanup": "false"}  # what was done, and when, is in the log
_NOT_QUOTED_BY_DELTA = "/!$&'()+,;:=@~"
_State = tuple[DeltaTable, dict[str, RemoveAction]]


def write_files(
    table: pa.Table, root: str, partition_by: Sequence[str], attempt: str
) -> tuple[WrittenFile, ...]:
    """Write a Parquet file for each partition that `table` has rows of; runs on a worker.

    Parameters
    ----------
    table : pyarrow.Table
        Dictionaries and views become plain columns, times become UTC.
    root : str
        The Delta table's folder or URI, which need not exist yet.
    partition_by : sequence of str
    attempt : str
        Part of the file names, for those who read them; a UUID keeps attempts apart.
    """
    refuse_foreign(root)
    return tuple(
        written_file.write_parquet(rows, root, partition, attempt)
        for partition, rows in split(table, partition_by, root)
    )


def commit(change: Change) -> int:
    """Show a change's files in place of all that their partitions held; return the new version."""
    change = consistent(change, lists=True)
    refuse_foreign(change.root)
    turn = _Turn(change)
    return compare_and_swap(change, turn, {*turn.adds})


def check(change: Change) -> int:
    """Refuse early what `commit` would refuse; return the table's version, -1 if there is none."""
    change = consistent(change, lists=True)
    refuse_foreign(change.root)
    turn = _Turn(change)
    state, live = turn.look()
    refuse_overtaken(change.root, shown_when_seen(change, turn), live)
    return -1 if state is None else state[0].version()


def committed(root: str, application: str) -> int | None:
    """The version of the newest commit with this application transaction id, if there is one."""
    return delta_log.application_version(root, application)


def history(root: str, at: int | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Versions and metadata of the commits that the log still has, or of one, the newest first."""
    return delta_log.metadata(root, at)


def place_of(root: str, path: str) -> str:
    """Where a file is that was staged, and perhaps committed."""
    return storage.join(root, path)


def exists(root: str) -> bool:
    """Whether there is a table."""
    with as_output_error(
        root, "a place that can be read", "Correct its path, or mend the credentials or rights"
    ):
        return delta_log.exists(root)


def columns(root: str) -> pa.Schema:
    """The columns that the table has; none before there is one."""
    table = delta_log.opened(root)
    return pa.schema([]) if table is None else pa.schema(table.schema().to_arrow())


def read(root: str, columns: Sequence[str], partition: Partition) -> pa.Table:
    """The rows that the table shows now, of one partition, or of all for an empty one."""
    with as_output_error(root, "a readable Delta table", "Restore it, or name another output"):
        dataset = delta_log.dataset(root)
        chosen = pc.scalar(True)
        for name, text in partition:
            value = pa.scalar(text, pa.string()).cast(dataset.schema.field(name).type)
            field = pc.field(name)
            chosen = chosen & (field.is_null() if text is None else field == value)
        return dataset.to_table([*columns], filter=chosen)


def refuse_foreign(root: str) -> None:
    """Refuse a place that is no table and holds more than files of unfinished runs of ours."""
    log = storage.join(root, "_delta_log")  # another run may make it at any moment
    there = exists(root) if storage.is_uri(root) else Path(log).exists()
    foreign = [] if there else foreign_files(root)
    if foreign or unquote(root) != root or (not storage.is_uri(root) and Path(root).is_file()):
        found = f"holds {foreign[0]}, and no table" if foreign else "is a file"
        if unquote(root) != root:
            found = "has a %-escape in its path"
        expected = "a Delta table, or a new or empty folder, with no %20 and such in its path"
        raise OutputError(root, found, expected, "Name another output")


def foreign_files(root: str) -> list[str]:
    """The files that this program gives no such names."""
    ours = ("_delta_log/", f"{protocol.JOURNALS}/", f"{protocol.MARKERS}/")
    return [
        name
        for name in storage.names(root)
        if not (written_file.is_ours(name.split("/")[-1]) or name.startswith(ours))
    ]


class _Turn:
    """One commit's turn at the table's next version."""

    def __init__(self, change: Change) -> None:
        now = time.time_ns() // 1_000_000
        self.change = change
        self.adds = {
            file.path: AddAction(
                path=file.path,
                size=file.size_bytes,
                partition_values=dict(file.partition),
                modification_time=now,
                data_change=True,
                stats=file.stats,
            )
            for file in change.files
        }

    def look(self) -> tuple[_State | None, set[str]]:
        table = _open(self.change)
        live = _live(self.change, table) if table else {}
        return (table, live) if table else None, set(live)

    def shown_at(self, version: int) -> set[str]:
        table = _open(self.change)
        with as_output_error(self.change.root, f"version {version}", "Run this again"):
            # An earlier version is put together from the whole log: 36 ms of 100 commits.
            if table is None or table.version() != version:
                table = DeltaTable(self.change.root, version)
            return set(_live(self.change, table))

    def swap(self, state: _State | None) -> int | None:
        change, (table, live) = self.change, state or (None, {})
        version = table.version() + 1 if table else 0
        removes = [action for path, action in live.items() if path not in self.adds]
        adds = [action for path, action in self.adds.items() if path not in live]
        ids = [Transaction(name, version) for name in (change.run_id, *change.other_ids)]
        staged = [file for file in change.files if file.path not in live]
        written_file.refuse_damaged(staged, partial(place_of, change.root))
        once = CommitProperties({**change.metadata, "run_id": change.run_id}, 0, ids)
        schema, by = Schema.from_arrow(change.schema), [*change.partition_by]
        try:
            with as_output_error(
                change.root,
                "a table that can be written to",
                "Make room or give access, then run this again",
            ):
                if table is None:
                    create_table_with_add_actions(
                        change.root,
                        schema,
                        adds,
                        partition_by=by,
                        configuration=_KEEP_LOG,
                        commit_properties=once,
                    )
                else:
                    # "overwrite" removes by a filter, which can state neither null nor sets of
                    # tuples.
                    table.create_write_transaction(
                        [*removes, *adds], "append", schema, by, commit_properties=once
                    )
        except OutputError:
            latest = _open(change)
            if latest is None or latest.version() < version:
                raise
            return None
        return version

    def version_of(self, state: _State) -> int:
        version = state[0].transaction_version(self.change.run_id)
        return state[0].version() if version is None else version


def _open(change: Change) -> DeltaTable | None:
    root, table = change.root, delta_log.opened(change.root)
    if table:
        by, features = table.metadata().partition_columns, table.protocol().writer_features or []
        refuse_other(root, "partitions", [by_columns(change.partition_by)], [by_columns(by)])
        refuse_other(root, "columns", columns_of(change.schema), columns_of(table.schema()))
        if "deletionVectors" in features:  # such files are known by more than a path
            found, expected = "is a table with deletion vectors", "an output without them"
            raise OutputError(root, found, expected, "Name another output")
    return table


def _live(change: Change, table: DeltaTable) -> dict[str, RemoveAction]:
    """Files that the table shows in the partitions to replace, and how to take them out."""
    now, live = time.time_ns() // 1_000_000, {}
    for quoted, partition, size_bytes in _perhaps_in(change, table):
        if partition and partition not in change.replaced:
            continue
        # Paths come quoted and go unquoted; one that changed on the way would remove nothing.
        path = unquote(quoted)
        refuse_other(change.root, "file", [quote(path, safe=_NOT_QUOTED_BY_DELTA)], [quoted])
        live[path] = RemoveAction(
            path, True, now, size=size_bytes, partition_values=dict(partition)
        )
    return live


def _perhaps_in(change: Change, table: DeltaTable) -> Iterator[tuple[str, Partition, int]]:
    """Those of a table's files that may be in the partitions to replace, with their sizes.

    By Arrow: of 1,000 files in Python it takes 6 ms.
    """
    kept = delta_log.kept_files(change.root, table)
    if kept is not None:
        for path, file in kept.items():
            yield path, file.partition, file.size_bytes
        return
    files = delta_log.files_of(table)
    for i, name in enumerate(change.partition_by):
        values = pa.array({partition[i][1] for partition in change.replaced}, pa.string())
        own = pc.struct_field(files["partition"], name)
        files = files.filter(pc.is_in(own.cast(pa.string()), values))
    for row in files.to_pylist():
        texts = ((n, partition_text(n, row["partition"][n])) for n in change.partition_by)
        yield row["path"], tuple(texts), row["size_bytes"]
