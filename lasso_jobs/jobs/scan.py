"""The first scans, of a few columns: the levels of categories, and how the rows lie in time."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lasso_jobs.core import timeline as t
from lasso_jobs.core.columns import DateFeature, stored
from lasso_jobs.core.sample import Sample
from lasso_jobs.data import arrays, blocks
from lasso_jobs.data.dataset import Partition, Piece
from lasso_jobs.data.times import times
from lasso_jobs.data.where import Condition
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.cached import Cached, Caching, keep_scan, kept_scan, key, key_of_reading
from lasso_jobs.jobs.reading import Reading
from lasso_jobs.jobs.training_rows import read_training_rows

MAX_DISTINCT = 100_000

Tally = dict[str, Counter[str | None]]
"""Rows by level, per column."""


@dataclass(frozen=True)
class Levels(Cached[tuple[Tally, int]]):
    """Count the levels of some columns, or parts of dates; and the bytes read."""

    names: Sequence[str]
    where: Sequence[Condition]
    dates: Sequence[DateFeature] = ()
    caching: Caching | None = None

    def read(self, partition: Partition) -> tuple[Tally, int]:
        """Read its files."""
        return _tally(partition, self.names, self.where, self.dates)

    def kept(self, partitions: Sequence[Partition]) -> tuple[Tally, int] | None:
        """What is in the cache."""
        found = kept_scan(key("levels", partitions, self.where), self.names, self.caching)
        if found is None:
            return None
        counts = found[0]["counts"]
        return {name: Counter(dict(counts[name])) for name in self.names}, 0

    def keep(self, partitions: Sequence[Partition], result: tuple[Tally, int]) -> None:
        """Put it into the cache, if there is one."""
        content = {"counts": {name: list(result[0][name].items()) for name in self.names}}
        its_key = key("levels", partitions, self.where)
        keep_scan(its_key, self.names, self.caching, content, {})


def _tally(
    partition: Partition,
    names: Sequence[str],
    where: Sequence[Condition],
    dates: Sequence[DateFeature],
) -> tuple[Tally, int]:
    dates = [date for date in dates if date.name in names]
    counts: Tally = {name: Counter() for name in names}
    n_bytes = 0
    for piece in partition.pieces:
        for rows in blocks.read(piece, stored(names, dates), where):
            n_bytes += rows.n_bytes
            table = arrays.with_parts(rows.table, dates)
            for name in names:
                texts, index = arrays.levels(table.column(name))
                numbers = np.bincount(index, minlength=len(texts)).tolist()
                counts[name].update(dict(zip(texts, numbers, strict=True)))
                _check_distinct(piece, name, counts[name])
    return counts, n_bytes


def merge_tallies(a: tuple[Tally, int], b: tuple[Tally, int]) -> tuple[Tally, int]:
    """Add two tallies."""
    return {name: a[0][name] + b[0][name] for name in a[0]}, a[1] + b[1]


def _check_distinct(piece: Piece, name: str, counter: Counter[str | None]) -> None:
    if len(counter) > MAX_DISTINCT:
        raise DataError(
            f"{piece.file.path}, column {name!r}",
            f"has more than {MAX_DISTINCT:,} distinct values",
            "a category",
            "It looks like an identifier: add it to features.exclude",
        )


@dataclass(frozen=True)
class Times(Cached[tuple[t.Timeline, int]]):
    """Count the times of the rows that are not held out; and the bytes read."""

    reading: Reading
    name: str
    caching: Caching | None = None

    def read(self, partition: Partition) -> tuple[t.Timeline, int]:
        """Read its files."""
        timeline, n_bytes = t.empty(), 0
        for rows in read_training_rows(partition, self.reading):
            kept = rows.buckets < self.reading.n_buckets
            found = times(rows.table.column(self.name))[kept]
            timeline = t.extended(timeline, rows.hashes[kept], found)
            n_bytes += rows.counts.bytes_read
        return timeline, n_bytes

    def kept(self, partitions: Sequence[Partition]) -> tuple[t.Timeline, int] | None:
        """What is in the cache."""
        found = kept_scan(self._key(partitions), [self.name], self.caching)
        if found is None:
            return None
        content, arrays = found
        sample = Sample(t.MAX_TIMES, arrays["hashes"], arrays["buckets"], arrays["values"])
        return t.Timeline(arrays["times"], arrays["counts"], content["counted"], sample), 0

    def keep(self, partitions: Sequence[Partition], result: tuple[t.Timeline, int]) -> None:
        """Put it into the cache, if there is one."""
        timeline, sample = result[0], result[0].sample
        arrays = {"times": timeline.times, "counts": timeline.counts, "hashes": sample.hashes}
        arrays |= {"buckets": sample.buckets, "values": sample.values}
        content = {"counted": timeline.counted}
        keep_scan(self._key(partitions), [self.name], self.caching, content, arrays)

    def _key(self, partitions: Sequence[Partition]) -> str:
        return key_of_reading("times", partitions, self.reading)


def merge_times(a: tuple[t.Timeline, int], b: tuple[t.Timeline, int]) -> tuple[t.Timeline, int]:
    """Add two scans of times."""
    return t.merge(a[0], b[0]), a[1] + b[1]
