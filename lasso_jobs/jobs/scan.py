"""The first scans, of a few columns: the levels of categories, and how the rows lie in time."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from lasso_jobs.artifacts.cache import Arrays, Content
from lasso_jobs.core import timeline as t
from lasso_jobs.core.columns import DateFeature, stored
from lasso_jobs.core.sample import Sample
from lasso_jobs.data import blocks
from lasso_jobs.data.dataset import Partition, Piece
from lasso_jobs.data.times import times
from lasso_jobs.data.where import Condition
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.cached import Caching, cached_scan, key, key_of_reading
from lasso_jobs.jobs.reading import Reading, read_training_rows

MAX_DISTINCT = 100_000

Tally = dict[str, Counter[str | None]]
"""Rows by level, per column."""


def tally(
    partition: Partition,
    names: Sequence[str],
    where: Sequence[Condition],
    dates: Sequence[DateFeature] = (),
    caching: Caching | None = None,
) -> tuple[Tally, int]:
    """Count the levels of some columns, or parts of dates; and the bytes read."""
    n_bytes = 0

    def scan(partition: Partition) -> tuple[Content, Arrays]:
        nonlocal n_bytes
        counts, n_bytes = _tally(partition, names, where, dates)
        return {"counts": {name: list(counts[name].items()) for name in names}}, {}

    content, _ = cached_scan(partition, key("levels", partition, where), names, caching, scan)
    return {name: Counter(dict(content["counts"][name])) for name in names}, n_bytes


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
            table = blocks.with_parts(rows.table, dates)
            for name in names:
                texts, index = blocks.levels(table.column(name))
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


def scan_times(
    partition: Partition, reading: Reading, name: str, caching: Caching | None = None
) -> tuple[t.Timeline, int]:
    """Count the times of the rows that are not held out; and the bytes read."""
    n_bytes = 0

    def scan(partition: Partition) -> tuple[Content, Arrays]:
        nonlocal n_bytes
        timeline = t.empty()
        for rows in read_training_rows(partition, reading):
            kept = rows.buckets < reading.n_buckets
            timeline = t.extended(timeline, rows.hashes[kept], times(rows.table.column(name))[kept])
            n_bytes += rows.counts.bytes_read
        sample = timeline.sample
        arrays = {"times": timeline.times, "counts": timeline.counts, "hashes": sample.hashes}
        arrays |= {"buckets": sample.buckets, "values": sample.values}
        return {"counted": timeline.counted}, arrays

    its_key = key_of_reading("times", partition, reading)
    content, arrays = cached_scan(partition, its_key, [name], caching, scan)
    sample = Sample(t.MAX_TIMES, arrays["hashes"], arrays["buckets"], arrays["values"])
    return t.Timeline(arrays["times"], arrays["counts"], content["counted"], sample), n_bytes


def merge_times(a: tuple[t.Timeline, int], b: tuple[t.Timeline, int]) -> tuple[t.Timeline, int]:
    """Add two scans of times."""
    return t.merge(a[0], b[0]), a[1] + b[1]
