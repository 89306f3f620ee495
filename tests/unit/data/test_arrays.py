import decimal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lasso_jobs.core.rows.columns import Category, Columns, DateFeature
from lasso_jobs.data.arrays import LARGEST, codes, levels, matrix, numbers, out_of_range
from lasso_jobs.data.columns.feature_block import block, with_parts
from lasso_jobs.errors import DataError

Write = Callable[..., Path]


# Numbers

TYPES = [
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
    *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64()),
    *(pa.decimal32(5, 2), pa.decimal64(9, 2), pa.decimal128(20, 2), pa.decimal256(50, 2)),
    *(pa.dictionary(pa.int8(), pa.int32()), pa.dictionary(pa.int32(), pa.float64())),
]


def of_type(values: list[int | None], type_: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(type_):
        return pa.array(values, pa.int64()).cast(type_.value_type).dictionary_encode()
    if pa.types.is_decimal(type_):
        return pa.array([None if v is None else decimal.Decimal(v) for v in values], type_)
    return pa.array(values, pa.int64()).cast(type_)


@pytest.mark.parametrize("type_", TYPES, ids=str)
@pytest.mark.parametrize("values", [[0, 1, 2, 100, 7], [0, None, 2, 100, None]], ids=["", "nulls"])
def test_every_numeric_type_becomes_floats_also_sliced_and_chunked(
    type_: pa.DataType, values: list[int | None]
) -> None:
    array = of_type(values, type_)
    expected = pd.array(values, "Float64").to_numpy(float, na_value=np.nan)
    np.testing.assert_array_equal(numbers(pa.chunked_array([array])), expected)
    np.testing.assert_array_equal(numbers(pa.chunked_array([array.slice(1, 3)])), expected[1:4])
    chunked = pa.chunked_array([array.slice(2), array.slice(0, 0), array.slice(1, 2)])
    np.testing.assert_array_equal(numbers(chunked), np.append(expected[2:], expected[1:3]))
    np.testing.assert_array_equal(numbers(chunked.slice(1, 3)), [*expected[3:], expected[1]])


@pytest.mark.parametrize("type_", [*TYPES, pa.bool_()], ids=str)
@pytest.mark.parametrize("beside", [None, pa.float32(), pa.int64()], ids=str)
@pytest.mark.parametrize("n", [0, 1, 5])
def test_columns_together_have_the_values_of_each(
    type_: pa.DataType, beside: pa.DataType | None, n: int
) -> None:
    one, other = [1, 0, 1, None, 1], [0, 1, None, 1, 1]
    arrays = {"a": of_type(one, type_), "b": of_type(other, type_)}
    if beside is not None:
        arrays["c"] = pa.array([2**24 + 1, 3, None, 4, 5], pa.int64()).cast(beside, safe=False)
    table = pa.table(arrays).slice(0, n)
    expected = np.stack([numbers(column) for column in table.columns])
    np.testing.assert_array_equal(matrix(table), expected)
    twice = pa.concat_tables([table, table])
    np.testing.assert_array_equal(matrix(twice), np.tile(expected, 2))


@pytest.mark.parametrize("type_", [*TYPES, pa.null()], ids=str)
def test_no_values_are_no_floats(type_: pa.DataType) -> None:
    assert numbers(pa.chunked_array([], type_)).shape == (0,)
    assert numbers(pa.chunked_array([], type_)).dtype == np.float64


def test_a_column_of_nulls_is_all_nan() -> None:
    assert np.isnan(numbers(pa.chunked_array([pa.nulls(3), pa.nulls(2)]))).tolist() == [True] * 5
    assert np.isnan(numbers(pa.chunked_array([pa.nulls(3, pa.float64())]))).all()


def test_null_and_nan_are_both_nan_and_infinity_stays() -> None:
    found = numbers(pa.chunked_array([pa.array([1.0, None, float("nan"), float("-inf")])]))
    np.testing.assert_array_equal(found, [1.0, np.nan, np.nan, -np.inf])


def test_extreme_integers_are_rounded_as_numpy_does() -> None:
    values = np.array([0, 2**53 + 1, 2**63 - 1, 2**64 - 1], np.uint64)
    found = numbers(pa.chunked_array([pa.array(values)]))
    np.testing.assert_array_equal(found, values.astype(float))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(st.lists(st.none() | st.floats(width=64), max_size=20), max_size=4),
    st.integers(0, 10),
    st.integers(0, 40),
)
def test_a_slice_of_chunks_has_the_values_that_pandas_has(
    chunks: list[list[float | None]], offset: int, length: int
) -> None:
    column = pa.chunked_array([pa.array(c, pa.float64()) for c in chunks], pa.float64())
    part = column.slice(offset, length)
    np.testing.assert_array_equal(numbers(part), part.to_pandas().to_numpy(float))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([1.0, np.nan], None),
        ([LARGEST, -LARGEST, np.nan], None),
        ([LARGEST] * 3, None),
        ([1.0001 * LARGEST, 1.0], [True, False]),
        ([np.inf, 1.0], [True, False]),
        ([-np.inf], [True]),
        ([np.inf, -np.inf], [True, True]),
        ([np.nan, np.inf], [False, True]),
        ([1e308, -1e308, 2.0], [True, True, False]),
        ([1e308, 1.0, np.nan], [True, False, False]),
    ],
)
def test_infinite_and_too_large_numbers_are_found_among_nulls(
    values: list[float], expected: list[bool] | None
) -> None:
    found = out_of_range(np.array(values))
    assert (None if found is None else found.tolist()) == expected


