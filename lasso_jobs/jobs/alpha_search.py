"""The search for alpha on gathered moments, and the fits at the alpha that it chose."""

from dataclasses import dataclass, replace

import numpy as np

from lasso_jobs.core import diagnostics as dg
from lasso_jobs.core import moments as m
from lasso_jobs.core import selection
from lasso_jobs.core import stability as st
from lasso_jobs.core.choice import CrossValidation
from lasso_jobs.core.columns import Columns
from lasso_jobs.core.design import Recipe
from lasso_jobs.core.predict import Predictor
from lasso_jobs.core.sample import Sample
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.gather import Gathered
from lasso_jobs.jobs.train_job import TrainJob
from lasso_jobs.jobs.train_plan import TrainPlan


@dataclass(frozen=True, slots=True)
class Selected:
    """The chosen alpha, l1_ratio and gamma, and the fits at them.

    Parameters
    ----------
    recipe : Recipe
    cv : CrossValidation
    evaluated : Fit or None
        Without the held-out rows.
    final : Fit
        To all rows.
    stability : Stability or None
        Of fits to rows that are not held out.
    diagnostics : Diagnostics
        Of the final fit.
    """

    recipe: Recipe
    cv: CrossValidation
    evaluated: selection.Fit | None
    final: selection.Fit
    stability: st.Stability | None
    diagnostics: dg.Diagnostics


def select(planned: TrainPlan, gathered: Gathered) -> Selected:
    """Cross-validate, and fit at the chosen alpha; no data is read."""
    job, moments = planned.job, gathered.moments
    in_folds = moments.merged(range(gathered.reading.n_buckets))
    everything = m.merge(in_folds, moments.holdout)
    recipe = recipe_of(job, gathered.columns, everything)
    sample = sample_for_scaling(planned, gathered)
    buckets = range(gathered.reading.n_buckets)
    cv = cross_validate(job, gathered, recipe, in_folds, sample)
    recipe, alphas = replace(recipe, l1_ratio=cv.l1_ratio), cv.alphas_to_chosen
    evaluated = None
    if job.holdout is not None:
        before = buckets[: gathered.folds.n_before_holdout]
        seen = in_folds if before == buckets else moments.merged(before)
        evaluated = selection.fit(recipe, seen, alphas, cv.gamma, sample and sample.only(before))
    final = selection.fit(recipe, everything, alphas, cv.gamma, sample)
    groups, group_of = st.grouped(moments.buckets[:-1])
    if sample is not None:
        # The held-out rows, of the last bucket, are in no group.
        sample = replace(sample, buckets=np.append(group_of, -1)[sample.buckets])
    stability = None
    if (how := job.stability) is not None:
        stability = st.assess(
            recipe, groups, cv.alpha, how.pairs, how.threshold, job.seed, cv.gamma, sample
        )
    held = moments.holdout
    found = dg.diagnose(recipe, everything, final, cv.path_alphas, groups, held, cv.gamma, sample)
    return Selected(recipe, cv, evaluated, final, stability, found)


def cross_validate(
    job: TrainJob, gathered: Gathered, recipe: Recipe, in_folds: m.Moments, sample: Sample | None
) -> CrossValidation:
    """Cross-validate the job's search; ``in_folds`` are the rows that are not held out.

    The sample is for robust scaling, None without.
    """
    folds = gathered.folds.folds(gathered.moments)
    kept = sample and sample.only(range(gathered.reading.n_buckets))
    return selection.cross_validate(recipe, in_folds, folds, _search(job), kept)


def recipe_of(job: TrainJob, columns: Columns, rows: m.Moments) -> Recipe:
    """How the job preprocesses and penalises columns, of which the rows say where nulls are."""
    how, with_nulls = job.preprocess, set(rows.nulls.tolist())
    return Recipe(
        columns,
        how.scaling,
        tuple(j for j in range(len(columns.numeric)) if j in with_nulls)
        if how.missing == "indicator"
        else (),
        penalty_factors=job.penalty_factors,
        bounds=job.bounds,
        adaptive=job.search.adaptive,
        max_levels=how.max_levels,
        min_count=how.min_count,
        drop_first=how.drop_first,
    )


def _search(job: TrainJob) -> selection.Search:
    return selection.Search(
        job.search.alphas,
        job.search.eps,
        job.search.rule,
        job.search.l1_ratios,
        job.search.gammas,
        job.search.fold_means,
        job.search.early_stop,
        job.search.repeats,
    )


def sample_for_scaling(planned: TrainPlan, gathered: Gathered) -> Sample | None:
    """The rows that robust scaling takes quartiles from; None for another scaling.

    Raises
    ------
    DataError
        If a fold trains on none of them.
    """
    if planned.job.preprocess.scaling != "robust":
        return None
    sample = gathered.sample
    for k, (training, _) in enumerate(gathered.folds.splits()):
        if not np.isin(sample.buckets, training).any():
            raise DataError(
                f"{planned.dataset.path}, preprocess.scaling 'robust'",
                f"none of the training rows of fold {k + 1} are in the sample",
                "some, to take quartiles from",
                "Use folds of similar sizes, or another scaling",
            )
    return sample


def predictor_of(recipe: Recipe, fit: selection.Fit) -> Predictor:
    """A fit as something that predicts."""
    columns = fit.design.grouping.columns
    fill = fit.design.location[: len(columns.numeric)]
    return Predictor(columns, recipe.indicators, fill, fit.coef, fit.intercept)
