"""Lays rows out as a matrix of their features, and finds other features in such a matrix."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.columns import Category, Columns


def lay_out(
    values: NDArray[np.float64],
    columns: Columns,
    block: Block,
    *,
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
    if not columns.has(wanted):
        return None
    codes = []
    for category in wanted.categories:
        own, indicators = known.get(category.name), values[place[category.name]]
        if own is None:
            return None
        lookup = lookup_of(own, category, hidden=bool(own.other and indicators[-1].any()))
        if lookup is None:
            return None
        theirs = lookup[indicators.argmax(axis=0)]
        codes.append(np.where(indicators.any(axis=0), theirs, lookup[-1]))
    numeric = tuple(values[place[name].start] for name in wanted.numeric)
    return Block(values.shape[1], numeric, tuple(codes))


def hidden_rows(
    values: NDArray[np.float64], columns: Columns, wanted: Columns
) -> NDArray[np.bool_]:
    """Which rows of a matrix are in an ``(other)`` that may hide a level that is wanted by itself.

    Of all other rows `block_of` finds the features, if it can be found among these columns at all.

    Parameters
    ----------
    values, columns, wanted
        As for `block_of`.
    """
    place, known = dict(columns.spans()), {each.name: each for each in columns.categories}
    hidden = np.zeros(values.shape[1], np.bool_)
    for category in wanted.categories:
        own = known.get(category.name)
        if own is not None and own.other and not {*category.levels} <= {*own.levels}:
            hidden |= values[place[category.name].stop - 1] > 0
    return hidden


def lookup_of(own: Category, wanted: Category, *, hidden: bool) -> NDArray[np.int32] | None:
    """For each indicator that a matrix has of a category, and for none, the wanted one's index.

    Parameters
    ----------
    own, wanted : Category
    hidden : bool
        Whether some rows are in the matrix's ``(other)``.

    Returns
    -------
    ndarray of int32, shape (own.width + 1,), or None
        -1 where no wanted indicator is 1. None if the types differ, or hidden rows might be of a
        wanted level.
    """
    if own.type != wanted.type or (hidden and not set(wanted.levels) <= set(own.levels)):
        return None
    rest = wanted.width - 1 if wanted.other else -1
    code = {level: i for i, level in enumerate(wanted.levels)}
    known = [code.get(level, rest) for level in own.levels] + [rest] * own.other
    return np.array([*known, rest], np.int32)
