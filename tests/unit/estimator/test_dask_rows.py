"""Dask's rows stay where they are: only moments and a sample come back."""

from typing import Any

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster
from sklearn.base import RegressorMixin
from sklearn.model_selection import KFold

from lasso_jobs import LassoCV
from lasso_jobs.errors import DataError
from lasso_jobs.estimator import dask_rows
from lasso_jobs.training.read.sampled_rows import SampledRows

N = 3_000
rng = np.random.default_rng(5)
FRAME = pd.DataFrame(rng.normal(size=(N, 4)), columns=["a", "b", "c", "d"])
FRAME["y"] = FRAME["a"] * 2 - FRAME["c"] + rng.normal(size=N)
FRAME["w"] = rng.uniform(0, 2, N)
FRAME["g"] = rng.integers(0, 20, N)
NAMES = ["a", "b", "c", "d"]


@pytest.fixture(autouse=True)
def _in_this_thread() -> Any:
    with dask.config.set(scheduler="synchronous"):
        yield


def frames(n: int = 4) -> Any:
    return dd.from_pandas(FRAME, npartitions=n)


def assert_same(found: LassoCV, known: LassoCV) -> None:
    for name in ("mse_path_", "alphas_", "coef_", "intercept_", "alpha_"):
        expected = getattr(known, name)
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("cv", [None, KFold(3, shuffle=True, random_state=0)])
def test_frames_have_the_folds_and_the_fit_of_the_same_rows_in_memory(cv: Any) -> None:
    source = frames()
    found = LassoCV(cv=cv, alphas=10).fit(source[NAMES], source["y"], source["w"])
    known = LassoCV(cv=cv, alphas=10).fit(FRAME[NAMES], FRAME["y"], FRAME["w"])
    assert_same(found, known)
    assert found.feature_names_in_.tolist() == NAMES
    predicted = found.predict(source[NAMES])
    assert predicted.name == "prediction"
    expected = pd.Series(known.predict(FRAME[NAMES]), name="prediction")
    pd.testing.assert_series_equal(predicted.compute(), expected)
    score = found.score(source[NAMES], source["y"], source["w"])
    assert score == pytest.approx(known.score(FRAME[NAMES], FRAME["y"], FRAME["w"]), rel=1e-12)


def test_arrays_may_be_cut_in_both_directions() -> None:
    X, y = FRAME[NAMES].to_numpy(), FRAME["y"].to_numpy()
    chunks, columns = da.from_array(X, (700, 3)), da.from_array(y, 700)
    known = LassoCV(alphas=10).fit(X, y)
    found = LassoCV(alphas=10).fit(chunks, columns)
    assert_same(found, known)
    np.testing.assert_allclose(found.predict(chunks).compute(), known.predict(X), rtol=1e-12)
    assert found.score(chunks, columns) == pytest.approx(known.score(X, y), rel=1e-12)


def test_groups_and_empty_partitions() -> None:
    source = frames(6)
    source = source[source["g"] >= 0].repartition(npartitions=6)
    empty = dd.concat([source, source[source["g"] < 0]])
    found = LassoCV(alphas=10).fit(empty[NAMES], empty["y"], groups=empty["g"])
    known = LassoCV(alphas=10).fit(FRAME[NAMES], FRAME["y"], groups=FRAME["g"])
    assert_same(found, known)
    assert len(found.predict(empty[NAMES]).compute()) == N


def test_what_lies_before_runs_once_for_the_fit_and_once_for_the_lengths() -> None:
    seen = []

    def watched(part: pd.DataFrame) -> pd.DataFrame:
        seen.append(len(part))
        return part

    source = frames(3).map_partitions(watched, meta=FRAME.iloc[:0])
    LassoCV(alphas=5).fit(source[NAMES], source["y"], source["w"])
    assert len(seen) == 2 * 3


def test_the_driver_receives_no_rows_but_those_of_a_sample(monkeypatch: Any) -> None:
    """Of 200,000 rows at most 10,000 come back, with the moments."""
    received = []
    compute = dask.base.compute

    def watched(*collections: Any, **options: Any) -> Any:
        results = compute(*collections, **options)
        received.extend(results)
        return results

    monkeypatch.setattr("dask.base.compute", watched)
    n = 200_000
    X = da.random.default_rng(0).normal(size=(n, 3), chunks=(20_000, 3))
    y = X[:, 0] + 1
    LassoCV(alphas=5).fit(X, y)
    (summary,) = received  # The lengths of an array are known.
    assert summary.moments.n_rows == n
    assert summary.sample.values.shape == (3 + SampledRows.N_FACTS, 10_000)
    assert summary.held_out.values.shape[1] == 0
    assert all(bucket.scatter.shape == (4, 4) for bucket in summary.moments.buckets)


