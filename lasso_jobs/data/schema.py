"""The contract between a job and the columns of its files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Literal

import pyarrow as pa

from lasso_jobs.core.columns import Columns, DateFeature, DatePart, LevelType
from lasso_jobs.data.dataset import Dataset
from lasso_jobs.errors import DataError

CATEGORICAL_PARTS: tuple[DatePart, ...] = ("month", "weekday")
Kind = Literal["number", "integer", "string", "boolean", "timestamp", "date", "null", "other"]


@dataclass(frozen=True, slots=True)
class Features:
    """The features that a job's patterns select.

    Parameters
    ----------
    numeric : tuple of str
    categorical : tuple of (str, level type)
    left_out : tuple of (str, str)
        Columns that ``*`` matched but that cannot be features, and why.
    dates : tuple of DateFeature
        Those of the features that are parts of dates.
    """

    numeric: tuple[str, ...]
    categorical: tuple[tuple[str, LevelType], ...]
    left_out: tuple[tuple[str, str], ...]
    dates: tuple[DateFeature, ...] = ()


def kind_of(type_: pa.DataType) -> Kind:
    """What a column of this type can be used as."""
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if pa.types.is_boolean(type_):
        return "boolean"
    if pa.types.is_integer(type_):
        return "integer"
    if pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return "number"
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return "string"
    if pa.types.is_string_view(type_):
        return "string"
    if pa.types.is_timestamp(type_):
        return "timestamp"
    if pa.types.is_date(type_):
        return "date"
    return "null" if pa.types.is_null(type_) else "other"


def date_features(
    dataset: Dataset, dates: Mapping[str, Sequence[DatePart]]
) -> tuple[DateFeature, ...]:
    """The parts of dates that a job asks for.

    Raises
    ------
    DataError
        If a column is missing or has no such part, or a part's name is taken.
    """
    features = tuple(
        DateFeature(column, part)
        for column, parts in dates.items()
        for part in dict.fromkeys(parts)
    )
    for date in features:
        require(dataset, date.column, "features.dates")
        type_ = dataset.schema.field(date.column).type
        if kind_of(type_) not in _kinds_with(date.part) or pa.types.is_dictionary(type_):
            raise DataError(
                f"{dataset.path}, features.dates {date.column!r}",
                f"has type {type_}, which has no {date.part}",
                f"a {' or a '.join(_kinds_with(date.part))}",
                "Correct features.dates, or convert the column",
            )
        if date.name in dataset.schema.names:
            raise DataError(
                f"{dataset.path}, features.dates",
                f"the data has a column {date.name!r}",
                "none of the name of a part",
                "Rename it, or leave the part out",
            )
    return features


def _kinds_with(part: DatePart) -> tuple[Kind, ...]:
    return ("timestamp",) if part == "hour" else ("timestamp", "date")


def select_features(
    dataset: Dataset,
    include: Sequence[str],
    exclude: Sequence[str],
    categorical: Sequence[str],
    reserved: Mapping[str, str],
    dates: Sequence[DateFeature] = (),
) -> Features:
    """Apply the patterns of a job to the columns of a dataset.

    Parameters
    ----------
    dataset : Dataset
    include, exclude : sequence of str
        Names, or patterns such as ``*`` and ``lag_*``.
    categorical : sequence of str
        Numeric columns to be taken as categories; text and booleans are without saying.
    reserved : mapping of str to str
        Columns that are no features, each with its role.
    dates : sequence of DateFeature
        Parts of dates: month and weekday are categories, the others numbers.

    Raises
    ------
    DataError
        If a name is missing or cannot be a feature, or nothing is left.
    """
    names = dataset.schema.names
    for name in [*include, *exclude, *categorical]:
        if not _is_pattern(name):
            require(dataset, name, "features")
    numeric = [date.name for date in dates if date.part not in CATEGORICAL_PARTS]
    categories: list[tuple[str, LevelType]] = [
        (date.name, "integer") for date in dates if date.part in CATEGORICAL_PARTS
    ]
    dated = {date.column for date in dates}
    left_out: list[tuple[str, str]] = []
    for name in names:
        explicit = name in include or name in categorical
        matched = explicit or (
            name not in dataset.constants and any(fnmatchcase(name, p) for p in include)
        )
        excluded = name in exclude or any(fnmatchcase(name, p) for p in exclude)
        if not matched or excluded or name in reserved or name in dated:
            continue
        type_ = dataset.schema.field(name).type
        kind = kind_of(type_)
        if kind == "string" or kind == "boolean":
            categories.append((name, kind))
        elif kind == "integer" and (name in categorical or pa.types.is_dictionary(type_)):
            categories.append((name, "integer"))
        elif kind in ("integer", "number", "null") and name not in categorical:
            numeric.append(name)
        elif explicit:
            raise _no_feature(dataset, name, name in categorical)
        else:
            left_out.append((name, str(type_)))
    if not numeric and not categories:
        raise DataError(
            dataset.path,
            f"features.include and exclude leave no usable feature among {listed(names)}",
            "at least one column of numbers, text or booleans",
            "Widen features.include",
        )
    return Features(tuple(numeric), tuple(categories), tuple(left_out), tuple(dates))


def _no_feature(dataset: Dataset, name: str, categorical: bool) -> DataError:
    type_ = dataset.schema.field(name).type
    dated = kind_of(type_) in ("timestamp", "date")
    return DataError(
        f"{dataset.path}, column {name!r}",
        f"has type {type_}",
        "integers, text or booleans" if categorical else "numbers, text or booleans",
        "Exclude it, or ask for its parts in features.dates"
        if dated
        else "Exclude it, or derive a column that can be a feature",
    )


def require(dataset: Dataset, name: str, key: str, *, number: bool = False) -> None:
    """Check that a column that the job names is there, and is a number where it must be.

    Raises
    ------
    DataError
    """
    names = dataset.schema.names
    if name not in names:
        close = get_close_matches(name, names, 1)
        raise DataError(
            f"{dataset.path}, {key}",
            f"there is no column {name!r}",
            f"one of {listed(names)}",
            f"Did you mean {close[0]!r}?" if close else f"Correct {key} in the job file",
        )
    type_ = dataset.schema.field(name).type
    if number and kind_of(type_) not in ("number", "integer"):
        raise DataError(
            f"{dataset.path}, {key} {name!r}",
            f"has type {type_}",
            "a column of numbers",
            "Name a numeric column, or convert it",
        )


def expected_kinds(columns: Columns) -> dict[str, tuple[Kind, ...]]:
    """What a column that features are made of may be, to be what it was in training."""
    # Integers with nulls are floats in pandas.
    kinds: dict[str, tuple[Kind, ...]] = {
        "string": ("string",),
        "boolean": ("boolean",),
        "integer": ("integer", "number"),
    }
    numbers: dict[str, tuple[Kind, ...]] = dict.fromkeys(columns.numeric, ("number", "integer"))
    wanted = numbers | {c.name: kinds[c.type] for c in columns.categories}
    for date in columns.dates:
        del wanted[date.name]
        others = wanted.get(date.column, ("timestamp", "date"))
        wanted[date.column] = tuple(k for k in _kinds_with(date.part) if k in others)
    return wanted


def check_types(schema: pa.Schema, columns: Columns, where: str) -> None:
    """Check that the columns are what they were in training.

    Raises
    ------
    DataError
    """
    for name, expected in expected_kinds(columns).items():
        type_ = schema.field(name).type
        if kind_of(type_) not in (*expected, "null"):
            raise DataError(
                f"{where}, column {name!r}",
                f"has type {type_}",
                f"{' or '.join(expected)}, as in training",
                "Convert it, or retrain",
            )


def check_files(dataset: Dataset, columns: Sequence[str]) -> None:
    """Check that every file has the columns, with types of the same kind.

    Integers and floats are of one kind; a column of nulls is of any.

    Raises
    ------
    DataError
        Naming the first file that deviates.
    """
    usual = {name: _class(dataset.schema.field(name).type) for name in columns}
    for file in dataset.files:
        constants = {name for name, _ in file.identity.constants}
        for name in columns:
            if name in constants:
                continue
            if name not in file.schema.names:
                raise DataError(
                    file.identity.path,
                    f"lacks the column {name!r}",
                    f"the columns of {dataset.files[0].identity.path}",
                    "Mend or remove the file",
                )
            type_ = file.schema.field(name).type
            if _class(type_) not in (usual[name], "nulls"):
                raise DataError(
                    f"{file.identity.path}, column {name!r}",
                    f"has type {type_}",
                    f"{usual[name]} ({dataset.schema.field(name).type}), as in the other files",
                    "Mend or remove the file",
                )


def _class(type_: pa.DataType) -> str:
    kind = kind_of(type_)
    if kind in ("integer", "number"):
        return "numbers" if not pa.types.is_dictionary(type_) else "integers as categories"
    return {"string": "text", "boolean": "booleans", "null": "nulls"}.get(kind, str(type_))


def _is_pattern(name: str) -> bool:
    return any(mark in name for mark in "*?[")


def listed(names: Sequence[str], most: int = 12) -> str:
    """Names for a message, not too many."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
