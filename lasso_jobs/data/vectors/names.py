"""Reads the names of the elements of vectors from a file."""

import io
from collections import Counter
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from lasso_jobs.errors import DataError
from lasso_jobs.storage import files as storage
from lasso_jobs.storage.failures import waiting_helps

KINDS = "names, one a line, or in the first column of a .csv or .parquet file"


def names_in_files(files: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The names that are in a file for each column.

    Raises
    ------
    DataError
        If a file is missing or cannot be read, or lacks a name or has one twice.
    """
    return {column: _names_in(column, path) for column, path in files.items()}


def _names_in(column: str, path: str) -> tuple[str, ...]:
    where = f"{path}, features.names {column!r}"
    try:
        names = _read(path, storage.read(path))
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise DataError(
            where,
            f"cannot be read ({error})",
            KINDS,
            "Correct features.names, or mend the file",
            transient=waiting_helps(error),
        ) from error
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice or None in names or "" in names or not names:
        place = next((i for i, name in enumerate(names) if not name), 0)
        found = f"has the name {twice[0]!r} twice" if twice and twice[0] else ""
        empty = f"has no name in place {place:,}" if names else "is empty"
        raise DataError(
            where, found or empty, "a name of its own for each element", "Mend the file"
        )
    return tuple(str(name) for name in names)


def _read(path: str, content: bytes) -> list[str | None]:
    if path.endswith(".parquet"):
        column = pq.ParquetFile(io.BytesIO(content)).read(use_threads=False).column(0)
    elif path.endswith(".csv"):
        column = pc_csv.read_csv(io.BytesIO(content)).column(0)
    else:
        return [line.rstrip("\r") for line in content.decode().removesuffix("\n").split("\n")]
    names: list[str | None] = column.cast(pa.string()).to_pylist()
    return names
