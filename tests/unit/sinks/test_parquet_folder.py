import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lasso_jobs.data.discover import discover
from lasso_jobs.errors import OutputError
from lasso_jobs.sinks import delta as sinks
from lasso_jobs.sinks import parquet_folder as sink
from lasso_jobs.sinks import parquet_log
from lasso_jobs.sinks.protocol import Partition
from lasso_jobs.storage import files as storage

from .changes import SCHEMA, change

Rows = Mapping[str | None, Sequence[int]]


def table_of(rows: Rows) -> pa.Table:
    pairs = [(p, x) for p, xs in rows.items() for x in xs]
    return pa.table({"p": [p for p, _ in pairs], "x": [x for _, x in pairs]}, SCHEMA)


def put(
    root: str,
    rows: Rows | pa.Table,
    by: Sequence[str] = ("p",),
    run_id: str = "run",
    replace: Sequence[Partition] = (),
) -> int:
    """Stage and commit, as a job does."""
    table = rows if isinstance(rows, pa.Table) else table_of(rows)
    files = sink.write_files(table, root, by, run_id)
    return sink.commit(
        change(root, files, schema=table.schema, partition_by=by, run_id=run_id, replaced=replace)
    )


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where nothing is yet, on disk and in a bucket."""
    if request.param == "local":
        return str(tmp_path / "a folder")
    return f"{request.getfixturevalue('bucket')}/scores"


def shown(root: str) -> list[tuple[Any, ...]]:
    """What a tool sees that looks at the folder only."""
    if storage.is_uri(root):
        found = []
        for file in discover(root).files:
            content = pa.BufferReader(storage.read(file.identity.path))
            value = file.identity.constants[0][1].as_py()
            found += [(value, x) for x in pq.read_table(content)["x"].to_pylist()]
        return sorted(found, key=repr)
    hive = ds.partitioning(SCHEMA.remove(1), flavor="hive")
    dataset = ds.dataset(root, SCHEMA, partitioning=hive)
    rows = dataset.to_table(columns=["p", "x"]).to_pydict()
    return sorted(zip(rows["p"], rows["x"], strict=True), key=repr)


def logged(root: str) -> list[tuple[Any, ...]]:
    """What the log says."""
    rows = sink.read(root, ["p", "x"], ()).to_pydict()
    return sorted(zip(rows["p"], rows["x"], strict=True), key=repr)


def is_as(root: str, rows: Rows) -> None:
    assert shown(root) == logged(root) == pairs(rows)


def pairs(rows: Rows) -> list[Any]:
    return sorted(((p, x) for p, xs in rows.items() for x in xs), key=repr)


def test_nothing_is_seen_before_the_commit(root: str) -> None:
    assert not sink.exists(root)
    put(root, {"a": [1]})
    assert sink.exists(root)
    files = sink.write_files(table_of({"a": [2], "b": [3]}), root, ["p"], "run")
    is_as(root, {"a": [1]})
    assert sink.commit(change(root, files)) == 1
    is_as(root, {"a": [2], "b": [3]})
    assert not [n for n in storage.names(root) if n.startswith(parquet_log.STAGED)]


def test_a_commit_replaces_its_partitions_only(root: str) -> None:
    put(root, {"a": [1], "b": [2], None: [3]})
    assert put(root, {"b": [4, 5], "c/d": [6]}) == 1
    is_as(root, {"a": [1], "b": [4, 5], None: [3], "c/d": [6]})
    assert put(root, {None: [7]}, replace=[(("p", "a"),)]) == 2
    is_as(root, {"b": [4, 5], None: [7], "c/d": [6]})


def test_the_same_commit_again_changes_nothing(root: str) -> None:
    files = sink.write_files(table_of({"a": [1], "b": [2]}), root, ["p"], "run")
    for _ in range(2):
        assert sink.commit(change(root, files)) == 0
    is_as(root, {"a": [1], "b": [2]})


def test_other_tools_read_the_folder(tmp_path: Path) -> None:
    root = str(tmp_path / "scores")
    for day in (1, 2):
        days = pa.array([datetime.date(2024, 1, day)] * 2)
        put(root, pa.table({"day": days, "x": [day, day + 10]}), ["day"])
    sink.write_files(pa.table({"day": [datetime.date(2024, 1, 3)], "x": [0]}), root, ["day"], "t")
    expected = [("2024-01-01", 1), ("2024-01-01", 11), ("2024-01-02", 2), ("2024-01-02", 12)]
    for pattern in ("*/*.parquet", "**/*.parquet"):
        rows = duckdb.sql(
            f"SELECT day::text, x FROM read_parquet('{root}/{pattern}', hive_partitioning=true)"
        )
        assert sorted(rows.fetchall()) == expected
    frame = pd.read_parquet(root)
    assert sorted(zip(frame["day"].astype(str), frame["x"], strict=True)) == expected
    found = discover(root)
    assert found.n_rows == 4
    assert found.constants == ("day",)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.int64(), [1, -2, None]),
        (pa.int8(), [1, -2, None]),
        (pa.bool_(), [True, False, None]),
        (pa.date32(), [datetime.date(2024, 1, 31), datetime.date(1, 1, 1), None]),
        (pa.string(), ["a/b", "é %", None]),
    ],
    ids=str,
)
def test_typed_partitions_are_read_back(tmp_path: Path, kind: pa.DataType, values: list) -> None:
    root = str(tmp_path / "scores")
    table = pa.table({"p": pa.array(values, kind), "x": [1, 2, 3]})
    put(root, table)
    found = sink.read(root, ["p", "x"], ())
    assert found.schema == table.schema
    assert sorted(found.to_pylist(), key=repr) == sorted(table.to_pylist(), key=repr)
    one = sink.read(root, ["x"], (("p", None),))
    assert one.to_pydict() == {"x": [3]}


def test_without_partition_columns_the_whole_is_replaced(tmp_path: Path) -> None:
    root = str(tmp_path / "scores")
    put(root, {"a": [1], "b": [2]}, by=())
    put(root, {"c": [3]}, by=())
    assert pd.read_parquet(root).to_dict("list") == {"p": ["c"], "x": [3]}


class KilledError(Exception):
    """Nothing catches it, as nothing catches a kill."""


STEPS = ("create", "move", "remove", "write")


def killed_at(moment: int, act: Callable[[], object]) -> bool:
    """Do something whose step of that number, counted from 0, does not happen; or all of it."""
    steps = iter(range(100))

    def killing(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            if next(steps) == moment:
                raise KilledError
            return function(*arguments)

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        for name in STEPS:
            patch.setattr(storage, name, killing(getattr(storage, name)))
        try:
            act()
        except KilledError:
            return True
    return False


def seen_by_others(root: str) -> list[tuple[Any, ...]]:
    """The rows of those who list the folder: pandas, Polars and DuckDB, which agree."""
    pattern, found = f"{root}/**/*.parquet", []
    if next(Path(root).glob("p=*/*.parquet"), None) is None:
        return []
    frame = pd.read_parquet(root)
    found.append(zip(frame["p"].astype(str), frame["x"], strict=True))
    found.append(pl.read_parquet(pattern, hive_partitioning=True).select("p", "x").rows())
    query = f"SELECT p, x FROM read_parquet('{pattern}', hive_partitioning=true)"
    found.append(duckdb.sql(query).fetchall())
    one, *others = (sorted(tuple(row) for row in rows) for rows in found)
    assert all(other == one for other in others)
    return one


ENTRIES: dict[str, Callable[[str], object]] = {
    "the state of a date": lambda root: sink.committed(root, "date 1"),
    "existence": sink.exists,
    "history": lambda root: list(sink.history(root)),
    "read": lambda root: sink.read(root, ["x"], ()),
    "commit": lambda root: put(root, {"z": []}, replace=[(("p", "z"),)]),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_whoever_asks_after_a_kill_carries_the_commit_out(tmp_path: Path, entry: str) -> None:
    old, new = {"a": [1], "b": [2], "c": [3]}, {"a": [4, 5], "b": [6]}
    wholes = {name: [pairs({name: rows.get(name, [])}) for rows in (old, new)] for name in "ab"}
    for moment in range(100):
        root = str(tmp_path / f"killed at {moment}")
        put(root, old)
        files = sink.write_files(table_of(new), root, ["p"], "run")
        again = change(root, files, run_id="second", other_ids=["date 1"])
        killed = killed_at(moment, lambda again=again: sink.commit(again))
        seen = seen_by_others(root)
        halves = [n for n in "ab" if [row for row in seen if row[0] == n] not in wholes[n]]
        assert len(halves) <= 1  # the one partition whose turn it was
        is_logged = len([*Path(root).glob("_lasso/*.json")]) == 2
        ENTRIES[entry](root)
        assert seen_by_others(root) == pairs({**old, **new} if is_logged else old)
        # Only now, as its rows were seen.
        assert sink.committed(root, "date 1") == (1 if is_logged else None)
        if not killed:
            assert moment >= 6
            return
    raise AssertionError("the commit never came to its end")


@pytest.mark.parametrize("moment", range(1, 7))
def test_staged_files_that_are_lost_after_a_kill_block_their_own_date_alone(
    tmp_path: Path, moment: int
) -> None:
    """A clean-up by age takes what a killed commit had yet to move in."""
    root = str(tmp_path / "scores")
    put(root, {"a": [1], "b": [2], "c": [3]}, run_id="first")
    files = sink.write_files(table_of({"a": [4], "b": [5], "d": [6]}), root, ["p"], "run")
    again = change(root, files, run_id="second", other_ids=["date 1"])
    assert killed_at(moment, lambda: sink.commit(again))
    staged = [*Path(root, "_lasso", "staged").rglob("*.staged")]
    for path in staged:
        path.unlink()
    # Rows of the one partition whose turn it was are gone; its date is not done, and scored again.
    assert sink.committed(root, "date 1") == (None if staged else 1)
    seen = seen_by_others(root)
    by_partition = {name: [x for p, x in seen if p == name] for name in "abcd"}
    assert by_partition["c"] == [3]
    assert all(
        by_partition[name] in ([], [old], [new]) for name, old, new in (("a", 1, 4), ("b", 2, 5))
    )
    assert sum(not by_partition[name] for name in "ab") <= 1
    assert logged(root) == seen
    put(root, {"c": [7]}, run_id="another date")
    assert [row for row in seen_by_others(root) if row[0] == "c"] == [("c", 7)]
    assert sink.committed(root, "date 1") == (None if staged else 1)
    put(root, {"a": [8], "b": [9], "d": [10]}, run_id="third")
    is_as(root, {"a": [8], "b": [9], "c": [7], "d": [10]})


@pytest.mark.parametrize("start", [None, {"a": [1], "b": [2]}], ids=str)
def test_whenever_a_commit_is_killed_the_log_has_old_or_new_and_the_rerun_mends(
    tmp_path: Path, start: Rows | None
) -> None:
    new = {"a": [3, 4], "c": [5]}
    before, after = pairs(start or {}), pairs({**(start or {}), **new})
    for moment in range(100):
        root = str(tmp_path / f"killed at {moment}")
        if start:
            put(root, start)
        files = sink.write_files(table_of(new), root, ["p"], "run")
        killed = killed_at(moment, lambda files=files, root=root: sink.commit(change(root, files)))
        seen = seen_by_others(root)
        assert len(set(seen)) == len(seen)
        assert set(seen) <= {*before, *after}
        assert (logged(root) if sink.exists(root) else []) in (before, after)
        put(root, new, run_id="rerun")
        is_as(root, {**(start or {}), **new})
        if not killed:
            assert moment >= 4
            break
    else:
        raise AssertionError("the commit never came to its end")


@pytest.fixture
def just_before(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Let somebody else act when a commit has looked at the log and is about to write."""

    def arrange(rival: Callable[[], object]) -> None:
        swap = sink._Turn.swap

        def wrapped(*arguments: Any) -> int | None:
            monkeypatch.setattr(sink._Turn, "swap", swap)
            rival()
            return swap(*arguments)

        monkeypatch.setattr(sink._Turn, "swap", wrapped)

    return arrange


