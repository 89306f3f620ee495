"""Scans a few columns before the one read: levels of categories, times of rows, groups of rows."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lasso_jobs.core.rows import timeline as t
from lasso_jobs.core.rows.balance import ListedGroups
from lasso_jobs.core.rows.columns import DateFeature, stored
from lasso_jobs.data import arrays, blocks
from lasso_jobs.data.columns.feature_block import with_parts
from lasso_jobs.data.dataset import Piece, WorkUnit
from lasso_jobs.data.where import Condition
from lasso_jobs.errors import DataError
from lasso_jobs.training.read.cache_folder import StoredEntry
from lasso_jobs.training.read.cached_read import CachedRead, Caching, Span
from lasso_jobs.training.read.read_identity import keys, keys_of_reading
from lasso_jobs.training.read.reading import Reading
from lasso_jobs.training.read.rows import read_training_rows

MAX_DISTINCT = 100_000

Tally = dict[str, Counter[str | None]]
"""Rows by level, per column."""


class LevelScan(NamedTuple):
    """Rows by level of some columns, and the bytes read for it."""

    tally: Tally
    bytes_read: int


class TimeScan(NamedTuple):
    """The times of rows, and the bytes read for it."""

    timeline: t.Timeline
    bytes_read: int


@dataclass(frozen=True, slots=True)
class ScanHeader:
    """The columns that a cached scan is of."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TallyBody:
    """A tally as an entry has it."""

    counts: dict[str, dict[str | None, int]]


@dataclass(frozen=True)
class LevelsRead(CachedRead[LevelScan]):
    """The scan of the levels of some columns, or of parts of dates."""

    names: Sequence[str]
    where: Sequence[Condition]
    dates: Sequence[DateFeature] = ()
    caching: Caching | None = None

    def read(self, unit: WorkUnit) -> LevelScan:
        """Read its files."""
        return _tally(unit, self.names, self.where, self.dates)

    def merge(self, left: LevelScan, right: LevelScan) -> LevelScan:
        """Two scans together."""
        return merge_tallies(left, right)

    def keys(self, units: Sequence[WorkUnit]) -> list[str]:
        """What identifies the scan of each unit, but for its columns."""
        return keys("levels", units, self.where)

    def entry(
        self, result: LevelScan, span: Span, caching: Caching
    ) -> tuple[ScanHeader, TallyBody]:
        """Header and body of the entry that keeps a scan."""
        return ScanHeader(tuple(self.names)), TallyBody({**result.tally})

    def fits(self, entry: StoredEntry, span: Span) -> bool:
        """Whether the entry has all of these columns."""
        return set(self.names) <= set(entry.header(ScanHeader).names)

    def from_entry(self, entry: StoredEntry, data: bytes, span: Span) -> LevelScan:
        """The scan of these columns."""
        counts = entry.body(TallyBody, data).counts
        return LevelScan({name: Counter(counts[name]) for name in self.names}, 0)


def _tally(
    unit: WorkUnit,
    names: Sequence[str],
    where: Sequence[Condition],
    dates: Sequence[DateFeature],
) -> LevelScan:
    dates = [date for date in dates if date.name in names]
    counts: Tally = {name: Counter() for name in names}
    n_bytes = 0
    for piece in unit.pieces:
        for rows in blocks.read(piece, stored(names, dates), where):
            n_bytes += rows.n_bytes
            table = with_parts(rows.table, dates)
            for name in names:
                texts, index = arrays.levels(table.column(name))
                numbers = np.bincount(index, minlength=len(texts)).tolist()
                counts[name].update(dict(zip(texts, numbers, strict=True)))
                _check_distinct(piece, name, counts[name])
    return LevelScan(counts, n_bytes)


def merge_tallies(a: LevelScan, b: LevelScan) -> LevelScan:
    """Add two scans of levels."""
    tally = {name: a.tally[name] + b.tally[name] for name in a.tally}
    return LevelScan(tally, a.bytes_read + b.bytes_read)


