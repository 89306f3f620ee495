"""Keeps a log of entries as numbered files, each of which covers all before it by its digest.

An entry is added by the creation of the next file, so that of several who add one at once, one
wins. Each carries its digest, which covers the digest of the entry before: a log that was damaged
is refused. The digest is first in the file and what it follows is last, so that no cut takes both
away and leaves an entry. Entries of versions that wrote no digest are believed as they are, until
the first with one covers them.
"""

import getpass
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from lasso_jobs.errors import LassoJobsError
from lasso_jobs.storage import files as storage
from lasso_jobs.storage.failures import waiting_helps
from lasso_jobs.storage.json_text import json_text, json_values
from lasso_jobs.storage.packing import pack, unpack

_ENTRY = re.compile(r"[0-9]+\.json").fullmatch
Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class ChainedLog(Generic[Entry]):
    """A log whose entries are dataclasses.

    Parameters
    ----------
    folder : str
        A path or URI; created by the first entry.
    kind : type
        Of an entry.
    name : str
        What it is called in errors, such as "the alias log".
    error : type
        Of its errors.
    remedy : str
        What to do about a log that is damaged.
    """

    folder: str
    kind: type[Entry]
    name: str
    error: type[LassoJobsError]
    remedy: str

    def entries(self) -> list[Entry]:
        """All entries, oldest first.

        Raises
        ------
        LassoJobsError
            If they cannot be read, or are not what was written.
        """
        entries: list[Entry] = []
        digest, chained = None, False
        for number, name in enumerate(self.names(), start=1):
            place = storage.join(self.folder, name)
            if name != _name(number):
                raise self._damaged(place, f"is there without {_name(number)}")
            entry, stated = self._read(place)
            before, digest = digest, _digest(entry, digest)
            if stated is None:
                if chained:
                    raise self._damaged(place, "has no digest, unlike the entry before it")
            elif stated != (digest, before):
                raise self._damaged(place, "does not match its digest, or not the entry before it")
            chained = stated is not None
            entries.append(entry)
        return entries

    def names(self) -> list[str]:
        """The files of the entries, in their order.

        Raises
        ------
        LassoJobsError
            If they cannot be listed.
        """
        return [name for name in listed(self.folder, self.error) if _ENTRY(name)]

    def append(self, before: Sequence[Entry], entry: Entry) -> None:
        """Add an entry after those that were read, in one atomic step.

        Raises
        ------
        FileExistsError
            If someone else added one since they were read.
        OSError
            If it cannot be written.
        """
        covered = None
        for earlier in before:
            covered = _digest(earlier, covered)
        content = {"digest": _digest(entry, covered), **_values(entry), "before": covered}
        text = json_text(content, indent=2) + "\n"
        storage.create(self.place(len(before) + 1), text.encode())

    def place(self, number: int) -> str:
        """Where an entry is, by its number from 1 on."""
        return storage.join(self.folder, _name(number))

    def _read(self, place: str) -> tuple[Entry, tuple[str, str | None] | None]:
        """An entry, and what it states: its digest, and that of the entry before."""
        try:
            values = json_values(storage.read(place))
            stated = None
            if "digest" in values:
                stated = (values.pop("digest"), values.pop("before"))
            return unpack(self.kind, values, {}), stated
        except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
            raise self.error(
                place,
                f"cannot be read ({error})",
                f"an entry of {self.name}",
                "Restore it",
                transient=waiting_helps(error),
            ) from error

    def _damaged(self, place: str, found: str) -> LassoJobsError:
        return self.error(place, found, f"{self.name} as it was written", self.remedy)


def listed(folder: str, error: type[LassoJobsError]) -> list[str]:
    """Names of the files of a folder that may not be there yet.

    Raises
    ------
    LassoJobsError
    """
    try:
        return storage.names(folder)
    except OSError as cause:
        raise error(
            folder,
            f"cannot be listed ({cause})",
            "a folder that may be read",
            "Correct its path, or mend the credentials or rights",
            transient=waiting_helps(cause),
        ) from cause


def user() -> str:
    """Who runs this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return f"uid {os.getuid()}"


def _name(number: int) -> str:
    return f"{number:08d}.json"


def _values(entry: object) -> dict[str, Any]:
    values: dict[str, Any] = pack(entry)[0]
    return values


def _digest(entry: object, before: str | None) -> str:
    """Of an entry and all before it."""
    return hashlib.sha256(json_text([before, _values(entry)], sort_keys=True).encode()).hexdigest()
