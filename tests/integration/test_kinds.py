"""Columns of one kind are read as one, whatever the types that the files write them in.

Each table of types is held against the same rows in one type: the model must be the same, bit for
bit, in every role that a column can have, of small files (joined in memory) and of large ones.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from numpy.testing import assert_allclose, assert_array_equal

from lasso_jobs import MonitorJob, ScoreJob, TrainJob, load_model, monitor, score, train
from lasso_jobs.errors import DataError
from lasso_jobs.models.model import Model

pytestmark = pytest.mark.integration

Values = dict[str, Any]
Types = Mapping[str, pa.DataType]
Train = Callable[..., Model]

NUMBERS = {
    "int64": pa.int64(),
    "int16": pa.int16(),
    "uint32": pa.uint32(),
    "float": pa.float32(),
    "double": pa.float64(),
    "decimal": pa.decimal128(38, 10),
    "narrow decimal": pa.decimal128(9, 2),
}
TEXTS = {
    "string": pa.string(),
    "large": pa.large_string(),
    "view": pa.string_view(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
    "small dictionary": pa.dictionary(pa.int8(), pa.large_string()),
}
TIMES = {"s": pa.timestamp("s"), "ms": pa.timestamp("ms"), "ns": pa.timestamp("ns")}
ZONES = {
    "us UTC": pa.timestamp("us", "UTC"),
    "ns UTC": pa.timestamp("ns", "UTC"),
    "Etc/UTC": pa.timestamp("us", "Etc/UTC"),
    "+00:00": pa.timestamp("ms", "+00:00"),
}


def a_table(n: int, seed: int) -> pa.Table:
    """Rows whose columns are small integers, and a time."""
    rng = np.random.default_rng(seed)
    names = {"x": 90, "w": 3, "g": 40, "k": 3, "c": 4, "p": 6, "f": 10, "by": 3}
    values = {name: rng.integers(0, high, n) for name, high in names.items()}
    values["w"] += 1
    values["y"] = 3 * values["x"] + 9 * values["c"] + rng.integers(0, 60, n)
    seconds = rng.integers(0, 2_000, n) * 3_600 + 1_577_836_800
    return pa.table({**values, "t": pa.array(seconds).cast(pa.timestamp("s"))})


def typed(table: pa.Table, types: Types) -> pa.Table:
    """The same values in other types."""
    for name, type_ in types.items():
        column = table[name].combine_chunks()
        column = column.cast(pa.int64()) if pa.types.is_boolean(column.type) else column
        if pa.types.is_dictionary(type_):
            column = column.cast(type_.value_type).dictionary_encode().cast(type_)
        elif pa.types.is_decimal(type_):
            column = column.cast(pa.decimal128(38, 0)).cast(type_)
        elif pa.types.is_string_view(type_):
            column = column.cast(pa.string()).cast(type_)
        else:
            column = column.cast(type_)
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table


@pytest.fixture(scope="module")
def fitted(scheduler: str, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Train on two files of the same rows, whose columns have types of their own."""

    def fit(first: Types, second: Types, n: int, **job: Any) -> Model:
        folder = tmp_path_factory.mktemp("typed")
        (folder / "data").mkdir()
        for number, types in enumerate((first, second)):
            table = typed(a_table(n, number), types)
            pq.write_table(table, folder / "data" / f"{number}.parquet", row_group_size=20_000)
        values = {
            "name": "m",
            "data": {"path": str(folder / "data"), **job.pop("data", {})},
            "target": "y",
            "stability": None,
            "registry": str(folder / "models"),
            "search": {"alphas": 4, "folds": 2, **job.pop("search", {})},
            **job,
        }
        return train(TrainJob.from_values(values), cluster=scheduler).model

    return fit


