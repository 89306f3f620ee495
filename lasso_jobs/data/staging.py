"""What every sink of scored rows does alike: types, partitions, staged files, one writer's turn.

A sink is a module with the functions of `Sink`. Workers stage rows where no reader sees them,
under names of their own, so that an attempt more does no harm. The driver then commits what it
accepted, in the place of all that the same partitions held.
"""

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, Protocol, TypeVar, cast

import numpy as np
import pyarrow as pa
from deltalake import Schema

from lasso_jobs.data import remote, storage
from lasso_jobs.data.arrays import array
from lasso_jobs.errors import OutputError

State = TypeVar("State")
Format = Literal["delta", "parquet", "postgresql"]
FOLDERS: tuple[Format, ...] = ("delta", "parquet")
"""Formats whose outputs are folders, which have a journal and completion markers."""
Partition = tuple[tuple[str, str | None], ...]
"""Partition columns, in the table's order, with their values as `partition_text` has them."""
BESIDE = "_lasso"
"""A folder in an output's for what is not of its rows."""
JOURNALS, MARKERS = f"{BESIDE}/journal", f"{BESIDE}/done"
_KEPT_TYPES = {pa.float32(), pa.float64(), pa.string(), pa.binary(), pa.bool_(), pa.date32()}


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """Rows of one partition that an attempt staged and no reader sees yet."""

    path: str  # below the table's root, as on disk; in a database, the staging table
    partition: Partition
    rows: int
    size_bytes: int
    stats: str  # Delta's, in JSON: rows and nulls, no bounds, on which readers differ (NaN, -0.0)
    columns: tuple[str, ...]  # name and Delta type of each, the partition's too


