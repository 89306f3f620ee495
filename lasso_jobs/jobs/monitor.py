"""Monitoring: join scored rows with the outcomes that are known by now, measure, judge, record."""

from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil

import pyarrow as pa
import pyarrow.compute as pc

from lasso_jobs.artifacts.model import Expectation, Holdout
from lasso_jobs.artifacts.registry import Registry
from lasso_jobs.core import outcomes as o
from lasso_jobs.core.drift import Verdict
from lasso_jobs.data import schema
from lasso_jobs.data.dataset import Dataset, Piece, SourceFile
from lasso_jobs.data.discover import discover
from lasso_jobs.data.where import Condition, parse
from lasso_jobs.errors import DataError, ModelError
from lasso_jobs.jobs import monitor_history as history
from lasso_jobs.jobs.clock import Clock, Report, progress_of
from lasso_jobs.jobs.known_outcomes import PREDICTED
from lasso_jobs.jobs.monitor_job import MonitorJob
from lasso_jobs.jobs.nights import dates
from lasso_jobs.jobs.outcomes import Batch, Joined, Joining, join, merge

BATCH_ROWS = 1_000_000
"""Scored rows, and outcomes, that are in memory together."""


@dataclass(frozen=True, slots=True)
class MonitorPlan:
    """What a monitoring run will read; made from footers only."""

    job: MonitorJob
    joining: Joining
    batches: tuple[Batch, ...]


def plan(job: MonitorJob, first: str | None = None, last: str | None = None) -> MonitorPlan:
    """Read the footers, hold the job against them, and cut the work.

    Raises
    ------
    LassoJobsError
    """
    within: tuple[Condition, ...] = ()
    if first is not None and last is not None:
        dates(first, last)
        within = parse(f"{job.period} >= {first!r} and {job.period} <= {last!r}", "period")
    joint = job.period in job.key_columns
    of_scores = (*job.scores.conditions(), *within)
    of_actuals = (*job.actuals.conditions(), *(within if joint else ()))
    scores = discover(job.scores.path, of_scores, job.scores.version)
    actuals, files = _actuals(job, of_actuals)
    joining = _joining(job, scores, actuals, of_scores, of_actuals)
    if job.history is not None:
        history.check(job.history.path)
    return MonitorPlan(job, joining, _batches(job, scores, files, joint))


def _actuals(
    job: MonitorJob, where: tuple[Condition, ...]
) -> tuple[Dataset, tuple[SourceFile, ...]]:
    """The outcomes' dataset, and those of its files that may have some of these."""
    path, version = job.actuals.path, job.actuals.version
    try:
        found = discover(path, where, version)
    except DataError:  # of these periods there may be none yet
        return discover(path, job.actuals.conditions(), version), ()
    return found, found.files


def _joining(
    job: MonitorJob,
    scores: Dataset,
    actuals: Dataset,
    scores_where: tuple[Condition, ...],
    actuals_where: tuple[Condition, ...],
) -> Joining:
    keys, in_scores = job.key_columns, scores.schema.names
    for name in (*keys, job.period, *PREDICTED):
        schema.require(scores, name, "period" if name == job.period else "keys")
    schema.require(actuals, job.target, "target", number=True)
    others = [name for name in job.segments if name not in in_scores]
    order = [job.order_column] if job.order_column else []
    for key, names in (("keys", keys), ("segments", others), ("duplicates", order)):
        for name in names:
            schema.require(actuals, name, key)
    kind = schema.kind_of(scores.schema.field(job.period).type)
    if kind not in ("string", "integer", "date", "boolean"):
        raise DataError(
            f"{scores.path}, period {job.period!r}",
            f"has type {scores.schema.field(job.period).type}",
            "dates, text or integers",
            "Name a column of days or other periods",
        )
    chosen = tuple(name for name in job.segments if name in in_scores)
    schema.check_files(scores, (*keys, job.period, *chosen, *PREDICTED))
    schema.check_files(actuals, (*keys, job.target, *others, *order))
    return Joining(
        keys,
        tuple(_plain(scores.schema.field(name).type) for name in keys),
        job.target,
        job.period,
        job.order_column,
        chosen,
        tuple(others),
        scores_where,
        actuals_where,
        BATCH_ROWS,
    )


def _plain(type_: pa.DataType) -> pa.DataType:
    """Without dictionaries, which cannot be joined by."""
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def _batches(
    job: MonitorJob, scores: Dataset, actuals: tuple[SourceFile, ...], joint: bool
) -> tuple[Batch, ...]:
    """Cut the scored rows: by periods, where files and keys tell them, else by the keys' hash."""
    if not joint or job.period not in scores.constants:
        return _parts(scores.files, actuals, None)
    of_period: dict[str | None, list[SourceFile]] = {}
    for file in scores.files:
        of_period.setdefault(_period(file, job.period), []).append(file)
    batches: list[Batch] = []
    waiting: list[str | None] = []

    def close() -> None:
        if waiting:
            files = [file for period in waiting for file in of_period[period]]
            known = [f for f in actuals if _may_be_of(f, job.period, waiting)]
            batches.extend(_parts(files, known, tuple(waiting)))
            waiting.clear()

    for period in sorted(of_period, key=str):
        rows = sum(_n_rows(file) for name in (*waiting, period) for file in of_period[name])
        if rows > BATCH_ROWS:
            close()
        waiting.append(period)
    close()
    return tuple(batches)


