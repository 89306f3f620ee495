"""Turns times into numbers: dates and timestamps into microseconds since 1970, in UTC.

Times that are numbers already stay as they are. A float holds microseconds exactly until the year
2255; finer times are cut to microseconds.
"""

import re
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lasso_jobs.core.rows.buckets import Hashes, remix, row_hashes, text_key
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.data.arrays import levels, numbers
from lasso_jobs.data.columns.kinds import kind_of

FORMS = "a date, a timestamp, a number, or text such as 2013-10-01 or 2013-10-01T05:00"
NULL_PERIOD = -0.5
"""The number of the period of rows whose period is null."""
_UNITS = {"w": 604_800e6, "d": 86_400e6, "h": 3_600e6, "min": 60e6, "s": 1e6}
_DAY = r"^\d{4}-\d{2}-\d{2}[T ]"
_ZONE = r"[T ].*(Z|[+-]\d{2}(:?\d{2})?)$"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(w|d|h|min|s)")


def is_number(type_: pa.DataType) -> bool:
    """Whether times of this type are numbers, and not dates or timestamps."""
    return kind_of(type_) in ("integer", "number")


def is_time(type_: pa.DataType) -> bool:
    """Whether values of this type can be times."""
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    return (
        kind_of(type_) in ("integer", "number", "string")
        or pa.types.is_date(type_)
        or pa.types.is_timestamp(type_)
    )


def is_date(text: str) -> bool:
    """Whether a text is a day, such as 2013-10-01.

    Examples
    --------
    >>> is_date("2013-10-01"), is_date("2013-10-01T05:00")
    (True, False)
    """
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def days(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Timestamps, and texts of them, cut to their days; other values as they are.

    Examples
    --------
    >>> days(pa.chunked_array([["2013-10-01T05:00", "2013-10-02"]])).to_pylist()
    ['2013-10-01', '2013-10-02']
    """
    if pa.types.is_timestamp(column.type):
        return pc.cast(
            pc.local_timestamp(column) if column.type.tz else column, pa.date32(), safe=False
        )
    if kind_of(column.type) == "string":
        texts = column.cast(pa.large_string())
        return pc.if_else(
            pc.match_substring_regex(texts, _DAY), pc.utf8_slice_codeunits(texts, 0, 10), texts
        )
    return column


def periods(column: pa.ChunkedArray) -> Floats:
    """A number of each row's period: days and integers in their order.

    A name, which has no order, gets an integer and a half, of its hash; a null -0.5.
    """
    texts, index = levels(days(column))
    numbers_of = [NULL_PERIOD if text is None else _period(text) for text in texts]
    return np.array(numbers_of or [NULL_PERIOD])[index]


def _period(text: str) -> float:
    if is_date(text):
        return float(date.fromisoformat(text).toordinal())
    return float(text) if text.lstrip("-").isdigit() else (text_key(text, 0) >> 12) + 0.5


def period_draws(numbers: Floats, seed: int) -> Hashes:
    """A hash of each row's period, by its number and a seed alone.

    Examples
    --------
    >>> monday, tuesday = period_draws(np.array([736237.0, 736238.0]), seed=0)
    >>> bool(monday != tuesday), bool(monday == period_draws(np.array([736237.0]), seed=0)[0])
    (True, True)
    """
    return remix(row_hashes(text_key("period", seed), (numbers + 0.0).view(np.int64)))


def duration(text: str) -> float | None:
    """Microseconds of a duration such as ``7d`` or ``12h``; None if it is none.

    Examples
    --------
    >>> duration("12h"), duration("soon")
    (43200000000.0, None)
    """
    match = _DURATION.fullmatch(text)
    return float(match[1]) * _UNITS[match[2]] if match else None


def times(column: pa.ChunkedArray) -> Floats:
    """Times as float64; null is NaN.

    Raises
    ------
    ValueError
        If a text is no time.

    Examples
    --------
    >>> times(pa.chunked_array([["1970-01-01", "1970-01-01T00:00:01"]]))
    array([      0., 1000000.])
    """
    type_ = column.type
    if pa.types.is_dictionary(type_):
        column = column.cast(type_.value_type)
    if is_number(column.type) or pa.types.is_null(column.type):
        return numbers(column)
    if kind_of(column.type) == "string":
        return _of_texts(column)
    return numbers(_microseconds(column))


def has_zones(column: pa.ChunkedArray) -> frozenset[bool]:
    """Whether texts of times have a zone: some with and others without cannot be compared.

    Examples
    --------
    >>> [
    ...     sorted(has_zones(pa.chunked_array([texts])))
    ...     for texts in (["2024-05-01T05:00Z"], ["2024-05-01", "2024-05-01 05:00-0300"], [1, 2])
    ... ]
    [[True], [False, True], []]
    """
    if kind_of(column.type) != "string":
        return frozenset()
    texts = pc.unique(column).cast(pa.large_string()).drop_null()
    return frozenset(pc.match_substring_regex(texts, _ZONE).unique().to_pylist())


def _of_texts(column: pa.ChunkedArray) -> Floats:
    """Each distinct text is read once: a folder's date is the same in all its rows."""
    encoded = column.combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0) if encoded.num_chunks else pa.array([], column.type)
    encoded = pc.dictionary_encode(encoded)
    texts = pc.cast(encoded.dictionary, pa.large_string())
    for type_ in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            read = numbers(_microseconds(pa.chunked_array([pc.cast(texts, type_)])))
        except pa.ArrowInvalid as error:
            reason = str(error)
        else:
            index = numbers(pa.chunked_array([pc.fill_null(encoded.indices, len(read))]))
            return np.append(read, np.nan)[index.astype(np.intp)]
    raise ValueError(reason)


def _microseconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    zone = column.type.tz if pa.types.is_timestamp(column.type) else None
    return pc.cast(column, pa.timestamp("us", zone), safe=False).cast(pa.int64())
