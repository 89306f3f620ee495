"""Scores the days of a range that are due, each as a run of its own."""

import logging
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Annotated, Any, NamedTuple

from prefect import flow
from prefect.runtime import flow_run

from lasso_jobs.errors import JobError, LassoJobsError, NoDataError
from lasso_jobs.flows import run_page
from lasso_jobs.flows.parameters import ClusterName, Described, Scoring, Workers, load
from lasso_jobs.flows.score import score_flow
from lasso_jobs.flows.stages import tagged
from lasso_jobs.jobs.score import ScoreJob
from lasso_jobs.scoring import nights

First = Annotated[date, Described("The first day, YYYY-MM-DD")]
Last = Annotated[date, Described("The last day, YYYY-MM-DD")]
Only = Annotated[
    nights.NightFilter,
    Described("missing: what is not committed, or failed; failed; or all, once more"),
]
NewestFirst = Annotated[bool, Described("Otherwise the oldest first")]


def _run_name() -> str:
    parameters = flow_run.parameters
    return run_page.name("backfill", parameters["first"], "to", parameters["last"])


@flow(name="backfill", flow_run_name=_run_name)
def backfill_flow(
    score_job: Scoring,
    first: First,
    last: Last,
    *,
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
        raise JobError("first, last", f"{first} to {last}", "the first date first", "Swap them")
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    ordered = reversed(days) if newest_first else days
    done = score_due(score_job, ordered, only, cluster=cluster, workers=workers)
    if done.failure is not None:
        raise done.failure
    return done.scored


class Tried(NamedTuple):
    """What became of some days.

    Parameters
    ----------
    scored : dict
        What ``lasso-jobs score --json`` prints, for each day that was scored.
    waiting : dict of str to str
        The days that have no data yet, with the reason.
    failure : LassoJobsError or None
        The first.
    """

    scored: dict[str, Any]
    waiting: dict[str, str]
    failure: LassoJobsError | None


def score_due(
    score_job: ScoreJob | str,
    days: Iterable[date],
    only: nights.NightFilter,
    *,
    cluster: str | None,
    workers: int | None,
) -> Tried:
    """Score those of the days that are due; all have a try, whatever becomes of the others."""
    job = load(ScoreJob, score_job, None)
    failure: LassoJobsError | None = None
    scored: dict[str, Any] = {}
    waiting: dict[str, str] = {}
    level = logging.INFO if only == "all" else logging.WARNING
    for day in days:
        try:
            night = _night(job, day, only)
            if night.status == "waiting":
                waiting[night.date] = str(night.because)
                run_page.log(logging.WARNING, f"{day} waits for its data: {night.because}")
            elif night.is_due(only, job.late):
                run_page.log(level, f"{day} is {night.status}: scoring it")
                with tagged():
                    scored[day.isoformat()] = score_flow(
                        score_job, day, cluster=cluster, workers=workers
                    )
        except NoDataError as error:
            if night.version is None:
                waiting[night.date] = str(error)
            else:
                failure = failure or error
        except LassoJobsError as error:
            failure = failure or error
    return Tried(scored, waiting, failure)


def _night(job: ScoreJob, day: date, only: nights.NightFilter) -> nights.Night:
    try:
        return nights.find_night(job, day.isoformat())
    except LassoJobsError:
        if only != "all":
            raise
        # The day is to be scored whatever it was: that fails by it, as a run that says so.
        return nights.Night(day.isoformat(), "missing", None)
