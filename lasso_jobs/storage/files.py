"""Reads, writes and lists files by local path or by URI (``s3://``, ``gs://``, ``az://``).

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
import shutil
import stat
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lasso_jobs.storage import remote
from lasso_jobs.storage.remote import is_uri as is_uri


@dataclass(frozen=True, slots=True)
class State:
    """The size and stamp of a file: another that takes its place differs in one of them.

    Parameters
    ----------
    size_bytes : int
    stamp : str
        Of an object, its entity tag, which the store changes with the content. Of a local file, the
        time of its content's last change, which programs may set; the time of the last change of
        anything about it, which they may not; and its number in the file system. A hash of the
        content would be surer, and a read of all the data by itself.
    """

    size_bytes: int
    stamp: str


def join(root: str, *names: str) -> str:
    """A place below another.

    Examples
    --------
    >>> join("scores", "day=1", "a.parquet"), join("s3://bucket/scores/", "day=1")
    ('scores/day=1/a.parquet', 's3://bucket/scores/day=1')
    """
    return "/".join([root.rstrip("/"), *names]) if is_uri(root) else str(Path(root, *names))


def state(place: str) -> State:
    """Size and stamp of a file.

    Raises
    ------
    FileNotFoundError
    OSError
        If it is no regular file: to open a FIFO might never end.
    """
    if not is_uri(place):
        status = os.stat(place)  # noqa: PTH116 - each column's read asks, in a third of the time
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "is no regular file", place)
        times = (status.st_mtime_ns, status.st_ctime_ns)
        return State(status.st_size, "-".join(map(str, (*times, status.st_ino))))
    with remote.as_os_error(place):
        head = remote.package().head(*remote.located(place))
    return State(head["size"], str(head["e_tag"]))


def elsewhere(place: str, what: str) -> str:
    """What else may be wrong about a file that is not there; nothing of an absolute path.

    Examples
    --------
    >>> elsewhere("s3://bucket/data/a.parquet", "the data")
    ''
    """
    if is_uri(place) or Path(place).is_absolute():
        return ""
    return (
        f"; if the workers run in another folder than the command (this process runs in "
        f"{Path.cwd()}), name {what} by an absolute path, or start them in the command's folder"
    )


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
    files_below = []
    for parent, _, files in os.walk(folder, onerror=_passed_over):
        for file in files:
            path = Path(parent, file)
            try:
                status = path.stat()
            except FileNotFoundError:  # removed since it was listed, or a link to nothing
                continue
            if stat.S_ISREG(status.st_mode):
                name = path.relative_to(folder).as_posix()
                files_below.append(Entry(name, status.st_size, status.st_mtime))
    return files_below


def _passed_over(error: OSError) -> None:
    """Folders that are not there (another process removed them), or are not ours to look into."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
        raise error


def _objects(folder: str) -> list[Entry]:
    with remote.as_os_error(folder):
        store, key = remote.located(folder)
        objects = [each for page in remote.package().list(store, key) for each in page]
    start, keys = len(key) + 1 if key else 0, [each["path"] for each in objects]
    # Some tools mark a folder by an empty object of its name.
    folders = {key, *(k.rsplit("/", n)[0] for k in keys for n in range(1, k.count("/") + 1))}
    return [
        Entry(each["path"][start:], each["size"], each["last_modified"].timestamp())
        for each in objects
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
    with remote.as_os_error(place):
        return bytes(remote.package().get(*remote.located(place)).bytes())


def seekable(place: str) -> IO[bytes]:
    """A file to read some parts of.

    Raises
    ------
    FileNotFoundError
    """
    if not is_uri(place):
        return Path(place).open("rb")
    known = state(place)
    return remote.buffered(remote.opened(place, known.size_bytes, known.stamp))


def create(place: str, content: bytes) -> None:
    """Make a file, whole or not at all; of several that try at once, one succeeds.

    Raises
    ------
    FileExistsError
        If it is there already, with another content.
    """
    if is_uri(place):
        try:
            with remote.as_os_error(place):
                remote.package().put(*remote.located(place), content, mode="create")
        except FileExistsError:
            if read(place) != content:  # else it is ours, by a request whose answer was lost
                raise
        return
    target = Path(place)
    _make_folder(target.parent)
    staged = target.parent / f".staged-{uuid.uuid4().hex}"
    try:
        _to_disk(staged, content)
        # A link is made whole or not at all, and never replaces a file.
        _link(staged, target)
    finally:
        staged.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    """Make it if need be. A file in its place is not the file that was to be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(folder)) from error


class NoHardLinksError(OSError):
    """The file system has none, so that it cannot make a file whole or not at all."""


_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}
"""What file systems without hard links say; some say that it is not permitted."""


def _link(staged: Path, target: Path) -> None:
    try:
        os.link(staged, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # The staged file was written, so that it is no matter of rights to the folder.
        found = f"its file system has no hard links: {error.strerror}"
        raise NoHardLinksError(error.errno, found, str(target)) from error


def write(place: str, content: bytes | memoryview) -> None:
    """Put the bytes of a new file, of any size, under a name that nobody else writes."""
    if is_uri(place):
        with remote.as_os_error(place):
            remote.package().put(*remote.located(place), bytes(content))
    else:
        _to_disk(Path(place), content)


def replace(place: str, content: bytes, *, synced: bool = True) -> None:
    """Write a small file so that a reader finds the old one or the new one, whole.

    Without ``synced`` a power cut may leave the new one damaged, which readers then have to see.
    """
    if is_uri(place):
        write(place, content)
        return
    target = Path(place)
    part = target.with_name(f".{target.name}-{uuid.uuid4().hex}")
    for tries_left in (2, 1, 0):
        try:
            _to_disk(part, content, synced=synced)
            part.replace(target)
            return
        except OSError as error:
            part.unlink(missing_ok=True)
            # Another process may have removed the folder between its making and this.
            if not (tries_left and isinstance(error, FileNotFoundError)):
                raise


def _to_disk(target: Path, content: bytes | memoryview, *, synced: bool = True) -> None:
    """Write to the disk itself: a log that names the file must not outlive it in a power cut."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("wb") as file:
            file.write(content)
            if synced:
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
        with remote.as_os_error(old):
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
        with remote.as_os_error(place):
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


def tail(opened: object, n_bytes: int) -> bytes:
    """The last bytes of what `source` gives."""
    if isinstance(opened, remote.Object):
        return opened.tail(n_bytes)
    with Path(str(opened)).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - n_bytes))
        return file.read()
