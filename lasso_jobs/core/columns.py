"""What the columns of a matrix mean: numeric features, indicators of levels, the target."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

OTHER = "(other)"
NULL = "(null)"

LevelType = Literal["string", "boolean", "integer"]


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
class Columns:
    """The features of a model, in the order of the matrix: numeric ones, then indicators."""

    numeric: tuple[str, ...]
    categories: tuple[Category, ...]

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
        """Names of the features as the data has them."""
        return self.numeric + tuple(c.name for c in self.categories)

    def spans(self) -> tuple[tuple[str, slice], ...]:
        """Each feature with the columns that belong to it."""
        spans = [(name, slice(j, j + 1)) for j, name in enumerate(self.numeric)]
        start = len(self.numeric)
        for category in self.categories:
            spans.append((category.name, slice(start, start + category.width)))
            start += category.width
        return tuple(spans)


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
