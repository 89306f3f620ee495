"""Checks the columns that a job names against those of its files, and selects the features."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase

import pyarrow as pa

from lasso_jobs.core.rows.columns import DateFeature, DatePart, LevelType, stored
from lasso_jobs.core.rows.vectors import Vector, without_elements
from lasso_jobs.data.columns.aside import remedy_of_range
from lasso_jobs.data.columns.kinds import (
    NUMBERS,
    common_type,
    kind_of,
)
from lasso_jobs.data.dataset import Dataset, SourceFile
from lasso_jobs.data.vectors.features import NamedElements, vectors_among
from lasso_jobs.errors import DataError

_DATED = ("timestamp", "date")
CATEGORICAL_PARTS: tuple[DatePart, ...] = ("month", "weekday")


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedFeatures:
    """The features that a job's patterns select.

    Parameters
    ----------
    numeric : tuple of str
    categorical : tuple of (str, level type)
    left_out : tuple of (str, str)
        Columns that ``*`` matched but that cannot be features, and why.
    dates : tuple of DateFeature
        Those of the features that are parts of dates.
    vectors : tuple of Vector
        The columns whose elements are among the numeric ones.
    """

    numeric: tuple[str, ...]
    categorical: tuple[tuple[str, LevelType], ...]
    left_out: tuple[tuple[str, str], ...]
    dates: tuple[DateFeature, ...] = ()
    vectors: tuple[Vector, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features."""
        return (*self.numeric, *(name for name, _ in self.categorical))

    @property
    def scalars(self) -> tuple[str, ...]:
        """The numeric ones that are no elements of vectors."""
        return without_elements(self.numeric, self.vectors)

    @property
    def stored(self) -> tuple[str, ...]:
        """The columns of the data that they are made of."""
        return stored(self.names, self.dates, self.vectors)


def select_features(
    dataset: Dataset,
    *,
    include: Sequence[str],
    exclude: Sequence[str] = (),
    categorical: Sequence[str] = (),
    reserved: Mapping[str, str],
    dates: Sequence[DateFeature] = (),
    sizes: Mapping[str, int] | None = None,
) -> SelectedFeatures:
    """Apply the patterns of a job to the columns of a dataset.

    Parameters
    ----------
    dataset : Dataset
    include, exclude : sequence of str
        Names, or patterns such as ``*`` and ``lag_*``. Of a column of vectors, ``v`` names all
        elements, and ``v[3]`` one.
    categorical : sequence of str
        Integer columns to be taken as categories; text and boolean columns always are.
    reserved : mapping of str to str
        Columns that are no features, each with its role.
    dates : sequence of DateFeature
        Parts of dates: month and weekday are categories, the others numbers.
    sizes : mapping of str to int
        The lengths of vectors, where nothing else tells them.

    Raises
    ------
    DataError
        If a name is missing or cannot be a feature, or nothing is left.
    """
    named_in, named_out = (NamedElements.of(dataset.schema, each) for each in (include, exclude))
    for name in [*named_in.columns, *named_out.columns, *categorical]:
        if not _is_pattern(name):
            require(dataset, name, "features")
    explicit = {*named_in.columns, *named_in.elements, *categorical}
    uses = _Uses.of(dates)
    aside, of_levels, dated = dataset.aside, {*categorical}, {date.column for date in dates}
    for name in _candidates(dataset, named_in.columns, explicit, named_out.columns):
        if name in reserved or name in dated:
            if name in reserved and name in explicit:
                uses.left_out.append((name, f"it is {reserved[name]}"))
        elif name in aside and name not in explicit:
            uses.left_out.append((name, aside[name]))
        else:
            uses.add(dataset, name, named=name in explicit, categorical=name in of_levels)
    vectors, elements, several = vectors_among(
        dataset, uses.vectors, include=named_in, exclude=named_out, sizes=sizes or {}
    )
    numeric, left_out = uses.numeric + elements, uses.left_out + several
    if not numeric and not uses.categories:
        raise _no_feature_left(dataset, {**reserved, **dict(left_out)})
    return SelectedFeatures(
        numeric=tuple(numeric),
        categorical=tuple(uses.categories),
        left_out=tuple(left_out),
        dates=tuple(dates),
        vectors=tuple(vectors),
    )


