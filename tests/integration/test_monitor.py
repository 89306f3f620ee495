"""Scored rows joined with outcomes that come later: errors, verdicts, history."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from deltalake import DeltaTable, write_deltalake
from numpy.testing import assert_allclose
from sklearn import metrics

from lasso_jobs import LassoJobsError, MonitorJob, TrainJob, monitor, train
from lasso_jobs.monitoring.history import MonitorResult, PeriodErrors

pytestmark = pytest.mark.integration

Values = dict[str, Any]
DAYS = [f"2024-05-{day:02d}" for day in range(1, 7)]
BAD = DAYS[4]
N = 300


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of y = x + noise, whose hold-out is of whole days."""
    root, rng = tmp_path_factory.mktemp("models"), np.random.default_rng(1)
    for day in range(40):
        x, shop = rng.normal(0, 3, N), rng.choice(["north", "south"], N)
        y = x + rng.normal(0, 0.3) + rng.normal(0, np.where(shop == "north", 1, 2))
        path = root / "data" / f"day=2024-03-{day:02d}" / "rows.parquet"
        path.parent.mkdir(parents=True)
        pd.DataFrame({"x": x, "shop": shop, "y": y}).to_parquet(path)
    job = {
        "name": "shop",
        "data": {"path": str(root / "data")},
        "target": "y",
        "features": {"include": ["x"]},
        "search": {"split": {"group": "day"}},
        "intervals": {"by": "shop"},
        "stability": None,
        "registry": str(root / "models"),
    }
    result = train(TrainJob.from_values(job), workers=1)
    assert result.model.holdout is not None
    assert result.model.holdout.cohort == "day"
    return root / "models"


def rows() -> pd.DataFrame:
    """What was predicted, and what happened; on the fifth day something else."""
    rng, parts = np.random.default_rng(2), []
    for i, day in enumerate(DAYS):
        y, shop = rng.normal(0, 3, N), rng.choice(["north", "south"], N)
        error = rng.normal(0, np.where(shop == "north", 1, 2))
        prediction = y + error + (5 if day == BAD else 0)
        ids = 1000 * i + np.arange(N)
        values = {"day": day, "id": ids, "shop": shop, "prediction": prediction, "y": y}
        parts.append(pd.DataFrame(values))
    frame = pd.concat(parts, ignore_index=True)
    half = np.where(frame["shop"] == "north", 1.72, 3.33)  # as the model's
    return frame.assign(
        prediction_low=frame["prediction"] - half,
        prediction_high=frame["prediction"] + half,
        model_version="v1",
    )


Write = Callable[..., Values]


@pytest.fixture
def written(tmp_path: Path, models: Path) -> Write:
    """Write scored rows and outcomes; a monitoring job of them."""

    def write(actuals: pd.DataFrame | None = None, scores: pd.DataFrame | None = None) -> Values:
        scored = (rows() if scores is None else scores).drop(columns=["y", "shop"])
        write_deltalake(
            str(tmp_path / "scores"),
            pa.Table.from_pandas(scored, preserve_index=False),
            partition_by=["day"],
            mode="overwrite",
        )
        known = rows() if actuals is None else actuals
        for day, part in known.groupby("day"):
            path = tmp_path / "actuals" / f"day={day}" / "rows.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            more = [name for name in ("at", "name") if name in part]
            kept = part[["id", "shop", "y", *more]].astype({"shop": "category"})  # a dictionary
            kept.to_parquet(path, row_group_size=100)
        return {
            "model": "shop",
            "scores": {"path": str(tmp_path / "scores")},
            "actuals": {"path": str(tmp_path / "actuals")},
            "keys": ["day", "id"],
            "target": "y",
            "period": "day",
            "history": {"path": str(tmp_path / "errors")},
            "registry": str(models),
        }

    return write


def monitored(values: Values, *days: str, **keys: object) -> MonitorResult:
    job = MonitorJob.from_values({**values, **keys})
    return monitor(job, *days, workers=2)


def found(result: MonitorResult, segment: str = "") -> dict[str, PeriodErrors]:
    return {row.period: row for row in result.rows if row.segment == segment}


