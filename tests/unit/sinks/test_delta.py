import datetime
import json
import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.transaction import create_table_with_add_actions
from hypothesis import given, settings
from hypothesis import strategies as st

from lasso_jobs.errors import OutputError
from lasso_jobs.sinks import delta, protocol
from lasso_jobs.sinks.delta import commit, write_files
from lasso_jobs.sinks.partitions import partition_text
from lasso_jobs.sinks.protocol import Partition, WrittenFile
from lasso_jobs.sinks.run_table import replace_rows
from lasso_jobs.storage import files as storage

from .changes import SCHEMA, change

WEIRD = [
    *("a", "a b", " ", "a/b", "/", "..", "a%b", "a%2Fb", "%", "a=b", "p=a", "a'b", 'a"b', "a+b"),
    *("a\nb", "a\\b", "#?&:;,", "[*]", "{a}", "~!@$()|<>^`", "é漢🙂", "e\u0301", "\x7f", "\x01"),
    *("None", "null", "true", "1", "__HIVE_DEFAULT_PARTITION__", "_x", ".x", "A", None),
]

Rows = list[tuple[object, ...]]


def table_of(rows: Mapping[str | None, Sequence[int]]) -> pa.Table:
    pairs = [(p, x) for p, xs in rows.items() for x in xs]
    return pa.table({"p": [p for p, _ in pairs], "x": [x for _, x in pairs]}, SCHEMA)


def put(
    root: Path,
    rows: Mapping[str | None, Sequence[int]] | pa.Table,
    by: Sequence[str] = ("p",),
    run_id: str = "run",
    replace: Sequence[Partition] = (),
) -> int:
    """Write and commit, as a job does."""
    table = rows if isinstance(rows, pa.Table) else table_of(rows)
    files = write_files(table, str(root), by, run_id)
    return commit(
        change(root, files, schema=table.schema, partition_by=by, run_id=run_id, replaced=replace)
    )


def log(root: Path, version: int | None = None) -> Iterator[dict[str, dict]]:
    for path in sorted(root.glob("_delta_log/*.json")):
        if version is None or int(path.stem) <= version:
            # Not splitlines, which also splits where a value has another line separator.
            lines = path.read_text("utf-8").split("\n")
            yield from (json.loads(line) for line in lines if line)


def replayed(root: Path, version: int | None = None) -> Rows:
    """The rows by the Delta protocol's own words, without deltalake."""
    files: dict[str, dict] = {}
    by: list[str] = []
    for action in log(root, version):
        by = action.get("metaData", {}).get("partitionColumns", by)
        if "add" in action:
            assert action["add"]["path"] not in files
            files[action["add"]["path"]] = action["add"]
        if "remove" in action:
            gone, add = action["remove"], files.pop(action["remove"]["path"])
            assert (gone["partitionValues"], gone["size"]) == (add["partitionValues"], add["size"])
            # A vacuum spares what was removed within its time of grace.
            assert abs(gone["deletionTimestamp"] / 1000 - time.time()) < 600
    found: Rows = []
    for path, add in files.items():
        stored = pq.ParquetFile(root / unquote(path)).read()
        assert json.loads(add["stats"])["numRecords"] == stored.num_rows
        assert add["size"] == (root / unquote(path)).stat().st_size
        assert add["partitionValues"].keys() == set(by)
        values = [add["partitionValues"][name] for name in by]
        found += [(*values, *row.values()) for row in stored.to_pylist()]
    return sorted(found, key=repr)


def shown(root: Path, version: int | None = None) -> Rows:
    """The rows that a reader sees, of any table whose partition column comes first."""
    frame = DeltaTable(str(root), version).to_pandas()
    values = frame.astype(object).where(frame.notna(), None).itertuples(index=False, name=None)
    return sorted(values, key=repr)


def pairs(rows: Mapping[str | None, Sequence[int]]) -> Rows:
    return sorted(((p, x) for p, xs in rows.items() for x in xs), key=repr)


def is_as(root: Path, rows: Mapping[str | None, Sequence[int]], version: int | None = None) -> None:
    assert shown(root, version) == replayed(root, version) == pairs(rows)


def commits(root: Path) -> int:
    return len([*root.glob("_delta_log/*.json")])


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "table"


def test_the_first_commit_creates_the_table(root: Path) -> None:
    table = table_of({"a": [1, 2], "b": [3]})
    files = write_files(table, str(root), ["p"], "attempt-7")
    assert [(f.partition, f.rows) for f in files] == [((("p", "a"),), 2), ((("p", "b"),), 1)]
    assert {Path(f.path).parent.name for f in files} == {"p=a", "p=b"}
    assert all("attempt-7" in f.path for f in files)
    assert not (root / "_delta_log").exists()

    assert commit(change(root, files, schema=table.schema)) == 0
    assert commits(root) == 1
    assert DeltaTable(str(root)).metadata().partition_columns == ["p"]
    assert DeltaTable(str(root)).schema().to_json() == json.dumps(
        {
            "type": "struct",
            "fields": [
                {"name": "p", "type": "string", "nullable": True, "metadata": {}},
                {"name": "x", "type": "long", "nullable": True, "metadata": {}},
            ],
        },
        separators=(",", ":"),
    )
    is_as(root, {"a": [1, 2], "b": [3]})
    for file in files:
        footer = pq.ParquetFile(root / file.path).metadata
        assert footer.row_group(0).column(0).compression == "ZSTD"
        assert footer.schema.names == ["x"]


