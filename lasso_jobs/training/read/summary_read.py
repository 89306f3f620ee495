"""Caches the summaries of training rows, so that a training reads only what no other has read.

The summary of some columns is, bitwise, some of the summary of more columns: each sum depends on
its own columns only. So other folds, penalties, scalings or fewer features read nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows import sample as s
from lasso_jobs.core.rows.buckets import BucketMoments
from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.core.rows.moments import Floats, Moments
from lasso_jobs.core.rows.periods import Periods
from lasso_jobs.core.rows.repeats import Repeats
from lasso_jobs.core.rows.unlabelled import Unlabelled
from lasso_jobs.data.dataset import WorkUnit
from lasso_jobs.training.read.cache_folder import StoredEntry
from lasso_jobs.training.read.cached_read import CachedRead, Caching, Span
from lasso_jobs.training.read.kept import Source
from lasso_jobs.training.read.read_identity import keys_of_reading
from lasso_jobs.training.read.reading import ReadCounts, Reading
from lasso_jobs.training.read.row_summary import RowSummary, merge, summarise

KEPT, KEPT_TOGETHER = 4, 2
"""Samples are kept up to the hash below which, of all rows, this times their size is expected; and
by an entry of several units the second. With the first everywhere, nodes took 1.25 times the bytes
of units; with these 0.92 (2,000,000 rows x 100 columns in 33 files)."""


@dataclass(frozen=True)
class SummaryRead(CachedRead[RowSummary]):
    """The read of training rows.

    Parameters
    ----------
    reading : Reading
    caching : Caching, optional
    pairs : bool
        Whether the summary has moments.
    """

    reading: Reading
    caching: Caching | None = None
    pairs: bool = True

    def read(self, unit: Source) -> RowSummary:
        """Read its files, or what is kept of them."""
        return summarise(unit, self.reading, pairs=self.pairs)

    def merge(self, left: RowSummary, right: RowSummary) -> RowSummary:
        """Two summaries together."""
        return merge(left, right)

    def keys(self, units: Sequence[WorkUnit]) -> list[str]:
        """What identifies the read of each unit, but for the features."""
        return keys_of_reading("moments", units, self.reading)

    def preferred(self, entries: Iterable[StoredEntry]) -> Iterable[StoredEntry]:
        """Of several entries, the one that keeps the most of the samples comes first."""
        return sorted(entries, key=lambda entry: min(_header(entry).below), reverse=True)

    def entry(
        self, result: RowSummary, span: Span, caching: Caching
    ) -> tuple["SummaryHeader", "SummaryBody"]:
        """Header and body of an entry, which may keep only part of the samples."""
        # As if the same share of all rows passed the filters.
        share = caching.n_rows / max(1, span.rows)
        rows = max(1.0, share * result.counts.rows)
        if not caching.fresh:
            unlabelled, times = result.unlabelled, KEPT if span.n_units == 1 else KEPT_TOGETHER
            sample = _expected(unlabelled.sample, share * unlabelled.n, times)
            result = replace(
                result,
                sample=_expected(result.sample, rows, times),
                held_out=_expected(result.held_out, rows * self.reading.holdout, times),
                unlabelled=replace(unlabelled, sample=sample),
            )
        return SummaryHeader.of(result, self.reading), SummaryBody.of(result)

    def fits(self, entry: StoredEntry, span: Span) -> bool:
        """Whether the entry has this reading's columns."""
        return _header(entry).place_of(self.reading, span) is not None

    def from_entry(self, entry: StoredEntry, data: bytes, span: Span) -> RowSummary:
        """The summary of this reading's columns.

        Its repeats are those of all columns of the entry: rows that repeat in more columns do so in
        fewer.
        """
        summary = entry.body(SummaryBody, data).summary(span.n_units)
        place = _header(entry).place_of(self.reading, span)
        return summary if place is None else summary.selected(place)


def _header(entry: StoredEntry) -> "SummaryHeader":
    return entry.header(SummaryHeader)


def _expected(sample: s.Sample, rows: float, times: int) -> s.Sample:
    """What is likely to stay in the sample of so many rows, of which these are a part."""
    share = times * sample.size / rows if rows > 0 else 1.0
    return sample.up_to(int(s.ALL * min(1.0, share)))


@dataclass(frozen=True, slots=True)
class SummaryHeader:
    """What tells whether a cached summary has the columns of a reading.

    Parameters
    ----------
    columns : Columns
    present : mapping of str to tuple of bool
        Of each category, the indicators that have rows.
    sample_size, block_rows : int
        How the rows were read.
    below : tuple of (int, int, int)
        Of the three samples, the hash from which on rows may be missing.
    """

    columns: Columns
    present: dict[str, tuple[bool, ...]]
    sample_size: int
    block_rows: int
    below: tuple[int, int, int]

    @classmethod
    def of(cls, summary: RowSummary, reading: Reading) -> "SummaryHeader":
        """The header of a summary."""
        return cls(
            columns=reading.columns,
            present=summary.levels_with_rows(reading.columns),
            sample_size=summary.sample.size,
            block_rows=reading.block_rows(),
            below=(
                summary.sample.below,
                summary.held_out.below,
                summary.unlabelled.sample.below,
            ),
        )

    def place_of(self, reading: Reading, span: Span) -> NDArray[np.intp] | None:
        """Where a reading's columns are; None if some are not, or it reads rows otherwise."""
        mine, theirs = reading.columns, self.columns
        block_rows = (reading.block_rows(), self.block_rows)
        one_block = span.piece_rows <= min(block_rows)
        if self.sample_size != s.sample_size(mine.n_columns + 1):
            return None
        if block_rows[0] != block_rows[1] and not one_block:
            return None
        spans, dates = dict(theirs.spans()), {date.name: date for date in theirs.dates}
        own_dates = {date.name for date in mine.dates}
        if any(dates.get(date.name) != date for date in mine.dates):
            return None
        # A column of the data may have the name that a part of a date has in the entry.
        if not theirs.has(mine) or set(dates) & (set(mine.features) - own_dates):
            return None
        place = [spans[name].start for name in mine.numeric]
        known = {category.name: category for category in theirs.categories}
        for category in mine.categories:
            if category.name not in known:
                return None
            levels = _levels_place(category, known[category.name], self.present[category.name])
            if levels is None:
                return None
            place += [-1 if j < 0 else spans[category.name].start + j for j in levels]
        return np.array(place, np.intp)


