"""Files by local path or by URI (``s3://``, ``gs://``, ``az://``), in the few steps that jobs need.

A local path is a file, opened, listed and linked as ever. A URI goes through obstore, for all: the
bytes of Parquet files as well as control objects that are created only if absent. It is the
object_store library that deltalake has inside, so one set of environment variables (or the
instance's identity) serves both. pyarrow.fs has no conditional writes, reads its credentials from
other variables, and would be a second way; s3fs, gcsfs and adlfs are three packages and their
SDKs, with conditional writes in the first only.

Failures are `OSError`, as of local files, whose text holds no credentials.
"""

import errno
import os
import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lasso_jobs.errors import JobError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = ("s3", "gs", "az")
PART_BYTES = 8 * 2**20
PARTS_AT_ONCE = 8
_SECRET = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL|SAS|_URI$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class State:
    """What tells a file from another that took its place.

    Parameters
    ----------
    size_bytes : int
    stamp : str
        The time of its last change in nanoseconds; of an object, its entity tag.
    """

    size_bytes: int
    stamp: str


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


def join(root: str, *names: str) -> str:
    """A place below another."""
    return "/".join([root.rstrip("/"), *names]) if is_uri(root) else str(Path(root, *names))


def state(place: str) -> State:
    """Size and stamp of a file.

    Raises
    ------
    FileNotFoundError
    """
    if not is_uri(place):
        status = Path(place).stat()
        return State(status.st_size, str(status.st_mtime_ns))
    with _errors(place):
        found = _obstore().head(*_object(place))
    return State(found["size"], str(found["e_tag"]))


def names(folder: str) -> list[str]:
    """Names, relative to the folder, of all files at any depth below it; sorted."""
    if not is_uri(folder):
        root = Path(folder)
        return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
    with _errors(folder):
        store, key = _object(folder)
        keys = [found["path"] for page in _obstore().list(store, key) for found in page]
    start = len(key) + 1 if key else 0
    # Some tools mark a folder by an empty object of its name.
    folders = {key, *(k.rsplit("/", n)[0] for k in keys for n in range(1, k.count("/") + 1))}
    return sorted(k[start:] for k in keys if k not in folders)


def read(place: str) -> bytes:
    """The bytes of a file.

    Raises
    ------
    FileNotFoundError
    """
    if not is_uri(place):
        return Path(place).read_bytes()
    with _errors(place):
        return bytes(_obstore().get(*_object(place)).bytes())


def create(place: str, content: bytes) -> None:
    """Make a file, whole or not at all; of several that try at once, one succeeds.

    Raises
    ------
    FileExistsError
        If it is there already, with another content.
    """
    if is_uri(place):
        try:
            with _errors(place):
                _obstore().put(*_object(place), content, mode="create")
        except FileExistsError:
            if read(place) != content:  # else it is ours, by a request whose answer was lost
                raise
        return
    target = Path(place)
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.parent / f".staged-{uuid.uuid4().hex}"
    try:
        staged.write_bytes(content)
        # A link is made whole or not at all, and never replaces a file.
        os.link(staged, target)
    finally:
        staged.unlink(missing_ok=True)


def write(place: str, content: bytes) -> None:
    """Put the bytes of a new file, of any size, under a name that nobody else writes."""
    if is_uri(place):
        with _errors(place):
            _obstore().put(*_object(place), content)
        return
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    Path(place).write_bytes(content)


def move(old: str, new: str) -> None:
    """Give a file another name in the same store; objects are copied, then deleted.

    Raises
    ------
    FileNotFoundError
    """
    if is_uri(old):
        with _errors(old):
            store, key = _object(old)
            _obstore().rename(store, key, _object(new)[1])
        return
    Path(new).parent.mkdir(parents=True, exist_ok=True)
    Path(old).replace(new)


def remove(place: str) -> None:
    """Delete a file, if it is there."""
    if not is_uri(place):
        Path(place).unlink(missing_ok=True)
        return
    try:
        with _errors(place):
            _obstore().delete(*_object(place))
    except FileNotFoundError:
        pass


def source(place: str, known: State) -> "str | _Object":
    """What pyarrow opens: a local path as it is, or an object as it was when its state was read."""
    return _Object(place, known) if is_uri(place) else place


class _Object:
    """An object as a seekable file; a read fails if the object has been replaced."""

    def __init__(self, place: str, known: State) -> None:
        self.closed = False
        self._place, self._known, self._at = place, known, 0

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
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._known.size_bytes}
        self._at = start[whence] + offset
        return self._at

    def read(self, n_bytes: int = -1) -> bytes:
        start, size = self._at, self._known.size_bytes
        self._at = size if n_bytes < 0 else min(start + n_bytes, size)
        cuts = [*range(start, self._at, PART_BYTES), self._at]
        if len(cuts) == 1:
            return b""
        if len(cuts) == 2:
            return self._part(start, self._at)
        with ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
            return b"".join(pool.map(self._part, cuts[:-1], cuts[1:]))

    def _part(self, start: int, end: int) -> bytes:
        with _errors(self._place):
            store, key = _object(self._place)
            only = {"range": (start, end), "if_match": self._known.stamp}
            return bytes(_obstore().get(store, key, options=only).bytes())


@cache
def _store(bucket: str) -> "ObjectStore":
    store: ObjectStore = _obstore().store.from_url(bucket)
    return store


@cache
def _obstore() -> Any:
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


def _object(place: str) -> "tuple[ObjectStore, str]":
    scheme, rest = checked(place).split("://", 1)
    bucket, _, key = rest.partition("/")
    return _store(f"{scheme}://{bucket}"), key.strip("/")


@contextmanager
def _errors(place: str) -> Iterator[None]:
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
