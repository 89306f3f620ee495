"""Finds the files below a local folder, through links, and says what there cannot be read.

`pathlib` and `os.walk` pass over what they cannot read, and ``Path.rglob`` over folders that are
links: a day of the input would be missing without a word.
"""

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from lasso_jobs.errors import DataError
from lasso_jobs.storage.failures import waiting_helps

MOST_LINKS = 1_000
"""Ways by links to one folder: links that fan out would make as many as two to their depth."""
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Found(NamedTuple):
    """A regular file, or what cannot be read as one.

    Parameters
    ----------
    path : str
    name : str
        Relative to the root; that of a folder ends in a slash.
    by_link : bool
        Whether a link leads to it.
    fault : DataError, optional
        Why it cannot be read.
    """

    path: str
    name: str
    by_link: bool = False
    fault: DataError | None = None


class _Folder(NamedTuple):
    path: str
    name: str
    by_link: bool
    above: tuple[tuple[int, int], ...]
    """Device and number of each folder that it is in."""


def files_below(root: str, wanted: Callable[[str], bool]) -> list[Found]:
    """The files below a folder, in the order of their names' parts.

    Parameters
    ----------
    root : str
    wanted : callable
        Of the name of a file, or of a folder with a slash behind it. What is not wanted is not
        looked at.

    Examples
    --------
    >>> [file.name for file in files_below("data", lambda name: not name.endswith("03-01/"))]
    ['day=2024-03-02/sales.parquet', 'day=2024-03-03/sales.parquet']
    """
    found: list[Found] = []
    folders = [_Folder(root, "", by_link=False, above=())]
    ways: Counter[tuple[int, int]] = Counter()
    for folder in folders:
        for each in _look_into(folder, wanted, ways):
            if isinstance(each, _Folder):
                folders.append(each)
            else:
                found.append(each)
    return sorted(_each_once(root, found), key=lambda file: file.name.split("/"))


def _look_into(
    folder: _Folder, wanted: Callable[[str], bool], ways: Counter[tuple[int, int]]
) -> Iterator[Found | _Folder]:
    try:
        status = Path(folder.path).stat()
        with os.scandir(folder.path) as scanned:
            entries = list(scanned)
    except OSError as error:
        if os.path.lexists(folder.path):  # else it was removed since it was listed
            yield Found(folder.path, folder.name, fault=cannot_be_read(folder.path, error))
        return
    number = (status.st_dev, status.st_ino)
    if number in folder.above:
        yield Found(folder.path, folder.name, fault=_circle(folder.path))
        return
    ways[number] += folder.by_link
    if ways[number] > MOST_LINKS:
        yield Found(folder.path, folder.name, fault=_fan(folder.path))
        return
    for entry in entries:
        name = folder.name + entry.name
        is_wanted, leads_on = wanted(name), wanted(f"{name}/")
        if not is_wanted and not leads_on:
            continue
        by_link = folder.by_link or entry.is_symlink()
        try:
            mode = _mode(entry)
        except OSError as error:
            if os.path.lexists(entry.path):
                yield Found(entry.path, name, fault=cannot_be_read(entry.path, error))
            continue
        if stat.S_ISDIR(mode):
            if leads_on:
                yield _Folder(entry.path, f"{name}/", by_link, (*folder.above, number))
        elif is_wanted:
            fault = None if stat.S_ISREG(mode) else no_regular_file(entry.path, mode)
            yield Found(entry.path, name, by_link, fault)


def _mode(entry: "os.DirEntry[str]") -> int:
    """The kind of what is there, or of what a link leads to."""
    # Of what is no link the folder itself says the kind: no call of the system for each file.
    if entry.is_file(follow_symlinks=False):
        return stat.S_IFREG
    if entry.is_dir(follow_symlinks=False):
        return stat.S_IFDIR
    return entry.stat().st_mode


def _each_once(root: str, found: list[Found]) -> Iterator[Found]:
    """Find fault with links to files that are found without them, such as ``latest``."""
    names = {file.name for file in found if not file.by_link}
    top = Path(os.path.realpath(root))
    for file in found:
        if file.by_link and file.fault is None:
            target = Path(os.path.realpath(file.path))
            if target.is_relative_to(top) and target.relative_to(top).as_posix() in names:
                file = file._replace(fault=_twice(file.path, target))
        yield file


def cannot_be_read(path: str, error: OSError) -> DataError:
    """What to say of a file or folder that the system does not let us look at."""
    if isinstance(error, FileNotFoundError) and Path(path).is_symlink():
        return DataError(
            path,
            f"is a link to {Path(path).readlink()}, which does not exist",
            "a link to a file or folder",
            "Restore what it leads to, or remove the link",
        )
    return DataError(
        path,
        f"cannot be read ({error.strerror or error})",
        "a file or folder that this user may read",
        "Give the user the right to read it, mend it, or move it away",
        transient=waiting_helps(error),
    )


def no_regular_file(path: str, mode: int) -> DataError:
    """What to say of a file that is a FIFO or the like: reading it might never end."""
    kind = _KINDS.get(stat.S_IFMT(mode), "no regular file")
    return DataError(path, f"is {kind}", "a regular file or a folder", "Move it away")


def _circle(path: str) -> DataError:
    return DataError(
        path,
        f"leads to a folder that it is in, {os.path.realpath(path)}",
        "links to files and folders elsewhere",
        "Remove the link",
    )


def _fan(path: str) -> DataError:
    return DataError(
        path,
        f"is by links {os.path.realpath(path)}, as {MOST_LINKS:,} others are",
        f"at most {MOST_LINKS:,} ways by links to one folder",
        "Remove links, whose rows would be read as often",
    )


def _twice(path: str, target: Path) -> DataError:
    return DataError(
        path,
        f"is by a link {target}, whose rows would be read twice",
        "each file once",
        "Remove the link, or make the path a glob that leaves it out",
    )
