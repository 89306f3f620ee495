"""The tables of a scoring job: its output, its quarantine, its drift."""

from dataclasses import dataclass

from lasso_jobs.data import delta_log, storage
from lasso_jobs.data.staging import JOURNALS, Format, sink, told
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
        return tuple(path for path in paths if path and storage.names(path))


def quarantine_of(root: str, format_: Format = "delta") -> str:
    """The quarantine table of an output."""
    return f"{root.rstrip('/')}{'_' if format_ == 'postgresql' else '-'}quarantine"


def tables_of(root: str) -> Tables:
    """The tables of an output, which may still wait for its first commit.

    Raises
    ------
    OutputError
        If it is none, or is of another format than ``delta``: then its files are not all named in
        a log, and earlier generations are gone.
    """
    if sink("parquet").exists(root):
        raise OutputError(
            root,
            "has format: parquet, which keeps no earlier generations and no digests",
            "an output with format: delta",
            "Score a date again to replace it",
        )
    with told(root, "a place that can be read", "Check its path, and the credentials"):
        waiting = delta_log.version(root) < 0 and storage.names(storage.join(root, JOURNALS))
    record = None if waiting else newest(root)
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
            root,
            "is no Delta table",
            "the output of a scoring job with format: delta",
            "Correct the path",
        )
    return next((record for _, record in records(root)), None)
