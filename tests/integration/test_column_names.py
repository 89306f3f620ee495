"""Columns of any name: in filters, for dates, as partitions of the output, as periods."""

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose

from lasso_jobs import LassoJobsError, MonitorJob, ScoreJob, TrainJob, monitor, score, train
from lasso_jobs.scoring.plan import plan as plan_scoring
from lasso_jobs.training.plan import plan as plan_training

pytestmark = pytest.mark.integration

Values = dict[str, Any]
DAYS = [f"2024-01-{day:02d}" for day in range(1, 9)]
NAMES = ["Order Date", "event-date", "date.utc", "class", "größe", 'a "b"']
IN_A_FOLDER_TOO = [*NAMES, "it's", "50% off", "[x]", "{y}", "a&b", "a:b"]


def sales(name: str) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({name: np.repeat(DAYS, 60), "id": range(480), "x": rng.normal(size=480)})
    return frame.assign(y=3 * frame["x"] + rng.normal(size=480))


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def jobs(folder: Path, name: str, format_: str = "delta") -> tuple[Values, Values]:
    data, registry = str(folder / "sales.parquet"), str(folder / "models")
    sales(name).to_parquet(data)
    training = {
        "name": "m",
        "data": {"path": data, "where": f"{quoted(name)} < '2024-01-06'"},
        "target": "y",
        "features": {"include": ["x"]},
        "holdout": {"where": f"`{name}` IN ('2024-01-04', '2024-01-05')"},
        "stability": None,
        "registry": registry,
    }
    output = {"path": str(folder / "scores"), "format": format_, "partition_by": name}
    scoring = {"model": "m@v1", "data": {"path": data}, "keys": ["id"], "output": output}
    return training, {**scoring, "registry": registry}


@pytest.mark.parametrize("name", NAMES)
def test_a_column_of_any_name_selects_dates_partitions_and_periods(
    name: str, tmp_path: Path
) -> None:
    training, scoring = jobs(tmp_path, name)
    rows = sales(name)
    trained = train(TrainJob.from_values(training), workers=1)
    assert trained.model.holdout is not None
    assert (trained.model.n_rows, trained.model.holdout.n_rows) == (5 * 60, 2 * 60)
    for day in DAYS[5:7]:
        assert score(ScoreJob.from_values(scoring).on(day), workers=1).rows_scored == 60
    scored = rows[rows[name].isin(DAYS[5:7])]
    table = pl.read_delta(scoring["output"]["path"]).to_pandas().sort_values("id")
    assert table[name].tolist() == scored[name].tolist()
    assert_allclose(table["prediction"], trained.model.predict(scored))
    monitoring = {
        "model": "m",
        "scores": {"path": scoring["output"]["path"], "where": f"{quoted(name)} is not null"},
        "actuals": {"path": scoring["data"]["path"], "where": f"{quoted(name)} > '2024-01-01'"},
        "keys": [name, "id"],
        "target": "y",
        "period": name,
        "min_rows": 20,
        "registry": training["registry"],
    }
    found = monitor(MonitorJob.from_values(monitoring), DAYS[6], DAYS[6], workers=1)
    assert [(row.period, row.tally.n_known) for row in found.rows] == [(DAYS[6], 60)]


@pytest.mark.parametrize("format_", ["delta", "parquet"])
@pytest.mark.parametrize("name", IN_A_FOLDER_TOO)
def test_readers_see_partition_columns_by_their_names(
    name: str, format_: str, tmp_path: Path
) -> None:
    training, scoring = jobs(tmp_path, name, format_)
    values = ["a b", "ä/ö", "50% = 1", "x"]
    rows = sales(name).assign(**{name: np.resize(values, 480)})
    train(TrainJob.from_values({**training, "data": {"path": scoring["data"]["path"]}}), workers=1)
    rows.to_parquet(scoring["data"]["path"])
    result = score(ScoreJob.from_values(scoring), workers=1)
    assert result.rows_scored == 480
    path, every = scoring["output"]["path"], f"{scoring['output']['path']}/*/*.parquet"
    expected = rows[["id", name]].to_numpy().tolist()
    with duckdb.connect() as connection:
        source = f"read_parquet('{every}', hive_partitioning=1)"
        found = connection.sql(f"SELECT id, {quoted(name)} FROM {source} ORDER BY id").fetchall()
    assert [*map(list, found)] == expected

    def by_polars() -> pl.DataFrame:
        if format_ == "delta":
            return pl.read_delta(path)
        return pl.read_parquet(every, hive_partitioning=True)

    assert [*map(list, by_polars().select("id", name).sort("id").rows())] == expected
    by_pandas = pd.read_parquet(path, columns=["id", name]).sort_values("id")
    assert by_pandas[["id", name]].astype({name: str}).to_numpy().tolist() == expected
    # A partition that is scored again takes the place of what was there.
    again = {**scoring, "data": {**scoring["data"], "where": f"{quoted(name)} = 'ä/ö' AND id > 9"}}
    assert score(ScoreJob.from_values(again), workers=1).rows_scored == 117
    assert by_polars().height == 480 - 3


