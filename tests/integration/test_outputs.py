"""Scoring into each kind of output gives the same rows."""

import json
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
from lasso_jobs.engine.cluster import connect
from lasso_jobs.errors import JobError, LassoJobsError, OutputError
from lasso_jobs.outputs.rollback import rollback
from lasso_jobs.outputs.vacuum import vacuum
from lasso_jobs.outputs.verify import verify
from lasso_jobs.scoring import nights, plan
from lasso_jobs.scoring.commit import commit
from lasso_jobs.scoring.staging import stage_rows
from lasso_jobs.sinks import protocol
from lasso_jobs.storage import files as storage

pytestmark = [pytest.mark.integration, pytest.mark.slow]
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
    sink = protocol.sink(values["output"]["format"])
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
    runs = protocol.sink(format_).read(path, ["run_id", "day"], ()).group_by(["day", "run_id"])
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
    sink, beside = (
        protocol.sink(values["output"]["format"]),
        plan.plan(job).task.destination.quarantine,
    )
    (row,) = sink.read(beside, ["id", "day", "reason", "column", "row"], ()).to_pylist()
    expected = {
        "id": 20_007,
        "day": "2024-01-03",
        "reason": "infinite",
        "column": "price",
        "row": 7,
    }
    assert row == expected
    pq.write_table(table, path)
    score(job, workers=1)
    assert sink.read(beside, ["id"], ()).num_rows == 0


def test_a_commit_that_is_repeated_does_nothing_twice(values: Values) -> None:
    planned = plan.plan(ScoreJob.from_values(values))
    with connect("local", 1) as workers:
        staged = stage_rows(workers, planned)
    assert [commit(planned, staged, -1) for _ in range(2)] == [0, 0]
    assert len(committed(values)) == 12 * 150


def test_a_commit_that_empties_the_quarantine_may_be_repeated(
    values: Values, own_shop: Path
) -> None:
    path = own_shop / "day=2024-01-03" / "sales.parquet"
    table = pq.ParquetFile(path).read()
    prices = pa.array([np.inf, *table["price"].to_pylist()[1:]])
    job = ScoreJob.from_values({**values, "data": {"path": str(own_shop)}}).on("2024-01-03")
    pq.write_table(table.set_column(table.column_names.index("price"), "price", prices), path)
    assert score(job, workers=1).rows_quarantined == 1
    pq.write_table(table, path)
    planned = plan.plan(job)
    with connect("local", 1) as workers:
        staged = stage_rows(workers, planned)
    assert [commit(planned, staged, -1) for _ in range(2)] == [1, 1]
    assert len(committed(values)) == 150
    sink = protocol.sink(values["output"]["format"])
    assert sink.read(planned.task.destination.quarantine, ["id"], ()).num_rows == 0


FIRST, SECOND, THIRD = DAYS = [f"2024-01-{day:02d}" for day in (9, 10, 11)]


@pytest.fixture
def own(values: Values, own_shop: Path) -> Values:
    """The same of data that the test may change."""
    return {**values, "data": {"path": str(own_shop)}}


def fates(results: tuple[nights.NightResult, ...]) -> list[str]:
    return [result.fate for result in results]


def test_nights_are_known_by_every_kind_of_output(own: Values, own_shop: Path) -> None:
    job = ScoreJob.from_values(own)
    score(job.on(SECOND), workers=1)
    assert [nights.find_night(job, day).status for day in DAYS] == ["missing", "done", "missing"]
    assert fates(nights.score_nights(job, DAYS, workers=1)) == ["scored", "done", "scored"]
    assert fates(nights.score_nights(job, DAYS, workers=1)) == ["done"] * 3
    before = committed(own)
    assert len(before) == 3 * 150
    path = own_shop / f"day={SECOND}" / "sales.parquet"
    table = pq.ParquetFile(path).read()
    pq.write_table(table.slice(50), path)
    assert nights.find_night(job, SECOND).status == "late"
    (result,) = nights.score_nights(job, [SECOND], workers=1)
    assert (result.fate, result.night.status, result.result.rows_scored) == ("scored", "late", 100)
    gone = set(table["id"].to_pylist()[:50])
    assert committed(own) == [row for row in before if row["id"] not in gone]
    assert plan.plan(job.on(FIRST)).expected_seconds > 0


def test_a_night_that_loses_every_row_keeps_its_former_ones(
    own: Values, own_shop: Path, cli: Callable[..., Any], tmp_path: Path
) -> None:
    job = ScoreJob.from_values(own)
    score(job.on(SECOND), workers=1)
    before = committed(own)
    path = own_shop / f"day={SECOND}" / "sales.parquet"
    table = pq.ParquetFile(path).read()
    place = table.column_names.index("visits")
    lost = pa.array([float("inf")] * len(table))
    pq.write_table(table.set_column(place, "visits", lost), path)
    (tmp_path / "score.yaml").write_text(yaml.safe_dump(own))
    for options in (("--date", SECOND), ("--from", SECOND, "--to", SECOND)):
        done = cli("score", "score.yaml", *options, "--workers", 1, "--json", folder=tmp_path)
        assert done.returncode == 1
        assert "150 of 150 rows cannot be scored (infinite visits: 150)" in done.stderr
    assert json.loads(done.stdout)["dates"][0]["fate"] == "failed"
    assert committed(own) == before
    status = nights.find_night(job, SECOND).status
    assert status == ("late" if own["output"]["format"] == "postgresql" else "failed")
    pq.write_table(table, path)
    (again,) = nights.score_nights(job, [SECOND], workers=1)
    assert again.result.rows_scored == 150
    assert committed(own) == before


