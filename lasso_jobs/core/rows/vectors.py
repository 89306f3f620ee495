"""Names the elements of columns of vectors, each of which is a numeric feature.

There may be a million names. What all of them are asked is answered once, and for vectors whose
elements are all features, as they mostly are, without a look at each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Vector:
    """A column of the data that has a vector in each row, all of one length.

    Parameters
    ----------
    column : str
    length : int

    Examples
    --------
    >>> Vector("embedding", 2).names
    ('embedding[0]', 'embedding[1]')
    """

    column: str
    length: int

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features that its elements are."""
        return _names_of(self)

    def all_within(self, names: Sequence[str]) -> int | None:
        """Where all of its names are in others, one after the other; None if they are not so."""
        if not 0 < self.length <= len(names) or self.names[0] not in names:
            return None
        first = names.index(self.names[0])
        return first if tuple(names[first : first + self.length]) == self.names else None


@lru_cache(maxsize=8)
def _names_of(vector: Vector) -> tuple[str, ...]:
    return tuple(f"{vector.column}[{index}]" for index in range(vector.length))


def as_slice(places: Places) -> slice | Places:
    """The same as a slice, which copies nothing, where they follow each other.

    Examples
    --------
    >>> as_slice(np.array([4, 5, 6])), as_slice(np.array([4, 6]))
    (slice(4, 7, None), array([4, 6]))
    """
    if len(places) and (np.diff(places) == 1).all():
        return slice(int(places[0]), int(places[-1]) + 1)
    return places


def within(places: Places, wanted: Places) -> Places | None:
    """Where some places are in an ascending list of places; None if one is not.

    Examples
    --------
    >>> within(np.array([3, 5, 8]), np.array([8, 5])), within(np.array([3, 5, 8]), np.array([9]))
    (array([2, 1]), None)
    """
    at = np.searchsorted(places, wanted)
    there = at.max(initial=0) < len(places) and np.array_equal(places[at], wanted)
    return at if there else None


class Elements(NamedTuple):
    """Some elements of a vector.

    Parameters
    ----------
    places : ndarray
        Where they are among the features.
    indices : ndarray
        Which of the vector's elements they are.
    """

    places: Places
    indices: Places


def vector_and_index(name: str) -> tuple[str, int] | None:
    """The column and the index that an element's name has; None of another name.

    Examples
    --------
    >>> vector_and_index("embedding[17]"), vector_and_index("embedding[017]")
    (('embedding', 17), None)
    """
    column, _, index = name[:-1].rpartition("[")
    if name.endswith("]") and index.isdecimal() and name == f"{column}[{int(index)}]":
        return column, int(index)
    return None


def elements(names: Sequence[str], vectors: Sequence[Vector]) -> dict[str, Elements]:
    """The features that are elements of vectors, by the vector's column.

    Examples
    --------
    >>> elements(["price", "v[1]"], [Vector("v", 2)])["v"]
    Elements(places=array([1]), indices=array([1]))
    """
    found = {}
    for vector in vectors:
        first = vector.all_within(names)
        if first is not None:
            every = np.arange(vector.length)
            found[vector.column] = Elements(first + every, every)
            continue
        named = ((place, vector_and_index(name)) for place, name in enumerate(names))
        pairs = [(place, of[1]) for place, of in named if of and of[0] == vector.column]
        if pairs:
            found[vector.column] = Elements(*np.array(pairs, np.intp).T)
    return found


def without_elements(names: Sequence[str], vectors: Sequence[Vector]) -> tuple[str, ...]:
    """The names that are not of elements of these vectors."""
    others = np.ones(len(names), np.bool_)
    for within in elements(names, vectors).values():
        others[within.places] = False
    return tuple(names[place] for place in np.flatnonzero(others).tolist())
