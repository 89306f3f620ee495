"""Scans all columns of a work unit: each by itself, and each against the residuals of some fits."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from lasso_jobs.core.fit.gradient_sums import Fits, GradientSums
from lasso_jobs.core.rows import marginals as mg
from lasso_jobs.core.rows.blocks import indicators
from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.blocks.sparse import Places
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.core.rows.vectors import as_slice
from lasso_jobs.training.memory import MOST_SUM_BYTES
from lasso_jobs.training.read.kept import Source, training_rows
from lasso_jobs.training.read.reading import ReadCounts, Reading
from lasso_jobs.training.read.rows import TrainingRows

GROUP_BYTES = 2**26
"""Of what is summed for columns that are scanned together: the sums of each work unit, and what
they are merged to, are in memory at the same time."""


@dataclass(frozen=True, slots=True)
class ColumnSummary:
    """What the first scan leaves: the marginals of each bucket, and what became of the rows."""

    buckets: mg.Marginals
    counts: ReadCounts


def merge_columns(a: ColumnSummary, b: ColumnSummary) -> ColumnSummary:
    """Those of two disjoint sets of rows together."""
    return ColumnSummary(mg.merge(a.buckets, b.buckets), a.counts + b.counts)


@dataclass(frozen=True, slots=True)
class ColumnsScan:
    """The first scan: a callable for workers.

    Parameters
    ----------
    reading : Reading
        Of all columns; categories are scanned if their levels are screened.
    groups : tuple of range
        As in `GradientScan`.
    """

    reading: Reading
    groups: tuple[range, ...]

    @classmethod
    def of(cls, reading: Reading) -> "ColumnsScan":
        """The scan of all columns."""
        n_sums = len(mg.OF_COLUMNS) * (reading.n_buckets + 1)
        return cls(reading, in_groups(reading.n_screened, n_sums))

    def by_group(self) -> "Iterator[ColumnsScan]":
        """The same scan as several, of one group each: less waits to be merged."""
        for group in self.groups:
            yield replace(self, groups=(group,))

    @property
    def columns(self) -> slice:
        """Those that are scanned."""
        return slice(self.groups[0].start, self.groups[-1].stop)

    def __call__(self, source: Source) -> ColumnSummary:
        """Scan a work unit."""
        reading, first = self.reading, self.columns.start
        n_sets, q = reading.n_buckets + 1, self.columns.stop - first
        total, counts = mg.empty((n_sets,), q), ReadCounts()
        for rows in training_rows(source, reading):
            order = np.argsort(rows.buckets, kind="stable")
            n_rows = np.bincount(rows.buckets, minlength=n_sets)
            weights = None if rows.weights is None else rows.weights[order]
            response = rows.response(reading)
            target = response[order]
            parts = []
            for group in self.groups:
                columns = np.arange(group.start, min(group.stop, len(rows.block.numeric)))
                some = rows.block.only(columns)
                numbers = ((columns[places], values) for places, values in _chunks(some, order))
                levels = indicators.laid_out(rows.block, reading.columns, group, order)
                for places, values in chain(numbers, levels):
                    found = mg.of_rows(values, target, n_rows, weights)
                    parts.append((as_slice(places - first), found))
                sparse = (replace(each, places=columns[each.places]) for each in some.sparse)
                entries = indicators.by_entries(rows.block, reading.columns, group)
                for each in chain(sparse, entries):
                    found = each.marginals(response, rows.buckets, n_sets, rows.weights)
                    parts.append((as_slice(each.places - first), found))
            total = mg.merge(total, mg.side_by_side(parts, q))
            counts += rows.counts
        return ColumnSummary(total, counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientScan:
    """The scan that proves the zeros of the columns outside the working set: for workers.

    Parameters
    ----------
    reading : Reading
        Of all columns.
    working_set : Columns
    indicators : tuple of int
        The numeric columns of the set whose indicators have coefficients.
    fits : tuple of Fits
        Of each set of training rows.
    reference : ndarray, shape (q,)
        About the mean of each column, so that large offsets lose no digits.
    groups : tuple of range
        The columns, in groups that follow each other: numbers, then levels of categories. They are
        multiplied a group at a time, so that each has the same products whether it is scanned with
        the others or by itself.
    """

    reading: Reading
    working_set: Columns
    indicators: tuple[int, ...]
    fits: tuple[Fits, ...]
    reference: Floats
    groups: tuple[range, ...]

    def by_group(self) -> "Iterator[GradientScan]":
        """The same scan as several, of one group each: less waits to be merged."""
        for group in self.groups:
            yield replace(self, groups=(group,))

    def in_passes(self) -> "Iterator[GradientScan]":
        """The same scan as several, each of as many groups as `MOST_SUM_BYTES` has room for."""
        n = MOST_SUM_BYTES // GROUP_BYTES
        for start in range(0, len(self.groups), n):
            yield replace(self, groups=self.groups[start : start + n])

    @property
    def columns(self) -> slice:
        """Those that are scanned."""
        return slice(self.groups[0].start, self.groups[-1].stop)

    def __call__(self, source: Source) -> GradientSums:
        """Scan a work unit."""
        n_fits = sum(len(each.coef) for each in self.fits)
        q = self.columns.stop - self.columns.start
        products, sums = np.zeros((q, n_fits)), np.zeros(n_fits)
        null_products = np.zeros((q, 0))
        for rows in training_rows(source, self.reading):
            residuals, of_rows = self._residuals(rows)
            sums += of_rows
            for places, part, of_nulls in self._products(rows.block, residuals, of_rows):
                products[places] += part
                if of_nulls.size:
                    if not null_products.size:
                        null_products = np.zeros((q, n_fits))
                    null_products[places] += of_nulls
        return GradientSums(products, null_products, sums)

    def _products(
        self, block: Block, residuals: Floats, sums: Floats
    ) -> Iterator[tuple[slice | Places, Floats, Floats]]:
        """Some columns, their products with the residuals, and those of their nulls if any are."""
        first, every = self.groups[0].start, self.reading.columns
        for group in self.groups:
            columns = np.arange(group.start, min(group.stop, len(block.numeric)))
            some = block.only(columns)
            numbers = ((columns[places], values) for places, values in _chunks(some))
            for places, values in chain(numbers, indicators.laid_out(block, every, group)):
                values -= self.reference[places, None]
                null, of_nulls = np.isnan(values), np.empty(0)
                if null.any():
                    of_nulls = null.astype(float) @ residuals
                    values[null] = 0.0
                yield as_slice(places - first), values @ residuals, of_nulls
            sparse = (replace(each, places=columns[each.places]) for each in some.sparse)
            parts = chain(sparse, indicators.by_entries(block, every, group))
            for part in chain.from_iterable(each.chunks(len(sums)) for each in parts):
                products = part.products(residuals, sums, self.reference[part.places])
                yield as_slice(part.places - first), *products

    def _residuals(self, rows: TrainingRows) -> tuple[Floats, Floats]:
        """Of each fit, weighed, and zero in the rows that it is not fitted to; and their sums.

        The first has shape (n, n_fits), contiguous by rows.
        """
        names = self.working_set.numeric
        codes = indicators.codes_of(rows.block, self.reading.columns, self.working_set)
        block = rows.block.only(self.reading.columns.places(names))
        _, entries = block.split()
        laid_out = self._used() - {j for each in entries for j in each.places.tolist()}
        # Once for all fits.
        numeric = [block.numeric[j] if j in laid_out else np.empty(0) for j in range(len(names))]
        inside = Block(block.n_rows, numeric, codes, tuple(entries))
        n_fits = sum(len(each.coef) for each in self.fits)
        residuals, sums, done = np.empty((block.n_rows, n_fits)), np.empty(n_fits), 0
        for each in self.fits:
            part = each.residuals(inside, self.working_set, self.indicators, rows.target)
            part[:, ~np.isin(rows.buckets, each.buckets)] = 0.0
            if rows.weights is not None:
                part *= rows.weights
            of_fits = slice(done, done + len(part))
            residuals[:, of_fits], sums[of_fits] = part.T, part.sum(axis=1)
            done += len(part)
        return residuals, sums

    def _used(self) -> frozenset[int]:
        """The numeric columns of the working set that some fit needs."""
        active = np.logical_or.reduce([each.coef.any(axis=0) for each in self.fits])
        first = self.working_set.n_columns
        used = set(np.flatnonzero(active[: len(self.working_set.numeric)]).tolist())
        return frozenset(used | {j for k, j in enumerate(self.indicators) if active[first + k]})


def in_groups(n_columns: int, n_sums: int) -> tuple[range, ...]:
    """The columns in groups, the sums of each of which are of `GROUP_BYTES` at most.

    Parameters
    ----------
    n_columns : int
    n_sums : int
        Of each column.
    """
    width = max(1, GROUP_BYTES // (8 * n_sums))
    starts = range(0, n_columns, width)
    return tuple(range(start, min(start + width, n_columns)) for start in starts)


def _chunks(block: Block, order: Places | None = None) -> Iterator[tuple[slice | Places, Floats]]:
    """Some laid out columns at a time, one per row of memory, which the next ones overwrite."""
    room = np.empty((0, block.n_rows))
    for places, columns in block.chunks():
        if len(columns) > len(room):
            room = np.empty(columns.shape)
        values = room[: len(columns)]
        values[:] = columns if order is None else columns.take(order, axis=1)
        yield as_slice(places), values
