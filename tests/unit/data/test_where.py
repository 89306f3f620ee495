import pickle

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lasso_jobs.data.where import parse
from lasso_jobs.errors import JobError

ROWS = pa.table(
    {
        "id": range(8),
        "x": pa.array([1, None, 3, 2, None, -1, 3, 0], pa.int64()),
        "f": pa.array([1.5, 2.0, None, -0.5, None, 3.0, 0.0, 2.0]),
        "s": pa.array(["a", None, "c", "b", "a", "", None, "it's"]),
        "b": pa.array([True, False, None, None, True, False, True, False]),
        "d": pa.array(["a", "b", None, "a", "b", "c", None, "c"]).dictionary_encode(),
        "größe": pa.array([1, 2, 3, None, 5, 6, 7, 8], pa.int32()),
    }
)


def kept(text: str, table: pa.Table = ROWS) -> list[int]:
    for condition in parse(text, "data.where"):
        table = table.filter(condition.expression())
    return table.column("id").to_pylist()


def kept_by_sql(condition: str) -> list[int]:
    plain = ROWS.set_column(5, "d", ROWS.column("d").cast(pa.string()))
    with duckdb.connect() as connection:
        connection.register("t", plain)
        found = connection.execute(f"SELECT id FROM t WHERE {condition} ORDER BY id").fetchall()
    return [row[0] for row in found]


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("x == 3", "x = 3"),
        ("x != 3", "x <> 3"),
        ("x < 2", "x < 2"),
        ("x <= 2", "x <= 2"),
        ("x > 2", "x > 2"),
        ("x >= 2", "x >= 2"),
        ("x == -1", "x = -1"),
        ("2 < x", "2 < x"),
        ("x < f", "x < f"),
        ("x > 1.5", "x > 1.5"),
        ("f == 2", "f = 2"),
        ("s == 'a'", "s = 'a'"),
        ("s == ''", "s = ''"),
        ('s == "it\'s"', "s = 'it''s'"),
        ("s < 'b'", "s < 'b'"),
        ("d == 'a'", "d = 'a'"),
        ("d != 'a'", "d <> 'a'"),
        ("b", "b"),
        ("not b", "NOT b"),
        ("b == True", "b = TRUE"),
        ("b != False", "b <> FALSE"),
        ("x in (1, 3)", "x IN (1, 3)"),
        ("x in [1, 3]", "x IN (1, 3)"),
        ("x in {1, 3}", "x IN (1, 3)"),
        ("x in (1,)", "x IN (1)"),
        ("x in (-1, 0)", "x IN (-1, 0)"),
        ("s in ('a', 'c')", "s IN ('a', 'c')"),
        ("d in ('a', 'c')", "d IN ('a', 'c')"),
        ("f in (2, 3)", "f IN (2, 3)"),
        ("x is None", "x IS NULL"),
        ("x is not None", "x IS NOT NULL"),
        ("not x is None", "NOT (x IS NULL)"),
        ("not x == 3", "NOT (x = 3)"),
        ("x == 3 and s == 'c'", "x = 3 AND s = 'c'"),
        ("x == 3 or s == 'a'", "x = 3 OR s = 'a'"),
        ("x == 1 or x == 2 or x == 0", "x = 1 OR x = 2 OR x = 0"),
        ("x == 1 or x == 3 and b", "x = 1 OR x = 3 AND b"),
        ("(x == 1 or x == 3) and b", "(x = 1 OR x = 3) AND b"),
        ("not (x == 1 or b)", "NOT (x = 1 OR b)"),
        ("not (x == 1 and b)", "NOT (x = 1 AND b)"),
        ("größe > 4", '"größe" > 4'),
        ("1 == 1", "1 = 1"),
        ("False", "FALSE"),
    ],
)
def test_a_filter_keeps_the_rows_that_sql_keeps(text: str, sql: str) -> None:
    assert kept(text) == kept_by_sql(sql)


@pytest.mark.parametrize("text", ["x not in (1, 3)", "not (x in (1, 3))", "not x in (1, 3)"])
def test_a_null_is_neither_in_a_list_nor_out_of_it_as_in_sql(text: str) -> None:
    assert kept(text) == kept_by_sql("x NOT IN (1, 3)")


