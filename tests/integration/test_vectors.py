"""The elements of vectors are features like others: as if the data had a column for each."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso
from sklearn.metrics import mean_squared_error
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from lasso_jobs import ScoreJob, TrainJob, score, train
from lasso_jobs.errors import DataError, JobError, ModelError
from lasso_jobs.models.model import Model
from lasso_jobs.training.plan import plan

pytestmark = pytest.mark.integration

EXACT = 1e-8
WIDTH = 8
ELEMENTS = [f"v[{i}]" for i in range(WIDTH)]
SPARK = pa.struct(
    [
        ("type", pa.int8()),
        ("size", pa.int32()),
        ("indices", pa.list_(pa.int32())),
        ("values", pa.list_(pa.float64())),
    ]
)
PLAIN = pa.struct([("indices", pa.list_(pa.int32())), ("values", pa.list_(pa.float64()))])
MAP = pa.map_(pa.int32(), pa.float64())
TYPES = {
    "fixed float": (pa.list_(pa.float32(), WIDTH), pa.list_(pa.float32(), WIDTH)),
    "fixed double beside lists": (pa.list_(pa.float64(), WIDTH), pa.list_(pa.float32())),
    "integers beside large lists": (pa.list_(pa.int16()), pa.large_list(pa.float64())),
    "spark": (SPARK, SPARK),
    "struct": (PLAIN, PLAIN),
    "map": (MAP, MAP),
    "spark beside map": (SPARK, MAP),
}
Values = dict[str, Any]


def rows(n: int = 300, nulls: bool = True) -> pd.DataFrame:
    """Small integers, many of them zero, a column for each element; every type holds them."""
    rng = np.random.default_rng(n)
    v = rng.integers(-4, 9, (n, WIDTH)) * rng.integers(0, 2, (n, WIDTH)).astype(float)
    x = rng.normal(size=n)
    y = v @ np.array([2, 0, -1.5, 0, 0, 1, 0, 0]) + x + rng.normal(size=n)
    if nulls:
        v[rng.random((n, WIDTH)) < 0.05] = np.nan
        v[::17] = np.nan
    frame = pd.DataFrame(v, columns=ELEMENTS)
    return frame.assign(x=x, y=y, key=np.arange(n), fold=np.arange(n) % 4)


def vectors(frame: pd.DataFrame, type_: pa.DataType) -> pa.Array:
    """The elements as vectors; a row of nulls is no vector."""
    values = frame[ELEMENTS].to_numpy()
    lists = [
        None if np.isnan(row).all() else [None if np.isnan(v) else v for v in row] for row in values
    ]
    if not (pa.types.is_struct(type_) or pa.types.is_map(type_)):
        return (
            pa.array(lists, pa.list_(pa.float64(), WIDTH))
            .cast(pa.list_(type_.value_type))
            .cast(type_)
        )
    pairs = [
        None if row is None else [(i, v) for i, v in enumerate(row) if v != 0] for row in lists
    ]
    if pa.types.is_map(type_):
        return pa.array(pairs, type_)
    return pa.array([None if p is None else as_struct(p, type_) for p in pairs], type_)


def as_struct(pairs: list[tuple[int, float]], type_: pa.DataType) -> Values:
    found = {"indices": [i for i, _ in pairs], "values": [v for _, v in pairs]}
    return {"type": 0, "size": WIDTH, **found} if type_ == SPARK else found


def write(folder: Path, frame: pd.DataFrame, *types: pa.DataType) -> Path:
    """A file for each type, which share the rows."""
    (folder / "data").mkdir(parents=True)
    for number, type_ in enumerate(types):
        part = frame.iloc[number :: len(types)]
        table = pa.Table.from_pandas(part[["x", "y", "key", "fold"]], preserve_index=False)
        table = table.append_column("v", vectors(part, type_))
        pq.write_table(table, folder / "data" / f"{number}.parquet", row_group_size=100)
    return folder


def job(folder: Path, **values: Any) -> TrainJob:
    return TrainJob.from_values(
        {
            "name": "m",
            "data": {"path": str(folder / "data")},
            "target": "y",
            "stability": None,
            "features": {"exclude": ["key"]},
            "search": {"alphas": 5, "split": {"fold": "fold"}},
            "holdout": None,
            "registry": str(folder / "models"),
            **values,
        }
    )


def pipeline(alpha: float) -> Pipeline:
    lasso = Lasso(alpha, tol=1e-12, max_iter=1_000_000)
    return make_pipeline(SimpleImputer(), StandardScaler(), lasso)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return rows()


@pytest.fixture(scope="module", params=TYPES)
def trained(
    request: pytest.FixtureRequest,
    frame: pd.DataFrame,
    scheduler: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Model]:
    first, second = TYPES[request.param]
    if "spark beside" in request.param:
        first, second = second, first
    folder = write(tmp_path_factory.mktemp("vectors"), frame, first, second)
    return folder, train(job(folder), cluster=scheduler).model


def test_a_model_of_vectors_is_scikit_learns_of_the_expanded_frame(
    trained: tuple[Path, Model], frame: pd.DataFrame
) -> None:
    model = trained[1]
    X, y = frame[["x", *ELEMENTS]], frame["y"].to_numpy()
    assert sorted(model.labels) == sorted(X.columns)
    for k in range(4):
        own = frame["fold"] == k
        fits = (pipeline(alpha).fit(X[~own], y[~own]) for alpha in model.curve.alphas)
        expected = [mean_squared_error(y[own], fit.predict(X[own])) for fit in fits]
        assert_allclose(model.curve.fold_mse[k], expected, rtol=EXACT)
    final = pipeline(model.alpha).fit(X, y)
    deviations = final[1].scale_
    expected_coef = pd.Series(final[-1].coef_ / deviations, X.columns)
    assert_allclose(model.coef[X.columns], expected_coef, rtol=EXACT, atol=EXACT)
    assert_allclose(model.predict(vector_frame(frame)), final.predict(X), rtol=EXACT, atol=EXACT)


def vector_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """As pandas has vectors: an object column of arrays."""
    arrays = [None if np.isnan(row).all() else row for row in frame[ELEMENTS].to_numpy()]
    column = pd.Series(arrays, frame.index, dtype=object)
    return frame[["x", "y", "key"]].assign(v=column)


def test_scores_are_the_predictions(
    trained: tuple[Path, Model], frame: pd.DataFrame, scheduler: str
) -> None:
    folder, model = trained
    values = {
        "model": "m",
        "data": {"path": str(folder / "data")},
        "keys": ["key"],
        "output": {"path": str(folder / "scores"), "format": "parquet"},
        "drift": {"features": "all", "path": str(folder / "drift")},
        "registry": str(folder / "models"),
    }
    result = score(ScoreJob.from_values(values), cluster=scheduler)
    scores = pd.read_parquet(folder / "scores").sort_values("key")
    assert_allclose(scores["prediction"], model.predict(vector_frame(frame)), rtol=1e-12)
    moved = {row.drift.feature: row.drift for row in result.drift}
    assert set(moved) == {"x", *ELEMENTS, "prediction"}
    assert_allclose(moved["v[2]"].mean, frame["v[2]"].mean(), rtol=1e-12)
    assert_allclose(moved["v[2]"].missing_share, frame["v[2]"].isna().mean(), rtol=1e-12)


# One folder of lists


@pytest.fixture(scope="module")
def lists(
    frame: pd.DataFrame, scheduler: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Model]:
    folder = write(tmp_path_factory.mktemp("lists"), frame, pa.list_(pa.float32(), WIDTH))
    factors = {"penalty_factors": {"v[0]": 0.0, "v": 3.0}, "bounds": {"v": [-1.5, 1.5]}}
    return folder, train(job(folder, **factors), cluster=scheduler).model


def test_what_is_said_of_an_element_counts_before_what_is_said_of_its_vector(
    lists: tuple[Path, Model],
) -> None:
    coef = lists[1].coef
    assert coef["v[0]"] == 1.5  # It is 2 without the bound, and not penalised.
    assert np.abs(coef[ELEMENTS]).max() == 1.5


def test_a_training_that_drops_nulls_is_that_of_the_rows_without(
    frame: pd.DataFrame, scheduler: str, tmp_path: Path
) -> None:
    drop = {"preprocess": {"missing": "drop"}, "features": {"exclude": ["key", "v[3]"]}}
    some = write(tmp_path / "some", frame, pa.list_(pa.float64()))
    whole = write(tmp_path / "whole", frame.dropna(), pa.list_(pa.float64()))
    model = train(job(some, **drop), cluster=scheduler).model
    other = train(job(whole, **drop), cluster=scheduler).model
    assert model.n_rows == len(frame.dropna())
    assert "v[3]" not in model.labels
    # Rows have other places in the file, and so other buckets.
    assert_allclose(model.coef, other.coef, rtol=EXACT)


def test_indicators_of_nulls_are_those_of_elements(
    frame: pd.DataFrame, scheduler: str, tmp_path: Path
) -> None:
    folder = write(tmp_path, frame, SPARK)
    model = train(job(folder, preprocess={"missing": "indicator"}), cluster=scheduler).model
    assert set(model.labels) == {"x", *ELEMENTS, *(f"{name} is null" for name in ELEMENTS)}
    nulls = frame[ELEMENTS].isna().mean().to_numpy()
    means = pd.Series(model.means, model.labels)[[f"{name} is null" for name in ELEMENTS]]
    assert_allclose(means, nulls, rtol=1e-12)
    with pytest.raises(DataError, match=r"column 'v\[0\]': has nulls"):
        train(job(folder, preprocess={"missing": "error"}), cluster=scheduler)


def test_frames_of_several_libraries_have_one_prediction(
    lists: tuple[Path, Model], frame: pd.DataFrame
) -> None:
    model, own = lists[1], vector_frame(frame)
    expected = model.predict(own)
    table = pq.read_table(lists[0] / "data")
    assert_array_equal(model.predict(table), expected)
    assert_array_equal(model.predict(pl.from_arrow(table).to_arrow()), expected)
    of_lists = own.assign(v=[None if v is None else [*v] for v in own["v"]])
    assert_array_equal(model.predict(of_lists), expected)
    short = own.assign(v=[v if i != 5 else v[:3] for i, v in enumerate(own["v"])])
    with pytest.raises(DataError, match=r"frame, column 'v', row 5: has a vector of length 3"):
        model.predict(short)
    with pytest.raises(DataError, match=r"column 'v': has type .*; expected vector"):
        model.predict(own.assign(v=1.0))


def test_a_pipeline_is_refused_by_name(lists: tuple[Path, Model]) -> None:
    with pytest.raises(ModelError, match=r"elements of the vectors in 'v'.*Use model.predict"):
        lists[1].to_sklearn()


def test_a_row_of_another_length_ends_a_training_and_is_quarantined_by_a_scoring(
    lists: tuple[Path, Model], scheduler: str, tmp_path: Path
) -> None:
    table = pq.read_table(lists[0] / "data").sort_by("key")
    rows_ = table["v"].to_pylist()
    rows_[7], rows_[9] = [1.0] * 3, None
    table = table.set_column(table.column_names.index("v"), "embedding", pa.array(rows_))
    (tmp_path / "data").mkdir()
    pq.write_table(table, tmp_path / "data" / "a.parquet")
    with pytest.raises(DataError, match=r"a.parquet, column 'embedding', row 7: .* length 3; "):
        train(job(tmp_path), cluster=scheduler)
    values = {
        "model": "m",
        "data": {"path": str(tmp_path / "data")},
        "keys": ["key"],
        "rename": {"embedding": "v"},
        "output": {"path": str(tmp_path / "scores"), "format": "parquet"},
        "registry": str(lists[0] / "models"),
    }
    result = score(ScoreJob.from_values(values), cluster=scheduler)
    assert (result.rows_scored, result.rows_quarantined) == (len(table) - 1, 1)
    bad = pd.read_parquet(tmp_path / "scores-quarantine")
    assert bad[["reason", "column", "key", "row"]].to_numpy().tolist() == [["length", "v", 7, 7]]


def test_files_without_the_column_or_rows_or_with_nulls_only_have_nulls(
    frame: pd.DataFrame, scheduler: str, tmp_path: Path
) -> None:
    folder = write(tmp_path, frame, pa.list_(pa.float32(), WIDTH))
    table = pq.read_table(folder / "data" / "0.parquet")
    pq.write_table(table.drop_columns("v"), folder / "data" / "1.parquet")
    pq.write_table(table.slice(0, 0), folder / "data" / "2.parquet")
    nulls = table.set_column(table.column_names.index("v"), "v", pa.nulls(len(table)))
    pq.write_table(nulls, folder / "data" / "3.parquet")
    model = train(job(folder), cluster=scheduler).model
    assert model.n_rows == 3 * len(frame)
    assert_allclose(model.predictor.fill[1:], frame[ELEMENTS].mean(), rtol=1e-12)


def test_fewer_elements_and_other_factors_are_trained_from_the_cache(
    lists: tuple[Path, Model], scheduler: str
) -> None:
    features = {"include": ["x", "v[1]", "v[6]"]}
    result = train(job(lists[0], features=features), cluster=scheduler)
    assert result.counts.bytes_read == 0
    assert result.model.labels == ("x", "v[1]", "v[6]")


INDICES = pa.struct({"indices": pa.list_(pa.int64()), "values": pa.list_(pa.float64())})
SIZES = pa.struct({"type": pa.int8(), "size": pa.int32(), **{f.name: f.type for f in INDICES}})


@pytest.mark.parametrize(
    ("vectors", "lengths"),
    [
        (
            pa.array(
                [{"indices": [1], "values": [1.0]}, {"indices": [4], "values": [1.0]}], INDICES
            ),
            "5 and more",
        ),
        (pa.array([[(1, 1.0)], [(4, 1.0)]], pa.map_(pa.int32(), pa.float64())), "5 and more"),
        (
            pa.array(
                [{"type": 0, "size": n, "indices": [1], "values": [1.0]} for n in (4, 5)], SIZES
            ),
            "4 to 5",
        ),
        (pa.array([[1.0] * 5] * 2, pa.list_(pa.float64(), 5)), "5"),
    ],
)
def test_vectors_of_another_size_than_the_job_states_are_refused(
    tmp_path: Path, vectors: pa.Array, lengths: str
) -> None:
    """They are not left out in silence, as a column would be that only a pattern names."""
    (tmp_path / "data").mkdir()
    rows = pa.table({"v": vectors, "x": [1.0, 2.0], "y": [1.0, 2.0]})
    pq.write_table(rows, tmp_path / "data" / "0.parquet")
    values = {
        "name": "m",
        "data": {"path": str(tmp_path / "data")},
        "target": "y",
        "stability": None,
        "features": {"sizes": {"v": 4}},
    }
    with pytest.raises(
        DataError, match=f"vectors of length {lengths}; expected vectors of length 4"
    ):
        plan(TrainJob.from_values(values))


def test_a_run_is_another_where_the_names_in_a_file_are(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rows = pa.table({"v": pa.array([[1.0, 2.0], [3.0, 1.0]]), "y": [1.0, 2.0]})
    pq.write_table(rows, tmp_path / "data" / "0.parquet")
    names, ids = tmp_path / "names.txt", []
    values = {
        "name": "m",
        "data": {"path": str(tmp_path / "data")},
        "target": "y",
        "stability": None,
        "features": {"names": {"v": str(names)}},
    }
    for text in ("a\nb\n", "a\nc\n", "a\nb\n"):
        names.write_text(text)
        ids.append(plan(TrainJob.from_values(values)).run_id)
    assert ids[0] == ids[2] != ids[1]


def test_a_plan_names_vectors_and_refuses_what_is_no_feature(lists: tuple[Path, Model]) -> None:
    values = plan(job(lists[0])).as_values()
    assert values["numeric_features"] == ["x"]
    assert values["vector_features"] == {"v": WIDTH}
    json.dumps(values)
    for key, value in {"penalty_factors": 1.0, "bounds": [0.0, 1.0]}.items():
        with pytest.raises(JobError, match=rf"{key}: 'v\[8\]' is no feature"):
            plan(job(lists[0], **{key: {"v[8]": value}}))
    with pytest.raises(DataError, match=r"features.sizes 'x': has type double"):
        plan(job(lists[0], features={"sizes": {"x": 3}}))


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ({}, r"v \(has vectors of length 2,147,483,648; expected at most 20,000,000 elements\)"),
        ({"include": ["v"]}, "Mend the index that is so large"),
    ],
)
def test_one_index_that_no_memory_has_room_for_is_refused_by_the_plan(
    tmp_path: Path, features: dict[str, Any], said: str
) -> None:
    kind = pa.struct({"indices": pa.list_(pa.int32()), "values": pa.list_(pa.float64())})
    rows = [{"indices": [7, 2**31 - 1 if i == 3 else 8], "values": [1.0, 2.0]} for i in range(9)]
    table = pa.table({"v": pa.array(rows, kind), "y": np.arange(9.0)})
    pq.write_table(table, tmp_path / "0.parquet")
    values = {
        "name": "m",
        "data": {"path": str(tmp_path)},
        "target": "y",
        "stability": None,
        "features": features,
    }
    with pytest.raises(DataError, match=said):
        plan(TrainJob.from_values(values))