def test_a_commit_replaces_its_partitions_only_and_keeps_the_old_generation(root: Path) -> None:
    assert put(root, {"a": [1, 2], "b": [3], "c": [4]}) == 0
    assert put(root, {"a": [5]}) == 1
    is_as(root, {"a": [5], "b": [3], "c": [4]})
    assert put(root, {"b": [6, 6], "c": [7], "d": [8]}) == 2
    assert commits(root) == 3
    is_as(root, {"a": [1, 2], "b": [3], "c": [4]}, version=0)
    is_as(root, {"a": [5], "b": [3], "c": [4]}, version=1)
    is_as(root, {"a": [5], "b": [6, 6], "c": [7], "d": [8]})


def test_the_files_of_one_partition_stand_side_by_side(root: Path) -> None:
    put(root, {"a": [0]})
    blocks = [table_of({"a": [1, 2], "b": [3]}), table_of({"a": [4]}), table_of({"b": [5]})]
    files = [f for block in blocks for f in write_files(block, str(root), ["p"], "t")]
    commit(change(root, files))
    is_as(root, {"a": [1, 2, 4], "b": [3, 5]})


def test_a_partition_rescored_to_nothing_is_emptied(root: Path) -> None:
    put(root, {"a": [1], "b": [2], None: [3], "d": [4]})
    put(root, {"a": [5]}, replace=[(("p", "b"),), (("p", None),), (("p", "never there"),)])
    is_as(root, {"a": [5], "d": [4]})
    assert put(root, {}, replace=[(("p", "a"),), (("p", "d"),)]) == 2
    assert shown(root) == replayed(root) == []
    put(root, {"a": [6]})
    is_as(root, {"a": [6]})


def test_partitions_of_two_columns_are_tuples_not_a_grid(root: Path) -> None:
    def rows(cells: str, x: int) -> pa.Table:
        p, q = zip(*cells.split(), strict=True)
        values = {"x": pa.array([x] * len(p)), "q": list(map(int, q)), "p": list(p)}
        return pa.table(values)

    put(root, rows("a1 a2 b1 b2 c1", 0), by=["p", "q"])
    put(root, rows("a1 b2", 1), by=["p", "q"], replace=[(("p", "c"), ("q", "1"))])
    expected = [("a", "1", 1), ("a", "2", 0), ("b", "1", 0), ("b", "2", 1)]
    assert replayed(root) == expected
    frame = DeltaTable(str(root)).to_pandas()
    assert sorted(zip(frame.p, frame.q.map(str), frame.x, strict=True)) == expected


def test_any_string_is_a_partition(root: Path) -> None:
    before = {value: [i, 100 + i] for i, value in enumerate(WEIRD)}
    put(root, before)
    is_as(root, before)
    assert not {p.name for p in root.parent.iterdir()} - {root.name}
    assert {p.parent.parent for p in root.rglob("*.parquet")} == {root}

    files = [f.replace("'", "''") for f in DeltaTable(str(root)).file_uris()]
    listed = ", ".join(f"'{f}'" for f in files)
    query = f"select p, x from read_parquet([{listed}], hive_partitioning = 1)"
    without_null = {
        k: v for k, v in before.items() if k not in (None, "__HIVE_DEFAULT_PARTITION__")
    }
    by_duckdb = duckdb.sql(query).fetchall()
    assert sorted((row for row in by_duckdb if row[0] is not None), key=repr) == pairs(without_null)

    after = {value: [-i] for i, value in enumerate(WEIRD) if i % 2}
    put(root, after)
    is_as(root, before | after)
    emptied = [(("p", value),) for i, value in enumerate(WEIRD) if i % 2 == 0]
    put(root, {}, replace=emptied)
    is_as(root, after)


def test_vacuum_takes_what_no_version_needs_and_nothing_else(root: Path) -> None:
    put(root, {value: [1] for value in WEIRD})
    put(root, {value: [2] for value in WEIRD})
    write_files(table_of({value: [3] for value in WEIRD}), str(root), ["p"], "lost")
    assert len([*root.rglob("*.parquet")]) == 3 * len(WEIRD)
    table = DeltaTable(str(root))
    table.vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
    assert len([*root.rglob("*.parquet")]) == len(WEIRD)
    is_as(root, {value: [2] for value in WEIRD})


@pytest.mark.parametrize(
    ("kind", "values", "texts"),
    [
        (pa.int64(), [-(2**63), 0, 7, None], ["-9223372036854775808", "0", "7", None]),
        (pa.int8(), [-1, 1, 2], ["-1", "1", "2"]),
        (pa.uint32(), [0, 4294967295, None], ["0", "4294967295", None]),
        (
            pa.date32(),
            [datetime.date(2013, 10, 1), datetime.date(1, 2, 3), None],
            ["2013-10-01", "0001-02-03", None],
        ),
        (pa.bool_(), [True, False, None], ["true", "false", None]),
        (pa.dictionary(pa.int8(), pa.string()), ["b", "a", None], ["b", "a", None]),
        (pa.large_string(), ["b", "a", None], ["b", "a", None]),
    ],
    ids=str,
)
def test_typed_partitions(root: Path, kind: pa.DataType, values: list, texts: list) -> None:
    def rows(xs: Sequence[int]) -> pa.Table:
        return pa.table({"p": pa.array(values, kind), "x": pa.array(xs, pa.int64())})

    assert [partition_text("p", value) for value in values] == texts
    put(root, rows(range(len(values))))
    second = rows(range(10, 10 + len(values)))
    expected = zip(texts[1:], second["x"].to_pylist()[1:], strict=True)
    put(root, second.slice(1), replace=[(("p", texts[0]),)])
    assert replayed(root) == sorted(expected, key=repr)
    back = pa.table(DeltaTable(str(root)).to_pyarrow_table()).sort_by("x")
    assert back["p"].to_pylist() == values[1:]


