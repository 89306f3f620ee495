"""The conditions of a row filter, as a tree, and how each is spelled."""

import re
from dataclasses import dataclass
from typing import Literal

Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Column:
    """A column, by its name."""

    name: str
    in_quotes: bool


@dataclass(frozen=True, slots=True)
class Constant:
    """A text, a number, true or false."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class Comparison:
    """A column, and what its value is compared with."""

    operator: str
    column: Column
    other: Column | Constant


@dataclass(frozen=True, slots=True)
class Membership:
    """Whether a column's value is one of a list."""

    column: Column
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class IsNull:
    """Whether something is null."""

    part: "Node"


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a condition."""

    part: "Node"


@dataclass(frozen=True, slots=True)
class Junction:
    """Conditions joined by AND, or by OR."""

    operator: Literal["and", "or"]
    parts: tuple["Node", ...]


Node = Column | Constant | Comparison | Membership | IsNull | Not | Junction


KEYWORDS = ("and", "or", "not", "in", "is", "null", "none", "between", "true", "false")
_PLAIN = re.compile(r"[^\W\d]\w*")


def column(name: str) -> str:
    """A column's name as a filter spells it: in double quotes unless it is a plain word.

    Examples
    --------
    >>> column("day"), column("Order Date"), column("in")
    ('day', '"Order Date"', '"in"')
    """
    if _PLAIN.fullmatch(name) and name.lower() not in KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def columns_of(tree: Node) -> frozenset[Column]:
    """The columns that a condition reads."""
    match tree:
        case Column():
            return frozenset([tree])
        case Constant():
            return frozenset()
        case Comparison(column=of, other=other):
            return columns_of(of) | columns_of(other)
        case Membership(column=of):
            return frozenset([of])
        case IsNull(part=part) | Not(part=part):
            return columns_of(part)
        case Junction(parts=parts):
            return frozenset[Column]().union(*map(columns_of, parts))


def spelled(tree: Node) -> str:
    """A condition as text, the same for all spellings of it.

    Examples
    --------
    >>> hour = Membership(Column("hour", False), (6, 7))
    >>> spelled(Not(Junction("or", (hour, IsNull(Column("Order Date", True))))))
    'not (hour in (6, 7) or ("Order Date" is null))'
    """
    match tree:
        case Column(name=name):
            return column(name)
        case Constant(value=value):
            return _spelled_value(value)
        case Comparison(operator=operator, column=of, other=other):
            return f"{spelled(of)} {operator} {spelled(other)}"
        case Membership(column=of, values=values):
            return f"{spelled(of)} in ({', '.join(map(_spelled_value, values))})"
        case Not(part=Membership(column=of, values=values)):
            return f"{spelled(of)} not in ({', '.join(map(_spelled_value, values))})"
        case IsNull(part=part):
            return f"{_inner(part)} is null"
        case Not(part=IsNull(part=part)):
            return f"{_inner(part)} is not null"
        case Not(part=part):
            return f"not {_inner(part)}"
        case Junction(operator=joined, parts=parts):
            return f" {joined} ".join(map(_inner, parts))


def _inner(tree: Node) -> str:
    simple = isinstance(tree, Column | Comparison | Membership)
    return spelled(tree) if simple else f"({spelled(tree)})"


def _spelled_value(value: Scalar) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value).lower()
