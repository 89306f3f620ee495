"""Observes scored rows for drift: feature by feature, by partition and segment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lasso_jobs.core.drift.current import Current, merge, of_codes, of_numbers
from lasso_jobs.core.rows import centring
from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.blocks.matrix import lay_out
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.moments import Floats, Moments
from lasso_jobs.core.rows.moments import merge as merge_moments
from lasso_jobs.data import arrays
from lasso_jobs.drift.references import PREDICTION
from lasso_jobs.drift.watch import SegmentColumn, Watch
from lasso_jobs.errors import DataError
from lasso_jobs.sinks import protocol

MOST_VALUES = 1_000
"""Segments in one block; far fewer are kept in the end."""

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Observation:
    """What drift is measured from, of some of the rows that were scored.

    Parameters
    ----------
    features : mapping of str to Current
        By feature, and ``prediction``; empty if the job measures no drift.
    moments : Moments or None
        Of the watched columns, if the job asks for their correlations.
    """

    features: Mapping[str, Current]
    moments: Moments | None = None


PartitionSegment = tuple[protocol.Partition, str]
"""A partition of the output and a segment of it; all of it has the segment ``""``."""

Observations = dict[PartitionSegment, Observation]


def observe(
    observations: Observations,
    watch: Watch,
    table: pa.Table,
    *,
    block: Block,
    prediction: Floats,
    kept: NDArray[np.bool_],
) -> None:
    """Add the scored rows of a block to the observations of their partitions and segments.

    Parameters
    ----------
    observations : dict
        Is added to.
    watch : Watch
    table : pyarrow.Table
        The rows, with the columns of the partitions and of the segments.
    block : Block
        The same rows, decoded.
    prediction : ndarray, shape (n,)
    kept : ndarray of bool, shape (n,)
        The rows that could be scored.
    """
    every = np.arange(table.num_rows)
    for key, chosen in _groups(table, every, watch.partition_by):
        rows = chosen[kept[chosen]]
        part = _observation(block, prediction, rows, watch)
        observations[key, ""] = merged(observations.get((key, "")), part)
        if watch.segment is None:
            continue
        for value, own in _segments(table, rows, watch.segment):
            label = f"{watch.segment.name}={'(null)' if value is None else value}"
            part = _observation(block, prediction, own, watch)
            observations[key, label] = merged(observations.get((key, label)), part)


def of_no_rows(watch: Watch) -> Observation:
    """What is observed where there is nothing."""
    columns, none = watch.columns, np.empty(0)
    numeric = tuple(none for _ in columns.numeric)
    block = Block(0, numeric, tuple(none.astype(np.int32) for _ in columns.categories))
    return _observation(block, none, none.astype(np.intp), replace(watch, correlation=False))


def _observation(block: Block, prediction: Floats, rows: Rows, watch: Watch) -> Observation:
    if not watch.references:
        return Observation({})
    every, columns = len(rows) == block.n_rows, watch.columns

    def counted(name: str, values: Floats) -> Current:
        reference = watch.references[name]
        values = values if every else values[rows]
        return of_numbers(values, y, edges=reference.edges, low=reference.low, high=reference.high)

    y = prediction if every else prediction[rows]
    features = {PREDICTION: counted(PREDICTION, prediction)}
    for name, values in zip(columns.numeric, block.numeric, strict=True):
        if name in watch.references:
            features[name] = counted(name, values)
    for category, codes in zip(columns.categories, block.codes, strict=True):
        if category.name in watch.references:
            features[category.name] = of_codes(codes[rows], y, category.width)
    return Observation(features, _moments(block, rows, columns) if watch.correlation else None)


def _moments(block: Block, rows: Rows, columns: Columns) -> Moments:
    values = np.empty((columns.n_columns, len(rows)))
    for _ in lay_out(values, columns, block, order=rows):
        pass
    values[np.isinf(values)] = np.nan
    return centring.of_rows(values)


def _groups(
    table: pa.Table, rows: Rows, names: Sequence[str]
) -> Iterator[tuple[protocol.Partition, Rows]]:
    """The rows of each combination of values that there are rows of."""
    if not names:
        yield (), rows
        return
    texts, index = arrays.levels(table.column(names[0]).take(arrays.array(rows)))
    for i, text in enumerate(texts):
        for rest, own in _groups(table, rows[index == i], names[1:]):
            yield ((names[0], text), *rest), own


def _segments(
    table: pa.Table, rows: Rows, segment: SegmentColumn
) -> Iterator[tuple[str | None, Rows]]:
    """The rows of each value of the column of segments.

    Raises
    ------
    DataError
        If it has too many.
    """
    column = table.column(segment.name).take(arrays.array(rows))
    texts, index = arrays.segments(column, boolean=segment.boolean)
    if len(texts) > MOST_VALUES:
        raise DataError(
            f"column {segment.name!r}, drift.segment",
            f"has more than {MOST_VALUES:,} values among {len(rows):,} rows",
            "a column of groups",
            "Name a coarser column",
        )
    for i, text in enumerate(texts):
        yield text, rows[index == i]


def merged(a: Observation | None, b: Observation) -> Observation:
    """Two disjoint sets of rows together."""
    if a is None:
        return b
    moments = b.moments
    if a.moments is not None and b.moments is not None:
        moments = merge_moments(a.moments, b.moments)
    return Observation(
        {name: merge(a.features[name], b.features[name]) for name in a.features}, moments
    )