@pytest.fixture(scope="module")
def reference(fitted: Train) -> Train:
    """The model of files that have one type, which is trained once."""
    known: dict[str, Model] = {}

    def fit(types: Types, n: int, **job: Any) -> Model:
        key = repr((types, n, job))
        if key not in known:
            known[key] = fitted(types, types, n, **job)
        return known[key]

    return fit


def assert_same(model: Model, other: Model) -> None:
    assert model.labels == other.labels
    assert_array_equal(model.predictor.coef, other.predictor.coef)
    assert model.intercept == other.intercept
    assert_array_equal(model.curve.fold_mse, other.curve.fold_mse)
    assert model.n_rows == other.n_rows
    assert (model.holdout is None) == (other.holdout is None)
    if model.holdout is not None and other.holdout is not None:
        assert model.holdout.intervals == other.holdout.intervals
        assert model.holdout.rmse == other.holdout.rmse


def all_to(columns: str, type_: pa.DataType) -> dict[str, pa.DataType]:
    return dict.fromkeys(columns.split(), type_)


BY_GROUP = {
    "features": {"include": ["x", "c"], "categorical": ["c"]},
    "preprocess": {"missing": "drop"},
    "weight": "w",
    "search": {"split": {"group": "g"}},
    "period": "p",
    "intervals": {"by": "by"},
    "holdout": 0.3,
}
BY_FOLD = {**BY_GROUP, "search": {"split": {"fold": "k"}}, "preprocess": {"missing": "mean"}}


# All numbers by folds, and all texts by groups, are in the grid below.
JOBS = {"group": BY_GROUP, "fold": BY_FOLD}


@pytest.mark.parametrize(
    ("job", "other", "n"),
    [
        ("group", "float", 400),
        *(
            pytest.param("group", name, 400, marks=pytest.mark.slow)
            for name in NUMBERS
            if name not in ("int64", "float")
        ),
        ("fold", "float", 400),
        *(
            pytest.param("group", name, 40_000, marks=pytest.mark.slow)
            for name in ("float", "decimal")
        ),
    ],
)
def test_numbers_of_any_two_types_are_one_column_in_every_role(
    fitted: Train, reference: Train, job: str, other: str, n: int
) -> None:
    values = {**JOBS[job], "data": {"where": "f < 8"}}
    integers = all_to("x y w g k c p f by", pa.int64())
    others = all_to("x y w g k c p f by", NUMBERS[other])
    assert_same(fitted(integers, others, n, **values), reference(integers, n, **values))
    if n == 400:
        assert_same(fitted(others, integers, n, **values), reference(integers, n, **values))


@pytest.mark.parametrize("second", ["float", "decimal", "narrow decimal"])
def test_numbers_that_no_file_has_as_integers_are_one_column_too(
    fitted: Train, reference: Train, second: str
) -> None:
    job = {**BY_GROUP, "data": {"where": "f < 8"}}
    doubles = all_to("x y w g f", pa.float64())
    others = all_to("x y w g f", NUMBERS[second])
    assert_same(fitted(doubles, others, 400, **job), reference(doubles, 400, **job))
    assert_same(reference(doubles, 400, **job), reference({}, 400, **job))


@pytest.mark.parametrize(
    ("job", "second", "n"),
    [
        *(("fold", name, 400) for name in TEXTS if name != "string"),
        ("group", "dictionary", 400),
        pytest.param("fold", "dictionary", 40_000, marks=pytest.mark.slow),
    ],
)
def test_texts_of_any_two_types_are_one_column_in_every_role(
    fitted: Train, reference: Train, job: str, second: str, n: int
) -> None:
    values = {**JOBS[job], "features": {"include": ["x", "c"]}, "data": {"where": "f < '8'"}}
    names = "g k c p f by"
    strings, others = all_to(names, pa.string()), all_to(names, TEXTS[second])
    assert_same(fitted(strings, others, n, **values), reference(strings, n, **values))


