"""Merges the buckets of the training rows into the few groups that fits are repeated with."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit.walk.refits import TrainingRows
from lasso_jobs.core.rows import moments as m
from lasso_jobs.core.rows.moments import Moments
from lasso_jobs.core.rows.sample import Sample

MAX_GROUPS, MAX_GROUPS_OF_MANY, MANY_COLUMNS = 60, 20, 250
"""So many groups, and of more than `MANY_COLUMNS` columns fewer: with 500, 200 resamples of 60
groups take 6 s to merge."""

BATCH, BATCH_BYTES = 250, 32 * 2**20
"""So many fits are solved at once, or fewer if their moments take more memory than this."""


@dataclass(frozen=True, slots=True)
class ResamplingGroups:
    """Groups of training rows, each with rows, that are halved, or drawn with replacement.

    Parameters
    ----------
    moments : tuple of Moments
        Of each group; at least two.
    sample : Sample, optional
        Of the groups' rows, for robust scaling. Its buckets are the groups; -1 is of no group.
    """

    moments: tuple[Moments, ...]
    sample: Sample | None = None

    @classmethod
    def of(cls, buckets: Sequence[Moments], sample: Sample | None = None) -> "ResamplingGroups":
        """Merge the buckets that have rows, by turns, into groups.

        Parameters
        ----------
        buckets : sequence of Moments
            Of the rows that are not held out.
        sample : Sample, optional
            Of all rows; the bucket of its held-out ones is the number of the others.
        """
        kept = [i for i, bucket in enumerate(buckets) if bucket.weight > 0]
        q = buckets[0].n_values
        n = min(MAX_GROUPS if q <= MANY_COLUMNS else MAX_GROUPS_OF_MANY, len(kept))
        groups = tuple(m.merge_all((buckets[i] for i in kept[k::n]), q) for k in range(n))
        if sample is not None:
            group_of = np.full(len(buckets) + 1, -1)
            group_of[kept] = np.arange(len(kept)) % n
            sample = replace(sample, buckets=group_of[sample.buckets])
        return cls(groups, sample)

    def merged(self, which: Sequence[int] | None = None) -> Moments:
        """The moments of some groups together; by default of all."""
        parts = self.moments if which is None else [self.moments[k] for k in which]
        (found,) = m.pooled(parts, np.ones((1, len(parts)), np.intp))
        return found

    def of_sets(self, sets: Sequence[Sequence[int]]) -> list[TrainingRows]:
        """The rows of some sets of groups, each of which is in a set at most once."""
        times = np.zeros((len(sets), len(self.moments)), np.intp)
        for often, groups in zip(times, sets, strict=True):
            often[list(groups)] = 1
        rows = m.pooled(self.moments, times)
        return [
            TrainingRows(each, self.sample_of(groups))
            for each, groups in zip(rows, sets, strict=True)
        ]

    def sample_of(self, which: Iterable[int]) -> Sample | None:
        """The sampled rows of some groups."""
        return self.sample and self.sample.only(which)

    def drawn(self, times: Sequence[NDArray[np.intp]]) -> list[TrainingRows]:
        """The rows of resamples, each of which has each group so many times."""
        rows = m.pooled(self.moments, np.array(times))
        return [
            TrainingRows(each, self._sample_drawn(often))
            for each, often in zip(rows, times, strict=True)
        ]

    def _sample_drawn(self, times: NDArray[np.intp]) -> Sample | None:
        if self.sample is None:
            return None
        often = np.append(times, 0)[self.sample.buckets]  # -1 is of no group
        return self.sample.taken(np.repeat(np.arange(len(often)), often))

    @property
    def at_once(self) -> int:
        """How many fits' moments are in memory together."""
        q = len(self.moments[0].mean)
        return int(np.clip(BATCH_BYTES // (8 * q * q), 1, BATCH))

    def batches(self, n: int) -> Iterator[slice]:
        """Parts of so many fits, whose moments are in memory together."""
        size = self.at_once
        return (slice(start, start + size) for start in range(0, n, size))
