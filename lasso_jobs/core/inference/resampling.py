"""Merges the buckets of the training rows into the few groups that fits are repeated with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lasso_jobs.core.rows import moments as m
from lasso_jobs.core.rows.moments import Moments
from lasso_jobs.core.rows.sample import Sample

MAX_GROUPS = 20
"""More would cost more merges, and there are 92,378 ways to halve 20."""


@dataclass(frozen=True, slots=True)
class ResamplingGroups:
    """Groups of training rows, each with rows, that are left out or halved.

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
        """Merge the buckets that have rows, by turns, into at most `MAX_GROUPS` groups.

        Parameters
        ----------
        buckets : sequence of Moments
            Of the rows that are not held out.
        sample : Sample, optional
            Of all rows; the bucket of its held-out ones is the number of the others.
        """
        kept = [i for i, bucket in enumerate(buckets) if bucket.weight > 0]
        q = buckets[0].n_values
        groups = tuple(
            m.merge_all((buckets[i] for i in kept[k::MAX_GROUPS]), q)
            for k in range(min(MAX_GROUPS, len(kept)))
        )
        if sample is not None:
            group_of = np.full(len(buckets) + 1, -1)
            group_of[kept] = np.arange(len(kept)) % MAX_GROUPS
            sample = replace(sample, buckets=group_of[sample.buckets])
        return cls(groups, sample)

    def merged(self, which: Iterable[int] | None = None) -> Moments:
        """The moments of some groups together; by default of all."""
        groups = self.moments if which is None else [self.moments[g] for g in which]
        return m.merge_all(groups, self.moments[0].n_values)

    def sample_of(self, which: Iterable[int]) -> Sample | None:
        """The sampled rows of some groups."""
        return self.sample and self.sample.only(which)
