import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lasso_jobs.data import dataset
from lasso_jobs.data.blocks import read
from lasso_jobs.data.dataset import Dataset, FileIdentity, SourceFile
from lasso_jobs.data.discover import discover
from lasso_jobs.data.where import parse
from lasso_jobs.errors import DataError, LassoJobsError

Write = Callable[..., Path]


def names(found: Dataset) -> list[str]:
    return [file.identity.name for file in found.files]


def ids(found: Dataset, where: str | None = None) -> list[int]:
    conditions = parse(where, "data.where") if where else ()
    pieces = [piece for part in found.work_units(["id"]) for piece in part.pieces]
    return [i for p in pieces for r in read(p, ["id"], conditions) for i in r.table[0].to_pylist()]


def one_line(error: pytest.ExceptionInfo[LassoJobsError]) -> str:
    line = str(error.value)
    assert "\n" not in line
    assert line.endswith(".")
    return line


def test_a_single_file_is_a_dataset(write: Write) -> None:
    path = write("a.parquet", {"id": [1, 2]})
    found = discover(str(path))
    assert (names(found), found.n_rows) == (["a.parquet"], 2)


def test_a_folder_gives_its_files_by_name_whatever_the_order_of_writing(write: Write) -> None:
    for name in ("b.parquet", "c/a.parquet", "a.parquet"):
        write(name, {"id": [1]})
    assert names(discover(str(write("d.parquet", {"id": [1]}).parent))) == [
        "a.parquet",
        "b.parquet",
        "c/a.parquet",
        "d.parquet",
    ]


def test_a_file_needs_no_suffix(write: Write) -> None:
    path = write("part-00000", {"id": [1]})
    assert names(discover(str(path.parent))) == ["part-00000"]


def test_hidden_files_and_folders_are_skipped(write: Write, tmp_path: Path) -> None:
    write("a.parquet", {"id": [1]})
    for hidden in ("_SUCCESS", ".a.parquet.crc", "_temporary/0/a.parquet", ".trash/b.parquet"):
        path = tmp_path / "data" / hidden
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("not Parquet")
    assert names(discover(str(tmp_path / "data"))) == ["a.parquet"]


def test_a_dataset_inside_a_hidden_folder_is_found(write: Write) -> None:
    path = write(".cache/_x/a.parquet", {"id": [1]})
    assert names(discover(str(path.parent))) == ["a.parquet"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.parquet", ["a1.parquet", "a2.parquet"]),
        ("a?.parquet", ["a1.parquet", "a2.parquet"]),
        ("a[1].parquet", ["a1.parquet"]),
        ("**/*.parquet", ["a1.parquet", "a2.parquet", "deep/er/b.parquet"]),
        ("*/*/*.parquet", ["deep/er/b.parquet"]),
    ],
)
def test_a_glob_gives_the_files_that_match(
    write: Write, tmp_path: Path, pattern: str, expected: list[str]
) -> None:
    for name in ("a1.parquet", "a2.parquet", "deep/er/b.parquet"):
        write(name, {"id": [1]})
    assert names(discover(f"{tmp_path}/data/{pattern}")) == expected


def test_a_glob_skips_hidden_files_as_a_folder_does(write: Write, tmp_path: Path) -> None:
    write("a.parquet", {"id": [1]})
    (tmp_path / "data" / "_SUCCESS").touch()
    assert names(discover(f"{tmp_path}/data/*")) == ["a.parquet"]


def test_a_folder_whose_name_has_brackets_is_not_taken_for_a_glob(write: Write) -> None:
    path = write("run[1]/a.parquet", {"id": [1]})
    assert names(discover(str(path.parent))) == ["a.parquet"]


def test_file_names_do_not_depend_on_where_the_folder_is(write: Write, tmp_path: Path) -> None:
    write("day=1/a.parquet", {"id": [1]})
    shutil.copytree(tmp_path / "data", tmp_path / "elsewhere" / "copy")
    assert names(discover(str(tmp_path / "data"))) == names(
        discover(str(tmp_path / "elsewhere" / "copy"))
    )


