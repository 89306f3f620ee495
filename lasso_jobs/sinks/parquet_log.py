"""Keeps the log of a plain Parquet folder, and makes the folder what its newest entry says.

An entry is a file, ``_lasso/00000007.json``: the files that make up the folder, those it adds and
those it removes. Who creates the next entry has committed. Then the entry is carried out, one
partition after the other: its old files are deleted, its staged files are moved in. A file
``00000007.done`` says that this has come to its end.

A driver may die in between. So whoever reads the log carries out its newest entry first, whatever
is asked of it. If a staged file has been deleted meanwhile, its partition cannot have the new
rows: it keeps the old ones if they are all there, else it is emptied. ``00000007.lost`` says so,
and the entry does not count as committed: its date is scored again. Other dates are not concerned.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any

from lasso_jobs.sinks.protocol import INTERNAL_FOLDER, Partition, WrittenFile
from lasso_jobs.storage import files as storage
from lasso_jobs.storage.failures import as_output_error
from lasso_jobs.storage.json_text import json_text, json_values

STAGED, SUFFIX = f"{INTERNAL_FOLDER}/staged", ".staged"
_ENTRY = re.compile(r"([0-9]{8})\.json")
_READABLE = "a folder that can be read", "Correct its path, or mend the credentials or rights"
_WRITABLE = "a folder that can be written to", "Make room or give access, then run this again"


@dataclass(frozen=True, slots=True)
class ShownFile:
    """A file of the folder."""

    path: str
    partition: Partition
    rows: int
    size_bytes: int

    @classmethod
    def of(cls, file: WrittenFile) -> "ShownFile":
        """What an entry keeps of a file."""
        return cls(file.path, file.partition, file.rows, file.size_bytes)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "ShownFile":
        """A file as an entry has it."""
        return cls(**{**values, "partition": tuple((n, v) for n, v in values["partition"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A commit.

    Parameters
    ----------
    version : int
    run_id : str
    also : list of str
        Its other application transaction ids.
    metadata : dict of str to str
    partition_by, columns : list of str
    add, remove : list of str
        Paths of the files that it adds, and of those that it replaces.
    files : list of ShownFile
        All files of the folder from then on.
    is_lost : bool
        Whether some of what it adds was deleted before it was moved in; `files` has none of that.
    """

    version: int
    run_id: str
    also: list[str]
    metadata: dict[str, str]
    partition_by: list[str]
    columns: list[str]
    add: list[str]
    remove: list[str]
    files: list[ShownFile]
    is_lost: bool = False


def is_begun(root: str) -> bool:
    """Whether the folder has an entry; looks at nothing else, and changes nothing."""
    return bool(_versions(_names(root)))


def entries(root: str) -> Iterator[Entry]:
    """All entries, the newest first, which is carried out if it was not."""
    names = _names(root)
    versions = _versions(names)
    if versions and _name(versions[0], "done") not in names:
        carry_out(root, entry_at(root, versions[0]))
        names = _names(root)
    return (_entry(root, v, lost=_name(v, "lost") in names) for v in versions)


def newest(root: str) -> Entry | None:
    """The newest entry, carried out; None before the first."""
    return next(entries(root), None)


def newest_as_logged(root: str) -> Entry | None:
    """The newest entry, whether it is carried out or not; changes nothing."""
    versions = _versions(_names(root))
    return entry_at(root, versions[0]) if versions else None


def entry_at(root: str, version: int) -> Entry:
    """The entry of a version."""
    return _entry(root, version, lost=is_lost(root, version))


def create(root: str, entry: Entry) -> bool:
    """Write an entry, unless another writer has written that of its version."""
    values = {name: value for name, value in asdict(entry).items() if name != "is_lost"}
    with as_output_error(root, *_WRITABLE):
        try:
            storage.create(_place(root, entry.version, "json"), json_text(values).encode())
        except FileExistsError:
            return False
    return True


def is_lost(root: str, version: int) -> bool:
    """Whether some of what an entry adds was deleted before it was moved in."""
    return _is_there(_place(root, version, "lost"))


def carry_out(root: str, entry: Entry) -> None:
    """Make the folder what an entry says; another may have begun, or do the same now."""
    with as_output_error(root, *_WRITABLE):
        if _is_there(_place(root, entry.version, "done")):
            return
        gone: list[str] = []
        for _, paths in groupby(sorted([*entry.add, *entry.remove], key=_folder), _folder):
            both = set(paths)
            added, removed = sorted(both & {*entry.add}), sorted(both & {*entry.remove})
            lost = [path for path in added if _is_gone(root, path, entry.version)]
            if lost and removed and all(_is_there(storage.join(root, path)) for path in removed):
                gone += added
                continue
            for path in (*removed, *(added if lost else ())):
                storage.remove(storage.join(root, path))
            for path in () if lost else added:
                _move_in(root, path, entry.version)
            gone += added if lost else ()
        if gone:
            _note_lost(root, entry, set(gone))
        storage.write(_place(root, entry.version, "done"), b"")


def shown_or_staged(root: str, path: str) -> str:
    """Where a file is that was staged, and perhaps committed."""
    shown = storage.join(root, path)
    return shown if _is_there(shown) else staged(root, path)


def staged(root: str, path: str) -> str:
    """Where a file is before its commit."""
    return storage.join(root, STAGED, path + SUFFIX)


def _move_in(root: str, path: str, version: int) -> None:
    try:
        storage.move(staged(root, path), storage.join(root, path))
    except FileNotFoundError:
        if _is_gone(root, path, version):
            raise


def _is_gone(root: str, path: str, version: int) -> bool:
    # In this order: another process may move the file in meanwhile, and replace it after that.
    return not (
        _is_there(staged(root, path))
        or _is_there(storage.join(root, path))
        or _is_there(_place(root, version + 1, "json"))
    )


def _note_lost(root: str, entry: Entry, gone: set[str]) -> None:
    before = entry_at(root, entry.version - 1).files if entry.version else []
    kept = [
        file
        for file in before
        if file.path in entry.remove and _is_there(storage.join(root, file.path))
    ]
    content = json_text({"gone": sorted(gone), "kept": [asdict(file) for file in kept]})
    # Who does the same now finds the same.
    storage.replace(_place(root, entry.version, "lost"), content.encode())


def _entry(root: str, version: int, *, lost: bool) -> Entry:
    with as_output_error(root, *_READABLE):
        values = json_values(storage.read(_place(root, version, "json")))
        missing = json_values(storage.read(_place(root, version, "lost"))) if lost else None
    entry = Entry(**{**values, "files": [ShownFile.from_json(f) for f in values["files"]]})
    if missing is None:
        return entry
    kept = [ShownFile.from_json(file) for file in missing["kept"]]
    files = [*(f for f in entry.files if f.path not in missing["gone"]), *kept]
    return replace(entry, files=files, is_lost=True)


def _names(root: str) -> set[str]:
    with as_output_error(root, *_READABLE):
        return {*storage.names(storage.join(root, INTERNAL_FOLDER))}


def _versions(names: set[str]) -> list[int]:
    """The versions that have an entry, the newest first."""
    matches = map(_ENTRY.fullmatch, names)
    return sorted((int(match[1]) for match in matches if match), reverse=True)


def _name(version: int, suffix: str) -> str:
    return f"{version:08d}.{suffix}"


def _place(root: str, version: int, suffix: str) -> str:
    return storage.join(root, INTERNAL_FOLDER, _name(version, suffix))


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _is_there(place: str) -> bool:
    try:
        storage.state(place)
    except FileNotFoundError:
        return False
    return True
