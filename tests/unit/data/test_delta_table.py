import datetime
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable, WriterProperties, write_deltalake

from lasso_jobs.data.blocks import read
from lasso_jobs.data.columns.file_columns import SharedColumns
from lasso_jobs.data.dataset import Dataset
from lasso_jobs.data.discover import _open as open_file
from lasso_jobs.data.discover import discover
from lasso_jobs.data.listing import ListedFile
from lasso_jobs.data.where import parse
from lasso_jobs.errors import DataError

from ...deletion_vectors import delete

D1, D2 = datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)


def rows_of(dataset: Dataset, where: str = "") -> list[tuple[Any, ...]]:
    columns = dataset.schema.names
    found = [
        rows.table.select(columns)
        for unit in dataset.work_units(columns)
        for piece in unit.pieces
        for rows in read(piece, columns, parse(where, "where") if where else ())
    ]
    return sorted(zip(*pa.concat_tables(found).to_pydict().values(), strict=True), key=repr)


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where no table is yet, on disk and in a bucket."""
    if request.param == "local":
        return str(tmp_path / "a table")
    return f"{request.getfixturevalue('bucket')}/tables/t"


@pytest.fixture
def three_versions(root: str) -> str:
    """Day 1; day 2 as well; day 1 anew."""
    one = pa.table({"x": [1, 2], "day": pa.array([D1, D1])})
    two = pa.table({"x": [3], "day": pa.array([D2])})
    new = pa.table({"x": [4], "day": pa.array([D1])})
    write_deltalake(root, one, partition_by=["day"])
    write_deltalake(root, two, mode="append")
    write_deltalake(root, new, mode="overwrite", predicate="day = '2024-01-01'")
    return root


def test_a_version_has_the_rows_that_it_shows_whatever_files_lie_around(
    three_versions: str,
) -> None:
    expected = {
        0: [(1, D1), (2, D1)],
        1: [(1, D1), (2, D1), (3, D2)],
        2: [(3, D2), (4, D1)],
        None: [(3, D2), (4, D1)],
    }
    for version, rows in expected.items():
        found = discover(three_versions, version=version)
        assert rows_of(found) == rows
        assert found.version == (2 if version is None else version)
        assert found.schema == pa.schema([("x", pa.int64()), ("day", pa.date32())])
        assert found.constants == ("day",)


def test_duckdb_agrees(tmp_path: Path) -> None:
    root = tmp_path / "t"
    for i in range(3):
        write_deltalake(str(root), pa.table({"x": [i], "p": [f"p {i}/é"]}), mode="append")
    files = [f.identity.path for f in discover(str(root), version=1).files]
    assert sorted(duckdb.read_parquet(files).fetchall()) == [(0, "p 0/é"), (1, "p 1/é")]


def test_partition_columns_have_the_types_of_the_log(root: str) -> None:
    values = {
        "n": pa.array([7, None], pa.int32()),
        "s": ["a/b %", None],
        "b": [True, None],
        "t": pa.array([datetime.datetime(2024, 1, 1, 12), None], pa.timestamp("us", "UTC")),
        "c": pa.array([Decimal("1.20"), None], pa.decimal128(10, 2)),
    }
    table = pa.table({"x": [1, 2], **values})
    write_deltalake(root, table, partition_by=list(values))
    found = discover(root)
    assert found.constants == tuple(values)
    for name in values:
        assert found.schema.field(name).type == table.schema.field(name).type
    rows = sorted(zip(*table.to_pydict().values(), strict=True), key=repr)
    assert rows_of(found) == rows
    assert rows_of(discover(root, parse("n == 7", "where"))) == rows[:1]


def test_a_filter_over_a_partition_column_opens_its_files_only(three_versions: str) -> None:
    for where in ("day == '2024-01-01'", "day < '2024-01-02'"):
        found = discover(three_versions, parse(where, "where"))
        assert len(found.files) == 1
        assert rows_of(found, where) == [(4, D1)]


def test_the_version_and_the_files_are_its_identity(three_versions: str) -> None:
    pinned = discover(three_versions, version=1)
    write_deltalake(three_versions, pa.table({"x": [9], "day": pa.array([D2])}), mode="append")
    assert discover(three_versions, version=1).identities == pinned.identities
    assert discover(three_versions).identities != pinned.identities


def refused(*arguments: Any, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        discover(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_version_that_is_not_there_is_refused(three_versions: str) -> None:
    assert "version 7 cannot be read" in refused(three_versions, version=7)


def test_a_version_of_no_table_is_refused(tmp_path: Path, write: Callable[..., Path]) -> None:
    write("a.parquet", {"x": [1]})
    assert "is no Delta table" in refused(str(tmp_path / "data"), version=0)


def test_a_table_without_files_is_refused(root: str) -> None:
    DeltaTable.create(root, pa.schema([("x", pa.int64())]))
    assert "version 0 holds no files" in refused(root)


def test_a_file_that_the_log_names_and_that_is_gone_is_refused(tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "t"), pa.table({"x": [1]}))
    (file,) = tmp_path.glob("t/*.parquet")
    file.unlink()
    said = refused(str(tmp_path / "t"))
    assert said.startswith(f"{file}: does not exist; expected the file that")
    assert "Restore it" in said


def test_a_table_of_a_feature_that_the_reader_lacks_is_refused_without_a_version(
    tmp_path: Path,
) -> None:
    root = str(tmp_path / "t")
    write_deltalake(root, pa.table({"x": [1]}))
    log = Path(root, "_delta_log", f"{1:020}.json")
    features = {"readerFeatures": ["catalogOwned"], "writerFeatures": ["catalogOwned"]}
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, **features}
    log.write_text(json.dumps({"protocol": protocol}))
    said = refused(root)
    assert "catalogOwned" in said
    assert said.endswith("Restore its log, or export the table to Parquet.")
    assert "with that version" not in said


def test_a_damaged_log_is_refused(tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "t"), pa.table({"x": [1]}))
    (entry,) = tmp_path.glob("t/_delta_log/*.json")
    entry.write_text("{ damaged")
    assert "cannot be read" in refused(str(tmp_path / "t"))


@pytest.mark.parametrize(
    ("configuration", "feature"),
    [
        ({"delta.enableTypeWidening": "true"}, "typeWidening"),
        ({"delta.columnMapping.mode": "name", "delta.minReaderVersion": "2"}, "columnMapping"),
    ],
)
def test_features_that_change_what_files_mean_are_refused(
    tmp_path: Path, configuration: dict[str, str], feature: str
) -> None:
    root = tmp_path / "t"
    write_deltalake(str(root), pa.table({"x": [1]}))
    (entry,) = root.glob("_delta_log/*.json")
    actions = [json.loads(line) for line in entry.read_text().splitlines()]
    for action in actions:
        if "metaData" in action:
            action["metaData"]["configuration"] = configuration
        if "protocol" in action and feature == "typeWidening":
            features = {"readerFeatures": [feature], "writerFeatures": [feature]}
            action["protocol"] = {"minReaderVersion": 3, "minWriterVersion": 7, **features}
    entry.write_text("".join(json.dumps(action) + "\n" for action in actions))
    assert feature in refused(str(root))


@pytest.mark.parametrize("features", [["variantType"], ["columnMapping", "deletionVectors"]])
def test_features_that_a_table_lists_and_does_not_use_are_no_hindrance(
    tmp_path: Path, features: list[str]
) -> None:
    root = tmp_path / "t"
    write_deltalake(str(root), pa.table({"variant": [1], "x": [2]}))
    (entry,) = root.glob("_delta_log/*.json")
    actions = [json.loads(line) for line in entry.read_text().splitlines()]
    listed = {"readerFeatures": features, "writerFeatures": features}
    for action in actions:
        if "protocol" in action:
            action["protocol"] = {"minReaderVersion": 3, "minWriterVersion": 7, **listed}
    entry.write_text("".join(json.dumps(action) + "\n" for action in actions))
    assert rows_of(discover(str(root))) == [(1, 2)]
    schema = next(action["metaData"] for action in actions if "metaData" in action)
    schema["schemaString"] = schema["schemaString"].replace('"long"', '"variant"')
    entry.write_text("".join(json.dumps(action) + "\n" for action in actions))
    assert str(root) in refused(str(root))


def test_a_table_made_for_deletion_vectors_is_read(tmp_path: Path) -> None:
    made = {"delta.enableDeletionVectors": "true"}
    write_deltalake(str(tmp_path / "t"), pa.table({"x": [1, 2]}), configuration=made)
    assert rows_of(discover(str(tmp_path / "t"))) == [(1,), (2,)]


def test_a_file_elsewhere_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "t"
    write_deltalake(str(root), pa.table({"x": [1]}))
    (entry,) = root.glob("_delta_log/*.json")
    entry.write_text(entry.read_text().replace('"path":"part', f'"path":"{tmp_path}/part'))
    assert "a file elsewhere" in refused(str(root))


# Deletion vectors


def positions_of(dataset: Dataset, where: str = "") -> dict[str, list[int]]:
    """The rows of each file that are read."""
    found: dict[str, list[int]] = {}
    for unit in dataset.work_units(["x"]):
        for piece in unit.pieces:
            of_file = found.setdefault(piece.file.name, [])
            n = 0
            for rows in read(piece, ["x"], parse(where, "where") if where else (), later=["x"]):
                of_file += rows.positions.tolist()
                n += len(rows.positions) + rows.n_filtered
                assert rows.later("x").tolist() == rows.positions.tolist()
            assert n == piece.rows
    return found


def a_table(root: Path, n: int, *, row_group: int, day: str = "a b=ü%") -> str:
    """One file whose column x is the position of the row; returns its path in the log."""
    properties = WriterProperties(max_row_group_size=row_group)
    table = pa.table({"x": np.arange(n, dtype=float), "day": [day] * n})
    write_deltalake(
        str(root), table, partition_by=["day"], mode="append", writer_properties=properties
    )
    log = sorted((root / "_delta_log").glob("*.json"))[-1].read_text().splitlines()
    (path,) = [a["add"]["path"] for a in map(json.loads, log) if "add" in a]
    return str(path)


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize(
    ("n", "row_group"), [(100, 7), (40_000, 40_000), (150_000, 100_000), (140_000, 65_536)]
)
def test_deleted_rows_are_not_read_and_are_counted(
    tmp_path: Path, n: int, row_group: int, inline: bool
) -> None:
    path = a_table(tmp_path / "t", n, row_group=row_group)
    rng = np.random.default_rng(n)
    gone = {0, n - 1, *range(n // 3, n // 2), *rng.choice(n, n // 20).tolist()}
    delete(tmp_path / "t", {path: gone}, inline=inline)
    left = [i for i in range(n) if i not in gone]
    dataset = discover(str(tmp_path / "t"))
    assert positions_of(dataset) == {unquote(path): left}
    some = [i for i in left if i >= n // 4]
    assert positions_of(dataset, f"x >= {n // 4}") == {unquote(path): some}
    assert dataset.n_rows == n


def test_a_vector_in_a_bucket_is_read(
    tmp_path: Path, bucket: str, upload: Callable[[Path, str], str]
) -> None:
    path = a_table(tmp_path / "t", 10, row_group=4)
    delete(tmp_path / "t", {path: [2, 3, 4, 9]})
    dataset = discover(upload(tmp_path / "t", f"{bucket}/a/t"))
    assert positions_of(dataset) == {unquote(path): [0, 1, 5, 6, 7, 8]}


def test_each_file_and_version_has_its_own_vector(tmp_path: Path) -> None:
    root = tmp_path / "t"
    one, two, three = (a_table(root, 5, row_group=2, day=day) for day in ("1", "2", "3"))
    delete(root, {one: [0], two: range(5)})
    delete(root, {one: [0, 4]})
    first, second, third = map(unquote, (one, two, three))
    every = list(range(5))
    expected = {
        2: {first: every, second: every, third: every},
        3: {first: [1, 2, 3, 4], second: [], third: every},
        4: {first: [1, 2, 3], second: [], third: every},
    }
    found = {version: discover(str(root), version=version) for version in expected}
    assert {version: positions_of(dataset) for version, dataset in found.items()} == expected
    # What is known of a file's rows changes with its vector, though the file does not.
    assert len({dataset.identities for dataset in found.values()}) == 3
    static = [piece for unit in found[4].static_work_units() for piece in unit.pieces]
    assert [len(r.positions) for p in static for r in read(p, ["x"])] == [1, 2, 0, 0, 0, 0, 2, 2, 1]


def test_a_vector_that_is_gone_or_damaged_is_told(tmp_path: Path) -> None:
    root = tmp_path / "t"
    delete(root, {a_table(root, 5, row_group=5): [1]})
    (vector,) = root.glob("*.bin")
    content = bytearray(vector.read_bytes())
    content[20] ^= 1
    vector.write_bytes(content)
    assert "its deletion vectors cannot be read (" in refused(str(root))
    vector.unlink()
    assert "its deletion vectors cannot be read (" in refused(str(root))


@pytest.mark.parametrize("stats", [False, True])
@pytest.mark.parametrize("row", [3, 12])
def test_a_vector_that_does_not_fit_its_file_is_told(tmp_path: Path, stats: bool, row: int) -> None:
    """The protocol asks for the number of rows of a file with a vector."""
    root = tmp_path / "t"
    delete(root, {a_table(root, 5, row_group=5): [1, row]}, stats=stats)
    if stats and row < 5:
        assert len(positions_of(discover(str(root)))) == 1
    else:
        assert "its deletion vectors cannot be read (" in refused(str(root))


@pytest.mark.parametrize("lengths", [(5, 4), (5, 5), (5, 30)])
def test_a_vector_may_be_shorter_or_longer_than_its_file(
    write: Callable[..., Path], lengths: tuple[int, int]
) -> None:
    path = write("a.parquet", {"x": range(5)}, row_group_size=2)
    mask = np.zeros(lengths[1], bool)
    mask[[1, 3]] = True
    listed = ListedFile(str(path), "a", (), np.packbits(mask, bitorder="little").tobytes())
    file = open_file(listed, SharedColumns())
    piece = file.piece(range(3))
    assert [x for r in read(piece, ["x"]) for x in r.table["x"].to_pylist()] == [0, 2, 4]
    mask = np.arange(30) == 20
    beyond = listed._replace(deleted=np.packbits(mask, bitorder="little").tobytes())
    with pytest.raises(DataError, match="has 5 rows, and the table has deleted row 20"):
        open_file(beyond, SharedColumns())