def oracle(frame: pd.DataFrame) -> Values:
    known = frame[frame["y"].notna()]
    y, p = known["y"], known["prediction"]
    return {
        "n_scored": len(frame),
        "n_known": len(known),
        "known_share": len(known) / len(frame),
        "mse": metrics.mean_squared_error(y, p),
        "rmse": metrics.root_mean_squared_error(y, p),
        "mae": metrics.mean_absolute_error(y, p),
        "r2": metrics.r2_score(y, p),
        "bias": (p - y).mean(),
        "coverage": y.between(known["prediction_low"], known["prediction_high"]).mean(),
    }


def check(row: PeriodErrors, frame: pd.DataFrame) -> None:
    values, expected = row.as_values(), oracle(frame)
    assert_allclose([values[name] for name in expected], [*expected.values()], rtol=1e-12)


def test_the_errors_of_periods_and_segments_are_those_of_scikit_learn(written: Write) -> None:
    frame = rows()
    frame.loc[frame.index % 7 == 0, "y"] = np.nan  # known later
    result = monitored(written(frame), segments="shop")
    by_day = found(result)
    assert list(by_day) == DAYS
    for row in by_day.values():
        check(row, frame.query("day == @row.period"))
        assert row.n_unpredicted == 0
    for shop in ("north", "south"):
        for row in found(result, f"shop={shop}").values():
            known = frame.query("day == @row.period and shop == @shop and y.notna()")
            check(row, known)  # of the others the shop is not known either


def test_a_day_that_went_wrong_is_an_alarm_and_its_segments_have_their_own_expectation(
    written: Write, models: Path
) -> None:
    result = monitored(written(), segments=["shop"])
    assert result.verdict == "alarm"
    verdicts = {day: row.verdict for day, row in found(result).items()}
    assert verdicts == {day: "alarm" if day == BAD else "ok" for day in DAYS}
    reason = found(result)[BAD].reason
    assert "RMSE" in reason
    assert "bias" in reason
    assert "where" in reason
    # South's errors are twice north's; each is as expected of it.
    for segment in ("shop=north", "shop=south"):
        for day, row in found(result, segment).items():
            assert row.verdict == ("alarm" if day == BAD else "ok"), (day, row.reason)
    north, south = (found(result, f"shop={s}")[DAYS[0]].expected for s in ("north", "south"))
    assert north is not None
    assert south is not None
    assert south.squared_error.mean > 2 * north.squared_error.mean


def test_one_day_reads_only_its_own(written: Write, tmp_path: Path) -> None:
    values = written()
    for day in DAYS[1:]:
        (tmp_path / "actuals" / f"day={day}" / "rows.parquet").write_bytes(b"no Parquet")
    assert list(found(monitored(values, DAYS[0], DAYS[0]))) == [DAYS[0]]


def test_later_outcomes_make_the_row_fuller_and_the_history_has_it_once(written: Write) -> None:
    early = rows()
    early.loc[early.index % 2 == 0, "y"] = np.nan
    values = written(early)
    first = monitored(values, DAYS[0], DAYS[1])
    assert found(first)[DAYS[0]].tally.known_share == 0.5
    second = monitored(written(), DAYS[1], DAYS[2])
    assert (first.history_version, second.history_version) == (0, 1)
    table = DeltaTable(values["history"]["path"]).to_pandas().sort_values("period")
    assert table["period"].tolist() == DAYS[:3]
    assert table["known_share"].tolist() == [0.5, 1.0, 1.0]
    assert set(table["model_version"]) == {"v1"}
    assert set(table["segment"]) == {""}
    assert table["monitored_at"].notna().all()
    assert table["expected_mse_se"].gt(0).all()
    again = monitored(values)
    assert len(DeltaTable(values["history"]["path"]).to_pandas()) == len(again.rows) == len(DAYS)


def test_outcomes_that_have_not_come_at_all_are_no_error(written: Write, tmp_path: Path) -> None:
    values = written()
    (tmp_path / "actuals" / f"day={DAYS[3]}" / "rows.parquet").unlink()
    (row,) = monitored(values, DAYS[3], DAYS[3]).rows
    assert (row.tally.n_known, row.verdict) == (0, "unknown")
    assert row.as_values()["mse"] is None
    assert "0 outcomes are known" in row.reason
    assert monitored(values).verdict == "alarm"


