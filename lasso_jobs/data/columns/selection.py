"""Selects the features that a job's patterns mean among the columns of its data."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

import pyarrow as pa

from lasso_jobs.core.rows.columns import DateFeature, DatePart, LevelType, stored
from lasso_jobs.core.rows.vectors import Vector, elements, without_elements
from lasso_jobs.data.columns.kinds import NUMBERS, kind_of
from lasso_jobs.data.dataset import Dataset
from lasso_jobs.data.schema import listed, require
from lasso_jobs.data.vectors.features import (
    NamedElements,
    TokenColumn,
    VectorOptions,
    check_names_differ,
    chosen_elements,
    vectors_among,
)
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
    tokens : tuple of TokenColumn
        The columns whose tokens, which a scan is to list, will be among them.
    """

    numeric: tuple[str, ...]
    categorical: tuple[tuple[str, LevelType], ...]
    left_out: tuple[tuple[str, str], ...]
    dates: tuple[DateFeature, ...] = ()
    vectors: tuple[Vector, ...] = ()
    tokens: tuple[TokenColumn, ...] = ()

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
        columns = stored(self.names, self.dates, self.vectors)
        return (*columns, *(each.column for each in self.tokens))

    def with_offset(self, offset: str | None) -> "SelectedFeatures":
        """These and, first of them, the column whose coefficient is 1, if there is one."""
        return self if offset is None else replace(self, numeric=(offset, *self.numeric))


def select_features(
    dataset: Dataset,
    *,
    include: Sequence[str],
    exclude: Sequence[str] = (),
    categorical: Sequence[str] = (),
    reserved: Mapping[str, str],
    dates: Sequence[DateFeature] = (),
    options: VectorOptions | None = None,
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
    options : VectorOptions, optional
        What is said of columns of vectors.

    Raises
    ------
    DataError
        If a name is missing or cannot be a feature, or nothing is left.
    """
    options = options or VectorOptions()
    named_in, named_out = _named(dataset, include, exclude, options)
    _require(dataset, [*named_in.columns, *named_out.columns, *categorical])
    explicit = {*named_in.columns, *named_in.elements, *categorical}
    uses = _uses(
        dataset,
        _candidates(dataset, named_in.columns, explicit, named_out.columns),
        explicit=explicit,
        categorical=categorical,
        reserved=reserved,
        dates=dates,
        options=options,
    )
    vectors, elements, several = vectors_among(
        dataset, uses.vectors, include=named_in, exclude=named_out, options=options
    )
    check_names_differ(dataset, vectors)
    numeric, left_out = uses.numeric + elements, uses.left_out + several
    if not numeric and not uses.categories and not uses.tokens:
        raise _no_feature_left(dataset, {**reserved, **dict(left_out)})
    return SelectedFeatures(
        numeric=tuple(numeric),
        categorical=tuple(uses.categories),
        left_out=tuple(left_out),
        dates=tuple(dates),
        vectors=tuple(vectors),
        tokens=tuple(uses.tokens),
    )


def _require(dataset: Dataset, names: Iterable[str]) -> None:
    for name in names:
        if not _is_pattern(name):
            require(dataset, name, "features")


def _uses(
    dataset: Dataset,
    names: Iterable[str],
    *,
    explicit: Collection[str],
    categorical: Sequence[str],
    reserved: Mapping[str, str],
    dates: Sequence[DateFeature],
    options: VectorOptions,
) -> "_Uses":
    """What becomes of each column."""
    uses = _Uses.of(dates)
    aside, of_levels, dated = dataset.aside, {*categorical}, {date.column for date in dates}
    for name in names:
        if name in reserved and name in explicit:
            uses.left_out.append((name, f"it is {reserved[name]}"))
        elif name in reserved or name in dated:
            continue
        elif name in aside and name not in explicit:
            uses.left_out.append((name, aside[name]))
        elif name in options.tokens and options.tokens[name].hashed is None:
            uses.tokens.append(options.tokens[name])
        else:
            uses.add(
                dataset,
                name,
                named=name in explicit,
                categorical=name in of_levels,
                vector=name in options.tokens,
            )
    return uses


def _named(
    dataset: Dataset, include: Sequence[str], exclude: Sequence[str], options: VectorOptions
) -> tuple[NamedElements, NamedElements]:
    """What is included and excluded; a column of tokens is a feature without being named."""
    schema = dataset.schema
    named_in = NamedElements.of(schema, include, options).with_columns(options.tokens)
    return named_in, NamedElements.of(schema, exclude, options)


def with_tokens(
    dataset: Dataset,
    features: SelectedFeatures,
    tokens: Mapping[str, tuple[str, ...]],
    *,
    include: Sequence[str],
    exclude: Sequence[str],
    options: VectorOptions,
) -> SelectedFeatures:
    """The features with the tokens that a scan has listed.

    Parameters
    ----------
    dataset : Dataset
    features : SelectedFeatures
    tokens : mapping of str to tuple of str
        By column.
    include, exclude, options
        As in `select_features`.

    Raises
    ------
    DataError
        If a token that the job includes is not there.
    """
    named_in, named_out = _named(dataset, include, exclude, options)
    numeric, vectors = [*features.numeric], [*features.vectors]
    for each in features.tokens:
        own = tokens[each.column]
        vector = Vector(each.column, len(own), own, tokens=each.tokens)
        chosen = chosen_elements(dataset, vector, named_in, named_out)
        numeric += chosen
        vectors.append(vector.only(elements(chosen, [vector])[each.column].indices))
    check_names_differ(dataset, vectors)
    return replace(features, numeric=tuple(numeric), vectors=tuple(vectors), tokens=())


@dataclass(frozen=True, slots=True)
class _Uses:
    """Columns by what their types let them be."""

    numeric: list[str]
    categories: list[tuple[str, LevelType]]
    vectors: list[str] = field(default_factory=list)
    tokens: list[TokenColumn] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of(cls, dates: Sequence[DateFeature]) -> "_Uses":
        """The parts of dates."""
        numeric = [date.name for date in dates if date.part not in CATEGORICAL_PARTS]
        categories = [date.name for date in dates if date.part in CATEGORICAL_PARTS]
        return cls(numeric, [(name, "integer") for name in categories])

    def add(
        self, dataset: Dataset, name: str, *, named: bool, categorical: bool, vector: bool
    ) -> None:
        """Add a column; the job may say that it is taken as vectors.

        Raises
        ------
        DataError
            If the job names it, and it cannot be a feature.
        """
        type_ = dataset.schema.field(name).type
        levels = _level_type(dataset, name, categorical)
        if vector:
            self.vectors.append(name)
        elif levels is not None:
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


def _is_pattern(name: str) -> bool:
    return any(mark in name for mark in "*?[")