@pytest.mark.parametrize("start", [None, {"a": [1]}], ids=str)
def test_a_concurrent_commit_to_the_same_partition_is_a_conflict(
    root: str, start: Rows | None, just_before: Callable
) -> None:
    if start is not None:
        put(root, start)
    just_before(lambda: put(root, {"a": [20]}, run_id="rival"))
    with pytest.raises(OutputError, match="another run committed the same partitions meanwhile"):
        put(root, {"a": [10], "c": [11]})
    is_as(root, {**(start or {}), "a": [20]})


def test_a_concurrent_commit_to_another_partition_is_no_conflict(
    root: str, just_before: Callable
) -> None:
    just_before(lambda: put(root, {"b": [20]}, run_id="rival"))
    assert put(root, {"a": [10]}) == 1
    is_as(root, {"a": [10], "b": [20]})


def test_who_was_overtaken_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, carry_out = str(tmp_path / "scores"), parquet_log.carry_out
    put(root, {"a": [1]})
    slow: list[tuple[Any, ...]] = []
    with monkeypatch.context() as patch:
        patch.setattr(parquet_log, "carry_out", lambda *a: slow.append(a))
        assert put(root, {"a": [2]}) == 1
    put(root, {"a": [3], "b": [4]})
    (tmp_path / "scores" / "_lasso" / "00000001.done").unlink()
    for arguments in slow:
        carry_out(*arguments)
    is_as(root, {"a": [3], "b": [4]})


