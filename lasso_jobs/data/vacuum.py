"""Files that no version of a Delta table names: what killed and refused runs left behind."""

import time
from collections.abc import Collection
from dataclasses import dataclass

from lasso_jobs.data import delta_log, storage
from lasso_jobs.data.staging import BESIDE, told


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


def orphans(root: str, grace_hours: float, kept: Collection[str] = ()) -> tuple[Orphan, ...]:
    """Data files that no version in the log names, older than a time of grace.

    A file that an earlier generation shows is named by its version, and so is none of them.

    Parameters
    ----------
    root : str
    grace_hours : float
        A run that goes on has files that no version names yet.
    kept : collection of str
        Paths below the root that are still wanted.
    """
    # The files first: one that is committed meanwhile is in the log by the time it is read.
    with told(root, "a folder that can be read", "Mend that"):
        found = [f for f in storage.entries(root) if f.name.endswith(".parquet")]
    named, now = delta_log.named_files(root) | set(kept), time.time()
    return tuple(
        Orphan(storage.join(root, file.name), file.size_bytes, (now - file.modified) / 3600)
        for file in found
        if file.name not in named
        and file.name.split("/")[0] not in (BESIDE, "_delta_log")
        and now - file.modified > grace_hours * 3600
    )


def remove(path: str) -> None:
    """Remove an orphan."""
    with told(path, "a file that can be removed", "Mend that, then run this again"):
        storage.remove(path)
