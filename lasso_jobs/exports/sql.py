"""Writes a model as SQL: one expression, or a query with predictions and intervals."""

from collections.abc import Sequence

from sqlglot import exp
from sqlglot.errors import SqlglotError

from lasso_jobs.core.rows.columns import LevelType
from lasso_jobs.errors import ModelError
from lasso_jobs.escape import visible
from lasso_jobs.exports.dialects import (
    Dialect,
    as_text,
    can_be_value,
    case,
    check_names,
    double,
    element,
    has_text,
    is_null,
    number,
    part,
)
from lasso_jobs.exports.linear_form import HalfWidths, Levels, LinearForm, Number, Term

AT_ONCE = 50
"""Terms of one sum: longer ones are sums of sums, as databases limit how deep a tree may be."""


def sql(form: LinearForm, dialect: Dialect, table: str | None = None) -> str:
    """The model in a dialect of SQL.

    Parameters
    ----------
    form : LinearForm
    dialect : str
    table : str, optional
        A query of all rows of this table, with ``prediction``, ``prediction_low`` and
        ``prediction_high`` after its columns, instead of the prediction's expression alone.

    Raises
    ------
    ModelError
        If the dialect cannot have a feature or tell columns apart, or the table's name is none.
    """
    by = () if form.interval is None or form.interval.column is None else (form.interval.column,)
    names = form.columns if table is None else dict.fromkeys((*form.columns, *by))
    check_names(form.model, names, dialect)
    prediction = _prediction(form, dialect)
    tree = prediction if table is None else _query(form, prediction, dialect, table=table)
    text = tree.sql(dialect=dialect, identify=True, pretty=True)
    head = f"-- {form.model}, digest {form.digest[:16]}, for {dialect}\n"
    if table is not None and form.no_intervals is not None:
        head += f"-- {visible(form.no_intervals)}\n"
    return f"{head}{text}\n"


def _prediction(form: LinearForm, dialect: Dialect) -> exp.Expression:
    # A double from the start: PostgreSQL would add numbers that it reads as decimals.
    intercept = exp.cast(number(form.intercept), "double")
    return _sum([intercept, *(_term(term, form.model, dialect) for term in form.terms)])


def _sum(terms: Sequence[exp.Expression]) -> exp.Expression:
    while len(terms) > AT_ONCE:
        parts = [terms[i : i + AT_ONCE] for i in range(0, len(terms), AT_ONCE)]
        terms = [exp.paren(_sum(part)) for part in parts]
    total = terms[0]
    for term in terms[1:]:
        total = exp.Add(this=total, expression=term)
    return total


def _term(term: Term, model: str, dialect: Dialect) -> exp.Expression:
    if isinstance(term, Levels):
        return _effect(term, dialect)
    value = _value(term, model, dialect)
    value = exp.cast(value, "double") if term.part else double(value, dialect)
    filled = value if term.mean is None else exp.func("COALESCE", value, number(term.mean))
    product = exp.Mul(this=number(term.coef), expression=filled)
    if term.null == 0:
        return product
    null = exp.Is(this=value.copy(), expression=exp.null())
    effect = case([(null, number(term.null))], number(0.0))
    return effect if term.coef == 0 else exp.Add(this=product, expression=effect)


def _value(term: Number, model: str, dialect: Dialect) -> exp.Expression:
    column = _column_or_part(term, dialect)
    if term.element is None:
        return column
    value = element(column, term.element, dialect)
    if value is None:
        raise ModelError(
            model,
            f"has features that are elements of the vectors in {term.column!r}",
            f"features that a table of {dialect} can have",
            "Export to another dialect, or train on data that has a column for each element",
        )
    return value


def _effect(term: Levels, dialect: Dialect) -> exp.Expression:
    value, whens = _column_or_part(term, dialect), []
    if term.null != term.other:
        doubles = term.type == "integer" and term.part is None
        whens.append((is_null(value, doubles, dialect), number(term.null)))
    whens += [
        (_is_level(value, term.type, level, dialect), number(effect))
        for level, effect in term.levels.items()
        if effect != term.other and can_be_value(level, dialect)
    ]
    return case(whens, number(term.other)) if whens else number(term.other)


def _is_level(
    value: exp.Expression, type_: LevelType, level: str, dialect: Dialect
) -> exp.Expression:
    if type_ == "string":
        return has_text(value.copy(), level, dialect)
    if type_ == "boolean":
        return exp.EQ(this=value.copy(), expression=exp.Boolean(this=level == "true"))
    digits = exp.Literal(this=level.lstrip("-"), is_string=False)
    integer = exp.Neg(this=digits) if level[0] == "-" else digits
    return exp.EQ(this=value.copy(), expression=integer)


def _query(
    form: LinearForm, prediction: exp.Expression, dialect: Dialect, *, table: str
) -> exp.Expression:
    # The prediction is written out for each column: a table may have a column of that name, which
    # DuckDB would take, without a word, for the one of a subquery.
    try:
        source = exp.to_table(table, dialect=dialect)
    except SqlglotError as error:
        expected, remedy = f"the name of a table of {dialect}", "Correct it"
        raise ModelError("table", f"is {table!r}", expected, remedy) from error
    low, high = _bounds(form, prediction, dialect)
    columns = {"prediction": prediction, "prediction_low": low, "prediction_high": high}
    named = [exp.alias_(tree.copy(), name, quoted=True) for name, tree in columns.items()]
    return exp.select(exp.Star(), *named).from_(source)


def _bounds(
    form: LinearForm, prediction: exp.Expression, dialect: Dialect
) -> tuple[exp.Expression, exp.Expression]:
    if form.interval is None:
        null = exp.cast(exp.null(), "double")
        return null, null.copy()
    half = _half_width(form, form.interval, dialect)
    low = exp.Sub(this=exp.paren(prediction.copy()), expression=half)
    return low, exp.Add(this=exp.paren(prediction.copy()), expression=half.copy())


def _half_width(form: LinearForm, interval: HalfWidths, dialect: Dialect) -> exp.Expression:
    if interval.column is None or not interval.groups:
        return number(interval.overall)
    types = {term.feature: term.type for term in form.terms if isinstance(term, Levels)}
    column, type_ = _column(interval.column), types.get(interval.column)
    whens = []
    for group, width in interval.groups.items():
        if type_ is not None:
            is_group = _is_level(column, type_, group, dialect)
        else:  # Of no feature, it may have any type.
            is_group = has_text(as_text(column.copy(), group, dialect), group, dialect)
        if can_be_value(group, dialect):
            whens.append((is_group, number(width)))
    return case(whens, number(interval.overall)) if whens else number(interval.overall)


def _column_or_part(term: Term, dialect: Dialect) -> exp.Expression:
    column = _column(term.column)
    return column if term.part is None else part(column, term.part, dialect)


def _column(name: str) -> exp.Expression:
    return exp.column(exp.to_identifier(name, quoted=True))
