"""Writes and reads JSON: the one place that does, so that no file or output is ever invalid JSON.

JSON has no NaN and no infinity, which Python's own writer writes all the same, and few readers
read. Where a value is not defined, it is null, and so is one that is too large for a double.
"""

import json
from collections.abc import Mapping
from functools import partial
from math import isfinite
from typing import Any, NoReturn


def json_text(
    values: Any, *, indent: int | None = None, sort_keys: bool = False, ascii: bool = True
) -> str:
    """Values as JSON; a float that is not finite is null.

    Parameters
    ----------
    values : object
    indent : int, optional
    sort_keys : bool
    ascii : bool
        Whether other characters are escaped.

    Examples
    --------
    >>> json_text({"psi": float("nan"), "shares": (0.5, float("inf"))})
    '{"psi": null, "shares": [0.5, null]}'
    """
    write = partial(
        json.dumps, indent=indent, sort_keys=sort_keys, ensure_ascii=ascii, allow_nan=False
    )
    try:
        return write(values)
    except ValueError:
        return write(_finite(values))


def json_values(text: str | bytes, **options: Any) -> Any:
    """The values in a JSON text.

    Parameters
    ----------
    text : str or bytes
    **options
        Of `json.loads`.

    Raises
    ------
    ValueError
        If it is no JSON, has NaN or an infinity, or is nested more deeply than anything written
        here.

    Examples
    --------
    >>> json_values('{"rows": 3}')
    {'rows': 3}
    >>> json_values("[NaN]")
    Traceback (most recent call last):
    ValueError: NaN is not JSON
    """
    try:
        return json.loads(text, **{"parse_constant": _refuse, **options})
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {_finite(key): _finite(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value
