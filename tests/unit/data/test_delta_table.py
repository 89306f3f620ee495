import datetime
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lasso_jobs.data.blocks import read
from lasso_jobs.data.dataset import Dataset
from lasso_jobs.data.discover import discover
from lasso_jobs.data.where import parse
from lasso_jobs.errors import DataError

D1, D2 = datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)


def rows_of(dataset: Dataset, where: str = "") -> list[tuple[Any, ...]]:
    columns = dataset.schema.names
    found = [
        rows.table.select(columns)
        for partition in dataset.partitions(columns)
        for piece in partition.pieces
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


def test_a_damaged_log_is_refused(tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "t"), pa.table({"x": [1]}))
    (entry,) = tmp_path.glob("t/_delta_log/*.json")
    entry.write_text("{ damaged")
    assert "cannot be read" in refused(str(tmp_path / "t"))


@pytest.mark.parametrize(
    ("configuration", "feature"),
    [
        ({"delta.enableDeletionVectors": "true"}, "deletionVectors"),
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
        if "protocol" in action and feature == "deletionVectors":
            features = {"readerFeatures": [feature], "writerFeatures": [feature]}
            action["protocol"] = {"minReaderVersion": 3, "minWriterVersion": 7, **features}
    entry.write_text("".join(json.dumps(action) + "\n" for action in actions))
    assert feature in refused(str(root))


def test_a_file_elsewhere_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "t"
    write_deltalake(str(root), pa.table({"x": [1]}))
    (entry,) = root.glob("_delta_log/*.json")
    entry.write_text(entry.read_text().replace('"path":"part', f'"path":"{tmp_path}/part'))
    assert "a file elsewhere" in refused(str(root))