def test_nothing_is_in_an_empty_list() -> None:
    assert kept("x in ()") == []


ATOMS = [
    ("x == 3", "(x = 3)"),
    ("x != 1", "(x <> 1)"),
    ("f < 2", "(f < 2)"),
    ("f >= 0.5", "(f >= 0.5)"),
    ("s == 'a'", "(s = 'a')"),
    ("d != 'b'", "(d <> 'b')"),
    ("b", "b"),
    ("s is None", "(s IS NULL)"),
    ("x is not None", "(x IS NOT NULL)"),
    ("x in (1, 2)", "(x IN (1, 2))"),
    ("s not in ('a', 'b')", "(s NOT IN ('a', 'b'))"),
]
FILTERS = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        inner.map(lambda e: (f"not ({e[0]})", f"(NOT {e[1]})")),
        st.tuples(inner, inner).map(
            lambda p: (f"({p[0][0]}) and ({p[1][0]})", f"({p[0][1]} AND {p[1][1]})")
        ),
        st.tuples(inner, inner).map(
            lambda p: (f"({p[0][0]}) or ({p[1][0]})", f"({p[0][1]} OR {p[1][1]})")
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(FILTERS)
def test_any_combination_has_the_three_valued_logic_of_sql(pair: tuple[str, str]) -> None:
    assert kept(pair[0]) == kept_by_sql(pair[1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x ==",
        "x == 1)",
        "x = 1",
        "x == 1; s == 'a'",
        "f(x) == 1",
        "__import__('os').system('true')",
        "x.y == 1",
        "x[0] == 1",
        "s == f'{x}'",
        "s in (f'{x}',)",
        "x in (x, f)",
        "x in (*x,)",
        "x in x",
        "x in 'ab'",
        "x in (None,)",
        "x in (1, 'a')",
        "x == None",
        "x is 1",
        "x is f",
        "1 < x < 3",
        "x + 1 == 2",
        "-x == 1",
        "x == -True",
        "x == -'a'",
        "x == 2 ** 3",
        "~b",
        "b & b",
        "s == b'a'",
        "x == 1j",
        "x == ...",
        "(y := 1) == 1",
        "lambda: x",
        "x if b else f",
        "[v for v in x]",
        "{1: 2}",
        "await x",
        "s == 'a\0b'",
    ],
)
def test_what_is_no_filter_is_refused_in_one_clear_line(text: str) -> None:
    with pytest.raises(JobError) as caught:
        parse(text, "data.where")
    line = str(caught.value)
    assert line.startswith("data.where: ")
    assert "is not a filter" in line
    assert "\n" not in line
    assert "object at 0x" not in line  # an address says nothing to a reader


@pytest.mark.parametrize(
    "text",
    [
        f"x == {10**30}",
        f"x in (1, {10**30})",
        "not " * 5000 + "b",
        "(" * 500 + "b" + ")" * 500,
    ],
    ids=["a huge integer", "a huge integer in a list", "5000 nots", "500 parentheses"],
)
def test_what_is_too_large_is_refused_as_a_filter(text: str) -> None:
    with pytest.raises(JobError, match="is not a filter"):
        parse(text, "data.where")


def test_the_error_names_the_key_of_the_job_file() -> None:
    with pytest.raises(JobError) as caught:
        parse("x ==", "holdout.where")
    assert caught.value.where == "holdout.where"


def test_a_conjunction_is_split_into_parts_with_the_columns_of_each() -> None:
    parts = parse("x > 1 and (s == 'a' or b) and f is not None", "data.where")
    assert [part.columns for part in parts] == [{"x"}, {"s", "b"}, {"f"}]


def test_words_in_quotes_are_no_columns() -> None:
    (part,) = parse("s in ('x', 'f') or d == 'b'", "data.where")
    assert part.columns == {"s", "d"}


def test_a_condition_survives_the_way_to_another_process() -> None:
    (part,) = parse('s == "it\'s" or x in (-1, 2)', "data.where")
    copy = pickle.loads(pickle.dumps(part))
    assert copy == part
    assert ROWS.filter(copy.expression()).column("id").to_pylist() == [3, 5, 7]


def test_blanks_around_the_filter_do_not_matter() -> None:
    assert kept("  x == 3\n") == kept("x == 3")
