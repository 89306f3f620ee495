"""Cross-validates whole paths of alphas, l1_ratios and gammas from the moments of the folds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit.choice import (
    CrossValidation,
    CurveErrors,
    FoldMeans,
    Rule,
    combinations,
    has_turned,
    mean_and_error,
)
from lasso_jobs.core.fit.lasso import alpha_grid, alpha_max
from lasso_jobs.core.fit.problem import GAP_TOLERANCE, Path
from lasso_jobs.core.fit.relaxed import mixed
from lasso_jobs.core.fit.squared_error import evaluate
from lasso_jobs.core.fit.walk.paths import Paths
from lasso_jobs.core.rows.folds import Fold
from lasso_jobs.core.rows.moments import Floats, Moments
from lasso_jobs.core.rows.sample import Sample
from lasso_jobs.core.threads import Steps, in_threads

SMALLEST_RATIO = 1e-3
"""No alpha makes a Ridge fit zero: below this l1_ratio the largest alpha is that of this ratio."""
ALPHAS_AT_ONCE = 10
"""How many alphas are tried before the next look whether the errors have turned."""
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
    folds = tuple(folds)
    curves = [
        _Curve(
            recipe=replace(recipe, l1_ratio=ratio),
            rows=rows,
            folds=folds,
            search=search,
            sample=sample,
            steps=steps or Steps(),
        )
        for ratio in search.l1_ratios or (recipe.l1_ratio,)
    ]
    for curve in curves:
        curve.walk(search.grid(curve.recipe, rows, sample))
    found = _combined(curves, search)
    for curve in curves:
        if curve.recipe.l1_ratio == found.l1_ratio and found.alpha == curve.alphas[-1]:
            curve.walk_on(search.beyond(curve.alphas))
            found = _combined(curves, search)
            break
    return found


def _combined(curves: Sequence["_Curve"], search: PathSearch) -> CrossValidation:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Fits to one set of rows along some alphas; ``mse`` and ``n_nonzero`` by gamma and alpha.

    ``dual_gap`` and ``kkt`` are by alpha, the worse of the fit's and its relaxed fit's.
    """

    n_nonzero: NDArray[np.int64]
    mse: Floats
    dual_gap: Floats
    kkt: Floats
    worst_sse_bound: float

    def first(self, n: int) -> "_Part":
        """Those of the first alphas."""
        by_alpha = ("n_nonzero", "mse", "dual_gap", "kkt")
        return replace(self, **{name: getattr(self, name)[..., :n] for name in by_alpha})


def _measured(design: d.Design, path: Path, fold: Fold | None, gammas: Sequence[float]) -> _Part:
    """What is kept of fits to all rows, or to a fold's training, measured on its test."""
    coef, relaxed = mixed(design.problem, path.coef, gammas)
    mse: Floats = np.empty(0)
    bound = 0.0
    if fold is not None:
        original, _ = design.original_units(np.concatenate(coef))
        errors = evaluate(design, original, fold.test)
        mse, bound = errors.mse.reshape(coef.shape[:2]), float(errors.bound.max(initial=0.0))
    fits = [path, relaxed] if len(relaxed.coef) else [path]
    return _Part(
        n_nonzero=np.count_nonzero(coef, axis=2),
        mse=mse,
        dual_gap=np.max([each.dual_gap for each in fits], axis=0),
        kkt=np.max([each.kkt for each in fits], axis=0),
        worst_sse_bound=bound,
    )


