"""Names what the matrix of a sample of rows holds beside their features."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.moments import Floats

Rows = slice | NDArray[np.bool_] | NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class SampledRows:
    """Sampled rows, of all or of those that are held out, each a column of one matrix.

    Parameters
    ----------
    values : ndarray, shape (n_columns + N_FACTS, n)
        The features' columns, and below them the facts of each row. The names are views of them,
        so that whoever lays the sample out writes through them, too.

    Examples
    --------
    >>> rows = SampledRows(np.zeros((2 + SampledRows.N_FACTS, 3)))
    >>> rows.weight[:] = 1.0
    >>> rows.X.shape, rows.values[:, 0].tolist()
    ((2, 3), [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    """

    values: Floats

    N_FACTS = 8

    @property
    def X(self) -> Floats:
        """The features' columns, shape (n_columns, n); NaN is null."""
        return self.values[: -self.N_FACTS]

    @property
    def target(self) -> Floats:
        """The outcome."""
        return self._fact(-8)

    @property
    def weight(self) -> Floats:
        """The row's weight; 1 if the job has none."""
        return self._fact(-7)

    @property
    def group(self) -> Floats:
        """The number of the group with an interval of its own; -1 if there are none."""
        return self._fact(-6)

    @property
    def cohort(self) -> Floats:
        """A number for the rows that may err alike; NaN if that is not known."""
        return self._fact(-5)

    @property
    def period(self) -> Floats:
        """A number of the row's period; -1 if there are none."""
        return self._fact(-4)

    @property
    def time(self) -> Floats:
        """The row's time; -1 if there are none."""
        return self._fact(-3)

    @property
    def file(self) -> Floats:
        """A number for the file that the row is in; it says nothing of the order of files."""
        return self._fact(-2)

    @property
    def position(self) -> Floats:
        """Where the row is in its file, from 0."""
        return self._fact(-1)

    def _fact(self, place: int) -> Floats:
        row: Floats = self.values[place]
        return row

    def facts(self) -> "SampledRows":
        """The same rows without their features."""
        return SampledRows(self.values[-self.N_FACTS :])

    def only(self, rows: Rows) -> "SampledRows":
        """Some of the rows."""
        return SampledRows(self.values[:, rows])
