"""Names the elements of columns of vectors, each of which is a numeric feature.

There may be a million names. What all of them are asked is answered once, and for vectors whose
elements are all features, as they mostly are, without a look at each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.intp]


TokensHow = Literal["words", "items", "value"]
TokensCount = Literal["counts", "binary", "tf"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """How the tokens of a row become a sparse vector.

    Parameters
    ----------
    how : {"words", "items", "value"}
        Whether the tokens are the words of a text, the items of a list, or the value itself.
    count : {"counts", "binary", "tf"}
        Whether an element is the number of times that the row has the token, or 1, or the share of
        the token in all tokens of the row.
    """

    how: TokensHow
    count: TokensCount = "counts"


@dataclass(frozen=True, slots=True)
class Vector:
    """A column of the data that has a vector in each row, all of one length.

    Parameters
    ----------
    column : str
    length : int
    own : tuple of str or None
        Names of elements; None where they are called by their indices.
    at : tuple of int or None
        The indices of the elements that have these names; None if all have one, in their order.
    tokens : Tokens or None
        How the vectors are made of tokens, where the column has those. The names are tokens then;
        without names, a hash of a token says its element.

    Examples
    --------
    >>> Vector("embedding", 2).names
    ('embedding[0]', 'embedding[1]')
    >>> Vector("review", 2, ("bad", "good")).names
    ('review[bad]', 'review[good]')
    """

    column: str
    length: int
    own: tuple[str, ...] | None = None
    at: tuple[int, ...] | None = None
    tokens: Tokens | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # As one text, names travel at a tenth of the cost, and each process takes them apart once.
        lengths = None if self.own is None else np.array([*map(len, self.own)], np.int32).tobytes()
        text = "".join(self.own or ())
        own = None if lengths is None else (text, lengths, self.at)
        return _vector_of, (self.column, self.length, own, self.tokens)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features that its elements are."""
        return _names_of(self)

    @property
    def indices(self) -> Places:
        """The indices of the elements that have these names."""
        return np.arange(self.length) if self.at is None else np.array(self.at, np.intp)

    def all_within(self, names: Sequence[str]) -> int | None:
        """Where all of its names are in others, one after the other; None if they are not so."""
        n = self.length if self.own is None else len(self.own)
        if not 0 < n <= len(names) or self.names[0] not in names:
            return None
        first = names.index(self.names[0])
        return first if tuple(names[first : first + n]) == self.names else None

    def only(self, indices: Places) -> "Vector":
        """The same without the names of other elements; of tokens, without other tokens."""
        if self.own is None or len(indices) == len(self.own):
            return self
        at = tuple(indices.tolist())
        name_at = self.own if self.at is None else dict(zip(self.at, self.own, strict=True))
        own = tuple(name_at[index] for index in at)
        if self.tokens is not None:
            return replace(self, length=len(own), own=own)
        return replace(self, own=own, at=at)

    def has(self, other: "Vector") -> bool:
        """Whether the elements of another vector are its own, those of the same names."""
        if self.tokens != other.tokens or (self.own is None) != (other.own is None):
            return False
        if self.own is None:
            return self.tokens is None or self.length == other.length
        if self.tokens is not None:
            return True
        place = dict(zip(self.own, self.indices.tolist(), strict=True))
        theirs = zip(other.own or (), other.indices.tolist(), strict=True)
        return all(place.get(name) == index for name, index in theirs)


@lru_cache(maxsize=8)
def _names_of(vector: Vector) -> tuple[str, ...]:
    own = range(vector.length) if vector.own is None else vector.own
    return tuple(f"{vector.column}[{name}]" for name in own)


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


@lru_cache(maxsize=8)
def _index_of(vector: Vector) -> dict[str, int]:
    """The index of each of its names."""
    return dict(zip(vector.names, vector.indices.tolist(), strict=True))


@lru_cache(maxsize=8)
def _vector_of(
    column: str,
    length: int,
    names: tuple[str, bytes, tuple[int, ...] | None] | None,
    tokens: Tokens | None,
) -> Vector:
    if names is None:
        return Vector(column, length, tokens=tokens)
    text, lengths, at = names
    ends = np.cumsum(np.frombuffer(lengths, np.int32), dtype=np.int64).tolist()
    own = tuple(text[start:end] for start, end in zip([0, *ends], ends, strict=False))
    return Vector(column, length, own, at, tokens=tokens)


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
            indices = vector.indices
            found[vector.column] = Elements(first + np.arange(len(indices)), indices)
        elif pairs := _some_within(names, vector):
            found[vector.column] = Elements(*np.array(pairs, np.intp).T)
    return found


def _some_within(names: Sequence[str], vector: Vector) -> list[tuple[int, int]]:
    """Where the names of elements are, and the indices of these."""
    if vector.own is not None:
        index = _index_of(vector)
        return [(place, index[name]) for place, name in enumerate(names) if name in index]
    named = ((place, vector_and_index(name)) for place, name in enumerate(names))
    return [(place, of[1]) for place, of in named if of and of[0] == vector.column]


def without_elements(names: Sequence[str], vectors: Sequence[Vector]) -> tuple[str, ...]:
    """The names that are not of elements of these vectors."""
    others = np.ones(len(names), np.bool_)
    for within in elements(names, vectors).values():
        others[within.places] = False
    return tuple(names[place] for place in np.flatnonzero(others).tolist())
