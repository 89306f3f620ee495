"""Nights with few rows, or none: they are never called ok, and small ones are judged together."""

import json
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from deltalake import DeltaTable
from numpy.testing import assert_allclose

from lasso_jobs import MonitorJob, ScoreJob, TrainJob, monitor, score, train
from lasso_jobs.drift.page import drift_page
from lasso_jobs.drift.show import drift_of
from lasso_jobs.errors import DataError
from lasso_jobs.outputs.rollback import rollback
from lasso_jobs.outputs.verify import verify
from lasso_jobs.scoring.nights import find_night, score_nights
from lasso_jobs.scoring.run import ScoreResult
from lasso_jobs.sinks import protocol

from ..conftest import a_day, training

pytestmark = pytest.mark.integration

Values = dict[str, Any]
NIGHTS = tuple(f"2024-02-{day:02d}" for day in range(1, 7))


def write(data: Path, night: str, rows: int, shift: float = 0.0) -> None:
    path = data / f"day={night}" / "sales.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(a_day(int(night[-2:]) + 100, rows, shift), path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "small"


@pytest.fixture
def values(score_values: Values, data: Path) -> Values:
    return {**score_values, "data": {"path": str(data)}}


def run(values: Values, night: str, **drift: object) -> ScoreResult:
    values = {**values, "drift": {**values["drift"], **drift}}
    return score(ScoreJob.from_values(values).on(night), workers=1)


def test_a_small_night_is_unknown_whatever_its_values(values: Values, data: Path) -> None:
    write(data, NIGHTS[0], 40, shift=500.0)
    result = run(values, NIGHTS[0])
    assert result.verdict == "unknown"
    assert result.because == "not judged: 40 rows, fewer than 100"
    assert {row.drift.verdict for row in result.drift} == {"unknown"}
    assert max(row.drift.psi for row in result.drift) > 1
    assert result.as_values()["verdict"] == "unknown"
    assert run(values, NIGHTS[0], min_rows=40).verdict == "alarm"


@pytest.mark.parametrize("shift", [0.0, 25.0])
def test_small_nights_are_judged_with_those_before_as_one_night_of_their_rows_would_be(
    values: Values, data: Path, tmp_path: Path, shift: float
) -> None:
    for night in NIGHTS[:4]:
        write(data, night, 40, shift)
    results = [run(values, night) for night in NIGHTS[:4]]
    assert [r.verdict for r in results[:2]] == ["unknown", "unknown"]
    assert "(with the rows of the run before, 80 in all)" in results[1].because
    # The oracle: the rows of three nights as one night.
    for last in (2, 3):
        tables = [a_day(int(n[-2:]) + 100, 40, shift) for n in NIGHTS[last - 2 : last + 1]]
        one = tmp_path / f"one-{last}"
        path = one / f"day={NIGHTS[last]}" / "sales.parquet"
        path.parent.mkdir(parents=True)
        frame = pd.concat([table.to_pandas() for table in tables])
        frame.to_parquet(path, index=False)
        together = run(
            {
                **values,
                "data": {"path": str(one)},
                "output": {**values["output"], "path": str(tmp_path / f"scores-{last}")},
            },
            NIGHTS[last],
            path=str(tmp_path / f"drift-{last}"),
        )
        assert results[last].verdict == together.verdict == ("alarm" if shift else "ok")
        for pooled, whole in zip(results[last].drift, together.drift, strict=True):
            assert pooled.drift.verdict == whole.drift.verdict
            said = pooled.drift.reason.removesuffix(
                " (with the rows of the 2 runs before, 120 in all)"
            )
            assert said == whole.drift.reason
            assert (pooled.drift.n, whole.drift.n) == (40, 120)
            assert np.isnan(pooled.drift.shift_limit)


def test_drift_of_small_nights_persists_over_separate_rows(values: Values, data: Path) -> None:
    write(data, NIGHTS[0], 150)
    limit = next(r.drift for r in run(values, NIGHTS[0]).drift if r.drift.feature == "price")
    coef = limit.score_shift / (limit.mean - limit.reference_mean)
    beyond = 1.4 * limit.shift_limit / abs(coef)
    verdicts = []
    for i, night in enumerate(NIGHTS[1:], start=1):
        table = a_day(i + 200, 60).to_pandas()
        table["price"] += beyond - (table["price"].mean() - limit.reference_mean)
        path = data / f"day={night}" / "sales.parquet"
        path.parent.mkdir(parents=True)
        table.to_parquet(path, index=False)
        drift = {r.drift.feature: r.drift for r in run(values, night, persistence=[2, 3]).drift}
        verdicts.append(drift["price"].verdict)
    # 60 rows are pooled with the 150 before, then two by two: the second pair is the second time.
    assert verdicts[1:] == ["watch", "watch", "alarm", "alarm"]


