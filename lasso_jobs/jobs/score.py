"""Scoring: plan, predict partition by partition, commit once, compare with training.

Nothing is visible before the commit, and a run that is repeated replaces its own rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from lasso_jobs.core import drift as d
from lasso_jobs.data import staging
from lasso_jobs.errors import DataError, OutputError
from lasso_jobs.jobs.clock import Clock, Report, progress_of
from lasso_jobs.jobs.config import ScoreJob
from lasso_jobs.jobs.score_plan import ScorePlan, plan
from lasso_jobs.jobs.score_rows import QUARANTINE, RESULT, Scored, score_partition
from lasso_jobs.jobs.watch import PartitionDrift, measure_drift

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """A finished scoring run."""

    run_id: str
    model_version: str
    rows_in: int
    rows_scored: int
    rows_quarantined: int
    rows_filtered: int
    output_version: int
    bytes_read: int
    drift: tuple[PartitionDrift, ...]
    seconds: Mapping[str, float]

    @property
    def verdict(self) -> d.Verdict:
        """The gravest of all features in all partitions."""
        return d.worst([row.drift.verdict for row in self.drift])


def predict(
    client: "Client", planned: ScorePlan, report: Report | None = None
) -> tuple[Scored, ...]:
    """Score every partition; write files that no reader sees yet.

    Raises
    ------
    DataError
        If a row cannot be scored and the job says ``bad_rows: fail``.
    OutputError
        If the rows do not add up.
    """
    from lasso_jobs.engine.tasks import bounded_map

    results: dict[int, Scored] = {}
    for position, scored in bounded_map(
        client,
        score_partition,
        planned.partitions,
        planned.scoring,
        progress=progress_of(report, "score"),
    ):
        if scored.first_reason is not None and planned.job.bad_rows == "fail":
            raise DataError(
                str(planned.partitions[position]),
                f"{scored.rows_quarantined} rows cannot be scored ({scored.first_reason}, ...)",
                "rows that can, as bad_rows is fail",
                "Mend the file, or set bad_rows to quarantine",
            )
        results[position] = scored
    for position, partition in enumerate(planned.partitions):
        part = results[position]
        out = part.rows_scored + part.rows_quarantined + part.rows_filtered
        if out != partition.rows:
            raise OutputError(
                str(partition),
                f"{out:,} rows scored, quarantined or filtered",
                f"the {partition.rows:,} rows of its footer",
                "Nothing was committed: check the file",
            )
    parts = tuple(results[position] for position in range(len(planned.partitions)))
    if not any(part.rows_scored + part.rows_quarantined for part in parts):
        raise DataError(
            planned.dataset.path,
            f"none of its {planned.dataset.n_rows:,} rows is left by data.where",
            "at least one row",
            "Widen data.where; nothing was committed",
        )
    return parts


def commit(planned: ScorePlan, parts: Sequence[Scored]) -> int:
    """Make all of a run's rows visible at once; return the table's version."""
    scoring = planned.scoring
    carried = pa.schema([planned.dataset.schema.field(name) for name in scoring.carried])
    touched = {key for part in parts for key in part.watched}
    metadata = {"model": planned.registered.reference, "digest": planned.registered.digest}
    bad = [file for part in parts for file in part.quarantined_files]
    sink = staging.sink(scoring.format)
    if bad or sink.exists(scoring.quarantine):
        sink.commit(
            scoring.quarantine,
            bad,
            _extended(carried, QUARANTINE),
            scoring.partition_by,
            scoring.run_id,
            metadata,
            touched,
        )
    files = [file for part in parts for file in part.files]
    return sink.commit(
        scoring.root,
        files,
        _extended(carried, RESULT),
        scoring.partition_by,
        scoring.run_id,
        metadata,
        touched,
    )


def _extended(carried: pa.Schema, fields: pa.Schema) -> pa.Schema:
    return pa.schema([*carried, *fields])


def score(
    job: ScoreJob,
    cluster: str = "local",
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
        parts = predict(client, planned, report)
        clock.lap("score")
    version = commit(planned, parts)
    clock.lap("commit")
    drift = measure_drift(planned, parts)
    clock.lap("drift")
    return summed_up(planned, parts, version, drift, clock)


def summed_up(
    planned: ScorePlan,
    parts: Sequence[Scored],
    version: int,
    drift: tuple[PartitionDrift, ...],
    clock: Clock,
) -> ScoreResult:
    """The result of a run's stages."""
    return ScoreResult(
        planned.run_id,
        planned.scoring.model_version,
        planned.dataset.n_rows,
        sum(part.rows_scored for part in parts),
        sum(part.rows_quarantined for part in parts),
        sum(part.rows_filtered for part in parts),
        version,
        sum(part.bytes_read for part in parts),
        drift,
        clock.seconds(),
    )
