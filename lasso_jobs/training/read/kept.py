"""Keeps the rows of a work unit decoded, where several scans look at them and memory holds them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np

from lasso_jobs.core.rows.blocks.block import Block, InParts
from lasso_jobs.core.rows.blocks.indicators import codes_of
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.data.dataset import WorkUnit
from lasso_jobs.data.parquet_file import columns_at_once
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
        for rows in read_training_rows(unit, reading, in_turn=True):
            # As they are read; of vectors, several columns are had faster if they are more.
            width = None if reading.columns.vectors else columns_at_once(rows.block.n_rows)
            block = in_memory(rows.block, dtype, width)
            others = [
                replace(each, decode=partial(_only, in_memory(each.decode(), dtype), None))
                for each in rows.unlabelled
            ]
            blocks.append(replace(rows, block=block, unlabelled=tuple(others)))
        return cls(reading.columns, tuple(blocks))

    def rows(self, reading: Reading) -> Iterator[TrainingRows]:
        """The rows with some of the columns: those of a reading that differs in nothing else."""
        wanted = None if reading.columns == self.columns else (self.columns, reading.columns)
        for rows in self.blocks:
            others = [
                replace(each, decode=partial(_only, each.decode(), wanted))
                for each in rows.unlabelled
            ]
            yield replace(rows, block=_only(rows.block, wanted), unlabelled=tuple(others))


def in_memory(block: Block, dtype: str, width: int | None = None) -> Block:
    """The block with its numeric features in a matrix, but for those kept by their entries."""
    places = block.laid_out()
    matrix, done = np.empty((len(places), block.n_rows), dtype), 0
    for _, values in block.chunks(width):
        matrix[done : done + len(values)] = values
        done += len(values)
    numeric = InParts([(places, matrix), *((each.places, each) for each in block.sparse)])
    return replace(block, numeric=numeric)


def _only(block: Block, wanted: tuple[Columns, Columns] | None) -> Block:
    """The block with some of its columns: first those that it has, then those that are wanted."""
    if wanted is None:
        return block
    own, columns = wanted
    codes = codes_of(block, own, columns)
    return replace(block.only(own.places(columns.numeric)), codes=codes)


class RowsInMemory(Protocol):
    """Rows that are in memory already, such as those of a `KeptUnit`."""

    def rows(self, reading: Reading) -> Iterator[TrainingRows]:
        """The rows, a block at a time."""
        ...


Source = WorkUnit | RowsInMemory


def training_rows(source: Source, reading: Reading) -> Iterator[TrainingRows]:
    """The rows of a work unit, a block at a time, from memory or from its files.

    Raises
    ------
    DataError
        As `lasso_jobs.training.read.rows.read_training_rows`.
    """
    if isinstance(source, WorkUnit):
        return read_training_rows(source, reading)
    return source.rows(reading)
