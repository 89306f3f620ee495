"""The schema contract: what each file may have for each column, and what becomes of it."""

import datetime
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from deltalake import DeltaTable
from numpy.testing import assert_allclose, assert_array_equal

from lasso_jobs import LassoJobsError, ScoreJob, TrainJob, load_model, score, train
from lasso_jobs.errors import DataError, JobError, OutputError
from lasso_jobs.models.model import Model
from lasso_jobs.outputs.verify import verify
from lasso_jobs.scoring.plan import plan
from lasso_jobs.sinks import protocol

pytestmark = pytest.mark.integration

Values = dict[str, Any]
DAY, NEXT = "2024-01-09", "2024-01-10"
N = 150


@pytest.fixture
def values(score_values: Values, own_shop: Path) -> Values:
    where = f"day in ('{DAY}', '{NEXT}')"
    return {**score_values, "data": {"path": str(own_shop), "where": where}}


@pytest.fixture
def model(registry: Path) -> Model:
    return load_model(registry, "sales")


def file_of(values: Values, day: str) -> Path:
    return Path(values["data"]["path"]) / f"day={day}" / "sales.parquet"


def change(values: Values, day: str, edit: Callable[[pa.Table], pa.Table]) -> Path:
    path = file_of(values, day)
    with pq.ParquetFile(path) as file:
        table = file.read()
    pq.write_table(edit(table), path, row_group_size=50)
    return path


def put(name: str, column: Callable[[pa.ChunkedArray], Any]) -> Callable[[pa.Table], pa.Table]:
    return lambda t: t.set_column(t.schema.get_field_index(name), name, column(t[name]))


def cast(name: str, type_: pa.DataType) -> Callable[[pa.Table], pa.Table]:
    return put(name, lambda column: pc.cast(column, type_, safe=False))


def drop(name: str) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.drop_columns([name])


def rename(old: str, new: str) -> Callable[[pa.Table], pa.Table]:
    return lambda t: t.rename_columns([new if n == old else n for n in t.column_names])


def fate(values: Values, column: str) -> tuple[str, str | None, str]:
    planned = plan(ScoreJob.from_values(values))
    (found,) = [v for v in planned.contract.columns if v.column == column]
    return found.fate, found.file, found.detail


def refusal(values: Values, kind: type[LassoJobsError] = DataError) -> str:
    """The error of the plan: nothing is read or written for it."""
    with pytest.raises(kind) as caught:
        plan(ScoreJob.from_values(values))
    assert not Path(values["output"]["path"]).exists()
    return str(caught.value)


def predictions(values: Values) -> pd.Series:
    score(ScoreJob.from_values(values), workers=1)
    frame = DeltaTable(values["output"]["path"]).to_pandas()
    assert frame["id"].is_unique
    return frame.set_index("id")["prediction"].sort_index()


def expected(values: Values, model: Model, **columns: object) -> pd.Series:
    frames = [
        pd.read_parquet(file_of(values, day), partitioning=None).assign(**columns)
        for day in (DAY, NEXT)
    ]
    frame = pd.concat(frames, ignore_index=True)
    frame["visits"] = frame["visits"].astype(float)
    return model.predict(frame).set_axis(frame["id"]).sort_index()


def test_files_as_in_training_are_all_right(values: Values) -> None:
    contract = plan(ScoreJob.from_values(values)).contract
    assert {v.fate for v in contract.columns} == {"ok"}
    assert contract.summary == "every file has these columns"
    assert set(contract.extra) == {"noise", "note", "sales"}


# Missing columns.


@pytest.mark.parametrize("day", [DAY, NEXT])
def test_a_missing_feature_is_named_with_its_file(values: Values, day: str) -> None:
    path = change(values, day, drop("visits"))
    said = refusal(values)
    assert said.startswith(f"{path}: lacks the column 'visits' (a feature of sales@v1)")
    assert "set missing_columns to impute" in said


