"""Cross-validates whole paths of alphas, l1_ratios and gammas from the moments of the folds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit.choice import (
    CrossValidation,
    CurveErrors,
    FoldMeans,
    Rule,
    combinations,
)
from lasso_jobs.core.fit.lasso import alpha_grid, alpha_max
from lasso_jobs.core.fit.walk.curves import Curve, CurvesTogether, SplitRows
from lasso_jobs.core.rows.folds import Fold
from lasso_jobs.core.rows.moments import Floats, Moments
from lasso_jobs.core.rows.sample import Sample
from lasso_jobs.core.threads import Steps

SMALLEST_RATIO = 1e-3
"""No alpha makes a Ridge fit zero: below this l1_ratio the largest alpha is that of this ratio."""
EPS, EPS_OF_FEW_ROWS = 1e-3, 1e-2
"""The smallest alpha as a share of the largest; the second is for fewer rows than coefficients,
where smaller alphas fit the training rows perfectly. glmnet has 1e-4 and 1e-2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSearch:
    """The alphas, l1_ratios and gammas to try, and how to choose among them.

    Parameters
    ----------
    alphas : int or tuple of float
        How many, from alpha_max down to ``eps * alpha_max``; or which.
    eps : float or None
        If None, `EPS` or `EPS_OF_FEW_ROWS`; and if the smallest alpha is chosen, the grid goes on
        once, down to ``eps**2 * alpha_max``, for as long as its fits converge.
    rule : {"min", "1se"}
    l1_ratios : tuple of float
        Each with alphas of its own; if empty, the recipe's.
    gammas : tuple of float
        The mixtures with the relaxed fit: see `lasso_jobs.core.fit.relaxed`.
    fold_means : {"size", "equal"}
    early_stop : bool
        Leave out the smaller alphas of an l1_ratio once its errors have turned: see
        `lasso_jobs.core.fit.choice.has_turned`.
    proved : mapping of float to ndarray
        Of each l1_ratio the alphas to try, where that is known before.
    repeats : int
        How many times over the folds are all rows.
    """

    alphas: int | tuple[float, ...] = 100
    eps: float | None = EPS
    rule: Rule = "min"
    l1_ratios: tuple[float, ...] = ()
    gammas: tuple[float, ...] = (1.0,)
    fold_means: FoldMeans = "size"
    early_stop: bool = False
    repeats: int = 1
    proved: Mapping[float, Floats] = field(default_factory=dict)

    def grid(self, recipe: d.Recipe, rows: Moments, sample: Sample | None = None) -> Floats:
        """The alphas, descending."""
        if recipe.l1_ratio in self.proved:
            return self.proved[recipe.l1_ratio]
        if isinstance(self.alphas, int):
            limited = replace(recipe, l1_ratio=max(recipe.l1_ratio, SMALLEST_RATIO))
            design = d.fit(limited, rows, sample)
            eps = self.smallest_share(rows.n, len(design.position))
            return alpha_grid(alpha_max(design.problem), self.alphas, eps)
        return np.sort(np.asarray(self.alphas, float))[::-1]

    def smallest_share(self, n_rows: int, n_coefficients: int) -> float:
        """The smallest alpha as a share of the largest."""
        return self.eps or (EPS_OF_FEW_ROWS if n_rows < n_coefficients else EPS)

    def beyond(self, alphas: Floats) -> Floats:
        """Where a grid goes on once, as far again on the logarithmic scale; empty if it is fixed.

        Examples
        --------
        >>> PathSearch(alphas=3, eps=None).beyond(np.array([1.0, 0.1, 0.01])).round(6).tolist()
        [0.001, 0.0001]
        """
        fixed = self.eps is not None or not isinstance(self.alphas, int) or bool(self.proved)
        if fixed or alphas[0] == alphas[-1]:
            return alphas[:0]
        return np.asarray(np.geomspace(alphas[-1], alphas[-1] ** 2 / alphas[0], len(alphas))[1:])


def cross_validate(
    recipe: d.Recipe,
    rows: Moments,
    folds: Iterable[Fold],
    *,
    search: PathSearch,
    sample: Sample | None = None,
    steps: Steps | None = None,
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
    search : PathSearch
    sample : Sample, optional
        Of the rows, for robust scaling.
    steps : Steps, optional
        Each alpha of each fit takes one.
    """
    split, steps = SplitRows(rows=rows, folds=tuple(folds), sample=sample), steps or Steps()
    curves = [
        Curve.of(replace(recipe, l1_ratio=ratio), split, search, steps)
        for ratio in search.l1_ratios or (recipe.l1_ratio,)
    ]
    walks = [CurvesTogether([curve], steps) for curve in curves]
    for walk in walks:
        walk.to_the_end()
    found = _combined(curves, search)
    for curve, walk in zip(curves, walks, strict=True):
        if curve.recipe.l1_ratio == found.l1_ratio and found.alpha == curve.alphas[-1]:
            walk.beyond(0)
            found = _combined(curves, search)
            break
    return found


def cross_validate_each(
    recipe: d.Recipe, sets: Sequence[SplitRows], *, search: PathSearch
) -> list[CrossValidation]:
    """Cross-validate one l1_ratio on several sets of rows, whose paths are walked together.

    Parameters
    ----------
    recipe : Recipe
    sets : sequence of SplitRows
    search : PathSearch
        Without ``l1_ratios``.
    """
    steps = Steps()
    curves = [Curve.of(recipe, each, search, steps) for each in sets]
    together = CurvesTogether(curves, steps)
    together.to_the_end()
    found = [_combined([curve], search) for curve in curves]
    for k, curve in enumerate(curves):
        if found[k].alpha == curve.alphas[-1]:
            together.beyond(k)
            found[k] = _combined([curve], search)
    return found


def _combined(curves: Sequence[Curve], search: PathSearch) -> CrossValidation:
    errors = [
        CurveErrors(l1_ratio=curve.recipe.l1_ratio, alphas=curve.alphas, fold_mse=curve.fold_mse())
        for curve in curves
    ]
    return CrossValidation(
        **combinations(errors, search.gammas),
        fold_weight=curves[0].weight,
        n_nonzero=np.concatenate([curve.n_nonzero().ravel() for curve in curves]),
        rule=search.rule,
        fold_means=search.fold_means,
        n_left_out=sum(curve.n_left_out for curve in curves) * len(search.gammas),
        worst_dual_gap=max(float(curve.dual_gap.max(initial=0.0)) for curve in curves),
        worst_kkt=max(float(curve.kkt.max(initial=0.0)) for curve in curves),
        converged=all(curve.converged_to_candidates() for curve in curves),
        worst_sse_bound=max(part.worst_sse_bound for curve in curves for part in curve.parts()),
        repeats=search.repeats,
    )
