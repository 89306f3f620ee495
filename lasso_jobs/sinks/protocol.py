"""The protocol of sinks: what each has to do, and the types that it is given and gives back.

A sink is a module with the functions of `Sink`. Workers stage rows where no reader sees them,
under names of their own, so that a second attempt does no harm. The driver then commits a
`Change`: the staged rows that it accepted replace all that the same partitions held.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, Protocol, Self, cast

import pyarrow as pa

from lasso_jobs.storage.json_text import json_text

Format = Literal["delta", "parquet", "postgresql"]
FOLDERS: tuple[Format, ...] = ("delta", "parquet")
"""Formats whose outputs are folders, which have a journal and completion markers."""
Partition = tuple[tuple[str, str | None], ...]
"""Partition columns, in the table's order, with their values as `partition_text` has them."""
INTERNAL_FOLDER = "_lasso"
"""The folder, inside that of an output, of all that is not its rows."""
JOURNALS, MARKERS = f"{INTERNAL_FOLDER}/journal", f"{INTERNAL_FOLDER}/done"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenFile:
    """Rows of one partition that an attempt staged and no reader sees yet.

    Parameters
    ----------
    path : str
        Below the table's root, as on disk; in a database, the staging table.
    partition : Partition
    rows, size_bytes : int
    stats : str
        Delta's statistics in JSON: rows and nulls. They have no bounds, on which readers differ
        (NaN, -0.0).
    columns : tuple of str
        Name and Delta type of each column, also of the partition's.
    """

    path: str
    partition: Partition
    rows: int
    size_bytes: int
    stats: str
    columns: tuple[str, ...]

    @classmethod
    def with_nulls(cls, *, rows: int, nulls: Mapping[str, int], **others: Any) -> Self:
        """A file of so many rows, and so many nulls in each column."""
        stats = json_text({"numRecords": rows, "nullCount": dict(nulls)})
        return cls(rows=rows, stats=stats, **others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one commit does to an output.

    Parameters
    ----------
    root : str
        A path, a URI, or a database's table. What is missing is created.
    schema : pyarrow.Schema
    partition_by : sequence of str
        Partition columns. Without any, a commit replaces the whole output.
    run_id : str
        An application transaction id.
    files : sequence of WrittenFile
        What the accepted attempts staged. If all of it is shown already, nothing is done.
    replaced : collection of Partition
        Partitions to empty although no file belongs to them.
    metadata : mapping of str to str
        Goes into the log of commits.
    other_ids : sequence of str
        Further application transaction ids, for `Sink.committed`.
    seen_version : int, optional
        The version that the caller has seen. If another writer has changed these partitions after
        it, nothing is committed.
    """

    root: str
    schema: pa.Schema
    partition_by: Sequence[str]
    run_id: str
    files: Sequence[WrittenFile] = ()
    replaced: Collection[Partition] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    other_ids: Sequence[str] = ()
    seen_version: int | None = None


class Sink(Protocol):
    """Where rows go. `root` is a path, a URI, or a database's table.

    A version is the number of a commit, from 0; -1 is before the first.
    """

    def write_files(
        self, table: pa.Table, root: str, partition_by: Sequence[str], attempt: str
    ) -> tuple[WrittenFile, ...]:
        """Stage rows; runs on a worker, perhaps more than once."""

    def commit(self, change: Change) -> int:
        """Show a change's files in place of all that their partitions held; return the version."""

    def check(self, change: Change) -> int:
        """Refuse early what `commit` would refuse, and change nothing; return the version."""

    def committed(self, root: str, application: str) -> int | None:
        """The version of the newest commit with this application transaction id, if any."""

    def history(self, root: str, at: int | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
        """Versions and metadata of the commits, or of one, the newest first."""

    def exists(self, root: str) -> bool:
        """Whether something has been committed there."""

    def columns(self, root: str) -> pa.Schema:
        """The columns that the output has; none before there is one."""

    def read(self, root: str, columns: Sequence[str], partition: Partition) -> pa.Table:
        """The rows that are shown now, of one partition, or of all for an empty one."""


class FolderSink(Sink, Protocol):
    """A sink whose output is a folder."""

    def place_of(self, root: str, path: str) -> str:
        """Where a file is that was staged, and perhaps committed."""


def sink(format_: Format) -> Sink:
    """The sink of an output format.

    Examples
    --------
    >>> sink("parquet").__name__
    'lasso_jobs.sinks.parquet_folder'
    """
    modules = {"delta": "delta", "parquet": "parquet_folder", "postgresql": "postgresql"}
    return cast(Sink, import_module(f"lasso_jobs.sinks.{modules[format_]}"))


def folder_sink(format_: Format) -> FolderSink:
    """The sink of a format of `FOLDERS`."""
    return cast(FolderSink, sink(format_))
