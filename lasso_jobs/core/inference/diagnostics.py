"""Diagnoses a final fit from moments: collinearity, AIC and BIC, least squares, learning curve."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit import one_alpha
from lasso_jobs.core.fit.cross_validation import PathSearch
from lasso_jobs.core.fit.problem import RANK_TOLERANCE, Problem
from lasso_jobs.core.fit.squared_error import evaluate
from lasso_jobs.core.inference.collinearity import (
    MAX_CORRELATIONS,
    MOST_COLLINEAR,
    Collinearity,
    collinearity,
    features_of,
    independent,
)
from lasso_jobs.core.inference.refits.groups import ResamplingGroups
from lasso_jobs.core.inference.refits.learning_curve import LearningCurve, learning_curve
from lasso_jobs.core.rows.moments import Floats, Moments
from lasso_jobs.core.rows.sample import CONFIDENCE, Sample, rank_error

MIN_ROWS_PER_COEFFICIENT = 10
"""With fewer rows, the errors of least squares come with a warning (Harrell 2015, "Regression
modeling strategies", section 4.4, asks for ten to twenty)."""
MOST_NAMED = 5
COVERAGE = 0.95

CLEARLY_INDEPENDENT = 1e-6
"""Columns of which the others explain all but this share, or less, are."""

ROUNDING = 0.1
"""If rounding may be so large a share of the squared residuals, their variance is unknown."""


@dataclass(frozen=True, slots=True)
class Information:
    """AIC and BIC along the path, as scikit-learn's ``LassoLarsIC`` defines them.

    Parameters
    ----------
    noise_variance : float
        Of least squares with all columns: ``SSE / (n - rank - 1)``; no 1 without an intercept.
    aic, bic : ndarray, shape (n_alphas,)
    """

    noise_variance: float
    aic: Floats
    bic: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class LeastSquares:
    """Least squares with the selected columns, ignoring that the same rows selected them.

    Parameters
    ----------
    coef, standard_error, t, low, high : ndarray, shape (p,)
        In original units, with intervals of `COVERAGE`; NaN where not selected, or left out
        because other selected columns determine the column.
    residual_variance : float
    degrees_of_freedom : int
        Rows minus coefficients minus the intercept, if there is one.
    """

    coef: Floats
    standard_error: Floats
    t: Floats
    low: Floats
    high: Floats
    residual_variance: float
    degrees_of_freedom: int

    @property
    def p_value(self) -> Floats:
        """Of two-sided t tests, as if the columns had been chosen before the rows were seen."""
        from scipy.special import stdtr

        return np.asarray(2 * stdtr(self.degrees_of_freedom, -np.abs(self.t)))


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """The diagnostics of a final fit; what is None has a note that says why."""

    collinearity: Collinearity
    information: Information | None
    least_squares: LeastSquares | None
    learning: LearningCurve
    notes: tuple[str, ...]


def diagnose(
    recipe: d.Recipe,
    final: one_alpha.Fit,
    rows: Moments,
    groups: ResamplingGroups,
    *,
    holdout: Moments,
    gamma: float = 1.0,
    search: PathSearch | None = None,
) -> Diagnostics:
    """Compute all diagnostics of a final fit.

    Parameters
    ----------
    recipe : Recipe
    final : Fit
        With the whole path, for AIC and BIC.
    rows : Moments
        What it was fitted to.
    groups : ResamplingGroups
        Of the rows that are not held out.
    holdout : Moments
        Of no rows if there is none.
    gamma : float
        Of a relaxed fit.
    search : PathSearch, optional
        How the fits of the learning curve choose their alphas.
    """
    plain = recipe.l1_ratio == 1 and not recipe.adaptive and gamma == 1
    diagnostics = Diagnostics(
        collinearity=collinearity(final.design, rows, final.strongest(), recipe.indicators),
        information=information(final.design, rows, final.path.coef) if plain else None,
        least_squares=least_squares(final, rows, recipe.indicators),
        learning=learning_curve(recipe, groups, holdout, final, search=search, gamma=gamma),
        notes=(),
    )
    notes = [
        *_notes(diagnostics, plain=plain, final=final, rows=rows),
        *_of_least_squares(diagnostics.least_squares, final, rows, recipe.indicators),
        *_of_scaling(groups.sample, rows),
    ]
    return replace(diagnostics, notes=tuple(notes))


def _notes(
    diagnostics: Diagnostics, *, plain: bool, final: one_alpha.Fit, rows: Moments
) -> Iterator[str]:
    """Why something is missing."""
    if diagnostics.collinearity.correlation is None:
        yield f"the correlations of more than {MAX_CORRELATIONS} columns are not kept"
    n_usable = int(final.design.usable.sum())
    if n_usable > MOST_COLLINEAR:
        yield (
            f"the condition number, duplicates and VIF are of {MOST_COLLINEAR:,} of the "
            f"{n_usable:,} columns: the active ones and those nearest to entering"
        )
    if diagnostics.collinearity.condition_number is None:
        yield "no condition number: the correlation matrix is singular, or empty"
    if not plain:
        yield "no AIC and BIC: that they count coefficients holds for the plain LASSO only"
    elif diagnostics.information is None:
        size = f"{rows.n} rows and {int(final.design.usable.sum())} columns"
        yield f"no AIC and BIC: {size} leave no noise variance"


def _of_least_squares(
    found: LeastSquares | None, final: one_alpha.Fit, rows: Moments, indicators: tuple[int, ...]
) -> Iterator[str]:
    """Why there is none, what it leaves out, and whether the rows are few for it."""
    if found is None:
        yield (
            "no least squares: no column is selected, no row is left over for the residuals, or "
            "the selected columns fit perfectly"
        )
        return
    labels = final.design.grouping.columns.labels_with(indicators)
    missing = [labels[j] for j in final.selected.tolist() if np.isnan(found.coef[j])]
    if missing:
        yield (
            f"least squares leaves out {', '.join(missing[:MOST_NAMED])}"
            + (f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else "")
            + ", which the other selected columns determine; coefficients of other levels of a "
            "category that is left out so are relative to it"
        )
    n = len(final.selected) - len(missing) + final.design.intercept
    if rows.n < MIN_ROWS_PER_COEFFICIENT * n:
        yield (
            f"least squares has {rows.n / n:.1f} rows for each coefficient, fewer than "
            f"{MIN_ROWS_PER_COEFFICIENT}: its errors and p-values are worth little"
        )


def _of_scaling(sample: Sample | None, rows: Moments) -> Iterator[str]:
    """How far the quartiles of robust scaling may be off."""
    if sample is not None and (n := len(sample.hashes)) < rows.n:
        yield (
            f"robust scaling: quartiles of a random sample of {n:,} rows, whose ranks are off by "
            f"less than {rank_error(n):.1%} (with probability {CONFIDENCE:.0%})"
        )


def information(design: d.Design, rows: Moments, coef: Floats) -> Information | None:
    """AIC and BIC of a LASSO path; None if the rows leave no noise variance.

    ``n log(2 pi s2) + SSE / s2 + c k``, with c = 2 for AIC and log(n) for BIC, k the coefficients
    that are not zero (Zou, Hastie & Tibshirani 2007, "On the degrees of freedom of the lasso"), and
    s2 the noise variance of least squares with all columns. As in scikit-learn's ``LassoLarsIC``,
    save that s2 counts independent columns only. Weights are scaled to a mean of 1; rows of weight
    zero count in n.

    Parameters
    ----------
    design : Design
    rows : Moments
        What it was fitted to.
    coef : ndarray, shape (n_alphas, p_usable)
        The path, on the correlation scale.
    """
    if not len(design.problem.covariance):
        return None
    full, rank = _all_columns(design.problem)
    free = rows.n - rank - design.intercept
    if free <= 0:
        return None
    path = np.vstack([full, coef])
    errors = evaluate(design, design.original_units(path)[0], rows)
    sse = errors.mse * rows.n
    if errors.bound[0] >= ROUNDING or sse[0] <= 0:
        return None
    noise_variance = float(sse[0] / free)
    size = np.count_nonzero(path[1:], axis=1)
    deviance = rows.n * np.log(2 * np.pi * noise_variance) + sse[1:] / noise_variance
    return Information(noise_variance, deviance + 2 * size, deviance + np.log(rows.n) * size)


def _all_columns(problem: Problem) -> tuple[Floats, int]:
    """Least squares with all columns, and their rank.

    A Cholesky factor of independent columns takes a tenth of the time of the general solver.
    """
    from scipy.linalg import cho_solve, lstsq

    try:
        lower = np.linalg.cholesky(problem.gram)
        if np.square(np.diag(lower)).min() > CLEARLY_INDEPENDENT:
            full = cho_solve((lower.T, False), problem.covariance, check_finite=False)
            return np.asarray(full), len(full)
    except np.linalg.LinAlgError:
        pass
    full, _, rank, _ = lstsq(
        problem.gram, problem.covariance, cond=RANK_TOLERANCE, lapack_driver="gelsy"
    )
    return np.asarray(full), int(rank)


def least_squares(
    fit: one_alpha.Fit, rows: Moments, indicators: tuple[int, ...] = ()
) -> LeastSquares | None:
    """Least squares with the intercept, if there is one, and the columns that a fit selected.

    Classical standard errors, ``sqrt(s2 / weight * diag(G^-1)) / unit`` with G the problem's matrix
    and ``s2 = SSE / (n - k - 1)``, no 1 without an intercept. Weights count as inverse variances.
    Columns that other selected ones determine are left out, as R's ``lm`` does: of a category whose
    levels are all selected, the first.

    Returns
    -------
    LeastSquares or None
        None without selected columns, or where they leave no residual.
    """
    from scipy.linalg import cho_factor, cho_solve
    from scipy.special import stdtrit

    design, selected = fit.design, fit.selected
    if not len(selected):
        return None
    features = features_of(design.grouping.columns, indicators)[selected]
    selected = selected[independent(design.gram(selected), features)]
    free = rows.n - len(selected) - design.intercept
    if free <= 0:
        return None
    factor = cho_factor(design.gram(selected))
    inverse = cho_solve(factor, np.eye(len(selected)))
    unit = design.unit[selected]
    coef = np.zeros(len(design.usable))
    if design.offset is not None:
        coef[design.offset] = 1.0
    with_target = design.problem.covariance[design.among_usable(selected)]
    coef[selected] = cho_solve(factor, with_target) / unit
    errors = evaluate(design, coef[None], rows)
    if errors.bound[0] >= ROUNDING:
        return None
    b, variance = coef[selected], float(errors.sse[0] / free)
    error = np.sqrt(variance / rows.weight * np.diag(inverse)) / unit
    half = float(stdtrit(free, (1 + COVERAGE) / 2)) * error

    def placed(values: Floats) -> Floats:
        everywhere = np.full(len(coef), np.nan)
        everywhere[selected] = values
        return everywhere

    return LeastSquares(
        coef=placed(b),
        standard_error=placed(error),
        t=placed(b / error),
        low=placed(b - half),
        high=placed(b + half),
        residual_variance=variance,
        degrees_of_freedom=free,
    )