BY_TIME = {
    "features": {"include": ["x", "t"], "dates": {"t": ["year", "month", "hour"]}},
    "search": {"split": {"time": "t"}},
    "holdout": {"last": 0.25},
    "period": "t",
}


GRID = {
    "numbers": (NUMBERS, BY_FOLD, "x y w g k c p f by", {"where": "f < 8"}),
    "texts": (TEXTS, BY_GROUP, "g k c p f by", {"where": "f < '8'"}),
    "times": (TIMES | {"us": pa.timestamp("us")}, BY_TIME, "t", {"where": "t >= '2020-01-03'"}),
    "zones": (ZONES, BY_TIME, "t", {"where": "t >= '2020-01-03T00:00:00+00:00'"}),
}


def pairs_of(types: Types, n: int) -> list[tuple[str, str]]:
    """All pairs of types for small files; for large ones, whose reading it is, each type once.

    The order within a pair takes turns, so that each type is in a first file and in a second one.
    """
    usual, pairs = next(iter(types)), combinations(types, 2)
    turned = [pair[::-1] if k % 2 else pair for k, pair in enumerate(pairs)]
    return [pair for pair in turned if n == 400 or usual in pair]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "pair", "n"),
    [
        (kind, pair, n)
        for kind, (types, *_) in GRID.items()
        for n in (400, 40_000)
        for pair in pairs_of(types, n)
    ],
    ids=str,
)
def test_every_pair_of_types_is_one_column_in_every_role(
    fitted: Train, reference: Train, kind: str, pair: tuple[str, str], n: int
) -> None:
    types, job, names, data = GRID[kind]
    job = {**job, "data": data}
    if kind == "texts":
        job |= {"features": {"include": ["x", "c"]}}
    if kind == "numbers" and not any("int" in name for name in pair):
        names = "x y w g f"  # Where no file has integers, a number is no category.
    usual = all_to(names, next(iter(types.values())))
    first, second = (all_to(names, types[name]) for name in pair)
    assert_same(fitted(first, second, n, **job), reference(usual, n, **job))


@pytest.mark.parametrize(("second", "n"), [("s", 400), ("ms", 400), ("ns", 400), ("ns", 40_000)])
def test_times_of_any_two_units_are_one_column_in_every_role(
    fitted: Train, reference: Train, second: str, n: int
) -> None:
    job = {**BY_TIME, "data": {"where": "t >= '2020-01-03'"}}
    micro = {"t": pa.timestamp("us")}
    assert_same(fitted(micro, {"t": TIMES[second]}, n, **job), reference(micro, n, **job))
    assert_same(fitted({"t": TIMES[second]}, micro, n, **job), reference(micro, n, **job))


@pytest.mark.parametrize("second", [name for name in ZONES if name != "us UTC"])
@pytest.mark.parametrize("split", ["time", "group"])
def test_spellings_of_utc_are_one_zone(
    fitted: Train, reference: Train, second: str, split: str
) -> None:
    job = {**BY_TIME, "data": {"where": "t >= '2020-01-03T00:00:00+00:00'"}}
    if split == "group":
        job |= {"search": {"split": {"group": "t"}}, "holdout": 0.3}
    micro = {"t": ZONES["us UTC"]}
    assert_same(fitted(micro, {"t": ZONES[second]}, 400, **job), reference(micro, 400, **job))


# Scoring, monitoring and predictions


def with_truth(n: int, seed: int) -> pa.Table:
    """Rows with a category of each type, and a key."""
    table = a_table(n, seed)
    flag, one = pa.array(table["k"].to_numpy() > 0), pa.array(table["p"].to_numpy() % 2)
    table = table.append_column("flag", flag).append_column("one", one)
    table = table.append_column("s", table["k"].cast(pa.string()))
    return table.append_column("id", pa.array(np.arange(n) + 100_000 * seed))


