"""Which files a path or URI means, and which columns the names of their folders give."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import pyarrow as pa

from lasso_jobs.data import remote, storage
from lasso_jobs.errors import DataError

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
GLOB = "*?["
Constants = tuple[tuple[str, pa.Scalar], ...]
"""Columns that have one value in a file, with their values."""


class Listed(NamedTuple):
    """A file of a dataset: its place, its name below the dataset's root, and its constants."""

    path: str
    name: str
    constants: Constants


def files(path: str) -> list[Listed]:
    """Find the files of a file, folder or glob, by name; hidden ones are no part of it.

    Raises
    ------
    DataError
        If there is none.
    """
    if storage.is_uri(path):
        return _list_objects(path)
    if any(mark in path for mark in GLOB) and not Path(path).exists():
        fixed = Path(*_before_glob(Path(path).parts))
        pattern = Path(path).relative_to(fixed).as_posix()
        found = sorted(p for p in fixed.glob(pattern) if p.is_file())
        return _nonempty(path, _named(fixed, found), "no file matches")
    folder = Path(path)
    if folder.is_file():
        return [Listed(str(folder), folder.name, ())]
    if not folder.is_dir():
        raise DataError(
            path, "does not exist", "a Parquet file, a folder or a glob", "Check data.path"
        )
    found = sorted(p for p in folder.rglob("*") if p.is_file())
    return _nonempty(path, _named(folder, found), "holds no files")


def _named(folder: Path, found: Iterable[Path]) -> list[Listed]:
    named = [(str(path), path.relative_to(folder).as_posix()) for path in found]
    return [Listed(path, name, _constants(name)) for path, name in named if not _hidden(name)]


def _list_objects(uri: str) -> list[Listed]:
    scheme, rest = remote.checked(uri).split("://", 1)
    parts = rest.strip("/").split("/")
    fixed = _before_glob(parts)
    root = f"{scheme}://{'/'.join(fixed)}"
    try:
        names = storage.names(root)
        if not names and fixed == parts:  # an object, or nothing
            storage.state(root)
            return [Listed(root, parts[-1], ())]
    except OSError as error:
        raise DataError(
            uri,
            f"cannot be listed ({error})",
            "a Parquet file, a folder or a glob",
            "Check data.path and the credentials in the environment",
        ) from error
    names = [n for n in names if not _hidden(n) and _matches(n.split("/"), parts[len(fixed) :])]
    found = [Listed(storage.join(root, name), name, _constants(name)) for name in names]
    return _nonempty(uri, found, "no file matches")


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a name matches a glob, or its folder does if there is none left."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(_matches(parts[i:], pattern[1:]) for i in range(len(parts)))
    if not parts or not fnmatchcase(parts[0], pattern[0]):
        return False
    return _matches(parts[1:], pattern[1:]) if pattern[1:] else len(parts) == 1


def _hidden(name: str) -> bool:
    return any(part.startswith(("_", ".")) for part in name.split("/"))


def _before_glob(parts: Sequence[str]) -> list[str]:
    return [*takewhile(lambda part: not any(mark in part for mark in GLOB), parts)]


def _nonempty(path: str, found: list[Listed], what: str) -> list[Listed]:
    if not found:
        raise DataError(path, what, "at least one Parquet file", "Check data.path")
    return found


def _constants(name: str) -> Constants:
    pairs = [part.split("=", 1) for part in name.split("/")[:-1] if "=" in part]
    texts = [(key, None if value == HIVE_NULL else unquote(value)) for key, value in pairs]
    return tuple((key, pa.scalar(text, pa.string())) for key, text in texts)
