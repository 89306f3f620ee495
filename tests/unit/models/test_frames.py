"""What `Model.predict` takes, and what it refuses."""

from pathlib import Path

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs.errors import DataError
from lasso_jobs.models.model import Model

CITY = "city.of'birth"


def batch(rows: pa.Table) -> pa.RecordBatch:
    return rows.combine_chunks().to_batches()[0]


def test_a_record_batch_is_taken_and_may_be_empty(model: Model, rows: pa.Table) -> None:
    np.testing.assert_array_equal(model.predict(batch(rows)), model.predict(rows))
    assert len(model.predict(batch(rows).slice(0, 0))) == 0


@pytest.mark.parametrize(
    "convert",
    [
        lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
        lambda f: f.astype({"grade": "category"}),
        lambda f: f.astype({CITY: "category"}).iloc[::-1].iloc[::-1],
        lambda f: f.astype({CITY: pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string()))}),
        lambda f: f.set_index(pd.MultiIndex.from_product([range(25), range(20)])),
    ],
    ids=["arrow", "category of integers", "category", "arrow dictionary", "index of two"],
)
def test_pandas_may_hold_the_values_as_it_likes(model: Model, frame: pd.DataFrame, convert) -> None:
    np.testing.assert_array_equal(model.predict(convert(frame)), model.predict(frame))


def test_an_unknown_level_of_a_dictionary_is_other(model: Model, frame: pd.DataFrame) -> None:
    unseen = frame.assign(**{CITY: "never seen"})
    categories = pd.CategoricalDtype(["never seen", "nor this", "u"])
    as_category = model.predict(unseen.astype({CITY: categories}))
    np.testing.assert_array_equal(as_category, model.predict(unseen))


def test_a_column_of_nulls_only_has_no_type_to_refuse(model: Model, frame: pd.DataFrame) -> None:
    nulls = frame.assign(a=None, **{CITY: None})
    typed = nulls.astype({"a": "float64", CITY: "string"})
    for same in (nulls, nulls.astype({CITY: "float64"}), nulls.astype({CITY: "category"})):
        np.testing.assert_array_equal(model.predict(same), model.predict(typed))
    assert len(model.predict(pd.DataFrame({name: [] for name in frame}, dtype="f8"))) == 0


@pytest.mark.parametrize("kind", ["pandas", "table", "batch", "dask"])
def test_a_missing_column_is_refused_by_name_when_predict_is_called(
    model: Model, rows: pa.Table, frame: pd.DataFrame, kind: str
) -> None:
    less = rows.drop_columns(["flag"])
    short = {"pandas": frame.drop(columns="flag"), "table": less, "batch": batch(less)}
    short["dask"] = dd.from_pandas(frame.drop(columns="flag"), npartitions=2)
    with pytest.raises(DataError, match=r"^frame: lacks the column 'flag'; expected the columns "):
        model.predict(short[kind])


def test_a_column_that_is_there_twice_is_refused(
    model: Model, rows: pa.Table, frame: pd.DataFrame
) -> None:
    for twice in (pd.concat([frame, frame[["a"]]], axis=1), rows.append_column("a", rows["a"])):
        with pytest.raises(DataError, match="has 2 columns 'a'"):
            model.predict(twice)


@pytest.mark.parametrize("other", [np.zeros((3, 2)), [[1.0]], {"a": [1.0]}, None, "rows.parquet"])
def test_what_is_no_frame_is_refused_by_its_type(model: Model, other: object) -> None:
    with pytest.raises(DataError, match=rf"is a {type(other).__module__}\.{type(other).__name__};"):
        model.predict(other)


@pytest.mark.parametrize("value", [10**30, 1j, [1, "a"]])
def test_what_arrow_cannot_have_is_refused_by_its_column(
    model: Model, frame: pd.DataFrame, value: object
) -> None:
    values = pd.Series([value] * len(frame), frame.index)
    with pytest.raises(DataError, match=r"^frame, column 'a': cannot be a column of Arrow \("):
        model.predict(frame.assign(a=values))


def test_a_dask_frame_is_not_computed_until_asked(model: Model, frame: pd.DataFrame) -> None:
    computed = []

    def seen(part: pd.DataFrame) -> pd.DataFrame:
        computed.append(len(part))
        return part

    source = dd.from_pandas(frame.astype({"flag": "boolean"}), npartitions=2)
    watched = source.map_partitions(seen, meta=source._meta)
    with dask.config.set(scheduler="synchronous"):
        lazy = model.predict(watched)
        assert computed == []
        assert len(lazy.compute()) == len(frame)
    assert computed == [250, 250]


def test_empty_partitions_and_categories_of_dask(model: Model, frame: pd.DataFrame) -> None:
    frame = frame.astype({"flag": "boolean", CITY: "category"})
    source = dd.from_pandas(frame, npartitions=5)
    kept = source[source["noise"] > frame["noise"].iloc[:100].max()]
    with dask.config.set(scheduler="synchronous"):
        assert kept.partitions[0].compute().empty
        found = model.predict(kept).compute()
    expected = frame[frame["noise"] > frame["noise"].iloc[:100].max()]
    assert len(expected) > 0
    np.testing.assert_array_equal(found, model.predict(expected))
    pd.testing.assert_index_equal(found.index, expected.index)


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # dask 2026.8 with pandas 3.1
def test_of_files_dask_reads_the_columns_in_use(
    model: Model, rows: pa.Table, tmp_path: Path
) -> None:
    pq.write_table(rows.append_column("bulk", pa.array(["x"] * len(rows))), tmp_path / "a.parquet")
    predicted = model.predict(dd.read_parquet(tmp_path))
    text = predicted.optimize().expr.tree_repr()
    assert "bulk" not in text
    with dask.config.set(scheduler="synchronous"):
        np.testing.assert_array_equal(predicted.compute(), model.predict(rows))
