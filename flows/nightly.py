"""The nightly run: score a day, and retrain when its drift asks for it."""

from datetime import date
from typing import Any

from prefect import flow, get_run_logger
from prefect.runtime import flow_run

from flows.common import scheduled_day
from flows.score import score_flow
from flows.train import train_flow
from lasso_jobs.jobs.config import ScoreJob, TrainJob


def _run_name() -> str:
    return f"nightly {flow_run.parameters.get('day') or scheduled_day()}"


@flow(name="nightly", flow_run_name=_run_name)
def nightly_flow(
    score_job: ScoreJob | str,
    train_job: TrainJob | str | None = None,
    day: date | None = None,
    cluster: str = "local",
    workers: int | None = None,
) -> dict[str, Any]:
    """Score a day; on a drift alarm, retrain as of that day.

    Parameters
    ----------
    score_job : ScoreJob or str
        The job, or the path of its file.
    train_job : TrainJob or str, optional
        What an alarm runs; without it, an alarm is only reported.
    day : date, optional
        By default the day for which the run was scheduled.
    cluster, workers
        As in `lasso_jobs.engine.cluster.connect`.

    Returns
    -------
    dict
        ``score``: what ``lasso-jobs score --json`` prints; ``train``: the same of the retraining,
        or None.
    """
    day = day or scheduled_day()
    scored = score_flow(score_job, day, cluster, workers)
    trained = None
    if scored["verdict"] == "alarm" and train_job is not None:
        get_run_logger().warning("drift alarm: retraining as of %s", day)
        trained = train_flow(train_job, day, cluster, workers)
    return {"score": scored, "train": trained}
