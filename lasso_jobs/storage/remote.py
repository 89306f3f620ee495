"""Reads and locates objects in a bucket by URI; the one module that talks to obstore.

Failures are `OSError`, as of local files, whose text holds no credentials.
"""

import errno
import io
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from lasso_jobs.errors import JobError
from lasso_jobs.redact import redacted

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = ("s3", "gs", "az")
PART_BYTES = 8 * 2**20
PARTS_AT_ONCE = 8
LONGEST_NAME, LONGEST_PATH = 255, 3500
"""Linux takes paths of 4,096 bytes, with those of the files below."""
END_BYTES = 64 * 2**10
"""What pyarrow reads first of a Parquet file; most footers are no longer."""
START_BYTES = 64 * 2**10
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

    Examples
    --------
    >>> checked("s3://bucket/scores")
    's3://bucket/scores'
    >>> checked("s3://key:secret@bucket/scores")
    Traceback (most recent call last):
    lasso_jobs.errors.JobError: s3://...: a URI with a user, key or query; expected ...
    """
    if not is_uri(place):
        return _checked_path(place)
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


def _checked_path(path: str) -> str:
    """Return a local path that the system takes; on others its calls fail each in its own way."""
    names = os.fsencode(path).split(b"/")
    if "\0" in path:
        found = "has a character NUL"
    elif max(map(len, names)) > LONGEST_NAME or len(os.fsencode(path)) > LONGEST_PATH:
        found = "is too long"
    else:
        return path
    expected = f"names of at most {LONGEST_NAME} bytes, {LONGEST_PATH:,} in all, and no NUL"
    raise JobError(path, found, expected, "Name another path")


def opened(place: str, size_bytes: int, stamp: str) -> "Object":
    """An object of a known size and entity tag, for pyarrow to read."""
    return Object(place, size_bytes, stamp)


class Object:
    """An object as a seekable file; a read fails if the object has been replaced.

    Its end is kept once it was asked for: a Parquet file is opened by several looks at it.
    """

    def __init__(self, place: str, size_bytes: int, stamp: str) -> None:
        self.closed = False
        self._place, self._size, self._stamp, self._at = place, size_bytes, stamp, 0
        self._end = b""

    def readable(self) -> bool:
        """As every object is."""
        return True

    def seekable(self) -> bool:
        """By ranges of bytes."""
        return True

    def writable(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Nothing is held open; pyarrow asks for it."""
        self.closed = True

    def tell(self) -> int:
        """Where the next read starts."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set where the next read starts."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}
        self._at = start[whence] + offset
        return self._at

    def read(self, n_bytes: int = -1) -> bytes:
        """Fetch the next bytes, those of a long range at once."""
        start, size = self._at, self._size
        self._at = size if n_bytes < 0 else min(start + n_bytes, size)
        if start >= size - len(self._end):
            known = start - size + len(self._end)
            return self._end[known : known + self._at - start]
        cuts = [*range(start, self._at, PART_BYTES), self._at]
        if len(cuts) == 1:
            return b""
        if len(cuts) == 2:
            return self._part(start, self._at)
        with ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
            return b"".join(pool.map(self._part, cuts[:-1], cuts[1:]))

    def tail(self, n_bytes: int) -> bytes:
        """The last bytes; what is before them is fetched along."""
        if self._size and not self._end:
            self._end = self._part(max(0, self._size - END_BYTES), self._size)
        return self._end[-n_bytes:]

    def _part(self, start: int, end: int) -> bytes:
        with as_os_error(self._place):
            store, key = located(self._place)
            only = {"range": (start, end), "if_match": self._stamp}
            return bytes(package().get(store, key, options=only).bytes())


class _Raw(io.RawIOBase):
    """An object as `io` has files."""

    def __init__(self, source: Object) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._source.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        found = self._source.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)


def buffered(source: Object) -> io.BufferedReader:
    """An object of which a little is read, mostly at its start and its end."""
    source.tail(1)
    return io.BufferedReader(_Raw(source), START_BYTES)


@cache
def _store(bucket: str) -> "ObjectStore":
    store: ObjectStore = package().store.from_url(bucket)
    return store


@cache
def package() -> Any:
    """The package obstore.

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
def as_os_error(place: str) -> Iterator[None]:
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
    """What an error of a library says: on one line, without queries of URLs and without secrets.

    Examples
    --------
    >>> one_line(OSError("GET https://host/a?signature=abc  failed"))
    'GET https://host/a?... failed'
    """
    text = _COLOUR.sub("", str(error) or type(error).__name__).split("Debug source:")[0]
    return redacted(re.sub(r"\?\S*=\S*", "?...", " ".join(text.split())))[:500]
