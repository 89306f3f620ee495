"""Finds nights that were measured before, and have no rows since they were scored again.

Scored rows may also be gone because they are old, and were deleted. The history is to outlive them.
So the night's completion marker must say that it was scored and has no rows.
"""

from collections.abc import Collection

import numpy as np
import pyarrow.compute as pc

from lasso_jobs.core.drift.outcomes import tally_rows
from lasso_jobs.jobs.monitor import MonitorJob
from lasso_jobs.monitoring.history import PeriodErrors
from lasso_jobs.sinks import delta
from lasso_jobs.sinks.protocol import MARKERS
from lasso_jobs.storage import files as storage
from lasso_jobs.storage.json_text import json_values

_NO_ROWS = tally_rows(*np.empty((4, 0)))


def emptied(job: MonitorJob, days: Collection[str], seen: Collection[str]) -> list[PeriodErrors]:
    """What to record in place of what the history has of such nights, by period and version.

    Parameters
    ----------
    job : MonitorJob
    days : collection of str
        The run's; empty for all.
    seen : collection of str
        The periods that have rows.
    """
    if job.history is None or not delta.exists(job.history.path):
        return []
    columns = ("period", "model_version", "n_scored", "segment")
    known = delta.read(job.history.path, columns, (("model", job.model),))
    known = known.filter((pc.field("segment") == "") & (pc.field("n_scored") > 0))
    gone = {
        (row["period"], row["model_version"])
        for row in known.to_pylist()
        if row["period"] not in seen and (not days or row["period"] in days)
    }
    empty = {period for period in {period for period, _ in gone} if _is_empty(job, period)}
    return [
        PeriodErrors(
            model=job.model,
            model_version=version,
            period=period,
            segment="",
            tally=_NO_ROWS,
            n_unpredicted=None,
            expected=None,
            verdict="unknown",
            reason="not judged: scored again since, and has no rows any more",
        )
        for period, version in sorted(gone)
        if period in empty
    ]


def _is_empty(job: MonitorJob, period: str) -> bool:
    """Whether the night's marker, if there is one, counts no rows."""
    place = storage.join(job.scores.path, MARKERS, f"{period}.json")
    try:
        return bool(json_values(storage.read(place)).get("rows_scored") == 0)
    except (OSError, ValueError):
        return False
