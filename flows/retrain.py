"""Answer an alarm: train a challenger, unless the last training is too fresh."""

from typing import Any

from prefect import flow, get_run_logger
from prefect.runtime import flow_run

from flows.common import load
from flows.parameters import ClusterName, CoolDown, Day, Training, Workers
from flows.schedule import scheduled_day
from flows.train import train_flow
from lasso_jobs.jobs import retrain
from lasso_jobs.jobs.train_job import TrainJob


def _run_name() -> str:
    parameters = flow_run.parameters
    job, day = parameters["job"], parameters.get("day") or scheduled_day()
    name = job if isinstance(job, str) else getattr(job, "name", None) or job["name"]
    return f"retrain {name} as of {day}"


@flow(name="retrain", flow_run_name=_run_name)
def retrain_flow(
    job: Training,
    day: Day = None,
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
        get_run_logger().info("no retraining: %s", reason)
        return {"train": None, "reason": reason}
    values = train_flow(job, day, cluster, workers)
    return {"train": values, "reason": values["promotion"]["reason"]}