def test_without_partition_columns_the_whole_table_is_replaced(root: Path) -> None:
    put(root, {"a": [1, 2], None: [3]}, by=[])
    is_as(root, {"a": [1, 2], None: [3]})
    assert [p.parent for p in root.glob("*.parquet")] == [root]
    files = [f for x in (4, 5) for f in write_files(table_of({"b": [x]}), str(root), [], "t")]
    assert commit(change(root, files, partition_by=[])) == 1
    is_as(root, {"b": [4, 5]})
    assert put(root, {}, by=[]) == 2
    assert shown(root) == replayed(root) == []


def test_an_empty_table_gives_no_file_but_may_create_a_table(root: Path) -> None:
    assert write_files(table_of({}), str(root), ["p"], "t") == ()
    assert not root.exists()
    assert put(root, {}) == 0
    assert list(DeltaTable(str(root)).to_pandas().columns) == ["p", "x"]
    assert shown(root) == []
    put(root, {"a": [1]})
    is_as(root, {"a": [1]})


def test_attempts_of_one_name_do_not_collide_and_uncommitted_ones_are_invisible(
    root: Path,
) -> None:
    put(root, {"a": [1]})
    attempts = [write_files(table_of({"a": [2]}), str(root), ["p"], "again") for _ in range(3)]
    assert len({f.path for files in attempts for f in files}) == 3
    assert len([*root.glob("p=a/*.parquet")]) == 4
    is_as(root, {"a": [1]})
    commit(change(root, attempts[1]))
    is_as(root, {"a": [2]})


def test_the_name_of_an_attempt_cannot_leave_the_folder(root: Path) -> None:
    (file,) = write_files(table_of({"a": [1]}), str(root), ["p"], "../../é x/" + "y" * 300)
    assert [*root.parent.rglob("*.parquet")] == [root / file.path]
    commit(change(root, [file]))
    is_as(root, {"a": [1]})


def test_rows_keep_their_order_and_files_their_counts(root: Path) -> None:
    x = [3.5, None, float("nan"), -0.0, 0.0, float("inf"), 2.5]
    table = pa.table({"x": x, "p": list("abababa"), "when": [None] * 6 + [datetime.date.max]})
    for file in write_files(table, str(root), ["p"], "t"):
        part = dict(file.partition)["p"]
        expected = table.filter(pa.compute.equal(table["p"], part)).drop_columns("p")
        stored = pq.ParquetFile(root / file.path).read()
        assert repr(stored.to_pylist()) == repr(expected.to_pylist())
        nulls = {name: expected[name].null_count for name in ("x", "when")}
        assert json.loads(file.stats) == {"numRecords": file.rows, "nullCount": nulls}
    put(root, table)
    kept = DeltaTable(str(root)).to_pyarrow_table(filters=[("x", ">", 2.0)])
    assert sorted(kept["x"].to_pylist()) == [2.5, 3.5, float("inf")]


def test_rows_in_many_chunks_keep_their_order(root: Path) -> None:
    chunk = table_of({"a": [0, 1], "b": [0], None: [0]})
    chunks = [chunk.set_column(1, "x", [range(4 * i, 4 * i + 4)]) for i in range(2000)]
    table = pa.concat_tables(chunks)
    assert table["x"].num_chunks == 2000
    for file in write_files(table, str(root), ["p"], "t"):
        x = pq.ParquetFile(root / file.path).read()["x"].to_pylist()
        assert x == sorted(x)
        assert len(x) == file.rows == (4000 if file.partition[0][1] == "a" else 2000)


def test_columns_come_back_plain_with_the_same_values(root: Path) -> None:
    moment = datetime.datetime(2013, 10, 1, 4, 0, 0, 123456, tzinfo=datetime.UTC)
    columns = {
        "p": pa.array(["a", None]).dictionary_encode(),
        "large": pa.array(["b", None], pa.large_string()),
        "view": pa.array(["c", None], pa.string_view()),
        "coded": pa.array(["d", None], pa.large_string()).dictionary_encode(),
        "paris": pa.array([moment, None], pa.timestamp("ns", "Europe/Paris")),
        "local": pa.array([moment.replace(tzinfo=None), None], pa.timestamp("us")),
        "small": pa.array([255, None], pa.uint8()),
        "big": pa.array([2**63 - 1, None], pa.uint64()),
        "price": pa.array([Decimal("1.25"), None], pa.decimal128(10, 2)),
        "single": pa.array([0.1, None], pa.float32()),
        "bytes": pa.array([b"\x00", None]),
        "yes": pa.array([True, None]),
        "a.b c": pa.array([1, None]),
    }
    table = pa.table(columns).replace_schema_metadata({"pandas": "{}"})
    put(root, table)
    put(root, table)
    back = pa.table(DeltaTable(str(root)).to_pyarrow_table()).sort_by("small")
    assert back.to_pylist() == table.to_pylist()
    kinds = {field.name: str(field.type) for field in DeltaTable(str(root)).schema().fields}
    assert kinds == {
        **dict.fromkeys(("p", "large", "view", "coded"), 'PrimitiveType("string")'),
        "paris": 'PrimitiveType("timestamp")',
        "local": 'PrimitiveType("timestamp_ntz")',
        **dict.fromkeys(("small", "big", "a.b c"), 'PrimitiveType("long")'),
        "price": 'PrimitiveType("decimal(10,2)")',
        "single": 'PrimitiveType("float")',
        "bytes": 'PrimitiveType("binary")',
        "yes": 'PrimitiveType("boolean")',
    }


def test_a_pandas_frame_of_scores_goes_in_and_comes_out(root: Path) -> None:
    frame = pd.DataFrame(
        {
            "date": pd.Series(["2013-10-01", "2013-10-02"], dtype="str"),
            "flight_id": pd.Series(["x", "y"], dtype="str"),
            "prediction": [1.5, -2.0],
            "scored_at": pd.to_datetime(["2026-01-01 00:00:01"] * 2, utc=True),
        }
    )
    put(root, pa.Table.from_pandas(frame), by=["date"])
    back = DeltaTable(str(root)).to_pandas().sort_values("date", ignore_index=True)
    pd.testing.assert_frame_equal(back, frame, check_dtype=False)


