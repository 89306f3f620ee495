"""Turns Arrow columns into numpy arrays, and back, without loading pandas."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lasso_jobs.core.rows.columns import Category
from lasso_jobs.data.columns.kinds import decoded, kind_of, stored_type
from lasso_jobs.errors import DataError

T = TypeVar("T", np.int32, float)
Number = TypeVar("Number", np.int64, np.float64)

LARGEST = 1e75
"""The largest number that is computed with: its fourth power, as in the standard error of a squared
error, is a double. Larger ones, such as 1e300 or the largest double, stand for missing values."""
SMALLEST = 1e-75
"""Values that differ by less are not told apart by their squares, for the same reason."""


def array(values: NDArray[Any]) -> pa.Array:
    """Numbers as a column, without a copy.

    ``pyarrow.array`` would load pandas, to see whether they are one of its own.
    """
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, buffer])


def table_of(rows: Any) -> pa.Table:
    """Another library's rows, by Arrow's stream; ``pyarrow.table`` would load pandas, as above."""
    return pa.RecordBatchReader.from_stream(rows).read_all()


_NAN = array(np.array([np.nan]))[0]
"""A scalar of Arrow's: from a number of Python's it would make one, which loads pandas."""


def plain_type(type_: pa.DataType) -> pa.DataType:
    """Extension types as they are stored; views of text as text, as Arrow cannot filter them.

    Examples
    --------
    >>> plain_type(pa.string_view()), plain_type(pa.int8())
    (DataType(large_string), DataType(int8))
    """
    type_ = stored_type(type_)
    return pa.large_string() if pa.types.is_string_view(type_) else type_


def plain(table: pa.Table) -> pa.Table:
    """The columns with their plain types."""
    if all(plain_type(type_) == type_ for type_ in set(table.schema.types)):
        return table
    for i, field in enumerate(table.schema):
        type_ = plain_type(field.type)
        if type_ == field.type:
            continue
        column = table.column(i)
        if isinstance(field.type, pa.BaseExtensionType):
            chunks = [chunk.storage for chunk in column.chunks]
            column = pa.chunked_array(chunks, field.type.storage_type)
        table = table.set_column(i, field.name, column.cast(type_))
    return table


def repeated(value: str, n: int) -> pa.Array:
    """A text in each of n rows, without pandas."""
    content = value.encode()
    ends = np.arange(n + 1, dtype=np.int64) * len(content)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(content * n)]
    return pa.Array.from_buffers(pa.large_string(), n, buffers).cast(pa.string())


def numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Values as float64; null is NaN. The array may be a read-only view.

    Examples
    --------
    >>> numbers(pa.chunked_array([[1, None], [3]]))
    array([ 1., nan,  3.])
    """
    array = _one_array(column)
    if pa.types.is_null(array.type):
        return np.full(len(array), np.nan)
    if not pa.types.is_float64(array.type):
        array = pc.cast(array, pa.float64(), safe=False)
    if array.null_count:
        array = pc.fill_null(array, _NAN)
    return values_of(array, np.float64)


NUMBERS = {
    *(pa.float64(), pa.float32(), pa.int64(), pa.int32(), pa.int16(), pa.int8()),
    *(pa.uint64(), pa.uint32(), pa.uint16(), pa.uint8()),
}
"""Types whose columns Arrow lays out together."""


def matrix(table: pa.Table) -> NDArray[Any]:
    """Columns of numbers, one per row of memory, as float64 or float32; null is NaN.

    Columns of one type are copied by Arrow, in a fifth of the time that `numbers` takes for each:
    of types that differ it would lose digits, such as those of int32 beside float32.

    Examples
    --------
    >>> matrix(pa.table({"a": [1, None], "b": [3, 4]}))
    array([[ 1., nan],
           [ 3.,  4.]])
    """
    types, batches = set(table.schema.types), table.to_batches()
    if len(batches) != 1 or len(types) != 1 or not types <= NUMBERS:
        return np.stack([numbers(column) for column in table.columns])
    values: NDArray[Any] = batches[0].to_tensor(null_to_nan=True, row_major=False).to_numpy().T
    return values if types == {pa.float32()} else values.astype(np.float64, copy=False)


