"""What every sink promises alike: the fence, the early check, ids of commits, the history."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lasso_jobs.errors import OutputError
from lasso_jobs.sinks import database, protocol
from lasso_jobs.sinks.protocol import Partition, Sink
from lasso_jobs.storage import files as storage

from .changes import SCHEMA, change

OVERTAKEN = "another run committed the same partitions meanwhile"
Rows = dict[str | None, list[int]]


class Output:
    """A place that a sink writes to."""

    def __init__(self, sink: Sink, root: str) -> None:
        self.sink, self.root = sink, root

    def put(self, rows: Rows, run_id: str = "run", **options: Any) -> int:
        pairs = [(p, x) for p, xs in rows.items() for x in xs]
        table = pa.table({"p": [p for p, _ in pairs], "x": [x for _, x in pairs]}, SCHEMA)
        files = self.sink.write_files(table, self.root, ["p"], run_id)
        said = {"said": f"by {run_id}"}
        return self.sink.commit(change(self.root, files, run_id=run_id, metadata=said, **options))

    def check(
        self,
        schema: pa.Schema = SCHEMA,
        by: Sequence[str] = ("p",),
        replaced: Sequence[Partition] = (),
        seen_version: int | None = None,
    ) -> int:
        return self.sink.check(
            change(
                self.root,
                schema=schema,
                partition_by=by,
                replaced=replaced,
                seen_version=seen_version,
            )
        )

    def shown(self, partition: Partition = ()) -> Rows:
        rows: Rows = {}
        for row in self.sink.read(self.root, ["p", "x"], partition).to_pylist():
            rows.setdefault(row["p"], []).append(row["x"])
        return rows


@pytest.fixture(params=["delta", "delta in a bucket", "parquet", "parquet in a bucket", "database"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Output:
    kind, _, bucket = request.param.partition(" in a ")
    if kind == "database":
        request.getfixturevalue("postgresql")
        return Output(protocol.sink("postgresql"), f"promises_{uuid.uuid4().hex}")
    root = request.getfixturevalue("bucket") if bucket else str(tmp_path)
    return Output(protocol.sink(kind), f"{root}/scores")


@pytest.mark.parametrize("damage", ["missing", "short"])
def test_what_was_staged_and_is_gone_or_cut_is_not_committed(output: Output, damage: str) -> None:
    """A driver may stop for days between the two, and files be cleaned away meanwhile."""
    output.put({"a": [1], "b": [2]})
    table = pa.table({"p": ["a", "a", "b"], "x": [3, 4, 5]}, SCHEMA)
    files = output.sink.write_files(table, output.root, ["p"], "run")
    if output.sink.__name__ != "lasso_jobs.sinks.postgresql":
        place = output.sink.place_of(output.root, files[0].path)
        content = storage.read(place)
        storage.remove(place)
        if damage == "short":
            storage.write(place, content[:-1])
    else:
        with database.connected(output.root) as session:
            session.run(
                f"DROP TABLE {files[0].path}"
                if damage == "missing"
                else f"DELETE FROM {files[0].path} WHERE p = 'a'"
            )
            session.connection.commit()
    with pytest.raises(OutputError, match=r"is missing|bytes, not|not exist|the staging table"):
        output.sink.commit(change(output.root, files, run_id="second"))
    assert output.shown() == {"a": [1], "b": [2]}
    assert output.check() == 0
    assert output.sink.committed(output.root, "second") is None


def test_what_is_staged_is_seen_by_nobody_until_one_attempt_is_committed(output: Output) -> None:
    table = pa.table({"p": ["a", None, "a"], "x": [1, 2, 3]}, SCHEMA)
    attempts = [output.sink.write_files(table, output.root, ["p"], "run") for _ in range(2)]
    assert not output.sink.exists(output.root)
    for files in attempts:
        assert {f.partition: f.rows for f in files} == {(("p", "a"),): 2, (("p", None),): 1}
        assert {f.columns for f in files} == {("p string", "x long")}
    assert output.sink.commit(change(output.root, attempts[1])) == 0
    assert output.sink.exists(output.root)
    assert output.shown() == {"a": [1, 3], None: [2]}
    assert output.shown((("p", "a"),)) == {"a": [1, 3]}
    assert output.shown((("p", None),)) == {None: [2]}


def test_a_commit_empties_the_partitions_that_it_has_no_rows_for(output: Output) -> None:
    output.put({"a": [1], "b": [2]})
    assert output.put({"a": [3]}, "later", replaced=[(("p", "b"),)]) == 1
    assert output.shown() == {"a": [3]}
    assert output.put({}, "last", replaced=[(("p", "a"),)]) == 2
    assert output.shown() == {}


def test_a_change_that_does_not_fit_itself_is_refused(output: Output) -> None:
    output.put({"a": [1]})
    wrong = pa.table({"p": ["a"], "x": [0.5]})
    files = output.sink.write_files(wrong, output.root, ["p"], "run")
    with pytest.raises(OutputError, match="columns x double; expected columns x long"):
        output.sink.commit(change(output.root, files))
    with pytest.raises(OutputError, match="partition by q; expected partition by p"):
        output.put({}, replaced=[(("q", "a"),)])
    assert output.shown() == {"a": [1]}


def test_a_commit_is_refused_if_its_partitions_have_changed_since(output: Output) -> None:
    assert output.put({"a": [1]}, "first", seen_version=-1) == 0
    with pytest.raises(OutputError, match=OVERTAKEN):
        output.put({"a": [2]}, "late", seen_version=-1)
    assert output.shown() == {"a": [1]}
    assert output.put({"a": [2], "b": [2]}, "second", seen_version=0) == 1
    # Another partition has changed, which is no obstacle.
    assert output.put({"c": [3]}, "third", seen_version=0) == 2
    with pytest.raises(OutputError, match=OVERTAKEN):
        output.put({"b": [4], "d": [4]}, "fourth", seen_version=0)
    assert output.shown() == {"a": [2], "b": [2], "c": [3]}
    assert output.put({"b": [4]}, "fourth", seen_version=2) == 3
    assert output.shown() == {"a": [2], "b": [4], "c": [3]}


def test_a_commit_that_was_made_is_not_refused_when_tried_again(output: Output) -> None:
    table = pa.table({"p": ["a"], "x": [1]}, SCHEMA)
    files = output.sink.write_files(table, output.root, ["p"], "run")
    for _ in range(2):
        made = output.sink.commit(change(output.root, files, seen_version=-1))
        assert made == 0
    assert [version for version, _ in output.sink.history(output.root)] == [0]


def test_the_check_refuses_what_the_commit_would_and_changes_nothing(output: Output) -> None:
    target = [(("p", "a"),)]
    assert output.check(replaced=target, seen_version=-1) == -1
    assert not output.sink.exists(output.root)
    output.put({"a": [1]})
    output.put({"b": [1]})
    assert output.check() == 1
    assert output.check(replaced=target, seen_version=0) == 1
    with pytest.raises(OutputError, match=OVERTAKEN):
        output.check(replaced=target, seen_version=-1)
    with pytest.raises(OutputError, match=r"columns x double.*; expected columns x|x bigint"):
        output.check(pa.schema([("p", pa.string()), ("x", pa.float64())]))
    with pytest.raises(OutputError, match="by nothing"):
        output.check(by=())
    assert output.shown() == {"a": [1], "b": [1]}
    assert len(list(output.sink.history(output.root))) == 2


def test_an_output_says_which_columns_it_has(output: Output) -> None:
    assert output.sink.columns(output.root).names == []
    output.put({"a": [1]})
    there = output.sink.columns(output.root)
    assert {name: there.field(name).type for name in there.names}.items() >= {
        "x": pa.int64()
    }.items()
    assert sorted(there.names) == ["p", "x"]


def test_a_commit_is_known_by_all_its_ids(output: Output) -> None:
    committed = output.sink.committed
    assert committed(output.root, "night") is None
    for version, run_id in enumerate(("one", "two")):
        assert output.put({"a": [version]}, run_id, other_ids=["night", f"{run_id} 'x'"]) == version
    names = ("one", "two", "night", "one 'x'", "two 'x'")
    assert [committed(output.root, name) for name in names] == [0, 1, 1, 0, 1]
    assert committed(output.root, "other") is None
    assert committed(output.root, "nigh") is None


def test_the_history_is_of_every_commit_the_newest_first(output: Output) -> None:
    assert list(output.sink.history(output.root)) == []
    for run_id in ("one", "two", "three"):
        output.put({run_id: [1]}, run_id)
    found = [(version, said["said"]) for version, said in output.sink.history(output.root)]
    assert found == [(2, "by three"), (1, "by two"), (0, "by one")]


@contextmanager
def killed_before(patch: pytest.MonkeyPatch, name: str) -> Iterator[None]:
    """Whoever calls a function of the storage module ends."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    with patch.context() as only:
        only.setattr(f"lasso_jobs.storage.files.{name}", end)
        with pytest.raises(KeyboardInterrupt):
            yield


