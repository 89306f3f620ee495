"""Makes keys of two tables comparable: equal values are equal keys, whatever their types.

Numbers are equal by value (``3``, ``3.0`` and the decimal ``3.00``), and text beside numbers is the
number that is written so. A date is the midnight of its day, in the zone of the times beside it.
Times with a zone are instants; they are never compared with times that have none, because one of
the two would be taken for another hour.
"""

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from lasso_jobs.data.columns.kinds import NUMBERS, UTC, decoded, kind_of

_COMPACT_DAY = r"^(\d{4})(\d{2})(\d{2})$"
_DAY = r"^\d{4}-\d{2}-\d{2}$"
_MOST_DIGITS = 76


def key_type(types: Collection[pa.DataType]) -> pa.DataType | None:
    """The type in which keys of these types are compared; None if they cannot be.

    Examples
    --------
    >>> key_type([pa.int32(), pa.int64()]), key_type([pa.decimal128(38, 10), pa.string()])
    (DataType(int64), DataType(string))
    >>> key_type([pa.string(), pa.date32()])
    TimestampType(timestamp[us])
    >>> key_type([pa.date32(), pa.int64()]) is None
    True
    """
    types = [decoded(type_) for type_ in types if not pa.types.is_null(type_)]
    kinds = {kind_of(type_) for type_ in types}
    if kinds & {"date", "timestamp"}:
        return _time_type(types) if kinds <= {"date", "timestamp", "string"} else None
    if kinds == {"boolean"}:
        return pa.bool_()
    if kinds and kinds <= {"integer", "boolean"} and pa.uint64() not in types:
        return pa.int64()
    if kinds <= {"string", "boolean", *NUMBERS} and kinds != {"string", "boolean"}:
        return pa.string()
    return types[0] if len(set(types)) == 1 and not pa.types.is_nested(types[0]) else None


def _time_type(types: Collection[pa.DataType]) -> pa.DataType | None:
    times = [type_ for type_ in types if pa.types.is_timestamp(type_)]
    zones = {"UTC" if type_.tz in UTC else type_.tz for type_ in times}
    if None in zones and len(zones) > 1:
        return None
    if len(zones) > 1:  # instants of any zone; but a day of which of them?
        return pa.timestamp("us", "UTC") if len(times) == len(types) else None
    fine = len(times) == len(types) and all(type_.unit == "ns" for type_ in times)
    return pa.timestamp("ns" if fine else "us", zones.pop() if zones else None)


def may_hold(there: pa.DataType, own: pa.DataType) -> bool:
    """Whether a column of one type may be written as another, if each value has a form in it.

    Numbers of any type may, and dates beside times without a zone. No zone is guessed.

    Examples
    --------
    >>> may_hold(pa.int64(), pa.decimal128(9, 2)), may_hold(pa.int64(), pa.string())
    (True, False)
    """
    kinds = {kind_of(there), kind_of(own)}
    zoned = [pa.types.is_timestamp(type_) and type_.tz is not None for type_ in (there, own)]
    alike = len(kinds) == 1 or kinds in ({"integer", "number"}, {"date", "timestamp"})
    return pa.types.is_null(own) or (alike and "other" not in kinds and zoned[0] == zoned[1])


