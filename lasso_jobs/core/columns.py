"""What the columns of a matrix mean: numeric features, indicators of levels, the target."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

OTHER = "(other)"
NULL = "(null)"

LevelType = Literal["string", "boolean", "integer"]
DatePart = Literal["year", "month", "weekday", "hour", "day_of_year"]


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
        shown = [NULL if level is None else level for level in self.levels]
        return tuple(f"{self.name}={level}" for level in shown + [OTHER] * self.other)


@dataclass(frozen=True, slots=True)
class DateFeature:
    """A part of a date, taken for a feature."""

    column: str
    part: DatePart

    @property
    def name(self) -> str:
        """The feature's name, such as ``sold.month``."""
        return f"{self.column}.{self.part}"


@dataclass(frozen=True, slots=True)
class Columns:
    """The features of a model, in the order of the matrix: numeric ones, then indicators.

    Parameters
    ----------
    numeric : tuple of str
    categories : tuple of Category
    dates : tuple of DateFeature
        Those of the features that the data does not have, but the dates that they are parts of.
    """

    numeric: tuple[str, ...]
    categories: tuple[Category, ...]
    dates: tuple[DateFeature, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """One label per column of the matrix, without the target."""
        return self.numeric + tuple(label for c in self.categories for label in c.labels)

    @property
    def n_columns(self) -> int:
        """Number of columns, without the target."""
        return len(self.numeric) + sum(c.width for c in self.categories)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features."""
        return self.numeric + tuple(c.name for c in self.categories)

    @property
    def stored(self) -> tuple[str, ...]:
        """Names of the columns of the data that they are made of."""
        return stored(self.features, self.dates)

    def spans(self) -> tuple[tuple[str, slice], ...]:
        """Each feature with the columns that belong to it."""
        spans = [(name, slice(j, j + 1)) for j, name in enumerate(self.numeric)]
        start = len(self.numeric)
        for category in self.categories:
            spans.append((category.name, slice(start, start + category.width)))
            start += category.width
        return tuple(spans)


def stored(features: Iterable[str], dates: Iterable[DateFeature]) -> tuple[str, ...]:
    """The columns that features are made of: a part's date, and the others themselves."""
    made_of = {date.name: date.column for date in dates}
    return tuple(dict.fromkeys(made_of.get(name, name) for name in features))


@dataclass(frozen=True, slots=True)
class Block:
    """Rows in memory, one array per column.

    Parameters
    ----------
    n_rows : int
    numeric : sequence of ndarray of float64, shape (n_rows,)
        Null is NaN. An item may be made when it is asked for, so ask once.
    codes : tuple of ndarray of int32, shape (n_rows,)
        Per category the index of the row's indicator, or -1 where it has none.
    """

    n_rows: int
    numeric: Sequence[NDArray[np.float64]]
    codes: tuple[NDArray[np.int32], ...]


def fill(
    values: NDArray[np.float64],
    columns: Columns,
    block: Block,
    order: NDArray[np.intp],
    target: NDArray[np.float64] | None = None,
) -> Iterator[int]:
    """Lay out rows as one contiguous row of memory per column.

    Parameters
    ----------
    values : ndarray of float64, shape (n_columns [+ 1], n)
        Where to.
    columns, block
        The features and their values.
    order : ndarray of intp, shape (n,)
        The rows to take, in this order.
    target : ndarray, optional
        Becomes the last column.

    Yields
    ------
    int
        The number of each column when it has just been laid out, and is in the processor's cache.
    """
    for j, column in enumerate(block.numeric):
        np.take(column, order, out=values[j], mode="clip")
        yield j
    j = len(block.numeric)
    for category, codes in zip(columns.categories, block.codes, strict=True):
        ordered = codes[order]
        for code in range(category.width):
            np.equal(ordered, code, out=values[j], casting="unsafe")
            yield j
            j += 1
    if target is not None:
        np.take(target, order, out=values[j], mode="clip")
        yield j


def block_of(values: NDArray[np.float64], columns: Columns, wanted: Columns) -> Block | None:
    """The rows of a matrix as the features that a model wants.

    Parameters
    ----------
    values : ndarray, shape (n_columns [+ more], n)
    columns : Columns
        Of the matrix.
    wanted : Columns

    Returns
    -------
    Block or None
        None where a feature is not among the columns, or where rows in ``(other)`` might be of a
        level that is wanted by itself.
    """
    place = dict(columns.spans())
    known = {category.name: category for category in columns.categories}
    parts = set(columns.dates)
    if not set(wanted.features) <= set(place) or not set(wanted.dates) <= parts:
        return None
    codes = []
    for category in wanted.categories:
        own = known.get(category.name)
        if own is None or own.type != category.type:
            return None
        indicators = values[place[own.name]]
        if own.other and indicators[-1].any() and not set(category.levels) <= set(own.levels):
            return None
        lookup = lookup_of(own, category)
        theirs = lookup[indicators.argmax(axis=0)]
        codes.append(np.where(indicators.any(axis=0), theirs, lookup[-1]))
    numeric = tuple(values[place[name].start] for name in wanted.numeric)
    return Block(values.shape[1], numeric, tuple(codes))


def lookup_of(own: Category, wanted: Category) -> NDArray[np.int32]:
    """For each indicator that a matrix has of a category, and for none, the wanted one's index."""
    rest = wanted.width - 1 if wanted.other else -1
    code = {level: i for i, level in enumerate(wanted.levels)}
    known = [code.get(level, rest) for level in own.levels] + [rest] * own.other
    return np.array([*known, rest], np.int32)