def test_the_order_of_columns_does_not_matter(root: Path) -> None:
    put(root, {"a": [1], "b": [2]})
    put(root, table_of({"a": [3]}).select(["x", "p"]))
    is_as(root, {"a": [3], "b": [2]})


def test_a_commit_carries_its_run_in_the_log(root: Path) -> None:
    put(root, {"a": [1]}, run_id="first")
    files = write_files(table_of({"a": [2]}), str(root), ["p"], "t")
    commit(change(root, files, run_id="second", metadata={"model_version": "v3"}))
    table = DeltaTable(str(root))
    runs = ("first", "second", "third")
    assert [table.transaction_version(run) for run in runs] == [0, 1, None]
    last = table.history(1)[0]
    assert (last["run_id"], last["model_version"]) == ("second", "v3")


def test_the_same_files_again_change_nothing(root: Path) -> None:
    files = write_files(table_of({"a": [1], "b": [2]}), str(root), ["p"], "t")
    assert commit(change(root, files, run_id="one")) == 0
    put(root, {"c": [3]}, run_id="two")
    before = snapshot(root)
    assert commit(change(root, pickle.loads(pickle.dumps(files)), run_id="one")) == 0
    assert snapshot(root) == before
    is_as(root, {"a": [1], "b": [2], "c": [3]})


def test_files_that_are_there_stay_beside_new_ones(root: Path) -> None:
    old = write_files(table_of({"a": [1]}), str(root), ["p"], "t")
    commit(change(root, old))
    new = write_files(table_of({"a": [2]}), str(root), ["p"], "t")
    commit(change(root, [*old, *new]))
    is_as(root, {"a": [1, 2]})
    commit(change(root, new))
    is_as(root, {"a": [2]})


@pytest.fixture
def just_before(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], list[int]]:
    """Let somebody else act when a commit has looked at the table and is about to write."""

    def arrange(rival: Callable[[], object]) -> list[int]:
        calls: list[int] = []

        def first(function: Callable[..., None]) -> Callable[..., None]:
            def wrapped(*args: object, **kwargs: object) -> None:
                calls.append(len(calls))
                if calls == [0]:
                    rival()
                function(*args, **kwargs)

            return wrapped

        write = DeltaTable.create_write_transaction
        monkeypatch.setattr(DeltaTable, "create_write_transaction", first(write))
        create = first(create_table_with_add_actions)
        monkeypatch.setattr(delta, "create_table_with_add_actions", create)
        return calls

    return arrange


START = [{}, {"a": [1], "b": [2]}, {"c": [3]}]


@pytest.mark.parametrize("start", [None, *START], ids=str)
@pytest.mark.parametrize("rival", [{"b": [20]}, {None: [20, 21]}], ids=str)
def test_a_concurrent_commit_to_another_partition_is_no_conflict(
    root: Path, start: dict | None, rival: dict, just_before: Callable
) -> None:
    if start is not None:
        put(root, start)
    calls = just_before(lambda: put(root, rival, run_id="rival"))
    version = put(root, {"a": [10]}, run_id="mine")
    assert version == commits(root) - 1 == (1 if start is None else 2)
    assert len(calls) == 3
    assert DeltaTable(str(root)).transaction_version("mine") == version
    is_as(root, (start or {}) | rival | {"a": [10]})


@pytest.mark.parametrize("start", [None, *START], ids=str)
@pytest.mark.parametrize("rival", [{"a": [20]}, {"b": [20], "a": [20]}], ids=str)
@pytest.mark.parametrize("run_id", ["mine", "rival"])
def test_a_concurrent_commit_to_the_same_partition_is_a_conflict(
    root: Path, start: dict | None, rival: dict, run_id: str, just_before: Callable
) -> None:
    if start is not None:
        put(root, start)
    just_before(lambda: put(root, rival, run_id="rival"))
    with pytest.raises(OutputError, match="another run committed the same partitions"):
        put(root, {"a": [10]}, run_id=run_id)
    is_as(root, (start or {}) | rival)


def test_emptying_a_partition_conflicts_with_filling_it(root: Path, just_before: Callable) -> None:
    put(root, {"a": [1], "b": [2]})
    just_before(lambda: put(root, {"a": [3]}))
    with pytest.raises(OutputError, match="another run"):
        put(root, {"b": [4]}, replace=[(("p", "a"),)])
    is_as(root, {"a": [3], "b": [2]})


def test_whole_tables_conflict(root: Path, just_before: Callable) -> None:
    put(root, {"a": [1]}, by=[])
    just_before(lambda: put(root, {"b": [2]}, by=[]))
    with pytest.raises(OutputError, match="another run"):
        put(root, {"c": [3]}, by=[])
    is_as(root, {"b": [2]})


def test_a_schema_that_changes_meanwhile_is_noticed(root: Path, just_before: Callable) -> None:
    just_before(lambda: put(root, pa.table({"p": ["b"], "y": [1]})))
    with pytest.raises(OutputError, match="columns x long; expected columns y long"):
        put(root, {"a": [1]})
    assert commits(root) == 1


