"""One schema for the files of a dataset, and what is read where a file differs from it."""

import datetime
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given
from hypothesis import strategies as st

from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.data import arrays
from lasso_jobs.data.blocks import read
from lasso_jobs.data.columns.column_fates import in_words, odd_columns
from lasso_jobs.data.columns.contract import Needs, contract_of
from lasso_jobs.data.columns.kinds import common_type, exact_type
from lasso_jobs.data.columns.selection import SelectedFeatures, select_features
from lasso_jobs.data.dataset import Dataset
from lasso_jobs.data.discover import discover
from lasso_jobs.data.schema import check_files
from lasso_jobs.data.where import parse
from lasso_jobs.errors import DataError

Write = Callable[..., Path]


def columns_of(dataset: Dataset, *names: str, where: str = "") -> list[list[Any]]:
    """The values of some columns, as every reader gets them."""
    conditions = parse(where, "data.where") if where else ()
    tables = [
        rows.table
        for unit in dataset.work_units(names)
        for piece in unit.pieces
        for rows in read(piece, names, conditions)
    ]
    return [[v for table in tables for v in table[name].to_pylist()] for name in names]


def star(dataset: Dataset, *include: str) -> SelectedFeatures:
    return select_features(dataset, include=["*", *include], reserved={})


# The columns of all files


def test_the_columns_are_those_of_all_files_in_the_order_in_which_they_come(write: Write) -> None:
    write("1.parquet", {"x": [1.0, 2.0]})
    path = write("2.parquet", {"promo": [True], "x": [3.0], "s": ["a"]})
    dataset = discover(str(path.parent))
    assert dataset.schema.names == ["x", "promo", "s"]
    check_files(dataset, ["x", "promo", "s"], nullable={"promo", "s"})
    assert columns_of(dataset, "promo", "x", "s") == [
        [None, None, True],
        [1.0, 2.0, 3.0],
        [None, None, "a"],
    ]
    assert columns_of(dataset, "x", where="promo") == [[3.0]]


@pytest.mark.parametrize("lacking", ["1.parquet", "2.parquet"])
def test_a_column_that_must_be_there_is_missed_whichever_file_lacks_it(
    write: Write, lacking: str
) -> None:
    write("1.parquet", {"y": [1]} if lacking == "1.parquet" else {"x": [1], "y": [1]})
    path = write("2.parquet", {"y": [1]} if lacking == "2.parquet" else {"x": [1], "y": [1]})
    with pytest.raises(DataError, match=rf"{lacking}: lacks the column 'x'"):
        check_files(discover(str(path.parent)), ["x"])


def test_the_files_that_deviate_are_named(write: Write) -> None:
    write("1.parquet", {"x": [1.0], "n": [1], "s": ["a"]})
    path = write("2.parquet", {"n": [1.5], "s": pa.nulls(1)})
    dataset = discover(str(path.parent))
    fates = odd_columns(dataset, {"x": "feature", "n": "target", "s": "feature"})
    assert {fate.column: (fate.role, fate.fate, fate.file) for fate in fates} == {
        "x": ("feature", "imputed", str(path)),
        "n": ("target", "widened", str(path)),
        "s": ("feature", "all null", str(path)),
    }
    assert in_words(fates[:1]) == (f"x imputed (missing in 1 of 2 files: taken as null, {path})")
    assert odd_columns(discover(str(path)), {"n": "target"}) == ()


def test_a_column_of_type_null_has_the_type_of_the_other_files(write: Write) -> None:
    write("1.parquet", {"s": pa.nulls(2), "x": [1, 2]})
    path = write("2.parquet", {"s": ["a"], "x": [3]})
    dataset = discover(str(path.parent))
    assert columns_of(dataset, "s") == [[None, None, "a"]]
    assert columns_of(dataset, "x", where="s in ('a', 'b')") == [[3]]


# Delta tables


@pytest.fixture
def grown(tmp_path: Path) -> str:
    """A table whose second version has one more column."""
    root = str(tmp_path / "table")
    for seed in range(3):  # names of files are random: each may be the first
        write_deltalake(root, pa.table({"x": [1.0 + seed]}), mode="append")
    more = pa.table({"x": [9.0], "promo": [True]})
    write_deltalake(root, more, mode="append", schema_mode="merge")
    return root


def test_the_schema_of_a_table_is_its_own(grown: str) -> None:
    dataset = discover(grown)
    assert dataset.schema.names == ["x", "promo"]
    check_files(dataset, ["x", "promo"])
    x, promo = columns_of(dataset, "x", "promo")
    assert sorted(zip(x, promo, strict=True), key=str) == [
        (1.0, None),
        (2.0, None),
        (3.0, None),
        (9.0, True),
    ]
    assert discover(grown, version=2).schema.names == ["x"]


