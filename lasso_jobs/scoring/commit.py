"""Commits a staged run: the quarantine first, then the output with the run's record, at once."""

from dataclasses import replace

from lasso_jobs.scoring.marker import remove_marker
from lasso_jobs.scoring.plan import ScorePlan, sources_digest
from lasso_jobs.scoring.record import PartitionRows, RunRecord, partitions_of_night
from lasso_jobs.scoring.staging import StagedRun, filtered_partitions
from lasso_jobs.scoring.tables import link_to
from lasso_jobs.sinks import delta_log, protocol


def commit(planned: ScorePlan, staged: StagedRun, drift_version: int) -> int:
    """Make all of a run's rows visible at once; return the output's version.

    The quarantine is committed just before. A run is refused, before it changes anything, if
    another run has committed some of its partitions since its plan was made. Repeated, a commit
    replaces the run's own rows, so that it doubles none.

    Raises
    ------
    OutputError
    """
    task, to = planned.task, planned.task.destination
    replaced = staged.partitions | emptied_partitions(planned, staged)
    record = _record(planned, staged, replaced, drift_version)
    change = replace(
        task.output_change,
        replaced=replaced,
        other_ids=record.application_ids,
        seen_version=planned.output_version,
    )
    sink = protocol.sink(to.format)
    before = sink.committed(to.root, planned.run_id)
    if before is None or before <= planned.output_version:  # else this is a second try
        sink.check(change)
    quarantined = [file for unit in staged.units for file in unit.quarantined_files]
    if quarantined or sink.exists(to.quarantine):
        version = sink.commit(
            replace(
                task.quarantine_change,
                files=quarantined,
                replaced=replaced,
                metadata={"model": record.model, "digest": record.digest},
                seen_version=planned.quarantine_version,
            )
        )
        id_ = delta_log.table_id(to.quarantine) if to.format == "delta" else None
        record = record.model_copy(update={"quarantine_version": version, "quarantine_id": id_})
    files = [file for unit in staged.units for file in unit.files]
    if to.format == "parquet":
        remove_marker(to.root, planned.job.date, until=planned.output_version)
    return sink.commit(replace(change, files=files, metadata=record.metadata()))


def emptied_partitions(planned: ScorePlan, staged: StagedRun) -> set[protocol.Partition]:
    """The partitions that the run leaves without rows.

    They are those of files of which no row is left, where the names of their folders tell the
    partition, and those that the night had before and has no more.
    """
    to = planned.task.destination
    emptied = partitions_of_night(to.root, planned.job.date, to.format)
    emptied |= {key for key, rows in filtered_partitions(planned, staged).items() if not rows.kept}
    return emptied - staged.partitions


def _record(
    planned: ScorePlan, staged: StagedRun, replaced: set[protocol.Partition], drift_version: int
) -> RunRecord:
    scored, quarantined = (dict.fromkeys(replaced, 0) for _ in range(2))
    for unit in staged.units:
        for file in unit.files:
            scored[file.partition] += file.rows
        for file in unit.quarantined_files:
            quarantined[file.partition] += file.rows
    rows, drift = staged.rows, planned.job.drift
    # Only Delta outputs are gone back to, or recounted.
    linked = drift is not None and drift_version >= 0 and planned.task.destination.format == "delta"
    return RunRecord(
        run_id=planned.run_id,
        model=planned.registered.reference,
        digest=planned.registered.digest,
        date=planned.job.date,
        sources=sources_digest(planned.dataset),
        scored_at=planned.task.run.scored_at,
        job=planned.job.model_dump(mode="json", by_alias=True),
        rows_in=planned.dataset.n_rows,
        rows_scored=rows.scored,
        rows_quarantined=rows.quarantined,
        rows_filtered=rows.filtered,
        partitions=tuple(
            PartitionRows(partition=key, scored=scored[key], quarantined=quarantined[key])
            for key in sorted(replaced, key=str)
        ),
        quarantine_version=-1,
        drift_version=drift_version,
        drift_table=link_to(drift.path, planned.job.output.path) if drift and linked else None,
        bytes_per_second=staged.bytes_per_second,
    )
