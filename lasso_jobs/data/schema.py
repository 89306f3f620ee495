"""Checks the columns that a job names against those of its files."""

from collections.abc import Collection, Sequence
from difflib import get_close_matches

import pyarrow as pa

from lasso_jobs.data.columns.aside import remedy_of_range
from lasso_jobs.data.columns.kinds import NUMBERS, common_type, kind_of
from lasso_jobs.data.dataset import Dataset, SourceFile
from lasso_jobs.errors import DataError


def has_integers(dataset: Dataset, name: str) -> bool:
    """Whether a column has integers; where some of them are null, pandas may write floats."""
    types = [dataset.schema.field(name).type]
    for file in dataset.files:
        place = file.schema.get_field_index(name)
        types += [file.schema.field(place).type] if place >= 0 else []
    kinds = {kind_of(type_) for type_ in types}
    return "integer" in kinds and kinds <= {*NUMBERS, "boolean", "null"}


def require(dataset: Dataset, name: str, key: str, *, number: bool = False) -> None:
    """Check that a column that the job names is there, and is a number where it must be.

    Raises
    ------
    DataError
    """
    if dataset.schema.get_field_index(name) < 0:
        names = dataset.schema.names
        close = get_close_matches(name, names, 1)
        raise DataError(
            f"{dataset.path}, {key}",
            f"there is no column {name!r}",
            f"one of {listed(names)}",
            remedy_of_range(dataset.aside, name)
            or (f"Did you mean {close[0]!r}?" if close else f"Correct {key} in the job file"),
        )
    type_ = dataset.schema.field(name).type
    if number and kind_of(type_) not in ("number", "integer"):
        where, remedy = f"{dataset.path}, {key} {name!r}", "Name a numeric column, or convert it"
        raise DataError(where, f"has type {type_}", "a column of numbers", remedy)


def check_files(
    dataset: Dataset, columns: Sequence[str], *, nullable: Collection[str] = ()
) -> None:
    """Check that every file has the columns, with types of the same kind.

    Numbers are of one kind, whatever their types, and so are texts, dates and times of one zone; a
    column of nulls is of any. A column that a file of a Delta table lacks is null there.

    Parameters
    ----------
    dataset : Dataset
    columns : sequence of str
    nullable : collection of str
        Those that are null where a file lacks them.

    Raises
    ------
    DataError
        Naming the first file that deviates.
    """
    common = {name: dataset.schema.field(name).type for name in columns}
    may_lack = {*(columns if dataset.version is not None else nullable)}
    checked: tuple[pa.Schema, set[str]] | None = None
    for file in dataset.files:
        constants = {name for name, _ in file.identity.constants}
        # Most files are as the one before them; all of their columns are compared at once.
        if checked is not None and file.schema.equals(checked[0]) and constants == checked[1]:
            continue
        own = dict(zip(file.schema.names, file.schema.types, strict=True))
        for name in columns:
            if name in constants or own.get(name) == common[name]:
                continue
            type_ = own.get(name)
            if type_ is None and name not in may_lack:
                other = next(f for f in dataset.files if _has(f, name))
                raise DataError(
                    file.identity.path,
                    f"lacks the column {name!r}",
                    f"the columns of {other.identity.path}",
                    remedy_of_range(file.aside, name)
                    or "Write the file anew with it, or remove the file",
                )
            if type_ is not None and common_type(type_, common[name]) is None:
                raise DataError(
                    f"{file.identity.path}, column {name!r}",
                    f"has type {type_}",
                    f"{_class(common[name])} ({common[name]}), as in the other files",
                    "Convert the column there, or remove the file",
                )
        checked = file.schema, constants


def _has(file: SourceFile, name: str) -> bool:
    return name in file.schema.names or name in dict(file.identity.constants)


def _class(type_: pa.DataType) -> str:
    kind = kind_of(type_)
    if kind in NUMBERS:
        return "numbers"
    if kind == "vector" and pa.types.is_fixed_size_list(type_):
        return f"vectors of length {type_.list_size:,}"
    return {"string": "text", "boolean": "booleans"}.get(kind, f"{kind}s")


def listed(names: Sequence[str], most: int = 12) -> str:
    """Names for a message, not too many.

    Examples
    --------
    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"
