"""Measures how the error falls with the number of training rows, at one alpha."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit import one_alpha
from lasso_jobs.core.fit.squared_error import evaluate
from lasso_jobs.core.inference.refits.groups import ResamplingGroups
from lasso_jobs.core.rows import moments as m
from lasso_jobs.core.rows.moments import Floats, Moments


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """Errors of fits to more and more of the rows, at one alpha, on the same test rows.

    Parameters
    ----------
    test : {"hold-out", "last buckets"}
    n_rows : ndarray of int, shape (n,)
    train_mse, test_mse : ndarray, shape (n,)
    """

    test: str
    n_rows: NDArray[np.int64]
    train_mse: Floats
    test_mse: Floats


def learning_curve(
    recipe: d.Recipe,
    groups: ResamplingGroups,
    holdout: Moments,
    final: one_alpha.Fit,
    *,
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
        To all rows, at the alpha of the curve.
    gamma : float
        Of a relaxed fit.
    """
    test, training_groups, q = holdout, groups.moments, holdout.n_values
    if holdout.weight <= 0:
        n_last = max(1, len(training_groups) // 5)
        test = m.merge_all(training_groups[-n_last:], q)
        training_groups = training_groups[:-n_last]
    sizes = {int(np.ceil(len(training_groups) * share)) for share in (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)}
    n_rows, errors, training = [], [], m.empty(q)
    for size, group in enumerate(training_groups, 1):
        training = m.merge(training, group)
        if size in sizes:
            sample = groups.sample_of(range(size))
            fit = one_alpha.refit(final, recipe, training, gamma=gamma, sample=sample)
            sets = (training, test)
            errors.append([evaluate(fit.design, fit.coef[None], s).mse[0] for s in sets])
            n_rows.append(training.n)
    train_mse, test_mse = np.array(errors).T.copy()
    where = "hold-out" if test is holdout else "last buckets"
    return LearningCurve(where, np.array(n_rows, np.int64), train_mse, test_mse)
