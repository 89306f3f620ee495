import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyarrow import fs

from lasso_jobs.errors import OutputError
from lasso_jobs.sinks import delta_log
from lasso_jobs.sinks.delta import commit, write_files
from lasso_jobs.sinks.protocol import WrittenFile

from .changes import SCHEMA, change

# Some of these end a line for str.splitlines, and none of them does in the log.
ODD = ("a", "a b", "é%2F", "x\x85y", "\u2028", None)


def put(root: Path, rows: dict[str | None, int], run_id: str = "run") -> tuple[WrittenFile, ...]:
    table = pa.table({"p": [*rows], "x": [*rows.values()]}, SCHEMA)
    files = write_files(table, str(root), ["p"], run_id)
    commit(change(root, files, run_id=run_id, metadata={"said": f"by {run_id}"}))
    return files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "table"


def test_metadata_is_that_of_the_commits_newest_first(root: Path) -> None:
    put(root, dict.fromkeys(ODD, 1), "first")
    put(root, {"a": 2}, "second")
    found = list(delta_log.metadata(str(root)))
    assert [(version, m["run_id"], m["said"]) for version, m in found] == [
        (1, "second", "by second"),
        (0, "first", "by first"),
    ]
    assert list(delta_log.metadata(str(root / "nothing"))) == []


def test_the_version_of_no_table_is_minus_one(root: Path) -> None:
    assert delta_log.version(str(root)) == -1
    put(root, {"a": 1})
    assert delta_log.version(str(root)) == 0


def test_files_of_a_version_are_those_that_were_written(root: Path) -> None:
    first = put(root, dict.fromkeys(ODD, 1))
    second = put(root, {"a": 2, None: 3})
    kept = [f for f in first if f.partition not in {g.partition for g in second}]
    assert sorted(delta_log.files_at(str(root), 0), key=repr) == sorted(first, key=repr)
    assert sorted(delta_log.files_at(str(root), 1), key=repr) == sorted([*kept, *second], key=repr)
    chosen = {(("p", None),), (("p", "x\x85y"),)}
    found = delta_log.files_at(str(root), 0, chosen)
    assert {f.partition for f in found} == chosen
    with pytest.raises(OutputError, match="version 2"):
        delta_log.files_at(str(root), 2)


def test_named_files_are_all_that_any_version_has(root: Path) -> None:
    first, second = put(root, dict.fromkeys(ODD, 1)), put(root, dict.fromkeys(ODD, 2))
    lost = write_files(pa.table({"p": ["a"], "x": [3]}, SCHEMA), str(root), ["p"], "lost")
    every = {file.path for file in (*first, *second)}
    assert delta_log.named_files(str(root)) == every
    assert lost[0].path not in every
    assert all((root / path).exists() for path in every)
    DeltaTable(root).create_checkpoint()
    for path in (root / "_delta_log").glob("*.json"):
        path.unlink()
    # A checkpoint names what its version shows, and what was lately taken out.
    assert {file.path for file in second} <= delta_log.named_files(str(root)) <= every


def test_the_log_is_kept(root: Path) -> None:
    put(root, {"a": 1})
    configuration = DeltaTable(root).metadata().configuration
    assert configuration == {"delta.enableExpiredLogCleanup": "false"}


def test_a_damaged_log_is_named(root: Path) -> None:
    put(root, {"a": 1})
    path = root / "_delta_log" / f"{0:020d}.json"
    path.write_text(path.read_text()[:-30])
    with pytest.raises(OutputError, match="an intact commit"):
        list(delta_log.metadata(str(root)))


def test_local_files_are_opened_by_arrow_and_not_in_python(tmp_path: Path) -> None:
    root = str(tmp_path / "a table")
    write_deltalake(
        root, pa.table({"größe %": ["a b", "c"], "x": [1, 2]}), partition_by=["größe %"]
    )
    dataset = delta_log.dataset(root)
    assert isinstance(dataset.filesystem, fs.SubTreeFileSystem)
    assert isinstance(dataset.filesystem.base_fs, fs.LocalFileSystem)
    assert sorted(dataset.to_table().to_pylist(), key=str) == [
        {"größe %": "a b", "x": 1},
        {"größe %": "c", "x": 2},
    ]


