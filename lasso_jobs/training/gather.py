"""Gathers the training data in one read: moments per bucket, samples, and how rows are split."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from lasso_jobs.core.rows import buckets as b
from lasso_jobs.core.rows import moments as m
from lasso_jobs.core.rows import sample as s
from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.core.rows.periods import Periods
from lasso_jobs.core.rows.repeats import Repeats
from lasso_jobs.core.rows.timeline import Timeline
from lasso_jobs.core.rows.unlabelled import Unlabelled
from lasso_jobs.data.arrays import SMALLEST
from lasso_jobs.engine.memory import give_back, of_this_process
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.progress import Progress
from lasso_jobs.training.memory import WORTH_A_LOOK, Squares, refuse_too_large
from lasso_jobs.training.plan import TrainPlan
from lasso_jobs.training.promotion import champion_of, compared_model
from lasso_jobs.training.read.all_units import AllUnits
from lasso_jobs.training.read.categories import (
    calendar_categories,
    with_categories,
    with_levels_of,
    without_empty_levels,
)
from lasso_jobs.training.read.reading import ReadCounts, Reading
from lasso_jobs.training.read.row_summary import RowSummary
from lasso_jobs.training.read.sampled_rows import SampledRows
from lasso_jobs.training.read.scans.few_columns import (
    LevelScan,
    LevelsRead,
    Tally,
    TimesRead,
)
from lasso_jobs.training.read.scans.listed_tokens import with_listed_tokens
from lasso_jobs.training.read.scans.listed_units import list_units
from lasso_jobs.training.read.scans.split_unit import SplitUnit
from lasso_jobs.training.read.splits import (
    Folds,
    check_folds_have_rows,
    reading_for_times,
    split,
)
from lasso_jobs.training.read.summary_read import SummaryRead
from lasso_jobs.training.screening.ground import Ground
from lasso_jobs.training.screening.rounds import Screened, screen
from lasso_jobs.training.screening.scanner import Scanner

if TYPE_CHECKING:
    from lasso_jobs.engine.tasks import Workers

MOST_GROUPS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """What a training knows of its rows, all of it from one read.

    Parameters
    ----------
    columns : Columns
    reading : Reading
    moments : BucketMoments
        Of the columns and the target.
    sample : Sample
        Of all rows: the columns' values.
    sampled : SampledRows
        The same rows with their facts.
    periods : Periods
        Sums of the columns and the target by period.
    held_out : SampledRows
        A sample of them.
    repeats : Repeats
        How often rows repeat.
    counts : ReadCounts
    folds : KFold or RollingOrigin
    groups : tuple of str
        Names of the groups that may have intervals of their own.
    unlabelled : Unlabelled
        Of the rows without an outcome.
    unit : SplitUnit
        What was dealt out to folds and hold-out.
    screened : Screened or None
        How these columns were found among many more.
    for_champion : TrainingData or None
        The same rows with the columns of the champion, where these columns lack some of them.
    """

    columns: Columns
    reading: Reading
    moments: b.BucketMoments
    sample: s.Sample
    sampled: SampledRows
    periods: Periods
    held_out: SampledRows
    repeats: Repeats
    counts: ReadCounts
    folds: Folds
    groups: tuple[str, ...]
    unlabelled: Unlabelled
    unit: SplitUnit
    screened: Screened | None = None
    for_champion: "TrainingData | None" = None


def gather(
    workers: "Callable[[], Workers]", planned: TrainPlan, progress: Progress | None = None
) -> TrainingData:
    """Scan the categories, the times and the groups, then read everything once.

    Parameters
    ----------
    workers : callable
        Returns the workers. It is called only if something must be read: a training
        that finds everything in the cache starts no cluster.
    planned : TrainPlan
    progress : callable, optional

    Raises
    ------
    DataError
        If the rows cannot be trained on.
    """
    planned, of_tokens = with_listed_tokens(AllUnits(workers, planned, progress))
    job, reads = planned.job, AllUnits(workers, planned, progress)
    fold = job.search.split.fold
    known = calendar_categories(planned)
    levels = _levels(reads, known)
    timeline, of_times = _timeline(reads)
    planned, columns, of_levels = with_categories(planned, levels.tally, known)
    fold_values = _fold_values(levels.tally, fold) if fold else ()
    units, of_units = list_units(reads, timeline)
    reading, folds = split(planned, columns, fold_values, timeline, units=units)
    reading = replace(reading, levels_are_screened=of_levels)
    data_of = partial(
        _data,
        planned,
        folds=folds,
        unit=units.unit,
        levels=levels.tally,
        known=known,
        bytes_before=of_tokens + levels.bytes_read + of_times + of_units,
    )
    if planned.engine == "screened":
        ground = Ground.of(Scanner(reads=reads, reading=reading), folds)
        data = _screened(ground, data_of, levels.tally)
        del ground
        give_back()  # what was known of each column
        return data
    return data_of(reading, _summary(reads, reading))


def _data(
    planned: TrainPlan,
    reading: Reading,
    summary: RowSummary,
    *,
    folds: Folds,
    unit: SplitUnit,
    levels: Tally,
    known: Mapping[str, Category],
    bytes_before: int,
) -> TrainingData:
    """What a summary of the reading's columns says of the rows, if they can be trained on."""
    _check_rows(planned, reading, summary.moments)
    check_folds_have_rows(planned, reading, folds, summary.moments)
    listed = reading.columns
    columns, place = without_empty_levels(listed, summary.levels_with_rows(listed), known)
    summary = summary.selected(place)
    bytes_read = summary.counts.bytes_read + bytes_before
    return TrainingData(
        columns=columns,
        reading=replace(reading, columns=columns),
        moments=summary.moments,
        sample=replace(summary.sample, values=SampledRows(summary.sample.values).X),
        sampled=SampledRows(summary.sample.values),
        periods=summary.periods,
        held_out=SampledRows(summary.held_out.values),
        repeats=summary.repeats,
        counts=replace(summary.counts, bytes_read=bytes_read),
        folds=folds,
        groups=_groups(planned.job, levels),
        unlabelled=summary.unlabelled,
        unit=unit,
    )


