"""Cuts a table into the rows of its partitions, in column types that every sink has."""

import datetime
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import Field, Schema
from deltalake.schema import PrimitiveType
from numpy.typing import NDArray

from lasso_jobs.data.arrays import array, values_of
from lasso_jobs.errors import OutputError
from lasso_jobs.sinks.protocol import Format, Partition
from lasso_jobs.storage.failures import as_output_error

_KEPT_TYPES = {pa.float32(), pa.float64(), pa.string(), pa.binary(), pa.bool_(), pa.date32()}


def partition_text(column: str, value: object) -> str | None:
    """Return a partition column's value in Delta's string form; None is null.

    Examples
    --------
    >>> partition_text("day", datetime.date(2024, 1, 31)), partition_text("new", True)
    ('2024-01-31', 'true')
    """
    if value is None or (isinstance(value, str) and value):
        return value
    if isinstance(value, int) or type(value) is datetime.date:
        return str(value).lower()  # "true", not "True"
    # Delta reads an empty string as null: such rows would not come back as they went in.
    expected = "a non-empty string, whole number, date, boolean or null"
    raise OutputError(
        f"partition column {column}", repr(value), expected, "Clean that column in the source"
    )


def names_folders(column: str, format_: Format) -> bool:
    r"""Whether readers find a partition column by its name in those of its folders.

    Readers take some signs apart, and skip folders whose names begin with an underscore or a dot,
    unless a table's log names the files.

    Examples
    --------
    >>> [names_folders(name, "parquet") for name in ("Order Date", "a/b", "50%", "a%20b", "_day")]
    [True, False, True, False, False]
    """
    if format_ == "parquet" and column.startswith(("_", ".")):
        return False
    return re.search(r"[/\\=?\x00-\x1f\x7f]|%[0-9A-Fa-f]{2}", column) is None


def by_columns(names: Iterable[str]) -> str:
    """Partition columns in words.

    Examples
    --------
    >>> by_columns(["year", "month"]), by_columns([])
    ('by year, month', 'by nothing')
    """
    return f"by {', '.join(names) or 'nothing'}"


def split(
    table: pa.Table, partition_by: Sequence[str], root: str, *, lists: bool = False
) -> Iterator[tuple[Partition, pa.Table]]:
    """The rows of each partition, in plain types.

    Examples
    --------
    >>> table = pa.table({"day": [1, 2, 1], "x": [10, 20, 30]})
    >>> [(day, rows["x"].to_pylist()) for day, rows in split(table, ["day"], "scores")]
    [((('day', '1'),), [10, 30]), ((('day', '2'),), [20])]
    """
    schema = plain_schema(table.schema, partition_by, root, lists=lists)
    columns = []
    for field in schema:
        where, expected = f"{root}, column {field.name}", f"{field.type} values"
        with as_output_error(where, expected, "Convert that column"):
            columns.append(table[field.name].cast(field.type))
    plain = pa.table(columns, schema=schema)
    if not partition_by:
        if plain.num_rows:
            yield (), plain
        return
    for rows in _groups(plain.select(partition_by)):
        (values,) = plain.select(partition_by).slice(int(rows[0]), 1).to_pylist()
        texts = map(partition_text, partition_by, values.values())
        whole = len(rows) == plain.num_rows
        partition = tuple(zip(partition_by, texts, strict=True))
        yield partition, plain if whole else plain.take(array(rows))


def _groups(keys: pa.Table) -> Iterator[NDArray[np.intp]]:
    """The rows of each combination of values, by its first row.

    Not by ``group_by`` of Arrow, which loads its engine, its datasets, and pandas: half a second.
    """
    index = np.zeros(keys.num_rows, np.int64)
    for number, column in enumerate(keys.columns):
        one = pa.chunked_array([column.combine_chunks()]) if column.num_chunks > 1 else column
        for encoded in pc.dictionary_encode(one, null_encoding="encode").chunks:
            codes = values_of(pc.cast(encoded.indices, pa.int64()), np.int64)
            index = index * len(encoded.dictionary) + codes
        if number:  # so that the products of any number of columns stay small
            _, index = np.unique(index, return_inverse=True)
    order, sizes = np.argsort(index, kind="stable"), np.bincount(index)
    groups = [rows for rows in np.split(order, np.cumsum(sizes)) if len(rows)]
    yield from sorted(groups, key=lambda rows: int(rows[0]))


def columns_of(schema: pa.Schema | Schema) -> tuple[str, ...]:
    """Name and Delta type of each column.

    Examples
    --------
    >>> columns_of(pa.schema([("x", pa.int64()), ("day", pa.string())]))
    ('day string', 'x long')
    """
    fields = (schema if isinstance(schema, Schema) else Schema.from_arrow(schema)).fields
    kinds = [(f.name, f.type.type, "" if f.nullable else " not null") for f in fields]
    return tuple(sorted(f"{name} {kind}{null}" for name, kind, null in kinds))


def named_columns(columns: Iterable[str]) -> pa.Schema:
    """The columns that `columns_of` wrote, of plain types.

    Examples
    --------
    >>> named_columns(columns_of(pa.schema([("a b", pa.decimal128(9, 2)), ("day", pa.date32())])))
    a b: decimal128(9, 2)
    day: date32[day]
    """
    pairs = (column.rsplit(" ", 1) for column in columns)
    return pa.schema(Schema([Field(name, PrimitiveType(kind)) for name, kind in pairs]).to_arrow())


def plain_schema(
    schema: pa.Schema, partition_by: Sequence[str], root: str, *, lists: bool = False
) -> pa.Schema:
    """Every column nullable, of a type that every sink has, or lists of it, without metadata.

    Examples
    --------
    >>> plain_schema(pa.schema([("day", pa.int64()), ("x", pa.large_string())]), ["day"], "scores")
    day: int64
    x: string
    """
    names, by, lower = schema.names, set(partition_by), {name.lower() for name in schema.names}
    if len(lower) < len(names) or not by < set(names) or len(by) < len(partition_by):
        found = f"columns {', '.join(names)} with partitions {by_columns(partition_by)}"
        expected = "distinct columns, of which some but not all are the partition's"
        raise OutputError(
            root, found, expected, "Rename columns in the source, or partition by others"
        )
    kinds = {name: schema.field(name).type for name in names}
    return pa.schema(
        [
            (name, pa.list_(_plain_type(kind.value_type, name, root)))
            if lists and pa.types.is_list(kind)
            else (name, _plain_type(kind, name, root))
            for name, kind in kinds.items()
        ]
    )


def _plain_type(kind: pa.DataType, column: str, root: str) -> pa.DataType:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_unsigned_integer(kind):
        return pa.int64()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz=kind.tz and "UTC")
    if kind in _KEPT_TYPES or pa.types.is_signed_integer(kind) or pa.types.is_decimal128(kind):
        return kind
    expected = "strings, bytes, numbers, booleans, dates or timestamps"
    raise OutputError(f"{root}, column {column}", f"type {kind}", expected, "Convert that column")
