"""Turns a training job into the recipe and the search of `lasso_jobs.core.fit`."""

from lasso_jobs.core.fit.cross_validation import PathSearch
from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.rows import moments as m
from lasso_jobs.core.rows.buckets import BucketMoments
from lasso_jobs.core.rows.columns import Columns
from lasso_jobs.core.rows.levels import whole
from lasso_jobs.jobs.train import TrainJob


def recipe_of(
    job: TrainJob,
    columns: Columns,
    rows: m.Moments | BucketMoments,
    *,
    levels_are_screened: bool = False,
) -> Recipe:
    """How the job preprocesses and penalises columns, of which the rows say where nulls are.

    Levels that are screened have been chosen already: those that are not in the working set have no
    coefficient, and neither has ``(other)``, which they share in the end.
    """
    how, with_nulls = job.preprocess, set(rows.nulls.tolist())
    features = {*columns.features, *(vector.column for vector in columns.vectors)}
    return Recipe(
        columns=columns,
        scaling=how.scaling,
        indicators=tuple(j for j in range(len(columns.numeric)) if j in with_nulls)
        if how.missing == "indicator"
        else (),
        penalty_factors={n: f for n, f in job.penalty_factors.items() if n in features},
        bounds={n: sides for n, sides in job.bounds.items() if n in features},
        adaptive=job.search.adaptive,
        max_levels=how.max_levels,
        min_count=how.min_count,
        drop_first=how.drop_first and not levels_are_screened,
        drop_other=levels_are_screened,
        grouping=whole(columns) if levels_are_screened else None,
        intercept=job.intercept,
        offset=job.offset,
    )


def path_search(job: TrainJob) -> PathSearch:
    """What the job tries, and how it chooses."""
    return PathSearch(
        alphas=job.search.alphas,
        eps=job.search.eps,
        rule=job.search.rule,
        l1_ratios=job.search.l1_ratios,
        gammas=job.search.gammas,
        fold_means=job.search.fold_means,
        early_stop=bool(job.search.early_stop),
        repeats=job.search.repeats,
    )
