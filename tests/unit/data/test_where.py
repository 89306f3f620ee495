import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lasso_jobs.data.condition import column
from lasso_jobs.data.where import parse
from lasso_jobs.errors import DataError, JobError

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
        table = condition.filter(table)
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
        ("s == 'it''s'", "s = 'it''s'"),
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
        ('"größe" > 4', '"größe" > 4'),
        ("x = 3", "x = 3"),
        ("x <> 3", "x <> 3"),
        (
            "x BETWEEN 1 AND 2 OR x NOT BETWEEN 0 AND 3",
            "x BETWEEN 1 AND 2 OR x NOT BETWEEN 0 AND 3",
        ),
        ("x between f and 3 and not b", "x BETWEEN f AND 3 AND NOT b"),
        ("x NOT IN (1, 3) AND s IS NOT NULL", "x NOT IN (1, 3) AND s IS NOT NULL"),
        ("Not b Or s Is Null", "NOT b OR s IS NULL"),
        ("b = true", "b"),
        ("x=3 and(b)", "x = 3 AND b"),
        ("x > - 1", "x > -1"),
        ("f < 1_0e-1", "f < 1"),
        ("(x) = 3", "x = 3"),
        ("(b is null) is null or b", "b"),
        ("f > .5", "f > 0.5"),
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
    spelled = " and ".join(f"({condition.text})" for condition in parse(pair[0], "data.where"))
    assert kept(spelled) == kept_by_sql(spelled)


NAMES = [
    "Order Date",
    "event-date",
    "date.utc",
    "class",
    "select",
    "case",
    "any",
    "current_date",
    "and",
    "NOT",
    "null",
    "größe in cm",
    "1st",
    "a=b",
    'a "quoted" name',
    "it's",
    "a`b",
    " ",
    "{date}",
    "%20",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_a_column_can_be_written_in_quotes(name: str) -> None:
    table = pa.table({"id": range(4), name: [1, 2, 3, None], name + "2": [3, 2, 1, 0]})
    by_quotes, by_backticks = name.replace('"', '""'), name.replace("`", "``")
    for quoted in (f'"{by_quotes}"', f"`{by_backticks}`"):
        assert kept(f"{quoted} >= 2", table) == [1, 2]
        assert kept(f"{quoted} in (1, 3) or {quoted} is null", table) == [0, 2, 3]
    assert kept(f"{column(name)} = {column(name + '2')}", table) == [1]
    (part,) = parse(f"{column(name)} = 2", "data.where")
    assert part.columns == {name}
    assert parse(part.text, "data.where")[0].text == part.text


UTC, NEW_YORK = pa.timestamp("us", "UTC"), pa.timestamp("ms", "America/New_York")
DAY, NEXT = datetime(2023, 7, 1), datetime(2023, 7, 2, 5)
TYPED = pa.table(
    {
        "id": range(3),
        "u": pa.array([5, 2**63 + 5, None], pa.uint64()),
        "big": pa.array([2**53 + 1, -(2**63), None]),
        "small": pa.array([5, -5, None], pa.int8()),
        "half": pa.array([0.5, 5, None], pa.float16()),
        "single": pa.array([0.5, 5, None], pa.float32()),
        "money": pa.array([Decimal("1.50"), Decimal(7), None], pa.decimal128(38, 10)),
        "day": pa.array([DAY.date(), NEXT.date(), None]),
        "at": pa.array([DAY, NEXT, None], pa.timestamp("ns")),
        "utc": pa.array([DAY, NEXT, None], UTC),
        "ny": pa.array([DAY, NEXT, None], NEW_YORK),
        "s": pa.array(["a", "b", None], pa.large_string()),
        "code": pa.array([7, 8, None]).dictionary_encode(),
        "flag": [True, False, None],
        "void": pa.nulls(3),
    }
)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("u > 5", [1]),
        ("u >= 5", [0, 1]),
        ("u = 9223372036854775813", [1]),
        ("u in (5, 9223372036854775813)", [0, 1]),
        ("u in (-1, 9223372036854775813)", [1]),
        ("u > -1", [0, 1]),
        ("u > 5.5", [1]),
        ("u > small", [1]),
        ("u >= small", [0, 1]),
        ("u > single", [0, 1]),
        ("big < 9223372036854775808", [0, 1]),
        ("big = 9007199254740993", [0]),
        ("big > 1.5", [0]),
        ("big in (1.5, 2)", []),
        ("big in (-9223372036854775808, 9223372036854775808)", [1]),
        ("small < 300", [0, 1]),
        ("small in (5, 300)", [0]),
        ("half >= 0.5", [0, 1]),
        ("single = half", [0, 1]),
        ("money > 1", [0, 1]),
        ("money = 1.5", [0]),
        ("money in (7, 8)", [1]),
        ("money < single", []),
        ("day = '2023-07-01'", [0]),
        ("day in ('2023-07-01', '2023-07-03')", [0]),
        ("day not between '2023-07-02' and '2023-07-31'", [0]),
        ("'2023-07-01' < day", [1]),
        ("at > '2023-07-02'", [1]),
        ("at >= day", [0, 1]),
        ("utc in ('2023-07-02T05:00Z')", [1]),
        ("ny > '2023-07-02T00:00-04:00'", [1]),
        ("utc = ny", [0, 1]),
        ("s in ('a', 'c')", [0]),
        ("s >= 'b'", [1]),
        ("code = 8", [1]),
        ("code in (7, 9)", [0]),
        ("code > small", [0, 1]),
        ("flag", [0]),
        ("flag = false", [1]),
        ("flag in (true)", [0]),
        ("void = 1", []),
        ("void in ('a', 'b')", []),
        ("void or flag", [0]),
        ("void is null and id < 1", [0]),
        ("void = s", []),
    ],
)
def test_values_are_compared_as_numbers_times_and_texts_whatever_the_types(
    text: str, ids: list[int]
) -> None:
    assert kept(text, TYPED) == ids


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("s = 5", "'s' has type large_string, but is compared with 5; expected text, in single"),
        ("s in (1, 2)", "expected text, in single quotes"),
        ("big = '5'", "'big' has type int64, but is compared with '5'; expected a number, without"),
        ("code in ('7')", "expected a number, without quotes"),
        ("flag = 1", "expected true or false"),
        ("small = true", "expected a number, without quotes"),
        ("day > 20230701", "expected a date in single quotes, such as '2013-10-01'"),
        ("day > '1 July'", "but is compared with '1 July'; expected a date, such as '2013-10-01'"),
        ("at > '2023-07-01T00:00Z'", "expected a time without a zone"),
        ("utc > '2023-07-01'", "expected a time with its zone, such as '2013-10-01T05:00Z'"),
        ("ny in ('2023-07-01T00:00Z', '2023-07-01')", "is compared with '2023-07-01'; expected a"),
        ("at = utc", "'at' has type timestamp[ns], and 'utc' has type timestamp[us, tz=UTC]"),
        ("s = big", "expected columns of one kind in a comparison"),
        ("big", "'big' has type int64, and is no condition by itself"),
        ("not s", "is no condition by itself; expected a comparison, such as x > 0"),
    ],
)
def test_a_comparison_that_the_types_do_not_allow_says_what_to_write(
    text: str, message: str
) -> None:
    with pytest.raises(DataError) as caught:
        kept(text, TYPED)
    line = str(caught.value)
    assert line.startswith("data.where: ")
    assert message in line


