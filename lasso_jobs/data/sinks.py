"""Where scored rows go: a Delta table that shows each partition's old or new generation.

Workers write Parquet files under names of their own; no reader sees them until the driver names
them in one Delta commit, which takes what they replace out of the table. deltalake's own check
refuses concurrent commits to different partitions, and lets two of them fill the same new one. So
`commit` asks for exactly the next version and, if another writer took it, checks for itself.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from lasso_jobs.data import delta_log, staged, staging, storage
from lasso_jobs.data.delta_log import told
from lasso_jobs.data.staging import (
    Partition,
    WrittenFile,
    by_columns,
    columns_of,
    partition_text,
    refuse_other,
    refuse_overtaken,
)
from lasso_jobs.errors import OutputError

_KEEP_LOG = {"delta.enableExpiredLogCleanup": "false"}  # what was done, and when, is in the log
_NOT_QUOTED_BY_DELTA = "/!$&'()+,;:=@~"
_State = tuple[DeltaTable, dict[str, RemoveAction]]


@dataclass(frozen=True, slots=True)
class _Change:
    root: str
    schema: Schema
    partition_by: list[str]
    adds: dict[str, AddAction]
    targets: set[Partition]
    tags: dict[str, str]
    also: tuple[str, ...] = ()
    since: int | None = None


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
    _refuse_foreign(root)
    return tuple(
        staged.write_parquet(rows, root, "", partition, attempt)
        for partition, rows in staging.split(table, partition_by, root)
    )


def commit(
    root: str,
    files: Sequence[WrittenFile],
    schema: pa.Schema,
    partition_by: Sequence[str],
    run_id: str,
    metadata: Mapping[str, str],
    replace: Iterable[Partition] = (),
    also: Sequence[str] = (),
    since: int | None = None,
) -> int:
    """Show `files` in place of all that their partitions held; return the table's new version.

    Parameters are those of `Sink.commit`.
    """
    plain = staging.delta_schema(schema, partition_by, root)
    _refuse_foreign(root)
    targets = staging.targets_of(root, files, plain, partition_by, replace)
    now = time.time_ns() // 1_000_000
    adds = [AddAction(f.path, f.size_bytes, dict(f.partition), now, True, f.stats) for f in files]
    by_path, tags = {add.path: add for add in adds}, {**metadata, "run_id": run_id}
    return _apply(_Change(root, plain, [*partition_by], by_path, targets, tags, (*also,), since))


def check(
    root: str,
    schema: pa.Schema,
    partition_by: Sequence[str],
    targets: Iterable[Partition] = (),
    since: int | None = None,
) -> int:
    """Refuse early what `commit` would refuse; return the table's version, -1 if there is none."""
    plain = staging.delta_schema(schema, partition_by, root)
    _refuse_foreign(root)
    change = _Change(root, plain, [*partition_by], {}, {*targets}, {}, since=since)
    table, before = _open(change), _before(change)
    refuse_overtaken(root, before, {*_live(change, table)} if table else set())
    return table.version() if table else -1


def committed(root: str, application: str) -> int | None:
    """The version of the newest commit with this application transaction id, if there is one."""
    with told(root, "a readable Delta table", "Restore its _delta_log, or name another output"):
        table = DeltaTable(root) if DeltaTable.is_deltatable(root) else None
    return None if table is None else table.transaction_version(application)


