"""Files whose names have their digest: what an attempt wrote can be checked at any time after."""

import hashlib
import json
import re
import uuid
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import Schema

from lasso_jobs.data import storage
from lasso_jobs.data.listing import HIVE_NULL
from lasso_jobs.data.staging import Partition, WrittenFile, columns_of, told

is_ours = re.compile(r"lasso-.+-([0-9a-f]{32})\.parquet").fullmatch
"""Whether a file's name is one that `write` gives; its digest."""


def write_parquet(
    rows: pa.Table, root: str, below: str, partition: Partition, attempt: str, suffix: str = ""
) -> WrittenFile:
    """Write the rows of a partition into a file of a name of its own, in its Hive folder.

    Parameters
    ----------
    rows : pyarrow.Table
    root : str
    below : str
        The folder of the Hive folders, in the root.
    partition : Partition
    attempt : str
        Part of the name, for those who read it; a UUID keeps attempts apart.
    suffix : str
        What the name ends with while no reader is to take the file for Parquet.
    """
    parts = [(name, value or HIVE_NULL) for name, value in partition]
    folders = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parts]
    readable = re.sub(r"[^\w.-]+", "-", attempt, flags=re.ASCII)[:80]
    stored = rows.drop_columns([name for name, _ in partition])
    buffer = pa.BufferOutputStream()
    # Predictions hardly repeat: a dictionary of them costs half the time of the writing.
    few = [field.name for field in stored.schema if not _is_number(field.type)]
    pq.write_table(stored, buffer, compression="zstd", use_dictionary=few)
    content = buffer.getvalue()
    folder = storage.join(root, *filter(None, [below]), *folders)
    with told(folder, "a folder that can be written to", "Mend that, then run this again"):
        name = write(folder, readable, content, suffix)
    nulls = {name: stored[name].null_count for name in stored.column_names}
    stats = json.dumps({"numRecords": rows.num_rows, "nullCount": nulls})
    columns = columns_of(Schema.from_arrow(rows.schema))
    path = "/".join([*folders, name])
    return WrittenFile(path, partition, rows.num_rows, len(content), stats, columns)


def write(folder: str, readable: str, content: pa.Buffer, suffix: str = "") -> str:
    """Write a Parquet file under a name unique to this attempt; return that, without the suffix."""
    name = f"lasso-{readable}-{uuid.uuid4().hex[:8]}-{_digest(content)}.parquet"
    storage.write(storage.join(folder, name + suffix), memoryview(content))
    return name


def damage(place: str, file: WrittenFile) -> str | None:
    """What is wrong with a file that was written, or None if it is whole.

    Raises
    ------
    OutputError
        If it cannot be read, for another reason than that it is missing.
    """
    match = is_ours(file.path.split("/")[-1])
    with told(place, "a file that can be read", "Mend that, then run this again"):
        try:
            content = storage.read(place)
        except FileNotFoundError:
            return "is missing"
    if len(content) != file.size_bytes:
        return f"has {len(content):,} bytes, not {file.size_bytes:,}"
    if match is None or match[1] != _digest(content):
        return "does not match the digest in its name"
    return None


def _digest(content: pa.Buffer | bytes) -> str:
    """Half of a SHA-256: what names have room for."""
    return hashlib.sha256(content).hexdigest()[:32]


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_floating(type_) or pa.types.is_integer(type_))
