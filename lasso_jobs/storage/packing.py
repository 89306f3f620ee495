"""Packs dataclasses into JSON and arrays, and unpacks what it packed; no code is stored.

The types of a dataclass's fields say how each is packed:

* a nested dataclass becomes an object, a tuple a list, a mapping with text keys an object, any
  other mapping a list of pairs, a datetime its ISO 8601 text;
* an array goes to the arrays under its dotted name, which stands for it in the JSON;
* a float that is not finite, which JSON has not, becomes ``"nan"``, ``"inf"`` or ``"-inf"``;
* a number that may be either stays an integer or a float;
* ``Any`` stands for a value that is JSON already, and stays as it is.

Unpacking is strict: a key too many or too few, another type or an array that nothing names is a
`PackingError`. Whoever reads a file turns it into a message that names the file. Only a field that
has a default may be absent: files are read that were written before there was such a field.
"""

import io
import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
NUMBER = int | float
"""A number that stays of the type that it has: a count is an integer in JSON, too."""
T = TypeVar("T")


class PackingError(ValueError):
    """A value is not of the type that is packed or unpacked."""


def pack(value: object, kind: Any = None) -> tuple[Any, Arrays]:
    """Take a value apart into what JSON can hold, and arrays by dotted name.

    Parameters
    ----------
    value : object
    kind : type, optional
        Its type, unless it is a dataclass.

    Raises
    ------
    PackingError

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Line:
    ...     intercept: float
    ...     coef: NDArray[np.float64]
    >>> pack(Line(0.5, np.array([1.0, 2.0])))
    ({'intercept': 0.5, 'coef': 'coef'}, {'coef': array([1., 2.])})
    """
    arrays: Arrays = {}
    return _packed(type(value) if kind is None else kind, value, "", arrays), arrays


def unpack(kind: type[T], content: object, arrays: Mapping[str, NDArray[Any]]) -> T:
    """Put together what `pack` took apart.

    Raises
    ------
    PackingError
        If that is not what a value of this type was packed into.

    Examples
    --------
    >>> unpack(dict[str, int], {"a": 1}, {})
    {'a': 1}
    >>> unpack(dict[str, int], {"a": "1"}, {})
    Traceback (most recent call last):
        ...
    lasso_jobs.storage.packing.PackingError: a: not int
    """
    left = dict(arrays)
    value = _unpacked(kind, content, "", left)
    if left:
        raise PackingError(f"arrays that nothing names: {', '.join(left)}")
    return value  # type: ignore[no-any-return]


