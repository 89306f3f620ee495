"""Takes a night of an output back to an earlier generation, with its quarantine and its drift."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from lasso_jobs.errors import JobError, OutputError
from lasso_jobs.scoring.marker import write_marker
from lasso_jobs.scoring.record import RunRecord, run_records
from lasso_jobs.scoring.tables import OutputTables, link_to, output_tables
from lasso_jobs.sinks import delta, delta_log, written_file
from lasso_jobs.sinks.protocol import Change, Partition, WrittenFile
from lasso_jobs.storage import files as storage


@dataclass(frozen=True, slots=True)
class Generation:
    """What one run made of a night.

    Parameters
    ----------
    number : int
        The version of the output that first showed it.
    record : RunRecord
    """

    number: int
    record: RunRecord


@dataclass(frozen=True, slots=True)
class RollbackResult:
    """A finished rollback.

    Parameters
    ----------
    date : str
        The night.
    old, new : Generation
        The generations that the output showed before, and shows now.
    output_version : int
        The output's version now.
    """

    date: str
    old: Generation
    new: Generation
    output_version: int

    def as_values(self) -> dict[str, Any]:
        """What ``rollback --json`` prints."""
        record = self.new.record
        return {
            "date": self.date,
            "old_generation": self.old.number,
            "generation": self.new.number,
            "run_id": record.run_id,
            "model": record.model,
            "rows_scored": record.rows_scored,
            "rows_quarantined": record.rows_quarantined,
            "output_version": self.output_version,
        }


@dataclass(frozen=True, slots=True)
class _Generations:
    """The generations of a night, oldest first, and the one that the output shows."""

    every: tuple[Generation, ...]
    shown: Generation


def rollback(root: str, date: str, to: int | None = None) -> RollbackResult:
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
    RollbackResult

    Raises
    ------
    JobError
        If there is no such generation.
    OutputError
        If a file of it is gone or damaged, or another run commits the night meanwhile.
    """
    tables = output_tables(root)
    tables.require_quarantine()
    night = _generations(root, date)
    wanted, version_seen = _chosen(root, date, night, to), delta_log.version(root)
    kept = set(wanted.record.replaced)
    replaced = kept | set(night.shown.record.replaced)
    old_drift = tables.drift_of(night.shown.record)
    new_drift = tables.drift_of(wanted.record)
    files = _intact_files(root, wanted.number, kept)
    record = wanted.record.model_copy(update={"generation": wanted.number})
    quarantine_version = _restore_quarantine(tables, record, replaced, kept)
    drift_version = _restore_drift(old_drift, new_drift, night.shown.record, record)
    record = record.model_copy(
        update={
            "quarantine_version": quarantine_version,
            "quarantine_id": delta_log.table_id(tables.quarantine),
            "drift_version": drift_version,
            "drift_table": link_to(new_drift, root) if new_drift else None,
        }
    )
    version = _show(root, files, record, replaced=replaced, since=version_seen)
    write_marker(root, version)
    return RollbackResult(date, night.shown, wanted, version)


def _generations(root: str, date: str) -> _Generations:
    commits = [(version, record) for version, record in run_records(root) if record.date == date]
    if not commits:
        raise _never_committed(root, date)
    every = tuple(
        Generation(version, record)
        for version, record in reversed(commits)
        if record.generation is None
    )
    newest_version, newest = commits[0]
    number = newest_version if newest.generation is None else newest.generation
    return _Generations(every, next(g for g in every if g.number == number))


def _never_committed(root: str, date: str) -> JobError:
    nights = sorted({record.date for _, record in run_records(root) if record.date})
    where, found = f"{root}, --date", f"{date} was never committed"
    if not nights:
        expected, remedy = "an output that is scored by dates", "Score it with --date"
        return JobError(where, f"{found}, and no other date", expected, remedy)
    expected = f"one of its {len(nights)} nights, {nights[0]} to {nights[-1]}"
    return JobError(where, found, expected, "Name one of them")


def _chosen(root: str, date: str, night: _Generations, to: int | None) -> Generation:
    """The generation with the number ``to``; without one, the one before the shown."""
    numbers = ", ".join(str(g.number) for g in night.every)
    if to is None:
        earlier = [g for g in night.every if g.number < night.shown.number]
        if not earlier:
            remedy = "Score the date again to replace its rows"
            if len(night.every) > 1:
                remedy = f"Name one of {numbers} with --to, if a later one is meant"
            raise JobError(
                f"{root}, {date}",
                f"shows generation {night.shown.number}, its first",
                "an earlier one to go back to",
                remedy,
            )
        return earlier[-1]
    for generation in night.every:
        if generation.number == to:
            return generation
    raise JobError("--to", f"{to}", f"a generation of {date}: one of {numbers}", "Name one of them")


def _intact_files(root: str, version: int, partitions: set[Partition]) -> tuple[WrittenFile, ...]:
    """The files of a version, each checked against the digest in its name."""
    if version < 0 or not partitions:
        return ()
    files = delta_log.files_at(root, version, partitions)
    for file in files:
        wrong = written_file.damage(storage.join(root, file.path), file)
        if wrong is not None:
            raise OutputError(
                storage.join(root, file.path),
                wrong,
                f"the file of version {version}",
                "Restore it, or score the date again",
            )
    return files


def _restore_quarantine(
    tables: OutputTables, record: RunRecord, replaced: set[Partition], kept: set[Partition]
) -> int:
    if delta_log.version(tables.quarantine) < 0:
        return -1
    files = _intact_files(tables.quarantine, record.quarantine_version, kept)
    return _show(tables.quarantine, files, record, replaced=replaced)


def _restore_drift(
    old_place: str | None, new_place: str | None, old: RunRecord, new: RunRecord
) -> int:
    """Remove the drift of the run that is shown no more; show that of the other again."""
    version = -1
    for place in sorted({place for place in (old_place, new_place) if place is not None}):
        is_new = place == new_place
        kept: set[Partition] = {(("run_id", new.run_id),)} if is_new else set()
        files = _intact_files(place, new.drift_version, kept)
        shown = _show(place, files, new, replaced={*kept, (("run_id", old.run_id),)})
        version = shown if is_new else version
    return version


def _show(
    root: str,
    files: tuple[WrittenFile, ...],
    record: RunRecord,
    *,
    replaced: set[Partition],
    since: int | None = None,
) -> int:
    """Commit files that an earlier version has; only the output's commit carries the record."""
    table = DeltaTable(root)
    by, is_output = table.metadata().partition_columns, since is not None
    return delta.commit(
        Change(
            root=root,
            schema=pa.schema(table.schema().to_arrow()),
            partition_by=by,
            run_id=record.run_id,
            files=files,
            replaced=replaced if by else (),
            metadata=record.metadata() if is_output else {},
            other_ids=record.application_ids if is_output else (),
            seen_version=since,
        )
    )
