"""Decides whether an alarm is answered by a retraining, or the last one is too fresh for that."""

from datetime import date, datetime

from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.models.registry import Registry

COOL_DOWN_DAYS = 3


def reason_not_to(job: TrainJob, day: date, cool_down_days: int = COOL_DOWN_DAYS) -> str | None:
    """Why a model is not to be retrained as of a day; None if it may be.

    The registry's newest version says when the last training was. One as of the same day may run
    again, as it gives the same model: so a night that was stopped is repeated whole.

    Parameters
    ----------
    job : TrainJob
    day : date
    cool_down_days : int
        Not again before so many days after the last training.
    """
    registry = Registry(job.registry)
    versions = registry.versions(job.name)
    if not versions:
        return None
    newest = registry.load(f"{job.name}@v{versions[-1]}")
    last = _as_of(newest.provenance.get("as_of"), str(newest.provenance["trained_at"]))
    if day < last:
        return f"{newest.reference} is as of {last}, which is later than {day}"
    if 0 < (day - last).days < cool_down_days:
        return f"{newest.reference} is as of {last}, less than {cool_down_days} days before {day}"
    return None


def _as_of(day: str | None, trained_at: str) -> date:
    """Of a training without a date, when it ran."""
    return datetime.fromisoformat(trained_at).date() if day is None else date.fromisoformat(day)
