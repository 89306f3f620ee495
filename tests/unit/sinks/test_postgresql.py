import datetime
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lasso_jobs.errors import OutputError
from lasso_jobs.sinks import database
from lasso_jobs.sinks import postgresql as sink
from lasso_jobs.sinks.protocol import Partition, WrittenFile

from .changes import SCHEMA, change

Rows = Mapping[str | None, Sequence[int]]
_numbers = iter(range(10**6))


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


@pytest.fixture
def query(postgresql: str) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """Ask the database by a connection that the sink knows nothing of."""
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(postgresql, autocommit=True) as connection:

        def run(statement: str) -> list[tuple[Any, ...]]:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture
def root(postgresql: str) -> str:
    """The name of a table that is not there."""
    return f"table_{next(_numbers)}"


@pytest.fixture
def shown(query: Callable[..., list[tuple[Any, ...]]], root: str) -> Callable[[], list[Any]]:
    return lambda: sorted(query(f"SELECT p, x FROM {root}"), key=repr)


@pytest.fixture
def staged(query: Callable[..., list[tuple[Any, ...]]]) -> Callable[[], int]:
    return lambda: query("SELECT count(*) FROM pg_class WHERE relname ~ '^lasso_[0-9a-f]{32}$'")[0][
        0
    ]


def pairs(rows: Rows) -> list[Any]:
    return sorted(((p, x) for p, xs in rows.items() for x in xs), key=repr)


def test_the_first_commit_makes_the_table(root: str, shown: Callable) -> None:
    assert not sink.exists(root)
    assert put(root, {"a": [1, 2], "b": [3], None: [4]}) == 0
    assert sink.exists(root)
    assert shown() == pairs({"a": [1, 2], "b": [3], None: [4]})


def test_nothing_is_seen_before_the_commit_and_nothing_stays_behind(
    root: str, shown: Callable, staged: Callable
) -> None:
    put(root, {"a": [1]})
    before = staged()
    files = sink.write_files(table_of({"a": [2], "b": [3]}), root, ["p"], "run")
    assert shown() == pairs({"a": [1]})
    assert staged() == before + 1
    sink.commit(change(root, files))
    assert shown() == pairs({"a": [2], "b": [3]})
    assert staged() == before


def test_a_commit_replaces_its_partitions_only(root: str, shown: Callable) -> None:
    put(root, {"a": [1], "b": [2], None: [3]})
    assert put(root, {"b": [4, 5], "c": [6]}) == 1
    assert shown() == pairs({"a": [1], "b": [4, 5], None: [3], "c": [6]})
    assert put(root, {None: [7]}, replace=[(("p", "a"),)]) == 2
    assert shown() == pairs({"b": [4, 5], None: [7], "c": [6]})


def test_without_partition_columns_the_whole_table_is_replaced(root: str, shown: Callable) -> None:
    put(root, {"a": [1], "b": [2]}, by=())
    put(root, {"c": [3]}, by=())
    assert shown() == [("c", 3)]


def test_of_two_attempts_the_accepted_one_counts(root: str, shown: Callable) -> None:
    attempts = [sink.write_files(table_of({"a": [1]}), root, ["p"], "run") for _ in range(2)]
    sink.commit(change(root, attempts[1]))
    assert shown() == [("a", 1)]


def test_the_same_commit_again_changes_nothing(root: str, shown: Callable) -> None:
    files = sink.write_files(table_of({"a": [1], "b": [2]}), root, ["p"], "run")
    for _ in range(2):
        assert sink.commit(change(root, files)) == 0
    assert shown() == pairs({"a": [1], "b": [2]})


def test_files_of_several_workers_come_together(root: str, shown: Callable) -> None:
    files = [
        file
        for rows in ({"a": [1], "b": [2]}, {"b": [3]}, {})
        for file in sink.write_files(table_of(rows), root, ["p"], "run")
    ]
    sink.commit(change(root, files))
    assert shown() == pairs({"a": [1], "b": [2, 3]})


WEIRD = [
    "a b",
    "a'b",
    'a"b',
    "$1",
    "%",
    "\\",
    "é漢🙂",
    "null",
    "a\nb",
    "--",
    "x;DROP TABLE t",
    None,
]