def _check_distinct(piece: Piece, name: str, counter: Counter[str | None]) -> None:
    if len(counter) > MAX_DISTINCT:
        raise DataError(
            f"{piece.file.path}, column {name!r}",
            f"has more than {MAX_DISTINCT:,} distinct values",
            "a category",
            "It looks like an identifier: add it to features.exclude, or name another column "
            "where search.split.fold or intervals.by has it",
        )


@dataclass(frozen=True)
class TimesRead(CachedRead[TimeScan]):
    """The scan of the times of the rows that are not held out."""

    reading: Reading
    name: str
    caching: Caching | None = None

    def read(self, unit: WorkUnit) -> TimeScan:
        """Read its files."""
        timeline, n_bytes = t.empty(), 0
        for rows in read_training_rows(unit, self.reading):
            trained = rows.buckets < self.reading.n_buckets
            timeline = t.extended(timeline, rows.hashes[trained], rows.times[trained])
            n_bytes += rows.counts.bytes_read
        return TimeScan(timeline, n_bytes)

    def merge(self, left: TimeScan, right: TimeScan) -> TimeScan:
        """Two scans together."""
        return merge_times(left, right)

    def keys(self, units: Sequence[WorkUnit]) -> list[str]:
        """What identifies the scan of each unit."""
        return keys_of_reading("times", units, self.reading)

    def entry(
        self, result: TimeScan, span: Span, caching: Caching
    ) -> tuple[ScanHeader, t.Timeline]:
        """Header and body of the entry that keeps a scan."""
        return ScanHeader((self.name,)), result.timeline

    def fits(self, entry: StoredEntry, span: Span) -> bool:
        """Whether the entry is of this column."""
        return entry.header(ScanHeader).names == (self.name,)

    def from_entry(self, entry: StoredEntry, data: bytes, span: Span) -> TimeScan:
        """The scan that an entry keeps."""
        return TimeScan(entry.body(t.Timeline, data), 0)


def merge_times(a: TimeScan, b: TimeScan) -> TimeScan:
    """Add two scans of times."""
    return TimeScan(t.merge(a.timeline, b.timeline), a.bytes_read + b.bytes_read)


class GroupScan(NamedTuple):
    """The groups that rows are in, and the bytes read for it."""

    groups: ListedGroups
    bytes_read: int


@dataclass(frozen=True)
class GroupsRead(CachedRead[GroupScan]):
    """The scan of the groups of the rows that are not held out; without groups, of the rows."""

    reading: Reading
    caching: Caching | None = None

    def read(self, unit: WorkUnit) -> GroupScan:
        """Read its files."""
        groups, n_bytes = ListedGroups.of(np.empty(0, np.uint64)), 0
        for rows in read_training_rows(unit, self.reading):
            trained = rows.buckets < self.reading.n_buckets
            groups = groups.merge(ListedGroups.of(rows.draws[trained]))
            n_bytes += rows.counts.bytes_read
            if not groups.complete:  # more of them change nothing
                break
        return GroupScan(groups, n_bytes)

    def merge(self, left: GroupScan, right: GroupScan) -> GroupScan:
        """Two scans together."""
        return merge_groups(left, right)

    def keys(self, units: Sequence[WorkUnit]) -> list[str]:
        """What identifies the scan of each unit."""
        return keys_of_reading("groups", units, self.reading)

    def entry(
        self, result: GroupScan, span: Span, caching: Caching
    ) -> tuple[ScanHeader, ListedGroups]:
        """Header and body of the entry that keeps a scan."""
        return ScanHeader(()), result.groups

    def fits(self, entry: StoredEntry, span: Span) -> bool:
        """Always: groups are no columns."""
        return True

    def from_entry(self, entry: StoredEntry, data: bytes, span: Span) -> GroupScan:
        """The scan that an entry keeps."""
        return GroupScan(entry.body(ListedGroups, data), 0)


def merge_groups(a: GroupScan, b: GroupScan) -> GroupScan:
    """Add two scans of groups."""
    return GroupScan(a.groups.merge(b.groups), a.bytes_read + b.bytes_read)
