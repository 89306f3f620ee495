"""SQL is run by the databases themselves, and parsed where no database is at hand."""

import dataclasses

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import sqlglot
from numpy.testing import assert_allclose

from lasso_jobs import export_model
from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.core.rows.vectors import Tokens, Vector
from lasso_jobs.errors import DataError, ModelError
from lasso_jobs.exports.export import DIALECTS
from lasso_jobs.models.intervals import Interval
from lasso_jobs.models.model import Model

CLOSE = {"rtol": 1e-12, "atol": 1e-9}  # of predictions near -1e5


def bounds(model: Model, rows: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    prediction, interval = model.predict(rows), Interval.of(model.holdout, {})
    assert interval is not None
    half = interval.half_widths(rows)
    return prediction, prediction - half, prediction + half


def by_duckdb(query: str, rows: pa.Table) -> pa.Table:
    with duckdb.connect() as connection:
        connection.register("rows", rows)
        return connection.sql(query).to_arrow_table()


def built(
    columns: Columns, coef: list[float], model: Model, indicators: tuple[int, ...] = ()
) -> Model:
    predictor = Predictor(
        columns=columns,
        indicators=indicators,
        fill=np.arange(len(columns.numeric)) + 0.5,
        coef=np.array(coef),
        intercept=7.0,
    )
    return dataclasses.replace(model, predictor=predictor)


def test_the_model_of_these_tests_has_a_case_of_everything(model: Model) -> None:
    used = set(model.predictor.used)
    assert {"x", "order", "flag", "sold.weekday", "sold.month", "vector[2]"} <= used
    assert {"order is null", "Zürich – 東京=(null)", "Zürich – 東京=(other)"} <= set(model.labels)
    assert model.holdout is not None
    assert len(model.holdout.intervals) > 3


def test_duckdb_predicts_what_the_model_predicts(model: Model, rows: pa.Table) -> None:
    found = by_duckdb(export_model(model, "sql", table="rows"), rows)
    names = ("prediction", "prediction_low", "prediction_high")
    for name, expected in zip(names, bounds(model, rows), strict=True):
        assert_allclose(found[name].to_numpy(), expected, **CLOSE)
    assert found.column_names == [*rows.column_names, *names]
    expression = export_model(model, "sql", dialect="duckdb")
    found = by_duckdb(f"SELECT {expression} AS p FROM rows", rows)
    assert_allclose(found["p"].to_numpy(), model.predict(rows), **CLOSE)


def test_nan_has_the_fate_that_predict_gives_it_and_infinity_is_not_hidden(model: Model) -> None:
    columns = Columns(("x",), (Category("c", ("1", None), True, "integer"),))
    own = built(columns, [2.0, 3.0, 5.0, 11.0, 100.0], model, (0,))
    values = [np.nan, None, np.inf, -np.inf, 1.0]
    rows = pa.table({"x": pa.array(values), "c": pa.array([1.0, np.nan, None, 7.0, 1.0])})
    found = by_duckdb(f"SELECT {export_model(own, 'sql')} AS p FROM rows", rows)
    predicted, usual = found["p"].to_numpy(), np.array([True, True, False, False, True])
    np.testing.assert_array_equal(predicted[usual], own.predict(rows.filter(pa.array(usual))))
    np.testing.assert_array_equal(predicted[~usual], [np.inf, -np.inf])
    with pytest.raises(DataError, match="column 'x': has an infinite value"):
        own.predict(rows)


def test_a_table_that_has_a_prediction_keeps_it_apart(plain_model: Model, rows: pa.Table) -> None:
    rows = rows.append_column("prediction", pa.array(np.zeros(rows.num_rows)))
    found = by_duckdb(export_model(plain_model, "sql", table="rows"), rows)
    expected = bounds(plain_model, rows)[1]
    assert_allclose(found["prediction_low"].to_numpy(), expected, **CLOSE)


@pytest.mark.slow
def test_postgresql_predicts_what_the_model_predicts(
    model: Model, rows: pa.Table, postgresql: str
) -> None:
    from adbc_driver_postgresql import dbapi

    ordered = rows.append_column("id", pa.array(range(rows.num_rows)))
    with dbapi.connect(postgresql) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("Odd rows", ordered, mode="create")
        query = export_model(model, "sql", dialect="postgres", table='"Odd rows"')
        cursor.execute(query)
        found = cursor.fetch_arrow_table().sort_by("id")
    names = ("prediction", "prediction_low", "prediction_high")
    for name, expected in zip(names, bounds(model, rows), strict=True):
        assert_allclose(found[name].to_numpy(), expected, **CLOSE)


@pytest.mark.slow
def test_postgresql_takes_twins_exact_numbers_and_many_terms(model: Model, postgresql: str) -> None:
    from adbc_driver_postgresql import dbapi

    names = ("Price", "price", *(f"v{i}" for i in range(500)))
    coef = [1 / 3, -1e-17, *np.random.default_rng(0).normal(size=500) * 1e9]
    own = built(Columns(names, ()), coef, model, ())
    values = np.random.default_rng(1).normal(size=(20, len(names)))
    values[3, 0], values[4, 1], values[5, 0] = np.nan, 1e60, -1e60
    rows = pa.table({name: values[:, j] for j, name in enumerate(names)})
    ordered = rows.append_column("id", pa.array(range(20)))
    with dbapi.connect(postgresql) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("twins", ordered, mode="create")
        expression = export_model(own, "sql", dialect="postgres")
        cursor.execute(f"SELECT id, {expression} AS p FROM twins")
        found = cursor.fetch_arrow_table().sort_by("id")
    assert_allclose(found["p"].to_numpy(), own.predict(rows), rtol=1e-12)


@pytest.mark.parametrize("dialect", [d for d in DIALECTS if d != "bigquery"])
def test_what_a_dialect_writes_it_parses_to_the_same_tree(plain_model: Model, dialect: str) -> None:
    for table in (None, "shop.sales"):
        text = export_model(plain_model, "sql", dialect=dialect, table=table)
        tree = sqlglot.parse_one(text, dialect=dialect)
        again = tree.sql(dialect=dialect, identify=True, pretty=True, comments=False)
        assert again == "\n".join(text.splitlines()[1:])
        assert sqlglot.parse_one(again, dialect=dialect) == sqlglot.parse_one(text, dialect=dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dates_and_vectors_are_parsed_as_they_are_written(model: Model, dialect: str) -> None:
    from sqlglot import exp

    from lasso_jobs.exports.dialects import element, part

    for name in ("year", "month", "weekday", "hour", "day_of_year"):
        text = part(exp.column("s t", quoted=True), name, dialect).sql(dialect)
        assert sqlglot.parse_one(text, dialect=dialect).sql(dialect) == text
    if dialect == "tsql":
        with pytest.raises(ModelError, match="elements of the vectors in 'vector'"):
            export_model(model, "sql", dialect=dialect)
    else:
        text = element(exp.column("v", quoted=True), 2, dialect).sql(dialect)
        assert sqlglot.parse_one(text, dialect=dialect).sql(dialect) == text


@pytest.mark.parametrize("dialect", DIALECTS)
def test_names_that_a_dialect_takes_for_each_other_are_refused(model: Model, dialect: str) -> None:
    twins = built(Columns(("price", "PRICE"), ()), [1.0, 2.0], model)
    if dialect in ("postgres", "snowflake"):
        assert "PRICE" in export_model(twins, "sql", dialect=dialect)
    else:
        with pytest.raises(ModelError, match=r"'price' and 'PRICE'.* more than their case"):
            export_model(twins, "sql", dialect=dialect)


IMPOSSIBLE = [
    ("", DIALECTS),
    ("a\0b", DIALECTS),
    ("a.b", ["bigquery"]),
    ("é" * 301, ["bigquery", "snowflake", "tsql"]),
    ("é" * 129, ["tsql"]),
]


@pytest.mark.parametrize(("groups", "of"), [(["true", "false"], "flag"), (["東京", "b"], "x y")])
def test_groups_of_intervals_are_spelled_as_sql_server_does(
    plain_model: Model, groups: list[str], of: str
) -> None:
    widths = dict(zip(groups, (1.0, 2.0), strict=True))
    assert plain_model.holdout is not None
    holdout = dataclasses.replace(plain_model.holdout, by=of, intervals=widths)
    own = dataclasses.replace(built(Columns(("p",), ()), [1.0], plain_model), holdout=holdout)
    text = " ".join(export_model(own, "sql", dialect="tsql", table="t").split())
    for group in groups:
        assert f"= N'{group}.'" in text
    assert "AS VARCHAR" not in text
    assert (f"CASE CAST([{of}] AS NVARCHAR(MAX)) WHEN '1' THEN 'true'" in text) == (of == "flag")


def test_a_level_that_postgresql_cannot_have_is_left_out(model: Model) -> None:
    category = Category("c", ("a\0b", "c"), False, "string")
    own = built(Columns((), (category,)), [1.0, 2.0], model)
    assert "\0" not in export_model(own, "sql", dialect="postgres", table="t")
    assert "\0" in export_model(own, "sql", dialect="duckdb")


def test_what_no_dialect_can_have_is_refused(model: Model) -> None:
    long = built(Columns(("é" * 32, "é" * 33), ()), [1.0, 2.0], model)
    with pytest.raises(ModelError, match="63 bytes"):
        export_model(long, "sql", dialect="postgres")
    for name, dialects in IMPOSSIBLE:
        for dialect in dialects:
            with pytest.raises(ModelError, match=f"columns of {dialect} can have"):
                export_model(built(Columns((name,), ()), [1.0], model), "sql", dialect=dialect)
    vector = Vector("words", 1, ("good",), None, Tokens("words"))
    tokens = built(Columns(("words[good]",), (), (), (vector,)), [1.0], model)
    with pytest.raises(ModelError, match="tokens of 'words'"):
        export_model(tokens, "sql")
    with pytest.raises(ModelError, match="table: is ''"):
        export_model(model, "sql", table="")


def test_a_table_of_any_name_is_quoted(plain_model: Model) -> None:
    for table, quoted in (("a.b", '"a"."b"'), ('"a.b"', '"a.b"'), ("x; drop", '"x; drop"')):
        text = export_model(plain_model, "sql", dialect="postgres", table=table)
        assert text.rstrip().endswith(f"FROM {quoted}")
