"""Few groups and few rows: each fold and the hold-out get their share of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import Lasso
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lasso_jobs import TrainJob, train
from lasso_jobs.core.rows.balance import MOST_LISTED
from lasso_jobs.engine.cluster import connect
from lasso_jobs.errors import DataError
from lasso_jobs.training.gather import TrainingData, gather
from lasso_jobs.training.plan import plan
from lasso_jobs.training.read.rows import read_training_rows

pytestmark = pytest.mark.integration


def rows(n: int, seed: int = 0) -> pd.DataFrame:
    r = np.random.default_rng(seed)
    frame = pd.DataFrame(r.normal(size=(n, 3)), columns=["x0", "x1", "x2"])
    frame["y"] = 2 * frame.x0 - frame.x1 + 0.5 * r.normal(size=n)
    return frame


def job(folder: Path, **keys: Any) -> TrainJob:
    values = {
        "name": "m",
        "data": {"path": str(folder / "data")},
        "target": "y",
        "features": {"include": ["x*"]},
        "stability": None,
        "registry": str(folder / "models"),
    }
    return TrainJob.from_values({**values, **keys})


def write(folder: Path, frame: pd.DataFrame, name: str = "a") -> None:
    (folder / "data").mkdir(exist_ok=True)
    frame.to_parquet(folder / "data" / f"{name}.parquet", index=False)


def gathered(of: TrainJob) -> tuple[TrainingData, NDArray[np.intp]]:
    """What a training knows, and the bucket of each of its rows."""
    planned = plan(of)
    with connect(workers=1) as workers:
        data = gather(lambda: workers, planned)
    read = [r for unit in planned.work_units for r in read_training_rows(unit, data.reading)]
    return data, np.concatenate([each.buckets for each in read])


def test_five_groups_in_five_folds_are_those_of_group_k_fold(tmp_path: Path) -> None:
    frame = rows(600).assign(shop=np.arange(600) % 5)
    write(tmp_path, frame)
    search = {"split": {"group": "shop"}, "alphas": [0.1]}
    found = train(job(tmp_path, search=search, holdout=None), workers=1).as_values()["cv"]
    expected = []
    for training, test in GroupKFold(5).split(frame, groups=frame["shop"]):
        fit = make_pipeline(StandardScaler(), Lasso(alpha=0.1, tol=1e-12))
        fit.fit(frame.iloc[training, :3], frame.y.iloc[training])
        error = frame.y.iloc[test] - fit.predict(frame.iloc[test, :3])
        expected.append(float(np.mean(error**2)))
    assert sorted(np.ravel(found["fold_mse"]).tolist()) == pytest.approx(sorted(expected), rel=1e-9)
    assert found["fold_weight"] == [120.0] * 5


@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("n_groups", [6, 13, 90])
def test_unequal_groups_are_balanced_and_whole(n_groups: int, repeats: int, tmp_path: Path) -> None:
    sizes = np.random.default_rng(n_groups).integers(5, 60, n_groups)
    frame = rows(int(sizes.sum()))
    frame["g"] = np.random.default_rng(1).permutation(np.repeat(np.arange(n_groups), sizes))
    frame.loc[frame.g == 2, "y"] = None  # a group that is not trained on
    write(tmp_path, frame.iloc[::2], "a")
    write(tmp_path, frame.iloc[1::2], "b")
    frame = pd.concat([frame.iloc[::2], frame.iloc[1::2]]).dropna()
    search = {"split": {"group": "g"}, "folds": 4, "repeats": repeats}
    data, buckets = gathered(job(tmp_path, search=search))
    held = buckets == data.reading.n_buckets
    assert (pd.Series(buckets).groupby(frame.g.to_numpy()).nunique() == 1).all()
    assert abs(held.sum() - 0.2 * len(frame)) <= sizes.max() / 2 + 1
    for k, (_, test) in enumerate(data.folds.splits()):
        in_test = np.isin(buckets, test)
        assert abs(in_test.sum() - (~held).sum() / 4) <= sizes.max(), k
    in_folds = frame[~held].g
    expected = sorted(len(test) for _, test in GroupKFold(4).split(in_folds, groups=in_folds))
    first = [np.isin(buckets, test).sum() for _, test in list(data.folds.splits())[:4]]
    assert sorted(first) == expected


@pytest.mark.parametrize(("n", "folds"), [(30, 10), (31, 7), (61, 5), (100, 7), (1000, 9)])
def test_few_rows_are_within_one_of_equal(n: int, folds: int, tmp_path: Path) -> None:
    write(tmp_path, rows(n))
    data, buckets = gathered(job(tmp_path, search={"folds": folds}))
    held = buckets == data.reading.n_buckets
    assert abs(held.sum() - 0.2 * n) < 1
    sizes = [np.isin(buckets, test).sum() for _, test in data.folds.splits()]
    assert sum(sizes) == n - held.sum()
    assert np.ptp(sizes) <= 1


def test_filters_and_other_hold_outs_come_before_the_balance(tmp_path: Path) -> None:
    frame = rows(200).assign(day=np.arange(200), kind=["a", "b"] * 100)
    frame.loc[::9, "y"] = None
    write(tmp_path, frame)
    data = {"path": str(tmp_path / "data"), "where": "kind == 'a'"}
    for holdout in ({"where": "day >= 150"}, {"last": 0.25, "time": "day"}):
        found, buckets = gathered(job(tmp_path, data=data, holdout=holdout))
        sizes = [np.isin(buckets, test).sum() for _, test in found.folds.splits()]
        assert sum(sizes) + (buckets == found.reading.n_buckets).sum() == len(buckets)
        assert np.ptp(sizes) <= 1
    frame["fold"] = np.arange(200) % 4
    write(tmp_path, frame)
    for split in ({"fold": "fold"}, {"time": "day"}):
        found, buckets = gathered(job(tmp_path, search={"split": split}, holdout=0.2))
        n = len(frame) - frame.y.isna().sum()
        assert abs((buckets == found.reading.n_buckets).sum() - 0.2 * n) < 1


def test_many_rows_stay_in_their_buckets_when_a_file_is_added(tmp_path: Path) -> None:
    write(tmp_path, rows(MOST_LISTED + 1))
    before, buckets = gathered(job(tmp_path))
    write(tmp_path, rows(500, seed=1), "b")
    after, more = gathered(job(tmp_path))
    assert before.reading.listed == after.reading.listed == ()
    assert more[: MOST_LISTED + 1].tolist() == buckets.tolist()


def test_more_rows_of_few_groups_leave_the_others_in_their_buckets(tmp_path: Path) -> None:
    frame = rows(900).assign(g=np.arange(900) % 23)
    split = {"split": {"group": "g"}}
    write(tmp_path, frame.iloc[:600])
    before, buckets = gathered(job(tmp_path, search=split))
    write(tmp_path, frame.iloc[600:], "b")
    after, more = gathered(job(tmp_path, search={**split, "folds": 7}))
    assert before.reading.listed == after.reading.listed != ()
    assert more[:600].tolist() == buckets.tolist()
    assert before.reading.listed_buckets == after.reading.listed_buckets


def test_many_groups_are_hashed(tmp_path: Path) -> None:
    frame = rows(3 * MOST_LISTED)
    write(tmp_path, frame.assign(g=np.arange(len(frame)) // 2))
    data, _ = gathered(job(tmp_path, search={"split": {"group": "g"}}))
    assert data.reading.listed == ()
    assert data.reading.holdout == 0.2


def test_the_balance_is_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    frame = rows(400).assign(g=np.arange(400) % 11)
    for k in range(4):
        write(tmp_path, frame.iloc[k::4], f"{k}")
    of = job(tmp_path, search={"split": {"group": "g"}}, promote="never", cache=False)
    digests = {train(of, workers=n).registered.digest for n in (1, 3)}
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("n", "keys", "said"),
    [
        (60, {"search": {"split": {"group": "g"}}}, "has 5 groups, of which 1 held out"),
        (60, {"search": {"split": {"group": "g"}, "folds": 6}, "holdout": None}, "has 5 groups;"),
        (8, {"search": {"folds": 7}}, "has 8 rows, of which 2 held out"),
        (3, {"search": {"folds": 5}, "holdout": None}, "has 3 rows; "),
    ],
)
def test_fewer_groups_than_folds_are_told(
    n: int, keys: dict[str, Any], said: str, tmp_path: Path
) -> None:
    write(tmp_path, rows(n).assign(g=np.arange(n) % 5))
    with pytest.raises(DataError, match=said) as error:
        gathered(job(tmp_path, **keys))
    assert "Set search.folds to" in str(error.value)
