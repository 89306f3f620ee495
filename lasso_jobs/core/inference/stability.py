"""Measures how far the selection and the coefficients depend on the rows, at one alpha.

All fits are to groups of buckets, so that no row is read. Of many columns, the fits are those of
`lasso_jobs.core.fit.one_alpha.refit`: only columns that can matter are solved for, and the
optimality conditions of all others are checked.

Stability selection. The groups of rows are cut at random into complementary halves, and each half
is fitted. A coefficient's frequency is the share of the halves in which it is not zero (Meinshausen
& Bühlmann 2010, "Stability selection"; in complementary pairs: Shah & Samworth 2013, "Variable
selection with error control: another look at stability selection"). With q coefficients selected
in a half on average, of p that can be, and a frequency of at least pi asked for, the expected
number of false selections is at most

    q^2 / ((2 pi - 1) p)                                        (Meinshausen & Bühlmann, theorem 1)
    C(pi, B) q^2 / p, and with theta = q / p <= 1 / sqrt(3)        (Shah & Samworth, theorem 2)
        C = 1 / (2 (2 pi - 1 - 1 / (2 B)))             for pi <= 3/4
        C = 4 (1 - pi + 1 / (2 B)) / (1 + 1 / B)       for pi > 3/4

A false selection is one that half of the rows would select no oftener than a coefficient drawn at
random, q / p; Meinshausen & Bühlmann's theorem says the same of all noise, if noise is exchangeable
and the selection better than random. The second bound holds for B pairs if the share of pairs that
agree on a coefficient is unimodal. q is estimated by its mean over the halves, and alpha taken as
given although the same rows chose it.

Jackknife. Leaving out one group after the other gives the standard error of each coefficient, for
groups of unequal weight w_j too (Busing, Meijer & van der Leeden 1999, "Delete-m jackknife for
unequal m"): with G groups, h_j = sum(w) / w_j, b the fit to all and b_j the fit without group j,

    J = G b - sum_j (1 - 1 / h_j) b_j,     u_j = h_j b - (h_j - 1) b_j,
    variance = 1 / G  sum_j (u_j - J)^2 / (h_j - 1)

which for equal groups is ``(G - 1) / G sum_j (b_j - mean(b_j))^2``. Its own relative error is about
``1 / sqrt(2 (G - 1))``. A coefficient that is zero in most fits has no such spread to measure.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit import one_alpha
from lasso_jobs.core.fit.design import Recipe
from lasso_jobs.core.inference.resampling import ResamplingGroups
from lasso_jobs.core.rows.buckets import row_hashes, text_key
from lasso_jobs.core.rows.folds import k_folds
from lasso_jobs.core.rows.moments import Floats, Moments
from lasso_jobs.core.threads import Steps, in_threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """Selection frequencies and standard errors at one alpha.

    Parameters
    ----------
    pairs : int
        Complementary pairs of halves.
    groups : int
        Groups of rows that were halved, and left out one by one.
    threshold : float
        The frequency from which on a coefficient counts as stable.
    frequency : ndarray, shape (p,)
        Share of the halves in which the coefficient is not zero; NaN of an offset.
    standard_error : ndarray, shape (p,)
        By the jackknife, in original units; NaN of an offset.
    mean_selected : float
        Penalised coefficients selected in a half, on average: q.
    n_candidates : int
        Penalised coefficients of columns that vary: the p of the bounds.
    mb_bound : float or None
        On the expected number of false selections, by Meinshausen & Bühlmann; None where nothing
        is penalised.
    unimodal_bound : float or None
        By Shah & Samworth; None where it does not apply.
    converged : bool
        Whether every fit did.
    """

    pairs: int
    groups: int
    threshold: float
    frequency: Floats
    standard_error: Floats
    mean_selected: float
    n_candidates: int
    mb_bound: float | None
    unimodal_bound: float | None
    converged: bool

    @property
    def stable(self) -> NDArray[np.bool_]:
        """Which coefficients reach the threshold."""
        return self.frequency >= self.threshold


def assess(
    recipe: Recipe,
    groups: ResamplingGroups,
    *,
    alpha: float,
    gamma: float = 1.0,
    pairs: int,
    threshold: float,
    seed: int,
    steps: Steps | None = None,
) -> Stability:
    """Fit to halves of the groups, and to all groups but one.

    All fits keep the levels that a fit to all groups keeps, so that their coefficients match.

    Parameters
    ----------
    recipe : Recipe
    groups : ResamplingGroups
    alpha : float
    gamma : float
        Of a relaxed fit; it changes no selection, but the coefficients' spread.
    pairs : int
        How many complementary pairs of halves. With few groups some are drawn twice.
    threshold : float
        In (0.5, 1].
    seed : int
    steps : Steps, optional
        Each fit takes one.
    """
    path = np.array([alpha])
    everything = one_alpha.fit(recipe, groups.merged(), path, gamma=gamma, sample=groups.sample)
    recipe = replace(recipe, grouping=recipe.grouping or everything.design.grouping)
    drawn = complementary_halves(len(groups.moments), pairs, seed)
    again = _Again(
        everything=everything, recipe=recipe, groups=groups, gamma=gamma, steps=steps or Steps()
    )
    halves = again.to_halves([half for pair in drawn for half in pair])
    others = again.without_each()
    fitted = everything.design.usable
    selected = np.array([(coef != 0) & fitted for coef, _ in halves])
    mean_selected, n_candidates = _selected_candidates(everything, selected)
    weights = np.array([group.weight for group in groups.moments])
    frequency = selected.mean(axis=0)
    error = jackknife(everything.coef, np.array([coef for coef, _ in others]), weights)
    if everything.design.offset is not None:  # which is neither selected nor estimated
        frequency[everything.design.offset] = error[everything.design.offset] = np.nan
    return Stability(
        pairs=pairs,
        groups=len(groups.moments),
        threshold=threshold,
        frequency=frequency,
        standard_error=error,
        mean_selected=mean_selected,
        n_candidates=n_candidates,
        mb_bound=mb_bound(mean_selected, n_candidates, threshold),
        unimodal_bound=unimodal_bound(mean_selected, n_candidates, threshold, pairs),
        converged=everything.converged and all(converged for _, converged in (*halves, *others)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Again:
    """Fits to some of the groups, at the alpha of a fit to all: coefficients, and convergence.

    The whole fits are not kept, which may hold a matrix of the size of the moments.
    """

    everything: one_alpha.Fit
    recipe: Recipe
    groups: ResamplingGroups
    gamma: float
    steps: Steps

    def to_halves(self, halves: list[tuple[int, ...]]) -> list[tuple[Floats, bool]]:
        """To each half, of which some may be the same."""
        different = list(dict.fromkeys(halves))
        self.steps.expect(len(different) + len(self.groups.moments))
        found = in_threads(lambda h: self._fit(self.groups.merged(h), h), different, self.steps)
        by_half = dict(zip(different, found, strict=True))
        return [by_half[half] for half in halves]

    def without_each(self) -> list[tuple[Floats, bool]]:
        """To all groups but one."""
        folds = k_folds(self.groups.moments)
        return in_threads(lambda f: self._fit(f.training, f.buckets), folds, self.steps)

    def _fit(self, rows: Moments, which: Iterable[int]) -> tuple[Floats, bool]:
        sample = self.groups.sample_of(which)
        fit = one_alpha.refit(self.everything, self.recipe, rows, gamma=self.gamma, sample=sample)
        self.steps.take()
        return fit.coef, fit.converged


def _selected_candidates(
    everything: one_alpha.Fit, selected: NDArray[np.bool_]
) -> tuple[float, int]:
    """Penalised coefficients selected in a half on average, and all that can be."""
    candidates = everything.design.usable.copy()
    candidates[candidates] = everything.design.problem.l1_factor > 0
    return float(selected[:, candidates].sum(axis=1).mean()), int(candidates.sum())


def complementary_halves(
    n_groups: int, pairs: int, seed: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Disjoint halves of the groups; of an odd number, one is in neither.

    Examples
    --------
    >>> for left, right in complementary_halves(6, pairs=2, seed=0):
    ...     print(left, right)
    (2, 3, 5) (0, 1, 4)
    (3, 4, 5) (0, 1, 2)
    """
    half = n_groups // 2
    for i in range(pairs):
        # Our own hash, not numpy's generator, whose numbers may change with its version.
        draw = row_hashes(text_key(f"pair {i}", seed), np.arange(n_groups))
        order = np.argsort(draw, kind="stable")
        left, right = np.sort(order[:half]), np.sort(order[half : 2 * half])
        yield tuple(left.tolist()), tuple(right.tolist())


