"""Writes Parquet files whose names have their digest, so that they can be checked at any time."""

import hashlib
import re
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from lasso_jobs.data.listing import HIVE_NULL
from lasso_jobs.errors import OutputError
from lasso_jobs.sinks.partitions import columns_of
from lasso_jobs.sinks.protocol import Partition, WrittenFile
from lasso_jobs.storage import files as storage
from lasso_jobs.storage.failures import as_output_error

CHECKED_AT_ONCE = 16

is_ours = re.compile(r"lasso-.+-([0-9a-f]{32})\.parquet").fullmatch
"""Whether a file's name is one that `write` gives; its digest."""


def write_parquet(
    rows: pa.Table, root: str, partition: Partition, attempt: str, *, suffix: str = ""
) -> WrittenFile:
    """Write the rows of a partition into a file of a name of its own, in its Hive folder.

    Parameters
    ----------
    rows : pyarrow.Table
    root : str
        The folder of the Hive folders.
    partition : Partition
    attempt : str
        Part of the name, for those who read it; a UUID keeps attempts apart.
    suffix : str
        What the name ends with while no reader is to take the file for Parquet.
    """
    parts = [(name, value or HIVE_NULL) for name, value in partition]
    # As pandas and delta-rs do: not all readers decode the name, and then look for another column.
    folders = [f"{name}={quote(value, safe='')}" for name, value in parts]
    readable = re.sub(r"[^\w.-]+", "-", attempt, flags=re.ASCII)[:80]
    stored = rows.drop_columns([name for name, _ in partition])
    buffer = pa.BufferOutputStream()
    # Predictions hardly repeat: a dictionary of them costs half the time of the writing.
    few = [field.name for field in stored.schema if not _is_number(field.type)]
    pq.write_table(stored, buffer, compression="zstd", use_dictionary=few)
    content = buffer.getvalue()
    folder = storage.join(root, *folders)
    with as_output_error(
        folder, "a folder that can be written to", "Make room or give access, then run this again"
    ):
        name = write(folder, readable, content, suffix)
    return WrittenFile.with_nulls(
        path="/".join([*folders, name]),
        partition=partition,
        rows=rows.num_rows,
        size_bytes=len(content),
        nulls={name: stored[name].null_count for name in stored.column_names},
        columns=columns_of(rows.schema),
    )


def write(folder: str, readable: str, content: pa.Buffer, suffix: str = "") -> str:
    """Write a Parquet file under a name unique to this attempt; return that, without the suffix."""
    name = f"lasso-{readable}-{uuid.uuid4().hex[:8]}-{_digest(content)}.parquet"
    storage.write(storage.join(folder, name + suffix), memoryview(content))
    return name


def refuse_damaged(files: Sequence[WrittenFile], place_of: Callable[[str], str]) -> None:
    """Refuse to commit files that are no more there, or have another size.

    A driver may have stopped for days between their writing and its commit. Their content is
    checked when a run is continued, and by ``verify``: here it would be all of the output's bytes.

    Raises
    ------
    OutputError
    """

    def wrong(file: WrittenFile) -> str | None:
        place = place_of(file.path)
        with as_output_error(
            place, "a file that can be read", "Restore it or give access, then run this again"
        ):
            try:
                found = storage.state(place).size_bytes
            except FileNotFoundError:
                return "is missing"
        return None if found == file.size_bytes else _other_size(found, file)

    with ThreadPoolExecutor(CHECKED_AT_ONCE) as pool:
        for file, found in zip(files, pool.map(wrong, files), strict=True):
            if found is not None:
                expected = "the file that a worker wrote"
                place = place_of(file.path)
                remedy = "Run this again, which writes it anew"
                remedy += storage.elsewhere(place, "the output")
                raise OutputError(place, found, expected, remedy)


def damage(place: str, file: WrittenFile) -> str | None:
    """What is wrong with a file that was written, or None if it is whole.

    Raises
    ------
    OutputError
        If it cannot be read, for another reason than that it is missing.
    """
    match = is_ours(file.path.split("/")[-1])
    with as_output_error(
        place, "a file that can be read", "Restore it or give access, then run this again"
    ):
        try:
            content = storage.read(place)
        except FileNotFoundError:
            return "is missing"
    if len(content) != file.size_bytes:
        return _other_size(len(content), file)
    if match is None or match[1] != _digest(content):
        return "does not match the digest in its name"
    return None


def _other_size(found: int, file: WrittenFile) -> str:
    return f"has {found:,} bytes, not {file.size_bytes:,}"


def _digest(content: pa.Buffer | bytes) -> str:
    """Half of a SHA-256: what names have room for."""
    return hashlib.sha256(content).hexdigest()[:32]


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_floating(type_) or pa.types.is_integer(type_))
