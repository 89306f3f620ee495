"""Plans a monitoring run from footers only: which rows it joins, batch by batch."""

from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil

import pyarrow as pa

from lasso_jobs.data import schema
from lasso_jobs.data.columns.keys import key_type
from lasso_jobs.data.columns.kinds import kind_of
from lasso_jobs.data.condition import column
from lasso_jobs.data.dataset import Dataset, Piece, SourceFile
from lasso_jobs.data.discover import discover
from lasso_jobs.data.where import Condition, parse
from lasso_jobs.errors import DataError, NoDataError
from lasso_jobs.jobs.dates import dates
from lasso_jobs.jobs.monitor import MonitorJob
from lasso_jobs.monitoring import history
from lasso_jobs.monitoring.known_outcomes import PREDICTED
from lasso_jobs.monitoring.settings import Batch, JoinSettings, Side, text_of_key
from lasso_jobs.sinks.protocol import MARKERS, sink
from lasso_jobs.storage import files as storage

BATCH_ROWS = 1_000_000
"""Scored rows, and outcomes, that are in memory together."""
_KINDS_OF_PERIODS = ("string", "integer", "date", "timestamp", "boolean", "null")


@dataclass(frozen=True, slots=True)
class MonitorPlan:
    """What a monitoring run will read; made from footers only.

    Parameters
    ----------
    job : MonitorJob
    settings : JoinSettings
    batches : tuple of Batch
    days : tuple of str
        The periods of the run, as dates; empty for all that were scored.
    """

    job: MonitorJob
    settings: JoinSettings
    batches: tuple[Batch, ...]
    days: tuple[str, ...]


def plan(job: MonitorJob, first: str | None = None, last: str | None = None) -> MonitorPlan:
    """Read the footers, hold the job against them, and cut the work.

    Raises
    ------
    LassoJobsError
    """
    within: tuple[Condition, ...] = ()
    days: tuple[str, ...] = ()
    if first is not None and last is not None:
        days = dates(first, last)
        day_after = date.fromisoformat(days[-1]) + timedelta(days=1)
        # Not BETWEEN: the last day's hours are of it, too.
        name = column(job.period)
        within = parse(f"{name} >= '{first}' AND {name} < '{day_after}'", "--from, --to")
    joint = job.period in job.key_columns
    scores_where = (*job.scores.conditions("scores.where"), *within)
    own = job.actuals.conditions("actuals.where")
    actuals_where = (*own, *(within if joint else ()))
    scores, scored = _scores(job, scores_where, days)
    actuals, files = _actuals(job, actuals_where)
    _check(job, scores, actuals)
    for dataset, where in ((scores, scores_where), (actuals, actuals_where)):
        for condition in where:
            condition.require(dataset.schema, dataset.path)
    of_scores, others = _segments(job, scores.schema)
    settings = JoinSettings(
        key_types=_key_types(job, scores, actuals),
        target=job.target,
        period=job.period,
        order=job.order_column,
        scores=Side(scores_where, of_scores),
        actuals=Side(actuals_where, others),
        batch_rows=BATCH_ROWS,
    )
    if job.history is not None:
        history.check(job.history.path)
    return MonitorPlan(job, settings, _batches(settings, scored, files, joint), days)


def _scores(
    job: MonitorJob, where: tuple[Condition, ...], days: tuple[str, ...]
) -> tuple[Dataset, tuple[SourceFile, ...]]:
    """The scored rows' dataset, and those of its files that have some of the days' rows."""
    path, version = job.scores.path, job.scores.version
    sink("parquet").exists(path)  # carries out what a killed commit left undone in a plain folder
    try:
        dataset = discover(path, where, version, may_be_empty=True)
    except DataError:
        done = storage.names(storage.join(path, MARKERS)) if days else ()
        if not {f"{day}.json" for day in days}.intersection(done):
            raise
        # Nights were scored and had no rows: they are not judged, and nothing failed.
        return discover(path, job.scores.conditions(), version, may_be_empty=True), ()
    return dataset, dataset.files


def _actuals(
    job: MonitorJob, where: tuple[Condition, ...]
) -> tuple[Dataset, tuple[SourceFile, ...]]:
    """The outcomes' dataset, and those of its files that may have some of these."""
    path, version = job.actuals.path, job.actuals.version
    try:
        dataset = discover(path, where, version, may_be_empty=True)
    except NoDataError:  # of these periods there may be none yet
        own = job.actuals.conditions("actuals.where")
        return discover(path, own, version, may_be_empty=True), ()
    return dataset, dataset.files


