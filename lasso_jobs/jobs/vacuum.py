"""Removing what killed and refused runs left behind, after a time of grace."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from lasso_jobs.data import vacuum as v
from lasso_jobs.errors import JobError
from lasso_jobs.jobs.journal import Journal, journals
from lasso_jobs.jobs.output import tables_of

GRACE_HOURS = 24.0


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What was found.

    Parameters
    ----------
    orphans : tuple of Orphan
    journals : tuple of str
        Of runs that nobody has gone on with.
    removed : bool
        Whether they are gone.
    """

    orphans: tuple[v.Orphan, ...]
    journals: tuple[str, ...]
    removed: bool


def vacuum(root: str, grace_hours: float = GRACE_HOURS, *, remove: bool = False) -> Vacuumed:
    """List, or remove, the files and journals that no run and no version of the table needs.

    Parameters
    ----------
    root : str
        A scoring job's output; its quarantine and drift tables are looked at, too.
    grace_hours : float
        What was written since is left alone, and so is all that its journal names.
    remove : bool

    Raises
    ------
    LassoJobsError
    """
    if grace_hours < 0:
        raise JobError("--grace", f"{grace_hours:g}", "hours, zero or more", "Correct it")
    tables = tables_of(root)
    stale, wanted = [], set[str]()
    for folder in sorted(p for p in journals(root).glob("*") if p.is_dir()):
        if _age_hours(folder) > grace_hours:
            stale.append(str(folder))
        else:
            wanted |= Journal(root, tables.quarantine, folder.name).named_files()
    found = tuple(
        orphan for table in tables.existing for orphan in v.orphans(table, grace_hours, wanted)
    )
    if remove:
        for orphan in found:
            v.remove(orphan.path)
        for journal in stale:
            shutil.rmtree(journal, ignore_errors=True)
    return Vacuumed(found, tuple(stale), remove)


def _age_hours(folder: Path) -> float:
    try:
        newest = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except FileNotFoundError:  # its run goes on, or has just ended
        return 0.0
    return (time.time() - newest) / 3600