def at_once(jobs: Sequence[Callable[[], int]]) -> list[int | OutputError]:
    barrier, results = threading.Barrier(len(jobs)), list[int | OutputError]()

    def run(job: Callable[[], int]) -> None:
        barrier.wait()
        try:
            results.append(job())
        except OutputError as error:
            results.append(error)

    threads = [threading.Thread(target=run, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_many_writers_of_a_new_table_all_get_in(root: Path) -> None:
    jobs = [lambda i=i: put(root, {f"p{i}": [i]}, run_id=f"r{i}") for i in range(8)]
    assert sorted(at_once(jobs)) == list(range(8))
    is_as(root, {f"p{i}": [i] for i in range(8)})


def test_of_many_writers_of_one_partition_one_generation_remains(root: Path) -> None:
    put(root, {"b": [99]})
    for generation in range(3):
        jobs = [lambda i=i: put(root, {"a": [i, i]}, run_id=f"{i}") for i in range(6)]
        first = commits(root)
        results = at_once(jobs)
        versions = sorted(result for result in results if isinstance(result, int))
        assert versions == list(range(first, commits(root))), generation
        assert len(results) == 6
        last = int(DeltaTable(str(root)).history(1)[0]["run_id"])
        is_as(root, {"a": [last, last], "b": [99]})


@pytest.mark.parametrize("start", [None, {"a": [1], "b": [2]}], ids=str)
def test_a_commit_that_landed_in_spite_of_an_error_is_not_done_twice(
    root: Path, start: dict | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if start:
        put(root, start)

    def failing(function: Callable[..., None]) -> Callable[..., None]:
        def wrapped(*args: object, **kwargs: object) -> None:
            function(*args, **kwargs)
            raise DeltaError("the checkpoint cannot be written")

        return wrapped

    write = failing(DeltaTable.create_write_transaction)
    monkeypatch.setattr(DeltaTable, "create_write_transaction", write)
    monkeypatch.setattr(
        delta, "create_table_with_add_actions", failing(create_table_with_add_actions)
    )
    first = put(root, {"a": [3]})
    assert first == (1 if start else 0)
    is_as(root, (start or {}) | {"a": [3]})
    assert put(root, {}, replace=[(("p", "a"),)]) == first + 1
    is_as(root, {"b": [2]} if start else {})
    assert commits(root) == first + 2


def test_a_commit_that_fails_says_so_and_leaves_the_table(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(root, {"a": [1]})
    before = snapshot(root)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(DeltaTable, "create_write_transaction", full)
        with pytest.raises(OutputError, match="No space left on device") as caught:
            put(root, {"a": [2]})
    assert isinstance(caught.value.__cause__, OSError)
    assert before.items() <= snapshot(root).items()
    is_as(root, {"a": [1]})
    put(root, {"a": [2]})
    is_as(root, {"a": [2]})


def test_a_write_that_fails_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutputError, match="File name too long"):
        write_files(table_of({"漢" * 300: [1]}), str(root), ["p"], "t")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_files(table_of({"a": [1]}), str(root), ["p"], "t")
    assert not [p for p in root.rglob("*") if p.is_file()]


@pytest.mark.parametrize(
    ("values", "by", "message"),
    [
        (
            {"p": ["a"], "y": [1]},
            ["p"],
            "is to get no columns x long; expected columns x long, as it has them",
        ),
        ({"p": ["a"], "X": [1], "y": [1]}, ["p"], "columns X long; expected columns x long"),
        ({"p": ["a"], "x": [1.5], "y": [1]}, ["p"], "columns x double; expected columns x long"),
        ({"p": [1], "x": [1], "y": [1]}, ["p"], "columns p long; expected columns p string"),
        (
            {"p": ["a"], "x": [1], "y": [1], "z": [True]},
            ["p"],
            "is to get columns z boolean; expected no others than it has",
        ),
        ({"p": ["a"], "x": [1], "y": [1]}, [], "partitions by nothing; expected partitions by p"),
        ({"p": ["a"], "x": [1], "y": [1]}, ["x"], "partitions by x; expected partitions by p"),
        ({"p": ["a"], "x": [1], "y": [1]}, ["p", "x"], "partitions by p, x; expected .* by p"),
    ],
    ids=str,
)
def test_other_columns_or_partitions_than_the_table_has_are_refused(
    root: Path, values: dict, by: list[str], message: str
) -> None:
    put(root, pa.table({"p": ["a"], "x": [1], "y": [2]}))
    table = pa.table(values)
    files = write_files(table, str(root), by, "t")
    for accepted in (files, []):
        with pytest.raises(OutputError, match=message):
            commit(change(root, accepted, schema=table.schema, partition_by=by))
    assert commits(root) == 1
    assert replayed(root) == [("a", 1, 2)]


def test_a_table_whose_columns_may_not_be_null_is_refused(root: Path) -> None:
    fields = [pa.field("p", pa.string()), pa.field("x", pa.int64(), nullable=False)]
    DeltaTable.create(str(root), pa.schema(fields), partition_by=["p"])
    with pytest.raises(OutputError, match="columns x long; expected columns x long not null"):
        put(root, {"a": [1]})
    assert commits(root) == 1


def test_files_of_other_columns_than_the_schema_are_refused(root: Path) -> None:
    good = write_files(table_of({"a": [1]}), str(root), ["p"], "t")
    bad = write_files(pa.table({"p": ["b"], "x": [0.5]}), str(root), ["p"], "t")
    with pytest.raises(OutputError, match=r"p=b/.*columns x double; expected columns x long"):
        commit(change(root, [*good, *bad]))
    assert not (root / "_delta_log").exists()


def test_partitions_of_other_columns_are_refused(root: Path) -> None:
    put(root, {"a": [1]})
    for wrong in [(("q", "a"),), (("p", "a"), ("x", "1")), ()]:
        with pytest.raises(OutputError, match="expected partition by p"):
            put(root, {"b": [2]}, replace=[wrong])
    unpartitioned = write_files(table_of({"a": [2]}), str(root), [], "t")
    with pytest.raises(OutputError, match="partition by nothing; expected partition by p"):
        commit(change(root, unpartitioned))
    is_as(root, {"a": [1]})


def test_a_name_that_the_history_keeps_for_itself_is_refused(root: Path) -> None:
    with pytest.raises(OutputError, match="'timestamp' is generated"):
        commit(change(root, metadata={"timestamp": "now"}))
    assert not (root / "_delta_log").exists()


@pytest.mark.parametrize("name", ["notes.txt", "p=a/part-0.parquet", "deep/er/.hidden"])
def test_a_folder_that_holds_other_files_is_refused(root: Path, name: str) -> None:
    other = root / name
    other.parent.mkdir(parents=True)
    other.write_bytes(b"precious")
    before = snapshot(root)
    table = table_of({"a": [1]})
    attempts: list[Callable[[], object]] = [
        lambda: write_files(table, str(root), ["p"], "t"),
        lambda: commit(change(root)),
        lambda: replace_rows(str(root), table, "p", "a"),
    ]
    for attempt in attempts:
        with pytest.raises(OutputError, match=Path(name).name):
            attempt()
    assert snapshot(root) == before


def test_places_that_are_no_folder_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.write_text("a file")
    monkeypatch.chdir(root.parent)
    for place in (str(root), "a%20b"):
        with pytest.raises(OutputError, match="empty folder"):
            write_files(table_of({"a": [1]}), place, ["p"], "t")
        with pytest.raises(OutputError, match="empty folder"):
            commit(change(place))
    assert [p.name for p in root.parent.iterdir()] == [root.name]


@pytest.mark.parametrize("name", ["a b", "50 %", "#1?", "é/[x]", "a=b,c", "quo'te", "s3:x"])
def test_the_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    put(root, {"a": [1], "b c": [2]})
    put(root, {"b c": [3], None: [4]})
    is_as(root, {"a": [1], "b c": [3], None: [4]})
    assert [p.name for p in tmp_path.iterdir()] == [Path(name).parts[0]]


def test_an_empty_folder_or_a_relative_one_becomes_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty" / "_delta_log").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "new/deep"):
        put(Path(name), {"a": [1]})
        is_as(tmp_path / name, {"a": [1]})


def test_a_damaged_table_is_refused(root: Path) -> None:
    put(root, {"a": [1]})
    (entry,) = root.glob("_delta_log/*.json")
    entry.write_text("{ damaged")
    with pytest.raises(OutputError, match="expected a readable Delta table") as caught:
        put(root, {"a": [2]})
    assert isinstance(caught.value.__cause__, DeltaError)
    assert entry.read_text() == "{ damaged"


def test_a_table_with_deletion_vectors_is_refused(root: Path) -> None:
    configuration = {"delta.enableDeletionVectors": "true"}
    schema = pa.schema(SCHEMA)
    DeltaTable.create(str(root), schema, partition_by=["p"], configuration=configuration)
    with pytest.raises(
        OutputError, match="is a table with deletion vectors; expected an output without"
    ):
        put(root, {"a": [1]})
    assert commits(root) == 1


def test_a_file_whose_name_would_not_survive_the_log_is_refused(root: Path) -> None:
    put(root, {"a": [1], "b": [2]})
    (entry,) = root.glob("_delta_log/*.json")
    entry.write_text(entry.read_text().replace('"path":"p=a/', '"path":"p%3Da/'))
    is_as(root, {"a": [1], "b": [2]})
    with pytest.raises(OutputError, match=r"file p=a/.* expected file p%3Da/"):
        put(root, {"a": [3]})
    is_as(root, {"a": [1], "b": [2]})
    put(root, {"b": [4]})
    is_as(root, {"a": [1], "b": [4]})


@pytest.mark.parametrize(
    ("values", "by", "message"),
    [
        ({"p": ["a", ""], "x": [1, 2]}, ["p"], "partition column p: ''; expected a non-empty"),
        ({"p": [0.5], "x": [1]}, ["p"], "partition column p: 0.5"),
        ({"p": [datetime.datetime(2013, 1, 1)], "x": [1]}, ["p"], "partition column p: datetime"),
        ({"p": [b"a"], "x": [1]}, ["p"], "partition column p: b'a'"),
        ({"x": [1]}, ["p"], "columns x with partitions by p"),
        ({"p": ["a"]}, ["p"], "columns p with partitions by p"),
        ({"p": ["a"], "x": [1]}, ["p", "p"], "partitions by p, p"),
        ({"p": ["a"], "x": [1], "X": [2]}, ["p"], "columns p, x, X"),
        ({"p": ["a"], "x": [None]}, ["p"], "column x: type null"),
        ({"p": ["a"], "x": [[1]]}, ["p"], "column x: type list"),
        ({"p": ["a"], "x": [datetime.timedelta(1)]}, ["p"], "column x: type duration"),
        (
            {"p": ["a"], "x": pa.array([2**63], pa.uint64())},
            ["p"],
            "column x: .*9223372036854775808.* expected int64 values",
        ),
        (
            {"p": ["a"], "x": pa.array([1], pa.timestamp("ns"))},
            ["p"],
            r"column x: .*lose data.* expected timestamp\[us\] values",
        ),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value),
)
def test_rows_that_delta_cannot_hold_are_refused(
    root: Path, values: dict, by: list[str], message: str
) -> None:
    with pytest.raises(OutputError, match=message):
        write_files(pa.table(values), str(root), by, "t")
    assert not (root / "_delta_log").exists()


def drift(run: str, psi: Sequence[float | None]) -> pa.Table:
    kinds = pa.schema([("feature", pa.string()), ("run_id", pa.string()), ("psi", pa.float64())])
    names = [f"f{i}" for i in range(len(psi))]
    return pa.table({"feature": names, "run_id": [run] * len(psi), "psi": psi}, kinds)


def history(root: Path, version: int | None = None) -> list[tuple]:
    frame = DeltaTable(str(root), version).to_pandas()
    return sorted(frame[["run_id", "feature", "psi"]].itertuples(index=False, name=None))


# In a bucket


def in_bucket(uri: str, rows: Mapping[str | None, Sequence[int]], run_id: str = "run") -> int:
    files = write_files(table_of(rows), uri, ["p"], run_id)
    return commit(change(uri, files, run_id=run_id))


def shown_in(uri: str) -> Rows:
    rows = DeltaTable(uri).to_pyarrow_table().to_pydict()
    return sorted(zip(rows["p"], rows["x"], strict=True), key=repr)


def test_any_string_is_a_partition_in_a_bucket(bucket: str) -> None:
    uri = f"{bucket}/a table/of scores"
    assert in_bucket(uri, {value: [1] for value in WEIRD}) == 0
    assert in_bucket(uri, {value: [2] for value in WEIRD[::2]}) == 1
    expected = {value: [2 if i % 2 == 0 else 1] for i, value in enumerate(WEIRD)}
    assert shown_in(uri) == pairs(expected)
    assert delta.read(uri, ["x"], (("p", "a/b"),)).to_pydict() == {"x": expected["a/b"]}


def test_writers_at_once_in_a_bucket_all_get_in(bucket: str) -> None:
    uri = f"{bucket}/table"
    with ThreadPoolExecutor(6) as pool:
        versions = list(pool.map(lambda i: in_bucket(uri, {f"{i}": [i]}, f"{i}"), range(6)))
    assert sorted(versions) == list(range(6))
    assert shown_in(uri) == pairs({f"{i}": [i] for i in range(6)})


@pytest.mark.parametrize("start", [None, {"a": [1]}], ids=str)
def test_a_conflict_in_a_bucket_is_told(
    bucket: str, start: dict | None, just_before: Callable
) -> None:
    uri = f"{bucket}/table"
    if start is not None:
        in_bucket(uri, start)
    just_before(lambda: in_bucket(uri, {"a": [20]}, "rival"))
    with pytest.raises(OutputError, match="another run committed the same partitions meanwhile"):
        in_bucket(uri, {"a": [10], "b": [11]}, "mine")
    assert shown_in(uri) == [("a", 20)]


def test_objects_of_others_are_refused(bucket: str) -> None:
    storage.write(f"{bucket}/data/part-0.parquet", b"precious")
    for attempt in (
        lambda: write_files(table_of({"a": [1]}), f"{bucket}/data", ["p"], "t"),
        lambda: commit(change(f"{bucket}/data")),
    ):
        with pytest.raises(OutputError, match=r"part-0\.parquet"):
            attempt()
    assert storage.names(bucket) == ["data/part-0.parquet"]


# Reading


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.string(), ["a/b", "é", None]),
        (pa.int32(), [1, -2, None]),
        (pa.bool_(), [True, False, None]),
        (pa.date32(), [datetime.date(2024, 1, 31), datetime.date(1, 1, 1), None]),
    ],
    ids=str,
)
def test_reading_gives_a_partition_or_all(root: Path, kind: pa.DataType, values: list) -> None:
    assert not delta.exists(str(root))
    table = pa.table({"p": pa.array(values, kind), "x": [1, 2, 3]})
    put(root, pa.table({"p": pa.array(values[:1], kind), "x": [9]}))
    put(root, table)
    assert delta.exists(str(root))
    found = delta.read(str(root), ["p", "x"], ()).to_pylist()
    assert sorted(found, key=repr) == sorted(table.to_pylist(), key=repr)
    for x, value in enumerate(values, start=1):
        one = delta.read(str(root), ["x"], (("p", partition_text("p", value)),))
        assert one.to_pydict() == {"x": [x]}


