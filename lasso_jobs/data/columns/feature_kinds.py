"""Checks that columns are of the kinds that a model's features were in training."""

import pyarrow as pa

from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.data.columns.kinds import Kind, is_kind, kinds_with_part, kinds_with_tokens
from lasso_jobs.errors import DataError


def expected_kinds(columns: Columns) -> dict[str, tuple[Kind, ...]]:
    """The kinds that each column of the features may have, to be what it was in training."""
    # Integers with nulls are floats in pandas, and true is 1.
    kinds: dict[str, tuple[Kind, ...]] = {
        "string": ("string",),
        "boolean": ("boolean", "integer", "number"),
        "integer": ("integer", "number", "boolean"),
    }
    number: tuple[Kind, ...] = ("number", "integer", "boolean")
    wanted = dict.fromkeys(columns.scalars, number)
    for vector in columns.vectors:
        how = None if vector.tokens is None else vector.tokens.how
        wanted[vector.column] = ("vector",) if how is None else kinds_with_tokens(how)
    wanted |= {c.name: kinds[c.type] for c in columns.categories}
    for date in columns.dates:
        del wanted[date.name]
        others = wanted.get(date.column, ("timestamp", "date"))
        wanted[date.column] = tuple(k for k in kinds_with_part(date.part) if k in others)
    return wanted


def check_types(schema: pa.Schema, columns: Columns, where: str) -> None:
    """Check that the columns are what they were in training.

    Raises
    ------
    DataError
    """
    for name, expected in expected_kinds(columns).items():
        type_ = schema.field(name).type
        if not is_kind(type_, expected):
            raise DataError(
                f"{where}, column {name!r}",
                f"has type {type_}",
                f"{' or '.join(expected)}, as in training",
                "Convert it, or retrain",
            )