@pytest.mark.parametrize("name", ["visits", "store"])
@pytest.mark.parametrize("days", [[DAY], [NEXT], [DAY, NEXT]])
def test_a_missing_feature_is_imputed_where_the_job_says_so(
    values: Values, model: Model, name: str, days: list[str]
) -> None:
    whole = {day: pd.read_parquet(file_of(values, day), partitioning=None) for day in (DAY, NEXT)}
    paths = [change(values, day, drop(name)) for day in days]
    values = {**values, "missing_columns": "impute"}
    found = fate(values, name)
    assert found[:2] == ("imputed", str(paths[0]))
    assert f"missing in {len(days)} of 2 files" in found[2]
    frames = [whole[d].assign(**({name: None} if d in days else {})) for d in whole]
    frame = pd.concat(frames)
    frame[name] = frame[name].astype(whole[DAY][name].dtype)
    rows = model.predict(frame).set_axis(frame["id"]).sort_index()
    assert_allclose(predictions(values), rows, rtol=1e-12)
    verify(values["output"]["path"], deep=True)


def test_a_model_without_nulls_has_no_missing_column_imputed(
    values: Values, train_values: Values
) -> None:
    complete = {
        **train_values,
        "features": {"include": ["visits"]},
        "preprocess": {"missing": "error"},
        "penalty_factors": {},
    }
    train(TrainJob.from_values(complete), workers=1)
    values = {**values, "registry": train_values["registry"], "missing_columns": "impute"}
    change(values, NEXT, drop("visits"))
    said = refusal(values)
    assert "lacks the column 'visits' (a feature of sales@v1)" in said
    assert "impute" not in said


@pytest.mark.parametrize("name", ["id", "day", "noise"])
def test_keys_partitions_and_filters_are_never_imputed(values: Values, name: str) -> None:
    where = f"{values['data']['where']} and noise is not None"
    values = {**values, "missing_columns": "impute", "data": {**values["data"], "where": where}}
    if name == "day":
        for day in (DAY, NEXT):
            file_of(values, day).rename(Path(values["data"]["path"]) / f"{day}.parquet")
        values["data"]["path"] = f"{values['data']['path']}/*.parquet"
        assert "there is no column 'day'" in refusal(values)
    else:
        path = change(values, NEXT, drop(name))
        assert f"{path}: lacks the column {name!r}" in refusal(values)


# Types.


@pytest.mark.parametrize(
    ("type_", "what"),
    [(pa.int32(), "widened"), (pa.float32(), "widened"), (pa.decimal128(12, 3), "widened")],
    ids=str,
)
def test_numbers_of_another_type_are_widened(
    values: Values, model: Model, type_: pa.DataType, what: str
) -> None:
    path = change(values, NEXT, cast("visits", type_))
    assert fate(values, "visits") == (what, str(path), f"{type_} beside double")
    found = predictions(values)
    assert_allclose(found, expected(values, model), rtol=1e-6)


def test_decimals_everywhere_are_read_as_doubles(values: Values) -> None:
    for day in (DAY, NEXT):
        change(values, day, cast("visits", pa.decimal128(12, 3)))
    assert fate(values, "visits")[0] == "converted"
    frame = pd.read_parquet(file_of(values, DAY), partitioning=None)
    assert isinstance(frame["visits"][0], Decimal)
    assert predictions(values).notna().all()


def test_a_dictionary_is_as_good_as_text(values: Values, model: Model) -> None:
    rows = expected(values, model)
    path = change(values, NEXT, put("store", lambda column: column.dictionary_encode()))
    assert fate(values, "store")[:2] == ("converted", str(path))
    assert_array_equal(predictions(values), rows)


@pytest.mark.parametrize(
    ("name", "type_", "kinds"),
    [
        ("visits", pa.string(), "number or integer"),
        ("promo", pa.string(), "boolean"),
        ("store", pa.int64(), "string"),
    ],
)
def test_another_kind_of_feature_is_named_with_its_file(
    values: Values, name: str, type_: pa.DataType, kinds: str
) -> None:
    path = change(values, NEXT, put(name, lambda column: pa.nulls(len(column), type_)))
    said = refusal(values)
    assert said.startswith(f"{path}, column {name!r}: has type {type_}; expected {kinds}")


@pytest.mark.parametrize("typed", [True, False])
def test_a_column_of_nulls_is_reported_and_filled(
    values: Values, model: Model, typed: bool
) -> None:
    type_ = pa.float64() if typed else pa.null()
    path = change(values, NEXT, put("visits", lambda column: pa.nulls(len(column), type_)))
    assert fate(values, "visits") == ("all null", str(path), "in 1 of 2 files")
    fill = model.predictor.fill[model.columns.numeric.index("visits")]
    frame = pd.read_parquet(file_of(values, NEXT), partitioning=None).assign(visits=fill)
    rows = model.predict(frame).set_axis(frame["id"]).sort_index()
    assert_allclose(predictions(values).loc[rows.index], rows, rtol=1e-12)


