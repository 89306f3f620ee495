"""Finds, and removes, the files and journals that killed or refused runs left behind.

Other people's files are left alone: a folder may hold more than this program has put there.
"""

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lasso_jobs.errors import JobError, OutputError
from lasso_jobs.scoring.journal import Journal, journals_folder
from lasso_jobs.scoring.tables import OutputTables, output_tables
from lasso_jobs.sinks import delta, delta_log, written_file
from lasso_jobs.sinks.protocol import INTERNAL_FOLDER
from lasso_jobs.storage import files as storage
from lasso_jobs.storage.failures import as_output_error

GRACE_HOURS = 24.0
_NO_ROWS = (INTERNAL_FOLDER, "_delta_log", "_pages", "_acknowledged")


@dataclass(frozen=True, slots=True)
class Orphan:
    """A file that no version names.

    Parameters
    ----------
    path : str
    size_bytes : int
    age_hours : float
        Since it was last written.
    """

    path: str
    size_bytes: int
    age_hours: float


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A file that no version names, or a table, which is not cleaned.

    Parameters
    ----------
    path : str
    why : str
    """

    path: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VacuumResult:
    """The leftovers of an output.

    Parameters
    ----------
    orphans : tuple of Orphan
    journals : tuple of str
        The folders of runs that nobody has continued.
    left_alone : tuple of LeftAlone
        What is neither removed nor listed for it, and why.
    removed : bool
        Whether orphans and journals are removed, or only listed.
    """

    orphans: tuple[Orphan, ...]
    journals: tuple[str, ...]
    left_alone: tuple[LeftAlone, ...]
    removed: bool

    def in_words(self) -> dict[str, Any]:
        """How many leftovers there are, for a terminal."""
        return {
            "orphans": len(self.orphans),
            "orphan_bytes": sum(orphan.size_bytes for orphan in self.orphans),
            "journals": len(self.journals),
            "left_alone": len(self.left_alone),
            "removed": self.removed,
        }

    def as_values(self) -> dict[str, Any]:
        """What ``vacuum --json`` prints: the same, and each of them."""
        return {
            **self.in_words(),
            "files": [dataclasses.asdict(orphan) for orphan in self.orphans],
            "stale_journals": list(self.journals),
            "files_left_alone": [dataclasses.asdict(file) for file in self.left_alone],
        }


def vacuum(root: str, grace_hours: float = GRACE_HOURS, *, remove: bool = False) -> VacuumResult:
    """List, or remove, the files and journals that no run and no version of the table needs.

    Only files are removed whose names this program gives, and only in the folders of the output's
    own tables. A file that any journal names is spared: a driver may stop for days, and then go
    on. A journal that has grown old is removed, and the next vacuum removes its files.

    Parameters
    ----------
    root : str
        A scoring job's output. Its quarantine and drift tables are cleaned with it.
    grace_hours : float
        What is younger is left alone.
    remove : bool
        Whether to remove the leftovers; they are only listed otherwise.

    Raises
    ------
    LassoJobsError
    """
    if not grace_hours >= 0:
        raise JobError(
            "--grace", f"{grace_hours:g}", "hours, zero or more", "Give a number of them"
        )
    tables = output_tables(root)
    stale_journals, journalled = [], dict[str, str]()
    for run_id, modified in sorted(_journals_last_written(root).items()):
        journal = Journal(root, tables.quarantine, run_id)
        journalled |= dict.fromkeys(journal.named_files(), run_id)
        if time.time() - modified > grace_hours * 3600:
            stale_journals.append(journal.folder)
    folders, left_alone = _folders(tables)
    orphans: list[Orphan] = []
    for folder in folders:
        of_folder = find_leftovers(folder, grace_hours, journalled)
        orphans += of_folder.orphans
        left_alone += of_folder.left_alone
    if remove:
        for orphan in orphans:
            _remove(orphan.path)
        for stale in stale_journals:
            storage.remove_all(stale)
    return VacuumResult(
        orphans=tuple(orphans),
        journals=tuple(stale_journals),
        left_alone=tuple(left_alone),
        removed=remove,
    )


def _folders(tables: OutputTables) -> tuple[list[str], list[LeftAlone]]:
    """The folders of an output's own tables, and what is not known to be one of them."""
    folders, left_alone = [tables.output], list[LeftAlone]()
    if storage.names(tables.quarantine):
        try:
            tables.require_quarantine()
            delta.refuse_foreign(tables.quarantine)
            folders.append(tables.quarantine)
        except OutputError as error:
            left_alone.append(LeftAlone(tables.quarantine, f"no quarantine of it: {error.found}"))
    if tables.newest is not None:
        try:
            drift = tables.drift_of(tables.newest)
            folders += [] if drift is None else [drift]
        except OutputError as error:
            left_alone.append(LeftAlone(error.where, error.found))
    return folders, left_alone


@dataclass(frozen=True, slots=True)
class Leftovers:
    """The files of one folder that no version of its table names."""

    orphans: tuple[Orphan, ...]
    left_alone: tuple[LeftAlone, ...]


def find_leftovers(
    root: str, grace_hours: float, journalled: Mapping[str, str] | None = None
) -> Leftovers:
    """Find the files of a table's folder that are in no version of its log.

    The files of an earlier generation are no leftovers: the version that showed it names them.

    Parameters
    ----------
    root : str
    grace_hours : float
        A run that is under way has files that no version names yet.
    journalled : mapping of str to str, optional
        Paths below the root that a journal names, and its run.
    """
    # The files first: one that is committed meanwhile is in the log by the time it is read.
    with as_output_error(
        root, "a folder that can be read", "Give access to it, then run this again"
    ):
        files = [f for f in storage.entries(root) if f.name.split("/")[0] not in _NO_ROWS]
    named, now = delta_log.named_files(root), time.time()
    orphans, left_alone = [], []
    for file in (f for f in files if f.name not in named):
        age = (now - file.modified) / 3600
        why = None
        if not written_file.is_ours(file.name.split("/")[-1]):
            why = "scoring gives no such name"
        elif journalled and file.name in journalled:
            why = f"run {journalled[file.name]} noted it in its journal, and may go on"
        elif age <= grace_hours:
            why = f"is younger than {grace_hours:g} hours, and may be of a run under way"
        place = storage.join(root, file.name)
        if why is None:
            orphans.append(Orphan(place, file.size_bytes, age))
        else:
            left_alone.append(LeftAlone(place, why))
    return Leftovers(tuple(orphans), tuple(left_alone))


def _remove(path: str) -> None:
    with as_output_error(
        path, "a file that can be removed", "Give access to it, then run this again"
    ):
        storage.remove(path)


def _journals_last_written(root: str) -> dict[str, float]:
    """When the journal of each run was last written to."""
    written: dict[str, float] = {}
    folder = journals_folder(root)
    with as_output_error(
        folder, "a folder that can be read", "Give access to it, then run this again"
    ):
        for entry in storage.entries(folder):
            run_id = entry.name.split("/")[0]
            written[run_id] = max(written.get(run_id, 0.0), entry.modified)
    return written
