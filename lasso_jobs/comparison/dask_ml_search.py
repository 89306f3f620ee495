"""Searches the settings of a scikit-learn estimator by dask-ml, on a cluster.

dask-ml 2025.1 tries a fit that raises again without end where its scheduler is a client, and tells
nobody how far it is. So it gets a function as its scheduler, which does neither.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dask
import numpy as np
from distributed import Client, Future, as_completed
from numpy.typing import NDArray

from lasso_jobs.engine.dask_workers import result_of
from lasso_jobs.errors import JobError
from lasso_jobs.progress import StageProgress

Split = tuple[NDArray[np.int32], NDArray[np.int32]]
"""The rows of a fold's training, and those of its test."""


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """The settings of an estimator to try.

    Parameters
    ----------
    grid : sequence of mapping
        Values of the parameters, or distributions to draw them from. A setting comes from one of
        these mappings.
    iterations : int or None
        How many settings to draw; if None, or if there are no more, all are tried.
    seed : int
        Of the draws.
    """

    grid: Sequence[Mapping[str, Any]]
    iterations: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Scores:
    """The score of each setting in each fold.

    Parameters
    ----------
    settings : tuple of mapping
    by_fold : ndarray, shape (n_folds, n_settings)
    """

    settings: tuple[Mapping[str, Any], ...]
    by_fold: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RowsOnCluster:
    """The rows of a search, which the cluster holds.

    Parameters
    ----------
    X, y : Future
        Of the arrays.
    splits : sequence of Split
    n_bytes : int
        Of X.
    """

    X: "Future[Any]"
    y: "Future[Any]"
    splits: Sequence[Split]
    n_bytes: int


def require_dask_ml() -> None:
    """Check that dask-ml is there.

    Raises
    ------
    JobError
    """
    try:
        import dask_ml.model_selection  # noqa: F401
    except ImportError as error:
        raise JobError(
            "compare",
            f"dask-ml cannot be imported ({error})",
            "the package dask-ml",
            "Run pip install 'lasso_jobs[compare]'",
        ) from error


def send(
    client: Client, X: NDArray[np.float64], y: NDArray[np.float64], splits: Sequence[Split]
) -> RowsOnCluster:
    """Send rows to the cluster, once.

    They go as results of tasks, whose arguments the scheduler keeps: scattered data would die with
    a worker.
    """
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
        X_sent, y_sent = (client.submit(np.asarray, array, pure=False) for array in (X, y))
    return RowsOnCluster(X_sent, y_sent, splits, X.nbytes)


def search(
    client: Client,
    estimator: Any,
    space: SearchSpace,
    rows: RowsOnCluster,
    *,
    scoring: Callable[[Any, Any, Any], float],
    progress: StageProgress | None = None,
) -> Scores:
    """Fit an estimator with each setting to each fold's training rows, and score it on its test's.

    Parameters
    ----------
    client : distributed.Client
    estimator : scikit-learn estimator
    space : SearchSpace
    rows : RowsOnCluster
        As `send` returns them.
    scoring : callable
        Called with a fitted estimator and the X and y of the test.
    progress : callable, optional
        Called with the fits done, and all fits.

    Raises
    ------
    ClusterError
        If the cluster fails.
    Exception
        What a fit or a score raises, as it is.
    """
    from dask.delayed import delayed
    from dask_ml.model_selection import GridSearchCV, RandomizedSearchCV

    def get(graph: Any, keys: Any, **_: Any) -> list[Any]:
        return _computed(client, graph, keys, progress)

    options = {
        "scoring": scoring,
        "cv": rows.splits,
        "refit": False,
        "iid": False,  # Means of the folds are not taken here.
        "scheduler": get,
    }
    grid = [dict(part) for part in space.grid]
    if space.iterations is None or _has_at_most(space.iterations, grid):
        searched = GridSearchCV(estimator, grid, **options)
    else:
        searched = RandomizedSearchCV(
            estimator, grid, n_iter=space.iterations, random_state=space.seed, **options
        )
    results = searched.fit(delayed(rows.X), delayed(rows.y)).cv_results_
    by_fold = [results[f"split{k}_test_score"] for k in range(len(rows.splits))]
    return Scores(tuple(results["params"]), np.array(by_fold, float))


def _has_at_most(iterations: int, grid: Sequence[Mapping[str, Any]]) -> bool:
    """Whether there are no more settings than are to be drawn; of distributions there is no end."""
    sizes = [[len(v) if isinstance(v, Sequence) else math.inf for v in p.values()] for p in grid]
    return sum(map(math.prod, sizes)) <= iterations


def _computed(client: Client, graph: Any, keys: Any, progress: StageProgress | None) -> list[Any]:
    futures = client.get(graph, keys, sync=False)
    distinct = {future.key: future for future in futures}
    try:
        for done, future in enumerate(as_completed(distinct.values(), loop=client.loop), 1):
            if future.status != "finished":
                result_of(future, "a fit of the search")
            if progress is not None:
                progress(done, len(distinct))
        results: list[Any] = client.gather(futures)
        return results
    finally:
        client.cancel(list(distinct.values()))
