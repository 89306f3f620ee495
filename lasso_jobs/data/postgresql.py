"""Scored rows in a table of PostgreSQL, which shows each partition's old or new generation.

A worker copies its rows (ADBC) into a staging table of its own. In one transaction, the driver
takes the next number in the table's log of commits, deletes what the partitions held, inserts what
was staged and drops the staging tables. The log's primary key is the fence: it lets one of several
writers have a number, and whoever dies gives it back. Staging tables are not logged, so they are
empty after a crash of the server; their rows are counted, and a commit of too few fails.
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from deltalake import Schema

from lasso_jobs.data import staging
from lasso_jobs.data.database import Session, connected
from lasso_jobs.data.staging import (
    Partition,
    WrittenFile,
    by_columns,
    refuse_other,
    refuse_overtaken,
)
from lasso_jobs.errors import OutputError

_TAKEN = ("23505", "42P07", "40001", "40P01")  # someone else has the number, or made the table
_LIVE_LOG = "SELECT version, partition_by, sources FROM {log} ORDER BY version DESC"


@dataclass(frozen=True, slots=True)
class _Change:
    root: str
    schema: pa.Schema
    partition_by: list[str]
    files: Sequence[WrittenFile]
    targets: set[Partition]
    run_id: str
    metadata: Mapping[str, str]
    also: Sequence[str] = ()


def write_files(
    table: pa.Table, root: str, partition_by: Sequence[str], attempt: str
) -> tuple[WrittenFile, ...]:
    """Copy rows into a staging table; runs on a worker.

    Parameters
    ----------
    table : pyarrow.Table
    root : str
        ``TABLE`` or ``SCHEMA.TABLE``; the schema is ``public`` by default.
    partition_by : sequence of str
    attempt : str
        Part of the staging table's comment, for those who read it.
    """
    pieces = [*staging.split(table, partition_by, root)]
    if not pieces:
        return ()
    rows, name = pa.concat_tables([rows for _, rows in pieces]), f"lasso_{uuid.uuid4().hex}"
    note = f"lasso_jobs: staged by run {attempt} for {root}; not needed once that run has ended"
    with connected(root) as session:
        session.shape(rows.schema)
        stage = f'"{session.namespace}"."{name}"'
        session.run(f"CREATE UNLOGGED TABLE {stage} (LIKE pg_temp.lasso_shape)")
        session.run(f"COMMENT ON TABLE {stage} IS {_literal(note)}")
        session.cursor.adbc_ingest(name, rows, mode="append", db_schema_name=session.namespace)
        session.connection.commit()
    columns = staging.columns_of(Schema.from_arrow(rows.schema))
    return tuple(
        WrittenFile(name, partition, part.num_rows, part.nbytes, "", columns)
        for partition, part in pieces
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

    Parameters are those of `Sink.commit`. A missing table is created, with an index of its
    partition columns; one that exists has the same columns and, before the first commit, no rows.
    """
    plain = staging.plain_schema(schema, partition_by, root)
    targets = staging.targets_of(root, files, Schema.from_arrow(plain), partition_by, replace)
    change = _Change(root, plain, [*partition_by], files, targets, run_id, metadata, also)
    wanted = {_source(file.partition, file.path) for file in files}
    with connected(root) as session:
        return staging.compare_and_swap(
            root,
            wanted,
            lambda: _look(session, change),
            lambda latest: _swap(session, change, latest),
            lambda latest: latest,
            _before(session, change, since),
        )


def check(
    root: str,
    schema: pa.Schema,
    partition_by: Sequence[str],
    targets: Iterable[Partition] = (),
    since: int | None = None,
) -> int:
    """Refuse early what `commit` would refuse; return the table's version, -1 if it has none."""
    plain = staging.plain_schema(schema, partition_by, root)
    change = _Change(root, plain, [*partition_by], (), {*targets}, "", {})
    with connected(root) as session:
        latest, live = _look(session, change)
        refuse_overtaken(root, _before(session, change, since), live)
    return -1 if latest is None else latest


def committed(root: str, application: str) -> int | None:
    """The version of the newest commit with this application transaction id, if there is one."""
    with connected(root) as session:
        if not session.has(session.log):
            return None
        found = session.run(
            f"SELECT max(version) FROM {session.log}"
            " WHERE run_id = $1 OR also::jsonb @> to_jsonb($1::text)",
            [application],
        )
    return None if found[0][0] is None else int(found[0][0])


