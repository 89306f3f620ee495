"""Names what the matrix of sampled held-out rows holds beside their features."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.moments import Floats

Rows = slice | NDArray[np.bool_] | NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class HeldOutRows:
    """Sampled rows that are held out, each a column of one matrix.

    Parameters
    ----------
    values : ndarray, shape (n_columns + N_FACTS, n)
        The features' columns, and below them the facts of each row. The names are views of them,
        so that whoever lays the sample out writes through them, too.

    Examples
    --------
    >>> rows = HeldOutRows(np.zeros((2 + HeldOutRows.N_FACTS, 3)))
    >>> rows.weight[:] = 1.0
    >>> rows.X.shape, rows.values[:, 0].tolist()
    ((2, 3), [0.0, 0.0, 0.0, 1.0, 0.0, 0.0])
    """

    values: Floats

    N_FACTS = 4

    @property
    def X(self) -> Floats:
        """The features' columns, shape (n_columns, n); NaN is null."""
        return self.values[: -self.N_FACTS]

    @property
    def target(self) -> Floats:
        """The outcome."""
        return self._fact(-4)

    @property
    def weight(self) -> Floats:
        """The row's weight; 1 if the job has none."""
        return self._fact(-3)

    @property
    def group(self) -> Floats:
        """The number of the group with an interval of its own; -1 if there are none."""
        return self._fact(-2)

    @property
    def cohort(self) -> Floats:
        """A number for the rows that may err alike; NaN if that is not known."""
        return self._fact(-1)

    def _fact(self, place: int) -> Floats:
        row: Floats = self.values[place]
        return row

    def facts(self) -> "HeldOutRows":
        """The same rows without their features."""
        return HeldOutRows(self.values[-self.N_FACTS :])

    def only(self, rows: Rows) -> "HeldOutRows":
        """Some of the rows."""
        return HeldOutRows(self.values[:, rows])
