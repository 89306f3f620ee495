"""Measures what features are worth: a model's error when one is left out, and it is fitted again.

No row is read: the refit is to the same moments without the feature's columns, at the same alpha,
and its error follows from the moments of rows that it has not seen (Lei, G'Sell, Rinaldo,
Tibshirani & Wasserman 2018, "Distribution-free predictive inference for regression", section 6:
LOCO, here by squared errors). Others may take over what the feature said, so two that say the same
are each worth little. Only the strongest are left out, as each takes a fit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lasso_jobs.core.fit import one_alpha
from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.fit.squared_error import evaluate
from lasso_jobs.core.fit.walk import refits
from lasso_jobs.core.inference.terms import Ranks, Terms
from lasso_jobs.core.rows.moments import Floats, Moments
from lasso_jobs.core.rows.sample import Sample

MOST_LEFT_OUT = 20
"""Terms that are left out one by one."""

Judge = Literal["hold-out", "cross-validation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """What the features of a model are worth, the strongest first.

    Parameters
    ----------
    terms : tuple of str
        Features with a coefficient that is not zero.
    strength : ndarray, shape (k,)
        Standard deviation of the term over the training rows, in the target's unit.
    mse_rise : ndarray, shape (k,)
        By how much the mean squared error rises without it; NaN beyond the `MOST_LEFT_OUT` first.
    rank_low, rank_high : ndarray, shape (k,)
        Between which ranks it lies in resamples of the rows; NaN if there are none.
    mse : float
        With all terms.
    judged_by : {"hold-out", "cross-validation"}
        What the errors are of.
    """

    terms: tuple[str, ...]
    strength: Floats
    mse_rise: Floats
    rank_low: Floats
    rank_high: Floats
    mse: float
    judged_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A fit, what it was fitted to, and rows that it has not seen."""

    fit: one_alpha.Fit
    training: Moments
    test: Moments
    sample: Sample | None = None


def importance(
    recipe: Recipe,
    final: one_alpha.Fit,
    rows: Moments,
    trials: Iterable[Trial],
    *,
    judged_by: Judge,
    gamma: float = 1.0,
    ranks: Ranks | None = None,
) -> Importance:
    """Measure the features of a final fit.

    Parameters
    ----------
    recipe : Recipe
    final : Fit
    rows : Moments
        What it was fitted to.
    trials : iterable of Trial
        With the hold-out, one; or one for each fold.
    judged_by : {"hold-out", "cross-validation"}
    gamma : float
        Of a relaxed fit.
    ranks : Ranks, optional
        Of resamples.
    """
    terms = Terms.of(final.design.grouping.columns, recipe.indicators, recipe.offset)
    (strength,) = terms.strengths(final.design, rows, final.coef[None])
    order = np.argsort(-strength, kind="stable")[: np.count_nonzero(strength)]
    names = tuple(terms.names[k] for k in order.tolist())
    mse, rise = _losses(recipe, trials, names[:MOST_LEFT_OUT], gamma=gamma)
    beyond = np.full(len(names) - len(rise), np.nan)
    low, high = np.full((2, len(names)), np.nan)
    if ranks is not None:
        place = {name: k for k, name in enumerate(ranks.names)}
        known = [k for k, name in enumerate(names) if name in place]
        at = [place[names[k]] for k in known]
        low[known], high[known] = ranks.low[at], ranks.high[at]
    return Importance(
        terms=names,
        strength=strength[order],
        mse_rise=np.append(rise, beyond),
        rank_low=low,
        rank_high=high,
        mse=mse,
        judged_by=judged_by,
    )


def _losses(
    recipe: Recipe, trials: Iterable[Trial], names: Sequence[str], *, gamma: float
) -> tuple[float, Floats]:
    """The error with all terms, and its rises; folds count by the weight of their rows."""
    found, weights = [], []
    for trial in trials:
        found.append(_errors(recipe, trial, names, gamma=gamma))
        weights.append(trial.test.weight)
    mean = np.average(np.array(found), axis=0, weights=weights)
    return float(mean[0]), mean[1:] - mean[0]


def _errors(recipe: Recipe, trial: Trial, names: Sequence[str], *, gamma: float) -> list[float]:
    """The error of a trial's fit, then those without each term."""
    design, coef = trial.fit.design, trial.fit.coef
    terms = Terms.of(design.grouping.columns, recipe.indicators, recipe.offset)
    left_out = [terms.mask(terms.names.index(name), len(coef)) for name in names]
    used = [out for out in left_out if coef[out].any()]
    fits = refits.refits_without(
        trial.fit,
        replace(recipe, grouping=design.grouping),
        refits.TrainingRows(trial.training, trial.sample),
        used,
        gamma=gamma,
    )
    models = np.array([coef, *(fit.coef for fit in fits)])
    full, *others = evaluate(design, models, trial.test).mse.tolist()
    without = iter(others)
    return [full, *(next(without) if coef[out].any() else full for out in left_out)]
