"""Where scored rows go: a Delta table that shows each partition's old or new generation.

Workers write Parquet files under names of their own; no reader sees them until the driver names
them in one Delta commit, which takes what they replace out of the table. deltalake's own check
refuses concurrent commits to different partitions, and lets two of them fill the same new one. So
`commit` asks for exactly the next version and, if another writer took it, checks for itself.
"""

import datetime
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from lasso_jobs.data import staged
from lasso_jobs.errors import OutputError

Partition = tuple[tuple[str, str | None], ...]
"""Partition columns, in the table's order, with their values as `partition_text` has them."""
BESIDE = "_lasso"
"""A folder in the table's for what is not of the table: journals, completion markers."""

_KEEP_LOG = {"delta.enableExpiredLogCleanup": "false"}  # what was done, and when, is in the log
_NOT_QUOTED_BY_DELTA = "/!$&'()+,;:=@~"
_KEPT_TYPES = {pa.float32(), pa.float64(), pa.string(), pa.binary(), pa.bool_(), pa.date32()}


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """One Parquet file that an attempt wrote and no table knows of yet."""

    path: str  # below the table's root, as on disk; deltalake quotes it. Ends in a digest
    partition: Partition
    rows: int
    size_bytes: int
    stats: str  # Delta's, in JSON: rows and nulls, no bounds, on which readers differ (NaN, -0.0)
    columns: tuple[str, ...]  # name and Delta type of each, the partition's too


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


def partition_text(column: str, value: object) -> str | None:
    """Return a partition column's value in Delta's string form; None is null."""
    if value is None or (isinstance(value, str) and value):
        return value
    if isinstance(value, int) or type(value) is datetime.date:
        return str(value).lower()  # "true", not "True"
    # Delta reads an empty string as null: such rows would not come back as they went in.
    expected = "a non-empty string, whole number, date, boolean or null"
    raise OutputError(f"partition column {column}", repr(value), expected, "Clean that column")


