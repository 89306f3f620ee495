"""Finds out which nights of an output are done, and scores those that are not.

The output's own log says what is done: the commit of a night has as application transaction ids
its date, and its date with a digest of its source files. So a night that was committed before some
of its files changed is late. A night of which there is but a journal has failed. One that is not
committed and has no source files waits for them: that fails nothing, and it is scored once they are
there.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from lasso_jobs.data.discover import Listing, discover
from lasso_jobs.drift.history import Past
from lasso_jobs.errors import JobError, LassoJobsError, NoDataError
from lasso_jobs.jobs.score import ScoreJob
from lasso_jobs.models.registry import Registered, Registry
from lasso_jobs.progress import Progress, Stages
from lasso_jobs.scoring.journal import unfinished_nights
from lasso_jobs.scoring.marker import correct_marker, ensure_marker
from lasso_jobs.scoring.plan import ScorePlan, plan, sources_digest
from lasso_jobs.scoring.record import night_id, run_records
from lasso_jobs.scoring.run import ScoreResult, run_stages
from lasso_jobs.scoring.staging import BegunRun, begin_rows
from lasso_jobs.scoring.tables import quarantine_place
from lasso_jobs.sinks import delta_log
from lasso_jobs.sinks.protocol import FOLDERS, sink

if TYPE_CHECKING:
    from lasso_jobs.engine.tasks import Workers

NightStatus = Literal["done", "late", "failed", "missing", "waiting"]
AT_ONCE = 2
"""Dates of a range: one is committed, while the others are read and scored."""
LISTED_SECONDS = 60
"""The source is listed again once the listing is so old: its files come and go."""
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


def find_night(job: ScoreJob, day: str, listed: Listing | None = None) -> Night:
    """Ask the output about a date.

    Parameters
    ----------
    job : ScoreJob
        For all dates: `ScoreJob.on` has not fixed one.
    day : str
    listed : Listing, optional
        The source files, if they are listed already.

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
            (listed or Listing.of(data.path, data.version)).found(data.conditions())
            return Night(day, "failed" if started else "missing", None)
        found = discover(
            data.path, data.conditions(), data.version, may_be_empty=True, listed=listed
        )
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
    with connect(cluster, workers) as started, delta_log.kept_open():
        return tuple(_Range(started, job, only).results(days, progress))


@dataclass(slots=True)
class _Ahead:
    """A night that is being scored, or why it is not."""

    result: NightResult
    stages: Stages
    planned: ScorePlan | None = None
    begun: BegunRun | None = None


class _Range:
    """Scores dates one after the other, and has the next ones read and scored meanwhile.

    The model is resolved once, and the source is listed once a minute; the history of drift stays
    in memory. Nights are judged and committed in their order, by this thread alone.
    """

    def __init__(self, workers: "Workers", job: ScoreJob, only: NightFilter) -> None:
        self._workers, self._job, self._only = workers, job, only
        self._past = None if job.drift is None else Past(job.drift.path)
        self._ahead: deque[_Ahead] = deque()
        self._listing: tuple[float, Listing] | None = None

    @property
    def _listed(self) -> Listing:
        now, data = time.monotonic(), self._job.data
        if self._listing is None or now - self._listing[0] > LISTED_SECONDS:
            self._listing = (now, Listing.of(data.path, data.version))
        return self._listing[1]

    @cached_property
    def _registered(self) -> Registered:
        return Registry(self._job.registry).load(self._job.model)

    def results(self, days: Sequence[str], progress: Progress | None) -> Iterator[NightResult]:
        """The fate of each date, in their order."""
        waiting = deque(days)
        for done in range(1, len(days) + 1):
            self._ahead = self._ahead or deque([self._begun(waiting.popleft())])
            # Before the first commit nobody knows the columns of the output.
            while waiting and len(self._ahead) < AT_ONCE and self._is_there(self._ahead[0]):
                self._ahead.append(self._begun(waiting.popleft()))
            yield self._finished(self._ahead.popleft())
            if progress is not None:
                progress("dates", done, len(days))

    def _is_there(self, night: _Ahead) -> bool:
        return night.planned is None or night.planned.output_version >= 0

    def _begun(self, day: str) -> _Ahead:
        """Plan a date that is due, and begin to score it."""
        job, stages, night = self._job, Stages(), Night(day, "missing", None)
        try:
            night = find_night(job, day, self._listed)
            if job.output.format in FOLDERS:
                ensure_marker(job.output.path, day, night.version, job.output.format)
            if not night.is_due(self._only, job.late):
                return _Ahead(NightResult(night), stages)
            planned = stages.run(
                "plan", plan, job.on(day), registered=self._registered, listed=self._listed
            )
            return _Ahead(NightResult(night), stages, planned, begin_rows(self._workers, planned))
        except LassoJobsError as error:
            return _Ahead(_failed(night, error), stages)

    def _finished(self, ahead: _Ahead) -> NightResult:
        """Commit a date that was begun."""
        if ahead.planned is None:
            return ahead.result
        night, stages = ahead.result.night, ahead.stages
        stages.clock.start()  # what came since the plan was of the dates before
        try:
            result = run_stages(
                self._workers, ahead.planned, stages, begun=ahead.begun, past=self._past
            )
        except LassoJobsError as error:
            return _failed(night, error)
        self._advance(result.output_version)
        return NightResult(night, result)

    def _advance(self, version: int) -> None:
        """What this has committed itself does not overtake the dates that it has planned."""
        output = self._job.output
        (_, record), *_ = run_records(output.path, output.format, at=version)
        for ahead in self._ahead:
            if ahead.planned is not None and ahead.planned.output_version == version - 1:
                ahead.planned = replace(ahead.planned, output_version=version)
            beside = record.quarantine_version
            if ahead.planned is not None and ahead.planned.quarantine_version == beside - 1:
                ahead.planned = replace(ahead.planned, quarantine_version=beside)


def _failed(night: Night, error: LassoJobsError) -> NightResult:
    if isinstance(error, NoDataError) and night.version is None:
        return NightResult(replace(night, status="waiting", because=str(error)))
    return NightResult(night, error=str(error))
