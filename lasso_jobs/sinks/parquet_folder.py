"""Writes rows into a plain Hive-partitioned folder of Parquet files, for tools without tables.

Readers see ``day=2024-01-01/lasso-RUN-UUID.parquet`` and pass over ``_lasso``, which holds staged
files and the log (`lasso_jobs.sinks.parquet_log`). A commit is a new entry of the log, which is
then carried out partition by partition: the old files are deleted, the staged ones are moved in.

So a tool that lists files while a commit is carried out may miss rows of the one partition whose
turn it is, and finds the others with all of their old or all of their new rows. It sees none twice.
No folder can promise more. If the driver is killed in between, this lasts until anything is asked
of the output through `lasso_jobs`: that carries the commit out to its end, before it answers.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lasso_jobs.errors import OutputError
from lasso_jobs.sinks import parquet_log, written_file
from lasso_jobs.sinks.fence import (
    compare_and_swap,
    consistent,
    refuse_other,
    refuse_overtaken,
    shown_when_seen,
)
from lasso_jobs.sinks.parquet_log import STAGED, SUFFIX, Entry, ShownFile
from lasso_jobs.sinks.partitions import by_columns, columns_of, named_columns, split
from lasso_jobs.sinks.protocol import INTERNAL_FOLDER, Change, Partition, WrittenFile
from lasso_jobs.storage import files as storage
from lasso_jobs.storage.failures import as_output_error


def write_files(
    table: pa.Table, root: str, partition_by: Sequence[str], attempt: str
) -> tuple[WrittenFile, ...]:
    """Write a Parquet file for each partition where no reader looks; runs on a worker.

    Parameters are those of the other sinks; `root` is a folder or a URI.
    """
    _refuse_foreign(root)
    below = storage.join(root, STAGED)
    return tuple(
        written_file.write_parquet(rows, below, partition, attempt, suffix=SUFFIX)
        for partition, rows in split(table, partition_by, root)
    )


def commit(change: Change) -> int:
    """Show a change's files in place of all that their partitions held; return the new version."""
    change = consistent(change)
    _refuse_foreign(change.root)
    turn = _Turn(change)
    return compare_and_swap(change, turn, {*turn.shown})


def check(change: Change) -> int:
    """Refuse early what `commit` would refuse; return the folder's version, -1 if it has none."""
    change = consistent(change)
    _refuse_foreign(change.root)
    entry = _fitting(change, parquet_log.newest_as_logged(change.root))
    before = shown_when_seen(change, _Turn(change))
    refuse_overtaken(change.root, before, _replaced(change, entry))
    return -1 if entry is None else entry.version


def committed(root: str, application: str) -> int | None:
    """The version of the newest commit with this application transaction id, if there is one."""
    for entry in parquet_log.entries(root):
        if application in (entry.run_id, *entry.also):
            return None if entry.is_lost else entry.version
    return None


def history(root: str, at: int | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Versions and metadata of the commits, or of one, the newest first."""
    entries = parquet_log.entries(root) if at is None else (parquet_log.entry_at(root, at),)
    return ((entry.version, dict(entry.metadata)) for entry in entries)


class _Turn:
    """One commit's turn at the folder's next version."""

    def __init__(self, change: Change) -> None:
        self.change = change
        self.shown = {file.path: ShownFile.of(file) for file in change.files}

    def look(self) -> tuple[Entry | None, set[str]]:
        entry = _fitting(self.change, parquet_log.newest(self.change.root))
        return entry, _replaced(self.change, entry)

    def shown_at(self, version: int) -> set[str]:
        return _replaced(self.change, parquet_log.entry_at(self.change.root, version))

    def swap(self, entry: Entry | None) -> int | None:
        change = self.change
        old = {f.path: f for f in entry.files} if entry else {}
        gone = _replaced(change, entry) - self.shown.keys()
        new = Entry(
            version=entry.version + 1 if entry else 0,
            run_id=change.run_id,
            also=[*change.other_ids],
            metadata=dict(change.metadata),
            partition_by=[*change.partition_by],
            columns=[*columns_of(change.schema)],
            add=sorted(self.shown.keys() - old.keys()),
            remove=sorted(gone),
            files=[f for path, f in sorted({**old, **self.shown}.items()) if path not in gone],
        )
        staged = [f for f in change.files if f.path not in old]
        written_file.refuse_damaged(staged, partial(place_of, change.root))
        if not parquet_log.create(change.root, new):
            return None
        parquet_log.carry_out(change.root, new)
        if parquet_log.is_lost(change.root, new.version):
            found = "staged files were deleted while they were committed"
            raise OutputError(change.root, found, "all of them", "Run this again")
        return new.version

    def version_of(self, entry: Entry) -> int:
        return entry.version


def _fitting(change: Change, entry: Entry | None) -> Entry | None:
    """The newest entry, if there is one; its columns are the change's."""
    if entry is not None:
        by, columns = by_columns(change.partition_by), columns_of(change.schema)
        refuse_other(change.root, "partitions", [by], [by_columns(entry.partition_by)])
        refuse_other(change.root, "columns", columns, entry.columns)
    return entry


def _replaced(change: Change, entry: Entry | None) -> set[str]:
    whole, files = not change.partition_by, entry.files if entry else ()
    return {f.path for f in files if whole or f.partition in change.replaced}


def exists(root: str) -> bool:
    """Whether something has been committed to the folder."""
    return parquet_log.newest(root) is not None


def columns(root: str) -> pa.Schema:
    """The columns that the folder's files have; none before there are some."""
    entry = parquet_log.newest_as_logged(root)
    return named_columns(entry.columns if entry else ())


def read(root: str, columns: Sequence[str], partition: Partition) -> pa.Table:
    """The rows of the newest commit, of one partition, or of all for an empty one."""
    entry = parquet_log.newest(root)
    if entry is None:
        raise OutputError(root, "holds no commit", "a folder that a job wrote", "Correct the path")
    kinds = named_columns(entry.columns)
    tables = [pa.table({name: pa.nulls(0) for name in columns})]
    for file in (f for f in entry.files if not partition or f.partition == partition):
        with as_output_error(file.path, "an intact Parquet file", "Score that partition again"):
            place = place_of(root, file.path)
            with pq.ParquetFile(storage.source(place, storage.state(place))) as parquet:
                table = parquet.read()
        for name, text in file.partition:
            value = pa.scalar(text, pa.string()).cast(kinds.field(name).type)
            table = table.append_column(name, pa.repeat(value, len(table)))
        tables.append(table.select(list(columns)))
    return pa.concat_tables(tables, promote_options="default")


def place_of(root: str, path: str) -> str:
    """Where a file is that was staged, and perhaps committed."""
    return parquet_log.shown_or_staged(root, path)


def _refuse_foreign(root: str) -> None:
    """Refuse a place that no job has committed to and that holds files of others."""
    if parquet_log.is_begun(root):
        return
    with as_output_error(root, "a new or empty folder", "Name another output"):
        names = storage.names(root)
    foreign = [name for name in names if not name.startswith(f"{INTERNAL_FOLDER}/")]
    # Files appear after the commit that names them: another job's first may have come between.
    if foreign and not parquet_log.is_begun(root):
        expected = "a new or empty folder, or one that format: parquet wrote"
        raise OutputError(root, f"holds {foreign[0]}", expected, "Name another output")
