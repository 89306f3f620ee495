"""Measures the errors of folds along alphas, block by block, of one search or several together."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit import design as d
from lasso_jobs.core.fit.choice import has_turned, mean_and_error
from lasso_jobs.core.fit.problem import GAP_TOLERANCE, Path
from lasso_jobs.core.fit.relaxed import mixed
from lasso_jobs.core.fit.squared_error import evaluate
from lasso_jobs.core.fit.walk.paths import Paths
from lasso_jobs.core.rows.folds import Fold
from lasso_jobs.core.rows.moments import Floats, Moments
from lasso_jobs.core.rows.sample import Sample
from lasso_jobs.core.threads import Item, Result, Steps, in_threads

if TYPE_CHECKING:
    from lasso_jobs.core.fit.cross_validation import PathSearch

ALPHAS_AT_ONCE = 10
"""How many alphas are tried before the next look whether the errors have turned."""
IN_THREADS = 200
"""Columns from which on designs and errors are worth threads. Of 100, which take about a
millisecond each, threads wait for each other: a search took 5 % more processor time with them, of
20 columns 10 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRows:
    """Rows and their folds.

    Parameters
    ----------
    rows : Moments
        All rows of the folds: the alphas are theirs.
    folds : sequence of Fold
        At least two, of at least one row in each part; repeat after repeat.
    sample : Sample or None
        Of the rows, for robust scaling.
    """

    rows: Moments
    folds: Sequence[Fold]
    sample: Sample | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FitErrors:
    """Fits to one set of rows along some alphas; ``mse`` and ``n_nonzero`` by gamma and alpha.

    ``dual_gap`` and ``kkt`` are by alpha, the worse of the fit's and its relaxed fit's.
    """

    n_nonzero: NDArray[np.int64]
    mse: Floats
    dual_gap: Floats
    kkt: Floats
    worst_sse_bound: float

    def first(self, n: int) -> "FitErrors":
        """Those of the first alphas."""
        by_alpha = ("n_nonzero", "mse", "dual_gap", "kkt")
        return replace(self, **{name: getattr(self, name)[..., :n] for name in by_alpha})


def _measured(
    design: d.Design, path: Path, fold: Fold | None, gammas: Sequence[float]
) -> FitErrors:
    """What is kept of fits to all rows, or to a fold's training, measured on its test."""
    coef, relaxed = mixed(design.problem, path.coef, gammas)
    mse: Floats = np.empty(0)
    bound = 0.0
    if fold is not None:
        original, _ = design.original_units(np.concatenate(coef))
        errors = evaluate(design, original, fold.test)
        mse, bound = errors.mse.reshape(coef.shape[:2]), float(errors.bound.max(initial=0.0))
    fits = [path, relaxed] if len(relaxed.coef) else [path]
    return FitErrors(
        n_nonzero=np.count_nonzero(coef, axis=2),
        mse=mse,
        dual_gap=np.max([each.dual_gap for each in fits], axis=0),
        kkt=np.max([each.kkt for each in fits], axis=0),
        worst_sse_bound=bound,
    )


@dataclass(slots=True, kw_only=True)
class Curve:
    """The errors of one l1_ratio along the alphas that were tried so far, block by block.

    Parameters
    ----------
    recipe : Recipe
    folds : sequence of Fold
    search : PathSearch
    grid : ndarray
        The alphas to try.
    designs : list of Design
        Of all rows, then of each fold's training.
    alphas : ndarray
        Those that were.
    blocks : list of list of FitErrors
        For each block of alphas, the fits to all rows, then those to each fold.
    n_left_out : int
        Alphas that an early stop left out.
    """

    recipe: d.Recipe
    folds: Sequence[Fold]
    search: "PathSearch"
    grid: Floats
    designs: list[d.Design]
    alphas: Floats = field(default_factory=lambda: np.empty(0))
    blocks: list[list[FitErrors]] = field(default_factory=list)
    n_left_out: int = 0

    @classmethod
    def of(cls, recipe: d.Recipe, rows: SplitRows, search: "PathSearch", steps: Steps) -> "Curve":
        """Nothing is tried yet."""

        def designed(fold: Fold | None) -> d.Design:
            if fold is None:
                return d.fit(recipe, rows.rows, rows.sample)
            return d.fit(recipe, fold.training, rows.sample and rows.sample.only(fold.buckets))

        return cls(
            recipe=recipe,
            folds=rows.folds,
            search=search,
            grid=search.grid(recipe, rows.rows, rows.sample),
            designs=_of_each(designed, [None, *rows.folds], rows.rows.n_values, steps),
        )

    def append(self, alphas: Floats, parts: list[FitErrors]) -> None:
        """Add the fits at some more alphas."""
        self.alphas = np.concatenate([self.alphas, alphas])
        self.blocks.append(parts)

    def measured(self, paths: Sequence[Path], steps: Steps) -> list[FitErrors]:
        """What is kept of fits at some alphas."""
        splits = (None, *self.folds)

        def measure(k: int) -> FitErrors:
            return _measured(self.designs[k], paths[k], splits[k], self.search.gammas)

        return _of_each(measure, range(len(splits)), len(self.designs[0].position), steps)

    def parts(self) -> Iterable[FitErrors]:
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

    def has_turned(self) -> bool:
        """Whether an early stop leaves out what comes next."""
        how = self.search
        if not self.blocks or not how.early_stop:
            return False
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


