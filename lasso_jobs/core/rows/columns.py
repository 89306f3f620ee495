"""Says what the columns of a matrix mean: numeric features, indicators of levels, the target."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain, count
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.vectors import Elements, Places, Vector, elements, without_elements

OTHER = "(other)"
NULL = "(null)"

LevelType = Literal["string", "boolean", "integer"]
DatePart = Literal["year", "month", "weekday", "hour", "day_of_year"]


Spellings = tuple[str, str]
"""A label, and the label instead if another has the first."""


@dataclass(frozen=True, slots=True)
class Category:
    """A categorical feature and the levels that have an indicator of their own.

    Parameters
    ----------
    name : str
    levels : tuple of (str or None)
        In the order of their indicators; ``None`` is the level of the nulls. Booleans are
        ``"false"`` and ``"true"``, integers their decimal digits.
    other : bool
        Whether a last indicator stands for every level that is not listed.
    type : {"string", "boolean", "integer"}
        How the levels are stored in the data.
    """

    name: str
    levels: tuple[str | None, ...]
    other: bool
    type: LevelType

    @property
    def width(self) -> int:
        """Number of indicators."""
        return len(self.levels) + self.other

    @property
    def labels(self) -> tuple[str, ...]:
        """One label per indicator, such as ``carrier=AA`` or ``carrier=(other)``."""
        return distinct(self.spellings)

    @property
    def spellings(self) -> tuple[Spellings, ...]:
        """Two labels per indicator: the usual one, and one that no other level has."""
        return tuple(
            (f"{self.name}={level}", f"{self.name}={q}") for level, q in self.level_spellings
        )

    @property
    def level_spellings(self) -> list[Spellings]:
        """The same without the name."""
        own = [(NULL, NULL) if level is None else (level, repr(level)) for level in self.levels]
        return own + [(OTHER, OTHER)] * self.other


@dataclass(frozen=True, slots=True)
class DateFeature:
    """A part of a date, taken for a feature."""

    column: str
    part: DatePart

    @property
    def name(self) -> str:
        """The feature's name, such as ``sold.month``."""
        return f"{self.column}.{self.part}"


