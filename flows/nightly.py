"""The nightly run: score a day, and retrain when its drift asks for it."""

from datetime import timedelta
from typing import Any

from prefect import flow, get_run_logger
from prefect.runtime import flow_run

from flows.backfill import score_due
from flows.parameters import (
    ClusterName,
    CoolDown,
    Day,
    LookBack,
    RetrainHere,
    Retraining,
    Scoring,
    Workers,
)
from flows.retrain import retrain_flow
from flows.schedule import scheduled_day
from flows.score import score_flow
from lasso_jobs.jobs.retrain import COOL_DOWN_DAYS


def _run_name() -> str:
    return f"nightly {flow_run.parameters.get('day') or scheduled_day()}"


@flow(name="nightly", flow_run_name=_run_name)
def nightly_flow(
    score_job: Scoring,
    train_job: Retraining = None,
    day: Day = None,
    cluster: ClusterName = None,
    workers: Workers = None,
    look_back: LookBack = 0,
    retrain: RetrainHere = True,
    cool_down_days: CoolDown = COOL_DOWN_DAYS,
) -> dict[str, Any]:
    """Score a day; on a drift alarm, retrain as of that day.

    Parameters
    ----------
    score_job : ScoreJob or str
        The job, or the path of its file.
    train_job : TrainJob or str, optional
        What an alarm runs; without it, an alarm is only told.
    day : date, optional
        By default the day for which the run was scheduled.
    cluster, workers
        As in `lasso_jobs.engine.cluster.connect`.
    look_back : int
        Of so many days before, those that the output has not, or whose source files have changed
        since (unless the job only reports that), are scored too, the newest first, each as a run
        of its own.
    retrain : bool
        False where an automation of the event ``lasso-jobs.drift.alarm`` does it.
    cool_down_days : int
        As in `flows.retrain.retrain_flow`.

    Returns
    -------
    dict
        ``score``: what ``lasso-jobs score --json`` prints; ``caught_up``: the same of each day
        before that was due; ``train``: the same of the retraining, or None; ``retrain``: what
        became of an alarm, in words, or None.
    """
    day = day or scheduled_day()
    scored = score_flow(score_job, day, cluster, workers)
    answer: dict[str, Any] = {"train": None, "reason": None}
    if scored["verdict"] == "alarm" and train_job is not None and retrain:
        get_run_logger().warning("drift alarm: retraining as of %s", day)
        answer = retrain_flow(train_job, day, cluster, workers, cool_down_days)
    earlier = [day - timedelta(days=i) for i in range(1, look_back + 1)]
    caught_up = score_due(score_job, earlier, "missing", cluster, workers)
    return {
        "score": scored,
        "caught_up": caught_up,
        "train": answer["train"],
        "retrain": answer["reason"],
    }