def test_periods_with_few_outcomes_are_judged_with_those_before(written: Write) -> None:
    few = rows().groupby("day").head(40)
    result = monitored(written(actuals=few))
    assert [row.verdict for row in result.rows[:2]] == ["unknown"] * 2
    assert result.rows[0].reason == "not judged: 40 outcomes are known, fewer than 100"
    assert result.rows[1].reason.endswith("(with the outcomes of the period before, 80 in all)")
    assert [row.tally.n_known for row in result.rows] == [40] * 6
    together = few[few["day"].isin(DAYS[1:4])]
    rmse = metrics.root_mean_squared_error(together["y"], together["prediction"])
    assert f"RMSE {rmse:.4g} where" in result.rows[3].reason
    assert result.rows[3].reason.endswith("(with the outcomes of the 2 periods before, 120 in all)")
    assert (result.rows[3].verdict, result.verdict) == ("ok", "alarm")
    alone = monitored(written(actuals=few), DAYS[0], DAYS[1])
    assert alone.verdict == "unknown"
    assert alone.because.startswith(f"2 of 2 periods cannot be judged, such as {DAYS[1]}: ")
    assert monitored(written(actuals=few), min_rows=40).rows[0].verdict == "ok"


def test_outcomes_without_a_prediction_are_counted(written: Write) -> None:
    scored = rows()
    scored = scored.drop(scored.query("day == @DAYS[1]").index[:17])
    by_day = found(monitored(written(scores=scored)))
    assert [by_day[day].n_unpredicted for day in DAYS[:3]] == [0, 17, 0]


def test_equal_outcomes_count_once_and_different_ones_are_refused(written: Write) -> None:
    frame = rows()
    values = written(pd.concat([frame, frame.head(10), frame.head(5)]))
    result = monitored(values)
    assert result.n_repeated == 15
    check(found(result)[DAYS[0]], frame.query("day == @DAYS[0]"))
    other = frame.iloc[[3, 8]].assign(y=99.0)
    with pytest.raises(LassoJobsError, match=f"2 rows have outcomes that differ.*{DAYS[0]}, id 3"):
        monitored(written(pd.concat([frame, other])))


def test_the_last_outcome_counts_where_the_job_says_by_what(written: Write) -> None:
    frame = rows().assign(at=pd.Timestamp("2024-06-01"))
    corrected = frame.head(50).assign(y=lambda f: f["y"] + 1, at=pd.Timestamp("2024-06-03"))
    between = frame.head(20).assign(y=0.0, shop="east", at=pd.Timestamp("2024-06-02"))
    values = written(pd.concat([corrected, frame, between]))
    result = monitored(values, duplicates="last by at", segments=["shop"])
    expected = frame.copy()
    expected.loc[: len(corrected) - 1, "y"] = corrected["y"]
    check(found(result)[DAYS[0]], expected.query("day == @DAYS[0]"))
    assert not found(result, "shop=east")
    twice = frame.head(1).assign(y=7.0, at=pd.Timestamp("2024-06-03"))
    with pytest.raises(LassoJobsError, match="differ at their last at, such as"):
        monitored(written(pd.concat([corrected, frame, twice])), duplicates="last by at")


@pytest.mark.parametrize("in_one_file", [False, True])
def test_times_of_which_some_have_a_zone_order_nothing(written: Write, in_one_file: bool) -> None:
    """05:00 is before 06:00Z or after it: another outcome may be the last."""
    frame = rows().assign(at="2024-06-01T06:00:00Z")
    again = frame.head(50).assign(y=lambda f: f["y"] + 1, at="2024-06-01T05:00:00-03:00")
    by_day = found(monitored(written(pd.concat([frame, again])), duplicates="last by at"))
    expected = frame.copy()
    expected.loc[: len(again) - 1, "y"] = again["y"]
    check(by_day[DAYS[0]], expected.query("day == @DAYS[0]"))
    naive = frame.head(50) if in_one_file else frame.query("day == @DAYS[1]")
    naive = naive.assign(at="2024-06-01T05:00:00")
    others = frame if in_one_file else frame.drop(naive.index)
    with pytest.raises(LassoJobsError, match="column 'at': has texts of times with a zone, or"):
        monitored(written(pd.concat([others, naive])), duplicates="last by at")


