"""Folds hold exactly the rows that they should, and have the errors of refits on just those."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import TimeSeriesSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler

from lasso_jobs import TrainJob, load_model, train
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.engine.cluster import connect
from lasso_jobs.errors import LassoJobsError
from lasso_jobs.jobs.train import PreprocessOptions
from lasso_jobs.training.gather import TrainingData, gather
from lasso_jobs.training.plan import plan
from lasso_jobs.training.read.rows import read_training_rows

pytestmark = pytest.mark.integration

Values = dict[str, Any]
Split = tuple[np.ndarray, np.ndarray]
EXACT = 1e-8
N = 600
ALPHAS = [2.0, 0.5, 0.05]


def rows() -> pd.DataFrame:
    """In no order of time; its slope and its nulls change with time."""
    rng = np.random.default_rng(3)
    hour = rng.permutation(N)
    frame = pd.DataFrame(
        {"row": np.arange(N), "x": rng.normal(hour / 100, 1), "z": rng.normal(size=N)}
    )
    frame["y"] = frame["x"] * (1 + hour / N) + 0.3 * frame["z"] + rng.normal(size=N)
    frame["shop"] = rng.integers(0, 70, N)
    frame.loc[rng.random(N) < 0.1, "x"] = None
    frame.loc[rng.random(N) < 0.05, "y"] = None
    return frame.assign(hour=hour)


def write(frame: pd.DataFrame, folder: Path) -> Path:
    """Two files of several row groups."""
    folder.mkdir()
    for name, part in (("a", frame[:250]), ("b", frame[250:])):
        table = pa.Table.from_pandas(part, preserve_index=False)
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=60)
    return folder


def job(folder: Path, search: Values, holdout: Any = None, **more: Any) -> TrainJob:
    return TrainJob.from_values(
        {
            "name": "shops",
            "data": {"path": str(folder / "data")},
            "target": "y",
            "stability": None,
            "features": {"include": ["x", "z"]},
            "search": {"alphas": ALPHAS, **search},
            "holdout": holdout,
            "registry": str(folder / "models"),
            **more,
        }
    )


def gathered(job: TrainJob) -> TrainingData:
    with connect("local", 1) as workers:
        return gather(lambda: workers, plan(job))


def buckets(job: TrainJob, found: TrainingData) -> pd.Series:
    """The bucket of each row that has a target, by its number."""
    parts = []
    reading = replace(found.reading, columns=Columns(("row",), ()))
    for unit in plan(job).work_units:
        for rows in read_training_rows(unit, reading):
            parts.append(pd.Series(rows.buckets, rows.block.numeric[0].astype(int)))
    return pd.concat(parts)


def refits(
    frame: pd.DataFrame, splits: Iterator[Split], alphas: Any, scaler: type = StandardScaler
) -> np.ndarray:
    """Squared error of each split (a row) at each alpha (a column), of scikit-learn refits."""
    X, y = frame[["x", "z"]], frame["y"]
    return np.array(
        [
            [
                mean_squared_error(
                    y.loc[b], refit(a, scaler).fit(X.loc[t], y.loc[t]).predict(X.loc[b])
                )
                for a in alphas
            ]
            for t, b in splits
        ]
    )


def refit(alpha: float, scaler: type = StandardScaler) -> Pipeline:
    return make_pipeline(SimpleImputer(), scaler(), Lasso(alpha, tol=1e-12, max_iter=1_000_000))


# Repeats


@pytest.fixture(scope="module", params=["random", "group"])
def repeated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Values:
    """Three repeats of four folds, by rows or by shops; some rows are held out."""
    folder = tmp_path_factory.mktemp("repeated")
    write(rows(), folder / "data")
    split = "random" if request.param == "random" else {"group": "shop"}
    what = job(folder, {"split": split, "folds": 4, "repeats": 3}, 0.2)
    found = gathered(what)
    bucket = buckets(what, found)
    splits = [
        tuple(bucket.index[np.isin(bucket, part)] for part in pair) for pair in found.folds.splits()
    ]
    return {
        "by": request.param,
        "job": what,
        "frame": rows().dropna(subset="y").set_index("row"),
        "splits": splits,
        "trained": train(what, workers=2).as_values(),
    }


def test_each_fold_of_each_repeat_has_the_error_of_a_refit(repeated: Values) -> None:
    curve = repeated["trained"]["cv"]
    assert curve["repeats"] == 3
    assert np.shape(curve["fold_mse"]) == (12, 3)
    expected = refits(repeated["frame"], repeated["splits"], curve["alphas"])
    assert_allclose(curve["fold_mse"], expected, rtol=EXACT)
    assert curve["fold_weight"] == [len(test) for _, test in repeated["splits"]]


def test_each_fold_of_each_repeat_has_the_quartiles_of_its_own_rows(repeated: Values) -> None:
    robust = {"preprocess": PreprocessOptions(scaling="robust"), "name": "robust"}
    curve = train(repeated["job"].model_copy(update=robust), workers=1).as_values()["cv"]
    expected = refits(repeated["frame"], repeated["splits"], curve["alphas"], RobustScaler)
    assert_allclose(curve["fold_mse"], expected, rtol=EXACT)


def test_the_curve_is_the_mean_over_repeats_of_the_mean_row_of_each(repeated: Values) -> None:
    curve = repeated["trained"]["cv"]
    errors = np.reshape(curve["fold_mse"], (3, 4, 3))
    sizes = np.reshape(curve["fold_weight"], (3, 4))
    means = np.array([np.average(e, axis=0, weights=w) for e, w in zip(errors, sizes, strict=True)])
    assert_allclose(curve["mse"], means.mean(axis=0), rtol=1e-12)
    squares = np.einsum("rk,rka->ra", sizes, (errors - means[:, None]) ** 2)
    variance = squares / sizes.sum(axis=1)[:, None] / 3
    assert_allclose(curve["mse_se"], np.sqrt(variance.mean(axis=0)), rtol=1e-12)


def test_the_stored_model_has_the_curve_of_every_repeat(repeated: Values) -> None:
    curve, found = load_model(repeated["job"].registry, "shops@v1").curve, repeated["trained"]["cv"]
    assert curve.repeats == 3
    np.testing.assert_array_equal(curve.fold_mse, found["fold_mse"])
    np.testing.assert_array_equal(curve.mse_se, found["mse_se"])


def test_each_repeat_tests_each_row_once_and_never_trains_on_it(repeated: Values) -> None:
    for repeat in range(3):
        splits = repeated["splits"][4 * repeat : 4 * repeat + 4]
        tests = np.concatenate([test for _, test in splits])
        assert len(tests) == len(set(tests))
        for training, test in splits:
            assert set(training) | set(test) == set(tests)
            assert not set(training) & set(test)


def test_repeats_regroup_whole_groups(repeated: Values) -> None:
    shop = repeated["frame"]["shop"]
    mixed = [set(shop[training]) & set(shop[test]) for training, test in repeated["splits"]]
    assert any(mixed) == (repeated["by"] == "random")


def test_repeats_read_nothing_more(repeated: Values) -> None:
    what = repeated["job"]
    once = what.model_copy(update={"search": what.search.model_copy(update={"repeats": 1})})
    alone = train(once, workers=1).as_values()
    assert alone["bytes_read"] == repeated["trained"]["bytes_read"]
    assert alone["cv"]["fold_mse"] == repeated["trained"]["cv"]["fold_mse"][:4]


def test_repeats_of_as_many_folds_as_buckets_are_refused(tmp_path: Path) -> None:
    write(rows(), tmp_path / "data")
    with pytest.raises(
        LassoJobsError, match=r"search.repeats = 2: .*60 buckets for 60 folds"
    ) as caught:
        gathered(job(tmp_path, {"folds": 60, "repeats": 2}))
    assert "\n" not in str(caught.value)


# By time


def as_hours(hour: pd.Series) -> pd.Series:
    return pd.to_datetime("2024-01-01") + pd.to_timedelta(hour, "h")


def as_days(hour: pd.Series) -> pd.Series:
    return as_hours(hour).dt.floor("D")


FORMS = {
    "number": (lambda hour: hour, 30, 30),
    "timestamp": (as_hours, "30h", pd.Timedelta("30h")),
    "day": (as_days, "2d", pd.Timedelta("2D")),
    "text": (lambda hour: as_days(hour).dt.strftime("%Y-%m-%d"), "2d", pd.Timedelta("2D")),
    "iso": (lambda hour: as_hours(hour).dt.strftime("%Y-%m-%dT%H:%M"), 0, pd.Timedelta(0)),
}


@pytest.fixture(scope="module", params=FORMS)
def timed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Values:
    """Four folds by time, in several forms of time; the last rows are held out."""
    make, gap, width = FORMS[request.param]
    frame = rows()
    frame["hour"] = make(frame["hour"])
    folder = tmp_path_factory.mktemp(request.param)
    write(frame, folder / "data")
    window = "rolling" if request.param in ("number", "text") else "expanding"
    what = job(
        folder,
        {"folds": 4, "split": {"time": "hour", "window": window, "gap": gap}},
        {"last": 0.15},
    )
    time = frame["hour"] if request.param == "number" else pd.to_datetime(frame["hour"])
    kept = frame.assign(time=time).dropna(subset="y").set_index("row")
    return {
        "job": what,
        "width": width,
        "window": window,
        "frame": kept,
        "splits": split_by_hand(kept["time"], width, window),
        "cut": cut_by_hand(kept["time"]),
        "trained": train(what, workers=2).as_values(),
        "digests": {train(what, workers=w).registered.digest for w in (1, 2)},
    }


def cut_by_hand(time: pd.Series) -> Any:
    """Of all distinct times, that before which the most nearly 85 % of the rows lie."""
    times = sorted(set(time))[1:]
    return min(times, key=lambda t: abs((time < t).sum() - 0.85 * len(time)))


def split_by_hand(time: pd.Series, width: Any, window: str) -> list[Split]:
    time = time[time < cut_by_hand(time)]
    size = len(time) // 5
    wanted = [len(time) - size * (4 - k) for k in range(4)]
    starts = [min(sorted(set(time)), key=lambda t: abs((time < t).sum() - w)) for w in wanted]
    splits = []
    for k, start in enumerate(starts):
        training = time < start - width
        if window == "rolling" and k:
            training &= time >= starts[k - 1]
        test = (time >= start) & (time < starts[k + 1] if k < 3 else True)
        splits.append((time.index[training], time.index[test]))
    return splits


def test_each_fold_by_time_has_the_error_of_a_refit_on_the_rows_before(timed: Values) -> None:
    curve = timed["trained"]["cv"]
    assert curve["fold_weight"] == [len(test) for _, test in timed["splits"]]
    expected = refits(timed["frame"], timed["splits"], curve["alphas"])
    assert_allclose(curve["fold_mse"], expected, rtol=EXACT)
    sizes = [len(test) for _, test in timed["splits"]]
    assert_allclose(curve["mse"], np.average(expected, axis=0, weights=sizes), rtol=EXACT)


def test_no_fold_by_time_trains_on_the_gap_or_on_later_rows(timed: Values) -> None:
    found = gathered(timed["job"])
    bucket = buckets(timed["job"], found)
    time = timed["frame"]["time"]
    for training, test in found.folds.splits():
        first = time[bucket.isin(test)].min()
        assert time[bucket.isin(training)].max() < first - timed["width"]
    held = bucket == found.reading.n_buckets
    assert set(time[held]) & set(time[~held]) == set()
    assert time[~held].max() < time[held].min() == timed["cut"]
    assert abs(held.mean() - 0.15) < 0.03


def test_the_last_rows_are_measured_with_a_model_that_ends_a_gap_before(timed: Values) -> None:
    frame, found = timed["frame"], timed["trained"]
    before = frame["time"] < timed["cut"] - timed["width"]
    held = frame["time"] >= timed["cut"]
    model = refit(found["alpha"]).fit(frame.loc[before, ["x", "z"]], frame.loc[before, "y"])
    error = mean_squared_error(frame.loc[held, "y"], model.predict(frame.loc[held, ["x", "z"]]))
    assert found["holdout"]["n_rows"] == held.sum()
    assert_allclose(found["holdout"]["mse"], error, rtol=EXACT)


def test_the_final_model_is_fitted_to_all_rows(timed: Values) -> None:
    frame, found = timed["frame"], timed["trained"]
    final = refit(found["alpha"]).fit(frame[["x", "z"]], frame["y"])
    assert found["n_rows"] == len(frame)
    assert_allclose(list(found["per_sd"].values()), final["lasso"].coef_, rtol=EXACT)


def test_folds_by_time_are_the_same_for_any_number_of_workers(timed: Values) -> None:
    assert timed["digests"] == {timed["trained"]["digest"]}


def test_equal_segments_are_those_of_scikit_learn(tmp_path: Path) -> None:
    frame = rows().assign(y=lambda f: f["y"].fillna(0.0))
    write(frame, tmp_path / "data")
    what = job(tmp_path, {"folds": 5, "split": {"time": "hour"}})
    in_time = frame.sort_values("hour").set_index("row")
    splits = [(in_time.index[a], in_time.index[b]) for a, b in TimeSeriesSplit(5).split(in_time)]
    trained = train(what, workers=1).as_values()
    assert trained["cv"]["fold_weight"] == [100] * 5
    expected = refits(frame.set_index("row"), splits, ALPHAS)
    assert_allclose(trained["cv"]["fold_mse"], expected, rtol=EXACT)


def test_a_folder_of_days_is_split_by_its_days(shop: Path, tmp_path: Path) -> None:
    what = job(
        tmp_path,
        {"folds": 3, "split": {"time": "day", "gap": "1d"}},
        data={"path": str(shop)},
        target="sales",
        features={"include": ["price", "visits", "id"]},
    )
    found = gathered(what)
    days: dict[int, set[str]] = {}
    for unit in plan(what).work_units:
        for block in read_training_rows(unit, found.reading):
            for bucket, time in zip(block.buckets, block.times.tolist(), strict=True):
                day = datetime.fromtimestamp(time / 1e6, UTC).strftime("%d")
                days.setdefault(int(bucket), set()).add(day)
    # Twelve days of about equal rows, in four segments.
    expected = [(2, "04-06"), (5, "07-09"), (8, "10-12")]
    for (training, test), (last, between) in zip(found.folds.splits(), expected, strict=True):
        first, end = map(int, between.split("-"))
        assert set().union(*(days[i] for i in training)) == {f"{d:02}" for d in range(1, last + 1)}
        assert set().union(*(days[i] for i in test)) == {f"{d:02}" for d in range(first, end + 1)}


@pytest.mark.parametrize("split", ["random", {"group": "shop"}])
def test_the_last_rows_are_held_out_of_any_split(tmp_path: Path, split: Any) -> None:
    frame = rows()
    write(frame, tmp_path / "data")
    what = job(tmp_path, {"folds": 3, "split": split}, {"last": 0.25, "time": "hour"})
    found = gathered(what)
    bucket = buckets(what, found)
    hour = frame.set_index("row")["hour"].loc[bucket.index]
    held = bucket == found.reading.n_buckets
    assert hour[~held].max() < hour[held].min()
    assert held.sum() == round(0.25 * len(hour))
    assert train(what, workers=1).as_values()["holdout"]["n_rows"] == held.sum()


def test_many_distinct_times_are_split_by_a_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lasso_jobs.core.rows.timeline.MAX_TIMES", 200)
    frame = rows()
    write(frame, tmp_path / "data")
    what = job(tmp_path, {"folds": 3, "split": {"time": "hour", "gap": 5}}, {"last": 0.2})
    found = gathered(what)
    bucket = buckets(what, found)
    hour = frame.set_index("row")["hour"].loc[bucket.index]
    for training, test in found.folds.splits():
        assert hour[bucket.isin(training)].max() < hour[bucket.isin(test)].min() - 5
        assert abs(bucket.isin(test).mean() - 0.2) < 0.12
    assert len({train(what, workers=w).registered.digest for w in (1, 2)}) == 1


REFUSED: dict[str, tuple[Values, Any, str]] = {
    "a gap longer than a segment": (
        {"split": {"time": "hour", "gap": 200}},
        None,
        r"search.split.gap = 200.0: fold 1 of 5 has no rows to train on.*Shorten",
    ),
    "a gap longer than a rolling segment": (
        {"split": {"time": "hour", "gap": 110, "window": "rolling"}},
        None,
        r"fold 1 of 5 has no rows to train on",
    ),
    "fewer times than segments": (
        {"split": {"time": "few"}, "folds": 3},
        None,
        r"time 'few': has too few distinct values \(3\).*at least 4, as search.folds = 3",
    ),
    "too few times before the hold-out": (
        {"split": {"time": "few"}, "folds": 2},
        {"last": 0.3},
        r"time 'few': has too few distinct values \(2\).*at least 3, as search.folds = 2",
    ),
    "one time": (
        {},
        {"last": 0.3, "time": "one"},
        r"time 'one': has too few distinct values \(1\).*holdout.last",
    ),
    "nulls": ({"split": {"time": "x"}}, None, r"time 'x': has a null or infinite value"),
    "a duration of numbers": (
        {"split": {"time": "hour", "gap": "7d"}},
        None,
        r"search.split.gap: is '7d', but 'hour' has type int64.*a number",
    ),
    "a number of timestamps": (
        {"split": {"time": "stamp", "gap": 7}},
        None,
        r"search.split.gap: is 7.0, but 'stamp' has type timestamp.*.*a duration such as 7d",
    ),
    "booleans": ({"split": {"time": "flag"}}, None, r"search.split.time 'flag': has type bool"),
    "no such column": (
        {},
        {"last": 0.1, "time": "huor"},
        r"holdout.time: there is no column 'huor'.*Did you mean 'hour'",
    ),
    "text that is no time": ({"split": {"time": "word"}}, None, r"time 'word': cannot be read"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_split_by_time_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    search, holdout, words = REFUSED[case]
    frame = rows().assign(
        few=lambda f: f["row"] % 3,
        one=1,
        flag=True,
        word="noon",
        stamp=lambda f: as_hours(f["hour"]),
    )
    write(frame, tmp_path / "data")
    with pytest.raises(LassoJobsError, match=words) as caught:
        gathered(job(tmp_path, search, holdout))
    assert "\n" not in str(caught.value)