def test_the_same_run_twice_is_in_the_history_once(root: Path) -> None:
    one = [("2013-10-01 a/b", "f0", 0.5), ("2013-10-01 a/b", "f1", 1.5)]
    two = [("run'2", "f0", 2.5)]
    for _ in range(2):
        replace_rows(str(root), drift(one[0][0], [0.5, 1.5]), "run_id", one[0][0])
    assert history(root) == one
    for _ in range(2):
        replace_rows(str(root), drift("run'2", [2.5]), "run_id", "run'2")
    assert history(root) == one + two == replayed_history(root)
    version = replace_rows(str(root), drift(one[0][0], [3.5]), "run_id", one[0][0])
    assert history(root) == [(one[0][0], "f0", 3.5), *two]
    assert (version, commits(root)) == (4, 5)
    assert replace_rows(str(root), drift("", []), "run_id", one[0][0]) == 5
    assert history(root) == two == replayed_history(root)
    assert history(root, version=3) == one + two


def replayed_history(root: Path) -> list[tuple]:
    return sorted(tuple(row) for row in replayed(root))


def test_the_history_takes_rows_of_its_value_only(root: Path) -> None:
    replace_rows(str(root), drift("one", [0.5]), "run_id", "one")
    for rows in (drift("two", [1.5]), pa.concat_tables([drift("one", [1.0]), drift("two", [2.0])])):
        with pytest.raises(OutputError, match="'two'"):
            replace_rows(str(root), rows, "run_id", "one")
    with pytest.raises(OutputError, match="by verdict"):
        replace_rows(str(root), drift("one", [1.5]), "verdict", "one")
    assert history(root) == [("one", "f0", 0.5)]


