"""Reads the elements of vectors: lists of numbers, and sparse vectors, which stay sparse.

A row without a vector has a null in every element; an element that is null, or NaN, is null by
itself. What a sparse vector does not list is zero.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lasso_jobs.core.rows.blocks.block import Together
from lasso_jobs.core.rows.blocks.sparse import SparseColumns
from lasso_jobs.core.rows.vectors import Elements, Places, Vector
from lasso_jobs.data.vectors.arrays import DENSE, Entries, Floats, Mask, decoded
from lasso_jobs.data.vectors.tokens import entries_of
from lasso_jobs.errors import DataError

AT_ONCE = 64
"""Elements that are laid out together: a row's neighbours are in one line of the cache."""


class VectorValues:
    """The vectors of some rows.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
    vector : Vector
        A row of another length is as one without a vector, and in `unfit`.
    """

    def __init__(self, column: pa.ChunkedArray, vector: Vector) -> None:
        self._length = vector.length
        if vector.tokens is None:
            parts = [decoded(chunk, vector.length) for chunk in column.chunks]
        else:
            every = [entries_of(chunk, vector, vector.tokens) for chunk in column.chunks]
            parts = [(entries, np.zeros(len(entries.nulls), np.bool_)) for entries in every]
        self._parts = [part for part, _ in parts]
        self.unfit: Mask = np.concatenate([np.zeros(0, np.bool_), *(wrong for _, wrong in parts)])

    def dense(self, wanted: NDArray[np.intp]) -> Floats:
        """Some elements, shape (n_wanted, n); null is NaN."""
        values, start = np.empty((len(wanted), len(self.unfit))), 0
        for part in self._parts:
            end = start + len(part.nulls)
            values[:, start:end] = part.dense(wanted, self._length)
            start = end
        return values

    @property
    def are_sparse(self) -> bool:
        """Whether they are sparse, and no lists."""
        return all(isinstance(part, Entries) for part in self._parts)

    def entries(self) -> Entries:
        """The entries of sparse vectors, of which none is laid out.

        Raises
        ------
        TypeError
            If they are lists.
        """
        if not self.are_sparse:
            raise TypeError("lists have no entries")
        parts = [part for part in self._parts if isinstance(part, Entries)]
        counts = [np.diff(part.starts) for part in parts]
        return Entries(
            starts=np.cumsum(np.concatenate([np.zeros(1, np.int64), *counts])),
            indices=np.concatenate([np.zeros(0, np.int64), *(part.indices for part in parts)]),
            values=np.concatenate([np.zeros(0), *(part.values for part in parts)]),
            nulls=np.concatenate([np.zeros(0, np.bool_), *(part.nulls for part in parts)]),
        )

    def columns(self, wanted: Elements) -> SparseColumns:
        """Some elements of sparse vectors, by their columns.

        Raises
        ------
        TypeError
            If they are lists.
        """
        return self.entries().columns(wanted, self._length)


class ElementsInTurn(Together):
    """Some elements of vectors, of which a few are laid out when the first of them is asked for."""

    def __init__(self, values: VectorValues, indices: NDArray[np.intp]) -> None:
        self._values, self._indices = values, indices
        self._first, self._laid_out = -1, np.empty((0, 0))

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, k: Any) -> Any:
        first = k - k % AT_ONCE
        if first != self._first:
            self._laid_out = self._values.dense(self._indices[first : first + AT_ONCE])
            self._first = first
        return self._laid_out[k - first]

    def several(self, places: Places) -> Floats:
        """Some of them, which are laid out at once."""
        return self._values.dense(self._indices[places])


def check_vectors(
    where: str,
    column: pa.ChunkedArray,
    values: VectorValues,
    *,
    vector: Vector,
    positions: Sequence[int] | NDArray[np.int64],
) -> None:
    """Refuse rows of another length.

    Parameters
    ----------
    where : str
        The file, or what else the rows are of.
    column : pyarrow.ChunkedArray
    values : VectorValues
        The same, decoded.
    vector : Vector
    positions : sequence of int
        Where the rows are in it, from 0 on.

    Raises
    ------
    DataError
        With the first of them.
    """
    if not values.unfit.any():
        return
    row = int(values.unfit.argmax())
    raise DataError(
        f"{where}, column {vector.column!r}, row {positions[row]:,}",
        fault_of(column[row].as_py(), vector.length),
        f"a vector of length {vector.length:,}, as in the other rows",
        "Mend the file, or filter the row out, or leave the column out",
    )


def length_of(value: Any) -> int | None:
    """The length that one row's vector states, if it does.

    Examples
    --------
    >>> length_of([1.0, 2.0]), length_of({"size": 9, "indices": [], "values": []})
    (2, 9)
    """
    if isinstance(value, dict):
        is_dense = value.get("type") == DENSE and value["values"] is not None
        return len(value["values"]) if is_dense else value.get("size")
    is_map = any(isinstance(each, tuple) for each in value)
    return None if is_map else len(value)


def fault_of(value: Any, length: int) -> str:
    """What is wrong with one row's vector.

    Examples
    --------
    >>> fault_of([1.0, 2.0], 3)
    'has a vector of length 2'
    >>> fault_of([(7, 1.0)], 3)
    'has the index 7'
    """
    if (own := length_of(value)) not in (None, length):
        return f"has a vector of length {own:,}"
    if isinstance(value, dict):
        indices, values = value["indices"], value["values"]
        if indices is None or values is None or len(indices) != len(values):
            return f"has {len(indices or ())} indices and {len(values or ())} values"
    else:
        indices = [index for index, _ in value]
    for place, index in enumerate(indices):
        if index is None or not 0 <= index < length:
            return f"has the index {index}"
        if index in indices[:place]:
            return f"has the index {index} twice"
    return "cannot be read"
