"""Measures how the error falls with the number of training rows, with an alpha for each number.

An alpha that was chosen on all rows is too small for few: it made a short curve too steep, and
more rows look more useful than they are. So each size chooses its own, by cross-validation over
the groups that it has.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit import one_alpha
from lasso_jobs.core.fit.cross_validation import PathSearch, cross_validate_each
from lasso_jobs.core.fit.squared_error import evaluate
from lasso_jobs.core.fit.walk.curves import SplitRows
from lasso_jobs.core.fit.walk.paths import FEW_COLUMNS
from lasso_jobs.core.fit.walk.refits import refit
from lasso_jobs.core.inference.refits.groups import ResamplingGroups
from lasso_jobs.core.rows import moments as m
from lasso_jobs.core.rows.folds import k_folds
from lasso_jobs.core.rows.moments import Floats, Moments

FOLDS, ALPHAS = 5, 30
"""Of the search at each size: coarser than the job's, for it is repeated."""


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """Errors of fits to more and more of the rows, on the same test rows.

    Parameters
    ----------
    test : {"hold-out", "last buckets"}
    n_rows : ndarray of int, shape (n,)
    train_mse, test_mse : ndarray, shape (n,)
    alphas : ndarray, shape (n,), or None
        Of each fit; None in a model of before, whose fits had the chosen one.
    """

    test: str
    n_rows: NDArray[np.int64]
    train_mse: Floats
    test_mse: Floats
    alphas: Floats | None = None


def learning_curve(
    recipe: d.Recipe,
    groups: ResamplingGroups,
    holdout: Moments,
    final: one_alpha.Fit,
    *,
    search: PathSearch | None = None,
    gamma: float = 1.0,
) -> LearningCurve:
    """Fit to the first groups, more and more of them; without a hold-out, the last fifth tests.

    Parameters
    ----------
    recipe : Recipe
    groups : ResamplingGroups
    holdout : Moments
        Of no rows if there is none.
    final : Fit
        To all rows, at the chosen alpha. All rows that are not held out keep it, as do a single
        group, and more than `lasso_jobs.core.fit.walk.paths.FEW_COLUMNS` columns, whose paths would
        take as long as the whole search.
    search : PathSearch, optional
        How each size chooses its alpha; if None, all have the chosen one.
    gamma : float
        Of a relaxed fit.
    """
    test, training_groups, q = holdout, groups.moments, holdout.n_values
    if holdout.weight <= 0:
        n_last = max(1, len(training_groups) // 5)
        test = m.merge_all(training_groups[-n_last:], q)
        training_groups = training_groups[:-n_last]
    sizes = {int(np.ceil(len(training_groups) * share)) for share in (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)}
    trainings: dict[int, Moments] = {}
    training = m.empty(q)
    for size, group in enumerate(training_groups, 1):
        training = m.merge(training, group)
        if size in sizes:
            trainings[size] = training
    alphas = dict.fromkeys(trainings, final.alpha)
    if search is not None and len(final.coef) <= FEW_COLUMNS:
        some = {n: rows for n, rows in trainings.items() if 1 < n < len(groups.moments)}
        alphas |= _chosen(recipe, groups, some, search=replace(search, gammas=(gamma,)))
    errors = []
    for size, training in trainings.items():
        near, sample = replace(final, alpha=alphas[size]), groups.sample_of(range(size))
        fit = refit(near, recipe, training, gamma=gamma, sample=sample, measured=True)
        sets = (training, test)
        errors.append([evaluate(fit.design, fit.coef[None], s).mse[0] for s in sets])
    train_mse, test_mse = np.array(errors).T.copy()
    where = "hold-out" if test is holdout else "last buckets"
    return LearningCurve(
        test=where,
        n_rows=np.array([training.n for training in trainings.values()], np.int64),
        train_mse=train_mse,
        test_mse=test_mse,
        alphas=np.array([alphas[size] for size in trainings]),
    )


def _chosen(
    recipe: d.Recipe,
    groups: ResamplingGroups,
    trainings: Mapping[int, Moments],
    *,
    search: PathSearch,
) -> dict[int, float]:
    """The alpha that cross-validation chooses over each number of first groups.

    The paths of all sizes are walked together: one size after the other took 2.5 times as long.
    """
    alphas = search.alphas
    few = replace(
        search,
        alphas=min(alphas, ALPHAS) if isinstance(alphas, int) else alphas,
        l1_ratios=(),
        early_stop=True,
        repeats=1,
        proved={},
    )
    chosen: dict[int, float] = {}
    sizes = list(trainings)
    at_once = max(1, groups.at_once // (FOLDS + 1))
    for start in range(0, len(sizes), at_once):
        some = sizes[start : start + at_once]
        sets = [_split(groups, trainings[size], size) for size in some]
        found = cross_validate_each(recipe, sets, search=few)
        chosen |= {size: cv.alpha for size, cv in zip(some, found, strict=True)}
    return chosen


def _split(groups: ResamplingGroups, rows: Moments, size: int) -> SplitRows:
    """The rows of the first groups, with folds of these groups."""
    n_folds = min(FOLDS, size)
    dealt = [np.arange(k, size, n_folds) for k in range(n_folds)]
    parts = [groups.merged(which.tolist()) for which in dealt]
    folds = tuple(k_folds(parts, dealt))
    return SplitRows(rows=rows, folds=folds, sample=groups.sample_of(range(size)))
