"""Widths of prediction intervals: split conformal, over all rows or within groups of them.

Half the width is a quantile of the absolute residuals of rows that the model has not seen (Lei,
G'Sell, Rinaldo, Tibshirani and Wasserman 2018, "Distribution-free predictive inference for
regression"). Taken within groups, each group has the coverage for itself (Vovk 2012, "Conditional
validity of inductive conformal predictors", there called Mondrian).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lasso_jobs.artifacts.model import INTERVAL_COVERAGE, Holdout
from lasso_jobs.core.buckets import text_key
from lasso_jobs.core.moments import Floats
from lasso_jobs.data import arrays


def half_width(sizes: Floats) -> float:
    """The ``ceil((n + 1) coverage)``-th smallest of n absolute residuals, or the largest."""
    rank = int(np.ceil((len(sizes) + 1) * INTERVAL_COVERAGE))
    return float(np.sort(sizes)[min(rank, len(sizes)) - 1])


def group_number(name: str) -> float:
    """A number for a group, of its name alone: 53 bits, as a float64 holds."""
    return float(text_key(name, 0) >> 11)


def group_numbers(column: pa.ChunkedArray) -> Floats:
    """Of each row; -1 for a null, which is in no group."""
    texts, index = arrays.levels(column)
    numbers = [-1.0 if text is None else group_number(text) for text in texts]
    return np.array(numbers or [-1.0])[index]


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
        """Those of a model; None if it had no hold-out."""
        if holdout is None:
            return None
        column = None if holdout.by is None else sources.get(holdout.by, holdout.by)
        return cls(holdout.interval, column, holdout.intervals)

    def half_widths(self, table: pa.Table) -> Floats:
        """Of some rows, shape (n,)."""
        if self.column is None:
            return np.full(table.num_rows, self.overall)
        texts, index = arrays.levels(table[self.column])
        known = [self.overall if t is None else self.widths.get(t, self.overall) for t in texts]
        return np.array(known or [self.overall])[index]
