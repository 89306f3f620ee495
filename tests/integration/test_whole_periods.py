"""Rows that carry a period: whole periods are held out and share a fold, by their own hashes."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from sklearn.linear_model import Lasso
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lasso_jobs import TrainJob, train
from lasso_jobs.core.inference.cohorts import estimate
from lasso_jobs.engine.cluster import connect
from lasso_jobs.errors import DataError
from lasso_jobs.training.gather import TrainingData, gather
from lasso_jobs.training.plan import plan
from lasso_jobs.training.read.rows import read_training_rows

if TYPE_CHECKING:
    from lasso_jobs.engine.tasks import Workers

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def workers() -> "Iterator[Workers]":
    with connect(workers=1) as opened:
        yield opened


def days(n: int, first: int = 0, n_rows: int = 20) -> pd.DataFrame:
    """Rows of days, which differ."""
    parts = []
    for i in range(first, first + n):
        r = np.random.default_rng([3, 100 + i])
        part = pd.DataFrame(r.normal(size=(n_rows + i % 7, 3)), columns=["x0", "x1", "x2"])
        part["y"] = 2 * part.x0 - part.x1 + r.normal() + r.normal(size=len(part))
        parts.append(part.assign(day=date(2024, 1, 1) + timedelta(i)))
    return pd.concat(parts, ignore_index=True)


def write_folders(folder: Path, frame: pd.DataFrame) -> pd.DataFrame:
    for day, part in frame.groupby("day"):
        path = folder / "data" / f"date={day}" / "rows.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        part.drop(columns="day").to_parquet(path, index=False)
    return frame


def write_file(folder: Path, frame: pd.DataFrame) -> pd.DataFrame:
    (folder / "data").mkdir(exist_ok=True)
    frame.to_parquet(folder / "data" / "rows.parquet", index=False)
    return frame


def job(folder: Path, **keys: Any) -> TrainJob:
    values = {
        "name": "m",
        "data": {"path": str(folder / "data")},
        "target": "y",
        "features": {"include": ["x*"]},
        "search": {"alphas": [0.3, 0.1]},
        "stability": None,
        "registry": str(folder / "models"),
        "cache": False,
    }
    return TrainJob.from_values({**values, **keys})


def gathered(workers: "Workers", of: TrainJob) -> tuple[TrainingData, NDArray[np.intp]]:
    """What a training knows, and the bucket of each of its rows, in the order of the files."""
    planned = plan(of)
    data = gather(lambda: workers, planned)
    read = [r for unit in planned.work_units for r in read_training_rows(unit, data.reading)]
    return data, np.concatenate([each.buckets for each in read])


def by_day(frame: pd.DataFrame, buckets: NDArray[np.intp]) -> "pd.Series[int]":
    """The bucket of each day, which has one."""
    of_days = pd.Series(buckets).groupby(frame.dropna(subset="y").day.to_numpy())
    assert (of_days.nunique() == 1).all()
    return of_days.first()


def test_errors_are_those_of_scikit_learn_with_whole_days_in_folds(
    tmp_path: Path, workers: "Workers"
) -> None:
    frame = write_folders(tmp_path, days(14))
    training = job(tmp_path)
    data, buckets = gathered(workers, training)
    held, X, y = buckets == data.reading.n_buckets, frame[["x0", "x1", "x2"]], frame.y
    assert 3 <= (by_day(frame, buckets) == data.reading.n_buckets).sum() < 14 - 5
    result = train(training, workers=1)
    found, model = result.as_values(), result.model
    for k, (inside, test) in enumerate(data.folds.splits()):
        own, others = np.isin(buckets, test), np.isin(buckets, inside)
        assert own.any()
        assert found["cv"]["fold_weight"][k] == own.sum()
        for a, alpha in enumerate(training.search.alphas):  # type: ignore[arg-type]
            fit = make_pipeline(StandardScaler(), Lasso(alpha, tol=1e-13)).fit(X[others], y[others])
            mse = np.mean((y[own] - fit.predict(X[own])) ** 2)
            assert_allclose(np.array(found["cv"]["fold_mse"])[k].ravel()[a], mse, rtol=1e-8)
    fit = make_pipeline(StandardScaler(), Lasso(model.alpha, tol=1e-13)).fit(X[~held], y[~held])
    squared = ((y[held] - fit.predict(X[held])) ** 2).to_numpy()
    known = model.holdout and model.holdout.expected and model.holdout.expected.squared_error
    assert known and model.holdout
    assert_allclose(model.holdout.mse, squared.mean(), rtol=1e-8)
    day = pd.factorize(frame.day[held])[0].astype(float)
    oracle = estimate(squared, np.ones(len(day)), day)
    assert_allclose(known.standard_error, oracle.standard_error, rtol=1e-6)
    assert (model.holdout.cohort, model.kept_together) == ("date", "date")
    assert (found["unit"], known.n_cohorts) == ("date", len(np.unique(day)))
    assert f" rows of {known.n_cohorts} values of date" in result.in_words()["hold-out"]


@pytest.mark.parametrize("write", [write_folders, write_file])
def test_more_days_move_no_other_day(
    write: Callable[[Path, pd.DataFrame], pd.DataFrame], tmp_path: Path, workers: "Workers"
) -> None:
    period = {} if write is write_folders else {"period": "day"}
    training = job(tmp_path, **period)
    before_all = write(tmp_path, days(40))
    few, found = gathered(workers, training)
    before = by_day(before_all, found)
    write(tmp_path, days(52, first=-12))
    more, found = gathered(workers, training)
    after = by_day(days(52, first=-12), found)
    moved = before[before != after[before.index]]
    # Only days that were held out beyond the share come back, once others are.
    assert (moved == few.reading.n_buckets).all()
    assert len(moved) < 8  # of 40; by the hashes, 4 of them are below 0.2
    assert few.reading.holdout >= more.reading.holdout >= 0.2
    assert 9 <= (after == more.reading.n_buckets).sum() < 26


def test_a_training_of_more_days_reads_only_these(
    tmp_path: Path, workers: "Workers", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lasso_jobs.data.dataset.UNIT_FILES", 1)  # few files share a work unit
    write_folders(tmp_path, days(80))
    gather(lambda: workers, plan(job(tmp_path, cache=True)))
    write_folders(tmp_path, days(3, first=80))
    planned = plan(job(tmp_path, cache=True))
    data = gather(lambda: workers, planned)
    assert 0 < data.counts.bytes_read < planned.n_bytes * 6 / 83


@pytest.mark.slow
@pytest.mark.parametrize("n_buckets", [60, 5])
@pytest.mark.parametrize("n_days", [10, 11, 25])
def test_few_days_fill_every_fold(
    n_days: int, n_buckets: int, tmp_path: Path, workers: "Workers", monkeypatch: pytest.MonkeyPatch
) -> None:
    if n_buckets == 5:  # as with very many columns
        monkeypatch.setattr("lasso_jobs.core.rows.buckets.MAX_STATE_BYTES", 0)
    frame = days(n_days)
    frame.loc[frame.day == frame.day.max(), "y"] = None  # its outcomes are not known yet
    write_folders(tmp_path, frame)
    data, buckets = gathered(workers, job(tmp_path, search={"folds": 5, "alphas": [0.1]}))
    if n_days == 10:
        assert data.unit.because == "date has 9 values, fewer than 10"
        return
    held = by_day(frame, buckets) == data.reading.n_buckets
    assert data.reading.n_buckets == n_buckets
    assert held.sum() >= 3
    sizes = [np.isin(buckets, test).sum() for _, test in data.folds.splits()]
    assert min(sizes) > 0
    assert sum(sizes) + (buckets == n_buckets).sum() == len(buckets)


@pytest.mark.slow
@pytest.mark.parametrize(
    "search",
    [{"split": {"fold": "part"}}, {"split": {"time": "sold_at"}, "folds": 3}, {"repeats": 3}],
)
def test_whole_days_are_held_out_whatever_the_folds(
    search: dict[str, Any], tmp_path: Path, workers: "Workers"
) -> None:
    frame = days(30)
    frame["part"] = np.arange(len(frame)) % 3
    frame["sold_at"] = pd.to_datetime(frame.day) + pd.to_timedelta(np.arange(len(frame)) % 24, "h")
    write_file(tmp_path, frame.drop(columns="day"))
    training = job(tmp_path, search={"alphas": [0.1], **search}, period="sold_at")
    data, buckets = gathered(workers, training)
    held = pd.Series(buckets == data.reading.n_buckets).groupby(frame.day.to_numpy())
    assert (held.nunique() == 1).all()
    assert 3 <= held.first().sum() < 15
    assert data.reading.cohort == "sold_at"
    if "repeats" in search:
        assert len([*data.folds.splits()]) == 15


def test_a_fold_whose_days_are_all_held_out_is_told_with_the_way_out(
    tmp_path: Path, workers: "Workers"
) -> None:
    write_folders(tmp_path, days(12))
    by_day = {"alphas": [0.1], "split": {"fold": "date"}}
    with pytest.raises(DataError, match=r"no rows that count.* set holdout to null"):
        gathered(workers, job(tmp_path, search=by_day))
    data, _ = gathered(workers, job(tmp_path, search=by_day, holdout=None))
    assert len([*data.folds.splits()]) == 12


def test_rows_are_the_unit_of_few_periods_or_when_asked_for(tmp_path: Path) -> None:
    write_folders(tmp_path, days(12))
    random = train(job(tmp_path, search={"alphas": [0.1], "split": "random"}), workers=1)
    assert random.model.holdout and random.model.holdout.cohort is None
    assert random.as_values()["unit_because"] == "search.split is random"
    few = {"path": str(tmp_path / "data"), "where": "date < '2024-01-10'"}
    result = train(job(tmp_path, data=few), workers=1)
    assert result.in_words()["unit"] == "row: date has 9 values, fewer than 10"
    assert result.model.kept_together is None


def test_rows_without_a_period_are_one(tmp_path: Path, workers: "Workers") -> None:
    frame = days(20)
    frame.loc[frame.index % 40 == 0, "day"] = None
    write_file(tmp_path, frame)
    data, buckets = gathered(workers, job(tmp_path, period="day"))
    assert data.unit.because.startswith("its 21 values stay together")
    assert len(np.unique(buckets[frame.day.isna()])) == 1


def test_the_model_is_bitwise_the_same_with_more_workers(tmp_path: Path) -> None:
    write_folders(tmp_path, days(16))
    found = {train(job(tmp_path), workers=n).registered.digest for n in (1, 2)}
    assert len(found) == 1
