"""Takes the features of some rows from the columns that they are made of."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.columns import Columns, DateFeature
from lasso_jobs.data.arrays import codes, numbers
from lasso_jobs.data.vectors.values import VectorValues
from lasso_jobs.errors import DataError

Vectors = Mapping[str, VectorValues]

_PARTS = {
    "year": pc.year,
    "month": pc.month,
    "weekday": pc.day_of_week,  # Monday is 0
    "hour": pc.hour,
    "day_of_year": pc.day_of_year,
}


def with_parts(table: pa.Table, dates: Sequence[DateFeature]) -> pa.Table:
    """Add the parts of dates as columns; those of a time with a zone are the zone's.

    Raises
    ------
    DataError
        If a zone is not known here.
    """
    for date in dates:
        column = table.column(date.column)
        if pa.types.is_null(column.type):
            column = pa.nulls(table.num_rows, pa.timestamp("us"))
        try:
            table = table.append_column(date.name, _PARTS[date.part](column))
        except pa.ArrowException as error:
            raise DataError(
                f"column {date.column!r}",
                f"has type {column.type}, whose {date.part} cannot be found ({error})",
                "a date, or a timestamp in a known time zone",
                "Install the time zones (tzdata), or convert the column",
            ) from error
    return table


def vectors_in(table: pa.Table, columns: Columns) -> Vectors:
    """The vectors that features are elements of, by their column."""
    return {v.column: VectorValues(table.column(v.column), v) for v in columns.vectors}


def block(table: pa.Table, columns: Columns, vectors: Vectors | None = None) -> Block:
    """The features of some rows.

    Parameters
    ----------
    table : pyarrow.Table
    columns : Columns
    vectors : mapping of str to VectorValues, optional
        As `vectors_in` gives them.
    """
    vectors = vectors_in(table, columns) if vectors is None else vectors
    table = with_parts(table, columns.dates)
    within: dict[int, NDArray[np.float64]] = {}
    for name, (places, indices) in columns.elements().items():
        within |= zip(places.tolist(), vectors[name].dense(indices), strict=True)
    return Block(
        table.num_rows,
        tuple(
            within[j] if j in within else numbers(table.column(name))
            for j, name in enumerate(columns.numeric)
        ),
        tuple(codes(table.column(c.name), c) for c in columns.categories),
    )
