"""Decodes the numeric features of training rows, each when it is asked for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lasso_jobs.core.rows.blocks.block import Together
from lasso_jobs.core.rows.blocks.sparse import Places, SparseColumns
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.core.rows.vectors import Vector, within
from lasso_jobs.data import arrays, blocks
from lasso_jobs.data.dataset import Piece
from lasso_jobs.data.vectors.values import ElementsInTurn, VectorValues, check_vectors
from lasso_jobs.errors import DataError
from lasso_jobs.training.read.reading import Reading


class Numbers(Together):
    """The numeric features of some rows; each is decoded and checked when it is asked for.

    Parameters
    ----------
    piece : Piece
    rows : Rows
    table : pyarrow.Table
        The rows that are kept.
    reading : Reading
    kept : ndarray of bool or None
        Which of ``rows`` they are; None for all.
    positions : ndarray of int64
        Of the rows that are kept.
    others : ndarray of bool, optional
        Which of ``rows`` are without an outcome: of a column that is read when it is asked for,
        their values are set aside, so that it is read once.
    """

    def __init__(
        self,
        piece: Piece,
        rows: blocks.Rows,
        table: pa.Table,
        *,
        reading: Reading,
        kept: NDArray[np.bool_] | None,
        positions: NDArray[np.int64],
        others: NDArray[np.bool_] | None = None,
    ) -> None:
        self._piece, self._rows, self._table = piece, rows, table
        self.reading, self._kept = reading, kept
        self._others, self.aside = others, dict[str, Floats]()
        self._later = frozenset(reading.later())
        self._elements: list[tuple[Places, Sequence[Floats]]] = []
        self.sparse: tuple[SparseColumns, ...] = ()
        elements = reading.columns.elements()
        for vector in reading.columns.vectors:
            column = table.column(vector.column)
            vectors = VectorValues(column, vector)
            self._check_vectors(column, vectors, vector, positions)
            wanted = elements[vector.column]
            if vector.column in reading.sparse and vectors.are_sparse:
                columns = vectors.columns(wanted)
                self._elements.append((wanted.places, columns))
                self._check_entries(columns)
                self.sparse += (columns.thin(),)
            else:
                in_turn = ElementsInTurn(vectors, wanted.indices)
                self._elements.append((wanted.places, in_turn))

    def __len__(self) -> int:
        return len(self.reading.columns.numeric)

    def __getitem__(self, j: Any) -> Any:
        name, values = self.reading.columns.numeric[j], self._element(j)
        if values is None and name in self._later:
            every = self._rows.later(name)
            if self._others is not None:
                self.aside[name] = every[self._others]
            values = every if self._kept is None else every[self._kept]
        elif values is None:
            values = arrays.numbers(self._table.column(name))
        self._check(name, values)
        return values

    def several(self, places: Places) -> Any:
        """Those at some places, at once where they are elements of one column, or decoded later."""
        values = self._together(places)
        if (
            values is not None
            and arrays.out_of_range(values.ravel()) is None
            and (self.reading.nulls_allowed or not np.isnan(values).any())
        ):
            return values
        # One by one, also to name what is refused.
        return np.stack([self[j] for j in places.tolist()])

    def _together(self, places: Places) -> Any:
        for own, columns in self._elements:
            at = within(own, places)
            if isinstance(columns, Together) and at is not None:
                return columns.several(at)
        numeric = self.reading.columns.numeric
        names = [numeric[j] for j in places.tolist()]
        if not self._later.issuperset(names):
            return None
        every = self._rows.later.several(names)
        if self._others is not None:
            self.aside.update(zip(names, every[:, self._others].astype(float), strict=True))
        return every if self._kept is None else every[:, self._kept]

    def _check_vectors(
        self,
        column: pa.ChunkedArray,
        vectors: VectorValues,
        vector: Vector,
        positions: NDArray[np.int64],
    ) -> None:
        path = self._piece.file.path
        check_vectors(path, column, vectors, vector=vector, positions=positions)

    def _element(self, j: int) -> Floats | None:
        """A column that is an element of vectors."""
        for places, columns in self._elements:
            k = int(np.searchsorted(places, j))
            if k < len(places) and places[k] == j:
                return columns[k]
        return None

    def _check_entries(self, columns: SparseColumns) -> None:
        """Check columns by their entries; the first that is refused is so as if laid out."""
        values = columns.values.astype(float)
        refused = np.zeros(len(values), np.bool_)
        beyond = arrays.out_of_range(values)
        if beyond is not None:
            refused |= beyond
        if not self.reading.nulls_allowed:
            refused |= np.isnan(values)
            if columns.nulls.any():
                self[int(columns.places[0])]
        if refused.any():
            entry = int(np.flatnonzero(refused)[0])
            self[int(columns.places[np.searchsorted(columns.starts, entry, "right") - 1])]

    def _check(self, name: str, values: Floats) -> None:
        check_finite(self._piece, name, values, excludable=name != self.reading.offset)
        if not self.reading.nulls_allowed and np.isnan(values).any():
            raise DataError(
                f"{self._piece.file.path}, column {name!r}",
                "has nulls",
                "none, as preprocess.missing is error",
                "Set it to mean, indicator or drop, or exclude the column",
            )


class UncheckedNumbers(Numbers):
    """Those of rows that are not trained on, whose faults stop no training: they are as nulls."""

    def __init__(
        self,
        numbers: Numbers,
        table: pa.Table,
        *,
        kept: NDArray[np.bool_],
        positions: NDArray[np.int64],
    ) -> None:
        super().__init__(
            numbers._piece,
            numbers._rows,
            table,
            reading=numbers.reading,
            kept=kept,
            positions=positions,
        )
        self.aside = numbers.aside

    def __getitem__(self, j: Any) -> Any:
        values = self.aside.pop(self.reading.columns.numeric[j], None)
        values = super().__getitem__(j) if values is None else values
        beyond = arrays.out_of_range(values)
        return values if beyond is None else np.where(beyond, np.nan, values)

    def several(self, places: Places) -> Any:
        """Those at some places."""
        return np.stack([self[j] for j in places.tolist()])

    def _check(self, name: str, values: Floats) -> None:
        pass

    def _check_entries(self, columns: SparseColumns) -> None:
        pass

    def _check_vectors(
        self,
        column: pa.ChunkedArray,
        vectors: VectorValues,
        vector: Vector,
        positions: NDArray[np.int64],
    ) -> None:
        pass


def check_finite(piece: Piece, name: str, values: Floats, *, excludable: bool) -> None:
    """Refuse values that are infinite or too large.

    Raises
    ------
    DataError
    """
    remedy = "Mend the file, or filter the rows with data.where"
    if excludable:
        remedy += ", or exclude the column with features.exclude"
    arrays.check_range(f"{piece.file.path}, column {name!r}", values, remedy=remedy)
