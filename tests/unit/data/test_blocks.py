import os
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs.data import blocks
from lasso_jobs.data.arrays import numbers
from lasso_jobs.data.blocks import read
from lasso_jobs.data.dataset import Piece
from lasso_jobs.data.discover import discover
from lasso_jobs.data.parquet_file import PART_VALUES
from lasso_jobs.data.where import parse
from lasso_jobs.errors import DataError, LassoJobsError

from ...counted_schema import CountedSchema

Write = Callable[..., Path]


def pieces(path: Path) -> list[Piece]:
    found = discover(str(path))
    return [p for part in found.work_units(found.schema.names) for p in part.pieces]


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


@pytest.mark.parametrize("at_once", [1, 11, PART_VALUES])
@pytest.mark.parametrize("where", [None, "x >= 3 and x < 25", "day == '2'"])
@pytest.mark.parametrize(
    "type_", [pa.list_(pa.float32(), 2), pa.list_(pa.float64()), pa.map_(pa.int8(), pa.int8())]
)
def test_vectors_of_a_large_row_group_are_read_in_parts(
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    type_: pa.DataType,
    where: str | None,
    at_once: int,
) -> None:
    monkeypatch.setattr("lasso_jobs.data.parquet_file.PART_VALUES", at_once)
    vectors: list[Any] = [None if i % 5 == 0 else [i, i + 1] for i in range(30)]
    if pa.types.is_map(type_):
        vectors = [None if v is None else [(v[0], 1)] for v in vectors]
    columns = {"x": range(30), "v": pa.array(vectors, type_)}
    path = write("day=2/a.parquet", columns, row_group_size=20).parents[1]
    (piece,) = pieces(path)
    conditions, wanted = parse(where, "data.where") if where else (), ["v", "day", "none", "x"]
    parts = list(read(piece, wanted, conditions, block_rows=7, absent=["none"]))
    kept = [i for i in range(30) if where is None or "x" not in where or 3 <= i < 25]
    assert [p.table.num_rows + p.n_filtered for p in parts] == [7, 7, 6, 7, 3]
    assert [i for part in parts for i in part.positions.tolist()] == kept
    found = pa.concat_tables(part.table for part in parts)
    assert found["v"].to_pylist() == [vectors[i] for i in kept]
    assert found["x"].to_pylist() == kept
    assert found["day"].to_pylist() == ["2"] * len(kept)
    assert found["none"].null_count == len(kept)


def test_many_columns_are_read_some_at_a_time(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns: dict[str, Any] = {f"x{j}": [j, j + 0.5] for j in range(7)}
    columns |= {"s.a": ["a", "b"], "s": [{"a": 1, "b": 2}, None]}
    path, wanted = write("a.parquet", columns), ["x5", "s", "x0", "s.a", "x6", "x1", "x2"]
    monkeypatch.setattr("lasso_jobs.data.parquet_file.COLUMNS_AT_ONCE", 2)
    found = table(path, wanted)
    assert found.column_names == wanted
    assert found.to_pydict() == {name: columns[name] for name in wanted}


def test_a_damaged_part_of_vectors_is_refused_by_name(write: Write) -> None:
    vectors = pa.array(np.arange(4000.0).reshape(2000, 2).tolist())
    path = write("a.parquet", {"x": range(2000), "v": vectors}, write_page_checksum=True)
    (piece,) = pieces(path)
    place = pq.read_metadata(path).row_group(0).column(1).data_page_offset + 200
    state, content = path.stat(), bytearray(path.read_bytes())
    content[place] ^= 255
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    identity = discover(str(path)).files[0].identity
    with pytest.raises(DataError, match=r"a.parquet, column 'v'") as caught:
        list(read(Piece(identity, piece.row_groups, 0, 2000), ["x", "v"], block_rows=100))
    one_line(caught)


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


def test_names_are_listed_once_a_file_for_its_bytes(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counting the bytes of a row group listed all names for each of its columns."""
    width, opened = 40, blocks.opened
    path = write("a.parquet", {f"x{j}": range(30) for j in range(width)}, row_group_size=10)
    found = pieces(path)

    class Opened:
        def __init__(self, *of: Any) -> None:
            self.file = opened(*of)
            self.schema_arrow = CountedSchema(self.file.schema_arrow)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    monkeypatch.setattr(blocks, "opened", Opened)
    CountedSchema.listed = 0
    assert len([*read(found[0], ["x3", "x1"])]) == 3
    assert CountedSchema.listed == width


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
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    with pytest.raises(DataError, match="has changed since the plan"):
        list(read(piece, ["x"]))


def test_a_file_that_was_removed_since_the_plan_is_named(write: Write) -> None:
    path = write("a.parquet", {"x": [1, 2]})
    (piece,) = pieces(path)
    path.unlink()
    with pytest.raises(DataError) as caught:
        list(read(piece, ["x"]))
    assert one_line(caught).startswith(f"{path}: has disappeared")


def test_a_relative_path_that_a_worker_does_not_find_is_explained(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("a.parquet", {"x": [1, 2]})
    monkeypatch.chdir(path.parent)
    (piece,) = pieces(Path("a.parquet"))
    (tmp_path / "of the workers").mkdir()
    monkeypatch.chdir(tmp_path / "of the workers")
    with pytest.raises(DataError) as caught:
        list(read(piece, ["x"]))
    line = one_line(caught)
    assert line.startswith("a.parquet: has disappeared")
    assert "if the workers run in another folder than the command (this process" in line
    assert f"runs in {Path.cwd()})" in line
    assert "name the data by an absolute path, or start them in the command's folder" in line


def test_a_damaged_page_is_refused_by_name(write: Write) -> None:
    values = np.random.default_rng(0).normal(size=2000)
    path = write("a.parquet", {"x": values}, compression="zstd", use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[40:2000] = bytes(1960)
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        table(path, ["x"])
    assert one_line(caught).startswith(f"{path}, column 'x': cannot be read")


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
    for found in read(piece, ["x", "s", "n"], conditions, later=["n", "x"], block_rows=way):
        assert found.table.column_names == ["s"]
        expected = LATER.take(found.positions)
        assert found.table["s"].to_pylist() == expected["s"].to_pylist()
        for name in ("n", "x", "n"):
            np.testing.assert_array_equal(found.later(name), numbers(expected[name]))
        n += len(found.positions)
    assert n == table(path, ["x"], where).num_rows


def test_all_columns_can_be_had_later(write: Write, way: int | None) -> None:
    (piece,) = pieces(write("a.parquet", LATER, row_group_size=20))
    found = list(read(piece, ["n"], later=["n"], block_rows=way))
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
    (found,) = read(piece, ["x", "y"], later=["x", "y"])
    np.testing.assert_array_equal(found.later("y"), values)
    with pytest.raises(DataError) as caught:
        found.later("x")
    assert one_line(caught).startswith(f"{path}, column 'x': cannot be read")


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


def test_rows_without_values_of_a_text_can_be_filtered(write: Write) -> None:
    view = write("a.parquet", {"x": [1], "s": pa.array(["a"], pa.string_view())})
    write("b.parquet", {"x": [2, 3], "s": pa.nulls(2)})
    assert table(view.parent, ["x", "s"], "x == 3").to_pylist() == [{"x": 3, "s": None}]


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
