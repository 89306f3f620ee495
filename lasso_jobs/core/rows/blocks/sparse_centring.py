"""Turns sparse columns into moments by their entries, beside columns that are laid out.

With means m of a set of rows of weight W, the centred products of two sparse columns are
``X'X - W m m'``. With centred columns D that are laid out, they are ``X'D``, as those sum to zero.
Each sum depends on its own two columns only, as in `lasso_jobs.core.rows.centring`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.blocks.sparse import Places, SparseColumns
from lasso_jobs.core.rows.moments import Floats, Moments


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseSets:
    """Sparse columns of rows that lie in the order of their sets.

    Parameters
    ----------
    places : ndarray of intp, shape (q,)
        Where the columns are in the matrix.
    others : ndarray of intp
        Where those that are laid out are.
    matrix : csr_array, shape (n, q), or None
        None without columns.
    mean, low, high : ndarray, shape (n_sets, q)
    """

    places: Places
    others: Places
    matrix: Any
    mean: Floats
    low: Floats
    high: Floats

    @classmethod
    def of(
        cls,
        columns: Sequence[SparseColumns],
        n_values: int,
        *,
        order: NDArray[np.intp],
        buckets: NDArray[np.intp],
        n_sets: int,
        weights: Floats | None,
    ) -> "SparseSets":
        """Put rows in order.

        Parameters
        ----------
        columns : sequence of SparseColumns
            Without nulls.
        n_values : int
            Number of all columns of the matrix.
        order : ndarray of intp, shape (n,)
            That puts the rows in the order of their sets.
        buckets : ndarray of intp, shape (n,)
            The set of each row, before they are in order, as are the weights.
        n_sets : int
        weights : ndarray, shape (n,), optional
        """
        places = np.concatenate([np.empty(0, np.intp), *(each.places for each in columns)])
        others = np.delete(np.arange(n_values), places)
        if not columns:
            none = np.empty((n_sets, 0))
            return cls(places=places, others=others, matrix=None, mean=none, low=none, high=none)
        # Not loaded in vain: every worker's first task would wait a fifth of a second for it.
        from scipy.sparse import hstack

        matrix = hstack([each.by_row() for each in columns], format="csr")[order]
        known = [each.spread(buckets, n_sets, weights) for each in columns]
        mean, low, high = (np.hstack(parts) for parts in zip(*known, strict=True))
        return cls(places=places, others=others, matrix=matrix, mean=mean, low=low, high=high)

    @property
    def n_values(self) -> int:
        """Number of all columns of the matrix."""
        return len(self.places) + len(self.others)

    def values(self, rows: NDArray[np.intp]) -> Floats:
        """The columns in some rows, laid out."""
        if self.matrix is None:
            return np.empty((0, len(rows)))
        return np.asarray(self.matrix[rows].toarray().T, float)

    def beside(
        self, laid_out: Moments, k: int, rows: slice, *, roots: Floats | None, deviations: Floats
    ) -> Moments:
        """The moments of all columns in a set of rows.

        Parameters
        ----------
        laid_out : Moments
            Of the others.
        k : int
            The set.
        rows : slice
        roots : ndarray, optional
            Of the rows' weights.
        deviations : ndarray
            Of the others and their nulls' indicators, times those roots.
        """
        q = self.n_values
        own = self.matrix[rows].astype(float)
        if roots is not None:
            own.data *= np.repeat(roots, np.diff(own.indptr))
        place = np.concatenate([self.others, q + np.arange(len(laid_out.nulls))])
        gram = (own.T @ own).toarray()
        gram -= laid_out.weight * np.multiply.outer(self.mean[k], self.mean[k])
        across = own.T @ np.ascontiguousarray(deviations[: len(place)].T)
        mean, low, high = np.empty(q + len(laid_out.nulls)), np.empty(q), np.empty(q)
        mean[place], mean[self.places] = laid_out.mean, self.mean[k]
        low[self.others], low[self.places] = laid_out.low, self.low[k]
        high[self.others], high[self.places] = laid_out.high, self.high[k]
        scatter = np.empty((len(mean), len(mean)))
        scatter[np.ix_(place, place)] = laid_out.scatter
        scatter[np.ix_(self.places, self.places)] = gram
        scatter[np.ix_(self.places, place)] = across
        scatter[np.ix_(place, self.places)] = across.T
        return replace(
            laid_out,
            mean=mean,
            scatter=scatter,
            low=low,
            high=high,
            nulls=self.others[laid_out.nulls],
        )
