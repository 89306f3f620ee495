"""Compare predictions with what happened, and answer what is worse than expected."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.runtime import flow_run

from flows import events
from flows.common import RETRIED, artifact_key, load, table
from flows.parameters import (
    ClusterName,
    CoolDown,
    Day,
    LateOutcomes,
    Monitoring,
    RetrainHere,
    Retraining,
    Workers,
)
from flows.retrain import retrain_flow
from flows.schedule import scheduled_day
from lasso_jobs.jobs import monitor
from lasso_jobs.jobs.monitor_job import MonitorJob
from lasso_jobs.jobs.retrain import COOL_DOWN_DAYS

LOOK_BACK = 7

# A retry repeats it whole: a period that is recorded again replaces its own rows.
measure = task(name="monitor", task_run_name="compare with what happened", **RETRIED)(
    monitor.monitor
)


def _run_name() -> str:
    parameters = flow_run.parameters
    job, day = parameters["job"], parameters.get("day") or scheduled_day()
    name = job if isinstance(job, str) else getattr(job, "model", None) or job["model"]
    return f"monitor {name} to {day}"


@flow(name="monitor", flow_run_name=_run_name)
def monitor_flow(
    job: Monitoring,
    train_job: Retraining = None,
    day: Day = None,
    cluster: ClusterName = None,
    workers: Workers = None,
    look_back: LateOutcomes = LOOK_BACK,
    retrain: RetrainHere = True,
    cool_down_days: CoolDown = COOL_DOWN_DAYS,
) -> dict[str, Any]:
    """Measure the errors of the last days; on an alarm, retrain as of this day.

    Parameters
    ----------
    job : MonitorJob or str
        The job, or the path of its file.
    train_job : TrainJob or str, optional
        What an alarm runs; without it, an alarm is only told.
    day : date, optional
        By default the day for which the run was scheduled.
    cluster, workers
        As in `lasso_jobs.engine.cluster.connect`.
    look_back : int
        So many days before are measured too, as outcomes arrive late.
    retrain : bool
        False where an automation of the event ``lasso-jobs.drift.alarm`` does it.
    cool_down_days : int
        As in `flows.retrain.retrain_flow`.

    Returns
    -------
    dict
        ``monitor``: what ``lasso-jobs monitor --json`` prints; ``train``: what ``lasso-jobs train
        --json`` prints, or None; ``retrain``: what became of an alarm, in words, or None.
    """
    day = day or scheduled_day()
    monitored = load(MonitorJob, job, None)
    first = day - timedelta(days=look_back)
    found = measure(monitored, first.isoformat(), day.isoformat(), cluster, workers)
    values, name = found.values(), monitored.model
    create_table_artifact(
        table(values["rows"]),
        key=artifact_key("monitor", name),
        description=f"Errors of {name} from {first} to {day}: {values['verdict']}",
    )
    answer: dict[str, Any] = {"train": None, "reason": None}
    if _told(values["rows"], name, day) and train_job is not None and retrain:
        get_run_logger().warning("errors are an alarm: retraining as of %s", day)
        answer = retrain_flow(train_job, day, cluster, workers, cool_down_days)
    return {"monitor": values, "train": answer["train"], "retrain": answer["reason"]}


def _told(rows: Sequence[Mapping[str, Any]], name: str, day: date) -> bool:
    """Emit the event of an alarm, if there is one for the version in use."""
    # A version that is in use no more was answered already.
    in_use = {row["model_version"] for row in rows[-1:]}
    worse = [r for r in rows if r["verdict"] == "alarm" and r["model_version"] in in_use]
    if not worse:
        return False
    events.emit(
        events.DRIFT_ALARM,
        name,
        cause="outcomes",
        day=day.isoformat(),
        verdict="alarm",
        model_version=worse[-1]["model_version"],
        reason="; ".join(
            f"{r['period']} {r['segment']}".rstrip() + f": {r['reason']}" for r in worse
        ),
    )
    return True