@dataclass(frozen=True)
class Columns:
    """The features of a model, in the order of the matrix: numeric ones, then indicators.

    There may be a million, and every block of rows asks for some of what follows from them. So that
    is found once; and it travels to the workers as little more than the vectors' lengths.

    Parameters
    ----------
    numeric : tuple of str
    categories : tuple of Category
    dates : tuple of DateFeature
        Those of the features that the data does not have, but the dates that they are parts of.
    vectors : tuple of Vector
        Columns of the data, elements of which are among the numeric features.
    """

    numeric: tuple[str, ...]
    categories: tuple[Category, ...]
    dates: tuple[DateFeature, ...] = ()
    vectors: tuple[Vector, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        runs = _runs(self.numeric, self.vectors)
        return _columns_of_runs, (runs, self.categories, self.dates, self.vectors)

    @property
    def labels(self) -> tuple[str, ...]:
        """One label per column of the matrix, without the target."""
        return self.labels_with(())

    @property
    def identities(self) -> tuple[tuple[str, str | None, bool], ...]:
        """What each column is of: the feature, its level, and whether that is all other levels."""
        levels = [
            (c.name, level, other)
            for c in self.categories
            for level, other in [*((level, False) for level in c.levels), *[(None, True)] * c.other]
        ]
        return (*((name, name, False) for name in self.numeric), *levels)

    def labels_with(self, indicators: Iterable[int]) -> tuple[str, ...]:
        """One label per coefficient: the columns, then the null indicators of some numbers.

        Labels that would be the same have their levels, or names, in quotes: ``a='b=c'`` beside
        ``a=b='c'``.

        Examples
        --------
        >>> carrier = Category(name="carrier", levels=("AA",), other=True, type="string")
        >>> Columns(("distance",), (carrier,)).labels_with([0])
        ('distance', 'carrier=AA', 'carrier=(other)', 'distance is null')
        """
        numbers = [(name, name) for name in self.numeric]
        levels = [spellings for c in self.categories for spellings in c.spellings]
        names = [self.numeric[j] for j in indicators]
        nulls = [(f"{name} is null", f"{name!r} is null") for name in names]
        return distinct([*numbers, *levels, *nulls])

    @property
    def n_columns(self) -> int:
        """Number of columns, without the target."""
        return len(self.numeric) + sum(c.width for c in self.categories)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features."""
        return self.numeric + tuple(c.name for c in self.categories)

    @cached_property
    def stored(self) -> tuple[str, ...]:
        """Names of the columns of the data that they are made of."""
        return stored(self.features, self.dates, self.vectors)

    def elements(self) -> dict[str, Elements]:
        """The numeric features that are elements of vectors, by the vector's column."""
        return self._elements

    @cached_property
    def _elements(self) -> dict[str, Elements]:
        return elements(self.numeric, self.vectors)

    @cached_property
    def scalars(self) -> tuple[str, ...]:
        """The numeric features that are no elements of vectors."""
        return without_elements(self.numeric, self.vectors)

    @cached_property
    def place(self) -> dict[str, int]:
        """Where each numeric feature is among them."""
        return {name: j for j, name in enumerate(self.numeric)}

    def places(self, numeric: tuple[str, ...]) -> Places:
        """Where some numeric features are among them."""
        return np.array([self.place[name] for name in numeric], np.intp)

    def has(self, wanted: "Columns") -> bool:
        """Whether it has every feature of others, of the same parts of dates and vectors."""
        own = {vector.column: vector for vector in self.vectors}
        return (
            self.place.keys() >= set(wanted.numeric)
            and {c.name for c in self.categories} >= {c.name for c in wanted.categories}
            and set(wanted.dates) <= set(self.dates)
            and all(v.column in own and own[v.column].has(v) for v in wanted.vectors)
        )

    def with_numeric(self, names: Iterable[str]) -> "Columns":
        """The same categories with some of the numeric columns."""
        return self.only(frozenset(names) | {c.name for c in self.categories})

    def spans(self) -> tuple[tuple[str, slice], ...]:
        """Each feature with the columns that belong to it."""
        spans = [(name, slice(j, j + 1)) for j, name in enumerate(self.numeric)]
        start = len(self.numeric)
        for category in self.categories:
            spans.append((category.name, slice(start, start + category.width)))
            start += category.width
        return tuple(spans)

    def columns_of(self, name: str) -> NDArray[np.intp]:
        """The columns that belong to a feature, or to all elements of a vector."""
        if name in (vector.column for vector in self.vectors):
            return self.elements()[name].places
        if name in self.place:
            return np.array([self.place[name]], np.intp)
        span = dict(self.spans())[name]
        return np.arange(span.start, span.stop)

    def only(self, features: Collection[str]) -> "Columns":
        """These features alone, in the same order."""
        numeric = tuple(name for name in self.numeric if name in features)
        kept = elements(numeric, self.vectors)
        return Columns(
            numeric,
            tuple(c for c in self.categories if c.name in features),
            tuple(date for date in self.dates if date.name in features),
            tuple(v.only(kept[v.column].indices) for v in self.vectors if v.column in kept),
        )


_Runs = tuple[str | int, ...]
"""Names; a number stands for all names of the vector that has it."""


def _runs(numeric: tuple[str, ...], vectors: Sequence[Vector]) -> _Runs:
    whole = {vector.all_within(numeric): number for number, vector in enumerate(vectors)}
    runs: list[str | int] = []
    start = 0
    for first, number in sorted((at, number) for at, number in whole.items() if at is not None):
        runs += [*numeric[start:first], number]
        start = first + len(vectors[number].names)
    return (*runs, *numeric[start:])


@lru_cache(maxsize=8)
def _columns_of_runs(
    runs: _Runs,
    categories: tuple[Category, ...],
    dates: tuple[DateFeature, ...],
    vectors: tuple[Vector, ...],
) -> Columns:
    """The same object for all tasks of a process, with what it has found."""
    parts = (vectors[run].names if isinstance(run, int) else (run,) for run in runs)
    return Columns(tuple(chain.from_iterable(parts)), categories, dates, vectors)


def distinct(spellings: Sequence[Spellings]) -> tuple[str, ...]:
    """A label for each that no other has.

    Examples
    --------
    >>> distinct([("a", "'a'"), ("b", "'b'"), ("(other)", "'(other)'"), ("(other)", "(other)")])
    ('a', 'b', "'(other)'", '(other)')
    """
    usual = Counter(label for label, _ in spellings)
    taken = {label for label, n in usual.items() if n == 1}
    labels = []
    for label, instead in spellings:
        if usual[label] > 1:
            endings = (f" ({n})" if n > 1 else "" for n in count(1))
            label = next(instead + end for end in endings if instead + end not in taken)
            taken.add(label)
        labels.append(label)
    return tuple(labels)


def stored(
    features: Sequence[str], dates: Iterable[DateFeature], vectors: Sequence[Vector] = ()
) -> tuple[str, ...]:
    """The columns that features are made of: a part's date, an element's vector, or themselves."""
    made_of = {date.name: date.column for date in dates}
    column, others = {}, np.ones(len(features), np.bool_)
    for name, within in elements(features, vectors).items():
        column[int(within.places[0])], others[within.places] = name, False
    for place in np.flatnonzero(others).tolist():
        column[place] = made_of.get(features[place], features[place])
    return tuple(dict.fromkeys(column[place] for place in sorted(column)))
