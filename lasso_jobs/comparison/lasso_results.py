"""Has the rows of the LASSO itself: its own search on the sampled rows, from their moments."""

import pickle
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lasso_jobs.comparison.dask_ml_search import Split
from lasso_jobs.comparison.paired import paired_difference
from lasso_jobs.comparison.result import FamilyResult, Refit
from lasso_jobs.comparison.sample import TrainingSample
from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit import one_alpha
from lasso_jobs.core.fit.choice import CrossValidation
from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.fit.lasso import alpha_max
from lasso_jobs.core.rows import centring
from lasso_jobs.core.rows import moments as m
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.jobs.compare import LASSO, LASSO_MIN
from lasso_jobs.training.gather import TrainingData
from lasso_jobs.training.plan import TrainPlan
from lasso_jobs.training.search import cross_validate, predictor_of, sample_for_scaling


def in_folds(gathered: TrainingData) -> m.Moments:
    """Moments of the rows that are not held out."""
    return gathered.moments.merged(range(gathered.reading.n_buckets))


def alpha_max_of(recipe: Recipe, gathered: TrainingData) -> float:
    """Of a LASSO without penalty factors and weights of its own."""
    plain = replace(recipe, l1_ratio=1.0, penalty_factors={}, bounds={}, adaptive=False)
    return alpha_max(d.fit(plain, in_folds(gathered), gathered.sample).problem)


def test_to_train(weights: Floats, splits: Sequence[Split]) -> float:
    """Rows of a test for each of its training, by weight; the mean of the splits."""
    return float(np.mean([weights[test].sum() / weights[train].sum() for train, test in splits]))


def lasso_results(
    planned: TrainPlan, sample: TrainingSample, recipe: Recipe, ratio: float
) -> tuple[list[FamilyResult], CrossValidation]:
    """The LASSO by the job's rule, and that of the least error if it is another; and its search."""
    gathered = sample.gathered
    scaling = sample_for_scaling(planned, gathered)
    rows = in_folds(gathered)
    cv = cross_validate(planned.job, gathered, recipe, in_folds=rows, sample=scaling)
    least = replace(cv, rule="min")
    results: list[FamilyResult] = []
    for name, chosen in ((LASSO, cv), (LASSO_MIN, least)):
        if results and chosen.index == cv.index:
            break
        fold_mse = cv.fold_mse[:, chosen.index]
        paired = fold_mse - cv.fold_mse[:, least.index]
        counts = cv.fold_weight if cv.fold_means == "size" else np.ones(len(paired))
        results.append(
            FamilyResult(
                family=name,
                settings=len(cv.alphas),
                params={"alpha": chosen.alpha, "l1_ratio": chosen.l1_ratio, "gamma": chosen.gamma},
                fold_mse=fold_mse,
                mse=float(cv.mse[chosen.index]),
                mse_se=float(cv.mse_se[chosen.index]),
                paired=paired_difference(paired, counts, ratio),
                refit=_refitted_lasso(sample, recipe, chosen),
            )
        )
    return results, least


def _refitted_lasso(sample: TrainingSample, recipe: Recipe, cv: CrossValidation) -> Refit:
    """A fit to all sampled rows, whose seconds are with the moments."""
    start = time.perf_counter()
    weights = None if sample.gathered.reading.weight is None else sample.weights
    moments = centring.of_rows(sample.columns_and_target, weights)
    recipe, scaling = replace(recipe, l1_ratio=cv.l1_ratio), sample.gathered.sample
    fit = one_alpha.fit(recipe, moments, cv.alphas_to_chosen, gamma=cv.gamma, sample=scaling)
    predictor = predictor_of(recipe, fit)
    return Refit(time.perf_counter() - start, len(pickle.dumps(predictor)), linear=True)