@dataclass(frozen=True, slots=True)
class _Uses:
    """Columns by what their types let them be."""

    numeric: list[str]
    categories: list[tuple[str, LevelType]]
    vectors: list[str] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of(cls, dates: Sequence[DateFeature]) -> "_Uses":
        """The parts of dates."""
        numeric = [date.name for date in dates if date.part not in CATEGORICAL_PARTS]
        categories = [date.name for date in dates if date.part in CATEGORICAL_PARTS]
        return cls(numeric, [(name, "integer") for name in categories])

    def add(self, dataset: Dataset, name: str, *, named: bool, categorical: bool) -> None:
        """Add a column.

        Raises
        ------
        DataError
            If the job names it, and it cannot be a feature.
        """
        type_ = dataset.schema.field(name).type
        levels = _level_type(dataset, name, categorical)
        if levels is not None:
            self.categories.append((name, levels))
        elif kind_of(type_) in (*NUMBERS, "null") and not categorical:
            self.numeric.append(name)
        elif kind_of(type_) == "vector" and not categorical:
            self.vectors.append(name)
        elif named:
            raise _no_feature(dataset, name, categorical)
        else:
            self.left_out.append((name, str(type_)))


def _level_type(dataset: Dataset, name: str, named: bool) -> LevelType | None:
    """What the levels of a column are; of numbers, where it is named or a dictionary.

    Whether floats and decimals are integers is seen when the levels are listed: pandas writes
    integers with nulls as floats, and Oracle, Spark and DuckDB write identifiers as decimals.
    """
    type_ = dataset.schema.field(name).type
    kind = kind_of(type_)
    if kind == "string" or kind == "boolean":
        return kind
    by_itself = pa.types.is_dictionary(type_) and kind == "integer"
    return "integer" if by_itself or (named and kind in NUMBERS) else None


def has_integers(dataset: Dataset, name: str) -> bool:
    """Whether a column has integers; where some of them are null, pandas may write floats."""
    types = [dataset.schema.field(name).type]
    for file in dataset.files:
        place = file.schema.get_field_index(name)
        types += [file.schema.field(place).type] if place >= 0 else []
    kinds = {kind_of(type_) for type_ in types}
    return "integer" in kinds and kinds <= {*NUMBERS, "boolean", "null"}


def _candidates(
    dataset: Dataset, include: Sequence[str], explicit: Collection[str], exclude: Sequence[str]
) -> list[str]:
    """The columns that the patterns match; constants of folders only if they are named."""
    named = {*exclude}
    include, exclude = _patterns(include), _patterns(exclude)
    return [
        name
        for name in dataset.schema.names
        if name in explicit or (name not in dataset.constants and _matches(name, include))
        if not (name in named or _matches(name, exclude))
    ]


def _no_feature_left(dataset: Dataset, why_not: Mapping[str, str]) -> DataError:
    fates = [f"{name} ({why_not.get(name, 'not included')})" for name in dataset.schema.names]
    types = [dataset.schema.field(name).type for name in why_not if name in dataset.schema.names]
    remedy = "Name data with more columns"
    if not why_not.keys() >= {*dataset.schema.names}:
        remedy = "Widen features.include, or exclude less"
    elif any(kind_of(type_) in ("timestamp", "date") for type_ in types):
        remedy = "Ask for parts of dates in features.dates, or name data with more columns"
    return DataError(
        dataset.path,
        f"none of its columns is left as a feature: {listed(fates)}",
        "at least one column of numbers, text or booleans",
        remedy,
    )


def _patterns(names: Sequence[str]) -> list[str]:
    """Those of them that match more than a column of their name, each once."""
    return list(dict.fromkeys(name for name in names if _is_pattern(name)))


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _no_feature(dataset: Dataset, name: str, categorical: bool) -> DataError:
    type_ = dataset.schema.field(name).type
    dated = kind_of(type_) in _DATED
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


def _is_pattern(name: str) -> bool:
    return any(mark in name for mark in "*?[")


def listed(names: Sequence[str], most: int = 12) -> str:
    """Names for a message, not too many.

    Examples
    --------
    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"
