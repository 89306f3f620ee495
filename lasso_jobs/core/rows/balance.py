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

from lasso_jobs.core.rows.buckets import Hashes, remix, uniform

MOST_LISTED = 1_000
"""The most groups, or rows where rows are not grouped, that are listed."""


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
        return cls(keys, counts.astype(np.int64))._limited()

    def merge(self, other: "ListedGroups") -> "ListedGroups":
        """The groups of both sets of rows."""
        keys, place = np.unique(np.concatenate([self.keys, other.keys]), return_inverse=True)
        counts = np.zeros(len(keys), np.int64)
        np.add.at(counts, place, np.concatenate([self.counts, other.counts]))
        return ListedGroups(keys, counts, self.complete and other.complete)._limited()

    def _limited(self) -> "ListedGroups":
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
