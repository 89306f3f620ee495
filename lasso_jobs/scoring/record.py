"""Keeps the record of a run in the metadata of its commit, and reads it back from the output's log.

Whatever is asked of an output later is answered from these records: which nights are done, how
fast the last run was, what to go back to, what to recount. So there is no second book that could
disagree.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict

from lasso_jobs.sinks.protocol import Format, Partition, sink

KEY = "lasso_jobs"


class TableLink(BaseModel):
    """How an output and a table of its run find each other, wherever both are moved or copied to.

    Parameters
    ----------
    path : str
        The table's place, relative to the output.
    back : str
        The output's place, relative to the table: a copy of the output alone has another.
    id : str
        Delta's own id of the table.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    back: str
    id: str


class PartitionRows(BaseModel):
    """How many rows of a run are in one partition of the output, and of the quarantine."""

    model_config = ConfigDict(frozen=True)

    partition: Partition
    scored: int
    quarantined: int


class RunRecord(BaseModel):
    """A run, as the metadata of its commit has it.

    Parameters
    ----------
    run_id, model, digest : str
        The run's id, and the model's reference and digest.
    date : str or None
        The night that was scored; None for a run without a date.
    sources : str
        A digest of the source files' identities.
    scored_at : datetime
    job : dict
        The job file's content, with the date in its place.
    rows_in, rows_scored, rows_quarantined, rows_filtered : int
    partitions : tuple of PartitionRows
        Every partition that the run replaced.
    quarantine_version, drift_version : int
        The versions of those tables that belong to the run; -1 where there is none.
    quarantine_id : str or None
        Delta's own id of the quarantine; None where there is none, and in older logs.
    drift_table : TableLink or None
        The table of `drift_version`; None where there is none, and in older logs.
    bytes_per_second : float or None
        The measured throughput; None if nothing was read.
    generation : int or None
        The version that a rollback shows again; None for a run.
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
    partitions: tuple[PartitionRows, ...]
    quarantine_version: int
    drift_version: int
    bytes_per_second: float | None
    quarantine_id: str | None = None
    drift_table: TableLink | None = None
    generation: int | None = None

    def metadata(self) -> dict[str, str]:
        """The commit's metadata: what a person looks for in a log, and the whole record."""
        shown = {"model": self.model, "digest": self.digest, "date": self.date}
        return {**{k: v for k, v in shown.items() if v}, KEY: self.model_dump_json()}

    @property
    def replaced(self) -> frozenset[Partition]:
        """The partitions that the run replaced."""
        return frozenset(counted.partition for counted in self.partitions)

    @property
    def application_ids(self) -> list[str]:
        """The application transaction ids of the commit, besides the run's id."""
        if self.date is None:
            return []
        return [night_id(self.date), night_id(self.date, self.sources)]


def night_id(date: str, sources: str | None = None) -> str:
    """The application transaction id of a night, or of a night with these source files.

    Examples
    --------
    >>> night_id("2013-10-01"), night_id("2013-10-01", "ab12")
    ('date 2013-10-01', 'date 2013-10-01 of ab12')
    """
    return f"date {date}" if sources is None else f"date {date} of {sources}"


def run_records(
    root: str, format_: Format = "delta", at: int | None = None
) -> Iterator[tuple[int, RunRecord]]:
    """The versions and records of an output's commits, or of one, the newest first."""
    for version, metadata in sink(format_).history(root, at):
        if KEY in metadata:  # else the commit is not ours
            yield version, _record(metadata[KEY])


def partitions_of_night(root: str, date: str | None, format_: Format = "delta") -> set[Partition]:
    """The partitions that the newest commit of a night replaced, and no later commit did."""
    if date is None or sink(format_).committed(root, night_id(date)) is None:
        return set()
    taken: set[Partition] = set()
    for _, record in run_records(root, format_):
        if record.date == date:
            return set(record.replaced - taken)
        taken |= record.replaced
    return set()


@lru_cache(maxsize=4096)
def _record(text: str) -> RunRecord:
    # Cached, as each night of a range that is scored again looks through those since it was.
    return RunRecord.model_validate_json(text)
