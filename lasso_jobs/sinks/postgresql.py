"""Writes rows into a table of PostgreSQL, which shows each partition's old or new generation.

A worker copies its rows (ADBC) into a staging table of its own. In one transaction, the driver
takes the next number in the table's log of commits, deletes what the partitions held, inserts what
was staged and drops the staging tables. The log's primary key is the fence: it lets one of several
writers have a number, and whoever dies gives it back. Staging tables are not logged, so they are
empty after a crash of the server; their rows are counted, and a commit of too few fails.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from lasso_jobs.errors import OutputError
from lasso_jobs.sinks.database import Session, connected
from lasso_jobs.sinks.fence import (
    compare_and_swap,
    consistent,
    refuse_other,
    refuse_overtaken,
    shown_when_seen,
)
from lasso_jobs.sinks.partitions import by_columns, columns_of, split
from lasso_jobs.sinks.protocol import Change, Partition, WrittenFile
from lasso_jobs.storage.json_text import json_text, json_values

_TAKEN = ("23505", "42P07", "40001", "40P01")  # someone else has the number, or made the table
_LIVE_LOG = "SELECT version, partition_by, sources FROM {log} ORDER BY version DESC"


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
    pieces = [*split(table, partition_by, root)]
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
    columns = columns_of(rows.schema)
    return tuple(
        WrittenFile(
            path=name,
            partition=partition,
            rows=part.num_rows,
            size_bytes=part.nbytes,
            stats="",
            columns=columns,
        )
        for partition, part in pieces
    )


def commit(change: Change) -> int:
    """Show a change's files in place of all that their partitions held; return the new version.

    A missing table is created, with an index of its partition columns; one that exists has the
    same columns and, before the first commit, no rows.
    """
    change = consistent(change)
    wanted = {_source(file.partition, file.path) for file in change.files}
    with connected(change.root) as session:
        return compare_and_swap(change, _Turn(session, change), wanted)


def check(change: Change) -> int:
    """Refuse early what `commit` would refuse; return the table's version, -1 if it has none."""
    change = consistent(change)
    with connected(change.root) as session:
        turn = _Turn(session, change)
        latest, live = turn.look()
        refuse_overtaken(change.root, shown_when_seen(change, turn), live)
    return -1 if latest is None else latest


def committed(root: str, application: str) -> int | None:
    """The version of the newest commit with this application transaction id, if there is one."""
    with connected(root) as session:
        if not session.has(session.log):
            return None
        newest = session.run(
            f"SELECT max(version) FROM {session.log}"
            " WHERE run_id = $1 OR also::jsonb @> to_jsonb($1::text)",
            [application],
        )
    return None if newest[0][0] is None else int(newest[0][0])


def history(root: str, at: int | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Versions and metadata of the commits, or of one, the newest first."""
    with connected(root) as session:
        select = (
            f"SELECT version, metadata FROM {session.log}"
            " WHERE version = coalesce($1::bigint, version) ORDER BY version DESC"
        )
        commits = session.run(select, [at]) if session.has(session.log) else []
    for version, metadata in commits:
        yield int(version), json_values(metadata)


def exists(root: str) -> bool:
    """Whether something has been committed to the table."""
    with connected(root) as session:
        return session.has(session.log)


def columns(root: str) -> pa.Schema:
    """The columns that the table has; none before there is one."""
    with connected(root) as session:
        if not session.has(session.table):
            return pa.schema([])
        session.cursor.execute(f"SELECT * FROM {session.table} LIMIT 0")
        schema = session.cursor.fetch_arrow_table().schema
    return pa.schema([field.remove_metadata() for field in schema])


def read(root: str, columns: Sequence[str], partition: Partition) -> pa.Table:
    """The rows that the table shows now, of one partition, or of all for an empty one."""
    with connected(root) as session:
        where, values = _where(partition, session.types())
        names = ", ".join(map(_quoted, columns))
        select = f"SELECT {names} FROM {session.table} WHERE {where}"
        session.cursor.execute(select, tuple(values) or None)
        table = session.cursor.fetch_arrow_table()
    return table.cast(pa.schema([field.remove_metadata() for field in table.schema]))


class _Turn:
    """One commit's turn at the table's next version."""

    def __init__(self, session: Session, change: Change) -> None:
        self.session, self.change = session, change

    def look(self) -> tuple[int | None, set[str]]:
        """The newest commit, if there is one, and what commits have left in the partitions."""
        session, change = self.session, self.change
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
            mine_by, their_by = by_columns(change.partition_by), by_columns(json_values(by))
            refuse_other(change.root, "partitions", [mine_by], [their_by])
        return (int(log[0][0]) if log else None), _live(log, change)

    def shown_at(self, version: int) -> set[str]:
        log = self.session.run(_LIVE_LOG.format(log=self.session.log))
        return _live([row for row in log if int(row[0]) <= version], self.change)

    def swap(self, latest: int | None) -> int | None:
        from adbc_driver_manager import Error

        session, change = self.session, self.change
        version = 0 if latest is None else latest + 1
        try:
            if latest is None:
                _create(session, change)
            _take(session, change, version)
        except Error as error:
            if error.sqlstate in _TAKEN:
                return None
            raise
        _replace(session, change)
        session.connection.commit()
        return version

    def version_of(self, latest: int) -> int:
        return latest


def _live(log: Sequence[tuple[Any, ...]], change: Change) -> set[str]:
    """What the commits of a log, the newest first, left in the partitions of a change."""
    open_, live = set(change.replaced), set[str]()
    for _, _, sources in log:
        for pairs, names in json_values(sources):
            partition = tuple((name, value) for name, value in pairs)
            if partition in open_:
                open_.remove(partition)
                live |= {_source(partition, name) for name in names}
    return live


def _replace(session: Session, change: Change) -> None:
    """Put the rows of the staging tables in the place of those of their partitions."""
    types = session.types()
    for partition in change.replaced:
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


def _create(session: Session, change: Change) -> None:
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


def _take(session: Session, change: Change, version: int) -> None:
    """Take a version's number; waits for a writer that has it, and fails if that one commits."""
    sources = [
        [partition, sorted({f.path for f in change.files if f.partition == partition})]
        for partition in sorted(change.replaced, key=str)
    ]
    values = ([*change.other_ids], dict(change.metadata), [*change.partition_by], sources)
    texts = [change.run_id, *map(json_text, values)]
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
