"""Says what the SQL dialects have in different forms: NaN, texts, parts of dates, elements."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Literal

import sqlglot
from sqlglot import exp

from lasso_jobs.core.rows.columns import DatePart
from lasso_jobs.errors import ModelError

Dialect = Literal["duckdb", "postgres", "bigquery", "snowflake", "spark", "tsql"]
_LONGEST_OF_POSTGRESQL = 63
_LONGEST: Mapping[Dialect, int] = {"bigquery": 300, "snowflake": 255, "tsql": 128}
_NOT_IN_BIGQUERY = frozenset('!"$()*,./;?@[\\]^`{}~')
_IGNORE_CASE: tuple[Dialect, ...] = ("duckdb", "bigquery", "spark", "tsql")
"""Where names that differ by case alone are one column, even in quotes."""

_VALUE = "x"
_BITS = {"false": "0", "true": "1"}
_PARTS: Mapping[Dialect, Mapping[DatePart, str]] = {
    "duckdb": {"weekday": "EXTRACT(ISODOW FROM x) - 1", "day_of_year": "EXTRACT(DOY FROM x)"},
    "postgres": {"weekday": "EXTRACT(ISODOW FROM x) - 1", "day_of_year": "EXTRACT(DOY FROM x)"},
    "bigquery": {
        "weekday": "MOD(EXTRACT(DAYOFWEEK FROM x) + 5, 7)",
        "day_of_year": "EXTRACT(DAYOFYEAR FROM x)",
    },
    "snowflake": {"weekday": "DAYOFWEEKISO(x) - 1", "day_of_year": "DAYOFYEAR(x)"},
    "spark": {"weekday": "WEEKDAY(x)", "day_of_year": "DAYOFYEAR(x)"},
    # 1900-01-01 was a Monday; what DATEPART calls the first day is a setting of the session.
    "tsql": {
        "weekday": "(DATEDIFF(DAY, '19000101', x) % 7 + 7) % 7",
        "day_of_year": "DATEPART(DAYOFYEAR, x)",
    },
}
_ELEMENTS: Mapping[Dialect, str] = {
    "duckdb": "x[{next}]",
    "postgres": "x[{next}]",
    "bigquery": "x[SAFE_OFFSET({index})]",
    "snowflake": "GET(x, {index})",
    "spark": "GET(x, {index})",
}


def check_names(model: str, names: Iterable[str], dialect: Dialect) -> None:
    """Refuse names of columns that a dialect would take for each other, or cannot write.

    Raises
    ------
    ModelError
    """
    spelled: dict[str, list[str]] = defaultdict(list)
    for name in names:
        key = name.casefold() if dialect in _IGNORE_CASE else name
        if dialect == "postgres":
            key = name.encode()[:_LONGEST_OF_POSTGRESQL].decode(errors="ignore")
        spelled[key].append(name)
        if not _can_be_name(name, dialect):
            raise ModelError(
                model,
                f"uses the column {name!r}",
                f"names that columns of {dialect} can have",
                "Rename the column where the model is trained and where it is used",
            )
    for twins in spelled.values():
        if len(twins) > 1:
            raise ModelError(
                model,
                f"uses the columns {' and '.join(map(repr, twins))}",
                f"names that {dialect} tells apart: "
                + ("by 63 bytes" if dialect == "postgres" else "by more than their case"),
                "Rename one where the model is trained, or export to another dialect",
            )


def _can_be_name(name: str, dialect: Dialect) -> bool:
    if dialect == "bigquery" and not _NOT_IN_BIGQUERY.isdisjoint(name):
        return False
    return name != "" and "\0" not in name and len(name) <= _LONGEST.get(dialect, len(name))


def can_be_value(text: str, dialect: Dialect) -> bool:
    """Whether a column can have a text; those of PostgreSQL have no NUL, nor has a query."""
    return dialect != "postgres" or "\0" not in text


def number(value: float) -> exp.Expression:
    """A number with all its digits, and an exponent: without one it might be a decimal.

    Examples
    --------
    >>> number(-0.1).sql(), number(300.0).sql()
    ('-1e-1', '3.000e+2')
    """
    literal = exp.Literal(this=f"{Decimal(repr(abs(value))):e}", is_string=False)
    return exp.Neg(this=literal) if value < 0 else literal


def case(
    whens: Sequence[tuple[exp.Expression, exp.Expression]], otherwise: exp.Expression
) -> exp.Expression:
    """A case of conditions and their values; sqlglot's own builder copies all for each of them."""
    ifs = [exp.If(this=condition, true=value) for condition, value in whens]
    return exp.Case(ifs=ifs, default=otherwise)


def double(value: exp.Expression, dialect: Dialect) -> exp.Expression:
    """A value as a double, in which NaN is null."""
    cast = exp.cast(value, "double")
    if dialect == "tsql":  # It has no NaN.
        return cast
    if dialect == "bigquery":  # NaN is not equal to itself.
        return case([(exp.IsNan(this=cast), exp.null())], cast.copy())
    return exp.Nullif(this=cast, expression=exp.cast(exp.Literal.string("NaN"), "double"))


def is_null(value: exp.Expression, doubles: bool, dialect: Dialect) -> exp.Expression:
    """Whether a value is null; NaN is, where values may be doubles, as integers with nulls are."""
    own = double(value.copy(), dialect) if doubles else value.copy()
    return exp.Is(this=own, expression=exp.null())


def as_text(value: exp.Expression, level: str, dialect: Dialect) -> exp.Expression:
    """The text of a value of any type, as a level is spelled."""
    if dialect != "tsql":
        return exp.cast(value, "text")
    # VARCHAR has the characters of one code page only, and a bit is spelled 0 or 1.
    text = exp.cast(value, "nvarchar(max)", dialect="tsql")
    if level not in _BITS:
        return text
    bit = exp.Literal.string(_BITS[level])
    return exp.case(text).when(bit, exp.Literal.string(level)).else_(text.copy())


def has_text(value: exp.Expression, text: str, dialect: Dialect) -> exp.Expression:
    """Whether a text is exactly another."""
    if dialect != "tsql":
        return exp.EQ(this=value, expression=exp.Literal.string(text))
    # SQL Server's texts are equal if they differ by case, by its usual collations, or by spaces at
    # their ends, by all of them.
    whole = exp.Add(
        this=exp.cast(value, "nvarchar(max)", dialect="tsql"), expression=exp.National(this=".")
    )
    exact = exp.Collate(this=exp.paren(whole), expression=exp.var("Latin1_General_BIN2"))
    return exp.EQ(this=exact, expression=exp.National(this=f"{text}."))


def part(value: exp.Expression, of: DatePart, dialect: Dialect) -> exp.Expression:
    """A part of a date."""
    name = {"tsql": f"DATEPART({of}, x)"}.get(dialect, f"EXTRACT({of} FROM x)")
    return _filled(_PARTS[dialect].get(of, name), value, dialect)


def element(value: exp.Expression, index: int, dialect: Dialect) -> exp.Expression | None:
    """An element of a vector, null where it has none; None of a dialect without vectors."""
    if dialect not in _ELEMENTS:
        return None
    text = _ELEMENTS[dialect].format(index=index, next=index + 1)
    return _filled(text, value, dialect)


def _filled(text: str, value: exp.Expression, dialect: Dialect) -> exp.Expression:
    tree = sqlglot.parse_one(text, dialect=dialect)
    tree = tree.transform(
        lambda node: value.copy() if isinstance(node, exp.Column) and node.name == _VALUE else node
    )
    return exp.paren(tree) if isinstance(tree, exp.Binary) else tree