def test_of_two_runs_of_a_night_the_second_to_commit_is_refused(values: Values) -> None:
    job = ScoreJob.from_values(values).on(FIRST)
    planned = plan.plan(job)
    with connect("local", 1) as workers:
        staged = stage_rows(workers, planned)
    winner = score(ScoreJob.from_values({**values, "late": "report"}).on(FIRST), workers=1)
    with pytest.raises(OutputError, match="another run committed the same partitions meanwhile"):
        commit(planned, staged, -1)
    sink = protocol.sink(values["output"]["format"])
    runs = sink.read(values["output"]["path"], ["run_id"], ())["run_id"].to_pylist()
    assert set(runs) == {winner.run_id}
    assert winner.run_id != planned.run_id


def test_a_run_that_was_stopped_goes_on_where_the_output_is_a_folder(
    own: Values, own_shop: Path, small_work_units: None
) -> None:
    job = ScoreJob.from_values(own).on(FIRST)
    path, format_ = own["output"]["path"], own["output"]["format"]
    planned = plan.plan(job)
    with connect("local", 1) as workers:
        staged = stage_rows(workers, planned)
    assert len(staged.units) == 3
    result = score(job, workers=1)
    folder = format_ in protocol.FOLDERS
    assert result.work_units_resumed == (3 if folder else 0)
    assert len(committed(own)) == 150
    assert nights.find_night(ScoreJob.from_values(own), FIRST).status == "done"
    if folder:
        assert storage.names(f"{path}/_lasso/journal") == []
        marker = json.loads(storage.read(f"{path}/_lasso/done/{FIRST}.json"))
        assert (marker["output_version"], marker["run_id"]) == (0, result.run_id)


def test_a_staged_file_that_is_damaged_is_made_again(own: Values, small_work_units: None) -> None:
    path, format_ = own["output"]["path"], own["output"]["format"]
    if format_ not in protocol.FOLDERS:
        return
    job = ScoreJob.from_values(own).on(FIRST)
    planned = plan.plan(job)
    with connect("local", 1) as workers:
        staged = stage_rows(workers, planned)
    (file,) = staged.units[1].files
    storage.write(protocol.folder_sink(format_).place_of(path, file.path), b"x" * file.size_bytes)
    assert score(job, workers=1).work_units_resumed == 2
    assert len(committed(own)) == 150


def test_failed_dates_are_not_looked_for_in_a_database(
    postgresql: str, score_values: Values, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    score_values["output"] = {"path": "by_night", "format": "postgresql", "partition_by": "day"}
    job = ScoreJob.from_values(score_values)
    with pytest.raises(JobError, match="keeps no journal of failed runs; expected missing or all"):
        nights.score_nights(job, DAYS, "failed", workers=1)
    (tmp_path / "score.yaml").write_text(yaml.safe_dump(score_values))
    options = ("--from", FIRST, "--to", THIRD, "--only", "failed", "--dry-run")
    refused = cli("score", "score.yaml", *options, folder=tmp_path)
    assert refused.returncode == 1
    assert "Use --only missing" in refused.stderr


@pytest.mark.parametrize("command", [verify, vacuum, lambda root: rollback(root, FIRST)])
def test_other_outputs_have_no_generations_to_look_at(
    values: Values, command: Callable[[str], object]
) -> None:
    score(ScoreJob.from_values(values).on(FIRST), workers=1)
    path, before = values["output"]["path"], committed(values)
    with pytest.raises(OutputError, match=r"expected .*output.* with format: delta"):
        command(path)
    assert committed(values) == before


def test_vacuum_spares_a_plain_folder_whose_next_run_has_begun(
    score_values: Values, tmp_path: Path
) -> None:
    output = {"path": str(tmp_path / "s"), "format": "parquet", "partition_by": "day"}
    job = ScoreJob.from_values({**score_values, "output": output})
    score(job.on(FIRST), workers=1)
    with connect("local", 1) as workers:
        stage_rows(workers, plan.plan(job.on(SECOND)))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError, match="format: parquet"):
        vacuum(output["path"], 0, remove=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_cannot_be_reached_is_told_at_plan_time(
    score_values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_values["output"] = {"path": "scores", "format": "postgresql"}
    monkeypatch.delenv("LASSO_JOBS_POSTGRESQL_URI", raising=False)
    with pytest.raises(LassoJobsError, match="LASSO_JOBS_POSTGRESQL_URI is not set"):
        plan.plan(ScoreJob.from_values(score_values))


def test_a_name_too_long_for_the_quarantine_is_told_at_plan_time(
    postgresql: str, score_values: Values
) -> None:
    score_values["output"] = {"path": "a" * 50, "format": "postgresql"}
    with pytest.raises(LassoJobsError, match="a_quarantine: is no name of a table"):
        plan.plan(ScoreJob.from_values(score_values))


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
