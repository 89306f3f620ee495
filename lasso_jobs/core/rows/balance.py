"""Balances listed groups of rows over the hold-out, the folds and their buckets.

Hashing makes groups equally likely to be in any fold, which is even enough where there are many.
Few groups leave folds without rows: of 5 groups, 4 % of the hashes fill 5 folds. So up to
`MOST_LISTED` groups are listed with their rows, and dealt out by size, as by scikit-learn's
``GroupKFold``. Rows of small data are groups of one row each. What this costs: another group, or
another row, may move others, so beyond the limit the hash alone decides. While there are no more
groups than buckets, each is a bucket by itself, and only the folds depend on the numbers of rows:
more rows of the same groups then move no row to another bucket.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.buckets import Hashes, assign, remix, uniform

MOST_LISTED = 1_000
"""The most groups, or rows where rows are not grouped, that are listed."""


ENOUGH_HELD = 9
"""Whole groups that a hold-out should have: nine have a 90 % interval."""


@dataclass(frozen=True, slots=True)
class ListedGroups:
    """Groups by the hash of their label, each with its rows.

    Parameters
    ----------
    keys : ndarray of uint64, shape (g,)
        Ascending.
    counts : ndarray of int, shape (g,)
    complete : bool
        False once there are more than `MOST_LISTED`, of which none is kept.
    """

    keys: Hashes
    counts: NDArray[np.int64]
    complete: bool = True

    @classmethod
    def of(cls, hashes: Hashes) -> "ListedGroups":
        """List the groups of some rows.

        Examples
        --------
        >>> ListedGroups.of(np.array([7, 3, 7], np.uint64)).counts
        array([1, 2])
        """
        keys, counts = np.unique(hashes, return_counts=True)
        return cls(keys, counts.astype(np.int64)).limited()

    def merge(self, other: "ListedGroups") -> "ListedGroups":
        """The groups of both sets of rows."""
        keys, place = np.unique(np.concatenate([self.keys, other.keys]), return_inverse=True)
        counts = np.zeros(len(keys), np.int64)
        np.add.at(counts, place, np.concatenate([self.counts, other.counts]))
        return ListedGroups(keys, counts, self.complete and other.complete).limited()

    def limited(self) -> "ListedGroups":
        """The same, or none of them where they are too many."""
        if self.complete and len(self.keys) <= MOST_LISTED:
            return self
        return ListedGroups(self.keys[:0], self.counts[:0], False)

    def held_out(self, share: float) -> NDArray[np.bool_]:
        """The groups to hold out, whose rows are about a share of all.

        The groups are gone through in the order of their hashes. One is taken if it brings
        the held-out rows nearer to their share; the smallest, if all are too large.
        """
        goal, rows = share * self.counts.sum(), 0
        held = np.zeros(len(self.keys), np.bool_)
        for i in range(len(self.keys)):  # in the order of their hashes
            held[i] = abs(rows + self.counts[i] - goal) < abs(rows - goal)
            rows += int(self.counts[i]) * int(held[i])
        if share > 0 and len(held) and not held.any():
            held[np.argmin(self.counts)] = True
        return held

    def share_to_hold(self, share: float) -> float:
        """The share of the hashes that holds out enough groups to judge by.

        A group is held out if its hash is below the share, so that another group moves none. Where
        fewer than `ENOUGH_HELD` are below, the share is raised to 1.5 times, and again, up to a
        third: in few steps, as all is read again when it changes. At least three groups are held
        out, and not more than half of them if the share asks for less.

        Parameters
        ----------
        share : float
            Of the rows, that a job asks for.

        Examples
        --------
        >>> groups = ListedGroups.of(np.arange(32, dtype=np.uint64) << np.uint64(59))
        >>> groups.share_to_hold(0.4), round(groups.share_to_hold(0.2), 2)
        (0.4, 0.3)
        """
        draws, raised = np.sort(uniform(self.keys)), share
        while (draws < raised).sum() < ENOUGH_HELD and raised < 1 / 3:
            raised = min(1.5 * raised, 1 / 3)
        third, half = draws[[2, max(2, len(draws) // 2 - 1)]]
        least, most = float(np.nextafter(third, 1)), float(np.nextafter(half, 1))
        return max(share, least, min(raised, most))

    def rows_by_hash(self, n_buckets: int, share: float) -> "ListedGroups":
        """The buckets that groups are in by their hashes, each as a group; without the hold-out."""
        rows = np.zeros(n_buckets + 1, np.int64)
        np.add.at(rows, assign(self.keys, n_buckets, share), self.counts)
        return ListedGroups(np.arange(n_buckets, dtype=np.uint64), rows[:-1])

    def buckets(self, n_buckets: int, n_folds: int, held: NDArray[np.bool_]) -> NDArray[np.intp]:
        """The bucket of each group: of the fold with the fewest rows, that with the fewest.

        Parameters
        ----------
        n_buckets : int
            A multiple of ``n_folds``; bucket b is in fold ``b % n_folds``.
        n_folds : int
        held : ndarray of bool, shape (g,)
            The groups that are in bucket ``n_buckets``, the hold-out.

        Examples
        --------
        >>> groups = ListedGroups(np.arange(4, dtype=np.uint64), np.array([5, 9, 1, 3]))
        >>> groups.buckets(2, 2, np.zeros(4, bool))
        array([1, 0, 1, 1])
        """
        chosen = np.full(len(self.keys), n_buckets, np.intp)
        rows = np.zeros((n_buckets // n_folds, n_folds), np.int64)
        order = np.lexsort([uniform(remix(~self.keys)), -self.counts])
        for i in order[~held[order]]:
            fold = int(rows.sum(axis=0).argmin())
            row = int(rows[:, fold].argmin())
            rows[row, fold] += self.counts[i]
            chosen[i] = row * n_folds + fold
        return chosen