# Levels


def texts(column: pa.ChunkedArray) -> list[str | None]:
    distinct, index = levels(column)
    return [distinct[i] for i in index]


@pytest.mark.parametrize(
    "type_",
    [
        *(pa.string(), pa.large_string(), pa.string_view()),
        *(pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int64(), pa.large_string())),
    ],
    ids=str,
)
def test_every_kind_of_text_gives_the_same_levels(type_: pa.DataType) -> None:
    values = ["b", None, "", "größe", "b", None]
    array = pa.array(values).cast(type_)
    assert texts(pa.chunked_array([array])) == values
    assert texts(pa.chunked_array([array.slice(3), array.slice(1, 2)])) == values[3:] + values[1:3]
    assert texts(pa.chunked_array([array]).slice(2, 2)) == values[2:4]


def test_booleans_and_integers_are_levels_as_text() -> None:
    assert texts(pa.chunked_array([pa.array([True, None, False])])) == ["true", None, "false"]
    assert texts(pa.chunked_array([pa.array([7, None, -1], pa.int8())])) == ["7", None, "-1"]
    assert texts(pa.chunked_array([pa.array([2**64 - 1], pa.uint64())])) == [str(2**64 - 1)]
    assert texts(pa.chunked_array([pa.array([5, 5, None]).dictionary_encode()])) == ["5", "5", None]


def test_chunks_with_dictionaries_of_their_own_share_levels() -> None:
    chunks = [pa.array(v).dictionary_encode() for v in (["a", "b"], ["b", "c", None], ["a"])]
    assert texts(pa.chunked_array(chunks)) == ["a", "b", "b", "c", None, "a"]


def test_a_column_of_nulls_has_the_null_level_only() -> None:
    assert texts(pa.chunked_array([pa.nulls(2)])) == [None, None]
    assert texts(pa.chunked_array([pa.nulls(2, pa.string())])) == [None, None]


@pytest.mark.parametrize(
    "type_", [pa.string(), pa.bool_(), pa.int64(), pa.null(), pa.dictionary(pa.int8(), pa.string())]
)
def test_no_rows_have_no_levels(type_: pa.DataType) -> None:
    assert texts(pa.chunked_array([], type_)) == []


@pytest.mark.parametrize("other", [True, False])
def test_unseen_levels_go_to_other_or_to_none(other: bool) -> None:
    category = Category("s", ("a", "b"), other, "string")
    column = pa.chunked_array([pa.array(["b", "zzz", "a", None, "a"])])
    rest = 2 if other else -1
    found = codes(column, category)
    assert found.tolist() == [1, rest, 0, rest, 0]
    assert found.dtype == np.int32


def test_nulls_have_their_level_if_the_category_has_it() -> None:
    category = Category("s", ("a", None), True, "string")
    assert codes(pa.chunked_array([pa.array([None, "a", "x"])]), category).tolist() == [1, 0, 2]
    assert codes(pa.chunked_array([pa.nulls(2)]), category).tolist() == [1, 1]


