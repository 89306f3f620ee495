"""Rows of a matrix in memory as a source of training rows, a block at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows import buckets as b
from lasso_jobs.core.rows.blocks.block import Block
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.data.arrays import check_range
from lasso_jobs.training.read.reading import ReadCounts, Reading
from lasso_jobs.training.read.rows import TrainingRows

ROWS_AT_ONCE = 1_024
"""A matrix is turned so many rows at a time, which a core's own cache holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRows:
    """Some rows of a matrix.

    Parameters
    ----------
    X : ndarray of float64 or sparse matrix in rows, shape (n, p)
        NaN is null.
    y : ndarray of float64, shape (n,)
    weights : ndarray of float64, shape (n,), or None
    sets : ndarray of int, shape (n,)
        The bucket of each row.
    first : int
        The position of the first among all rows.
    """

    X: Any
    y: Floats
    weights: Floats | None
    sets: NDArray[Any]
    first: int

    def rows(self, reading: Reading) -> Iterator[TrainingRows]:
        """The rows, as many at a time as a training reads.

        Raises
        ------
        DataError
            If a number is too large for its powers.
        """
        key, step = b.text_key("rows", reading.seed), reading.batch_rows()
        check_range(f"column {reading.target!r}", self.y, remedy="Use larger units", nullable=False)
        for start in range(0, len(self.y), step):
            part = slice(start, start + step)
            y, none = self.y[part], np.full(len(self.y[part]), -1.0)
            positions = self.first + start + np.arange(len(y))
            hashes = b.row_hashes(key, positions)
            yield TrainingRows(
                block=Block(len(y), [*self._columns(part, reading.columns.numeric)], ()),
                target=y,
                weights=None if self.weights is None else self.weights[part],
                hashes=hashes,
                draws=hashes,
                buckets=self.sets[part].astype(np.intp),
                groups=none,
                cohorts=np.full(len(y), np.nan),
                periods=none,
                times=none,
                files=none,
                positions=positions.astype(float),
                counts=ReadCounts(rows=len(y)),
            )

    def _columns(self, part: slice, names: tuple[str, ...]) -> Floats:
        """One column per row of memory."""
        rows = self.X[part]
        rows = rows if isinstance(rows, np.ndarray) else rows.toarray()
        columns: Floats = rows.T
        if not columns.flags.c_contiguous:
            columns = np.empty(columns.shape)
            for start in range(0, len(rows), ROWS_AT_ONCE):
                some = slice(start, start + ROWS_AT_ONCE)
                columns[:, some] = rows[some].T
        for name, values in zip(names, columns, strict=True):
            check_range(f"column {name!r}", values, remedy="Use larger units")
        return columns
