"""Choosing alpha, l1_ratio and gamma by cross-validation, from the moments of the folds."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core import design as d
from lasso_jobs.core.choice import CrossValidation, FoldMeans, Rule, mean_and_error
from lasso_jobs.core.folds import Fold
from lasso_jobs.core.lasso import Path, alpha_grid, alpha_max, solve_path
from lasso_jobs.core.moments import Floats, Moments
from lasso_jobs.core.relaxed import mixed
from lasso_jobs.core.sample import Sample
from lasso_jobs.core.squared_error import evaluate

SMALLEST_RATIO = 1e-3
"""No alpha makes a Ridge fit zero: below this l1_ratio the largest alpha is that of this ratio."""
ALPHAS_AT_ONCE = 10
"""How many alphas in a row must be clearly worse before an early stop."""


@dataclass(frozen=True, slots=True)
class Fit:
    """One model and its optimality.

    Parameters
    ----------
    design : Design
    alpha : float
    coef : ndarray, shape (p,)
        In original units.
    standardised : ndarray, shape (p,)
        Coefficients for features of unit variance: target units per standard deviation.
    intercept : float
    dual_gap, kkt : float
        As in `lasso_jobs.core.lasso.Path`; the worse of the fit and its relaxed fit.
    converged : bool
    """

    design: d.Design
    alpha: float
    coef: Floats
    standardised: Floats
    intercept: float
    dual_gap: float
    kkt: float
    converged: bool


@dataclass(frozen=True, slots=True)
class Search:
    """What to try, and how to choose.

    Parameters
    ----------
    alphas : int or tuple of float
        How many, from alpha_max down to ``eps * alpha_max``; or which.
    eps : float
    rule : {"min", "1se"}
    l1_ratios : tuple of float
        Each with alphas of its own; if empty, the recipe's.
    gammas : tuple of float
        The mixtures with the relaxed fit: see `lasso_jobs.core.relaxed`.
    fold_means : {"size", "equal"}
    early_stop : bool
        Leave out the smaller alphas of an l1_ratio once `ALPHAS_AT_ONCE` in a row are more than
        one standard error worse than the best of that ratio.
    repeats : int
        How many times over the folds are all rows.
    """

    alphas: int | tuple[float, ...] = 100
    eps: float = 1e-3
    rule: Rule = "min"
    l1_ratios: tuple[float, ...] = ()
    gammas: tuple[float, ...] = (1.0,)
    fold_means: FoldMeans = "size"
    early_stop: bool = False
    repeats: int = 1

    def grid(self, recipe: d.Recipe, rows: Moments, sample: Sample | None = None) -> Floats:
        """The alphas, descending."""
        if isinstance(self.alphas, int):
            limited = replace(recipe, l1_ratio=max(recipe.l1_ratio, SMALLEST_RATIO))
            return alpha_grid(
                alpha_max(d.fit(limited, rows, sample).problem), self.alphas, self.eps
            )
        return np.sort(np.asarray(self.alphas, float))[::-1]


def cross_validate(
    recipe: d.Recipe,
    rows: Moments,
    folds: Iterable[Fold],
    search: Search,
    sample: Sample | None = None,
) -> CrossValidation:
    """Fit the paths to each fold's training rows, and measure them on its test rows.

    Scaler, imputer, penalties and adaptive weights are fitted to each fold's own training rows.

    Parameters
    ----------
    recipe : Recipe
    rows : Moments
        All rows of the folds: the alphas are theirs.
    folds : iterable of Fold
        At least two, of at least one row in each part; repeat after repeat.
    search : Search
    sample : Sample, optional
        Of the rows, for robust scaling.
    """
    folds = tuple(folds)
    ratios = search.l1_ratios or (recipe.l1_ratio,)
    curves = [
        _curve(replace(recipe, l1_ratio=ratio), rows, folds, search, sample) for ratio in ratios
    ]
    checks = [check for curve in curves for check in curve.checks]
    n_alphas = [len(curve.alphas) for curve in curves]
    gammas = np.asarray(search.gammas, float)
    return CrossValidation(
        np.repeat(np.asarray(ratios, float), [len(gammas) * n for n in n_alphas]),
        np.concatenate([np.repeat(gammas, n) for n in n_alphas]),
        np.concatenate([np.tile(curve.alphas, len(gammas)) for curve in curves]),
        np.hstack([curve.fold_mse.reshape(len(folds), -1) for curve in curves]),
        np.array([fold.test.weight for fold in folds]),
        np.concatenate([curve.n_nonzero.ravel() for curve in curves]),
        search.rule,
        search.fold_means,
        sum(curve.n_left_out for curve in curves) * len(gammas),
        max(check.dual_gap for check in checks),
        max(check.kkt for check in checks),
        all(check.converged for check in checks),
        max(curve.worst_sse_bound for curve in curves),
        search.repeats,
    )


@dataclass(frozen=True, slots=True)
class _Check:
    """The worst of some fits."""

    dual_gap: float
    kkt: float
    converged: bool

    @classmethod
    def of(cls, *paths: Path) -> "_Check":
        return cls(
            max(float(p.dual_gap.max(initial=0.0)) for p in paths),
            max(float(p.kkt.max(initial=0.0)) for p in paths),
            all(bool(p.converged.all()) for p in paths),
        )


@dataclass(frozen=True, slots=True)
class _Curve:
    """The errors of one l1_ratio.

    ``fold_mse`` is by fold, gamma and alpha, ``n_nonzero`` by gamma and alpha; ``n_left_out``
    counts alphas.
    """

    alphas: Floats
    fold_mse: Floats
    n_nonzero: NDArray[np.int64]
    n_left_out: int
    checks: list[_Check]
    worst_sse_bound: float


@dataclass(frozen=True, slots=True)
class _Part:
    """Fits to one set of rows along some alphas; ``mse`` and ``n_nonzero`` by gamma and alpha."""

    last: Floats
    n_nonzero: NDArray[np.int64]
    mse: Floats
    check: _Check
    worst_sse_bound: float


def _solved(
    recipe: d.Recipe,
    alphas: Floats,
    gammas: Sequence[float],
    sample: Sample | None,
    rows: Moments,
    fold: Fold | None,
    start: Floats | None,
) -> _Part:
    """Fit along the alphas to all rows, or to a fold's training; then measure on its test."""
    if fold is not None:
        rows, sample = fold.training, sample and sample.only(fold.buckets)
    design = d.fit(recipe, rows, sample)
    path = solve_path(design.problem, alphas, start)
    coef, relaxed = mixed(design.problem, path.coef, gammas)
    n_nonzero, check = np.count_nonzero(coef, axis=2), _Check.of(path, relaxed)
    if fold is None:
        return _Part(path.coef[-1], n_nonzero, np.empty(0), check, 0.0)
    original, _ = design.original_units(np.concatenate(coef))
    found = evaluate(design, original, fold.test)
    bound = float(found.bound.max(initial=0.0))
    return _Part(path.coef[-1], n_nonzero, found.mse.reshape(coef.shape[:2]), check, bound)


