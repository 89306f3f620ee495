"""Parses a row filter as SQL spells it: ``"Order Date" >= '2023-07-01' AND hour IN (6, 7)``.

The result is a tree of what `condition` defines; nothing of the text is ever executed. sqlglot, a
parser of all of SQL, was tried: what its tree may hold would have to be listed here all the same,
it makes keywords or functions of columns called ``case``, ``any`` or ``current_date``, and every
worker would take half a second longer to start.
"""

import math
import re
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, NoReturn

from lasso_jobs.data.condition import (
    KEYWORDS,
    Column,
    Comparison,
    Constant,
    IsNull,
    Junction,
    Membership,
    Node,
    Not,
    Scalar,
    spelled,
)

MOST_CHARACTERS = 1_000_000
MOST_NESTED = 50
MOST_JOINED = 500
"""From 1,000 on, Arrow's recursion ends a process whose threads have stacks of 512 KiB."""


class Token(NamedTuple):
    """A word, a name in quotes, a text, a number or a sign, and where it stands."""

    kind: str
    text: str
    start: int


_COMPARISONS = {"=": "=", "==": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">"}
_COMPARISONS[">="] = ">="
_MIRRORED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_TOKEN = re.compile(
    r"""(?P<text>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")+"|`(?:[^`]|``)+`)
    |(?P<number>[-+]?\ *(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    |(?P<word>[^\W\d]\w*)
    |(?P<sign><=|>=|==|!=|<>|[=<>(),\[\]{}])""",
    re.VERBOSE,
)
_BLANKS = re.compile(r"\s*")


