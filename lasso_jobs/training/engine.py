"""Decides whether a training reads the moments of all pairs of columns, or screens them first."""

from typing import Literal

from lasso_jobs.data.columns.selection import SelectedFeatures
from lasso_jobs.errors import JobError
from lasso_jobs.jobs.train import TrainJob

Engine = Literal["all", "screened"]
MOST_OF_ALL = 1_000
"""Columns up to which `auto` reads the moments of all pairs; and levels of categories up to which
all of them are in every working set, so that each fit chooses its own."""


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
    return "screened" if _are_many(job, features) and reason is None else "all"


def engine_with_levels(
    planned: Engine, job: TrainJob, features: SelectedFeatures, n: int
) -> Engine:
    """The engine once a scan has listed the levels, for which categories have n columns."""
    is_open = job.search.engine == "auto" and _needs_all(job, features) is None
    return "screened" if is_open and _n_numeric(job, features) + n > MOST_OF_ALL else planned


def screens_levels(engine: Engine, job: TrainJob, features: SelectedFeatures, n: int) -> bool:
    """Whether the levels of categories, which have n columns, are screened as numbers are."""
    return engine == "screened" and (n > MOST_OF_ALL or not _n_numeric(job, features))


def _are_many(job: TrainJob, features: SelectedFeatures) -> bool:
    # How many tokens there are, only a scan can tell: as a rule they are many.
    return _n_numeric(job, features) > MOST_OF_ALL or bool(features.tokens)


def _n_numeric(job: TrainJob, features: SelectedFeatures) -> int:
    """How many numeric columns may have a coefficient."""
    return len(features.numeric) - (job.offset is not None)


def reason_for_engine(job: TrainJob, features: SelectedFeatures) -> str:
    """Why the job has its engine."""
    if job.search.engine != "auto":
        return "search.engine says so"
    n, reason = _n_numeric(job, features), _needs_all(job, features)
    if not _are_many(job, features):
        few = f"the numeric columns are {n:,}, and at most {MOST_OF_ALL:,} are few"
        if not features.categorical or reason is not None:
            return few
        return f"{few}; if the listed levels make them more, they are screened"
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
    return None
