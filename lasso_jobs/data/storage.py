"""Files by local path or by URI (``s3://``, ``gs://``, ``az://``), in the few steps that jobs need.

A local path is a file, opened, listed and linked as ever. A URI goes through obstore, for all: the
bytes of Parquet files as well as control objects that are created only if absent. It is the
object_store library that deltalake has inside, so one set of environment variables (or the
instance's identity) serves both. pyarrow.fs has no conditional writes, reads its credentials from
other variables, and would be a second way; s3fs, gcsfs and adlfs are three packages and their
SDKs, with conditional writes in the first only.

Failures are `OSError`, as of local files, whose text holds no credentials.
"""

import os
import shutil
import stat
import uuid
from dataclasses import dataclass
from pathlib import Path

from lasso_jobs.data import remote
from lasso_jobs.data.remote import is_uri as is_uri


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
    with remote.errors(place):
        found = remote.package().head(*remote.located(place))
    return State(found["size"], str(found["e_tag"]))


@dataclass(frozen=True, slots=True)
class Entry:
    """A file below a folder.

    Parameters
    ----------
    name : str
        Relative to the folder.
    size_bytes : int
    modified : float
        Seconds since 1970.
    """

    name: str
    size_bytes: int
    modified: float


def entries(folder: str) -> list[Entry]:
    """All files at any depth below a folder, by name; none if it is not there."""
    return sorted(_objects(folder) if is_uri(folder) else _local(folder), key=lambda e: e.name)


def names(folder: str) -> list[str]:
    """The names of `entries`."""
    return [entry.name for entry in entries(folder)]


def _local(folder: str) -> list[Entry]:
    found = []
    for parent, _, files in os.walk(folder, onerror=_passed_over):
        for file in files:
            path = Path(parent, file)
            try:
                status = path.stat()
            except FileNotFoundError:  # removed since it was listed, or a link to nothing
                continue
            if stat.S_ISREG(status.st_mode):
                name = path.relative_to(folder).as_posix()
                found.append(Entry(name, status.st_size, status.st_mtime))
    return found


def _passed_over(error: OSError) -> None:
    """Folders that are not there (another process removed them), or are not ours to look into."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
        raise error


def _objects(folder: str) -> list[Entry]:
    with remote.errors(folder):
        store, key = remote.located(folder)
        found = [each for page in remote.package().list(store, key) for each in page]
    start, keys = len(key) + 1 if key else 0, [each["path"] for each in found]
    # Some tools mark a folder by an empty object of its name.
    folders = {key, *(k.rsplit("/", n)[0] for k in keys for n in range(1, k.count("/") + 1))}
    return [
        Entry(each["path"][start:], each["size"], each["last_modified"].timestamp())
        for each in found
        if each["path"] not in folders
    ]


def read(place: str) -> bytes:
    """The bytes of a file.

    Raises
    ------
    FileNotFoundError
    """
    if not is_uri(place):
        return Path(place).read_bytes()
    with remote.errors(place):
        return bytes(remote.package().get(*remote.located(place)).bytes())


def create(place: str, content: bytes) -> None:
    """Make a file, whole or not at all; of several that try at once, one succeeds.

    Raises
    ------
    FileExistsError
        If it is there already, with another content.
    """
    if is_uri(place):
        try:
            with remote.errors(place):
                remote.package().put(*remote.located(place), content, mode="create")
        except FileExistsError:
            if read(place) != content:  # else it is ours, by a request whose answer was lost
                raise
        return
    target = Path(place)
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.parent / f".staged-{uuid.uuid4().hex}"
    try:
        _to_disk(staged, content)
        # A link is made whole or not at all, and never replaces a file.
        os.link(staged, target)
    finally:
        staged.unlink(missing_ok=True)


def write(place: str, content: bytes | memoryview) -> None:
    """Put the bytes of a new file, of any size, under a name that nobody else writes."""
    if is_uri(place):
        with remote.errors(place):
            remote.package().put(*remote.located(place), bytes(content))
    else:
        _to_disk(Path(place), content)


def replace(place: str, content: bytes) -> None:
    """Write a small file so that a reader finds the old one or the new one, whole."""
    if is_uri(place):
        write(place, content)
        return
    target = Path(place)
    part = target.with_name(f".{target.name}-{uuid.uuid4().hex}")
    for tries_left in (2, 1, 0):
        try:
            _to_disk(part, content)
            part.replace(target)
            return
        except OSError as error:
            part.unlink(missing_ok=True)
            # Another process may have removed the folder between its making and this.
            if not (tries_left and isinstance(error, FileNotFoundError)):
                raise


def _to_disk(target: Path, content: bytes | memoryview) -> None:
    """Write to the disk itself: a log that names the file must not outlive it in a power cut."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        target.unlink(missing_ok=True)
        raise


def move(old: str, new: str) -> None:
    """Give a file another name in the same store; objects are copied, then deleted.

    Raises
    ------
    FileNotFoundError
    """
    if is_uri(old):
        with remote.errors(old):
            store, key = remote.located(old)
            remote.package().rename(store, key, remote.located(new)[1])
        return
    Path(new).parent.mkdir(parents=True, exist_ok=True)
    Path(old).replace(new)


def remove(place: str) -> None:
    """Delete a file, if it is there."""
    if not is_uri(place):
        Path(place).unlink(missing_ok=True)
        return
    try:
        with remote.errors(place):
            remote.package().delete(*remote.located(place))
    except FileNotFoundError:
        pass


def remove_all(folder: str) -> None:
    """Delete a folder, as far as that can be done."""
    if not is_uri(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return
    for name in names(folder):
        remove(join(folder, name))


def source(place: str, known: State) -> object:
    """What pyarrow opens: a local path as it is, or an object as it was when its state was read."""
    return remote.opened(place, known.size_bytes, known.stamp) if is_uri(place) else place
