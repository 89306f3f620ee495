"""Finds a run in a drift table, by its date or id, and gathers what is known of its drift."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from lasso_jobs.data.schema import listed
from lasso_jobs.drift import table
from lasso_jobs.drift.facts import DriftFacts, facts_of
from lasso_jobs.drift.table import DriftRow
from lasso_jobs.errors import DataError, JobError
from lasso_jobs.jobs.score import ScoreJob
from lasso_jobs.sinks import delta
from lasso_jobs.storage.remote import checked

_EXPECTED = "a drift table of this version of lasso_jobs, with at least one run"
_REMEDY = "Name the drift.path of a scoring job, or score a date with it"


def drift_of(
    root: str,
    date: str | None = None,
    run_id: str | None = None,
    target: str | None = None,
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

    Returns
    -------
    DriftFacts

    Raises
    ------
    LassoJobsError
        If there is no such table or run.
    """
    if not delta.exists(root):
        raise DataError(root, "is no Delta table", _EXPECTED, _REMEDY)
    if missing := table.lacks(root):
        raise DataError(root, f"lacks the columns {listed(missing, 5)}", _EXPECTED, _REMEDY)
    past = table.past_rows(root)
    if not past:
        raise DataError(root, "has no runs", _EXPECTED, _REMEDY)
    among = _chosen(root, past, date, run_id)
    run = among[0].run
    same = [
        row
        for row in past
        if (row.run.model, row.run.model_version) == (run.model, run.model_version)
    ]
    return facts_of(table.rows_of_run(root, run.id), same, target=target, among=among)


@dataclass(frozen=True, slots=True)
class Source:
    """A drift table, and the registry of its models where it is known."""

    path: str
    registry: str | None = None


def source_of(text: str) -> Source:
    """Where the drift is that a scoring job's file names, or a path.

    Raises
    ------
    JobError
        If the job keeps none.
    """
    if not text.endswith((".yaml", ".yml")):
        return Source(checked(text))
    job = ScoreJob.from_yaml(text)
    if job.drift is None:
        remedy = "Set drift.path and score a date, or name a drift table"
        raise JobError(text, "has no section drift", "a job that keeps its drift", remedy)
    return Source(job.drift.path, job.registry)


def with_target(facts: DriftFacts, registry: str | None) -> DriftFacts:
    """The same with the name of the model's target, if its version is still in the registry."""
    from lasso_jobs.models.registry import Registry

    run = facts.run
    versions = Registry(registry).versions(run.model) if registry is not None else ()
    if registry is None or run.model_version not in {f"v{version}" for version in versions}:
        return facts
    model = Registry(registry).load(f"{run.model}@{run.model_version}").model
    return dataclasses.replace(facts, target=model.target)


def _chosen(
    root: str, past: Sequence[DriftRow], date: str | None, run_id: str | None
) -> list[DriftRow]:
    """Rows of the run to show: those of the partitions that were asked for."""
    where, rows = root, past
    if run_id is not None:
        where, rows = f"{root}, --run", [row for row in past if row.run.id.startswith(run_id)]
        if len({row.run.id for row in rows}) > 1:
            remedy = "Give more of the id"
            raise JobError(where, f"{run_id} begins several runs", "the start of one id", remedy)
    if date is not None:
        where = f"{root}, --date"
        rows = _of_night(rows, date)
    if not rows:
        runs = {row.run.id: row for row in past}
        known = sorted(filter(None, (table.night_of(row.partition) for row in runs.values())))
        span = f", of {known[0]} to {known[-1]}" if known else ""
        asked = date if date is not None else run_id
        raise JobError(
            where, f"{asked} has no run", f"one of its {len(runs)} runs{span}", "Name one of them"
        )
    last = max(rows, key=lambda row: (row.run.scored_at, row.run.id)).run
    return [row for row in rows if row.run.id == last.id]


def _of_night(rows: Sequence[DriftRow], date: str) -> list[DriftRow]:
    """Rows of a night's partitions or of a day's hours; if there are none, rows scored that day."""
    wanted = table.night(date) or date
    nights = [
        row
        for row in rows
        if (night := table.night_of(row.partition)) == wanted
        or (night or "").startswith(f"{wanted}T")
    ]
    return nights or [row for row in rows if f"{row.run.scored_at:%Y-%m-%d}" == wanted]
