"""Reads the moments of all pairs of columns in a working set: what its paths are solved on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from lasso_jobs.core.rows import buckets as b
from lasso_jobs.core.rows.blocks.matrix import lay_out
from lasso_jobs.core.rows.blocks.sparse_centring import SparseSets
from lasso_jobs.core.rows.buckets import BucketMoments
from lasso_jobs.core.rows.centring import Centring, room_for
from lasso_jobs.core.rows.moments import Moments
from lasso_jobs.core.threads import Steps, in_threads
from lasso_jobs.training.read.batches import in_batches
from lasso_jobs.training.read.kept import KeptUnit, Source, in_memory, training_rows
from lasso_jobs.training.read.reading import ReadCounts, Reading

GROUP_BYTES = 2**26
"""Of rows in memory, the buckets whose moments are together larger are read one after the other:
several of them wait to be merged, from each work unit."""


@dataclass(frozen=True, slots=True)
class PairMoments:
    """The moments of some rows, of each of some buckets, and what became of the rows."""

    moments: BucketMoments
    counts: ReadCounts


def merge_pairs(left: PairMoments, right: PairMoments) -> PairMoments:
    """Those of two disjoint sets of rows together."""
    return PairMoments(b.merge(left.moments, right.moments), left.counts + right.counts)


def all_buckets(parts: Sequence[PairMoments]) -> BucketMoments:
    """The moments of all buckets, from those of some after the other."""
    return BucketMoments(tuple(chain.from_iterable(part.moments.buckets for part in parts)))


@dataclass(frozen=True, slots=True)
class RowsScan:
    """The read of a working set of few rows as they are: a callable for workers.

    Their moments take more memory than they do, in each work unit and bucket, and more time to be
    merged than to be computed at once: of 4,000 rows in four units and five buckets, those of 1,347
    columns took 1.1 CPU seconds, a third of it the system's, and 0.5 where rows are gathered.
    """

    reading: Reading

    def __call__(self, source: Source) -> KeptUnit:
        """Read a work unit."""
        blocks = (
            replace(rows, block=in_memory(rows.block, "float64"), unlabelled=())
            for rows in training_rows(source, self.reading)
        )
        return KeptUnit(self.reading.columns, tuple(blocks))


def merge_rows(left: KeptUnit, right: KeptUnit) -> KeptUnit:
    """Both together, in their order."""
    return KeptUnit(left.columns, left.blocks + right.blocks)


@dataclass(frozen=True, slots=True)
class PairsScan:
    """The read of a working set in a round: a callable for workers.

    The last working set has a `lasso_jobs.training.read.row_summary.RowSummary`, whose samples take
    more memory than these moments.

    Parameters
    ----------
    reading : Reading
        Of the working set.
    buckets : range
        The buckets whose moments are wanted now.
    threads : bool
        Whether each of these has a thread of this process: in the driver, on `RowsScan`'s rows.
    """

    reading: Reading
    buckets: range
    threads: bool = False

    def __call__(self, source: Source) -> PairMoments:
        """Scan a work unit."""
        reading, q, n_sets = self.reading, self.reading.columns.n_columns + 1, len(self.buckets)
        moments, counts = b.empty(q, n_sets - 1), ReadCounts()
        for rows in in_batches(training_rows(source, reading), reading.batch_rows()):
            order = np.argsort(rows.buckets, kind="stable")
            n_rows = np.bincount(rows.buckets, minlength=reading.n_buckets + 1).tolist()
            weights = None if rows.weights is None else rows.weights[order]
            block, columns, entries = reading.split(rows.block)
            sparse = SparseSets.of(
                entries,
                q,
                order=order,
                buckets=rows.buckets,
                n_sets=len(n_rows),
                weights=rows.weights,
            )
            n_laid_out = len(sparse.others)
            room = np.empty(room_for(n_laid_out, len(order)))
            centring = Centring.of(room, n_laid_out, n_rows, weights)
            laid_out = lay_out(centring.values, columns, block, order=order, target=rows.target)
            for k in laid_out:
                centring.centre(k)

            def of_bucket(
                k: int, centring: Centring = centring, sparse: SparseSets = sparse
            ) -> Moments:
                return centring.moments(sparse, range(k, k + 1))[0]

            each = in_threads(of_bucket, self.buckets, Steps()) if self.threads else None
            found = BucketMoments(tuple(each or map(of_bucket, self.buckets)))
            moments, counts = b.merge(moments, found), counts + rows.counts
        return PairMoments(moments, counts)

    def in_groups(self) -> "Iterator[PairsScan]":
        """The same scan as several, of as many of the buckets as are read together."""
        q = self.reading.columns.n_columns + 1
        step = max(1, GROUP_BYTES // (8 * q**2))
        for start in range(0, len(self.buckets), step):
            yield PairsScan(self.reading, self.buckets[start : start + step])
