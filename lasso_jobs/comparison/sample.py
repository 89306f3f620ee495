"""Draws a sample of the training rows into memory, with the folds of the training."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows import buckets as b
from lasso_jobs.core.rows import sample as s
from lasso_jobs.core.rows.blocks.matrix import lay_out
from lasso_jobs.core.rows.folds import Indices
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.data.dataset import WorkUnit
from lasso_jobs.errors import DataError
from lasso_jobs.progress import Progress, of_stage
from lasso_jobs.training.gather import TrainingData
from lasso_jobs.training.plan import TrainPlan
from lasso_jobs.training.read.batches import in_batches
from lasso_jobs.training.read.reading import Reading
from lasso_jobs.training.read.rows import read_training_rows

if TYPE_CHECKING:
    from lasso_jobs.comparison.dask_ml_search import Split
    from lasso_jobs.engine.tasks import Workers

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
    gathered : TrainingData
        What a training would have gathered from these rows alone.
    """

    rows: s.Sample
    n_rows: int
    gathered: TrainingData

    @property
    def y(self) -> Floats:
        """The target."""
        return np.asarray(self.rows.values[-2])

    @property
    def response(self) -> Floats:
        """The target less the offset, if there is one: what estimators are fitted to."""
        reading = self.gathered.reading
        if reading.offset is None:
            return self.y
        return np.asarray(self.y - self.rows.values[reading.columns.place[reading.offset]])

    @property
    def weights(self) -> Floats:
        """The weight of each row; 1 if the job has none."""
        return np.asarray(self.rows.values[-1])

    @property
    def columns_and_target(self) -> Floats:
        """The columns' values, and the target, shape (n_columns + 1, n)."""
        return np.asarray(self.rows.values[:-1])

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
    workers: "Workers",
    planned: TrainPlan,
    gathered: TrainingData,
    *,
    most: int,
    progress: Progress | None = None,
) -> TrainingSample:
    """Sample the rows that are in folds.

    They are those with the smallest hashes of their file's name and their position in it, by the
    job's seed: the same for any number of workers, and in any order of the files.

    Parameters
    ----------
    workers : Workers
    planned : TrainPlan
    gathered : TrainingData
    most : int
        The number of rows; fewer if they would take more than `MAX_BYTES`.
    progress : callable, optional

    Raises
    ------
    DataError
        If a fold has none of them.
    """
    reading = gathered.reading
    size = min(most, max(1_000, MAX_BYTES // (8 * (reading.columns.n_columns + _BESIDE))))
    read = partial(_sampled, reading=reading, size=size)
    advance = of_stage(progress, "sample")
    rows = workers.reduce(read, s.merge, planned.work_units, progress=advance)
    n_rows = gathered.moments.n_rows - gathered.moments.holdout.n
    sample = TrainingSample(rows, n_rows, _gathered(rows, gathered))
    _check_folds(sample)
    return sample


def _sampled(unit: WorkUnit, reading: Reading, size: int) -> s.Sample:
    """The rows of a work unit with the smallest hashes, without those that are held out."""
    n_values = reading.columns.n_columns + _BESIDE
    sample = s.empty(n_values, size)
    for rows in in_batches(read_training_rows(unit, reading), reading.batch_rows()):
        in_folds = np.flatnonzero(rows.buckets < reading.n_buckets)
        # The draw of the training's own sample.
        draws = b.remix(rows.hashes)[in_folds]
        entering = s.entering(sample, draws)
        taken = in_folds[entering]
        values = np.empty((n_values, len(taken)))
        for _ in lay_out(values, reading.columns, rows.block, order=taken, target=rows.target):
            pass
        values[-1] = 1.0 if rows.weights is None else rows.weights[taken]
        sample = s.merge(
            sample,
            s.Sample(size=size, hashes=draws[entering], buckets=rows.buckets[taken], values=values),
        )
    return sample


def _gathered(rows: s.Sample, gathered: TrainingData) -> TrainingData:
    n_buckets = gathered.reading.n_buckets
    order = np.argsort(rows.buckets, kind="stable")
    values = rows.values.take(order, axis=1)
    weights = None if gathered.reading.weight is None else values[-1]
    counts = np.bincount(rows.buckets, minlength=n_buckets + 1).tolist()
    sample = replace(rows, values=rows.values[:-_BESIDE])
    return replace(gathered, moments=b.of_rows(values[:-1], counts, weights), sample=sample)


def _check_folds(sample: TrainingSample) -> None:
    weights = sample.weights
    for k, split in enumerate(sample.splits()):
        for rows, part in zip(split, ("train on", "test with"), strict=True):
            if weights[rows].sum() <= 0:
                raise DataError(
                    "compare.rows",
                    f"of the {len(weights):,} sampled rows, fold {k + 1} has none to {part}",
                    "some in every fold",
                    "Sample more rows, or use fewer folds",
                )
