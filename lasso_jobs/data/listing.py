"""Lists the files of a path or URI, with the columns that the names of their folders give."""

import os
import stat
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import pyarrow as pa

from lasso_jobs.errors import DataError, NoDataError
from lasso_jobs.storage import files as storage
from lasso_jobs.storage import remote, walk
from lasso_jobs.storage.failures import waiting_helps

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
GLOB = "*?["
Constants = tuple[tuple[str, pa.Scalar], ...]
"""Columns that have one value in a file, with their values."""


class ListedFile(NamedTuple):
    """A file of a dataset: its place, its name below the dataset's root, and its constants.

    Of a Delta table also the rows that it has deleted: a bit for each row, or nothing.
    A fault says why it cannot be read. The listing does not raise it, as the filter may leave the
    file out.
    """

    path: str
    name: str
    constants: Constants
    deleted: bytes = b""
    fault: DataError | None = None


def files(path: str) -> list[ListedFile]:
    """Find the files of a file, folder or glob, by name; hidden ones are no part of it.

    Links are followed. A folder that cannot be read is listed with its fault, and so is what is no
    regular file: no input is left out without a word.

    Raises
    ------
    DataError
        If the path cannot be read, or does not exist.
    NoDataError
        If there is no file.
    """
    if storage.is_uri(path):
        return _list_objects(path)
    if any(mark in path for mark in GLOB) and not os.path.lexists(path):
        parts = Path(path).parts
        fixed = _before_glob(parts)
        return _nonempty(path, _below(Path(*fixed), parts[len(fixed) :]), "no file matches")
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and not os.path.lexists(path):
            expected = "a Parquet file, a folder or a glob"
            raise DataError(path, "does not exist", expected, _correct(path)) from error
        raise walk.cannot_be_read(path, error) from error
    if stat.S_ISDIR(mode):
        return _nonempty(path, _below(Path(path), ()), "holds no files")
    if not stat.S_ISREG(mode):
        raise walk.no_regular_file(path, mode)
    return [ListedFile(str(Path(path)), Path(path).name, ())]


def _below(folder: Path, pattern: Sequence[str]) -> list[ListedFile]:
    def wanted(name: str) -> bool:
        parts = name.rstrip("/").split("/")
        if _hidden(parts[-1]):
            return False
        return _leads_on(parts, pattern) if name.endswith("/") else _matches(parts, pattern)

    listed = []
    for path, name, _, fault in walk.files_below(str(folder), wanted):
        _check_text(path)
        # What cannot be looked at may be a folder.
        constants = _constants(f"{name}/" if fault else name)
        listed.append(ListedFile(str(Path(path)), name, constants, fault=fault))
    return listed


def _check_text(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            path.encode(errors="surrogateescape").decode(errors="backslashreplace"),
            "is a name that is not UTF-8",
            "names in UTF-8",
            "Rename the file or its folder",
        ) from error


def _list_objects(uri: str) -> list[ListedFile]:
    scheme, rest = remote.checked(uri).split("://", 1)
    parts = rest.strip("/").split("/")
    fixed = _before_glob(parts)
    root = f"{scheme}://{'/'.join(fixed)}"
    try:
        names = storage.names(root)
        if not names and fixed == parts:  # an object, or nothing
            storage.state(root)
            return [ListedFile(root, parts[-1], ())]
    except OSError as error:
        raise DataError(
            uri,
            f"cannot be listed ({error})",
            "a Parquet file, a folder or a glob",
            "Correct it, or mend the credentials in the environment",
            transient=waiting_helps(error),
        ) from error
    names = [n for n in names if not _hidden(n) and _matches(n.split("/"), parts[len(fixed) :])]
    files = [ListedFile(storage.join(root, name), name, _constants(name)) for name in names]
    return _nonempty(uri, files, "no file matches")


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a name matches a glob, or its folder does if there is none left."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(_matches(parts[i:], pattern[1:]) for i in range(len(parts)))
    if not parts or not fnmatchcase(parts[0], pattern[0]):
        return False
    return _matches(parts[1:], pattern[1:]) if pattern[1:] else len(parts) == 1


def _leads_on(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the names of files below a folder may match a glob."""
    if not pattern or pattern[0] == "**":
        return True
    if not pattern[1:] or not fnmatchcase(parts[0], pattern[0]):
        return False
    return len(parts) == 1 or _leads_on(parts[1:], pattern[1:])


def _hidden(name: str) -> bool:
    return any(part.startswith(("_", ".")) for part in name.split("/"))


def _before_glob(parts: Sequence[str]) -> list[str]:
    return [*takewhile(lambda part: not any(mark in part for mark in GLOB), parts)]


def _nonempty(path: str, files: list[ListedFile], what: str) -> list[ListedFile]:
    if not files:
        raise NoDataError(path, what, "at least one Parquet file", _correct(path))
    return files


def _correct(path: str) -> str:
    """What to do about a path at which there is nothing: a job is often run in another folder."""
    if storage.is_uri(path) or Path(path).is_absolute():
        return "Correct the path, or wait for the files"
    return f"Correct the path, which starts in {Path.cwd()}, or wait for the files"


def _constants(name: str) -> Constants:
    pairs = [part.split("=", 1) for part in name.split("/")[:-1] if "=" in part]
    texts = [(key, None if value == HIVE_NULL else unquote(value)) for key, value in pairs]
    return tuple((key, pa.scalar(text, pa.string())) for key, text in texts)
