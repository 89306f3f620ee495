"""Says what a column of an Arrow type can be used as, and how the types of several files agree.

Files of one dataset write one column in several types: an integer that has a null is a float in
pandas, text may be large or a dictionary, a column without a value has the type ``null``. They are
of one kind, and the column is read as one. Numbers, texts, lists of texts and vectors are read by
their value, whatever their types; what else differs is converted where it is read.
"""

from collections.abc import Collection
from typing import Literal

import pyarrow as pa

from lasso_jobs.core.rows.columns import DatePart
from lasso_jobs.core.rows.vectors import TokensHow

Kind = Literal[
    "number",
    "integer",
    "string",
    "boolean",
    "timestamp",
    "date",
    "vector",
    "texts",
    "null",
    "other",
]

NUMBERS: tuple[Kind, ...] = ("integer", "number")
UTC = ("UTC", "Etc/UTC", "Etc/UCT", "Etc/Zulu", "Etc/GMT", "GMT", "UCT", "Z", "Zulu", "+00:00")
"""Spellings of one time zone."""


def kind_of(type_: pa.DataType) -> Kind:
    """What a column of this type can be used as.

    Examples
    --------
    >>> kind_of(pa.int8()), kind_of(pa.decimal128(9, 2)), kind_of(pa.list_(pa.int8()))
    ('integer', 'number', 'vector')
    """
    type_ = decoded(type_)
    if pa.types.is_boolean(type_):
        return "boolean"
    if pa.types.is_integer(type_):
        return "integer"
    if pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return "number"
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return "string"
    if pa.types.is_string_view(type_):
        return "string"
    if pa.types.is_timestamp(type_):
        return "timestamp"
    if pa.types.is_date(type_):
        return "date"
    if is_list(type_) or is_sparse(type_):
        return "vector"
    if _is_list_of(type_, "string"):
        return "texts"
    return "null" if pa.types.is_null(type_) else "other"


def kinds_with_part(part: DatePart) -> tuple[Kind, ...]:
    """The kinds of columns that have a part of a date."""
    return ("timestamp",) if part == "hour" else ("timestamp", "date")


def kinds_with_tokens(how: TokensHow) -> tuple[Kind, ...]:
    """The kinds of columns that have tokens of a sort."""
    kinds: dict[TokensHow, tuple[Kind, ...]] = {
        "words": ("string",),
        "items": ("texts",),
        "value": ("string", "integer", "number", "boolean"),
    }
    return kinds[how]


def is_list(type_: pa.DataType) -> bool:
    """Whether values are lists of numbers: vectors that are written element by element."""
    return _is_list_of(type_, *NUMBERS, "null")


def is_kind(type_: pa.DataType, kinds: Collection[Kind]) -> bool:
    """Whether a column can be used as one of some kinds: one of nulls, or of empty lists, can be.

    Examples
    --------
    >>> is_kind(pa.list_(pa.null()), ["texts"]), is_kind(pa.list_(pa.int8()), ["texts"])
    (True, False)
    """
    kind = kind_of(type_)
    return kind in (*kinds, "null") or ("texts" in kinds and _is_list_of(type_, "null"))


def _is_list_of(type_: pa.DataType, *kinds: Kind) -> bool:
    tests = (pa.types.is_fixed_size_list, pa.types.is_list, pa.types.is_large_list)
    return any(test(type_) for test in tests) and kind_of(type_.value_type) in kinds


def is_sparse(type_: pa.DataType) -> bool:
    """Whether values are sparse vectors: lists of indices and of values, or maps.

    Examples
    --------
    >>> is_sparse(pa.map_(pa.int32(), pa.float64()))
    True
    """
    if pa.types.is_map(type_):
        return kind_of(type_.key_type) == "integer" and kind_of(type_.item_type) in NUMBERS
    if not pa.types.is_struct(type_):
        return False
    parts = {field.name: field.type for field in type_}
    if not {"indices", "values"} <= parts.keys() <= {"type", "size", "indices", "values"}:
        return False
    lists = is_list(parts.pop("values")) and is_list(parts["indices"])
    integers = [parts.pop("indices").value_type, *parts.values()] if lists else []
    return lists and all(kind_of(type_) in ("integer", "null") for type_ in integers)


def decoded(type_: pa.DataType) -> pa.DataType:
    """The type of a dictionary's values; other types as they are."""
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def stored_type(type_: pa.DataType) -> pa.DataType:
    """What the values of an extension type are stored as; other types as they are.

    Whether Arrow knows an extension type depends on what has been imported: pandas, for one, makes
    its periods known. As they are stored, they are the same in every process.
    """
    return type_.storage_type if isinstance(type_, pa.BaseExtensionType) else type_