def history(root: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Versions and metadata of the commits, the newest first."""
    with connected(root) as session:
        select = f"SELECT version, metadata FROM {session.log} ORDER BY version DESC"
        found = session.run(select) if session.has(session.log) else []
    for version, metadata in found:
        yield int(version), json.loads(metadata)


def exists(root: str) -> bool:
    """Whether something has been committed to the table."""
    with connected(root) as session:
        return session.has(session.log)


def read(root: str, columns: Sequence[str], partition: Partition) -> pa.Table:
    """The rows that the table shows now, of one partition, or of all for an empty one."""
    with connected(root) as session:
        where, values = _where(partition, session.types())
        names = ", ".join(map(_quoted, columns))
        select = f"SELECT {names} FROM {session.table} WHERE {where}"
        session.cursor.execute(select, tuple(values) or None)
        found = session.cursor.fetch_arrow_table()
    return found.cast(pa.schema([field.remove_metadata() for field in found.schema]))


def _look(session: Session, change: _Change) -> tuple[int | None, set[str]]:
    """The newest commit, if there is one, and what it and earlier ones left in the targets."""
    session.connection.rollback()
    session.shape(change.schema)
    if session.has(session.table):
        mine, theirs = session.types("pg_temp.lasso_shape"), session.types()
        refuse_other(change.root, "columns", _listed(mine), _listed(theirs))
    if not session.has(session.log):
        if session.has(session.table) and session.run(f"SELECT 1 FROM {session.table} LIMIT 1"):
            found, expected = "holds rows that no job committed", "a new or empty table"
            raise OutputError(change.root, found, expected, "Name another output")
        return None, set()
    log = session.run(_LIVE_LOG.format(log=session.log))
    for _, by, _ in log[:1]:
        mine_by, their_by = by_columns(change.partition_by), by_columns(json.loads(by))
        refuse_other(change.root, "partitions", [mine_by], [their_by])
    return (int(log[0][0]) if log else None), _live(log, change)


def _before(session: Session, change: _Change, since: int | None) -> set[str] | None:
    """What the partitions had in the version that the caller has seen."""
    if since is None or since < 0:
        return None if since is None else set()
    log = session.run(_LIVE_LOG.format(log=session.log))
    return _live([row for row in log if int(row[0]) <= since], change)


def _live(log: Sequence[tuple[Any, ...]], change: _Change) -> set[str]:
    """What the commits of a log, the newest first, left in the targets."""
    open_, live = set(change.targets), set[str]()
    for _, _, sources in log:
        for pairs, names in json.loads(sources):
            partition = tuple((name, value) for name, value in pairs)
            if partition in open_:
                open_.remove(partition)
                live |= {_source(partition, name) for name in names}
    return live


def _swap(session: Session, change: _Change, latest: int | None) -> int | None:
    """Write the next version and return it, or None if another writer took it."""
    from adbc_driver_manager import Error

    version = 0 if latest is None else latest + 1
    try:
        if latest is None:
            _create(session, change)
        _take(session, change, version)
    except Error as error:
        if error.sqlstate in _TAKEN:
            return None
        raise
    types = session.types()
    for partition in change.targets:
        where, values = _where(partition, types)
        session.run(f"DELETE FROM {session.table} WHERE {where}", values)
    names = ", ".join(map(_quoted, change.schema.names))
    for name in dict.fromkeys(file.path for file in change.files):
        stage = f'"{session.namespace}"."{name}"'
        session.run(f"INSERT INTO {session.table} ({names}) SELECT {names} FROM {stage}")
        expected = sum(file.rows for file in change.files if file.path == name)
        if session.cursor.rowcount != expected:
            found = f"the staging table {name} holds {session.cursor.rowcount:,} rows"
            raise OutputError(
                change.root, found, f"the {expected:,} that were staged", "Run this again"
            )
        session.run(f"DROP TABLE {stage}")
    session.connection.commit()
    return version


def _create(session: Session, change: _Change) -> None:
    if not session.has(session.table):
        session.run(f"CREATE TABLE {session.table} (LIKE pg_temp.lasso_shape)")
        if change.partition_by:
            by = ", ".join(map(_quoted, change.partition_by))
            session.run(f"CREATE INDEX ON {session.table} ({by})")
    session.run(
        f"CREATE TABLE {session.log} (version bigint PRIMARY KEY, run_id text NOT NULL,"
        " also text NOT NULL, metadata text NOT NULL, partition_by text NOT NULL,"
        " sources text NOT NULL, committed_at timestamptz NOT NULL DEFAULT now())"
    )


def _take(session: Session, change: _Change, version: int) -> None:
    """Take a version's number; waits for a writer that has it, and fails if that one commits."""
    sources = [
        [partition, sorted({f.path for f in change.files if f.partition == partition})]
        for partition in sorted(change.targets, key=str)
    ]
    values = ([*change.also], dict(change.metadata), change.partition_by, sources)
    texts = [change.run_id, *map(json.dumps, values)]
    session.run(f"INSERT INTO {session.log} VALUES ($1, $2, $3, $4, $5, $6)", [version, *texts])


def _where(partition: Partition, types: Mapping[str, str]) -> tuple[str, list[str]]:
    """A condition that only rows of a partition meet, and its parameters."""
    values = [value for _, value in partition if value is not None]
    numbers = iter(range(1, len(values) + 1))
    terms = [
        f"{_quoted(name)} IS NULL"
        if value is None
        else f"{_quoted(name)} = CAST(${next(numbers)}::text AS {types[name]})"
        for name, value in partition
    ]
    return " AND ".join(terms) or "true", values


def _source(partition: Partition, name: str) -> str:
    return f"{name} {partition}"


def _listed(types: Mapping[str, str]) -> list[str]:
    return sorted(f"{name} {kind}" for name, kind in types.items())


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
