"""Rows in the partitions of a Dask collection: moments come back from each, and no rows.

Each partition is summed up where Dask computes it, on the scheduler that its user has chosen; the
results are merged in the partitions' order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.engine.blas import one_blas_thread, use_one_blas_thread
from lasso_jobs.errors import DataError
from lasso_jobs.estimator.matrix import MatrixRows
from lasso_jobs.estimator.rows import Rows, check_lengths, checked_weights, pairwise
from lasso_jobs.training.read.reading import Reading
from lasso_jobs.training.read.row_summary import RowSummary, merge, summarise

if TYPE_CHECKING:
    from lasso_jobs.estimator.lasso_cv import LassoCV


def is_dask(collection: Any) -> bool:
    """Whether something is a collection of Dask: a frame, a series or an array."""
    return type(collection).__module__.split(".", 1)[0] in ("dask", "dask_expr") and hasattr(
        collection, "to_delayed"
    )


def is_array(collection: Any) -> bool:
    """Whether a collection of Dask is an array."""
    return hasattr(collection, "chunks")


@dataclass(frozen=True, slots=True)
class RowsOnDask(Rows):
    """The rows of Dask collections.

    Parameters
    ----------
    parts : sequence of Delayed
        Of each partition X, y and the weights.
    lengths : tuple of int
        Rows of each.
    """

    parts: Sequence[Any]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, X: Any, y: Any, weights: Any) -> "RowsOnDask":
        """Take the partitions apart, and count the rows of each.

        Raises
        ------
        DataError
            If y or the weights are no collections of Dask, or have other partitions.
        """
        for name, each in (("y", y), ("sample_weight", weights)):
            if each is not None and not is_dask(each):
                found = f"is a {type(each).__name__}, where X is of Dask"
                raise DataError(name, found, "a series or an array of Dask", "Convert it")
        given = [each for each in (X, y, weights) if each is not None]
        if len({is_array(each) for each in given}) > 1:
            remedy = "Convert arrays to frames, or frames to arrays"
            found, expected = "are arrays and frames", "all of one kind"
            raise DataError("X, y and sample_weight", found, expected, remedy)
        counts = [len(_partitions(each)) for each in given]
        if len(set(counts)) > 1:
            found = f"have {', '.join(map(str, counts))} partitions"
            remedy = "Take all of them from one frame"
            raise DataError("X, y and sample_weight", found, "as many in each", remedy)
        return cls(_together(given), _lengths(y))

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return sum(self.lengths)

    def summary(self, reading: Reading, sets: NDArray[np.int16], n_threads: int) -> RowSummary:
        """The moments of each set of rows, and a sample, by Dask; ``n_threads`` are its own."""
        from dask.base import compute
        from dask.delayed import delayed

        ends = np.cumsum(self.lengths)
        summed = delayed(_summary_of, pure=False)
        parts = [
            summed(part, sets[end - n : end], int(end - n), reading)
            for part, n, end in zip(self.parts, self.lengths, ends, strict=True)
        ]
        whole = pairwise(delayed(merge, pure=False), parts)
        with one_blas_thread():  # of schedulers that run in this process
            (summary,) = compute(whole)
        found: RowSummary = summary
        return found


def _partitions(collection: Any) -> list[Any]:
    """The partitions, in order. Those of an array keep their names: what two share runs once."""
    if is_array(collection):
        if collection.ndim > 1 and collection.numblocks[1] > 1:
            collection = collection.rechunk({1: -1})
        return list(collection.to_delayed(optimize_graph=False).ravel())
    return list(collection.to_delayed())


def _together(collections: Sequence[Any]) -> list[Any]:
    """Of each partition, a tuple of those of all collections."""
    if is_array(collections[0]):
        from dask.delayed import delayed

        parts = map(_partitions, collections)
        return [delayed(_as_tuple)(*part) for part in zip(*parts, strict=True)]
    # As one frame, of which Dask computes and reads what they share once.
    from dask.dataframe import map_partitions

    tuples = map_partitions(
        _as_tuple,
        *collections,
        align_dataframes=False,
        meta=(None, object),
        enforce_metadata=False,
    )
    return list(tuples.to_delayed())


def _as_tuple(*parts: Any) -> tuple[Any, ...]:
    return parts


def _lengths(y: Any) -> tuple[int, ...]:
    """Rows of each partition; a frame does not know them, and is asked for this column alone."""
    from dask.base import compute
    from dask.delayed import delayed

    if is_array(y) and not np.isnan(y.chunks[0]).any():
        return tuple(y.chunks[0])
    found: tuple[int, ...] = compute(*map(delayed(len), _partitions(y)))
    return found


def _summary_of(
    part: tuple[Any, ...], sets: NDArray[np.int16], first: int, reading: Reading
) -> RowSummary:
    """Sum up a partition, where Dask computes it."""
    use_one_blas_thread()
    where = f"the partition from row {first:,} on"
    matrix, target, weights = _checked(part, where, nulls_allowed=reading.nulls_allowed)
    rows = MatrixRows(X=matrix, y=target, weights=weights, sets=sets, first=first)
    return summarise(rows, reading)


def _checked(part: tuple[Any, ...], where: str, *, nulls_allowed: bool) -> tuple[Any, Any, Any]:
    """The rows, the target and the weights of a partition as arrays of float64."""
    from sklearn.utils import check_array, column_or_1d

    X, y, weights = (*part, None)[:3]
    check_lengths(where, X, y, weights)
    matrix = check_array(
        X,
        accept_sparse="csr",
        dtype=np.float64,
        ensure_all_finite="allow-nan" if nulls_allowed else True,
        ensure_min_samples=0,
        input_name="X",
    )
    target = check_array(y, dtype=np.float64, ensure_2d=False, ensure_min_samples=0, input_name="y")
    if weights is not None:
        weights = np.asarray(weights, np.float64)
        weights = checked_weights(f"sample_weight, {where}", column_or_1d(weights))
    return matrix, column_or_1d(target), weights


def r2_on_dask(estimator: "LassoCV", X: Any, y: Any, weights: Any) -> float:
    """R2 as scikit-learn has it; of each partition come sums, and no rows.

    Raises
    ------
    DataError
        If the collections do not fit together, or no row has a weight.
    """
    from dask.base import compute
    from dask.delayed import delayed

    rows = RowsOnDask.of(X, y, weights)
    squares = delayed(_squares_of, pure=False)
    starts = np.cumsum((0, *rows.lengths)).tolist()
    (found,) = compute(
        [squares(*each, estimator) for each in zip(rows.parts, starts, strict=False)]
    )
    weight, mean, sse, within = np.array(found).T
    if not weight.sum() > 0:
        expected = "at least one row whose weight is above zero"
        raise DataError("LassoCV.score", "has no such row", expected, "Give rows to score")
    centre = np.average(mean, weights=weight)
    sst = within.sum() + (weight * (mean - centre) ** 2).sum()
    if sst == 0:
        return 1.0 if sse.sum() == 0 else 0.0
    return float(1 - sse.sum() / sst)


def _squares_of(part: tuple[Any, ...], first: int, estimator: "LassoCV") -> tuple[float, ...]:
    """The weight and the mean of a partition's y; the squares of its errors and about its mean."""
    where = f"the partition from row {first:,} on"
    _, y, weights = _checked(part, where, nulls_allowed=estimator.missing == "mean")
    weights = np.ones(len(y)) if weights is None else weights
    total = weights.sum()
    if total == 0:
        return 0.0, 0.0, 0.0, 0.0
    mean = np.average(y, weights=weights)
    errors = y - estimator.predict(part[0])
    return total, mean, weights @ errors**2, weights @ (y - mean) ** 2