def _screened(
    ground: Ground, data_of: Callable[[Reading, RowSummary], TrainingData], levels: Tally
) -> TrainingData:
    """The data of the working set, once it is known that the rows can be trained on."""
    data_of(ground.reading_of(ground.always), ground.summary_of(ground.always))
    numeric, every = ground.scanner.reading.columns.numeric, ground.everything
    _check_spread(ground.scanner.planned, numeric, every.low, every.high)
    screened = screen(ground)
    data = data_of(screened.reading, screened.summary)
    of_champion = _for_champion(ground.scanner, data, levels)
    return replace(data, screened=screened, for_champion=of_champion)


def _for_champion(scanner: Scanner, data: TrainingData, levels: Tally) -> TrainingData | None:
    """The rows as the champion is measured on them; the model itself knows nothing of it."""
    champion, every = champion_of(scanner.planned.job), scanner.reading.columns
    if champion is None:
        return None
    model = compared_model(champion)
    wanted = model.only(model.used).columns
    if not every.has(wanted):
        return None
    columns, listed = every.with_numeric(wanted.numeric), data.columns.has(wanted)
    if scanner.reading.levels_are_screened:
        columns = with_levels_of(columns, wanted, levels)
        listed = listed and {*columns.identities} <= {*data.columns.identities}
    if listed:
        return None
    summary = scanner.summary(scanner.reading.of_some(columns))
    # The rows with the smallest hashes, so that both models are measured on the same ones.
    values, n = summary.held_out.values, len(data.held_out.target)
    if values.shape[1] < n:
        return None
    return replace(
        data, columns=columns, moments=summary.moments, held_out=SampledRows(values[:, :n])
    )


def _summary(reads: AllUnits, reading: Reading) -> RowSummary:
    """The one read, of what is not in the cache, if it fits into memory."""
    caching, path = reads.caching, reads.planned.dataset.path
    dataset = reads.planned.dataset
    groups = (int(n) for file in dataset.files for n in file.rows)
    nullable = {*reading.columns.numeric}.difference(reading.complete)
    with_nulls = [dataset.has_nulls(name) for name in nullable]
    squares = Squares(
        n_values=reading.columns.n_columns + 1 + sum(with_nulls),
        n_buckets=reading.n_buckets,
        n_folds=reading.n_folds,
        block_rows=min(reading.block_rows(), max(groups, default=0)),
    )
    if squares.driver_bytes > WORTH_A_LOOK:
        refuse_too_large(path, squares.driver_bytes, of_this_process(), "in the driver")
    ways = [caching]
    if caching is not None:
        ways += [replace(caching, apart=True), replace(caching, fresh=True)]
    for way in ways:
        summary = reads.merged(SummaryRead(reading, way), "moments", squares)
        samples = (summary.sample, summary.held_out, summary.unlabelled.sample)
        if all(sample.complete for sample in samples):
            break
        # So many rows were filtered, or files removed, that what was kept is no whole sample.
    return summary