def test_workers_change_no_bit() -> None:
    found = []
    for n_workers, n_threads in ((1, 1), (2, 2)):
        cluster = LocalCluster(
            n_workers=n_workers,
            threads_per_worker=n_threads,
            processes=False,
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
        )
        with cluster, Client(cluster), dask.config.set(scheduler=None):
            source = frames(7)
            found.append(LassoCV(alphas=10).fit(source[NAMES], source["y"], source["w"]))
    with dask.config.set(scheduler="threads"):
        source = frames(7)
        found.append(LassoCV(alphas=10).fit(source[NAMES], source["y"], source["w"]))
    for other in found[1:]:
        assert other.coef_.tobytes() == found[0].coef_.tobytes()
        assert other.mse_path_.tobytes() == found[0].mse_path_.tobytes()


def test_what_does_not_fit_together_is_refused() -> None:
    source = frames()
    fit = LassoCV(alphas=5).fit
    with pytest.raises(DataError, match=r"^y: is a ndarray, where X is of Dask"):
        fit(source[NAMES], FRAME["y"].to_numpy())
    with pytest.raises(DataError, match="have 4, 2 partitions"):
        fit(source[NAMES], frames(2)["y"])
    with pytest.raises(DataError, match="are arrays and frames"):
        fit(source[NAMES], source["y"].to_dask_array(lengths=True))
    other = dd.from_pandas(FRAME.iloc[:-1], npartitions=4)
    with pytest.raises(DataError, match=r"the partition from row \S+ on: X has \d+ rows, y has"):
        fit(source[NAMES], other["y"])
    with pytest.raises(DataError, match=r"sample_weight, the partition from row \S+ on: has a"):
        fit(source[NAMES], source["y"], -source["w"])
    with pytest.raises(ValueError, match="Input X contains NaN"):
        fit(source[NAMES].where(source["a"] > 0), source["y"])
    with pytest.raises(ValueError, match="Expected 2D array"):
        fit(source["a"], source["y"])
    fitted = fit(source[NAMES], source["y"])
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(source[["a", "b"]])


def test_scores_are_those_of_scikit_learn_or_refused() -> None:
    source, last = frames(), frames()["a"] * 0 + 3
    found = LassoCV(alphas=5).fit(source[NAMES], source["y"])
    expected = RegressorMixin.score(found, FRAME[NAMES], FRAME["y"], FRAME["w"])
    of_frames = found.score(source[NAMES], source[["y"]], source[["w"]])
    assert of_frames == pytest.approx(expected, rel=1e-12)
    assert found.score(source[NAMES], last) == 0.0
    assert LassoCV(alphas=5).fit(source[NAMES], last).score(source[NAMES], last) == 1.0
    none = source[source["a"] > 99]
    for X, y, weights, problem in (
        (source, source["y"].where(source["a"] < 1), None, "Input y contains NaN"),
        (source, source["y"], -source["w"], "negative"),
        (source, source["y"], source["w"] * 0, "has no such row"),
        (none, none["y"], None, "has no such row"),
        (source, FRAME["y"], None, "y: is a Series, where X is of Dask"),
        (source, frames(2)["y"], None, "have 4, 2 partitions"),
        (source, source[["y", "a"]], None, "y should be a 1d array"),
    ):
        with pytest.raises((DataError, ValueError), match=problem):
            found.score(X[NAMES], y, weights)


def test_times_are_refused_before_anything_is_computed() -> None:
    source = frames()
    times = source[["a"]].astype("datetime64[ns]")
    for X, y in (
        (times, source["y"]),
        (times.to_dask_array(), source["y"].to_dask_array()),
        (source[NAMES], times["a"]),
    ):
        with pytest.raises(DataError, match="expected numbers or booleans"):
            LassoCV().fit(X, y)


def test_what_is_of_dask() -> None:
    source = frames()
    assert all(map(dask_rows.is_dask, (source, source["y"], da.ones(3))))
    assert not any(map(dask_rows.is_dask, (FRAME, np.ones(3), None)))
