"""Answers an alarm: trains a challenger, unless the last training is too fresh."""

import logging
from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from lasso_jobs.flows import run_page
from lasso_jobs.flows.parameters import (
    ClusterName,
    CoolDown,
    Day,
    Training,
    Workers,
    load,
    name_in_run,
)
from lasso_jobs.flows.schedule import scheduled_day
from lasso_jobs.flows.stages import tagged
from lasso_jobs.flows.train import train_flow
from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.training import retrain


def _run_name() -> str:
    parameters = flow_run.parameters
    job, day = parameters["job"], parameters.get("day") or scheduled_day()
    name = name_in_run(job, "name")
    return run_page.name("retrain", name, f"as of {day}")


@flow(name="retrain", flow_run_name=_run_name)
def retrain_flow(
    job: Training,
    day: Day = None,
    *,
    cluster: ClusterName = None,
    workers: Workers = None,
    cool_down_days: CoolDown = retrain.COOL_DOWN_DAYS,
) -> dict[str, Any]:
    """Train a challenger as of a day; the job's ``promote`` says whether it becomes champion.

    Parameters
    ----------
    job : TrainJob or str
        The job, or the path of its file.
    day : date, optional
        Takes the place of ``{date}`` in ``data.where``; by default the day for which the run was
        scheduled.
    cluster, workers
        As in `lasso_jobs.engine.cluster.connect`.
    cool_down_days : int
        Not again before so many days after the last training of this model; 0 is at once.

    Returns
    -------
    dict
        ``train``: what ``lasso-jobs train --json`` prints, or None; ``reason``: what became of
        the champion, or why there was no training.
    """
    day = day or scheduled_day()
    reason = retrain.reason_not_to(load(TrainJob, job, day), day, cool_down_days)
    if reason is not None:
        run_page.log(logging.INFO, f"no retraining: {reason}")
        return {"train": None, "reason": reason}
    with tagged():
        values = train_flow(job, day, cluster=cluster, workers=workers)
    return {"train": values, "reason": values["promotion"]["reason"]}
