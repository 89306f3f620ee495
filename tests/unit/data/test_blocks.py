import decimal
import os
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lasso_jobs.core.columns import Category, Columns, DateFeature
from lasso_jobs.data import blocks
from lasso_jobs.data.blocks import block, codes, has_infinity, levels, numbers, read, with_parts
from lasso_jobs.data.dataset import Piece, discover
from lasso_jobs.data.where import parse
from lasso_jobs.errors import DataError, LassoJobsError

Write = Callable[..., Path]


def pieces(path: Path) -> list[Piece]:
    found = discover(str(path))
    return [p for part in found.partitions(found.schema.names) for p in part.pieces]


def rows(path: Path, columns: list[str], where: str | None = None) -> Iterator[blocks.Rows]:
    conditions = parse(where, "data.where") if where else ()
    return (r for piece in pieces(path) for r in read(piece, columns, conditions))


def table(path: Path, columns: list[str], where: str | None = None) -> pa.Table:
    return pa.concat_tables([r.table for r in rows(path, columns, where)])


def positions(path: Path, where: str | None = None) -> list[int]:
    return [i for r in rows(path, ["x"], where) for i in r.positions.tolist()]


def one_line(error: pytest.ExceptionInfo[LassoJobsError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# Reading


def test_the_columns_come_in_the_order_asked_for(write: Write) -> None:
    path = write("a.parquet", {"x": [1, 2], "y": [3, 4], "z": [5, 6]})
    assert table(path, ["z", "x"]).to_pydict() == {"z": [5, 6], "x": [1, 2]}


def test_all_row_groups_are_read_with_their_positions(write: Write) -> None:
    path = write("a.parquet", {"x": range(100, 110)}, row_group_size=3)
    assert table(path, ["x"]).to_pydict() == {"x": list(range(100, 110))}
    assert positions(path) == list(range(10))


def test_a_piece_of_later_row_groups_has_their_positions_in_the_file(write: Write) -> None:
    path = write("a.parquet", {"x": range(10)}, row_group_size=3)
    identity = discover(str(path)).files[0].identity
    (second, third) = read(Piece(identity, (1, 2), 3, 6), ["x"])
    assert second.table["x"].to_pylist() == second.positions.tolist() == [3, 4, 5]
    assert third.table["x"].to_pylist() == third.positions.tolist() == [6, 7, 8]


@pytest.mark.parametrize(
    "where", ["x >= 40", "s == 'b'", "x >= 10 and s != 'a'", "x < 0", "s is None", "x >= 0"]
)
def test_the_rows_that_pass_keep_their_positions(write: Write, where: str) -> None:
    frame = pd.DataFrame({"x": range(60), "s": [["a", "b", "c", None][i % 4] for i in range(60)]})
    path = write("a.parquet", pa.Table.from_pandas(frame), row_group_size=7)
    query = where.replace("s is None", "s.isna()").replace("s !=", "s.notna() and s !=")
    expected = frame.query(query)
    assert positions(path, where) == expected.index.tolist()
    assert table(path, ["x"], where)["x"].to_pylist() == expected["x"].tolist()
    assert sum(r.n_filtered for r in rows(path, ["x"], where)) == 60 - len(expected)


def test_a_filter_may_use_columns_that_are_not_wanted(write: Write) -> None:
    path = write("a.parquet", {"x": [1, 2, 3], "y": [1, 1, 0]})
    found = table(path, ["x"], "y == 1")
    assert found.to_pydict() == {"x": [1, 2]}


def test_a_large_row_group_comes_in_blocks(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 4)
    path = write("a.parquet", {"x": range(10), "y": [0, 1] * 5})
    found = list(rows(path, ["x"], "y == 1"))
    assert [r.positions.tolist() for r in found] == [[1, 3], [5, 7], [9]]
    assert [r.n_filtered for r in found] == [2, 2, 1]


def test_filtered_rows_of_a_large_block_stay_in_order(write: Write) -> None:
    n = blocks.BLOCK_ROWS + 1000
    path = write("a.parquet", {"x": np.arange(n)})
    for _ in range(5):
        assert positions(path, "x != 7") == [*range(7), *range(8, n)]


def test_row_groups_without_rows_are_passed_over(write: Write, tmp_path: Path) -> None:
    path = write("a.parquet", {"x": [0]})
    with pq.ParquetWriter(path, pa.schema([("x", pa.int64())])) as writer:
        for values in ([1], [], [2, 3]):
            writer.write_table(pa.table({"x": pa.array(values, pa.int64())}))
    assert table(path, ["x"]).to_pydict() == {"x": [1, 2, 3]}
    assert positions(path) == [0, 1, 2]


def test_folder_values_are_columns_like_others(write: Write) -> None:
    write("year=2012/kind=a%20b/a.parquet", {"x": [1, 2]})
    write("year=__HIVE_DEFAULT_PARTITION__/kind=c/a.parquet", {"x": [3]})
    folder = write("year=2013/kind=c/a.parquet", {"x": [4]}).parents[2]
    assert table(folder, ["kind", "x", "year"]).to_pylist() == [
        {"kind": "a b", "x": 1, "year": "2012"},
        {"kind": "a b", "x": 2, "year": "2012"},
        {"kind": "c", "x": 4, "year": "2013"},
        {"kind": "c", "x": 3, "year": None},
    ]


def test_a_folder_value_wins_over_a_column_of_its_name(write: Write) -> None:
    folder = write("year=2012/a.parquet", {"x": [1, 2], "year": [1999, 1998]}).parents[1]
    assert table(folder, ["year"], "year == '2012'").to_pydict() == {"year": ["2012", "2012"]}


def test_folder_values_alone_can_be_read(write: Write) -> None:
    folder = write("year=2012/a.parquet", {"x": range(5)}, row_group_size=3).parents[1]
    assert table(folder, ["year"]).to_pydict() == {"year": ["2012"] * 5}


@pytest.mark.parametrize("where", [None, "x >= 2"])
def test_reading_no_column_still_counts_the_rows(write: Write, where: str | None) -> None:
    path = write("a.parquet", {"x": range(10)}, row_group_size=4)
    found = list(rows(path, [], where))
    expected = list(range(10)) if where is None else list(range(2, 10))
    assert [i for r in found for i in r.positions.tolist()] == expected
    assert sum(r.table.num_rows for r in found) == len(expected)


ODD_NAMES = [
    "two words",
    "a.b",
    "quo'te\"s",
    "<script>alert(1)</script>",
    "größe",
    "new\nline",
    "a[1]",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_oddly_named_column_is_read(write: Write, name: str) -> None:
    path = write("a.parquet", {name: [1, 2], "x": [3, 4], "a": [5, 6]})
    assert table(path, [name, "a"], "x == 4").to_pydict() == {name: [2], "a": [6]}


@pytest.mark.parametrize("name", [*ODD_NAMES, "x"])
def test_bytes_read_are_those_of_the_footer(write: Write, name: str) -> None:
    values = np.random.default_rng(0).normal(size=(2, 200))
    path = write("a.parquet", {name: values[0], "a": values[1]}, row_group_size=60)
    footer = pq.read_metadata(path)
    expected = [footer.row_group(i).column(0).total_compressed_size for i in range(4)]
    assert [r.n_bytes for r in rows(path, [name])] == expected


def test_bytes_are_counted_once_for_a_row_group_in_blocks(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 4)
    path = write("a.parquet", {"x": range(10), "y": range(10)})
    size = pq.read_metadata(path).row_group(0).column(0).total_compressed_size
    assert [r.n_bytes for r in rows(path, ["x"])] == [size, 0, 0]


def test_a_file_that_was_rewritten_since_the_plan_is_refused(write: Write) -> None:
    path = write("a.parquet", {"x": [1, 2]})
    (piece,) = pieces(path)
    write("a.parquet", {"x": [1, 2, 3]})
    with pytest.raises(DataError) as caught:
        list(read(piece, ["x"]))
    assert "has changed since the plan" in one_line(caught)


def test_a_file_of_the_same_size_but_newer_is_refused(write: Write) -> None:
    path = write("a.parquet", {"x": [1, 2]})
    (piece,) = pieces(path)
    os.utime(path, ns=(0, int(piece.file.stamp) + 1))
    with pytest.raises(DataError, match="has changed since the plan"):
        list(read(piece, ["x"]))


def test_a_file_that_was_removed_since_the_plan_is_named(write: Write) -> None:
    path = write("a.parquet", {"x": [1, 2]})
    (piece,) = pieces(path)
    path.unlink()
    with pytest.raises(DataError) as caught:
        list(read(piece, ["x"]))
    assert one_line(caught).startswith(f"{path}: has disappeared")


def test_a_damaged_page_is_refused_by_name(write: Write) -> None:
    values = np.random.default_rng(0).normal(size=2000)
    path = write("a.parquet", {"x": values}, compression="zstd", use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[40:2000] = bytes(1960)
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        table(path, ["x"])
    assert one_line(caught).startswith(f"{path}: cannot be read")


# Columns to be had later


@pytest.fixture(params=["by column", "at once", "block by block"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int | None:
    """Ways to read row groups of 20 rows; the most rows of a block."""
    monkeypatch.setattr(blocks, "ROWS_BY_COLUMN", 1 if request.param == "by column" else 21)
    return 7 if request.param == "block by block" else None


LATER = pa.table(
    {
        "x": pa.array([None if i % 9 == 0 else i / 2 for i in range(50)], pa.float32()),
        "n": pa.array([None if i % 11 == 0 else i for i in range(50)], pa.int64()),
        "s": ["abc"[i % 3] for i in range(50)],
    }
)


@pytest.mark.parametrize("where", [None, "n >= 13", "s != 'b'", "x < 20 and s == 'a'", "n < 0"])
def test_what_is_had_later_is_what_would_have_been_in_the_table(
    write: Write, way: int | None, where: str | None
) -> None:
    path = write("a.parquet", LATER, row_group_size=20)
    conditions = parse(where, "data.where") if where else ()
    (piece,) = pieces(path)
    n = 0
    for found in read(piece, ["x", "s", "n"], conditions, ["n", "x"], way):
        assert found.table.column_names == ["s"]
        expected = LATER.take(found.positions)
        assert found.table["s"].to_pylist() == expected["s"].to_pylist()
        for name in ("n", "x", "n"):
            np.testing.assert_array_equal(found.later(name), numbers(expected[name]))
        n += len(found.positions)
    assert n == table(path, ["x"], where).num_rows


def test_all_columns_can_be_had_later(write: Write, way: int | None) -> None:
    (piece,) = pieces(write("a.parquet", LATER, row_group_size=20))
    found = list(read(piece, ["n"], (), ["n"], way))
    assert sum(r.n_bytes for r in found) > 0
    np.testing.assert_array_equal(
        np.concatenate([r.later("n") for r in found]), numbers(LATER["n"])
    )


def test_a_column_that_is_damaged_is_refused_when_it_is_had(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "ROWS_BY_COLUMN", 1)
    values = np.random.default_rng(0).normal(size=2000)
    columns = {"x": values, "y": values}
    path = write("a.parquet", columns, compression="zstd", use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[40:2000] = bytes(1960)
    path.write_bytes(content)
    (piece,) = pieces(path)
    (found,) = read(piece, ["x", "y"], (), ["x", "y"])
    np.testing.assert_array_equal(found.later("y"), values)
    with pytest.raises(DataError) as caught:
        found.later("x")
    assert one_line(caught).startswith(f"{path}: cannot be read")


@pytest.mark.parametrize("where", ["x == 'a'", "s == 1", "s", "x", "not x", "s < x", "x in ('a',)"])
def test_a_filter_that_does_not_fit_the_types_is_no_fault_of_the_file(
    write: Write, where: str
) -> None:
    path = write("a.parquet", {"x": [1, 2], "s": ["a", "b"]})
    with pytest.raises(LassoJobsError) as caught:
        table(path, ["x"], where)
    assert "data.where" in one_line(caught)
    assert "Replace the file" not in one_line(caught)


@pytest.mark.parametrize(
    "type_",
    [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())],
)
@pytest.mark.parametrize("where", ["s == 'c'", "s in ('c', 'd')", "x == 3"])
def test_rows_with_any_kind_of_text_can_be_filtered(
    write: Write, type_: pa.DataType, where: str
) -> None:
    path = write("a.parquet", {"x": [1, 2, 3], "s": pa.array(["a", None, "c"]).cast(type_)})
    assert table(path, ["x", "s"], where).to_pylist() == [{"x": 3, "s": "c"}]


@pytest.mark.parametrize("type_", [pa.date32(), pa.timestamp("us"), pa.timestamp("ns")], ids=str)
def test_a_date_column_can_be_compared_with_a_date_in_quotes(
    write: Write, type_: pa.DataType
) -> None:
    days = pa.array([date(2013, 9, 30), None, date(2013, 10, 2)]).cast(type_)
    path = write("a.parquet", {"x": [1, 2, 3], "day": days})
    assert table(path, ["x"], "day < '2013-10-01'").to_pydict() == {"x": [1]}


@pytest.mark.parametrize("type_", [pa.decimal128(5, 2), pa.decimal128(3, 1)], ids=str)
@pytest.mark.parametrize("where", ["d > 2", "d >= 2.5"])
def test_decimals_can_be_compared_with_numbers(
    write: Write, type_: pa.DataType, where: str
) -> None:
    values = pa.array([1.5, None, 2.5]).cast(type_)
    path = write("a.parquet", {"x": [1, 2, 3], "d": values})
    assert table(path, ["x"], where).to_pydict() == {"x": [3]}


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
        ([], False),
        ([1.0, np.nan], False),
        ([np.inf, 1.0], True),
        ([-np.inf], True),
        ([np.inf, -np.inf], True),
        ([np.nan, np.inf], True),
        ([1e308, 1e308], False),
        ([1e308, 1e308, np.nan], False),
    ],
)
def test_an_infinity_is_found_among_nulls_and_large_numbers(
    values: list[float], expected: bool
) -> None:
    assert has_infinity(np.array(values)) is expected


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
    found = parts_of(pa.nulls(2), ("year", "month"))
    assert found["t.year"].null_count == found["t.month"].null_count == 2


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