@pytest.fixture(scope="module")
def registry(scheduler: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of numbers, categories of integers and booleans, parts of times, and intervals."""
    folder = tmp_path_factory.mktemp("registry")
    (folder / "data").mkdir()
    table = with_truth(3_000, 5)
    effect = pc.add(pc.multiply(table["one"], 40), pc.multiply(table["k"], 20))
    table = table.set_column(table.schema.get_field_index("y"), "y", pc.add(table["y"], effect))
    pq.write_table(table, folder / "data" / "a.parquet")
    features = {
        "include": ["x", "c", "flag", "one", "s"],
        "categorical": ["c", "one"],
        "dates": {"t": ["hour"]},
    }
    job = {
        "name": "m",
        "data": {"path": str(folder / "data")},
        "target": "y",
        "stability": None,
        "features": features,
        "search": {"alphas": 4, "folds": 2},
        "intervals": {"by": "flag"},
        "registry": str(folder / "models"),
    }
    model = train(TrainJob.from_values(job), cluster=scheduler).model
    assert {"x", "c", "flag", "one", "s"} <= set(model.predictor.used)
    assert model.holdout is not None
    assert len(model.holdout.intervals) == 2
    return folder / "models"


SCORED = [
    {},
    all_to("x c flag one", pa.float64()),
    all_to("x c flag one", pa.decimal128(38, 10)),
    all_to("x c flag one", pa.int16()),
    {"one": pa.bool_(), "x": pa.float32(), "c": pa.dictionary(pa.int8(), pa.int64())},
    {"t": pa.timestamp("ns"), "flag": pa.uint8()},
]


def scored(
    folder: Path, registry: Path, scheduler: str, first: Types, second: Types, n: int = 400
) -> pd.DataFrame:
    (folder / "data").mkdir(parents=True)
    for number, types in enumerate((first, second)):
        pq.write_table(typed(with_truth(n, number), types), folder / "data" / f"{number}.parquet")
    job = {
        "model": "m",
        "data": {"path": str(folder / "data"), "where": "x < 85 and f < 9"},
        "keys": ["id"],
        "output": {"path": str(folder / "scores"), "format": "parquet"},
        "drift": {"features": "all", "path": str(folder / "drift"), "segment": "c"},
        "registry": str(registry),
    }
    result = score(ScoreJob.from_values(job), cluster=scheduler)
    assert result.rows_quarantined == 0
    frame = pd.read_parquet(folder / "scores").sort_values("id", ignore_index=True)
    return frame.drop(columns=["run_id", "scored_at"])


@pytest.fixture(scope="module")
def usual(registry: Path, scheduler: str, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return scored(tmp_path_factory.mktemp("usual"), registry, scheduler, {}, {})


@pytest.mark.parametrize("types", SCORED[1:], ids=str)
def test_scores_depend_on_values_only(
    registry: Path, usual: pd.DataFrame, scheduler: str, tmp_path: Path, types: Types
) -> None:
    for name, first in (("alone", types), ("beside", {})):
        found = scored(tmp_path / name, registry, scheduler, first, types)
        pd.testing.assert_frame_equal(found, usual, check_exact=True)


SCORED_GRID = {
    "numbers": (NUMBERS, "x c flag one f"),
    "texts": (TEXTS, "s"),
    "times": (TIMES | {"us": pa.timestamp("us")}, "t"),
}


@pytest.mark.slow
@pytest.mark.parametrize("n", [400, 40_000])
@pytest.mark.parametrize("kind", SCORED_GRID)
def test_scores_and_predictions_of_every_pair_of_types_depend_on_values_only(
    registry: Path, scheduler: str, tmp_path: Path, kind: str, n: int
) -> None:
    types, names = SCORED_GRID[kind]
    usual = scored(tmp_path / "usual", registry, scheduler, {}, {}, n)
    model, table = load_model(registry, "m"), with_truth(n, 0)
    for first, second in pairs_of(types, n):
        both = [all_to(names, types[name]) for name in (first, second)]
        found = scored(tmp_path / f"{first} {second}", registry, scheduler, *both, n)
        pd.testing.assert_frame_equal(found, usual, check_exact=True)
    for type_ in types.values():
        predicted = model.predict(typed(table, all_to(names, type_)))
        assert_array_equal(predicted, model.predict(table))


@pytest.mark.parametrize(
    ("column", "type_", "labels"),
    [
        ("flag", pa.int8(), {"", "flag=true", "flag=false"}),
        ("one", pa.bool_(), {"", "one=1", "one=0"}),
    ],
)
def test_segments_of_drift_are_spelled_as_the_model_has_them(
    registry: Path,
    scheduler: str,
    tmp_path: Path,
    column: str,
    type_: pa.DataType,
    labels: set[str],
) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(typed(with_truth(400, 3), {column: type_}), path)
    job = {
        "model": "m",
        "data": {"path": str(path)},
        "keys": ["id"],
        "output": {"path": str(tmp_path / "scores"), "format": "parquet"},
        "drift": {"path": str(tmp_path / "drift"), "segment": column},
        "registry": str(registry),
    }
    result = score(ScoreJob.from_values(job), cluster=scheduler)
    assert {row.segment for row in result.drift} == labels


@pytest.mark.parametrize("types", SCORED, ids=str)
def test_predictions_of_frames_depend_on_values_only(registry: Path, types: Types) -> None:
    model = load_model(registry, "m")
    table = with_truth(400, 8)
    expected = model.predict(table)
    other = typed(table, types)
    assert_array_equal(model.predict(other), expected)
    assert_array_equal(model.predict(other.to_pandas()), expected)


Errors = Callable[..., list[Values]]


@pytest.fixture
def errors(registry: Path, tmp_path: Path) -> Errors:
    """Monitor rows whose outcomes are in two files, each with types of its own."""

    def measure(first: Types, second: Types, n: int = 400) -> list[Values]:
        rng = np.random.default_rng(3)
        y, half = rng.integers(0, 50, n), n // 2
        made = pa.table({"id": np.arange(n), "y": y, "shop": rng.integers(0, 3, n)})
        predicted = pa.table(
            {
                "id": np.arange(n),
                "day": ["2024-01-01"] * n,
                "prediction": y + rng.normal(size=n),
                "prediction_low": y - 9.0,
                "prediction_high": y + 9.0,
                "model_version": ["v1"] * n,
            }
        )
        for name in ("scores", "actuals"):
            (tmp_path / name).mkdir(exist_ok=True)
        pq.write_table(predicted, tmp_path / "scores" / "a.parquet")
        for number, types in enumerate((first, second)):
            part = typed(made.slice(half * number, half), types)
            pq.write_table(part, tmp_path / "actuals" / f"{number}.parquet")
        job = {
            "model": "m",
            "scores": {"path": str(tmp_path / "scores")},
            "actuals": {"path": str(tmp_path / "actuals")},
            "keys": ["id"],
            "target": "y",
            "period": "day",
            "segments": ["shop"],
            "registry": str(registry),
        }
        return [row.as_values() for row in monitor(MonitorJob.from_values(job), workers=1).rows]

    return measure


@pytest.mark.parametrize(
    "types",
    [
        {"y": pa.int64(), "shop": pa.decimal128(38, 10)},
        {"y": pa.float32(), "shop": pa.float64()},
        {"y": pa.decimal128(12, 2), "id": pa.int32()},
        {"shop": pa.decimal128(9, 2), "id": pa.decimal128(9, 2)},
    ],
    ids=str,
)
def test_errors_depend_on_the_values_of_outcomes_only(errors: Errors, types: Types) -> None:
    usual = errors({}, {})
    assert usual[0]["n_known"] == 400
    assert {row["segment"] for row in usual} == {"", "shop=0", "shop=1", "shop=2"}
    assert errors({}, types) == usual


@pytest.mark.slow
@pytest.mark.parametrize("n", [400, 40_000])
def test_errors_of_every_pair_of_types_depend_on_values_only(errors: Errors, n: int) -> None:
    # Keys are compared in a type of all files: numbers of 40,000 rows fit into all but two.
    usual = errors({}, {}, n)
    for first, second in pairs_of(NUMBERS, n):
        small = {"int16"} & {first, second} and n > 2**15
        names = "y shop" if small else "id y shop"
        both = [all_to(names, NUMBERS[name]) for name in (first, second)]
        assert errors(*both, n) == usual, (first, second)


def test_the_plan_says_which_columns_some_files_lack_or_have_otherwise(
    cli: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    first = a_table(400, 0).append_column("unused", pa.nulls(400))
    pq.write_table(first, tmp_path / "data" / "1.parquet")
    second = typed(a_table(400, 1), {"y": pa.float64()}).append_column("promo", first["f"])
    pq.write_table(second, tmp_path / "data" / "2.parquet")
    job = "{name: m, data: {path: data}, target: y, features: {exclude: [unused]}}"
    (tmp_path / "job.yaml").write_text(job)
    run = cli("plan", "job.yaml", "--json", folder=tmp_path)
    assert run.returncode == 0
    said = json.loads(run.stdout)
    assert "promo" in said["numeric_features"]
    assert {row["column"]: row["fate"] for row in said["schema_columns"]} == {
        "promo": "imputed",
        "y": "widened",
    }
    assert said["extra_columns"] == ["t", "unused"]
    shown = cli("plan", "job.yaml", folder=tmp_path).stdout
    assert "missing in 1 of 2 files: taken as null" in shown
    assert "every file has these columns" not in shown


# Tables that grow, indexes, periods and far dates, from training to scores


def trained_and_scored(folder: Path, scheduler: str, job: Values, **score_job: Any) -> Model:
    """Train on ``folder/data``, score it, and check the scores against a frame of the rows."""
    values = {
        "name": "m",
        "data": {"path": str(folder / "data")},
        "target": "y",
        "stability": None,
        **job,
    }
    values |= {"search": {"alphas": 4, "folds": 2}, "registry": str(folder / "models")}
    model = train(TrainJob.from_values(values), cluster=scheduler).model
    values = {
        "model": "m",
        "data": {"path": str(folder / "data")},
        "output": {"path": str(folder / "scores"), "format": "parquet"},
        "registry": str(folder / "models"),
        **score_job,
    }
    assert score(ScoreJob.from_values(values), cluster=scheduler).rows_quarantined == 0
    return model


def test_a_delta_table_that_grew_is_trained_and_scored_with_its_new_column(
    scheduler: str, tmp_path: Path
) -> None:
    first, second = a_table(400, 0).drop_columns(["p"]), a_table(400, 1)
    target = pc.add(second["y"], pc.multiply(second["p"], 30))
    second = second.set_column(second.schema.get_field_index("y"), "y", target)
    for number, table in enumerate((first, second)):
        ids = pa.array(np.arange(400) + 400 * number)
        table = table.drop_columns(["t"]).append_column("id", ids)
        write_deltalake(tmp_path / "data", table, mode="append", schema_mode="merge")
    job = {"features": {"include": ["x", "p"]}}
    model = trained_and_scored(tmp_path, scheduler, job, keys=["id"])
    assert "p" in model.predictor.used
    frame = DeltaTable(tmp_path / "data").to_pandas().sort_values("id", ignore_index=True)
    assert frame["p"].isna().sum() == 400
    found = pd.read_parquet(tmp_path / "scores").sort_values("id", ignore_index=True)
    filled = frame[["x", "p"]].fillna({"p": frame["p"].mean()})
    assert_allclose(found["prediction"], filled @ model.coef[["x", "p"]] + model.intercept)


def test_an_index_is_a_key_where_it_is_named_and_no_feature(scheduler: str, tmp_path: Path) -> None:
    frame = a_table(400, 0).to_pandas().drop(columns="t").sample(400, random_state=1)
    (tmp_path / "data").mkdir()
    frame.to_parquet(tmp_path / "data" / "a.parquet")
    model = trained_and_scored(tmp_path, scheduler, {}, keys=["__index_level_0__"])
    assert "__index_level_0__" not in model.columns.features
    found = pd.read_parquet(tmp_path / "scores").set_index("__index_level_0__")["prediction"]
    assert_allclose(found.sort_index(), model.predict(frame.sort_index()))


def test_far_dates_of_int96_are_features_filters_and_keys(scheduler: str, tmp_path: Path) -> None:
    far = [datetime(9999, 12, 31), datetime(2020, 6, 1), datetime(2300, 1, 1), datetime(1600, 3, 1)]
    until = pa.array([far[i % 4] for i in range(400)], pa.timestamp("us"))
    table = a_table(400, 0).drop_columns(["t"]).append_column("until", until)
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "a.parquet"
    pq.write_table(table, path, use_deprecated_int96_timestamps=True)
    job = {
        "features": {"include": ["x", "until"], "dates": {"until": ["year"]}},
        "data": {"path": str(tmp_path / "data"), "where": "until > '1700-01-01'"},
    }
    model = trained_and_scored(tmp_path, scheduler, job, keys=["until"])
    assert model.n_rows <= 300
    years = model.means[model.labels.index("until.year")]
    assert 2020 < years < 9999
    assert model.references["until.year"].high == 9999
    written = pd.read_parquet(tmp_path / "scores")["until"]
    assert written.value_counts().to_dict() == dict.fromkeys(far, 100)


def test_a_period_is_its_number_where_it_is_named(scheduler: str, tmp_path: Path) -> None:
    frame = a_table(400, 0).to_pandas().drop(columns="t")
    months = pd.period_range("1990-01", periods=400, freq="M")
    frame = frame.assign(month=months, y=frame["y"] + 0.5 * months.astype("int64"))
    (tmp_path / "data").mkdir()
    frame.to_parquet(tmp_path / "data" / "a.parquet", index=False)
    job = {"features": {"include": ["x", "month"]}}
    model = trained_and_scored(tmp_path, scheduler, job, keys=["month"])
    plain = frame.assign(month=months.astype("int64"))
    assert "month" in model.predictor.used
    assert_array_equal(model.predict(frame), model.predict(plain))


def test_a_category_of_numbers_is_one_whatever_type_all_files_have(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    k, x = rng.integers(0, 4, 300), rng.normal(size=300)
    y = x + np.array([0, 3, -2, 5])[k] + rng.normal(0, 0.1, 300)
    models = []
    for type_ in (pa.int64(), pa.float64(), pa.decimal128(38, 10)):
        path = tmp_path / str(type_) / "sales.parquet"  # rows are in folds by the file's name
        path.parent.mkdir()
        column = pa.array(k).cast(pa.decimal128(20, 0)).cast(type_)
        table = pa.table({"k": column, "x": x, "y": y})
        pq.write_table(table, path)
        values = {
            "name": "m",
            "data": {"path": str(path)},
            "target": "y",
            "features": {"categorical": ["k"]},
            "search": {"alphas": 5},
            "stability": None,
            "registry": str(tmp_path / f"models of {type_}"),
        }
        models.append(train(TrainJob.from_values(values), workers=1).model)
        pq.write_table(table.set_column(0, "k", pa.array(k + 0.5)), path)
        with pytest.raises(DataError, match=r"column 'k': has the value .*\.5; expected integers"):
            train(TrainJob.from_values(values), workers=1)
    ints, floats, decimals = (model.coef.to_dict() for model in models)
    assert set(ints) == {"x", "k=0", "k=1", "k=2", "k=3"}
    assert floats == decimals == ints
