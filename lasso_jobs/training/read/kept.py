"""Keeps the rows of a work unit decoded, where several scans look at them and memory holds them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.columns import Block, Columns
from lasso_jobs.core.rows.moments import Floats
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
        Their numeric features are of float32 if no digit is lost by that.
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
            matrix = np.empty((len(rows.block.numeric), rows.block.n_rows), dtype)
            for j in range(len(matrix)):
                matrix[j] = rows.block.numeric[j]
            numeric = tuple(matrix)
            blocks.append(replace(rows, block=replace(rows.block, numeric=numeric)))
        return cls(reading.columns, tuple(blocks))

    def rows(self, reading: Reading) -> Iterator[TrainingRows]:
        """The rows with some of the columns: those of a reading that differs in nothing else."""
        place = {name: j for j, name in enumerate(self.columns.numeric)}
        wanted = np.array([place[name] for name in reading.columns.numeric], np.intp)
        for rows in self.blocks:
            numeric = _Some(rows.block.numeric, wanted)
            yield replace(rows, block=Block(rows.block.n_rows, numeric, rows.block.codes))


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


class _Some(Sequence[Floats]):
    """Some rows of a matrix."""

    def __init__(self, matrix: Any, wanted: NDArray[np.intp]) -> None:
        self._matrix, self._wanted = matrix, wanted

    def __len__(self) -> int:
        return len(self._wanted)

    def __getitem__(self, j: Any) -> Any:
        return np.asarray(self._matrix[self._wanted[j]], float)
