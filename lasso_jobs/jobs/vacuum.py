"""Removing what killed and refused runs left behind, after a time of grace."""

import time
from dataclasses import dataclass

from lasso_jobs.data import storage
from lasso_jobs.data import vacuum as v
from lasso_jobs.data.staging import told
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
    for run_id, modified in sorted(_written(root).items()):
        journal = Journal(root, tables.quarantine, run_id)
        if time.time() - modified > grace_hours * 3600:
            stale.append(journal.folder)
        else:
            wanted |= journal.named_files()
    found = tuple(
        orphan for table in tables.existing for orphan in v.orphans(table, grace_hours, wanted)
    )
    if remove:
        for orphan in found:
            v.remove(orphan.path)
        for folder in stale:
            storage.remove_all(folder)
    return Vacuumed(found, tuple(stale), remove)


def _written(root: str) -> dict[str, float]:
    """When each run's journal was last written to."""
    written: dict[str, float] = {}
    folder = journals(root)
    with told(folder, "a folder that can be read", "Mend that"):
        for entry in storage.entries(folder):
            run_id = entry.name.split("/")[0]
            written[run_id] = max(written.get(run_id, 0.0), entry.modified)
    return written