def common_type(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """The type of a column that two files have as two types; None if they are of two kinds.

    A boolean beside numbers is a number: true is 1. Times of different units are in microseconds.
    Vectors are of one kind if they are of one length, as far as their types say it, and all of
    lists or all sparse.

    Examples
    --------
    >>> common_type(pa.int32(), pa.float32()), common_type(pa.bool_(), pa.int64())
    (DataType(double), DataType(int64))
    >>> common_type(pa.string(), pa.int64()) is None
    True
    """
    if a == b or pa.types.is_null(b):
        return a
    if pa.types.is_null(a):
        return b
    if pa.types.is_dictionary(a) and pa.types.is_dictionary(b):
        values = common_type(a.value_type, b.value_type)
        return None if values is None else pa.dictionary(pa.int32(), values)
    a, b = decoded(a), decoded(b)
    kinds = {kind_of(a), kind_of(b)}
    if "texts" in kinds:
        return (a if kind_of(a) == "texts" else b) if _are_texts(a, b) else None
    if kinds == {"boolean"} or kinds == {"boolean", "integer"}:
        return b if kind_of(a) == "boolean" else a
    if kinds <= {"boolean", *NUMBERS} and kinds != {"integer"}:
        return pa.float64()
    if kinds == {"timestamp"}:
        return _common_timestamp(a, b)
    if kinds == {"string"}:
        return a if a == b else pa.large_string()
    if kinds == {"date"}:
        return pa.date32()
    if kinds == {"vector"}:
        return _common_vector(a, b)
    return _unified(a, b) if len(kinds) == 1 else None


def exact_type(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """The type that holds the values of two exactly, for columns that are written; None if none.

    Nothing is rounded, so that integers and floats have none; and no time zone is guessed.

    Examples
    --------
    >>> exact_type(pa.int32(), pa.int64()), exact_type(pa.int64(), pa.float64())
    (DataType(int64), None)
    """
    if a == b or pa.types.is_null(b):
        return a
    if pa.types.is_null(a):
        return b
    a, b = decoded(a), decoded(b)
    kinds = {kind_of(a), kind_of(b)}
    if kinds == {"timestamp"} and a.tz and b.tz:
        unit = "ns" if "ns" in (a.unit, b.unit) else "us"
        return _common_timestamp(a, b) or pa.timestamp(unit, "UTC")
    if kinds == {"vector"}:
        return _unified(a, b)
    if a == b or not kinds & set(NUMBERS):
        return common_type(a, b)
    if "boolean" in kinds:
        return None
    whole = [pa.types.is_integer(t) or pa.types.is_decimal(t) for t in (a, b)]
    if any(whole) and not all(whole):
        return None
    if pa.uint64() in (a, b) and (pa.types.is_signed_integer(a) or pa.types.is_signed_integer(b)):
        return None  # Arrow would take int64, which lacks the half.
    return _unified(a, b)


def _common_vector(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """One of the two, with the length if one has it: vectors are read by their values."""
    fixed = [type_ for type_ in (a, b) if pa.types.is_fixed_size_list(type_)]
    if is_list(a) != is_list(b) or len({type_.list_size for type_ in fixed}) > 1:
        return None
    return fixed[0] if fixed else a


def _are_texts(*types: pa.DataType) -> bool:
    return all(is_kind(type_, ["texts"]) for type_ in types)


def _common_timestamp(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    unit = a.unit if a.unit == b.unit else "us"
    if a.tz == b.tz:
        return pa.timestamp(unit, a.tz)
    return pa.timestamp(unit, "UTC") if a.tz in UTC and b.tz in UTC else None


def _unified(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    fields = [pa.schema([("x", type_)]) for type_ in (a, b)]
    try:
        return pa.unify_schemas(fields, promote_options="permissive").field("x").type
    except pa.ArrowException:
        return None


def read_type(own: pa.DataType, common: pa.DataType) -> pa.DataType | None:
    """What a file's column is converted to when it is read; None if it is read as it is.

    Examples
    --------
    >>> read_type(pa.int32(), pa.float64()), read_type(pa.bool_(), pa.float64())
    (None, DataType(int8))
    """
    kinds = (kind_of(own), kind_of(common))
    if own == common or kinds in (("string", "string"), ("vector", "vector")):
        return None
    if kinds[1] == "texts" and _are_texts(own):
        return None
    if kinds[1] in NUMBERS and not pa.types.is_dictionary(common):
        if kinds[0] == "boolean":
            return pa.int8()
        return decoded(own) if pa.types.is_dictionary(own) else None
    return common


def type_of_elements(type_: pa.DataType) -> pa.DataType:
    """The type of the numbers in vectors, of those that are null, null.

    Examples
    --------
    >>> type_of_elements(pa.map_(pa.int32(), pa.float32()))
    DataType(float)
    """
    if pa.types.is_struct(type_):
        type_ = type_.field("values").type
    if pa.types.is_map(type_):
        return type_.item_type
    return type_.value_type if is_list(type_) else type_
