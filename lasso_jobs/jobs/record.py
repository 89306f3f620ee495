"""What a commit of scored rows says of its run, in the table's own log.

Whatever is asked of an output afterwards (which nights are done, how fast the last run was, what to
go back to, what to recount) is answered from here, so that no second book can disagree.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from lasso_jobs.data.staging import Format, Partition, sink

KEY = "lasso_jobs"


class Counted(BaseModel):
    """Rows of a run in one partition of the output."""

    model_config = ConfigDict(frozen=True)

    partition: Partition
    scored: int
    quarantined: int


class Record(BaseModel):
    """A run, as its commit has it.

    Parameters
    ----------
    run_id, model, digest : str
        The model's reference and digest.
    date : str or None
        The night that was scored.
    sources : str
        A digest of the source files' names, sizes and times.
    scored_at : datetime
    job : dict
        As its file had it, for the night; paths as they were then.
    rows_in, rows_scored, rows_quarantined, rows_filtered : int
    partitions : tuple of Counted
        Every partition that the run replaced.
    quarantine_version, drift_version : int
        Of those tables when the run was committed; -1 where there was none.
    bytes_per_second : float or None
        Of the source, measured; None if nothing was read.
    generation : int or None
        For a rollback, the version that it shows again.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    model: str
    digest: str
    date: str | None
    sources: str
    scored_at: datetime
    job: dict[str, Any]
    rows_in: int
    rows_scored: int
    rows_quarantined: int
    rows_filtered: int
    partitions: tuple[Counted, ...]
    quarantine_version: int
    drift_version: int
    bytes_per_second: float | None
    generation: int | None = None

    def metadata(self) -> dict[str, str]:
        """For the commit: what a person looks for, and all of it."""
        shown = {"model": self.model, "digest": self.digest, "date": self.date}
        return {**{k: v for k, v in shown.items() if v}, KEY: self.model_dump_json()}

    @property
    def applications(self) -> list[str]:
        """Ids under which the table knows the commit, besides the run's."""
        if self.date is None:
            return []
        return [night(self.date), night(self.date, self.sources)]


def night(date: str, sources: str | None = None) -> str:
    """The application transaction id of a night; of a night with these source files."""
    return f"date {date}" if sources is None else f"date {date} of {sources}"


def records(root: str, format_: Format = "delta") -> Iterator[tuple[int, Record]]:
    """Versions and records of an output's commits, the newest first."""
    for version, metadata in sink(format_).history(root):
        record = record_of(metadata)
        if record is not None:
            yield version, record


def owned(root: str, date: str | None, format_: Format = "delta") -> set[Partition]:
    """Partitions that the newest commit of a night replaced, and no later commit has."""
    if date is None or sink(format_).committed(root, night(date)) is None:
        return set()
    taken: set[Partition] = set()
    for _, record in records(root, format_):
        own = {counted.partition for counted in record.partitions}
        if record.date == date:
            return own - taken
        taken |= own
    return set()


def record_of(metadata: Mapping[str, Any]) -> Record | None:
    """The record in a commit's metadata; None for a commit that is not ours."""
    return Record.model_validate_json(metadata[KEY]) if KEY in metadata else None