@pytest.mark.parametrize("keys", [["day", "id"], ["id"], ["name"]])
def test_small_batches_give_the_same(
    written: Write, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = rows().assign(name=lambda f: "row " + f["id"].astype(str))
    frame.loc[frame.index % 3 == 0, "y"] = np.nan
    values = written(pd.concat([frame, frame.head(40)]), scores=frame)
    whole = monitored(values, keys=keys, segments=["shop"])
    monkeypatch.setattr("lasso_jobs.monitoring.plan.BATCH_ROWS", 130)
    cut = monitored(values, keys=keys, segments=["shop"])
    assert cut.n_repeated == whole.n_repeated == int(frame.head(40)["y"].notna().sum())
    assert len(cut.rows) == len(whole.rows)
    for one, other in zip(cut.rows, whole.rows, strict=True):
        assert (one.period, one.segment, one.verdict) == (
            other.period,
            other.segment,
            other.verdict,
        )
        assert_allclose(one.tally.mean, other.tally.mean, rtol=1e-12)
        assert (
            one.n_unpredicted
            == other.n_unpredicted
            == (None if len(keys) == 1 or one.segment else 0)
        )
    again = monitored(values, keys=keys, segments=["shop"])
    assert [row.as_values() for row in again.rows] == [
        row.as_values() for row in cut.rows
    ]  # bitwise


def test_versions_are_measured_apart_and_an_unknown_one_is_not_judged(written: Write) -> None:
    scored = rows()
    scored.loc[scored["day"] >= DAYS[3], "model_version"] = "v7"
    result = monitored(written(scores=scored))
    assert [row.model_version for row in result.rows] == ["v1"] * 3 + ["v7"] * 3
    assert result.rows[-1].verdict == "unknown"
    assert "measured, not judged: " in result.rows[-1].reason
    assert "v7" in result.rows[-1].reason


def test_a_folder_of_parquet_files_is_read_and_keys_of_other_types_are_compared(
    written: Write, tmp_path: Path
) -> None:
    values, frame = written(), rows()
    scored = frame.assign(id=frame["id"].astype("int32"), day=pd.to_datetime(frame["day"]).dt.date)
    folder = tmp_path / "plain"
    folder.mkdir()
    table = pa.Table.from_pandas(scored.drop(columns=["y", "shop"]), preserve_index=False)
    assert pa.types.is_date32(table.schema.field("day").type)
    pq.write_table(table, folder / "scores.parquet")
    result = monitored(values, DAYS[0], DAYS[1], scores={"path": str(folder)})
    for day in DAYS[:2]:
        check(found(result)[day], frame.query("day == @day"))


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ({"keys": ["idd"]}, "there is no column 'idd'"),
        ({"target": "shop"}, "a column of numbers"),
        ({"period": "prediction"}, "has type double"),
        ({"segments": ["color"]}, "there is no column 'color'"),
        ({"duplicates": "last by when"}, "there is no column 'when'"),
        ({"duplicates": "last"}, "duplicates = 'last'"),
        ({"keys": ["day"]}, "more than one prediction, such as day"),
        ({"scores": {"path": "nowhere"}}, "does not exist"),
        ({"min_row": 3}, "unknown key 'min_row'"),
        ({"tolerance": {"rsme": 0.1}}, "unknown key 'tolerance.rsme'"),
    ],
)
def test_a_wrong_job_is_refused_in_one_line(written: Write, keys: Values, error: str) -> None:
    with pytest.raises(LassoJobsError, match=error):
        monitored(written(), **keys)


def test_what_is_no_output_of_a_scoring_is_told_so(written: Write) -> None:
    values = written()
    outcomes = {"path": values["actuals"]["path"]}
    with pytest.raises(
        LassoJobsError, match=r"lacks the columns prediction, .*output of a scoring job"
    ):
        monitored(values, scores=outcomes)


