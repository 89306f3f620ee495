"""Choosing alpha by cross-validation, from the moments of the folds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core import design as d
from lasso_jobs.core import moments as m
from lasso_jobs.core.lasso import Path, alpha_grid, alpha_max, solve_path
from lasso_jobs.core.moments import Floats, Moments

Rule = Literal["min", "1se"]


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
        As in `lasso_jobs.core.lasso.Path`.
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
class CrossValidation:
    """The CV curve.

    Parameters
    ----------
    alphas : ndarray, shape (n_alphas,)
        Descending.
    fold_mse : ndarray, shape (n_folds, n_alphas)
    fold_weight : ndarray, shape (n_folds,)
        Weight of each fold's rows.
    n_nonzero : ndarray of int, shape (n_alphas,)
        Non-zero coefficients of the fits to all folds together.
    rule : {"min", "1se"}
        Which of the two alphas is chosen.
    worst_dual_gap, worst_kkt : float
        Over all folds and alphas.
    converged : bool
        Whether every fit did.
    worst_sse_bound : float
        Largest relative rounding error of a fold's squared error.
    """

    alphas: Floats
    fold_mse: Floats
    fold_weight: Floats
    n_nonzero: NDArray[np.int64]
    rule: Rule
    worst_dual_gap: float
    worst_kkt: float
    converged: bool
    worst_sse_bound: float

    @property
    def mse(self) -> Floats:
        """Squared error of the mean row: the folds' errors, weighted by their rows."""
        return np.asarray(np.average(self.fold_mse, axis=0, weights=self.fold_weight))

    @property
    def mse_se(self) -> Floats:
        """Standard error of ``mse``, as glmnet's ``cvsd``, shape (n_alphas,)."""
        squares = (self.fold_mse - self.mse) ** 2
        variance = np.average(squares, axis=0, weights=self.fold_weight)
        return np.asarray(np.sqrt(variance / (len(self.fold_mse) - 1)))

    @property
    def min_index(self) -> int:
        """Index of the alpha with the smallest error; of the largest such alpha."""
        return int(np.argmin(self.mse))

    @property
    def one_se_index(self) -> int:
        """Index of the largest alpha whose error is within one standard error of the smallest."""
        best = self.min_index
        return int(np.argmax(self.mse <= self.mse[best] + self.mse_se[best]))

    @property
    def index(self) -> int:
        """Index of the chosen alpha."""
        return self.min_index if self.rule == "min" else self.one_se_index

    @property
    def alpha(self) -> float:
        """The chosen alpha."""
        return float(self.alphas[self.index])


@dataclass(frozen=True, slots=True)
class Search:
    """Which alphas to try.

    Parameters
    ----------
    alphas : int or tuple of float
        How many, from alpha_max down to ``eps * alpha_max``; or which.
    eps : float
    rule : {"min", "1se"}
    """

    alphas: int | tuple[float, ...] = 100
    eps: float = 1e-3
    rule: Rule = "min"

    def grid(self, training: d.Design) -> Floats:
        """The alphas, descending."""
        if isinstance(self.alphas, int):
            return alpha_grid(alpha_max(training.problem), self.alphas, self.eps)
        return np.sort(np.asarray(self.alphas, float))[::-1]


@dataclass(frozen=True, slots=True)
class Fold:
    """One split.

    Parameters
    ----------
    training, test : Moments
        The rows to fit to, and the rows to measure on.
    sampled : ndarray of bool, shape (k,), optional
        Which rows of a sample are among those to fit to.
    """

    training: Moments
    test: Moments
    sampled: NDArray[np.bool_] | None = None


def k_folds(parts: Sequence[Moments], sampled: NDArray[np.intp] | None = None) -> list[Fold]:
    """Each part in turn is the test of a fit to all others.

    Parameters
    ----------
    parts : sequence of Moments
    sampled : ndarray of intp, shape (k,), optional
        The part that each row of a sample is in; negative if in none.
    """
    pairs = enumerate(zip(m.leave_one_out(parts), parts, strict=True))
    return [
        Fold(training, test, None if sampled is None else (sampled >= 0) & (sampled != k))
        for k, (training, test) in pairs
    ]


def cross_validate(
    recipe: d.Recipe,
    rows: Moments,
    folds: Sequence[Fold],
    search: Search,
    sample: Floats | None = None,
) -> CrossValidation:
    """Fit the path to each fold's training rows, and measure it on its test rows.

    Scaler, imputer and penalties are fitted to each fold's own training rows.

    Parameters
    ----------
    recipe : Recipe
    rows : Moments
        All rows of the folds: the alphas are theirs.
    folds : sequence of Fold
        At least two, of at least one row in each part.
    search : Search
    sample : ndarray, shape (n_columns, k), optional
        Of rows of which the folds say whether they are theirs.
    """
    in_any = [fold.sampled for fold in folds if fold.sampled is not None]
    everything = d.fit(recipe, rows, _chosen(sample, np.any(in_any, axis=0) if in_any else None))
    alphas = search.grid(everything)
    paths = [solve_path(everything.problem, alphas)]
    errors = []
    for fold in folds:
        design = d.fit(recipe, fold.training, _chosen(sample, fold.sampled))
        paths.append(solve_path(design.problem, alphas))
        coef, _ = design.original_units(paths[-1].coef)
        errors.append(d.evaluate(design, coef, fold.test))
    return CrossValidation(
        alphas,
        np.array([e.mse for e in errors]),
        np.array([e.weight for e in errors]),
        np.count_nonzero(paths[0].coef, axis=1),
        search.rule,
        max(float(p.dual_gap.max(initial=0.0)) for p in paths),
        max(float(p.kkt.max(initial=0.0)) for p in paths),
        all(bool(p.converged.all()) for p in paths),
        max(float(e.bound.max(initial=0.0)) for e in errors),
    )


def _chosen(sample: Floats | None, rows: NDArray[np.bool_] | None) -> Floats | None:
    return None if sample is None or rows is None else sample[:, rows]


def fit(recipe: d.Recipe, rows: Moments, alphas: Floats, sample: Floats | None = None) -> Fit:
    """Fit at the last alpha, warm-started along those before it."""
    design = d.fit(recipe, rows, sample)
    path: Path = solve_path(design.problem, alphas)
    coef, intercept = design.original_units(path.coef[-1:])
    standardised = np.zeros(len(design.position))
    standardised[design.usable] = path.coef[-1]
    return Fit(
        design,
        float(alphas[-1]),
        coef[0],
        standardised,
        float(intercept[0]),
        float(path.dual_gap[-1]),
        float(path.kkt[-1]),
        bool(path.converged[-1]),
    )