def has_text(schema: pa.Schema) -> bool:
    """Whether a column is of text, so that it is worth a check."""
    return any(_is_text(type_) for type_ in set(schema.types))


def check_text(where: str, name: str, column: pa.ChunkedArray) -> None:
    """Check that a column, if it is of text, is UTF-8.

    Raises
    ------
    DataError
        With the first value that is not.
    """
    if not _is_text(column.type):
        return
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        value = _first_wrong(column)
        found = "cannot be read" if value is None else f"has text that is not UTF-8, {value!r}"
        raise DataError(
            f"{where}, column {name!r}",
            found if value is not None else f"{found} ({error})",
            "text in UTF-8",
            "Write the text anew in UTF-8",
        ) from error


def _is_text(type_: pa.DataType) -> bool:
    if isinstance(type_, pa.BaseExtensionType):
        return _is_text(type_.storage_type)
    if pa.types.is_dictionary(type_) or kind_of(type_) == "texts":
        return _is_text(type_.value_type)
    is_text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(type_) for test in is_text)


def _first_wrong(column: pa.ChunkedArray) -> bytes | None:
    for chunk in column.chunks:
        array = chunk.storage if isinstance(chunk, pa.ExtensionArray) else chunk
        array = pc.list_flatten(array) if kind_of(array.type) == "texts" else array
        array = array.dictionary if pa.types.is_dictionary(array.type) else array
        for value in array:
            content: bytes = value.as_buffer().to_pybytes() if value.is_valid else b""
            try:
                content.decode()
            except UnicodeDecodeError:
                return content[:40]
    return None


def out_of_range(values: NDArray[np.floating[Any]]) -> NDArray[np.bool_] | None:
    """Where values are infinite or beyond `LARGEST`; None if nowhere, as in most columns.

    One sum of squares answers it for most.

    Examples
    --------
    >>> out_of_range(np.array([1.0, np.nan, -1e300]))
    array([False, False,  True])
    >>> out_of_range(np.array([1.0, np.nan, np.inf], np.float32))
    array([False, False,  True])
    """
    with np.errstate(invalid="ignore", over="ignore"):
        if float(values @ values) <= LARGEST**2:
            return None
    # As a float32, the limit would be infinite, and infinite values not beyond it.
    beyond = np.abs(values) > min(LARGEST, float(np.finfo(values.dtype).max))
    return beyond if beyond.any() else None


def check_range(
    where: str, values: NDArray[np.float64], *, remedy: str, nullable: bool = True
) -> None:
    """Refuse values that are infinite or beyond `LARGEST`.

    Parameters
    ----------
    where : str
        The file and the column.
    values : ndarray
    remedy : str
    nullable : bool
        Whether nulls may be written in their place.

    Raises
    ------
    DataError
    """
    beyond = out_of_range(values)
    if beyond is None:
        return
    value = float(values[beyond.argmax()])
    large = f"has the value {value:g}, whose powers are beyond the range of a double"
    raise DataError(
        where,
        "has an infinite value" if np.isinf(value) else large,
        f"finite numbers up to {LARGEST:g}{', or nulls' if nullable else ''}",
        remedy,
    )


def levels(column: pa.ChunkedArray) -> tuple[list[str | None], NDArray[np.int64]]:
    """The distinct values as text, and the index into them of each row.

    Examples
    --------
    >>> levels(pa.chunked_array([["b", None, "a", "b"]]))
    (['b', 'a', None], array([0, 2, 1, 0]))
    >>> levels(pa.chunked_array([[3.0, 0.5, -0.0]]))
    (['3', '0.5', '0'], array([0, 1, 2]))
    """
    array = _one_array(column)
    if pa.types.is_null(array.type):
        return [None], np.zeros(len(array), np.int64)
    if pa.types.is_floating(decoded(array.type)):
        array = pc.add(pc.cast(array, pa.float64()), 0.0)  # -0.0 becomes 0.0
        array = pc.if_else(pc.is_nan(array), pa.nulls(1, array.type)[0], array)
    if not pa.types.is_dictionary(array.type):
        array = pc.dictionary_encode(array)
    texts = _level_texts(array.dictionary)
    if array.indices.null_count == 0:
        return texts, values_of(pc.cast(array.indices, pa.int64()), np.int64)
    indices = pc.fill_null(pc.cast(array.indices, pa.int64()), len(texts))
    return [*texts, None], values_of(indices, np.int64)


