"""Taking a night's output back to an earlier generation, with its quarantine and its drift."""

from dataclasses import dataclass

import pyarrow as pa
from deltalake import DeltaTable

from lasso_jobs.data import delta_log, sinks, staged, storage
from lasso_jobs.data.staging import Partition, WrittenFile
from lasso_jobs.errors import JobError, OutputError
from lasso_jobs.jobs.done import mark_done
from lasso_jobs.jobs.output import Tables, tables_of
from lasso_jobs.jobs.record import Record, records


@dataclass(frozen=True, slots=True)
class Generation:
    """What one run made of a night.

    Parameters
    ----------
    number : int
        The version of the output that first showed it.
    record : Record
    """

    number: int
    record: Record


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A rollback that is done: the generations before and after, and the output's version."""

    date: str
    old: Generation
    new: Generation
    output_version: int


def generations(root: str, date: str) -> tuple[tuple[Generation, ...], Generation]:
    """The generations of a night, oldest first, and the one that is shown.

    Raises
    ------
    JobError
        If the night has none.
    """
    tables_of(root)
    found = [(version, record) for version, record in records(root) if record.date == date]
    if not found:
        raise JobError(
            f"{root}, --date", f"{date} was never committed", "a night of this output", "Correct it"
        )
    every = tuple(
        Generation(version, record)
        for version, record in reversed(found)
        if record.generation is None
    )
    newest_version, newest = found[0]
    number = newest_version if newest.generation is None else newest.generation
    return every, next(g for g in every if g.number == number)


def rollback(root: str, date: str, to: int | None = None) -> RolledBack:
    """Show an earlier generation of a night again, in the output, the quarantine and the drift.

    Parameters
    ----------
    root : str
        A scoring job's output.
    date : str
    to : int, optional
        The generation; by default the one before the one that is shown.

    Returns
    -------
    RolledBack

    Raises
    ------
    JobError
        If there is no such generation.
    OutputError
        If a file of it is gone or damaged, or another run commits the night meanwhile.
    """
    every, shown = generations(root, date)
    wanted = _chosen(root, date, every, shown, to)
    tables, seen = tables_of(root), delta_log.version(root)
    touched = {c.partition for g in (shown, wanted) for c in g.record.partitions}
    kept = {counted.partition for counted in wanted.record.partitions}
    files = _whole(root, wanted.number, kept)
    record = wanted.record.model_copy(update={"generation": wanted.number})
    quarantine_version = _restore_quarantine(tables, record, touched, kept)
    drift_version = _restore_drift(tables, shown.record, record)
    record = record.model_copy(
        update={"quarantine_version": quarantine_version, "drift_version": drift_version}
    )
    version = _show(root, files, record, touched, seen)
    mark_done(root, version)
    return RolledBack(date, shown, wanted, version)


def _chosen(
    root: str, date: str, every: tuple[Generation, ...], shown: Generation, to: int | None
) -> Generation:
    numbers = ", ".join(str(g.number) for g in every)
    if to is None:
        earlier = [g for g in every if g.number < shown.number]
        if not earlier:
            raise JobError(
                f"{root}, {date}",
                f"shows generation {shown.number}, its first",
                "an earlier one to go back to",
                f"Name one of {numbers} with --to, if a later one is meant",
            )
        return earlier[-1]
    for generation in every:
        if generation.number == to:
            return generation
    raise JobError("--to", f"{to}", f"a generation of {date}: one of {numbers}", "Correct it")


def _whole(root: str, version: int, partitions: set[Partition]) -> tuple[WrittenFile, ...]:
    """Files of a version, each of them checked."""
    if version < 0 or not partitions:
        return ()
    files = delta_log.files_at(root, version, partitions)
    for file in files:
        wrong = staged.damage(storage.join(root, file.path), file)
        if wrong is not None:
            raise OutputError(
                storage.join(root, file.path), wrong, f"the file of version {version}", "Restore it"
            )
    return files


def _restore_quarantine(
    tables: Tables, record: Record, touched: set[Partition], kept: set[Partition]
) -> int:
    if delta_log.version(tables.quarantine) < 0:
        return -1
    files = _whole(tables.quarantine, record.quarantine_version, kept)
    return _show(tables.quarantine, files, record, touched, None)


def _restore_drift(tables: Tables, old: Record, new: Record) -> int:
    """The rows of the run that is shown no more go; those of the other are there again."""
    if tables.drift is None or delta_log.version(tables.drift) < 0:
        return -1
    kept: set[Partition] = {(("run_id", new.run_id),)}
    files = _whole(tables.drift, new.drift_version, kept)
    return _show(tables.drift, files, new, {*kept, (("run_id", old.run_id),)}, None)


def _show(
    root: str,
    files: tuple[WrittenFile, ...],
    record: Record,
    touched: set[Partition],
    since: int | None,
) -> int:
    """Commit files that an earlier version has."""
    table = DeltaTable(root)
    schema, by = pa.schema(table.schema().to_arrow()), table.metadata().partition_columns
    metadata, ids = ({}, []) if since is None else (record.metadata(), record.applications)
    replaced = touched if by else ()
    return sinks.commit(root, files, schema, by, record.run_id, metadata, replaced, ids, since)
