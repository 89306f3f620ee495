"""The row filter of a job file: ``date < '2013-10-01' and dep_delay is not None``.

The text is a Python expression over column names and literals, with comparisons, ``in``,
``is None``, ``and``, ``or``, ``not`` and parentheses. It becomes an Arrow expression; nothing of
it is ever executed.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from lasso_jobs.errors import DataError, JobError

_COMPARE: dict[type[ast.cmpop], Callable[[pc.Expression, pc.Expression], pc.Expression]] = {
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One part of a filter: all parts must hold.

    Parameters
    ----------
    columns : frozenset of str
        The columns that it reads.
    text : str
    """

    columns: frozenset[str]
    text: str

    def filter(self, table: pa.Table) -> pa.Table:
        """The rows of a table that meet it.

        Raises
        ------
        DataError
            If it compares what cannot be compared.
        """
        try:
            return table.filter(self.expression(table.schema))
        except pa.ArrowException as error:
            types = ", ".join(f"{n}: {table.schema.field(n).type}" for n in sorted(self.columns))
            raise DataError(
                "data.where",
                f"{self.text!r} does not fit the columns ({error})",
                f"comparisons with values of their types ({types})",
                "Quote values of text columns, and only those",
            ) from error

    def expression(self, schema: pa.Schema | None = None) -> pc.Expression:
        """The Arrow expression (built where it is used, as it does not travel everywhere)."""
        return _expression(ast.parse(self.text, mode="eval").body, schema)


def parse(text: str, key: str) -> tuple[Condition, ...]:
    """Split a filter into its parts.

    Parameters
    ----------
    text : str
    key : str
        The key of the job file, for the error.

    Raises
    ------
    JobError
        If the text is not such an expression.
    """
    try:
        body = ast.parse(text.strip(), mode="eval").body
        parts = (
            body.values if isinstance(body, ast.BoolOp) and isinstance(body.op, ast.And) else [body]
        )
        for part in parts:
            _expression(part)
    except (
        SyntaxError,
        ValueError,
        OverflowError,
        RecursionError,
        MemoryError,
        pa.ArrowException,
    ) as error:
        raise JobError(
            key,
            f"{text!r} is not a filter ({error})",
            "a condition such as date < '2013-10-01' and hour in (6, 7)",
            "Use column names, numbers, quoted strings, == != < <= > >= in, is None, and/or/not",
        ) from error
    return tuple(Condition(_names(part), ast.unparse(part)) for part in parts)


def _names(node: ast.expr) -> frozenset[str]:
    return frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name))


def _expression(node: ast.expr, schema: pa.Schema | None = None) -> pc.Expression:
    match node:
        case ast.Name(id=name):
            return pc.field(name)
        case ast.Constant() | ast.UnaryOp(op=ast.USub()):
            return pc.scalar(_literal(node))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return ~_expression(operand, schema)
        case ast.BoolOp(op=operator, values=values):
            result = _expression(values[0], schema)
            for value in values[1:]:
                other = _expression(value, schema)
                result = result & other if isinstance(operator, ast.And) else result | other
            return result
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            return _comparison(left, operator, right, schema)
    raise ValueError(f"{ast.unparse(node)!r} is not allowed here")


def _comparison(
    left: ast.expr, operator: ast.cmpop, right: ast.expr, schema: pa.Schema | None
) -> pc.Expression:
    if isinstance(operator, ast.In | ast.NotIn):
        if not isinstance(right, ast.Tuple | ast.List | ast.Set):
            raise ValueError("'in' needs a list of literals, such as (6, 7)")
        value = _expression(left, schema)
        found = value.isin([_literal(item) for item in right.elts])
        # As in SQL, a null is neither in nor out.
        found = pc.if_else(value.is_valid(), found, pa.scalar(None, pa.bool_()))
        return found if isinstance(operator, ast.In) else ~found
    if isinstance(operator, ast.Is | ast.IsNot):
        if not (isinstance(right, ast.Constant) and right.value is None):
            raise ValueError("'is' compares with None only")
        null = _expression(left, schema).is_null()
        return null if isinstance(operator, ast.Is) else ~null
    return _COMPARE[type(operator)](_operand(left, right, schema), _operand(right, left, schema))


def _operand(node: ast.expr, other: ast.expr, schema: pa.Schema | None) -> pc.Expression:
    """One side of a comparison, in a type that the other side can be compared with."""
    expression = _expression(node, schema)
    if schema is None:
        return expression
    if isinstance(node, ast.Name) and pa.types.is_decimal(schema.field(node.id).type):
        return expression.cast(pa.float64())
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and isinstance(other, ast.Name)
    ):
        type_ = schema.field(other.id).type
        if pa.types.is_temporal(type_):
            return pc.scalar(pa.scalar(node.value).cast(type_))
    return expression


def _literal(node: ast.expr) -> str | int | float | bool:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        value = None
    if not isinstance(value, str | int | float | bool):
        raise ValueError(f"{ast.unparse(node)!r} is not a string, number or boolean")
    return value