def mb_bound(mean_selected: float, n_candidates: int, threshold: float) -> float | None:
    """Expected false selections, by Meinshausen & Bühlmann (2010), theorem 1.

    Examples
    --------
    >>> round(mb_bound(mean_selected=20.0, n_candidates=500, threshold=0.9), 6)
    1.0
    """
    if n_candidates == 0:
        return None
    return mean_selected**2 / ((2 * threshold - 1) * n_candidates)


def unimodal_bound(
    mean_selected: float, n_candidates: int, threshold: float, pairs: int
) -> float | None:
    """Expected false selections, by Shah & Samworth (2013), theorem 2; None where it is silent."""
    if n_candidates == 0:
        return None
    theta = mean_selected / n_candidates
    lowest = 0.5 + min(theta**2, 1 / (2 * pairs) + 0.75 * theta**2)
    if theta > 1 / np.sqrt(3) or threshold < 0.5 + 1 / pairs or threshold <= lowest:
        return None
    if threshold <= 0.75:
        factor = 1 / (2 * (2 * threshold - 1 - 1 / (2 * pairs)))
    else:
        factor = 4 * (1 - threshold + 1 / (2 * pairs)) / (1 + 1 / pairs)
    return factor * theta * mean_selected


def jackknife(all_coef: Floats, coef_without: Floats, weights: Floats) -> Floats:
    """Standard errors by the delete-a-group jackknife for groups of unequal weight.

    Parameters
    ----------
    all_coef : ndarray, shape (p,)
        Of the fit to all groups.
    coef_without : ndarray, shape (n_groups, p)
        Of the fits without each.
    weights : ndarray, shape (n_groups,)

    Examples
    --------
    The mean of 1, 2 and 6, whose standard error is ``std(ddof=1) / sqrt(3)``:

    >>> jackknife(np.array([3.0]), np.array([[4.0], [3.5], [1.5]]), np.ones(3)).round(6)
    array([1.527525])
    """
    h = (weights.sum() / weights)[:, None]
    pseudo = h * all_coef - (h - 1) * coef_without
    estimate = len(weights) * all_coef - ((1 - 1 / h) * coef_without).sum(axis=0)
    return np.asarray(np.sqrt(((pseudo - estimate) ** 2 / (h - 1)).mean(axis=0)))
