"""Scoring into each kind of output gives the same rows."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from deltalake import DeltaTable

from lasso_jobs import ScoreJob, score
from lasso_jobs.data import staging
from lasso_jobs.engine.cluster import connect
from lasso_jobs.errors import LassoJobsError
from lasso_jobs.jobs import score as scoring
from lasso_jobs.jobs import score_plan

pytestmark = pytest.mark.integration
Values = dict[str, Any]
COLUMNS = ["id", "day", "prediction", "prediction_low", "prediction_high", "model_version"]


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    return sorted(table.select(COLUMNS).to_pylist(), key=lambda row: row["id"])


@pytest.fixture(params=["parquet", "postgresql", "parquet in a bucket"])
def values(request: pytest.FixtureRequest, score_values: Values) -> Values:
    """A scoring job with another output than a Delta table."""
    kind, _, bucket = request.param.partition(" in a ")
    if kind == "postgresql":
        request.getfixturevalue("postgresql")
        path = f"scores_{uuid.uuid4().hex}"
    else:
        path = score_values["output"]["path"] + "-plain"
        path = f"{request.getfixturevalue('bucket')}/scores" if bucket else path
    output = {"path": path, "format": kind, "partition_by": "day"}
    return {**score_values, "output": output}


def committed(values: Values, partition: tuple = ()) -> list[dict[str, Any]]:
    sink = staging.sink(values["output"]["format"])
    return rows_of(sink.read(values["output"]["path"], COLUMNS, partition))


def test_the_rows_are_those_of_the_delta_table(values: Values, score_values: Values) -> None:
    assert score(ScoreJob.from_values(score_values), workers=1).output_version == 0
    for version in (0, 1):
        result = score(ScoreJob.from_values(values), workers=2)
        assert (result.output_version, result.rows_scored) == (version, 12 * 150)
        delta = DeltaTable(score_values["output"]["path"]).to_pyarrow_table()
        assert committed(values) == rows_of(delta)


def test_a_day_replaces_its_partition(values: Values) -> None:
    score(ScoreJob.from_values(values), workers=1)
    before = committed(values)
    result = score(ScoreJob.from_values(values).on("2024-01-05"), workers=1)
    assert result.rows_scored == 150
    assert committed(values) == before
    day = committed(values, (("day", "2024-01-05"),))
    assert day == [row for row in before if row["day"] == "2024-01-05"]
    path = values["output"]["path"]
    format_ = values["output"]["format"]
    runs = staging.sink(format_).read(path, ["run_id", "day"], ()).group_by(["day", "run_id"])
    found = {row["day"]: row["run_id"] for row in runs.aggregate([]).to_pylist()}
    assert len(found) == 12
    assert [day for day, run_id in found.items() if run_id == result.run_id] == ["2024-01-05"]


def test_bad_rows_are_quarantined_beside(values: Values, own_shop: Path) -> None:
    path = own_shop / "day=2024-01-03" / "sales.parquet"
    table = pq.ParquetFile(path).read()
    prices = table["price"].to_pylist()
    prices[7] = np.inf
    column = table.column_names.index("price")
    pq.write_table(table.set_column(column, "price", pa.array(prices)), path)
    values = {**values, "data": {"path": str(own_shop)}}
    job = ScoreJob.from_values(values)
    result = score(job, workers=1)
    assert (result.rows_scored, result.rows_quarantined) == (12 * 150 - 1, 1)
    sink, beside = staging.sink(values["output"]["format"]), score_plan.plan(job).scoring.quarantine
    (row,) = sink.read(beside, ["id", "day", "reason", "row"], ()).to_pylist()
    assert row == {"id": 20_007, "day": "2024-01-03", "reason": "infinite price", "row": 7}
    pq.write_table(table, path)
    score(job, workers=1)
    assert sink.read(beside, ["id"], ()).num_rows == 0


def test_a_commit_that_is_repeated_does_nothing_twice(values: Values) -> None:
    planned = score_plan.plan(ScoreJob.from_values(values))
    with connect("local", 1) as client:
        parts = scoring.predict(client, planned)
    assert [scoring.commit(planned, parts) for _ in range(2)] == [0, 0]
    assert len(committed(values)) == 12 * 150


def test_what_cannot_be_reached_is_told_at_plan_time(
    score_values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_values["output"] = {"path": "scores", "format": "postgresql"}
    monkeypatch.delenv("LASSO_JOBS_POSTGRESQL_URI", raising=False)
    with pytest.raises(LassoJobsError, match="LASSO_JOBS_POSTGRESQL_URI is not set"):
        score_plan.plan(ScoreJob.from_values(score_values))


def test_a_name_too_long_for_the_quarantine_is_told_at_plan_time(
    postgresql: str, score_values: Values
) -> None:
    score_values["output"] = {"path": "a" * 50, "format": "postgresql"}
    with pytest.raises(LassoJobsError, match="a_quarantine: is no name of a table"):
        score_plan.plan(ScoreJob.from_values(score_values))


def test_a_plain_folder_is_read_by_those_who_know_nothing_else(
    score_values: Values, tmp_path: Path
) -> None:
    score_values["output"] = {
        "path": str(tmp_path / "s"),
        "format": "parquet",
        "partition_by": "day",
    }
    score(ScoreJob.from_values(score_values), workers=1)
    query = f"SELECT day, count(*) FROM read_parquet('{tmp_path}/s/**/*.parquet') GROUP BY day"
    assert {n for _, n in duckdb.sql(query).fetchall()} == {150}


def test_the_command_line_scores_into_a_database(
    postgresql: str, score_values: Values, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    from adbc_driver_postgresql import dbapi

    score_values["output"] = {"path": "by_cli", "format": "postgresql", "partition_by": "day"}
    (tmp_path / "score.yaml").write_text(yaml.safe_dump(score_values))
    arguments = ("score", "score.yaml", "--cluster", "local-processes", "--workers", "2", "--quiet")
    finished = cli(*arguments, folder=tmp_path)
    assert finished.returncode in (0, 3), finished.stderr
    with dbapi.connect(postgresql) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*), count(DISTINCT id) FROM by_cli")
        assert cursor.fetchall() == [(1800, 1800)]
    wrong = postgresql.replace("@127.0.0.1", "x@127.0.0.1")
    refused = cli(*arguments, folder=tmp_path, LASSO_JOBS_POSTGRESQL_URI=wrong)
    assert refused.returncode == 1
    assert "password authentication failed" in refused.stderr
    assert "word%20of" not in refused.stderr
    assert refused.stderr.count("\n") == 1