def exactly(column: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    """A column in another type, in which each value is what it was.

    Raises
    ------
    pyarrow.ArrowInvalid
        If a value has no form in the type.

    Examples
    --------
    >>> exactly(pa.chunked_array([[3.0, None]]), pa.int8()).to_pylist()
    [3, None]
    >>> exactly(pa.chunked_array([[0.125]]), pa.decimal128(9, 2))
    Traceback (most recent call last):
    pyarrow.lib.ArrowInvalid: 0.125 cannot be decimal128(9, 2)
    """
    if column.type == type_:
        return column
    column = column.cast(decoded(column.type))
    if pa.types.is_decimal(type_) and kind_of(column.type) == "integer":
        column = column.cast(pa.decimal128(20, 0))  # Arrow asks for room for any integer.
    result = column.cast(type_)
    if kind_of(column.type) in ("number", "timestamp"):  # Arrow rounds some of these in silence.
        kept = pc.fill_null(pc.equal(result.cast(column.type), column), True)
        if pa.types.is_floating(column.type) and pa.types.is_floating(type_):
            kept = pc.or_(kept, pc.fill_null(pc.is_nan(column), True))
        if not pc.all(kept, min_count=0).as_py():
            value = column.filter(pc.invert(kept))[0].as_py()
            raise pa.ArrowInvalid(f"{value} cannot be {type_}")
    return result


def as_key(column: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    """A column in the type in which it is compared, as `key_type` says.

    Raises
    ------
    pyarrow.ArrowInvalid
        If a value has no such form, such as a text that is no date.

    Examples
    --------
    >>> as_key(pa.chunked_array([[3.0, 0.5]]), pa.string()).to_pylist()
    ['3', '0.5']
    >>> as_key(pa.chunked_array([["2024-01-31"]]), pa.timestamp("us")).to_pylist()
    [datetime.datetime(2024, 1, 31, 0, 0)]
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = kind_of(column.type)
    if kind == "boolean" and not pa.types.is_boolean(type_):
        column, kind = column.cast(pa.int8()), "integer"
    if pa.types.is_timestamp(type_):
        return _as_time(column, type_)
    if pa.types.is_string(type_) and kind == "number":
        return _as_text(column)
    return column.cast(type_)


def _as_time(column: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    kind = kind_of(column.type)
    if kind == "string":
        column = pc.replace_substring_regex(
            column.cast(pa.large_string()), _COMPACT_DAY, r"\1-\2-\3"
        )
    if type_.tz and kind == "date":
        return _midnights(column, type_)
    if type_.tz and kind == "string":
        day = pc.match_substring_regex(column, _DAY)
        days = pc.if_else(day, column, None).cast(pa.date32())
        return pc.if_else(day, _midnights(days, type_), pc.if_else(day, None, column).cast(type_))
    return column.cast(type_)


def _midnights(days: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    """The first instant of each day in a zone."""
    local = days.cast(pa.timestamp(type_.unit))
    return pc.assume_timezone(local, type_.tz, ambiguous="earliest", nonexistent="latest")


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers as text: whole ones without a point, others as their doubles are written.

    A decimal that no double is written as has all of its digits.
    """
    if pa.types.is_floating(column.type):
        column = (
            column.cast(pa.float32()).cast(pa.float64())
            if pa.types.is_float16(column.type)
            else column.cast(pa.float64())
        )
        column = pc.if_else(pc.is_nan(column), None, column)
        fits = pc.less(pc.abs(column), 10.0**_MOST_DIGITS)
        whole = pc.and_(fits, pc.equal(pc.floor(column), column))
        others = pc.if_else(whole, None, column).cast(pa.string())
    else:
        whole = pc.equal(pc.floor(column), column)
        others = _decimal_texts(pc.if_else(whole, None, column))
    digits = pa.decimal256(_MOST_DIGITS, 0)
    integers = pc.if_else(whole, column, None).cast(digits).cast(pa.string())
    return pc.if_else(whole, integers, others)


def _decimal_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    # By way of text: Arrow's cast to double is wrong in the last digit, as for the decimal 0.1.
    texts = column.cast(pa.string())
    doubles = texts.cast(pa.float64()).cast(pa.string())
    exact = pc.equal(doubles.cast(pa.decimal256(_MOST_DIGITS, column.type.scale)), column)
    if pc.all(exact).as_py() is not False:
        return doubles
    rest = pc.if_else(exact, None, column).to_pylist()
    plain = [None if value is None else f"{value:f}".rstrip("0") for value in rest]
    return pc.if_else(exact, doubles, pa.array(plain, pa.string()))