def test_what_files_of_a_table_lack_is_told(grown: str) -> None:
    dataset = discover(grown)
    (fate,) = odd_columns(dataset, {"x": "feature", "promo": "feature"})
    assert (fate.column, fate.fate) == ("promo", "imputed")
    assert fate.detail == "missing in 3 of 4 files: taken as null"
    needs = Needs(
        model="m@v1",
        features=Columns(("x",), ()),
        sources={"x": "x"},
        carried={"promo": "keys"},
        others={},
        imputes=False,
        nulls_allowed=True,
    )
    of_scoring = {fate.column: fate.detail for fate in contract_of(dataset, needs).columns}
    assert of_scoring == {"x": "", "promo": fate.detail}
    needs = replace(needs, features=Columns(("promo",), ()), sources={"promo": "promo"}, carried={})
    assert contract_of(dataset, needs).columns == (fate,)


def test_what_only_the_files_of_a_table_have_is_no_column(grown: str) -> None:
    for file in DeltaTable(grown).file_uris():
        table = pq.read_table(file)
        pq.write_table(table.append_column("_change_type", pa.array(["insert"])), file)
    dataset = discover(grown)
    assert "_change_type" not in dataset.schema.names
    assert star(dataset).categorical == (("promo", "boolean"),)


# Indexes and extension types


def test_a_column_that_only_pandas_sees_is_told_to_be_a_range(write: Write) -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0]}, index=pd.RangeIndex(7, 9, name="id"))
    path = write("1.parquet", pa.Table.from_pandas(frame))
    assert pd.read_parquet(path).index.name == "id"
    advice = r"write the frame after reset_index\(\)"
    with pytest.raises(DataError, match=f"there is no column 'id'.*{advice}"):
        select_features(discover(str(path)), include=["id"], reserved={})
    needs = Needs(
        model="m@v1",
        features=Columns(("x",), ()),
        sources={"x": "x"},
        carried={"id": "keys"},
        others={},
        imputes=False,
        nulls_allowed=True,
    )
    with pytest.raises(DataError, match=f"there is no column 'id'.*{advice}"):
        contract_of(discover(str(path)), needs)
    write("2.parquet", {"id": [1], "x": [1.0]})
    both = discover(str(path.parent))
    with pytest.raises(DataError, match=f"lacks the column 'id' .keys.*{advice}"):
        contract_of(both, needs)
    with pytest.raises(DataError, match=f"lacks the column 'id'.*{advice}"):
        check_files(both, ["id"])


def test_an_index_is_no_feature_unless_it_is_named(write: Write) -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "kept": [7, 9, 8]})
    write("1.parquet", pa.Table.from_pandas(frame.set_index("kept")))
    path = write("2.parquet", pa.Table.from_pandas(frame.iloc[[2, 0, 1]]))
    dataset = discover(str(path.parent))
    found = star(dataset)
    assert found.numeric == ("x",)
    assert dict(found.left_out) == {
        "kept": "an index of pandas",
        "__index_level_0__": "an index of pandas",
    }
    assert star(dataset, "__index_level_0__").numeric == ("x", "__index_level_0__")
    assert columns_of(discover(str(path)), "__index_level_0__") == [[2, 0, 1]]


@pytest.mark.parametrize("name", ["__null_dask_index__", "__index_level_1__"])
def test_names_of_indexes_are_known_without_metadata(write: Write, name: str) -> None:
    dataset = discover(str(write("a.parquet", {"x": [1.0], name: [1]})))
    assert star(dataset).numeric == ("x",)


