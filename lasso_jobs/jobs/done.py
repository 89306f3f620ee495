"""Completion markers: small files that other tools can wait for.

``OUTPUT/_lasso/done/DATE.json`` (``latest.json`` for a run without a date) appears once a run's
rows, quarantine and drift are committed, and names the table versions that belong together. A
marker is made from the table's log, and made again if a kill came between: the log alone says what
is done.
"""

import json

from lasso_jobs.data import storage
from lasso_jobs.data.staging import MARKERS, Format, told
from lasso_jobs.jobs.journal import write_json
from lasso_jobs.jobs.record import records


def marker(root: str, date: str | None) -> str:
    """Where the marker of a night is."""
    return storage.join(root, MARKERS, f"{date or 'latest'}.json")


def ensure_marked(root: str, date: str, version: int, format_: Format = "delta") -> None:
    """Write the marker of a night that is committed, unless it is there."""
    place = marker(root, date)
    with told(place, "a file that can be read", "Mend that, then run this again"):
        try:
            marked = json.loads(storage.read(place))["output_version"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            marked = None
    if marked != version:
        mark_done(root, version, format_)


def mark_done(root: str, version: int, format_: Format = "delta") -> None:
    """Write the marker of the run that a version of the table is of."""
    record = next(record for found, record in records(root, format_) if found == version)
    write_json(
        marker(root, record.date),
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
