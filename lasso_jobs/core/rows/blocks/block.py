"""Rows in memory: numeric columns, laid out or by their entries, and codes of levels."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.blocks.sparse import SparseColumns
from lasso_jobs.core.rows.vectors import Places, as_slice, within

CHUNK_VALUES = 2**19
"""Columns are taken some at a time: as many as make 4 MB, which the processor's cache holds."""


class Together(Sequence[NDArray[np.float64]]):
    """Numeric columns that can be had one by one, or faster, several together."""

    @abstractmethod
    def several(self, places: Places) -> NDArray[Any]:
        """Those at some places, one per row of memory, of float64 or float32."""


def beside(sparse: Sequence[SparseColumns], n_columns: int) -> Places:
    """The columns that are not among sparse ones."""
    places = np.concatenate([np.empty(0, np.intp), *(each.places for each in sparse)])
    return np.delete(np.arange(n_columns), places)


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
    sparse : tuple of SparseColumns
        Numeric columns that can be had by their entries, too. Nobody has to take them so.
    """

    n_rows: int
    numeric: Sequence[NDArray[np.float64]]
    codes: tuple[NDArray[np.int32], ...]
    sparse: tuple[SparseColumns, ...] = ()

    def only(self, wanted: Places) -> "Block":
        """Some numeric columns, in this order, and all codes."""
        sparse = []
        for each in self.sparse:
            k = np.minimum(np.searchsorted(each.places, wanted), len(each) - 1)
            there = np.flatnonzero(each.places[k] == wanted) if len(each) else k[:0]
            sparse.append(replace(each.only(k[there]), places=there))
        return Block(self.n_rows, _Some(self, wanted), self.codes, tuple(sparse))

    def split(self) -> tuple["Block", list[SparseColumns]]:
        """The columns that are laid out, and those that their entries are enough of."""
        entries = [each.without_nulls() for each in self.sparse]
        others = beside(entries, len(self.numeric))
        if len(others) == len(self.numeric):
            return self, []
        return self.only(others), entries

    def laid_out(self) -> NDArray[np.intp]:
        """The numeric columns that can be had laid out alone."""
        return beside(self.sparse, len(self.numeric))

    def several(self, places: Places) -> NDArray[Any]:
        """Some numeric columns, at least one, as `Together.several`."""
        if isinstance(self.numeric, Together):
            return self.numeric.several(places)
        return np.stack([self.numeric[j] for j in places.tolist()])

    def chunks(self, width: int | None = None) -> Iterator[tuple[Places, NDArray[Any]]]:
        """The numeric columns that are laid out, some at a time, with their places."""
        wanted, width = self.laid_out(), width or max(1, CHUNK_VALUES // max(self.n_rows, 1))
        for start in range(0, len(wanted), width):
            places = wanted[start : start + width]
            yield places, self.several(places)


class InParts(Together):
    """Numeric columns some of which are here and some there.

    Parameters
    ----------
    parts : sequence of (ndarray of intp, sequence)
        Places, ascending, and the columns at them; a matrix has one per row of memory.
    """

    def __init__(self, parts: Sequence[tuple[Places, Any]]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(len(places) for places, _ in self._parts)

    def __getitem__(self, j: Any) -> Any:
        for places, columns in self._parts:
            k = int(np.searchsorted(places, j))
            if k < len(places) and places[k] == j:
                return np.asarray(columns[k], float)
        raise IndexError(j)

    def several(self, places: Places) -> Any:
        """Of a matrix, no copy."""
        for own, columns in self._parts:
            at = within(own, places)
            if at is not None and isinstance(columns, np.ndarray):
                return columns[as_slice(at)]
        return np.stack([self[j] for j in places.tolist()])


class _Some(Together):
    """Some columns of a block, each made when it is asked for."""

    def __init__(self, block: Block, wanted: Places) -> None:
        self._block, self._wanted = block, wanted

    def __len__(self) -> int:
        return len(self._wanted)

    def __getitem__(self, j: Any) -> Any:
        return self._block.numeric[self._wanted[j]]

    def several(self, places: Places) -> Any:
        return self._block.several(self._wanted[places])