def _check(job: MonitorJob, scores: Dataset, actuals: Dataset) -> None:
    """Refuse columns that are missing, or of types that cannot be what the job says they are."""
    keys = job.key_columns
    if lacking := [name for name in PREDICTED if name not in scores.schema.names]:
        found, expected = f"lacks the columns {', '.join(lacking)}", "the output of a scoring job"
        raise DataError(scores.path, found, expected, "Name such an output in scores.path")
    for name in (*keys, job.period):
        schema.require(scores, name, "period" if name == job.period else "keys")
    # In a file without rows, or without values, pandas may write a column without a type.
    schema.require(actuals, job.target, "target")
    untyped = kind_of(actuals.schema.field(job.target).type) == "null"
    schema.require(actuals, job.target, "target", number=not untyped)
    of_scores, others = _segments(job, scores.schema)
    order = [job.order_column] if job.order_column else []
    for key, names in (("keys", keys), ("segments", others), ("duplicates", order)):
        for name in names:
            schema.require(actuals, name, key)
    kind = kind_of(scores.schema.field(job.period).type)
    whole = kind == "number" and schema.has_integers(scores, job.period)
    if not whole and kind not in _KINDS_OF_PERIODS:
        raise DataError(
            f"{scores.path}, period {job.period!r}",
            f"has type {scores.schema.field(job.period).type}",
            "dates, timestamps, text or integers",
            "Name a column of days or other periods",
        )
    schema.check_files(scores, (*keys, job.period, *of_scores, *PREDICTED))
    schema.check_files(actuals, (*keys, job.target, *others, *order))


def _segments(job: MonitorJob, of_scores: pa.Schema) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns of segments: those that the scored rows have, and the others."""
    here = tuple(name for name in job.segments if name in of_scores.names)
    return here, tuple(name for name in job.segments if name not in here)


def _key_types(job: MonitorJob, scores: Dataset, actuals: Dataset) -> dict[str, pa.DataType]:
    """The types in which the keys of both tables are compared."""
    types = {}
    for name in job.key_columns:
        both = [dataset.schema.field(name).type for dataset in (scores, actuals)]
        common = key_type(both)
        if common is None:
            raise DataError(
                f"{actuals.path}, keys {name!r}",
                f"has type {both[1]}, and {both[0]} in the scored rows",
                "numbers, dates or texts in both, or one type; a zone in both or neither",
                "Convert one of them, or name another key",
            )
        types[name] = common
    return types


def _batches(
    settings: JoinSettings,
    scores: tuple[SourceFile, ...],
    actuals: tuple[SourceFile, ...],
    joint: bool,
) -> tuple[Batch, ...]:
    """Cut the scored rows: by periods, where files and keys tell them, else by the keys' hash."""
    named = all(settings.period in dict(file.identity.constants) for file in scores)
    if not (joint and named):
        return _parts(scores, actuals, None) if scores else ()
    of_period: dict[str | None, list[SourceFile]] = {}
    for file in scores:
        of_period.setdefault(_period(file, settings), []).append(file)
    batches: list[Batch] = []
    waiting: list[str | None] = []

    def close() -> None:
        if waiting:
            files = [file for period in waiting for file in of_period[period]]
            known = [f for f in actuals if _may_be_of(f, settings, waiting)]
            batches.extend(_parts(files, known, tuple(waiting)))
            waiting.clear()

    for period in sorted(of_period, key=str):
        rows = sum(_n_rows(file) for one in (*waiting, period) for file in of_period[one])
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
    scores = [file for file in scores if file.n_left]
    n_parts = ceil(sum(map(_n_rows, scores)) / BATCH_ROWS)  # none where no file has rows
    left, right = (tuple(_whole(f) for f in files if f.n_left) for files in (scores, actuals))
    return tuple(
        Batch(scores=left, actuals=right, periods=periods, part=part, n_parts=n_parts)
        for part in range(n_parts)
    )


def _n_rows(file: SourceFile) -> int:
    return int(file.rows.sum())


def _whole(file: SourceFile) -> Piece:
    return file.piece(range(len(file.rows)))


def _period(file: SourceFile, settings: JoinSettings) -> str | None:
    """The period that a file is of, as the text of its key."""
    value = dict(file.identity.constants)[settings.period]
    return text_of_key(value, settings.key_types[settings.period])


def _may_be_of(file: SourceFile, settings: JoinSettings, periods: list[str | None]) -> bool:
    known = settings.period in dict(file.identity.constants)
    return not known or _period(file, settings) in periods