def _levels_place(mine: Category, theirs: Category, present: Sequence[bool]) -> list[int] | None:
    """Where the indicators are among those of an entry, of which some have rows.

    Levels that share ``(other)`` are not told apart, so with such rows the levels must be the same.
    """
    if mine == theirs:
        return list(range(mine.width))
    if mine.type != theirs.type or (theirs.other and present[-1]):
        return None
    at = {level: i for i, level in enumerate(theirs.levels) if present[i]}
    if not set(at) <= set(mine.levels):
        return None
    return [at.get(level, -1) for level in mine.levels] + [-1] * mine.other


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryBody:
    """A summary as an entry has it: few arrays, and of symmetric matrices one triangle."""

    moments: "StackedMoments"
    sample: s.Sample
    held_out: s.Sample
    periods: Periods
    repeats: Repeats
    counts: ReadCounts
    unlabelled: Unlabelled

    @classmethod
    def of(cls, summary: RowSummary) -> "SummaryBody":
        """Stack a summary."""
        return cls(
            moments=StackedMoments.of(summary.moments.buckets),
            sample=summary.sample,
            held_out=summary.held_out,
            periods=summary.periods,
            repeats=summary.repeats,
            counts=summary.counts,
            unlabelled=summary.unlabelled,
        )

    def summary(self, n_work_units: int) -> RowSummary:
        """The summary, of which nothing was read now."""
        return RowSummary(
            moments=BucketMoments(self.moments.buckets()),
            sample=self.sample,
            held_out=self.held_out,
            periods=self.periods,
            repeats=self.repeats,
            counts=replace(self.counts, bytes_read=0, cached=n_work_units),
            unlabelled=self.unlabelled,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StackedMoments:
    """The moments of all buckets, each field one array.

    Parameters
    ----------
    n, weight, n_nulls : ndarray, shape (n_buckets,)
        The last is the number of columns with nulls.
    low, high : ndarray, shape (n_buckets, q)
    nulls, mean, scatter : ndarray
        Of one bucket after the other.
    triangular : bool
        Whether of each scatter there is the lower triangle only: it is symmetric.
    """

    n: NDArray[np.int64]
    weight: Floats
    n_nulls: NDArray[np.int64]
    low: Floats
    high: Floats
    nulls: NDArray[np.intp]
    mean: Floats
    scatter: Floats
    triangular: bool

    @classmethod
    def of(cls, buckets: Sequence[Moments]) -> "StackedMoments":
        """Stack the buckets."""
        triangular = all(np.array_equal(each.scatter, each.scatter.T) for each in buckets)
        scatters = (
            each.scatter[_triangle(len(each.mean))] if triangular else each.scatter.ravel()
            for each in buckets
        )
        return cls(
            n=np.array([each.n for each in buckets]),
            weight=np.array([each.weight for each in buckets]),
            n_nulls=np.array([len(each.nulls) for each in buckets]),
            low=np.array([each.low for each in buckets]),
            high=np.array([each.high for each in buckets]),
            nulls=np.concatenate([each.nulls for each in buckets]),
            mean=np.concatenate([each.mean for each in buckets]),
            scatter=np.concatenate(list(scatters)),
            triangular=triangular,
        )

    def buckets(self) -> tuple[Moments, ...]:
        """The buckets, each by itself."""
        sizes = self.low.shape[1] + self.n_nulls
        lengths = sizes * (sizes + 1) // 2 if self.triangular else sizes**2
        nulls = np.split(self.nulls, np.cumsum(self.n_nulls)[:-1])
        means = np.split(self.mean, np.cumsum(sizes)[:-1])
        scatters = np.split(self.scatter, np.cumsum(lengths)[:-1])
        return tuple(
            Moments(
                n=int(self.n[i]),
                weight=float(self.weight[i]),
                mean=means[i],
                scatter=scatters[i].take(_square(size))
                if self.triangular
                else scatters[i].reshape(size, size),
                low=self.low[i],
                high=self.high[i],
                nulls=nulls[i],
            )
            for i, size in enumerate(sizes.tolist())
        )


@cache
def _triangle(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.tril_indices(size)


@cache
def _square(size: int) -> NDArray[np.intp]:
    """Where each element of a symmetric matrix is in its packed triangle."""
    place, triangle = np.zeros((size, size), np.intp), _triangle(size)
    place[triangle] = np.arange(len(triangle[0]))
    return np.maximum(place, place.T)