def test_nulls_alone_are_refused_by_a_model_without_nulls(
    values: Values, train_values: Values
) -> None:
    complete = {
        **train_values,
        "features": {"include": ["visits"]},
        "preprocess": {"missing": "error"},
        "penalty_factors": {},
    }
    train(TrainJob.from_values(complete), workers=1)
    values = {**values, "registry": train_values["registry"]}
    for day in (DAY, NEXT):
        change(values, day, put("visits", lambda column: pa.nulls(len(column), pa.float64())))
    assert "holds nothing but nulls, in every file" in refusal(values)


# Columns that go to the output.


@pytest.mark.parametrize(
    ("first", "second", "common"),
    [
        (pa.int32(), pa.int64(), "long"),
        (pa.int64(), pa.int32(), "long"),
        (pa.decimal128(20, 0), pa.decimal128(24, 0), "decimal(24,0)"),
        (pa.string(), pa.dictionary(pa.int32(), pa.string()), "string"),
        (pa.dictionary(pa.int32(), pa.string()), pa.large_string(), "string"),
    ],
    ids=str,
)
def test_keys_of_several_types_go_to_the_widest(
    values: Values, first: pa.DataType, second: pa.DataType, common: str
) -> None:
    wanted = []
    for day, type_ in ((DAY, first), (NEXT, second)):
        with pq.ParquetFile(file_of(values, day)) as file:
            wanted += file.read(["id"])["id"].to_pylist()
        inner = type_.value_type if pa.types.is_dictionary(type_) else type_
        change(values, day, cast("id", inner))
        if inner != type_:
            change(values, day, put("id", lambda column: column.dictionary_encode()))
    assert fate(values, "id")[0] in ("widened", "converted")
    score(ScoreJob.from_values(values), workers=1)
    table = DeltaTable(values["output"]["path"])
    (kind,) = [f.type.type for f in table.schema().fields if f.name == "id"]
    assert kind == common
    assert sorted(int(v) for v in table.to_pandas()["id"]) == sorted(wanted)
    verify(values["output"]["path"], deep=True)


@pytest.mark.parametrize("type_", [pa.float64(), pa.string()], ids=str)
def test_keys_that_no_type_holds_exactly_are_refused(values: Values, type_: pa.DataType) -> None:
    path = change(values, NEXT, cast("id", type_))
    said = refusal(values)
    assert said.startswith(f"{path}, column 'id' (keys): has type {type_}; expected int64")


def at(zone: str | None, unit: str = "us") -> Callable[[pa.Table], pa.Table]:
    """A column of times, of instants that do not depend on the zone."""
    start = datetime.datetime(2024, 1, 9, 12, tzinfo=datetime.UTC)
    moments = [start + datetime.timedelta(minutes=i) for i in range(N)]
    naive = [moment.replace(tzinfo=None) for moment in moments]
    column = pa.array(naive if zone is None else moments, pa.timestamp(unit, zone))
    return lambda table: table.append_column("at", column)


def test_instants_of_several_zones_are_the_same_instants(values: Values) -> None:
    values = {**values, "keys": ["id", "at"]}
    change(values, DAY, at("Europe/Paris"))
    path = change(values, NEXT, at("America/New_York", "ms"))
    assert fate(values, "at")[:2] == ("converted", str(path))
    score(ScoreJob.from_values(values), workers=1)
    frame = DeltaTable(values["output"]["path"]).to_pandas()
    assert frame.groupby("day")["at"].min().nunique() == 1
    assert frame["at"].min() == pd.Timestamp("2024-01-09 12:00", tz="UTC")


def test_times_with_and_without_a_zone_are_no_column(values: Values) -> None:
    values = {**values, "keys": ["id", "at"]}
    change(values, DAY, at("UTC"))
    path = change(values, NEXT, at(None))
    assert f"{path}, column 'at' (keys): has type timestamp[us]" in refusal(values)