def test_runs_are_added_to_the_history_at_once(root: Path) -> None:
    jobs = [
        lambda i=i: replace_rows(str(root), drift(f"r{i}", [i]), "run_id", f"r{i}")
        for i in range(6)
    ]
    assert sorted(at_once(jobs)) == list(range(6))
    assert history(root) == [(f"r{i}", "f0", float(i)) for i in range(6)]


KEYS = {
    pa.string(): st.text(min_size=1, max_size=6),
    pa.int16(): st.integers(-(2**15), 2**15 - 1),
    pa.date32(): st.dates(),
    pa.bool_(): st.booleans(),
}


@st.composite
def histories(draw: st.DrawFn) -> tuple[pa.DataType, list[dict[object, list[list[int]]]]]:
    """Commits, each a number of blocks of rows for some of a few partitions."""
    kind = draw(st.sampled_from([*KEYS]))
    keys = draw(st.lists(st.none() | KEYS[kind], min_size=1, max_size=4, unique_by=repr))
    blocks = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=3), max_size=3)
    change = st.dictionaries(st.sampled_from(keys), blocks, max_size=len(keys))
    return kind, draw(st.lists(change, min_size=1, max_size=5))


@given(histories())
@settings(max_examples=40, deadline=None)
def test_a_table_is_the_last_commit_of_each_partition(
    tmp_path_factory: pytest.TempPathFactory,
    drawn: tuple[pa.DataType, list[dict[object, list[list[int]]]]],
) -> None:
    kind, changes = drawn
    root = tmp_path_factory.mktemp("property") / "table"
    schema = pa.schema([("x", pa.int64()), ("p", kind)])
    model: dict[object, list[int]] = {}
    generations = []
    for number, blocks_of in enumerate(changes):
        files: list[WrittenFile] = []
        for depth in range(3):
            flat = [(p, x) for p, blocks in blocks_of.items() for x in [*blocks, [], [], []][depth]]
            columns = {"x": [x for _, x in flat], "p": [p for p, _ in flat]}
            write_files(pa.table(columns, schema), str(root), ["p"], "not accepted")
            files += write_files(pa.table(columns, schema), str(root), ["p"], f"block {depth}")
        emptied = [
            (("p", partition_text("p", p)),) for p, blocks in blocks_of.items() if not blocks
        ]
        assert commit(change(root, files, schema=schema, replaced=emptied)) == number
        model |= {p: [x for block in blocks for x in block] for p, blocks in blocks_of.items()}
        generations.append(sorted(((p, x) for p, xs in model.items() for x in xs), key=repr))
    for version, expected in enumerate(generations):
        back = pa.table(DeltaTable(str(root), version).to_pyarrow_table())
        found = zip(back["p"].to_pylist(), back["x"].to_pylist(), strict=True)
        assert sorted(found, key=repr) == expected
        texts = sorted(((partition_text("p", p), x) for p, x in expected), key=repr)
        assert replayed(root, version) == texts


