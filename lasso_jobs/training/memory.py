"""Says how much memory a training needs, and refuses one that does not fit, before it reads.

Everything large is a square: q^2 numbers of 8 bytes for the q columns with the target, and with an
indicator of nulls for each column that has some. The numbers of squares below are measured, by
tracemalloc. For 1,500 columns and 5 folds they are 15.7 in the driver, on two threads, which
`driver_bytes` says are 19.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lasso_jobs.core.merge_tree import MergeTree
from lasso_jobs.core.rows.buckets import n_buckets_for
from lasso_jobs.core.rows.vectors import elements, without_elements
from lasso_jobs.data.columns.selection import SelectedFeatures
from lasso_jobs.data.dataset import Dataset
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.training.engine import Engine

WORTH_A_LOOK = 2**30
"""To know the limit costs an import: no machine that trains has less than these bytes."""


WORKING_SET = 2_000
"""Columns that screening lets in, as a rule at most."""
MARGINALS = 7
"""Numbers that screening keeps of each column, of each bucket and of each set of training rows."""
MOST_SUM_BYTES = 2**29
"""Of the products of columns with the residuals: for more, files are read again."""
MOST_CHECK_BYTES = 2**29
"""Of what a scan finds for each column and alpha, which decides how many alphas it proves."""
MOST_ALPHAS = 48
"""How many those are, as a rule, where columns are few."""
NAME_BYTES = 200
"""Of a column's name, and of where it is to be found by its name."""


@dataclass(frozen=True, slots=True)
class Squares:
    """What a training keeps of its columns.

    Parameters
    ----------
    n_values : int
        Columns of a square: values and indicators of nulls.
    n_buckets, n_folds : int
    block_rows : int
        Rows that a thread lays out together, each a value of each column.
    """

    n_values: int
    n_buckets: int
    n_folds: int
    block_rows: int = 0

    @property
    def state_bytes(self) -> int:
        """The moments of all buckets and of the hold-out."""
        return 8 * self.n_values**2 * (self.n_buckets + 1)

    @property
    def driver_bytes(self) -> int:
        """What choosing alpha needs.

        That is the moments of all buckets; of each fold those of its training rows, and a problem
        to be solved; and three squares, as of all rows, of a merge and of errors.

        Examples
        --------
        >>> round(Squares(n_values=10_001, n_buckets=5, n_folds=5).driver_bytes / 2**30)
        14
        """
        return self.state_bytes + 8 * self.n_values**2 * (2 * self.n_folds + 3)

    @property
    def thread_bytes(self) -> int:
        """What a thread of a worker needs: its rows; and to merge, two states, and the result."""
        return self.block_bytes + 3 * self.state_bytes

    @property
    def block_bytes(self) -> int:
        """The rows that a thread has laid out; it keeps the room for the next ones."""
        return 8 * self.n_values * self.block_rows

    def process_bytes(self, n_threads: int, tree: MergeTree[Any]) -> int:
        """What the threads of one process need that reads all work units, and keeps all states.

        Beside the threads' own, states wait for their neighbours in the tree of merges, and two at
        its leaves.
        """
        n_units = sum(1 for _ in tree.leaves())
        n_states = min(n_units + n_threads, 3 * n_threads + tree.most_waiting + 2)
        return self.state_bytes * n_states + self.block_bytes * n_threads


def planned_bytes(
    job: TrainJob,
    dataset: Dataset,
    features: SelectedFeatures,
    *,
    at_most: bool,
    engine: Engine,
) -> int:
    """What the driver needs as the footers tell: with all levels that there may be, or with none.

    Where columns are screened, the squares are of a working set, of `WORKING_SET` columns at most
    as a rule; and each column has sums of its own.
    """
    if engine == "all":
        squares = _squares(job, dataset, features, at_most=at_most, numeric=features.numeric)
        return squares.driver_bytes
    inside = features.numeric[:WORKING_SET] if at_most else ()
    squares = _squares(job, dataset, features, at_most=at_most, numeric=inside)
    return squares.driver_bytes + screened_bytes(len(features.numeric), job.search.folds)


def screened_bytes(n_columns: int, n_folds: int) -> int:
    """What the driver keeps of all columns that are screened, beside the moments of a working set.

    That is the marginals of the buckets, of the sets of training rows and of all rows; the products
    of a check, and nine bytes of what it finds for each alpha; and names.

    Examples
    --------
    >>> round(screened_bytes(1_000_000, 5) / 2**20, -1)
    1860.0
    """
    n_sets = n_folds + 2
    marginals = 8 * MARGINALS * n_columns * (n_folds + 1 + n_sets + 1)
    of_alpha = 8 * n_columns * n_sets
    products = max(2 * of_alpha, min(MOST_ALPHAS * of_alpha, MOST_SUM_BYTES))
    found = max(2 * 9 * n_columns, min(MOST_ALPHAS * 9 * n_columns, MOST_CHECK_BYTES))
    return marginals + products + found + NAME_BYTES * n_columns


def _squares(
    job: TrainJob,
    dataset: Dataset,
    features: SelectedFeatures,
    *,
    at_most: bool,
    numeric: Sequence[str],
) -> Squares:
    n_values = len(numeric) + 1
    if at_most:
        listed = job.preprocess.listed_levels
        n_levels = dataset.n_rows if listed is None else min(listed + 1, dataset.n_rows)
        n_values += len(features.categorical) * n_levels
        vectors = features.vectors
        n_values += sum(map(dataset.may_have_nulls, without_elements(numeric, vectors)))
        for name, within in elements(numeric, vectors).items():
            n_values += len(within.places) * dataset.may_have_nulls(name)
    return Squares(n_values, n_buckets_for(n_values, job.search.folds), job.search.folds)


def refuse_too_large(where: str, needed_bytes: int, limit_bytes: int, whose: str) -> None:
    """Refuse what needs more memory than there is.

    Raises
    ------
    DataError
    """
    if 0 < limit_bytes < needed_bytes:
        raise DataError(
            where,
            f"needs {needed_bytes / 2**30:.1f} GiB of memory {whose}",
            f"at most the {limit_bytes / 2**30:.1f} GiB that are there",
            "Lower preprocess.max_levels or search.folds, exclude columns, or give more memory",
        )
