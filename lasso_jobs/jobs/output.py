"""The tables of a scoring job: its output, its quarantine, its drift."""

from dataclasses import dataclass
from pathlib import Path

from lasso_jobs.data import delta_log
from lasso_jobs.data.sinks import BESIDE
from lasso_jobs.errors import OutputError
from lasso_jobs.jobs.record import Record, records


@dataclass(frozen=True, slots=True)
class Tables:
    """Where an output and what belongs to it are."""

    output: str
    quarantine: str
    drift: str | None

    @property
    def existing(self) -> tuple[str, ...]:
        """Those that are there."""
        paths = (self.output, self.quarantine, self.drift)
        return tuple(path for path in paths if path and Path(path).is_dir())


def quarantine_of(root: str) -> str:
    """The quarantine table of an output."""
    return f"{root.rstrip('/')}-quarantine"


def tables_of(root: str) -> Tables:
    """The tables of an output, which may still wait for its first commit.

    Raises
    ------
    OutputError
        If it is none.
    """
    record = None if Path(root, BESIDE).is_dir() and delta_log.version(root) < 0 else newest(root)
    drift = record.job.get("drift") if record else None
    return Tables(root, quarantine_of(root), drift["path"] if drift else None)


def newest(root: str) -> Record | None:
    """The record of the newest run; None if the table has none.

    Raises
    ------
    OutputError
        If there is no table.
    """
    if delta_log.version(root) < 0:
        raise OutputError(
            root, "is no Delta table", "the output of a scoring job", "Correct the path"
        )
    return next((record for _, record in records(root)), None)
