"""Which buckets each fold is fitted to, and which it is measured on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core import buckets as b
from lasso_jobs.core import moments as m
from lasso_jobs.core.buckets import BucketMoments
from lasso_jobs.core.moments import Moments

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Fold:
    """One split: the rows to fit to, and the rows to measure on.

    Parameters
    ----------
    training, test : Moments
    buckets : ndarray of intp
        Those that the training is made of.
    """

    training: Moments
    test: Moments
    buckets: Indices


def k_folds(parts: Sequence[Moments], groups: Sequence[Indices] | None = None) -> Iterator[Fold]:
    """Each part in turn is the test of a fit to all others.

    Parameters
    ----------
    parts : sequence of Moments
    groups : sequence of ndarray of intp, optional
        The buckets of each part; by default each is a bucket.
    """
    groups = [np.array([k]) for k in range(len(parts))] if groups is None else groups
    for k, training in enumerate(m.leave_one_out(parts)):
        yield Fold(training, parts[k], _all_but(groups, k))


def _all_but(groups: Sequence[Indices], k: int) -> Indices:
    return np.concatenate([*groups[:k], *groups[k + 1 :]])


@dataclass(frozen=True, slots=True)
class KFold:
    """Each bucket is in the test of one fold, and in the training of the others.

    Parameters
    ----------
    n_buckets, n_folds : int
    repeats : int
        How often the buckets are grouped into folds, each time otherwise.
    seed : int
    """

    n_buckets: int
    n_folds: int
    repeats: int = 1
    seed: int = 0

    @property
    def n_before_holdout(self) -> int:
        """Number of buckets, from the first, that the measured model is fitted to."""
        return self.n_buckets

    def groups(self) -> Iterator[list[Indices]]:
        """For each repeat, the buckets of each fold.

        At first, bucket b is in fold ``b % n_folds``; then the buckets are shuffled before.
        """
        for repeat in range(self.repeats):
            order = np.arange(self.n_buckets)
            if repeat:
                key = b.text_key(f"repeat {repeat}", self.seed)
                order = np.argsort(b.row_hashes(key, order), kind="stable")
            yield [order[k :: self.n_folds] for k in range(self.n_folds)]

    def splits(self) -> Iterator[tuple[Indices, Indices]]:
        """For each fold of each repeat, the buckets of its training and of its test."""
        for groups in self.groups():
            for k, test in enumerate(groups):
                yield _all_but(groups, k), test

    def folds(self, moments: BucketMoments) -> Iterator[Fold]:
        """For each fold of each repeat, the moments of its training and of its test."""
        for groups in self.groups():
            yield from k_folds([moments.merged(group) for group in groups], groups)


@dataclass(frozen=True, slots=True)
class RollingOrigin:
    """Each fold is fitted to rows of the past, and measured on the next segment of time.

    Bucket b holds the times from ``edges[b - 1]`` on, before ``edges[b]``. Where a training or a
    test starts or ends there is an edge, so each is whole buckets: half-open ranges of them.

    Parameters
    ----------
    edges : tuple of float
        Ascending.
    training, test : tuple of (int, int)
        The ranges of buckets, by fold.
    n_before_holdout : int
        Number of buckets, from the first, that the measured model is fitted to.
    """

    edges: tuple[float, ...]
    training: tuple[tuple[int, int], ...]
    test: tuple[tuple[int, int], ...]
    n_before_holdout: int

    @property
    def n_buckets(self) -> int:
        """Number of buckets for cross-validation."""
        return len(self.edges) + 1

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return len(self.test)

    def splits(self) -> Iterator[tuple[Indices, Indices]]:
        """For each fold, the buckets of its training and of its test."""
        for training, test in zip(self.training, self.test, strict=True):
            yield np.arange(*training), np.arange(*test)

    def folds(self, moments: BucketMoments) -> Iterator[Fold]:
        """For each fold, the moments of its training and of its test."""
        start, end, merged = 0, 0, moments.merged(())
        for training, test in zip(self.training, self.test, strict=True):
            if training[0] != start:
                start, end, merged = training[0], training[0], moments.merged(())
            # An expanding window only adds to the training before.
            merged = m.merge(merged, moments.merged(range(end, training[1])))
            end = training[1]
            yield Fold(merged, moments.merged(range(*test)), np.arange(*training))


def rolling_origin(
    starts: Sequence[float], rolling: bool, gap: float = 0.0, holdout: float = inf
) -> RollingOrigin:
    """Lay the edges, and say which buckets each fold has.

    Parameters
    ----------
    starts : sequence of float
        Of the tests, ascending. Each test ends where the next starts, the last with the rows.
    rolling : bool
        Whether to train on just the segment before the test, or on all before.
    gap : float
        How long before its test a training ends.
    holdout : float
        From when on the rows are held out. The gap lies before them as well.
    """
    ends = [start - gap for start in starts]
    edges = sorted({*starts, *ends, *([holdout - gap] if holdout < inf else [])})
    place = {-inf: 0, inf: len(edges) + 1} | {edge: i for i, edge in enumerate(edges, 1)}
    froms = [-inf, *starts[:-1]] if rolling else [-inf] * len(starts)
    return RollingOrigin(
        tuple(edges),
        tuple((place[a], max(place[a], place[b])) for a, b in zip(froms, ends, strict=True)),
        tuple((place[a], place[b]) for a, b in zip(starts, [*starts[1:], inf], strict=True)),
        place[holdout - gap],
    )