def test_what_other_writers_commit_is_seen_in_a_table_that_is_kept_open(root: Path) -> None:
    def by_another(run_id: str) -> None:
        with ThreadPoolExecutor(1) as pool:  # a thread keeps no tables of ours
            pool.submit(put, root, {"a": 1}, run_id).result()

    put(root, {"a": 1}, "one")
    with delta_log.kept_open():
        ids = ("one", "two", "three")
        assert [delta_log.application_version(str(root), id_) for id_ in ids] == [0, None, None]
        by_another("two")
        assert delta_log.version(str(root)) == 1
        assert [delta_log.application_version(str(root), id_) for id_ in ids] == [0, 1, None]
        by_another("one")
        put(root, {"b": 1}, "three")
        assert [delta_log.application_version(str(root), id_) for id_ in ids] == [2, 1, 3]


def test_the_files_of_a_table_that_is_kept_open_are_followed_commit_by_commit(root: Path) -> None:
    def both() -> tuple[object, object]:
        with delta_log.kept_open():
            anew = delta_log.kept_files(str(root), delta_log.opened(str(root)))
        return delta_log.kept_files(str(root), delta_log.opened(str(root))), anew

    put(root, dict.fromkeys(ODD, 1), "first")
    assert delta_log.kept_files(str(root), delta_log.opened(str(root))) is None
    with delta_log.kept_open():
        followed, anew = both()
        assert followed == anew and len(followed) == len(ODD)
        put(root, {"a b": 2, "new": 3}, "second")
        followed, anew = both()
        assert followed == anew and len(followed) == len(ODD) + 1
        commit(change(root, [], run_id="third", replaced=[(("p", None),), (("p", "a"),)]))
        followed, anew = both()
        assert followed == anew and len(followed) == len(ODD) - 1


def test_partitions_of_kept_files_are_in_the_order_of_the_table(root: Path) -> None:
    def put(g: int, b: str) -> None:
        table = pa.table({"b": [b], "g": [g], "x": [1]})
        files = write_files(table, str(root), ["g", "b"], "run")
        added = {"schema": table.schema, "partition_by": ["g", "b"]}
        commit(change(root, files, run_id=f"{g}{b}", **added))

    with delta_log.kept_open():
        for g, b in ((1, "x"), (2, "y"), (3, "z"), (2, "y")):
            put(g, b)
            files = delta_log.kept_files(str(root), delta_log.opened(str(root)))
        partitions = {file.partition for file in files.values()}
    assert partitions == {
        (("g", "1"), ("b", "x")),
        (("g", "2"), ("b", "y")),
        (("g", "3"), ("b", "z")),
    }
    assert len(files) == 3


def test_a_partition_that_another_writer_calls_an_empty_text_is_that_of_null(root: Path) -> None:
    put(root, {None: 1, "a": 1}, "first")
    with delta_log.kept_open():
        before = delta_log.kept_files(str(root), delta_log.opened(str(root)))
        (path,) = (path for path, file in before.items() if file.partition == (("p", None),))
        log = root / "_delta_log"
        actions = [json.loads(line) for line in (log / f"{0:020}.json").read_text().splitlines()]
        (add,) = (each["add"] for each in actions if each.get("add", {}).get("path") == path)
        remove = {"path": path, "deletionTimestamp": 0, "dataChange": False}
        again = [{"remove": remove}, {"add": {**add, "partitionValues": {"p": ""}}}]
        (log / f"{1:020}.json").write_text("\n".join(map(json.dumps, again)))
        after = delta_log.kept_files(str(root), delta_log.opened(str(root)))
        assert {file.partition for file in after.values()} == {(("p", None),), (("p", "a"),)}
