"""Writes completion markers: small files that tell other tools that a night is done.

``OUTPUT/_lasso/done/DATE.json`` (``latest.json`` for a run without a date) appears once a run's
rows, quarantine and drift are committed. It names the versions of the tables that belong together.
A marker is made from the output's log, which alone says what is done. If the driver dies between
its commit and its marker, whoever asks about the night next corrects the marker of its former
rows; one that is not there is made by the next run.

Where a commit is not one step (``format: parquet``), the marker of the night's former rows is
removed before it. So while a folder has a marker, it shows the rows that the marker counts.
"""

from lasso_jobs.scoring.journal import write_json
from lasso_jobs.scoring.record import run_records
from lasso_jobs.sinks.protocol import MARKERS, Format
from lasso_jobs.storage import files as storage
from lasso_jobs.storage.failures import as_output_error
from lasso_jobs.storage.json_text import json_values


def marker_place(root: str, date: str | None) -> str:
    """The place of a night's marker."""
    return storage.join(root, MARKERS, f"{date or 'latest'}.json")


def ensure_marker(root: str, date: str, version: int | None, format_: Format = "delta") -> None:
    """Write the marker of a committed night, unless it is there; remove that of any other."""
    if version is None:
        remove_marker(root, date)
    elif _marked(root, date) != version:
        write_marker(root, version, format_)


def correct_marker(root: str, date: str, version: int | None, format_: Format = "delta") -> None:
    """Write the marker of a committed night where the one that is there is of an earlier commit.

    So a driver that died between its commit and its marker leaves none that is false, once the
    night is asked about. One that is not there says nothing, and a run may be about to write it.
    """
    marked = _marked(root, date)
    if version is not None and marked is not None and marked < version:
        write_marker(root, version, format_)


def remove_marker(root: str, date: str | None, until: int | None = None) -> None:
    """Remove a night's marker if it is there; with `until`, one of no later version only."""
    place = marker_place(root, date)
    if until is not None and (marked := _marked(root, date)) is not None and marked > until:
        return
    with as_output_error(
        place, "a file that can be removed", "Give access to it, then run this again"
    ):
        storage.remove(place)


def _marked(root: str, date: str | None) -> int | None:
    """The version that a night's marker names; None if there is none, or it is damaged."""
    place = marker_place(root, date)
    with as_output_error(
        place, "a file that can be read", "Restore it or give access, then run this again"
    ):
        try:
            return int(json_values(storage.read(place))["output_version"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None


def write_marker(root: str, version: int, format_: Format = "delta") -> None:
    """Write the marker of the run that committed a version of the output."""
    (_, record), *_ = run_records(root, format_, at=version)
    write_json(
        marker_place(root, record.date),
        {
            "date": record.date,
            "run_id": record.run_id,
            "model": record.model,
            "scored_at": record.scored_at.isoformat(),
            "rows_scored": record.rows_scored,
            "rows_quarantined": record.rows_quarantined,
            "output_version": version,
            "quarantine_version": record.quarantine_version,
            "drift_version": record.drift_version,
            "generation": version if record.generation is None else record.generation,
        },
    )
