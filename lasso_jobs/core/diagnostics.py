"""What else the moments know: collinearity, AIC and BIC, least squares, a learning curve."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core import design as d
from lasso_jobs.core import moments as m
from lasso_jobs.core import selection
from lasso_jobs.core.lasso import RANK_TOLERANCE, solve_path
from lasso_jobs.core.moments import Floats, Moments
from lasso_jobs.core.sample import CONFIDENCE, Sample, rank_error
from lasso_jobs.core.squared_error import evaluate

SAME = 1e-12
"""Columns whose |correlation| is closer than this to 1 are duplicates."""

MAX_CORRELATIONS = 200
"""Of at most so many columns the correlation matrix is kept: 320 kB."""

MIN_ROWS_PER_COEFFICIENT = 10
COVERAGE = 0.95

ROUNDING = 0.1
"""Residuals of which rounding may be so large a share have no variance to speak of."""


@dataclass(frozen=True, slots=True)
class Collinearity:
    """How the columns depend on one another, by the correlations of those that vary.

    Parameters
    ----------
    condition_number : float or None
        Largest over smallest eigenvalue; None if singular to rounding.
    vif : ndarray, shape (p,)
        Variance inflation factor, ``1 / (1 - R2)`` of the column regressed on all others; inf
        where it is a combination of others, NaN where it is constant or dropped.
    constant : tuple of int
        Columns that do not vary.
    duplicates : tuple of (int, int)
        A column, and the first one with which it is correlated by 1 or -1.
    correlation : ndarray, shape (p, p), or None
        NaN for columns that are constant or dropped. None beyond `MAX_CORRELATIONS` columns.
    """

    condition_number: float | None
    vif: Floats
    constant: tuple[int, ...]
    duplicates: tuple[tuple[int, int], ...]
    correlation: Floats | None


@dataclass(frozen=True, slots=True)
class Information:
    """AIC and BIC along the path, as scikit-learn's ``LassoLarsIC`` defines them.

    Parameters
    ----------
    noise_variance : float
        Of least squares with all columns: ``SSE / (n - rank - 1)``.
    aic, bic : ndarray, shape (n_alphas,)
    """

    noise_variance: float
    aic: Floats
    bic: Floats


@dataclass(frozen=True, slots=True)
class LeastSquares:
    """Least squares with the selected columns. It ignores that the same rows selected them.

    Parameters
    ----------
    coef, standard_error, t, low, high : ndarray, shape (p,)
        In original units, with intervals of `COVERAGE`; NaN where not selected.
    residual_variance : float
    degrees_of_freedom : int
        Rows minus coefficients minus the intercept.
    """

    coef: Floats
    standard_error: Floats
    t: Floats
    low: Floats
    high: Floats
    residual_variance: float
    degrees_of_freedom: int


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


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """All of them; what is None has a note that says why."""

    collinearity: Collinearity
    information: Information | None
    least_squares: LeastSquares | None
    learning: LearningCurve
    notes: tuple[str, ...]


def diagnose(
    recipe: d.Recipe,
    rows: Moments,
    final: selection.Fit,
    alphas: Floats,
    groups: Sequence[Moments],
    holdout: Moments,
    gamma: float = 1.0,
    sample: Sample | None = None,
) -> Diagnostics:
    """Everything about a final fit.

    Parameters
    ----------
    recipe : Recipe
    rows : Moments
        What it was fitted to.
    final : Fit
    alphas : ndarray, shape (n_alphas,)
        Descending, for AIC and BIC.
    groups : sequence of Moments
        Of the rows that are not held out; at least two.
    holdout : Moments
        Of no rows if there is none.
    gamma : float
        Of a relaxed fit.
    sample : Sample, optional
        Of the groups' rows, for robust scaling; its buckets are the groups.
    """
    collinear = collinearity(final.design)
    notes = []
    if collinear.correlation is None:
        notes.append(f"the correlations of more than {MAX_CORRELATIONS} columns are not kept")
    if collinear.condition_number is None:
        notes.append("no condition number: the correlation matrix is singular, or empty")
    plain = recipe.l1_ratio == 1 and not recipe.adaptive and gamma == 1
    criteria = information(final.design, rows, alphas) if plain else None
    if not plain:
        notes.append("no AIC and BIC: that they count coefficients holds for the plain LASSO only")
    elif criteria is None:
        size = f"{rows.n} rows and {int(final.design.usable.sum())} columns"
        notes.append(f"no AIC and BIC: {size} leave no noise variance")
    least = least_squares(final, rows)
    if least is None:
        notes.append(
            f"no least squares: fewer than {MIN_ROWS_PER_COEFFICIENT} rows for each coefficient, "
            "or selected columns that are none, are dependent, or fit perfectly"
        )
    if sample is not None and len(sample.hashes) < rows.n:
        notes.append(
            f"robust scaling: quartiles of a random sample of {len(sample.hashes):,} rows, whose "
            f"ranks are off by less than {rank_error(len(sample.hashes)):.1%} (with probability "
            f"{CONFIDENCE:.0%})"
        )
    learning = learning_curve(recipe, groups, holdout, final.alpha, gamma, sample)
    return Diagnostics(collinear, criteria, least, learning, tuple(notes))


def collinearity(design: d.Design) -> Collinearity:
    """Look at the correlation matrix of the columns that vary.

    With its eigenvalues e and eigenvectors V, VIF_j is ``sum_i V_ji^2 / e_i``, the diagonal of the
    inverse (Belsley, Kuh & Welsch 1980, "Regression diagnostics", section 3.2). Of a singular
    matrix that of the pseudo-inverse is still the VIF of a column which the dependent ones do not
    involve; the others have none.
    """
    from scipy.linalg import eigh

    gram, usable, p = design.problem.gram, design.usable, len(design.usable)
    kept = np.flatnonzero(usable)
    constant = tuple(np.flatnonzero(design.deviation == 0).tolist())
    vif = np.full(p, np.nan)
    correlation = np.full((p, p), np.nan) if p <= MAX_CORRELATIONS else None
    if not len(kept):
        return Collinearity(None, vif, constant, (), correlation)
    values, vectors = eigh(gram)
    regular = values > RANK_TOLERANCE * values[-1]
    vif[kept] = (vectors[:, regular] ** 2 / values[regular]).sum(axis=1)
    involved = (vectors[:, ~regular] ** 2).sum(axis=1) > RANK_TOLERANCE
    vif[kept[involved]] = np.inf
    later, earlier = np.nonzero(np.tril(np.abs(gram) >= 1 - SAME, -1))
    first: dict[int, int] = {}
    for i, j in zip(kept[later].tolist(), kept[earlier].tolist(), strict=True):
        first.setdefault(i, j)
    if correlation is not None:
        correlation[np.ix_(kept, kept)] = gram
    return Collinearity(
        float(values[-1] / values[0]) if regular.all() else None,
        vif,
        constant,
        tuple(first.items()),
        correlation,
    )


def information(design: d.Design, rows: Moments, alphas: Floats) -> Information | None:
    """AIC and BIC of a LASSO path; None if the rows leave no noise variance.

    ``n log(2 pi s2) + SSE / s2 + c k``, with c = 2 for AIC and log(n) for BIC, k the coefficients
    that are not zero (Zou, Hastie & Tibshirani 2007, "On the degrees of freedom of the lasso"), and
    s2 the noise variance of least squares with all columns. As in scikit-learn's ``LassoLarsIC``,
    save that s2 counts independent columns only. Weights are scaled to a mean of 1; rows of weight
    zero count in n.
    """
    from scipy.linalg import lstsq

    problem = design.problem
    if not len(problem.covariance):
        return None
    full, _, rank, _ = lstsq(
        problem.gram, problem.covariance, cond=RANK_TOLERANCE, lapack_driver="gelsy"
    )
    free = rows.n - int(rank) - 1
    if free <= 0:
        return None
    path = np.vstack([full, solve_path(problem, alphas).coef])
    coef, _ = design.original_units(path)
    errors = evaluate(design, coef, rows)
    sse = errors.mse * rows.n
    if errors.bound[0] >= ROUNDING or sse[0] <= 0:
        return None
    noise_variance = float(sse[0] / free)
    size = np.count_nonzero(path[1:], axis=1)
    deviance = rows.n * np.log(2 * np.pi * noise_variance) + sse[1:] / noise_variance
    return Information(noise_variance, deviance + 2 * size, deviance + np.log(rows.n) * size)


def least_squares(fit: selection.Fit, rows: Moments) -> LeastSquares | None:
    """Least squares with an intercept, and with the columns that a fit selected.

    Classical standard errors, ``sqrt(s2 / weight * diag(G^-1)) / deviation`` with G the columns'
    correlations and ``s2 = SSE / (n - k - 1)``. Weights count as inverse variances.

    Returns
    -------
    LeastSquares or None
        None with fewer than `MIN_ROWS_PER_COEFFICIENT` rows for each coefficient, without
        selected columns, or where they are linearly dependent or leave no residual.
    """
    from scipy.linalg import cho_factor, cho_solve
    from scipy.special import stdtrit

    design, selected = fit.design, np.flatnonzero(fit.standardised)
    free = rows.n - len(selected) - 1
    if not len(selected) or rows.n < MIN_ROWS_PER_COEFFICIENT * (len(selected) + 1):
        return None
    place = (np.cumsum(design.usable) - 1)[selected]
    try:
        factor = cho_factor(design.problem.gram[np.ix_(place, place)])
    except np.linalg.LinAlgError:
        return None
    if np.square(np.diag(factor[0])).min() <= RANK_TOLERANCE:
        return None
    inverse = cho_solve(factor, np.eye(len(place)))
    unit = design.deviation[selected]
    coef = np.zeros(len(design.usable))
    coef[selected] = cho_solve(factor, design.problem.covariance[place]) / unit
    errors = evaluate(design, coef[None], rows)
    if errors.bound[0] >= ROUNDING:
        return None
    variance = float(errors.sse[0] / free)
    error = np.sqrt(variance / rows.weight * np.diag(inverse)) / unit
    half = float(stdtrit(free, (1 + COVERAGE) / 2)) * error
    b = coef[selected]

    def placed(values: Floats) -> Floats:
        everywhere = np.full(len(coef), np.nan)
        everywhere[selected] = values
        return everywhere

    return LeastSquares(
        placed(b),
        placed(error),
        placed(b / error),
        placed(b - half),
        placed(b + half),
        variance,
        free,
    )


def learning_curve(
    recipe: d.Recipe,
    groups: Sequence[Moments],
    holdout: Moments,
    alpha: float,
    gamma: float = 1.0,
    sample: Sample | None = None,
) -> LearningCurve:
    """Fit to the first groups, more and more of them; without a hold-out, the last fifth tests."""
    test, q = holdout, holdout.n_values
    if holdout.weight <= 0:
        n_last = max(1, len(groups) // 5)
        test, groups = m.merge_all(groups[-n_last:], q), groups[:-n_last]
    sizes = {int(np.ceil(len(groups) * share)) for share in (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)}
    n_rows, errors, training = [], [], m.empty(q)
    for size, group in enumerate(groups, 1):
        training = m.merge(training, group)
        if size in sizes:
            sampled = sample and sample.only(range(size))
            fit = selection.fit(recipe, training, np.array([alpha]), gamma, sampled)
            sets = (training, test)
            errors.append([evaluate(fit.design, fit.coef[None], s).mse[0] for s in sets])
            n_rows.append(training.n)
    train_mse, test_mse = np.array(errors).T.copy()
    where = "hold-out" if test is holdout else "last buckets"
    return LearningCurve(where, np.array(n_rows, np.int64), train_mse, test_mse)