@pytest.mark.parametrize("name", ["a/b", "a\\b", "a=b", "what?", "a%20b", "tab\there"])
@pytest.mark.parametrize("format_", ["delta", "parquet"])
def test_a_name_that_no_reader_finds_in_a_folder_is_refused(
    name: str, format_: str, tmp_path: Path
) -> None:
    training, scoring = jobs(tmp_path, name, format_)
    train(TrainJob.from_values(training), workers=1)
    with pytest.raises(LassoJobsError) as caught:
        plan_scoring(ScoreJob.from_values(scoring))
    assert f"output.partition_by {name!r}" in str(caught.value)
    assert "Rename the column" in str(caught.value)


def test_text_in_double_quotes_is_told_to_be_in_single_ones(tmp_path: Path) -> None:
    training, scoring = jobs(tmp_path, "day")
    where = {"where": 'day = "2024-01-04"'}
    data = {**training["data"], **where}
    monitoring = {
        "model": "m",
        "scores": {"path": scoring["data"]["path"]},
        "actuals": {"path": scoring["data"]["path"], **where},
        "keys": ["id"],
        "target": "y",
        "period": "day",
    }
    train(TrainJob.from_values(training), workers=1)
    rows = sales("day").assign(prediction=0.0, prediction_low=0.0, prediction_high=0.0)
    for fails, key in (
        (lambda: plan_training(TrainJob.from_values({**training, "data": data})), "data.where"),
        (
            lambda: plan_training(TrainJob.from_values({**training, "holdout": where})),
            "holdout.where",
        ),
        (lambda: plan_scoring(ScoreJob.from_values({**scoring, "data": data})), "data.where"),
        (lambda: monitor(MonitorJob.from_values(monitoring)), "actuals.where"),
    ):
        with pytest.raises(LassoJobsError) as caught:
            fails()
        rows.assign(model_version="v1").to_parquet(scoring["data"]["path"])
        line = str(caught.value)
        assert f", {key}: there is no column '2024-01-04'; expected one of " in line
        assert line.endswith("If it is text, write it in single quotes: '2024-01-04'.")


def labelled(n: int, rho: float) -> pd.DataFrame:
    """Texts whose labels collide, and two numbers whose correlation is about rho."""
    rng = np.random.default_rng(5)
    first = rng.choice(["b=c", "(other)", "z"], n)
    second = np.where(rng.random(n) < rho, first == "z", rng.random(n) < 0.5)
    rare = np.where(np.arange(n) % 50 == 0, [f"r{i}" for i in range(n)], first)
    frame = pd.DataFrame({"a": rare, "a=b": np.where(second, "c", "d"), "x": rng.normal(size=n)})
    effect = 2.0 * (first == "z") + 5.0 * second + frame["x"]
    return frame.assign(id=range(n), y=effect + 0.1 * rng.normal(size=n))


@pytest.mark.slow
def test_coefficients_whose_labels_would_collide_are_all_told_and_compared(tmp_path: Path) -> None:
    data = tmp_path / "rows.parquet"
    rows = labelled(600, 0.0)
    rows.to_parquet(data)
    registry = {"registry": str(tmp_path / "models")}
    training = {
        "name": "m",
        "data": {"path": str(data)},
        "target": "y",
        "stability": None,
        "features": {"exclude": ["id"]},
        "preprocess": {"max_levels": 3},
        **registry,
    }
    trained = train(TrainJob.from_values(training), workers=1)
    labels = {"a='b=c'", "a='(other)'", "a=(other)", "a=z", "a=b='c'", "a=b=d", "x"}
    for told in (trained.as_values()["coef"], trained.model.coef):
        assert set(told.keys()) == labels
    by_label = dict(trained.model.coef)
    assert by_label["a=b='c'"] - by_label["a=b=d"] == pytest.approx(5, abs=0.1)
    drift = {"path": str(tmp_path / "drift"), "features": "all", "correlation": True}
    output = {"path": str(tmp_path / "scores")}
    scoring = {"model": "m@v1", "data": {"path": str(data)}, "output": output, "drift": drift}
    rows = labelled(600, 1.0)
    rows.to_parquet(data)
    result = score(ScoreJob.from_values({**scoring, **registry}), workers=1)
    found = {
        row.drift.feature: row.drift for row in result.drift if row.drift.kind == "correlation"
    }
    pair = found["a=z ~ a=b='c'"]
    assert pair.mean == pytest.approx(np.corrcoef(rows["a"] == "z", rows["a=b"] == "c")[0, 1])
    assert len(found) == 20