@pytest.mark.parametrize("imported", ["", "import pandas.core.arrays.arrow.extension_types;"])
def test_a_period_is_the_same_whatever_has_been_imported(write: Write, imported: str) -> None:
    months = pd.period_range("2024-01", periods=3, freq="M")
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "month": months})
    path = write("a.parquet", pa.Table.from_pandas(frame, preserve_index=False))
    script = f"""{imported}
import json, sys
from lasso_jobs.data.blocks import read
from lasso_jobs.data.discover import discover
from lasso_jobs.data.columns.selection import select_features
dataset = discover({str(path)!r})
found = select_features(dataset, include=["*"], reserved={{}})
named = select_features(dataset, include=["month"], reserved={{}})
(rows,) = read(dataset.work_units(["month"])[0].pieces[0], ["month"])
values = rows.table["month"].to_pylist()
print(json.dumps([found.numeric, dict(found.left_out), named.numeric, values]))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == [
        ["x"],
        {"month": "extension type pandas.period"},
        ["month"],
        [month.ordinal for month in months],
    ]


def test_every_extension_type_is_read_as_it_is_stored(write: Write) -> None:
    columns = {
        "uuid": pa.array([b"0123456789abcdef"] * 2, pa.uuid()),
        "bool8": pa.array([True, False]).cast(pa.bool8()),
        "json": pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}', "null"])),
    }
    dataset = discover(str(write("a.parquet", {"x": [1.0, 2.0], **columns})))
    assert set(dict(star(dataset).left_out)) == set(columns)
    assert columns_of(dataset, *columns) == [
        column.storage.to_pylist() for column in columns.values()
    ]


# Times


FAR = [datetime.datetime(9999, 12, 31), datetime.datetime(2020, 6, 1), None]


def test_int96_is_read_in_microseconds(write: Write) -> None:
    times = pa.array(FAR, pa.timestamp("us"))
    path = write("a.parquet", {"t": times}, use_deprecated_int96_timestamps=True)
    dataset = discover(str(path))
    assert dataset.schema.field("t").type == pa.timestamp("us")
    assert columns_of(dataset, "t") == [FAR]
    assert columns_of(dataset, "t", where="t > '2500-01-01'") == [FAR[:1]]


def test_a_time_between_microseconds_is_refused_beside_microseconds(write: Write) -> None:
    write("1.parquet", {"t": pa.array([1], pa.timestamp("us"))})
    path = write("2.parquet", {"t": pa.array([1_001], pa.timestamp("ns"))})
    with pytest.raises(
        DataError, match=r"2\.parquet, column 't': has a value that timestamp\[us\]"
    ):
        columns_of(discover(str(path.parent)), "t")
    assert columns_of(discover(str(path)), "t") == [[pd.Timestamp(1_001)]]


@pytest.mark.parametrize(
    ("a", "b", "common", "exact"),
    [
        (pa.int8(), pa.int64(), pa.int64(), pa.int64()),
        (pa.int64(), pa.float64(), pa.float64(), None),
        (pa.uint64(), pa.int64(), pa.int64(), None),
        (pa.float32(), pa.float64(), pa.float64(), pa.float64()),
        (pa.int32(), pa.decimal128(20, 2), pa.float64(), pa.decimal128(20, 2)),
        (pa.bool_(), pa.int64(), pa.int64(), None),
        (pa.bool_(), pa.float32(), pa.float64(), None),
        (pa.null(), pa.string(), pa.string(), pa.string()),
        (pa.string(), pa.large_string(), pa.large_string(), pa.large_string()),
        (pa.dictionary(pa.int8(), pa.string()), pa.string(), pa.string(), pa.string()),
        (pa.dictionary(pa.int8(), pa.int64()), pa.int8(), pa.int64(), pa.int64()),
        (pa.date32(), pa.date64(), pa.date32(), pa.date32()),
        (pa.date32(), pa.timestamp("us"), None, None),
        (pa.timestamp("us"), pa.timestamp("us", "UTC"), None, None),
        (
            pa.timestamp("ns", "Etc/UTC"),
            pa.timestamp("us", "+00:00"),
            pa.timestamp("us", "UTC"),
            pa.timestamp("us", "UTC"),
        ),
        (
            pa.timestamp("us", "Europe/Berlin"),
            pa.timestamp("us", "UTC"),
            None,
            pa.timestamp("us", "UTC"),
        ),
        (pa.string(), pa.int64(), None, None),
        (pa.binary(), pa.large_binary(), pa.large_binary(), pa.large_binary()),
    ],
    ids=str,
)
def test_two_types_have_one_in_common_in_either_order(
    a: pa.DataType, b: pa.DataType, common: pa.DataType | None, exact: pa.DataType | None
) -> None:
    assert common_type(a, b) == common_type(b, a) == common
    assert exact_type(a, b) == exact_type(b, a) == exact


# Levels


@given(st.integers(-(10**9), 10**9), st.integers(0, 6))
def test_equal_numbers_have_one_text_whatever_their_type(units: int, digits: int) -> None:
    exact = Fraction(units, 10**digits)
    value = Decimal(units).scaleb(-digits)
    columns = [pa.array([value], pa.decimal128(38, 10)), pa.array([value], pa.decimal256(60, 20))]
    if Decimal(repr(float(value))) == value:
        columns.append(pa.array([float(value)]))
    if exact.denominator == 1:
        columns.append(pa.array([int(exact)]))
    if exact in (0, 1):
        columns.append(pa.array([-0.0 if exact == 0 else 1.0], pa.float32()))
    texts = {arrays.levels(pa.chunked_array([column]))[0][0] for column in columns}
    assert len(texts) == 1
    assert Fraction(texts.pop() or "") == exact


def test_zeros_of_both_signs_are_counted_together() -> None:
    texts, index = arrays.levels(pa.chunked_array([[0.0, -0.0, float("nan"), None]]))
    assert texts == ["0", None]
    assert index.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("levels", "type_", "column"),
    [
        (("false", "true"), "boolean", pa.array([0, 1, 2, None])),
        (("false", "true"), "boolean", pa.array([-0.0, 1.0, 2.0, float("nan")])),
        (("false", "true"), "boolean", pa.array([0, 1, 2, None], pa.decimal128(38, 10))),
        (("0", "1"), "integer", pa.array([0, 1, 2, None])),
        (("0", "1"), "integer", pa.array([0, 1, 2, None], pa.decimal128(38, 10))),
    ],
)
def test_levels_are_found_by_value(levels: tuple[str, ...], type_: Any, column: pa.Array) -> None:
    category = Category("c", (*levels, None), True, type_)
    found = arrays.codes(pa.chunked_array([column]), category)
    np.testing.assert_array_equal(found, [0, 1, 3, 2])


def test_true_is_the_level_one_and_text_is_no_number() -> None:
    numbers = Category("c", ("0", "1"), True, "integer")
    texts = Category("c", ("0", "1"), True, "string")
    assert arrays.codes(pa.chunked_array([[True, False]]), numbers).tolist() == [1, 0]
    assert arrays.codes(pa.chunked_array([["true", "1"]]), texts).tolist() == [2, 1]


def test_booleans_beside_numbers_are_numbers(write: Write) -> None:
    write("1.parquet", {"b": [True, False, None]})
    path = write("2.parquet", {"b": [1.0, 0.0, 2.0]})
    dataset = discover(str(path.parent))
    check_files(dataset, ["b"])
    assert star(dataset).numeric == ("b",)
    assert columns_of(dataset, "b") == [[1, 0, None, 1.0, 0.0, 2.0]]


# Columns of folders


def test_folders_give_texts_as_they_are_spelled(write: Write) -> None:
    for month in ("1", "01", "a"):
        path = write(f"month={month}/a.parquet", {"x": [1.0]})
    dataset = discover(str(path.parents[1]))
    assert dataset.schema.field("month").type == pa.string()
    assert columns_of(dataset, "month") == [["01", "1", "a"]]


FOLDERS = {
    "first outside": ("a.parquet", "day=2/b.parquet"),
    "last outside": ("day=2/b.parquet", "z.parquet"),
    "unequal depth": ("shop=a/day=2/b.parquet", "shop=b/c.parquet"),
}


@pytest.mark.parametrize("files", FOLDERS.values(), ids=FOLDERS)
def test_a_file_outside_of_the_folders_lacks_their_column(
    write: Write, files: tuple[str, str]
) -> None:
    for name in files:
        root = str(write(name, {"x": [1.0]})).removesuffix(name)
    dataset = discover(root)
    assert "day" in dataset.constants
    expected = ["2" if "day=2" in name else None for name in files]
    assert columns_of(dataset, "day") == [expected]
    assert columns_of(dataset, "day", where="day = '2'") == [["2"]]
    assert "day imputed (missing in 1 of 2 files" in in_words(
        odd_columns(dataset, {"day": "feature"})
    )
    check_files(dataset, ["x", "day"], nullable=["day"])
    with pytest.raises(DataError, match="lacks the column 'day'"):
        check_files(dataset, ["x", "day"])


@pytest.mark.parametrize("outside", ["a.parquet", "z.parquet"])
@pytest.mark.parametrize("value", ["3", 3])
def test_a_column_beside_that_of_a_folder_is_text_too(
    write: Write, outside: str, value: object
) -> None:
    write("day=2/b.parquet", {"x": [1.0], "day": [7]})  # the folder's name counts
    path = write(outside, {"x": [1.0], "day": [value]})
    dataset = discover(str(path.parent))
    if value == "3":
        check_files(dataset, ["day"])
        assert sorted(columns_of(dataset, "day")[0]) == ["2", "3"]
        assert odd_columns(dataset, {"day": "feature"}) == ()
    else:
        with pytest.raises(DataError, match="type int64; expected text"):
            check_files(dataset, ["day"])
