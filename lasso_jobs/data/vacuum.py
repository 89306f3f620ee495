"""Files that no version of a Delta table names: what killed and refused runs left behind."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from lasso_jobs.data import delta_log
from lasso_jobs.data.sinks import BESIDE, told


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
        found = [p for p in Path(root).rglob("*.parquet") if not _beside(p.relative_to(root))]
        states = [(p, p.stat()) for p in found if p.is_file()]
    named, now = delta_log.named_files(root) | set(kept), time.time()
    return tuple(
        Orphan(str(path), state.st_size, (now - state.st_mtime) / 3600)
        for path, state in sorted(states)
        if path.relative_to(root).as_posix() not in named
        and now - state.st_mtime > grace_hours * 3600
    )


def remove(path: str) -> None:
    """Remove an orphan."""
    with told(path, "a file that can be removed", "Mend that, then run this again"):
        Path(path).unlink(missing_ok=True)


def _beside(path: Path) -> bool:
    return path.parts[0] in (BESIDE, "_delta_log")
