"""Names the elements of columns of vectors, each of which is a numeric feature."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
        return tuple(f"{self.column}[{index}]" for index in range(self.length))


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


def without_elements(names: Iterable[str], vectors: Sequence[Vector]) -> tuple[str, ...]:
    """The names that are not of elements of these vectors."""
    columns = {vector.column for vector in vectors}
    if not columns:
        return tuple(names)
    each = ((name, vector_and_index(name)) for name in names)
    return tuple(name for name, element in each if not (element and element[0] in columns))


def elements(names: Iterable[str], vectors: Sequence[Vector]) -> dict[str, Elements]:
    """The features that are elements of vectors, by the vector's column.

    Examples
    --------
    >>> elements(["price", "v[1]"], [Vector("v", 2)])["v"]
    Elements(places=array([1]), indices=array([1]))
    """
    found: dict[str, list[tuple[int, int]]] = {vector.column: [] for vector in vectors}
    for place, name in enumerate(names if vectors else ()):
        element = vector_and_index(name)
        if element is not None and element[0] in found:
            found[element[0]].append((place, element[1]))
    return {
        column: Elements(*np.array(pairs, np.intp).T) for column, pairs in found.items() if pairs
    }
