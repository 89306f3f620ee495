"""Finds out which nights of an output are done, and scores those that are not.

The output's own log says what is done: the commit of a night has as application transaction ids
its date, and its date with a digest of its source files. So a night that was committed before some
of its files changed is late. A night of which there is but a journal has failed. One that is not
committed and has no source files waits for them: that fails nothing, and it is scored once they are
there.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from lasso_jobs.data.discover import discover, find_files
from lasso_jobs.errors import JobError, LassoJobsError, NoDataError
from lasso_jobs.jobs.score import ScoreJob
from lasso_jobs.progress import Progress, Stages
from lasso_jobs.scoring.journal import unfinished_nights
from lasso_jobs.scoring.marker import correct_marker, ensure_marker
from lasso_jobs.scoring.plan import plan, sources_digest
from lasso_jobs.scoring.record import night_id
from lasso_jobs.scoring.run import ScoreResult, run_stages
from lasso_jobs.scoring.tables import quarantine_place
from lasso_jobs.sinks.protocol import FOLDERS, sink

if TYPE_CHECKING:
    from lasso_jobs.engine.tasks import Workers

NightStatus = Literal["done", "late", "failed", "missing", "waiting"]
NightFilter = Literal["missing", "failed", "all"]
"""Which nights are to be scored: see `Night.is_due`."""


@dataclass(frozen=True, slots=True)
class Night:
    """A date of an output.

    Parameters
    ----------
    date : str
    status : {"done", "late", "failed", "missing", "waiting"}
        ``done`` is committed; ``late`` is committed, but its source files have changed since;
        ``waiting`` is not committed and has no source files; ``failed`` has some, and is started
        and not committed; ``missing`` is none of these.
    version : int or None
        The output's version that shows it.
    because : str or None
        Why it has no data.
    """

    date: str
    status: NightStatus
    version: int | None
    because: str | None = None

    def is_due(self, only: NightFilter, late: Literal["rescore", "report"]) -> bool:
        """Whether the night is to be scored.

        Parameters
        ----------
        only : {"missing", "failed", "all"}
            ``missing`` is all that is not committed. A late night counts as missing if the job's
            policy is to score it again.
        late : {"rescore", "report"}
            That policy.

        Examples
        --------
        >>> night = Night("2013-10-01", "late", 7)
        >>> night.is_due("missing", "rescore"), night.is_due("missing", "report")
        (True, False)
        """
        if self.status == "waiting":
            return False
        if only == "all":
            return True
        if only == "failed":
            return self.status == "failed"
        return self.status in ("missing", "failed") or (self.status == "late" and late == "rescore")

    def as_values(self) -> dict[str, Any]:
        """The night, for JSON."""
        return asdict(self)


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

    def as_values(self) -> dict[str, Any]:
        """The date, as ``score --from --to --json`` prints it; with the run, if there was one."""
        values: dict[str, Any] = {
            "date": self.night.date,
            "was": self.night.status,
            "fate": self.fate,
            "rows_scored": None,
            "rows_quarantined": None,
            "verdict": None,
            "because": self.night.because,
            "error": self.error,
        }
        return values if self.result is None else values | self.result.as_values()


def find_night(job: ScoreJob, day: str) -> Night:
    """Ask the output about a date.

    Parameters
    ----------
    job : ScoreJob
        For all dates: `ScoreJob.on` has not fixed one.
    day : str

    Raises
    ------
    LassoJobsError
    """
    root, dated = job.output.path, job.on(day)
    format_ = job.output.format
    started = format_ in FOLDERS and day in unfinished_nights(root)
    output, data = sink(format_), dated.data
    if format_ in FOLDERS:
        # To ask carries out what a killed commit left undone.
        output.exists(quarantine_place(root, format_))
    version = output.committed(root, night_id(day))
    if format_ in FOLDERS:
        correct_marker(root, day, version, format_)
    try:
        if version is None:
            find_files(data.path, data.conditions(), data.version)
            return Night(day, "failed" if started else "missing", None)
        found = discover(data.path, data.conditions(), data.version, may_be_empty=True)
    except NoDataError as error:
        # Source files that are gone change no scores: many are deleted when they are old.
        return Night(day, "waiting" if version is None else "done", version, str(error))
    sources = sources_digest(found)
    if output.committed(root, night_id(day, sources)) == version:
        return Night(day, "done", version)
    return Night(day, "failed" if started else "late", version)


def refuse_failed_without_journal(job: ScoreJob, only: NightFilter) -> None:
    """Refuse to look for failed dates where no journal says that a run was started.

    Raises
    ------
    JobError
    """
    if only == "failed" and job.output.format not in FOLDERS:
        raise JobError(
            "--only",
            f"failed, but output.format: {job.output.format} keeps no journal of failed runs",
            "missing or all",
            "Use --only missing: a date that failed is missing there",
        )


def score_nights(
    job: ScoreJob,
    days: Sequence[str],
    only: NightFilter = "missing",
    *,
    cluster: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[NightResult, ...]:
    """Score the dates that are due, each as a run of its own; one that fails stops no other.

    Parameters
    ----------
    job : ScoreJob
    days : sequence of str
        In the order in which to score them.
    only : {"missing", "failed", "all"}
    cluster, workers, progress
        As for `lasso_jobs.scoring.run.score`.

    Raises
    ------
    LassoJobsError
        If no date fits the job, or there is no cluster.
    """
    from lasso_jobs.engine.cluster import connect

    refuse_failed_without_journal(job, only)
    for day in days:
        job.on(day)  # a job that no date fits fails here, before anything is scored
    with connect(cluster, workers) as started:
        return tuple(_score_if_due(started, job, day, only=only, progress=progress) for day in days)


def _score_if_due(
    workers: "Workers", job: ScoreJob, day: str, *, only: NightFilter, progress: Progress | None
) -> NightResult:
    night = Night(day, "missing", None)
    try:
        night = find_night(job, day)
        if job.output.format in FOLDERS:
            ensure_marker(job.output.path, day, night.version, job.output.format)
        if not night.is_due(only, job.late):
            return NightResult(night)
        stages = Stages()
        planned = stages.run("plan", plan, job.on(day))
        return NightResult(night, run_stages(workers, planned, stages, progress))
    except NoDataError as error:
        if night.version is not None:
            return NightResult(night, error=str(error))
        return NightResult(replace(night, status="waiting", because=str(error)))
    except LassoJobsError as error:
        return NightResult(night, error=str(error))
