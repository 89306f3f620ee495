"""Lays out the folds: which buckets each is fitted to, and which it is measured on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows import buckets as b
from lasso_jobs.core.rows import moments as m
from lasso_jobs.core.rows.buckets import BucketMoments
from lasso_jobs.core.rows.moments import Moments

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


def _dealt(order: Indices, rows_of_buckets: Sequence[int], n_folds: int) -> list[Indices]:
    """Deal out buckets in an order, large ones first, each to the fold with the fewest rows."""
    rows, totals = np.asarray(rows_of_buckets), np.zeros((2, n_folds), np.int64)
    folds: list[list[int]] = [[] for _ in range(n_folds)]
    for bucket in order[np.argsort(-rows[order], kind="stable")].tolist():
        fold = int(np.lexsort(totals)[0])
        totals[:, fold] += 1, rows[bucket]
        folds[fold].append(bucket)
    return [np.array(fold, np.intp) for fold in folds]


def _all_but(groups: Sequence[Indices], k: int) -> Indices:
    return np.concatenate([*groups[:k], *groups[k + 1 :]])


@dataclass(frozen=True, slots=True)
class Balance:
    """What is known of buckets whose rows were listed before.

    Parameters
    ----------
    rows : tuple of int
        Of each bucket.
    folds : tuple of int
        The fold of each bucket in the first repeat.
    """

    rows: tuple[int, ...]
    folds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KFold:
    """Each bucket is in the test of one fold, and in the training of the others.

    Parameters
    ----------
    n_buckets, n_folds : int
    repeats : int
        How often the buckets are grouped into folds, each time otherwise.
    seed : int
    balance : Balance or None
        If None, folds have equal numbers of buckets, whose rows are about as many.
    """

    n_buckets: int
    n_folds: int
    repeats: int = 1
    seed: int = 0
    balance: Balance | None = None

    @property
    def n_before_holdout(self) -> int:
        """Number of buckets, from the first, that the measured model is fitted to."""
        return self.n_buckets

    def groups(self) -> Iterator[list[Indices]]:
        """For each repeat, the buckets of each fold.

        At first, bucket b is in fold ``b % n_folds``, or where the balance has it; then the buckets
        are shuffled before.
        """
        for repeat in range(self.repeats):
            order = np.arange(self.n_buckets)
            if repeat:
                key = b.text_key(f"repeat {repeat}", self.seed)
                order = np.argsort(b.row_hashes(key, order), kind="stable")
            if self.balance is None:
                yield [order[k :: self.n_folds] for k in range(self.n_folds)]
            elif repeat:
                yield _dealt(order, self.balance.rows, self.n_folds)
            else:
                fold_of = np.array(self.balance.folds)
                yield [np.flatnonzero(fold_of == k) for k in range(self.n_folds)]

    def splits(self) -> Iterator[tuple[Indices, Indices]]:
        """For each fold of each repeat, the buckets of its training and of its test.

        Examples
        --------
        >>> for training, test in KFold(n_buckets=4, n_folds=2).splits():
        ...     print(training, test)
        [1 3] [0 2]
        [0 2] [1 3]
        """
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

    Examples
    --------
    >>> folds = rolling_origin([10.0, 20.0], rolling=False, holdout=30.0)
    >>> folds.edges
    (10.0, 20.0, 30.0)
    >>> [(training.tolist(), test.tolist()) for training, test in folds.splits()]
    [([0], [1]), ([0, 1], [2, 3])]
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