class CurvesTogether:
    """Curves along grids of one length, whose problems are walked together, block by block."""

    def __init__(self, curves: Sequence[Curve], steps: Steps) -> None:
        self._curves, self._steps = curves, steps
        self._paths = Paths([design.problem for curve in curves for design in curve.designs])
        ends = np.cumsum([len(curve.designs) for curve in curves]).tolist()
        self._own = [slice(start, end) for start, end in pairwise([0, *ends])]

    def to_the_end(self) -> None:
        """Fit along the grids, each until its end or an early stop."""
        length = len(self._curves[0].grid)
        step = ALPHAS_AT_ONCE if self._curves[0].search.early_stop else length
        for done in range(0, length, step):
            going = [k for k, curve in enumerate(self._curves) if not curve.has_turned()]
            blocks = {k: self._curves[k].grid[done : done + step] for k in going}
            for k, parts in self._fits(blocks):
                self._curves[k].append(blocks[k], parts)
                self._curves[k].n_left_out = max(0, length - done - step)
            if not going:
                break

    def beyond(self, k: int) -> None:
        """Go on along smaller alphas, until their end, an early stop, or fits do not converge."""
        curve = self._curves[k]
        alphas = curve.search.beyond(curve.alphas)
        for done in range(0, len(alphas), ALPHAS_AT_ONCE):
            block = alphas[done : done + ALPHAS_AT_ONCE]
            if curve.has_turned():
                break
            ((_, parts),) = self._fits({k: block})
            n = int(np.cumprod(_converged(parts)).sum())
            if n:
                curve.append(block[:n], [part.first(n) for part in parts])
            if n < len(block):
                break

    def _fits(self, blocks: Mapping[int, Floats]) -> Iterator[tuple[int, list[FitErrors]]]:
        """Fit to the rows of some curves at their next alphas, as many of each."""
        if not blocks:
            return
        n_alphas = len(next(iter(blocks.values())))
        alphas = np.full((self._own[-1].stop, n_alphas), np.nan)
        for k, block in blocks.items():
            alphas[self._own[k]] = block
        self._steps.expect(int(np.isfinite(alphas).sum()))
        paths = self._paths.solve(alphas, self._steps)
        for k in blocks:
            yield k, self._curves[k].measured(paths[self._own[k]], self._steps)


def _of_each(
    function: Callable[[Item], Result], items: Sequence[Item], n_columns: int, steps: Steps
) -> list[Result]:
    """Call a function for the rows of each split, in threads where that saves time."""
    if n_columns < IN_THREADS:
        return [function(item) for item in items]
    return in_threads(function, items, steps)


def _worst(each: Sequence[Floats]) -> Floats:
    return np.asarray(np.max(each, axis=0))


def _converged(parts: Sequence[FitErrors]) -> NDArray[np.bool_]:
    """At which alphas of a block every fit did."""
    gap, kkt = _worst([p.dual_gap for p in parts]), _worst([p.kkt for p in parts])
    return np.asarray((gap <= GAP_TOLERANCE) & (kkt <= GAP_TOLERANCE))
