"""Holds the rows to fit to, in memory or on Dask, and sums them up over a round's sets of rows."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.core.threads import Steps, in_threads
from lasso_jobs.engine.blas import one_blas_thread
from lasso_jobs.errors import DataError
from lasso_jobs.estimator.matrix import MatrixRows
from lasso_jobs.training.read.reading import Reading
from lasso_jobs.training.read.row_summary import RowSummary, merge, summarise

Part = TypeVar("Part")
BLOCKS_AT_ONCE = 8
"""Blocks of rows whose moments are added up before they are merged with those of others."""


class Rows(ABC):
    """The rows to fit to."""

    @property
    @abstractmethod
    def n_rows(self) -> int:
        """Number of rows."""

    @property
    def target(self) -> Floats | None:
        """The target, where it is in memory."""
        return None

    @abstractmethod
    def summary(self, reading: Reading, sets: NDArray[np.int16], n_threads: int) -> RowSummary:
        """The moments of each set of rows, and a sample.

        The shape of the merges follows from the rows alone: neither threads nor workers change a
        bit of the result.
        """


@dataclass(frozen=True, slots=True)
class RowsOfMatrix(Rows):
    """Rows in memory."""

    X: Any
    y: Floats
    weights: Floats | None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.y)

    @property
    def target(self) -> Floats:
        """The target."""
        return self.y

    def summary(self, reading: Reading, sets: NDArray[np.int16], n_threads: int) -> RowSummary:
        """The moments of each set of rows, and a sample, by threads."""
        step = BLOCKS_AT_ONCE * reading.batch_rows()

        def of_part(first: int) -> RowSummary:
            part = slice(first, first + step)
            rows = MatrixRows(
                X=self.X[part],
                y=self.y[part],
                weights=None if self.weights is None else self.weights[part],
                sets=sets[part],
                first=first,
            )
            return summarise(rows, reading)

        firsts = range(0, max(self.n_rows, 1), step)
        with one_blas_thread():
            parts = in_threads(of_part, firsts, Steps(n_threads=n_threads))
            return pairwise(merge, parts)


def pairwise(merge: Callable[[Part, Part], Part], parts: Sequence[Part]) -> Part:
    """Merge each with its neighbour, then the results, and so on.

    Examples
    --------
    >>> pairwise(lambda a, b: f"({a}{b})", ["a", "b", "c"])
    '((ab)c)'
    """
    while len(parts) > 1:
        merged = [merge(*parts[i : i + 2]) for i in range(0, len(parts) - 1, 2)]
        parts = [*merged, *parts[len(parts) - len(parts) % 2 :]]
    return parts[0]


def check_lengths(part: str, X: Any, y: Any, weights: Any) -> None:
    """Check that a part has as many targets and weights as rows.

    Raises
    ------
    DataError
    """
    found = {"X": X.shape[0], "y": len(y)}
    if weights is not None:
        found["sample_weight"] = len(weights)
    if len(set(found.values())) > 1:
        raise DataError(
            part,
            ", ".join(f"{name} has {n} rows" for name, n in found.items()),
            "as many in each",
            "Partition them alike, best by taking all of them from one frame",
        )


def checked_weights(where: str, weights: Floats) -> Floats:
    """Check that weights can weigh rows.

    Raises
    ------
    DataError
    """
    if not np.all(np.isfinite(weights) & (weights >= 0)):
        found = "has a null, negative or infinite value"
        raise DataError(where, found, "finite numbers, zero or more", "Mend the weights")
    return weights