def _levels(reads: AllUnits, known: Collection[str]) -> LevelScan:
    """The levels of categories, but of those that are known, and of columns that have a role."""
    job, features = reads.planned.job, reads.planned.features
    by = None if job.intervals is None else job.intervals.by
    more = [name for name in (job.search.split.fold, by) if name]
    counted = [name for name, _ in features.categorical if name not in known]
    names = list(dict.fromkeys([*counted, *more]))
    if not names:
        return LevelScan({}, 0)
    read = LevelsRead(names, job.data.conditions(), features.dates, reads.caching)
    return reads.merged(read, "levels")


def _timeline(reads: AllUnits) -> tuple[Timeline | None, int]:
    planned = reads.planned
    if planned.job.time is None:
        return None, 0
    read = TimesRead(reading_for_times(planned), planned.job.time, reads.caching)
    return reads.merged(read, "times")


def _groups(job: TrainJob, levels: Tally) -> tuple[str, ...]:
    if job.intervals is None:
        return ()
    groups = sorted(level for level in levels[job.intervals.by] if level is not None)
    if len(groups) > MOST_GROUPS:
        raise DataError(
            f"{job.data.path}, intervals.by {job.intervals.by!r}",
            f"has more than {MOST_GROUPS} values",
            f"at most {MOST_GROUPS} groups",
            "Name a coarser column",
        )
    return tuple(groups)


def _fold_values(levels: Tally, fold: str) -> list[str]:
    values = [str(value) for value in levels[fold]]
    if all(value.lstrip("-").isdigit() for value in values):
        return sorted(values, key=int)
    return sorted(values)


def _check_rows(planned: TrainPlan, reading: Reading, moments: b.BucketMoments) -> None:
    path, job = planned.dataset.path, planned.job
    held = moments.holdout
    total = m.merge_all(moments.buckets, held.n_values)
    if total.n == 0:
        wanted = "rows with a target" + (f" and the offset {job.offset!r}" if job.offset else "")
        remedy = "Widen data.where" if reading.where else "Name a target that has values"
        if job.preprocess.missing == "drop":
            wanted += " and no nulls, as preprocess.missing is drop"
            remedy += ", or set preprocess.missing to mean"
        raise DataError(path, "no row is left to train on", wanted, remedy)
    if total.weight <= SMALLEST:
        found = f"sums to {total.weight:g}" if total.weight else "is zero everywhere"
        remedy = "Name another weight, or set weight to null"
        raise DataError(f"{path}, weight {job.weight!r}", found, "some weight", remedy)
    # The last entry of low and high is the target's.
    if total.low[-1] == total.high[-1]:
        raise DataError(
            f"{path}, target {job.target!r}",
            f"is constant ({total.low[-1]:g} in all {total.n:,} rows)",
            "a target that varies",
            "Name another target" + (", or widen data.where" if reading.where else ""),
        )
    _check_spread(planned, (*reading.columns.labels, job.target), total.low, total.high)
    if job.holdout is not None and held.weight <= 0:
        remedy = "Hold out more, with holdout, or set it to null"
        raise DataError(path, "no row is held out", "at least one", remedy)


def _check_spread(planned: TrainPlan, names: Sequence[str], low: Floats, high: Floats) -> None:
    """Refuse numbers that differ, but by too little for their squares."""
    spread = high - low
    for j in np.flatnonzero((spread > 0) & (spread < SMALLEST)).tolist():
        name = names[j]
        raise DataError(
            f"{planned.dataset.path}, column {name!r}",
            f"has values that differ by {spread[j]:g} at most, too little for their squares",
            f"equal values, or a range of at least {SMALLEST:g}",
            "Write it in larger units" + ("" if name == planned.job.target else ", or exclude it"),
        )