def test_any_string_is_a_partition_and_any_name_a_column(root: str, query: Callable) -> None:
    by = 'the "p", or $1'
    for value in WEIRD:
        put(root, pa.table({by: pa.array([value], pa.string()), "x y": [1]}), [by])
    for value in WEIRD[::2]:
        put(root, pa.table({by: pa.array([value], pa.string()), "x y": [2]}), [by])
    expected = [(value, 2 if i % 2 == 0 else 1) for i, value in enumerate(WEIRD)]
    assert sorted(query(f"SELECT * FROM {root}"), key=repr) == sorted(expected, key=repr)
    assert sink.read(root, ["x y"], ((by, "$1"),)).to_pylist() == [{"x y": 1}]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.int64(), [1, -2, None]),
        (pa.int8(), [1, -2, None]),
        (pa.uint16(), [1, 2, None]),
        (pa.bool_(), [True, False, None]),
        (pa.date32(), [datetime.date(2024, 1, 31), datetime.date(1, 1, 1), None]),
        (pa.dictionary(pa.int8(), pa.string()), ["a", "b", None]),
    ],
    ids=str,
)
def test_typed_partitions(root: str, kind: pa.DataType, values: list[Any], query: Callable) -> None:
    for x in (1, 2):
        put(root, pa.table({"p": pa.array(values, kind), "x": [x] * 3}))
    put(root, pa.table({"p": pa.array(values[:1], kind), "x": [3]}))
    found = query(f"SELECT p, x FROM {root}")
    assert sorted(found, key=repr) == sorted(zip(values, (3, 2, 2), strict=True), key=repr)


def test_partitions_of_two_columns_are_tuples(root: str, query: Callable) -> None:
    rows = {"p": ["a", "a", "b"], "q": [1, 2, 1], "x": [1, 2, 3]}
    put(root, pa.table(rows), ["p", "q"])
    put(root, pa.table({"p": ["a"], "q": [1], "x": [9]}), ["p", "q"])
    assert sorted(query(f"SELECT x FROM {root}")) == [(2,), (3,), (9,)]


def test_values_come_back_as_they_went_in(root: str) -> None:
    time = datetime.datetime(2024, 1, 1, 12, 30, 1, 5, tzinfo=datetime.UTC)
    table = pa.table(
        {
            "i": pa.array([1, None], pa.int16()),
            "f": pa.array([1.5, None], pa.float32()),
            "d": pa.array([float("inf"), -0.0]),
            "n": pa.array([float("nan"), 1e-300]),
            "s": ["é'\n", ""],
            "b": [b"\x00\xff", None],
            "o": [True, None],
            "day": [time.date(), None],
            "t": pa.array([time, None], pa.timestamp("us", "UTC")),
            "naive": pa.array([time.replace(tzinfo=None), None], pa.timestamp("us")),
        }
    )
    put(root, table, by=())
    found = sink.read(root, table.column_names, ())
    assert found.schema.names == table.schema.names
    assert [str(a) for a in found.to_pylist()] == [str(a) for a in table.to_pylist()]


def test_decimals_are_exact(root: str, query: Callable) -> None:
    put(root, pa.table({"c": pa.array([Decimal("1234567.89")], pa.decimal128(9, 2))}), by=())
    assert query(f"SELECT c::text FROM {root}") == [("1234567.89",)]


def test_reading_gives_a_partition_or_all(root: str) -> None:
    put(root, {"a": [1], None: [2]})
    assert sink.read(root, ["x"], (("p", "a"),)).to_pydict() == {"x": [1]}
    assert sink.read(root, ["x"], (("p", None),)).to_pydict() == {"x": [2]}
    assert sorted(sink.read(root, ["x", "p"], ()).to_pydict()["x"]) == [1, 2]


# Several at once