def test_a_type_that_the_table_has_not_is_refused_by_the_plan(values: Values) -> None:
    score(ScoreJob.from_values(values), workers=1)
    for day in (DAY, NEXT):
        change(values, day, cast("id", pa.string()))
    with pytest.raises(OutputError, match="columns id string; expected columns id long"):
        plan(ScoreJob.from_values(values))


@pytest.mark.parametrize(
    ("format_", "first", "then"),
    [
        ("delta", pa.int64(), [pa.int32(), pa.float64(), pa.decimal128(38, 10)]),
        ("parquet", pa.decimal128(12, 2), [pa.int64(), pa.float64()]),
        ("delta", pa.date32(), [pa.timestamp("ms")]),
    ],
    ids=str,
)
def test_the_first_night_settles_the_types_of_keys(
    values: Values, format_: str, first: pa.DataType, then: list[pa.DataType]
) -> None:
    folder, output = values["data"]["path"], {**values["output"], "format": format_}
    one = {**values, "output": output, "data": {"path": folder, "where": f"day = '{DAY}'"}}
    del one["drift"]
    days = [datetime.date(2024, 2, 1) + datetime.timedelta(days=i) for i in range(N)]
    plain = days if first == pa.date32() else list(range(N))
    for type_ in (first, *then):
        key = pa.chunked_array([plain])
        for step in (pa.timestamp("s") if plain == days else pa.decimal128(38, 0), type_):
            key = key.cast(step)
        change(values, DAY, put("id", lambda _, key=key: key))
        score(ScoreJob.from_values(one), workers=1)
        shown = protocol.sink(format_).read(output["path"], ["id"], ())["id"]
        assert shown.type == first
        assert shown.cast(pa.array(plain).type).to_pylist() == plain
    if format_ == "delta":
        file = file_of(values, DAY)
        assert fate(one, "id") == ("converted", str(file), f"{type_} where the output has {first}")
        verify(output["path"], deep=True)


def test_a_key_without_a_form_in_the_outputs_type_ends_the_run(values: Values) -> None:
    one = {**values, "data": {**values["data"], "where": f"day = '{DAY}'"}}
    score(ScoreJob.from_values(one), workers=1)
    path = change(values, DAY, put("id", lambda column: pa.array([0.5] * len(column))))
    with pytest.raises(DataError) as caught:
        score(ScoreJob.from_values(one), workers=1)
    said = str(caught.value)
    assert said.startswith(f"{path}, column 'id': has a value that is no int64 (")
    assert DeltaTable(values["output"]["path"]).version() == 0


# Renames.


def test_a_renamed_feature_is_read_by_the_sources_name(values: Values, model: Model) -> None:
    rows = expected(values, model)
    for day in (DAY, NEXT):
        change(values, day, rename("visits", "n_visits"))
    values = {**values, "rename": {"n_visits": "visits"}}
    assert fate(values, "n_visits") == ("ok", None, "")
    assert_array_equal(predictions(values), rows)
    verify(values["output"]["path"], deep=True)


def test_a_renamed_column_keeps_its_name_as_a_key(values: Values) -> None:
    for day in (DAY, NEXT):
        change(values, day, rename("visits", "n_visits"))
    values = {**values, "rename": {"n_visits": "visits"}, "keys": ["id", "n_visits"]}
    score(ScoreJob.from_values(values), workers=1)
    assert "n_visits" in DeltaTable(values["output"]["path"]).to_pandas()


def test_a_rename_to_what_the_model_does_not_use_is_refused(values: Values) -> None:
    said = refusal({**values, "rename": {"note": "notes"}}, JobError)
    assert "'note' is to be 'notes', which sales@v1 does not use" in said


def test_two_columns_for_one_feature_are_refused(values: Values) -> None:
    with pytest.raises(JobError, match="one source column for each feature"):
        ScoreJob.from_values({**values, "rename": {"a": "visits", "b": "visits"}})


# Rows out of the contract.


def spoil(values: Values, rows: int) -> Path:
    return change(
        values, NEXT, put("visits", lambda c: pa.array([np.inf] * rows + c.to_pylist()[rows:]))
    )


