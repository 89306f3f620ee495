"""What a read of some rows leaves: moments per bucket, samples of the rows, counts."""

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core import buckets as b
from lasso_jobs.core import periods
from lasso_jobs.core import sample as s
from lasso_jobs.core.centring import Centring, room_for
from lasso_jobs.core.columns import fill
from lasso_jobs.core.moments import Floats
from lasso_jobs.core.periods import Periods, Summing
from lasso_jobs.data.dataset import Partition
from lasso_jobs.jobs.reading import Counts, Reading
from lasso_jobs.jobs.training_rows import in_batches, read_training_rows

_BESIDE = 4  # of a held-out row: the target, the weight, the group, the cluster


@dataclass(frozen=True, slots=True)
class Part:
    """What is known of some rows.

    Parameters
    ----------
    moments : BucketMoments
        Of the columns and the target.
    sample : Sample
        Of all rows: the columns' values, the period.
    held : Sample
        Of the held-out rows: the columns' values, the target, the weight, the group, the cluster.
    periods : Periods
        Sums of the columns and the target; of no period if the job has none.
    counts : Counts
    """

    moments: b.BucketMoments
    sample: s.Sample
    held: s.Sample
    periods: Periods
    counts: Counts

    def selected(self, place: NDArray[np.intp]) -> "Part":
        """Of some of the columns, in another order; -1 for one that is zero in every row."""
        n_columns = len(self.sample.values) - 1
        if np.array_equal(place, np.arange(n_columns)):
            return self
        ends = np.concatenate([place, [n_columns]])
        return Part(
            b.BucketMoments(tuple(bucket.selected(ends) for bucket in self.moments.buckets)),
            self.sample.selected(ends),
            self.held.selected(np.concatenate([ends, n_columns + np.arange(1, _BESIDE)])),
            self.periods.selected(ends),
            self.counts,
        )


def read_part(partition: Partition, reading: Reading) -> Part:
    """Read a partition once."""
    n_columns = reading.columns.n_columns
    moments, counts = b.empty(n_columns + 1, reading.n_buckets), Counts()
    sample = s.empty(n_columns + 1, s.sample_size(n_columns + 1))
    held = s.empty(n_columns + _BESIDE, sample.size)
    by_period = periods.empty(n_columns + 1)
    for rows in in_batches(read_training_rows(partition, reading)):
        # Of small integers numpy sorts by radix.
        small = np.min_scalar_type(reading.n_buckets)
        order = np.argsort(rows.buckets.astype(small), kind="stable")
        n_rows = np.bincount(rows.buckets, minlength=reading.n_buckets + 1).tolist()
        weights = None if rows.weights is None else rows.weights[order]
        # Another draw than the one for the hold-out, whose rows would fill the sample otherwise.
        draws, buckets = b.remix(rows.hashes)[order], rows.buckets[order]
        taken = _Taken.of(sample, draws, buckets, np.arange(len(order)), n_columns + 1)
        taken.values[-1] = rows.periods[order][taken.rows]
        last = np.arange(len(order) - n_rows[-1], len(order))
        held_back = _Taken.of(held, draws, buckets, last, n_columns + _BESIDE)
        held_back.values[-3] = 1.0 if weights is None else weights[held_back.rows]
        held_back.values[-2] = rows.groups[order][held_back.rows]
        held_back.values[-1] = rows.clusters[order][held_back.rows]
        by_row = rows.periods[order] if reading.period is not None else np.empty(0)
        summed = Summing.of(by_row, n_columns + 1)
        centring = Centring.of(_room_for(n_columns + 1, len(order)), n_columns + 1, n_rows, weights)
        for j in fill(centring.values, reading.columns, rows.block, order, rows.target):
            if j < n_columns:
                np.take(centring.values[j], taken.rows, out=taken.values[j], mode="clip")
            summed.add(j, centring.values[j])
            np.take(centring.values[j], held_back.rows, out=held_back.values[j], mode="clip")
            centring.centre(j)
        sample, held = taken.merged(), held_back.merged()
        by_period = periods.merge(by_period, summed.sums)
        moments = b.merge(moments, b.BucketMoments(centring.moments()))
        counts += rows.counts
    return Part(moments, sample, held, by_period, counts)


@dataclass(frozen=True, slots=True)
class _Taken:
    """Rows that enter a sample, while their values are laid out."""

    sample: s.Sample
    hashes: b.Hashes
    buckets: NDArray[np.intp]
    rows: NDArray[np.intp]
    values: Floats

    @classmethod
    def of(
        cls,
        sample: s.Sample,
        hashes: b.Hashes,
        buckets: NDArray[np.intp],
        candidates: NDArray[np.intp],
        n_values: int,
    ) -> "_Taken":
        rows = candidates[s.entering(sample, hashes[candidates])]
        return cls(sample, hashes[rows], buckets[rows], rows, np.empty((n_values, len(rows))))

    def merged(self) -> s.Sample:
        taken = s.Sample(self.sample.size, self.hashes, self.buckets, self.values)
        return s.merge(self.sample, taken)


_room = threading.local()


def _room_for(n_values: int, n: int) -> Floats:
    """The same memory for one block after the other: the system clears what it gives anew."""
    room: Floats | None = getattr(_room, "values", None)
    size = room_for(n_values, n)
    if room is None or room.size < size:
        _room.values = room = np.empty(size)
    return room


def merge(left: Part, right: Part) -> Part:
    """What is known of two disjoint sets of rows together."""
    return Part(
        b.merge(left.moments, right.moments),
        s.merge(left.sample, right.sample),
        s.merge(left.held, right.held),
        periods.merge(left.periods, right.periods),
        left.counts + right.counts,
    )
