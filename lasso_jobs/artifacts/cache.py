"""What reads of the data left, kept for the next training.

An entry is a file ``<registry>/_cache/<key>/<SHA-256 of its bytes>.npz``: JSON and arrays, no code.
So a damaged entry does not match its name, and is removed. Keys say what was read, and entries of
one key differ in the columns.
"""

import hashlib
import io
import json
import os
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.data import storage
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
    path : str
    size_bytes : int
    used : float
        When it was written or, of local files, last used; in seconds since 1970.
    """

    path: str
    size_bytes: int
    used: float

    @property
    def kind(self) -> str:
        """Of the key: what was read."""
        return self.path.split("/")[-2].rpartition("-")[0]


class Cache:
    """The cache of a registry.

    Parameters
    ----------
    registry : str
        A local path or a URI.
    """

    def __init__(self, registry: str | Path) -> None:
        self.root = storage.join(str(registry), FOLDER)

    def about(self, key: str) -> Iterator[tuple[str, Content]]:
        """The entries of a key, each with its content; not checked yet."""
        folder = storage.join(self.root, key)
        for name in storage.names(folder):
            if not name.endswith(".npz"):
                continue
            place = storage.join(folder, name)
            try:
                yield place, _content(place)
            except FileNotFoundError:
                continue  # pruned meanwhile
            except (EOFError, ValueError, KeyError, zipfile.BadZipFile):
                storage.remove(place)

    def load(self, place: str) -> Arrays | None:
        """The arrays of an entry; None, and the entry is gone, if it is not what was written."""
        try:
            data = storage.read(place)
        except FileNotFoundError:
            return None
        if hashlib.sha256(data).hexdigest() != Path(place).stem:
            storage.remove(place)
            return None
        if not storage.is_uri(place):
            os.utime(place)
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
        data = buffer.getvalue()
        place = storage.join(self.root, key, f"{hashlib.sha256(data).hexdigest()}.npz")
        try:
            storage.replace(place, data)
        except OSError as error:
            raise OutputError(
                place,
                f"cannot be written ({error})",
                "a registry that the workers can write to",
                "Make room or give access, or set cache to false",
            ) from error

    def entries(self) -> list[Entry]:
        """All entries, the least recently used first."""
        found = [
            Entry(storage.join(self.root, each.name), each.size_bytes, each.modified)
            for each in storage.entries(self.root)
            if each.name.endswith(".npz")
        ]
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
                storage.remove(entry.path)
                left -= entry.size_bytes
                removed.append(entry)
        return removed


def _content(place: str) -> Content:
    """Only the JSON of a local entry is read."""
    source = io.BytesIO(storage.read(place)) if storage.is_uri(place) else place
    with np.load(source, allow_pickle=False) as stored:
        content: Content = json.loads(stored[_CONTENT].tobytes())
        return content
