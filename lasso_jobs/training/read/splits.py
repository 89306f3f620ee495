"""Decides how a job's rows are split: which bucket each is in, and which buckets a fold has."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from lasso_jobs.core.rows import buckets as b
from lasso_jobs.core.rows.balance import MOST_LISTED, ListedGroups
from lasso_jobs.core.rows.columns import Columns, stored
from lasso_jobs.core.rows.folds import Balance, KFold, RollingOrigin, rolling_origin
from lasso_jobs.core.rows.timeline import Timeline, last_share, segment_starts
from lasso_jobs.data.columns.kinds import is_sparse
from lasso_jobs.data.times import duration
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.split import HoldoutRows
from lasso_jobs.training.plan import TrainPlan
from lasso_jobs.training.read.reading import Reading
from lasso_jobs.training.read.scans.split_unit import Units

Folds = KFold | RollingOrigin


def reading_for_times(planned: TrainPlan) -> Reading:
    """How the scan of times reads rows: what says which of them are trained on, and no more."""
    reading = _reading(planned, Columns((), ()), n_folds=1, n_buckets=1)
    return replace(reading, weight=None, group=None, intervals=None, period=None)


def reading_for_groups(planned: TrainPlan, timeline: Timeline | None) -> Reading | None:
    """How the scan of groups, or of few rows, reads them; None if none are to be listed.

    Groups are always listed: only so is it known whether they are few. Rows are listed where the
    footers say that they are few, and something is drawn from them.
    """
    how, drawn = planned.job.search.split, isinstance(planned.job.holdout, float)
    few = planned.dataset.n_rows <= MOST_LISTED
    if how.group is None and not (few and (drawn or (how.fold is None and how.time is None))):
        return None
    return replace(_reading_for_units(planned, timeline), group=how.group)


def reading_for_periods(planned: TrainPlan, timeline: Timeline | None) -> Reading:
    """How the scan of periods reads rows: with their target, and what says which are held out."""
    reading = _reading_for_units(planned, timeline)
    return replace(reading, period=planned.period, by_period=True, complete=())


def _reading_for_units(planned: TrainPlan, timeline: Timeline | None) -> Reading:
    held_from = math.inf if timeline is None else _held_from(planned, timeline)
    return replace(
        reading_for_times(planned),
        holdout=0.0,
        time=planned.job.time if held_from < math.inf else None,
        held_from=held_from,
    )


def split(
    planned: TrainPlan,
    columns: Columns,
    values: Sequence[str],
    timeline: Timeline | None,
    *,
    units: Units,
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
    units : Units

    Raises
    ------
    DataError
        If the rows cannot be split in this way.
    """
    job, how = planned.job, planned.job.search
    held_from = math.inf if timeline is None else _held_from(planned, timeline)
    listed, periods = units.groups, units.periods
    few = listed if listed is not None and listed.complete and len(listed.keys) else None
    reading_of = partial(_reading, planned, columns, held_from=held_from, periods=periods)
    if timeline is not None and how.split.time is not None:
        rolling = _rolling_origin(planned, timeline, held_from)
        reading = reading_of(
            n_folds=rolling.n_folds, n_buckets=rolling.n_buckets, edges=rolling.edges
        )
        return (reading if few is None else _with_listed(reading, few)), rolling
    n_folds = len(values) or how.folds
    n_buckets = len(values) or b.n_buckets_for(columns.n_columns + 1, n_folds)
    # Few groups have buckets of their own, whatever the folds. Otherwise folds have equal numbers.
    own = few is not None and len(few.keys) <= n_buckets
    if few is not None and not own:
        n_buckets -= n_buckets % n_folds
    folds = KFold(n_buckets, n_folds, how.repeats, job.seed)
    _check_folds(planned, columns, folds)
    reading = reading_of(values=values, n_folds=n_folds, n_buckets=n_buckets)
    if periods is not None and periods.complete and not values:
        return _of_periods(planned, folds, reading, periods)
    if few is None:
        return reading, folds
    reading = _with_listed(reading, few)
    return reading, folds if values else _balanced(planned, folds, reading, few)


def _of_periods(
    planned: TrainPlan, folds: KFold, reading: Reading, periods: ListedGroups
) -> tuple[Reading, KFold]:
    """Folds of the buckets that hashes put periods in; of periods where these fill too few."""
    n_folds = folds.n_folds
    rows = periods.rows_by_hash(folds.n_buckets, reading.holdout)
    if folds.n_buckets > n_folds and np.count_nonzero(rows.counts) >= n_folds:
        dealt = rows.buckets(n_folds, n_folds, rows.held_out(0.0))
        balance = Balance(tuple(rows.counts.tolist()), tuple(dealt.tolist()))
        return reading, replace(folds, balance=balance)
    reading = _with_listed(reading, periods)
    return reading, _balanced(planned, folds, reading, periods)


def _with_listed(reading: Reading, groups: ListedGroups) -> Reading:
    """Deal the listed groups out to buckets and hold-out, where hashes would have decided."""
    # A period is held out by its own hash, so that another one moves it not.
    by_hash = b.uniform(groups.keys) < reading.holdout
    held = by_hash if reading.by_period else groups.held_out(reading.holdout)
    if reading.folds or reading.edges or len(held) <= reading.n_buckets:
        # Of folds by a column or time, only the hold-out is used.
        buckets = np.where(held, reading.n_buckets, np.arange(len(held)) % reading.n_buckets)
    else:
        buckets = groups.buckets(reading.n_buckets, reading.n_folds, held)
    listed = tuple(groups.keys.tolist())
    return replace(reading, holdout=0.0, listed=listed, listed_buckets=tuple(buckets.tolist()))


