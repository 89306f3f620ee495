"""Scores a day, and retrains on an alarm of its drift: the nightly run."""

import logging
from datetime import date, timedelta
from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from lasso_jobs.errors import NoDataError
from lasso_jobs.flows import events, run_page
from lasso_jobs.flows.backfill import Tried, score_due
from lasso_jobs.flows.parameters import (
    ClusterName,
    CoolDown,
    Day,
    LookBack,
    RetrainHere,
    Retraining,
    Scoring,
    Workers,
    load,
)
from lasso_jobs.flows.retrain import retrain_flow
from lasso_jobs.flows.schedule import scheduled_day
from lasso_jobs.flows.stages import tagged
from lasso_jobs.jobs.score import ScoreJob
from lasso_jobs.training.retrain import COOL_DOWN_DAYS


def _run_name() -> str:
    return run_page.name("nightly", flow_run.parameters.get("day") or scheduled_day())


@flow(name="nightly", flow_run_name=_run_name)
def nightly_flow(
    score_job: Scoring,
    train_job: Retraining = None,
    day: Day = None,
    *,
    cluster: ClusterName = None,
    workers: Workers = None,
    look_back: LookBack = 0,
    retrain: RetrainHere = True,
    cool_down_days: CoolDown = COOL_DOWN_DAYS,
) -> dict[str, Any]:
    """Score a day, and what the days before lack; on a drift alarm, retrain as of that day.

    Each day has its try, whatever becomes of the others. A run whose own day failed, or has no data
    yet, is failed, at its end. A day before that has no data fails nothing.

    Parameters
    ----------
    score_job : ScoreJob or str
        The job, or the path of its file.
    train_job : TrainJob or str, optional
        What an alarm trains; without it, an alarm is only an event.
    day : date, optional
        By default the day for which the run was scheduled.
    cluster, workers
        As in `lasso_jobs.engine.cluster.connect`.
    look_back : int
        Of so many days before, those that are due are scored too, the newest first.
    retrain : bool
        False where an automation of the event ``lasso-jobs.drift.alarm`` does it.
    cool_down_days : int
        As in `lasso_jobs.flows.retrain.retrain_flow`.

    Returns
    -------
    dict
        ``score``: what ``lasso-jobs score --json`` prints; ``caught_up``: the same of each day
        before that was due; ``waiting``: the days before that have no data yet, with the reason;
        ``train``: what ``train --json`` prints, or None; ``retrain``: what became of an alarm.
    """
    day = day or scheduled_day()
    on: dict[str, Any] = {"cluster": cluster, "workers": workers}
    earlier = [day - timedelta(days=i) for i in range(1, look_back + 1)]
    tonight = _of_the_night(score_job, day, **on)
    before = score_due(score_job, earlier, "missing", **on)
    scored = tonight.scored.get(day.isoformat())
    answer: dict[str, Any] = {"train": None, "reason": None}
    if scored and scored["verdict"] == "alarm" and train_job is not None and retrain:
        run_page.log(logging.WARNING, f"drift alarm: retraining as of {day}")
        with tagged():
            answer = retrain_flow(train_job, day, **on, cool_down_days=cool_down_days)
    if failure := tonight.failure or before.failure:
        raise failure
    return {
        "score": scored,
        "caught_up": before.scored,
        "waiting": before.waiting,
        "train": answer["train"],
        "retrain": answer["reason"],
    }


def _of_the_night(
    score_job: ScoreJob | str, day: date, *, cluster: str | None, workers: int | None
) -> Tried:
    """Score the night's own day; that it has no data yet is a failure, in words of its own."""
    tried = score_due(score_job, [day], "all", cluster=cluster, workers=workers)
    reason = tried.waiting.get(day.isoformat())
    if reason is None:
        return tried
    model = load(ScoreJob, score_job, None).model
    events.emit(events.SCORE_WAITING, model, day=day.isoformat(), message=reason)
    return Tried({}, {}, _late(day, reason))


def _late(day: date, reason: str) -> NoDataError:
    return NoDataError(
        f"the data of {day}",
        f"is not there yet ({reason})",
        "files of that day",
        "Run this again when they are there, or let the look_back of the next nights do it",
    )
