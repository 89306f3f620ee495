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

from lasso_jobs.errors import JobError

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

    def expression(self) -> pc.Expression:
        """The Arrow expression (built where it is used, as it does not travel everywhere)."""
        return _expression(ast.parse(self.text, mode="eval").body)


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
    except (SyntaxError, ValueError, pa.ArrowException) as error:
        raise JobError(
            key,
            f"{text!r} is not a filter ({error})",
            "a condition such as date < '2013-10-01' and hour in (6, 7)",
            "Use column names, numbers, quoted strings, == != < <= > >= in, is None, and/or/not",
        ) from error
    return tuple(Condition(_names(part), ast.unparse(part)) for part in parts)


def _names(node: ast.expr) -> frozenset[str]:
    return frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name))


def _expression(node: ast.expr) -> pc.Expression:
    match node:
        case ast.Name(id=name):
            return pc.field(name)
        case ast.Constant() | ast.UnaryOp(op=ast.USub()):
            return pc.scalar(_literal(node))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return ~_expression(operand)
        case ast.BoolOp(op=operator, values=values):
            result = _expression(values[0])
            for value in values[1:]:
                other = _expression(value)
                result = result & other if isinstance(operator, ast.And) else result | other
            return result
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            return _comparison(left, operator, right)
    raise ValueError(f"{ast.unparse(node)!r} is not allowed here")


def _comparison(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> pc.Expression:
    if isinstance(operator, ast.In | ast.NotIn):
        if not isinstance(right, ast.Tuple | ast.List | ast.Set):
            raise ValueError("'in' needs a list of literals, such as (6, 7)")
        found = _expression(left).isin([_literal(item) for item in right.elts])
        return found if isinstance(operator, ast.In) else ~found
    if isinstance(operator, ast.Is | ast.IsNot):
        if not (isinstance(right, ast.Constant) and right.value is None):
            raise ValueError("'is' compares with None only")
        null = _expression(left).is_null()
        return null if isinstance(operator, ast.Is) else ~null
    return _COMPARE[type(operator)](_expression(left), _expression(right))


def _literal(node: ast.expr) -> str | int | float | bool:
    value = ast.literal_eval(node)
    if not isinstance(value, str | int | float | bool):
        raise ValueError(f"{ast.unparse(node)!r} is not a string, number or boolean")
    return value