def archive(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The bytes of an uncompressed ``.npz`` file of some arrays."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def arrays_in(archived: bytes) -> Arrays:
    """The arrays of an ``.npz`` file; a pickle among them is refused, and not run."""
    with np.load(io.BytesIO(archived), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def as_lists(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """A few small arrays as JSON, for a file without an archive beside it.

    Examples
    --------
    >>> as_lists({"coef": np.array([0.5])})
    {'coef': {'dtype': '<f8', 'shape': [1], 'values': [0.5]}}
    """
    return {
        name: {
            "dtype": array.dtype.str,
            "shape": list(array.shape),
            "values": [_number(value) for value in array.ravel().tolist()],
        }
        for name, array in arrays.items()
    }


def from_lists(content: Mapping[str, Any]) -> Arrays:
    """The arrays that `as_lists` wrote."""
    return {
        name: np.array(each["values"], each["dtype"]).reshape(each["shape"])
        for name, each in content.items()
    }


@cache
def _hints(kind: Any) -> tuple[tuple[str, Any], ...]:
    """A dataclass's fields and their types."""
    hints = get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in fields(kind))


@cache
def _required(kind: Any) -> frozenset[str]:
    """The names of a dataclass's fields that have no default."""
    without = (f for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING)
    return frozenset(field.name for field in without)


def _is_nested(kind: Any) -> bool:
    return is_dataclass(kind)


def _is_mapping(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _within(name: str, key: object) -> str:
    """The dotted name of a part: a key's own dots, and what no file's name may have, are quoted."""
    own = str(key)
    # Nearly all names are plain, which is quick to see.
    if not (own.isascii() and own.replace("_", "").isalnum()):
        own = quote(own, safe="").replace(".", "%2E")
    return f"{name}.{own}" if name else own


def _check(fits: bool, name: str, kind: Any) -> None:
    if not fits:
        raise PackingError(f"{name or 'the whole'}: not {getattr(kind, '__name__', kind)}")


def _number(value: Any) -> Any:
    """A number as JSON has it."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _element_kinds(arguments: tuple[Any, ...], n: int, name: str) -> tuple[Any, ...]:
    """The types of a tuple's elements."""
    if arguments[1:] == (Ellipsis,):
        return arguments[:1] * n
    _check(len(arguments) == n, name, f"a tuple of {len(arguments)}")
    return arguments


def _only_kind(arguments: tuple[Any, ...]) -> Any:
    """The type in an Optional."""
    kinds = tuple(each for each in arguments if each is not NoneType)
    if {*kinds} == {int, float}:
        return NUMBER
    (kind,) = kinds
    return kind


def _packed(kind: Any, value: Any, name: str, arrays: Arrays) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType) and kind != NUMBER:
        return None if value is None else _packed(_only_kind(arguments), value, name, arrays)
    if _is_nested(kind):
        _check(type(value) is kind, name, kind)
        return {
            field: _packed(hint, getattr(value, field), _within(name, field), arrays)
            for field, hint in _hints(kind)
        }
    if origin is tuple:
        _check(isinstance(value, tuple), name, tuple)
        kinds = enumerate(zip(_element_kinds(arguments, len(value), name), value, strict=True))
        return [_packed(each, part, _within(name, i), arrays) for i, (each, part) in kinds]
    if _is_mapping(origin):
        _check(isinstance(value, Mapping), name, origin)
        if arguments[0] is str:
            return {
                _text(key, name): _packed(arguments[1], part, _within(name, key), arrays)
                for key, part in value.items()
            }
        return _packed(tuple[tuple[arguments], ...], (*value.items(),), name, arrays)  # type: ignore[valid-type]
    if origin is np.ndarray:
        _check(isinstance(value, np.ndarray) and not value.dtype.hasobject, name, "an array")
        arrays[name] = value
        return name
    return _packed_leaf(kind, value, name)


def _text(key: object, name: str) -> str:
    _check(isinstance(key, str), name, "text keys")
    return str(key)


def _packed_leaf(kind: Any, value: Any, name: str) -> Any:
    kind = _own_kind(kind, value)
    if kind is float:
        fits = isinstance(value, float | int) and not isinstance(value, bool)
        _check(fits, name, float)
        return _number(float(value))
    _check_leaf(kind, value, name)
    return value.isoformat() if kind is datetime else value


def _own_kind(kind: Any, value: object) -> Any:
    """The type that a number has, of those that it may have."""
    if kind != NUMBER:
        return kind
    return int if type(value) is int else float


def _check_leaf(kind: Any, value: Any, name: str) -> None:
    if get_origin(kind) is Literal:
        fits = any(value == each and type(value) is type(each) for each in get_args(kind))
    elif kind in (str, int, bool, datetime):
        fits = type(value) is kind
    elif kind is Any:
        fits = True
    else:
        raise TypeError(f"{name or 'the whole'}: {kind} is none of the types that can be packed")
    _check(fits, name, kind)


def _unpacked(kind: Any, content: Any, name: str, arrays: Arrays) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType) and kind != NUMBER:
        return None if content is None else _unpacked(_only_kind(arguments), content, name, arrays)
    if _is_nested(kind):
        hints = _hints(kind)
        _check(isinstance(content, dict), name, kind)
        wrong = _required(kind) - content.keys() | content.keys() - {field for field, _ in hints}
        if wrong:
            raise PackingError(f"{name or 'the whole'}: lacks or adds {', '.join(sorted(wrong))}")
        return kind(
            **{
                field: _unpacked(hint, content[field], _within(name, field), arrays)
                for field, hint in hints
                if field in content
            }
        )
    if origin is tuple:
        _check(isinstance(content, list), name, "a list")
        kinds = enumerate(zip(_element_kinds(arguments, len(content), name), content, strict=True))
        return tuple(_unpacked(each, part, _within(name, i), arrays) for i, (each, part) in kinds)
    if _is_mapping(origin):
        if arguments[0] is str:
            _check(isinstance(content, dict), name, "an object")
            return {
                key: _unpacked(arguments[1], part, _within(name, key), arrays)
                for key, part in content.items()
            }
        return dict(_unpacked(tuple[tuple[arguments], ...], content, name, arrays))  # type: ignore[valid-type]
    if origin is np.ndarray:
        _check(content == name and name in arrays, name, "an array")
        array = arrays.pop(name)
        (scalar,) = get_args(arguments[1])
        _check(scalar is Any or np.issubdtype(array.dtype, scalar), name, f"of {scalar}")
        return array
    return _unpacked_leaf(kind, content, name)


_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def _unpacked_leaf(kind: Any, content: Any, name: str) -> Any:
    kind = _own_kind(kind, content)
    if kind is float:
        found = _NOT_FINITE.get(content) if isinstance(content, str) else content
        _check(type(found) is float, name, float)
        return found
    if kind is datetime:
        _check(isinstance(content, str), name, datetime)
        return datetime.fromisoformat(content)  # a ValueError too
    _check_leaf(kind, content, name)
    return content
