"""Jobs read a Delta table's rows without those that its deletion vectors have taken out."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pandas as pd
import pytest
from deltalake import DeltaTable, write_deltalake
from numpy.testing import assert_allclose

from lasso_jobs import MonitorJob, ScoreJob, TrainJob, monitor, score, train
from lasso_jobs.errors import DataError
from lasso_jobs.outputs.verify import verify
from lasso_jobs.training.result import TrainResult

from ..deletion_vectors import delete

pytestmark = pytest.mark.integration

Values = dict[str, Any]
N = 600
GONE = [0, *range(100, 260), N - 1]


@pytest.fixture
def frame() -> pd.DataFrame:
    """Rows whose deleted ones would be a model of their own."""
    rng = np.random.default_rng(4)
    x, fold, shop = rng.normal(size=(N, 2)), np.arange(N) % 5, np.where(np.arange(N) % 3, "n", "s")
    y = x @ [2.0, -1.0] + (shop == "n") + rng.normal(0, 0.3, N)
    y[GONE] = 50 - 9 * x[GONE, 0]
    columns = {"id": np.arange(N), "x": x[:, 0], "z": x[:, 1], "shop": shop, "fold": fold, "y": y}
    return pd.DataFrame(columns)


@pytest.fixture
def table(frame: pd.DataFrame, tmp_path: Path) -> Path:
    """The table, with a vector."""
    root = tmp_path / "table"
    write_deltalake(str(root), frame)
    (path,) = [str(name) for name in DeltaTable(str(root)).file_uris()]
    delete(root, {Path(path).name: GONE})
    return root


def training(data: Path, registry: Path) -> TrainJob:
    return TrainJob.from_values(
        {
            "name": "m",
            "data": {"path": str(data)},
            "target": "y",
            "stability": None,
            "features": {"exclude": ["id"]},
            "search": {"alphas": 10, "split": {"fold": "fold"}},
            "holdout": None,
            "registry": str(registry),
        }
    )


def trained(data: Path, registry: Path) -> TrainResult:
    return train(training(data, registry), workers=1)


def same_model(a: TrainResult, b: TrainResult) -> None:
    assert_allclose(a.model.coef, b.model.coef, rtol=1e-9, atol=1e-12)
    assert_allclose([a.model.intercept, a.model.alpha], [b.model.intercept, b.model.alpha], 1e-9)


def test_a_training_is_that_of_the_rows_which_are_left(
    frame: pd.DataFrame, table: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "plain.parquet"
    frame.drop(index=GONE).to_parquet(plain, index=False)
    found = trained(table, tmp_path / "m1")
    same_model(found, trained(plain, tmp_path / "m2"))
    assert found.counts.filtered == len(GONE)
    assert found.counts.rows == N - len(GONE)


def test_what_is_cached_of_a_file_is_not_believed_once_more_rows_are_deleted(
    frame: pd.DataFrame, table: Path, tmp_path: Path
) -> None:
    trained(table, tmp_path / "models")
    more = sorted({*GONE, *range(300, 500)})
    (path,) = [Path(name).name for name in DeltaTable(str(table)).file_uris()]
    delete(table, {path: more})
    plain = tmp_path / "plain.parquet"
    frame.drop(index=more).to_parquet(plain, index=False)
    same_model(trained(table, tmp_path / "models"), trained(plain, tmp_path / "m2"))


def test_a_scoring_scores_the_rows_which_are_left_and_counts_the_others(
    frame: pd.DataFrame,
    table: Path,
    tmp_path: Path,
    cli: Callable[..., "CompletedProcess[str]"],
) -> None:
    trained(table, tmp_path / "models")
    job = {
        "model": "m",
        "data": {"path": str(table)},
        "keys": ["id", "y"],
        "output": {"path": str(tmp_path / "scores")},
        "registry": str(tmp_path / "models"),
    }
    result = score(ScoreJob.from_values(job), workers=1)
    left = frame.drop(index=GONE)
    assert (result.rows_in, result.rows_scored, result.rows_filtered) == (N, len(left), len(GONE))
    shown = DeltaTable(str(tmp_path / "scores")).to_pandas()
    assert sorted(shown["id"]) == left["id"].tolist()
    assert verify(str(tmp_path / "scores"), deep=True).rows_scored == len(left)
    (tmp_path / "score.json").write_text(json.dumps(job))
    said = cli("plan", "score.json", "--json", folder=tmp_path)
    assert said.returncode == 0, said.stderr


def test_a_monitoring_knows_only_the_outcomes_which_are_left(
    frame: pd.DataFrame, table: Path, tmp_path: Path
) -> None:
    trained(table, tmp_path / "models")
    scores = frame[["id"]].assign(
        day="2024-01-01", prediction=frame["y"], prediction_low=0.0, prediction_high=1.0
    )
    write_deltalake(str(tmp_path / "scores"), scores.assign(model_version="v1"))
    job = {
        "model": "m",
        "scores": {"path": str(tmp_path / "scores")},
        "actuals": {"path": str(table)},
        "keys": ["id"],
        "target": "y",
        "period": "day",
        "registry": str(tmp_path / "models"),
    }
    (row,) = monitor(MonitorJob.from_values(job), workers=1).rows
    assert (row.tally.n_scored, row.tally.n_known) == (N, N - len(GONE))


def test_a_table_whose_rows_are_all_deleted_is_an_empty_night_and_no_training(
    table: Path, tmp_path: Path
) -> None:
    trained(table, tmp_path / "models")
    drift = {"path": str(tmp_path / "drift"), "features": "all"}
    job = {
        "model": "m",
        "data": {"path": str(table)},
        "keys": ["id"],
        "output": {"path": str(tmp_path / "scores")},
        "drift": drift,
        "registry": str(tmp_path / "models"),
    }
    assert score(ScoreJob.from_values(job), workers=1).rows_scored == N - len(GONE)
    (path,) = [Path(name).name for name in DeltaTable(str(table)).file_uris()]
    delete(table, {path: range(N - 1)})
    filtered = job | {"data": {"path": str(table), "where": f"id < {N - 1}"}}
    with pytest.raises(DataError, match=r"none of its 1 rows is left by data\.where"):
        score(ScoreJob.from_values(filtered), workers=1)
    delete(table, {path: range(N)})
    for values in (job, filtered):
        night = score(ScoreJob.from_values(values), workers=1)
        assert (night.rows_in, night.rows_scored, night.rows_filtered) == (N, 0, N)
        assert night.verdict == "unknown"
        assert night.because == "not judged: the table has deleted all of its rows"
        assert DeltaTable(str(tmp_path / "scores")).to_pandas().empty
    verify(str(tmp_path / "scores"), deep=True)
    with pytest.raises(DataError, match=r"holds no rows \(files: 1; .* deleted: 600\)"):
        trained(table, tmp_path / "models")
