"""Numeric columns of which only the entries are held: no zero is laid out.

Sums over rows follow from the entries by algebra. With mean m, the zeros of a column, of weight W
together, add ``W m^2`` to its centred squares; so centring leaves the entries as they are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows import marginals as mg
from lasso_jobs.core.rows.moments import Floats

Places = NDArray[np.intp]

CHUNK_PRODUCTS = 2**19
"""Columns are multiplied some at a time: as many as have 4 MB of products. Of 65,536 at a time, a
third of the work was to get memory for them."""
MOST_ENTRIES = 0.1
"""The share of the rows in which a column may have an entry: with more, to multiply laid out is
faster. With so many zeros, its mean is smaller than its deviation, so that sums of values round no
worse than those of deviations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseColumns(Sequence[Floats]):
    """Some columns of rows: compressed sparse columns.

    Parameters
    ----------
    places : ndarray of intp, shape (q,)
        Where they are among the numeric columns of the rows.
    starts : ndarray of int64, shape (q + 1,)
        Where the entries of each column begin, and the last end.
    rows : ndarray of int32, shape (n_entries,)
    values : ndarray, shape (n_entries,)
        Null is NaN.
    nulls : ndarray of bool, shape (n,)
        Rows in which every value is null, and no entry says so.
    """

    places: Places
    starts: NDArray[np.int64]
    rows: NDArray[np.int32]
    values: NDArray[Any]
    nulls: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, k: Any) -> Any:
        """The values of one of them, laid out."""
        entries = slice(self.starts[k], self.starts[k + 1])
        values = np.zeros(len(self.nulls))
        values[self.rows[entries]] = self.values[entries]
        values[self.nulls] = np.nan
        return values

    def only(self, which: Places) -> "SparseColumns":
        """Some of them."""
        if len(which) == len(self.places):
            return self
        counts = np.diff(self.starts)[which]
        ends = np.cumsum(counts)
        first = np.repeat(self.starts[which] - (ends - counts), counts)
        entries = first + np.arange(len(first))
        return replace(
            self,
            places=self.places[which],
            starts=np.append(0, ends),
            rows=self.rows[entries],
            values=self.values[entries],
        )

    @classmethod
    def joined(cls, parts: Sequence["SparseColumns"]) -> "SparseColumns":
        """The columns that all of several sets of rows have, of one set after the other."""
        from scipy.sparse import vstack

        places = reduce(np.intersect1d, (each.places for each in parts))
        rows = [each.only(np.searchsorted(each.places, places)).by_row() for each in parts]
        return cls.of_matrix(places, vstack(rows, "csr"), np.concatenate([p.nulls for p in parts]))

    @classmethod
    def of_matrix(cls, places: Places, rows: Any, nulls: NDArray[np.bool_]) -> "SparseColumns":
        """Those of a `scipy.sparse.csr_array` of rows."""
        columns = rows.tocsc()
        return cls(
            places=places,
            starts=columns.indptr.astype(np.int64),
            rows=columns.indices.astype(np.int32),
            values=columns.data,
            nulls=nulls,
        )

    @classmethod
    def of_codes(cls, codes: NDArray[np.int32], places: Places) -> "SparseColumns":
        """Indicators of the codes from 0 on, one for each place: a 1 in each row of the code.

        Examples
        --------
        >>> levels = SparseColumns.of_codes(np.array([1, 7, 0, 1, -1]), np.arange(2))
        >>> levels[0].tolist(), levels[1].tolist()
        ([0.0, 0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0, 0.0])
        """
        rows = np.flatnonzero((codes >= 0) & (codes < len(places))).astype(np.int32)
        own = codes[rows]
        return cls(
            places=places,
            starts=np.append(0, np.cumsum(np.bincount(own, minlength=len(places)))),
            rows=rows[np.argsort(own, kind="stable")],
            values=np.ones(len(rows)),
            nulls=np.zeros(len(codes), np.bool_),
        )

    def chunks(self, n_products: int) -> Iterator["SparseColumns"]:
        """Some of them at a time, none copied, for so many products of each."""
        width = max(1, CHUNK_PRODUCTS // max(n_products, 1))
        for start in range(0, len(self), width):
            starts = self.starts[start : start + width + 1]
            entries = slice(starts[0], starts[-1])
            yield replace(
                self,
                places=self.places[start : start + width],
                starts=starts - starts[0],
                rows=self.rows[entries],
                values=self.values[entries],
            )

    def thin(self) -> "SparseColumns":
        """Those whose entries are few enough for sums of entries."""
        counts = np.diff(self.starts) + int(self.nulls.sum())
        return self.only(np.flatnonzero(counts <= MOST_ENTRIES * len(self.nulls)))

    def without_nulls(self) -> "SparseColumns":
        """Those of which no value is null."""
        if self.nulls.any():
            return self.only(np.empty(0, np.intp))
        ends = np.append(0, np.cumsum(np.isnan(self.values)))[self.starts]
        return self.only(np.flatnonzero(np.diff(ends) == 0))

    def by_row(self) -> Any:
        """A `scipy.sparse.csr_array` of the rows; null rows have no entry."""
        return self._matrix(self.values).T.tocsr()

    def spread(
        self, buckets: NDArray[np.intp], n_sets: int, weights: Floats | None = None
    ) -> tuple[Floats, Floats, Floats]:
        """Means, and the least and largest values, in each set of rows, shape (n_sets, q)."""
        found = self.marginals(np.zeros(len(buckets)), buckets, n_sets, weights)
        return found.mean, found.low, found.high

    def marginals(
        self,
        target: Floats,
        buckets: NDArray[np.intp],
        n_sets: int,
        weights: Floats | None = None,
    ) -> mg.Marginals:
        """Those of each set of rows, as `lasso_jobs.core.rows.marginals.of_rows` defines them.

        Parameters
        ----------
        target : ndarray, shape (n,)
        buckets : ndarray of intp, shape (n,)
            The set that each row is in.
        n_sets : int
        weights : ndarray, shape (n,), optional
        """
        rows = mg.of_target(target, buckets, n_sets, weights)
        weight = np.ones(len(target)) if weights is None else weights
        rise = weight * (target - rows.target_mean[buckets, 0])

        def of_sets(each: NDArray[Any]) -> Floats:
            return np.asarray(np.bincount(buckets, each, n_sets)[:, None], float)

        every = _Cells.of(self, buckets, n_sets, counted=weight > 0)
        null = np.isnan(every.values)
        missing, cells = every.only(null), every.only(~null)
        nulls = of_sets(weight * self.nulls) + missing.sums(weight[missing.row])
        null_rise = of_sets(rise * self.nulls) + missing.sums(rise[missing.row])
        has_zero = of_sets((weight > 0) & ~self.nulls) > every.sums(np.ones(len(null)))
        weighed, observed = weight[cells.row], rows.weight - nulls
        zeros = np.where(has_zero, observed - cells.sums(weighed), 0.0)
        low, high = cells.least(has_zero), -replace(cells, values=-cells.values).least(has_zero)
        mean = mg.ratio(cells.sums(weighed * cells.values), observed)
        mean = np.where(low == high, low, mean)
        rest = cells.sums(weighed * cells.about(mean)) - zeros * mean
        mean = mean + np.where(low == high, 0.0, mg.ratio(rest, observed))
        deviation = cells.about(mean)
        of_zeros = of_sets(rise) - null_rise - cells.sums(rise[cells.row])
        of_zeros = np.where(has_zero, of_zeros, 0.0)
        return mg.Marginals(
            n=rows.n,
            weight=rows.weight,
            target_mean=rows.target_mean,
            target_squares=rows.target_squares,
            mean=mean,
            low=low,
            high=high,
            null_share=mg.ratio(nulls, rows.weight),
            squares=cells.sums(weighed * deviation**2) + zeros * mean**2,
            products=cells.sums(deviation * rise[cells.row]) - mean * of_zeros,
            null_products=null_rise,
        )

    def products(self, residuals: Floats, sums: Floats, reference: Floats) -> tuple[Floats, Floats]:
        """Sums of ``(x - reference) r`` over the rows with a value, and of ``r`` over the nulls.

        Parameters
        ----------
        residuals : ndarray, shape (n, n_fits)
            Contiguous by rows.
        sums : ndarray, shape (n_fits,)
            Of the residuals.
        reference : ndarray, shape (q,)

        Returns
        -------
        ndarray, shape (q, n_fits)
        ndarray, shape (q, n_fits) or (q, 0)
            Nothing where no value is null.
        """
        null = np.isnan(self.values)
        n_fits = residuals.shape[1]
        of_nulls = np.zeros((len(self.places), 0))
        if null.any() or self.nulls.any():
            of_nulls = self._matrix(null.astype(float)) @ residuals
            of_nulls += residuals[self.nulls].sum(axis=0)
            sums = sums - of_nulls
        products: Floats = self._matrix(np.where(null, 0.0, self.values)) @ residuals
        products -= reference[:, None] * np.broadcast_to(sums, (len(self.places), n_fits))
        return products, of_nulls

    def _matrix(self, values: Floats) -> Any:
        """The columns as the rows of a matrix."""
        from scipy.sparse import csr_array

        shape = (len(self.places), len(self.nulls))
        return csr_array((values, self.rows, self.starts), shape=shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cells:
    """Entries of sparse columns, in a cell for each set of rows and column.

    Parameters
    ----------
    shape : (int, int)
        Of the sets and the columns.
    cell, row, values : ndarray, shape (n_entries,)
    """

    shape: tuple[int, int]
    cell: NDArray[np.intp]
    row: NDArray[np.int32]
    values: Floats

    @classmethod
    def of(
        cls,
        columns: SparseColumns,
        buckets: NDArray[np.intp],
        n_sets: int,
        *,
        counted: NDArray[np.bool_],
    ) -> "_Cells":
        shape, row = (n_sets, len(columns)), columns.rows
        column = np.repeat(np.arange(shape[1]), np.diff(columns.starts))
        cell = buckets[row] * shape[1] + column
        every = cls(shape=shape, cell=cell, row=row, values=columns.values.astype(float))
        return every if counted.all() else every.only(counted[row])

    def only(self, which: NDArray[np.bool_]) -> "_Cells":
        if which.all():
            return self
        cell, row, values = self.cell[which], self.row[which], self.values[which]
        return _Cells(shape=self.shape, cell=cell, row=row, values=values)

    def sums(self, each: Floats) -> Floats:
        n_cells = self.shape[0] * self.shape[1]
        return np.asarray(np.bincount(self.cell, each, n_cells), float).reshape(self.shape)

    def about(self, location: Floats) -> Floats:
        return np.asarray(self.values - location.reshape(-1)[self.cell])

    def least(self, has_zero: NDArray[np.bool_]) -> Floats:
        """The least value of each cell, of which some have zeros, too; infinite if of none."""
        least = np.where(has_zero, 0.0, np.inf)
        np.minimum.at(least.reshape(-1), self.cell, self.values)
        return least
