"""A sample of the training rows, in memory, with the folds of the training."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core import buckets as b
from lasso_jobs.core import sample as s
from lasso_jobs.core.columns import fill
from lasso_jobs.core.folds import Indices
from lasso_jobs.core.moments import Floats
from lasso_jobs.data.dataset import Partition
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.clock import Report, progress_of
from lasso_jobs.jobs.gather import Gathered
from lasso_jobs.jobs.reading import Reading
from lasso_jobs.jobs.train_plan import TrainPlan
from lasso_jobs.jobs.training_rows import in_batches, read_training_rows

if TYPE_CHECKING:
    from distributed import Client

    from lasso_jobs.engine.search import Split

MAX_BYTES = 512 * 2**20
"""Of the matrix of a sample: wide rows are sampled in smaller numbers."""

_BESIDE = 2  # of a row: the target, the weight


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """Some of the rows that a training cross-validates on.

    Parameters
    ----------
    rows : Sample
        The columns' values, the target, the weight.
    n_rows : int
        How many it was taken from.
    gathered : Gathered
        What a training would have gathered from these rows alone.
    """

    rows: s.Sample
    n_rows: int
    gathered: Gathered

    @property
    def y(self) -> Floats:
        """The target."""
        return np.asarray(self.rows.values[-2])

    def X(self) -> Floats:
        """The columns and the weight, shape (n, n_columns + 1)."""
        return np.ascontiguousarray(np.delete(self.rows.values, -2, axis=0).T)

    def splits(self) -> list["Split"]:
        """The rows of each fold, of each repeat, by their numbers."""
        buckets = self.rows.buckets
        return [
            (_rows_in(buckets, training), _rows_in(buckets, test))
            for training, test in self.gathered.folds.splits()
        ]


def _rows_in(buckets: Indices, which: Indices) -> NDArray[np.int32]:
    return np.flatnonzero(np.isin(buckets, which)).astype(np.int32)


def draw(
    client: "Client",
    planned: TrainPlan,
    gathered: Gathered,
    most: int,
    report: Report | None = None,
) -> TrainingSample:
    """Sample the rows that are in folds.

    They are those with the smallest hashes of their file's name and their position in it, by the
    job's seed: the same for any number of workers, and in any order of the files.

    Parameters
    ----------
    client : distributed.Client
    planned : TrainPlan
    gathered : Gathered
    most : int
        The number of rows; fewer if they would take more than `MAX_BYTES`.
    report : callable, optional

    Raises
    ------
    DataError
        If a fold has none of them.
    """
    from lasso_jobs.engine.tasks import tree_reduce

    reading = gathered.reading
    size = min(most, max(1_000, MAX_BYTES // (8 * (reading.columns.n_columns + _BESIDE))))
    read = partial(_sampled, reading=reading, size=size)
    progress = progress_of(report, "sample")
    rows = tree_reduce(client, read, s.merge, planned.partitions, progress=progress)
    n_rows = gathered.moments.n_rows - gathered.moments.holdout.n
    found = TrainingSample(rows, n_rows, _gathered(rows, gathered))
    _check_folds(found)
    return found


def _sampled(partition: Partition, reading: Reading, size: int) -> s.Sample:
    """The rows of a partition with the smallest hashes, without those that are held out."""
    n_values = reading.columns.n_columns + _BESIDE
    sample = s.empty(n_values, size)
    for rows in in_batches(read_training_rows(partition, reading)):
        in_folds = np.flatnonzero(rows.buckets < reading.n_buckets)
        # The draw of the training's own sample.
        draws = b.remix(rows.hashes)[in_folds]
        entering = s.entering(sample, draws)
        taken = in_folds[entering]
        values = np.empty((n_values, len(taken)))
        for _ in fill(values, reading.columns, rows.block, taken, rows.target):
            pass
        values[-1] = 1.0 if rows.weights is None else rows.weights[taken]
        sample = s.merge(sample, s.Sample(size, draws[entering], rows.buckets[taken], values))
    return sample


def _gathered(rows: s.Sample, gathered: Gathered) -> Gathered:
    n_buckets = gathered.reading.n_buckets
    order = np.argsort(rows.buckets, kind="stable")
    values = rows.values.take(order, axis=1)
    weights = None if gathered.reading.weight is None else values[-1]
    counts = np.bincount(rows.buckets, minlength=n_buckets + 1).tolist()
    sample = replace(rows, values=rows.values[:-_BESIDE])
    return replace(gathered, moments=b.of_rows(values[:-1], counts, weights), sample=sample)


def _check_folds(found: TrainingSample) -> None:
    weights = found.rows.values[-1]
    for k, split in enumerate(found.splits()):
        for rows, part in zip(split, ("train on", "test with"), strict=True):
            if weights[rows].sum() <= 0:
                raise DataError(
                    "compare.rows",
                    f"of the {len(weights):,} sampled rows, fold {k + 1} has none to {part}",
                    "some in every fold",
                    "Sample more rows, or use fewer folds",
                )