def _curve(
    recipe: d.Recipe,
    rows: Moments,
    folds: Sequence[Fold],
    search: Search,
    sample: Sample | None,
) -> _Curve:
    alphas = search.grid(recipe, rows, sample)
    step = ALPHAS_AT_ONCE if search.early_stop else len(alphas)
    weight = np.array([fold.test.weight for fold in folds])
    splits = [None, *folds]
    starts: list[Floats | None] = [None] * len(splits)
    mse: list[Floats] = []
    n_nonzero, checks, bounds, done = [], [], [0.0], 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while done < len(alphas) and not (mse and _has_turned(mse, weight, search)):
            block = alphas[done : done + step]
            solve = partial(_solved, recipe, block, search.gammas, sample, rows)
            parts = list(pool.map(solve, splits, starts))
            starts = [part.last for part in parts]
            n_nonzero.append(parts[0].n_nonzero)
            mse.append(np.array([part.mse for part in parts[1:]]))
            checks += [part.check for part in parts]
            bounds += [part.worst_sse_bound for part in parts]
            done += len(block)
    return _Curve(
        alphas[:done],
        np.concatenate(mse, axis=2),
        np.concatenate(n_nonzero, axis=1),
        len(alphas) - done,
        checks,
        max(bounds),
    )


def _has_turned(blocks: Sequence[Floats], weight: Floats, search: Search) -> bool:
    """Whether all errors of the last block are clearly above the smallest."""
    mean, error = mean_and_error(
        np.concatenate(blocks, axis=2), weight, search.fold_means, search.repeats
    )
    best = np.unravel_index(np.argmin(mean), mean.shape)
    return bool(np.all(mean[:, -blocks[-1].shape[2] :] > mean[best] + error[best]))


def fit(
    recipe: d.Recipe,
    rows: Moments,
    alphas: Floats,
    gamma: float = 1.0,
    sample: Sample | None = None,
) -> Fit:
    """Fit at the last alpha, warm-started along those before it, and mix in its relaxed fit."""
    design = d.fit(recipe, rows, sample)
    path = solve_path(design.problem, alphas)
    mixtures, relaxed = mixed(design.problem, path.coef[-1:], [gamma])
    check = _Check.of(path.last, relaxed)
    coef, intercept = design.original_units(mixtures[0])
    standardised = np.zeros(len(design.position))
    standardised[design.usable] = mixtures[0, 0]
    return Fit(
        design,
        float(alphas[-1]),
        coef[0],
        standardised,
        float(intercept[0]),
        check.dual_gap,
        check.kkt,
        check.converged,
    )
