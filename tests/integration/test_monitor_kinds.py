"""Scored rows and outcomes whose periods, segments and rows are of any kind, or that are none."""

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from lasso_jobs import MonitorJob, TrainJob, monitor, train
from lasso_jobs.errors import DataError
from lasso_jobs.monitoring.history import MonitorResult

from ..deletion_vectors import delete

pytestmark = pytest.mark.integration

Values = dict[str, Any]
N = 240
DAYS = ["2024-05-01", "2024-05-02"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with intervals by a column of booleans."""
    root, rng = tmp_path_factory.mktemp("models"), np.random.default_rng(1)
    x, flag = rng.normal(size=2_000), rng.random(2_000) < 0.5
    frame = pd.DataFrame({"x": x, "flag": flag, "y": x + rng.normal(size=2_000)})
    frame.to_parquet(root / "data.parquet")
    job = {
        "name": "m",
        "data": {"path": str(root / "data.parquet")},
        "target": "y",
        "features": {"include": ["x"]},
        "search": {"alphas": 4, "folds": 2},
        "intervals": {"by": "flag"},
        "stability": None,
        "registry": str(root / "models"),
    }
    train(TrainJob.from_values(job), workers=1)
    return root / "models"


def predicted() -> pa.Table:
    """Scored rows of two days, half of them flagged."""
    rng = np.random.default_rng(2)
    y = rng.normal(size=N)
    return pa.table(
        {
            "id": np.arange(N),
            "day": np.repeat(DAYS, N // 2),
            "flag": np.arange(N) % 2 == 0,
            "promo": np.arange(N) % 3 == 0,
            "prediction": y + rng.normal(size=N),
            "prediction_low": y - 2,
            "prediction_high": y + 2,
            "model_version": ["v1"] * N,
            "y": y,
        }
    )


Job = Callable[..., MonitorResult]


@pytest.fixture
def measured(tmp_path: Path, models: Path) -> Job:
    """Write scored rows and outcomes, a file each, and monitor them."""

    def run(scores: pa.Table, actuals: pa.Table, *days: str, **keys: Any) -> MonitorResult:
        for name, table in (("scores", scores), ("actuals", actuals)):
            (tmp_path / name).mkdir(exist_ok=True)
            pq.write_table(table, tmp_path / name / "a.parquet")
        return monitor(job_of(tmp_path, models, **keys), *days, workers=1)

    return run


def job_of(root: Path, models: Path, **keys: Any) -> MonitorJob:
    values = {
        "model": "m",
        "scores": {"path": str(root / "scores")},
        "actuals": {"path": str(root / "actuals")},
        "keys": ["id"],
        "target": "y",
        "period": "day",
        "history": {"path": str(root / "history")},
        "registry": str(models),
        **keys,
    }
    return MonitorJob.from_values(values)


def outcomes(table: pa.Table) -> pa.Table:
    return table.select(["id", "y"])


def with_column(table: pa.Table, name: str, values: object) -> pa.Table:
    column = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
    return table.set_column(table.schema.get_field_index(name), name, column)


# Periods of every kind


def days_as(type_: pa.DataType) -> pa.ChunkedArray:
    return predicted()["day"].cast(pa.date32()).cast(pa.timestamp("us")).cast(type_)


PERIODS = {
    "date": days_as(pa.date32()),
    "timestamp s": days_as(pa.timestamp("s")),
    "timestamp ns": days_as(pa.timestamp("ns")),
    "timestamp UTC": days_as(pa.timestamp("us", "UTC")),
    "dictionary": predicted()["day"].dictionary_encode(),
}


@pytest.mark.parametrize("name", PERIODS)
@pytest.mark.parametrize("joint", [False, True])
def test_a_period_is_called_by_its_day_whatever_its_type(
    measured: Job, name: str, joint: bool
) -> None:
    scores, actuals = predicted(), predicted().select(["id", "day", "y"])
    keys: Values = {"keys": ["id", "day"] if joint else ["id"], "history": None}
    usual = measured(scores, actuals, **keys).rows
    assert [row.period for row in usual] == DAYS
    other = with_column(scores, "day", PERIODS[name])
    if "UTC" in name and joint:  # instants are compared with instants
        actuals = with_column(actuals, "day", PERIODS[name])
    found = measured(other, actuals, **keys).rows
    assert [row.as_values() for row in found] == [row.as_values() for row in usual]
    if "UTC" not in name:
        one = measured(other, actuals, DAYS[1], DAYS[1], **keys).rows
        assert [row.period for row in one] == DAYS[1:]


def test_times_of_the_last_day_are_of_it_and_are_periods_of_their_own(measured: Job) -> None:
    noon = datetime.timedelta(hours=12, microseconds=500)
    days = [datetime.datetime.fromisoformat(day) for day in DAYS]
    times = [day + noon * (i % 2) for day in days for i in range(N // 2)]
    scores = with_column(predicted(), "day", pa.array(times, pa.timestamp("us")))
    result = measured(scores, outcomes(predicted()), DAYS[1], DAYS[1])
    assert [row.period for row in result.rows] == [DAYS[1], f"{DAYS[1]} 12:00:00.0005"]
    assert [row.tally.n_known for row in result.rows] == [N // 4, N // 4]


# Segments by value

FLAGS = {
    "int8": pa.int8(),
    "double": pa.float64(),
    "decimal": pa.decimal128(5, 1),
}


@pytest.mark.parametrize("type_", FLAGS.values(), ids=FLAGS)
@pytest.mark.parametrize("of", ["scores", "actuals"])
def test_segments_of_true_and_of_one_are_the_same_and_spelled_as_the_model_has_them(
    measured: Job, type_: pa.DataType, of: str
) -> None:
    table = predicted()
    more = ["flag", "promo"]

    def found(table: pa.Table) -> list[Values]:
        scores, actuals = table.drop_columns(["y"]), outcomes(table)
        if of == "actuals":
            scores, actuals = scores.drop_columns(more), table.select(["id", "y", *more])
        return [row.as_values() for row in measured(scores, actuals, segments=more).rows]

    usual = found(table)
    assert {row["segment"] for row in usual} == {
        *("", "flag=true", "flag=false", "promo=1", "promo=0")
    }
    assert all(row["expected_mse"] for row in usual if row["segment"].startswith("flag"))
    other = table
    for name in more:
        other = with_column(other, name, table[name].cast(pa.int8()).cast(type_))
    assert found(other) == usual


# Files without rows


def test_scored_rows_and_outcomes_may_be_none(measured: Job) -> None:
    table = predicted()
    none = measured(table.slice(0, 0), outcomes(table))
    assert (none.rows, none.verdict) == ((), "unknown")
    assert none.because == "not judged: no rows were scored"
    assert none.as_values()["rows"] == []
    unknown = measured(table, outcomes(table).slice(0, 0))
    assert [(row.tally.n_scored, row.tally.n_known) for row in unknown.rows] == [(N // 2, 0)] * 2
    assert unknown.verdict == "unknown"


def test_files_without_rows_may_have_columns_without_types(measured: Job) -> None:
    table = predicted()
    names = ["id", "day", "prediction", "prediction_low", "prediction_high", "model_version"]
    untyped = pa.table({name: pa.nulls(0) for name in names})
    assert measured(untyped, outcomes(table)).because == "not judged: no rows were scored"
    result = measured(table, pa.table({"id": pa.nulls(0), "y": pa.nulls(0)}))
    assert {row.verdict for row in result.rows} == {"unknown"}
    # Outcomes of which none has come yet, as pandas writes them.
    nulls = pa.table({"id": table["id"], "y": pa.nulls(N)})
    assert [row.tally.n_known for row in measured(table, nulls).rows] == [0, 0]


def test_a_table_whose_scored_rows_are_all_deleted_has_none(tmp_path: Path, models: Path) -> None:
    table = predicted()
    write_deltalake(str(tmp_path / "scores"), table)
    (path,) = tmp_path.glob("scores/*.parquet")
    delete(tmp_path / "scores", {path.name: range(N)})
    (tmp_path / "actuals").mkdir()
    pq.write_table(outcomes(table), tmp_path / "actuals" / "a.parquet")
    result = monitor(job_of(tmp_path, models), workers=1)
    assert result.because == "not judged: no rows were scored"


@pytest.mark.parametrize("counted", [0, 120, None])
def test_a_night_that_was_emptied_is_told_and_recorded_once(
    measured: Job, tmp_path: Path, counted: int | None
) -> None:
    """Rows that are gone otherwise, as they are old, leave their errors in the history."""
    table = predicted()
    before = measured(table, outcomes(table), segments=["promo"])
    assert {row.period for row in before.rows} == {*DAYS}
    if counted is not None:
        done = tmp_path / "scores" / "_lasso" / "done"
        done.mkdir(parents=True)
        (done / f"{DAYS[0]}.json").write_text(json.dumps({"rows_scored": counted}))
    rest = table.slice(N // 2)
    # Of other days than the run's nothing is said.
    assert {row.period for row in measured(rest, outcomes(table), DAYS[1], DAYS[1]).rows} == {
        DAYS[1]
    }
    result = measured(rest, outcomes(table))
    first = [row for row in result.rows if row.period == DAYS[0]]
    kept = DeltaTable(str(tmp_path / "history")).to_pandas().query("period == @DAYS[0]")
    if counted == 0:
        ((row,), (text,)) = first, kept["reason"]
        assert (row.tally.n_scored, row.verdict) == (0, "unknown")
        assert row.reason == text == "not judged: scored again since, and has no rows any more"
        assert (kept["n_scored"].item(), kept["segment"].item()) == (0, "")
        assert DAYS[0] in result.because
    else:
        assert (first, set(kept["n_scored"])) == ([], {N // 2, N // 3 // 2, N // 3})
    again = measured(rest, outcomes(table))
    assert {row.period for row in again.rows} == {DAYS[1]}


def test_no_files_of_the_dates_are_an_error_that_names_what_left_them_out(
    tmp_path: Path, models: Path
) -> None:
    table = predicted().drop_columns(["day"])
    (tmp_path / "scores" / f"day={DAYS[0]}").mkdir(parents=True)
    pq.write_table(table, tmp_path / "scores" / f"day={DAYS[0]}" / "a.parquet")
    (tmp_path / "actuals").mkdir()
    pq.write_table(outcomes(table), tmp_path / "actuals" / "a.parquet")
    with pytest.raises(DataError, match="none of its 1 files is left by --from, --to"):
        monitor(job_of(tmp_path, models), DAYS[1], DAYS[1], workers=1)
