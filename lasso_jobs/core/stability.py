"""How far the selection and the coefficients depend on the rows: from the buckets, at one alpha.

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

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core import moments as m
from lasso_jobs.core import selection
from lasso_jobs.core.buckets import row_hashes, text_key
from lasso_jobs.core.design import Recipe
from lasso_jobs.core.folds import k_folds
from lasso_jobs.core.moments import Floats, Moments
from lasso_jobs.core.sample import Sample

MAX_GROUPS = 20
"""More would cost more merges, and there are 92,378 ways to halve 20."""


@dataclass(frozen=True, slots=True)
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
        Share of the halves in which the coefficient is not zero.
    standard_error : ndarray, shape (p,)
        By the jackknife, in original units.
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
        """Whose frequency reaches the threshold."""
        return self.frequency >= self.threshold


def grouped(buckets: Sequence[Moments]) -> tuple[list[Moments], NDArray[np.intp]]:
    """The buckets that have rows, merged into at most `MAX_GROUPS` groups.

    Returns
    -------
    groups : list of Moments
    group_of : ndarray of intp, shape (n_buckets,)
        The group of each bucket; -1 where it has no rows.
    """
    group_of = np.full(len(buckets), -1)
    kept = [i for i, bucket in enumerate(buckets) if bucket.weight > 0]
    group_of[kept] = np.arange(len(kept)) % MAX_GROUPS
    q = buckets[0].n_values
    groups = [
        m.merge_all((buckets[i] for i in kept[k::MAX_GROUPS]), q)
        for k in range(min(MAX_GROUPS, len(kept)))
    ]
    return groups, group_of


def assess(
    recipe: Recipe,
    groups: Sequence[Moments],
    alpha: float,
    pairs: int,
    threshold: float,
    seed: int,
    gamma: float = 1.0,
    sample: Sample | None = None,
) -> Stability:
    """Fit to halves of the groups, and to all groups but one.

    All fits keep the levels that a fit to all groups keeps, so that their coefficients match.

    Parameters
    ----------
    recipe : Recipe
    groups : sequence of Moments
        At least two, each with rows.
    alpha : float
    pairs : int
        How many complementary pairs of halves. With few groups some are drawn twice.
    threshold : float
        In (0.5, 1].
    seed : int
    gamma : float
        Of a relaxed fit; it changes no selection, but the coefficients' spread.
    sample : Sample, optional
        Of the groups' rows, for robust scaling; its buckets are the groups.
    """
    q = groups[0].n_values
    everything = selection.fit(recipe, m.merge_all(groups, q), np.array([alpha]), gamma, sample)
    recipe = replace(recipe, grouping=recipe.grouping or everything.design.grouping)

    def fitted(rows: Moments, which: Iterable[int]) -> tuple[Floats, bool]:
        """Not the whole fit, which holds a matrix of the size of the moments."""
        sampled = sample and sample.only(which)
        fit = selection.fit(recipe, rows, np.array([alpha]), gamma, sampled)
        return fit.coef, fit.converged

    @cache
    def fitted_half(half: tuple[int, ...]) -> tuple[Floats, bool]:
        return fitted(m.merge_all([groups[g] for g in half], q), half)

    pairs_drawn = complementary_halves(len(groups), pairs, seed)
    halves = [fitted_half(half) for pair in pairs_drawn for half in pair]
    others = [fitted(fold.training, fold.buckets) for fold in k_folds(groups)]
    chosen = np.array([coef != 0 for coef, _ in halves])
    candidates = everything.design.usable.copy()
    candidates[candidates] = everything.design.problem.l1_factor > 0
    mean_selected = float(chosen[:, candidates].sum(axis=1).mean())
    n_candidates = int(candidates.sum())
    weights = np.array([group.weight for group in groups])
    return Stability(
        pairs,
        len(groups),
        threshold,
        chosen.mean(axis=0),
        jackknife(everything.coef, np.array([coef for coef, _ in others]), weights),
        mean_selected,
        n_candidates,
        mb_bound(mean_selected, n_candidates, threshold),
        unimodal_bound(mean_selected, n_candidates, threshold, pairs),
        everything.converged and all(converged for _, converged in (*halves, *others)),
    )


def complementary_halves(
    n_groups: int, pairs: int, seed: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Disjoint halves of the groups; of an odd number, one is in neither."""
    half = n_groups // 2
    for i in range(pairs):
        # Our own hash, not numpy's generator, whose numbers may change with its version.
        draw = row_hashes(text_key(f"pair {i}", seed), np.arange(n_groups))
        order = np.argsort(draw, kind="stable")
        left, right = np.sort(order[:half]), np.sort(order[half : 2 * half])
        yield tuple(left.tolist()), tuple(right.tolist())


def mb_bound(mean_selected: float, n_candidates: int, threshold: float) -> float | None:
    """Expected false selections, by Meinshausen & Bühlmann (2010), theorem 1."""
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
    """
    h = (weights.sum() / weights)[:, None]
    pseudo = h * all_coef - (h - 1) * coef_without
    estimate = len(weights) * all_coef - ((1 - 1 / h) * coef_without).sum(axis=0)
    return np.asarray(np.sqrt(((pseudo - estimate) ** 2 / (h - 1)).mean(axis=0)))
