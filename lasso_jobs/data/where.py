"""The row filter of a job file: ``date < '2013-10-01' and "dep delay" is not null``.

`condition` parses the text. Here it becomes an Arrow expression that fits the types of a table.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from lasso_jobs.data import condition as c
from lasso_jobs.data.columns.kinds import kind_of
from lasso_jobs.data.condition_parser import parsed
from lasso_jobs.data.schema import listed
from lasso_jobs.errors import DataError, JobError

SPELLING = (
    "Write text and dates in single quotes; write a column's name as it is, or in double quotes if "
    "it has blanks, dashes or dots; join them by = <> < <= > >= IN BETWEEN IS NULL AND OR NOT"
)
_COMPARE: dict[str, Callable[[pc.Expression, pc.Expression], pc.Expression]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_CLASSES = {"integer": "number", "string": "text", "timestamp": "time", "date": "time"}
_FORMS = {
    "text": "text, in single quotes",
    "number": "a number, without quotes",
    "boolean": "true or false",
    "time": "a date in single quotes, such as '2013-10-01'",
}
_EXACT = pa.decimal128(20, 0)


class _MisfitError(Exception):
    """A condition that asks of a column what its type has not; what is found, and expected."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found)
        self.found = found
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Condition:
    """One part of a filter: all parts must hold.

    Parameters
    ----------
    key : str
        The key of the job file that has it, for errors.
    tree : condition.Node

    Examples
    --------
    >>> (condition,) = parse("x > 1", "data.where")
    >>> condition.filter(pa.table({"x": [1, 2, 3]}))["x"].to_pylist()
    [2, 3]
    """

    key: str
    tree: c.Node

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it reads."""
        return frozenset(column.name for column in c.columns_of(self.tree))

    @property
    def in_quotes(self) -> frozenset[str]:
        """Those of its columns whose names are in quotes, which may have been meant as text."""
        return frozenset(column.name for column in c.columns_of(self.tree) if column.in_quotes)

    @property
    def text(self) -> str:
        """The condition in words, the same for all spellings of it."""
        return c.spelled(self.tree)

    def require(self, schema: pa.Schema, place: str) -> None:
        """Check that its columns are there.

        Raises
        ------
        DataError
            Naming one that is not.
        """
        for name in sorted(self.columns):
            if schema.get_field_index(name) >= 0:
                continue
            names = schema.names
            close = get_close_matches(name, names, 1)
            remedy = f"Did you mean {close[0]!r}?" if close else f"Correct {self.key}"
            if name in self.in_quotes and not close:
                text = c.spelled(c.Constant(name))
                remedy = f"If it is text, write it in single quotes: {text}"
            raise DataError(
                f"{place}, {self.key}",
                f"there is no column {name!r}",
                f"one of {listed(names)}",
                remedy,
            )

    def filter(self, table: pa.Table) -> pa.Table:
        """The rows of a table that meet it.

        Raises
        ------
        DataError
            If it compares what cannot be compared.
        """
        try:
            return table.filter(self.expression(table.schema))
        except _MisfitError as error:
            remedy = "Correct the condition, or convert the column"
            raise DataError(self.key, error.found, error.expected, remedy) from error
        except pa.ArrowException as error:
            types = ", ".join(f"{n}: {table.schema.field(n).type}" for n in sorted(self.columns))
            raise DataError(
                self.key,
                f"{self.text!r} does not fit the columns ({error})",
                f"comparisons of values of one type ({types})",
                "Compare other columns, or convert these",
            ) from error

    def expression(self, schema: pa.Schema) -> pc.Expression:
        """The Arrow expression; built where it is used, as it cannot be sent everywhere."""
        return _expression(self.tree, schema)


def parse(text: str, key: str) -> tuple[Condition, ...]:
    """Split a filter into its parts.

    Parameters
    ----------
    text : str
    key : str
        The key of the job file, for errors.

    Raises
    ------
    JobError
        If the text is not such an expression.

    Examples
    --------
    >>> parts = parse("hour in (6, 7) and (rain = true or wind > 20)", "data.where")
    >>> [(part.text, sorted(part.columns)) for part in parts]
    [('hour in (6, 7)', ['hour']), ('rain = true or wind > 20', ['rain', 'wind'])]
    """
    try:
        tree = parsed(text)
    except ValueError as error:
        raise JobError(
            key,
            f"{text!r} is not a filter, as it {error}",
            "a condition such as date < '2013-10-01' and hour in (6, 7)",
            SPELLING,
        ) from error
    if isinstance(tree, c.Junction) and tree.operator == "and":
        return tuple(Condition(key, part) for part in tree.parts)
    return (Condition(key, tree),)


def in_words(conditions: Sequence[Condition]) -> str:
    """Conditions as one filter.

    Examples
    --------
    >>> in_words(parse("hour IN (6, 7) AND rain = true", "data.where"))
    'hour in (6, 7) and rain = true'
    """
    parts = [condition.text for condition in conditions]
    return " and ".join(f"({part})" if " or " in part else part for part in parts)


def _expression(node: c.Node, schema: pa.Schema) -> pc.Expression:
    match node:
        case c.Column():
            return _boolean(node, schema)
        case c.Comparison():
            return _comparison(node, schema)
        case c.Membership(column=column, values=values):
            field, found = pc.field(column.name), pc.scalar(False)
            if values:
                own, listed = _beside(column, values, schema)
                found = own.isin(listed)
            # As in SQL, a null is neither in nor out.
            return pc.if_else(field.is_valid(), found, pa.scalar(None, pa.bool_()))
        case c.IsNull(part=c.Column(name=name)):
            return pc.field(name).is_null()
        case c.IsNull(part=part):
            return _expression(part, schema).is_null()
        case c.Not(part=part):
            return ~_expression(part, schema)
        case c.Junction(operator="and", parts=parts):
            return reduce(operator.and_, [_expression(part, schema) for part in parts])
        case c.Junction(parts=parts):
            return reduce(operator.or_, [_expression(part, schema) for part in parts])
    raise TypeError(node)  # no condition is a constant


def _boolean(column: c.Column, schema: pa.Schema) -> pc.Expression:
    """A column as a condition by itself."""
    type_ = _type(column, schema)
    if _class(type_) not in ("boolean", "null"):
        found = f"{column.name!r} has type {type_}, and is no condition by itself"
        raise _MisfitError(found, "a comparison, such as x > 0")
    return _field(column, type_, pa.bool_())


def _comparison(node: c.Comparison, schema: pa.Schema) -> pc.Expression:
    ask = _COMPARE[node.operator]
    if isinstance(node.other, c.Constant):
        own, listed = _beside(node.column, [node.other.value], schema)
        return ask(own, pc.scalar(listed[0]))
    a, b = _type(node.column, schema), _type(node.other, schema)
    zones = [type_.tz is not None for type_ in (a, b) if pa.types.is_timestamp(type_)]
    if not _comparable(a, b) or len(set(zones)) > 1:
        found = f"{node.column.name!r} has type {a}, and {node.other.name!r} has type {b}"
        raise _MisfitError(found, "columns of one kind in a comparison")
    shared = _shared(a, b)
    return ask(_field(node.column, a, shared), _field(node.other, b, shared))


def _beside(
    column: c.Column, values: Sequence[c.Scalar], schema: pa.Schema
) -> tuple[pc.Expression, pa.Array]:
    """A column, and constants that it is compared with, in one type."""
    type_ = _type(column, schema)
    theirs = _type_of(values, type_)
    if _class(type_) == "time" and pa.types.is_string(theirs):
        return _field(column, type_), _as_times(column, values, type_)
    if not _comparable(type_, theirs):
        raise _unlike(column, type_, values[0], _FORMS[_class(type_)])
    shared = _shared(type_, theirs)
    listed = [float(v) if shared == pa.float64() else v for v in values]
    return _field(column, type_, shared), pa.array(listed, shared or theirs)


def _as_times(column: c.Column, values: Sequence[c.Scalar], type_: pa.DataType) -> pa.Array:
    form = "a date, such as '2013-10-01'"
    if pa.types.is_timestamp(type_):
        form = "a time without a zone, such as '2013-10-01' or '2013-10-01T05:00'"
        if type_.tz is not None:
            form = "a time with its zone, such as '2013-10-01T05:00Z'"
    for value in values:
        try:
            pa.scalar(value).cast(type_)
        except pa.ArrowInvalid as error:
            raise _unlike(column, type_, value, form) from error
    return pa.array(values).cast(type_)


def _unlike(column: c.Column, type_: pa.DataType, value: c.Scalar, form: str) -> _MisfitError:
    spelled = c.spelled(c.Constant(value))
    return _MisfitError(f"{column.name!r} has type {type_}, but is compared with {spelled}", form)


def _field(
    column: c.Column, type_: pa.DataType, shared: pa.DataType | None = None
) -> pc.Expression:
    field = pc.field(column.name)
    return field if shared in (None, type_) else field.cast(shared, safe=False)


def _type(column: c.Column, schema: pa.Schema) -> pa.DataType:
    type_ = schema.field(column.name).type
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def _type_of(values: Sequence[c.Scalar], beside: pa.DataType) -> pa.DataType:
    """The type of constants of one kind, beside a column of some type."""
    if isinstance(values[0], bool):
        return pa.bool_()
    numbers = [value for value in values if not isinstance(value, str)]
    if not numbers:
        return pa.string()
    if any(isinstance(value, float) for value in numbers):
        return pa.float64()
    negative, large = min(numbers) < 0, max(numbers) >= 2**63
    if large and negative:
        return _EXACT
    return pa.uint64() if large or (beside == pa.uint64() and not negative) else pa.int64()


def _class(type_: pa.DataType) -> str:
    kind = kind_of(type_)
    return _CLASSES.get(kind, kind)


def _comparable(a: pa.DataType, b: pa.DataType) -> bool:
    classes = {_class(a), _class(b)}
    return len(classes) == 1 or bool(classes & {"null", "other"})


def _shared(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """The type in which two are compared; None leaves that to Arrow."""
    if "null" in (_class(a), _class(b)):
        return b if _class(a) == "null" else a
    if pa.types.is_timestamp(a) and pa.types.is_timestamp(b) and a.tz != b.tz:
        return pa.timestamp(a.unit if a.unit == b.unit else "us", "UTC")
    if not _class(a) == _class(b) == "number":
        return None
    floats = any(map(pa.types.is_floating, (a, b)))
    if _EXACT in (a, b) and not floats:
        return _EXACT
    if floats or any(map(pa.types.is_decimal, (a, b))):
        return pa.float64()
    # Arrow would convert both to int64, or to a type of the file's largest value.
    signed = any(pa.types.is_signed_integer(t) for t in (a, b))
    return _EXACT if signed and pa.uint64() in (a, b) else None
