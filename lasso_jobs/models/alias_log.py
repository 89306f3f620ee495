"""Keeps the log of a model's aliases: a numbered file for each move of one to a version.

An alias moves by the creation of the next file (`lasso_jobs.storage.chained_log`). A log that was
damaged is refused, as it would make another version the champion. What no digest can tell is that
the newest entries are missing: each entry is followed by its mark, an empty file of its number in
another folder, so that a log is known to be shorter than it was.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from lasso_jobs.errors import ModelError
from lasso_jobs.storage import chained_log
from lasso_jobs.storage import files as storage
from lasso_jobs.storage.chained_log import ChainedLog
from lasso_jobs.storage.failures import waiting_helps

_MARK = re.compile(r"[0-9]{8}").fullmatch
Action = Literal["promote", "rollback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One entry of the alias log.

    Parameters
    ----------
    alias : str
    action : {"promote", "rollback"}
    old, new : int or None
        Versions before and after.
    at : str
        UTC time, ISO 8601.
    by, why : str
        The user, or the flow run.
    """

    alias: str
    action: Action
    old: int | None
    new: int
    at: str
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class AliasLog:
    """The log of one model's aliases.

    Parameters
    ----------
    folder : str
        A path or URI; created by the first move.
    marks : str, optional
        The folder of the marks.
    """

    folder: str
    marks: str | None = None

    def moves(self) -> list[Move]:
        """All moves, oldest first.

        Raises
        ------
        ModelError
            If they cannot be read, or are not what was written, or the newest are missing.
        """
        # Marks come after their entries, so that they are listed before.
        marks = self._marked()
        moves = self.entries()
        if (newest := max(marks, default=0)) > len(moves):
            raise ModelError(
                self.folder,
                f"has {len(moves)} entries",
                f"the {newest} that were written, as the marks in {self.marks} tell",
                "Restore its folder; or promote a version again, by its number",
            )
        return moves

    def newest(self) -> tuple[int, bytes]:
        """How many entries there are, and the newest, which covers all before by its digest.

        Raises
        ------
        ModelError, OSError
            If they cannot be listed, or it cannot be read.
        """
        names = self._log.names()
        return len(names), storage.read(storage.join(self.folder, names[-1])) if names else b""

    def _marked(self) -> list[int]:
        """The numbers of the entries that have a mark."""
        names = [] if self.marks is None else listed(self.marks)
        return [int(name) for name in names if _MARK(name)]

    def entries(self) -> list[Move]:
        """The moves that are there, whether the newest are missing or not.

        Raises
        ------
        ModelError
            If they cannot be read, or are not what was written.
        """
        return self._log.entries()

    @property
    def _log(self) -> ChainedLog[Move]:
        remedy = (
            "Restore its folder; or remove this entry and all after it, and promote a version again"
        )
        return ChainedLog(self.folder, Move, name="the alias log", error=ModelError, remedy=remedy)

    def append(
        self,
        moves: Sequence[Move],
        *,
        alias: str,
        action: Action,
        new: int,
        why: str,
        by: str | None = None,
    ) -> Move:
        """Add a move after those that were read, in one atomic step.

        Raises
        ------
        ModelError
            If someone else moved an alias since they were read.
        """
        move = Move(
            alias=alias,
            action=action,
            old=current(moves).get(alias),
            new=new,
            at=datetime.now(UTC).isoformat(),
            by=by or chained_log.user(),
            why=why,
        )
        of_missing = [number for number in self._marked() if number > len(moves)]
        try:
            self._log.append(moves, move)
        except FileExistsError as error:
            raise ModelError(
                self.folder,
                "an alias was moved by someone else at the same time",
                "one move at a time",
                "Look at it with 'lasso-jobs models show', and try again",
            ) from error
        except OSError as error:
            raise unwritable(self._log.place(len(moves) + 1), error, "try again") from error
        self._mark(len(moves) + 1, of_missing)
        return move

    def _mark(self, number: int, of_missing: Sequence[int]) -> None:
        """Leave the mark of an entry, in place of those of entries that were missing before it."""
        if self.marks is not None:
            with suppress(OSError):  # the alias has moved; without the mark, only a cut is not told
                for missing in of_missing:
                    storage.remove(storage.join(self.marks, f"{missing:08d}"))
                storage.create(storage.join(self.marks, f"{number:08d}"), b"")


def unwritable(place: str, error: OSError, then: str) -> ModelError:
    """The error of a file of a registry that cannot be written."""
    if isinstance(error, storage.NoHardLinksError):
        return ModelError(
            place,
            f"cannot be written ({error})",
            "a file system with hard links, such as ext4, XFS or NFS, or a bucket",
            f"Name another place as the registry, and {then}",
        )
    return ModelError(
        place,
        f"cannot be written ({error})",
        "room and the right to write there",
        f"Make room or give access, and {then}",
        transient=waiting_helps(error),
    )


def current(moves: Sequence[Move]) -> dict[str, int]:
    """Each alias and its version after some moves."""
    return {move.alias: move.new for move in moves}


def promoted(moves: Sequence[Move], alias: str) -> list[int]:
    """The versions that an alias was promoted to and not rolled back from, oldest first."""
    versions: list[int] = []
    for move in moves:
        if move.alias == alias:
            if move.action == "rollback":
                versions.pop()
            elif versions[-1:] != [move.new]:
                versions.append(move.new)
    return versions


def listed(folder: str) -> list[str]:
    """Names of the files of a registry's folder.

    Raises
    ------
    ModelError
    """
    return chained_log.listed(folder, ModelError)