@pytest.fixture
def just_before(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Let somebody else act when a commit has looked at the table and is about to write."""

    def arrange(rival: Callable[[], object]) -> None:
        swap = sink._Turn.swap

        def wrapped(*arguments: Any) -> int | None:
            monkeypatch.setattr(sink._Turn, "swap", swap)
            # In another session, while this one is inside a transaction.
            with ThreadPoolExecutor(1) as pool:
                pool.submit(rival).result()
            return swap(*arguments)

        monkeypatch.setattr(sink._Turn, "swap", wrapped)

    return arrange


@pytest.mark.parametrize("start", [None, {"a": [1]}, {"b": [1]}], ids=str)
@pytest.mark.parametrize("run_id", ["mine", "rival"])
def test_a_concurrent_commit_to_the_same_partition_is_a_conflict(
    root: str, start: Rows | None, run_id: str, just_before: Callable, shown: Callable
) -> None:
    if start is not None:
        put(root, start)
    just_before(lambda: put(root, {"a": [20]}, run_id="rival"))
    with pytest.raises(OutputError, match="another run committed the same partitions meanwhile"):
        put(root, {"a": [10], "c": [11]}, run_id=run_id)
    assert shown() == pairs({**(start or {}), "a": [20]})
    put(root, {"a": [10], "c": [11]}, run_id=run_id)
    assert shown() == pairs({**(start or {}), "a": [10], "c": [11]})


@pytest.mark.parametrize("start", [None, {"a": [1]}], ids=str)
def test_a_concurrent_commit_to_another_partition_is_no_conflict(
    root: str, start: Rows | None, just_before: Callable, shown: Callable
) -> None:
    if start is not None:
        put(root, start)
    just_before(lambda: put(root, {"b": [20]}, run_id="rival"))
    assert put(root, {"a": [10]}) == (1 if start is None else 2)
    assert shown() == pairs({"a": [10], "b": [20]})


def test_of_two_that_wait_for_each_other_one_wins_and_the_other_says_so(
    root: str, monkeypatch: pytest.MonkeyPatch, shown: Callable
) -> None:
    put(root, {"a": [0]})
    both, swap = threading.Barrier(2), sink._Turn.swap
    waited: set[int] = set()

    def together(*arguments: Any) -> int | None:
        if threading.get_ident() not in waited:
            waited.add(threading.get_ident())
            both.wait()
        return swap(*arguments)

    monkeypatch.setattr(sink._Turn, "swap", together)

    def attempt(number: int) -> str:
        try:
            put(root, {"a": [number]}, run_id=f"run {number}")
        except OutputError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(attempt, (1, 2)))
    (winner,) = (i + 1 for i, text in enumerate(said) if not text)
    assert "another run committed the same partitions meanwhile" in "".join(said)
    assert shown() == [("a", winner)]


def test_many_writers_of_a_new_table_all_get_in(root: str, shown: Callable) -> None:
    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(lambda i: put(root, {f"{i}": [i]}, run_id=f"{i}"), range(8)))
    assert sorted(versions) == list(range(8))
    assert shown() == pairs({f"{i}": [i] for i in range(8)})


def test_a_reader_sees_whole_generations_only(root: str, query: Callable) -> None:
    put(root, {"a": [0] * 100, "b": [0] * 50})
    done = threading.Event()

    def write() -> None:
        for i in range(1, 15):
            put(root, {"a": [i] * (100 + i)}, run_id=f"{i}")
        done.set()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        seen = set()
        while not done.is_set() and not writing.done():
            seen.update(query(f"SELECT p, count(*), min(x), max(x) FROM {root} GROUP BY p"))
        writing.result()
    assert {row for row in seen if row[0] == "b"} == {("b", 50, 0, 0)}
    assert all(n == 100 + low and low == high for p, n, low, high in seen if p == "a")
    assert len(seen) > 2


# What goes wrong


def test_a_commit_that_fails_leaves_the_table_as_it_was(
    root: str, query: Callable, shown: Callable
) -> None:
    put(root, {"a": [1]})
    query(f"ALTER TABLE {root} ADD CHECK (x < 100)")
    with pytest.raises(OutputError, match="violates check constraint"):
        put(root, {"a": [2], "b": [200]})
    assert shown() == [("a", 1)]
    assert put(root, {"a": [2]}) == 1
    query(f"CREATE UNIQUE INDEX ON {root} (x)")
    with pytest.raises(OutputError, match="unique constraint"):
        put(root, {"b": [2]})
    assert shown() == [("a", 2)]


def test_staged_rows_that_got_lost_are_missed(root: str, query: Callable, shown: Callable) -> None:
    put(root, {"a": [1]})
    (file,) = sink.write_files(table_of({"a": [2, 3]}), root, ["p"], "run")
    query(f"DELETE FROM {file.path} WHERE x = 2")  # as a crash of the server does with all
    with pytest.raises(OutputError, match="holds 1 rows; expected the 2 that were staged"):
        sink.commit(change(root, [file]))
    query(f"DROP TABLE {file.path}")
    with pytest.raises(OutputError, match="does not exist"):
        sink.commit(change(root, [file]))
    assert shown() == [("a", 1)]


def test_text_that_the_database_cannot_hold_is_told(root: str) -> None:
    with pytest.raises(OutputError, match="0x00"):
        put(root, pa.table({"p": ["a"], "s": ["a\0b"]}))


def test_a_staging_table_says_whose_it_is(root: str, query: Callable) -> None:
    (file,) = sink.write_files(table_of({"a": [2]}), root, ["p"], "it's mine")
    (((note,),)) = query(f"SELECT obj_description('{file.path}'::regclass)")
    assert f"staged by run it's mine for {root}" in note


def test_other_columns_or_partitions_are_refused(root: str, shown: Callable) -> None:
    put(root, {"a": [1]})
    with pytest.raises(OutputError, match="columns x double precision; expected columns x bigint"):
        put(root, pa.table({"p": ["a"], "x": [1.5]}))
    with pytest.raises(
        OutputError, match="is to get columns y bigint; expected no others than it has"
    ):
        put(root, pa.table({"p": ["a"], "x": [1], "y": [1]}))
    with pytest.raises(OutputError, match="partitions by x; expected partitions by p"):
        put(root, {"a": [2]}, by=["x"])
    assert shown() == [("a", 1)]


def test_a_table_with_rows_of_others_is_refused_and_an_empty_one_is_taken(
    root: str, query: Callable, shown: Callable
) -> None:
    query(f"CREATE TABLE {root} (p text, x bigint)")
    query(f"INSERT INTO {root} VALUES ('precious', 1)")
    with pytest.raises(OutputError, match="holds rows that no job committed"):
        put(root, {"a": [1]})
    assert shown() == [("precious", 1)]
    query(f"DELETE FROM {root}")
    put(root, {"a": [1]})
    assert shown() == [("a", 1)]


def test_a_schema_other_than_public(root: str, query: Callable) -> None:
    query(f"CREATE SCHEMA s_{root}")
    put(f"s_{root}.{root}", {"a": [1]})
    assert query(f"SELECT p, x FROM s_{root}.{root}") == [("a", 1)]
    with pytest.raises(OutputError, match=r"schema .* does not exist"):
        put(f"absent.{root}", {"a": [1]})


@pytest.mark.parametrize(
    "name", ["", "A", "a-b", "a.b.c", 'a"b', "s3://b/x", "a" * 56, "1a", "a;b"]
)
def test_what_is_no_name_of_a_table_is_refused(name: str, postgresql: str) -> None:
    for attempt in (sink.exists, lambda root: put(root, {"a": [1]})):
        with pytest.raises(OutputError, match="is no name of a table"):
            attempt(name)


SECRET = "do-not-show-me"


@pytest.mark.parametrize(
    "uri",
    [
        f"postgresql://lasso:{SECRET}@127.0.0.1:1/postgres",
        f"postgresql://lasso:{SECRET}%zz@127.0.0.1/postgres",
        f"postgresql://lasso:{SECRET}@127.0.0.1:port/postgres",
        f"host=127.0.0.1 port=1 user=lasso password={SECRET}",
        f"password={SECRET} {SECRET}",
        SECRET,
    ],
)
def test_the_password_is_never_told(uri: str, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(database.VARIABLE, uri)
    monkeypatch.setattr(database, "CONNECT_AGAIN_SECONDS", (0.0,))
    with pytest.raises(OutputError) as caught:
        put(root, {"a": [1]})
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_wrong_password_is_told_without_it(
    postgresql: str, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(database.VARIABLE, postgresql.replace("word", SECRET))
    with pytest.raises(OutputError, match="password authentication failed") as caught:
        put(root, {"a": [1]})
    assert SECRET not in str(caught.value)


def test_without_the_variable_or_the_driver_the_remedy_is_named(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(database.VARIABLE)
    with pytest.raises(OutputError, match=rf"{database.VARIABLE} is not set"):
        sink.exists(root)
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
    with pytest.raises(OutputError, match=r"pip install 'lasso_jobs\[postgresql\]'"):
        sink.exists(root)


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["a", "b", None]), st.lists(st.integers(0, 9), max_size=3)),
        max_size=5,
    )
)
def test_a_table_is_the_last_commit_of_each_partition(
    query: Callable, postgresql: str, commits: list[Rows]
) -> None:
    root = f"property_{next(_numbers)}"
    expected: dict[str | None, Sequence[int]] = {}
    for i, rows in enumerate(commits):
        replace = [(("p", p),) for p in rows]
        files: Sequence[WrittenFile] = sink.write_files(table_of(rows), root, ["p"], f"{i}")
        assert sink.commit(change(root, files, run_id=f"{i}", replaced=replace)) == i
        expected |= rows
    if commits:
        assert sorted(query(f"SELECT p, x FROM {root}"), key=repr) == pairs(expected)