def write_files(
    table: pa.Table, root: str, partition_by: Sequence[str], attempt: str
) -> tuple[WrittenFile, ...]:
    """Write a Parquet file for each partition that `table` has rows of; runs on a worker.

    Parameters
    ----------
    table : pyarrow.Table
        Dictionaries and views become plain columns, times become UTC.
    root : str
        The Delta table's folder, which need not exist yet.
    partition_by : sequence of str
    attempt : str
        Part of the file names, for those who read them; a UUID keeps attempts apart.
    """
    schema = _plain_schema(table.schema, partition_by, root)
    _refuse_foreign(root)
    columns = []
    for field in schema:
        with told(f"{root}, column {field.name}", f"{field.type} values", "Convert that column"):
            columns.append(table[field.name].cast(field.type))
    pieces = _split(pa.table(columns, schema=schema), partition_by)
    return tuple(_write_one(rows, root, partition, attempt) for partition, rows in pieces)


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

    Parameters
    ----------
    root, partition_by
        As for `write_files`; a missing table is created. Without columns the whole is replaced.
    files : sequence of WrittenFile
        Of the accepted attempts. If the table shows them all already, nothing is done.
    schema : pyarrow.Schema
    run_id : str
        The application transaction id; its version is the one returned.
    metadata : mapping of str to str
        Goes into the table's history.
    replace : iterable of Partition
        Partitions to empty although no file belongs to them.
    also : sequence of str
        Further application transaction ids, for `committed`.
    since : int, optional
        The version that the caller has seen, -1 for no table: if another writer has changed these
        partitions after it, nothing is committed.
    """
    plain = Schema.from_arrow(_plain_schema(schema, partition_by, root))
    _refuse_foreign(root)
    targets = {*replace, *(file.partition for file in files)}
    for partition in targets:
        _refuse_other(root, "partition", [_by(name for name, _ in partition)], [_by(partition_by)])
    for file in files:
        _refuse_other(f"{root}/{file.path}", "columns", file.columns, columns_of(plain))
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
    _refuse_foreign(root)
    plain = Schema.from_arrow(_plain_schema(schema, partition_by, root))
    change = _Change(root, plain, [*partition_by], {}, {*targets}, {}, since=since)
    table, before = _open(change), _before(change)
    if before is not None and before != (_live(change, table) if table else {}).keys():
        raise _overtaken(root)
    return table.version() if table else -1


def committed(root: str, application: str) -> int | None:
    """The version of the newest commit with this application transaction id, if there is one."""
    with told(root, "a readable Delta table", "Restore its _delta_log, or name another output"):
        table = DeltaTable(root) if DeltaTable.is_deltatable(root) else None
    return None if table is None else table.transaction_version(application)


def replace_rows(root: str, table: pa.Table, column: str, value: str) -> int:
    """Show `table` in place of the rows where `column` is `value`; return the table's new version.

    For small tables that grow by a run at a time: the same run twice is there once. The value is
    in the form of `partition_text`; the table is created if need be, partitioned by `column`.
    """
    target = ((column, value),)
    files = write_files(table, root, [column], value)
    for file in files:
        _refuse_other(root, "rows where", [str(file.partition)], [str(target)])
    return commit(root, files, table.schema, [column], value, {}, [target])


def _apply(change: _Change) -> int:
    before = _before(change)
    for attempt in range(100):
        table = _open(change)
        live = _live(change, table) if table else {}
        if table and live.keys() == change.adds.keys() and (live or attempt):
            version = table.transaction_version(change.tags["run_id"])
            return table.version() if version is None else version
        if before is not None and before != live.keys():
            raise _overtaken(change.root)
        before, version = set(live), _swap(change, table, live)
        if version is not None:
            return version
    raise OutputError(change.root, "too many writers at once", "a few", "Run this again later")


def _before(change: _Change) -> set[str] | None:
    """Files that the partitions had in the version that the caller has seen."""
    if change.since is None or change.since < 0:
        return None if change.since is None else set()
    with told(change.root, f"version {change.since}", "Run this again"):
        return set(_live(change, DeltaTable(change.root, change.since)))


def _overtaken(root: str) -> OutputError:
    found, expected = "another run committed the same partitions meanwhile", "one at a time"
    return OutputError(root, found, expected, "Look at its rows, then run this again")


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
                create = create_table_with_add_actions
                kept = _KEEP_LOG
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
        _refuse_other(root, "partitions", [_by(change.partition_by)], [_by(by)])
        _refuse_other(root, "columns", columns_of(change.schema), columns_of(table.schema()))
        vectors = [name for name in features if name == "deletionVectors"]
        _refuse_other(root, "features", [], vectors)  # such files are known by more than a path
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
        _refuse_other(change.root, "file", [quote(path, safe=_NOT_QUOTED_BY_DELTA)], [row["path"]])
        live[path] = RemoveAction(path, True, now, row["size_bytes"], dict(partition))
    return live


def _split(table: pa.Table, partition_by: Sequence[str]) -> Iterator[tuple[Partition, pa.Table]]:
    # The nulls make one group of all rows where there is no partition column.
    keys = [*(str(i) for i in range(len(partition_by))), "all"]
    added = [pa.nulls(len(table), pa.int8()), pa.array(range(len(table)))]
    numbered = pa.table([*table.select(partition_by).columns, *added], [*keys, "rows"])
    groups = numbered.group_by(keys, use_threads=False).aggregate([("rows", "list")])
    for values, rows in zip(groups.select(keys).to_pylist(), groups["rows_list"], strict=True):
        texts = map(partition_text, partition_by, values.values())
        yield tuple(zip(partition_by, texts, strict=True)), table.take(rows.values)


def _write_one(rows: pa.Table, root: str, partition: Partition, attempt: str) -> WrittenFile:
    parts = [(name, value or "__HIVE_DEFAULT_PARTITION__") for name, value in partition]
    folders = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parts]
    stored = rows.drop_columns([name for name, _ in partition])
    buffer = pa.BufferOutputStream()
    pq.write_table(stored, buffer, compression="zstd")
    content = buffer.getvalue()
    readable = re.sub(r"[^\w.-]+", "-", attempt, flags=re.ASCII)[:80]
    folder = Path(root, *folders)
    with told(str(folder), "a folder that can be written to", "Mend that, then run this again"):
        path = staged.write(folder, readable, content).relative_to(root).as_posix()
    nulls = {name: stored[name].null_count for name in stored.column_names}
    stats = json.dumps({"numRecords": rows.num_rows, "nullCount": nulls})
    columns = columns_of(Schema.from_arrow(rows.schema))
    return WrittenFile(path, partition, rows.num_rows, len(content), stats, columns)


def _plain_schema(schema: pa.Schema, partition_by: Sequence[str], root: str) -> pa.Schema:
    """Every column nullable, of a type that Delta has, without metadata."""
    names, by, lower = schema.names, set(partition_by), {name.lower() for name in schema.names}
    if len(lower) < len(names) or not by < set(names) or len(by) < len(partition_by):
        found = f"columns {', '.join(names)} with partitions {_by(partition_by)}"
        expected = "distinct columns, of which some but not all are the partition's"
        raise OutputError(root, found, expected, "Rename columns, or partition by others")
    return pa.schema([(name, _plain_type(schema.field(name).type, name, root)) for name in names])


def _plain_type(kind: pa.DataType, column: str, root: str) -> pa.DataType:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_unsigned_integer(kind):
        return pa.int64()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz=kind.tz and "UTC")
    if kind in _KEPT_TYPES or pa.types.is_signed_integer(kind) or pa.types.is_decimal128(kind):
        return kind
    expected = "strings, bytes, numbers, booleans, dates or timestamps"
    raise OutputError(f"{root}, column {column}", f"type {kind}", expected, "Convert that column")


def columns_of(schema: Schema) -> tuple[str, ...]:
    """Name and Delta type of each column."""
    fields = [(f.name, f.type.type, "" if f.nullable else " not null") for f in schema.fields]
    return tuple(sorted(f"{name} {kind}{null}" for name, kind, null in fields))


def _by(names: Iterable[str]) -> str:
    return f"by {', '.join(names) or 'nothing'}"


def _refuse_other(where: str, what: str, found: Sequence[str], expected: Sequence[str]) -> None:
    """Refuse a list of names that is not the expected one, and name those that differ."""
    if [*found] != [*expected]:
        surplus = ", ".join(name for name in found if name not in expected) or "missing"
        lacking = ", ".join(name for name in expected if name not in found) or "no such"
        remedy = "Write what is there already, or name another output"
        raise OutputError(where, f"{what} {surplus}", f"{what} {lacking}", remedy)


def _refuse_foreign(root: str) -> None:
    """Refuse a place that is no table and holds more than files of unfinished runs of ours."""
    log, beside = Path(root, "_delta_log"), Path(root, BESIDE)
    paths = () if log.exists() else Path(root).rglob("*")  # another run may make it at any moment
    ours = {log, beside}
    found = [p for p in paths if not (staged.is_ours(p.name) or p.is_dir() or ours & {*p.parents})]
    if found or "://" in root or unquote(root) != root or Path(root).is_file():
        expected = "a Delta table, or a new or empty local folder, with no %20 and such in its path"
        raise OutputError(root, str([*found, "neither"][0]), expected, "Name another output")


@contextmanager
def told(where: str, expected: str, remedy: str) -> Iterator[None]:
    """Turn failures of the libraries and of the system into an `OutputError`."""
    try:
        yield
    except (DeltaError, OSError, ValueError) as error:
        first, *more = (str(error) or type(error).__name__).splitlines()
        causes = [line.partition("↳")[2].removeprefix("\x1b[0m").strip() for line in more]
        found = ": ".join([first, *filter(None, causes)])
        raise OutputError(where, found, expected, remedy) from error
