"""Nights: which dates of an output are done, and scoring those that are not.

What is done is asked of the table's own log: a commit of a night carries its date, and its date
with a digest of its source files, as application transaction ids.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal

from lasso_jobs.data.discover import discover
from lasso_jobs.data.staging import FOLDERS, sink
from lasso_jobs.errors import JobError, LassoJobsError
from lasso_jobs.jobs.clock import Clock, Report
from lasso_jobs.jobs.done import ensure_marked
from lasso_jobs.jobs.journal import unfinished
from lasso_jobs.jobs.record import night
from lasso_jobs.jobs.score import ScoreResult, run
from lasso_jobs.jobs.score_job import ScoreJob
from lasso_jobs.jobs.score_plan import plan, sources_digest

if TYPE_CHECKING:
    from distributed import Client

Status = Literal["done", "late", "failed", "missing"]
Only = Literal["missing", "failed", "all"]
MOST_NIGHTS = 3660


@dataclass(frozen=True, slots=True)
class Night:
    """A date of an output.

    Parameters
    ----------
    date : str
    status : {"done", "late", "failed", "missing"}
        Committed; committed, but the source files have changed since; started and not committed;
        none of these.
    version : int or None
        Of the table that shows it.
    """

    date: str
    status: Status
    version: int | None


@dataclass(frozen=True, slots=True)
class NightResult:
    """What became of a date.

    Parameters
    ----------
    night : Night
        As it was before.
    result : ScoreResult or None
        If it was scored.
    error : str or None
        If that failed.
    """

    night: Night
    result: ScoreResult | None = None
    error: str | None = None

    @property
    def fate(self) -> str:
        """One word: what was done, or why not."""
        if self.error is not None:
            return "failed"
        return self.night.status if self.result is None else "scored"


def dates(first: str, last: str, newest_first: bool = False) -> tuple[str, ...]:
    """Every date from the first to the last.

    Raises
    ------
    JobError
    """
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError as error:
        found = f"{first!r} to {last!r}"
        raise JobError("--from, --to", found, "dates, YYYY-MM-DD", "Correct them") from error
    n_days = (end - start).days + 1
    if not 0 < n_days <= MOST_NIGHTS:
        expected = f"1 to {MOST_NIGHTS:,} dates, the first before the last"
        raise JobError("--from, --to", f"{n_days:,} dates", expected, "Correct them")
    days = tuple((start + timedelta(days=i)).isoformat() for i in range(n_days))
    return days[::-1] if newest_first else days


def status(job: ScoreJob, day: str) -> Night:
    """What the table says of a date.

    Parameters
    ----------
    job : ScoreJob
        Before `ScoreJob.on`.
    day : str

    Raises
    ------
    LassoJobsError
    """
    root, dated = job.output.path, job.on(day)
    started = job.output.format in FOLDERS and day in unfinished(root)
    output, data = sink(job.output.format), dated.data
    version = output.committed(root, night(day))
    if version is None:
        return Night(day, "failed" if started else "missing", None)
    sources = sources_digest(discover(data.path, data.conditions(), data.version))
    if output.committed(root, night(day, sources)) == version:
        return Night(day, "done", version)
    return Night(day, "failed" if started else "late", version)


def refuse_unknown(job: ScoreJob, only: Only) -> None:
    """Refuse to look for failed dates where nothing is noted of a run before its commit.

    Raises
    ------
    JobError
    """
    if only == "failed" and job.output.format not in FOLDERS:
        raise JobError(
            "--only",
            f"failed, with output.format: {job.output.format}, which has no journal to tell it",
            "missing or all",
            "Use --only missing: a date that failed is missing there",
        )


def is_due(found: Night, only: Only, late: Literal["rescore", "report"]) -> bool:
    """Whether a date is to be scored.

    Parameters
    ----------
    found : Night
    only : {"missing", "failed", "all"}
        ``missing`` is all that is not committed. A late date counts as missing, if the job's policy
        is to score it again.
    late : {"rescore", "report"}
    """
    if only == "all":
        return True
    if only == "failed":
        return found.status == "failed"
    return found.status in ("missing", "failed") or (found.status == "late" and late == "rescore")


def score_nights(
    job: ScoreJob,
    days: Sequence[str],
    only: Only = "missing",
    cluster: str | None = None,
    workers: int | None = None,
    report: Report | None = None,
    say: Callable[[NightResult], None] | None = None,
) -> tuple[NightResult, ...]:
    """Score the dates that are due, each as a run of its own; one that fails stops no other.

    Parameters
    ----------
    job : ScoreJob
    days : sequence of str
        In the order in which to score them.
    only : {"missing", "failed", "all"}
    cluster, workers, report
        As for `lasso_jobs.jobs.score.score`.
    say : callable, optional
        Called with each date's result.

    Raises
    ------
    LassoJobsError
        If no date fits the job, or there is no cluster.
    """
    from lasso_jobs.engine.cluster import connect

    refuse_unknown(job, only)
    for day in days:
        job.on(day)  # a job that no date fits fails here, before anything is scored
    results = []
    with connect(cluster, workers) as client:
        for day in days:
            results.append(_one(client, job, day, only, report))
            if say is not None:
                say(results[-1])
    return tuple(results)


def _one(
    client: "Client", job: ScoreJob, day: str, only: Only, report: Report | None
) -> NightResult:
    found = Night(day, "missing", None)
    try:
        found = status(job, day)
        if found.version is not None and job.output.format in FOLDERS:
            ensure_marked(job.output.path, day, found.version, job.output.format)
        if not is_due(found, only, job.late):
            return NightResult(found)
        clock = Clock()
        planned = plan(job.on(day))
        clock.lap("plan")
        return NightResult(found, run(client, planned, clock, report))
    except LassoJobsError as error:
        return NightResult(found, error=str(error))