def _balanced(planned: TrainPlan, folds: KFold, reading: Reading, groups: ListedGroups) -> KFold:
    """The folds of listed groups, balanced by their rows."""
    buckets = np.array(reading.listed_buckets)
    held = buckets == folds.n_buckets
    _check_enough(planned, groups, int((~held).sum()))
    rows = np.bincount(buckets, groups.counts, folds.n_buckets + 1)[:-1].astype(int)
    first = np.arange(folds.n_buckets) % folds.n_folds
    if len(held) <= folds.n_buckets:
        first[buckets[~held]] = groups.buckets(folds.n_folds, folds.n_folds, held)[~held]
    return replace(folds, balance=Balance(tuple(rows.tolist()), tuple(first.tolist())))


def _check_enough(planned: TrainPlan, groups: ListedGroups, n_left: int) -> None:
    """Check that each fold gets a group, or a row where rows are not grouped."""
    how = planned.job.search
    if n_left >= how.folds:
        return
    what, n = ("group" if how.split.group else "row"), len(groups.keys)
    by = f", search.split.group {how.split.group!r}" if how.split.group else ""
    fewer = f"Set search.folds to {n_left}"
    if n_left < 2:
        more = "Name a column of more groups, or split in another way"
        fewer = more if how.split.group else "Use more rows"
    held = f", of which {n - n_left} held out" if n_left < n else ""
    raise DataError(
        f"{planned.dataset.path}{by}",
        f"has {n} {what}{'s' if n > 1 else ''}{held}",
        f"at least {how.folds} for search.folds = {how.folds}",
        fewer + (", or holdout to null" if n >= how.folds else ""),
    )


def _reading(
    planned: TrainPlan,
    columns: Columns,
    values: Sequence[str] = (),
    *,
    n_folds: int,
    n_buckets: int,
    edges: tuple[float, ...] = (),
    held_from: float = math.inf,
    periods: ListedGroups | None = None,
) -> Reading:
    job = planned.job
    holdout = job.holdout if isinstance(job.holdout, float) else 0.0
    if holdout and periods is not None and periods.complete:
        holdout = periods.share_to_hold(holdout)
    rows = job.holdout.conditions() if isinstance(job.holdout, HoldoutRows) else ()
    return Reading(
        columns=columns,
        target=job.target,
        weight=job.weight,
        group=job.search.split.group,
        fold=job.search.split.fold if values else None,
        folds=tuple(values),
        where=job.data.conditions(),
        holdout=holdout,
        holdout_where=rows or None,
        n_folds=n_folds,
        n_buckets=n_buckets,
        seed=job.seed,
        nulls_allowed=job.preprocess.missing != "error",
        complete=_complete(planned),
        offset=job.offset,
        time=job.time,
        edges=edges,
        held_from=held_from,
        intervals=None if job.intervals is None else job.intervals.by,
        period=planned.period,
        by_period=periods is not None,
        sparse=tuple(
            vector.column
            for vector in columns.vectors
            if vector.tokens is not None
            or is_sparse(planned.dataset.schema.field(vector.column).type)
        ),
    )


def _complete(planned: TrainPlan) -> tuple[str, ...]:
    """The columns of which no value is null; a row without tokens has no null."""
    job, features = planned.job, planned.features
    if job.preprocess.missing != "drop":
        return () if job.offset is None else (job.offset,)
    of_tokens = {vector.column for vector in features.vectors if vector.tokens is not None}
    columns = stored(features.numeric, features.dates, features.vectors)
    return tuple(name for name in columns if name not in of_tokens)


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


def _few_times(planned: TrainPlan, n_times: int, key: str, expected: str) -> DataError:
    remedy = "Name a column of finer times, or use more data"
    if key == "holdout.last":
        remedy += ", or set holdout to null"
    elif n_times > 2:
        remedy = f"Set search.folds to {n_times - 1} or less, or use more data"
    return DataError(
        f"{planned.dataset.path}, time {planned.job.time!r}",
        f"has too few distinct values ({n_times})",
        f"at least {expected}, as {key}",
        remedy,
    )


def _check_folds(planned: TrainPlan, columns: Columns, folds: KFold) -> None:
    how = planned.job.search
    if folds.n_folds < 2:
        raise DataError(
            f"{planned.dataset.path}, search.split.fold {how.split.fold!r}",
            f"has {'one value' if folds.n_folds else 'no values'}",
            "at least two, each of which is a fold",
            "Name another column, or split another way, such as search.split: random",
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
                f"fold {which} has no rows that count (of {moments.n_rows:,} in all)",
                "rows with a target and a weight above zero in every fold",
                _remedy_of_empty(planned) if reading.folds else "Use fewer folds, or more data",
            )
        if weights[training].sum() <= 0:
            raise _nothing_to_train_on(planned, f"fold {which} has no rows to train on")


def _remedy_of_empty(planned: TrainPlan) -> str:
    other = "Name another column, or filter the rows of that fold out with data.where"
    if planned.job.holdout is None:
        return other
    return f"{other}; where all of its rows are held out, set holdout to null"


def _nothing_to_train_on(planned: TrainPlan, found: str) -> DataError:
    path, split = planned.dataset.path, planned.job.search.split
    if split.gap:
        return DataError(
            f"{path}, search.split.gap = {split.gap!r}",
            found,
            "a gap that is shorter than the rows before it",
            "Shorten search.split.gap, or use fewer folds",
        )
    if split.time:
        remedy = "Use fewer folds, or a column of finer times"
        return DataError(f"{path}, search.split.time", found, "rows before each test", remedy)
    remedy = "Split by another column, or check the weights"
    return DataError(path, f"{found}: all that count are in one fold", "rows in others", remedy)