def _parts(
    scores: tuple[SourceFile, ...] | list[SourceFile],
    actuals: tuple[SourceFile, ...] | list[SourceFile],
    periods: tuple[str | None, ...] | None,
) -> tuple[Batch, ...]:
    n_parts = max(1, ceil(sum(map(_n_rows, scores)) / BATCH_ROWS))
    left, right = tuple(map(_whole, scores)), tuple(map(_whole, actuals))
    return tuple(Batch(left, right, periods, part, n_parts) for part in range(n_parts))


def _n_rows(file: SourceFile) -> int:
    return int(file.rows.sum())


def _whole(file: SourceFile) -> Piece:
    return Piece(file.identity, tuple(range(len(file.rows))), 0, _n_rows(file))


def _period(file: SourceFile, name: str) -> str | None:
    """The period that a file is of."""
    value = dict(file.identity.constants)[name]
    text: str | None = pc.cast(value, pa.string()).as_py()
    return text


def _may_be_of(file: SourceFile, name: str, periods: list[str | None]) -> bool:
    known = name in dict(file.identity.constants)
    return not known or _period(file, name) in periods


def monitor(
    job: MonitorJob,
    first: str | None = None,
    last: str | None = None,
    cluster: str | None = None,
    workers: int | None = None,
    report: Report | None = None,
) -> history.MonitorResult:
    """Compare scored rows with their outcomes, period by period.

    Parameters
    ----------
    job : MonitorJob
    first, last : str, optional
        Dates; the periods from one to the other. By default all that were scored.
    cluster, workers
        As in `lasso_jobs.engine.cluster.connect`.
    report : callable, optional
        Called with the stage's name, the partitions done, and all partitions.

    Returns
    -------
    MonitorResult

    Raises
    ------
    LassoJobsError
    """
    clock = Clock()
    planned = plan(job, first, last)
    clock.lap("plan")
    joined = joined_batches(planned, cluster, workers, report)
    clock.lap("join")
    return finish(planned, joined, clock)


def joined_batches(
    planned: MonitorPlan, cluster: str | None, workers: int | None, report: Report | None = None
) -> Joined:
    """Join all batches on a cluster, and merge them in their order."""
    from lasso_jobs.engine.cluster import connect
    from lasso_jobs.engine.tasks import bounded_map

    batches, progress = planned.batches, progress_of(report, "join")
    with connect(cluster, workers) as client:
        done = dict(bounded_map(client, join, batches, planned.joining, progress=progress))
    return merge(done[i] for i in range(len(batches)))


def finish(planned: MonitorPlan, joined: Joined, clock: Clock) -> history.MonitorResult:
    """Judge what was measured, and record it."""
    job, version = planned.job, -1
    by_version = {v: _holdout(job, v) for v in {version for _, version, _ in joined.tallies}}
    joint = job.period in job.key_columns
    rows = []
    for period, model_version, segment in sorted(joined.tallies):
        tally = joined.tallies[period, model_version, segment]
        expected, why = _expectation(segment, by_version[model_version])
        verdict, reason = _judged(job, tally, expected, by_version[model_version], why)
        unpredicted = joined.n_unpredicted.get(period, 0) if joint and not segment else None
        rows.append(
            history.Measured(
                job.model,
                model_version,
                period,
                segment,
                tally,
                unpredicted,
                expected,
                verdict,
                reason,
            )
        )
    if job.history is not None:
        version = history.record(job.history.path, rows, datetime.now(UTC))
    clock.lap("record")
    return history.MonitorResult(tuple(rows), joined.n_repeated, version, clock.seconds())


def _holdout(job: MonitorJob, model_version: str) -> Holdout | str:
    """What the model's hold-out was, or why that is not known."""
    try:
        found = Registry(job.registry).load(f"{job.model}@{model_version}").model.holdout
    except ModelError as error:
        return str(error)
    return "the model has no hold-out" if found is None else found


def _expectation(segment: str, holdout: Holdout | str) -> tuple[Expectation | None, str]:
    if isinstance(holdout, str):
        return None, holdout
    column, _, value = segment.partition("=")
    if not segment:
        return holdout.expected, "the model has no expected errors"
    known = holdout.expected_by.get(value) if holdout.by == column else None
    return known, "the hold-out tells nothing of this segment, as intervals.by would"


def _judged(
    job: MonitorJob,
    tally: o.Tally,
    expected: Expectation | None,
    holdout: Holdout | str,
    why: str,
) -> tuple[Verdict, str]:
    if expected is None or isinstance(holdout, str):
        return "ok", f"measured, not judged: {why}"
    by_period = holdout.cluster == job.period
    estimates = (expected.squared_error, expected.error, expected.covered)
    expectation = o.Expected(*estimates, by_period)
    return o.judge(tally, expectation, job.tolerance.values(), job.min_rows)
