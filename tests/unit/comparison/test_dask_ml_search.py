"""A search ends: with all scores although a worker died, or with the error of a fit."""

import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score

from lasso_jobs.comparison.dask_ml_search import SearchSpace, search, send
from lasso_jobs.engine.cluster_options import Cluster
from lasso_jobs.engine.dask_client import dask_client

RNG = np.random.default_rng(2)
X = RNG.normal(size=(90, 4))
Y = X @ np.arange(4.0) + RNG.normal(size=90)
SPLITS = [
    (np.flatnonzero(np.arange(90) % 3 != k), np.flatnonzero(np.arange(90) % 3 == k))
    for k in range(3)
]
SPACE = SearchSpace([{"alpha": [0.1, 1.0, 10.0]}, {"alpha": [0.5], "fit_intercept": [False]}])


def slow_score(fitted: Ridge, X: np.ndarray, y: np.ndarray) -> float:
    time.sleep(0.2)
    return score(fitted, X, y)


def score(fitted: Ridge, X: np.ndarray, y: np.ndarray) -> float:
    return -float(np.mean((y - fitted.predict(X)) ** 2))


def expected() -> np.ndarray:
    fits = [Ridge(0.1), Ridge(1.0), Ridge(10.0), Ridge(0.5, fit_intercept=False)]
    return np.array([cross_val_score(fit, X, Y, cv=SPLITS, scoring=score) for fit in fits]).T


def test_scores_are_scikit_learns_and_progress_counts_every_fit() -> None:
    seen: list[tuple[int, int]] = []
    with dask_client(Cluster.of("local", 2)) as client:
        found = search(
            client,
            Ridge(),
            SPACE,
            send(client, X, Y, SPLITS),
            scoring=score,
            progress=lambda done, total: seen.append((done, total)),
        )
    np.testing.assert_allclose(found.by_fold, expected(), rtol=1e-12)
    assert found.settings[3] == {"alpha": 0.5, "fit_intercept": False}
    assert seen == [(k, 12) for k in range(1, 13)]


def test_all_settings_are_tried_if_as_many_are_to_be_drawn() -> None:
    with dask_client(Cluster.of("local", 2)) as client:
        many = replace(SPACE, iterations=4)
        found = search(client, Ridge(), many, send(client, X, Y, SPLITS), scoring=score)
    np.testing.assert_allclose(found.by_fold, expected(), rtol=1e-12)


def test_a_fit_that_raises_ends_the_search() -> None:
    with dask_client(Cluster.of("local", 2)) as client, pytest.raises(ValueError, match="alpha"):
        rows = send(client, X, Y, SPLITS)
        search(client, Ridge(), SearchSpace([{"alpha": [-1.0]}]), rows, scoring=score)


@pytest.mark.slow
@pytest.mark.fault
def test_a_worker_that_dies_is_made_up_for() -> None:
    killed: list[int] = []
    with dask_client(Cluster.of("local-processes", 2)) as client:
        pids = client.run(os.getpid)

        def kill(done: int, total: int) -> None:
            if not killed:
                # The worker that has the data.
                holder = client.who_has([rows.X])[rows.X.key][0]
                killed.append(pids[holder])
                os.kill(pids[holder], signal.SIGKILL)

        rows = send(client, X, Y, SPLITS)
        found = search(client, Ridge(), SPACE, rows, scoring=slow_score, progress=kill)
    assert killed
    np.testing.assert_allclose(found.by_fold, expected(), rtol=1e-12)