def test_a_relative_path_gives_the_same_names(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write("day=1/a.parquet", {"id": [1]}).parents[1]
    monkeypatch.chdir(folder.parent)
    assert names(discover("data")) == names(discover(str(folder))) == names(discover("data/*/*"))


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        discover(str(tmp_path / "nowhere"))
    assert "nowhere: does not exist" in one_line(caught)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        discover(str(tmp_path))
    assert "holds no files; expected at least one Parquet file" in one_line(caught)


def test_a_folder_of_hidden_files_only_is_refused(tmp_path: Path) -> None:
    (tmp_path / "_SUCCESS").touch()
    with pytest.raises(DataError, match="holds no files"):
        discover(str(tmp_path))


def test_a_glob_without_matches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        discover(f"{tmp_path}/*.parquet")
    assert "no file matches" in one_line(caught)


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def damaged_footer(content: bytes) -> bytes:
    return content[:-60] + b"\xff" * 50 + content[-10:]


@pytest.mark.parametrize(
    "damage",
    [truncated, damaged_footer, lambda _: b"", lambda _: b"PAR1", lambda _: b"id,x\n1,2\n" * 9],
    ids=["truncated", "damaged footer", "empty", "magic only", "CSV"],
)
def test_a_corrupt_file_is_refused_by_name(write: Write, damage: Callable[[bytes], bytes]) -> None:
    write("a.parquet", {"id": range(100)})
    bad = write("b.parquet", {"id": range(100)})
    bad.write_bytes(damage(bad.read_bytes()))
    with pytest.raises(DataError) as caught:
        discover(str(bad.parent))
    assert one_line(caught).startswith(f"{bad}: not readable as Parquet")


def test_a_file_that_may_not_be_read_is_refused_by_name(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("a.parquet", {"id": [1]})

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pq.ParquetFile, "__init__", denied)
    with pytest.raises(DataError, match=r"a\.parquet: not readable"):
        discover(str(path))


def texts(file: SourceFile) -> list[tuple[str, str | None]]:
    return [(name, value.as_py()) for name, value in file.identity.constants]


def test_folder_names_become_text_columns_after_the_files_own(write: Write) -> None:
    write("year=2013/month=7/a.parquet", {"id": [1]})
    found = discover(str(write("year=2013/month=8/a.parquet", {"id": [2]}).parents[2]))
    assert found.constants == ("year", "month")
    assert found.schema == pa.schema(
        [("id", pa.int64()), ("year", pa.string()), ("month", pa.string())]
    )
    assert texts(found.files[1]) == [("year", "2013"), ("month", "8")]


def test_folder_names_are_unquoted_and_the_default_partition_is_null(
    write: Write, tmp_path: Path
) -> None:
    write("city=New%20York%2FNY/a.parquet", {"id": [1]})
    write("city=__HIVE_DEFAULT_PARTITION__/a.parquet", {"id": [2]})
    write("city=a=b/a.parquet", {"id": [3]})
    values = {texts(file)[0][1] for file in discover(str(tmp_path / "data")).files}
    assert values == {"New York/NY", None, "a=b"}


def test_a_glob_above_the_folders_keeps_their_values(write: Write, tmp_path: Path) -> None:
    write("day=1/a.parquet", {"id": [1]})
    found = discover(f"{tmp_path}/data/day=*/*.parquet")
    assert texts(found.files[0]) == [("day", "1")]


@pytest.fixture
def by_day(write: Write, tmp_path: Path) -> str:
    number = 0
    for year in ("2012", "2013", "__HIVE_DEFAULT_PARTITION__"):
        for kind in ("a b", "it's"):
            table = {"id": [number, number + 1], "x": [number % 4, None]}
            write(f"year={year}/kind={kind.replace(' ', '%20')}/p.parquet", table)
            number += 2
    return str(tmp_path / "data")


@pytest.mark.parametrize(
    ("where", "n_files"),
    [
        ("year == '2013'", 2),
        ("year != '2013'", 2),
        ("year >= '2012' and kind == 'a b'", 2),
        ("year is None", 2),
        ("year is not None", 4),
        ("not year == '2013'", 2),
        ("year in ('2012', '1999')", 2),
        ("year not in ('2012', '1999')", 2),
        ("year == '2012' or kind == 'it''s'", 4),
        ("year == '2012' or x == 0", 6),
        ("year == '2012' and x == 0", 2),
        ("x >= 0", 6),
        ("(year > '2012' and x >= 0) and kind == 'a b'", 1),
    ],
)
def test_pruning_folders_keeps_the_rows_that_filtering_keeps(
    by_day: str, where: str, n_files: int
) -> None:
    pruned = discover(by_day, parse(where, "data.where"))
    sql = where.replace("==", "=").replace("None", "NULL")
    with duckdb.connect() as connection:
        source = f"read_parquet('{by_day}/*/*/*', hive_partitioning=1, hive_types_autocast=0)"
        rows = connection.execute(f"SELECT id FROM {source} WHERE {sql} ORDER BY id").fetchall()
    assert sorted(ids(pruned, where)) == [row[0] for row in rows]
    assert sorted(ids(discover(by_day), where)) == [row[0] for row in rows]
    assert len(pruned.files) == n_files


def test_a_filter_that_no_folder_meets_is_refused(by_day: str) -> None:
    with pytest.raises(DataError) as caught:
        discover(by_day, parse("year == '1999'", "data.where"))
    said = one_line(caught)
    assert (
        "none of its 6 files is left by data.where: year = '1999'; expected some; they are" in said
    )


@pytest.mark.parametrize("where", ["year == 2013", "year in (2012, 2013)", "year"])
def test_a_folder_value_compared_with_a_number_is_told_to_be_text(by_day: str, where: str) -> None:
    with pytest.raises(LassoJobsError) as caught:
        ids(discover(by_day, parse(where, "data.where")), where)
    assert "data.where" in one_line(caught)


def test_pruned_files_are_not_opened(by_day: str) -> None:
    for path in Path(by_day).glob("year=2012/*/*"):
        path.write_bytes(b"damaged")
    assert len(discover(by_day, parse("year == '2013'", "data.where")).files) == 2


def test_a_null_column_takes_its_type_from_a_later_file(write: Write, tmp_path: Path) -> None:
    write("a.parquet", {"id": [1], "x": pa.nulls(1)})
    write("b.parquet", {"id": [1], "x": pa.nulls(1)})
    write("c.parquet", {"id": [1], "x": [1.5]})
    assert discover(str(tmp_path / "data")).schema.field("x").type == pa.float64()


ODD_NAMES = [
    "two words",
    "a.b",
    "quo'te\"s",
    "<script>alert(1)</script>",
    "größe",
    "new\nline",
    "x[1]",
]


def test_bytes_of_oddly_named_columns_are_those_of_the_footer(write: Write) -> None:
    table = {name: np.random.default_rng(j).normal(size=100) for j, name in enumerate(ODD_NAMES)}
    path = write("a.parquet", table, row_group_size=30)
    footer = pq.read_metadata(path)
    for j, name in enumerate(ODD_NAMES):
        groups = [footer.row_group(i).column(j) for i in range(footer.num_row_groups)]
        expected = sum(group.total_compressed_size for group in groups)
        assert discover(str(path)).column_bytes([name]) == expected, name


def test_a_column_and_another_with_a_dot_after_its_name_are_told_apart(write: Write) -> None:
    values = np.random.default_rng(0).normal(size=500)
    path = write("a.parquet", {"a": [0] * 500, "a.b": values})
    found = discover(str(path))
    assert found.column_bytes(["a.b"]) > 3000 > found.column_bytes(["a"])


def test_bytes_of_a_nested_column_are_those_of_its_leaves(write: Write) -> None:
    path = write("a.parquet", {"st": [{"f": 1, "g": 2.5}] * 9, "x": range(9)})
    group = pq.read_metadata(path).row_group(0)
    leaves = [group.column(j).total_compressed_size for j in (0, 1)]
    assert discover(str(path)).column_bytes(["st"]) == sum(leaves)


def test_bytes_of_an_unknown_column_are_none(write: Write) -> None:
    assert discover(str(write("a.parquet", {"x": [1]}))).column_bytes(["y"]) == 0


def test_files_and_row_groups_without_rows_are_no_obstacle(write: Write, tmp_path: Path) -> None:
    empty = pa.table({"id": pa.array([], pa.int64())})
    write("a.parquet", empty)
    with pq.ParquetWriter(tmp_path / "data" / "b.parquet", empty.schema) as writer:
        writer.write_table(pa.table({"id": [1, 2]}))
        writer.write_table(empty)
        writer.write_table(pa.table({"id": [3]}))
    with pq.ParquetWriter(tmp_path / "data" / "c.parquet", empty.schema):
        pass
    found = discover(str(tmp_path / "data"))
    assert (found.n_rows, ids(found)) == (3, [1, 2, 3])


def test_the_footer_gives_size_and_time_of_the_file(write: Write) -> None:
    path = write("a.parquet", {"id": [1]})
    identity = discover(str(path)).files[0].identity
    assert identity.size_bytes == len(path.read_bytes())
    assert identity.stamp.startswith(f"{path.stat().st_mtime_ns}-")


def by_hand(files: list[list[tuple[int, int]]]) -> Dataset:
    """A dataset of two columns, from the (rows, bytes) of each row group of each file."""
    schema = pa.schema([("x", pa.int64()), ("y", pa.int64())])
    sources = [
        SourceFile(
            identity=FileIdentity(path=f"/{i}", name=f"{i}", size_bytes=1, stamp="1", constants=()),
            schema=schema,
            rows=np.array([rows for rows, _ in groups], np.int64),
            column_bytes=np.array([[size, 7] for _, size in groups], np.int64).reshape(-1, 2),
            nulls=np.zeros(2, np.int64),
        )
        for i, groups in enumerate(files)
    ]
    return Dataset(path="data", files=tuple(sources), schema=schema, constants=())


def cut(
    files: list[list[tuple[int, int]]], most_bytes: int, most_rows: int
) -> list[list[tuple[int, int]]]:
    """The (file, row group) of each partition: each is filled until the next does not fit."""
    groups = [(i, j, *group) for i, file in enumerate(files) for j, group in enumerate(file)]
    units: list[list[tuple[int, int]]] = []
    room_bytes = room_rows = -1
    for i, j, rows, size in groups:
        if not units or size > room_bytes or rows > room_rows:
            units.append([])
            room_bytes, room_rows = most_bytes, most_rows
        units[-1].append((i, j))
        room_bytes, room_rows = room_bytes - size, room_rows - rows
    return units


GROUPS = st.lists(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=5), min_size=1, max_size=5
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(GROUPS)
def test_partitions_are_those_of_a_greedy_cut_by_hand(files: list[list[tuple[int, int]]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "UNIT_BYTES", 60)
        patch.setattr(dataset, "UNIT_ROWS", 80)
        found = by_hand(files).work_units(["x"])
    groups = [
        [(int(piece.file.name), j) for piece in part.pieces for j in piece.row_groups]
        for part in found
    ]
    assert groups == cut(files, 60, 80)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(GROUPS)
def test_partitions_cover_each_row_once_at_its_position(
    files: list[list[tuple[int, int]]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "UNIT_ROWS", 80)
        found = by_hand(files).work_units(["x"])
    covered = [
        (int(piece.file.name), position)
        for part in found
        for piece in part.pieces
        for position in range(piece.first_row, piece.first_row + piece.rows)
    ]
    assert covered == [
        (i, position) for i, file in enumerate(files) for position in range(sum(r for r, _ in file))
    ]
    assert sum(part.rows for part in found) == len(covered)


def test_neighbouring_row_groups_of_a_file_are_one_piece() -> None:
    (part,) = by_hand([[(5, 1), (5, 1)], [(5, 1)]]).work_units(["x"])
    assert [(p.row_groups, p.first_row, p.rows) for p in part.pieces] == [
        ((0, 1), 0, 10),
        ((0,), 0, 5),
    ]


def test_only_the_wanted_columns_count_for_the_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "UNIT_BYTES", 20)
    found = by_hand([[(1, 15)] * 4])
    assert len(found.work_units(["x"])) == 4
    assert len(found.work_units(["y"])) == 2
    assert len(found.work_units([])) == 1


def test_the_cut_does_not_depend_on_the_order_of_the_columns(write: Write) -> None:
    path = write("a.parquet", {"x": range(100), "y": range(100)}, row_group_size=10)
    found = discover(str(path))
    assert found.work_units(["x", "y"]) == found.work_units(["y", "x", "y"])


def test_a_partition_is_named_by_its_file_and_row_groups() -> None:
    (part,) = by_hand([[(5, 1), (5, 1)], [(5, 1)]]).work_units(["x"])
    assert str(part) == "/0, row groups 0 to 1 and 1 more files"
