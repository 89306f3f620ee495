"""Chooses the levels of the categories that have a coefficient of their own.

Moments list more levels than a model keeps, so that each fold can choose from its own training
rows. It sums the columns of all levels that it does not keep into that of ``(other)``: a
congruence ``T' S T``, where ``T`` has a single one in each row.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.core.rows.moments import Floats, Moments


@dataclass(frozen=True, slots=True)
class Grouping:
    """How the listed levels become those that are kept.

    Parameters
    ----------
    columns : Columns
        With the levels that are kept.
    owner : ndarray of intp, shape (n_listed,)
        Of each column of the moments, without the target, the column of ``columns`` that it is
        part of.
    """

    columns: Columns
    owner: NDArray[np.intp]

    def moments(self, rows: Moments) -> Moments:
        """Moments of the kept columns and the target."""
        n, q = self.columns.n_columns, rows.n_values
        if n == len(self.owner):
            return rows
        after = n + np.arange(len(rows.mean) - len(self.owner))  # the target, null indicators
        order, starts = _groups(np.concatenate([self.owner, after]))
        scatter = np.add.reduceat(rows.scatter[np.ix_(order, order)], starts, axis=0)
        scatter = np.add.reduceat(scatter, starts, axis=1)
        # All levels together are constant, which the sum of their products shows inexactly.
        whole = _without_levels(self.columns)
        scatter[whole] = scatter[:, whole] = 0.0
        return replace(
            rows,
            mean=np.add.reduceat(rows.mean[order], starts),
            scatter=scatter,
            low=np.minimum.reduceat(rows.low[order[:q]], starts[: n + 1]),
            high=np.maximum.reduceat(rows.high[order[:q]], starts[: n + 1]),
        )

    def values(self, values: Floats) -> Floats:
        """The kept columns of rows in memory, of shape (n_listed, n)."""
        if self.columns.n_columns == len(self.owner):
            return values
        order, starts = _groups(self.owner)
        return np.asarray(np.add.reduceat(values[order], starts, axis=0))


def _groups(owner: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """An order that puts the parts of each column together, and where each begins."""
    order = np.argsort(owner, kind="stable")
    return order, np.flatnonzero(np.diff(owner[order], prepend=-1))


def _without_levels(columns: Columns) -> list[int]:
    spans = dict(columns.spans())
    return [spans[c.name].start for c in columns.categories if not c.levels and c.other]


def choose(columns: Columns, rows: Moments, max_levels: int | None, min_count: int) -> Grouping:
    """Keep the most frequent levels of each category.

    Parameters
    ----------
    columns : Columns
        With all levels that the moments list.
    rows : Moments
        The training rows. A row counts by its weight.
    max_levels : int or None
        The most levels of a category to keep; of equally frequent ones the first.
    min_count : int
        The least rows of a level that is kept.
    """
    # Equal counts are equal shares but for rounding.
    shares = np.round(rows.mean, 12)
    least = min_count / rows.weight - 1e-12
    owner = list(range(len(columns.numeric)))
    categories: list[Category] = []
    for category, (_, span) in zip(
        columns.categories, columns.spans()[len(columns.numeric) :], strict=True
    ):
        kept = _kept(category, shares[span], max_levels, least)
        start = len(columns.numeric) + sum(c.width for c in categories)
        place = {level: start + k for k, level in enumerate(kept)}
        owner += [place.get(i, start + len(kept)) for i in range(category.width)]
        levels = tuple(category.levels[i] for i in kept)
        other = len(kept) < category.width
        categories.append(Category(category.name, levels, other, category.type))
    return Grouping(replace(columns, categories=tuple(categories)), np.array(owner, np.intp))


def some_columns(columns: Columns, chosen: NDArray[np.bool_]) -> Columns:
    """Some of the columns: numbers, or single levels, whose category then has no others.

    Parameters
    ----------
    columns : Columns
    chosen : ndarray of bool, shape (n_numeric,) or (n_columns,)
        Of the numeric columns, and then all levels are kept; or of all, which have no ``(other)``.

    Examples
    --------
    >>> store = Category("store", ("a", "b", "c"), other=False, type="string")
    >>> some_columns(Columns(("x", "y"), (store,)), np.array([1, 0, 0, 1, 1]) > 0).labels
    ('x', 'store=b', 'store=c')
    """
    n = len(columns.numeric)
    numeric = [columns.numeric[j] for j in np.flatnonzero(chosen[:n]).tolist()]
    if len(chosen) == n:
        return columns.with_numeric(numeric)
    kept: dict[str, Category] = {}
    for category, (_, span) in zip(columns.categories, columns.spans()[n:], strict=True):
        levels = tuple(category.levels[i] for i in np.flatnonzero(chosen[span]).tolist())
        if levels:
            kept[category.name] = replace(category, levels=levels)
    some = columns.only({*numeric, *kept})
    return replace(some, categories=tuple(kept.values()))


def with_other(columns: Columns, every: Columns) -> Columns:
    """The same columns, where the levels that a category lacks of all share ``(other)``."""
    widths = {category.name: category.width for category in every.categories}
    categories = tuple(replace(c, other=c.width < widths[c.name]) for c in columns.categories)
    return replace(columns, categories=categories)


def whole(columns: Columns) -> Grouping:
    """Keep every level that is listed."""
    return Grouping(columns, np.arange(columns.n_columns))


def _kept(
    category: Category, shares: Floats, max_levels: int | None, least: float
) -> tuple[int, ...]:
    listed = range(len(category.levels))
    frequent = [i for i in listed if shares[i] > 0 and shares[i] >= least]
    frequent = sorted(frequent, key=lambda i: -shares[i])[:max_levels]
    rest = sorted(set(listed) - set(frequent))
    if not category.other and not shares[rest].any():
        return tuple(listed)  # Levels without a row need no company.
    return tuple(sorted(frequent))