def _level_texts(values: pa.Array) -> list[str | None]:
    """Equal numbers have one text, whatever their types: 7, 7.0 and the decimal 7.00 are "7"."""
    if pa.types.is_floating(values.type):
        return [str(int(v)) if v.is_integer() else repr(v) for v in values.to_pylist()]
    if pa.types.is_decimal(values.type):
        return [_decimal_text(value) for value in values.to_pylist()]
    texts: list[str | None] = pc.cast(values, pa.string()).to_pylist()
    return texts


def _decimal_text(value: Decimal) -> str:
    if value == value.to_integral_value():
        return str(int(value))
    double = repr(float(value))
    return double if Decimal(double) == value else f"{value:f}".rstrip("0")


_TRUTH = {"true": "1", "false": "0", "1": "true", "0": "false"}
"""The level that a boolean is where numbers are expected, and the other way round."""


def segments(
    column: pa.ChunkedArray, *, boolean: bool = False
) -> tuple[list[str | None], NDArray[np.int64]]:
    """As `levels`, but true and 1 have one text, whichever of them the column has.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
    boolean : bool
        Whether the text is ``true``, as where a model knows the column so, or ``1``.

    Examples
    --------
    >>> segments(pa.chunked_array([[True, None, False]]))
    (['1', '0', None], array([0, 2, 1]))
    >>> segments(pa.chunked_array([[1, 0, 3]]), boolean=True)
    (['true', 'false', '3'], array([0, 1, 2]))
    """
    texts, index = levels(column)
    kind = kind_of(column.type)
    if kind != "string" and boolean != (kind == "boolean"):
        texts = [text if text is None else _TRUTH.get(text, text) for text in texts]
    return texts, index


def level_values(
    column: pa.ChunkedArray, known: Mapping[str, T], *, rest: T, null: T
) -> NDArray[Any]:
    """What is known of each row's level; where numbers are levels, true is 1.

    Examples
    --------
    >>> column, known = pa.chunked_array([[1.0, 0.0, None]]), {"true": 5.0, "false": 7.0}
    >>> level_values(column, known, rest=8.0, null=9.0)
    array([5., 7., 9.])
    """
    texts, index = levels(column)
    truth = {} if kind_of(column.type) == "string" else _TRUTH
    values = [null if t is None else known.get(t, known.get(truth.get(t, t), rest)) for t in texts]
    return np.array(values or [rest])[index]


def codes(column: pa.ChunkedArray, category: Category) -> NDArray[np.int32]:
    """The index of each row's indicator, -1 where the category has none for it."""
    rest = np.int32(len(category.levels) if category.other else -1)
    code = {level: np.int32(code) for code, level in enumerate(category.levels)}
    known = {level: own for level, own in code.items() if level is not None}
    return level_values(column, known, rest=rest, null=code.get(None, rest))


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    combined = column.combine_chunks()  # copies, even a single chunk
    if isinstance(combined, pa.ChunkedArray):
        combined = combined.chunk(0) if combined.num_chunks else pa.array([], column.type)
    return combined


def values_of(array: pa.Array, dtype: type[Number]) -> NDArray[Number]:
    """Numbers without nulls, without a copy."""
    # Array.to_numpy() imports pandas, which costs more than many jobs.
    if len(array) == 0:
        return np.empty(0, dtype)
    data, size = array.buffers()[1], np.dtype(dtype).itemsize
    return np.frombuffer(data, dtype, count=len(array), offset=array.offset * size)
