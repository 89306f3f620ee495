"""Reading drift: which run, what it says, and what the runs before it said."""

import dataclasses
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lasso_jobs.artifacts.drift_facts import DriftFacts, Row, Then
from lasso_jobs.artifacts.drift_page import drift_page
from lasso_jobs.data import sinks, storage
from lasso_jobs.data.staging import told
from lasso_jobs.errors import DataError, JobError
from lasso_jobs.jobs.score_job import ScoreJob

Values = dict[str, Any]

HISTORY = 30
"""Points of a feature's history."""
NEWEST = 60
"""Runs that a scoring run looks through for the history of its page."""

_EXPECTED, _REMEDY = "runs of this version", "Score a date, which adds them"
_NIGHT = re.compile(r"\d{4}-?\d\d(-?\d\d)?(\D.*)?")
_COLUMNS = tuple(field.name for field in dataclasses.fields(Row))
_PAST = (
    *("run_id", "scored_at", "model_version", "partition", "segment", "feature"),
    *("mean", "score_shift", "raised", "verdict"),
)


def drift_of(
    root: str,
    date: str | None = None,
    run_id: str | None = None,
    target: str | None = None,
    newest: int | None = None,
) -> DriftFacts:
    """What a drift table says of a run, by default the last.

    Parameters
    ----------
    root : str
        The drift table.
    date : str, optional
        The night: of the runs of that partition, or if there is none of that day, the last.
    run_id : str, optional
        The run, or the start of its id.
    target : str, optional
        The name of what is predicted.
    newest : int, optional
        Look through so many runs only.

    Returns
    -------
    DriftFacts

    Raises
    ------
    LassoJobsError
        If there is no such table or run.
    """
    if not sinks.exists(root):
        raise DataError(root, "is no Delta table", "a drift table", "Correct the path")
    runs = sinks.newest(root, "run_id")[:newest]
    found = sinks.read_rows(root, _PAST, "run_id", runs)
    _refuse_older(root, found, _PAST)
    past = [row for row in found.to_pylist() if row["raised"] is not None]
    if not past:
        raise DataError(root, "has no runs", _EXPECTED, _REMEDY)
    past = [row for row in past if row["segment"] == ""]
    chosen = _chosen(root, past, date, run_id)
    rows = _rows(root, chosen["run_id"])
    return DriftFacts(rows, chosen["partition"], _history(past, chosen), target)


@dataclass(frozen=True, slots=True)
class Source:
    """A drift table, and the registry of its models where it is known."""

    path: str
    registry: str | None = None


def job_of(source: str) -> Source:
    """Where the drift is that a scoring job's file names, or a path.

    Raises
    ------
    JobError
        If the job keeps none.
    """
    if not source.endswith((".yaml", ".yml")):
        return Source(source)
    job = ScoreJob.from_yaml(source)
    if job.drift is None:
        raise JobError(source, "has no drift", "drift.path", "Add it, or name the drift table")
    return Source(job.drift.path, job.registry)


def with_target(facts: DriftFacts, registry: str | None) -> DriftFacts:
    """The same with the name of the model's target, if its version is still in the registry."""
    from lasso_jobs.artifacts.registry import Registry

    run = facts.shown[0]
    version = run.model_version.rpartition("@")[2]
    if registry is None or version not in {f"v{v}" for v in Registry(registry).versions(run.model)}:
        return facts
    model = Registry(registry).load(f"{run.model}@{version}").model
    return dataclasses.replace(facts, target=model.target)


def _chosen(root: str, past: list[Values], date: str | None, run_id: str | None) -> Values:
    """A row of the partition to show, of the run to show."""
    where, rows = root, past
    if run_id is not None:
        where, rows = f"{root}, --run", [r for r in past if r["run_id"].startswith(run_id)]
        if len({row["run_id"] for row in rows}) > 1:
            raise JobError(where, f"{run_id} begins several runs", "more of its id", "Add to it")
    if date is not None:
        where = f"{root}, --date"
        nights = [row for row in rows if _night(row["partition"])[0] == date]
        rows = nights or [row for row in rows if f"{row['scored_at']:%Y-%m-%d}" == date]
    if not rows:
        runs = {row["run_id"]: row for row in past}
        known = sorted(_night(row["partition"])[0] or "" for row in runs.values())
        span = f", of {known[0]} to {known[-1]}" if known and known[0] else ""
        asked = date if date is not None else run_id
        raise JobError(
            where, f"{asked} has no run", f"one of its {len(runs)} runs{span}", "Correct it"
        )
    last = max(rows, key=lambda row: (row["scored_at"], row["run_id"]))
    of_run = [row for row in rows if row["run_id"] == last["run_id"]]
    # Of several partitions the gravest, and of those the last.
    order = ("ok", "watch", "alarm").index
    return max(of_run, key=lambda row: (order(row["verdict"]), row["partition"]))


def _rows(root: str, run_id: str) -> list[Row]:
    """The rows of a run, in the table's columns; what is not a number is None."""
    found = sinks.read_rows(root, _COLUMNS, "run_id", [run_id])
    _refuse_older(root, found, _COLUMNS)
    rows = found.to_pylist()
    return [Row(**{name: _plain(value) for name, value in row.items()}) for row in rows]


def _refuse_older(root: str, found: pa.Table, columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in found.column_names]
    if missing:
        raise DataError(root, f"lacks the columns {', '.join(missing)}", _EXPECTED, _REMEDY)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _history(past: list[Values], chosen: Values) -> dict[str, list[Then]]:
    """By feature, the partition that is shown and those before it.

    Partitions that name a night are ordered by it, and a night that was scored again counts as it
    was last; other partitions are ordered by the time of their runs.
    """
    night, rest = _night(chosen["partition"])
    points: dict[str, dict[str, Values]] = {}
    for row in sorted(past, key=lambda row: row["scored_at"]):
        other, same = _night(row["partition"])
        alike = same == rest and (other is None) == (night is None)
        key = other or f"{row['scored_at']:%Y-%m-%d %H:%M:%S.%f}"
        last = night or f"{chosen['scored_at']:%Y-%m-%d %H:%M:%S.%f}"
        shown = row["run_id"] == chosen["run_id"]
        if alike and (key < last or (key == last and shown)) and row["score_shift"] is not None:
            points.setdefault(row["feature"], {})[key] = row
    return {
        feature: [
            Then(
                key if night else key[:16], _plain(row["mean"]), row["score_shift"], row["verdict"]
            )
            for key, row in sorted(found.items())[-HISTORY:]
        ]
        for feature, found in points.items()
    }


def _night(partition: str) -> tuple[str | None, str]:
    """The night that a partition's first column names, if it does, and the rest of its name."""
    first, _, rest = partition.partition("/")
    value = first.partition("=")[2]
    return (value, rest) if _NIGHT.fullmatch(value) else (None, partition)


def place_of_page(root: str, run_id: str) -> str:
    """Where a run's page is; readers of Delta tables pass over names that begin so."""
    return storage.join(root, "_pages", f"{run_id}.html")


def write_page(root: str, run_id: str, target: str) -> str:
    """Write a run's page beside the drift table; return its place.

    Raises
    ------
    LassoJobsError
    """
    place = place_of_page(root, run_id)
    save_page(place, drift_of(root, run_id=run_id, target=target, newest=NEWEST))
    return place


def save_page(place: str, facts: DriftFacts) -> None:
    """Write a page to a file or URI."""
    with told(place, "a place that can be written to", "Mend that, or name another"):
        storage.replace(place, drift_page(facts).encode())
