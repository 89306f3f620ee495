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
from numpy.typing import NDArray

from lasso_jobs.artifacts.model import INTERVAL_COVERAGE, Holdout
from lasso_jobs.core.moments import Floats
from lasso_jobs.data import blocks
from lasso_jobs.errors import DataError

BINS_PER_WIDTH = 500
N_BINS = 20 * BINS_PER_WIDTH
MOST_GROUPS = 200
"""A group's histogram is 80 KB, in every result of a unit of work."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Absolute residuals, counted.

    Parameters
    ----------
    counts : ndarray of int64, shape (N_BINS,)
        The last bin has no upper end.
    largest : float
    """

    counts: NDArray[np.int64]
    largest: float

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.counts.sum())

    def __add__(self, other: "Sizes") -> "Sizes":
        return Sizes(self.counts + other.counts, max(self.largest, other.largest))

    def half_width(self, width: float) -> float:
        """Upper end of the bin with the ``ceil((n + 1) coverage)``-th smallest residual."""
        rank = int(np.ceil((self.n + 1) * INTERVAL_COVERAGE))
        place = int(np.searchsorted(np.cumsum(self.counts), rank))
        if place >= N_BINS - 1:
            return self.largest
        return min((place + 1) * width / BINS_PER_WIDTH, self.largest)


NO_SIZES = Sizes(np.zeros(N_BINS, np.int64), 0.0)
Groups = Mapping[str, Sizes]


def sizes(residuals: Floats, width: float) -> Sizes:
    """Count the sizes of residuals, by a typical one."""
    size = np.abs(residuals)
    bins = np.minimum(size / width * BINS_PER_WIDTH, N_BINS - 1) if width > 0 else size * 0
    counts = np.bincount(bins.astype(np.int64), minlength=N_BINS)
    return Sizes(counts, float(size.max(initial=0.0)))


def groups(
    table: pa.Table, by: str | None, rows: NDArray[np.intp], residuals: Floats, width: float
) -> dict[str, Sizes]:
    """The sizes of some rows' residuals by the value of a column; nulls are in no group."""
    if by is None:
        return {}
    texts, index = blocks.levels(table[by])
    index = index[rows]
    return {
        text: sizes(residuals[index == i], width)
        for i, text in enumerate(texts)
        if text is not None and np.any(index == i)
    }


def merged(a: Groups, b: Groups) -> dict[str, Sizes]:
    """Groups of disjoint rows.

    Raises
    ------
    DataError
        If they become too many.
    """
    both = {name: a.get(name, NO_SIZES) + b.get(name, NO_SIZES) for name in {**a, **b}}
    if len(both) > MOST_GROUPS:
        raise DataError(
            "intervals.by",
            f"has more than {MOST_GROUPS} values",
            f"at most {MOST_GROUPS} groups",
            "Name a coarser column",
        )
    return both


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
        texts, index = blocks.levels(table[self.column])
        known = [self.overall if t is None else self.widths.get(t, self.overall) for t in texts]
        return np.array(known or [self.overall])[index]