class Sink(Protocol):
    """Where scored rows go. `root` is a path, a URI, or a database's table.

    A version is the number of a commit, from 0; -1 is before the first.
    """

    def write_files(
        self, table: pa.Table, root: str, partition_by: Sequence[str], attempt: str
    ) -> tuple[WrittenFile, ...]:
        """Stage rows; runs on a worker, perhaps more than once."""

    def commit(
        self,
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
        """Show what was staged in place of all that its partitions held; return the version.

        Parameters
        ----------
        root, partition_by
            As for `write_files`; what is missing is created. Without columns the whole is replaced.
        files : sequence of WrittenFile
            Of the accepted attempts. If they are all shown already, nothing is done.
        schema : pyarrow.Schema
        run_id : str
            An application transaction id.
        metadata : mapping of str to str
            Goes into the log.
        replace : iterable of Partition
            Partitions to empty although no file belongs to them.
        also : sequence of str
            Further application transaction ids, for `committed`.
        since : int, optional
            The version that the caller has seen: if another writer has changed these partitions
            after it, nothing is committed.
        """

    def check(
        self,
        root: str,
        schema: pa.Schema,
        partition_by: Sequence[str],
        targets: Iterable[Partition] = (),
        since: int | None = None,
    ) -> int:
        """Refuse early what `commit` would refuse, and change nothing; return the version."""

    def committed(self, root: str, application: str) -> int | None:
        """The version of the newest commit with this application transaction id, if any."""

    def history(self, root: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """Versions and metadata of the commits, the newest first."""

    def exists(self, root: str) -> bool:
        """Whether something has been committed there."""

    def read(self, root: str, columns: Sequence[str], partition: Partition) -> pa.Table:
        """The rows that are shown now, of one partition, or of all for an empty one."""


class FolderSink(Sink, Protocol):
    """A sink whose output is a folder."""

    def place_of(self, root: str, path: str) -> str:
        """Where a file is that was staged, and perhaps committed."""


def sink(format_: Format) -> Sink:
    """The sink of an output format."""
    modules = {"delta": "sinks", "parquet": "parquet_folder", "postgresql": "postgresql"}
    return cast(Sink, import_module(f"lasso_jobs.data.{modules[format_]}"))


def folder_sink(format_: Format) -> FolderSink:
    """The sink of a format of `FOLDERS`."""
    return cast(FolderSink, sink(format_))


def partition_text(column: str, value: object) -> str | None:
    """Return a partition column's value in Delta's string form; None is null."""
    if value is None or (isinstance(value, str) and value):
        return value
    if isinstance(value, int) or type(value) is datetime.date:
        return str(value).lower()  # "true", not "True"
    # Delta reads an empty string as null: such rows would not come back as they went in.
    expected = "a non-empty string, whole number, date, boolean or null"
    raise OutputError(f"partition column {column}", repr(value), expected, "Clean that column")


def split(
    table: pa.Table, partition_by: Sequence[str], root: str, lists: bool = False
) -> Iterator[tuple[Partition, pa.Table]]:
    """The rows of each partition, in plain types."""
    schema = plain_schema(table.schema, partition_by, root, lists)
    columns = []
    for field in schema:
        with told(f"{root}, column {field.name}", f"{field.type} values", "Convert that column"):
            columns.append(table[field.name].cast(field.type))
    plain = pa.table(columns, schema=schema)
    if not partition_by:
        if plain.num_rows:
            yield (), plain
        return
    keys = [str(i) for i in range(len(partition_by))]
    rows = array(np.arange(len(plain)))
    numbered = pa.table([*plain.select(partition_by).columns, rows], [*keys, "rows"])
    groups = numbered.group_by(keys, use_threads=False).aggregate([("rows", "list")])
    for values, rows in zip(groups.select(keys).to_pylist(), groups["rows_list"], strict=True):
        texts = map(partition_text, partition_by, values.values())
        yield tuple(zip(partition_by, texts, strict=True)), plain.take(rows.values)


def columns_of(schema: Schema) -> tuple[str, ...]:
    """Name and type of each column."""
    fields = [(f.name, f.type.type, "" if f.nullable else " not null") for f in schema.fields]
    return tuple(sorted(f"{name} {kind}{null}" for name, kind, null in fields))


def plain_schema(
    schema: pa.Schema, partition_by: Sequence[str], root: str, lists: bool = False
) -> pa.Schema:
    """Every column nullable, of a type that every sink has, or lists of it, without metadata."""
    names, by, lower = schema.names, set(partition_by), {name.lower() for name in schema.names}
    if len(lower) < len(names) or not by < set(names) or len(by) < len(partition_by):
        found = f"columns {', '.join(names)} with partitions {by_columns(partition_by)}"
        expected = "distinct columns, of which some but not all are the partition's"
        raise OutputError(root, found, expected, "Rename columns, or partition by others")
    kinds = {name: schema.field(name).type for name in names}
    return pa.schema(
        [
            (name, pa.list_(_plain_type(kind.value_type, name, root)))
            if lists and pa.types.is_list(kind)
            else (name, _plain_type(kind, name, root))
            for name, kind in kinds.items()
        ]
    )


def delta_schema(schema: pa.Schema, partition_by: Sequence[str], root: str) -> Schema:
    """The same in Delta's types."""
    return Schema.from_arrow(plain_schema(schema, partition_by, root, lists=True))


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


def targets_of(
    root: str,
    files: Sequence[WrittenFile],
    schema: Schema,
    partition_by: Sequence[str],
    replace: Iterable[Partition],
) -> set[Partition]:
    """The partitions that a commit replaces, once all it is given fits together."""
    targets = {*replace, *(file.partition for file in files)}
    for partition in targets:
        found = by_columns(name for name, _ in partition)
        refuse_other(root, "partition", [found], [by_columns(partition_by)])
    for file in files:
        refuse_other(f"{root}/{file.path}", "columns", file.columns, columns_of(schema))
    return targets


def compare_and_swap(
    root: str,
    wanted: set[str],
    look: Callable[[], tuple[State | None, set[str]]],
    swap: Callable[[State | None], int | None],
    version_of: Callable[[State], int],
    before: set[str] | None = None,
) -> int:
    """Write a table's next version, unless another writer changed the same partitions meanwhile.

    Parameters
    ----------
    root : str
    wanted : set of str
        Names of what the partitions are to show.
    look : callable
        Gives the table's state, None if it is not there, and the names that they show now.
    swap : callable
        Writes the version after a state and returns it, or None if another writer took it.
    version_of : callable
        The version to return if the table shows what is wanted already.
    before : set of str, optional
        The names that they have to show; by default those that the first look finds.
    """
    for _ in range(100):
        state, live = look()
        changed = before is not None and before != live
        # Partitions that were empty and are to be is no sign of a commit: it has yet to be noted.
        if state is not None and live == wanted and (live or changed):
            return version_of(state)
        refuse_overtaken(root, before, live)
        before, version = live, swap(state)
        if version is not None:
            return version
    raise OutputError(root, "too many writers at once", "a few", "Run this again later")


def refuse_overtaken(root: str, before: set[str] | None, live: set[str]) -> None:
    """Refuse to go on if partitions show other names than they did, where that is known."""
    if before is not None and before != live:
        found, expected = "another run committed the same partitions meanwhile", "one at a time"
        raise OutputError(root, found, expected, "Look at its rows, then run this again")


def by_columns(names: Iterable[str]) -> str:
    """Partition columns in words."""
    return f"by {', '.join(names) or 'nothing'}"


def refuse_other(where: str, what: str, found: Sequence[str], expected: Sequence[str]) -> None:
    """Refuse a list of names that is not the expected one, and name those that differ."""
    if [*found] != [*expected]:
        surplus = ", ".join(name for name in found if name not in expected) or "missing"
        lacking = ", ".join(name for name in expected if name not in found) or "no such"
        remedy = "Write what is there already, or name another output"
        raise OutputError(where, f"{what} {surplus}", f"{what} {lacking}", remedy)


@contextmanager
def told(where: str, expected: str, remedy: str, *kinds: type[Exception]) -> Iterator[None]:
    """Turn failures of the system, and of these kinds, into an `OutputError`."""
    caught: tuple[type[Exception], ...] = (OSError, ValueError, *kinds)
    try:
        yield
    except caught as error:
        found = remote.one_line(error)
        # The text of a store's own error may hold what was taken out of this one.
        cause = None if storage.is_uri(where) else error
        raise OutputError(where, found, expected, remedy) from cause