@dataclass(slots=True, kw_only=True)
class _Curve:
    """The errors of one l1_ratio along the alphas that were tried so far, block by block.

    Parameters
    ----------
    recipe : Recipe
    rows : Moments
    folds : sequence of Fold
    search : PathSearch
    sample : Sample or None
    steps : Steps
    alphas : ndarray
    blocks : list of list of _Part
        For each block of alphas, the fits to all rows, then those to each fold.
    n_left_out : int
        Alphas that an early stop left out.
    designs : list of Design
        Of all rows, then of each fold's training.
    paths : Paths or None
        Their fits, which go on from block to block.
    """

    recipe: d.Recipe
    rows: Moments
    folds: Sequence[Fold]
    search: PathSearch
    sample: Sample | None
    steps: Steps
    alphas: Floats = field(default_factory=lambda: np.empty(0))
    blocks: list[list[_Part]] = field(default_factory=list)
    n_left_out: int = 0
    designs: list[d.Design] = field(default_factory=list)
    paths: Paths | None = None

    def walk(self, alphas: Floats) -> None:
        """Fit along a grid, until its end or an early stop."""
        step = ALPHAS_AT_ONCE if self.search.early_stop else len(alphas)
        for done in range(0, len(alphas), step):
            if self.blocks and self._has_turned():
                self.n_left_out = len(alphas) - done
                break
            self._append(alphas[done : done + step], self._fits(alphas[done : done + step]))

    def walk_on(self, alphas: Floats) -> None:
        """Go on along smaller alphas, until their end, an early stop, or fits do not converge."""
        for done in range(0, len(alphas), ALPHAS_AT_ONCE):
            block = alphas[done : done + ALPHAS_AT_ONCE]
            if self.search.early_stop and self._has_turned():
                break
            parts = self._fits(block)
            n = int(np.cumprod(_converged(parts)).sum())
            if n:
                self._append(block[:n], [part.first(n) for part in parts])
            if n < len(block):
                break

    def _fits(self, alphas: Floats) -> list[_Part]:
        splits = [None, *self.folds]
        if self.paths is None:
            self.designs = in_threads(self._designed, splits, self.steps)
            self.paths = Paths([design.problem for design in self.designs])
        self.steps.expect(len(splits) * len(alphas))
        paths = self.paths.solve(alphas, self.steps)

        def measure(k: int) -> _Part:
            return _measured(self.designs[k], paths[k], splits[k], self.search.gammas)

        return in_threads(measure, range(len(splits)), self.steps)

    def _designed(self, fold: Fold | None) -> d.Design:
        if fold is None:
            return d.fit(self.recipe, self.rows, self.sample)
        sample = self.sample and self.sample.only(fold.buckets)
        return d.fit(self.recipe, fold.training, sample)

    def _append(self, alphas: Floats, parts: list[_Part]) -> None:
        self.alphas = np.concatenate([self.alphas, alphas])
        self.blocks.append(parts)

    def parts(self) -> Iterable[_Part]:
        """The fits of all blocks."""
        return (part for block in self.blocks for part in block)

    @property
    def weight(self) -> Floats:
        """Weight of each fold's rows."""
        return np.array([fold.test.weight for fold in self.folds])

    def fold_mse(self) -> Floats:
        """Errors by fold, gamma and alpha."""
        return np.concatenate([[part.mse for part in block[1:]] for block in self.blocks], axis=2)

    def n_nonzero(self) -> NDArray[np.int64]:
        """Non-zero coefficients of the fits to all rows, by gamma and alpha."""
        return np.concatenate([block[0].n_nonzero for block in self.blocks], axis=1)

    @property
    def dual_gap(self) -> Floats:
        """The worst of all fits, by alpha."""
        return np.concatenate([_worst([p.dual_gap for p in block]) for block in self.blocks])

    @property
    def kkt(self) -> Floats:
        """The worst of all fits, by alpha."""
        return np.concatenate([_worst([p.kkt for p in block]) for block in self.blocks])

    def _has_turned(self) -> bool:
        how = self.search
        return has_turned(self.fold_mse(), self.weight, how.fold_means, how.repeats)

    def converged_to_candidates(self) -> bool:
        """Whether all fits that could be chosen converged.

        These are the fits down to the alpha of the smallest error, of each gamma. The fits at
        still smaller alphas are looked at and dismissed; neither rule chooses one of them.
        """
        how = self.search
        mean, _ = mean_and_error(self.fold_mse(), self.weight, how.fold_means, how.repeats)
        last = int(mean.argmin(axis=1).max())
        each = np.concatenate([_converged(block) for block in self.blocks])
        return bool(each[: last + 1].all())


def _worst(each: Sequence[Floats]) -> Floats:
    return np.asarray(np.max(each, axis=0))


def _converged(parts: Sequence[_Part]) -> NDArray[np.bool_]:
    """At which alphas of a block every fit did."""
    gap, kkt = _worst([p.dual_gap for p in parts]), _worst([p.kkt for p in parts])
    return np.asarray((gap <= GAP_TOLERANCE) & (kkt <= GAP_TOLERANCE))
