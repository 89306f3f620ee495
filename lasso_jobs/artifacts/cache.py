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
from collections.abc import Iterator, Mapping
from contextlib import suppress
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

    def find(self, key: str) -> Iterator["Stored"]:
        """The entries of a key that are what was written; others are removed."""
        folder = storage.join(self.root, key)
        for name in storage.names(folder):
            place = storage.join(folder, name)
            try:
                data = storage.read(place)
            except FileNotFoundError:
                continue  # pruned meanwhile
            if hashlib.sha256(data).hexdigest() == Path(place).stem:
                yield Stored.of(place, data)
            elif name.endswith(".npz"):
                storage.remove(place)

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


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry that was read, and is whole.

    Parameters
    ----------
    place : str
    content : dict
    data : bytes
    """

    place: str
    content: Content
    data: bytes

    @classmethod
    def of(cls, place: str, data: bytes) -> "Stored":
        """Decode the content."""
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            return cls(place, json.loads(stored[_CONTENT].tobytes()), data)

    def arrays(self) -> Arrays:
        """Decode the arrays, and note that they are used."""
        if not storage.is_uri(self.place):
            with suppress(FileNotFoundError):  # pruned meanwhile
                os.utime(self.place)
        with np.load(io.BytesIO(self.data), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files if name != _CONTENT}