@pytest.mark.parametrize("value", [7, -3, 10**6, 10**12])
def test_integers_that_pandas_holds_as_floats_keep_their_levels(value: int) -> None:
    column = pa.chunked_array([pa.array(pd.Series([value, None]), from_pandas=True)])
    category = Category("k", (str(value), None), False, "integer")
    assert codes(column, category).tolist() == [0, 1]


def test_no_rows_have_no_codes() -> None:
    category = Category("s", ("a",), True, "string")
    assert codes(pa.chunked_array([], pa.string()), category).shape == (0,)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(st.none() | st.sampled_from(["a", "b", "c", "", "ä"]), max_size=30),
    st.booleans(),
    st.booleans(),
)
def test_codes_are_those_of_a_pandas_categorical(
    values: list[str | None], encoded: bool, other: bool
) -> None:
    known = ("c", "", "a")
    array = pa.array(values, pa.string())
    column = pa.chunked_array([array.dictionary_encode() if encoded else array])
    expected = pd.Categorical([v if v in known else None for v in values], list(known)).codes
    found = codes(column, Category("s", known, other, "string"))
    np.testing.assert_array_equal(np.where(found == 3, -1, found), expected)
    assert (3 in found) == (other and -1 in expected)


# Dates

ZONES = [None, "UTC", "America/New_York", "+05:30"]
TIMES = pd.Series(pd.date_range("1969-12-28 21:30", periods=900, freq="11h17min"))
PARTS = ("year", "month", "weekday", "hour", "day_of_year")


def parts_of(array: pa.Array, names: tuple[str, ...] = PARTS) -> pa.Table:
    dates = tuple(DateFeature("t", part) for part in names)
    return with_parts(pa.table({"t": array}), dates)


def by_pandas(times: pd.Series, part: str) -> pd.Series:
    return getattr(times.dt, "day_of_week" if part == "weekday" else part)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_parts_of_times_are_those_of_pandas_in_the_stored_zone(zone: str | None, unit: str) -> None:
    times = TIMES.where(TIMES.index % 7 > 0)
    times = times.dt.tz_localize("UTC").dt.tz_convert(zone) if zone else times
    found = parts_of(pa.array(times, pa.timestamp(unit, zone), from_pandas=True))
    for part in PARTS:
        np.testing.assert_array_equal(numbers(found[f"t.{part}"]), by_pandas(times, part))


@pytest.mark.parametrize("type_", [pa.date32(), pa.date64()], ids=str)
def test_parts_of_dates_are_those_of_pandas(type_: pa.DataType) -> None:
    found = parts_of(pa.array(TIMES.dt.date, type_), ("year", "month", "weekday"))
    for part in ("year", "month", "weekday"):
        np.testing.assert_array_equal(numbers(found[f"t.{part}"]), by_pandas(TIMES, part))


def test_parts_of_no_date_are_null() -> None:
    found = parts_of(pa.nulls(2))
    assert {found[f"t.{part}"].null_count for part in PARTS} == {2}


def test_a_zone_that_is_not_known_is_refused() -> None:
    with pytest.raises(DataError, match=r"column 't': has type timestamp.*whose hour cannot be"):
        parts_of(pa.array([0], pa.timestamp("s", "Mars/Olympus")), ("hour",))


def test_a_block_has_the_parts_of_dates_among_its_features() -> None:
    dates = (DateFeature("t", "year"), DateFeature("t", "month"))
    columns = Columns(("x", "t.year"), (Category("t.month", ("1", "12"), True, "integer"),), dates)
    assert columns.stored == ("x", "t")
    times = pa.array(pd.to_datetime(["2001-12-31", "2002-01-01", "2002-07-01"]))
    found = block(pa.table({"x": [1, 2, 3], "t": times}), columns)
    np.testing.assert_array_equal(found.numeric, [[1, 2, 3], [2001, 2002, 2002]])
    np.testing.assert_array_equal(found.codes, [[1, 0, 2]])


def test_a_block_has_the_features_in_the_models_order() -> None:
    columns = Columns(("y", "x"), (Category("s", ("a",), True, "string"),))
    found = block(pa.table({"x": [1, None], "s": ["a", "b"], "y": [3, 4]}), columns)
    assert found.n_rows == 2
    np.testing.assert_array_equal(found.numeric, [[3, 4], [1, np.nan]])
    np.testing.assert_array_equal(found.codes, [[0, 1]])