@pytest.mark.parametrize("limit", [2, 0.02])
def test_more_bad_rows_than_the_job_allows_end_it_before_the_commit(
    values: Values, limit: object
) -> None:
    score(ScoreJob.from_values(values), workers=1)
    before = DeltaTable(values["output"]["path"]).version()
    spoil(values, 7)
    job = ScoreJob.from_values({**values, "bad_rows": limit})
    allowed = 2 if limit == 2 else 6
    with pytest.raises(DataError) as caught:
        score(job, workers=1)
    said = str(caught.value)
    assert "7 of 300 rows cannot be scored (infinite visits: 7)" in said
    assert f"at most {allowed}, as bad_rows is {limit}" in said
    assert DeltaTable(values["output"]["path"]).version() == before
    assert not DeltaTable.is_deltatable(values["output"]["path"] + "-quarantine")
    spoil(values, allowed)
    change(values, NEXT, lambda table: table)
    file = file_of(values, NEXT)
    with pq.ParquetFile(file) as opened:
        table = opened.read()
    visits = [1.0 if i >= allowed else v for i, v in enumerate(table["visits"].to_pylist())]
    pq.write_table(put("visits", lambda _: pa.array(visits))(table), file)
    assert score(job, workers=1).rows_quarantined == allowed


@pytest.mark.parametrize("limit", [0, -1, 1.5, "some", True])
def test_limits_that_are_none_are_refused(values: Values, limit: object) -> None:
    with pytest.raises(JobError, match="a share between 0 and 1, or a number of rows"):
        ScoreJob.from_values({**values, "bad_rows": limit})


def test_a_number_too_large_to_be_predicted_from_is_quarantined(values: Values) -> None:
    change(values, NEXT, put("price", lambda c: pa.array([1.7e308, *c.to_pylist()[1:]])))
    result = score(ScoreJob.from_values(values), workers=1)
    assert result.reasons == {"too_large price": 1}
    bad = DeltaTable(values["output"]["path"] + "-quarantine").to_pandas()
    assert bad[["reason", "column", "row"]].values.tolist() == [["too_large", "price", 0]]


def test_fractions_where_the_model_has_integers_are_quarantined(
    values: Values, train_values: Values, tmp_path: Path
) -> None:
    data = Path(values["data"]["path"])
    for path in sorted(data.rglob("*.parquet")):
        with pq.ParquetFile(path) as file:
            table = file.read()
        codes = pc.cast(pc.floor(pc.fill_null(table["price"], 20.0)), pa.int64())
        pq.write_table(table.append_column("grade", codes), path)
    training = {
        **train_values,
        "data": {**train_values["data"], "path": str(data)},
        "features": {"include": ["visits", "grade"], "categorical": ["grade"]},
        "penalty_factors": {},
    }
    train(TrainJob.from_values(training), workers=1)
    values = {**values, "registry": train_values["registry"]}
    odd = [0.5, float("inf"), None, 20.0]

    def put_odd(column: pa.ChunkedArray) -> pa.Array:
        return pa.array([*odd, *map(float, column.to_pylist()[len(odd) :])])

    change(values, NEXT, put("grade", put_odd))
    result = score(ScoreJob.from_values(values), workers=1)
    assert result.reasons == {"not_integer grade": 1, "infinite grade": 1}
    assert result.rows_scored == 2 * N - 2


# What the plan says.


def test_the_plan_says_it_all(cli: Any, values: Values, tmp_path: Path) -> None:
    path = change(values, NEXT, cast("visits", pa.float32()))
    (tmp_path / "score.yaml").write_text(yaml.safe_dump(values))
    said = json.loads(cli("plan", "score.yaml", "--json", folder=tmp_path).stdout)
    assert said["rows_before_filter"] == 2 * N
    assert said["expected_seconds"] is None
    assert said["schema"] == f"visits widened (float beside double, {path})"
    assert {v["column"] for v in said["schema_columns"]} == {
        *("price", "visits", "store", "promo", "id", "day")
    }
    score(ScoreJob.from_values(values), workers=1)
    done = cli("score", "score.yaml", "--dry-run", "--json", folder=tmp_path)
    again = json.loads(done.stdout)
    assert 0 < again["expected_seconds"] < 60
    assert again["run_id"] == said["run_id"]
    assert DeltaTable(values["output"]["path"]).version() == 0
    shown = cli("plan", "score.yaml", folder=tmp_path).stdout
    assert "noise, note, sales" in shown
    assert "widened" in shown
