"""The one read of the training data: moments per bucket, and a sample."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lasso_jobs.core import buckets as b
from lasso_jobs.core import moments as m
from lasso_jobs.core import sample as s
from lasso_jobs.core.centring import Centring
from lasso_jobs.core.columns import Category, Columns, LevelType, fill
from lasso_jobs.core.timeline import Timeline
from lasso_jobs.data.dataset import Partition
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.clock import Report, progress_of
from lasso_jobs.jobs.reading import Counts, Reading, in_batches, read_training_rows
from lasso_jobs.jobs.scan import Tally, merge_tallies, merge_times, scan_times, tally
from lasso_jobs.jobs.splits import Folds, check_folds_have_rows, reading_for_times, split
from lasso_jobs.jobs.train_plan import TrainPlan

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True, slots=True)
class Gathered:
    """What one read of the data leaves.

    Parameters
    ----------
    columns : Columns
    reading : Reading
    moments : BucketMoments
        Of the columns and the target.
    sample : Sample
        Of the columns' values.
    counts : Counts
    folds : KFold or RollingOrigin
    """

    columns: Columns
    reading: Reading
    moments: b.BucketMoments
    sample: s.Sample
    counts: Counts
    folds: Folds


def gather(client: "Client", planned: TrainPlan, report: Report | None = None) -> Gathered:
    """Scan the categories and the times, then read everything once.

    Raises
    ------
    DataError
        If the rows cannot be trained on.
    """
    from lasso_jobs.engine.tasks import tree_reduce

    job = planned.job
    fold = job.search.split.fold
    levels, of_levels = _levels(client, planned, report)
    timeline, of_times = _timeline(client, planned, report)
    columns = Columns(
        planned.features.numeric,
        tuple(
            _category(name, type_, levels, job.preprocess.max_levels)
            for name, type_ in planned.features.categorical
        ),
    )
    reading, folds = split(planned, columns, _fold_values(levels, fold) if fold else (), timeline)
    size = s.sample_size(columns.n_columns + 1)
    moments, sample, counts = tree_reduce(
        client,
        _gather,
        _merge,
        planned.partitions,
        reading,
        size,
        progress=progress_of(report, "moments"),
    )
    _check_rows(planned, moments)
    check_folds_have_rows(planned, reading, folds, moments)
    counts = replace(counts, bytes_read=counts.bytes_read + of_levels + of_times)
    return Gathered(columns, reading, moments, sample, counts, folds)


def _levels(client: "Client", planned: TrainPlan, report: Report | None) -> tuple[Tally, int]:
    from lasso_jobs.engine.tasks import tree_reduce

    fold = planned.job.search.split.fold
    names = [name for name, _ in planned.features.categorical] + ([fold] if fold else [])
    if not names:
        return {}, 0
    return tree_reduce(
        client,
        tally,
        merge_tallies,
        planned.partitions,
        names,
        planned.job.data.conditions(),
        progress=progress_of(report, "levels"),
    )


def _timeline(
    client: "Client", planned: TrainPlan, report: Report | None
) -> tuple[Timeline | None, int]:
    from lasso_jobs.engine.tasks import tree_reduce

    if planned.job.time is None:
        return None, 0
    return tree_reduce(
        client,
        scan_times,
        merge_times,
        planned.partitions,
        reading_for_times(planned.job),
        planned.job.time,
        progress=progress_of(report, "times"),
    )


_Part = tuple[b.BucketMoments, s.Sample, Counts]


def _gather(partition: Partition, reading: Reading, size: int) -> _Part:
    n_values = reading.columns.n_columns + 1
    moments, counts = b.empty(n_values, reading.n_buckets), Counts()
    sample = s.empty(n_values - 1, size)
    for rows in in_batches(read_training_rows(partition, reading)):
        # Of small integers numpy sorts by radix.
        small = np.min_scalar_type(reading.n_buckets)
        order = np.argsort(rows.buckets.astype(small), kind="stable")
        # Another draw than the one for the hold-out, whose rows would fill the sample otherwise.
        draws = b.remix(rows.hashes)[order]
        kept = s.entering(sample, draws)
        sampled = np.empty((n_values, len(kept)))
        n_rows = np.bincount(rows.buckets, minlength=reading.n_buckets + 1).tolist()
        weights = None if rows.weights is None else rows.weights[order]
        centring = Centring.of(_room_for(n_values, len(order)), n_rows, weights)
        for j in fill(centring.values, reading.columns, rows.block, order, rows.target):
            np.take(centring.values[j], kept, out=sampled[j], mode="clip")
            centring.centre(j)
        sample = s.merge(sample, s.Sample(size, draws[kept], sampled[:-1]))
        moments = b.merge(moments, b.BucketMoments(centring.moments()))
        counts += rows.counts
    return moments, sample, counts


_room = threading.local()


def _room_for(n_values: int, n: int) -> m.Floats:
    """The same memory for one block after the other: the system clears what it gives anew."""
    room: m.Floats | None = getattr(_room, "values", None)
    if room is None or room.size < n_values * n:
        _room.values = room = np.empty(n_values * n)
    return room[: n_values * n].reshape(n_values, n)


def _merge(left: _Part, right: _Part) -> _Part:
    return b.merge(left[0], right[0]), s.merge(left[1], right[1]), left[2] + right[2]


def _category(name: str, type_: LevelType, levels: Tally, max_levels: int) -> Category:
    """The most frequent levels, in their own order; all others share one indicator."""
    counts = levels[name]
    if type_ == "integer":
        _check_integers(name, counts)
    by_rows = sorted(counts, key=lambda level: (-counts[level], level is None, level or ""))
    kept = by_rows[:max_levels]
    number = type_ == "integer"
    kept.sort(key=lambda v: (v is None, int(v) if number and v is not None else 0, v or ""))
    return Category(name, tuple(kept), len(by_rows) > max_levels, type_)


def _check_integers(name: str, levels: Iterable[str | None]) -> None:
    odd = [v for v in levels if v is not None and not v.lstrip("-").isdigit()]
    if odd:
        raise DataError(
            f"column {name!r}",
            f"has the value {odd[0]}",
            "integers, as features.categorical names it",
            "Mend the file, or take the column as a number",
        )


def _fold_values(levels: Tally, fold: str) -> list[str]:
    values = [str(value) for value in levels[fold]]
    if all(value.lstrip("-").isdigit() for value in values):
        return sorted(values, key=int)
    return sorted(values)


def _check_rows(planned: TrainPlan, moments: b.BucketMoments) -> None:
    path, job = planned.dataset.path, planned.job
    held = moments.holdout
    total = m.merge_all(moments.buckets, held.n_values)
    if total.n == 0:
        raise DataError(
            path, "no row is left to train on", "rows with a target", "Widen data.where"
        )
    if total.weight <= 0:
        raise DataError(
            f"{path}, weight {job.weight!r}", "is zero everywhere", "some weight", "Mend it"
        )
    # The last entry of low and high is the target's.
    if total.low[-1] == total.high[-1]:
        raise DataError(
            f"{path}, target {job.target!r}",
            f"is constant ({total.low[-1]:g} in all {total.n:,} rows)",
            "a target that varies",
            "Name another target, or widen data.where",
        )
    if job.holdout is not None and held.weight <= 0:
        raise DataError(path, "no row is held out", "some", "Widen holdout, or set it to null")
