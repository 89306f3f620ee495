"""Completes the plan of a training with the tokens that a scan lists."""

from dataclasses import replace

from lasso_jobs.data.columns.selection import with_tokens
from lasso_jobs.engine.memory import of_this_process
from lasso_jobs.training.memory import WORTH_A_LOOK, planned_bytes, refuse_too_large
from lasso_jobs.training.plan import TrainPlan, options_of, refuse_unknown_features
from lasso_jobs.training.read.all_units import AllUnits
from lasso_jobs.training.read.scans.tokens import TokensRead, vocabularies


def with_listed_tokens(reads: AllUnits) -> tuple[TrainPlan, int]:
    """The plan with the tokens that are features, and the bytes read to list them.

    Raises
    ------
    LassoJobsError
        If tokens are too many or too few, or are not there that the job names.
    """
    planned = reads.planned
    job, dataset, columns = planned.job, planned.dataset, planned.features.tokens
    if not columns:
        return planned, 0
    read = TokensRead(columns, job.data.conditions(), reads.caching)
    scan = reads.merged(read, "tokens")
    features = with_tokens(
        dataset,
        planned.features,
        vocabularies(scan, columns),
        include=job.features.include,
        exclude=job.features.exclude,
        options=options_of(job, dataset),
    )
    refuse_unknown_features(job, features)
    least = planned_bytes(job, dataset, features, at_most=False, engine=planned.engine)
    if least > WORTH_A_LOOK:
        refuse_too_large(dataset.path, least, of_this_process(), "in the driver")
    return replace(planned, features=features), scan.bytes_read