def history(root: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Versions and metadata of the commits that the log still has, the newest first."""
    return delta_log.metadata(root)


def place_of(root: str, path: str) -> str:
    """Where a file is that was staged, and perhaps committed."""
    return storage.join(root, path)


def replace_rows(root: str, table: pa.Table, column: str, value: str) -> int:
    """Show `table` in place of the rows where `column` is `value`; return the table's new version.

    For small tables that grow by a run at a time: the same run twice is there once. The value is
    in the form of `partition_text`; the table is created if need be, partitioned by `column`.
    """
    target = ((column, value),)
    files = write_files(table, root, [column], value)
    for file in files:
        refuse_other(root, "rows where", [str(file.partition)], [str(target)])
    return commit(root, files, table.schema, [column], value, {}, [target])


def exists(root: str) -> bool:
    """Whether there is a table."""
    with told(root, "a place that can be read", "Check its path, and the credentials"):
        return bool(DeltaTable.is_deltatable(root))


def read(root: str, columns: Sequence[str], partition: Partition) -> pa.Table:
    """The rows that the table shows now, of one partition, or of all for an empty one."""
    with told(root, "a readable Delta table", "Restore it, or name another output"):
        dataset = DeltaTable(root).to_pyarrow_dataset()
        chosen = pc.scalar(True)
        for name, text in partition:
            value = pa.scalar(text, pa.string()).cast(dataset.schema.field(name).type)
            field = pc.field(name)
            chosen = chosen & (field.is_null() if text is None else field == value)
        return dataset.to_table([*columns], filter=chosen)


def newest(root: str, by: str) -> list[str]:
    """Values of the partition column `by`, the last committed first.

    For tables that `replace_rows` makes: a small file for each value.
    """
    with told(root, "a readable Delta table", "Restore it, or correct the path"):
        table = DeltaTable(root)
        if by not in table.metadata().partition_columns:
            found = f"is not partitioned by {by}"
            raise OutputError(root, found, "a table that is", "Correct the path")
        files = pa.table(table.get_add_actions()).to_pylist()
    files.sort(key=lambda file: file["modification_time"], reverse=True)
    return list(dict.fromkeys(file["partition"][by] for file in files))


def read_rows(root: str, columns: Sequence[str], by: str, values: Sequence[str]) -> pa.Table:
    """Rows of these values of a partition column; columns that the table lacks are left out."""
    with told(root, "a readable Delta table", "Restore it, or correct the path"):
        # Without the predicate every file of the table becomes a part of the dataset, at a price.
        dataset = DeltaTable(root).to_pyarrow_dataset(
            file_pruning_predicate=[(by, "in", [*values])]
        )
        known = [name for name in columns if name in dataset.schema.names]
        return dataset.to_table(known, filter=pc.field(by).isin(pa.array(values, pa.string())))


def _apply(change: _Change) -> int:
    def look() -> tuple[_State | None, set[str]]:
        table = _open(change)
        live = _live(change, table) if table else {}
        return (table, live) if table else None, set(live)

    def swap(state: _State | None) -> int | None:
        return _swap(change, *(state or (None, {})))

    def version_of(state: _State) -> int:
        version = state[0].transaction_version(change.tags["run_id"])
        return state[0].version() if version is None else version

    before = _before(change)
    return staging.compare_and_swap(change.root, {*change.adds}, look, swap, version_of, before)


def _before(change: _Change) -> set[str] | None:
    """Files that the partitions had in the version that the caller has seen."""
    if change.since is None or change.since < 0:
        return None if change.since is None else set()
    with told(change.root, f"version {change.since}", "Run this again"):
        return set(_live(change, DeltaTable(change.root, change.since)))


def _swap(change: _Change, table: DeltaTable | None, live: dict[str, RemoveAction]) -> int | None:
    """Write the next version and return it, or None if another writer took it."""
    version = table.version() + 1 if table else 0
    removes = [action for path, action in live.items() if path not in change.adds]
    adds = [action for path, action in change.adds.items() if path not in live]
    root, schema, by = change.root, change.schema, change.partition_by
    ids = [Transaction(name, version) for name in (change.tags["run_id"], *change.also)]
    once = CommitProperties(change.tags, 0, ids)
    try:
        with told(root, "a table that can be written to", "Mend that, then run this again"):
            if table is None:
                create, kept = create_table_with_add_actions, _KEEP_LOG
                create(root, schema, adds, "error", by, None, None, kept, commit_properties=once)
            else:
                # "overwrite" removes by a filter, which can state neither null nor sets of tuples.
                write = table.create_write_transaction
                write([*removes, *adds], "append", schema, by, commit_properties=once)
    except OutputError:
        latest = _open(change)
        if latest is None or latest.version() < version:
            raise
        return None
    return version


def _open(change: _Change) -> DeltaTable | None:
    root = change.root
    with told(root, "a readable Delta table", "Restore its _delta_log, or name another output"):
        table = DeltaTable(root) if DeltaTable.is_deltatable(root) else None
    if table:
        by, features = table.metadata().partition_columns, table.protocol().writer_features or []
        refuse_other(root, "partitions", [by_columns(change.partition_by)], [by_columns(by)])
        refuse_other(root, "columns", columns_of(change.schema), columns_of(table.schema()))
        vectors = [name for name in features if name == "deletionVectors"]
        refuse_other(root, "features", [], vectors)  # such files are known by more than a path
    return table


def _live(change: _Change, table: DeltaTable) -> dict[str, RemoveAction]:
    """Files that the table shows in the partitions to replace, and how to take them out."""
    now, live = time.time_ns() // 1_000_000, {}
    for row in pa.table(table.get_add_actions()).to_pylist():
        partition = tuple((n, partition_text(n, row["partition"][n])) for n in change.partition_by)
        if partition and partition not in change.targets:
            continue
        # Paths come quoted and go unquoted; one that changed on the way would remove nothing.
        path = unquote(row["path"])
        refuse_other(change.root, "file", [quote(path, safe=_NOT_QUOTED_BY_DELTA)], [row["path"]])
        live[path] = RemoveAction(path, True, now, row["size_bytes"], dict(partition))
    return live


def _refuse_foreign(root: str) -> None:
    """Refuse a place that is no table and holds more than files of unfinished runs of ours."""
    log = storage.join(root, "_delta_log")  # another run may make it at any moment
    there = exists(root) if storage.is_uri(root) else Path(log).exists()
    names = () if there else storage.names(root)
    ours = ("_delta_log/", f"{staging.JOURNALS}/", f"{staging.MARKERS}/")
    found = [n for n in names if not (staged.is_ours(n.split("/")[-1]) or n.startswith(ours))]
    if found or unquote(root) != root or (not storage.is_uri(root) and Path(root).is_file()):
        expected = "a Delta table, or a new or empty folder, with no %20 and such in its path"
        raise OutputError(root, str([*found, "neither"][0]), expected, "Name another output")
