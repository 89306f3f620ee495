"""How a job's rows are split: which bucket each is in, and which buckets each fold has."""

import math
from collections.abc import Sequence

import numpy as np

from lasso_jobs.core import buckets as b
from lasso_jobs.core.columns import Columns, stored
from lasso_jobs.core.folds import KFold, RollingOrigin, rolling_origin
from lasso_jobs.core.timeline import Timeline, last_share, segment_starts
from lasso_jobs.data.times import duration
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.reading import Reading
from lasso_jobs.jobs.search import HoldoutRows
from lasso_jobs.jobs.train_plan import TrainPlan

Folds = KFold | RollingOrigin


def reading_for_times(planned: TrainPlan) -> Reading:
    """How the first scan reads the times: it needs to know which rows are trained on."""
    return _reading(planned, Columns((), ()), (), 1, 1)


def split(
    planned: TrainPlan, columns: Columns, values: Sequence[str], timeline: Timeline | None
) -> tuple[Reading, Folds]:
    """Decide how the rows are read, and what the folds are.

    Parameters
    ----------
    planned : TrainPlan
    columns : Columns
    values : sequence of str
        Of the column of folds, if there is one.
    timeline : Timeline or None
        Of the rows that are not held out otherwise, if the job has times.

    Raises
    ------
    DataError
        If the rows cannot be split in this way.
    """
    job, how = planned.job, planned.job.search
    held_from = math.inf if timeline is None else _held_from(planned, timeline)
    if timeline is not None and how.split.time is not None:
        rolling = _rolling_origin(planned, timeline, held_from)
        reading = _reading(
            planned, columns, (), rolling.n_folds, rolling.n_buckets, rolling.edges, held_from
        )
        return reading, rolling
    n_folds = len(values) or how.folds
    n_buckets = len(values) or b.n_buckets_for(columns.n_columns + 1, n_folds)
    folds = KFold(n_buckets, n_folds, how.repeats, job.seed)
    _check_folds(planned, columns, folds)
    return _reading(planned, columns, values, n_folds, n_buckets, held_from=held_from), folds


def _reading(
    planned: TrainPlan,
    columns: Columns,
    values: Sequence[str],
    n_folds: int,
    n_buckets: int,
    edges: tuple[float, ...] = (),
    held_from: float = math.inf,
) -> Reading:
    job, features = planned.job, planned.features
    complete = job.preprocess.missing == "drop"
    rows = job.holdout.conditions() if isinstance(job.holdout, HoldoutRows) else ()
    return Reading(
        columns,
        job.target,
        job.weight,
        job.search.split.group,
        job.search.split.fold if values else None,
        tuple(values),
        job.data.conditions(),
        job.holdout if isinstance(job.holdout, float) else 0.0,
        rows or None,
        n_folds,
        n_buckets,
        job.seed,
        job.preprocess.missing != "error",
        stored(features.numeric, features.dates) if complete else (),
        time=job.time,
        edges=edges,
        held_from=held_from,
        intervals=None if job.intervals is None else job.intervals.by,
        period=planned.period,
    )


def _held_from(planned: TrainPlan, timeline: Timeline) -> float:
    holdout = planned.job.holdout
    if not isinstance(holdout, HoldoutRows) or holdout.last is None:
        return math.inf
    times, counts = timeline.distinct()
    if len(times) < 2:
        raise _few_times(planned, len(times), "holdout.last", "two")
    return last_share(times, counts, holdout.last)


def _rolling_origin(planned: TrainPlan, timeline: Timeline, held_from: float) -> RollingOrigin:
    how = planned.job.search
    times, counts = timeline.distinct()
    times, counts = times[times < held_from], counts[times < held_from]
    if len(times) <= how.folds:
        raise _few_times(planned, len(times), f"search.folds = {how.folds}", f"{how.folds + 1}")
    gap = how.split.gap
    width = duration(gap) or 0.0 if isinstance(gap, str) else gap
    starts = segment_starts(times, counts, how.folds)
    return rolling_origin(starts, how.split.window == "rolling", width, held_from)


def _few_times(planned: TrainPlan, found: int, key: str, expected: str) -> DataError:
    return DataError(
        f"{planned.dataset.path}, time {planned.job.time!r}",
        f"has too few distinct values ({found})",
        f"at least {expected}, as {key}",
        "Use fewer folds, or more data",
    )


def _check_folds(planned: TrainPlan, columns: Columns, folds: KFold) -> None:
    how = planned.job.search
    if folds.n_folds < 2:
        raise DataError(
            f"{planned.dataset.path}, search.split.fold {how.split.fold!r}",
            "has one value",
            "at least two",
            "Mend it",
        )
    if folds.repeats > 1 and folds.n_buckets == folds.n_folds:
        raise DataError(
            f"{planned.dataset.path}, search.repeats = {folds.repeats}",
            f"the rows are in {folds.n_buckets} buckets for {folds.n_folds} folds, as there are "
            f"{columns.n_columns:,} columns",
            "more buckets than folds, to group them in another way",
            "Set search.repeats to 1, or use fewer folds or columns",
        )


def check_folds_have_rows(
    planned: TrainPlan, reading: Reading, folds: Folds, moments: b.BucketMoments
) -> None:
    """Check that no training and no test is empty.

    Raises
    ------
    DataError
    """
    weights = np.array([bucket.weight for bucket in moments.buckets])
    for k, (training, test) in enumerate(folds.splits()):
        number = f"{k % folds.n_folds + 1} of {folds.n_folds}"
        which = repr(reading.folds[k]) if reading.folds else number
        if weights[test].sum() <= 0:
            raise DataError(
                planned.dataset.path,
                f"fold {which} has no rows (of {moments.n_rows:,} in all)",
                "rows in every fold",
                "Use fewer folds, or more data",
            )
        if weights[training].sum() <= 0:
            raise DataError(
                f"{planned.dataset.path}, search.split.gap = {planned.job.search.split.gap!r}",
                f"fold {which} has no rows to train on",
                "a gap that is shorter than the rows before it",
                "Shorten search.split.gap, or use fewer folds",
            )
