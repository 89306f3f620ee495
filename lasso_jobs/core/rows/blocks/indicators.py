"""Columns of categories: an indicator of each level, of which a row has one at most.

Levels that few rows have are taken by their entries. A category of few levels is laid out: in each
row one of them is 1, and to multiply whole columns is faster.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.blocks.block import CHUNK_VALUES, Block
from lasso_jobs.core.rows.blocks.matrix import lookup_of
from lasso_jobs.core.rows.blocks.sparse import MOST_ENTRIES, Places, SparseColumns
from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.core.rows.moments import Floats

Codes = NDArray[np.int32]


def by_entries(block: Block, columns: Columns, wanted: range) -> Iterator[SparseColumns]:
    """Those of the wanted columns that are levels of categories of many, by their entries."""
    for codes, places in _wanted(block, columns, wanted, laid_out=False):
        yield SparseColumns.of_codes(codes, np.arange(places.start, places.stop))


def laid_out(
    block: Block, columns: Columns, wanted: range, order: Places | None = None
) -> Iterator[tuple[Places, Floats]]:
    """Those of the wanted columns that are levels of categories of few, some at a time.

    Parameters
    ----------
    block : Block
    columns : Columns
        Of the block.
    wanted : range
    order : ndarray of intp, shape (n,), optional
        The rows to take, in this order.

    Yields
    ------
    places : ndarray of intp, shape (k,)
    values : ndarray, shape (k, n)
        Which the next ones overwrite.
    """
    most = max(1, CHUNK_VALUES // max(block.n_rows, 1))
    room, found = np.empty((0, block.n_rows)), list[int]()
    for codes, places in _wanted(block, columns, wanted, laid_out=True):
        ordered = codes if order is None else codes[order]
        for code, place in enumerate(places):
            if not len(room):
                room = np.empty((min(most, len(wanted)), block.n_rows))
            np.equal(ordered, code, out=room[len(found)], casting="unsafe")
            found.append(place)
            if len(found) == len(room):
                yield np.array(found, np.intp), room
                found = []
    if found:
        yield np.array(found, np.intp), room[: len(found)]


def _wanted(
    block: Block, columns: Columns, wanted: range, *, laid_out: bool
) -> Iterator[tuple[Codes, range]]:
    """Of each category, the codes from its first wanted column on, and where those columns are."""
    start = len(columns.numeric)
    for category, codes in zip(columns.categories, block.codes, strict=True):
        places = range(max(start, wanted.start), min(start + category.width, wanted.stop))
        if len(places) and (category.width * MOST_ENTRIES <= 1) == laid_out:
            yield codes - np.int32(places.start - start), places
        start += category.width


def split(block: Block, columns: Columns) -> tuple[Block, Columns, list[SparseColumns]]:
    """The columns that are laid out, and those that their entries are enough of, as `Block.split`.

    Parameters
    ----------
    block : Block
    columns : Columns
        Of the block.

    Returns
    -------
    Block
        With the codes of the levels that too many rows have.
    Columns
        Its categories, of those levels alone.
    list of SparseColumns
        Numbers, and levels.
    """
    rest, entries = block.split()
    start, categories, codes = len(block.numeric), list[Category](), list[Codes]()
    for category, own in zip(columns.categories, block.codes, strict=True):
        n_levels, width = len(category.levels), category.width
        thin = SparseColumns.of_codes(own, start + np.arange(width)).thin()
        entries += [thin] if len(thin) else []
        kept = np.delete(np.arange(width), thin.places - start)
        if len(kept):
            levels = tuple(category.levels[i] for i in kept.tolist() if i < n_levels)
            categories.append(replace(category, levels=levels, other=int(kept[-1]) == n_levels))
            lookup = np.full(width + 1, -1, np.int32)
            lookup[kept] = np.arange(len(kept))
            codes.append(lookup[own])
        start += width
    rest = replace(rest, codes=tuple(codes))
    return rest, replace(columns, categories=tuple(categories)), entries


def codes_of(block: Block, columns: Columns, wanted: Columns) -> tuple[Codes, ...]:
    """The codes of rows as they are among other levels of the same categories.

    Parameters
    ----------
    block : Block
    columns : Columns
        Of the block.
    wanted : Columns
        Where it has ``(other)``, that is every level that it does not list.
    """
    own = {c.name: (c, codes) for c, codes in zip(columns.categories, block.codes, strict=True)}
    found = []
    for category in wanted.categories:
        listed, codes = own[category.name]
        lookup = None if listed == category else lookup_of(listed, category, hidden=False)
        found.append(codes if lookup is None else lookup[codes])
    return tuple(found)
