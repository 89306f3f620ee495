"""Objects in a bucket, by URI: the one place that talks to obstore.

Failures are `OSError`, as of local files, whose text holds no credentials.
"""

import errno
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from lasso_jobs.errors import JobError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = ("s3", "gs", "az")
PART_BYTES = 8 * 2**20
PARTS_AT_ONCE = 8
_SECRET = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL|SAS|_URI$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def is_uri(place: str) -> bool:
    """Whether a place is named by a URI, not by a local path."""
    return "://" in place


def checked(place: str) -> str:
    """Return a place of a job file that is a local path or a URI without credentials.

    Raises
    ------
    JobError
        If it is another URI. The text of the error leaves out what may be a secret.
    """
    if not is_uri(place):
        return place
    scheme, rest = place.split("://", 1)
    known = "a local path, or s3://BUCKET/..., gs://BUCKET/... or az://CONTAINER/..."
    if scheme not in SCHEMES:
        found = "a scheme that is not supported"
        raise JobError(f"{scheme}://...", found, known, "Name another place")
    # "?" may be part of a glob, but not of one like ?name=value.
    if "@" in rest.split("/")[0] or re.search(r"\?[^/]*=", rest):
        found = "a URI with a user, key or query"
        remedy = "Give credentials by environment variables, or by the machine's identity"
        raise JobError(f"{scheme}://...", found, f"a bucket and a path: {known}", remedy)
    if not rest.split("/")[0]:
        raise JobError(place, "names no bucket", known, "Correct it")
    return place


def opened(place: str, size_bytes: int, stamp: str) -> "_Object":
    """An object of a known size and entity tag, for pyarrow to read."""
    return _Object(place, size_bytes, stamp)


class _Object:
    """An object as a seekable file; a read fails if the object has been replaced."""

    def __init__(self, place: str, size_bytes: int, stamp: str) -> None:
        self.closed = False
        self._place, self._size, self._stamp, self._at = place, size_bytes, stamp, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}
        self._at = start[whence] + offset
        return self._at

    def read(self, n_bytes: int = -1) -> bytes:
        start, size = self._at, self._size
        self._at = size if n_bytes < 0 else min(start + n_bytes, size)
        cuts = [*range(start, self._at, PART_BYTES), self._at]
        if len(cuts) == 1:
            return b""
        if len(cuts) == 2:
            return self._part(start, self._at)
        with ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
            return b"".join(pool.map(self._part, cuts[:-1], cuts[1:]))

    def _part(self, start: int, end: int) -> bytes:
        with errors(self._place):
            store, key = located(self._place)
            only = {"range": (start, end), "if_match": self._stamp}
            return bytes(package().get(store, key, options=only).bytes())


@cache
def _store(bucket: str) -> "ObjectStore":
    store: ObjectStore = package().store.from_url(bucket)
    return store


@cache
def package() -> Any:
    """The package.

    Raises
    ------
    JobError
        If it is not installed.
    """
    try:
        import obstore.store
    except ImportError as error:
        raise JobError(
            f"{', '.join(SCHEMES)} URIs",
            "need the package obstore, which is not installed",
            "the extra 'cloud'",
            "Run pip install 'lasso_jobs[cloud]', on the workers too",
        ) from error
    return obstore


def located(place: str) -> "tuple[ObjectStore, str]":
    """The store of a URI, and the key in it."""
    scheme, rest = checked(place).split("://", 1)
    bucket, _, key = rest.partition("/")
    return _store(f"{scheme}://{bucket}"), key.strip("/")


@contextmanager
def errors(place: str) -> Iterator[None]:
    """Turn obstore's failures into those of local files."""
    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, "no such object or bucket", place) from None
    except (JobError, OSError):
        raise
    except Exception as error:
        kind = type(error).__name__
        if not type(error).__module__.startswith("obstore"):
            raise
        if kind == "AlreadyExistsError":
            raise FileExistsError(errno.EEXIST, "is there already", place) from None
        if kind == "PreconditionError":
            raise OSError(errno.ESTALE, "has changed meanwhile", place) from None
        # Not chained: the text of the original may hold what was taken out of this one.
        raise OSError(one_line(error)) from None


def one_line(error: BaseException) -> str:
    """What an error of a library says: on one line, without queries of URLs and without secrets."""
    text = _COLOUR.sub("", str(error) or type(error).__name__).split("Debug source:")[0]
    text = re.sub(r"\?\S*=\S*", "?...", " ".join(text.split()))
    for name, value in os.environ.items():
        if len(value) > 5 and _SECRET.search(name.upper()):
            text = text.replace(value, "***")
    return text[:500]