# The fence: what the caller has not seen is not replaced.


def fenced(root: Path, rows: Mapping[str | None, Sequence[int]], run_id: str, since: int) -> int:
    files = write_files(table_of(rows), str(root), ["p"], run_id)
    return commit(change(root, files, run_id=run_id, seen_version=since))


def test_a_commit_is_refused_if_its_partitions_have_changed_since(root: Path) -> None:
    assert fenced(root, {"a": [1]}, "first", -1) == 0
    with pytest.raises(OutputError, match="another run committed the same partitions meanwhile"):
        fenced(root, {"a": [2]}, "late", -1)
    is_as(root, {"a": [1]})
    assert fenced(root, {"a": [2], "b": [2]}, "second", 0) == 1
    # Another partition has changed, which is no obstacle.
    assert fenced(root, {"c": [3]}, "third", 0) == 2
    with pytest.raises(OutputError, match="another run committed the same partitions meanwhile"):
        fenced(root, {"b": [4], "d": [4]}, "fourth", 0)
    is_as(root, {"a": [2], "b": [2], "c": [3]})
    assert fenced(root, {"b": [4]}, "fourth", 2) == 3


def test_a_commit_that_was_made_is_not_refused_when_tried_again(root: Path) -> None:
    files = write_files(table_of({"a": [1]}), str(root), ["p"], "run")
    for _ in range(2):
        assert commit(change(root, files, seen_version=-1)) == 0
    assert commits(root) == 1


def test_the_check_refuses_what_the_commit_would(root: Path) -> None:
    target = [(("p", "a"),)]
    assert delta.check(change(root, replaced=target, seen_version=-1)) == -1
    put(root, {"a": [1]})
    put(root, {"b": [1]})
    assert delta.check(change(root)) == 1
    assert delta.check(change(root, replaced=target, seen_version=0)) == 1
    with pytest.raises(OutputError, match="another run committed"):
        delta.check(change(root, replaced=target, seen_version=-1))
    with pytest.raises(OutputError, match="columns x double; expected columns x long"):
        delta.check(change(root, schema=pa.schema([("p", pa.string()), ("x", pa.float64())])))
    assert commits(root) == 2


def test_a_commit_is_known_by_all_its_ids(root: Path) -> None:
    assert delta.committed(str(root), "night") is None
    for version, run_id in enumerate(("one", "two")):
        files = write_files(table_of({"a": [version]}), str(root), ["p"], run_id)
        assert commit(change(root, files, run_id=run_id, other_ids=["night"])) == version
    assert [delta.committed(str(root), name) for name in ("one", "two", "night")] == [0, 1, 1]
    assert delta.committed(str(root), "other") is None


def test_what_stands_beside_a_new_table_is_not_foreign(root: Path) -> None:
    (root / protocol.INTERNAL_FOLDER / "journal").mkdir(parents=True)
    (root / protocol.INTERNAL_FOLDER / "journal" / "run.json").write_text("{}")
    put(root, {"a": [1]})
    is_as(root, {"a": [1]})
