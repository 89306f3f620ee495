"""What a read of some rows leaves: moments per bucket, samples of the rows, counts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core import buckets as b
from lasso_jobs.core import sample as s
from lasso_jobs.core.columns import matrix
from lasso_jobs.data.dataset import Partition
from lasso_jobs.jobs.reading import Counts, Reading, in_batches, read_training_rows


@dataclass(frozen=True, slots=True)
class Part:
    """What is known of some rows.

    Parameters
    ----------
    moments : BucketMoments
        Of the columns and the target.
    sample : Sample
        Of all rows: the columns' values.
    held : Sample
        Of the held-out rows: the columns' values, the target, the weight.
    counts : Counts
    """

    moments: b.BucketMoments
    sample: s.Sample
    held: s.Sample
    counts: Counts

    def selected(self, place: NDArray[np.intp]) -> "Part":
        """Of some of the columns, in another order; -1 for one that is zero in every row."""
        n_columns = len(self.sample.values)
        ends = np.concatenate([place, [n_columns]])
        return Part(
            b.BucketMoments(tuple(bucket.selected(ends) for bucket in self.moments.buckets)),
            self.sample.selected(place),
            self.held.selected(np.concatenate([ends, [n_columns + 1]])),
            self.counts,
        )


def read_part(partition: Partition, reading: Reading) -> Part:
    """Read a partition once."""
    n_columns = reading.columns.n_columns
    moments, counts = b.empty(n_columns + 1, reading.n_buckets), Counts()
    sample = s.empty(n_columns, s.sample_size(n_columns + 1))
    held = s.empty(n_columns + 2, sample.size)
    for rows in in_batches(read_training_rows(partition, reading)):
        order = np.argsort(rows.buckets, kind="stable")
        n_rows = np.bincount(rows.buckets, minlength=reading.n_buckets + 1)
        values = matrix(reading.columns, rows.block, order, rows.target)
        weights = None if rows.weights is None else rows.weights[order]
        # Another draw than the one for the hold-out, whose rows would fill the sample otherwise.
        draws, buckets = b.remix(rows.hashes)[order], rows.buckets[order]
        sample = s.extended(sample, draws, buckets, values[:-1])
        last = slice(len(order) - n_rows[-1], None)
        ones = np.ones(n_rows[-1])
        weighed = np.vstack([values[:, last], ones if weights is None else weights[last]])
        held = s.extended(held, draws[last], buckets[last], weighed)
        moments = b.merge(moments, b.of_rows(values, n_rows.tolist(), weights))
        counts += rows.counts
    return Part(moments, sample, held, counts)


def merge(left: Part, right: Part) -> Part:
    """What is known of two disjoint sets of rows together."""
    return Part(
        b.merge(left.moments, right.moments),
        s.merge(left.sample, right.sample),
        s.merge(left.held, right.held),
        left.counts + right.counts,
    )
