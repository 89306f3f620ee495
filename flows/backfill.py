"""Score the days of a range that are due, each as a run of its own."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Annotated, Any

from prefect import flow, get_run_logger

from flows.common import load
from flows.parameters import ClusterName, Scoring, Told, Workers
from flows.score import score_flow
from lasso_jobs.errors import JobError, LassoJobsError
from lasso_jobs.jobs import nights
from lasso_jobs.jobs.score_job import ScoreJob

First = Annotated[date, Told("The first day, YYYY-MM-DD")]
Last = Annotated[date, Told("The last day, YYYY-MM-DD")]
Only = Annotated[
    nights.Only, Told("missing: what is not committed, or failed; failed; or all, once more")
]
NewestFirst = Annotated[bool, Told("Otherwise the oldest first")]


@flow(name="backfill", flow_run_name="backfill {first} to {last}")
def backfill_flow(
    score_job: Scoring,
    first: First,
    last: Last,
    only: Only = "missing",
    newest_first: NewestFirst = True,
    cluster: ClusterName = None,
    workers: Workers = None,
) -> dict[str, Any]:
    """Score the days from first to last that are due.

    Parameters
    ----------
    score_job : ScoreJob or str
        The job, the path of its file, or ``variable:NAME``.
    first, last : date
    only : {"missing", "failed", "all"}
        Which days are due.
    newest_first : bool
    cluster, workers
        As in `lasso_jobs.engine.cluster.connect`.

    Returns
    -------
    dict
        What ``lasso-jobs score --json`` prints, for each day that was scored.
    """
    if last < first:
        raise JobError("last", f"{last}", f"{first} or later", "Correct it")
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    ordered = reversed(days) if newest_first else days
    return score_due(score_job, ordered, only, cluster, workers)


def score_due(
    score_job: ScoreJob | str,
    days: Iterable[date],
    only: nights.Only,
    cluster: str | None,
    workers: int | None,
) -> dict[str, Any]:
    """Score those of the days that are due; a failure is raised after all have had a try."""
    job, done, failure = load(ScoreJob, score_job, None), {}, None
    for day in days:
        try:
            found = nights.status(job, day.isoformat())
            if nights.is_due(found, only, job.late):
                get_run_logger().warning("%s is %s: scoring it", day, found.status)
                done[day.isoformat()] = score_flow(score_job, day, cluster, workers)
        except LassoJobsError as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return done
