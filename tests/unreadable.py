"""Spoils Parquet files in the ways that people's files are spoiled."""

import base64
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

Spoil = Callable[[Path, str], None]
"""Spoils a column of a file."""


def latin1(table: pa.Table, name: str, value: bytes = b"M\xfcller") -> pa.Table:
    """With one text that is not UTF-8 in a column, whose type stays."""
    type_ = table.schema.field(name).type
    text = table[name].cast(pa.string()).to_pylist()
    values = [None if each is None else each.encode() for each in text]
    values[len(values) // 2] = value
    column = pa.array(values, pa.binary()).view(pa.string())
    if pa.types.is_dictionary(type_):
        column = column.dictionary_encode()
    elif pa.types.is_large_string(type_):
        column = pa.array(values, pa.large_binary()).view(pa.large_string())
    elif pa.types.is_string_view(type_):
        column = pa.array(values, pa.binary_view()).view(pa.string_view())
    return table.set_column(table.column_names.index(name), pa.field(name, column.type), column)


def not_utf8(path: Path, name: str) -> None:
    """Write text as Windows does, where UTF-8 is declared."""
    pq.write_table(latin1(pq.ParquetFile(path).read(), name), path)


def damaged_page(path: Path, name: str) -> None:
    """Flip a bit of a column that has checksums, and no compression that would notice."""
    table = pq.ParquetFile(path).read()
    pq.write_table(table, path, compression="none", use_dictionary=False, write_page_checksum=True)
    group = pq.read_metadata(path).row_group(0)
    column = group.column(table.column_names.index(name))
    at = column.data_page_offset + column.total_compressed_size - 3
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


class _Keys(pe.KmsClient):  # type: ignore[misc]
    def wrap_key(self, key: bytes, _: str) -> bytes:
        return base64.b64encode(key)

    def unwrap_key(self, wrapped: bytes, _: str) -> bytes:
        return base64.b64decode(wrapped)


def _encrypt(path: Path, name: str, *, plaintext_footer: bool) -> None:
    table = pq.ParquetFile(path).read()
    factory = pe.CryptoFactory(lambda _: _Keys())
    settings = pe.EncryptionConfiguration(
        footer_key="footer", column_keys={"column": [name]}, plaintext_footer=plaintext_footer
    )
    properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), settings)
    with pq.ParquetWriter(path, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)


def encrypted_column(path: Path, name: str) -> None:
    """Encrypt a column; the footer stays to be read."""
    _encrypt(path, name, plaintext_footer=True)


def encrypted_footer(path: Path, name: str) -> None:
    """Encrypt a column, and the footer."""
    _encrypt(path, name, plaintext_footer=False)


def wrong_name(path: Path, name: str) -> None:
    """Make the name of a column one that is not UTF-8."""
    pq.write_table(pq.ParquetFile(path).read(), path, store_schema=False)
    content = path.read_bytes()
    path.write_bytes(content.replace(name.encode(), b"\xfc" * len(name)))
