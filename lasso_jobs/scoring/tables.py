"""Finds the tables of a scoring job: its output, its quarantine and its drift."""

from dataclasses import dataclass
from pathlib import Path

from lasso_jobs.errors import OutputError
from lasso_jobs.scoring.record import RunRecord, TableLink, run_records
from lasso_jobs.sinks import delta, delta_log
from lasso_jobs.sinks.protocol import JOURNALS, Format, sink
from lasso_jobs.storage import files as storage
from lasso_jobs.storage import references
from lasso_jobs.storage.failures import as_output_error
from lasso_jobs.storage.remote import checked


@dataclass(frozen=True, slots=True)
class OutputTables:
    """The places of an output and of the tables that belong to it.

    Parameters
    ----------
    output, quarantine : str
    newest : RunRecord or None
        Of the output's newest run; None while it waits for its first commit.
    """

    output: str
    quarantine: str
    newest: RunRecord | None

    def require_quarantine(self) -> None:
        """Refuse to go on if the quarantine is not there that belongs to the output.

        Raises
        ------
        OutputError
        """
        if self.newest is not None and self.newest.quarantine_version >= 0:
            expected = f"the quarantine of {self.output}, which has rows of its runs"
            _require_table(self.quarantine, self.newest.quarantine_id, expected)

    def drift_of(self, record: RunRecord) -> str | None:
        """The place of the drift table that a run wrote to; None if it wrote to none.

        The reference is relative to the output: a copy of an output finds the copy of its drift
        table. A run of an older version has no such reference. It takes that of the newest run, if
        both were of the same ``drift.path``.

        Raises
        ------
        OutputError
            If that table is not there, or belongs to an output at another place.
        """
        if record.drift_version < 0:
            return None
        link, newest = record.drift_table, self.newest
        if link is None and newest is not None and newest.job["drift"] is not None:
            same = record.job["drift"]["path"] == newest.job["drift"]["path"]
            link = newest.drift_table if same else None
        if link is None:
            raise OutputError(
                f"{self.output}, run {record.run_id}",
                f"its log notes no place of its drift table but {record.job['drift']['path']}, "
                "which may be that of another output since",
                "a place relative to the output, which this version notes",
                "Score any date again with the same drift.path, then repeat this",
            )
        place = references.resolved(link.path, self.output)
        _require_table(place, link.id, f"the drift table of {self.output}")
        if references.relative(self.output, place) != link.back:
            raise OutputError(
                place,
                f"is the drift table of {references.resolved(link.back, place)}",
                f"that of {self.output}, which was copied or moved without it",
                "Copy or move the folder that has both, or score any date again here",
            )
        return place


def link_to(table: str, output: str) -> TableLink:
    """How an output and a Delta table that is there find each other."""
    return TableLink(
        path=references.relative(table, output),
        back=references.relative(output, table),
        id=str(delta_log.table_id(table)),
    )


def _require_table(place: str, id_: str | None, expected: str) -> None:
    found = delta_log.table_id(place)
    if found is None or id_ not in (None, found):
        wrong = "is no Delta table" if found is None else "is another table than it was"
        remedy = "Restore it; or if the output was moved or copied, do the same with this table"
        raise OutputError(place, wrong, expected, remedy)


def quarantine_place(root: str, format_: Format = "delta") -> str:
    """The place of an output's quarantine.

    Examples
    --------
    >>> quarantine_place("scores/flights"), quarantine_place("scores", "postgresql")
    ('scores/flights-quarantine', 'scores_quarantine')
    """
    return f"{root.rstrip('/')}{'_' if format_ == 'postgresql' else '-'}quarantine"


def output_tables(root: str) -> OutputTables:
    """The tables of an output, which may still wait for its first commit.

    Raises
    ------
    OutputError
        If it is no output, or its format is not ``delta``: only a Delta log names all files, and
        keeps earlier generations.
    """
    checked(root)
    if not storage.is_uri(root) and Path(root).is_file():
        expected = "the folder or URI of a scoring job's output"
        raise OutputError(root, "is a file", expected, "Name what the job has as output.path")
    if sink("parquet").exists(root):
        raise OutputError(
            root,
            "has format: parquet, which keeps no earlier generations and no digests",
            "an output with format: delta, which verify, vacuum and rollback are for",
            "Score a date again to replace its rows",
        )
    with as_output_error(
        root, "a place that can be read", "Correct its path, or mend the credentials or rights"
    ):
        waiting = delta_log.version(root) < 0 and (
            storage.names(storage.join(root, JOURNALS))
            # A run was begun, and vacuum has taken its journal.
            or (storage.names(root) and not delta.foreign_files(root))
        )
    return OutputTables(root, quarantine_place(root), None if waiting else _newest_record(root))


def _newest_record(root: str) -> RunRecord | None:
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
            "Name what the job has as output.path",
        )
    return next((record for _, record in run_records(root)), None)
