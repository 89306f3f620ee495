"""Compares predictions with what happened, and retrains on an alarm of the errors."""

import logging
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from prefect import flow, task
from prefect.runtime import flow_run

from lasso_jobs.flows import events, run_page
from lasso_jobs.flows.parameters import (
    ClusterName,
    CoolDown,
    Day,
    LateOutcomes,
    Monitoring,
    RetrainHere,
    Retraining,
    Workers,
    load,
    name_in_run,
)
from lasso_jobs.flows.retrain import retrain_flow
from lasso_jobs.flows.schedule import scheduled_day
from lasso_jobs.flows.stages import RETRIED, tagged, with_new_connections
from lasso_jobs.jobs.monitor import MonitorJob
from lasso_jobs.monitoring import run
from lasso_jobs.training.retrain import COOL_DOWN_DAYS

LOOK_BACK = 7

# A retry repeats it whole: a period that is recorded again replaces its own rows.
measure = task(name="monitor", task_run_name="compare with what happened", **RETRIED)(run.monitor)


def _run_name() -> str:
    parameters = flow_run.parameters
    job, day = parameters["job"], parameters.get("day") or scheduled_day()
    name = name_in_run(job, "model")
    return run_page.name("monitor", name, f"to {day}")


@flow(name="monitor", flow_run_name=_run_name)
def monitor_flow(
    job: Monitoring,
    train_job: Retraining = None,
    day: Day = None,
    *,
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
        What an alarm trains; without it, an alarm is only an event.
    day : date, optional
        By default the day for which the run was scheduled.
    cluster, workers
        As in `lasso_jobs.engine.cluster.connect`.
    look_back : int
        So many days before are measured too, as outcomes arrive late.
    retrain : bool
        False where an automation of the event ``lasso-jobs.drift.alarm`` does it.
    cool_down_days : int
        As in `lasso_jobs.flows.retrain.retrain_flow`.

    Returns
    -------
    dict
        ``monitor``: what ``lasso-jobs monitor --json`` prints; ``train``: what ``lasso-jobs train
        --json`` prints, or None; ``retrain``: what became of an alarm, in words, or None.
    """
    day = day or scheduled_day()
    monitored = load(MonitorJob, job, None)
    first = day - timedelta(days=look_back)
    result = with_new_connections(
        lambda: measure(
            monitored, first.isoformat(), day.isoformat(), cluster=cluster, workers=workers
        )
    )
    values, name = result.as_values(), monitored.model
    run_page.table(
        ("monitor", name),
        values["rows"],
        f"Errors of {name} from {first} to {day}: {values['verdict']}. {values['because']}",
    )
    answer: dict[str, Any] = {"train": None, "reason": None}
    if _emit_alarm(values["rows"], name, day) and train_job is not None and retrain:
        run_page.log(logging.WARNING, f"errors are an alarm: retraining as of {day}")
        with tagged():
            answer = retrain_flow(
                train_job, day, cluster=cluster, workers=workers, cool_down_days=cool_down_days
            )
    return {"monitor": values, "train": answer["train"], "retrain": answer["reason"]}


def _emit_alarm(rows: Sequence[Mapping[str, Any]], name: str, day: date) -> bool:
    """Emit the event of an alarm, if the version in use has one; return whether it has."""
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
