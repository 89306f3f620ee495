"""What reads of the data left, kept for the next training.

An entry is a file ``<registry>/_cache/<key>/<SHA-256 of its bytes>.npz``: JSON and arrays, no code.
So a damaged entry does not match its name, and is removed. Keys say what was read, and entries of
one key differ in the columns.
"""

import hashlib
import io
import json
import os
import shutil
import time
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.errors import OutputError

FOLDER = "_cache"
_CONTENT = "content"
Content = dict[str, Any]
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the cache.

    Parameters
    ----------
    path : Path
    size_bytes : int
    used : float
        When it was written or last used, in seconds since the epoch.
    """

    path: Path
    size_bytes: int
    used: float

    @property
    def kind(self) -> str:
        """Of the key: what was read."""
        return self.path.parent.name.rpartition("-")[0]


class Cache:
    """The cache of a registry.

    Parameters
    ----------
    registry : str or Path
    """

    def __init__(self, registry: str | Path) -> None:
        self.root = Path(registry) / FOLDER

    def about(self, key: str) -> Iterator[tuple[Path, Content]]:
        """The entries of a key, each with its content; not checked yet."""
        for path in sorted((self.root / key).glob("*.npz")):
            try:
                with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                    content = json.loads(stored[_CONTENT].tobytes())
            except FileNotFoundError:
                continue  # pruned meanwhile
            except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
                path.unlink(missing_ok=True)
            else:
                yield path, content

    def load(self, path: Path) -> Arrays | None:
        """The arrays of an entry; None, and the entry is gone, if it is not what was written."""
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        if hashlib.sha256(data).hexdigest() != path.stem:
            path.unlink(missing_ok=True)
            return None
        os.utime(path)
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files if name != _CONTENT}

    def save(self, key: str, content: Content, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write an entry; a reader sees all of it or nothing.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        buffer = io.BytesIO()
        text = np.frombuffer(json.dumps(content).encode(), np.uint8)
        np.savez(buffer, allow_pickle=False, **{_CONTENT: text}, **arrays)
        folder = self.root / key
        beside = folder / f".{uuid.uuid4().hex}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(buffer.getbuffer())
            beside.replace(folder / f"{hashlib.sha256(buffer.getbuffer()).hexdigest()}.npz")
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise OutputError(
                str(folder),
                f"cannot be written ({error})",
                "a registry that the workers can write to",
                "Make room or give access, or set cache to false",
            ) from error

    def entries(self) -> list[Entry]:
        """All entries, the least recently used first."""
        found = []
        for path in self.root.glob("*/*.npz"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found.append(Entry(path, status.st_size, status.st_mtime))
        return sorted(found, key=lambda entry: (entry.used, entry.path))

    def prune(self, days: float | None = None, max_bytes: int | None = None) -> list[Entry]:
        """Remove entries, and return them.

        Parameters
        ----------
        days : float, optional
            Those that were not used for so long.
        max_bytes : int, optional
            Then the least recently used, until the others take no more than this.
        """
        entries = self.entries()
        left = sum(entry.size_bytes for entry in entries)
        since = -np.inf if days is None else time.time() - days * 86_400
        removed = []
        for entry in entries:
            if entry.used < since or (max_bytes is not None and left > max_bytes):
                entry.path.unlink(missing_ok=True)
                left -= entry.size_bytes
                removed.append(entry)
        for folder in self.root.glob("*"):
            if folder.is_dir() and not any(folder.iterdir()):
                shutil.rmtree(folder, ignore_errors=True)
        return removed
