"""Gives prediction intervals their widths: split conformal, over all rows or within groups.

Half the width is a quantile of the absolute residuals of rows that the model has not seen (Lei,
G'Sell, Rinaldo, Tibshirani and Wasserman 2018, "Distribution-free predictive inference for
regression"). Taken within groups, each group has the coverage for itself (Vovk 2012, "Conditional
validity of inductive conformal predictors", there called Mondrian).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.data import arrays
from lasso_jobs.models.model import INTERVAL_COVERAGE, Holdout


def half_width(sizes: Floats) -> float:
    """The ``ceil((n + 1) coverage)``-th smallest of n absolute residuals, or the largest.

    Examples
    --------
    >>> half_width(np.arange(1.0, 20.0))
    18.0
    """
    rank = int(np.ceil((len(sizes) + 1) * INTERVAL_COVERAGE))
    return float(np.sort(sizes)[min(rank, len(sizes)) - 1])


@dataclass(frozen=True, slots=True)
class Interval:
    """Half the widths of the intervals of a model.

    Parameters
    ----------
    overall : float
        For rows of no group that had enough rows.
    column : str or None
        The column of groups, in the source.
    widths : mapping of str to float
    """

    overall: float
    column: str | None
    widths: Mapping[str, float]

    @classmethod
    def of(cls, holdout: Holdout | None, sources: Mapping[str, str]) -> "Interval | None":
        """The widths of a model; None if it had no hold-out."""
        if holdout is None:
            return None
        column = None if holdout.by is None else sources.get(holdout.by, holdout.by)
        return cls(holdout.interval, column, holdout.intervals)

    def half_widths(self, table: pa.Table) -> Floats:
        """Half the width of each row's interval, shape (n,)."""
        if self.column is None:
            return np.full(table.num_rows, self.overall)
        column, rest = table[self.column], self.overall
        return arrays.level_values(column, self.widths, rest=rest, null=rest)
