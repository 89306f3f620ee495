"""Keeps the rows of a work unit decoded, where several scans look at them and memory holds them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lasso_jobs.core.rows.columns import Block, Columns, Together
from lasso_jobs.core.rows.sparse import Places, SparseColumns
from lasso_jobs.core.rows.vectors import as_slice, within
from lasso_jobs.data.dataset import WorkUnit
from lasso_jobs.training.read.reading import Reading
from lasso_jobs.training.read.rows import TrainingRows, read_training_rows


@dataclass(frozen=True, slots=True)
class KeptUnit:
    """The rows of a work unit in memory.

    Parameters
    ----------
    columns : Columns
    blocks : tuple of TrainingRows
        Their numeric features are of float32 if no digit is lost by that; those that have few
        entries are kept by them.
    """

    columns: Columns
    blocks: tuple[TrainingRows, ...]

    @classmethod
    def of(cls, unit: WorkUnit, reading: Reading, dtype: str) -> "KeptUnit":
        """Read a work unit.

        Parameters
        ----------
        unit : WorkUnit
        reading : Reading
        dtype : {"float32", "float64"}
            That holds every number of the features exactly.
        """
        blocks = []
        for rows in read_training_rows(unit, reading):
            block = rows.block
            places = block.laid_out()
            matrix = np.empty((len(places), block.n_rows), dtype)
            done = 0
            for _, values in block.chunks():
                matrix[done : done + len(values)] = values
                done += len(values)
            numeric = _Kept(matrix, places, block.sparse)
            blocks.append(replace(rows, block=replace(block, numeric=numeric)))
        return cls(reading.columns, tuple(blocks))

    def rows(self, reading: Reading) -> Iterator[TrainingRows]:
        """The rows with some of the columns: those of a reading that differs in nothing else."""
        wanted = None
        if reading.columns != self.columns:
            wanted = self.columns.places(reading.columns.numeric)
        for rows in self.blocks:
            block = rows.block
            if wanted is not None:
                block = Block(block.n_rows, _Some(block, wanted), block.codes)
            yield replace(rows, block=block)


Source = WorkUnit | KeptUnit


def training_rows(source: Source, reading: Reading) -> Iterator[TrainingRows]:
    """The rows of a work unit, a block at a time, from memory or from its files.

    Raises
    ------
    DataError
        As `lasso_jobs.training.read.rows.read_training_rows`.
    """
    if isinstance(source, KeptUnit):
        return source.rows(reading)
    return read_training_rows(source, reading)


class _Kept(Together):
    """Numeric columns, some of them by their entries."""

    def __init__(self, matrix: Any, places: Places, sparse: Sequence[SparseColumns]) -> None:
        self._parts = [(places, matrix), *((each.places, each) for each in sparse)]

    def __len__(self) -> int:
        return sum(len(places) for places, _ in self._parts)

    def __getitem__(self, j: Any) -> Any:
        for places, columns in self._parts:
            k = int(np.searchsorted(places, j))
            if k < len(places) and places[k] == j:
                return np.asarray(columns[k], float)
        raise IndexError(j)

    def several(self, places: Places) -> Any:
        laid_out, matrix = self._parts[0]
        at = within(laid_out, places)
        if at is not None:
            return matrix[as_slice(at)]
        return np.stack([self[j] for j in places.tolist()])


class _Some(Together):
    """Some columns of a block."""

    def __init__(self, block: Block, wanted: Places) -> None:
        self._block, self._wanted = block, wanted

    def __len__(self) -> int:
        return len(self._wanted)

    def __getitem__(self, j: Any) -> Any:
        return self._block.numeric[self._wanted[j]]

    def several(self, places: Places) -> Any:
        return self._block.several(self._wanted[places])
