"""Decides whether a training reads the moments of all pairs of columns, or screens them first."""

from typing import Literal

from lasso_jobs.data.columns.selection import SelectedFeatures
from lasso_jobs.errors import JobError
from lasso_jobs.jobs.train import TrainJob

Engine = Literal["all", "screened"]
MOST_OF_ALL = 1_000
"""Numeric columns up to which `auto` reads the moments of all pairs."""


def engine_for(job: TrainJob, features: SelectedFeatures) -> Engine:
    """The engine that a job is trained with.

    Raises
    ------
    JobError
        If the job asks for screening, and for something that needs all columns at once.
    """
    reason = _needs_all(job, features)
    if job.search.engine == "screened" and reason is not None:
        key, found, expected = reason
        raise JobError(
            f"search.engine = 'screened', {key}",
            found,
            expected,
            "Change it, or set search.engine to all",
        )
    if job.search.engine != "auto":
        return job.search.engine
    return "screened" if _are_many(features) and reason is None else "all"


def _are_many(features: SelectedFeatures) -> bool:
    # How many tokens there are, only a scan can tell: as a rule they are many.
    return len(features.numeric) > MOST_OF_ALL or bool(features.tokens)


def reason_for_engine(job: TrainJob, features: SelectedFeatures) -> str:
    """Why the job has its engine."""
    if job.search.engine != "auto":
        return "search.engine says so"
    n, reason = len(features.numeric), _needs_all(job, features)
    if not _are_many(features):
        return f"the numeric columns are {n:,}, and at most {MOST_OF_ALL:,} are few"
    if reason is None and features.tokens:
        return f"tokens of {features.tokens[0].column!r} are to be listed, as a rule very many"
    if reason is None:
        return f"the numeric columns are {n:,}, more than {MOST_OF_ALL:,}"
    return f"{reason[0]} {reason[1]}: expected {reason[2]}, for screening {n:,} numeric columns"


def _needs_all(job: TrainJob, features: SelectedFeatures) -> tuple[str, str, str] | None:
    """What of a job needs the moments of all pairs, if anything does."""
    search = job.search
    if search.adaptive:
        return "search.adaptive", "is true", "false, as its weights come from a fit to all columns"
    if 0 in search.l1_ratios:
        return "search.l1_ratio", "has a 0", "above 0, as Ridge has coefficients for all columns"
    if job.preprocess.scaling == "robust":
        return (
            "preprocess.scaling",
            "is robust",
            "standard, minmax or none, as quartiles of all columns are not known",
        )
    if not {*features.numeric} - {job.offset} and not features.tokens:
        return "features", "have no numeric column", "some, as categories are not screened"
    return None