def test_many_writers_all_get_in(root: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        versions = list(pool.map(lambda i: put(root, {f"{i}": [i]}, run_id=f"{i}"), range(6)))
    assert sorted(versions) == list(range(6))
    is_as(root, {f"{i}": [i] for i in range(6)})


def test_other_columns_or_partitions_are_refused(root: str) -> None:
    put(root, {"a": [1]})
    with pytest.raises(OutputError, match="columns x double; expected columns x long"):
        put(root, pa.table({"p": ["a"], "x": [1.5]}))
    with pytest.raises(OutputError, match="partitions by x; expected partitions by p"):
        put(root, {"a": [2]}, by=["x"])
    is_as(root, {"a": [1]})


def test_places_of_others_are_refused(root: str) -> None:
    storage.write(storage.join(root, "p=a/part-0.parquet"), b"precious")
    with pytest.raises(OutputError, match=r"holds p=a/part-0\.parquet"):
        put(root, {"a": [1]})
    assert storage.names(root) == ["p=a/part-0.parquet"]


def test_a_delta_table_and_a_folder_do_not_mix(tmp_path: Path) -> None:
    root = str(tmp_path / "scores")
    put(root, {"a": [1]})
    with pytest.raises(OutputError, match="_lasso/"):
        sinks.write_files(table_of({"a": [1]}), root, ["p"], "run")
    delta = str(tmp_path / "delta")
    files = sinks.write_files(table_of({"a": [1]}), delta, ["p"], "run")
    sinks.commit(change(delta, files))
    with pytest.raises(OutputError, match="holds _delta_log/"):
        put(delta, {"a": [1]})


def test_the_log_says_which_run_wrote_what(tmp_path: Path) -> None:
    root = str(tmp_path / "scores")
    files = sink.write_files(table_of({"a": [1]}), root, ["p"], "r1")
    sink.commit(change(root, files, run_id="r1", metadata={"model": "m@v1"}))
    entry = json.loads((tmp_path / "scores/_lasso/00000000.json").read_text())
    assert (entry["run_id"], entry["metadata"]) == ("r1", {"model": "m@v1"})
    assert [f["path"] for f in entry["files"]] == [files[0].path]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["a", "b", None]), st.lists(st.integers(0, 9), max_size=3)),
        max_size=5,
    )
)
def test_a_folder_is_the_last_commit_of_each_partition(
    tmp_path_factory: pytest.TempPathFactory, commits: list[Rows]
) -> None:
    root = str(tmp_path_factory.mktemp("property") / "scores")
    expected: dict[str | None, Sequence[int]] = {}
    for i, rows in enumerate(commits):
        put(root, rows, replace=[(("p", p),) for p in rows])
        expected |= rows
        assert shown(root) == pairs(expected)
        assert logged(root) == pairs(expected)
        assert parquet_log.newest(root).version == i
