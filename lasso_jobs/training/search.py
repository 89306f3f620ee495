"""Searches for alpha on the moments of the read, and fits at the alpha that it chose."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from lasso_jobs.core.fit import cross_validation, one_alpha
from lasso_jobs.core.fit.choice import CrossValidation
from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.fit.predict import Predictor
from lasso_jobs.core.inference import diagnostics as dg
from lasso_jobs.core.inference.refits import stability as st
from lasso_jobs.core.inference.refits.groups import ResamplingGroups
from lasso_jobs.core.inference.refits.left_out import Importance, Trial, importance
from lasso_jobs.core.rows import moments as m
from lasso_jobs.core.rows.folds import Fold
from lasso_jobs.core.rows.sample import Sample
from lasso_jobs.core.threads import Steps
from lasso_jobs.errors import DataError
from lasso_jobs.jobs.train import TrainJob
from lasso_jobs.progress import Progress, of_stage
from lasso_jobs.training.gather import TrainingData
from lasso_jobs.training.plan import TrainPlan
from lasso_jobs.training.recipe import path_search, recipe_of


@dataclass(frozen=True, slots=True, kw_only=True)
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
    rows : Moments
        All of them.
    stability : Stability or None
        Of fits to rows that are not held out.
    diagnostics : Diagnostics
        Of the final fit.
    importance : Importance
        Of its features.
    """

    recipe: Recipe
    cv: CrossValidation
    evaluated: one_alpha.Fit | None
    final: one_alpha.Fit
    rows: m.Moments
    stability: st.Stability | None
    diagnostics: dg.Diagnostics
    importance: Importance


def select(planned: TrainPlan, data: TrainingData, progress: Progress | None = None) -> Selected:
    """Cross-validate, and fit at the chosen alpha; no data is read.

    Parameters
    ----------
    planned : TrainPlan
    data : TrainingData
    progress : callable, optional
    """
    job, moments = planned.job, data.moments
    in_folds = moments.merged(range(data.reading.n_buckets))
    levels = data.screened is not None and data.screened.levels
    recipe = recipe_of(job, data.columns, moments, levels_are_screened=levels)
    sample, steps = sample_for_scaling(planned, data), Steps(of_stage(progress, "alphas"))
    cv = cross_validate(job, data, recipe, in_folds=in_folds, sample=sample, steps=steps)
    recipe, alphas = replace(recipe, l1_ratio=cv.l1_ratio), cv.alphas_to_chosen
    trials = partial(trials_of, recipe, cv, sample)
    held_out = _held_out(job, data, in_folds, trials)
    everything = m.merge(in_folds, moments.holdout)
    # The whole path, for AIC and BIC and for the report's picture.
    final = one_alpha.fit(
        recipe,
        everything,
        cv.path_alphas,
        at=len(alphas) - 1,
        gamma=cv.gamma,
        sample=sample,
    )
    groups = ResamplingGroups.of(moments.buckets[:-1], sample)
    stability = _stability(job, recipe, groups, cv=cv, progress=progress)
    spread = None if stability is None else stability.bootstrap
    return Selected(
        recipe=recipe,
        cv=cv,
        evaluated=None if held_out is None else held_out.fit,
        final=final,
        rows=everything,
        stability=stability,
        diagnostics=dg.diagnose(
            recipe,
            final,
            everything,
            groups,
            holdout=moments.holdout,
            gamma=cv.gamma,
            search=path_search(job),
        ),
        importance=importance(
            recipe,
            final,
            everything,
            trials(data.folds.folds(moments)) if held_out is None else [held_out],
            judged_by="cross-validation" if held_out is None else "hold-out",
            gamma=cv.gamma,
            ranks=spread.ranks if spread else None,
        ),
    )


def _held_out(
    job: TrainJob,
    data: TrainingData,
    in_folds: m.Moments,
    trials: Callable[[Iterable[Fold]], Iterable[Trial]],
) -> Trial | None:
    """The fit without the held-out rows; None if none are held out."""
    if job.holdout is None:
        return None
    buckets = range(data.reading.n_buckets)
    before = buckets[: data.folds.n_before_holdout]
    rows = in_folds if before == buckets else data.moments.merged(before)
    (found,) = trials([Fold(rows, data.moments.holdout, np.array(before))])
    return found


def trials_of(
    recipe: Recipe,
    cv: CrossValidation,
    sample: Sample | None,
    folds: Iterable[Fold],
) -> Iterator[Trial]:
    """Fits at the chosen alpha to the trainings of some folds.

    Parameters
    ----------
    recipe : Recipe
    cv : CrossValidation
    sample : Sample or None
        For robust scaling.
    folds : iterable of Fold
    """
    for fold in folds:
        own = sample and sample.only(fold.buckets)
        fit = one_alpha.fit(recipe, fold.training, cv.alphas_to_chosen, gamma=cv.gamma, sample=own)
        yield Trial(fit=fit, training=fold.training, test=fold.test, sample=own)


def _stability(
    job: TrainJob,
    recipe: Recipe,
    groups: ResamplingGroups,
    *,
    cv: CrossValidation,
    progress: Progress | None,
) -> st.Stability | None:
    if (how := job.stability) is None:
        return None
    wanted = st.Wanted(
        pairs=how.pairs,
        threshold=how.threshold,
        expected_false=how.expected_false,
        resamples=how.resamples,
        seed=job.seed,
    )
    steps = Steps(of_stage(progress, "stability"))
    return st.assess(recipe, groups, wanted, alpha=cv.alpha, gamma=cv.gamma, steps=steps)


def cross_validate(
    job: TrainJob,
    data: TrainingData,
    recipe: Recipe,
    *,
    in_folds: m.Moments,
    sample: Sample | None,
    steps: Steps | None = None,
) -> CrossValidation:
    """Cross-validate the job's search.

    Parameters
    ----------
    job : TrainJob
    data : TrainingData
    recipe : Recipe
    in_folds : Moments
        Of the rows that are not held out.
    sample : Sample or None
        For robust scaling, of all rows.
    steps : Steps, optional
    """
    folds = data.folds.folds(data.moments)
    kept = sample and sample.only(range(data.reading.n_buckets))
    search, screened = path_search(job), data.screened
    if screened is not None:
        search = replace(search, proved=screened.alphas, early_stop=False)
    cv = cross_validation.cross_validate(
        recipe, in_folds, folds, search=search, sample=kept, steps=steps
    )
    if screened is None:
        return cv
    return replace(cv, n_left_out=screened.record.n_left_out * len(search.gammas))


def sample_for_scaling(planned: TrainPlan, data: TrainingData) -> Sample | None:
    """The rows that robust scaling takes quartiles from; None for another scaling.

    Raises
    ------
    DataError
        If a fold trains on none of them.
    """
    if planned.job.preprocess.scaling != "robust":
        return None
    sample = data.sample
    for k, (training, _) in enumerate(data.folds.splits()):
        if not np.isin(sample.buckets, training).any():
            raise DataError(
                f"{planned.dataset.path}, preprocess.scaling 'robust'",
                f"none of the training rows of fold {k + 1} are in the sample",
                "some, to take quartiles from",
                "Use folds of similar sizes, or another scaling",
            )
    return sample


def predictor_of(recipe: Recipe, fit: one_alpha.Fit) -> Predictor:
    """A fit as something that predicts."""
    columns = fit.design.grouping.columns
    fill = fit.design.location[: len(columns.numeric)]
    return Predictor(
        columns=columns,
        indicators=recipe.indicators,
        fill=fill,
        coef=fit.coef,
        intercept=fit.intercept,
        offset=recipe.offset,
    )