def test_many_alternatives_are_allowed_in_a_thread_and_too_many_are_refused() -> None:
    text = " or ".join(f"x == {number}" for number in range(3, 503))
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(kept, text).result() == kept_by_sql("x = 3")
    with pytest.raises(JobError, match="joins more than 500 conditions; write IN for lists"):
        parse(text + " or b", "data.where")
    assert kept(f"x in ({', '.join(map(str, range(3, 30_000)))})") == kept_by_sql("x = 3")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x ==",
        "x == 1)",
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
        "b && b",
        "s == b'a'",
        "x == 1j",
        "x == ...",
        "(y := 1) == 1",
        "lambda: x",
        "x if b else f",
        "[v for v in x]",
        "{1: 2}",
        "await x",
        "1 == 1",
        "False",
        "x > 1 and 1 = 1",
        "x > 1 or true",
        "'Order Date' >= '2023-07-01'",
        "'x' is null",
        "1 in (1, 2)",
        "event-date > '2023-07-01'",
        "date < 2013-10-01",
        "Order Date = 1",
        "between = 1",
        "x between 1",
        "x not 1",
        "x not null",
        "x is not",
        "x = null",
        "x <> NULL",
        "b is true",
        "s = 'it's'",
        "s = 'it",
        's = "it',
        's = ""',
        "x = 1e999",
        "x = 1 -- all of them",
        "x == 1 # all of them",
        "(x == 1) == b",
        "x in (1 2)",
        "x in (1]",
        "s like 'a%'",
        "x = 1 limit 3",
        "day = {date}",
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
    (part,) = parse("s == 'it''s' or x in (-1, 2)", "data.where")
    copy = pickle.loads(pickle.dumps(part))
    assert copy == part
    assert copy.filter(ROWS).column("id").to_pylist() == [3, 5, 7]


def test_blanks_around_the_filter_do_not_matter() -> None:
    assert kept("  x == 3\n") == kept("x == 3")
