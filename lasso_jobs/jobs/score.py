"""Scoring: plan, predict partition by partition, compare with training, commit once.

The commit of the output is the last step: what it shows is whole, with its quarantine and its drift
in their tables already. Before it nothing is visible there; a run that is repeated goes on where it
stopped, and replaces its own rows.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lasso_jobs.core.drift import Verdict
from lasso_jobs.core.verdicts import worst
from lasso_jobs.data import staging
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.bad_rows import refuse_too_many
from lasso_jobs.jobs.clock import Clock, Report, progress_of
from lasso_jobs.jobs.done import mark_done
from lasso_jobs.jobs.record import Counted, Record, owned
from lasso_jobs.jobs.score_job import ScoreJob
from lasso_jobs.jobs.score_plan import ScorePlan, extended, plan, sources_digest
from lasso_jobs.jobs.score_rows import QUARANTINE, RESULT, score_partition
from lasso_jobs.jobs.scored import Scored, reconcile
from lasso_jobs.jobs.watch import Measured, PartitionDrift, measure_drift

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True, slots=True)
class Predicted:
    """Every unit of work, scored; its files are written, and no reader sees them.

    Parameters
    ----------
    parts : tuple of Scored
    n_resumed : int
        Units that an earlier run of the same id had done.
    bytes_per_second : float or None
        Of the units of this run.
    """

    parts: tuple[Scored, ...]
    n_resumed: int
    bytes_per_second: float | None

    @property
    def reasons(self) -> dict[str, int]:
        """Quarantined rows by code and column."""
        return dict(sum((Counter(part.reasons) for part in self.parts), Counter[str]()))

    @property
    def rows_scored(self) -> int:
        """Rows with a prediction."""
        return sum(part.rows_scored for part in self.parts)

    @property
    def rows_quarantined(self) -> int:
        """Rows that could not be scored."""
        return sum(part.rows_quarantined for part in self.parts)


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """A finished scoring run."""

    run_id: str
    model_version: str
    rows_in: int
    rows_scored: int
    rows_quarantined: int
    rows_filtered: int
    reasons: Mapping[str, int]
    output_version: int
    bytes_read: int
    partitions: int
    partitions_resumed: int
    drift: tuple[PartitionDrift, ...]
    seconds: Mapping[str, float]

    @property
    def verdict(self) -> Verdict:
        """The gravest of all features in all partitions."""
        return worst([row.drift.verdict for row in self.drift])


def predict(client: "Client", planned: ScorePlan, report: Report | None = None) -> Predicted:
    """Score every partition that the journal has not; write files that no reader sees yet.

    Raises
    ------
    DataError
        If more rows cannot be scored than ``bad_rows`` allows.
    OutputError
        If the rows do not add up.
    """
    from lasso_jobs.engine.tasks import bounded_map

    job, journal = planned.job, planned.journal
    results = journal.accepted(planned.partitions) if journal else {}
    if journal:
        journal.begin(planned.scoring.scored_at, job.date)
    n_resumed = len(results)
    rest = [i for i in range(len(planned.partitions)) if i not in results]
    units = [planned.partitions[i] for i in rest]
    progress = progress_of(report, "score", len(results))
    started, n_bytes = time.perf_counter(), 0
    for i, scored in bounded_map(
        client, score_partition, units, planned.scoring, progress=progress
    ):
        reconcile(units[i], scored)
        if job.bad_rows == "fail":
            n_rows = scored.rows_scored + scored.rows_quarantined
            refuse_too_many(job, str(units[i]), scored.rows_quarantined, n_rows, scored.reasons)
        if journal:
            journal.accept(units[i], scored, planned.scoring.scored_at)
        results[rest[i]] = scored
        n_bytes += scored.bytes_read
    seconds = time.perf_counter() - started
    parts = tuple(results[i] for i in range(len(planned.partitions)))
    predicted = Predicted(parts, n_resumed, n_bytes / seconds if n_bytes else None)
    _check_kept(planned, predicted)
    return predicted


def _check_kept(planned: ScorePlan, predicted: Predicted) -> None:
    kept = predicted.rows_scored + predicted.rows_quarantined
    if not kept:
        raise DataError(
            planned.dataset.path,
            f"none of its {planned.dataset.n_rows:,} rows is left by data.where",
            "at least one row",
            "Widen data.where; nothing was committed",
        )
    n_bad = predicted.rows_quarantined
    refuse_too_many(planned.job, planned.dataset.path, n_bad, kept, predicted.reasons)


def commit(planned: ScorePlan, predicted: Predicted, drift_version: int) -> int:
    """Make all of a run's rows visible at once; return the table's version.

    The quarantine is committed just before. A run whose partitions another run has committed since
    the plan was made is refused before it changes anything.

    Raises
    ------
    OutputError
    """
    scoring, carried, by = planned.scoring, planned.contract.carried, planned.scoring.partition_by
    files = [file for part in predicted.parts for file in part.files]
    bad = [file for part in predicted.parts for file in part.quarantined_files]
    touched = {key for part in predicted.parts for key, _ in part.watched}
    touched |= owned(scoring.root, planned.job.date, scoring.format)  # it may have lost rows
    schema = extended(carried, RESULT)
    record = _record(planned, predicted, touched, drift_version)
    sink = staging.sink(scoring.format)
    before = sink.committed(scoring.root, scoring.run_id)
    if before is None or before <= planned.output_version:  # else this is a second try
        sink.check(scoring.root, schema, by, touched, planned.output_version)
    if bad or sink.exists(scoring.quarantine):
        version = sink.commit(
            scoring.quarantine,
            bad,
            extended(carried, QUARANTINE),
            by,
            scoring.run_id,
            {"model": record.model, "digest": record.digest},
            touched,
            since=planned.quarantine_version,
        )
        record = record.model_copy(update={"quarantine_version": version})
    return sink.commit(
        scoring.root,
        files,
        schema,
        by,
        scoring.run_id,
        record.metadata(),
        touched,
        record.applications,
        planned.output_version,
    )


def _record(
    planned: ScorePlan, predicted: Predicted, touched: set[staging.Partition], drift_version: int
) -> Record:
    counts = {key: [0, 0] for key in touched}
    for part in predicted.parts:
        for fate, files in enumerate((part.files, part.quarantined_files)):
            for file in files:
                counts[file.partition][fate] += file.rows
    return Record(
        run_id=planned.run_id,
        model=planned.registered.reference,
        digest=planned.registered.digest,
        date=planned.job.date,
        sources=sources_digest(planned.dataset),
        scored_at=planned.scoring.scored_at,
        job=planned.job.model_dump(mode="json", by_alias=True),
        rows_in=planned.dataset.n_rows,
        rows_scored=predicted.rows_scored,
        rows_quarantined=predicted.rows_quarantined,
        rows_filtered=sum(part.rows_filtered for part in predicted.parts),
        partitions=tuple(
            Counted(partition=key, scored=scored, quarantined=quarantined)
            for key, (scored, quarantined) in sorted(counts.items(), key=str)
        ),
        quarantine_version=-1,
        drift_version=drift_version,
        bytes_per_second=predicted.bytes_per_second,
    )


def score(
    job: ScoreJob,
    cluster: str | None = None,
    workers: int | None = None,
    report: Report | None = None,
) -> ScoreResult:
    """Score the rows of a job, and commit them.

    Parameters
    ----------
    job : ScoreJob
    cluster, workers
        As in `lasso_jobs.engine.cluster.connect`.
    report : callable, optional
        Called with the stage's name, the partitions done, and all partitions.

    Returns
    -------
    ScoreResult

    Raises
    ------
    LassoJobsError
    """
    from lasso_jobs.engine.cluster import connect

    clock = Clock()
    planned = plan(job)
    clock.lap("plan")
    with connect(cluster, workers) as client:
        clock.lap("cluster")
        return run(client, planned, clock, report)


def run(
    client: "Client", planned: ScorePlan, clock: Clock, report: Report | None = None
) -> ScoreResult:
    """All that follows the plan."""
    predicted = predict(client, planned, report)
    clock.lap("score")
    measured = measure_drift(planned, predicted.parts)
    clock.lap("drift")
    version = commit(planned, predicted, measured.version)
    finish(planned, version)
    clock.lap("commit")
    return summed_up(planned, predicted, measured, version, clock)


def finish(planned: ScorePlan, version: int) -> None:
    """Write the completion marker, forget the journal (the log has it all), and write the page.

    Raises
    ------
    OutputError
    """
    from lasso_jobs.jobs.drift_show import write_page

    if planned.journal:
        mark_done(planned.scoring.root, version, planned.scoring.format)
        planned.journal.end(planned.job.date)
    if planned.job.drift is not None:
        write_page(planned.job.drift.path, planned.run_id, planned.registered.model.target)


def summed_up(
    planned: ScorePlan, predicted: Predicted, measured: Measured, version: int, clock: Clock
) -> ScoreResult:
    """The result of a run's stages."""
    return ScoreResult(
        planned.run_id,
        planned.scoring.model_version,
        planned.dataset.n_rows,
        predicted.rows_scored,
        predicted.rows_quarantined,
        sum(part.rows_filtered for part in predicted.parts),
        predicted.reasons,
        version,
        sum(part.bytes_read for part in predicted.parts),
        len(predicted.parts),
        predicted.n_resumed,
        measured.rows,
        clock.seconds(),
    )