def test_what_is_not_judged_is_said_on_the_page_and_in_the_terminal(
    values: Values, data: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    write(data, NIGHTS[0], 40)
    (tmp_path / "score.yaml").write_text(yaml.safe_dump(values))
    done = cli("score", "score.yaml", "--date", NIGHTS[0], "--workers", 1, folder=tmp_path)
    assert done.returncode == 0
    assert "verdict  unknown" in done.stdout
    assert "because  not judged: 40 rows, fewer than 100" in done.stdout
    shown = cli("drift", "show", "score.yaml", "--json", folder=tmp_path)
    assert (shown.returncode, json.loads(shown.stdout)["verdict"]) == (0, "unknown")
    page = drift_page(drift_of(values["drift"]["path"]))
    assert '<header class="unknown">' in page
    assert "Not judged: 40 rows, fewer than 100." in page
    assert 'class="chip ok"' not in page
    stored = DeltaTable(values["drift"]["path"]).to_pandas()
    assert set(stored["verdict"]) == {"unknown"}
    assert_allclose(stored["n"], 40)


def test_a_partition_that_is_not_judged_is_not_hidden_by_the_others(
    values: Values, data: Path
) -> None:
    write(data, NIGHTS[0], 300)
    (path,) = data.rglob("*.parquet")
    table = pq.ParquetFile(path).read()
    pq.write_table(table.append_column("shop", pa.array(["a"] * 280 + ["b"] * 20)), path)
    values = {**values, "output": {**values["output"], "partition_by": ["day", "shop"]}}
    result = run(values, NIGHTS[0])
    verdicts = {row.partition[-1]: row.drift.verdict for row in result.drift}
    assert verdicts == {"a": "ok", "b": "unknown"}
    assert result.verdict == "unknown"
    said = f"1 of 2 partitions are not judged, such as day={NIGHTS[0]}/shop=b: "
    assert result.because == f"{said}not judged: 20 rows, fewer than 100"
    assert run(values, NIGHTS[0], min_rows=20).verdict != "unknown"


# Nights without rows.


def empty(data: Path, night: str, row_groups: int) -> None:
    """A night's file with its schema and no rows: with no row group, or with one of no rows."""
    path = data / f"day={night}" / "sales.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = a_day(0, 10).slice(0, 0)
    with pq.ParquetWriter(path, table.schema) as writer:
        for _ in range(row_groups):
            writer.write_table(table)
    assert pq.read_metadata(path).num_rows == 0


@pytest.fixture(params=["delta", "parquet", "postgresql"])
def own(request: pytest.FixtureRequest, values: Values) -> Values:
    """A scoring job with each kind of output."""
    path = values["output"]["path"]
    if request.param == "postgresql":
        request.getfixturevalue("postgresql")
        path = f"scores_{uuid.uuid4().hex}"
    return {**values, "output": {"path": path, "format": request.param, "partition_by": "day"}}


def shown(values: Values) -> dict[str, int]:
    """Rows of each night in the output."""
    output = values["output"]
    table = protocol.sink(output["format"]).read(output["path"], ["day"], ())
    return dict(Counter(table["day"].to_pylist()))


@pytest.mark.parametrize("format_", ["delta", "parquet"])
def test_a_night_without_rows_is_monitored_as_such(
    values: Values, data: Path, tmp_path: Path, format_: str
) -> None:
    values = {**values, "output": {**values["output"], "format": format_}}
    write(data, NIGHTS[0], 150)
    empty(data, NIGHTS[1], 0)
    score_nights(ScoreJob.from_values(values), NIGHTS[:2], workers=1)
    job = MonitorJob.from_values(
        {
            "model": "sales",
            "scores": {"path": values["output"]["path"]},
            "actuals": {"path": str(data)},
            "keys": ["day", "id"],
            "target": "sales",
            "period": "day",
            "history": {"path": str(tmp_path / "errors")},
            "registry": values["registry"],
        }
    )
    assert [row.period for row in monitor(job, *NIGHTS[:2], workers=1).rows] == [NIGHTS[0]]
    result = monitor(job, NIGHTS[1], NIGHTS[1], workers=1)
    assert (result.rows, result.verdict) == ((), "unknown")
    assert result.because == "not judged: no rows were scored"
    with pytest.raises(DataError, match=f"of day from {NIGHTS[0]} to {NIGHTS[0]}"):
        monitor(job, NIGHTS[2], NIGHTS[2], workers=1)


@pytest.mark.slow
@pytest.mark.parametrize("row_groups", [0, 1])
def test_a_night_without_rows_is_a_night(own: Values, data: Path, row_groups: int) -> None:
    job = ScoreJob.from_values(own)
    write(data, NIGHTS[0], 150)
    empty(data, NIGHTS[1], row_groups)
    results = score_nights(job, NIGHTS[:2], workers=1)
    assert [result.fate for result in results] == ["scored", "scored"]
    night = results[1].result
    assert night is not None
    assert (night.rows_in, night.rows_scored, night.verdict) == (0, 0, "unknown")
    assert night.because == "not judged: the files hold no rows"
    assert {row.drift.reason for row in night.drift} == {"not judged: there are no rows"}
    assert {row.partition for row in night.drift} == {f"day={NIGHTS[1]}"}
    assert [find_night(job, day).status for day in NIGHTS[:2]] == ["done", "done"]
    assert shown(own) == {NIGHTS[0]: 150}


@pytest.mark.slow
def test_a_scored_night_that_is_exported_again_without_rows_is_emptied(
    own: Values, data: Path
) -> None:
    job = ScoreJob.from_values(own)
    for night in NIGHTS[:2]:
        write(data, night, 150)
    score_nights(job, NIGHTS[:2], workers=1)
    empty(data, NIGHTS[0], 1)
    assert [find_night(job, day).status for day in NIGHTS[:2]] == ["late", "done"]
    score_nights(job, NIGHTS[:2], workers=1)
    assert shown(own) == {NIGHTS[1]: 150}
    if own["output"]["format"] == "delta":
        root = own["output"]["path"]
        verify(root, deep=True)
        rollback(root, NIGHTS[0])
        assert shown(own) == {NIGHTS[0]: 150, NIGHTS[1]: 150}
        rollback(root, NIGHTS[0], to=2)
        assert shown(own) == {NIGHTS[1]: 150}
        verify(root)
    write(data, NIGHTS[0], 120)
    (again,) = score_nights(job, [NIGHTS[0]], workers=1)
    assert again.result is not None
    assert (again.night.status, again.result.rows_scored) == ("late", 120)
    assert shown(own) == {NIGHTS[0]: 120, NIGHTS[1]: 150}
    # A run over all nights empties the one that has no rows, and keeps the others.
    empty(data, NIGHTS[1], 0)
    everything = score(ScoreJob.from_values(own), workers=1)
    assert (everything.rows_scored, everything.verdict) == (120, "unknown")
    assert shown(own) == {NIGHTS[0]: 120}


def test_an_output_without_partitions_shows_a_night_without_rows_as_such(
    values: Values, data: Path
) -> None:
    values = {**values, "output": {"path": values["output"]["path"]}}
    write(data, NIGHTS[0], 150)
    empty(data, NIGHTS[1], 0)
    write(data, NIGHTS[2], 150)
    day = "day == '{date}'"
    job = ScoreJob.from_values({**values, "data": {"path": str(data), "where": day}})
    rows = [score(job.on(night), workers=1).rows_scored for night in NIGHTS[:3]]
    assert rows == [150, 0, 150]
    verify(values["output"]["path"])


def test_a_filter_may_leave_no_row_of_a_partition_but_not_of_a_night(
    values: Values, data: Path, tmp_path: Path
) -> None:
    for i, night in enumerate(NIGHTS[:2]):
        for shop in ("a", "b"):
            table = a_day(i, 120).append_column("price_code", pa.array([shop + night] * 120))
            path = data / f"day={night}" / f"shop={shop}" / "sales.parquet"
            path.parent.mkdir(parents=True)
            pq.write_table(table, path)
    values = {**values, "output": {**values["output"], "partition_by": ["day", "shop"]}}

    def scored(where: str) -> ScoreResult:
        job = {**values, "data": {"path": str(data), "where": where}}
        return score(ScoreJob.from_values(job), workers=1)

    assert scored("visits >= 0").rows_scored == 480
    nights = Counter(DeltaTable(values["output"]["path"]).to_pandas()["day"])
    with pytest.raises(DataError, match=rf"{NIGHTS[1]}: none of its 240 rows is left by data"):
        scored(f"price_code IN ('a{NIGHTS[0]}', 'b{NIGHTS[0]}')")
    assert Counter(DeltaTable(values["output"]["path"]).to_pandas()["day"]) == nights
    result = scored(f"price_code != 'b{NIGHTS[1]}'")
    assert (result.rows_scored, result.rows_filtered, result.verdict) == (360, 120, "unknown")
    shown = DeltaTable(values["output"]["path"]).to_pandas().value_counts(["day", "shop"])
    assert (NIGHTS[1], "b") not in shown.index
    assert set(shown) == {120}
    verify(values["output"]["path"], deep=True)


@pytest.mark.parametrize("row_groups", [0, 1])
def test_a_file_without_rows_changes_no_model(
    shop: Path, own_shop: Path, tmp_path: Path, row_groups: int
) -> None:
    jobs = [TrainJob.from_values(training(folder, tmp_path / "m")) for folder in (shop, own_shop)]
    empty(own_shop, "2024-01-00", row_groups)
    one, other = (train(job, workers=1).model for job in jobs)
    assert other.n_rows == one.n_rows
    assert_allclose(other.coef.to_numpy(), one.coef.to_numpy(), rtol=1e-9)


def test_the_command_line_scores_a_night_without_rows(
    values: Values, data: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    empty(data, NIGHTS[0], 0)
    (tmp_path / "score.yaml").write_text(yaml.safe_dump(values))
    options = ("score.yaml", "--date", NIGHTS[0])
    assert cli("plan", *options, folder=tmp_path).returncode == 0
    done = cli("score", *options, "--workers", 1, "--json", folder=tmp_path)
    assert done.returncode == 0
    said = json.loads(done.stdout)
    assert (said["rows_in"], said["verdict"]) == (0, "unknown")
    shown = cli("drift", "show", "score.yaml", "--date", NIGHTS[0], folder=tmp_path)
    assert shown.returncode == 0
    assert "not judged: there are no rows" in shown.stdout
