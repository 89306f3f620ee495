"""What drift is measured from: rows, feature by feature, by partition and segment."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lasso_jobs.core import moments as m
from lasso_jobs.core.columns import Block, fill
from lasso_jobs.core.current import Current, of_codes, of_numbers
from lasso_jobs.core.moments import Floats, Moments
from lasso_jobs.data import arrays, staging
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.references import PREDICTION
from lasso_jobs.jobs.scored import Observed, Watched, merged

if TYPE_CHECKING:
    from lasso_jobs.jobs.score_rows import Scoring

MOST_VALUES = 1_000
"""Segments in one block; far fewer are kept in the end."""

Rows = NDArray[np.intp]


def observe(
    watched: Watched,
    table: pa.Table,
    block: Block,
    prediction: Floats,
    kept: NDArray[np.bool_],
    scoring: "Scoring",
) -> None:
    """Add the scored rows of a block to what is known of their partitions and segments."""
    every = np.arange(table.num_rows)
    for key, chosen in _groups(table, every, scoring.partition_by):
        rows = chosen[kept[chosen]]
        part = _observed(block, prediction, rows, scoring)
        watched[key, ""] = merged(watched.get((key, "")), part)
        if scoring.segment is None:
            continue
        for ((name, value),), own in _groups(table, rows, [scoring.segment], MOST_VALUES):
            label = f"{name}={'(null)' if value is None else value}"
            part = _observed(block, prediction, own, scoring)
            watched[key, label] = merged(watched.get((key, label)), part)


def _observed(block: Block, prediction: Floats, rows: Rows, scoring: "Scoring") -> Observed:
    if not scoring.watched:
        return Observed({})
    every, columns = len(rows) == block.n_rows, scoring.predictor.columns

    def counted(name: str, values: Floats) -> Current:
        reference = scoring.watched[name]
        values = values if every else values[rows]
        return of_numbers(values, y, reference.edges, reference.low, reference.high)

    y = prediction if every else prediction[rows]
    features = {PREDICTION: counted(PREDICTION, prediction)}
    for name, values in zip(columns.numeric, block.numeric, strict=True):
        if name in scoring.watched:
            features[name] = counted(name, values)
    for category, codes in zip(columns.categories, block.codes, strict=True):
        if category.name in scoring.watched:
            features[category.name] = of_codes(codes[rows], y, category.width)
    return Observed(features, _moments(block, rows, scoring) if scoring.correlation else None)


def _moments(block: Block, rows: Rows, scoring: "Scoring") -> Moments:
    columns = scoring.predictor.columns
    values = np.empty((columns.n_columns, len(rows)))
    for _ in fill(values, columns, block, rows):
        pass
    values[np.isinf(values)] = np.nan
    return m.of_rows(values)


def _groups(
    table: pa.Table, rows: Rows, names: Sequence[str], most: float = np.inf
) -> Iterator[tuple[staging.Partition, Rows]]:
    """The rows of each combination of values that there are rows of.

    Raises
    ------
    DataError
        If a column has more values than ``most``.
    """
    if not names:
        yield (), rows
        return
    texts, index = arrays.levels(table.column(names[0]).take(arrays.array(rows)))
    if len(texts) > most:
        raise DataError(
            f"column {names[0]!r}, drift.segment",
            f"has more than {most:,} values among {len(rows):,} rows",
            "a column of groups",
            "Name a coarser column",
        )
    for i, text in enumerate(texts):
        for rest, own in _groups(table, rows[index == i], names[1:], most):
            yield ((names[0], text), *rest), own