def test_the_check_does_not_carry_out_what_a_killed_commit_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Output(protocol.sink("parquet"), str(tmp_path / "scores"))
    output.put({"a": [1]})
    with killed_before(monkeypatch, "remove"):
        output.put({"a": [2]})
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    assert output.check() == 1
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before
    assert output.shown() == {"a": [2]}


@pytest.mark.parametrize("format_", protocol.FOLDERS)
def test_the_place_of_a_file_is_where_it_is(format_: protocol.Format, tmp_path: Path) -> None:
    sink, root = protocol.folder_sink(format_), str(tmp_path / "scores")
    table = pa.table({"p": ["a"], "x": [1]}, SCHEMA)
    (file,) = sink.write_files(table, root, ["p"], "run")
    content = Path(sink.place_of(root, file.path)).read_bytes()
    assert len(content) == file.size_bytes
    sink.commit(change(root, (file,)))
    assert sink.place_of(root, file.path) == f"{root}/{file.path}"
    assert Path(root, file.path).read_bytes() == content


def test_neither_kind_of_folder_takes_the_other_for_its_own(tmp_path: Path) -> None:
    for first, second in (("delta", "parquet"), ("parquet", "delta")):
        root = str(tmp_path / f"first {first}")
        Output(protocol.sink(first), root).put({"a": [1]})
        for attempt in (
            lambda other, root=root: Output(protocol.sink(other), root).check(),
            lambda other, root=root: Output(protocol.sink(other), root).put({"a": [2]}),
        ):
            with pytest.raises(OutputError, match="Name another output"):
                attempt(second)
        assert Output(protocol.sink(first), root).shown() == {"a": [1]}
