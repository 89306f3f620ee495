"""The first scans, of a few columns: the levels of categories, and how the rows lie in time."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from lasso_jobs.core import timeline as t
from lasso_jobs.core.columns import DateFeature, stored
from lasso_jobs.data import blocks
from lasso_jobs.data.dataset import Partition, Piece
from lasso_jobs.data.times import times
from lasso_jobs.data.where import Condition
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.reading import Reading, read_training_rows

MAX_DISTINCT = 100_000

Tally = dict[str, Counter[str | None]]
"""Rows by level, per column."""


def tally(
    partition: Partition,
    names: Sequence[str],
    where: Sequence[Condition],
    dates: Sequence[DateFeature] = (),
) -> tuple[Tally, int]:
    """Count the levels of some columns, or parts of dates; and the bytes read."""
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


def scan_times(partition: Partition, reading: Reading, name: str) -> tuple[t.Timeline, int]:
    """Count the times of the rows that are not held out; and the bytes read."""
    timeline, n_bytes = t.empty(), 0
    for rows in read_training_rows(partition, reading):
        kept = rows.buckets < reading.n_buckets
        timeline = t.extended(timeline, rows.hashes[kept], times(rows.table.column(name))[kept])
        n_bytes += rows.counts.bytes_read
    return timeline, n_bytes


def merge_times(a: tuple[t.Timeline, int], b: tuple[t.Timeline, int]) -> tuple[t.Timeline, int]:
    """Add two scans of times."""
    return t.merge(a[0], b[0]), a[1] + b[1]
