"""Runs a monitoring job: joins scored rows with known outcomes, judges the errors, records them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from operator import itemgetter

from lasso_jobs.core.drift import outcomes as o
from lasso_jobs.core.drift.drift import Severity
from lasso_jobs.drift.table import night
from lasso_jobs.errors import DataError, ModelError
from lasso_jobs.jobs.monitor import MonitorJob
from lasso_jobs.models.model import Holdout
from lasso_jobs.models.registry import Registry
from lasso_jobs.monitoring import history
from lasso_jobs.monitoring.emptied import emptied
from lasso_jobs.monitoring.history import MonitorResult, PeriodErrors
from lasso_jobs.monitoring.join import JoinedErrors, join, merge, nothing_joined
from lasso_jobs.monitoring.known_outcomes import TallyKey
from lasso_jobs.monitoring.plan import MonitorPlan, plan
from lasso_jobs.progress import Clock, Progress, of_stage


def monitor(
    job: MonitorJob,
    first: str | None = None,
    last: str | None = None,
    *,
    cluster: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> MonitorResult:
    """Compare scored rows with their outcomes, period by period.

    Parameters
    ----------
    job : MonitorJob
    first, last : str, optional
        Dates; the periods from one to the other. By default all that were scored.
    cluster, workers
        As in `lasso_jobs.engine.cluster.connect`.
    progress : callable, optional
        Called with the stage's name, the work units done, and all of them.

    Returns
    -------
    MonitorResult

    Raises
    ------
    LassoJobsError

    Examples
    --------
    >>> from lasso_jobs import MonitorJob, monitor
    >>> job = MonitorJob.from_yaml("monitor.yaml")
    >>> result = monitor(job, "2024-03-02", "2024-03-02", workers=1)
    >>> result.rows[0].reason
    'as expected: RMSE 0.9206 where 1.209 was expected'
    """
    clock = Clock()
    planned = plan(job, first, last)
    clock.lap("plan")
    joined = joined_batches(planned, cluster, workers, progress)
    clock.lap("join")
    return finish(planned, joined, clock)


def joined_batches(
    planned: MonitorPlan, cluster: str | None, workers: int | None, progress: Progress | None = None
) -> JoinedErrors:
    """Join all batches on a cluster, and merge them in their order."""
    from lasso_jobs.engine.cluster import connect

    batches, advance = planned.batches, of_stage(progress, "join")
    if not batches:
        return nothing_joined()
    with connect(cluster, workers) as started:
        done = dict(started.map(join, batches, planned.settings, progress=advance))
    return merge(done[i] for i in range(len(batches)))


def finish(planned: MonitorPlan, joined: JoinedErrors, clock: Clock) -> MonitorResult:
    """Judge what was measured, and record it."""
    job, version = planned.job, -1
    _refuse_no_match(job, joined)
    holdouts = {v: _holdout(job, v) for v in {key.model_version for key in joined.tallies}}
    joint = job.period in job.key_columns
    rows: list[PeriodErrors] = []
    for key, tally in sorted(joined.tallies.items(), key=itemgetter(0)):
        holdout = holdouts[key.model_version]
        segment = _as_the_model_spells(key.segment, holdout)
        expected = _expectation(segment, holdout)
        by_period = isinstance(holdout, Holdout) and holdout.cohort == job.period
        pooled, n_before = _with_earlier(key, joined.tallies, job.min_rows)
        verdict, reason = _judged(job, pooled, expected, by_period)
        if n_before:
            before = "period" if n_before == 1 else f"{n_before} periods"
            reason += f" (with the outcomes of the {before} before, {pooled.n_known:,} in all)"
        n_unpredicted = joined.n_unpredicted.get(key.period, 0)
        rows.append(
            PeriodErrors(
                model=job.model,
                model_version=key.model_version,
                period=key.period,
                segment=segment,
                tally=tally,
                n_unpredicted=n_unpredicted if joint and not key.segment else None,
                expected=None if isinstance(expected, str) else expected,
                verdict=verdict,
                reason=reason,
            )
        )
    rows += emptied(job, planned.days, {row.period for row in rows})
    if job.history is not None and rows:
        version = history.record(job.history.path, rows, datetime.now(UTC))
    clock.lap("record")
    return MonitorResult(tuple(rows), joined.n_repeated, version, clock.seconds())


def _refuse_no_match(job: MonitorJob, joined: JoinedErrors) -> None:
    """Refuse outcomes of which none is that of a scored row: the keys cannot be meant so."""
    n_known = sum(t.n_known for key, t in joined.tallies.items() if not key.segment)
    if joined.tallies and joined.n_outcomes and not n_known:
        raise DataError(
            f"{job.actuals.path}, keys {', '.join(job.key_columns)}",
            f"none of {joined.n_outcomes:,} outcomes is of a scored row; their keys are such as "
            + "; ".join(joined.some_known),
            f"keys such as those of the scored rows: {'; '.join(joined.some_scored)}",
            "Name the keys that both tables have in common, or convert the columns that differ; "
            "nothing was recorded",
        )


def _holdout(job: MonitorJob, model_version: str) -> Holdout | str:
    """What the model's hold-out was, or why that is not known."""
    try:
        holdout = Registry(job.registry).load(f"{job.model}@{model_version}").model.holdout
    except ModelError as error:
        return str(error)
    return "the model has no hold-out" if holdout is None else holdout


_TRUTH = {"1": "true", "0": "false"}


def _as_the_model_spells(segment: str, holdout: Holdout | str) -> str:
    """A segment 1 or 0 as true or false, where the model has intervals by such a column."""
    if isinstance(holdout, str) or not segment.startswith(f"{holdout.by}="):
        return segment
    value = segment.removeprefix(f"{holdout.by}=")
    boolean = not holdout.expected_by.keys().isdisjoint(_TRUTH.values())
    return f"{holdout.by}={_TRUTH.get(value, value)}" if boolean else segment


def _expectation(segment: str, holdout: Holdout | str) -> o.Expectation | str:
    """What the hold-out lets expect of a segment, or why that is not known."""
    if isinstance(holdout, str):
        return holdout
    if not segment:
        return holdout.expected or "the model has no expected errors"
    of_groups = f"{holdout.by}="  # either name may hold an equals sign
    its = segment.removeprefix(of_groups) if segment.startswith(of_groups) else None
    known = None if its is None else holdout.expected_by.get(its)
    return known or "the hold-out has no errors of this segment: train with intervals.by"


def _with_earlier(
    key: TallyKey, tallies: Mapping[TallyKey, o.Tally], min_rows: int
) -> tuple[o.Tally, int]:
    """A night's tally, with as many of the nights before as it takes to be judged; and how many."""
    pooled, n_before = tallies[key], 0
    if not 0 < pooled.n_known < min_rows or night(key.period) is None:
        return pooled, 0
    alike = (k for k in tallies if k[1:] == key[1:] and k.period < key.period)
    for earlier in sorted((k for k in alike if night(k.period)), reverse=True):
        if tallies[earlier].n_known:
            pooled, n_before = o.merge(tallies[earlier], pooled), n_before + 1
        if pooled.n_known >= min_rows:
            break
    return pooled, n_before


def _judged(
    job: MonitorJob, tally: o.Tally, expected: o.Expectation | str, by_period: bool
) -> tuple[Severity, str]:
    if isinstance(expected, str):
        return "unknown", f"measured, not judged: {expected}"
    tolerance = job.tolerance.to_tolerance()
    return o.judge_errors(tally, expected, tolerance, by_period=by_period, min_rows=job.min_rows)
