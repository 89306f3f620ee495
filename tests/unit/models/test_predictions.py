"""A frame of any library is predicted, and the column that comes back is of the same library."""

from decimal import Decimal
from typing import Any

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from lasso_jobs.errors import DataError
from lasso_jobs.models.model import Model

CITY = "city.of'birth"


class Stream:
    """Any object that has the protocol of Arrow's stream, and nothing else."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


FRAMES: dict[str, tuple[Any, type]] = {
    "table": (lambda t: t, pa.ChunkedArray),
    "batch": (lambda t: t.combine_chunks().to_batches()[0], pa.Array),
    "reader": (lambda t: t.to_reader(100), pa.ChunkedArray),
    "stream": (Stream, pa.ChunkedArray),
    "duckdb": (lambda t: duckdb.connect().from_arrow(t), pa.ChunkedArray),
    "pandas": (lambda t: t.to_pandas(), pd.Series),
    "polars": (pl.from_arrow, pl.Series),
    "polars, lazy": (lambda t: pl.from_arrow(t).lazy(), pl.LazyFrame),
    "narwhals of pandas": (lambda t: nw.from_native(t.to_pandas()), nw.Series),
    "narwhals of polars": (lambda t: nw.from_native(pl.from_arrow(t)), nw.Series),
    "narwhals, lazy": (lambda t: nw.from_native(pl.from_arrow(t).lazy()), nw.LazyFrame),
}


def values(predicted: Any) -> Any:
    if hasattr(predicted, "collect"):
        frame = predicted.collect()
        assert list(frame.columns) == ["prediction"]
        return np.asarray(frame["prediction"])
    if hasattr(predicted, "name"):
        assert predicted.name == "prediction"
    return np.asarray(predicted)


@pytest.mark.parametrize("kind", FRAMES)
def test_what_came_in_comes_back(model: Model, rows: pa.Table, kind: str) -> None:
    make, expected = FRAMES[kind]
    predicted = model.predict(make(rows))
    assert isinstance(predicted, expected)
    np.testing.assert_array_equal(values(predicted), np.asarray(model.predict(rows)))
    if kind != "batch":  # A table of no rows has none.
        assert len(values(model.predict(make(rows.slice(0, 0))))) == 0


def test_a_series_of_pandas_has_the_index_of_the_frame(model: Model, frame: pd.DataFrame) -> None:
    shuffled = frame.sample(frac=1, random_state=0).set_index("noise", drop=False)
    pd.testing.assert_index_equal(model.predict(shuffled).index, shuffled.index)


def test_a_series_of_polars_is_a_column_of_the_frame(model: Model, rows: pa.Table) -> None:
    frame = pl.from_arrow(rows)
    assert frame.with_columns(model.predict(frame)).columns == [*frame.columns, "prediction"]
    lazy = model.predict(frame.lazy()).filter(pl.col("prediction") > 0).select(pl.len()).collect()
    assert lazy.item() == int((np.asarray(model.predict(rows)) > 0).sum())


def test_a_model_without_any_effect_needs_no_column(model: Model, rows: pa.Table) -> None:
    import dataclasses

    zero = dataclasses.replace(model.predictor, coef=np.zeros_like(model.predictor.coef))
    empty = dataclasses.replace(model, predictor=zero)
    for make, _ in FRAMES.values():
        predicted = values(empty.predict(make(rows.select(["noise"]))))
        np.testing.assert_array_equal(predicted, np.full(len(rows), model.intercept))


@pytest.mark.parametrize("kind", [k for k in FRAMES if k != "batch"])
def test_a_missing_column_is_refused_when_predict_is_called(
    model: Model, rows: pa.Table, kind: str
) -> None:
    with pytest.raises(DataError, match=r"^frame: lacks the column 'flag'; expected the columns "):
        model.predict(FRAMES[kind][0](rows.drop_columns(["flag"])))


@pytest.mark.parametrize("other", [pl.Series([1.0]), pa.chunked_array([[1.0]])])
def test_a_stream_of_no_columns_is_refused(model: Model, other: Any) -> None:
    with pytest.raises(DataError, match="cannot be read as a stream of Arrow"):
        model.predict(other)


CITIES = {
    "enum": lambda f: f.with_columns(pl.col(CITY).cast(pl.Enum(["rare", "u", "v", "w", "x"]))),
    "categorical": lambda f: f.with_columns(pl.col(CITY).cast(pl.Categorical)),
    "dictionary": lambda f: f.to_arrow().set_column(
        f.columns.index(CITY), CITY, f[CITY].to_arrow().cast(pa.string()).dictionary_encode()
    ),
    "large text": lambda f: f.to_arrow().set_column(
        f.columns.index(CITY), CITY, f[CITY].to_arrow().cast(pa.large_string())
    ),
    "view": lambda f: f.to_arrow().set_column(
        f.columns.index(CITY), CITY, f[CITY].to_arrow().cast(pa.string_view())
    ),
    "pandas, nullable": lambda f: f.to_pandas().convert_dtypes(),
}


@pytest.mark.parametrize("kind", CITIES)
def test_levels_are_the_same_whatever_their_type(model: Model, rows: pa.Table, kind: str) -> None:
    frame = CITIES[kind](pl.from_arrow(rows))
    np.testing.assert_array_equal(np.asarray(model.predict(frame)), np.asarray(model.predict(rows)))


NUMBERS = {
    "float16": pa.float16(),
    "float32": pa.float32(),
    "decimal": pa.decimal128(20, 4),
    "wide decimal": pa.decimal256(50, 4),
    "int8": pa.int8(),
    "uint64": pa.uint64(),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_of_any_type_are_computed_with_as_doubles(
    model: Model, rows: pa.Table, kind: str
) -> None:
    whole = np.arange(len(rows)) % 100
    known = rows.set_column(0, "a", pa.array(whole.astype(float)))
    type_ = NUMBERS[kind]
    own: Any = [Decimal(n) for n in whole.tolist()] if "decimal" in kind else whole
    own = whole.astype(np.float16) if kind == "float16" else own
    typed = known.set_column(0, "a", pa.array(own, type_))
    expected = np.asarray(model.predict(known))
    for convert in (
        lambda t: t,
        lambda t: t.to_pandas(),
        lambda t: t.to_pandas(types_mapper=pd.ArrowDtype),
    ):
        np.testing.assert_array_equal(np.asarray(model.predict(convert(typed))), expected)
    if kind != "wide decimal":  # which Polars has not
        polars = pl.from_arrow(typed)
        np.testing.assert_array_equal(np.asarray(model.predict(polars)), expected)


@pytest.mark.parametrize("ask", ["predict", "contributions"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e76])
def test_an_infinite_number_is_refused_as_in_training(
    model: Model, frame: pd.DataFrame, value: float, ask: str
) -> None:
    found = "an infinite value" if np.isinf(value) else "the value 1e[+]76"
    odd = frame.assign(a=frame["a"].mask(np.arange(len(frame)) == 7, value))
    with pytest.raises(DataError, match=rf"^frame, column 'a': has {found}.*; expected finite"):
        getattr(model, ask)(odd)
    with pytest.raises(DataError, match="column 'a': has"):
        getattr(model, ask)(pa.Table.from_pandas(odd.astype({CITY: "str"})))


@pytest.mark.parametrize("value", [2.5, np.inf])
def test_a_level_that_is_no_whole_number_is_refused_where_scoring_quarantines_it(
    model: Model, frame: pd.DataFrame, value: float
) -> None:
    odd = frame.assign(grade=frame["grade"].astype(float).mask(frame["grade"] == 3, value))
    with pytest.raises(DataError, match=rf"^frame, column 'grade': has the value {value:g}"):
        model.predict(odd)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_the_pipeline_of_scikit_learn_refuses_infinite_numbers_too(
    model: Model, frame: pd.DataFrame, value: float
) -> None:
    with pytest.raises(ValueError, match="Input X contains infinity"):
        model.to_sklearn().predict(frame.assign(a=value))
