"""Runs a scoring job: plans, stages, measures drift, commits once, and writes the marker.

The commit protocol, in its order:

1. *Plan* (`plan`). The model, the source files and the work units are fixed. A hash of them and of
   the job is the run's id: the same job on the same files is the same run.
2. *Journal* (`journal`). The run notes when it was started.
3. *Stage* (`staging`, `rows`). Workers score the work units. Each attempt writes files of its own
   names, which no reader sees. The work unit of a worker that dies is run again, on another.
4. *Reconcile and accept* (`scored_unit`, `staging`). The first result of each work unit counts, if
   its rows scored, quarantined and filtered are those of its files. It goes into the journal.
5. *Commit* (`commit`). The drift table, then the quarantine, then the output, each in one commit:
   what the output shows is whole, and its quarantine and its drift are there already. The
   output's commit has the run's record, and the ids by which its night is known. It is refused if
   another run has changed the same partitions since the plan.
6. *Marker* (`marker`). It tells other tools that the night is done. Then the journal is removed.

When a driver dies before the commit of the output, readers still see the old rows. Started again,
it is the same run: it scores what the journal has not, and replaces its own rows in the quarantine
and in the drift table. When it dies after that commit, the output's log says that the night is
done, and `nights` writes the marker that is missing.

An output in a database has no journal and no marker: its run scores all rows again.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lasso_jobs.core.drift.drift import Severity
from lasso_jobs.drift import measure
from lasso_jobs.drift.history import Past
from lasso_jobs.drift.measure import RunDrift
from lasso_jobs.drift.table import DriftRow
from lasso_jobs.drift.verdict import because, verdict_of
from lasso_jobs.errors import OutputError
from lasso_jobs.jobs.score import ScoreJob
from lasso_jobs.models.intervals import in_words
from lasso_jobs.progress import Progress, Stages
from lasso_jobs.scoring.commit import commit, emptied_partitions
from lasso_jobs.scoring.marker import write_marker
from lasso_jobs.scoring.plan import ScorePlan, plan
from lasso_jobs.scoring.staging import BegunRun, StagedRun, stage_rows

if TYPE_CHECKING:
    from lasso_jobs.engine.tasks import Workers

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreResult:
    """A finished scoring run.

    Parameters
    ----------
    run_id, model_version : str
    rows_in, rows_scored, rows_quarantined, rows_filtered : int
        The rows of the source, and what became of them.
    reasons : mapping of str to int
        How many rows are quarantined for each code and column.
    output_version : int
        The output's version that shows the run.
    bytes_read : int
        Also by an earlier driver of the run.
    work_units, work_units_resumed : int
        All of them, and those that an earlier driver of the run had scored.
    drift : tuple of DriftRow
    seconds : mapping of str to float
        By stage.
    intervals : str
        The widths of the prediction intervals, or why there are none.
    """

    run_id: str
    model_version: str
    rows_in: int
    rows_scored: int
    rows_quarantined: int
    rows_filtered: int
    reasons: Mapping[str, int]
    output_version: int
    bytes_read: int
    work_units: int
    work_units_resumed: int
    drift: tuple[DriftRow, ...]
    seconds: Mapping[str, float]
    intervals: str

    @property
    def verdict(self) -> Severity:
        """The gravest of all partitions."""
        return verdict_of(self.drift)

    @property
    def because(self) -> str:
        """Why the verdict is what it is."""
        if not self.rows_in:
            return "not judged: the files hold no rows"
        if self.rows_filtered == self.rows_in:  # by data.where it would have been refused
            return "not judged: the table has deleted all of its rows"
        return because(self.drift) if self.drift else "not judged: the job has no drift"

    def as_values(self) -> dict[str, Any]:
        """What ``score --json`` prints."""
        return {
            "run_id": self.run_id,
            "model_version": self.model_version,
            "rows_in": self.rows_in,
            "rows_scored": self.rows_scored,
            "rows_quarantined": self.rows_quarantined,
            "rows_filtered": self.rows_filtered,
            "reasons": dict(self.reasons),
            "work_units": self.work_units,
            "work_units_resumed": self.work_units_resumed,
            "output_version": self.output_version,
            "intervals": self.intervals,
            "drift": [row.as_values() for row in self.drift],
            "verdict": self.verdict,
            "because": self.because,
            "seconds": dict(self.seconds),
            "bytes_read": self.bytes_read,
        }


def score(
    job: ScoreJob,
    cluster: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ScoreResult:
    """Score the rows of a job, and commit them.

    Parameters
    ----------
    job : ScoreJob
    cluster, workers
        As in `lasso_jobs.engine.cluster.connect`.
    progress : callable, optional
        Called with the stage's name, the work units done, and all of them.

    Returns
    -------
    ScoreResult

    Raises
    ------
    LassoJobsError

    Examples
    --------
    >>> from lasso_jobs import ScoreJob, score
    >>> result = score(ScoreJob.from_yaml("score.yaml"), workers=1)
    >>> result.rows_in, result.rows_scored, result.rows_quarantined
    (60, 60, 0)
    >>> result.model_version, result.verdict
    ('v1', 'unknown')
    >>> result.because
    'not judged: the job has no drift'
    """
    from lasso_jobs.engine.cluster import connect

    stages = Stages()
    planned = stages.run("plan", plan, job)
    with connect(cluster, workers) as started:
        stages.clock.lap("cluster")
        return run_stages(started, planned, stages, progress)


def run_stages(
    workers: "Workers",
    planned: ScorePlan,
    stages: Stages,
    progress: Progress | None = None,
    *,
    begun: BegunRun | None = None,
    past: Past | None = None,
) -> ScoreResult:
    """Run the stages that follow the plan, in the one order that commands and flows share."""
    staged = stages.run("score", stage_rows, workers, planned, progress=progress, begun=begun)
    drift = stages.run("drift", measure_drift, planned, staged, past=past)
    version = stages.run("commit", commit, planned, staged, drift_version=drift.version)
    finish(planned, drift, version)
    stages.clock.lap("page")
    rows = staged.rows
    return ScoreResult(
        run_id=planned.run_id,
        model_version=planned.task.run.model_version,
        rows_in=planned.dataset.n_rows,
        rows_scored=rows.scored,
        rows_quarantined=rows.quarantined,
        rows_filtered=rows.filtered,
        reasons=staged.reasons,
        output_version=version,
        bytes_read=sum(unit.bytes_read for unit in staged.units),
        work_units=len(staged.units),
        work_units_resumed=staged.n_resumed,
        drift=drift.rows,
        seconds=stages.clock.seconds(),
        intervals=in_words(planned.registered.model.holdout),
    )


def measure_drift(planned: ScorePlan, staged: StagedRun, past: Past | None = None) -> RunDrift:
    """Measure the drift of the scored rows, and commit it, if the job asks for it."""
    if planned.job.drift is None:
        return RunDrift()
    return measure.measure_drift(
        planned.task.watch,
        planned.task.run,
        model=planned.registered.model,
        options=planned.job.drift,
        observed=(unit.observations for unit in staged.units),
        emptied=emptied_partitions(planned, staged),
        past=past,
    )


def finish(planned: ScorePlan, drift: RunDrift, version: int) -> None:
    """Write the marker and the page, and remove the journal: the output's log has it all.

    The rows are committed: without its page the run is done, and a warning says how to draw it.

    Raises
    ------
    OutputError
        If the marker cannot be written, which other tools wait for.
    """
    if planned.journal:
        write_marker(planned.job.output.path, version, planned.job.output.format)
        planned.journal.end(planned.job.date)
    if planned.job.drift is not None and drift.history is not None:
        from lasso_jobs.drift.facts import facts_of, partition_shown
        from lasso_jobs.drift.page import place_of_page, write_page

        path, target = planned.job.drift.path, planned.registered.model.target
        features = {row.drift.feature for row in drift.rows}
        past = drift.history.recent(partition_shown(drift.rows).partition, features)
        try:
            write_page(path, facts_of(drift.rows, past, target=target))
        except OutputError as error:
            place = place_of_page(path, planned.run_id)
            logger.warning(
                "The run is committed, but its page of drift is missing (%s: %s). To draw it: %s",
                error.where,
                error.found,
                f"lasso-jobs drift show {path} --run {planned.run_id} --html {place}",
            )
