"""The one read of the training data: moments per bucket, and a sample."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lasso_jobs.core import buckets as b
from lasso_jobs.core import moments as m
from lasso_jobs.core import sample as s
from lasso_jobs.core.columns import Category, Columns, LevelType
from lasso_jobs.core.moments import Floats
from lasso_jobs.core.periods import Periods
from lasso_jobs.core.timeline import Timeline
from lasso_jobs.data.storage import is_uri
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.cached import Cached, Caching, Parts
from lasso_jobs.jobs.clock import Report, progress_of
from lasso_jobs.jobs.part import Part, merge
from lasso_jobs.jobs.reading import Counts, Reading
from lasso_jobs.jobs.scan import Levels, Tally, Times, merge_tallies, merge_times
from lasso_jobs.jobs.splits import Folds, check_folds_have_rows, reading_for_times, split
from lasso_jobs.jobs.train_job import TrainJob
from lasso_jobs.jobs.train_plan import TrainPlan

if TYPE_CHECKING:
    from distributed import Client

MOST_GROUPS = 200
Result = TypeVar("Result")


class _NotKeptError(Exception):
    """Something must be read, and there is no cluster."""


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
        Of all rows: the columns' values.
    sampled_periods : ndarray, shape (k,)
        The period of each of them; -1 if there are none.
    periods : Periods
        Sums of the columns and the target by period.
    held : Sample
        Of the held-out rows: the columns' values, the target, the weight, the group, the cluster.
    counts : Counts
    folds : KFold or RollingOrigin
    groups : tuple of str
        Names of the groups that may have intervals of their own.
    """

    columns: Columns
    reading: Reading
    moments: b.BucketMoments
    sample: s.Sample
    sampled_periods: Floats
    periods: Periods
    held: s.Sample
    counts: Counts
    folds: Folds
    groups: tuple[str, ...]


def recall(planned: TrainPlan) -> Gathered | None:
    """All of it from the cache, if an earlier training has left it there."""
    try:
        return gather(None, planned)
    except _NotKeptError:
        return None


def gather(client: "Client | None", planned: TrainPlan, report: Report | None = None) -> Gathered:
    """Scan the categories and the times, then read everything once.

    Raises
    ------
    DataError
        If the rows cannot be trained on.
    """
    job = planned.job
    fold = job.search.split.fold
    levels, of_levels = _levels(client, planned, report)
    timeline, of_times = _timeline(client, planned, report)
    columns = Columns(
        planned.features.numeric,
        tuple(_category(name, type_, levels, job) for name, type_ in planned.features.categorical),
        planned.features.dates,
    )
    reading, folds = split(planned, columns, _fold_values(levels, fold) if fold else (), timeline)
    part = _part(client, planned, reading, report)
    moments = part.moments
    _check_rows(planned, reading, moments)
    check_folds_have_rows(planned, reading, folds, moments)
    scanned = part.counts.bytes_read + of_levels + of_times
    counts = replace(part.counts, bytes_read=scanned)
    groups = _groups(job, levels)
    return Gathered(
        columns,
        reading,
        moments,
        replace(part.sample, values=part.sample.values[:-1]),
        part.sample.values[-1],
        part.periods,
        part.held,
        counts,
        folds,
        groups,
    )


def _part(
    client: "Client | None", planned: TrainPlan, reading: Reading, report: Report | None
) -> Part:
    """The one read, of what is not in the cache."""
    caching = _caching(planned)
    while True:
        part = _reduced(client, planned, Parts(reading, caching), merge, "moments", report)
        if caching is None or (part.sample.complete and part.held.complete):
            return part
        # So many rows were filtered, or files removed, that what was kept is no whole sample.
        caching = replace(caching, fresh=True)


def _reduced(
    client: "Client | None",
    planned: TrainPlan,
    reads: Cached[Result],
    merge: Callable[[Result, Result], Result],
    stage: str,
    report: Report | None,
) -> Result:
    """The reads of all partitions together.

    They are kept as such, too, so that a training that asks only other questions needs no cluster.
    """
    found = reads.kept(planned.partitions)
    if found is not None:
        return found
    if client is None:
        raise _NotKeptError
    from lasso_jobs.engine.tasks import tree_reduce

    progress = progress_of(report, stage)
    result = tree_reduce(client, reads, merge, planned.partitions, progress=progress)
    if len(planned.partitions) > 1:
        reads.keep(planned.partitions, result)
    return result


def _caching(planned: TrainPlan) -> Caching | None:
    registry = planned.job.registry
    if not planned.job.cache:
        return None
    # Workers of a local cluster may have another working folder.
    registry = registry if is_uri(registry) else str(Path(registry).absolute())
    return Caching(registry, planned.dataset.n_rows)


def _levels(
    client: "Client | None", planned: TrainPlan, report: Report | None
) -> tuple[Tally, int]:
    job = planned.job
    by = None if job.intervals is None else job.intervals.by
    more = [name for name in (job.search.split.fold, by) if name]
    names = list(dict.fromkeys([*(name for name, _ in planned.features.categorical), *more]))
    if not names:
        return {}, 0
    reads = Levels(names, job.data.conditions(), planned.features.dates, _caching(planned))
    return _reduced(client, planned, reads, merge_tallies, "levels", report)


def _timeline(
    client: "Client | None", planned: TrainPlan, report: Report | None
) -> tuple[Timeline | None, int]:
    if planned.job.time is None:
        return None, 0
    reads = Times(reading_for_times(planned), planned.job.time, _caching(planned))
    return _reduced(client, planned, reads, merge_times, "times", report)


def _groups(job: TrainJob, levels: Tally) -> tuple[str, ...]:
    if job.intervals is None:
        return ()
    found = sorted(level for level in levels[job.intervals.by] if level is not None)
    if len(found) > MOST_GROUPS:
        raise DataError(
            "intervals.by",
            f"has more than {MOST_GROUPS} values",
            f"at most {MOST_GROUPS} groups",
            "Name a coarser column",
        )
    return tuple(found)


def _category(name: str, type_: LevelType, levels: Tally, job: TrainJob) -> Category:
    """The levels that a fold can choose from, in their own order; all others share one indicator.

    They are twice as many as a fold may keep, so that one can keep what is rare in the others.
    """
    counts = levels[name]
    number = type_ == "integer"
    if number:
        _check_integers(name, counts)
    ordered = sorted(
        counts, key=lambda v: (v is None, int(v) if number and v is not None else 0, v or "")
    )
    listed = set(sorted(ordered, key=lambda v: -counts[v])[: 2 * job.preprocess.max_levels])
    kept = tuple(v for v in ordered if v in listed)
    return Category(name, kept, len(kept) < len(ordered), type_)


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


def _check_rows(planned: TrainPlan, reading: Reading, moments: b.BucketMoments) -> None:
    path, job = planned.dataset.path, planned.job
    held = moments.holdout
    total = m.merge_all(moments.buckets, held.n_values)
    if total.n == 0:
        dropped = " and no nulls, as preprocess.missing is drop" if reading.complete else ""
        raise DataError(
            path, "no row is left to train on", f"rows with a target{dropped}", "Widen data.where"
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