def parsed(text: str) -> Node:
    """The tree of a filter.

    Raises
    ------
    ValueError
        If the text is no filter; it says what is wrong.

    Examples
    --------
    >>> parsed("hour = 6")
    Comparison(operator='=', column=Column(name='hour', in_quotes=False), other=Constant(value=6))
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"has more than {MOST_CHARACTERS:,} characters; name fewer values")
    return _Parser(text).whole()


class _Parser:
    """Reads a filter from left to right, a rule of its grammar a method."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0
        self._depth = 0
        self._n_tests = 0

    def whole(self) -> Node:
        tree = _condition(self._or())
        if self._peek.kind != "end":
            self._refuse_here()
        return tree

    def _or(self) -> Node:
        return self._joined("or", self._and)

    def _and(self) -> Node:
        return self._joined("and", self._not)

    def _joined(self, operator: Literal["and", "or"], operand: Callable[[], Node]) -> Node:
        parts = [operand()]
        while self._take(operator):
            parts.append(operand())
        return _junction(operator, parts) if len(parts) > 1 else parts[0]

    def _not(self) -> Node:
        if self._take("not"):
            self._deeper()
            part = Not(_condition(self._not()))
            self._depth -= 1
            return part
        return self._test()

    def _test(self) -> Node:
        self._n_tests += 1
        if self._n_tests > MOST_JOINED:
            raise ValueError(f"joins more than {MOST_JOINED} conditions; write IN for lists")
        left = self._value()
        sign = self._peek
        if sign.text in _COMPARISONS:
            self._next += 1
            right = self._value()
            if self._peek.text in _COMPARISONS:
                raise ValueError("compares three values at once; write a < b AND b < c")
            return _comparison(sign.text, left, right)
        if self._take("is"):
            negated = self._take("not")
            if not (self._take("null") or self._take("none")):
                raise ValueError("has IS without NULL; write IS NULL, IS NOT NULL or = true")
            found: Node = IsNull(_condition(left))
            return Not(found) if negated else found
        negated = self._take("not")
        if self._take("in"):
            found = self._membership(left)
        elif self._take("between"):
            low = self._value()
            if not self._take("and"):
                self._refuse_here("AND")
            bounds = (_comparison(">=", left, low), _comparison("<=", left, self._value()))
            found = _junction("and", bounds)
        elif negated:
            self._refuse_here("IN or BETWEEN")
        else:
            return left
        return Not(found) if negated else found

    def _membership(self, left: Node) -> Membership:
        if not isinstance(left, Column):
            raise ValueError("has IN without a column before it")
        if self._peek.text not in ("(", "[", "{"):
            self._refuse_here("a list of values such as (6, 7)")
        closing = _CLOSING[self._advance().text]
        values: list[Scalar] = []
        while not self._take(closing):
            value = self._value()
            if not isinstance(value, Constant):
                raise ValueError("has a list of other things than text, numbers, true and false")
            values.append(value.value)
            if not self._take(",") and self._peek.text != closing:
                self._refuse_here(f"a comma or {closing}")
        if len({_kind(value) for value in values}) > 1:
            raise ValueError("has a list of values of several kinds")
        return Membership(left, tuple(values))

    def _value(self) -> Node:
        token = self._advance()
        match token.kind, token.text.lower():
            case "text", _:
                return Constant(token.text[1:-1].replace("''", "'"))
            case "quoted", _:
                mark = token.text[0]
                return Column(token.text[1:-1].replace(2 * mark, mark), True)
            case "number", text:
                return Constant(_number(re.sub(r"[ _]", "", text)))
            case "word", "true" | "false" as word:
                return Constant(word == "true")
            case "word", word if word not in KEYWORDS:
                return Column(token.text, False)
            case "sign", "(":
                self._deeper()
                inner = self._or()
                if not self._take(")"):
                    self._refuse_here(")")
                self._depth -= 1
                return inner
            case "word", "null" | "none":
                raise ValueError("compares with NULL, which nothing equals; write IS NULL")
        self._next -= 1
        self._refuse_here("a column or a value")

    @property
    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _advance(self) -> Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _take(self, text: str) -> bool:
        """Step over a keyword or sign, if it is the next token."""
        token = self._peek
        found = token.kind in ("word", "sign") and token.text.lower() == text
        self._next += found
        return found

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MOST_NESTED:
            raise ValueError(f"has more than {MOST_NESTED} parentheses or NOTs within each other")

    def _refuse_here(self, expected: str = "AND, OR or the end") -> NoReturn:
        token = self._peek
        if token.kind == "end":
            raise ValueError(f"ends where {expected} is expected")
        raise ValueError(f"has {token.text} at character {token.start + 1}, not {expected}")


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    while (at := _end_of_blanks(text, at)) < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            mark = text[at]
            if mark in "'\"`":
                raise ValueError(f"has no second {mark} after character {at + 1}")
            raise ValueError(f"has {mark!r} at character {at + 1}")
        tokens.append(Token(str(match.lastgroup), match[0], at))
        at = match.end()
    return [*tokens, Token("end", "", len(text))]


def _end_of_blanks(text: str, start: int) -> int:
    found = _BLANKS.match(text, start)
    return found.end() if found else start


def _number(text: str) -> int | float:
    if re.search("[.eE]", text):
        if math.isfinite(float(text)):
            return float(text)
    elif len(text) < 40 and -(2**63) <= int(text) < 2**64:
        return int(text)
    raise ValueError(f"has the number {text[:40]}, which is too large")


def _kind(value: Scalar) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"


def _comparison(sign: str, left: Node, right: Node) -> Comparison:
    if not isinstance(left, Column | Constant) or not isinstance(right, Column | Constant):
        raise ValueError("compares conditions with each other")
    if isinstance(left, Column):
        return Comparison(_COMPARISONS[sign], left, right)
    if isinstance(right, Column):
        return Comparison(_MIRRORED[_COMPARISONS[sign]], right, left)
    both = f"{spelled(left)} with {spelled(right)}"
    raise ValueError(f"compares {both}, and names no column")


def _condition(node: Node) -> Node:
    if isinstance(node, Constant):
        raise ValueError(f"has {spelled(node)} for a condition, which names no column")
    return node


def _junction(operator: Literal["and", "or"], parts: Iterable[Node]) -> Junction:
    """Conditions joined; those that are joined by the same word become parts of the whole."""
    flat: list[Node] = []
    for part in map(_condition, parts):
        if isinstance(part, Junction) and part.operator == operator:
            flat.extend(part.parts)
        else:
            flat.append(part)
    return Junction(operator, tuple(flat))