def test_days_that_were_not_scored_are_told_without_keys_of_another_job(written: Write) -> None:
    with pytest.raises(LassoJobsError) as caught:
        monitored(written(), "2099-01-01", "2099-01-02")
    assert "is left by --from, --to: day >= " in str(caught.value)
    assert "data." not in str(caught.value)


def test_an_infinite_outcome_is_refused(written: Write) -> None:
    frame = rows()
    frame.loc[5, "y"] = np.inf
    with pytest.raises(LassoJobsError, match="has an infinite value"):
        monitored(written(frame))


@pytest.mark.slow
def test_the_command_line_prints_it_and_an_alarm_is_status_3(
    written: Write, tmp_path: Path, cli: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    (tmp_path / "monitor.yaml").write_text(yaml.safe_dump(written()))
    done = cli("monitor", "monitor.yaml", "--json", folder=tmp_path)
    assert (done.returncode, done.stderr) == (3, "")
    printed = json.loads(done.stdout)
    assert printed["verdict"] == "alarm"
    assert [row["period"] for row in printed["rows"]] == DAYS
    done = cli("monitor", "monitor.yaml", "--date", DAYS[0], folder=tmp_path)
    assert done.returncode == 0
    assert done.stdout.split()[:2] == ["period", "model_version"]
    assert "as expected: RMSE" in done.stdout
    done = cli("monitor", "monitor.yaml", "--from", DAYS[0], folder=tmp_path)
    assert (done.returncode, "both, or --date alone" in done.stderr) == (2, True)
    schema = json.loads(cli("schema", "monitor", folder=tmp_path).stdout)
    assert {"model", "scores", "actuals", "keys", "period"} <= set(schema["properties"])


# Keys of other types.

_KEYS: Values = {
    "int64": lambda ids: pa.array(ids, pa.int64()),
    "int32": lambda ids: pa.array(ids, pa.int32()),
    "uint64": lambda ids: pa.array(ids, pa.uint64()),
    "double": lambda ids: pa.array(ids, pa.int64()).cast(pa.float64()),
    "decimal": lambda ids: pa.array(ids, pa.int64()).cast(pa.decimal128(38, 10)),
    "text": lambda ids: pa.array([str(i) for i in ids]),
    "large text": lambda ids: pa.array([str(i) for i in ids], pa.large_string()),
    "dictionary": lambda ids: pa.array([str(i) for i in ids]).dictionary_encode(),
}
_DAYS_AS: Values = {
    "text": lambda days: pa.array(days),
    "date": lambda days: pa.array(days).cast(pa.date32()),
    "timestamp": lambda days: pa.array(days).cast(pa.timestamp("us")),
    "nanoseconds": lambda days: pa.array(days).cast(pa.timestamp("ns")),
    "with a zone": lambda days: (
        pa.array(days)
        .cast(pa.timestamp("us"))
        .cast(pa.timestamp("us"))
        .cast(pa.timestamp("us", "UTC"))
    ),
    "compact": lambda days: pa.array([day.replace("-", "") for day in days]),
}


def outcomes_of(written: Write, tmp_path: Path, days: str, ids: str) -> Values:
    """The job, with outcomes in one file whose keys are of these types."""
    values, frame = written(), rows()
    table = pa.table(
        {
            "day": _DAYS_AS[days](frame["day"].tolist()),
            "id": _KEYS[ids](frame["id"].tolist()),
            "y": frame["y"].to_numpy(),
        }
    )
    pq.write_table(table, tmp_path / "outcomes.parquet")
    return {**values, "actuals": {"path": str(tmp_path / "outcomes.parquet")}}


@pytest.mark.parametrize(
    ("days", "ids"), [*((d, "int64") for d in _DAYS_AS), *(("date", i) for i in _KEYS)]
)
def test_keys_of_one_kind_match_whatever_their_types(
    written: Write, tmp_path: Path, days: str, ids: str
) -> None:
    expected = monitored(written())
    values = outcomes_of(written, tmp_path, days, ids)
    if days == "compact":  # texts are compared with texts as they are
        scored = rows().drop(columns=["y", "shop"])
        scored["day"] = pd.to_datetime(scored["day"]).dt.date
        write_deltalake(
            str(tmp_path / "dated"),
            pa.Table.from_pandas(scored, preserve_index=False),
            partition_by=["day"],
        )
        values["scores"] = {"path": str(tmp_path / "dated")}
    found = monitored(values)
    assert [row.as_values() for row in found.rows] == [row.as_values() for row in expected.rows]


def test_keys_that_are_texts_in_the_scored_rows_match_numbers(
    written: Write, tmp_path: Path
) -> None:
    scored, frame = rows(), rows()
    scored["id"] = scored["id"].astype(str)
    values = written(scores=scored)
    for ids in ("decimal", "double", "int32", "uint64"):
        table = pa.table(
            {
                "day": _DAYS_AS["timestamp"](frame["day"].tolist()),
                "id": _KEYS[ids](frame["id"].tolist()),
                "y": frame["y"].to_numpy(),
            }
        )
        pq.write_table(table, tmp_path / f"{ids}.parquet")
        values["actuals"] = {"path": str(tmp_path / f"{ids}.parquet")}
        assert {row.tally.n_known for row in monitored(values).rows} == {N}


def test_outcomes_of_which_none_matches_are_an_error_that_shows_both_keys(
    written: Write, tmp_path: Path
) -> None:
    actuals = rows().assign(id=lambda frame: frame["id"] + 900_000)
    with pytest.raises(LassoJobsError) as caught:
        monitored(written(actuals=actuals))
    said = str(caught.value)
    assert f"none of {len(DAYS) * N:,} outcomes is of a scored row" in said
    for i in range(3):
        assert f"day {DAYS[0]}, id {i}" in said
        assert f"day {DAYS[0]}, id {900_000 + i}" in said
    assert not (tmp_path / "errors").exists()


def test_keys_of_two_kinds_are_refused_when_planning(written: Write, tmp_path: Path) -> None:
    values = outcomes_of(written, tmp_path, "date", "int64")
    table = pq.read_table(tmp_path / "outcomes.parquet")
    place = table.column_names.index("id")
    dates = pa.array([0] * len(table), pa.int32()).cast(pa.date32())
    pq.write_table(table.set_column(place, "id", dates), tmp_path / "outcomes.parquet")
    with pytest.raises(LassoJobsError, match="keys 'id': has type date32"):
        monitored(values)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_times_with_a_zone_match_instants_and_are_refused_beside_times_without_one(
    written: Write, tmp_path: Path, zone: str
) -> None:
    frame = rows()
    at = pd.Timestamp("2024-05-01") + pd.to_timedelta(np.arange(len(frame)), unit="h")
    scored = frame.drop(columns=["y", "shop", "id"]).assign(at=at.tz_localize("UTC"))
    write_deltalake(str(tmp_path / "at"), pa.Table.from_pandas(scored, preserve_index=False))
    job = {**written(), "scores": {"path": str(tmp_path / "at")}, "keys": ["at"]}
    job["actuals"] = {"path": str(tmp_path / "outcomes.parquet")}
    known = pd.DataFrame({"at": at.tz_localize("UTC").tz_convert(zone), "y": frame["y"]})
    known.to_parquet(tmp_path / "outcomes.parquet")
    for row in found(monitored(job)).values():
        check(row, frame.query("day == @row.period"))
    local = known.assign(at=known["at"].dt.tz_localize(None))
    for other in (local, local.assign(at=local["at"].dt.strftime("%Y-%m-%dT%H:%M:%S"))):
        other.to_parquet(tmp_path / "outcomes.parquet")
        with pytest.raises(LassoJobsError, match=r"keys 'at'.*zone"):
            monitored(job)


def test_the_two_zeros_are_one_key(written: Write, tmp_path: Path) -> None:
    frame = rows()
    frame["id"] = np.where(frame["id"] % 1000 == 0, -0.0, frame["id"] + 0.5)
    values = written(scores=frame)
    known = frame.assign(id=frame["id"] + 0.0, day=pd.to_datetime(frame["day"]).dt.date)
    known[["day", "id", "y"]].to_parquet(tmp_path / "outcomes.parquet")
    values["actuals"] = {"path": str(tmp_path / "outcomes.parquet")}
    assert {row.tally.n_known for row in monitored(values).rows} == {N}
